/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_task.c - single tasks as they come to this node: each a ticket of the crew, or waiting for one.
 *
 * Workers take tickets in the order in which they were sent. So of those that are on their way the ones that nobody
 * has taken yet are the last, and a look for ended ones may stop at the first of these. (The exception, after a
 * recall: the old entry in the ring of a ticket that is used again. A look at all of them now and then finds its end.) */
#include "agent_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_TICKET (-1)

struct agent_task {
	struct agent_task *next, *previous;     /* in the pool's list of those that were sent, or of those that wait */
	struct arena *arena;
	struct wire_task says;
	rp_task_fn *fn;
	int ticket;
	int unwanted;
	void *in, *arg, *out;                   /* in the arena; small inputs and results are in the ticket */
	size_t in_size, arg_size;
	/* Once it has ended: */
	struct note *note;
	const void *reply;
	char small[CREW_INLINE];
};

static void link_last(struct agent_task **first, struct agent_task **last, struct agent_task *task)
{
	task->next = NULL;
	task->previous = *last;
	if (*last)
		(*last)->next = task;
	else
		*first = task;
	*last = task;
}

static void unlink_from(struct agent_task **first, struct agent_task **last, struct agent_task *task)
{
	if (task->previous)
		task->previous->next = task->next;
	else
		*first = task->next;
	if (task->next)
		task->next->previous = task->previous;
	else
		*last = task->previous;
}

static void free_task(void *user)
{
	struct agent_task *task = user;

	arena_drop(task->arena, task->in);
	arena_drop(task->arena, task->arg);
	arena_drop(task->arena, task->out);
	arena_drop(task->arena, task->note);
	arena_drop(task->arena, task->reply);
	free(task);
}

/* ---- on its way ------------------------------------------------------------------------------------------- */

static void fill_ticket(const struct agent_task *task, struct ticket *ticket)
{
	const struct wire_task *says = &task->says;
	int in_place = says->has_in && task->in_size <= CREW_INLINE;

	if (in_place && task->in_size)
		memcpy(ticket->in_place, task->in, task->in_size);
	ticket->fn = task->fn;
	ticket->in = in_place ? ticket->in_place : task->in;
	ticket->in_size = task->in_size;
	ticket->out = says->out_size && !task->out ? ticket->out_place : task->out;
	ticket->out_size = says->out_size;
	ticket->index = says->index;
	ticket->seed = says->seed;
	ticket->arg = task->arg;
	ticket->arg_size = task->arg_size;
	atomic_store(&ticket->unwanted, (uint32_t)task->unwanted);
	ticket->reply = (struct rp_bytes){ 0 };
	ticket->note = NULL;
	ticket->rank = -1;
	ticket->code = 0;
}

static int send(struct agent_pool *pool, struct agent_task *task)
{
	int id = ticket_take(pool->crew, &pool->office);

	if (id < 0)
		return id;
	fill_ticket(task, ticket_at(pool->crew, (uint32_t)id));
	task->ticket = id;
	link_last(&pool->sent, &pool->sent_last, task);
	ticket_send(pool->crew, (uint32_t)id);
	return 0;
}

/* The task is done with, and given back when the words are sent. */
static void say(struct agent *agent, const struct agent_pool *pool, struct agent_task *task, enum rp_state state, int rank,
                struct rp_bytes reply)
{
	const struct note *note = task->note;
	struct wire_done done = { .wire = { .kind = WIRE_DONE, .id = task->says.wire.id }, .pool = task->says.pool,
		                  .state = state, .code = note ? note->code : 0, .rank = -1,
		                  .has_reply = reply.data != NULL };
	const struct rp_bytes parts[] = { { note ? note->text : NULL, note ? note->size + 1 : 0 }, reply };

	if (rank >= 0)
		done.rank = rank + (int32_t)pool->crew->first_rank;
	agent_send(agent, &done, sizeof done, parts, 2, free_task, task);
}

/* It could not even be begun. */
static void refuse(struct agent *agent, const struct wire_task *says, int code, const char *text)
{
	struct wire_done done = { .wire = { .kind = WIRE_DONE, .id = says->wire.id }, .pool = says->pool, .state = RP_FAILED,
		                  .code = code, .rank = -1 };
	char *copy = strdup(text);

	agent_send(agent, &done, sizeof done, &(struct rp_bytes){ copy, copy ? strlen(copy) + 1 : 0 }, 1, free, copy);
}

/* Takes from an ended ticket what is to be told, and tells. */
static void collect(struct agent *agent, struct agent_pool *pool, struct agent_task *task, enum rp_state state)
{
	struct ticket *ticket = ticket_at(pool->crew, (uint32_t)task->ticket);
	size_t out_size = task->says.out_size;
	struct rp_bytes reply = { 0 };
	int rank = ticket->rank;

	task->note = ticket->note;
	task->reply = ticket->reply.data;
	if (state == RP_OK && !out_size)
		reply = ticket->reply;
	else if (state == RP_OK && task->out)
		reply = (struct rp_bytes){ task->out, out_size };
	else if (state == RP_OK)
		reply = (struct rp_bytes){ memcpy(task->small, ticket->out_place, out_size), out_size };
	unlink_from(&pool->sent, &pool->sent_last, task);
	ticket_return(pool->crew, &pool->office, (uint32_t)task->ticket);
	say(agent, pool, task, state, rank, reply);
}

/* Sends on what waits for tickets.  One for which there will never be any, as nothing is on its way, has failed. */
static int pump(struct agent *agent, struct agent_pool *pool)
{
	int happened = 0;

	while (pool->waiting) {
		struct agent_task *task = pool->waiting;
		int r;

		unlink_from(&pool->waiting, &pool->waiting_last, task);
		r = send(pool, task);
		if (r == -ENOMEM && !pool->sent) {
			refuse(agent, &task->says, r, "no memory for a task");
			free_task(task);
		} else if (r < 0) {
			task->next = pool->waiting;
			task->previous = NULL;
			if (task->next)
				task->next->previous = task;
			else
				pool->waiting_last = task;
			pool->waiting = task;
			break;
		}
		happened++;
	}
	return happened;
}

/* What has ended before the pool did is told. */
int agent_tasks_look(struct agent *agent, struct agent_pool *pool, int all)
{
	struct agent_task *task, *next;
	int happened = 0, over = agent_pool_is_over(pool);

	if (pool->told || atomic_load(&pool->crew->stop) == CREW_TERMINATED)
		return 0;
	for (task = pool->sent; task; task = next) {
		int state = ticket_outcome(pool->crew, (uint32_t)task->ticket);

		next = task->next;
		if (!all && state == RP_PENDING && !ticket_runs(pool->crew, (uint32_t)task->ticket))
			break;
		if (state == RP_PENDING || (over && state == RP_CANCELLED))
			continue;
		collect(agent, pool, task, state);
		happened++;
	}
	return over ? happened : happened + pump(agent, pool);
}

int agent_tasks_left(const struct agent_pool *pool)
{
	return pool->sent || pool->waiting;
}

static void free_all(struct agent_task *task)
{
	for (struct agent_task *next; task; task = next) {
		next = task->next;
		free_task(task);
	}
}

void agent_tasks_free(struct agent_pool *pool)
{
	for (struct agent_task *task = pool->sent; task; task = task->next) {
		const struct ticket *ticket = ticket_at(pool->crew, (uint32_t)task->ticket);

		task->note = ticket->note;
		task->reply = ticket->reply.data;
	}
	free_all(pool->sent);
	free_all(pool->waiting);
	pool->sent = pool->waiting = NULL;
}

/* ---- messages --------------------------------------------------------------------------------------------- */

static void keep_part(struct letter *letter, int i, void **ret, size_t *ret_size)
{
	*ret = letter->part[i];
	*ret_size = letter->size[i];
	letter->part[i] = NULL;
}

void agent_task(struct agent *agent, struct letter *letter)
{
	const struct wire_task *says = &letter->says->task;
	struct agent_pool *pool = agent_pool(agent, says->pool);
	rp_task_fn *fn = (rp_task_fn *)(uintptr_t)agent_function(agent, says->function);
	struct agent_task *task;

	if (!pool || agent_pool_is_over(pool))
		return;
	if (!fn) {
		refuse(agent, says, -EPROTO, "a task with a function that was never named");
		return;
	}
	task = letter->missing ? NULL : calloc(1, sizeof *task);
	if (task && says->out_size > CREW_INLINE)
		task->out = arena_alloc(agent->arena, ARENA_MANAGER, says->out_size);
	if (!task || (says->out_size > CREW_INLINE && !task->out)) {
		char text[200];

		snprintf(text, sizeof text, "no memory on %s for a task of %zu bytes and a result of %zu", pool->crew->host,
		         letter->size[0] + letter->size[1], (size_t)says->out_size);
		refuse(agent, says, -ENOMEM, text);
		free(task);
		return;
	}
	task->arena = agent->arena;
	task->says = *says;
	task->fn = fn;
	task->ticket = NO_TICKET;
	keep_part(letter, 0, &task->in, &task->in_size);
	keep_part(letter, 1, &task->arg, &task->arg_size);
	pool->stir = 1;
	if (!pool->waiting && send(pool, task) == 0)
		return;
	link_last(&pool->waiting, &pool->waiting_last, task);
}

static struct agent_task *find_task(struct agent_task *task, uint64_t id)
{
	while (task && task->says.wire.id != id)
		task = task->next;
	return task;
}

void agent_recall(struct agent *agent, struct letter *letter)
{
	const struct wire_recall *says = &letter->says->recall;
	struct agent_pool *pool = agent_pool(agent, says->pool);
	struct agent_task *task = pool ? find_task(pool->sent, says->wire.id) : NULL;
	int recalled = 0;

	if (task && ticket_recall(pool->crew, (uint32_t)task->ticket)) {
		unlink_from(&pool->sent, &pool->sent_last, task);
		ticket_return(pool->crew, &pool->office, (uint32_t)task->ticket);
		recalled = 1;
	} else if (pool && !task) {
		task = find_task(pool->waiting, says->wire.id);
		if (task)
			unlink_from(&pool->waiting, &pool->waiting_last, task);
		recalled = task != NULL;
	}
	if (recalled) {
		free_task(task);
		pool->stir = 1;
	}
	agent_reply(agent, &says->wire, recalled, NULL);
}

void agent_drop(struct agent *agent, struct letter *letter)
{
	const struct wire_recall *says = &letter->says->recall;
	struct agent_pool *pool = agent_pool(agent, says->pool);
	struct agent_task *task = pool ? find_task(pool->sent, says->wire.id) : NULL;

	if (task)
		atomic_store(&ticket_at(pool->crew, (uint32_t)task->ticket)->unwanted, 1);
	else if (pool)
		task = find_task(pool->waiting, says->wire.id);
	if (task)
		task->unwanted = 1;
}
