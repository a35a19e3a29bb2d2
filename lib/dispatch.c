/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.c - futures on their way.
 *
 * A future holds a ticket while its task is on its way.  When all tickets are in use, new futures wait in the pool's
 * list; a ticket comes free when its ended task is collected, which any call on the pool does for all that have ended.
 * The functions up to dispatch_make are called under the pool's lock. */
#include "dispatch_far.h"

#include "context.h"
#include "hub.h"
#include "runtime.h"
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void count_orphans(int change)
{
	context_lock();
	context_get()->orphans += (size_t)change;
	context_unlock();
}

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
	if (!future->pool)
		count_orphans(-1);
	else if (future->note)
		pool_unlink_note(future->pool, future->note);
	rp_free(future->note);
	free(future);
}

void dispatch_finish(struct rp_future *future, int state, int rank, struct note *note)
{
	struct rp_pool *pool = future->pool;

	pool_fill_outcome(pool, &future->outcome, state, rank, note);
	future->code = state == RP_CANCELLED && atomic_load(&pool->crew->stop) == CREW_BROKEN ? -EPIPE : pool_code(state);
	rp_free(future->own[0]);
	future->own[0] = NULL;
	future->ticket = DISPATCH_NO_TICKET;
	atomic_store(&future->ended, 1);
	if (future->dropped)
		forget(future);
}

static void give_back_ticket(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	uint32_t id = (uint32_t)future->ticket;

	pool->holders[id] = NULL;
	pool->tasks_here--;
	ticket_return(pool->crew, &pool->office, id);
	future->ticket = DISPATCH_NO_TICKET;
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
	give_back_ticket(future);
	if (note)
		pool_link_note(pool, note);
	future->note = note;
	dispatch_finish(future, state, rank, note);
}

int dispatch_check(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int state;

	if (atomic_load(&future->ended))
		return 1;
	if (future->node && pool_is_over(pool)) {
		far_unlink(future);
		dispatch_finish(future, RP_CANCELLED, -1, NULL);
		return 1;
	}
	if (future->ticket == DISPATCH_NO_TICKET)
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
			dispatch_check(pool->holders[id]);
	/* Other nodes tell nothing more of a pool that is over. */
	for (int i = 0; pool_is_over(pool) && i < pool->node_count; i++)
		while (pool->nodes[i].futures)
			dispatch_check(pool->nodes[i].futures);
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
	atomic_store_explicit(&ticket->unwanted, (uint32_t)future->unwanted, memory_order_relaxed);
	ticket->reply = (struct rp_bytes){ 0 };
	ticket->note = NULL;
	ticket->rank = -1;
	ticket->code = 0;
}

static int send_here(struct rp_future *future)
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
	pool->tasks_here++;
	ticket_send(pool->crew, (uint32_t)id);
	return 0;
}

/* To the node with the most room, which with one node is this one whether it has room or not.  -EAGAIN: nobody has. */
static int send(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	struct pool_node *node = NULL;

	if (!pool->hub)
		return send_here(future);
	if (!far_choose(pool, &node)) {
		collect_all(pool);
		if (!far_choose(pool, &node))
			return -EAGAIN;
	}
	return node ? far_send(future, node) : send_here(future);
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

/* Sends on what waits for tickets; in a pool that is over nothing will be sent.  A future leaves the list before it is sent,
 * as its link has another use then. */
static void pump(struct rp_pool *pool)
{
	while (pool->first && pool_is_over(pool))
		dispatch_finish(take_first(pool), RP_CANCELLED, -1, NULL);
	while (pool->first) {
		struct rp_future *future = take_first(pool);

		if (send(future) < 0) {
			dispatch_put_first(pool, future);
			break;
		}
	}
	/* In a pool that is over each answer would only lead to the next question. */
	if (pool->hub && !pool->first && !pool_is_over(pool))
		far_balance(pool);
}

void dispatch_put_first(struct rp_pool *pool, struct rp_future *future)
{
	future->next = pool->first;
	pool->first = future;
	if (!pool->last)
		pool->last = future;
}

static void put_last(struct rp_pool *pool, struct rp_future *future)
{
	if (pool->last)
		pool->last->next = future;
	else
		pool->first = future;
	pool->last = future;
}

/* The youngest of those that the own workers have not begun. */
int dispatch_take_back(struct rp_pool *pool)
{
	struct rp_future *youngest = NULL;

	collect_all(pool);
	if (pool->tasks_here <= pool->crew->size)
		return 0;
	for (uint32_t id = 0; id < pool->office.made; id++)
		if (pool->holders[id] && (!youngest || pool->holders[id]->index > youngest->index))
			youngest = pool->holders[id];
	if (!youngest || !ticket_recall(pool->crew, (uint32_t)youngest->ticket))
		return 0;
	give_back_ticket(youngest);
	dispatch_put_first(pool, youngest);
	return 1;
}

static int tasks_wait(struct rp_pool *pool)
{
	int any;

	collect_all(pool);
	pump(pool);
	any = pool->first != NULL;
	for (uint32_t id = 0; !any && id < pool->office.made; id++)
		any = pool->holders[id] != NULL;
	for (int i = 0; !any && i < pool->node_count; i++)
		any = pool->nodes[i].tasks != 0;
	return any;
}

static void abandon(struct rp_future *future)
{
	int dropped = future->dropped;

	if (!dispatch_check(future))
		dispatch_finish(future, RP_CANCELLED, -1, NULL);
	if (dropped)
		return;                         /* that was its end */
	if (future->note)
		pool_unlink_note(future->pool, future->note);
	else if (future->outcome.state == RP_CANCELLED)
		future->outcome.text = "the pool was freed";
	count_orphans(1);
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

int dispatch_ship(struct rp_future *future, const void *in, void *out, const struct rp_map_options *o, int borrow)
{
	const void *room = NULL;
	int r = 0;

	if (in && future->in_size <= CREW_INLINE)
		future->in = memcpy(future->small, in, future->in_size);
	else
		r = ship(future, 0, in, future->in_size, borrow, &future->in);
	if (r == 0 && future->out_size > CREW_INLINE) {
		if (borrow && out && runtime_holds(out, future->out_size))
			room = out;
		else
			r = ship(future, 1, NULL, future->out_size + 1, 0, &room);
		future->out = (void *)(uintptr_t)room;
	}
	future->arg_size = o->arg_size;
	if (r == 0)
		r = ship(future, 2, o->arg, o->arg_size, borrow, &future->arg);
	if (r < 0)
		forget(future);
	return r;
}

int dispatch_make(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, size_t in_size, size_t out_size,
                  struct rp_error *err)
{
	struct rp_future *future = calloc(1, sizeof *future);

	if (!future)
		return error_set(err, -ENOMEM, "out of memory");
	future->pool = pool;
	future->owner = pool->owner;
	future->ticket = DISPATCH_NO_TICKET;
	future->fn = fn;
	future->in_size = in_size;
	future->out_size = out_size;
	future->outcome = (struct rp_outcome){ .rank = -1, .node = -1, .text = "" };
	*ret = future;
	return 0;
}

int dispatch_number(struct rp_future *future, struct rp_error *err)
{
	struct rp_pool *pool = future->pool;
	int64_t number = 0;

	if (pool->supervisor)
		number = supervisor_teach(pool->supervisor, (void *)future->fn, err);
	if (number == 0 && pool->hub)
		number = hub_function(pool->hub, (void *)future->fn, err);

	if (number < 0) {
		forget(future);
		return (int)number;
	}
	future->function = (uint32_t)number;
	return 0;
}

/* The pool may have been closed since it was last looked at. */
static int enlist(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int r = 0;

	if (pool->closed || pool_is_over(pool))
		return atomic_load(&pool->crew->stop) == CREW_BROKEN ? -EPIPE : -EINVAL;
	pool->tasks_wait = tasks_wait;
	pool->pump = pump;
	pool->abandon_tasks = abandon_tasks;
	if (!pool->first)
		r = send(future);
	if (r < 0 && r != -EAGAIN)
		return r;
	if (r < 0 || (future->ticket == DISPATCH_NO_TICKET && !future->node))
		put_last(pool, future);
	future->older = pool->futures;
	if (future->older)
		future->older->newer = future;
	pool->futures = future;
	return 0;
}

int dispatch_send(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int r;

	pthread_mutex_lock(&pool->lock);
	future->index = future->counted ? pool->submits++ : 0;
	r = enlist(future);
	if (r < 0)
		forget(future);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

static int look(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int ended;

	pthread_mutex_lock(&pool->lock);
	if (pool->first)
		pump(pool);
	ended = dispatch_check(future);
	pthread_mutex_unlock(&pool->lock);
	return ended;
}

int dispatch_look(struct rp_future *future)
{
	if (atomic_load(&future->ended) || look(future))
		return 1;
	pool_mind(future->pool);
	return look(future);
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

/* -EINPROGRESS: another node has it. */
static int cancel(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	if (dispatch_check(future)) {
		r = future->outcome.state == RP_CANCELLED ? 0 : -EALREADY;
	} else if (future->node) {
		r = -EINPROGRESS;
	} else if (future->ticket == DISPATCH_NO_TICKET) {
		unlink_waiting(pool, future);
		dispatch_finish(future, RP_CANCELLED, -1, NULL);
	} else if (ticket_recall(pool->crew, (uint32_t)future->ticket)) {
		collect(future, RP_CANCELLED);
	} else {
		r = dispatch_check(future) ? -EALREADY : -EBUSY;
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* A task that is taken from one node for another is on its way for a moment, and then somewhere else. */
int dispatch_cancel(struct rp_future *future)
{
	int r;

	if (atomic_load(&future->ended))
		return future->outcome.state == RP_CANCELLED ? 0 : -EALREADY;
	do {
		r = cancel(future);
		if (r == -EINPROGRESS)
			r = far_cancel(future);
	} while (r == -EAGAIN);
	return r;
}

void dispatch_drop(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;

	if (!pool) {
		forget(future);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	if (dispatch_check(future)) {
		forget(future);
	} else {
		future->dropped = future->unwanted = 1;
		if (future->ticket != DISPATCH_NO_TICKET)
			atomic_store(&ticket_at(pool->crew, (uint32_t)future->ticket)->unwanted, 1);
		if (future->node)
			far_drop(future);
	}
	pthread_mutex_unlock(&pool->lock);
}
