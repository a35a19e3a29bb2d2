/* SPDX-License-Identifier: BSD-3-Clause */
/* hub.h - the manager's side of the other nodes: a thread that owns MPI, what it sends, and whom it tells what comes.
 *
 * Calls may be made by any thread of the manager unless they say otherwise. */
#ifndef RP_LIB_HUB_H
#define RP_LIB_HUB_H

#include "link.h"
#include "wire.h"

#include <stdatomic.h>

struct hub;
struct spawn_end;

/* What an agent answered.  data is malloc'ed, the receiver's. */
struct hub_answer {
	int64_t result;                         /* or a negative errno, with a text */
	char text[496];
	void *data;
	size_t size;
};

/* Called by the hub's thread, which nothing may hold up for long. */
struct hub_listener {
	void (*broken)(uint64_t pool, int node, const char *reason);
	/* Memory for a task's result of `size` bytes and a 0 behind it; NULL: nobody wants it, or there is none. */
	void *(*room)(const struct wire_done *done, size_t size);
	/* text: "" when nothing is known.  result: what room gave. */
	void (*done)(int node, const struct wire_done *done, const char *text, void *result, size_t size);
	void (*ended)(const struct wire_ended *ended);
	void (*lost)(int node, const char *why);
	void (*tick)(void);                     /* now and then, at least every few milliseconds while anything runs */
};

/* In the thread that owns the link: serves until hub_stop was called, then tells all agents to end.  After that a hub is
 * closed: it may still be asked and answers that the run time has ended, so it need not be freed before all who could do so
 * are gone. */
struct hub *hub_new(struct link *link, const struct hub_listener *listener);
void hub_run(struct hub *hub);
void hub_stop(struct hub *hub);
struct hub *hub_free(struct hub *hub);

int hub_is_closed(const struct hub *hub);
int hub_nodes(const struct hub *hub);
const struct link_node *hub_node(const struct hub *hub, int node);

int hub_has_lost(const struct hub *hub);        /* any node; for the hub's thread */

/* A number that no pool, map, task or process had before. */
uint64_t hub_number(struct hub *hub);

/* The function's number, known to all nodes: asked once.  Negative errno and which node does not have it. */
int64_t hub_function(struct hub *hub, const void *fn, struct rp_error *err);

/* Sends a message; header and parts are copied. answered(user): called by the hub's thread with the reply, also when
 * the node is lost; NULL: there is none. -ENOMEM: nothing is sent. */
int hub_post(struct hub *hub, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
             void (*answered)(void *user, struct hub_answer *answer), void *user);

/* Sends a message and waits for its answer.  parts are borrowed.  hub_ask begins, hub_await ends what was begun, so that
 * several nodes can be asked at a time. */
struct hub_call {
	struct hub_answer answer;
	_Atomic uint32_t done;
};
void hub_ask(struct hub *hub, struct hub_call *call, int node, const void *header, size_t size, const struct rp_bytes *parts,
             int count);
int64_t hub_await(struct hub_call *call);

/* Has the hub's thread call f(user) soon; does not wait.  `memory` is the caller's and free again when f is called.  A hub
 * that is closed calls it at once, in the caller's thread. */
struct hub_errand {
	struct hub_errand *next;
	void (*f)(struct hub *hub, void *user);
	void *user;
};
void hub_send_on_errand(struct hub *hub, struct hub_errand *memory, void (*f)(struct hub *hub, void *user), void *user);
void hub_ring(struct hub *hub);

/* Something that is not a share runs on other nodes (+1), or has ended (-1): while there is any, news are looked for
 * often. */
void hub_busy(struct hub *hub, int change);

/* ---- in the hub's own thread */

/* Something that goes on for a while between nodes, and gets the messages that carry its number (WIRE_RESULT,
 * WIRE_GIVEN). */
struct hub_activity {
	struct hub_activity *next;
	uint64_t id;
	const struct hub_acts *acts;
};
struct hub_acts {
	int (*step)(struct hub_activity *activity);     /* in each round; how many things it has done */
	/* As those of struct link_receiver. */
	void (*begin)(struct hub_activity *activity, int node, const void *header, const size_t *sizes, int parts,
	              void **into);
	void (*end)(struct hub_activity *activity, int node, const void *header, void *const *into, const size_t *sizes,
	            int parts);
	void (*lose)(struct hub_activity *activity, int node);
};
void hub_add(struct hub *hub, struct hub_activity *activity);
void hub_remove(struct hub *hub, struct hub_activity *activity);

struct link *hub_link(struct hub *hub);
int hub_is_lost(const struct hub *hub, int node);

#endif
