/* SPDX-License-Identifier: BSD-3-Clause */
/* outcome.c - what became of an item, and the texts that say why: how long they live and who gives them back. */
#include "pool.h"

#include "context.h"
#include "runtime.h"

#include <errno.h>
#include <stddef.h>

void pool_stamp_note(struct rp_pool *pool, struct note *note)
{
	note->owner = pool;
	if (!note->serial)
		note->serial = atomic_fetch_add(&context_get()->notes, 1) + 1;
}

void pool_link_note(struct rp_pool *pool, struct note *note)
{
	pool_stamp_note(pool, note);
	note->previous = NULL;
	note->next = pool->notes;
	if (note->next)
		note->next->previous = note;
	pool->notes = note;
}

void pool_unlink_note(struct rp_pool *pool, struct note *note)
{
	if (note->previous)
		note->previous->next = note->next;
	else
		pool->notes = note->next;
	if (note->next)
		note->next->previous = note->previous;
}

void pool_fill_outcome(const struct rp_pool *pool, struct rp_outcome *ret, int state, int rank, const struct note *note)
{
	static const char *const unsaid[] = {
		[RP_OK] = "", [RP_FAILED] = "the task failed; there was no memory to say why",
		[RP_DIED] = "its worker died; there was no memory to say how", [RP_TIMED_OUT] = "out of time",
	};

	*ret = (struct rp_outcome){
		.state = (uint16_t)state, .tries = rank >= 0, .rank = rank, .node = pool_node_of(pool, rank)
	};
	if (note) {
		ret->code = note->code;
		ret->text = note->text;
		ret->reserved = note->serial;
	} else {
		ret->text = state == RP_CANCELLED ? pool_is_over(pool) ? pool_reason(pool) : "cancelled" : unsaid[state];
	}
}

int pool_code(int state)
{
	switch (state) {
	case RP_OK: return 0;
	case RP_FAILED: return -EREMOTEIO;
	case RP_DIED: return -ECHILD;
	case RP_TIMED_OUT: return -ETIME;
	default: return -ECANCELED;
	}
}

/* The text of an outcome whose pool is gone went with it, and its memory may be anybody's now: the note's owner has to
 * be a pool that is alive, and its serial the one that the outcome was given. */
static void drop_note(struct note *note, uint64_t serial)
{
	struct rp_pool *pool;

	context_lock();
	for (pool = context_get()->pools; pool && pool != note->owner; pool = pool->next)
		;
	if (pool && serial && note->serial == serial) {
		pthread_mutex_lock(&pool->lock);
		pool_unlink_note(pool, note);
		pthread_mutex_unlock(&pool->lock);
		note->serial = 0;
		arena_drop(pool->arena, note);
	}
	context_unlock();
}

/* Only these states have texts that are notes; the other sentences are the library's own. */
void rp_outcomes_clear(struct rp_outcome *outcomes, size_t count)
{
	for (size_t i = 0; outcomes && i < count; i++) {
		int state = outcomes[i].state;
		const char *text = outcomes[i].text;
		uint64_t serial = outcomes[i].reserved;

		outcomes[i] = (struct rp_outcome){ 0 };
		if ((state == RP_FAILED || state == RP_DIED || state == RP_TIMED_OUT) && runtime_holds(text, 1)) {
			struct note *note = (struct note *)(uintptr_t)(text - offsetof(struct note, text));

			drop_note(note, serial);
		}
	}
}
