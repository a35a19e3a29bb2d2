/* SPDX-License-Identifier: BSD-3-Clause */
/* command.h - running one command in a worker: its own process group; ended with all its descendants when its time is
 * over or nobody wants it any more. */
#ifndef RP_LAUNCHER_COMMAND_H
#define RP_LAUNCHER_COMMAND_H

#include "rankpool.h"

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#define COMMAND_TERM_STEPS 3

struct command {
	const char *path;
	char *const *words, *const *environment;
	int out, err;                           /* descriptors */
	int64_t timeout;                        /* ns, 0: none */
	const sigset_t *ignored;                /* signals that are to be ignored in it; of the others none is */
	const struct rp_task *task;             /* that it is run for: once that is cancelled it is ended */
};

struct command_end {
	int error;                              /* errno when it could not be executed */
	int status;                             /* as waitpid gives it */
	int timed_out, unwanted;                /* why it was ended */
	int shared;                             /* descendants are left that may still write to out and err */
};

/* Once in the life of a worker, before the first: from then on SIGCHLD is blocked. */
void command_begin(void);

/* Runs it to its end.  The caller is a child subreaper without other children.  A command that overruns its time, or whose
 * task is cancelled, is ended with all its descendants, by SIGTERM first, as GNU parallel does. */
void command_run(const struct command *command, struct command_end *ret);

/* How long each SIGTERM is given before the next; after the last comes SIGKILL. */
extern const int64_t command_term_steps[COMMAND_TERM_STEPS];    /* ns */

#endif
