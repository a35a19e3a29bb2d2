/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c - rp_init, rp_start, rp_finalize: alone, or as a rank of an MPI job. */
#include "context.h"
#include "dispatch_far.h"
#include "far_process.h"
#include "hub.h"
#include "launch.h"
#include "link.h"
#include "options.h"
#include "pool_nodes.h"
#include "runtime.h"
#include "station.h"
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the supervisor and the other nodes are for ------------------------------------------------------ */

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

static const struct process_starter starter = {
	.start = start_process, .ended = process_ended, .forget = forget_process,
};

static void lost(int node, const char *why)
{
	pool_node_lost(node, why);
	far_process_lost(node);
}

static const struct hub_listener listener = {
	.broken = pool_node_broken,
	.room = far_room,
	.done = far_done,
	.ended = far_process_ended,
	.lost = lost,
	.tick = pool_tick,
};

/* ---- ending ----------------------------------------------------------------------------------------------- */

static void end_supervisor(void)
{
	struct context *context = context_get();

	context->supervisor = supervisor_free(context->supervisor);
}

static void drop_hub(struct context *context)
{
	context->hub = hub_free(context->hub);
}

/* The other nodes first: they are told to end by the thread that minds them. */
static void end_all(void)
{
	struct context *context = context_get();

	context->far_starter = NULL;
	context->nodes = context->ranks = 0;
	context->station = station_close(context->station);
	end_supervisor();
}

/* ---- starting --------------------------------------------------------------------------------------------- */

/* What is MPI's business was settled by an earlier call, unless that was for this node only, under a launcher.  MPI that the
 * program has begun without one sets variables as if there were. */
static int is_settled(void)
{
	const struct context *context = context_get();

	return context->station || (context->starts && context->alone);
}

static int check_start(const struct rp_start_options *o, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_LOCAL | RP_INHERIT_BINDING, "rp_start", err);

	if (r < 0)
		return r;
	if (o->comm)
		return error_set(err, -ENOTSUP,
		                 "rp_start: .comm is not supported by this version: call rp_init first in main");
	if (o->flags & RP_LOCAL || is_settled())
		return 0;
	if (link_is_finalized())
		return error_set(err, -EALREADY,
		                 "MPI has ended in this process and cannot begin again: call rp_init once, and rp_finalize "
		                 "at the end; or rp_start with RP_LOCAL");
	if (link_is_initialized())
		return error_set(err, -EALREADY,
		                 "MPI is initialised already: call rp_init first, or rp_start with RP_LOCAL");
	return 0;
}

/* srun without MPI would have every task of the step do the whole work; and MPICH exits without its launcher. */
static int check_launch(const struct launch *launch, struct rp_error *err)
{
	char text[496] = "";

	if (launch->under_mpi)
		link_version(text, sizeof text);
	if (launch_is_stale(launch, text))
		return error_set(err, -EPROTO,
		                 "PMI_FD=%.32s says that an MPI launcher has started this program, but it has no such "
		                 "connection: unset the PMI_* variables, which are another program's",
		                 getenv("PMI_FD"));
	if (launch->under_mpi || launch->step_tasks <= 1)
		return 0;
	launch_explain(launch, 1, "", text, sizeof text);
	return error_set(err, -EPROTO, "%s", text);
}

static int fork_supervisor(struct context *context, struct rp_error *err)
{
	int r = context->supervisor ? 0 : supervisor_new(&context->supervisor, context->arena, err);

	if (r == 0)
		context->starter = &starter;
	return r;
}

/* lends: this rank will only lend its slot to another of its node, which needs no supervisor here. */
static int start_here(struct context *context, int under_mpi, int lends, struct rp_error *err)
{
	struct rp_error e = { 0 };
	struct arena *arena;
	int r = runtime_arena(&arena, err);

	if (r < 0)
		return r;
	context_hook_exit();
	context_lock();
	r = lends ? 0 : fork_supervisor(context, &e);
	if (r == 0) {
		context->alone = context->starts ? context->alone : !under_mpi;
		context->starts++;
		context->end_runtime = end_all;
	}
	context_unlock();
	return r < 0 ? error_set(err, r, "%s", e.text) : 0;
}

/* One that was made before stays, with its supervisor. */
static void undo_start(struct context *context)
{
	if (--context->starts)
		return;
	end_supervisor();
	context->starter = NULL;
}

/* Every process of an MPI job comes here, and all but rank 0 stay until the job is over: without the lock. The
 * supervisor was forked before, as a fork after MPI_Init or beside its thread would not be safe on every fabric. */
static int join_job(struct context *context, const struct launch *launch, int *ret_status, struct rp_error *err)
{
	const struct station_duty duty = {
		.launch = launch, .listener = &listener, .supervisor = &context->supervisor, .arena = context->arena,
	};
	int r = station_open(&context->station, &duty, ret_status, err);

	if (r != STATION_MANAGER) {
		undo_start(context);
		return r;
	}
	drop_hub(context);
	context->hub = station_hub(context->station);
	context->nodes = hub_nodes(context->hub);
	context->ranks = hub_node(context->hub, 0)->ranks;
	context->far_starter = &far_process_starter;
	return 0;
}

static int lends(const struct launch *launch)
{
	const char *nodes = getenv("RANKPOOL_NODES");

	return launch->local_rank > 0 && launch->rank > 0 && !(nodes && strcmp(nodes, "rank") == 0);
}

/* 0: this process is the manager.  STATION_SERVED: it has served, and *ret_status is what it should exit with. */
static int start(const struct rp_start_options *o, int *ret_status, struct rp_error *err)
{
	struct context *context = context_get();
	struct launch launch;
	int r, joins;

	launch_read(&launch);
	r = check_start(o, err);
	if (r < 0)
		return r;
	joins = launch.under_mpi && !(o->flags & RP_LOCAL) && !is_settled();
	r = o->flags & RP_LOCAL || is_settled() ? 0 : check_launch(&launch, err);
	/* Local run times in several ranks of the program's own MPI share the node by the launcher's binding. */
	if (r == 0 && joins && !(o->flags & RP_INHERIT_BINDING))
		launch_widen();
	if (r == 0)
		r = start_here(context, launch.under_mpi, joins && lends(&launch), err);
	return r == 0 && joins ? join_job(context, &launch, ret_status, err) : r;
}

int rp_start(const struct rp_start_options *options, struct rp_error *err)
{
	struct rp_start_options o;
	int r = options_import(&o, sizeof o, options, sizeof o, "rp_start", err), status = 0;

	return r < 0 ? r : start(&o, &status, err);
}

/* A rank that serves has no part in the program: it ends here. */
int rp_init(int *argc, char ***argv, struct rp_error *err)
{
	const struct rp_start_options none = { .size = sizeof none };
	int status = 0, r;

	(void)argc;
	(void)argv;
	r = start(&none, &status, err);
	if (r == STATION_SERVED)
		exit(status);
	return r;
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
		drop_hub(context);
	}
	context_unlock();
	arena_free(arena);
	return 0;
}
