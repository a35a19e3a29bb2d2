/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn.h - one fork done right: everything that a child of this library needs before it runs anybody's code. */
#ifndef RP_LIB_SPAWN_H
#define RP_LIB_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

struct place;

enum spawn_flag {
	SPAWN_GROUP = 1,                /* lead a process group of its own */
	SPAWN_NO_SIGINT = 2,            /* ignore SIGINT */
	SPAWN_SUBREAPER = 4,            /* orphans among its descendants become its children */
	SPAWN_OOM_FIRST = 8,            /* the kernel's first choice when memory runs out */
	SPAWN_KEEP_STDIN = 16           /* else stdin is /dev/null */
};

/* How a child ended: exactly one of exited and a signal. */
struct spawn_end {
	int known;                      /* 0: somebody else reaped it */
	int code;                       /* exit code, or -signal */
	int64_t max_rss;                /* bytes */
};

/* Flushes stdout and stderr and forks.  In the parent: the pid and *ret_pidfd (close-on-exec).  In the child: 0, after
 * signals got the dispositions that the program was started with and an empty mask, the child was made to die with its
 * parent (however that dies, whichever thread forked), bound to *place (NULL: left as it is), and the flags were applied.
 * Negative errno when there is no child. */
pid_t spawn_fork(uint32_t flags, const struct place *place, int *ret_pidfd);

/* Leaves a forked child: flushes stdout and stderr (broken ones change nothing) and ends by _exit(code & 255). */
_Noreturn void spawn_leave(int code);

/* Waits until the child has ended and reaps it; deadline as in clock.h.  0, or -ETIMEDOUT. */
int spawn_reap(pid_t pid, int pidfd, int64_t deadline, struct spawn_end *ret);

/* Sends a signal through the pidfd: never hits a recycled pid.  0 also when it has ended already. */
int spawn_signal(int pidfd, int signal);

/* Kills every descendant of this process, which is a subreaper, until none is left, and reaps them.  Children whose pids are
 * in `keep` are left alone, with all below them. */
void spawn_kill_descendants(const pid_t *keep, size_t count);

#endif
