/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - one function in a process or thread of its own.
 *
 * A handle is in the context's list from its start until its end is known.  Whatever looks for ends (join, start,
 * rp_active_children, the exit hook) does so under the context's lock and without waiting, so that no end is taken twice;
 * waiting is done on the sentinel, without the lock.  A handle that is freed while it runs stays in the list and is gone
 * with its end. */
#include "process.h"

#include "clock.h"
#include "context.h"
#include "error.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_V1 sizeof(struct rp_process_options)
#define GRACE INT64_C(1000000000)       /* a daemon's, from SIGTERM to SIGKILL at exit */
#define NAP_LEAST 20000                 /* ns: after an end that its parent has not taken note of yet */
#define NAP_MOST 1000000
#define POLLED 64                       /* sentinels in one poll */

enum stage { NEW, RUNNING, ENDED };

struct rp_process {
	struct rp_process *next, **link;        /* in the context's list; link: what points at this */
	pid_t owner;                            /* the process that made it */
	enum stage stage;
	int freed;                              /* by its owner, while it ran */
	int watched;                            /* the exit hook waits for it: not to be destroyed */
	uint32_t kind, flags;
	rp_target *target;
	void *arg;
	size_t arg_size;
	char *name;
	struct place *place;
	pid_t pid;
	int sentinel;                           /* pidfd of a process, eventfd of a thread; open as long as the handle */
	int exitcode;                           /* once ended */
	const struct process_starter *starter;  /* NULL: a child of this process */
	void *token;
	pthread_t thread;
	int joinable;                           /* thread: neither joined nor detached yet */
	int returned;                           /* thread: what becomes its exit code */
	int done;                               /* thread: has left the handle alone */
};

/* ---- the child's side --------------------------------------------------------------------------------- */

_Noreturn void process_run(const struct process_call *call)
{
	struct context *context = context_get();
	int code;

	/* By hand, as each page of libc that a child is the first to touch costs it a microsecond. */
	for (size_t i = 0; i < sizeof context->name - 1 && call->name[i]; i++)
		context->name[i] = call->name[i];
	context->is_daemon = (call->flags & RP_DAEMON) != 0;
	code = call->target(call->arg, call->arg_size);
	context_end();
	spawn_leave(code);
}

static void tell_end(void *arg)
{
	struct rp_process *process = arg;

	context_lock();
	process->done = 1;
	eventfd_write(process->sentinel, 1);    /* cannot block or fail: nobody else writes to it */
	context_unlock();
}

static void *run_thread(void *arg)
{
	struct rp_process *process = arg;

	/* The target may also leave by pthread_exit. */
	pthread_cleanup_push(tell_end, process);
	if (process->place && place_bind(process->place) < 0)
		process->returned = SPAWN_UNFIT;
	else
		process->returned = process->target(process->arg, process->arg_size) & 255;
	pthread_cleanup_pop(1);
	return NULL;
}

/* ---- ends, all under the context's lock --------------------------------------------------------------- */

/* What is left of an ended thread may be code that needs the lock: destructors of its keys. */
static void drop_thread(struct rp_process *process)
{
	if (process->joinable && pthread_tryjoin_np(process->thread, NULL) != 0)
		pthread_detach(process->thread);
	process->joinable = 0;
}

/* In another process than the owner there is no thread, and the descriptor's number may be somebody else's by now. */
static void destroy(struct rp_process *process)
{
	if (context_owns(process->owner))
		drop_thread(process);
	if (process->sentinel >= 0 && context_owns(process->owner)) {
		context_fd_remove(process->sentinel);
		close(process->sentinel);
	}
	free(process->arg);
	free(process->name);
	free(process->place);
	free(process);
}

static void forget_token(struct rp_process *process)
{
	if (process->starter)
		process->starter->forget(process->token);
	process->starter = NULL;
}

static void link_running(struct rp_process *process)
{
	struct context *context = context_get();

	process->stage = RUNNING;
	process->next = context->processes;
	process->link = &context->processes;
	if (process->next)
		process->next->link = &process->next;
	context->processes = process;
}

static void note_end(struct rp_process *process, int code)
{
	process->exitcode = code;
	__atomic_store_n(&process->stage, ENDED, __ATOMIC_RELEASE);
	*process->link = process->next;
	if (process->next)
		process->next->link = process->link;
	forget_token(process);
	free(process->arg);
	process->arg = NULL;
	if (process->freed && !process->watched)
		destroy(process);
}

/* Without the lock, of a handle that is the caller's: NEW to RUNNING is the caller's own step, RUNNING to ENDED anybody's. */
static enum stage stage_of(const struct rp_process *process)
{
	return __atomic_load_n(&process->stage, __ATOMIC_ACQUIRE);
}

/* 0 when it has ended, also earlier, and then it may be gone; -EAGAIN while it runs. */
static int check_end(struct rp_process *process)
{
	struct spawn_end end = { 0 };
	int r;

	if (process->stage == ENDED)
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

/* Reaps what has ended.  Returns how many run. */
static int check_all(void)
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
			check_end(some[i]);
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
static int wait_end(struct rp_process *process, int64_t deadline)
{
	struct pollfd poller = { .fd = process->sentinel, .events = POLLIN };
	struct timespec nap = { .tv_nsec = NAP_LEAST };
	int r = -EAGAIN;

	while (stage_of(process) != ENDED) {
		int ready = poll(&poller, 1, clock_poll_ms(deadline));

		if (ready > 0) {
			context_lock();
			r = check_end(process);
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
static int is_self(const struct rp_process *process)
{
	return process->kind == RP_THREADS && pthread_equal(process->thread, pthread_self());
}

static int is_daemon_process(const struct rp_process *process)
{
	return process->kind == RP_PROCESSES && process->flags & RP_DAEMON;
}

static int is_awaited(const struct rp_process *process)
{
	return !(process->flags & RP_DAEMON) && !is_self(process);
}

static void signal_daemons(int signal)
{
	context_lock();
	for (struct rp_process *process = context_get()->processes; process; process = process->next)
		if (is_daemon_process(process))
			spawn_signal(process->sentinel, signal);
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
		r = wait_end(oldest, deadline);
		context_lock();
		oldest->watched = 0;
		if (oldest->freed && oldest->stage == ENDED)
			destroy(oldest);
		context_unlock();
	}
}

/* One that does not even die of SIGKILL, in an uninterruptible system call, does not hold up the exit for ever. */
static void end_processes(void)
{
	signal_daemons(SIGTERM);
	join_running(is_daemon_process, clock_deadline(GRACE));
	signal_daemons(SIGKILL);
	join_running(is_daemon_process, clock_deadline(GRACE));
	join_running(is_awaited, CLOCK_NEVER);
}

/* ---- making and starting ------------------------------------------------------------------------------ */

static int check_options(const struct rp_process_options *o, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_DAEMON, "rp_process_new", err);

	if (r < 0)
		return r;
	if (!o->target)
		return error_set(err, -EINVAL, "rp_process_new: no target");
	if (o->kind != RP_PROCESSES && o->kind != RP_THREADS)
		return error_set(err, -EINVAL, "rp_process_new: kind %u is neither RP_PROCESSES nor RP_THREADS", o->kind);
	if (o->node != 0)
		return error_set(err, -EINVAL, "rp_process_new: node %d: there is one node, 0", o->node);
	if (o->reserved != 0)
		return error_set(err, -EINVAL, "rp_process_new: reserved is %u, not 0", o->reserved);
	return options_argument(o->arg, o->arg_size, "rp_process_new", err);
}

/* "Process-3"; in process Process-3 "Process-3:1", in one named x "x:1". */
static char *choose_name(const char *name)
{
	struct context *context = context_get();
	char *made = NULL;
	unsigned number;

	context_lock();
	number = ++context->process_number;
	context_unlock();
	if (name)
		return strdup(name);
	if (asprintf(&made, "%s%s%u", context->name[0] ? context->name : "Process", context->name[0] ? ":" : "-", number) < 0)
		return NULL;
	return made;
}

static int find_place(struct rp_process *process, const char *bind, struct rp_error *err)
{
	struct topology *topology;

	process->place = malloc(sizeof *process->place);
	if (!process->place)
		return error_set(err, -ENOMEM, "rp_process_new: out of memory");
	topology = topology_here(err);
	return topology ? topology_locate(topology, bind, process->place, err) : -EINVAL;
}

int rp_process_new(struct rp_process **ret, const struct rp_process_options *options, struct rp_error *err)
{
	struct rp_process_options o;
	struct rp_process *process = NULL;
	int r;

	if (!ret)
		return error_set(err, -EINVAL, "rp_process_new: nowhere to put the process");
	*ret = NULL;
	r = options_import(&o, sizeof o, options, OPTIONS_V1, "rp_process_new", err);
	if (r == 0)
		r = check_options(&o, err);
	if (r < 0)
		return r;
	process = calloc(1, sizeof *process);
	if (process) {
		*process = (struct rp_process){ .owner = context_get()->pid, .kind = o.kind, .flags = o.flags,
			                        .target = o.target, .arg_size = o.arg_size, .sentinel = -1 };
		if (context_get()->is_daemon)
			process->flags |= RP_DAEMON;
		process->name = choose_name(o.name);
		process->arg = o.arg_size ? malloc(o.arg_size) : NULL;
	}
	if (!process || !process->name || (o.arg_size && !process->arg)) {
		r = error_set(err, -ENOMEM, "rp_process_new: no memory for an argument of %zu bytes", o.arg_size);
		goto out;
	}
	if (o.arg_size)
		memcpy(process->arg, o.arg, o.arg_size);
	if (o.bind)
		r = find_place(process, o.bind, err);
out:
	if (r == 0)
		*ret = process;
	else if (process)
		destroy(process);
	return r;
}

/* Not where a closed stdin, stdout or stderr was: what the program prints there would look like the thread's end. */
static int make_sentinel(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), high;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return high;
}

/* The thread may have ended, and another thread have looked for ends, before its number is stored: so under the lock. */
static int start_thread(struct rp_process *process, struct rp_error *err)
{
	int fd = make_sentinel(), r;

	if (fd < 0)
		return error_set(err, -errno, "%s: no descriptor for its sentinel: %s", process->name, strerror(errno));
	context_lock();
	process->sentinel = fd;
	r = pthread_create(&process->thread, NULL, run_thread, process);
	if (r == 0) {
		process->pid = getpid();
		process->joinable = 1;
		context_fd_add(fd);
		link_running(process);
	}
	context_unlock();
	if (r != 0) {
		process->sentinel = -1;
		close(fd);
		return error_set(err, -r, "%s: no thread: %s", process->name, strerror(r));
	}
	return 0;
}

static int start_process(struct rp_process *process, struct rp_error *err)
{
	const struct process_starter *starter = context_get()->starter;
	const struct process_call call = { .target = process->target, .arg = process->arg, .arg_size = process->arg_size,
		                           .name = process->name, .place = process->place, .flags = process->flags };
	pid_t pid;
	int fd;

	if (starter) {
		pid = starter->start(&call, &fd, &process->token, err);
		if (pid < 0)
			return pid;
	} else {
		pid = spawn_fork(0, process->place, &fd);
		if (pid == 0)
			process_run(&call);
		if (pid < 0)
			return error_set(err, pid, "%s: no process: %s", process->name, strerror(-pid));
	}
	free(process->arg);
	process->arg = NULL;
	context_fd_add(fd);
	context_lock();
	process->starter = starter;
	process->pid = pid;
	process->sentinel = fd;
	link_running(process);
	context_unlock();
	return 0;
}

int rp_process_start(struct rp_process *process, struct rp_error *err)
{
	if (!process)
		return error_set(err, -EINVAL, "rp_process_start: no process");
	if (!context_owns(process->owner))
		return error_set(err, -EPERM, "%s: belongs to process %d, which alone can start it", process->name,
		                 process->owner);
	if (stage_of(process) != NEW)
		return error_set(err, -EINVAL, "%s: has been started before; a process starts once", process->name);
	context_lock();
	context_get()->end_processes = end_processes;
	check_all();
	context_unlock();
	context_hook_exit();
	return process->kind == RP_THREADS ? start_thread(process, err) : start_process(process, err);
}

/* ---- the rest of the public calls --------------------------------------------------------------------- */

/* 0 for a started process of this process's own. */
static int check_started(const struct rp_process *process)
{
	if (!process)
		return -EINVAL;
	if (!context_owns(process->owner))
		return -EPERM;
	return stage_of(process) == NEW ? -EINVAL : 0;
}

/* 1 when it has ended.  Then its parent, when that is a supervisor, is about to know how: that is worth the moment, so that
 * a sentinel that polls readable comes with an exit code. */
static int has_ended(struct rp_process *process)
{
	struct pollfd poller = { .fd = process->sentinel, .events = POLLIN };

	if (stage_of(process) != ENDED && poll(&poller, 1, 0) > 0)
		wait_end(process, clock_deadline(GRACE));
	return stage_of(process) == ENDED;
}

int rp_process_join(struct rp_process *process, int64_t timeout)
{
	int r = check_started(process);

	if (r < 0)
		return r;
	if (is_self(process))
		return -EDEADLK;
	return wait_end(process, clock_deadline(timeout));
}

int rp_process_exitcode(const struct rp_process *process)
{
	if (!process || !context_owns(process->owner))
		return RP_UNKNOWN;
	if (stage_of(process) == NEW)
		return RP_NOT_STARTED;
	/* Only handles are const here: none was ever made in constant memory. */
	return has_ended((struct rp_process *)process) ? process->exitcode : RP_RUNNING;
}

int rp_process_is_alive(struct rp_process *process)
{
	if (!process)
		return -EINVAL;
	if (!context_owns(process->owner))
		return -EPERM;
	return stage_of(process) != NEW && !has_ended(process);
}

pid_t rp_process_pid(const struct rp_process *process)
{
	return process ? process->pid : -EINVAL;
}

const char *rp_process_name(const struct rp_process *process)
{
	return process ? process->name : NULL;
}

int rp_process_sentinel(const struct rp_process *process)
{
	int r = check_started(process);

	return r < 0 ? r : process->sentinel;
}

static int send_signal(struct rp_process *process, int signal)
{
	int r = check_started(process);

	if (r < 0)
		return r;
	if (process->kind == RP_THREADS)
		return -ENOTSUP;
	return stage_of(process) == ENDED ? 0 : spawn_signal(process->sentinel, signal);
}

int rp_process_terminate(struct rp_process *process)
{
	return send_signal(process, SIGTERM);
}

int rp_process_kill(struct rp_process *process)
{
	return send_signal(process, SIGKILL);
}

struct rp_process *rp_process_free(struct rp_process *process)
{
	if (!process)
		return NULL;
	context_lock();
	if (!context_owns(process->owner) || process->stage == NEW) {
		destroy(process);
	} else {
		process->freed = 1;
		if (process->stage == ENDED && !process->watched)
			destroy(process);
		else
			check_end(process);
	}
	context_unlock();
	return NULL;
}

int rp_active_children(void)
{
	int running;

	context_lock();
	running = check_all();
	context_unlock();
	return running;
}
