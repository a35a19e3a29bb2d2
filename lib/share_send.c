/* SPDX-License-Identifier: BSD-3-Clause */
/* share_send.c - items on their way to other nodes. */
#include "share_inner.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES ((size_t)64 << 20)          /* of input or results, unless one item has more */

static void sent(void *user)
{
	struct share_node *node = user;

	node->sending--;
}

static int tell_map(struct share *share, struct share_node *node)
{
	const struct wire_map message = {
		.wire = { .kind = WIRE_MAP, .id = share->activity.id },
		.pool = share->pool,
		.function = share->function,
		.chunk = share->chunk,
		.bytes_in = share->in_bytes != NULL,
		.bytes_out = share->out_bytes != NULL,
		.outcomes = share->ranks != NULL,
		.has_in = share->in || share->in_bytes,
		.has_out = share->out || share->out_bytes,
		.has_arg = share->arg != NULL,
		.in_size = share->in_size,
		.out_size = share->out_size,
		.seed = share->seed,
	};
	const struct rp_bytes arg = { share->arg, share->arg_size };
	int r;

	node->sending++;
	r = link_send(hub_link(share->hub), node->node, &message, sizeof message, &arg, 1, sent, node);
	if (r < 0)
		node->sending--;
	else
		node->knows = 1;
	return r;
}

/* How many of the items from `begin` on fit into a batch's bytes; at least one. */
uint32_t share_fit(const struct share *share, uint32_t begin, uint32_t count)
{
	size_t each = share->in_size + share->out_size, sum = 0;

	if (!share->in_bytes)
		return each && count > BATCH_BYTES / each ? BATCH_BYTES / each ? (uint32_t)(BATCH_BYTES / each) : 1 : count;
	for (uint32_t i = 0; i < count; i++) {
		sum += WIRE_ALIGN(share->in_bytes[begin + i].size);
		if (sum > BATCH_BYTES && i)
			return i;
	}
	return count;
}

/* Sizes and data of items of any size, in one block. */
static void *pack_items(const struct share *share, const struct share_batch *batch, struct rp_bytes *parts)
{
	const struct rp_bytes *items = share->in_bytes + batch->begin;
	size_t head = batch->count * sizeof(uint64_t), size = 0;
	uint64_t *sizes;
	char *at;

	for (uint32_t i = 0; i < batch->count; i++)
		size += WIRE_ALIGN(items[i].size);
	sizes = malloc(WIRE_ALIGN(head) + size + 1);
	if (!sizes)
		return NULL;
	at = (char *)sizes + WIRE_ALIGN(head);
	parts[0] = (struct rp_bytes){ sizes, head };
	parts[1] = (struct rp_bytes){ at, size };
	for (uint32_t i = 0; i < batch->count; i++) {
		size_t room = WIRE_ALIGN(items[i].size);

		sizes[i] = items[i].data ? items[i].size : WIRE_NONE;
		if (items[i].size)
			memcpy(at, items[i].data, items[i].size);
		memset(at + items[i].size, 0, room - items[i].size);
		at += room;
	}
	return sizes;
}

static int send_batch(struct share *share, struct share_node *node, const struct share_batch *batch)
{
	const struct wire_batch message = {
		.wire = { .kind = WIRE_BATCH, .id = share->activity.id },
		.batch = batch->id, .base = share->base, .begin = batch->begin, .count = batch->count,
	};
	struct rp_bytes parts[2] = { { NULL, 0 } };
	struct link *link = hub_link(share->hub);
	void *block;
	int r;

	if (share->in_bytes) {
		block = pack_items(share, batch, parts);
		r = block ? link_send(link, node->node, &message, sizeof message, parts, 2, free, block) : -ENOMEM;
		if (r < 0)
			free(block);
		return r;
	}
	if (share->in)
		parts[0] = (struct rp_bytes){ share->in + batch->begin * share->in_size, batch->count * share->in_size };
	node->sending++;
	r = link_send(link, node->node, &message, sizeof message, parts, 1, sent, node);
	if (r < 0)
		node->sending--;
	return r;
}

/* Items that are marked as away already. */
void share_give(struct share *share, struct share_node *node, uint32_t begin, uint32_t count)
{
	struct share_batch *batch = malloc(sizeof *batch), **last = &node->list;
	int r = batch ? 0 : -ENOMEM;

	if (r == 0) {
		*batch = (struct share_batch){
			.id = hub_number(share->hub), .begin = begin, .count = count, .left = count, .since = clock_now(),
		};
		if (!node->knows)
			r = tell_map(share, node);
		if (r == 0)
			r = send_batch(share, node, batch);
	}
	if (r < 0) {
		free(batch);
		share_give_up(share, "no memory to send items to other nodes");
		return;
	}
	while (*last)
		last = &(*last)->next;
	*last = batch;
	node->batches++;
	share_change(share, node, count);
	node->dry = 0;
}
