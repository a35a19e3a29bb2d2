/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c - opening, closing and ending a pool. */
#include "pool.h"

#include "clock.h"
#include "context.h"
#include "options.h"
#include "pool_nodes.h"
#include "runtime.h"
#include "supervisor.h"
#include "wait.h"
#include "wire.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_V1 offsetof(struct rp_pool_options, workers_per_node)      /* of callers who do not know it */
#define LOOK INT64_C(100000000)                 /* ns between looks whether the supervisor still lives */

/* A worker or a process of this library, which may have the memory of rp_init: the handle of a pool that was made later
 * points at nothing there, and must not be looked into. */
static int is_child(void)
{
	const struct context *context = context_get();

	return context->task || *context->name;
}

uint32_t pool_ranks_here(void)
{
	const struct context *context = context_get();

	return context->ranks > 1 && !pool_in_task() ? (uint32_t)context->ranks : 0;
}

static int is_listed(const struct rp_pool *pool)
{
	const struct rp_pool *p;

	context_lock();
	for (p = context_get()->pools; p && p != pool; p = p->next)
		;
	context_unlock();
	return p != NULL;
}

static int is_ours(const struct rp_pool *pool)
{
	return is_child() ? is_listed(pool) : context_owns(pool->owner);
}

int pool_check(const struct rp_pool *pool, const char *what, struct rp_error *err)
{
	if (!pool)
		return error_set(err, -EINVAL, "%s: the pool is NULL", what);
	if (!is_ours(pool))
		return error_set(err, -EPERM, "%s: the pool belongs to another process and cannot be used in this one",
		                 what);
	return 0;
}

static int is_own_thread(const struct rp_pool *pool)
{
	for (uint32_t i = 0; i < pool->thread_count; i++)
		if (pthread_equal(pool->threads[i], pthread_self()))
			return 1;
	return 0;
}

int pool_in_task(void)
{
	const struct rp_pool *pool;
	int inside;

	context_lock();
	inside = context_get()->task != NULL;
	for (pool = context_get()->pools; !inside && pool; pool = pool->next)
		inside = pool->threads && is_own_thread(pool);
	context_unlock();
	return inside;
}

int pool_check_open(struct rp_pool *pool, const char *what, struct rp_error *err)
{
	int r = pool_check(pool, what, err), closed;

	if (r < 0)
		return r;
	if (pool->threads && is_own_thread(pool))
		return error_set(err, -EDEADLK, "%s: called by a task of the same pool of threads, it would wait for itself",
		                 what);
	if (atomic_load(&pool->crew->stop) == CREW_BROKEN)
		return error_set(err, -EPIPE, "%s: the pool is broken: %s", what, pool_reason(pool));
	pthread_mutex_lock(&pool->lock);
	closed = pool->closed;
	pthread_mutex_unlock(&pool->lock);
	if (closed)
		return error_set(err, -EINVAL, "%s: the pool is closed", what);
	return 0;
}

int pool_is_over(const struct rp_pool *pool)
{
	return atomic_load(&pool->crew->stop) > CREW_CLOSES;
}

const char *pool_reason(const struct rp_pool *pool)
{
	if (atomic_load(&pool->crew->stop) != CREW_BROKEN)
		return "the pool was terminated";
	return atomic_load(&pool->crew->explained) ? pool->crew->reason : "a worker failed while starting";
}

uint32_t pool_ended(const struct rp_pool *pool)
{
	return atomic_load(&pool->crew->ended);
}

void pool_mind(struct rp_pool *pool)
{
	if (!pool->supervisor || supervisor_lives(pool->supervisor))
		return;
	pthread_mutex_lock(&pool->lock);
	crew_break(pool->crew, "the supervisor, which minds the workers, was killed");
	if (!crew_is_empty(pool->crew))
		supervisor_bury(pool->crew);
	pthread_mutex_unlock(&pool->lock);
}

int pool_wait(struct rp_pool *pool, uint32_t seen, int64_t deadline)
{
	struct crew *crew = pool->crew;
	int64_t look = clock_deadline(LOOK);

	atomic_fetch_add(&crew->waiting, 1);
	wait_on(&crew->ended, seen, deadline < look ? deadline : look);
	atomic_fetch_sub(&crew->waiting, 1);
	if (pool_ended(pool) == seen)
		pool_mind(pool);
	return clock_left(deadline) ? 0 : -ETIMEDOUT;
}

int pool_reaches(const struct rp_pool *pool, const void *memory, size_t size)
{
	return pool->threads || runtime_holds(memory, size);
}

struct thread_start {
	struct crew *crew;
	uint32_t slot;
};

static void *run_thread(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;
	struct slot *slot = &start.crew->slots[start.slot];

	free(arg);
	if (slot->place.bound)
		place_bind(&slot->place);
	worker_run(start.crew, start.slot, start.crew->fd);
	atomic_store(&slot->state, SLOT_RETIRED);
	crew_tell(start.crew);
	return NULL;
}

static int start_threads(struct rp_pool *pool, struct rp_error *err)
{
	struct crew *crew = pool->crew;

	pool->threads = calloc(crew->size, sizeof *pool->threads);
	if (!pool->threads)
		return error_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < crew->size; i++) {
		struct thread_start *start = malloc(sizeof *start);
		int r = start ? 0 : ENOMEM;

		if (start) {
			*start = (struct thread_start){ crew, i };
			atomic_store(&crew->slots[i].state, SLOT_STARTING);
			r = pthread_create(&pool->threads[i], NULL, run_thread, start);
		}
		if (r) {
			free(start);
			return error_set(err, -r, "cannot start %u threads: %s", crew->size, strerror(r));
		}
		pool->thread_count++;
	}
	return 0;
}

static int start_processes(struct rp_pool *pool, struct rp_error *err)
{
	int r;

	pool->supervisor = runtime_supervisor();
	if (!pool->supervisor) {
		r = supervisor_new(&pool->supervisor, pool->arena, err);
		if (r < 0)
			return r;
		pool->own_supervisor = 1;
	}
	r = pool->crew->init ? supervisor_teach(pool->supervisor, (void *)pool->crew->init, err) : 0;
	if (r == 0 && pool->crew->exit)
		r = supervisor_teach(pool->supervisor, (void *)pool->crew->exit, err);
	return r < 0 ? r : supervisor_open(pool->supervisor, pool->crew, err);
}

static void join_threads(struct rp_pool *pool)
{
	while (pool->thread_count)
		pthread_join(pool->threads[--pool->thread_count], NULL);
}

static void stop(struct rp_pool *pool)
{
	struct crew *crew = pool->crew;
	uint32_t now = atomic_load(&crew->stop);

	while (now < CREW_BROKEN && !atomic_compare_exchange_weak(&crew->stop, &now, CREW_TERMINATED))
		;
	crew_ring_all(crew);
}

/* Stops everything and waits until it has stopped. */
static void end_workers(struct rp_pool *pool)
{
	stop(pool);
	if (pool->supervisor && pool->own_supervisor)
		supervisor_end(pool->supervisor);
	else if (pool->supervisor)
		supervisor_close(pool->supervisor, pool->crew);
	pthread_mutex_lock(&pool->lock);
	if (pool->supervisor && !crew_is_empty(pool->crew))
		supervisor_bury(pool->crew);
	pthread_mutex_unlock(&pool->lock);
	pool_close_nodes(pool);
	crew_tell(pool->crew);
}

static struct rp_pool *discard(struct rp_pool *pool)
{
	struct crew *crew = pool->crew;
	struct note *note;

	while ((note = pool->notes)) {
		pool->notes = note->next;
		arena_drop(pool->arena, note);
	}
	if (crew) {
		for (size_t i = 0; i < CREW_TICKETS / CREW_BLOCK; i++)
			arena_drop(pool->arena, crew->tickets[i]);
		arena_drop(pool->arena, crew->ring);
		arena_drop(pool->arena, pool->init_arg);
		crew_free(crew);
	}
	/* No supervisor is left that would give back what the pool has used. */
	if (pool->threads || pool->own_supervisor)
		arena_trim(pool->arena);
	if (pool->own_supervisor)
		supervisor_free(pool->supervisor);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->job_free);
	for (int i = 0; i < pool->node_count; i++)
		free(pool->nodes[i].infos);
	free(pool->nodes);
	free(pool->threads);
	free(pool);
	return NULL;
}

static int check_options(const struct rp_pool_options *o, const char *what, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_LOCAL | RP_INHERIT_BINDING, what, err);

	if (r < 0)
		return r;
	if (o->kind != RP_PROCESSES && o->kind != RP_THREADS)
		return error_set(err, -EINVAL, "%s: kind is %u; it is RP_PROCESSES or RP_THREADS", what, o->kind);
	if (o->kind == RP_THREADS && o->max_tasks)
		return error_set(err, -ENOTSUP, "%s: max_tasks needs workers that are processes", what);
	if (o->reserved)
		return error_set(err, -EINVAL, "%s: reserved is %u, not 0", what, o->reserved);
	return options_argument(o->init_arg, o->init_arg_size, "a pool's init_arg", err);
}

int pool_import(struct rp_pool_options *ret, const struct rp_pool_options *options, const char *what, struct rp_error *err)
{
	int r = options_import(ret, sizeof *ret, options, OPTIONS_V1, what, err);

	if (r == 0)
		r = check_options(ret, what, err);
	if (r == 0 && !ret->workers && !ret->workers_per_node && !pool_in_task())
		r = options_workers(&ret->workers, what, err);
	return r;
}

/* The one copy that all workers of the node read. */
static int ship_init_arg(struct rp_pool *pool, const struct rp_pool_options *o, struct rp_error *err)
{
	struct crew *crew = pool->crew;
	void *copy;

	crew->init_arg_size = o->init_arg_size;
	crew->init_arg = o->init_arg;
	if (!o->init_arg || pool_reaches(pool, o->init_arg, o->init_arg_size))
		return 0;
	copy = arena_alloc(pool->arena, ARENA_MANAGER, o->init_arg_size);
	if (!copy)
		return error_set(err, -ENOMEM, "rp_pool_new: no memory for %zu bytes of init_arg", o->init_arg_size);
	memcpy(copy, o->init_arg, o->init_arg_size);
	crew->init_arg = pool->init_arg = copy;
	return 0;
}

/* Idle workers may spin on all CPUs but one, which is the manager's. */
static uint32_t spinners(const struct topology *topology)
{
	int cpus = topology_usable(topology);

	return cpus > 1 ? (uint32_t)cpus - 1 : 0;
}

/* The workers of this node: all of them, or, when there are other nodes, as many as fall to it, which may be none. */
static int open_crew(struct rp_pool *pool, const struct rp_pool_options *options, struct rp_error *err)
{
	struct rp_error e = { .code = -EIO };
	struct topology *topology = topology_here(&e);
	struct hub *hub = options->kind == RP_PROCESSES && !(options->flags & RP_LOCAL) ? runtime_hub() : NULL;
	struct rp_pool_options o = *options;
	struct place *places = NULL;
	int count = 0, r = 0;

	if (!topology)
		return error_set(err, e.code, "%s", e.text);
	if (hub) {
		r = pool_spread(pool, hub, options, &o.workers, err);
		o.workers_per_node = 0;
	} else if (!o.workers && !o.workers_per_node) {
		o.workers = pool_ranks_here();
	}
	if (r == 0 && (!hub || o.workers))
		count = topology_plan(topology, &o, &places, err);
	if (r < 0 || count < 0)
		return r < 0 ? r : count;
	r = crew_new(&pool->crew, pool->arena, places, (uint32_t)count, o.kind, err);
	free(places);
	if (r < 0)
		return r;
	if (!hub)
		pool->workers = (uint32_t)count;
	pool->crew->spinners = spinners(topology);
	pool->crew->init = o.init;
	pool->crew->exit = o.exit;
	pool->crew->max_tasks = o.max_tasks;
	return 0;
}

/* At the end of the program or of the run time: everything stops, the handles stay with whoever has them.  Threads are not
 * waited for: they end with the program, and one of them may be the one that ends it. */
static void end_pools(void)
{
	for (struct rp_pool *pool = context_get()->pools; pool; pool = pool->next) {
		end_workers(pool);
		if (!pool->own_supervisor)
			pool->supervisor = NULL;
	}
}

static void enlist(struct rp_pool *pool)
{
	struct context *context = context_get();

	context_hook_exit();
	context_lock();
	context->end_pools = end_pools;
	pool->next = context->pools;
	context->pools = pool;
	context_unlock();
}

static void strike_out(struct rp_pool *pool)
{
	context_lock();
	for (struct rp_pool **at = &context_get()->pools; *at; at = &(*at)->next)
		if (*at == pool) {
			*at = pool->next;
			break;
		}
	context_unlock();
}

static int make(struct rp_pool **ret, const struct rp_pool_options *options, struct rp_error *err)
{
	struct rp_pool *pool = calloc(1, sizeof *pool);
	struct rp_pool_options o = *options;
	int r;

	if (!pool)
		return error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->job_free, NULL);
	pool->owner = getpid();
	r = runtime_arena(&pool->arena, err);
	if (r == 0)
		r = open_crew(pool, &o, err);
	if (r == 0)
		r = ship_init_arg(pool, &o, err);
	if (r == 0 && pool->hub)
		r = pool_name_functions(pool, &o, err);
	if (r == 0)
		r = o.kind == RP_THREADS ? start_threads(pool, err) : start_processes(pool, err);
	if (r == 0)
		enlist(pool);                   /* before the nodes have anything to tell it */
	if (r == 0 && pool->hub)
		r = pool_open_nodes(pool, &o, err);
	if (r < 0) {
		strike_out(pool);
		if (pool->crew)
			end_workers(pool);
		join_threads(pool);
		discard(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

int rp_pool_new(struct rp_pool **ret, const struct rp_pool_options *options, struct rp_error *err)
{
	struct rp_pool_options o;
	int r;

	if (!ret)
		return error_set(err, -EINVAL, "rp_pool_new: nowhere to put the pool");
	*ret = NULL;
	r = pool_import(&o, options, "rp_pool_new", err);
	if (r < 0)
		return r;
	context_enter();
	r = make(ret, &o, err);
	context_leave();
	return r;
}

int rp_pool_workers(const struct rp_pool *pool)
{
	int r = pool_check(pool, "rp_pool_workers", NULL);

	return r < 0 ? r : (int)pool->workers;
}

int rp_pool_worker(const struct rp_pool *pool, int rank, struct rp_worker_info *ret)
{
	int r = pool_check(pool, "rp_pool_worker", NULL);

	if (r < 0)
		return r;
	if (!ret || rank < 0 || (uint32_t)rank >= pool->workers)
		return -EINVAL;
	if ((uint32_t)rank < pool->crew->size)
		worker_info(pool->crew, (uint32_t)rank, ret);
	else
		pool_node_worker(pool, rank, ret);
	return 0;
}

int rp_pool_fd(struct rp_pool *pool)
{
	int r = pool_check(pool, "rp_pool_fd", NULL);

	if (r < 0)
		return r;
	/* What ended before anybody asked may be looked for too. */
	if (!atomic_exchange(&pool->crew->fd_wanted, 1) && write(pool->crew->fd, &(uint64_t){ 1 }, 8) < 0)
		return -errno;
	return pool->crew->fd;
}

int rp_pool_close(struct rp_pool *pool)
{
	int r = pool_check(pool, "rp_pool_close", NULL);

	if (r < 0)
		return r;
	pthread_mutex_lock(&pool->lock);
	pool->closed = 1;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int rp_pool_terminate(struct rp_pool *pool)
{
	int r = rp_pool_close(pool);

	if (r < 0)
		return r;
	stop(pool);
	if (pool->supervisor)
		supervisor_kill(pool->supervisor, pool->crew);
	pool_leave_nodes(pool, WIRE_KILL);
	crew_tell(pool->crew);
	return 0;
}

/* All that was submitted has ended, so the workers may leave. */
static void let_go(struct rp_pool *pool)
{
	uint32_t runs = CREW_RUNS;

	if (atomic_compare_exchange_strong(&pool->crew->stop, &runs, CREW_CLOSES))
		crew_ring_all(pool->crew);
}

int rp_pool_join(struct rp_pool *pool, int64_t timeout)
{
	int64_t deadline = clock_deadline(timeout);
	int r = pool_check(pool, "rp_pool_join", NULL), closed, busy;

	if (r < 0)
		return r;
	for (;;) {
		uint32_t seen = pool_ended(pool);

		pthread_mutex_lock(&pool->lock);
		closed = pool->closed;
		busy = pool->jobs != 0 || (pool->tasks_wait && pool->tasks_wait(pool));
		if (closed && !busy)
			let_go(pool);
		pthread_mutex_unlock(&pool->lock);
		if (!closed && !pool_is_over(pool))
			return -EINVAL;
		if (pool_is_over(pool))
			pool_leave_nodes(pool, WIRE_KILL);
		else if (!busy)
			pool_leave_nodes(pool, WIRE_LET_GO);
		if (!busy && crew_is_empty(pool->crew) && !atomic_load(&pool->staying))
			return 0;
		if (pool_wait(pool, seen, deadline) == -ETIMEDOUT)
			return -ETIMEDOUT;
	}
}

/* What a forked child has of its parent's pool. */
static void drop_copy(struct rp_pool *pool)
{
	if (pool->own_supervisor)
		supervisor_forked(pool->supervisor);
	free(pool->threads);
	free(pool);
}

struct rp_pool *rp_pool_free(struct rp_pool *pool)
{
	if (!pool)
		return NULL;
	if (!is_ours(pool)) {
		if (!is_child())
			drop_copy(pool);
		return NULL;
	}
	context_enter();
	strike_out(pool);
	end_workers(pool);
	join_threads(pool);
	if (pool->abandon_tasks)
		pool->abandon_tasks(pool);
	discard(pool);
	context_leave();
	return NULL;
}
