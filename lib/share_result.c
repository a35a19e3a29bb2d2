/* SPDX-License-Identifier: BSD-3-Clause */
/* share_result.c - what comes back from other nodes. */
#include "share_inner.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct share_batch *find_batch(struct share_node *node, uint64_t id)
{
	struct share_batch *batch = node->list;

	while (batch && batch->id != id)
		batch = batch->next;
	return batch;
}

/* Where the results of a good batch belong they are received at once; all else is looked at first. */
static int is_direct(const struct share *share, const struct wire_result *result, const struct share_batch *batch,
                     size_t size)
{
	return result->all_good && share->out && size == batch->count * share->out_size;
}

void share_begin_message(struct hub_activity *activity, int number, const void *header, const size_t *sizes, int parts,
                         void **into)
{
	struct share *share = (struct share *)activity;
	const struct wire_result *result = header;
	struct share_node *node = share_node_of(share, number);
	struct share_batch *batch;

	if (!node || share->ending)
		return;
	if (result->wire.kind == WIRE_GIVEN) {
		into[0] = parts ? malloc(sizes[0]) : NULL;
		return;
	}
	batch = find_batch(node, result->batch);
	for (int i = 0; batch && i < parts; i++) {
		if (i == 3 && is_direct(share, result, batch, sizes[i])) {
			into[i] = share->out + batch->begin * share->out_size;
			node->receiving++;
		} else if (sizes[i]) {
			into[i] = malloc(sizes[i]);
		}
	}
}

static int settle_bytes(struct share *share, const struct share_batch *batch, const uint64_t *sizes, const char *data)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		char *result;

		if (sizes[i] == WIRE_NONE)
			continue;
		result = arena_alloc(share->crew->arena, ARENA_MANAGER, sizes[i] + 1);
		if (!result)
			return -ENOMEM;
		if (sizes[i])
			memcpy(result, data, sizes[i]);
		result[sizes[i]] = 0;
		share->out_bytes[batch->begin + i] = (struct rp_bytes){ result, sizes[i] };
		data += WIRE_ALIGN(sizes[i]);
	}
	return 0;
}

static void settle_fixed(struct share *share, const struct share_batch *batch, const uint8_t *states, const char *data)
{
	for (uint32_t i = 0; i < batch->count; i++)
		if (states[i] == RP_OK) {
			memcpy(share->out + (batch->begin + i) * share->out_size, data, share->out_size);
			data += share->out_size;
		}
}

/* The notes of bad items become notes of the local job. */
static void settle_notes(struct share *share, uint32_t count, const char *at)
{
	for (uint32_t i = 0; at && i < count; i++) {
		const struct wire_note *from = (const void *)at;

		job_add_note(share->crew, &share->crew->jobs[share->number], from->index, (enum rp_state)from->state,
		             from->code, from->rank, at + sizeof *from, from->size);
		at += (sizeof *from + from->size + 1 + 7) & ~(size_t)7;
	}
}

/* Last, as the states are the truth.  Items that were given back are no longer this batch's. */
static void settle_states(struct share *share, const struct share_batch *batch, const uint8_t *states, const int32_t *ranks)
{
	uint8_t good = share->out ? JOB_FAR : RP_OK;

	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < batch->count; i++) {
		uint8_t state = states ? states[i] : RP_OK;

		if (state == WIRE_AWAY)
			continue;
		if (ranks && share->ranks)
			share->ranks[batch->begin + i] = ranks[i];
		if (state != RP_OK)
			job_count_bad(&share->crew->jobs[share->number], batch->begin + i);
		atomic_store_explicit(&share->states[batch->begin + i], state == RP_OK ? good : state, memory_order_release);
	}
	atomic_fetch_sub(&share->away, batch->left);
}

/* A node that had no memory for a batch gets smaller ones, and none when that was one item.  Of a batch that was not begun
 * items are given back from its end. */
static void refused(struct share *share, struct share_node *node, struct share_batch *batch,
                    const struct wire_result *result)
{
	if (batch->count / 2 < node->most)
		node->most = batch->count / 2;
	share_count_workers(share);
	if (batch->left && share_reserve(share, batch->begin, batch->begin + batch->left) < 0)
		share_give_up(share, "out of memory");
	if (!node->most && share->workers == 0)
		share_give_up(share, result->text);
}

static int is_whole(const struct share *share, const struct wire_result *result, const struct share_batch *batch,
                    void *const *into, const size_t *sizes, int parts)
{
	if (parts != 5)
		return 0;
	for (int i = 0; i < parts; i++)
		if (sizes[i] && !into[i])
			return 0;
	return (result->all_good || sizes[0] == batch->count) &&
	       (!share->ranks || sizes[1] == batch->count * sizeof(int32_t)) &&
	       (!share->out_bytes || sizes[2] == batch->count * sizeof(uint64_t)) &&
	       (!share->out || !result->all_good || sizes[3] == batch->count * share->out_size);
}

static void settle(struct share *share, struct share_node *node, struct share_batch *batch, const struct wire_result *result,
                   void *const *into)
{
	const uint8_t *states = result->all_good ? NULL : into[0];
	int64_t took = clock_now() - batch->since;

	if (share->out_bytes && settle_bytes(share, batch, into[2], into[3]) < 0) {
		share_give_up(share, "no memory for the results of other nodes");
		return;
	}
	if (share->out && states)
		settle_fixed(share, batch, states, into[3]);
	settle_notes(share, result->notes, into[4]);
	settle_states(share, batch, states, into[1]);
	if (took > 0)
		node->rate = (double)batch->count / (double)took;
	crew_tell(share->crew);
}

static void take_result(struct share *share, struct share_node *node, const struct wire_result *result, void *const *into,
                        const size_t *sizes, int parts)
{
	struct share_batch *batch = find_batch(node, result->batch);
	void *direct = result->all_good && share->out && batch ? share->out + batch->begin * share->out_size : NULL;

	int received = direct && parts > 3 && into[3] == direct;

	node->receiving -= (uint32_t)received;
	/* What has reached the caller's memory counts, also when nobody waits for it any more. */
	if (batch && (!share->ending || received)) {
		if (result->error)
			refused(share, node, batch, result);
		else if (is_whole(share, result, batch, into, sizes, parts))
			settle(share, node, batch, result, into);
		else
			share_give_up(share, "no memory for the results of other nodes");
	}
	if (batch)
		share_remove_batch(share, node, batch);
	for (int i = 0; i < parts; i++)
		if (into[i] != direct)
			free(into[i]);
}

/* Who has item `at`, and up to where in *end it has all that follow.  What a node gave back may have come to it again, in a
 * newer batch. */
static struct share_batch *find_holder(const struct share_node *node, uint32_t at, uint32_t *end)
{
	struct share_batch *holder = NULL;

	for (struct share_batch *batch = node->list; batch; batch = batch->next) {
		if (batch->begin <= at && at < batch->begin + batch->count)
			holder = batch;
		else if (batch->begin > at && batch->begin < *end)
			*end = batch->begin;
	}
	if (holder && holder->begin + holder->count < *end)
		*end = holder->begin + holder->count;
	return holder;
}

/* Batches that follow one another may have given one range together. */
static void take_from_batches(struct share_node *node, uint32_t begin, uint32_t end)
{
	while (begin < end) {
		uint32_t stop = end;
		struct share_batch *holder = find_holder(node, begin, &stop);

		if (holder)
			holder->left -= stop - begin;
		begin = stop;
	}
}

static void take_given(struct share *share, struct share_node *node, const struct wire_given *given,
                       const struct wire_range *ranges)
{
	node->taking = 0;
	node->dry = !given->count;
	if (given->count && !ranges && !share->ending)
		share_give_up(share, "out of memory");
	for (uint32_t i = 0; ranges && i < given->count; i++) {
		take_from_batches(node, ranges[i].begin, ranges[i].end);
		share_change(share, node, -(int64_t)(ranges[i].end - ranges[i].begin));
		if (share_reserve(share, ranges[i].begin, ranges[i].end) < 0)
			share_give_up(share, "out of memory");
	}
}

void share_end_message(struct hub_activity *activity, int number, const void *header, void *const *into, const size_t *sizes,
                       int parts)
{
	struct share *share = (struct share *)activity;
	const struct wire *wire = header;
	struct share_node *node = share_node_of(share, number);

	if (!node)
		return;
	if (wire->kind == WIRE_RESULT) {
		take_result(share, node, header, into, sizes, parts);
		return;
	}
	take_given(share, node, header, parts ? into[0] : NULL);
	if (parts)
		free(into[0]);
}
