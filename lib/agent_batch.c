/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_batch.c - maps as they come to this node: batches of items, each a job of the crew.
 *
 * Two jobs of one map are open at the same time, so that workers that find nothing left in the one go on in the other while
 * the manager sends the next; what else has come waits in the pool's queue, where it can be given back at no cost.
 *
 * A job is what job.c says: it is opened, becomes quiet, is shut, and either every item has a state then or it is opened
 * again.  All of that happens here in one thread, and so does giving items back: an item that job_take gave has its state
 * WIRE_AWAY before anybody looks for lost ones. */
#include "agent_inner.h"

#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_OF_MAP 2

struct agent_map *agent_find_map(const struct agent *agent, uint64_t id)
{
	for (struct agent_pool *pool = agent->pools; pool; pool = pool->next)
		for (struct agent_map *map = pool->maps; map; map = map->next)
			if (map->says.wire.id == id)
				return map;
	return NULL;
}

static void free_map(struct agent_map *map)
{
	struct agent_map **at = &map->pool->maps;

	while (*at != map)
		at = &(*at)->next;
	*at = map->next;
	arena_drop(map->pool->crew->arena, map->arg);
	free(map);
}

/* The batch is no longer the map's; a map that is over goes with its last one. */
static void leave_map(struct agent_map *map)
{
	if (--map->batches == 0 && map->over)
		free_map(map);
}

void agent_map(struct agent *agent, struct letter *letter)
{
	const struct wire_map *says = &letter->says->map;
	struct agent_pool *pool = agent_pool(agent, says->pool);
	struct agent_map *map = pool ? calloc(1, sizeof *map) : NULL;

	if (!map)
		return;                         /* its batches are refused */
	map->pool = pool;
	map->says = *says;
	map->fn = (rp_task_fn *)(uintptr_t)agent_function(agent, says->function);
	map->missing = letter->missing;
	if (says->has_arg) {
		map->arg = letter->part[0];
		map->arg_size = letter->size[0];
		letter->part[0] = NULL;
	}
	map->next = pool->maps;
	pool->maps = map;
}

void agent_map_end(struct agent *agent, struct letter *letter)
{
	struct agent_map *map = agent_find_map(agent, letter->says->wire.id);

	if (!map)
		return;
	map->over = 1;
	map->pool->stir = 1;
	map->batches++;
	leave_map(map);
}

/* ---- beginning -------------------------------------------------------------------------------------------- */

void agent_batch(struct agent *agent, struct letter *letter)
{
	const struct wire_batch *says = &letter->says->batch;
	struct agent_map *map = agent_find_map(agent, says->wire.id);
	struct agent_batch *batch, **at;
	size_t size = letter->missing ? letter->missing : map ? map->missing : 0;

	if (map && agent_pool_is_over(map->pool))
		return;
	if (map && !map->fn) {
		agent_refuse(agent, says, -EPROTO, "a map with a function that was never named");
		return;
	}
	batch = map && !size ? calloc(1, sizeof *batch) : NULL;
	if (!batch) {
		agent_refuse(agent, says, -ENOMEM, "no memory for %zu bytes of a map", size);
		return;
	}
	batch->arena = agent->arena;
	batch->says = *says;
	batch->left = says->count;
	batch->map = map;
	for (int i = 0; i < 2; i++) {
		batch->in_parts[i] = letter->part[i];
		batch->in_sizes[i] = letter->size[i];
		letter->part[i] = NULL;
	}
	map->batches++;
	map->pool->stir = 1;
	for (at = &map->pool->queue; *at; at = &(*at)->next)
		;
	*at = batch;
}

/* Items of any size lie one after the other.  -EPROTO: not all of them do. */
static int find_items(struct agent_batch *batch)
{
	const uint64_t *sizes = batch->in_parts[0];
	char *data = batch->in_parts[1];
	size_t at = 0;

	if (batch->in_sizes[0] != batch->says.count * sizeof *sizes)
		return -EPROTO;
	batch->in_bytes = agent_batch_make(batch, batch->left * sizeof *batch->in_bytes);
	if (!batch->in_bytes)
		return -ENOMEM;
	for (uint32_t i = 0; i < batch->left; i++) {
		batch->in_bytes[i] = (struct rp_bytes){ 0 };
		if (sizes[i] == WIRE_NONE)
			continue;
		if (at > batch->in_sizes[1] || sizes[i] > batch->in_sizes[1] - at)
			return -EPROTO;
		/* Nothing, at an address. */
		batch->in_bytes[i].data = data ? data + at : (const char *)batch->in_bytes;
		batch->in_bytes[i].size = sizes[i];
		at += WIRE_ALIGN(sizes[i]);
	}
	return 0;
}

static int find_input(struct agent_batch *batch)
{
	const struct wire_map *map = &batch->map->says;

	if (!map->has_in)
		return 0;
	if (map->bytes_in)
		return find_items(batch);
	return batch->in_sizes[0] == batch->says.count * map->in_size ? 0 : -EPROTO;
}

/* Everything that workers write to.  -ENOMEM. */
static int make_books(struct agent_batch *batch)
{
	const struct wire_map *map = &batch->map->says;
	uint32_t count = batch->says.count;

	batch->states = agent_batch_make(batch, count);
	if (!batch->states)
		return -ENOMEM;
	memset((void *)batch->states, RP_PENDING, batch->left);
	memset((void *)(batch->states + batch->left), WIRE_AWAY, count - batch->left);
	if (map->outcomes) {
		batch->ranks = agent_batch_make(batch, count * sizeof *batch->ranks);
		if (!batch->ranks)
			return -ENOMEM;
		memset(batch->ranks, 0xff, count * sizeof *batch->ranks);
	}
	if (map->has_out && map->bytes_out) {
		batch->sizes = agent_batch_make(batch, count * sizeof *batch->sizes);
		batch->results = agent_batch_make(batch, batch->left * sizeof *batch->results);
		if (!batch->results)
			return -ENOMEM;
		memset(batch->results, 0, batch->left * sizeof *batch->results);
		return batch->sizes ? 0 : -ENOMEM;
	}
	if (map->has_out)
		batch->out = agent_batch_make(batch, batch->left * map->out_size);
	return batch->out || !map->has_out ? 0 : -ENOMEM;
}

static void open_job(struct agent_batch *batch, uint32_t number)
{
	const struct agent_map *map = batch->map;
	struct agent_pool *pool = map->pool;
	struct job *job = &pool->crew->jobs[number];

	job->fn = map->fn;
	job->count = batch->left;
	job->chunk = map->says.chunk > batch->left ? batch->left : map->says.chunk;
	job->check = 0;
	job->notes_for_all = map->says.outcomes;
	job->base = batch->says.base + batch->says.begin;
	job->in = map->says.has_in && !map->says.bytes_in ? batch->in_parts[0] : NULL;
	job->in_size = job->in ? map->says.in_size : 0;
	job->in_bytes = batch->in_bytes;
	job->out = batch->out;
	job->out_size = batch->out ? map->says.out_size : 0;
	job->out_bytes = batch->results;
	job->states = batch->states;
	job->ranks = batch->ranks;
	job->arg = map->arg;
	job->arg_size = map->arg_size;
	job->seed = map->says.seed;
	atomic_store(&job->first_bad, UINT64_MAX);
	atomic_store(&job->notes, NULL);
	batch->serial = ++pool->serial;
	pool->running[number] = batch;
	job_open(pool->crew, number, batch->serial, 0, batch->left);
}

/* number: of a free job; -1 for a batch of which nothing is left, which needs none. */
static void begin_batch(struct agent *agent, struct agent_batch *batch, int number)
{
	struct agent_map *map = batch->map;
	int r = find_input(batch);

	if (r == 0)
		r = make_books(batch);
	if (r == 0 && batch->left) {
		open_job(batch, (uint32_t)number);
		return;
	}
	if (r == 0) {
		agent_result(agent, batch, NULL, !batch->given);
	} else {
		agent_refuse(agent, &batch->says, r, r == -EPROTO ? "items that are not as large as they should be (%u)" :
		                                                    "no memory to run %u items", batch->says.count);
		agent_batch_free(batch);
	}
	leave_map(map);
}

static int jobs_of(const struct agent_map *map)
{
	int count = 0;

	for (uint32_t i = 0; i < CREW_JOBS; i++)
		count += map->pool->running[i] && map->pool->running[i]->map == map;
	return count;
}

static int free_job(const struct agent_pool *pool)
{
	for (int i = 0; i < (int)CREW_JOBS; i++)
		if (!pool->running[i])
			return i;
	return -1;
}

/* What may begin does, in the order in which it came. */
static int begin_queued(struct agent *agent, struct agent_pool *pool)
{
	struct agent_batch **at = &pool->queue, *batch;
	int happened = 0;

	while ((batch = *at)) {
		int number = free_job(pool), over = batch->map->over;

		if (!over && batch->left && (number < 0 || jobs_of(batch->map) >= JOBS_OF_MAP)) {
			at = &batch->next;
			continue;
		}
		*at = batch->next;
		happened++;
		if (over) {
			struct agent_map *map = batch->map;

			agent_batch_free(batch);
			leave_map(map);
		} else {
			begin_batch(agent, batch, number);
		}
	}
	return happened;
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

/* One step of a job, if there is one to be made. */
static int move_on(struct agent *agent, struct agent_pool *pool, uint32_t number)
{
	struct agent_batch *batch = pool->running[number];
	struct job *job = &pool->crew->jobs[number];
	struct agent_map *map = batch->map;
	struct note *notes;
	uint32_t begin = 0, span;

	if (!batch->shut && !map->over && !job_quiet(pool->crew, number))
		return 0;
	batch->shut = 1;
	if (!job_shut(pool->crew, number))
		return 0;
	span = map->over ? 0 : job_lost(batch->states, batch->left, &begin);
	if (span) {
		job->check = 1;
		batch->shut = 0;
		job_open(pool->crew, number, ++pool->serial, begin, begin + span);
		return 1;
	}
	pool->running[number] = NULL;
	notes = atomic_exchange(&job->notes, NULL);
	if (map->over) {
		agent_drop_notes(agent->arena, notes);
		agent_batch_free(batch);
	} else {
		agent_result(agent, batch, notes, !batch->given && atomic_load(&job->first_bad) == UINT64_MAX);
	}
	leave_map(map);
	return 1;
}

/* In a pool that is over nothing is begun and nothing can end well. */
int agent_batches_look(struct agent *agent, struct agent_pool *pool)
{
	int happened = 0;

	if (agent_pool_is_over(pool))
		return 0;
	for (uint32_t i = 0; i < CREW_JOBS; i++)
		if (pool->running[i])
			happened += move_on(agent, pool, i);
	return happened + begin_queued(agent, pool);
}

int agent_batches_left(const struct agent_pool *pool)
{
	for (uint32_t i = 0; i < CREW_JOBS; i++)
		if (pool->running[i])
			return 1;
	return pool->queue != NULL;
}

void agent_batches_free(struct agent_pool *pool)
{
	struct agent_batch *batch;

	for (uint32_t i = 0; i < CREW_JOBS; i++)
		if (pool->running[i]) {
			agent_drop_notes(pool->crew->arena, atomic_exchange(&pool->crew->jobs[i].notes, NULL));
			agent_batch_free(pool->running[i]);
		}
	while ((batch = pool->queue)) {
		pool->queue = batch->next;
		agent_batch_free(batch);
	}
	while (pool->maps)
		free_map(pool->maps);
}
