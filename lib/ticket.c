/* SPDX-License-Identifier: BSD-3-Clause */
/* ticket.c - single tasks.
 *
 * A ticket's state word is the truth: READY -> TAKEN(slot) -> DONE(outcome), each by compare-and-swap or by the one that
 * owns it.  The ring only tells in which order to try: an entry whose ticket is not READY is passed over, so a ticket
 * that was recalled, or reused while a stalled worker still held its old entry, harms nothing; and any worker may move
 * the head past an entry that has been tried.  A worker writes the ticket's id into its slot before it takes it, so the
 * supervisor finds the ticket of a dead worker, and the slot number in the state tells whether it really had it. */
#include "ticket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STATE(phase, extra) ((uint32_t)(phase) | (uint32_t)(extra) << 8)
#define PHASE(state) ((state) & 255)
#define OUTCOME(state) ((int)((state) >> 8))

struct ticket *ticket_at(const struct crew *crew, uint32_t id)
{
	return &crew->tickets[id / CREW_BLOCK][id % CREW_BLOCK];
}

int ticket_take(struct crew *crew, struct ticket_office *office)
{
	uint32_t id;

	/* Entries of recalled tickets stay in the ring until a worker passes over them. */
	if (atomic_load(&crew->tail) - atomic_load(&crew->head) >= CREW_RING)
		return -EAGAIN;
	if (office->free_count)
		return (int)office->free[--office->free_count];
	if (office->made == CREW_TICKETS)
		return -EAGAIN;
	if (!crew->ring)
		crew->ring = arena_alloc(crew->arena, ARENA_MANAGER, CREW_RING * sizeof *crew->ring);
	if (!crew->ring)
		return -ENOMEM;
	id = office->made;
	if (id % CREW_BLOCK == 0) {
		struct ticket *block = arena_alloc(crew->arena, ARENA_MANAGER, CREW_BLOCK * sizeof *block);

		if (!block)
			return -ENOMEM;
		memset(block, 0, CREW_BLOCK * sizeof *block);
		crew->tickets[id / CREW_BLOCK] = block;
	}
	office->made++;
	return (int)id;
}

void ticket_send(struct crew *crew, uint32_t id)
{
	uint64_t tail = atomic_load_explicit(&crew->tail, memory_order_relaxed);

	atomic_store(&ticket_at(crew, id)->state, STATE(TICKET_READY, 0));
	atomic_store_explicit(&crew->ring[tail % CREW_RING], id, memory_order_relaxed);
	atomic_store(&crew->tail, tail + 1);
	crew_ring(crew, 1);
}

int ticket_recall(struct crew *crew, uint32_t id)
{
	return atomic_compare_exchange_strong(&ticket_at(crew, id)->state, &(uint32_t){ STATE(TICKET_READY, 0) },
	                                      STATE(TICKET_DONE, RP_CANCELLED));
}

int ticket_outcome(const struct crew *crew, uint32_t id)
{
	uint32_t state = atomic_load(&ticket_at(crew, id)->state);

	return PHASE(state) == TICKET_DONE ? OUTCOME(state) : RP_PENDING;
}

int ticket_runs(const struct crew *crew, uint32_t id)
{
	return PHASE(atomic_load(&ticket_at(crew, id)->state)) == TICKET_TAKEN;
}

void ticket_return(struct crew *crew, struct ticket_office *office, uint32_t id)
{
	atomic_store(&ticket_at(crew, id)->state, STATE(TICKET_FREE, 0));
	office->free[office->free_count++] = id;
}

int ticket_waits(const struct crew *crew)
{
	return atomic_load_explicit(&crew->head, memory_order_relaxed) <
	       atomic_load_explicit(&crew->tail, memory_order_acquire);
}

struct ticket *ticket_pop(struct crew *crew, uint32_t slot)
{
	for (;;) {
		uint64_t head = atomic_load(&crew->head), next = head;
		struct ticket *ticket;
		uint32_t id;
		int mine;

		if (head >= atomic_load(&crew->tail))
			break;
		id = atomic_load_explicit(&crew->ring[head % CREW_RING], memory_order_relaxed);
		ticket = ticket_at(crew, id);
		atomic_store(&crew->slots[slot].ticket, id + 1);
		mine = atomic_compare_exchange_strong(&ticket->state, &(uint32_t){ STATE(TICKET_READY, 0) },
		                                      STATE(TICKET_TAKEN, slot + 1));
		atomic_compare_exchange_strong(&crew->head, &next, head + 1);
		if (mine)
			return ticket;
	}
	atomic_store(&crew->slots[slot].ticket, 0);
	return NULL;
}

/* The write may fail only when the counter is full, which is as loud as it gets. */
static void finish(struct crew *crew, struct ticket *ticket, enum rp_state state, int fd)
{
	ticket->order = atomic_fetch_add(&crew->order, 1);
	atomic_store(&ticket->state, STATE(TICKET_DONE, state));
	crew_tell_ended(crew, fd);
}

void ticket_end(struct crew *crew, uint32_t slot, struct ticket *ticket, enum rp_state state, int fd)
{
	finish(crew, ticket, state, fd);
	atomic_store_explicit(&crew->slots[slot].ticket, 0, memory_order_relaxed);
}

void ticket_bury(struct crew *crew, uint32_t slot, int code, const char *text, int fd)
{
	uint32_t id = atomic_load(&crew->slots[slot].ticket);

	if (id && atomic_load(&ticket_at(crew, id - 1)->state) == STATE(TICKET_TAKEN, slot + 1)) {
		struct ticket *ticket = ticket_at(crew, id - 1);
		int over = atomic_load(&crew->stop) > CREW_CLOSES;

		ticket->code = code;
		ticket->rank = (int32_t)slot;
		ticket->reply = (struct rp_bytes){ 0 };
		ticket->note = over ? NULL : crew_note(crew, crew->heap + slot, RP_DIED, code, slot, text, strlen(text));
		arena_publish(crew->arena, crew->heap + slot);
		finish(crew, ticket, over ? RP_CANCELLED : RP_DIED, fd);
	}
	atomic_store(&crew->slots[slot].ticket, 0);
	/* It may have died between handing its ticket back and saying so. */
	crew_tell(crew);
	if (atomic_load(&crew->fd_wanted) && write(fd, &(uint64_t){ 1 }, 8) < 0)
		return;
}
