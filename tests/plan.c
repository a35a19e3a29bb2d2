/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/plan.c - rp_pool_plan, rp_cpu_count and their like, as a program sees them. */
#include "rankpool.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_refused(const struct rp_pool_options *options, const char *topology, int code, const char *text)
{
	struct rp_worker_info info = { .rank = -7 };
	struct rp_error err = { .text = "" };
	int e = rp_pool_plan(options, topology, &info, 1, &err);

	if (e != code || err.code != code || !strstr(err.text, text) || info.rank != -7)
		fail_msg("expected %d \"%s\", is %d \"%s\"", code, text, e, err.text);
}

static void plans_are_told(void **state RP_UNUSED)
{
	struct rp_worker_info infos[10];
	struct rp_error err = { .code = 77 };

	memset(infos, 0xff, sizeof infos);
	assert_int_equal(rp_pool_plan(RP_POOL(.workers_per_node = 5), "package:2 core:4 pu:2", NULL, 0, &err), 5);
	assert_int_equal(rp_pool_plan(RP_POOL(.workers = 5), "package:2 core:4 pu:2", infos, 10, &err), 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(infos[i].rank, i);
		assert_int_equal(infos[i].local_rank, i);
		assert_int_equal(infos[i].node, 0);
		assert_int_equal(infos[i].pid, 0);
		assert_int_equal(infos[i].tasks, 0);
		assert_string_equal(infos[i].host, "");
	}
	assert_string_equal(infos[4].cpus, "12-13");
	assert_int_equal(infos[5].rank, -1);
	assert_int_equal(err.code, 77);
}

static void room_may_be_short(void **state RP_UNUSED)
{
	struct rp_worker_info infos[3] = { { .rank = -7 }, { .rank = -7 }, { .rank = -7 } };

	assert_int_equal(rp_pool_plan(NULL, "core:8 pu:1", infos, 2, NULL), 8);
	assert_int_equal(infos[1].rank, 1);
	assert_int_equal(infos[2].rank, -7);
	assert_int_equal(rp_pool_plan(NULL, "core:8 pu:1", NULL, 0, NULL), 8);
}

static void a_plan_of_this_machine(void **state RP_UNUSED)
{
	struct rp_worker_info info;
	char host[65] = "";
	struct rp_error err;

	gethostname(host, sizeof host - 1);
	assert_int_equal(rp_pool_plan(RP_POOL(.workers = 1, .flags = RP_LOCAL | RP_INHERIT_BINDING, .kind = RP_THREADS),
	                              NULL, &info, 1, &err), 1);
	assert_int_equal(strncmp(info.host, host, 63), 0);
	assert_true(info.cpus[0] >= '0' && info.cpus[0] <= '9');
	assert_in_range(rp_pool_plan(NULL, NULL, NULL, 0, &err), 1, rp_cpu_count());
}

static void refusals(void **state RP_UNUSED)
{
	struct rp_pool_options forgotten = { .workers = 1 };
	struct rp_error err;

	expect_refused(&forgotten, NULL, -EINVAL, "rp_pool_plan: .size is 0");
	expect_refused(RP_POOL(.kind = 2), NULL, -EINVAL, "kind is 2");
	expect_refused(RP_POOL(.flags = RP_DAEMON), NULL, -EINVAL, "RP_DAEMON");
	expect_refused(RP_POOL(.workers = (uint32_t)-5), NULL, -EINVAL, "workers: -5 is negative");
	expect_refused(RP_POOL(.workers = 1, .workers_per_node = 2), NULL, -EINVAL, "contradict");
	expect_refused(RP_POOL(.workers_per_node = 70000), NULL, -EINVAL, "workers_per_node: 70000 is more than 65535");
	expect_refused(RP_POOL(.workers = 70000), NULL, -EINVAL, "workers: 70000 is more than 65535");
	expect_refused(RP_POOL(.bind = "corr"), NULL, -EINVAL, "\"corr\"");
	expect_refused(RP_POOL(.cpus = "core:9999"), NULL, -EINVAL, "core:9999");
	expect_refused(NULL, "foo:3", -EINVAL, "foo:3");
	expect_refused(NULL, "/nowhere/machine.xml", -ENOENT, "/nowhere/machine.xml: No such file");
	assert_int_equal(rp_pool_plan(NULL, NULL, NULL, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "NULL"));
	assert_int_equal(rp_pool_plan(RP_POOL(.bind = "corr"), NULL, NULL, 0, NULL), -EINVAL);
}

/* RP_FATAL prints the one line and ends with 1; what is printed must not come from hwloc. */
static void fatal(void **state RP_UNUSED)
{
	char text[1024] = "";
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		rp_pool_plan(NULL, "foo:3", NULL, 0, RP_FATAL);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(fds[0], text, sizeof text - 1);
	close(fds[0]);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_true(n > 0 && strchr(text, '\n') == text + n - 1);
	assert_non_null(strstr(text, "topology \"foo:3\""));
}

static void counts_follow_the_affinity(void **state RP_UNUSED)
{
	cpu_set_t mask, one;
	int cpu = 0, bound;

	assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
	assert_in_range(rp_cpu_count(), 1, CPU_COUNT(&mask));
	while (!CPU_ISSET(cpu, &mask))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	bound = rp_cpu_count();
	assert_int_equal(sched_setaffinity(0, sizeof mask, &mask), 0);
	assert_int_equal(bound, 1);
	assert_int_equal(rp_node_count(), 1);
	assert_true(rp_cpu_quota() >= 0);
}

static void the_environment_says_how_many(void **state RP_UNUSED)
{
	static const char *const bad[] = {
		"0", "-3", "+3", " 3", "3 ", "3x", "x", "0x3", "4294967297", "99999999999999999999",
	};

	assert_int_equal(setenv("RANKPOOL_WORKERS", "3", 1), 0);
	assert_int_equal(rp_pool_plan(NULL, "core:8 pu:1", NULL, 0, NULL), 3);
	assert_int_equal(rp_pool_plan(NULL, NULL, NULL, 0, NULL), 3);
	assert_int_equal(rp_pool_plan(RP_POOL(.bind = "pu"), "core:2 pu:1", NULL, 0, NULL), 3);
	assert_int_equal(rp_pool_plan(RP_POOL(.workers_per_node = 5), "core:8 pu:1", NULL, 0, NULL), 5);
	assert_int_equal(rp_pool_plan(RP_POOL(.workers = 5), "core:8 pu:1", NULL, 0, NULL), 5);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[128];

		snprintf(text, sizeof text, "rp_pool_plan: RANKPOOL_WORKERS=%s is no number of workers", bad[i]);
		setenv("RANKPOOL_WORKERS", bad[i], 1);
		expect_refused(NULL, "core:8 pu:1", -EINVAL, text);
		assert_int_equal(rp_pool_plan(RP_POOL(.workers = 5), "core:8 pu:1", NULL, 0, NULL), 5);
	}
	setenv("RANKPOOL_WORKERS", "70000", 1);
	expect_refused(NULL, "core:8 pu:1", -EINVAL, "70000 is more than 65535");
	setenv("RANKPOOL_WORKERS", "", 1);
	assert_int_equal(rp_pool_plan(NULL, "core:8 pu:1", NULL, 0, NULL), 8);
	unsetenv("RANKPOOL_WORKERS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_told),
		cmocka_unit_test(room_may_be_short),
		cmocka_unit_test(a_plan_of_this_machine),
		cmocka_unit_test(refusals),
		cmocka_unit_test(fatal),
		cmocka_unit_test(counts_follow_the_affinity),
		cmocka_unit_test(the_environment_says_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
