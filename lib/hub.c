/* SPDX-License-Identifier: BSD-3-Clause */
/* hub.c - the manager's side of the other nodes.
 *
 * MPI belongs to one thread, so the hub is an actor: other threads leave errands, which the hub's thread runs between two
 * looks at MPI, and whatever the hub knows is touched by that thread alone.  The two exceptions are the list of errands and
 * the table of functions, each under a lock of its own that nobody holds while waiting for anything. */
#include "hub.h"

#include "clock.h"
#include "hub_function.h"
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAKE INT64_C(1000000000)               /* ns after the last event in which the thread looks often */
#define NAP_FIRST INT64_C(10000)
#define NAP_BUSY INT64_C(1000000)
#define NAP_IDLE INT64_C(20000000)
#define YIELDS 20                               /* looks without a nap after an event */
#define GOODBYE INT64_C(2000000000)             /* ns that maps get to end after the program's call to end all */

/* A question that an agent has not answered yet. */
struct question {
	struct question *next;
	uint32_t number;
	int node;
	void (*answered)(void *user, struct hub_answer *answer);
	void *user;
};

struct hub {
	struct link *link;                      /* the thread's, and gone with it */
	struct link_node *nodes;                /* what there is to know of them, for as long as there is a hub */
	int node_count;
	const struct hub_listener *listener;
	_Atomic uint64_t numbers;
	_Atomic uint32_t bell;                  /* futex of the thread */
	_Atomic int stopping;
	_Atomic int deaf;                       /* nothing more is sent for anybody */
	_Atomic int closed;                     /* the thread runs no errands; set under the lock, when none waits */
	_Atomic int busy;

	pthread_mutex_t lock;                   /* guards the errands */
	struct hub_errand *first, **last;

	struct hub_functions functions;

	/* The thread's own. */
	struct question *questions;
	uint32_t question_number;
	struct hub_activity *activities;
	int64_t lost_due;                       /* when to look for silence again */
	int64_t active;                         /* when anything happened last */
	char *lost;                             /* per node */
};

struct hub *hub_new(struct link *link, const struct hub_listener *listener)
{
	struct hub *hub = calloc(1, sizeof *hub);

	if (!hub)
		return NULL;
	hub->node_count = link_nodes(link);
	hub->lost = calloc((size_t)hub->node_count, 1);
	hub->nodes = calloc((size_t)hub->node_count, sizeof *hub->nodes);
	if (!hub->lost || !hub->nodes) {
		free(hub->lost);
		free(hub->nodes);
		free(hub);
		return NULL;
	}
	for (int i = 0; i < hub->node_count; i++)
		hub->nodes[i] = *link_node(link, i);
	hub->link = link;
	hub->listener = listener;
	hub->last = &hub->first;
	pthread_mutex_init(&hub->lock, NULL);
	pthread_mutex_init(&hub->functions.lock, NULL);
	return hub;
}

struct hub *hub_free(struct hub *hub)
{
	if (!hub)
		return NULL;
	pthread_mutex_destroy(&hub->lock);
	pthread_mutex_destroy(&hub->functions.lock);
	free(hub->functions.known);
	free(hub->lost);
	free(hub->nodes);
	free(hub);
	return NULL;
}

int hub_nodes(const struct hub *hub)
{
	return hub->node_count;
}

const struct link_node *hub_node(const struct hub *hub, int node)
{
	return &hub->nodes[node];
}

struct link *hub_link(struct hub *hub)
{
	return hub->link;
}

int hub_has_lost(const struct hub *hub)
{
	for (int i = 1; i < hub_nodes(hub); i++)
		if (hub->lost[i])
			return 1;
	return 0;
}

int hub_is_lost(const struct hub *hub, int node)
{
	return hub->lost[node];
}

int hub_is_closed(const struct hub *hub)
{
	return atomic_load(&hub->deaf);
}

struct hub_functions *hub_functions(struct hub *hub)
{
	return &hub->functions;
}

uint64_t hub_number(struct hub *hub)
{
	return atomic_fetch_add(&hub->numbers, 1) + 1;
}

void hub_ring(struct hub *hub)
{
	atomic_fetch_add(&hub->bell, 1);
	wait_wake(&hub->bell, 1);
}

void hub_busy(struct hub *hub, int change)
{
	atomic_fetch_add(&hub->busy, change);
}

void hub_stop(struct hub *hub)
{
	atomic_store(&hub->stopping, 1);
	hub_ring(hub);
}

/* ---- errands --------------------------------------------------------------------------------------------- */

void hub_send_on_errand(struct hub *hub, struct hub_errand *errand, void (*f)(struct hub *hub, void *user), void *user)
{
	int closed;

	*errand = (struct hub_errand){ .f = f, .user = user };
	pthread_mutex_lock(&hub->lock);
	closed = atomic_load(&hub->closed);
	if (!closed) {
		*hub->last = errand;
		hub->last = &errand->next;
	}
	pthread_mutex_unlock(&hub->lock);
	if (closed)
		f(hub, user);
	else
		hub_ring(hub);
}

static int run_errands(struct hub *hub)
{
	struct hub_errand *errand, *next;
	int count = 0;

	pthread_mutex_lock(&hub->lock);
	errand = hub->first;
	hub->first = NULL;
	hub->last = &hub->first;
	pthread_mutex_unlock(&hub->lock);
	for (; errand; errand = next, count++) {
		next = errand->next;
		errand->f(hub, errand->user);
	}
	return count;
}

/* ---- messages to agents ---------------------------------------------------------------------------------- */

/* A message on its way to the link; header and the copied parts lie behind it. */
struct letter {
	struct hub_errand errand;
	int node;
	void (*answered)(void *user, struct hub_answer *answer);
	void *user;
	size_t size;
	struct rp_bytes parts[LINK_PARTS];
	int count;
	_Alignas(64) char header[];
};

static void *copy_bytes(void *to, const void *from, size_t size)
{
	if (size)
		memcpy(to, from, size);
	return (char *)to + ((size + 63) & ~(size_t)63);
}

static struct letter *write_letter(int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
                                   int borrow)
{
	size_t room = sizeof(struct letter) + ((size + 63) & ~(size_t)63);
	struct letter *letter;
	char *at;

	for (int i = 0; !borrow && i < count; i++)
		room += (parts[i].size + 63) & ~(size_t)63;
	letter = malloc(room);
	if (!letter)
		return NULL;
	*letter = (struct letter){ .node = node, .size = size, .count = count };
	at = copy_bytes(letter->header, header, size);
	for (int i = 0; i < count; i++) {
		letter->parts[i] = parts[i];
		if (borrow)
			continue;
		letter->parts[i].data = at;
		at = copy_bytes(at, parts[i].data, parts[i].size);
	}
	return letter;
}

static void refuse(void (*answered)(void *user, struct hub_answer *answer), void *user, int code, const char *text)
{
	struct hub_answer answer = { .result = code };

	snprintf(answer.text, sizeof answer.text, "%s", text);
	answered(user, &answer);
}

static void say_lost(const struct hub *hub, int node, char *text, size_t size)
{
	snprintf(text, size, "node %d (%s) is lost: nothing was heard of it for %d s", node, hub_node(hub, node)->host,
	         (int)(LINK_LOST / INT64_C(1000000000)));
}

static void add_question(struct hub *hub, const struct letter *letter, struct question *question)
{
	/* 0 is the number of what is no question. */
	if (!++hub->question_number)
		hub->question_number = 1;
	*question = (struct question){
		.next = hub->questions, .number = hub->question_number, .node = letter->node,
		.answered = letter->answered, .user = letter->user,
	};
	hub->questions = question;
	((struct wire *)(void *)(uintptr_t)letter->header)->call = question->number;
}

static int cannot_be_asked(const struct hub *hub, int node, char *text, size_t size)
{
	int closed = hub_is_closed(hub), lost = hub->lost[node];

	if (closed)
		snprintf(text, size, "the run time has ended");
	else if (lost)
		say_lost(hub, node, text, size);
	return closed || lost;
}

/* In the thread: hands a letter to the link. */
static void post(struct hub *hub, void *user)
{
	struct letter *letter = user;
	struct question *question = letter->answered ? malloc(sizeof *question) : NULL;
	char text[128] = "out of memory";

	if (cannot_be_asked(hub, letter->node, text, sizeof text) || (letter->answered && !question)) {
		if (letter->answered)
			refuse(letter->answered, letter->user, question ? -ENOLINK : -ENOMEM, text);
		free(question);
		free(letter);
		return;
	}
	if (question)
		add_question(hub, letter, question);
	if (link_send(hub->link, letter->node, letter->header, letter->size, letter->parts, letter->count, free, letter) ==
	    0)
		return;
	if (question) {
		hub->questions = question->next;
		refuse(question->answered, question->user, -ENOMEM, "out of memory");
		free(question);
	}
	free(letter);
}

int hub_post(struct hub *hub, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
             void (*answered)(void *user, struct hub_answer *answer), void *user)
{
	struct letter *letter = write_letter(node, header, size, parts, count, 0);

	if (!letter)
		return -ENOMEM;
	letter->answered = answered;
	letter->user = user;
	hub_send_on_errand(hub, &letter->errand, post, letter);
	return 0;
}

static void wake_call(void *user, struct hub_answer *answer)
{
	struct hub_call *call = user;

	call->answer = *answer;
	atomic_store(&call->done, 1);
	wait_wake(&call->done, 1);
}

void hub_ask(struct hub *hub, struct hub_call *call, int node, const void *header, size_t size, const struct rp_bytes *parts,
             int count)
{
	struct letter *letter = write_letter(node, header, size, parts, count, 1);

	atomic_store(&call->done, 0);
	if (!letter) {
		refuse(wake_call, call, -ENOMEM, "out of memory");
		return;
	}
	letter->answered = wake_call;
	letter->user = call;
	hub_send_on_errand(hub, &letter->errand, post, letter);
}

int64_t hub_await(struct hub_call *call)
{
	while (!atomic_load(&call->done))
		wait_on(&call->done, 0, CLOCK_NEVER);
	return call->answer.result;
}

/* ---- messages of agents ---------------------------------------------------------------------------------- */

static struct hub_activity *find_activity(const struct hub *hub, uint64_t id)
{
	struct hub_activity *activity = hub->activities;

	while (activity && activity->id != id)
		activity = activity->next;
	return activity;
}

static void begin_message(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into)
{
	struct hub *hub = user;
	const struct wire *wire = header;
	struct hub_activity *activity;

	(void)size;
	for (int i = 0; i < parts; i++)
		into[i] = NULL;
	switch (wire->kind) {
	case WIRE_REPLY:
		into[0] = parts ? malloc(sizes[0]) : NULL;
		break;
	case WIRE_RESULT:
	case WIRE_GIVEN:
		activity = find_activity(hub, wire->id);
		if (activity)
			activity->acts->begin(activity, node, header, sizes, parts, into);
		break;
	case WIRE_DONE:
		into[0] = parts > 0 && sizes[0] ? malloc(sizes[0]) : NULL;
		if (parts > 1 && ((const struct wire_done *)header)->has_reply)
			into[1] = hub->listener->room(header, sizes[1]);
		break;
	default:
		break;
	}
}

static void answer(struct hub *hub, const struct wire_reply *reply, void *data, size_t size)
{
	struct question **at = &hub->questions, *question;
	struct hub_answer answer = { .result = reply->result, .data = data, .size = data ? size : 0 };

	while (*at && (*at)->number != reply->wire.call)
		at = &(*at)->next;
	question = *at;
	if (!question) {
		free(data);
		return;
	}
	*at = question->next;
	memcpy(answer.text, reply->text, sizeof answer.text);
	answer.text[sizeof answer.text - 1] = 0;
	question->answered(question->user, &answer);
	free(question);
}

static void end_message(void *user, int node, const void *header, size_t size, void *const *into, const size_t *sizes,
                        int parts)
{
	struct hub *hub = user;
	const struct wire *wire = header;
	struct hub_activity *activity;

	(void)size;
	switch (wire->kind) {
	case WIRE_REPLY:
		answer(hub, header, parts ? into[0] : NULL, parts ? sizes[0] : 0);
		break;
	case WIRE_RESULT:
	case WIRE_GIVEN:
		activity = find_activity(hub, wire->id);
		if (activity)
			activity->acts->end(activity, node, header, into, sizes, parts);
		for (int i = 0; !activity && i < parts; i++)
			free(into[i]);          /* it ended while this came in, so none of that is the caller's */
		break;
	case WIRE_DONE:
		hub->listener->done(node, header, parts && into[0] ? into[0] : "", parts > 1 ? into[1] : NULL,
		                    parts > 1 ? sizes[1] : 0);
		if (parts)
			free(into[0]);
		break;
	case WIRE_BROKEN:
		hub->listener->broken(wire->id, node, ((const struct wire_broken *)header)->reason);
		break;
	case WIRE_ENDED:
		hub->listener->ended(header);
		break;
	default:
		break;
	}
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

void hub_add(struct hub *hub, struct hub_activity *activity)
{
	activity->next = hub->activities;
	hub->activities = activity;
}

void hub_remove(struct hub *hub, struct hub_activity *activity)
{
	struct hub_activity **at = &hub->activities;

	while (*at != activity)
		at = &(*at)->next;
	*at = activity->next;
}

static void lose(struct hub *hub, int node)
{
	struct question *question, *next, *kept = NULL;
	char text[128];

	say_lost(hub, node, text, sizeof text);
	hub->lost[node] = 1;
	link_lose(hub->link, node);
	question = hub->questions;
	hub->questions = NULL;
	for (; question; question = next) {
		next = question->next;
		if (question->node == node) {
			refuse(question->answered, question->user, -ENOLINK, text);
			free(question);
			continue;
		}
		question->next = kept;
		kept = question;
	}
	hub->questions = kept;
	for (struct hub_activity *activity = hub->activities; activity; activity = activity->next)
		activity->acts->lose(activity, node);
	hub->listener->lost(node, text);
}

static void look_for_silence(struct hub *hub, int64_t now)
{
	if (now < hub->lost_due)
		return;
	hub->lost_due = now + LINK_BEAT / 4;
	for (int i = 1; i < hub_nodes(hub); i++)
		if (!hub->lost[i] && now - link_heard(hub->link, i) > LINK_LOST)
			lose(hub, i);
}

static int step_activities(struct hub *hub)
{
	struct hub_activity *activity, *next;
	int count = 0;

	for (activity = hub->activities; activity; activity = next) {
		next = activity->next;
		count += activity->acts->step(activity);
	}
	return count;
}

/* Longer and longer naps up to a bound, which is small while there is work; none while MPI has something to move. */
static void nap(struct hub *hub, uint32_t bell, int64_t now, int *quiet)
{
	int busy = hub->activities || hub->questions || atomic_load(&hub->busy) || now - hub->active < AWAKE;
	int64_t most = busy ? NAP_BUSY : NAP_IDLE, length = NAP_FIRST;

	if (link_busy(hub->link) || ++*quiet < YIELDS) {
		sched_yield();
		return;
	}
	for (int i = YIELDS; i < *quiet && length < most; i++)
		length *= 2;
	wait_on(&hub->bell, bell, now + (length < most ? length : most));
}

static int look(struct hub *hub, const struct link_receiver *receiver)
{
	int count = run_errands(hub);

	count += link_poll(hub->link, receiver);
	hub->listener->tick();
	return count + step_activities(hub);
}

/* What still goes on with other nodes is told that there will be none.  Whoever waits for that is about to go, unless it is
 * the thread that ends the program, in a handler of its own. */
static int64_t begin_to_stop(struct hub *hub, int64_t now)
{
	for (int i = 1; i < hub_nodes(hub); i++)
		if (!hub->lost[i])
			hub->listener->lost(i, "the run time has ended");
	return now + GOODBYE;
}

/* Errands that come later are run by whoever brings them, and find nothing that could be sent or would be answered. */
static void close_hub(struct hub *hub)
{
	int closed;

	atomic_store(&hub->deaf, 1);
	do {
		run_errands(hub);
		pthread_mutex_lock(&hub->lock);
		closed = !hub->first;
		atomic_store(&hub->closed, closed);
		pthread_mutex_unlock(&hub->lock);
	} while (!closed);
}

void hub_run(struct hub *hub)
{
	const struct link_receiver receiver = { begin_message, end_message, hub };
	const struct wire end = { .kind = WIRE_END };
	int64_t until = 0, now = 0;
	int quiet = 0;

	while (!until || hub->questions || (hub->activities && now < until)) {
		uint32_t bell = atomic_load(&hub->bell);
		int events = look(hub, &receiver);

		now = clock_now();
		look_for_silence(hub, now);
		if (!until && atomic_load(&hub->stopping))
			until = begin_to_stop(hub, now);
		if (events) {
			hub->active = now;
			quiet = 0;
		} else {
			nap(hub, bell, now, &quiet);
		}
	}
	close_hub(hub);
	for (int i = 1; i < hub_nodes(hub); i++)
		if (!hub->lost[i])
			link_send(hub->link, i, &end, sizeof end, NULL, 0, NULL, NULL);
}
