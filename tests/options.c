/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/options.c - option structs of callers that are older or newer than the library. */
#include "options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Three versions of one struct; the library below is of the second. */
struct first {
	size_t size;
	const char *name;
};
struct second {
	size_t size;
	const char *name;
	uint32_t count, flags;
};
struct third {
	size_t size;
	const char *name;
	uint32_t count, flags;
	int64_t limit;
};

static int import(struct second *ret, const void *in, struct rp_error *err)
{
	memset(ret, 0xff, sizeof *ret);
	return options_import(ret, sizeof *ret, in, sizeof(struct first), "test_new", err);
}

static void null_is_all_defaults(void **state RP_UNUSED)
{
	struct second o;

	assert_int_equal(import(&o, NULL, NULL), 0);
	assert_int_equal(o.size, sizeof o);
	assert_null(o.name);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.flags, 0);
}

static void same_version_is_copied(void **state RP_UNUSED)
{
	const struct second in = { .size = sizeof in, .name = "a", .count = 4, .flags = 1 };
	struct second o;

	assert_int_equal(import(&o, &in, NULL), 0);
	assert_memory_equal(&o, &in, sizeof o);
}

static void fields_an_older_caller_lacks_are_zero(void **state RP_UNUSED)
{
	/* What lies behind the smaller struct must not be read. */
	const struct { struct first options; uint64_t behind; } in = { { sizeof(struct first), "old" }, UINT64_MAX };
	struct second o;

	assert_int_equal(import(&o, &in.options, NULL), 0);
	assert_string_equal(o.name, "old");
	assert_int_equal(o.count, 0);
	assert_int_equal(o.flags, 0);
	assert_int_equal(o.size, sizeof o);
}

static void newer_caller_with_nothing_new_is_taken(void **state RP_UNUSED)
{
	const struct third in = { .size = sizeof in, .name = "new", .count = 2 };
	struct second o;

	assert_int_equal(import(&o, &in, NULL), 0);
	assert_string_equal(o.name, "new");
	assert_int_equal(o.count, 2);
	assert_int_equal(o.size, sizeof o);
}

static void newer_caller_that_sets_an_unknown_field_is_refused(void **state RP_UNUSED)
{
	const struct third in = { .size = sizeof in, .limit = INT64_MIN };
	struct rp_error err = { 0 };
	struct second o;

	assert_int_equal(import(&o, &in, &err), -E2BIG);
	assert_int_equal(err.code, -E2BIG);
	assert_non_null(strstr(err.text, "test_new"));
}

static void forgotten_size_is_refused(void **state RP_UNUSED)
{
	const struct second zero = { .name = "a" };
	const struct second small = { .size = sizeof(struct first) - 1 };
	struct rp_error err = { 0 };
	struct second o;

	assert_int_equal(import(&o, &zero, &err), -EINVAL);
	assert_non_null(strstr(err.text, "test_new"));
	assert_non_null(strstr(err.text, ".size"));
	assert_int_equal(import(&o, &small, NULL), -EINVAL);
}

static void known_flags_pass(void **state RP_UNUSED)
{
	assert_int_equal(options_flags(0, 0, "x", NULL), 0);
	assert_int_equal(options_flags(RP_LOCAL, RP_LOCAL | RP_INHERIT_BINDING, "x", NULL), 0);
	assert_int_equal(options_flags(UINT32_MAX, UINT32_MAX, "x", NULL), 0);
}

static void strange_flags_are_named(void **state RP_UNUSED)
{
	static const struct { uint32_t flag; const char *name; } flags[] = {
		{ RP_DAEMON, "RP_DAEMON" },       { RP_LOCAL, "RP_LOCAL" },
		{ RP_INHERIT_BINDING, "RP_INHERIT_BINDING" },
		{ RP_FAIL_FAST, "RP_FAIL_FAST" }, { RP_RESUME, "RP_RESUME" },
		{ RP_RETRY_LOST, "RP_RETRY_LOST" }, { RP_UNORDERED, "RP_UNORDERED" },
		{ RP_TIMES, "RP_TIMES" },         { UINT32_C(1) << 8, "0x100" },
		{ UINT32_C(1) << 31, "0x80000000" },
	};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct rp_error err = { 0 };

		assert_int_equal(options_flags(flags[i].flag, ~flags[i].flag, "test_new", &err), -EINVAL);
		assert_non_null(strstr(err.text, flags[i].name));
		assert_non_null(strstr(err.text, "test_new"));
	}
}

static void argument_and_size_go_together(void **state RP_UNUSED)
{
	struct rp_error err = { 0 };

	assert_int_equal(options_argument(NULL, 0, ".arg", NULL), 0);
	assert_int_equal(options_argument("x", 1, ".arg", NULL), 0);
	assert_int_equal(options_argument("x", 0, ".arg", &err), -EINVAL);
	assert_non_null(strstr(err.text, ".arg"));
	assert_int_equal(options_argument(NULL, 5, ".init_arg", &err), -EINVAL);
	assert_non_null(strstr(err.text, ".init_arg"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_all_defaults),
		cmocka_unit_test(same_version_is_copied),
		cmocka_unit_test(fields_an_older_caller_lacks_are_zero),
		cmocka_unit_test(newer_caller_with_nothing_new_is_taken),
		cmocka_unit_test(newer_caller_that_sets_an_unknown_field_is_refused),
		cmocka_unit_test(forgotten_size_is_refused),
		cmocka_unit_test(known_flags_pass),
		cmocka_unit_test(strange_flags_are_named),
		cmocka_unit_test(argument_and_size_go_together),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
