/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - one function in a process or thread of its own: making it, starting it, asking it. */
#include "process.h"

#include "clock.h"
#include "context.h"
#include "descriptor.h"
#include "error.h"
#include "options.h"
#include "process_handle.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define OPTIONS_V1 sizeof(struct rp_process_options)
#define BURIAL INT64_C(1000000000)      /* ns, from an end to its parent's knowing how, at most */

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

/* ---- making and starting ------------------------------------------------------------------------------ */

static int check_options(const struct rp_process_options *o, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_DAEMON, "rp_process_new", err), nodes = context_get()->nodes;

	if (r < 0)
		return r;
	nodes = nodes ? nodes : 1;
	if (!o->target)
		return error_set(err, -EINVAL, "rp_process_new: no target");
	if (o->kind != RP_PROCESSES && o->kind != RP_THREADS)
		return error_set(err, -EINVAL, "rp_process_new: kind %u is neither RP_PROCESSES nor RP_THREADS", o->kind);
	if (o->node != 0 && nodes == 1)
		return error_set(err, -EINVAL, "rp_process_new: node %d: there is one node, 0", o->node);
	if (o->node < 0 || o->node >= nodes)
		return error_set(err, -EINVAL, "rp_process_new: node %d: there are %d nodes, numbered from 0", o->node,
		                 nodes);
	if (o->node && o->kind == RP_THREADS)
		return error_set(err, -EINVAL, "rp_process_new: a thread cannot be on node %d", o->node);
	if (o->reserved != 0)
		return error_set(err, -EINVAL, "rp_process_new: reserved is %u, not 0", o->reserved);
	return options_argument(o->arg, o->arg_size, "rp_process_new", err);
}

/* "Process-3"; in process Process-3 "Process-3:1", in one named x "x:1". */
static char *choose_name(const char *name)
{
	struct context *context = context_get();
	const char *parent = context->name;
	char *made = NULL;
	unsigned number;

	context_lock();
	number = ++context->process_number;
	context_unlock();
	if (name)
		return strdup(name);
	if (asprintf(&made, *parent ? "%s:%u" : "%sProcess-%u", parent, number) < 0)
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
			                        .target = o.target, .arg_size = o.arg_size, .node = o.node,
			                        .sentinel = -1 };
		if (context_get()->is_daemon)
			process->flags |= RP_DAEMON;
		process->name = choose_name(o.name);
		process->arg = o.arg_size ? malloc(o.arg_size) : NULL;
		process->bind = o.node && o.bind ? strdup(o.bind) : NULL;
	}
	if (!process || !process->name || (o.arg_size && !process->arg) || (o.node && o.bind && !process->bind)) {
		r = error_set(err, -ENOMEM, "rp_process_new: no memory for an argument of %zu bytes", o.arg_size);
		goto out;
	}
	if (o.arg_size)
		memcpy(process->arg, o.arg, o.arg_size);
	if (o.bind && !o.node)
		r = find_place(process, o.bind, err);
out:
	if (r == 0)
		*ret = process;
	else if (process)
		handle_destroy(process);
	return r;
}

/* The thread may have ended, and another thread have looked for ends, before its number is stored: so under the lock. */
static int start_thread(struct rp_process *process, struct rp_error *err)
{
	int fd = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), r;

	if (fd < 0)
		return error_set(err, -errno, "%s: no descriptor for its sentinel: %s", process->name, strerror(errno));
	context_lock();
	process->sentinel = fd;
	r = pthread_create(&process->thread, NULL, run_thread, process);
	if (r == 0) {
		process->pid = getpid();
		process->joinable = 1;
		context_fd_add(fd);
		handle_run(process);
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
	const struct process_starter *starter = process->node ? context_get()->far_starter : context_get()->starter;
	const struct process_call call = { .target = process->target, .arg = process->arg, .arg_size = process->arg_size,
		                           .name = process->name, .place = process->place, .flags = process->flags,
		                           .node = process->node, .bind = process->bind };
	pid_t pid;
	int fd;

	if (process->node && !starter)
		return error_set(err, -ENOLINK, "%s: the other nodes are gone", process->name);
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
	handle_run(process);
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
	if (handle_stage(process) != STAGE_NEW)
		return error_set(err, -EINVAL, "%s: has been started before; a process starts once", process->name);
	context_lock();
	context_get()->end_processes = handle_end_all;
	handle_check_all();
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
	return handle_stage(process) == STAGE_NEW ? -EINVAL : 0;
}

/* 1 when it has ended.  Then its parent, when that is a supervisor, is about to know how: that is worth the moment, so that
 * a sentinel that polls readable comes with an exit code. */
static int has_ended(struct rp_process *process)
{
	struct pollfd poller = { .fd = process->sentinel, .events = POLLIN };

	if (handle_stage(process) != STAGE_ENDED && poll(&poller, 1, 0) > 0)
		handle_wait(process, clock_deadline(BURIAL));
	return handle_stage(process) == STAGE_ENDED;
}

int rp_process_join(struct rp_process *process, int64_t timeout)
{
	int r = check_started(process);

	if (r < 0)
		return r;
	if (handle_is_self(process))
		return -EDEADLK;
	return handle_wait(process, clock_deadline(timeout));
}

int rp_process_exitcode(const struct rp_process *process)
{
	if (!process || !context_owns(process->owner))
		return RP_UNKNOWN;
	if (handle_stage(process) == STAGE_NEW)
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
	return handle_stage(process) != STAGE_NEW && !has_ended(process);
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
	return handle_signal(process, signal);
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
	if (!context_owns(process->owner) || process->stage == STAGE_NEW) {
		handle_destroy(process);
	} else {
		process->freed = 1;
		if (process->stage == STAGE_ENDED && !process->watched)
			handle_destroy(process);
		else
			handle_check(process);
	}
	context_unlock();
	return NULL;
}

int rp_active_children(void)
{
	int running;

	context_lock();
	running = handle_check_all();
	context_unlock();
	return running;
}
