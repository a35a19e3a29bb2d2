/* SPDX-License-Identifier: BSD-3-Clause */
/* workers.h - how many workers a run has, and on which CPUs of which nodes. */
#ifndef RP_LAUNCHER_WORKERS_H
#define RP_LAUNCHER_WORKERS_H

#include "rankpool.h"

#define WORKERS_MOST 65535                      /* on one node */

struct workers {
	/* As the command line says it; NULL: not at all. */
	const char *jobs, *cpus, *bind;
	uint32_t cpus_per_worker;
	uint32_t fixed, fixed_per_node;         /* how many, where something else than jobs says it; else 0 */
	/* What workers_count makes of that. */
	uint32_t count, per_node;               /* of these at most one is not 0 */
	uint32_t total;                         /* on all nodes */
};

/* Checks the text of -j.  0, or -1 after one line that begins with `name`. */
int workers_check(const struct workers *workers, const char *name);

/* Fills in the second half; `listed` is the number of jobs, where that is known, else SIZE_MAX.  0, or -1 after one line
 * that says what cannot be had. */
int workers_count(struct workers *workers, size_t listed, const char *name);

/* The pool that they make. */
struct rp_pool_options workers_options(const struct workers *workers);

/* Says on stderr where each of them runs. */
void workers_report(const struct workers *workers, const char *name);

#endif
