/* SPDX-License-Identifier: BSD-3-Clause */
/* relay.c - what is typed on its way to a process in another process group. */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BACKGROUND_MS 100

int relay_open(struct relay *relay)
{
	int ends[2];

	*relay = RELAY_NONE;
	if (!isatty(STDIN_FILENO))
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	relay->reader = ends[0];
	relay->writer = ends[1];
	return fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

void relay_begin(struct relay *relay)
{
	relay->begun = 1;
}

void relay_give(struct relay *relay)
{
	relay_begin(relay);
	if (relay->reader >= 0)
		close(relay->reader);
	relay->reader = -1;
}

void relay_wait(const struct relay *relay, struct pollfd ret[RELAY_POLLS])
{
	const int open = relay->writer >= 0 && relay->begun;

	ret[0] = (struct pollfd){ .fd = open && !relay->typed.size ? STDIN_FILENO : -1, .events = POLLIN };
	ret[1] = (struct pollfd){ .fd = open && relay->typed.size ? relay->writer : -1, .events = POLLOUT };
}

/* 0: there will be no more. */
static int read_some(struct relay *relay)
{
	char bytes[4096];
	ssize_t n;

	/* In the background nothing is ours to read, and trying it would stop this process. */
	if (tcgetpgrp(STDIN_FILENO) != getpgrp()) {
		nanosleep(&(struct timespec){ .tv_nsec = BACKGROUND_MS * 1000000L }, NULL);
		return 1;
	}
	n = read(STDIN_FILENO, bytes, sizeof bytes);
	if (n > 0)
		buffer_add(&relay->typed, bytes, (size_t)n);
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static int write_some(struct relay *relay)
{
	ssize_t n = write(relay->writer, relay->typed.data, relay->typed.size);

	if (n > 0) {
		memmove(relay->typed.data, relay->typed.data + n, relay->typed.size - (size_t)n);
		relay->typed.size -= (size_t)n;
	}
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

void relay_run(struct relay *relay, const struct pollfd polled[RELAY_POLLS])
{
	int goes_on = 1;

	if (polled[0].fd >= 0 && polled[0].revents)
		goes_on = read_some(relay);
	else if (polled[1].fd >= 0 && polled[1].revents)
		goes_on = write_some(relay);
	if (goes_on)
		return;
	close(relay->writer);
	relay->writer = -1;
}

void relay_close(struct relay *relay)
{
	relay_give(relay);
	if (relay->writer >= 0)
		close(relay->writer);
	buffer_free(&relay->typed);
	*relay = RELAY_NONE;
}
