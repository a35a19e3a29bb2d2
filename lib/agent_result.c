/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_result.c - the results of a batch, as they are sent: straight from where the tasks wrote them when all went well. */
#include "agent_inner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_SIZE(note) (sizeof(struct wire_note) + (((note)->size + 1 + 7) & ~(size_t)7))

void *agent_batch_make(struct agent_batch *batch, size_t size)
{
	void *memory = arena_alloc(batch->arena, ARENA_MANAGER, size ? size : 1);

	if (memory)
		batch->made[batch->made_count++] = memory;
	return memory;
}

static void drop_input(struct agent_batch *batch)
{
	for (int i = 0; i < 2; i++) {
		arena_drop(batch->arena, batch->in_parts[i]);
		batch->in_parts[i] = NULL;
	}
}

void agent_batch_free(struct agent_batch *batch)
{
	for (uint32_t i = 0; batch->results && i < batch->left; i++)
		arena_drop(batch->arena, batch->results[i].data);
	for (int i = 0; i < batch->made_count; i++)
		arena_drop(batch->arena, batch->made[i]);
	drop_input(batch);
	free(batch->notes);
	free(batch);
}

static void free_sent(void *user)
{
	agent_batch_free(user);
}

static int is_good(const struct agent_batch *batch, uint32_t index)
{
	return batch->states[index] == RP_OK;
}

/* Results of one size: the good ones close up. */
static size_t close_up(struct agent_batch *batch, size_t size)
{
	uint32_t good = 0, end;

	for (uint32_t i = 0; i < batch->left; i = end) {
		for (end = i; end < batch->left && is_good(batch, end); end++)
			;
		if (end == i) {
			end++;
			continue;
		}
		memmove(batch->out + good * size, batch->out + i * size, (end - i) * size);
		good += end - i;
	}
	return good * size;
}

/* The size of each result, and of all of them in one piece; only: the one that there is, when there is but one. */
static size_t measure(struct agent_batch *batch, const struct rp_bytes **ret_only)
{
	size_t size = 0, end = 0, count = 0;

	for (uint32_t i = 0; i < batch->says.count; i++) {
		const struct rp_bytes *result = i < batch->left && is_good(batch, i) ? &batch->results[i] : NULL;

		batch->sizes[i] = WIRE_NONE;
		if (!result || !result->data)
			continue;
		batch->sizes[i] = result->size;
		end = size + result->size;
		size += WIRE_ALIGN(result->size);
		*ret_only = count++ ? NULL : result;
	}
	return end;
}

/* Results of any size in one piece.  -ENOMEM. */
static int pack(struct agent_batch *batch, struct rp_bytes *ret)
{
	const struct rp_bytes *only = NULL;
	size_t at = 0;
	char *data;

	ret->size = measure(batch, &only);
	ret->data = only ? only->data : NULL;
	if (!ret->size || only)
		return 0;
	ret->data = data = agent_batch_make(batch, ret->size);
	if (!data)
		return -ENOMEM;
	for (uint32_t i = 0; i < batch->left; i++) {
		if (batch->sizes[i] != WIRE_NONE) {
			memcpy(data + at, batch->results[i].data, batch->sizes[i]);
			at += WIRE_ALIGN(batch->sizes[i]);
		}
		arena_drop(batch->arena, batch->results[i].data);
		batch->results[i].data = NULL;
	}
	return 0;
}

/* One whose maker died before it set the state tells nothing. */
static int is_valid(const struct agent_batch *batch, const struct note *note, uint32_t first_bad)
{
	if (note->state != batch->states[note->index])
		return 0;
	return batch->map->says.outcomes || note->index == first_bad;
}

static uint32_t find_bad(const struct agent_batch *batch)
{
	uint32_t i = 0;

	while (i < batch->left && (is_good(batch, i) || batch->states[i] == WIRE_AWAY))
		i++;
	return i;
}

/* How many notes are sent.  Without memory for them the states alone tell. */
static uint32_t write_notes(struct agent_batch *batch, const struct note *notes, uint32_t first_rank, size_t *ret_size)
{
	uint32_t first_bad = find_bad(batch), count = 0;
	char *at;

	*ret_size = 0;
	for (const struct note *note = notes; note; note = note->next)
		if (is_valid(batch, note, first_bad))
			*ret_size += NOTE_SIZE(note);
	batch->notes = at = *ret_size ? calloc(1, *ret_size) : NULL;
	if (!at)
		*ret_size = 0;
	for (const struct note *note = notes; at && note; note = note->next) {
		struct wire_note *says = (void *)at;

		if (!is_valid(batch, note, first_bad))
			continue;
		*says = (struct wire_note){ .index = (uint32_t)(batch->says.begin + note->index), .code = note->code,
			                    .rank = note->rank < 0 ? -1 : note->rank + (int32_t)first_rank,
			                    .state = note->state,
			                    .size = note->size };
		memcpy(says + 1, note->text, note->size);
		at += NOTE_SIZE(note);
		count++;
	}
	return count;
}

void agent_drop_notes(struct arena *arena, struct note *note)
{
	for (struct note *next; note; note = next) {
		next = note->next;
		arena_drop(arena, note);
	}
}

/* The tasks are done and cannot be done again: without memory to send what they gave, they have failed. */
static void lose_results(struct agent_batch *batch, struct note *note, struct note **notes, const char *host)
{
	*note = (struct note){ .next = *notes, .code = -ENOMEM, .rank = -1, .state = RP_FAILED };
	note->size = (uint32_t)sprintf(note->text, "no memory on %.64s to send the results", host);
	*notes = note;
	for (uint32_t i = batch->left; i-- > 0;)
		if (is_good(batch, i)) {
			batch->states[i] = RP_FAILED;
			batch->sizes[i] = WIRE_NONE;
			note->index = i;
		}
}

static void send_result(struct agent *agent, struct agent_batch *batch, const struct note *notes, struct rp_bytes data,
                        int all_good)
{
	const struct agent_map *map = batch->map;
	uint32_t count = batch->says.count, first_rank = map->pool->crew->first_rank;
	struct wire_result result = { .wire = { .kind = WIRE_RESULT, .id = map->says.wire.id }, .batch = batch->says.batch,
		                      .all_good = (uint32_t)all_good };
	struct rp_bytes parts[5] = { 0 };

	result.notes = write_notes(batch, notes, first_rank, &parts[4].size);
	for (uint32_t i = 0; batch->ranks && i < batch->left; i++)
		if (batch->ranks[i] >= 0)
			batch->ranks[i] += (int32_t)first_rank;
	parts[0] = (struct rp_bytes){ (const void *)batch->states, all_good ? 0 : count };
	parts[1] = (struct rp_bytes){ batch->ranks, batch->ranks ? count * sizeof *batch->ranks : 0 };
	parts[2] = (struct rp_bytes){ batch->sizes, batch->sizes ? count * sizeof *batch->sizes : 0 };
	parts[3] = data;
	parts[4].data = batch->notes;
	agent_send(agent, &result, sizeof result, parts, 5, free_sent, batch);
}

void agent_result(struct agent *agent, struct agent_batch *batch, struct note *notes, int all_good)
{
	const struct wire_map *map = &batch->map->says;
	struct rp_bytes data = { 0 };
	_Alignas(struct note) char room[sizeof(struct note) + 160];
	struct note *own = (void *)room, *made = notes;

	drop_input(batch);
	if (batch->results && pack(batch, &data) < 0) {
		lose_results(batch, own, &notes, batch->map->pool->crew->host);
		data = (struct rp_bytes){ 0 };
		all_good = 0;
	} else if (batch->out) {
		data = (struct rp_bytes){ batch->out, batch->left * map->out_size };
		if (!all_good)
			data.size = close_up(batch, map->out_size);
	}
	send_result(agent, batch, notes, data, all_good);       /* the batch may be gone after it */
	agent_drop_notes(agent->arena, made);
}

void agent_refuse(struct agent *agent, const struct wire_batch *says, int code, const char *format, ...)
{
	struct wire_result result = { .wire = { .kind = WIRE_RESULT, .id = says->wire.id }, .batch = says->batch,
		                      .error = code };
	va_list list;

	va_start(list, format);
	vsnprintf(result.text, sizeof result.text, format, list);
	va_end(list);
	agent_send(agent, &result, sizeof result, NULL, 0, NULL, NULL);
}
