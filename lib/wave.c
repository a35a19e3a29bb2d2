/* SPDX-License-Identifier: BSD-3-Clause */
/* wave.c - a part of a map that fits in one job. */
#include "wave.h"

#include "copy.h"
#include "job.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *make(const struct map *map, struct wave *wave, size_t size)
{
	void *memory = arena_alloc(map->pool->arena, ARENA_MANAGER, size ? size : 1);

	if (memory)
		wave->made[wave->made_count++] = memory;
	return memory;
}

/* Whether the workers of this node, if there are any, find it where it is. */
static int is_in_reach(const struct map *map, const void *memory, size_t size)
{
	return !map->pool->crew->size || pool_reaches(map->pool, memory, size);
}

static void *ship(const struct map *map, struct wave *wave, const void *from, size_t size)
{
	void *memory;

	if (!from || is_in_reach(map, from, size))
		return (void *)(uintptr_t)from;
	memory = make(map, wave, size);
	if (memory)
		copy_large(memory, from, size, map->pool->crew->spinners + 1);
	return memory;
}

/* Items of any size: one block holds those that the workers cannot reach, each aligned to 64. */
static const struct rp_bytes *ship_items(const struct map *map, struct wave *wave)
{
	const struct rp_bytes *in = (const struct rp_bytes *)map->in + wave->base;
	struct rp_bytes *items = make(map, wave, wave->count * sizeof *items);
	size_t size = 0;
	char *block;

	if (!items)
		return NULL;
	for (uint32_t i = 0; i < wave->count; i++)
		if (!is_in_reach(map, in[i].data, in[i].size))
			size += WAVE_ALIGN(in[i].size ? in[i].size : 1);
	block = size ? make(map, wave, size) : NULL;
	if (size && !block)
		return NULL;
	for (uint32_t i = 0; i < wave->count; i++) {
		items[i] = in[i];
		if (!in[i].data || is_in_reach(map, in[i].data, in[i].size))
			continue;
		items[i].data = memcpy(block, in[i].data, in[i].size);
		block += WAVE_ALIGN(in[i].size ? in[i].size : 1);
	}
	return items;
}

static int ship_in(const struct map *map, struct wave *wave)
{
	if (!map->in)
		return 0;
	if (map->bytes) {
		wave->in_bytes = ship_items(map, wave);
		return wave->in_bytes ? 0 : -ENOMEM;
	}
	wave->in = ship(map, wave, (const char *)map->in + wave->base * map->in_size, wave->count * map->in_size);
	return wave->in ? 0 : -ENOMEM;
}

static int make_out(const struct map *map, struct wave *wave)
{
	char *out;

	if (!map->out)
		return 0;
	if (map->bytes) {
		wave->results = make(map, wave, wave->count * sizeof *wave->results);
		if (!wave->results)
			return -ENOMEM;
		memset(wave->results, 0, wave->count * sizeof *wave->results);
		return 0;
	}
	out = (char *)map->out + wave->base * map->out_size;
	/* A failed task may have written: what it wrote stays out of plain memory, also where threads could reach that. */
	if (!map->pool->crew->size || runtime_holds(out, wave->count * map->out_size))
		wave->out = out;
	else
		wave->out = make(map, wave, wave->count * map->out_size);
	return wave->out ? 0 : -ENOMEM;
}

static int make_books(const struct map *map, struct wave *wave)
{
	wave->states = make(map, wave, wave->count);
	if (!wave->states)
		return -ENOMEM;
	memset((void *)wave->states, 0, wave->count);
	if (map->options.outcomes) {
		wave->ranks = make(map, wave, wave->count * sizeof *wave->ranks);
		if (!wave->ranks)
			return -ENOMEM;
		memset(wave->ranks, 0xff, wave->count * sizeof *wave->ranks);
	}
	wave->arg = ship(map, wave, map->options.arg, map->options.arg_size);
	return !map->options.arg || wave->arg ? 0 : -ENOMEM;
}

int wave_prepare(const struct map *map, struct wave *wave, struct rp_error *err)
{
	int r = ship_in(map, wave);

	if (r == 0)
		r = make_out(map, wave);
	if (r == 0)
		r = make_books(map, wave);
	if (r < 0)
		error_set(err, r, "%s: no memory to share %u items (%zu bytes in, %zu out) with the workers", map->what,
		          wave->count, wave->count * map->in_size, wave->count * map->out_size);
	return r;
}

void wave_clean(const struct map *map, struct wave *wave)
{
	for (int i = 0; i < wave->made_count; i++)
		arena_drop(map->pool->arena, wave->made[i]);
}

/* ---- results ---------------------------------------------------------------------------------------------- */

static struct note **sort_notes(struct wave *wave)
{
	struct note **by_item = calloc(wave->count, sizeof *by_item);

	for (struct note *note = wave->notes; by_item && note; note = note->next)
		if (note->state == wave->states[note->index])   /* not one whose maker died before it set the state */
			by_item[note->index] = note;
	return by_item;
}

static struct note *find_note(const struct wave *wave, uint32_t index)
{
	struct note *note = wave->notes;

	while (note && (note->index != index || note->state != wave->states[index]))
		note = note->next;
	return note;
}

static int rank_of(int state, int rank)
{
	return state == RP_CANCELLED ? -1 : rank;
}

/* What the map as a whole says of a bad item. */
static void count_bad(struct map *map, struct wave *wave, uint32_t index, int state)
{
	static const int severity[] = {
		[RP_CANCELLED] = 1, [RP_FAILED] = 2, [RP_TIMED_OUT] = 3, [RP_DIED] = 4, [RP_OK] = 0
	};

	if (!map->bad++) {
		struct note *note = find_note(wave, index);

		map->first_bad = wave->base + index;
		pool_fill_outcome(map->pool, &map->first_outcome, state, note ? note->rank : -1, note);
		snprintf(map->first_text, sizeof map->first_text, "%s", map->first_outcome.text);
		map->first_outcome.text = map->first_text;
	}
	if (severity[state] > severity[map->worst])
		map->worst = state;
}

/* Items that were not run, or were killed with their pool, are cancelled. */
static int final_state(int state)
{
	return state == JOB_FAR ? RP_OK : state == RP_PENDING || state == JOB_AWAY ? RP_CANCELLED : state;
}

/* The first from there on that has another state.  Eight at a time: most are RP_OK. */
static uint32_t next_other(const uint8_t *states, uint32_t from, uint32_t count, uint8_t state)
{
	uint64_t eight;

	while (from < count) {
		if (from + 8 <= count) {
			memcpy(&eight, states + from, 8);
			if (eight == state * UINT64_C(0x0101010101010101)) {
				from += 8;
				continue;
			}
		}
		if (states[from] != state)
			return from;
		from++;
	}
	return count;
}

static void deliver(struct map *map, struct wave *wave, uint32_t begin, uint32_t end)
{
	char *out = map->out && !map->bytes ? (char *)map->out + wave->base * map->out_size : NULL;

	if (out && wave->out != out)
		copy_large(out + begin * map->out_size, wave->out + begin * map->out_size, (end - begin) * map->out_size,
		           map->pool->crew->spinners + 1);
	if (wave->results)
		memcpy((struct rp_bytes *)map->out + wave->base + begin, wave->results + begin,
		       (end - begin) * sizeof *wave->results);
}

static void settle_bad(struct map *map, struct wave *wave, uint32_t index, int state)
{
	count_bad(map, wave, index, state);
	if (wave->results) {
		arena_drop(map->pool->arena, wave->results[index].data);
		((struct rp_bytes *)map->out)[wave->base + index] = (struct rp_bytes){ 0 };
	}
}

/* Hands the results of a wave over, in runs of good items; what another node has done is where it belongs already. */
static void harvest(struct map *map, struct wave *wave)
{
	const uint8_t *states = (const uint8_t *)wave->states;
	uint32_t begin = 0, end;

	while (begin < wave->count) {
		end = wave->all_good ? wave->count : next_other(states, begin, wave->count, RP_OK);
		deliver(map, wave, begin, end);
		begin = end == wave->count ? end : next_other(states, end, wave->count, JOB_FAR);
		if (begin < wave->count && begin == end)
			settle_bad(map, wave, begin++, final_state(states[end]));
	}
}

/* Outcomes point to the notes' texts; without outcomes nobody does. */
static void settle_notes(struct map *map, struct wave *wave)
{
	struct note *note = wave->notes, *next;

	pthread_mutex_lock(&map->pool->lock);
	for (; note; note = next) {
		next = note->next;
		if (map->options.outcomes)
			pool_link_note(map->pool, note);
		else
			arena_drop(map->pool->arena, note);
	}
	pthread_mutex_unlock(&map->pool->lock);
}

static void fill_outcomes(struct map *map, struct wave *wave, struct note **by_item)
{
	struct rp_outcome *outcomes = map->options.outcomes + wave->base;

	for (uint32_t i = 0; i < wave->count; i++) {
		int state = final_state(wave->states[i]);
		struct note *note = state == RP_CANCELLED ? NULL : by_item ? by_item[i] : find_note(wave, i);

		if (note)
			pool_stamp_note(map->pool, note);
		pool_fill_outcome(map->pool, &outcomes[i], state, rank_of(state, wave->ranks[i]), note);
	}
}

void wave_finish(struct map *map, struct wave *wave)
{
	harvest(map, wave);
	if (map->options.outcomes) {
		struct note **by_item = wave->notes ? sort_notes(wave) : NULL;

		fill_outcomes(map, wave, by_item);
		free(by_item);
	}
	settle_notes(map, wave);
}

/* A map that was cut short has not even begun its later waves. */
void wave_cancel(struct map *map, struct wave *wave)
{
	for (uint32_t i = 0; i < wave->count; i++) {
		settle_bad(map, wave, i, RP_CANCELLED);
		if (map->options.outcomes)
			pool_fill_outcome(map->pool, &map->options.outcomes[wave->base + i], RP_CANCELLED, -1, NULL);
	}
}
