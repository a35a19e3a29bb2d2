/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.c - futexes.  Never the private kind: the words lie in memory shared between processes. */
#include "wait.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int wait_on(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	struct timespec t = { 0 }, *limit = NULL;

	if (deadline != CLOCK_NEVER) {
		t.tv_sec = (time_t)(deadline / 1000000000);
		t.tv_nsec = (long)(deadline % 1000000000);
		limit = &t;
	}
	/* FUTEX_WAIT_BITSET, unlike FUTEX_WAIT, takes an absolute CLOCK_MONOTONIC time: signals lengthen nothing. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, limit, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
	    errno == ETIMEDOUT)
		return -ETIMEDOUT;
	return 0;
}

void wait_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}
