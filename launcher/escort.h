/* SPDX-License-Identifier: BSD-3-Clause */
/* escort.h - the process beside one copy of a program: starts it, passes its output on by lines and signals to it, and ends
 * as it does, with nothing left of it. */
#ifndef RP_LAUNCHER_ESCORT_H
#define RP_LAUNCHER_ESCORT_H

#include "rankpool.h"

#include <signal.h>

#define ESCORT_GRACE_MS 2000                    /* from SIGTERM to SIGKILL */

/* What the escorts of all copies need to know; each has its own copy of it. */
struct escort {
	const char *name;                       /* messages begin with it */
	const char *path;
	char **words;
	int lock;                               /* a file that they lock to write, -1: there is one only */
	int tagged;
	int keep_mpi;                           /* the program gets what mpirun and srun have told this process, */
	const char **kept;                      /* as it was before the library took it out; NULL: it is still there */
	int unranked;                           /* it is one process, with a pool of that many workers */
	sigset_t ignored;                       /* signals that were ignored when rankpool was started */
};

/* Starts copy `worker->rank` of `size`, with `input` as its standard input (-1: as it is), and stays until it has ended. Its
 * output goes to the courier of that name, without one ("") to that of this process.  SIGINT, SIGHUP, SIGUSR1, SIGUSR2,
 * SIGTSTP and SIGCONT are passed on; SIGTERM is, too, and after ESCORT_GRACE_MS the program ends, with all that descends
 * from it.  Returns its exit code, or ends by the signal by which it did. */
int escort_run(const struct escort *escort, const struct rp_worker_info *worker, int size, int input,
               const char *courier);

/* The environment of copy `worker` of `size`; no worker: of a program that has a pool of `size` workers, 0: as it likes.
 * The array is the caller's. */
const char **escort_environment(const struct escort *escort, const struct rp_worker_info *worker, int size);

#endif
