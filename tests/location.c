/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/location.c - words that name CPUs.  What is expected is what hwloc-calc says of the same machine. */
#include "location.h"
#include "rankpool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two packages of two L3 of three cores of two hardware threads, which the system numbers one after the other: 24. */
#define MACHINE "package:2 [numa] l3:2 core:3 pu:2"

struct row {
	const char *text, *cpus;
};

static hwloc_topology_t make(const char *synthetic)
{
	hwloc_topology_t machine;

	assert_int_equal(hwloc_topology_init(&machine), 0);
	assert_int_equal(hwloc_topology_set_synthetic(machine, synthetic), 0);
	assert_int_equal(hwloc_topology_load(machine), 0);
	return machine;
}

/* Rows whose cpus do not begin with a digit are expected to fail with that text in the message. */
static void check(const char *synthetic, const char *allowed, const struct row *rows, size_t count)
{
	hwloc_topology_t machine = make(synthetic);
	hwloc_bitmap_t may = hwloc_bitmap_alloc(), found = hwloc_bitmap_alloc();

	hwloc_bitmap_list_sscanf(may, allowed);
	for (size_t i = 0; i < count; i++) {
		struct rp_error err = { .text = "" };
		int e = location_parse(machine, rows[i].text, may, found, &err);
		int works = rows[i].cpus[0] >= '0' && rows[i].cpus[0] <= '9';
		char *list;

		hwloc_bitmap_list_asprintf(&list, found);
		if (works ? e != 0 || strcmp(list, rows[i].cpus) != 0 : e != -EINVAL || !strstr(err.text, rows[i].cpus))
			fail_msg("\"%s\": expected \"%s\", is %d \"%s\" (%s)", rows[i].text, rows[i].cpus, e, list,
			         err.text);
		free(list);
	}
	hwloc_bitmap_free(may);
	hwloc_bitmap_free(found);
	hwloc_topology_destroy(machine);
}

#define CHECK(machine, allowed, rows) check(machine, allowed, rows, sizeof rows / sizeof *rows)

static void objects(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "core:0", "0-1" },
		{ "core:11", "22-23" },
		{ "Core:1", "2-3" },
		{ "pu:7", "7" },
		{ "package:1", "12-23" },
		{ "socket:1", "12-23" },
		{ "numa:1", "12-23" },
		{ "l3:2", "12-17" },
		{ "L3Cache:2", "12-17" },
		{ "machine:0", "0-23" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void indexes(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "core:0-3", "0-7" },
		{ "core:4-4", "8-9" },
		{ "core:10-", "20-23" },
		{ "core:11:3", "0-3,22-23" },
		{ "core:2:1", "4-5" },
		{ "core:3:99", "0-23" },
		{ "core:all", "0-23" },
		{ "l3:odd", "6-11,18-23" },
		{ "l3:even", "0-5,12-17" },
		{ "core:0,2", "0-1,4-5" },
		{ "core:0,4-5,11:2", "0-1,8-11,22-23" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void chains(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "package:1.core:0", "12-13" },
		{ "package:1.l3:1.core:2.pu:1", "23" },
		{ "package:all.core:0", "0-1,12-13" },
		{ "core:all.pu:1", "1,3,5,7,9,11,13,15,17,19,21,23" },
		{ "l3:1-2.core:odd", "8-9,14-15" },
		{ "package:0,1.core:5,0", "0-1,10-13,22-23" },
		{ "numa:1.core:0", "12-13" },
		{ "package:1.core:5:2", "12-13,22-23" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void lists_and_masks(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "3", "3" },
		{ "0-3,8", "0-3,8" },
		{ "8,0-3", "0-3,8" },
		{ "20-", "20-23" },
		{ "010", "10" },
		{ "0x1", "0" },
		{ "0xF0", "4-7" },
		{ "0X0f0", "4-7" },
		{ "0x00000000,0x000000f0", "4-7" },
		{ "0xf...f", "0-23" },
		{ "all", "0-23" },
		{ "ROOT", "0-23" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void wide_masks(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "0xff,,0x1", "0,64-71" },
		{ "0xff,,1", "0,64-71" },
		{ "0xf...f,,0x1", "0,64-95" },
	};

	CHECK("pu:96", "0-95", rows);
}

static void several(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "core:0 core:2", "0-1,4-5" },
		{ "  core:0\t\n core:2 ", "0-1,4-5" },
		{ "core:0,core:2", "0-1,4-5" },
		{ "core:0-1,package:1.core:0,pu:20", "0-3,12-13,20" },
		{ "0-1,core:2,0x100,~pu:0", "1,4-5,8" },
		{ "0xff,core:11", "0-7,22-23" },
		{ "all ~core:0", "2-23" },
		{ "all,~core:0", "2-23" },
		{ "package:0 xpu:odd", "1,3,5,7,9,11" },
		{ "package:0 x0-3", "0-3" },
		{ "package:0 x0xf", "0-3" },
		{ "core:0-1 ^core:1-2", "0-1,4-5" },
		{ "^core:1", "2-3" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void what_does_not_exist(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "core:12", "this machine has core:0-11 only" },
		{ "core:0-12", "this machine has core:0-11 only" },
		{ "core:12-", "this machine has core:0-11 only" },
		{ "core:12:2", "this machine has core:0-11 only" },
		{ "core:99999999999999999999", "this machine has core:0-11 only" },
		{ "machine:1", "this machine has machine:0 only" },
		{ "package:1.core:6", "Package 1 has core:0-5 only" },
		{ "core:3.package:0", "Core 3 has no package in it" },
		{ "l2:0", "no object of type \"l2\"" },
		{ "~core:12", "this machine has core:0-11 only" },
		{ "24", "names CPUs 24, and only CPUs 0-23 may be used" },
		{ "0-24", "names CPUs 0-24, and only CPUs 0-23 may be used" },
		{ "0x1000000", "names CPUs 24, and only CPUs 0-23 may be used" },
		{ "99999999999999999999", "names CPUs 8192" },
	};

	CHECK(MACHINE, "0-23", rows);
}

static void what_does_not_parse(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "", "leaves no CPU" },
		{ " ", "leaves no CPU" },
		{ "foo:0", "no object type \"foo\"" },
		{ "core", "not of the form" },
		{ "core:", "no index" },
		{ "core:x", "no index" },
		{ "core:-1", "no index" },
		{ "core:1x", "no index" },
		{ "core:0,", "no index" },
		{ "core:0,,1", "no index" },
		{ "core:0.", "not of the form" },
		{ "core:0.pu", "not of the form" },
		{ "core.pu:0", "not of the form" },
		{ ":0", "not of the form" },
		{ "core:3-1", "ends before it begins" },
		{ "core:1:0", "names no object" },
		{ "core5:0", "no object type" },
		{ "core:allx", "no index" },
		{ "5-3", "ends before it begins" },
		{ "0-3,", "no list" },
		{ "3x", "no list" },
		{ "1-2-3", "no list" },
		{ "0x", "no mask" },
		{ "0xfg", "no mask" },
		{ "0x123456789", "no mask" },
		{ "pci:0", "not by devices" },
		{ "misc:0", "not by devices" },
		{ "os=eth0", "not of the form" },
		{ "~", "not of the form" },
		{ "core:0 bar", "\"bar\"" },
	};

	CHECK(MACHINE, "0-23", rows);
}

/* Affinity mask or cgroups leave cores 0 and 1, and half of core 3. */
static void what_is_not_allowed(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "core:0", "0-1" },
		{ "core:3", "6" },
		{ "package:0", "0-3,6" },
		{ "all", "0-3,6" },
		{ "core:all", "0-3,6" },
		{ "core:1-", "2-3,6" },
		{ "core:even", "0-1" },
		{ "package:all.core:0", "0-1" },
		{ "1-", "1-3,6" },
		{ "0xf...f", "0-3,6" },
		{ "all ~core:5 ~0", "1-3,6" },
		{ "core:2", "names CPUs 4-5, and only CPUs 0-3,6 may be used" },
		{ "core:0-2", "names CPUs 4-5, and only" },
		{ "core:2,0", "names CPUs 4-5, and only" },
		{ "package:1", "names CPUs 12-23, and only" },
		{ "package:0.core:0,5", "names CPUs 10-11, and only" },
		{ "6-7", "names CPUs 6-7, and only" },
		{ "0xff", "names CPUs 0-7, and only" },
		{ "package:all.core:5", "leaves no CPU" },
		{ "all ~all", "leaves no CPU" },
		{ "core:0 xcore:1", "leaves no CPU" },
		{ "~core:0", "begin with all" },
	};

	CHECK(MACHINE, "0-3,6", rows);
}

/* hwloc finds no cores in some virtual machines. */
static void machines_without_cores(void **state RP_UNUSED)
{
	static const struct row rows[] = { { "core:1", "1" }, { "core:2-", "2-3" }, { "core:4", "core:0-3 only" } };

	CHECK("pu:4", "0-3", rows);
}

/* Numbers of the system and logical indexes are not the same thing. */
static void numbers_of_the_system(void **state RP_UNUSED)
{
	static const struct row rows[] = {
		{ "package:0", "0,2,4,6" },
		{ "pu:1", "2" },
		{ "1", "1" },
		{ "package:1.pu:0", "1" },
		{ "0x3", "0-1" },
	};

	CHECK("package:2 core:4 pu:1(indexes=0,2,4,6,1,3,5,7)", "0-7", rows);
}

static void errors_may_be_ignored(void **state RP_UNUSED)
{
	hwloc_topology_t machine = make("pu:2");
	hwloc_bitmap_t found = hwloc_bitmap_alloc();

	assert_int_equal(location_parse(machine, "pu:2", hwloc_topology_get_topology_cpuset(machine), found, NULL), -EINVAL);
	assert_int_equal(location_parse(machine, "pu:1", hwloc_topology_get_topology_cpuset(machine), found, NULL), 0);
	assert_int_equal(hwloc_bitmap_first(found), 1);
	hwloc_bitmap_free(found);
	hwloc_topology_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects),
		cmocka_unit_test(indexes),
		cmocka_unit_test(chains),
		cmocka_unit_test(lists_and_masks),
		cmocka_unit_test(wide_masks),
		cmocka_unit_test(several),
		cmocka_unit_test(what_does_not_exist),
		cmocka_unit_test(what_does_not_parse),
		cmocka_unit_test(what_is_not_allowed),
		cmocka_unit_test(machines_without_cores),
		cmocka_unit_test(numbers_of_the_system),
		cmocka_unit_test(errors_may_be_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
