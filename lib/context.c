/* SPDX-License-Identifier: BSD-3-Clause */
/* context.c - the library's one static object. */
#include "context.h"

#include <stdlib.h>
#include <unistd.h>

static struct context context = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct context *context_get(void)
{
	return &context;
}

void context_lock(void)
{
	pthread_mutex_lock(&context.lock);
}

void context_unlock(void)
{
	pthread_mutex_unlock(&context.lock);
}

int context_owns(pid_t owner)
{
	return owner == context.pid;
}

/* The lock may have been held by a thread that does not exist in the child, so it is made anew rather than unlocked. */
static void after_fork(void)
{
	struct arena *inherited = context.arena ? context.arena : context.inherited;
	sigset_t ignored = context.ignored;
	int hooked = context.hooked;

	context = (struct context){ .inherited = inherited, .ignored = ignored, .hooked = hooked };
	pthread_mutex_init(&context.lock, NULL);
	context.pid = getpid();
}

/* What the program was started with has to be read before its main can change it. */
__attribute__((constructor)) static void remember_start(void)
{
	struct sigaction now;

	context.pid = getpid();
	sigemptyset(&context.ignored);
	for (int s = 1; s < NSIG; s++)
		if (sigaction(s, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			sigaddset(&context.ignored, s);
	pthread_atfork(NULL, NULL, after_fork);
}

void context_end(void)
{
	if (context.end_pools)
		context.end_pools();
	if (context.end_processes)
		context.end_processes();
}

void context_hook_exit(void)
{
	int first;

	context_lock();
	first = !context.hooked;
	context.hooked = 1;
	context_unlock();
	if (first)
		atexit(context_end);
}
