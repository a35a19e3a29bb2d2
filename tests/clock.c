/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/clock.c - deadlines at their edges. */
#include "clock.h"
#include "rankpool.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

static void monotonic_time_does_not_go_back(void **state RP_UNUSED)
{
	int64_t last = clock_now();

	assert_true(last > 0);
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_now();

		assert_true(now >= last);
		last = now;
	}
}

static void wall_time_is_the_systems(void **state RP_UNUSED)
{
	int64_t before = (int64_t)time(NULL);
	int64_t wall = clock_wall();
	int64_t after = (int64_t)time(NULL);

	/* time() may be a tick behind the finer clock. */
	assert_true(wall / RP_SECOND >= before);
	assert_true(wall / RP_SECOND <= after + 1);
}

static void deadline_of_zero_has_come(void **state RP_UNUSED)
{
	int64_t deadline = clock_deadline(0);

	assert_true(deadline <= clock_now());
	assert_int_equal(clock_left(deadline), 0);
	assert_int_equal(clock_poll_ms(deadline), 0);
}

static void forever_stays_forever(void **state RP_UNUSED)
{
	assert_true(clock_deadline(RP_FOREVER) == CLOCK_NEVER);
	assert_true(clock_deadline(INT64_MIN) == CLOCK_NEVER);
	assert_true(clock_left(CLOCK_NEVER) == CLOCK_NEVER);
	assert_int_equal(clock_poll_ms(CLOCK_NEVER), -1);
}

static void longest_timeouts_do_not_overflow(void **state RP_UNUSED)
{
	assert_true(clock_deadline(INT64_MAX) == CLOCK_NEVER);
	assert_true(clock_deadline(INT64_MAX - 1) == CLOCK_NEVER);
	/* One that fits beside now is a real deadline, and more milliseconds than poll() can take. */
	assert_true(clock_deadline(INT64_MAX / 2) < CLOCK_NEVER);
	assert_int_equal(clock_poll_ms(clock_deadline(INT64_MAX / 2)), INT_MAX);
}

static void what_is_left_shrinks_and_never_is_negative(void **state RP_UNUSED)
{
	int64_t deadline = clock_deadline(3600 * RP_SECOND);
	int64_t left = clock_left(deadline);

	assert_in_range(left, 3590 * RP_SECOND, 3600 * RP_SECOND);
	assert_true(clock_left(deadline) <= left);
	assert_int_equal(clock_left(clock_now() - RP_SECOND), 0);
	assert_int_equal(clock_left(0), 0);
	assert_int_equal(clock_left(INT64_MIN), 0);
}

/* Rounded down, a caller with half a millisecond to go would poll in a busy loop. */
static void poll_rounds_up(void **state RP_UNUSED)
{
	assert_int_equal(clock_poll_ms(clock_deadline(3600 * RP_SECOND)), 3600 * 1000);
	for (int i = 0; i < 100; i++) {
		int64_t deadline = clock_now() + 20 * RP_MILLISECOND;
		int ms = clock_poll_ms(deadline);

		assert_true(ms * RP_MILLISECOND >= clock_left(deadline));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_does_not_go_back),
		cmocka_unit_test(wall_time_is_the_systems),
		cmocka_unit_test(deadline_of_zero_has_come),
		cmocka_unit_test(forever_stays_forever),
		cmocka_unit_test(longest_timeouts_do_not_overflow),
		cmocka_unit_test(what_is_left_shrinks_and_never_is_negative),
		cmocka_unit_test(poll_rounds_up),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
