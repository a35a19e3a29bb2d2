/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/source.c - descriptions of machines that are elsewhere, good and bad. */
#include "source.h"
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

static void expect_refused(const char *source, int code, const char *text)
{
	struct rp_error err = { .text = "" };
	struct topology *t = (void *)&err;
	int e = topology_load(&t, source, NULL, &err);

	if (e != code || !strstr(err.text, text) || t)
		fail_msg("\"%s\": expected %d \"%s\", is %d \"%s\"", source, code, text, e, err.text);
}

static void bad_descriptions(void **state RP_UNUSED)
{
	expect_refused("", -EINVAL, "topology \"\" is neither");
	expect_refused(" ", -EINVAL, "neither an XML file nor a description like");
	expect_refused("foo:3", -EINVAL, "unknown object type at 'foo:3'");
	expect_refused("package:2 core:0 pu:2", -EINVAL, "topology \"package:2 core:0 pu:2\"");
	expect_refused("package:2 core:-1", -EINVAL, "topology \"package:2 core:-1\"");
	expect_refused("package:2 package:3 pu:2", -EINVAL, "several package levels");
	expect_refused("pu:2 core:2", -EINVAL, "topology \"pu:2 core:2\"");
	expect_refused("core:2(", -EINVAL, "topology \"core:2(\"");
	/* These would keep hwloc, and the memory, busy for long. */
	expect_refused("pu:1000000000", -EINVAL, "more than 8192 hardware threads");
	expect_refused("package:100 core:100 pu:2", -EINVAL, "more than 8192 hardware threads");
	expect_refused("99 99", -EINVAL, "more than 8192 hardware threads");
	expect_refused("pu:1(indexes=9000)", -EINVAL, "topology \"pu:1(indexes=9000)\"");
}

static void bad_files(void **state RP_UNUSED)
{
	static const struct {
		const char *text, *why;
	} files[] = {
		{ "", "is not a machine that hwloc wrote as XML" },
		{ "hello\n", "is not a machine that hwloc wrote as XML" },
		{ "<html><body>x</body></html>", "is not a machine that hwloc wrote as XML" },
		{ "<topology version=\"2.0\"><object type=\"Machine\"/></topology>",
		  "is not a machine that hwloc wrote as XML" },
		/* This one crashes the XML reader of hwloc 2.9. */
		{ "<topology version=\"2.0\"><object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\">"
		  "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\"/></object></topology>",
		  "is not a machine that hwloc wrote as XML" },
	};
	char path[64];

	snprintf(path, sizeof path, "%s/machine.xml", tree);
	expect_refused(path, -ENOENT, "No such file or directory");
	expect_refused("machine-that-does-not-exist.xml", -ENOENT, "machine-that-does-not-exist.xml: No such file");
	expect_refused(tree, -EISDIR, "Is a directory");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		tree_write("/machine.xml", files[i].text);
		expect_refused(path, -EINVAL, files[i].why);
		expect_refused(path, -EINVAL, path);
	}
}

/* What is exported here is read there: hosts and allowed CPUs included. */
static void another_machines_file(void **state RP_UNUSED)
{
	const char *path = without("package:2 core:2 pu:2", "0-3,6-7", 0);
	static const struct row rows[] = { { 0, NULL, NULL, 0, "0-1 2-3 6-7" }, { 0, NULL, "core:2", 0, "6-7" } };
	struct topology *t = load(path, NULL);

	assert_int_equal(topology_cpus(t), 6);
	assert_true(topology_quota(t) <= 0);
	assert_string_equal(topology_host(t), "");
	topology_free(t);
	CHECK(path, NULL, rows);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, tree_new, tree_free)
	const struct CMUnitTest tests[] = {
		test(bad_descriptions),
		test(bad_files),
		test(another_machines_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
