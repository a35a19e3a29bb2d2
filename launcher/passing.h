/* SPDX-License-Identifier: BSD-3-Clause */
/* passing.h - signals that are read from a descriptor, to be passed on to others. */
#ifndef RP_LAUNCHER_PASSING_H
#define RP_LAUNCHER_PASSING_H

#include <signal.h>

struct passing {
	int fd;                                 /* polls readable when there is one; -1 before passing_open */
	sigset_t before;                        /* the mask as it was */
	sigset_t ignored;                       /* those of them that were ignored */
};

/* SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under nohup), SIGUSR1 and SIGUSR2, and with `stops` SIGTSTP and SIGCONT
 * do nothing of their own from here on.  SIGPIPE is ignored.  0, or a negative errno. */
int passing_open(struct passing *passing, int stops);

/* The next one, 0: there is none.  Never blocks. */
int passing_next(const struct passing *passing);

/* In a child, before it becomes another program: all as it was. */
void passing_restore(const struct passing *passing);
void passing_close(struct passing *passing);

#endif
