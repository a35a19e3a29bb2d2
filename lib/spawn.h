/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn.h - one fork done right: everything that a child of this library needs before it runs anybody's code. */
#ifndef RP_LIB_SPAWN_H
#define RP_LIB_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

struct place;

#define SPAWN_UNFIT 126                 /* exit code of a child that could not be set up or bound: it has run nothing */

enum spawn_flag {
	SPAWN_GROUP = 1,                /* lead a process group of its own */
	SPAWN_NO_SIGINT = 2,            /* ignore SIGINT */
	SPAWN_SUBREAPER = 4,            /* orphans among its descendants become its children */
	SPAWN_OOM_FIRST = 8,            /* the kernel's first choice when memory runs out */
	SPAWN_KEEP_STDIN = 16,          /* else stdin is /dev/null */
	SPAWN_OUTLIVE = 32              /* does not die with its parent: it watches it, and has things to end first */
};

/* How a child ended: exactly one of exited and a signal. */
struct spawn_end {
	int known;                      /* 0: somebody else reaped it */
	int code;                       /* exit code, or -signal */
	int64_t max_rss;                /* bytes */
};

/* Flushes stdout and stderr and forks.  In the parent: the pid and *ret_pidfd (close-on-exec; poll tells its end by any
 * event; where the system has no pidfds it is something else that the calls below take).  In the child: 0, after signals got
 * the dispositions that the program was started with and an empty mask, the child was made to die with its parent (however
 * that dies, whichever thread forked), bound to *place (NULL: left as it is), and the flags were applied.  The variables
 * that set the number of threads of OpenMP and BLAS follow the place unless the user set them.  The library's own
 * descriptors are closed there (context_fd_add), and exit leaves by _exit: of the exit handlers only those run that the
 * child itself registered.
 * Negative errno when there is no child; -ENOSYS from a thread other than the main one before Linux 5.6. */
pid_t spawn_fork(uint32_t flags, const struct place *place, int *ret_pidfd);

/* Leaves a forked child: flushes stdout and stderr (broken ones change nothing) and ends by _exit(code & 255). */
_Noreturn void spawn_leave(int code);

/* Waits until the child has ended and reaps it; deadline as in clock.h.  Without a pidfd (-1) it looks again and again.
 * 0, or -ETIMEDOUT. */
int spawn_reap(pid_t pid, int pidfd, int64_t deadline, struct spawn_end *ret);

/* Sends a signal through the pidfd: never hits a recycled pid.  0 also when it has ended already. */
int spawn_signal(int pidfd, int signal);

/* Kills every descendant of this process, which is a subreaper, until none is left, and reaps them.  Children whose pids are
 * in `keep` are left alone, with all below them.  Gives up after a second in which none has ended. */
void spawn_kill_descendants(const pid_t *keep, size_t count);

/* The children of this process, those that have ended included: malloc'ed, *ret_count of them; NULL: none, or out of
 * memory. */
pid_t *spawn_children(size_t *ret_count);

#endif
