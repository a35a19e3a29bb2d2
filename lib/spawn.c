/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn.c - one fork done right: everything that a child of this library needs before it runs anybody's code. */
#include "spawn.h"

#include "context.h"
#include "descriptor.h"
#include "spawn_watch.h"
#include "topology.h"
#include "variables.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define OOM_RAISE 300           /* of 1000: ahead of everything of like size, not of something three times as big */
#define OOM_MOST 1000
#define STATUS 2048             /* bytes of /proc/self/status up to its signals, unless the user is in very many groups */

/* A child pays about a microsecond for each page that it is the first to touch, also one of code, and does so each time that
 * it is forked.  Hence what may look odd below: what can be done in the parent is, and system calls share one function. */

/* What the child is to do before it returns from spawn_fork; made before the fork. */
struct launch {
	pid_t parent;
	int leash;              /* -1: the forking thread is the process's main one, PDEATHSIG will do */
	int null;               /* -1: stdin stays */
	int hide;               /* there are variables that are not for children */
	uint64_t ignored;       /* signals that were when the program was started */
	uint64_t changed;       /* signals whose disposition may be another now */
	struct watch watch;
	uint32_t flags;
	const struct place *place;
};

/* Only with something to write: a stream's lock is on a page that would have to be copied, in child and parent. */
static void flush_output(void)
{
	if (__fpending(stdout))
		fflush(stdout);
	if (__fpending(stderr))
		fflush(stderr);
}

/* Dying with a parent whose main thread did not fork.
 *
 * PDEATHSIG would come when the forking thread ends.  So the parent holds the write end of a pipe, its lifeline, that no
 * other process has: every forked child closes it (context.c), and an exec does.  Each child has a read end of its own, with
 * O_ASYNC and SIGKILL as the signal: when the write end closes, as it does however the parent dies, the kernel kills them.
 * One pipe does for all children; the read end is opened through /proc because signal and owner belong to the open file.
 * Linux before 5.6 sends these signals when any end of a pipe closes, so there the first child's end would kill the rest. */
static int kernel_signals_last_writer_only(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 6));
}

/* pipe2 stores the numbers before the descriptors exist, and a fork copies descriptors before memory: so no child of
 * another thread can have the write end without finding its number in the context. */
static int make_lifeline(int *line)
{
	if (!kernel_signals_last_writer_only())
		return -ENOSYS;
	if (pipe2(line, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	line[1] = descriptor_high(line[1]);
	close(line[0]);
	return line[1] < 0 ? -EMFILE : 0;
}

static int open_leash(int *ret)
{
	struct context *context = context_get();
	char path[32];
	int r = 0;

	context_lock();
	if (context->lifeline[1] < 0)
		r = make_lifeline(context->lifeline);
	context_unlock();
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "/proc/self/fd/%d", context->lifeline[1]);
	*ret = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/* The leash stays open across an exec, so that a target that execs a command is covered too, as it is with PDEATHSIG. */
static int tie_to_parent(const struct launch *launch)
{
	char byte;

	if (launch->flags & SPAWN_OUTLIVE)
		return 0;
	if (launch->leash < 0) {
		if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) < 0)
			return -errno;
		if (getppid() != launch->parent)
			raise(SIGKILL);
		return 0;
	}
	if (fcntl(launch->leash, F_SETOWN, getpid()) < 0 || fcntl(launch->leash, F_SETSIG, SIGKILL) < 0 ||
	    fcntl(launch->leash, F_SETFL, O_NONBLOCK | O_ASYNC) < 0 || fcntl(launch->leash, F_SETFD, 0) < 0)
		return -errno;
	if (read(launch->leash, &byte, 1) == 0)
		raise(SIGKILL);
	context_get()->leash = launch->leash;
	return 0;
}

static void reset_signals(const struct launch *launch)
{
	struct sigaction normal = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };

	for (uint64_t left = launch->changed; left; left &= left - 1) {
		int bit = __builtin_ctzll(left);

		sigaction(bit + 1, launch->ignored >> bit & 1 ? &ignore : &normal, NULL);
	}
	if (launch->flags & SPAWN_NO_SIGINT)
		sigaction(SIGINT, &ignore, NULL);
}

static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";
	long score;
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof text - 1);
	if (n > 0) {
		score = strtol(text, NULL, 10) + OOM_RAISE;
		n = snprintf(text, sizeof text, "%ld", score < OOM_MOST ? score : OOM_MOST);
		n = pwrite(fd, text, (size_t)n, 0);
	}
	close(fd);
}

static int set_stdin(int null)
{
	if (null == STDIN_FILENO)
		return fcntl(null, F_SETFD, 0) < 0 ? -errno : 0;
	if (syscall(SYS_dup3, null, STDIN_FILENO, 0) < 0)
		return -errno;
	syscall(SYS_close, null);
	return 0;
}

/* The exit handlers that the program registered before the fork are the parent's business: this one runs ahead of them
 * and leaves. */
static void leave(int code, void *arg)
{
	(void)arg;
	context_end();
	spawn_leave(code);
}

static int set_up(const struct launch *launch)
{
	int r;

	reset_signals(launch);
	r = tie_to_parent(launch);
	if (r == 0 && launch->flags & SPAWN_GROUP)
		r = setpgid(0, 0) < 0 ? -errno : 0;
	if (r == 0 && launch->flags & SPAWN_SUBREAPER)
		r = prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
	if (r == 0 && launch->null >= 0)
		r = set_stdin(launch->null);
	if (r == 0 && launch->place)
		r = place_bind(launch->place);
	if (r == 0 && (launch->place || launch->hide))
		r = variables_set(launch->place ? launch->place->cpu_count : 0);
	if (r == 0 && on_exit(leave, NULL) != 0)
		r = -ENOMEM;
	if (launch->flags & SPAWN_OOM_FIRST)
		offer_to_oom_killer();
	return r;
}

static uint64_t ignored_at_start(void)
{
	const sigset_t *set = &context_get()->ignored;
	uint64_t bits = 0;

	for (int s = 1; s < NSIG && s <= 64; s++)
		bits |= (uint64_t)(sigismember(set, s) == 1) << (s - 1);
	return bits;
}

static int read_field(const char *text, const char *name, int base, uint64_t *ret)
{
	const char *at = strstr(text, name);

	if (at)
		*ret = strtoull(at + strlen(name), NULL, base);
	return at != NULL;
}

/* Setting all of them in each child takes a fifth of the time of a fork.  Looking is quicker, but sure only where no other
 * thread can change one in the meantime.  Not inline, as the text would lie between the child and its stack. */
static __attribute__((noinline)) uint64_t changed_signals(uint64_t ignored)
{
	uint64_t threads, now_ignored, caught, all = ~UINT64_C(0);
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[STATUS];
	ssize_t n;

	if (fd < 0)
		return all;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (!read_field(text, "\nThreads:", 10, &threads) || !read_field(text, "\nSigIgn:", 16, &now_ignored) ||
	    !read_field(text, "\nSigCgt:", 16, &caught) || threads != 1)
		return all;
	return caught | (now_ignored ^ ignored);
}

static void unblock(void)
{
	uint64_t none = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* All signals are blocked until the child has its own dispositions: none of the program's handlers ever runs in it, and one
 * that was sent meanwhile takes effect when the mask is emptied.  In the parent, until the pidfd is there: a SIGCHLD
 * handler that reaps everything must not come first. */
static pid_t fork_blocked(struct launch *launch, int *ret_pidfd)
{
	sigset_t all, old;
	pid_t pid;
	int fd = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	launch->ignored = ignored_at_start();
	launch->changed = changed_signals(launch->ignored);
	pid = fork();
	if (pid == 0) {
		watch_child(&launch->watch);
		if (set_up(launch) < 0)
			_exit(SPAWN_UNFIT);
		unblock();
		return 0;
	}
	if (pid < 0) {
		pid = -errno;
		watch_close(&launch->watch);
	} else {
		fd = watch_parent(&launch->watch, pid);
		if (fd < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			pid = fd;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid > 0)
		*ret_pidfd = fd;
	return pid;
}

pid_t spawn_fork(uint32_t flags, const struct place *place, int *ret_pidfd)
{
	struct launch launch = { .parent = getpid(), .leash = -1, .null = -1, .flags = flags, .place = place };
	pid_t pid;
	int r;

	launch.hide = variables_to_hide();
	if (!(flags & SPAWN_KEEP_STDIN)) {
		launch.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (launch.null < 0)
			return -errno;
	}
	r = flags & SPAWN_OUTLIVE || gettid() == launch.parent ? 0 : open_leash(&launch.leash);
	if (r == 0)
		r = watch_open(&launch.watch);
	if (r < 0) {
		pid = r;
		goto out;
	}
	flush_output();
	pid = fork_blocked(&launch, ret_pidfd);
	if (pid == 0)
		return 0;
	if (pid > 0 && flags & SPAWN_GROUP)
		setpgid(pid, pid);              /* by both, so that neither can be ahead of it */
out:
	if (launch.leash >= 0)
		close(launch.leash);
	if (launch.null >= 0)
		close(launch.null);
	return pid;
}

_Noreturn void spawn_leave(int code)
{
	if (__fpending(stdout) || __fpending(stderr))
		signal(SIGPIPE, SIG_IGN);
	flush_output();
	_exit(code & 255);
}
