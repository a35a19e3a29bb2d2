/* SPDX-License-Identifier: BSD-3-Clause */
/* share.c - what the other nodes do of a map.
 *
 * All items begin with the local workers, in the ranges of the local job; the share takes some from there for each node
 * with room, as a thief does, and marks them JOB_AWAY.  A node gets batches by guided self-scheduling: a part of what is
 * left that is half of its fair one, so batches shrink as the end comes near, and always the next one in hand while it works
 * on one.  When nothing is left to give and somebody is idle, the node with the most is asked to give back what it has not
 * begun; that goes to the idle: to another node from the reserve, to the local workers by clearing the items' states, upon
 * which the map's thread opens the local job again.
 *
 * Truth is the same as in job.c: the state byte, written after the result.  An item is in exactly one place: in a local
 * range or with a local worker (state 0), in the reserve or with a node (JOB_AWAY), or it has its state.  Only the hub's
 * thread moves items from and to JOB_AWAY; taking from a range and marking is done under the gate, which the map's thread
 * holds while it shuts the job, so that its recount never takes a taken item for a lost one. */
#include "share_inner.h"

#include "clock.h"
#include "wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CREDIT 2u                               /* batches that a node has in hand */
#define BATCH_TIME 200000.0                     /* ns that a batch should take at least, so that messages are worth it */

/* ---- books ----------------------------------------------------------------------------------------------- */

int share_reserve(struct share *share, uint32_t begin, uint32_t end)
{
	if (share->reserve_count == share->reserve_room) {
		size_t room = share->reserve_room ? 2 * share->reserve_room : 16;
		struct wire_range *larger = realloc(share->reserve, room * sizeof *larger);

		if (!larger)
			return -ENOMEM;
		share->reserve = larger;
		share->reserve_room = room;
	}
	share->reserve[share->reserve_count++] = (struct wire_range){ begin, end };
	return 0;
}

struct share_node *share_node_of(struct share *share, int number)
{
	int low = 0, high = share->node_count;

	while (low < high) {
		int middle = (low + high) / 2;

		if (share->nodes[middle].node < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < share->node_count && share->nodes[low].node == number ? &share->nodes[low] : NULL;
}

void share_count_workers(struct share *share)
{
	share->workers = share->crew->size;
	share->idle_there = 0;
	for (int i = 0; i < share->node_count; i++) {
		const struct share_node *node = &share->nodes[i];

		share->workers += node->most ? node->workers : 0;
		share->idle_there += node->most && !node->items ? node->workers : 0;
	}
}

void share_change(struct share *share, struct share_node *node, int64_t change)
{
	if (node->most && !node->items)
		share->idle_there -= node->workers;
	node->items = (uint32_t)(node->items + change);
	if (node->most && !node->items)
		share->idle_there += node->workers;
	if (change < 0)
		share_hunger(share, node);
}

void share_hunger(struct share *share, struct share_node *node)
{
	if (node->wants)
		return;
	node->wants = 1;
	node->next = NULL;
	*share->last_wanting = node;
	share->last_wanting = &node->next;
}

void share_remove_batch(struct share *share, struct share_node *node, struct share_batch *batch)
{
	struct share_batch **at = &node->list;

	while (*at != batch)
		at = &(*at)->next;
	*at = batch->next;
	node->batches--;
	share_change(share, node, -(int64_t)batch->left);
	share_hunger(share, node);
	free(batch);
}

static void set_states(struct share *share, uint32_t begin, uint32_t count, uint8_t state)
{
	for (uint32_t i = begin; i < begin + count; i++)
		atomic_store_explicit(&share->states[i], state, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Nobody can go on: what is missing will not come. */
void share_give_up(struct share *share, const char *why)
{
	crew_break(share->crew, "%s", why);
	crew_tell(share->crew);
}

/* ---- who gets what --------------------------------------------------------------------------------------- */

static uint32_t reserved(const struct share *share)
{
	uint32_t count = 0;

	for (size_t i = 0; i < share->reserve_count; i++)
		count += share->reserve[i].end - share->reserve[i].begin;
	return count;
}

/* Half of the node's fair part of what is left, but enough to keep its workers busy, and for a time that is worth a
 * message. */
static uint32_t batch_size(const struct share *share, const struct share_node *node, uint32_t left)
{
	uint64_t all = share->workers, fair = ((uint64_t)left * node->workers + all - 1) / all;
	uint32_t spare = node->items < node->workers ? node->workers - node->items : 0;
	uint64_t size = (uint64_t)left * node->workers / (2 * all), worth = (uint64_t)(node->rate * BATCH_TIME);

	if (size < spare)
		size = spare < fair ? spare : fair;
	if (size < worth)
		size = worth;
	if (share->chunk)
		size = (size + share->chunk - 1) / share->chunk * share->chunk;
	if (!size)
		size = 1;
	if (size > left)
		size = left;
	return size < node->most ? (uint32_t)size : node->most;
}

static uint32_t take_reserved(struct share *share, uint32_t most, uint32_t *ret_begin)
{
	struct wire_range *range = &share->reserve[share->reserve_count - 1];
	uint32_t count = range->end - range->begin;

	if (count > most)
		count = most;
	count = share_fit(share, range->begin, count);
	*ret_begin = range->begin;
	range->begin += count;
	if (range->begin == range->end)
		share->reserve_count--;
	return count;
}

/* Under the gate: what of a span taken from the local job has no state is in hand now.  In a job that was opened again other
 * items are among them. */
static void keep(struct share *share, uint32_t begin, uint32_t end)
{
	uint32_t i = begin, run;

	while (i < end) {
		while (i < end && atomic_load(&share->states[i]) != RP_PENDING)
			i++;
		for (run = i; i < end && atomic_load(&share->states[i]) == RP_PENDING; i++)
			atomic_store_explicit(&share->states[i], JOB_AWAY, memory_order_relaxed);
		if (i == run)
			return;
		atomic_fetch_add(&share->away, i - run);
		if (share_reserve(share, run, i) < 0)
			share_give_up(share, "out of memory");
	}
}

/* Takes from the local job into the reserve. Whoever waits for the job to be quiet is told when that may have come of
 * it. */
static void take_local(struct share *share, uint32_t most)
{
	uint32_t begin, count = 0;

	pthread_mutex_lock(&share->gate);
	if (share->open)
		count = job_take(share->crew, share->number, most, &begin);
	if (count)
		keep(share, begin, begin + count);
	pthread_mutex_unlock(&share->gate);
	if (count && !job_left(share->crew, share->number))
		crew_tell(share->crew);
}

static uint32_t local_left(struct share *share)
{
	uint32_t left = 0;

	pthread_mutex_lock(&share->gate);
	if (share->open)
		left = job_left(share->crew, share->number);
	pthread_mutex_unlock(&share->gate);
	return left;
}

static int has_room(const struct share_node *node)
{
	return node->most && (node->batches < CREDIT || node->items < node->workers);
}

/* Of what is left, as far as is known; how many items it got. */
static uint32_t feed(struct share *share, struct share_node *node, uint32_t left)
{
	uint32_t count = batch_size(share, node, left), begin;

	if (!share->reserve_count)
		take_local(share, count);
	if (!share->reserve_count)
		return 0;
	count = take_reserved(share, count, &begin);
	share_give(share, node, begin, count);
	return count;
}

/* A batch for each node that wants one, in turn; idle: for those only that have workers without an item.  How many. */
static int feed_wanting(struct share *share, int idle, uint32_t *left)
{
	struct share_node *node = share->wanting, *next;
	uint32_t given;
	int count = 0;

	share->wanting = NULL;
	share->last_wanting = &share->wanting;
	for (; node; node = next) {
		next = node->next;
		node->wants = 0;
		if (*left && has_room(node) && (!idle || node->items < node->workers)) {
			given = feed(share, node, *left);
			*left = given && given < *left ? *left - given : 0;
			count += given > 0;
		}
		if (has_room(node))
			share_hunger(share, node);
	}
	return count;
}

/* Those with idle workers come first: what was taken back for them is not to go back to where it came from. */
static int feed_nodes(struct share *share)
{
	uint32_t left = share->wanting ? reserved(share) + local_left(share) : 0;
	int count = left ? feed_wanting(share, 1, &left) : 0;

	return count || !left ? count : feed_wanting(share, 0, &left);
}

/* The local workers have nothing: they get their part of what is in hand. */
static int feed_local(struct share *share)
{
	uint32_t in_hand, part, begin, count, sum = 0;

	if (!share->crew->size || !share->reserve_count || !atomic_load(&share->idle))
		return 0;
	in_hand = reserved(share);
	part = (uint32_t)(((uint64_t)in_hand * share->crew->size + share->workers - 1) / share->workers);
	atomic_store(&share->idle, 0);
	while (part && share->reserve_count) {
		count = take_reserved(share, part, &begin);
		part -= count;
		sum += count;
		set_states(share, begin, count, RP_PENDING);
	}
	/* In this order: whoever sees that nothing is away any more sees that something has come back. */
	atomic_store(&share->returned, 1);
	atomic_fetch_sub(&share->away, sum);
	crew_tell(share->crew);
	return 1;
}

/* How many workers have nothing to do, or will have nothing when they are done with what they have in hand. */
static uint32_t idle_workers(struct share *share)
{
	return share->idle_there + (atomic_load(&share->idle) ? share->crew->size : 0);
}

/* Asks the node with the most for what it has not begun, a part for whoever is idle. */
static int take_back(struct share *share)
{
	struct share_node *victim = NULL;
	struct wire_take message = { .wire = { .kind = WIRE_TAKE, .id = share->activity.id } };
	uint32_t idle = idle_workers(share);

	for (int i = 0; idle && i < share->node_count; i++) {
		struct share_node *node = &share->nodes[i];

		if (node->taking)
			return 0;
		if (!node->dry && node->items > 1 && (!victim || node->items > victim->items))
			victim = node;
	}
	if (!victim)
		return 0;
	message.most = (uint32_t)((uint64_t)victim->items * idle / (idle + victim->workers));
	if (!message.most)
		message.most = 1;
	if (link_send(hub_link(share->hub), victim->node, &message, sizeof message, NULL, 0, NULL, NULL) < 0)
		return 0;
	victim->taking = 1;
	return 1;
}

static int is_still(const struct share *share)
{
	for (int i = 0; i < share->node_count; i++)
		if (!hub_is_lost(share->hub, share->nodes[i].node) && (share->nodes[i].sending || share->nodes[i].receiving))
			return 0;
	return 1;
}

static void say_ended(struct share *share)
{
	for (int i = 0; i < share->node_count; i++)
		while (share->nodes[i].list)
			share_remove_batch(share, &share->nodes[i], share->nodes[i].list);
	atomic_store(&share->ended, 1);
	wait_wake(&share->ended, 1);
}

/* The map's thread has no more use for the share: it goes once nothing touches the caller's memory. */
static int try_end(struct share *share)
{
	const struct wire message = { .kind = WIRE_MAP_END, .id = share->activity.id };

	if (!is_still(share))
		return 0;
	hub_remove(share->hub, &share->activity);
	for (int i = 0; i < share->node_count; i++) {
		const struct share_node *node = &share->nodes[i];

		if (node->knows && !hub_is_lost(share->hub, node->node))
			link_send(hub_link(share->hub), node->node, &message, sizeof message, NULL, 0, NULL, NULL);
	}
	say_ended(share);
	return 1;
}

static int step(struct hub_activity *activity)
{
	struct share *share = (struct share *)activity;
	int count = 0;

	if (share->ending)
		return try_end(share);
	if (atomic_load(&share->crew->stop) > CREW_CLOSES)
		return 0;
	count += feed_local(share);
	count += feed_nodes(share);
	if (!count)
		count += take_back(share);
	return count;
}

static void lose(struct hub_activity *activity, int number)
{
	struct share *share = (struct share *)activity;
	struct share_node *node = share_node_of(share, number);

	if (node)
		node->sending = node->receiving = 0;
}

/* ---- the map's thread ------------------------------------------------------------------------------------ */

static const struct hub_acts acts = {
	.step = step, .begin = share_begin_message, .end = share_end_message, .lose = lose,
};

static void add(struct hub *hub, void *user)
{
	if (hub_is_closed(hub))
		share_give_up(user, "the run time has ended");
	else
		hub_add(hub, user);
}

int share_begin(struct share *share, struct rp_error *err)
{
	share->activity = (struct hub_activity){ .id = hub_number(share->hub), .acts = &acts };
	/* The first one now, so that there is no error to be had later. */
	if (share_reserve(share, 0, share->count) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (share->crew->size) {
		share->reserve_count = 0;
	} else {
		memset((void *)share->states, JOB_AWAY, share->count);
		atomic_store(&share->away, share->count);
	}
	for (int i = 0; i < share->node_count; i++)
		share->nodes[i].most = share->count;
	share_count_workers(share);
	share->last_wanting = &share->wanting;
	for (int i = 0; i < share->node_count; i++)
		share_hunger(share, &share->nodes[i]);
	pthread_mutex_init(&share->gate, NULL);
	hub_send_on_errand(share->hub, &share->errand, add, &share->activity);
	return 0;
}

void share_open(struct share *share)
{
	atomic_store(&share->idle, 0);
	pthread_mutex_lock(&share->gate);
	share->open = 1;
	pthread_mutex_unlock(&share->gate);
	hub_ring(share->hub);
}

void share_shut(struct share *share)
{
	pthread_mutex_lock(&share->gate);
	share->open = 0;
	pthread_mutex_unlock(&share->gate);
}

void share_want(struct share *share)
{
	if (!atomic_exchange(&share->idle, 1))
		hub_ring(share->hub);
}

static void begin_end(struct hub *hub, void *user)
{
	struct share *share = user;

	share->ending = 1;
	if (hub_is_closed(hub))
		say_ended(share);
}

void share_end(struct share *share)
{
	struct hub_errand errand;

	hub_send_on_errand(share->hub, &errand, begin_end, share);
	while (!atomic_load(&share->ended))
		wait_on(&share->ended, 0, CLOCK_NEVER);
	pthread_mutex_destroy(&share->gate);
	free(share->reserve);
}
