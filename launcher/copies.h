/* SPDX-License-Identifier: BSD-3-Clause */
/* copies.h - copies of a program, each with a rank and a place of its own, and what becomes of them. */
#ifndef RP_LAUNCHER_COPIES_H
#define RP_LAUNCHER_COPIES_H

#include "escort.h"
#include "placing.h"

struct copies {
	const char *name;                       /* messages begin with it */
	const struct escort *escort;
	const struct placing *placing;          /* NULL: one copy, not bound */
	uint32_t workers;                       /* of the one copy's pool, 0: it says */
	int keep_going;                         /* one that fails does not end the others */
	int report;                             /* say where each is */
	int64_t time_limit;                     /* ns, 0: none */
};

#define COPIES_TIME_OVER 124                    /* exit status, as that of timeout(1) */

/* Starts them, waits for all and returns the exit status: 0, that of the first one that failed (128 + the signal that ended
 * it), COPIES_TIME_OVER, or CLI_FAILED when they could not be started, as a line has said.  In a rank that is not the
 * first it does not return. */
int copies_run(const struct copies *copies);

#endif
