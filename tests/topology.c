/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/topology.c - what this process may use, and what a place says. */
#include "topology.h"
#include "rankpool.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "machine.h"

#define MOUNTS \
	"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n32 31 0:29 / /cpu rw - cgroup cgroup rw,cpu\n" \
	"34 31 0:31 / /cpuset rw - cgroup cgroup rw,cpuset\n"

static void restricted_cpusets(void **state RP_UNUSED)
{
	static const struct row outer[] = { { 0, NULL, NULL, 0, "4-5 6-7 8-9 10-11" }, { 2, NULL, NULL, 0, "4-5 8-9" } };
	static const struct row inner[] = {
		{ 0, NULL, NULL, 0, "5 6-7 8" },
		{ 0, "package", NULL, 0, "5-7 8" },
		{ 0, NULL, "package:0", 0, "5 6-7" },
		{ 0, NULL, "core:0", 0, "!names CPUs 0-1, and only CPUs 5-8 may be used" },
		{ 0, "none", NULL, 0, "5-8 5-8 5-8" },
	};
	static const struct row both[] = { { 0, NULL, NULL, 0, "7 8" }, { 0, "numa", NULL, 0, "7 8" } };

	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "2:cpuset:/b\n0::/a/inner\n");
	tree_write("/sys/fs/cgroup/a/cpuset.cpus.effective", "4-11\n");
	CHECK("package:2 [numa] core:4 pu:2", tree, outer);
	tree_write("/sys/fs/cgroup/a/inner/cpuset.cpus.effective", "5-8\n");
	CHECK("package:2 [numa] core:4 pu:2", tree, inner);
	tree_write("/cpuset/b/cpuset.cpus", "7-15\n");
	CHECK("package:2 [numa] core:4 pu:2", tree, both);
}

static void recorded_affinity(void **state RP_UNUSED)
{
	static const struct row rows[] = { { 0, NULL, NULL, 0, "2-3 12" } };

	tree_write("/proc/self/status",
	           "Name:\tcat\nCpus_allowed:\tffff\nCpus_allowed_list:\t2-3,12\nMems_allowed_list:\t0\n");
	CHECK("package:2 [numa] core:4 pu:2", tree, rows);
}

static void nothing_allowed(void **state RP_UNUSED)
{
	struct rp_error err;
	struct topology *t = (void *)&err;

	tree_write("/proc/self/status", "Cpus_allowed_list:\t0-3\n");
	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "2:cpuset:/b\n");
	tree_write("/cpuset/b/cpuset.cpus", "4-7\n");
	assert_int_equal(topology_load(&t, "pu:8", tree, &err), -ENODEV);
	assert_string_equal(err.text, "no CPU may be used: the affinity mask allows 0-3, the cgroups 4-7");
	assert_null(t);
}

static void quota_of_one_and_a_half(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0-1 8-9" },
		{ 0, "pu", NULL, 0, "0 8" },
		{ 0, "none", NULL, 0, "0-15 0-15" },
		{ 0, "package", NULL, 0, "0-7 8-15" },
		{ 0, NULL, NULL, 2, "0-3" },
		{ 5, NULL, NULL, 0, "0-1 2-3 4-5 8-9 12-13" },
		{ 0, NULL, "core:7", 0, "14-15" },     { 0, "core:compact", NULL, 0, "0-1 2-3" },
	};
	struct topology *t;

	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "2:cpu:/b\n");
	tree_write("/cpu/b/cpu.cfs_quota_us", "150000\n");
	tree_write("/cpu/b/cpu.cfs_period_us", "100000\n");
	CHECK("package:2 [numa] core:4 pu:2", tree, rows);
	t = load("package:2 [numa] core:4 pu:2", tree);
	assert_true(topology_quota(t) > 1.4999 && topology_quota(t) < 1.5001);
	assert_int_equal(topology_cores(t), 2);
	assert_int_equal(topology_usable(t), 2);
	assert_int_equal(topology_cpus(t), 16);
	topology_free(t);
}

static void tiny_and_huge_quotas(void **state RP_UNUSED)
{
	static const struct row rows[] = { { 0, NULL, NULL, 0, "0" }, { 0, "numa", NULL, 0, "0-3" } };
	struct topology *t;

	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "0::/b\n");
	tree_write("/sys/fs/cgroup/b/cpu.max", "1000 1000000\n");
	CHECK("core:4 pu:1", tree, rows);
	tree_write("/sys/fs/cgroup/b/cpu.max", "9000000000000 100\n");
	t = load("core:4 pu:1", tree);
	assert_int_equal(topology_cores(t), 4);
	assert_int_equal(topology_usable(t), 4);
	topology_free(t);
	tree_write("/sys/fs/cgroup/b/cpu.max", "200000 100000\n");
	t = load("core:4 pu:1", tree);
	assert_int_equal(topology_cores(t), 2);
	topology_free(t);
}

static void expect_grant(const char *cpus_on_node, unsigned grant, int usable, int cores)
{
	const char *scheduler = NULL;
	struct topology *t;

	setenv("SLURM_CPUS_ON_NODE", cpus_on_node, 1);
	t = load("package:2 [numa] core:4 pu:2", tree);
	assert_int_equal(topology_grant(t, &scheduler), grant);
	assert_string_equal(scheduler, grant ? "Slurm" : "");
	assert_int_equal(topology_usable(t), usable);
	assert_int_equal(topology_cores(t), cores);
	assert_int_equal(topology_cpus(t), 16);
	topology_free(t);
}

/* As many CPUs as Slurm has given, wherever on the machine they are; with a quota, the smaller of the two. */
static void granted_by_a_scheduler(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0-1 4-5 8-9" },       { 0, "pu", NULL, 0, "0 4 8" },
		{ 0, "package", NULL, 0, "0-7 8-15" },     { 0, NULL, NULL, 2, "0-3" },
		{ 4, NULL, NULL, 0, "0-1 4-5 8-9 12-13" }, { 0, "none", NULL, 0, "0-15 0-15 0-15" },
	};
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	setenv("SLURM_JOB_ID", "7", 1);
	setenv("SLURMD_NODENAME", host, 1);
	setenv("SLURM_CPUS_ON_NODE", "3", 1);
	CHECK("package:2 [numa] core:4 pu:2", tree, rows);
	expect_grant("3", 3, 3, 3);
	expect_grant("12", 12, 12, 8);
	/* All there are, whether Slurm counts threads or more than that. */
	expect_grant("16", 0, 16, 8);
	expect_grant("64", 0, 16, 8);
	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "2:cpu:/b\n");
	tree_write("/cpu/b/cpu.cfs_period_us", "100000\n");
	tree_write("/cpu/b/cpu.cfs_quota_us", "150000\n");
	expect_grant("3", 3, 2, 2);
	tree_write("/cpu/b/cpu.cfs_quota_us", "900000\n");
	expect_grant("3", 3, 3, 3);
	unsetenv("SLURM_JOB_ID");
}

/* ---- what a place says ------------------------------------------------------------------------------- */

static void expect_counts(const char *machine, const char *root, const struct rp_pool_options *options, unsigned cpus,
                          unsigned load_)
{
	struct topology *t = load(machine, root);
	int n;
	struct place *places = plan(t, options, &n);

	for (int i = 0; i < n; i++) {
		assert_int_equal(places[i].cpu_count, cpus);
		assert_int_equal(places[i].load, load_);
	}
	free(places);
	topology_free(t);
}

/* What OMP_NUM_THREADS gets, and whether CPUs are promised twice. */
static void counts(void **state RP_UNUSED)
{
	static const char machine[] = "package:2 [numa] core:4 pu:2";

	expect_counts(machine, NULL, NULL, 1, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "pu"), 1, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "none"), 1, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "none", .workers = 2), 4, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "package"), 4, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "package", .workers = 4), 2, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "package", .workers = 8), 1, 1);
	expect_counts(machine, NULL, RP_POOL(.bind = "package", .workers = 10), 1, 2);
	expect_counts(machine, NULL, RP_POOL(.cpus_per_worker = 4), 4, 1);
	expect_counts(machine, NULL, RP_POOL(.cpus_per_worker = 4, .workers = 4), 4, 2);
	expect_counts(machine, NULL, RP_POOL(.cpus_per_worker = 3, .workers = 3), 3, 2);
	expect_counts(machine, NULL, RP_POOL(.cpus_per_worker = 9), 8, 2);
	expect_counts(machine, NULL, RP_POOL(.cpus_per_worker = 3, .bind = "pu"), 3, 1);
	expect_counts(machine, NULL, RP_POOL(.workers = 24), 1, 3);
	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "0::/b\n");
	tree_write("/sys/fs/cgroup/b/cpu.max", "350000 100000\n");
	expect_counts(machine, tree, RP_POOL(.bind = "package"), 2, 1);
	expect_counts(machine, tree, RP_POOL(.bind = "none", .workers = 1), 4, 1);
	expect_counts(machine, tree, RP_POOL(.bind = "package", .cpus_per_worker = 4), 4, 1);
}

static unsigned bits(const unsigned long *words, unsigned long *ret_first)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLACE_WORDS; i++)
		n += (unsigned)__builtin_popcountl(words[i]);
	*ret_first = words[0];
	return n;
}

static void memory_is_near(void **state RP_UNUSED)
{
	struct topology *t = load("package:2 [numa] [numa] core:2 pu:2", NULL);
	unsigned long first;
	int n;
	struct place *places = plan(t, NULL, &n);

	assert_int_equal(n, 4);
	for (int i = 0; i < n; i++) {
		assert_true(places[i].bound);
		assert_int_equal(bits(places[i].nodes, &first), 2);
		assert_int_equal(first, i < 2 ? 0x3 : 0xc);
		assert_int_equal(bits(places[i].cpus, &first), 2);
		assert_int_equal(first, 0x3UL << 2 * i);
	}
	free(places);
	places = plan(t, RP_POOL(.bind = "none"), &n);
	assert_false(places[0].bound);
	assert_int_equal(bits(places[0].nodes, &first), 0);
	assert_int_equal(bits(places[0].cpus, &first), 8);
	free(places);
	topology_free(t);
}

static void located(void **state RP_UNUSED)
{
	struct topology *t = load("package:2 [numa] core:4 pu:2", NULL);
	struct rp_error err;
	struct place place;
	unsigned long first;

	assert_int_equal(topology_locate(t, "core:5", &place, &err), 0);
	assert_string_equal(place.list, "10-11");
	assert_int_equal(place.cpu_count, 1);
	assert_true(place.bound);
	assert_int_equal(bits(place.nodes, &first), 1);
	assert_int_equal(first, 2);
	assert_int_equal(topology_locate(t, "core:2-5", &place, &err), 0);
	assert_int_equal(place.cpu_count, 4);
	assert_int_equal(bits(place.nodes, &first), 2);
	assert_int_equal(topology_locate(t, "core:8", &place, &err), -EINVAL);
	assert_non_null(strstr(err.text, "core:8"));
	topology_free(t);
}

static void told_to_the_user(void **state RP_UNUSED)
{
	struct topology *t = load("core:4 pu:1", NULL);
	struct rp_worker_info info;
	char host[65] = "";
	int n;
	struct place *places = plan(t, NULL, &n);

	memset(&info, 0xff, sizeof info);
	topology_info(&places[3], 3, &info);
	gethostname(host, sizeof host - 1);
	assert_int_equal(info.rank, 3);
	assert_int_equal(info.local_rank, 3);
	assert_true(info.node == 0 && info.pid == 0 && info.restarts == 0 && info.tasks == 0 && info.busy == 0);
	assert_int_equal(strncmp(info.host, host, 63), 0);
	assert_string_equal(info.cpus, "3");
	free(places);
	topology_free(t);
}

static void expect_list(const char *synthetic, const char *cpus, const char *expected)
{
	struct topology *t = load(synthetic, NULL);
	int n;
	struct place *places = plan(t, RP_POOL(.bind = "none", .cpus = cpus), &n);

	assert_string_equal(places[0].list, expected);
	free(places);
	topology_free(t);
}

/* Lists that do not fit become masks, which are read back as well as lists; only beyond that something is left out. */
static void long_lists(void **state RP_UNUSED)
{
	char expected[192] = "0,2,4,6,8";
	size_t used = strlen(expected);

	expect_list("pu:120", "pu:even",
	            "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40,42,44,46,48,50,52,54,56,58,60,62,64,66,68,70,"
	            "72,74,76,78,80,82,84,86,88,90,92,94,96,98,100,102,104,106,108,110,112,114,116,118");
	expect_list("pu:160", "pu:even", "0x55555555,0x55555555,0x55555555,0x55555555,0x55555555");
	expect_list("pu:160", "0x55555555,0x55555555,0x55555555,0x55555555,0x55555555",
	            "0x55555555,0x55555555,0x55555555,0x55555555,0x55555555");
	for (int cpu = 10; used + 4 < sizeof expected - strlen(",..."); cpu += 2)
		used += (size_t)sprintf(expected + used, ",%d", cpu);
	strcpy(expected + used, ",...");
	expect_list("pu:1200", "pu:even", expected);
}

/* ---- this machine ------------------------------------------------------------------------------------ */

/* Runs body in a child; it fails by a non-zero exit code. */
static void in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void this_machine(void **state RP_UNUSED)
{
	struct rp_error err;
	struct topology *t = topology_here(&err);
	cpu_set_t mask;
	int n;
	struct place *places;

	assert_non_null(t);
	assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
	assert_in_range(topology_cpus(t), 1, CPU_COUNT(&mask));
	assert_in_range(topology_usable(t), 1, topology_cpus(t));
	assert_in_range(topology_cores(t), 1, topology_cpus(t));
	assert_true(topology_quota(t) >= 0);
	places = plan(t, NULL, &n);
	assert_int_equal(n, topology_cores(t));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		for (int i = 0; i < n; i++)
			assert_false(places[i].cpus[cpu / 64] >> cpu % 64 & 1 && !CPU_ISSET(cpu, &mask));
	free(places);
	assert_ptr_equal(topology_here(NULL), t);
}

/* A job's CPUs are asked for each time, and what another machine has is not what they limit. */
static int be_granted_one(void)
{
	struct topology *before = topology_here(NULL), *elsewhere;
	const char *scheduler;
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	setenv("LSB_JOBID", "1", 1);
	strcat(host, " 1");
	setenv("LSB_MCPU_HOSTS", host, 1);
	if (topology_cpus(before) > 1 && topology_usable(topology_here(NULL)) != 1)
		return 1;
	if (rp_cpu_count() != 1 || rp_cpu_grant(&scheduler) != (topology_cpus(before) > 1) ||
	    strcmp(scheduler, topology_cpus(before) > 1 ? "LSF" : "") != 0)
		return 2;
	elsewhere = load("core:4 pu:1", NULL);
	if (topology_cores(elsewhere) != 4 || rp_pool_plan(NULL, NULL, NULL, 0, NULL) != 1)
		return 3;
	topology_free(elsewhere);
	unsetenv("LSB_JOBID");
	return topology_here(NULL) == before && rp_cpu_grant(NULL) == 0 ? 0 : 4;
}

/* A place of one CPU, the highest that may be used, and then the topology as it is there. */
static int bind_and_look(void)
{
	struct topology *before = topology_here(NULL), *after;
	struct rp_error err;
	struct place *places;
	char location[16];
	cpu_set_t mask;
	int n, cpu = 0;

	n = topology_plan(before, RP_POOL(.bind = "pu", .workers = 1, .cpus = "pu:all"), &places, &err);
	if (n != 1 || place_bind(&places[0]) != 0 || sched_getaffinity(0, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) != 1)
		return 1;
	while (!CPU_ISSET(cpu, &mask))
		cpu++;
	snprintf(location, sizeof location, "%d", cpu);
	if (strcmp(places[0].list, location) != 0)
		return 2;
	free(places);
	after = topology_here(NULL);
	if (!after || topology_cpus(after) != 1 || topology_cores(after) != 1)
		return 3;
	/* Asked again, nothing new is made. */
	if (topology_here(NULL) != after || (topology_cpus(before) != 1 && after == before))
		return 4;
	n = topology_plan(after, RP_POOL(.bind = "core"), &places, &err);
	if (n != 1 || strcmp(places[0].list, location) != 0)
		return 5;
	free(places);
	return 0;
}

static void a_bound_process_shares_out_what_it_has(void **state RP_UNUSED)
{
	in_child(bind_and_look);
}

/* Workers make pools of their own: hwloc must not be asked again. */
static int look_in_grandchild(void)
{
	struct topology *parents = topology_here(NULL);
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(topology_here(NULL) == parents ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

static void a_job_that_begins_later(void **state RP_UNUSED)
{
	in_child(be_granted_one);
}

static void children_know_the_machine(void **state RP_UNUSED)
{
	in_child(look_in_grandchild);
}

static int bind_to_nowhere(void)
{
	struct place place = { .bound = 1 };
	cpu_set_t before, after;

	place.cpus[PLACE_WORDS - 1] = 1UL << 63;
	sched_getaffinity(0, sizeof before, &before);
	if (place_bind(&place) != -EINVAL)
		return 1;
	sched_getaffinity(0, sizeof after, &after);
	return CPU_EQUAL(&before, &after) ? 0 : 2;
}

static void binding_to_cpus_that_are_not_there(void **state RP_UNUSED)
{
	in_child(bind_to_nowhere);
}

/* Memory that cannot be had near is no error. */
static int bind_without_memory(void)
{
	struct rp_error err;
	struct place *places;

	if (topology_plan(topology_here(NULL), RP_POOL(.workers = 1), &places, &err) != 1)
		return 1;
	memset(places->nodes, 0, sizeof places->nodes);
	places->nodes[PLACE_WORDS - 1] = 1UL << 63;
	return place_bind(places) == 0 ? 0 : 2;
}

static void binding_without_memory_near(void **state RP_UNUSED)
{
	in_child(bind_without_memory);
}

/* The mode of the calling thread's memory policy, -1: this kernel does not tell. */
static int policy(void)
{
	int mode;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) == 0 ? mode : -1;
}

static int prefer_near(void)
{
	struct place *places;
	unsigned long first;
	int one;

	if (topology_plan(topology_here(NULL), RP_POOL(.workers = 1), &places, NULL) != 1 || place_bind(places) != 0)
		return 1;
	one = bits(places->nodes, &first) == 1;
	return policy() == MPOL_PREFERRED || (!one && policy() != MPOL_DEFAULT) ? 0 : 2;
}

/* Somebody who said numactl --interleave meant it. */
static int keep_policy(void)
{
	unsigned long nodes = 1;
	struct place *places;

	if (syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &nodes, 8 * sizeof nodes) != 0)
		return 1;
	if (topology_plan(topology_here(NULL), RP_POOL(.workers = 1), &places, NULL) != 1 || place_bind(places) != 0)
		return 2;
	return policy() == MPOL_INTERLEAVE ? 0 : 3;
}

static int prefer_nothing(void)
{
	struct place *places;

	if (topology_plan(topology_here(NULL), RP_POOL(.workers = 1, .bind = "none"), &places, NULL) != 1)
		return 1;
	return place_bind(places) == 0 && policy() == MPOL_DEFAULT ? 0 : 2;
}

static void memory_policies(void **state RP_UNUSED)
{
	if (policy() != MPOL_DEFAULT) {
		print_message("# this kernel has no memory policies, or one is set already\n");
		skip();
	}
	in_child(prefer_near);
	in_child(keep_policy);
	in_child(prefer_nothing);
}

static void *look(void *arg)
{
	struct topology **ret = arg;

	*ret = topology_here(NULL);
	return NULL;
}

static void several_threads_ask(void **state RP_UNUSED)
{
	struct topology *found[8] = { NULL };
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, &found[i]), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < 8; i++)
		assert_ptr_equal(found[i], topology_here(NULL));
}

/* A recorded tree restricts this machine too, and real affinity is then not looked at. */
static void this_machine_recorded(void **state RP_UNUSED)
{
	struct rp_error err;
	struct topology *t;

	tree_write("/proc/self/mountinfo", MOUNTS);
	tree_write("/proc/self/cgroup", "0::/b\n");
	tree_write("/sys/fs/cgroup/b/cpu.max", "50000 100000\n");
	assert_int_equal(topology_load(&t, NULL, tree, &err), 0);
	assert_int_equal(topology_cores(t), 1);
	assert_true(topology_quota(t) > 0.49 && topology_quota(t) < 0.51);
	topology_free(t);
}

/* hwloc's own variables may have it describe another machine as this one: workers would be bound by its numbers. */
static int look_at_another(void)
{
	struct rp_error err;
	struct topology *t;

	setenv("HWLOC_SYNTHETIC", "package:4 core:2 pu:2", 1);
	if (topology_load(&t, NULL, NULL, &err) != -EINVAL || !strstr(err.text, "HWLOC_SYNTHETIC"))
		return 1;
	/* A description that was asked for is taken in any case. */
	if (topology_load(&t, "pu:3", NULL, &err) != 0 || topology_cpus(t) != 3)
		return 2;
	topology_free(t);
	return 0;
}

static void another_machine_in_the_environment(void **state RP_UNUSED)
{
	in_child(look_at_another);
}

static void nothing_to_free(void **state RP_UNUSED)
{
	assert_null(topology_free(NULL));
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, tree_new, tree_free)
	const struct CMUnitTest tests[] = {
		test(restricted_cpusets),
		test(recorded_affinity),
		test(nothing_allowed),
		test(quota_of_one_and_a_half),
		test(tiny_and_huge_quotas),
		test(granted_by_a_scheduler),
		test(counts),
		test(memory_is_near),
		test(located),
		test(told_to_the_user),
		test(long_lists),
		test(this_machine),
		test(a_job_that_begins_later),
		test(a_bound_process_shares_out_what_it_has),
		test(children_know_the_machine),
		test(binding_to_cpus_that_are_not_there),
		test(binding_without_memory_near),
		test(memory_policies),
		test(several_threads_ask),
		test(this_machine_recorded),
		test(another_machine_in_the_environment),
		test(nothing_to_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
