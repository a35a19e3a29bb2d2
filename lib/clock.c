/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.c - monotonic nanoseconds and absolute deadlines. */
#include "clock.h"

#include <limits.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_deadline(int64_t timeout)
{
	int64_t now = clock_now();

	if (timeout < 0 || timeout > CLOCK_NEVER - now)
		return CLOCK_NEVER;
	return now + timeout;
}

int64_t clock_left(int64_t deadline)
{
	int64_t now;

	if (deadline == CLOCK_NEVER)
		return CLOCK_NEVER;
	now = clock_now();
	return deadline > now ? deadline - now : 0;
}

int clock_poll_ms(int64_t deadline)
{
	int64_t left = clock_left(deadline);

	if (left == CLOCK_NEVER)
		return -1;
	left = left / 1000000 + (left % 1000000 != 0);
	return left > INT_MAX ? INT_MAX : (int)left;
}
