/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h - monotonic nanoseconds and absolute deadlines. */
#ifndef RP_LIB_CLOCK_H
#define RP_LIB_CLOCK_H

#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

int64_t clock_now(void);                        /* CLOCK_MONOTONIC, ns */
int64_t clock_wall(void);                       /* CLOCK_REALTIME, ns since the epoch */
int64_t clock_deadline(int64_t timeout);        /* 0: now; RP_FOREVER or any negative: CLOCK_NEVER */
int64_t clock_left(int64_t deadline);           /* ns, never negative; CLOCK_NEVER stays */
int clock_poll_ms(int64_t deadline);            /* for poll(): rounded up, -1 for CLOCK_NEVER */

#endif
