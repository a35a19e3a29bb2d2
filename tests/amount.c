/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/amount.c - numbers of jobs and times as users write them. */
#include "../launcher/amount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define SECOND INT64_C(1000000000)

static void expect_jobs(const char *text, int cores, int jobs)
{
	struct amount amount;

	assert_int_equal(amount_parse(text, &amount), 0);
	assert_true(amount_of(&amount, cores) == jobs);
}

static void numbers_of_jobs(void **state UNUSED)
{
	expect_jobs("3", 8, 3);
	expect_jobs("0", 8, 0);
	expect_jobs("+2", 8, 10);
	expect_jobs("-2", 8, 6);
	expect_jobs("-9", 8, -1);
	expect_jobs("100%", 8, 8);
	expect_jobs("10%", 8, 1);
	expect_jobs("150%", 3, 5);
	expect_jobs("12.5%", 8, 1);
	expect_jobs("12.6%", 8, 2);
	expect_jobs("0%", 8, 0);
}

static void what_is_no_number_of_jobs(void **state UNUSED)
{
	static const char *const wrong[] = {
		"", "x", "0x", "0x4", "1.5", "+", "-", "%", "+1%", "--1", "1 ", " 1", "1e3", "1..5%", "nan", "inf", "1,5",
		"1%%", "9999999999999999999",
	};
	struct amount amount;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (amount_parse(wrong[i], &amount) == 0)
			fail_msg("%s was taken", wrong[i]);
}

static void expect_time(const char *text, int64_t expected)
{
	int64_t got;

	assert_int_equal(amount_duration(text, &got), 0);
	assert_int_equal(got, expected);
}

static void times(void **state UNUSED)
{
	expect_time("0", 0);
	expect_time("30", 30 * SECOND);
	expect_time("30s", 30 * SECOND);
	expect_time("1.5", 3 * SECOND / 2);
	expect_time(".5s", SECOND / 2);
	expect_time("5m", 300 * SECOND);
	expect_time("1h", 3600 * SECOND);
	expect_time("2d", 2 * 86400 * SECOND);
	expect_time("1h30m", 5400 * SECOND);
	expect_time("1m30", 90 * SECOND);
	expect_time("1D1H1M1S", 90061 * SECOND);
	expect_time("999999999d", INT64_C(200) * 365 * 86400 * SECOND);
}

static void what_is_no_time(void **state UNUSED)
{
	static const char *const wrong[] = {
		"", "s", "x", "1x", "-1", "+1", "200%", "1 s", "1..5", ".", "1ms", "1e3", "0x10",
	};
	int64_t got;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (amount_duration(wrong[i], &got) == 0)
			fail_msg("%s was taken", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_jobs),
		cmocka_unit_test(what_is_no_number_of_jobs),
		cmocka_unit_test(times),
		cmocka_unit_test(what_is_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
