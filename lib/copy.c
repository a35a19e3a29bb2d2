/* SPDX-License-Identifier: BSD-3-Clause */
/* copy.c - copying large arrays.  One CPU moves a fraction of what the memory can, and while a map's inputs are copied
 * in or its results out the workers' CPUs are idle. */
#include "copy.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#define PART ((size_t)4 << 20)                  /* bytes that are worth a thread: it costs some tens of microseconds */
#define THREADS 8u

struct part {
	char *to;
	const char *from;
	size_t size;
};

static void *copy_part(void *arg)
{
	const struct part *part = arg;

	memcpy(part->to, part->from, part->size);
	return NULL;
}

/* A thread that cannot be had leaves its part to the caller. */
void copy_large(void *to, const void *from, size_t size, unsigned cpus)
{
	size_t count = size / PART < cpus ? size / PART : cpus, share, at;
	pthread_t threads[THREADS];
	struct part parts[THREADS];
	unsigned running = 0;
	sigset_t all, old;

	count = count > THREADS ? THREADS : count < 1 ? 1 : count;
	share = size / count / 64 * 64;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);       /* the program's handlers run in the program's threads */
	for (at = 0; running + 1 < count; at += share, running++) {
		parts[running] = (struct part){ (char *)to + at, (const char *)from + at, share };
		if (pthread_create(&threads[running], NULL, copy_part, &parts[running]) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	memcpy((char *)to + at, (const char *)from + at, size - at);
	while (running)
		pthread_join(threads[--running], NULL);
}
