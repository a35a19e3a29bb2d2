/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/hostlist.c - one host among many. */
#include "hostlist.h"
#include "rankpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *list, const char *host, long expected)
{
	long found = hostlist_find(list, host);

	if (found != expected)
		fail_msg("%s in %s: expected %ld, is %ld", host, list, expected, found);
}

static void plain_lists(void **state RP_UNUSED)
{
	expect("a", "a", 0);
	expect("a,b,c", "c", 2);
	expect("a,b,c", "d", -1);
	expect("", "a", -1);
	expect("node1,node10,node100", "node10", 1);
}

static void groups(void **state RP_UNUSED)
{
	expect("n[1-3]", "n1", 0);
	expect("n[1-3]", "n3", 2);
	expect("n[1-3]", "n4", -1);
	expect("n[1-3]", "n", -1);
	expect("n[1-3,7,10-12],gpu-a[1-2]b,login1", "n10", 4);
	expect("n[1-3,7,10-12],gpu-a[1-2]b,login1", "gpu-a2b", 8);
	expect("n[1-3,7,10-12],gpu-a[1-2]b,login1", "login1", 9);
	expect("login1,n[08-11]", "n08", 1);
	expect("login1,n[08-11]", "n11", 4);
	expect("login1,n[08-11]", "n8", -1);
	expect("n[8-11]", "n08", -1);
	expect("n[1-1000000]", "n1000000", 999999);
}

static void several_groups(void **state RP_UNUSED)
{
	expect("r[0-1]n[0-3]", "r0n3", 3);
	expect("r[0-1]n[0-3]", "r1n0", 4);
	expect("r[0-1]n[0-3]x", "r1n3x", 7);
	expect("r[0-1]n[0-3]x", "r1n3", -1);
	expect("r[0,2][1-2]", "r22", 3);
}

static void domains(void **state RP_UNUSED)
{
	expect("n[1-3]", "n2.cluster", 1);
	expect("n[1-3].cluster", "n2", 1);
	expect("n[1-3].cluster", "n2.cluster", 1);
	expect("n[1-3].cluster", "n2.elsewhere", -1);
	expect("N[1-3]", "n2", 1);
	assert_false(hostlist_same("", ""));
	assert_false(hostlist_same(".a", ".a"));
}

static void what_is_no_list(void **state RP_UNUSED)
{
	static const char *const lists[] = {
		"n[", "n[]", "n[1", "n[1-", "n[1-]", "n[3-1]", "n[-1]", "n[a]", "n[1-2", "n[1;2]", "n[1-2[3]", "[", "]n[",
		",", "n[1-99999999999999999999]", "n[0-9999999][0-9999999]", "n[1-2x]",
	};
	char cut[4000];

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		expect(lists[i], "n1", -1);
	/* What comes before it is found. */
	expect("n1,n[", "n1", 0);
	memset(cut, 'a', sizeof cut);
	cut[sizeof cut - 1] = 0;
	expect(cut, "a", -1);
	memcpy(cut + 300, "[1-2]", 5);
	expect(cut, "a", -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lists), cmocka_unit_test(groups),          cmocka_unit_test(several_groups),
		cmocka_unit_test(domains),     cmocka_unit_test(what_is_no_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
