/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/allocation.c - the nodes that a batch system's variables and files tell of. */
#include "../launcher/allocation.h"
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static const char *const variables[] = {
	"SLURM_JOB_ID",
	"SLURM_JOB_NODELIST",
	"SLURM_NODELIST",
	"SLURM_JOB_CPUS_PER_NODE",
	"SLURM_TASKS_PER_NODE",
	"SLURM_NTASKS",
	"SLURM_NTASKS_PER_NODE",
	"PBS_NODEFILE",
	"LSB_DJOB_HOSTFILE",
	"LSB_MCPU_HOSTS",
	"PE_HOSTFILE",
	"OMPI_COMM_WORLD_SIZE",
	"PMIX_RANK",
	"PMI_RANK",
	"PMI_FD",
	"RANKPOOL_RANK",
};

static int outside(void **state UNUSED)
{
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	return 0;
}

static void expect(const char *scheduler, const char *hosts)
{
	struct allocation a;
	char got[512] = "";

	assert_int_equal(allocation_find(&a, "t"), 0);
	for (size_t i = 0; i < a.hosts.count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%u", i ? " " : "", a.hosts.items[i].name,
		         a.hosts.items[i].slots);
	assert_string_equal(got, hosts);
	if (scheduler)
		assert_string_equal(a.scheduler, scheduler);
	else
		assert_null(a.scheduler);
	allocation_free(&a);
}

static void expect_refusal(const char *variable)
{
	struct allocation a;
	struct said said;
	int r;

	said_begin(&said);
	r = allocation_find(&a, "t");
	said_end(&said);
	assert_int_equal(r, -1);
	assert_non_null(strstr(said.text, variable));
	assert_ptr_equal(strchr(said.text, '\n'), said.text + strlen(said.text) - 1);
}

static void set_slurm(const char *nodes, const char *tasks, const char *cpus)
{
	setenv("SLURM_JOB_ID", "7", 1);
	setenv("SLURM_JOB_NODELIST", nodes, 1);
	if (tasks)
		setenv("SLURM_TASKS_PER_NODE", tasks, 1);
	if (cpus)
		setenv("SLURM_JOB_CPUS_PER_NODE", cpus, 1);
}

static void write_file(const char *variable, const char *lines, char ret[64])
{
	int fd;

	snprintf(ret, 64, "%s", "/tmp/rankpool-nodes-XXXXXX");
	fd = mkstemp(ret);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	close(fd);
	setenv(variable, ret, 1);
}

static void no_allocation(void **state UNUSED)
{
	expect(NULL, "");
	/* An empty variable is as none, and a list of nodes without a job is not ours. */
	setenv("PBS_NODEFILE", "", 1);
	setenv("SLURM_JOB_NODELIST", "n[1-4]", 1);
	expect(NULL, "");
}

static void slurm_names(void **state UNUSED)
{
	set_slurm("n[01-03,7],m2", NULL, NULL);
	expect("Slurm", "n01:1 n02:1 n03:1 n7:1 m2:1");
	set_slurm("rack[1-2]node[08-10]", NULL, NULL);
	expect("Slurm", "rack1node08:1 rack1node09:1 rack1node10:1 rack2node08:1 rack2node09:1 rack2node10:1");
	set_slurm("a[1,3]-ib.site", NULL, NULL);
	expect("Slurm", "a1-ib.site:1 a3-ib.site:1");
	set_slurm("single", NULL, NULL);
	expect("Slurm", "single:1");
}

static void slurm_slots(void **state UNUSED)
{
	set_slurm("n[1-4]", "1(x4)", "72(x2),36,8");
	expect("Slurm", "n1:72 n2:72 n3:36 n4:8");
	setenv("SLURM_NTASKS", "7", 1);
	set_slurm("n[1-4]", "2(x3),1", "72(x4)");
	expect("Slurm", "n1:2 n2:2 n3:2 n4:1");
	unsetenv("SLURM_NTASKS");
	unsetenv("SLURM_JOB_CPUS_PER_NODE");
	expect("Slurm", "n1:2 n2:2 n3:2 n4:1");
}

static void bad_slurm(void **state UNUSED)
{
	static const char *const names[] = { "n[1-", "n[1-3", "n[3-1]",        "n[]",
		                             "n[a]", "n[1,]", "n1]",           "n[1-9999999999]",
		                             ",n1",  "n1,",   "n[0-99999999]", "n[1-60000],m[1-60000]" };
	static const char *const counts[] = { "2", "2(x3", "x", "2(x3),1,1", "0(x4)", "2(x4)x", "2,2,2,", "70000(x4)" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		set_slurm(names[i], NULL, NULL);
		expect_refusal("SLURM_JOB_NODELIST");
	}
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		set_slurm("n[1-4]", NULL, counts[i]);
		expect_refusal("SLURM_JOB_CPUS_PER_NODE");
	}
}

static void the_other_schedulers(void **state UNUSED)
{
	char path[64];

	write_file("PBS_NODEFILE", "n1\nn1\nn2\nn1\n", path);
	expect("PBS", "n1:3 n2:1");
	unlink(path);
	expect_refusal("PBS_NODEFILE");
	unsetenv("PBS_NODEFILE");
	setenv("LSB_MCPU_HOSTS", "n1 16 n2 8 ", 1);
	expect("LSF", "n1:16 n2:8");
	setenv("LSB_MCPU_HOSTS", "n1 16 n2", 1);
	expect_refusal("LSB_MCPU_HOSTS");
	write_file("LSB_DJOB_HOSTFILE", "n3\nn4\nn4\n", path);
	expect("LSF", "n3:1 n4:2");
	unlink(path);
	outside(NULL);
	write_file("PE_HOSTFILE", "n1.site 4 all.q@n1.site UNDEFINED\nn2.site 2 all.q@n2.site <NULL>\n", path);
	expect("SGE", "n1.site:4 n2.site:2");
	unlink(path);
	write_file("PE_HOSTFILE", "n1.site all.q\n", path);
	expect_refusal("PE_HOSTFILE");
	unlink(path);
}

static void parts_of_a_whole_do_not_look(void **state UNUSED)
{
	static const char *const marks[] = { "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD", "RANKPOOL_RANK" };

	set_slurm("n[1-4]", NULL, NULL);
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		setenv(marks[i], "1", 1);
		expect(NULL, "");
		unsetenv(marks[i]);
	}
	expect("Slurm", "n1:1 n2:1 n3:1 n4:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_allocation, outside, outside),
		cmocka_unit_test_setup_teardown(slurm_names, outside, outside),
		cmocka_unit_test_setup_teardown(slurm_slots, outside, outside),
		cmocka_unit_test_setup_teardown(bad_slurm, outside, outside),
		cmocka_unit_test_setup_teardown(the_other_schedulers, outside, outside),
		cmocka_unit_test_setup_teardown(parts_of_a_whole_do_not_look, outside, outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
