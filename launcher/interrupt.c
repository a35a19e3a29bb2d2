/* SPDX-License-Identifier: BSD-3-Clause */
/* interrupt.c - signals that ask a running command to stop: a handler that counts, and a pipe that wakes poll().
 *
 * Handlers and not a signalfd, because a signal has to get the manager out of a write that nobody reads. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static volatile sig_atomic_t level, last;
static int ends[2] = { -1, -1 };                /* of the pipe */

static void handle(int signal)
{
	int saved = errno;

	last = signal;
	if (level == INTERRUPT_NONE)
		level = INTERRUPT_DRAIN;
	else if (signal != SIGHUP)
		level = INTERRUPT_NOW;
	/* Full is as good as one byte more. */
	if (write(ends[1], "", 1) < 0)
		errno = 0;
	errno = saved;
}

int interrupt_begin(sigset_t *ret_ignored)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD };
	struct sigaction action = { .sa_handler = handle }, before;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	sigemptyset(ret_ignored);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaction(signals[i], NULL, &before);
		if (before.sa_handler == SIG_IGN)
			sigaddset(ret_ignored, signals[i]);
		if (signals[i] == SIGPIPE)
			signal(SIGPIPE, SIG_IGN);
		else if (signals[i] != SIGCHLD && !(signals[i] == SIGHUP && before.sa_handler == SIG_IGN))
			sigaction(signals[i], &action, NULL);
	}
	return 0;
}

int interrupt_fd(void)
{
	return ends[0];
}

void interrupt_taken(void)
{
	char bytes[64];

	while (read(ends[0], bytes, sizeof bytes) > 0)
		;
}

enum interrupt interrupt_level(void)
{
	return (enum interrupt)level;
}

int interrupt_signal(void)
{
	return last;
}
