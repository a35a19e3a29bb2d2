/* SPDX-License-Identifier: BSD-3-Clause */
/* map_share.c - a wave of a map on several nodes. */
#include "map_share.h"

#include "clock.h"
#include "share.h"

#include <errno.h>
#include <stdlib.h>

/* Fixed-size arrays are read and written where the caller has them: MPI does the only copy. */
static void fill(struct share *share, const struct map *map, const struct wave *wave)
{
	const struct rp_pool *pool = map->pool;

	share->pool = pool->id;
	share->crew = pool->crew;
	share->function = map->function;
	share->chunk = map->options.chunk > wave->count ? wave->count : (uint32_t)map->options.chunk;
	share->base = wave->base;
	share->count = wave->count;
	if (map->bytes && map->in) {
		share->in_bytes = (const struct rp_bytes *)map->in + wave->base;
	} else if (map->in) {
		share->in = (const char *)map->in + wave->base * map->in_size;
		share->in_size = map->in_size;
	}
	if (!map->bytes && map->out) {
		share->out = (char *)map->out + wave->base * map->out_size;
		share->out_size = map->out_size;
	}
	share->out_bytes = wave->results;
	share->states = wave->states;
	share->ranks = wave->ranks;
	share->arg = map->options.arg;
	share->arg_size = map->options.arg_size;
	share->seed = map->options.seed;
}

int map_begin_share(const struct map *map, struct wave *wave, uint32_t number, struct rp_error *err)
{
	const struct rp_pool *pool = map->pool;
	size_t nodes = (size_t)pool->node_count;
	struct share *share = calloc(1, sizeof *share + nodes * sizeof *share->nodes);
	int r;

	if (!share)
		return error_set(err, -ENOMEM, "%s: out of memory", map->what);
	share->hub = pool->hub;
	share->number = number;
	share->nodes = (struct share_node *)(share + 1);
	share->node_count = pool->node_count;
	for (size_t i = 0; i < nodes; i++)
		share->nodes[i] = (struct share_node){ .node = pool->nodes[i].node, .workers = pool->nodes[i].workers };
	fill(share, map, wave);
	r = share_begin(share, err);
	if (r < 0)
		free(share);
	else
		wave->share = share;
	return r;
}

void map_open_share(const struct wave *wave)
{
	if (wave->share)
		share_open(wave->share);
}

void map_shut_share(const struct wave *wave)
{
	if (wave->share)
		share_shut(wave->share);
}

int map_await_share(const struct map *map, const struct wave *wave)
{
	struct share *share = wave->share;

	if (!share)
		return 0;
	for (;;) {
		uint32_t seen = pool_ended(map->pool), away = atomic_load(&share->away);

		if (atomic_exchange(&share->returned, 0) || pool_is_over(map->pool))
			return 1;
		if (!away)
			return 0;
		share_want(share);
		pool_wait(map->pool, seen, CLOCK_NEVER);
	}
}

void map_end_share(const struct wave *wave)
{
	if (wave->share)
		share_end(wave->share);
}
