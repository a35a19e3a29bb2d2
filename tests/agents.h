/* SPDX-License-Identifier: BSD-3-Clause */
/* agents.h - a link without MPI: queues in this process, an agent that serves in a thread, and the manager's words to it. */
#ifndef RP_TESTS_AGENTS_H
#define RP_TESTS_AGENTS_H

#include "pools.h"

#include "agent.h"
#include "clock.h"
#include "supervisor.h"
#include "wire.h"

#include <pthread.h>

#define HERE 3                                  /* the agent's node */
#define FIRST_RANK 5                            /* of the workers that it opens */

struct message {
	struct message *next;
	union wire_any says;
	size_t header;
	int parts;
	void *part[LINK_PARTS];                 /* malloc'ed; NULL and a size: too large to be had */
	size_t size[LINK_PARTS];
};

struct sent {
	struct sent *next;
	void (*call)(void *user);
	void *user;
};

struct link {
	pthread_mutex_t lock;
	struct message *to_agent, *to_manager;
	struct sent *sent;                      /* has left, and the agent does not know yet */
	unsigned count;
	_Atomic int64_t silence;                /* since the manager was last heard of */
	_Atomic int deaf;                       /* nothing more can be sent */
	_Atomic int lost;
};

static struct {
	struct link link;
	struct arena *arena;
	struct supervisor *supervisor;
	pthread_t thread;
	int result;                             /* of agent_serve */
	uint32_t calls;
	uint64_t ids;
} stage;

static inline void append(struct message **to, struct message *message)
{
	pthread_mutex_lock(&stage.link.lock);
	while (*to)
		to = &(*to)->next;
	*to = message;
	pthread_mutex_unlock(&stage.link.lock);
}

static inline struct message *copy_message(const void *header, size_t size, const struct rp_bytes *parts, int count)
{
	struct message *message = calloc(1, sizeof *message);

	must(message && size <= sizeof message->says && count <= LINK_PARTS);
	memcpy(&message->says, header, size);
	message->header = size;
	message->parts = count;
	for (int i = 0; i < count; i++) {
		message->size[i] = parts[i].size;
		if (!parts[i].size || !parts[i].data)
			continue;
		message->part[i] = malloc(parts[i].size);
		must(message->part[i]);
		memcpy(message->part[i], parts[i].data, parts[i].size);
	}
	return message;
}

static inline void free_message(struct message *message)
{
	for (int i = 0; i < message->parts; i++)
		free(message->part[i]);
	free(message);
}

/* ---- link.h ----------------------------------------------------------------------------------------------- */

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

int link_open(struct link **ret, int expected, struct rp_error *err)
{
	*ret = NULL;
	return error_set(err, -EPROTO, "%d ranks, and no MPI", expected);
}

struct link *link_close(struct link *link RP_UNUSED, int status RP_UNUSED)
{
	return NULL;
}

int link_lend(struct link *link RP_UNUSED)
{
	return -ENOLINK;
}

enum link_role link_role(const struct link *link RP_UNUSED)
{
	return LINK_AGENT;
}

int link_nodes(const struct link *link RP_UNUSED)
{
	return HERE + 1;
}

const struct link_node *link_node(const struct link *link RP_UNUSED, int node RP_UNUSED)
{
	static const struct link_node one = { .ranks = 1, .host = "here" };

	return &one;
}

int link_here(const struct link *link RP_UNUSED)
{
	return HERE;
}

void link_counts(const struct link *link RP_UNUSED, struct link_count *sent, struct link_count *received)
{
	*sent = *received = (struct link_count){ 0 };
}

/* Every other message is told to have left later, as it is with large ones. */
int link_send(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
              void (*call)(void *user), void *user)
{
	struct sent *sent;

	must(node == 0);
	if (link->deaf)
		return -ENOMEM;
	if (!link->lost)
		append(&link->to_manager, copy_message(header, size, parts, count));
	if (!call)
		return 0;
	if (link->lost || ++link->count % 2) {
		call(user);
		return 0;
	}
	sent = malloc(sizeof *sent);
	must(sent);
	*sent = (struct sent){ link->sent, call, user };
	link->sent = sent;
	return 0;
}

static inline int tell_sent(struct link *link)
{
	struct sent *sent;
	int n = 0;

	for (; (sent = link->sent); n++) {
		link->sent = sent->next;
		sent->call(sent->user);
		free(sent);
	}
	return n;
}

static inline void receive(const struct link_receiver *receiver, const struct message *message)
{
	void *into[LINK_PARTS] = { 0 };

	receiver->begin(receiver->user, 0, &message->says, message->header, message->size, message->parts, into);
	for (int i = 0; i < message->parts; i++)
		if (into[i] && message->part[i])
			memcpy(into[i], message->part[i], message->size[i]);
	receiver->end(receiver->user, 0, &message->says, message->header, into, message->size, message->parts);
}

int link_poll(struct link *link, const struct link_receiver *receiver)
{
	struct message *message;
	int n = tell_sent(link);

	for (;; n++) {
		pthread_mutex_lock(&link->lock);
		message = link->to_agent;
		if (message)
			link->to_agent = message->next;
		pthread_mutex_unlock(&link->lock);
		if (!message)
			return n;
		receive(receiver, message);
		free_message(message);
	}
}

int link_busy(const struct link *link)
{
	return link->sent != NULL;
}

int64_t link_heard(const struct link *link, int node RP_UNUSED)
{
	return clock_now() - link->silence;
}

void link_lose(struct link *link, int node RP_UNUSED)
{
	link->lost = 1;
	tell_sent(link);
}

/* ---- the manager's side ----------------------------------------------------------------------------------- */

static inline void tell_parts(const void *header, size_t size, const struct rp_bytes *parts, int count)
{
	append(&stage.link.to_agent, copy_message(header, size, parts, count));
}

#define PART(memory, length) ((struct rp_bytes){ memory, length })
#define NOTHING ((struct rp_bytes){ 0 })
#define TELL(head, ...) \
	do { \
		const struct rp_bytes parts_[] = { __VA_ARGS__ }; \
		tell_parts(head, sizeof *(head), parts_, (int)LENGTH(parts_)); \
	} while (0)

/* The first message of that kind that is about that: waits for it.  call: 0, or of a reply.  NULL: none came. */
static inline struct message *find_message(uint32_t kind, uint64_t id, uint32_t call)
{
	struct message *found = NULL;

	pthread_mutex_lock(&stage.link.lock);
	for (struct message **at = &stage.link.to_manager; *at && !found;) {
		const struct wire *wire = &(*at)->says.wire;

		if (wire->kind == kind && (!id || wire->id == id) && (!call || wire->call == call)) {
			found = *at;
			*at = found->next;
		} else {
			at = &(*at)->next;
		}
	}
	pthread_mutex_unlock(&stage.link.lock);
	return found;
}

static inline struct message *hear(uint32_t kind, uint64_t id)
{
	struct message *message = NULL;

	must(WAIT_FOR(message || (message = find_message(kind, id, 0))));
	return message;
}

static inline struct message *answer_to(uint32_t call)
{
	struct message *message = NULL;

	must(WAIT_FOR(message || (message = find_message(WIRE_REPLY, 0, call))));
	return message;
}

/* Tells, and waits for the answer.  The header's call is set. */
#define ASK(head, ...) \
	({ \
		__typeof__(head) asked_ = (head); \
\
		asked_->wire.call = ++stage.calls; \
		TELL(asked_, __VA_ARGS__); \
		answer_to(stage.calls); \
	})

/* What a call is answered with. */
#define RESULT_OF(head, ...) \
	({ \
		struct message *reply_ = ASK(head, __VA_ARGS__); \
		int64_t result_ = reply_->says.reply.result; \
		free_message(reply_); \
		result_; \
	})

static inline uint64_t new_id(void)
{
	return ++stage.ids;
}

static inline void *serve(void *arg RP_UNUSED)
{
	stage.result = agent_serve(&stage.link, stage.supervisor, stage.arena);
	return NULL;
}

static inline int stage_begin(void **state RP_UNUSED)
{
	if (!board)
		board = board_new();
	memset(board, 0, sizeof *board);
	memset(&stage, 0, sizeof stage);
	pthread_mutex_init(&stage.link.lock, NULL);
	must(arena_new(&stage.arena, NULL, NULL) == 0);
	must(supervisor_new(&stage.supervisor, stage.arena, NULL) == 0);
	stage.result = 1;
	must(pthread_create(&stage.thread, NULL, serve, NULL) == 0);
	return 0;
}

static inline void stage_join(int expected)
{
	must(pthread_join(stage.thread, NULL) == 0);
	stage.thread = 0;
	assert_int_equal(stage.result, expected);
}

/* The agent ends everything when it is told to, if it has not ended before. */
static inline int stage_end(void **state RP_UNUSED)
{
	struct message *message;

	if (stage.thread) {
		TELL(&((struct wire){ .kind = WIRE_END }), NOTHING);
		stage_join(0);
	}
	tell_sent(&stage.link);
	supervisor_free(stage.supervisor);
	arena_free(stage.arena);
	while ((message = stage.link.to_manager)) {
		stage.link.to_manager = message->next;
		free_message(message);
	}
	while ((message = stage.link.to_agent)) {
		stage.link.to_agent = message->next;
		free_message(message);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	return 0;
}

/* ---- pools, maps, tasks ----------------------------------------------------------------------------------- */

static inline uint32_t number_of(const void *function)
{
	struct wire_function says = { .wire = { .kind = WIRE_FUNCTION, .id = new_id() } };

	must(function_identify(function, &says.function, NULL) == 0);
	must(RESULT_OF(&says, NOTHING) == 0);
	return (uint32_t)says.wire.id;
}

#define FUNCTION(f) number_of((const void *)(uintptr_t)(f))

/* A pool of so many workers; its number. */
static inline uint64_t open_pool(uint32_t workers, uint32_t init, uint32_t exit, struct rp_bytes arg)
{
	struct wire_pool says = { .wire = { .kind = WIRE_OPEN, .id = new_id() }, .workers = workers,
		                  .first_rank = FIRST_RANK, .size = FIRST_RANK + workers, .init = init, .exit = exit,
		                  .has_init_arg = arg.data != NULL };

	must(RESULT_OF(&says, PART("\0none", 6), arg) == workers);
	return says.wire.id;
}

static inline uint32_t stop_pool(uint64_t pool, uint32_t how)
{
	struct wire_stop says = { .wire = { WIRE_STOP, ++stage.calls, pool }, .how = how };

	TELL(&says, NOTHING);
	return says.wire.call;
}

static inline void await_stop(uint32_t call)
{
	struct message *reply = answer_to(call);

	assert_int_equal(reply->says.reply.result, 0);
	free_message(reply);
}

static inline void free_pool(uint64_t pool)
{
	await_stop(stop_pool(pool, WIRE_FREE));
}

static inline void tell_batch(uint64_t map, uint64_t batch, uint32_t begin, uint32_t count, struct rp_bytes in,
                              struct rp_bytes data)
{
	struct wire_batch says = { .wire = { .kind = WIRE_BATCH, .id = map }, .batch = batch, .base = 1000, .begin = begin,
		                   .count = count };

	TELL(&says, in, data);
}

static inline void end_map(uint64_t map)
{
	TELL(&((struct wire){ .kind = WIRE_MAP_END, .id = map }), NOTHING);
}

/* The result of that batch. */
static inline struct message *result_of(uint64_t map, uint64_t batch)
{
	struct message *message = hear(WIRE_RESULT, map);

	assert_int_equal(message->says.result.batch, batch);
	return message;
}

static inline const struct wire_note *note_at(const struct message *message, uint32_t n)
{
	const char *at = message->part[4];

	must(n < message->says.result.notes);
	while (n--)
		at += sizeof(struct wire_note) + ((((const struct wire_note *)at)->size + 8) & ~7u);
	return (const struct wire_note *)at;
}

static inline const char *text_of(const struct wire_note *note)
{
	return (const char *)(note + 1);
}

#endif
