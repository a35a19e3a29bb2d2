/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn_watch.c - ends of children: the descriptor that tells of one, reaping, signals.
 *
 * The descriptor is a pidfd.  Where there is none, as under valgrind 3.19, it is the read end of a pipe whose write end the
 * child keeps, and the pipe's owner is the child, which is how a signal finds it.  That is nearly as good: what the child
 * execs and what that forks delays the end that is seen, not the one that is reaped. */
#include "spawn_watch.h"

#include "clock.h"
#include "context.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define NAP_LEAST 50000                 /* ns, between two looks at a child without a descriptor */
#define NAP_MOST 2000000

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

/* Asked once, as it would be a warning of valgrind's each time. */
static int have_pidfds(void)
{
	int *known = &context_get()->pidfds, have = __atomic_load_n(known, __ATOMIC_RELAXED), fd;

	if (!have) {
		fd = open_pidfd(getpid());
		have = fd == -ENOSYS ? -1 : 1;
		if (fd >= 0)
			close(fd);
		__atomic_store_n(known, have, __ATOMIC_RELAXED);
	}
	return have > 0;
}

int watch_open(struct watch *watch)
{
	watch->ends[0] = watch->ends[1] = -1;
	if (have_pidfds())
		return 0;
	return pipe2(watch->ends, O_CLOEXEC) < 0 ? -errno : 0;
}

void watch_child(struct watch *watch)
{
	if (watch->ends[0] < 0)
		return;
	close(watch->ends[0]);
	context_fd_add(watch->ends[1]);
	fcntl(watch->ends[1], F_SETFD, 0);
}

int watch_parent(struct watch *watch, pid_t pid)
{
	int fd;

	if (watch->ends[0] >= 0) {
		close(watch->ends[1]);
		fcntl(watch->ends[0], F_SETOWN, pid);
		return watch->ends[0];
	}
	fd = open_pidfd(pid);
	if (fd != -ESRCH)
		return fd;
	/* Ended and reaped already, as happens when SIGCHLD is ignored: something that polls readable for ever. */
	fd = eventfd(1, EFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void watch_close(struct watch *watch)
{
	for (int i = 0; i < 2; i++)
		if (watch->ends[i] >= 0)
			close(watch->ends[i]);
}

/* The system call, unlike the function, also tells what the child used. */
static int wait_for(pid_t pid, int pidfd, int options, struct spawn_end *ret)
{
	struct rusage usage;
	siginfo_t info;
	long r;

	do {
		info.si_pid = 0;
		r = syscall(SYS_waitid, pidfd < 0 ? P_PID : P_PIDFD, pidfd < 0 ? (int)pid : pidfd, &info, WEXITED | options,
		            &usage);
		if (r < 0 && errno == EBADF && pidfd >= 0) {
			pidfd = -1;
			errno = EINTR;
		}
	} while (r < 0 && errno == EINTR);
	if (r == 0 && !info.si_pid)
		return -EAGAIN;
	*ret = (struct spawn_end){ 0 };
	if (r == 0) {
		ret->known = 1;
		ret->code = info.si_code == CLD_EXITED ? info.si_status & 255 : -info.si_status;
		ret->max_rss = (int64_t)usage.ru_maxrss * 1024;
	}
	return 0;
}

int spawn_reap(pid_t pid, int pidfd, int64_t deadline, struct spawn_end *ret)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	struct timespec nap = { .tv_nsec = NAP_LEAST };
	int r = wait_for(pid, pidfd, deadline == CLOCK_NEVER ? 0 : WNOHANG, ret);

	while (r == -EAGAIN) {
		if (clock_left(deadline) == 0)
			return -ETIMEDOUT;
		if (pidfd >= 0) {
			if (poll(&poller, 1, clock_poll_ms(deadline)) > 0)
				r = wait_for(pid, pidfd, 0, ret);
			continue;
		}
		nanosleep(&nap, NULL);
		nap.tv_nsec = nap.tv_nsec < NAP_MOST / 2 ? nap.tv_nsec * 2 : NAP_MOST;
		r = wait_for(pid, pidfd, WNOHANG, ret);
	}
	return r;
}

int spawn_signal(int pidfd, int signal)
{
	pid_t owner;

	if (context_get()->pidfds >= 0) {
		if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 || errno == ESRCH)
			return 0;
		/* Not a pidfd: it stands for a child that was reaped before it could have one. */
		return errno == EBADF && fcntl(pidfd, F_GETFD) >= 0 ? 0 : -errno;
	}
	owner = fcntl(pidfd, F_GETOWN);
	if (owner <= 0 || kill(owner, signal) == 0 || errno == ESRCH)
		return 0;
	return -errno;
}
