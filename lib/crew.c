/* SPDX-License-Identifier: BSD-3-Clause */
/* crew.c - the workers of one pool: who is idle, and waking them.
 *
 * Wake-ups are never lost, although nobody holds a lock.  A worker that finds no work sets its bit in `sleeping`, looks
 * once more, and only then sleeps on its own bell, with the bell's value from before it looked.  Who brings work
 * publishes it, then looks at the bits, and rings the bell of the one it picks.  Both sides write before they read, with
 * sequential consistency, so one of them sees the other.  A worker that spins sees new tickets by itself; it clears its bit
 * before it goes to sleep and looks again after that.  A worker that takes work and sees more wakes the next one. */
#include "crew.h"

#include "clock.h"
#include "descriptor.h"
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SPIN_NS INT64_C(50000)

_Static_assert(sizeof(struct range) == CREW_LINE, "ranges of two workers never share a line");

int crew_new(struct crew **ret, struct arena *arena, const struct place *places, uint32_t count, uint32_t kind,
             struct rp_error *err)
{
	size_t size = sizeof(struct crew) + count * sizeof(struct slot);
	struct crew *crew = arena_alloc(arena, ARENA_MANAGER, size);
	int heap;

	*ret = NULL;
	if (!crew)
		return error_set(err, -ENOMEM, "no memory for %u workers (%zu bytes)", count, size);
	memset(crew, 0, size);
	crew->fd = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	heap = arena_lend_heaps(arena, count);
	if (crew->fd < 0 || heap < 0) {
		int r = crew->fd < 0 ? -errno : heap;

		if (crew->fd >= 0)
			close(crew->fd);
		if (heap >= 0)
			arena_return_heaps(arena, (uint32_t)heap, count);
		arena_drop(arena, crew);
		return error_set(err, r, "cannot make a pool of %u workers: %s", count, strerror(-r));
	}
	crew->arena = arena;
	crew->size = count;
	crew->kind = kind;
	crew->heap = (uint32_t)heap;
	gethostname(crew->host, sizeof crew->host - 1);
	for (uint32_t i = 0; i < count; i++)
		crew->slots[i].place = places[i];
	*ret = crew;
	return 0;
}

struct crew *crew_free(struct crew *crew)
{
	if (!crew)
		return NULL;
	close(crew->fd);
	arena_return_heaps(crew->arena, crew->heap, crew->size);
	arena_drop(crew->arena, crew);
	return NULL;
}

/* A worker that is not yet asleep sees that its bell has changed, one that is needs the kernel. */
static void ring_slot(struct crew *crew, uint32_t slot)
{
	uint64_t bit = (uint64_t)1 << slot % 64;

	atomic_fetch_add(&crew->slots[slot].bell, 1);
	if (atomic_load(&crew->sleeping[slot / 64]) & bit)
		wait_wake(&crew->slots[slot].bell, 1);
}

static void wake_slot(struct crew *crew, uint32_t slot)
{
	atomic_fetch_add(&crew->slots[slot].bell, 1);
	wait_wake(&crew->slots[slot].bell, 1);
}

static uint32_t masks(const struct crew *crew)
{
	return (crew->size + 63) / 64;
}

void crew_ring(struct crew *crew, uint32_t count)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t m = 0; count && m < masks(crew); m++) {
		uint32_t looking = (uint32_t)__builtin_popcountll(atomic_load(&crew->spinning[m]));

		count -= looking < count ? looking : count;
	}
	for (uint32_t m = 0; count && m < masks(crew); m++) {
		uint64_t asleep = atomic_load(&crew->sleeping[m]);

		while (count && asleep) {
			uint64_t bit = asleep & -asleep;

			asleep &= ~bit;
			if (!(atomic_fetch_and(&crew->sleeping[m], ~bit) & bit))
				continue;
			wake_slot(crew, m * 64 + (uint32_t)__builtin_ctzll(bit));
			count--;
		}
	}
}

void crew_ring_for_range(struct crew *crew)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t m = 0; m < masks(crew); m++) {
		uint64_t idle = atomic_load(&crew->spinning[m]) | atomic_load(&crew->sleeping[m]);

		if (idle) {
			ring_slot(crew, m * 64 + (uint32_t)__builtin_ctzll(idle));
			return;
		}
	}
}

void crew_ring_all(struct crew *crew)
{
	for (uint32_t i = 0; i < crew->size; i++)
		ring_slot(crew, i);
}

int crew_is_empty(const struct crew *crew)
{
	uint32_t gone = crew->kind == RP_THREADS ? SLOT_RETIRED : SLOT_EMPTY;

	for (uint32_t i = 0; i < crew->size; i++)
		if (atomic_load(&crew->slots[i].state) != gone)
			return 0;
	return 1;
}

void crew_tell(struct crew *crew)
{
	atomic_fetch_add(&crew->ended, 1);
	if (atomic_load(&crew->waiting))
		wait_wake(&crew->ended, INT_MAX);
}

void crew_tell_ended(struct crew *crew, int fd)
{
	ssize_t written = 0;

	crew_tell(crew);
	if (atomic_load_explicit(&crew->fd_wanted, memory_order_relaxed))
		written = write(fd, &(uint64_t){ 1 }, 8);
	(void)written;
}

void crew_break(struct crew *crew, const char *format, ...)
{
	uint32_t runs = CREW_RUNS, closes = CREW_CLOSES;
	va_list list;

	/* Whoever comes second breaks it too, as the first may have died with the pen in its hand. */
	if (!atomic_exchange(&crew->breaking, 1)) {
		va_start(list, format);
		vsnprintf(crew->reason, sizeof crew->reason, format, list);
		va_end(list);
		atomic_store(&crew->explained, 1);
	}
	if (!atomic_compare_exchange_strong(&crew->stop, &runs, CREW_BROKEN))
		atomic_compare_exchange_strong(&crew->stop, &closes, CREW_BROKEN);
	crew_ring_all(crew);
	crew_tell(crew);
}

static struct note *fill_note(struct note *note, enum rp_state state, int code, int rank, const char *text, size_t size)
{
	if (!note)
		return NULL;
	*note = (struct note){ .code = code, .rank = rank, .state = state, .size = (uint32_t)size };
	memcpy(note->text, text, size);
	note->text[size] = 0;
	return note;
}

struct note *crew_note(struct crew *crew, uint32_t heap, enum rp_state state, int code, uint32_t rank, const char *text,
                       size_t size)
{
	struct note *note = arena_alloc_pending(crew->arena, heap, sizeof *note + size + 1);

	return fill_note(note, state, code, (int)rank, text, size);
}

struct note *crew_own_note(struct crew *crew, enum rp_state state, int code, int rank, const char *text, size_t size)
{
	struct note *note = arena_alloc(crew->arena, ARENA_MANAGER, sizeof *note + size + 1);

	return fill_note(note, state, code, rank, text, size);
}

/* Another worker of the crew may start to spin; a hint, as the number may change at once. */
static int may_spin(struct crew *crew)
{
	uint32_t looking = 0;

	for (uint32_t m = 0; m < masks(crew); m++)
		looking += (uint32_t)__builtin_popcountll(atomic_load_explicit(&crew->spinning[m], memory_order_relaxed));
	return looking < crew->spinners;
}

static int tickets_wait(struct crew *crew)
{
	return atomic_load(&crew->head) < atomic_load(&crew->tail);
}

/* 1: there may be work. */
static int spin(struct crew *crew, uint32_t slot, uint32_t bell)
{
	_Atomic uint64_t *mask = &crew->spinning[slot / 64];
	uint64_t bit = (uint64_t)1 << slot % 64;
	int64_t until = clock_now() + SPIN_NS;
	int found = 0;

	atomic_fetch_or(mask, bit);
	do {
		for (int i = 0; !found && i < 64; i++) {
			found = atomic_load_explicit(&crew->slots[slot].bell, memory_order_relaxed) != bell ||
			        tickets_wait(crew);
			wait_pause();
		}
	} while (!found && clock_now() < until);
	atomic_fetch_and(mask, ~bit);
	return found || tickets_wait(crew) || atomic_load(&crew->slots[slot].bell) != bell;
}

int crew_spin(struct crew *crew, uint32_t slot, uint32_t bell)
{
	return may_spin(crew) && spin(crew, slot, bell);
}

void crew_sleep(struct crew *crew, uint32_t slot, uint32_t bell)
{
	_Atomic uint64_t *mask = &crew->sleeping[slot / 64];
	uint64_t bit = (uint64_t)1 << slot % 64;

	atomic_fetch_or(mask, bit);
	if (!tickets_wait(crew) && atomic_load(&crew->stop) == CREW_RUNS)
		wait_on(&crew->slots[slot].bell, bell, CLOCK_NEVER);
	atomic_fetch_and(mask, ~bit);
}

void crew_buried(struct crew *crew, uint32_t slot)
{
	uint64_t bit = (uint64_t)1 << slot % 64;

	atomic_fetch_and(&crew->spinning[slot / 64], ~bit);
	atomic_fetch_and(&crew->sleeping[slot / 64], ~bit);
	/* It may have taken the mark of one that sleeps, and not yet woken it. */
	for (uint32_t i = 0; i < crew->size; i++)
		wake_slot(crew, i);
}
