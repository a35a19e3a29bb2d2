/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_nodes.c - a pool's workers on other nodes: opened, asked, ended by messages to their agents.
 *
 * The hub's thread finds a pool by its number among the living.  It may use it without a lock for as long as it is called:
 * before a pool goes, its handle's owner asks the nodes to forget it, and it is the hub's thread that brings the answers. */
#include "pool_nodes.h"

#include "context.h"
#include "hub.h"
#include "spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct pool_node *add_node(struct rp_pool *pool, int node, uint32_t first_rank, uint32_t workers)
{
	struct pool_node *added = &pool->nodes[pool->node_count++];

	*added = (struct pool_node){ .node = node, .first_rank = first_rank, .workers = workers };
	added->host = hub_node(pool->hub, node)->host;
	return added;
}

int pool_spread(struct rp_pool *pool, struct hub *hub, const struct rp_pool_options *options, uint32_t *ret_here,
                struct rp_error *err)
{
	int nodes = hub_nodes(hub);
	uint32_t *workers = calloc((size_t)nodes, sizeof *workers), first;
	int64_t sum;

	pool->nodes = calloc((size_t)nodes, sizeof *pool->nodes);
	if (!workers || !pool->nodes) {
		free(workers);
		return error_set(err, -ENOMEM, "out of memory");
	}
	sum = spread(hub, options, workers, err);
	if (sum > 0) {
		pool->hub = hub;
		pool->id = hub_number(hub);
		pool->workers = (uint32_t)sum;
		*ret_here = first = workers[0];
		for (int i = 1; i < nodes; i++) {
			if (workers[i])
				add_node(pool, i, first, workers[i]);
			first += workers[i];
		}
	}
	free(workers);
	return sum < 0 ? (int)sum : 0;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

int pool_name_functions(struct rp_pool *pool, const struct rp_pool_options *o, struct rp_error *err)
{
	int64_t init = o->init ? hub_function(pool->hub, (void *)o->init, err) : 0, end;

	if (init < 0)
		return (int)init;
	end = o->exit ? hub_function(pool->hub, (void *)o->exit, err) : 0;
	pool->init = (uint32_t)init;
	pool->exit = (uint32_t)end;
	return end < 0 ? (int)end : 0;
}

/* 0, or what the first node that refused has said. */
static int gather(struct rp_pool *pool, struct hub_call *calls, struct rp_error *err)
{
	int r = 0;

	for (int i = 0; i < pool->node_count; i++) {
		struct pool_node *node = &pool->nodes[i];
		struct hub_answer *answer = &calls[i].answer;
		int64_t result = hub_await(&calls[i]);

		node->infos = answer->data;
		if (result < 0 && r == 0)
			r = error_set(err, (int)result, "node %d (%s): %.400s", node->node, node->host, answer->text);
		else if (r == 0 && answer->size != node->workers * sizeof *node->infos)
			r = error_set(err, -EPROTO, "node %d (%s): an answer of a wrong size", node->node, node->host);
	}
	return r;
}

int pool_open_nodes(struct rp_pool *pool, const struct rp_pool_options *o, struct rp_error *err)
{
	struct hub_call *calls = calloc((size_t)pool->node_count, sizeof *calls);
	struct rp_bytes parts[2] = { { NULL, 0 }, { o->init_arg, o->init_arg_size } };
	struct wire_pool message;
	int r = calls ? spread_message(&message, &parts[0], o) : -ENOMEM;

	if (r < 0) {
		free(calls);
		return error_set(err, r, "out of memory");
	}
	message.wire.kind = WIRE_OPEN;
	message.wire.id = pool->id;
	message.size = pool->workers;
	message.init = pool->init;
	message.exit = pool->exit;
	for (int i = 0; i < pool->node_count; i++) {
		message.workers = pool->nodes[i].workers;
		message.first_rank = pool->nodes[i].first_rank;
		hub_ask(pool->hub, &calls[i], pool->nodes[i].node, &message, sizeof message, parts, 2);
	}
	r = gather(pool, calls, err);
	atomic_store(&pool->staying, (uint32_t)pool->node_count);
	if (r < 0)
		pool_close_nodes(pool);
	free((void *)(uintptr_t)parts[0].data);
	free(calls);
	return r;
}

/* ---- ending ---------------------------------------------------------------------------------------------- */

static void left(void *user, struct hub_answer *answer)
{
	uint64_t *id = user;
	struct rp_pool *pool = pool_by_id(*id);

	free(answer->data);
	free(id);
	if (!pool)
		return;
	atomic_fetch_sub(&pool->staying, 1);
	crew_tell(pool->crew);
}

/* Workers leave once, so only the first to tell them is answered; those that are leaving may still be killed, once. */
void pool_leave_nodes(struct rp_pool *pool, int how)
{
	struct wire_stop message = { .wire = { .kind = WIRE_STOP, .id = pool->id }, .how = (uint32_t)how };
	uint32_t step = how == WIRE_KILL ? 2 : 1, before = atomic_load(&pool->leaving);

	if (!pool->hub)
		return;
	while (before < step && !atomic_compare_exchange_weak(&pool->leaving, &before, step))
		;
	for (int i = 0; before < step && i < pool->node_count; i++) {
		uint64_t *id = before ? NULL : malloc(sizeof *id);

		if (id)
			*id = pool->id;
		if (hub_post(pool->hub, pool->nodes[i].node, &message, sizeof message, NULL, 0, id ? left : NULL, id) == 0 &&
		    id)
			continue;
		free(id);
		if (!before)
			atomic_fetch_sub(&pool->staying, 1);
	}
}

/* Without memory for all questions at a time one after the other: the answers have to be waited for. */
void pool_close_nodes(struct rp_pool *pool)
{
	const struct wire_stop message = { .wire = { .kind = WIRE_STOP, .id = pool->id }, .how = WIRE_FREE };
	struct hub_call *calls = pool->hub ? calloc((size_t)pool->node_count + 1, sizeof *calls) : NULL, one;

	for (int i = 0; pool->hub && i < pool->node_count; i++) {
		struct hub_call *call = calls ? &calls[i] : &one;

		hub_ask(pool->hub, call, pool->nodes[i].node, &message, sizeof message, NULL, 0);
		if (!calls && hub_await(call))
			free(call->answer.data);
	}
	for (int i = 0; calls && i < pool->node_count; i++) {
		hub_await(&calls[i]);
		free(calls[i].answer.data);
	}
	free(calls);
	atomic_store(&pool->staying, 0);
}

/* ---- asking ---------------------------------------------------------------------------------------------- */

static struct pool_node *find_node(const struct rp_pool *pool, int rank)
{
	for (int i = 0; i < pool->node_count; i++)
		if ((uint32_t)rank >= pool->nodes[i].first_rank &&
		    (uint32_t)rank - pool->nodes[i].first_rank < pool->nodes[i].workers)
			return &pool->nodes[i];
	return NULL;
}

int pool_node_of(const struct rp_pool *pool, int rank)
{
	const struct pool_node *node = rank < 0 ? NULL : find_node(pool, rank);

	return rank < 0 ? -1 : node ? node->node : 0;
}

const char *pool_host_of(const struct rp_pool *pool, int rank)
{
	const struct pool_node *node = rank < 0 ? NULL : find_node(pool, rank);

	return node ? node->host : pool->crew->host;
}

void pool_node_worker(const struct rp_pool *pool, int rank, struct rp_worker_info *ret)
{
	const struct pool_node *node = find_node(pool, rank);
	struct wire_info message = { .wire = { .kind = WIRE_INFO, .id = pool->id } };
	struct hub_call call;

	message.slot = (uint32_t)rank - node->first_rank;
	*ret = node->infos[message.slot];
	if (!pool->hub || pool_is_over(pool))
		return;
	hub_ask(pool->hub, &call, node->node, &message, sizeof message, NULL, 0);
	if (hub_await(&call) > 0 && call.answer.size == sizeof *ret)
		memcpy(ret, call.answer.data, sizeof *ret);
	free(call.answer.data);
}

/* ---- the hub's thread ------------------------------------------------------------------------------------ */

struct rp_pool *pool_by_id(uint64_t id)
{
	struct rp_pool *pool;

	context_lock();
	for (pool = context_get()->pools; pool && !(pool->hub && pool->id == id); pool = pool->next)
		;
	context_unlock();
	return pool;
}

void pool_node_broken(uint64_t id, int node, const char *reason)
{
	struct rp_pool *pool = pool_by_id(id);

	if (!pool)
		return;
	crew_break(pool->crew, "%s (node %d)", reason, node);
	crew_tell(pool->crew);
}

static int has_node(const struct rp_pool *pool, int node)
{
	for (int i = 0; i < pool->node_count; i++)
		if (pool->nodes[i].node == node)
			return 1;
	return 0;
}

void pool_node_lost(int node, const char *why)
{
	context_lock();
	for (struct rp_pool *pool = context_get()->pools; pool; pool = pool->next)
		if (pool->hub && has_node(pool, node)) {
			crew_break(pool->crew, "%s", why);
			crew_tell(pool->crew);
		}
	context_unlock();
}

/* What was submitted and waits for a worker need not wait for the program's next call. */
void pool_tick(void)
{
	context_lock();
	for (struct rp_pool *pool = context_get()->pools; pool; pool = pool->next) {
		if (!pool->hub || pthread_mutex_trylock(&pool->lock))
			continue;
		if (pool->first && pool->pump)
			pool->pump(pool);
		pthread_mutex_unlock(&pool->lock);
	}
	context_unlock();
}
