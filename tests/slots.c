/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/slots.c - who gets which CPUs, on machines that are not here. */
#include "slots.h"
#include "rankpool.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

static void one_core(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0" },
		{ 1, NULL, NULL, 0, "0" },
		{ 3, NULL, NULL, 0, "0 0 0" },
		{ 0, "pu", NULL, 0, "0" },
		{ 0, "none", NULL, 0, "0" },
		{ 0, "numa", NULL, 0, "0" },
		{ 0, "package", NULL, 0, "0" },
		{ 0, NULL, NULL, 4, "0" },
		{ 2, "core:compact", NULL, 0, "0 0" },
		{ 0, "l3", NULL, 0, "!no \"l3\" to bind to" },
		{ 0, NULL, "core:0", 0, "0" },
	};

	CHECK("package:1 core:1 pu:1", NULL, rows);
}

static void three_cores(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0 1 2" },
		{ 1, NULL, NULL, 0, "0" },
		{ 2, NULL, NULL, 0, "0 1" },
		{ 2, "core:compact", NULL, 0, "0 1" },
		{ 4, NULL, NULL, 0, "0 0 1 2" },
		{ 5, NULL, NULL, 0, "0 0 1 1 2" },
		{ 5, "core:compact", NULL, 0, "0 0 1 1 2" },
		{ 0, NULL, NULL, 2, "0-1" },
		{ 2, NULL, NULL, 2, "0-1 1-2" },
		{ 3, NULL, NULL, 2, "0-1 1-2 0,2" },
	};

	CHECK("core:3 pu:1", NULL, rows);
}

static void small_server(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15" },
		{ 0, "core", NULL, 0, "0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15" },
		{ 0, "pu", NULL, 0, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15" },
		{ 0, "package", NULL, 0, "0-7 8-15" },
		{ 0, "numa", NULL, 0, "0-7 8-15" },
		{ 0, "none", NULL, 0, "0-15 0-15 0-15 0-15 0-15 0-15 0-15 0-15" },
		{ 2, NULL, NULL, 0, "0-1 8-9" },
		{ 2, "core:spread", NULL, 0, "0-1 8-9" },
		{ 2, "core:compact", NULL, 0, "0-1 2-3" },
		{ 4, NULL, NULL, 0, "0-1 4-5 8-9 12-13" },
		{ 4, "pu", NULL, 0, "0 4 8 12" },
		{ 4, "pu:compact", NULL, 0, "0 1 2 3" },
		{ 10, NULL, NULL, 0, "0-1 0-1 2-3 4-5 6-7 8-9 8-9 10-11 12-13 14-15" },
		{ 10, "core:compact", NULL, 0, "0-1 0-1 2-3 2-3 4-5 6-7 8-9 10-11 12-13 14-15" },
		{ 3, "package", NULL, 0, "0-7 0-7 8-15" },
		{ 3, "package:compact", NULL, 0, "0-7 0-7 0-7" },
		{ 5, "package:compact", NULL, 0, "0-7 0-7 0-7 0-7 8-15" },
		{ 2, "none", NULL, 0, "0-15 0-15" },
		{ 0, "CORE", "package:1", 0, "8-9 10-11 12-13 14-15" },
		{ 0, NULL, "0-3,8", 0, "0-1 2-3 8" },
		{ 0, NULL, "pu:even", 0, "0 2 4 6 8 10 12 14" },
		{ 0, "package", "core:3-4", 0, "6-7 8-9" },
		{ 0, "none", "0xf", 0, "0-3 0-3" },
		{ 0, "hwthread", "core:0", 0, "0 1" },
		{ 0, "socket", NULL, 0, "0-7 8-15" },
	};

	CHECK("package:2 [numa] core:4 pu:2", NULL, rows);
}

static void more_cpus_per_worker(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 1, "0-1 2-3 4-5 6-7 8-9 10-11" },
		{ 0, NULL, NULL, 3, "0-5 6-11" },
		{ 1, NULL, NULL, 3, "0-5" },
		/* Neighbours first, then what is left over on each package. */
		{ 0, NULL, NULL, 2, "0-3 6-9 4-5,10-11" },
		{ 2, NULL, NULL, 2, "0-3 6-9" },
		{ 6, NULL, NULL, 2, "0-3 0-3 6-9 6-9 4-5,10-11 4-5,10-11" },
		{ 0, NULL, NULL, 4, "0-7" },
		{ 3, NULL, NULL, 4, "0-7 4-11 0-3,8-11" },
		{ 0, NULL, NULL, 6, "0-11" },
		{ 0, NULL, NULL, 7, "0-11" },
		{ 2, NULL, NULL, 100, "0-11 0-11" },
		{ 0, "pu", NULL, 2, "0-1 2-3 4-5 6-7 8-9 10-11" },
		{ 0, "pu", NULL, 5, "0-4 6-10" },
		{ 0, "package", NULL, 3, "0-5 6-11" },
		{ 0, "package", NULL, 1, "0-5 0-5 0-5 6-11 6-11 6-11" },
		{ 0, "package", NULL, 4, "0-11" },
		{ 0, "none", NULL, 2, "0-11 0-11 0-11" },
	};

	CHECK("package:2 core:3 pu:2", NULL, rows);
}

/* A NUMA node may be smaller than a package, or larger: in either case neighbours are what lies in the smaller one. */
static void domains_nest_either_way(void **state RP_UNUSED)
{
	static const struct row small[] = {
		{ 0, NULL, NULL, 2, "0-1 2,5 3-4 6-7 8,11 9-10" },
		{ 0, "numa", NULL, 0, "0-2 3-5 6-8 9-11" },
	};
	static const struct row large[] = { { 0, NULL, NULL, 2, "0-1 3-4 2,5" }, { 0, "numa", NULL, 0, "0-5" } };

	CHECK("package:2 numa:2 core:3 pu:1", NULL, small);
	CHECK("numa:1 package:2 core:3 pu:1", NULL, large);
}

static void two_times_64_with_smt(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 2, NULL, NULL, 0, "0-1 128-129" },
		{ 4, NULL, NULL, 0, "0-1 64-65 128-129 192-193" },
		{ 4, "core:compact", NULL, 0, "0-1 2-3 4-5 6-7" },
		{ 0, "package", NULL, 0, "0-127 128-255" },
		{ 0, NULL, NULL, 64, "0-127 128-255" },
		{ 0, NULL, NULL, 32, "0-63 64-127 128-191 192-255" },
		{ 3, NULL, "package:1", 0, "128-129 170-171 212-213" },
	};
	struct topology *t = load("package:2 core:64 pu:2", NULL);

	assert_int_equal(topology_cpus(t), 256);
	assert_int_equal(topology_cores(t), 128);
	assert_int_equal(topology_usable(t), 256);
	topology_free(t);
	CHECK("package:2 core:64 pu:2", NULL, rows);
}

static void four_packages_of_384_threads(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 4, NULL, NULL, 0, "0-1 96-97 192-193 288-289" },
		{ 8, NULL, NULL, 0, "0-1 48-49 96-97 144-145 192-193 240-241 288-289 336-337" },
		{ 0, "package", NULL, 0, "0-95 96-191 192-287 288-383" },
		{ 0, NULL, "package:0-3.core:0", 0, "0-1 96-97 192-193 288-289" },
		{ 0, NULL, "package:3.core:46:3", 0, "288-289 380-381 382-383" },
		{ 0, "none", NULL, 192, "0-383" },
	};
	struct topology *t = load("package:4 core:48 pu:2", NULL);

	assert_int_equal(topology_cpus(t), 384);
	assert_int_equal(topology_cores(t), 192);
	topology_free(t);
	CHECK("package:4 core:48 pu:2", NULL, rows);
}

static void several_l3_per_package(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, "l3", NULL, 0, "0-5 6-11 12-17 18-23" },
		{ 0, "L3Cache", NULL, 0, "0-5 6-11 12-17 18-23" },
		{ 2, "l3", NULL, 0, "0-5 12-17" },
		{ 2, "l3:compact", NULL, 0, "0-5 0-5" },
		{ 6, "l3", NULL, 0, "0-5 0-5 6-11 12-17 12-17 18-23" },
		{ 0, "l3", NULL, 3, "0-5 6-11 12-17 18-23" },
		/* One that needs more than an L3 has gets two, of the same package. */
		{ 0, "l3", NULL, 4, "0-11 0-11 12-23" },
		{ 2, "l3", NULL, 4, "0-11 12-23" },
		{ 0, NULL, NULL, 4, "0-7 12-19 8-11,20-23" },
		{ 0, "l3", "l3:1,3", 0, "6-11 18-23" },
	};

	CHECK("package:2 l3:2 core:3 pu:2", NULL, rows);
}

static void four_threads_per_core(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0-3 4-7 8-11 12-15" },
		{ 0, "pu", NULL, 4, "0-3 4-7 8-11 12-15" },
		{ 5, "pu", NULL, 0, "0 2 4 8 12" },
		{ 0, NULL, "pu:0-4", 0, "0-3 4" },
	};

	CHECK("package:1 core:4 pu:4", NULL, rows);
}

static void no_cores_known(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0 1 2 3" },
		{ 0, NULL, NULL, 2, "0-1 2-3" },
		{ 2, NULL, NULL, 0, "0 2" },
		{ 0, NULL, "core:2", 0, "2" },
		{ 0, "package", NULL, 0, "!no \"package\" to bind to on the CPUs that may be used; the machine has 4 pu" },
	};

	CHECK("pu:4", NULL, rows);
}

/* Six cores on one node, two on the other. */
static void asymmetric_numa(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0 1 2 3 4 5 6 7" },
		{ 0, "numa", NULL, 0, "0-5 6-7" },
		/* In proportion, as hwloc_distrib does it. */
		{ 2, NULL, NULL, 0, "0 3" },
		{ 4, NULL, NULL, 0, "0 2 4 6" },
		{ 3, "numa", NULL, 0, "0-5 0-5 6-7" },
		/* Even as long as there is room, then by the room. */
		{ 4, "numa", NULL, 0, "0-5 0-5 6-7 6-7" },
		{ 8, "numa", NULL, 0, "0-5 0-5 0-5 0-5 0-5 0-5 6-7 6-7" },
		{ 10, "numa", NULL, 0, "0-5 0-5 0-5 0-5 0-5 0-5 0-5 6-7 6-7 6-7" },
		{ 0, "numa", NULL, 3, "0-5 0-5" },
		{ 0, NULL, NULL, 2, "0-1 2-3 4-5 6-7" },
	};

	CHECK(without("numa:2 core:6 pu:1", "0-7", HWLOC_RESTRICT_FLAG_REMOVE_CPULESS), NULL, rows);
}

static void nodes_without_cpus(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0 1 2 3" },
		{ 0, "numa", NULL, 0, "0-3" },
		{ 0, NULL, "numa:0", 0, "0 1 2 3" },
		{ 0, NULL, "numa:1", 0, "!names CPUs" },
	};

	CHECK(without("numa:2 core:4 pu:1", "0-3", 0), NULL, rows);
}

/* Two kinds of memory at each package are two nodes with the same CPUs. */
static void nodes_with_the_same_cpus(void **state RP_UNUSED)
{
	static const struct row rows[] = { { 0, "numa", NULL, 0, "0-1 2-3" }, { 4, "numa", NULL, 0, "0-1 0-1 2-3 2-3" } };

	CHECK("package:2 [numa] [numa] core:2 pu:1", NULL, rows);
}

/* Two cores with two hardware threads, four with one: no core may stay empty because others look heavier. */
static void cores_of_two_kinds(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0-1 2-3 4 6 8 10" },
		{ 5, NULL, NULL, 0, "0-1 2-3 4 6 8" },
		{ 3, NULL, NULL, 0, "0-1 4 8" },
		{ 0, NULL, NULL, 2, "0-3 4,6 8,10" },
		{ 0, "pu", NULL, 0, "0 1 2 3 4 6 8 10" },
		{ 0, NULL, "core:all.pu:1", 0, "1 3" },
	};

	CHECK(without("package:1 core:6 pu:2", "0-4,6,8,10", 0), NULL, rows);
}

static void numbers_of_the_system(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, NULL, NULL, 0, "0 2 4 6 1 3 5 7" },
		{ 2, NULL, NULL, 0, "0 1" },
		{ 2, "core:compact", NULL, 0, "0 2" },
		{ 0, "package", NULL, 0, "0,2,4,6 1,3,5,7" },
		{ 0, NULL, "0-1", 0, "0 1" },
		{ 0, NULL, "core:0-1", 0, "0 2" },
	};

	CHECK("package:2 core:4 pu:1(indexes=0,2,4,6,1,3,5,7)", NULL, rows);
}

/* Whatever the number of workers: no core serves two more than another, and with room for all none serves two. */
static void expect_even(const char *machine, const struct rp_pool_options *options, unsigned cores)
{
	struct topology *t = load(machine, NULL);
	struct rp_pool_options o = *options;

	for (o.workers = 1; o.workers <= 3 * cores + 1; o.workers++) {
		unsigned serves[256] = { 0 }, least = UINT_MAX, most = 0;
		int n;
		struct place *places = plan(t, &o, &n);

		assert_int_equal(n, o.workers);
		for (int i = 0; i < n; i++)
			for (unsigned c = 0; c < cores; c++)
				serves[c] += places[i].cpus[c / 64] >> c % 64 & 1;
		for (unsigned c = 0; c < cores; c++) {
			least = serves[c] < least ? serves[c] : least;
			most = serves[c] > most ? serves[c] : most;
		}
		if (most > least + 1)
			fail_msg("%s: %d workers: %u on one CPU, %u on another", machine, n, most, least);
		if (o.workers * (o.cpus_per_worker ? o.cpus_per_worker : 1) <= cores)
			assert_int_equal(most, 1);
		free(places);
	}
	topology_free(t);
}

static void sharing_is_even(void **state RP_UNUSED)
{
	static const char *const machines[] = { "package:2 core:4 pu:1", "core:7 pu:1", "package:3 l3:2 core:5 pu:1" };
	static const unsigned cores[] = { 8, 7, 30 };

	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
		for (unsigned each = 0; each <= cores[i] && each < 12; each++) {
			expect_even(machines[i], RP_POOL(.cpus_per_worker = each), cores[i]);
			expect_even(machines[i], RP_POOL(.cpus_per_worker = each, .bind = "core:compact"), cores[i]);
		}
}

/* Objects of one size never differ by more than one worker, also when several share each. */
static void objects_are_shared_evenly(void **state RP_UNUSED)
{
	static const char *const binds[] = { "package", "numa", "l3" };
	struct topology *t = load("package:3 [numa] l3:2 core:5 pu:1", NULL);

	for (size_t b = 0; b < sizeof binds / sizeof *binds; b++)
		for (unsigned workers = 1; workers <= 70; workers++) {
			unsigned objects = b == 2 ? 6 : 3, serves[6] = { 0 };
			int n;
			struct place *places = plan(t, RP_POOL(.bind = binds[b], .workers = workers), &n);

			for (int i = 0; i < n; i++)
				serves[(unsigned)__builtin_ctzl(places[i].cpus[0]) / (30 / objects)]++;
			for (unsigned o = 0; o < objects; o++)
				assert_true(serves[o] == workers / objects || serves[o] == workers / objects + 1 ||
				            (workers % objects == 0 && serves[o] == workers / objects));
			free(places);
		}
	topology_free(t);
}

static void many_workers(void **state RP_UNUSED)
{
	struct topology *t = load("package:2 core:4 pu:2", NULL);
	int n;

	free(plan(t, RP_POOL(.workers = 65535), &n));
	assert_int_equal(n, 65535);
	topology_free(t);
	t = load("package:64 core:64 pu:2", NULL);
	free(plan(t, RP_POOL(.cpus_per_worker = 3), &n));
	assert_int_equal(n, 4096 / 3);
	topology_free(t);
}

static void bad_options(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ 0, "corr", NULL, 0, "!unknown object \"corr\" to bind to; known are core, pu, l3, numa, package, none" },
		{ 0, "", NULL, 0, "!unknown object \"\"" },
		{ 0, "core:", NULL, 0, "!not \"\"" },
		{ 0, "core:tight", NULL, 0, "!how to place is \"spread\" or \"compact\", not \"tight\"" },
		{ 0, "l3", NULL, 0, "!no \"l3\" to bind to on the CPUs that may be used; the machine has 8 core, 16 pu," },
		{ 0, NULL, "core:99", 0, "!core:0-7 only" },
		{ 0, NULL, "", 0, "!leaves no CPU" },
		{ (unsigned)-5, NULL, NULL, 0, "!workers: -5 is negative" },
		{ 65536, NULL, NULL, 0, "!workers: 65536 is more than 65535" },
		{ 0, NULL, NULL, (unsigned)-1, "!cpus_per_worker: -1 is negative" },
		{ 0, NULL, NULL, 100000, "!cpus_per_worker: 100000 is more than 65535" },
	};

	CHECK("package:2 core:4 pu:2", NULL, rows);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, tree_new, tree_free)
	const struct CMUnitTest tests[] = {
		test(one_core),
		test(three_cores),
		test(small_server),
		test(more_cpus_per_worker),
		test(domains_nest_either_way),
		test(two_times_64_with_smt),
		test(four_packages_of_384_threads),
		test(several_l3_per_package),
		test(four_threads_per_core),
		test(no_cores_known),
		test(asymmetric_numa),
		test(nodes_without_cpus),
		test(nodes_with_the_same_cpus),
		test(cores_of_two_kinds),
		test(numbers_of_the_system),
		test(sharing_is_even),
		test(objects_are_shared_evenly),
		test(many_workers),
		test(bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
