/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/cgroup.c - CPUs and quotas of control groups, from recorded trees. */
#include "cpulimit.h"
#include "rankpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tree.h"

#define V2_MOUNT "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_CPU_MOUNT "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_CPUSET_MOUNT "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
#define OTHER_MOUNTS "23 1 254:0 / / rw - ext4 /dev/root rw\n25 23 0:22 / /proc rw - proc proc rw\n"

/* What is left of CPUs 0-15, and the quota. */
static void expect(const char *cpus, double quota)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();
	double found = -1;
	char *list;

	hwloc_bitmap_set_range(set, 0, 15);
	assert_int_equal(cpulimit_read(tree, set, &found), 0);
	hwloc_bitmap_list_asprintf(&list, set);
	assert_string_equal(list, cpus);
	assert_true(found > quota - 1e-9 && found < quota + 1e-9);
	free(list);
	hwloc_bitmap_free(set);
}

static void no_files_no_limits(void **state RP_UNUSED)
{
	expect("0-15", 0);
	tree_write("/proc/self/mountinfo", OTHER_MOUNTS);
	expect("0-15", 0);
	tree_write("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT);
	expect("0-15", 0);
	tree_write("/proc/self/cgroup", "0::/a/b\n");
	expect("0-15", 0);
}

static void v2_own_level(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/user.slice/job\n");
	tree_write("/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
	tree_write("/sys/fs/cgroup/user.slice/job/cpuset.cpus.effective", "2-5,8\n");
	expect("2-5,8", 1.5);
	tree_write("/sys/fs/cgroup/user.slice/job/cpu.max", "20000 50000\n");
	expect("2-5,8", 0.4);
}

/* The parent may be the tighter one. */
static void v2_every_level(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/a/b/c\n");
	tree_write("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	tree_write("/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
	tree_write("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
	expect("0-15", 2);
	tree_write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	expect("0-15", 0.5);
	tree_write("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	tree_write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	expect("0-15", 8);
	tree_write("/sys/fs/cgroup/a/cpuset.cpus.effective", "0-7\n");
	tree_write("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "4-11\n");
	expect("4-7", 8);
	/* A group beside the path says nothing. */
	tree_write("/sys/fs/cgroup/a/x/cpu.max", "1000 100000\n");
	tree_write("/sys/fs/cgroup/a/b/c/d/cpu.max", "1000 100000\n");
	expect("4-7", 8);
}

static void what_is_no_limit(void **state RP_UNUSED)
{
	static const char *const texts[] = { "max 100000\n", "max\n",        "",           "\n",
		                             "-1 100000\n",  "0 100000\n",   "100000 0\n", "nonsense\n" };

	tree_write("/proc/self/mountinfo", OTHER_MOUNTS V2_MOUNT V1_CPU_MOUNT V1_CPUSET_MOUNT);
	tree_write("/proc/self/cgroup", "4:cpuset:/j\n3:cpu,cpuacct:/j\n0::/j\n");
	tree_write("/sys/fs/cgroup/j/cpuset.cpus.effective", "\n");
	tree_write("/sys/fs/cgroup/j/cpuset.cpus", "\n");
	tree_write("/sys/fs/cgroup/cpuset/j/cpuset.cpus", "");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		tree_write("/sys/fs/cgroup/j/cpu.max", texts[i]);
		expect("0-15", 0);
	}
	tree_write("/sys/fs/cgroup/cpu,cpuacct/j/cpu.cfs_period_us", "100000\n");
	expect("0-15", 0);
	tree_write("/sys/fs/cgroup/cpu,cpuacct/j/cpu.cfs_quota_us", "-1\n");
	expect("0-15", 0);
	tree_write("/sys/fs/cgroup/cpu,cpuacct/j/cpu.cfs_quota_us", "\n");
	expect("0-15", 0);
	tree_write("/sys/fs/cgroup/cpu,cpuacct/j/cpu.cfs_quota_us", "250000\n");
	expect("0-15", 2.5);
}

static void v2_without_effective_cpus(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/j\n");
	tree_write("/sys/fs/cgroup/j/cpuset.cpus", "3\n");
	expect("3", 0);
	tree_write("/sys/fs/cgroup/j/cpuset.cpus.effective", "1-2\n");
	expect("1-2", 0);
}

static void v1_every_level(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", OTHER_MOUNTS V1_CPU_MOUNT V1_CPUSET_MOUNT);
	tree_write("/proc/self/cgroup", "5:memory:/m\n4:cpuset:/set/inner\n3:cpu,cpuacct:/slurm/job_1\n1:name=systemd:/x\n");
	tree_write("/sys/fs/cgroup/cpu,cpuacct/slurm/job_1/cpu.cfs_quota_us", "150000\n");
	tree_write("/sys/fs/cgroup/cpu,cpuacct/slurm/job_1/cpu.cfs_period_us", "100000\n");
	expect("0-15", 1.5);
	tree_write("/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us", "60000\n");
	tree_write("/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us", "50000\n");
	expect("0-15", 1.2);
	tree_write("/sys/fs/cgroup/cpuset/set/cpuset.cpus", "0-9\n");
	tree_write("/sys/fs/cgroup/cpuset/set/inner/cpuset.cpus", "8-12\n");
	expect("8-9", 1.2);
	tree_write("/sys/fs/cgroup/cpuset/set/inner/cpuset.effective_cpus", "9\n");
	expect("9", 1.2);
}

/* The path of another controller must not be taken for that of "cpu". */
static void v1_names_are_whole_words(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", "32 31 0:29 / /c rw - cgroup cgroup rw,cpu\n"
	           "33 31 0:30 / /acct rw - cgroup cgroup rw,cpuacct\n");
	tree_write("/proc/self/cgroup", "9:cpuacct:/wrong\n8:cpuset:/wrong\n7:cpu:/right\n");
	tree_write("/c/wrong/cpu.cfs_quota_us", "100000\n");
	tree_write("/c/wrong/cpu.cfs_period_us", "100000\n");
	tree_write("/acct/wrong/cpu.cfs_quota_us", "100000\n");
	tree_write("/acct/wrong/cpu.cfs_period_us", "100000\n");
	expect("0-15", 0);
	tree_write("/c/right/cpu.cfs_quota_us", "300000\n");
	tree_write("/c/right/cpu.cfs_period_us", "100000\n");
	expect("0-15", 3);
}

/* systemd's hybrid: version 1 has the controllers, version 2 is mounted beside them. */
static void both_versions(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", V1_CPU_MOUNT V1_CPUSET_MOUNT
	           "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	tree_write("/proc/self/cgroup", "4:cpuset:/s\n3:cpu,cpuacct:/q\n0::/u\n");
	tree_write("/sys/fs/cgroup/cpu,cpuacct/q/cpu.cfs_quota_us", "400000\n");
	tree_write("/sys/fs/cgroup/cpu,cpuacct/q/cpu.cfs_period_us", "100000\n");
	tree_write("/sys/fs/cgroup/cpuset/s/cpuset.cpus", "0-3\n");
	tree_write("/sys/fs/cgroup/unified/u/cgroup.procs", "1\n");
	expect("0-3", 4);
	tree_write("/sys/fs/cgroup/unified/u/cpu.max", "300000 100000\n");
	tree_write("/sys/fs/cgroup/unified/u/cpuset.cpus.effective", "2-9\n");
	expect("2-3", 3);
}

/* In a container: the mount shows the container's own group, /proc the path on the host. */
static void container_without_namespace(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", "41 31 0:38 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
	tree_write("/proc/self/cgroup", "0::/docker/abc\n");
	tree_write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	tree_write("/sys/fs/cgroup/cpuset.cpus.effective", "1,3\n");
	expect("1,3", 1.5);
	tree_write("/proc/self/cgroup", "0::/docker/abc/inner\n");
	tree_write("/sys/fs/cgroup/inner/cpu.max", "100000 100000\n");
	expect("1,3", 1);
	/* A name that merely begins like the mounted group is not below it. */
	tree_write("/proc/self/cgroup", "0::/docker/abcinner\n");
	expect("1,3", 1.5);
	tree_write("/proc/self/cgroup", "0::/elsewhere/on/the/host\n");
	expect("1,3", 1.5);
	tree_write("/proc/self/cgroup", "0::/../sibling\n");
	tree_write("/sibling/cpu.max", "10000 100000\n");
	expect("1,3", 1.5);
}

static void container_with_half_a_path(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/kept/gone/inner\n");
	tree_write("/sys/fs/cgroup/kept/cpu.max", "700000 100000\n");
	tree_write("/sys/fs/cgroup/inner/cpu.max", "100000 100000\n");
	expect("0-15", 7);
}

static void mount_points_with_blanks(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo",
	           "41 31 0:38 / /my\\040groups\\134x rw master:1 propagate_from:2 - cgroup2 none rw\n");
	tree_write("/proc/self/cgroup", "0::/j\n");
	tree_write("/my groups\\x/j/cpu.max", "150000 100000\n");
	expect("0-15", 1.5);
}

/* Names of cgroups may contain colons. */
static void paths_with_colons(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo", V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/job:1\n");
	tree_write("/sys/fs/cgroup/job:1/cpu.max", "150000 100000\n");
	expect("0-15", 1.5);
}

static void lines_that_are_cut_short(void **state RP_UNUSED)
{
	tree_write("/proc/self/mountinfo",
	           "\n41\n41 31 0:38 / - cgroup2\n41 31 0:38 / /x rw -\n - \n - cgroup2 a b\n" V2_MOUNT);
	tree_write("/proc/self/cgroup", "\n0\n0:\n0::/j");
	tree_write("/sys/fs/cgroup/j/cpu.max", "150000 100000");
	expect("0-15", 1.5);
}

static void large_sets(void **state RP_UNUSED)
{
	char list[40000] = "";
	size_t used = 0;

	for (int cpu = 1; cpu < 8192; cpu += 2)
		used += (size_t)sprintf(list + used, "%s%d", used ? "," : "", cpu);
	tree_write("/proc/self/mountinfo", V2_MOUNT);
	tree_write("/proc/self/cgroup", "0::/j\n");
	tree_write("/sys/fs/cgroup/j/cpuset.cpus.effective", list);
	expect("1,3,5,7,9,11,13,15", 0);
}

/* Deeper than a path can be long: the levels that can be read count, and nothing overflows. */
static void paths_without_end(void **state RP_UNUSED)
{
	static char path[20000] = "0::/a";

	for (size_t used = strlen(path); used + 3 < sizeof path; used += 2)
		strcpy(path + used, "/b");
	tree_write("/proc/self/mountinfo", V2_MOUNT);
	tree_write("/proc/self/cgroup", path);
	tree_write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
	expect("0-15", 1.5);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, tree_new, tree_free)
	const struct CMUnitTest tests[] = {
		test(no_files_no_limits),
		test(v2_own_level),
		test(v2_every_level),
		test(what_is_no_limit),
		test(v2_without_effective_cpus),
		test(v1_every_level),
		test(v1_names_are_whole_words),
		test(both_versions),
		test(container_without_namespace),
		test(container_with_half_a_path),
		test(mount_points_with_blanks),
		test(paths_with_colons),
		test(lines_that_are_cut_short),
		test(large_sets),
		test(paths_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
