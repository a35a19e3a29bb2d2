/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime.c - rp_init, rp_start, rp_finalize; the process's arena; rp_alloc. */
#include "runtime.h"

#include "context.h"
#include "launch.h"
#include "link.h"
#include "options.h"
#include "supervisor.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* Linux 5.4 has all that the library is built on. */
static int check_kernel(struct rp_error *err)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return error_set(err, -ENOSYS, "this is not Linux 5.4 or newer");
	if (major < 5 || (major == 5 && minor < 4))
		return error_set(err, -ENOSYS, "Linux 5.4 or newer is needed, this is %s", name.release);
	return 0;
}

/* The ancestor's arena stays mapped, and what lies in it can be read here as there. */
static int make_arena(struct context *context, struct rp_error *err)
{
	int r = context->arena ? 0 : check_kernel(err);

	if (r == 0 && !context->arena)
		r = arena_new(&context->arena, context->inherited, err);
	return r;
}

int runtime_arena(struct arena **ret, struct rp_error *err)
{
	struct context *context = context_get();
	struct rp_error e = { 0 };
	int r;

	context_lock();
	r = make_arena(context, &e);
	*ret = context->arena;
	context_unlock();
	return r < 0 ? error_set(err, r, "%s", e.text) : 0;
}

int runtime_holds(const void *memory, size_t size)
{
	const struct context *context = context_get();

	return arena_owner(context->arena ? context->arena : context->inherited, memory, size) != NULL;
}

struct supervisor *runtime_supervisor(void)
{
	return context_get()->supervisor;
}

static void end_supervisor(void)
{
	struct context *context = context_get();

	context->supervisor = supervisor_free(context->supervisor);
}

static pid_t start_process(const struct process_call *call, int *ret_pidfd, void **ret_token, struct rp_error *err)
{
	return supervisor_start(context_get()->supervisor, call, ret_pidfd, ret_token, err);
}

static int process_ended(void *token, struct spawn_end *ret)
{
	return supervisor_ended(context_get()->supervisor, token, ret);
}

static void forget_process(void *token)
{
	supervisor_forget(context_get()->supervisor, token);
}

static const struct process_starter starter = { start_process, process_ended, forget_process };

static int check_start(const struct rp_start_options *o, const struct launch *launch, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_LOCAL | RP_INHERIT_BINDING, "rp_start", err);

	if (r < 0)
		return r;
	if (o->comm)
		return error_set(err, -ENOTSUP, "rp_start: .comm is not supported: this version runs on one machine");
	if (o->flags & RP_LOCAL)
		return 0;
	if (link_is_initialized())
		return error_set(err, -EALREADY,
		                 "MPI is initialised already: call rp_init first, or rp_start with RP_LOCAL");
	if (launch->under_mpi && launch->ranks != 1)
		return error_set(err, -ENOTSUP,
		                 "started by an MPI launcher with more than one rank: this version runs on one machine, "
		                 "start one process without the launcher");
	return 0;
}

static int fork_supervisor(struct context *context, struct rp_error *err)
{
	int r;

	if (context->starts++)
		return 0;
	r = make_arena(context, err);
	if (r == 0)
		r = supervisor_new(&context->supervisor, context->arena, err);
	if (r < 0) {
		context->starts = 0;
		return r;
	}
	context->starter = &starter;
	context->end_runtime = end_supervisor;
	return 0;
}

int rp_start(const struct rp_start_options *options, struct rp_error *err)
{
	struct context *context = context_get();
	struct rp_start_options o;
	struct rp_error e = { 0 };
	struct launch launch;
	int r = options_import(&o, sizeof o, options, sizeof o, "rp_start", err);

	launch_read(&launch);
	if (r == 0)
		r = check_start(&o, &launch, err);
	if (r < 0)
		return r;
	/* Local run times in several ranks of the program's own MPI share the node by the launcher's binding. */
	if (launch.under_mpi && !(o.flags & (RP_LOCAL | RP_INHERIT_BINDING)))
		launch_widen();
	context_hook_exit();
	context_lock();
	r = fork_supervisor(context, &e);
	context_unlock();
	return r < 0 ? error_set(err, r, "%s", e.text) : 0;
}

int rp_init(int *argc, char ***argv, struct rp_error *err)
{
	(void)argc;
	(void)argv;
	return rp_start(NULL, err);
}

/* Pools and processes that are still there are ended, but their handles, which lie with the program, stay valid; and as
 * long as there are any, so does the memory that they refer to. */
int rp_finalize(void)
{
	struct context *context = context_get();
	struct arena *arena = NULL;

	context_lock();
	if (!context->starts || --context->starts) {
		context_unlock();
		return 0;
	}
	context_unlock();
	context_end();
	context_lock();
	context->starter = NULL;
	if (!context->pools && !context->processes && !context->orphans) {
		arena = context->arena;
		context->arena = NULL;
	}
	context_unlock();
	arena_free(arena);
	return 0;
}

const char *rp_version(void)
{
	return PACKAGE_VERSION;
}

void *rp_alloc(size_t size)
{
	struct rp_task *task = context_get()->task;
	struct rp_error e = { 0 };
	struct arena *arena;

	if (task)
		return worker_alloc(task, size);
	if (runtime_arena(&arena, &e) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	return arena_alloc(arena, ARENA_MANAGER, size ? size : 1);
}

void rp_free(const void *memory)
{
	const struct context *context = context_get();
	struct arena *arena = arena_owner(context->arena ? context->arena : context->inherited, memory, 0);

	if (arena)
		arena_drop(arena, memory);
}

void rp_bytes_free(struct rp_bytes *bytes, size_t count)
{
	for (size_t i = 0; bytes && i < count; i++) {
		rp_free(bytes[i].data);
		bytes[i] = (struct rp_bytes){ 0 };
	}
}

struct rp_bytes rp_text(const char *string)
{
	return (struct rp_bytes){ string, string ? strlen(string) + 1 : 0 };
}
