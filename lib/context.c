/* SPDX-License-Identifier: BSD-3-Clause */
/* context.c - the library's one static object. */
#include "context.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORD_BITS (CHAR_BIT * sizeof(unsigned long))

/* Within one page, as each that is written after a fork costs the child a copy. */
static struct context context __attribute__((aligned(1024))) = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .lifeline = { -1, -1 }, .leash = -1,
};

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

/* No lock: any thread may fork while another is here, and its child must find the bits whole. */
static unsigned long *fd_word(int fd)
{
	unsigned long **page, *now, *fresh;

	if (fd < 0 || fd >= CONTEXT_FD_PAGES * CONTEXT_FD_PAGE)
		return NULL;
	page = &context.fds[fd / CONTEXT_FD_PAGE];
	now = __atomic_load_n(page, __ATOMIC_ACQUIRE);
	if (!now) {
		fresh = calloc(CONTEXT_FD_PAGE / WORD_BITS, sizeof *fresh);
		if (fresh && __atomic_compare_exchange_n(page, &now, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			now = fresh;
		else
			free(fresh);
	}
	return now ? now + fd % CONTEXT_FD_PAGE / WORD_BITS : NULL;
}

void context_fd_add(int fd)
{
	unsigned long *word = fd_word(fd);
	int end = __atomic_load_n(&context.fd_end, __ATOMIC_RELAXED);

	if (!word)
		return;
	while (end <= fd)
		if (__atomic_compare_exchange_n(&context.fd_end, &end, fd + 1, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
	__atomic_fetch_or(word, 1ul << fd % WORD_BITS, __ATOMIC_RELAXED);
}

void context_fd_remove(int fd)
{
	unsigned long *word = fd_word(fd);

	if (word)
		__atomic_fetch_and(word, ~(1ul << fd % WORD_BITS), __ATOMIC_RELAXED);
}

static void close_own(void)
{
	for (int first = 0; first < context.fd_end; first += (int)WORD_BITS) {
		unsigned long *word = context.fds[first / CONTEXT_FD_PAGE];

		if (!word)
			continue;
		word += first % CONTEXT_FD_PAGE / (int)WORD_BITS;
		for (; *word; *word &= *word - 1)
			close(first + __builtin_ctzl(*word));
	}
	if (context.lifeline[1] >= 0)
		close(context.lifeline[1]);
	if (context.leash >= 0)
		close(context.leash);
}

/* The lock may have been held by a thread that does not exist in the child, so it is made anew rather than unlocked. */
static void after_fork(void)
{
	close_own();
	if (context.arena)
		context.inherited = context.arena;
	if (context.supervisor)
		context.left = context.supervisor;
	if (context.hub)
		context.left_hub = context.hub;
	memset(&context, 0, offsetof(struct context, hooked));
	context.pid = getpid();
	context.lifeline[0] = context.lifeline[1] = context.leash = -1;
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
	if (context.end_runtime)
		context.end_runtime();
}

/* For a while: the thread that ends the program may be in such a call itself, and its signal handler has called exit. */
static void await_changes(void)
{
	unsigned left = 1;

	for (int i = 0; left && i < 2000; i++) {
		context_lock();
		left = context.changing;
		context_unlock();
		if (left)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void at_exit(void)
{
	context.exiting_thread = pthread_self();
	context.exiting = 1;
	await_changes();
	context_end();
}

void context_hold(void)
{
	while (context.exiting && !pthread_equal(context.exiting_thread, pthread_self()))
		pause();
}

void context_enter(void)
{
	context_lock();
	while (context.exiting && !pthread_equal(context.exiting_thread, pthread_self())) {
		context_unlock();
		pause();
		context_lock();
	}
	context.changing++;
	context_unlock();
}

void context_leave(void)
{
	context_lock();
	context.changing--;
	context_unlock();
}

void context_hook_exit(void)
{
	int first;

	context_lock();
	first = !context.hooked;
	context.hooked = 1;
	context_unlock();
	if (first)
		atexit(at_exit);
}
