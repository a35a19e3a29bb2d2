/* SPDX-License-Identifier: BSD-3-Clause */
/* process_handle.c - ends of processes and threads, and what is left of them at exit.
 *
 * A handle is in the context's list from its start until its end is known.  Whatever looks for ends (join, start,
 * rp_active_children, the exit hook) does so under the context's lock and without waiting, so that no end is taken twice;
 * waiting is done on the sentinel, without the lock.  A handle that is freed while it runs stays in the list and is gone
 * with its end. */
#include "process_handle.h"

#include "clock.h"
#include "context.h"
#include "rankpool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GRACE INT64_C(1000000000)       /* a daemon's, from SIGTERM to SIGKILL at exit */
#define NAP_LEAST 20000                 /* ns: after an end that its parent has not taken note of yet */
#define NAP_MOST 1000000
#define POLLED 64                       /* sentinels in one poll */

/* ---- under the context's lock ------------------------------------------------------------------------- */

/* What is left of an ended thread may be code that needs the lock: destructors of its keys. */
static void drop_thread(struct rp_process *process)
{
	if (process->joinable && pthread_tryjoin_np(process->thread, NULL) != 0)
		pthread_detach(process->thread);
	process->joinable = 0;
}

/* In another process than the owner there is no thread, and the descriptor's number may be somebody else's by now. */
void handle_destroy(struct rp_process *process)
{
	if (context_owns(process->owner))
		drop_thread(process);
	if (process->sentinel >= 0 && context_owns(process->owner)) {
		context_fd_remove(process->sentinel);
		close(process->sentinel);
	}
	free(process->arg);
	free(process->name);
	free(process->bind);
	free(process->place);
	free(process);
}

static void forget_token(struct rp_process *process)
{
	if (process->starter)
		process->starter->forget(process->token);
	process->starter = NULL;
}

void handle_run(struct rp_process *process)
{
	struct context *context = context_get();

	process->stage = STAGE_RUNNING;
	process->next = context->processes;
	process->link = &context->processes;
	if (process->next)
		process->next->link = &process->next;
	context->processes = process;
}

static void note_end(struct rp_process *process, int code)
{
	process->exitcode = code;
	__atomic_store_n(&process->stage, STAGE_ENDED, __ATOMIC_RELEASE);
	*process->link = process->next;
	if (process->next)
		process->next->link = process->link;
	forget_token(process);
	free(process->arg);
	process->arg = NULL;
	if (process->freed && !process->watched)
		handle_destroy(process);
}

enum stage handle_stage(const struct rp_process *process)
{
	return __atomic_load_n(&process->stage, __ATOMIC_ACQUIRE);
}

int handle_check(struct rp_process *process)
{
	struct spawn_end end = { 0 };
	int r;

	if (process->stage == STAGE_ENDED)
		return 0;
	if (process->kind == RP_THREADS) {
		if (!process->done)
			return -EAGAIN;
		note_end(process, process->returned);
		return 0;
	}
	if (process->starter)
		r = process->starter->ended(process->token, &end);
	else
		r = spawn_reap(process->pid, process->sentinel, 0, &end);
	if (r < 0)
		return -EAGAIN;
	note_end(process, end.known ? end.code : RP_UNKNOWN);
	return 0;
}

int handle_check_all(void)
{
	struct rp_process *some[POLLED], *process = context_get()->processes;
	struct pollfd pollers[POLLED];
	int running = 0, n, ready;

	while (process) {
		for (n = 0; process && n < POLLED; process = process->next, n++) {
			some[n] = process;
			pollers[n] = (struct pollfd){ .fd = process->sentinel, .events = POLLIN };
		}
		ready = poll(pollers, (nfds_t)n, 0);
		running += n;
		for (int i = 0; i < n && ready > 0; i++) {
			if (!pollers[i].revents)
				continue;
			handle_check(some[i]);
			running--;
		}
	}
	return running;
}

static void join_thread(struct rp_process *process)
{
	int joinable;

	context_lock();
	joinable = process->joinable;
	process->joinable = 0;
	context_unlock();
	if (joinable)
		pthread_join(process->thread, NULL);
}

/* Waits for the end of a started process, without the lock, up to the deadline.  Its parent, when that is a supervisor,
 * may need a moment more to know how it ended. */
int handle_wait(struct rp_process *process, int64_t deadline)
{
	struct pollfd poller = { .fd = process->sentinel, .events = POLLIN };
	struct timespec nap = { .tv_nsec = NAP_LEAST };
	int r = -EAGAIN;

	while (handle_stage(process) != STAGE_ENDED) {
		int ready = poll(&poller, 1, clock_poll_ms(deadline));

		if (ready > 0) {
			context_lock();
			r = handle_check(process);
			context_unlock();
		}
		if (r == 0)
			break;
		if (clock_left(deadline) == 0)
			return -ETIMEDOUT;
		if (ready > 0) {
			nanosleep(&nap, NULL);
			nap.tv_nsec = nap.tv_nsec < NAP_MOST / 2 ? nap.tv_nsec * 2 : NAP_MOST;
		}
	}
	join_thread(process);
	return 0;
}

/* ---- at exit ------------------------------------------------------------------------------------------ */

/* exit may be called by one of the threads that are to be waited for. */
int handle_is_self(const struct rp_process *process)
{
	return process->kind == RP_THREADS && pthread_equal(process->thread, pthread_self());
}

static int is_daemon_process(const struct rp_process *process)
{
	return process->kind == RP_PROCESSES && process->flags & RP_DAEMON;
}

static int is_awaited(const struct rp_process *process)
{
	return !(process->flags & RP_DAEMON) && !handle_is_self(process);
}

static int signal_it(struct rp_process *process, int signal)
{
	if (process->stage != STAGE_RUNNING)
		return 0;
	if (process->starter && process->starter->signal)
		return process->starter->signal(process->token, signal);
	return spawn_signal(process->sentinel, signal);
}

int handle_signal(struct rp_process *process, int signal)
{
	int r;

	context_lock();
	r = signal_it(process, signal);
	context_unlock();
	return r;
}

static void signal_daemons(int signal)
{
	context_lock();
	for (struct rp_process *process = context_get()->processes; process; process = process->next)
		if (is_daemon_process(process))
			signal_it(process, signal);
	context_unlock();
}

/* Waits for those that `chosen` picks, in the order of their start, also for ones that are started meanwhile. */
static void join_running(int (*chosen)(const struct rp_process *process), int64_t deadline)
{
	struct rp_process *oldest, *process;
	int r = 0;

	while (r == 0) {
		oldest = NULL;
		context_lock();
		for (process = context_get()->processes; process; process = process->next)
			if (chosen(process))
				oldest = process;
		if (oldest)
			oldest->watched = 1;
		context_unlock();
		if (!oldest)
			return;
		r = handle_wait(oldest, deadline);
		context_lock();
		oldest->watched = 0;
		if (oldest->freed && oldest->stage == STAGE_ENDED)
			handle_destroy(oldest);
		context_unlock();
	}
}

/* One that does not even die of SIGKILL, in an uninterruptible system call, does not hold up the exit for ever. */
void handle_end_all(void)
{
	signal_daemons(SIGTERM);
	join_running(is_daemon_process, clock_deadline(GRACE));
	signal_daemons(SIGKILL);
	join_running(is_daemon_process, clock_deadline(GRACE));
	join_running(is_awaited, CLOCK_NEVER);
}
