/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.h - the manager's loop: records go to the pool as it has room, results come back and are printed. */
#ifndef RP_LAUNCHER_DISPATCH_H
#define RP_LAUNCHER_DISPATCH_H

#include "brief.h"
#include "inputs.h"
#include "output.h"

struct dispatch {
	const char *name;                       /* messages begin with it */
	struct inputs *inputs;
	struct output *output;
	const struct template *template;
	struct rp_pool *pool;
	struct parcels *parcels;
	const struct brief *brief;
	int64_t time_limit;                     /* ns, 0: none */
};

struct tally {
	unsigned long long done, failed;
	unsigned long long ended;               /* by a second signal or the time limit, while they ran */
	int late;                               /* the time limit was over */
	int broken;                             /* stopped by an error, as one line has said */
};

/* Runs until there are no more inputs and all jobs have ended, or something stops it: a signal, an input that cannot be
 * read, an output that takes nothing. */
void dispatch_run(const struct dispatch *dispatch, struct tally *ret);

/* Prints what would be run instead. */
void dispatch_show(const struct dispatch *dispatch, struct tally *ret);

#endif
