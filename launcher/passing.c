/* SPDX-License-Identifier: BSD-3-Clause */
/* passing.c - signals that are read from a descriptor, to be passed on to others. */
#include "passing.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGTSTP, SIGCONT };

int passing_open(struct passing *passing, int stops)
{
	struct sigaction before;
	sigset_t caught;

	sigemptyset(&caught);
	sigemptyset(&passing->ignored);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		int s = signals[i];

		sigaction(s, NULL, &before);
		if (before.sa_handler == SIG_IGN)
			sigaddset(&passing->ignored, s);
		/* nohup means it; a shell that starts something in the background does not. */
		if (s == SIGPIPE || (s == SIGHUP && before.sa_handler == SIG_IGN) ||
		    (!stops && (s == SIGTSTP || s == SIGCONT)))
			continue;
		sigaddset(&caught, s);
	}
	sigprocmask(SIG_BLOCK, &caught, &passing->before);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigismember(&caught, signals[i]))
			signal(signals[i], SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	passing->fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
	return passing->fd < 0 ? -errno : 0;
}

int passing_next(const struct passing *passing)
{
	struct signalfd_siginfo info;

	return read(passing->fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

void passing_restore(const struct passing *passing)
{
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], sigismember(&passing->ignored, signals[i]) ? SIG_IGN : SIG_DFL);
	sigprocmask(SIG_SETMASK, &passing->before, NULL);
}

void passing_close(struct passing *passing)
{
	if (passing->fd >= 0)
		close(passing->fd);
	passing->fd = -1;
}
