/* SPDX-License-Identifier: BSD-3-Clause */
/* command.h - running one command in a worker: its own process group, a time limit, no descendant left when that is
 * over. */
#ifndef RP_LAUNCHER_COMMAND_H
#define RP_LAUNCHER_COMMAND_H

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
	_Atomic pid_t *running;                 /* its process group while it runs, else 0, for others to signal */
};

struct command_end {
	int error;                              /* errno when it could not be executed */
	int status;                             /* as waitpid gives it */
	int timed_out;
	int shared;                             /* descendants are left that may still write to out and err */
};

/* Runs it to its end.  The caller is a child subreaper without other children.  A command that overruns its time is ended
 * with all its descendants, by SIGTERM first, as GNU parallel does. */
void command_run(const struct command *command, struct command_end *ret);

/* How long each SIGTERM is given before the next; after the last comes SIGKILL. */
extern const int64_t command_term_steps[COMMAND_TERM_STEPS];    /* ns */

#endif
