/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_take.c - giving items back that nobody has begun, for another node to run them. */
#include "agent_inner.h"

#include "job.h"

#include <stdlib.h>
#include <string.h>

#define GIVEN_MOST 128                          /* ranges in one message; what is left is asked for again */

struct given {
	struct wire_range range[GIVEN_MOST];
	uint32_t count;
	uint32_t wanted;                        /* items, still */
};

/* 0: there is no room for another range. */
static int add(struct given *given, uint32_t begin, uint32_t end)
{
	struct wire_range *last = given->count ? &given->range[given->count - 1] : NULL;

	if (last && last->begin == end)
		last->begin = begin;
	else if (last && last->end == begin)
		last->end = end;
	else if (given->count == GIVEN_MOST)
		return 0;
	else
		given->range[given->count++] = (struct wire_range){ begin, end };
	given->wanted -= end - begin;
	return 1;
}

/* The last batch of the map that waits and has something that `wanted` allows to be given; the share that stays. */
static struct agent_batch *last_queued(const struct agent_map *map, uint32_t wanted, uint32_t *ret_stays)
{
	struct agent_batch *last = NULL;

	for (struct agent_batch *batch = map->pool->queue; batch; batch = batch->next) {
		uint64_t chunk = map->says.chunk ? map->says.chunk : 1;
		uint64_t stays = batch->left > wanted ? (batch->left - wanted + chunk - 1) / chunk * chunk : 0;

		if (batch->map != map || stays >= batch->left)
			continue;
		last = batch;
		*ret_stays = (uint32_t)stays;
	}
	return last;
}

static void give_queued(const struct agent_map *map, struct given *given)
{
	struct agent_batch *batch;
	uint32_t stays = 0;

	while (given->wanted && (batch = last_queued(map, given->wanted, &stays))) {
		uint32_t begin = batch->says.begin;

		if (!add(given, begin + stays, begin + batch->left))
			return;
		batch->left = stays;
		batch->given = 1;
	}
}

/* Items that were taken from a job: those without a state are away now.  What finds no room in the message keeps none, and
 * is lost and found again. */
static void give_taken(struct agent_batch *batch, uint32_t begin, uint32_t end, struct given *given)
{
	uint32_t from, to;

	for (from = begin; from < end; from = to + 1) {
		for (to = from; to < end && batch->states[to] == RP_PENDING; to++)
			;
		if (to == from)
			continue;
		if (!add(given, batch->says.begin + from, batch->says.begin + to))
			return;
		memset((void *)(batch->states + from), WIRE_AWAY, to - from);
		batch->given = 1;
	}
}

static void give_running(const struct agent_map *map, struct given *given)
{
	struct agent_pool *pool = map->pool;

	/* The newest job first. */
	for (uint64_t below = UINT64_MAX; given->wanted && given->count < GIVEN_MOST;) {
		uint32_t number = CREW_JOBS, begin = 0, count;

		for (uint32_t i = 0; i < CREW_JOBS; i++) {
			const struct agent_batch *batch = pool->running[i];

			if (batch && batch->map == map && batch->serial < below &&
			    (number == CREW_JOBS || batch->serial > pool->running[number]->serial))
				number = i;
		}
		if (number == CREW_JOBS)
			return;
		below = pool->running[number]->serial;
		while (given->wanted && given->count < GIVEN_MOST &&
		       (count = job_take(pool->crew, number, given->wanted, &begin)))
			give_taken(pool->running[number], begin, begin + count, given);
	}
}

void agent_take(struct agent *agent, struct letter *letter)
{
	const struct wire_take *says = &letter->says->take;
	struct agent_map *map = agent_find_map(agent, says->wire.id);
	struct wire_given answer = { .wire = { WIRE_GIVEN, says->wire.call, says->wire.id } };
	struct given *given = map && !agent_pool_is_over(map->pool) ? malloc(sizeof *given) : NULL;

	if (!given) {
		agent_send(agent, &answer, sizeof answer, NULL, 0, NULL, NULL);
		return;
	}
	given->count = 0;
	given->wanted = says->most;
	give_queued(map, given);
	give_running(map, given);
	map->pool->stir = 1;
	answer.count = given->count;
	agent_send(agent, &answer, sizeof answer,
	           &(struct rp_bytes){ given->range, given->count * sizeof *given->range }, 1, free, given);
}
