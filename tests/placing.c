/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/placing.c - mpirun's words for how many and where, as the library takes them. */
#include "../launcher/placing.h"
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct placing read_words(const struct placing_words *words)
{
	struct placing placing;

	if (placing_read(&placing, words, "t") < 0)
		fail_msg("--map-by %s --bind-to %s was refused", words->map_by ? words->map_by : "-",
		         words->bind_to ? words->bind_to : "-");
	return placing;
}

static void expect_bind(const char *map_by, const char *bind_to, const char *bind)
{
	struct placing placing = read_words(&(struct placing_words){ .map_by = map_by, .bind_to = bind_to });

	assert_string_equal(placing.bind, bind);
}

static void binding_follows_the_mapping(void **state RP_UNUSED)
{
	expect_bind(NULL, NULL, "core");
	expect_bind("core", NULL, "core:compact");
	expect_bind("slot", NULL, "core:compact");
	expect_bind("numa", NULL, "core:spread");
	expect_bind("NUMA", "Core", "core:spread");
	expect_bind("core:span", NULL, "core:spread");
	expect_bind("hwthread", "hwthread", "pu:compact");
	expect_bind("core:HWTCPUS", NULL, "pu:compact");
	expect_bind("socket", "l3cache", "l3:spread");
	expect_bind("package", "socket", "package:spread");
	expect_bind("core", "none", "none");
	expect_bind(NULL, "numa:compact", "numa:compact");
	expect_bind("core", "numa:compact", "numa:compact");
	expect_bind(NULL, "core:overload-allowed", "core");
}

static void numbers_and_modifiers(void **state RP_UNUSED)
{
	struct placing p =
		read_words(&(struct placing_words){ .copies = "12", .map_by = "core:PE=4,OVERSUBSCRIBE:nolocal" });

	assert_int_equal(p.copies, 12);
	assert_int_equal(p.cpus_each, 4);
	assert_true(p.oversubscribe && p.not_here && !p.by_node);
	p = read_words(&(struct placing_words){ .map_by = ":PE=2" });
	assert_int_equal(p.cpus_each, 2);
	assert_string_equal(p.bind, "core");
	p = read_words(&(struct placing_words){ .map_by = "node", .per_node = NULL, .copies = "3" });
	assert_true(p.by_node);
	p = read_words(&(struct placing_words){ .map_by = "ppr:3:node" });
	assert_int_equal(p.per_node, 3);
	assert_false(p.by_node);
	p = read_words(&(struct placing_words){ .map_by = "ppr:2:socket:PE=2" });
	assert_int_equal(p.per_object, 2);
	assert_string_equal(p.object, "package");
	assert_int_equal(p.cpus_each, 2);
}

static void what_is_refused(void **state RP_UNUSED)
{
	static const struct placing_words bad[] = {
		{ .copies = "" },
		{ .copies = "-1" },
		{ .copies = "1x" },
		{ .copies = "65536" },
		{ .per_node = "0" },
		{ .map_by = "" },
		{ .map_by = "moon" },
		{ .map_by = "ppr" },
		{ .map_by = "ppr:2" },
		{ .map_by = "ppr:0:node" },
		{ .map_by = "ppr:2:slot" },
		{ .map_by = "core:PE=0" },
		{ .map_by = "core:PE=x" },
		{ .map_by = "core:fast" },
		{ .bind_to = "" },
		{ .bind_to = "slot" },
		{ .bind_to = "core:fast" },
		{ .bind_to = "none", .cpus = "0" },
		{ .bind_to = "none", .map_by = "core:PE=2" },
		{ .per_node = "2", .map_by = "ppr:2:node" },
		{ .per_node = "2", .map_by = "ppr:1:core" },
		{ .map_by = "numa", .bind_to = "core:compact" },
		{ .map_by = "core", .bind_to = "core:spread" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct placing placing;
		struct said said;
		int r;

		said_begin(&said);
		r = placing_read(&placing, &bad[i], "t");
		said_end(&said);
		if (r != -1 || strncmp(said.text, "t: -", 4) != 0 ||
		    strchr(said.text, '\n') != said.text + strlen(said.text) - 1)
			fail_msg("number %zu: %d, %s", i, r, said.text);
	}
}

static void options_of_a_pool(void **state RP_UNUSED)
{
	struct rp_pool_options options;
	struct placing p = read_words(&(struct placing_words){ .per_node = "4" });

	assert_int_equal(placing_options(&p, &options, "t"), 0);
	assert_true(options.workers == 0 && options.workers_per_node == 4);
	p = read_words(&(struct placing_words){ .copies = "6", .per_node = "4" });
	assert_int_equal(placing_options(&p, &options, "t"), 0);
	assert_true(options.workers == 6 && options.workers_per_node == 0);
	p = read_words(&(struct placing_words){ .map_by = "ppr:3:core" });
	assert_int_equal(placing_options(&p, &options, "t"), 0);
	assert_int_equal(options.workers, 3 * rp_pool_plan(RP_POOL(.bind = "core"), NULL, NULL, 0, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binding_follows_the_mapping),
		cmocka_unit_test(numbers_and_modifiers),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(options_of_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
