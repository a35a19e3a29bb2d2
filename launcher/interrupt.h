/* SPDX-License-Identifier: BSD-3-Clause */
/* interrupt.h - signals that ask a running command to stop. */
#ifndef RP_LAUNCHER_INTERRUPT_H
#define RP_LAUNCHER_INTERRUPT_H

#include <signal.h>

enum interrupt {
	INTERRUPT_NONE,
	INTERRUPT_DRAIN,                        /* SIGINT, SIGTERM, SIGHUP: start nothing more */
	INTERRUPT_NOW                           /* SIGINT or SIGTERM after any of those: end what runs */
};

/* From here on they interrupt system calls and are counted.  *ret_ignored: of these, SIGPIPE and SIGCHLD, which was ignored
 * when the program was started; an ignored SIGHUP (nohup) stays so.  SIGPIPE is ignored.  0, or a negative errno. */
int interrupt_begin(sigset_t *ret_ignored);

/* Polls readable from a signal until the next interrupt_taken(). */
int interrupt_fd(void);
void interrupt_taken(void);

enum interrupt interrupt_level(void);

/* The last of them, 0: none. */
int interrupt_signal(void);

#endif
