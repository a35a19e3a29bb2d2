/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch_far.c - single tasks on other nodes.
 *
 * A node, the manager's own too, has at most LOAD tasks per worker: one that runs and one in hand. What is beyond that
 * waits in the pool's list. When nothing waits and a worker is idle somewhere, a task in hand is recalled from the
 * node that has the most of them. */
#include "dispatch_far.h"

#include "context.h"
#include "hub.h"
#include "pool_nodes.h"
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAD 2u

/* Compares tasks per worker without dividing. */
static int is_lighter(uint32_t tasks, uint32_t workers, uint32_t than_tasks, uint32_t than_workers)
{
	return (uint64_t)tasks * than_workers < (uint64_t)than_tasks * workers;
}

int far_choose(struct rp_pool *pool, struct pool_node **ret)
{
	uint32_t here = pool->crew->size;
	struct pool_node *best = NULL;

	for (int i = 0; i < pool->node_count; i++) {
		struct pool_node *node = &pool->nodes[i];

		if (node->tasks < LOAD * node->workers &&
		    (!best || is_lighter(node->tasks, node->workers, best->tasks, best->workers)))
			best = node;
	}
	if (here && pool->tasks_here < LOAD * here &&
	    (!best || !is_lighter(best->tasks, best->workers, pool->tasks_here, here)))
		best = NULL;
	else if (!best)
		return 0;
	*ret = best;
	return 1;
}

void far_drop(struct rp_future *future)
{
	const struct wire_recall message = {
		.wire = { .kind = WIRE_DROP, .id = future->far }, .pool = future->pool->id,
	};

	hub_post(future->pool->hub, future->node->node, &message, sizeof message, NULL, 0, NULL, NULL);
}

int far_send(struct rp_future *future, struct pool_node *node)
{
	struct rp_pool *pool = future->pool;
	const struct wire_task message = {
		.wire = { .kind = WIRE_TASK, .id = hub_number(pool->hub) },
		.pool = pool->id,
		.function = future->function,
		.has_in = future->in != NULL,
		.has_arg = future->arg != NULL,
		.out_size = future->out_size,
		.index = future->index,
		.seed = future->seed,
	};
	const struct rp_bytes parts[2] = { { future->in, future->in_size }, { future->arg, future->arg_size } };
	int r = hub_post(pool->hub, node->node, &message, sizeof message, parts, 2, NULL, NULL);

	if (r < 0)
		return r;
	future->far = message.wire.id;
	future->node = node;
	future->next = node->futures;
	node->futures = future;
	node->tasks++;
	hub_busy(pool->hub, 1);
	if (future->unwanted)
		far_drop(future);
	return 0;
}

void far_unlink(struct rp_future *future)
{
	struct rp_future **at = &future->node->futures;

	while (*at != future)
		at = &(*at)->next;
	*at = future->next;
	future->node->tasks--;
	future->next = NULL;
	future->node = NULL;
	future->far = 0;
	hub_busy(future->pool->hub, -1);
}

/* ---- taking back ----------------------------------------------------------------------------------------- */

/* Who asked for what: the future may be gone when the answer comes. */
struct recall {
	uint64_t pool, far;
	int node;
};

/* Only its own node is looked at: thousands of others have tasks too. */
static struct pool_node *node_of(struct rp_pool *pool, int number)
{
	int low = 0, high = pool->node_count;

	while (low < high) {
		int middle = (low + high) / 2;

		if (pool->nodes[middle].node < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pool->node_count && pool->nodes[low].node == number ? &pool->nodes[low] : NULL;
}

static struct rp_future *find(struct rp_pool *pool, int number, uint64_t far)
{
	const struct pool_node *node = node_of(pool, number);
	struct rp_future *future = node ? node->futures : NULL;

	while (future && future->far != far)
		future = future->next;
	return future;
}

static void recalled(void *user, struct hub_answer *answer)
{
	struct recall recall = *(struct recall *)user;
	struct rp_pool *pool = pool_by_id(recall.pool);
	struct rp_future *future;

	free(user);
	free(answer->data);
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	node_of(pool, recall.node)->recalls--;
	future = answer->result == 1 ? find(pool, recall.node, recall.far) : NULL;
	if (future) {
		far_unlink(future);
		dispatch_put_first(pool, future);
	}
	if (pool->pump)
		pool->pump(pool);
	pthread_mutex_unlock(&pool->lock);
	crew_tell(pool->crew);
}

static int recall(struct rp_pool *pool, struct pool_node *node)
{
	const struct wire_recall message = {
		.wire = { .kind = WIRE_RECALL, .id = node->futures->far }, .pool = pool->id,
	};
	struct recall *asked = malloc(sizeof *asked);

	if (!asked)
		return -ENOMEM;
	*asked = (struct recall){ pool->id, message.wire.id, node->node };
	if (hub_post(pool->hub, node->node, &message, sizeof message, NULL, 0, recalled, asked) < 0) {
		free(asked);
		return -ENOMEM;
	}
	node->recalls++;
	return 0;
}

/* Idle workers, less what is on its way back already. */
static int64_t idle_workers(const struct rp_pool *pool)
{
	int64_t idle = pool->tasks_here < pool->crew->size ? (int64_t)pool->crew->size - pool->tasks_here : 0;

	for (int i = 0; i < pool->node_count; i++) {
		const struct pool_node *node = &pool->nodes[i];

		if (node->tasks < node->workers)
			idle += node->workers - node->tasks;
		idle -= node->recalls;
	}
	return idle;
}

/* The newest task of a node is the last that it would begin. */
void far_balance(struct rp_pool *pool)
{
	for (int64_t idle = idle_workers(pool); idle > 0; idle--) {
		struct pool_node *victim = NULL;

		for (int i = 0; i < pool->node_count; i++) {
			struct pool_node *node = &pool->nodes[i];

			if (node->tasks > node->workers && !node->recalls && (!victim || node->tasks > victim->tasks))
				victim = node;
		}
		if (victim ? recall(pool, victim) < 0 : !dispatch_take_back(pool))
			return;
	}
}

/* As rp_future_cancel, when the node that has number `far` of the future says whether it takes that back. */
static int conclude_cancel(struct rp_future *future, uint64_t far, int taken_back)
{
	if (dispatch_check(future))
		return future->outcome.state == RP_CANCELLED ? 0 : -EALREADY;
	if (future->far != far)
		return -EAGAIN;
	if (!taken_back)
		return -EBUSY;
	far_unlink(future);
	dispatch_finish(future, RP_CANCELLED, -1, NULL);
	return 0;
}

int far_cancel(struct rp_future *future)
{
	struct rp_pool *pool = future->pool;
	struct wire_recall message = { .wire = { .kind = WIRE_RECALL }, .pool = pool->id };
	struct hub_call call;
	int node, r;

	pthread_mutex_lock(&pool->lock);
	message.wire.id = future->far;
	node = future->node ? future->node->node : -1;
	pthread_mutex_unlock(&pool->lock);
	if (node < 0)
		return -EAGAIN;
	hub_ask(pool->hub, &call, node, &message, sizeof message, NULL, 0);
	hub_await(&call);
	free(call.answer.data);
	pthread_mutex_lock(&pool->lock);
	r = conclude_cancel(future, message.wire.id, call.answer.result == 1);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* ---- what comes back ------------------------------------------------------------------------------------- */

void *far_room(const struct wire_done *done, size_t size)
{
	struct rp_pool *pool = pool_by_id(done->pool);
	char *room = pool ? arena_alloc(pool->arena, ARENA_MANAGER, size + 1) : NULL;

	if (room)
		room[size] = 0;
	return room;
}

/* 0, or -ENOMEM: what the task had to say found no room here. */
static int settle(struct rp_future *future, void *result, size_t size)
{
	if (!future->out_size) {
		future->result = (struct rp_bytes){ result, size };
		return 0;
	}
	if (!result || size != future->out_size)
		return -ENOMEM;
	if (future->out_size <= CREW_INLINE) {
		memcpy(future->small, result, size);
		future->small[size] = 0;
		future->result = (struct rp_bytes){ future->small, size };
	} else {
		memcpy(future->out, result, size);
		if (future->out == future->own[1])
			((char *)future->out)[size] = 0;
		future->result = (struct rp_bytes){ future->out, size };
	}
	rp_free(result);
	return 0;
}

static void end(struct rp_pool *pool, struct rp_future *future, const struct wire_done *done, const char *text, void *result,
                size_t size)
{
	int state = (int)done->state, code = done->code;
	struct note *note = NULL;

	far_unlink(future);
	if (state == RP_OK && ((done->has_reply && !result) || settle(future, result, size) < 0)) {
		state = RP_FAILED;
		code = -ENOMEM;
		text = "no memory for its result in the manager";
	} else if (state != RP_OK) {
		rp_free(result);
	}
	if (state != RP_OK && *text)
		note = crew_own_note(pool->crew, (enum rp_state)state, code, done->rank, text, strlen(text));
	if (note)
		pool_link_note(pool, note);
	future->note = note;
	future->order = atomic_fetch_add(&pool->crew->order, 1);
	dispatch_finish(future, state, done->rank, note);
}

void far_done(int node, const struct wire_done *done, const char *text, void *result, size_t size)
{
	struct rp_pool *pool = pool_by_id(done->pool);
	struct rp_future *future = NULL;

	if (!pool) {
		rp_free(result);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	future = find(pool, node, done->wire.id);
	if (future)
		end(pool, future, done, text, result, size);
	else
		rp_free(result);
	pool->pump(pool);
	pthread_mutex_unlock(&pool->lock);
	crew_tell_ended(pool->crew, pool->crew->fd);
}
