/* SPDX-License-Identifier: BSD-3-Clause */
/* future.c - single tasks as their submitter sees them.
 *
 * A future holds a ticket while its task is on its way.  When all tickets are in use, new futures wait in the pool's list; a
 * ticket comes free when its ended task is collected, which any call on the pool does for all that have ended. */
#include "pool.h"

#include "clock.h"
#include "context.h"
#include "map.h"
#include "options.h"
#include "runtime.h"
#include "wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_TICKET (-1)
#define SPIN 4000                               /* looks before the manager sleeps: some tens of microseconds */

struct rp_future {
	struct rp_pool *pool;                   /* NULL once the pool is gone */
	pid_t owner;
	struct rp_future *newer, *older;        /* all of the pool */
	struct rp_future *next;                 /* in the pool's list of those that wait for a ticket */
	int ticket;
	int dropped;                            /* nobody has the handle any more */
	rp_task_fn *fn;
	const void *in;                         /* `small`, or in the arena */
	size_t in_size;
	void *out;                              /* where the task writes a result that is not small; NULL: it replies */
	size_t out_size;
	const void *arg;
	size_t arg_size;
	void *own[3];                           /* memory made for in, out and arg */
	uint64_t index;
	uint64_t seed;
	uint64_t order;
	_Atomic int ended;                      /* the fields below are final */
	struct rp_outcome outcome;
	char *text;                             /* the outcome's, when its pool is gone */
	struct rp_bytes result;
	char small[CREW_INLINE + 1];            /* the input until it is sent, then the result, with a 0 behind it */
};

/* ---- under the pool's lock ------------------------------------------------------------------------------ */

static void forget(struct rp_future *future)
{
	if (future->newer)
		future->newer->older = future->older;
	else if (future->pool && future->pool->futures == future)
		future->pool->futures = future->older;
	if (future->older)
		future->older->newer = future->newer;
	for (int i = 0; i < 3; i++)
		rp_free(future->own[i]);
	if (!future->out_size)
		rp_free(future->result.data);
	free(future->text);
	free(future);
}

static void finish(struct rp_future *future, int state, int rank, struct note *note)
{
	struct rp_pool *pool = future->pool;

	/* What a terminated pool has killed did not die by itself. */
	if (state == RP_DIED && atomic_load(&pool->crew->stop) == CREW_TERMINATED) {
		state = RP_CANCELLED;
		note = NULL;
	}
	pool_fill_outcome(pool, &future->outcome, state, rank, note);
	rp_free(future->own[0]);
	future->own[0] = NULL;
	future->ticket = NO_TICKET;
	atomic_store(&future->ended, 1);
	if (future->dropped)
		forget(future);
}

/* Takes from an ended ticket what the future needs of it. */
static void collect(struct rp_future *future, int state)
{
	struct rp_pool *pool = future->pool;
	uint32_t id = (uint32_t)future->ticket;
	struct ticket *ticket = ticket_at(pool->crew, id);
	struct note *note = ticket->note;
	int rank = ticket->rank;

	future->order = ticket->order;
	if (state == RP_OK && !future->out_size) {
		future->result = ticket->reply;
	} else if (state == RP_OK && future->out_size <= CREW_INLINE) {
		memcpy(future->small, ticket->out_place, future->out_size);
		future->small[future->out_size] = 0;
		future->result = (struct rp_bytes){ future->small, future->out_size };
	} else if (state == RP_OK) {
		if (future->out == future->own[1])
			((char *)future->out)[future->out_size] = 0;
		future->result = (struct rp_bytes){ future->out, future->out_size };
	} else if (ticket->reply.data) {
		arena_drop(pool->arena, ticket->reply.data);
	}
	pool->holders[id] = NULL;
	ticket_return(pool->crew, &pool->office, id);
	if (note)
		pool_link_note(pool, note);
	finish(future, state, rank, note);
}

/* 1 when it has ended, now or before. */
static int check(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int state;

	if (atomic_load(&future->ended))
		return 1;
	if (future->ticket == NO_TICKET)
		return 0;
	if (pool_is_over(pool))
		ticket_recall(pool->crew, (uint32_t)future->ticket);
	state = ticket_outcome(pool->crew, (uint32_t)future->ticket);
	if (state == RP_PENDING)
		return 0;
	collect(future, state);
	return 1;
}

static void collect_all(struct rp_pool *pool)
{
	for (uint32_t id = 0; id < pool->office.made; id++)
		if (pool->holders[id])
			check(pool->holders[id]);
}

static void fill_ticket(struct rp_future *future, struct ticket *ticket)
{
	ticket->fn = future->fn;
	ticket->in = future->in;
	ticket->in_size = future->in_size;
	if (future->in == future->small)
		ticket->in = memcpy(ticket->in_place, future->small, future->in_size);
	ticket->out = future->out_size && future->out_size <= CREW_INLINE ? ticket->out_place : future->out;
	ticket->out_size = future->out_size;
	ticket->index = future->index;
	ticket->seed = future->seed;
	ticket->arg = future->arg;
	ticket->arg_size = future->arg_size;
	ticket->reply = (struct rp_bytes){ 0 };
	ticket->note = NULL;
	ticket->rank = -1;
	ticket->code = 0;
}

static int send(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int id = ticket_take(pool->crew, &pool->office);

	if (id == -EAGAIN) {
		collect_all(pool);
		id = ticket_take(pool->crew, &pool->office);
	}
	if (id < 0)
		return id;
	fill_ticket(future, ticket_at(pool->crew, (uint32_t)id));
	future->ticket = id;
	pool->holders[id] = future;
	ticket_send(pool->crew, (uint32_t)id);
	return 0;
}

static struct rp_future *take_first(struct rp_pool *pool)
{
	struct rp_future *future = pool->first;

	pool->first = future->next;
	if (!pool->first)
		pool->last = NULL;
	future->next = NULL;
	return future;
}

/* Sends on what waits for tickets; in a pool that is over nothing will be sent. */
static void pump(struct rp_pool *pool)
{
	while (pool->first && pool_is_over(pool))
		finish(take_first(pool), RP_CANCELLED, -1, NULL);
	while (pool->first && send(pool->first) == 0)
		take_first(pool);
}

static void put_last(struct rp_pool *pool, struct rp_future *future)
{
	if (pool->last)
		pool->last->next = future;
	else
		pool->first = future;
	pool->last = future;
}

static int tasks_wait(struct rp_pool *pool)
{
	int any;

	collect_all(pool);
	pump(pool);
	any = pool->first != NULL;
	for (uint32_t id = 0; !any && id < pool->office.made; id++)
		any = pool->holders[id] != NULL;
	return any;
}

static void abandon(struct rp_future *future)
{
	if (!check(future)) {
		int dropped = future->dropped;

		finish(future, RP_CANCELLED, -1, NULL);
		if (dropped)
			return;
	} else if (future->dropped) {
		return;
	}
	if (*future->outcome.text) {
		future->text = strdup(future->outcome.text);
		future->outcome.text = future->text ? future->text : "";
	}
	future->pool = NULL;
	future->newer = future->older = NULL;
}

/* The workers have gone: what has not ended is cancelled, and the futures keep their results and texts without the pool. */
static void abandon_tasks(struct rp_pool *pool)
{
	struct rp_future *future, *older;

	pthread_mutex_lock(&pool->lock);
	pool->first = pool->last = NULL;
	for (future = pool->futures; future; future = older) {
		older = future->older;
		abandon(future);
	}
	pool->futures = NULL;
	pthread_mutex_unlock(&pool->lock);
}

/* ---- submit ---------------------------------------------------------------------------------------------- */

static int check_submit(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, size_t out_size,
                        const struct rp_map_options *o, const char *what, struct rp_error *err)
{
	int r = pool_check_open(pool, what, err);

	if (r == 0 && !fn)
		r = error_set(err, -EINVAL, "%s: the function is NULL", what);
	if (r == 0)
		r = options_argument(in, in_size, what, err);
	if (r == 0)
		r = options_argument(o->arg, o->arg_size, what, err);
	if (r == 0 && (in_size > PTRDIFF_MAX - 1 || out_size > PTRDIFF_MAX - 1))
		r = error_set(err, -EINVAL, "%s: a size is negative", what);
	if (r == 0)
		r = map_check_options(o, what, err);
	return r;
}

/* What the workers cannot read where it is goes where they can. */
static int ship(struct rp_future *future, int which, const void *from, size_t size, int borrow, const void **ret)
{
	struct rp_pool *pool = future->pool;

	*ret = from;
	if (!size || (borrow && from && pool_reaches(pool, from, size)))
		return 0;
	future->own[which] = arena_alloc(pool->arena, ARENA_MANAGER, size);
	*ret = future->own[which];
	if (!*ret)
		return -ENOMEM;
	if (from)
		memcpy(future->own[which], from, size);
	return 0;
}

/* A caller that waits lends its memory; else what it gives is copied. */
static int ship_all(struct rp_future *future, const void *in, void *out, const struct rp_map_options *o, int borrow)
{
	const void *room = NULL;
	int r = 0;

	if (in && future->in_size <= CREW_INLINE)
		future->in = memcpy(future->small, in, future->in_size);
	else
		r = ship(future, 0, in, future->in_size, borrow, &future->in);
	if (r == 0 && future->out_size > CREW_INLINE) {
		if (borrow && out && pool_reaches(future->pool, out, future->out_size))
			room = out;
		else
			r = ship(future, 1, NULL, future->out_size + 1, 0, &room);
		future->out = (void *)(uintptr_t)room;
	}
	future->arg_size = o->arg_size;
	return r < 0 ? r : ship(future, 2, o->arg, o->arg_size, borrow, &future->arg);
}

static int make(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, size_t in_size, size_t out_size,
                struct rp_error *err)
{
	struct rp_future *future = calloc(1, sizeof *future);

	if (!future)
		return error_set(err, -ENOMEM, "out of memory");
	future->pool = pool;
	future->owner = pool->owner;
	future->ticket = NO_TICKET;
	future->fn = fn;
	future->in_size = in_size;
	future->out_size = out_size;
	future->outcome = (struct rp_outcome){ .rank = -1, .node = -1, .text = "" };
	*ret = future;
	return 0;
}

/* From here the pool knows it. */
static void enlist(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;

	pthread_mutex_lock(&pool->lock);
	pool->tasks_wait = tasks_wait;
	pool->abandon_tasks = abandon_tasks;
	future->older = pool->futures;
	if (future->older)
		future->older->newer = future;
	pool->futures = future;
	if (pool->first || send(future) < 0)
		put_last(pool, future);
	pthread_mutex_unlock(&pool->lock);
}

int rp_pool_submit(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size,
                   size_t out_size, const struct rp_map_options *options, struct rp_error *err)
{
	struct rp_future *future = NULL;
	struct rp_map_options o;
	int r;

	if (ret)
		*ret = NULL;
	r = options_import(&o, sizeof o, options, sizeof o, "rp_pool_submit", err);
	if (r == 0)
		r = check_submit(pool, fn, in, in_size, out_size, &o, "rp_pool_submit", err);
	if (r == 0)
		r = make(&future, pool, fn, in_size, out_size, err);
	if (r < 0)
		return r;
	r = ship_all(future, in, NULL, &o, 0);
	if (r < 0) {
		forget(future);
		return error_set(err, r, "rp_pool_submit: no memory for %zu bytes in and %zu out", in_size, out_size);
	}
	pthread_mutex_lock(&pool->lock);
	future->index = pool->submits++;
	pthread_mutex_unlock(&pool->lock);
	future->seed = o.seed;
	future->dropped = !ret;
	if (ret)
		*ret = future;
	enlist(future);
	return 0;
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

static int is_ours(const struct rp_future *future)
{
	return future ? context_owns(future->owner) ? 0 : -EPERM : -EINVAL;
}

/* Collects it if it has ended, and keeps the others going. */
static int look(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int ended = atomic_load(&future->ended);

	if (ended)
		return 1;
	pthread_mutex_lock(&pool->lock);
	if (pool->first)
		pump(pool);
	ended = check(future);
	pthread_mutex_unlock(&pool->lock);
	return ended;
}

/* A ticket's state is looked at without the lock: only the caller has the future. */
static int spin(const struct rp_future *future)
{
	const struct crew *crew = future->pool->crew;

	if (!crew->spinners || future->ticket == NO_TICKET)
		return 0;
	for (int i = 0; i < SPIN; i++) {
		if (ticket_outcome(crew, (uint32_t)future->ticket) != RP_PENDING)
			return 1;
		wait_pause();
	}
	return 0;
}

static int wait_until(struct rp_future *future, int64_t deadline)
{
	if (!atomic_load(&future->ended) && clock_left(deadline))
		spin(future);
	for (;;) {
		uint32_t seen = future->pool ? pool_ended(future->pool) : 0;

		if (look(future))
			return 0;
		if (!clock_left(deadline) || pool_wait(future->pool, seen, deadline) == -ETIMEDOUT)
			return look(future) ? 0 : -ETIMEDOUT;
	}
}

int rp_future_wait(struct rp_future *future, int64_t timeout)
{
	int r = is_ours(future);

	return r < 0 ? r : wait_until(future, clock_deadline(timeout));
}

static int check_all(struct rp_future *const *futures, size_t count)
{
	int any = 0, r;

	if (!futures && count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		r = is_ours(futures[i]);
		if (r < 0)
			return r;
		any = 1;
	}
	return any;
}

/* The index of the one that ended first, or -EAGAIN. */
static int first_ended(struct rp_future *const *futures, size_t count)
{
	int best = -EAGAIN;

	for (size_t i = 0; i < count && i <= INT32_MAX; i++)
		if (futures[i] && look(futures[i]) && (best < 0 || futures[i]->order < futures[best]->order))
			best = (int)i;
	return best;
}

static struct rp_pool *pool_of_any(struct rp_future *const *futures, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (futures[i] && futures[i]->pool)
			return futures[i]->pool;
	return NULL;
}

/* Futures of several pools are possible: it is their first pool's end that wakes, and the others' are found by looking. */
int rp_future_wait_any(struct rp_future *const *futures, size_t count, int64_t timeout)
{
	int64_t deadline = clock_deadline(timeout), look_at;
	int any = check_all(futures, count), best;

	if (any <= 0)
		return any < 0 ? any : -ENOENT;
	for (;;) {
		struct rp_pool *pool = pool_of_any(futures, count);
		uint32_t seen = pool ? pool_ended(pool) : 0;

		best = first_ended(futures, count);
		if (best >= 0)
			return best;
		if (!clock_left(deadline))
			return -ETIMEDOUT;
		look_at = deadline;
		for (size_t i = 0; i < count; i++)
			if (futures[i] && futures[i]->pool != pool)
				look_at = clock_deadline(RP_MILLISECOND);
		pool_wait(pool, seen, look_at < deadline ? look_at : deadline);
	}
}

int rp_future_wait_all(struct rp_future *const *futures, size_t count, int64_t timeout)
{
	int64_t deadline = clock_deadline(timeout);
	int r = check_all(futures, count);

	for (size_t i = 0; r >= 0 && i < count; i++)
		if (futures[i])
			r = wait_until(futures[i], deadline);
	return r < 0 ? r : 0;
}

int rp_future_done(const struct rp_future *future)
{
	int r = is_ours(future);

	if (r < 0)
		return r;
	if (atomic_load(&future->ended))
		return 1;
	return look((struct rp_future *)(uintptr_t)future);
}

int rp_future_get(struct rp_future *future, void *out, size_t out_size, int64_t timeout, struct rp_error *err)
{
	const struct rp_outcome *o;
	int r = rp_future_wait(future, timeout);

	if (r == -ETIMEDOUT)
		return error_set(err, r, "rp_future_get: the task has not ended yet");
	if (r < 0)
		return error_set(err, r, "rp_future_get: the future is %s", future ? "another process's" : "NULL");
	o = &future->outcome;
	if (o->state != RP_OK)
		return error_set_item(err, pool_code(o->state), future->index, "task %zu %s: %s", (size_t)future->index,
		                      rp_state_name(o->state), o->text);
	if (out && out_size < future->result.size)
		return error_set(err, -EMSGSIZE, "rp_future_get: the result has %zu bytes, there is room for %zu",
		                 future->result.size, out_size);
	if (out && future->result.size)
		memcpy(out, future->result.data, future->result.size);
	return 0;
}

const void *rp_future_data(const struct rp_future *future, size_t *size)
{
	int ready = is_ours(future) == 0 && atomic_load(&future->ended) && future->outcome.state == RP_OK;

	if (size)
		*size = ready ? future->result.size : 0;
	return ready ? future->result.data : NULL;
}

const struct rp_outcome *rp_future_outcome(const struct rp_future *future)
{
	static const struct rp_outcome pending = { .rank = -1, .node = -1, .text = "" };

	return is_ours(future) == 0 && atomic_load(&future->ended) ? &future->outcome : &pending;
}

static void unlink_waiting(struct rp_pool *pool, struct rp_future *future)
{
	struct rp_future *before = NULL;

	for (struct rp_future *f = pool->first; f != future; f = f->next)
		before = f;
	if (before)
		before->next = future->next;
	else
		pool->first = future->next;
	if (pool->last == future)
		pool->last = before;
}

int rp_future_cancel(struct rp_future *future)
{
	struct rp_pool *pool;
	int r = is_ours(future);

	if (r < 0)
		return r;
	if (atomic_load(&future->ended))
		return future->outcome.state == RP_CANCELLED ? 0 : -EALREADY;
	pool = future->pool;
	pthread_mutex_lock(&pool->lock);
	if (check(future)) {
		r = future->outcome.state == RP_CANCELLED ? 0 : -EALREADY;
	} else if (future->ticket == NO_TICKET) {
		unlink_waiting(pool, future);
		finish(future, RP_CANCELLED, -1, NULL);
	} else if (ticket_recall(pool->crew, (uint32_t)future->ticket)) {
		collect(future, RP_CANCELLED);
	} else {
		r = check(future) ? -EALREADY : -EBUSY;
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

struct rp_future *rp_future_free(struct rp_future *future)
{
	struct rp_pool *pool;

	if (!future || !context_owns(future->owner))
		return NULL;
	pool = future->pool;
	if (!pool) {
		forget(future);
		return NULL;
	}
	pthread_mutex_lock(&pool->lock);
	if (check(future))
		forget(future);
	else
		future->dropped = 1;
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* ---- apply ------------------------------------------------------------------------------------------------ */

int rp_pool_apply(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                  struct rp_error *err)
{
	static const struct rp_map_options none = { .size = sizeof none };
	struct rp_future *future = NULL;
	int r = options_argument(out, out_size, "rp_pool_apply", err);

	if (r == 0)
		r = check_submit(pool, fn, in, in_size, out_size, &none, "rp_pool_apply", err);
	if (r == 0)
		r = make(&future, pool, fn, in_size, out_size, err);
	if (r < 0)
		return r;
	r = ship_all(future, in, out, &none, 1);
	if (r < 0) {
		forget(future);
		return error_set(err, r, "rp_pool_apply: no memory for %zu bytes in and %zu out", in_size, out_size);
	}
	enlist(future);
	wait_until(future, CLOCK_NEVER);
	r = pool_code(future->outcome.state);
	if (r == 0 && out_size && future->result.data != out)
		memcpy(out, future->result.data, out_size);
	if (r < 0)
		map_error(err, r, 1, 1, 0, &future->outcome, pool->crew->host);
	rp_future_free(future);
	return r;
}
