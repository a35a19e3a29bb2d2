/* SPDX-License-Identifier: BSD-3-Clause */
/* crowd.c - a link to nodes that do not exist, for bench/scale: CROWD_NODES of them, on which an item takes CROWD_ITEM
 * nanoseconds.
 *
 * The manager is real and runs in real time.  Each node is a calculation: its workers take items one after the other, it
 * answers when a node would and gives back what it has not begun.  What messages cost in MPI is left out. */
#include "clock.h"
#include "link.h"
#include "measure.h"
#include "wire.h"

#include <string.h>

struct batch {
	struct batch *next;
	struct wire_batch says;
	uint32_t left;                          /* not given back */
	uint64_t *results;
};

struct node {
	uint32_t workers;
	int64_t *busy;                          /* each worker until then; as items are alike they take them in turn: */
	uint32_t next;                          /* this one has the next */
	struct batch *batches;
};

/* What a node will say, and when. */
struct event {
	int64_t due;
	uint64_t number;                        /* what is due at the same time goes in the order in which it was planned */
	int node;
	uint64_t batch;                         /* 0: it is this message */
	size_t size;
	union {
		struct wire_reply reply;
		struct wire_done done;
		struct wire_given given;
	} says;
	void *part;                             /* malloc'ed: the message's last */
	size_t part_size;
};

struct link {
	int count;
	int64_t item;
	struct link_node all;
	struct node *nodes;
	struct event **heap;
	size_t events, room;
	uint64_t planned;
	struct link_count sent, received;
};

/* ---- what is to come, a heap by time ---------------------------------------------------------------------- */

static int is_before(const struct event *a, const struct event *b)
{
	return a->due < b->due || (a->due == b->due && a->number < b->number);
}

static void push(struct link *link, struct event *event)
{
	size_t at = link->events++;

	event->number = link->planned++;
	if (link->events > link->room) {
		link->room = 2 * link->events + 64;
		link->heap = need(realloc(link->heap, link->room * sizeof(void *)));
	}
	for (; at && is_before(event, link->heap[(at - 1) / 2]); at = (at - 1) / 2)
		link->heap[at] = link->heap[(at - 1) / 2];
	link->heap[at] = event;
}

static struct event *pop(struct link *link)
{
	struct event *first = link->heap[0], *last = link->heap[--link->events];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < link->events) {
		child += child + 1 < link->events && is_before(link->heap[child + 1], link->heap[child]);
		if (!is_before(link->heap[child], last))
			break;
		link->heap[at] = link->heap[child];
		at = child;
	}
	link->heap[at] = last;
	return first;
}

static struct event *plan(int node, int64_t due)
{
	struct event *event = need(calloc(1, sizeof *event));

	event->node = node;
	event->due = due;
	return event;
}

/* ---- nodes ------------------------------------------------------------------------------------------------ */

static void reply(struct link *link, int node, const struct wire *to, int64_t result, void *part, size_t size)
{
	struct event *event = plan(node, clock_now());

	event->size = sizeof event->says.reply;
	event->says.reply.wire = (struct wire){ WIRE_REPLY, to->call, to->id };
	event->says.reply.result = result;
	event->part = part;
	event->part_size = size;
	push(link, event);
}

/* When the next item that comes to the node is done. */
static int64_t assign(const struct link *link, struct node *node)
{
	int64_t *busy = &node->busy[node->next], now = clock_now();

	*busy = (*busy > now ? *busy : now) + link->item;
	node->next = (node->next + 1) % node->workers;
	return *busy;
}

/* The last item is taken from its worker, unless that has begun it. */
static int take_back(const struct link *link, struct node *node)
{
	uint32_t last = (node->next + node->workers - 1) % node->workers;

	if (node->busy[last] - link->item <= clock_now())
		return 0;
	node->busy[last] -= link->item;
	node->next = last;
	return 1;
}

static void expect_result(struct link *link, int number, const struct batch *batch, int64_t due)
{
	struct event *event = plan(number, due);

	event->batch = batch->says.batch;
	push(link, event);
}

static void take_batch(struct link *link, int number, const struct wire_batch *says, const uint64_t *in)
{
	struct node *node = &link->nodes[number];
	struct batch *batch = need(calloc(1, sizeof *batch)), **last = &node->batches;
	int64_t end = 0;

	batch->says = *says;
	batch->left = says->count;
	batch->results = need(malloc(says->count * sizeof *batch->results));
	for (uint32_t i = 0; i < says->count; i++) {
		batch->results[i] = in[i] * in[i];
		end = assign(link, node);
	}
	while (*last)
		last = &(*last)->next;
	*last = batch;
	expect_result(link, number, batch, end);
}

/* Of the last batch, what nobody has begun. */
static void give(struct link *link, int number, const struct wire_take *says)
{
	struct node *node = &link->nodes[number];
	struct event *event = plan(number, clock_now());
	struct wire_range *range = need(malloc(sizeof *range));
	struct batch *batch = node->batches;
	uint32_t given = 0;

	while (batch && batch->next)
		batch = batch->next;
	while (batch && given < says->most && given < batch->left && take_back(link, node))
		given++;
	event->size = sizeof event->says.given;
	event->says.given.wire = (struct wire){ WIRE_GIVEN, 0, says->wire.id };
	event->part = range;
	push(link, event);
	if (!given)
		return;
	batch->left -= given;
	*range = (struct wire_range){ batch->says.begin + batch->left, batch->says.begin + batch->left + given };
	event->says.given.count = 1;
	event->part_size = sizeof *range;
	expect_result(link, number, batch, batch->left ? node->busy[(node->next + node->workers - 1) % node->workers] :
	                                                 event->due);
}

static void run_task(struct link *link, int number, const struct wire_task *says, const uint64_t *in)
{
	struct event *event = plan(number, assign(link, &link->nodes[number]));
	uint64_t *result = need(malloc(sizeof *result));

	*result = *in * *in;
	event->size = sizeof event->says.done;
	event->says.done = (struct wire_done){ .wire = { .kind = WIRE_DONE, .id = says->wire.id }, .pool = says->pool,
		                               .state = RP_OK, .has_reply = 1 };
	event->part = result;
	event->part_size = sizeof *result;
	push(link, event);
}

static void take(struct link *link, int node, const union wire_any *says, const struct rp_bytes *parts)
{
	uint32_t workers = link->nodes[node].workers;

	switch (says->wire.kind) {
	case WIRE_PLAN:
		reply(link, node, &says->wire, says->pool.workers ? says->pool.workers : 1, NULL, 0);
		break;
	case WIRE_OPEN:
		workers = link->nodes[node].workers = says->pool.workers;
		link->nodes[node].busy = need(calloc(workers, sizeof(int64_t)));
		reply(link, node, &says->wire, workers, need(calloc(workers, sizeof(struct rp_worker_info))),
		      workers * sizeof(struct rp_worker_info));
		break;
	case WIRE_FUNCTION:
	case WIRE_STOP:
	case WIRE_RECALL:
		reply(link, node, &says->wire, 0, NULL, 0);
		break;
	case WIRE_BATCH:
		take_batch(link, node, &says->batch, parts[0].data);
		break;
	case WIRE_TAKE:
		give(link, node, &says->take);
		break;
	case WIRE_TASK:
		run_task(link, node, &says->task, parts[0].data);
		break;
	default:
		break;
	}
}

/* ---- saying it -------------------------------------------------------------------------------------------- */

/* The last part is the data; those before are empty. */
static void deliver(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
                    const struct link_receiver *receiver)
{
	size_t sizes[LINK_PARTS] = { 0 };
	void *into[LINK_PARTS] = { NULL };

	link->received.messages++;
	link->received.bytes += size;
	for (int i = 0; i < count; i++) {
		sizes[i] = parts[i].size;
		link->received.bytes += sizes[i];
	}
	receiver->begin(receiver->user, node, header, size, sizes, count, into);
	for (int i = 0; i < count; i++)
		if (into[i] && sizes[i])
			memcpy(into[i], parts[i].data, sizes[i]);
	receiver->end(receiver->user, node, header, size, into, sizes, count);
}

/* NULL: it has ended already, as some of it was given back. */
static struct batch *end_batch(struct link *link, const struct event *event)
{
	struct batch **at = &link->nodes[event->node].batches, *batch;

	while (*at && (*at)->says.batch != event->batch)
		at = &(*at)->next;
	batch = *at;
	if (batch)
		*at = batch->next;
	return batch;
}

static void say_result(struct link *link, const struct event *event, const struct link_receiver *receiver)
{
	struct batch *batch = end_batch(link, event);
	struct rp_bytes parts[5] = { { NULL, 0 } };
	struct wire_result result = { .wire = { .kind = WIRE_RESULT } };
	uint8_t *states;

	if (!batch)
		return;
	states = need(malloc(batch->says.count));
	memset(states, WIRE_AWAY, batch->says.count);
	memset(states, RP_OK, batch->left);
	result.wire.id = batch->says.wire.id;
	result.batch = batch->says.batch;
	result.all_good = batch->left == batch->says.count;
	if (!result.all_good)
		parts[0] = (struct rp_bytes){ states, batch->says.count };
	parts[3] = (struct rp_bytes){ batch->results, batch->left * sizeof *batch->results };
	deliver(link, event->node, &result, sizeof result, parts, 5, receiver);
	free(states);
	free(batch->results);
	free(batch);
}

static void say(struct link *link, const struct event *event, const struct link_receiver *receiver)
{
	struct rp_bytes parts[2] = { { NULL, 0 }, { event->part, event->part_size } };
	int is_done = event->says.done.wire.kind == WIRE_DONE;

	if (event->batch)
		say_result(link, event, receiver);
	else
		deliver(link, event->node, &event->says, event->size, is_done ? parts : parts + 1,
		        is_done ? 2 : event->part != NULL, receiver);
}

/* ---- link.h ----------------------------------------------------------------------------------------------- */

int link_poll(struct link *link, const struct link_receiver *receiver)
{
	int count = 0;
	int64_t now = clock_now();

	/* As many as MPI would give at a time. */
	for (; count < 64 && link->events && link->heap[0]->due <= now; count++) {
		struct event *event = pop(link);

		say(link, event, receiver);
		free(event->part);
		free(event);
	}
	return count;
}

int link_send(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
              void (*sent)(void *user), void *user)
{
	union wire_any says = { .wire = { 0 } };

	link->sent.messages++;
	link->sent.bytes += size;
	for (int i = 0; i < count; i++)
		link->sent.bytes += parts[i].size;
	memcpy(&says, header, size);
	take(link, node, &says, parts);
	if (sent)
		sent(user);
	return 0;
}

static long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

int link_open(struct link **ret, int expected, struct rp_error *err)
{
	struct link *link = need(calloc(1, sizeof *link));

	(void)expected, (void)err;
	link->count = (int)number("CROWD_NODES") + 1;
	link->item = number("CROWD_ITEM") ? number("CROWD_ITEM") : 1;
	link->nodes = need(calloc((size_t)link->count, sizeof *link->nodes));
	link->all = (struct link_node){ .ranks = 1, .host = "crowd" };
	*ret = link;
	return 0;
}

struct link *link_close(struct link *link, int status)
{
	(void)status;
	while (link->events) {
		struct event *event = pop(link);

		free(event->part);
		free(event);
	}
	for (int i = 0; i < link->count; i++)
		free(link->nodes[i].busy);
	free(link->heap);
	free(link->nodes);
	free(link);
	return NULL;
}

int link_is_initialized(void)
{
	return 0;
}

int link_is_finalized(void)
{
	return 0;
}

void link_version(char *text, size_t size)
{
	snprintf(text, size, "none");
}

enum link_role link_role(const struct link *link)
{
	(void)link;
	return LINK_MANAGER;
}

int link_nodes(const struct link *link)
{
	return link->count;
}

const struct link_node *link_node(const struct link *link, int node)
{
	(void)node;
	return &link->all;
}

int link_here(const struct link *link)
{
	(void)link;
	return 0;
}

int link_busy(const struct link *link)
{
	(void)link;
	return 0;
}

int64_t link_heard(const struct link *link, int node)
{
	(void)link, (void)node;
	return clock_now();
}

void link_lose(struct link *link, int node)
{
	(void)link, (void)node;
}

int link_lend(struct link *link)
{
	(void)link;
	return 0;
}

void link_counts(const struct link *link, struct link_count *sent, struct link_count *received)
{
	*sent = link->sent;
	*received = link->received;
}
