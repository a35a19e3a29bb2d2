/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/shares.c - how many copies each node gets. */
#include "../launcher/shares.h"
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct wish {
	const char *hosts;                      /* a list */
	struct placing placing;
	int each, from_file, manager_only;
	const char *scheduler;
};

static int make(const struct wish *wish, struct shares *ret, struct nodes *nodes)
{
	*nodes = (struct nodes){ .scheduler = wish->scheduler, .manager_only = wish->manager_only };
	assert_int_equal(hosts_parse(&nodes->hosts, wish->hosts, "t"), 0);
	for (size_t i = 0; wish->from_file && i < nodes->hosts.count; i++)
		nodes->hosts.items[i].listed = 0;
	return shares_make(ret, &wish->placing, nodes, wish->each, "t");
}

/* `hosts` is what they are to get: "a:2 b:1". */
static void expect(const struct wish *wish, unsigned copies, int by_slot, const char *hosts)
{
	struct shares shares;
	struct nodes nodes;
	char got[256] = "";

	assert_int_equal(make(wish, &shares, &nodes), 0);
	for (size_t i = 0; i < nodes.hosts.count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%u", i ? " " : "", nodes.hosts.items[i].name,
		         nodes.hosts.items[i].slots);
	assert_string_equal(got, hosts);
	assert_int_equal(shares.copies, copies);
	assert_int_equal(shares.by_slot, by_slot);
	nodes_free(&nodes);
}

static void expect_refusal(const struct wish *wish, const char *words)
{
	struct shares shares;
	struct nodes nodes;
	struct said said;
	int r;

	said_begin(&said);
	r = make(wish, &shares, &nodes);
	said_end(&said);
	if (r != -1 || !strstr(said.text, words) || strchr(said.text, '\n') != said.text + strlen(said.text) - 1)
		fail_msg("%s: %d, %s", wish->hosts, r, said.text);
	nodes_free(&nodes);
}

static void one_copy_for_each_slot(void **state RP_UNUSED)
{
	expect(&(struct wish){ .hosts = "a:2,b" }, 3, 1, "a:2 b:1");
	expect(&(struct wish){ .hosts = "a:2,b:2" }, 4, 0, "a:2 b:2");
	expect(&(struct wish){ .hosts = "a,b" }, 2, 0, "a:1 b:1");
	expect(&(struct wish){ .hosts = "a:2,b:2", .each = 1 }, 4, 1, "a:2 b:2");
}

static void slots_are_filled_in_order(void **state RP_UNUSED)
{
	expect(&(struct wish){ .hosts = "a:4,b:4,c:4", .placing = { .copies = 5 } }, 5, 1, "a:4 b:1");
	expect(&(struct wish){ .hosts = "a:4,b:4,c:4", .placing = { .copies = 4 } }, 4, 1, "a:4");
	expect(&(struct wish){ .hosts = "a:4,b:4,c:1", .placing = { .copies = 8, .by_node = 1 } }, 8, 1, "a:4 b:3 c:1");
	expect(&(struct wish){ .hosts = "a:4,b:4", .placing = { .per_node = 2 } }, 4, 0, "a:2 b:2");
	expect(&(struct wish){ .hosts = "a:4,b:4", .placing = { .per_node = 3, .copies = 4 } }, 4, 1, "a:3 b:1");
}

static void more_than_there_are(void **state RP_UNUSED)
{
	expect_refusal(&(struct wish){ .hosts = "a:2,b", .placing = { .copies = 4 } },
	               "4 copies are more than the 3 slots of a:2, b:1");
	expect_refusal(&(struct wish){ .hosts = "a:2,b:4", .placing = { .per_node = 3 } }, "host a has 2 slots");
	expect_refusal(&(struct wish){ .hosts = "a:4,b:4", .placing = { .per_node = 2, .copies = 5 } },
	               "room for 4 on 2 nodes");
	expect(&(struct wish){ .hosts = "a:2,b", .placing = { .copies = 6, .oversubscribe = 1 } }, 6, 1, "a:4 b:2");
	/* A bare name is one slot, and -N says otherwise. */
	expect(&(struct wish){ .hosts = "a,b", .placing = { .per_node = 3 } }, 6, 0, "a:3 b:3");
}

static void nobody_has_said_how_many(void **state RP_UNUSED)
{
	/* The nodes tell. */
	expect(&(struct wish){ .hosts = "a,b", .from_file = 1 }, 0, 0, "a:1 b:1");
	expect(&(struct wish){ .hosts = "a,b", .from_file = 1, .placing = { .copies = 5 } }, 5, 1, "a:3 b:2");
}

static void a_manager_alone_gets_none(void **state RP_UNUSED)
{
	expect(&(struct wish){ .hosts = "here,a:2,b:2", .manager_only = 1 }, 4, 0, "here:1 a:2 b:2");
	/* One that cannot be a manager is not started there. */
	expect(&(struct wish){ .hosts = "here,a:2,b:2", .manager_only = 1, .each = 1 }, 4, 1, "a:2 b:2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_copy_for_each_slot),
		cmocka_unit_test(slots_are_filled_in_order),
		cmocka_unit_test(more_than_there_are),
		cmocka_unit_test(nobody_has_said_how_many),
		cmocka_unit_test(a_manager_alone_gets_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
