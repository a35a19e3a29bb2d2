/* SPDX-License-Identifier: BSD-3-Clause */
/* arena_runs.c - the arena as a list of runs of units, changed without locks.
 *
 * The mapping is cut into units of 64 KiB.  A table with one word per unit describes runs of units: the word of a run's
 * first unit holds its type, length and owning heap; the words of the other units mean nothing.  So the runs form a list
 * that is walked from unit `first` to unit `top` by adding lengths.  Every change is one compare-and-swap of one word:
 *
 *   FREE(n)  -> CLAIMED(n, heap)                  somebody takes the run
 *   CLAIMED  -> LARGE(k), then FREE(n-k) behind   keeps the first k units; the rest cannot be reached before
 *   CLAIMED  -> SLAB(class)                       one unit of equal blocks, with a bitmap of those in use
 *   LARGE    -> FREE
 *
 * The list grows at its end: the word at `top` goes from 0 to CLAIMED, then `top` moves behind it; whoever finds the
 * first step done makes the second.  A process that dies in between leaves a CLAIMED word, and the heap's record says
 * which: arena_recover makes it FREE again. */
#include "arena_inner.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Makes the pages of a run real, so that a touch cannot be a SIGBUS later. */
static int populate(struct arena *arena, uint64_t unit, uint64_t count)
{
	size_t size = count * UNIT;

	if (memory_available(size) < size) {
		errno = ENOMEM;
		return -1;
	}
	if (madvise(unit_address(arena, unit), size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno == EINVAL && fallocate(arena->fd, 0, (off_t)(unit * UNIT), (off_t)size) == 0)
		return 0;
	fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(unit * UNIT), (off_t)size);
	errno = ENOMEM;
	return -1;
}

void arena_release(struct arena *arena, uint64_t unit, uint64_t count, unsigned real)
{
	atomic_store(&arena->words[unit], WORD(FREE, real, 0, count));
	atomic_fetch_add(&arena->header->freed, 1);
}

void arena_release_rest(struct arena *arena, uint32_t heap, uint64_t unit)
{
	uint64_t w;

	if (unit >= atomic_load(&arena->header->top))
		return;
	w = atomic_load(&arena->words[unit]);
	if (TYPE(w) == CLAIMED && HEAP(w) == heap)
		arena_release(arena, unit, LENGTH(w), EXTRA(w));
}

/* Joins the free runs behind a run that the caller holds CLAIMED. Returns the new length. */
static uint64_t absorb(struct arena *arena, uint32_t heap, uint64_t unit, uint64_t word, uint64_t want)
{
	uint64_t length = LENGTH(word), real = EXTRA(word);

	while (length < want && unit + length < atomic_load(&arena->header->top)) {
		_Atomic uint64_t *next = &arena->words[unit + length];
		uint64_t w = atomic_load(next);

		if (TYPE(w) != FREE || !atomic_compare_exchange_strong(next, &w, WORD(CLAIMED, EXTRA(w), heap, LENGTH(w))))
			break;
		length += LENGTH(w);
		real = real == EXTRA(w) ? real : SOME_REAL;
		atomic_store(&arena->words[unit], WORD(CLAIMED, real, heap, length));
	}
	return length;
}

/* Walks the list from unit `from` for a free run of `want` units and claims it; the run may be longer.  0: there is none.
 * A unit where the walk stands may cease to be a head; its word then stays CLAIMED, with a length that leads to a head. */
static uint64_t claim_free(struct arena *arena, uint32_t heap, uint64_t want, uint64_t from, uint64_t end)
{
	for (uint64_t unit = from; unit < end;) {
		uint64_t w = atomic_load(&arena->words[unit]), length = LENGTH(w);

		if (TYPE(w) == FREE) {
			atomic_store(&arena->heaps[heap].claim, unit + 1);
			if (!atomic_compare_exchange_strong(&arena->words[unit], &w, WORD(CLAIMED, EXTRA(w), heap, length)))
				continue;
			length = absorb(arena, heap, unit, w, want);
			if (length >= want)
				return unit;
			atomic_store(&arena->words[unit], WORD(FREE, EXTRA(atomic_load(&arena->words[unit])), 0, length));
		}
		unit += length;
	}
	return 0;
}

/* Claims `want` units at the end of the list.  0: the reservation is used up. */
static uint64_t claim_new(struct arena *arena, uint32_t heap, uint64_t want)
{
	_Atomic uint64_t *top = &arena->header->top;

	for (;;) {
		uint64_t unit = atomic_load(top), w = 0;

		if (want > arena->header->units - unit)
			return 0;
		atomic_store(&arena->heaps[heap].claim, unit + 1);
		if (atomic_compare_exchange_strong(&arena->words[unit], &w, WORD(CLAIMED, 0, heap, want))) {
			atomic_compare_exchange_strong(top, &(uint64_t){ unit }, unit + want);
			return unit;
		}
		atomic_compare_exchange_strong(top, &unit, unit + LENGTH(w));
	}
}

void arena_trim(struct arena *arena)
{
	uint64_t top = atomic_load(&arena->header->top);

	for (uint64_t unit = arena->header->first; unit < top;) {
		uint64_t w = atomic_load(&arena->words[unit]), length = LENGTH(w);

		if (!length)
			break;
		if (TYPE(w) == FREE && EXTRA(w) &&
		    atomic_compare_exchange_strong(&arena->words[unit], &w, WORD(CLAIMED, 0, ARENA_MANAGER, length))) {
			fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(unit * UNIT),
			          (off_t)(length * UNIT));
			atomic_store(&arena->words[unit], WORD(FREE, 0, 0, length));
		}
		unit += length;
	}
}

/* Pages of free runs that were too short are still real: they make room. */
static int populate_anyhow(struct arena *arena, uint64_t unit, uint64_t count)
{
	if (populate(arena, unit, count) == 0)
		return 0;
	arena_trim(arena);
	return populate(arena, unit, count);
}

uint64_t arena_claim(struct arena *arena, uint32_t heap, uint64_t want)
{
	uint64_t first = arena->header->first, top = atomic_load(&arena->header->top);
	uint64_t rover = arena->rover > first ? arena->rover : first;
	uint64_t unit = claim_free(arena, heap, want, rover, top), word, length;

	if (!unit)
		unit = claim_free(arena, heap, want, first, rover);
	if (!unit)
		unit = claim_new(arena, heap, want);
	if (!unit) {
		errno = ENOMEM;
		return 0;
	}
	word = atomic_load(&arena->words[unit]);
	length = LENGTH(word);
	if (EXTRA(word) != ALL_REAL && populate_anyhow(arena, unit, want) < 0) {
		arena_release(arena, unit, length, EXTRA(word));
		atomic_store(&arena->heaps[heap].claim, 0);
		return 0;
	}
	if (length > want)
		atomic_store(&arena->words[unit + want], WORD(CLAIMED, EXTRA(word), heap, length - want));
	arena->rover = unit;
	return unit;
}

void arena_settle(struct arena *arena, uint32_t heap, uint64_t unit, uint64_t word)
{
	uint64_t length = LENGTH(atomic_load(&arena->words[unit]));

	atomic_store(&arena->words[unit], word);
	if (length > LENGTH(word))
		arena_release_rest(arena, heap, unit + LENGTH(word));
	atomic_store(&arena->heaps[heap].claim, 0);
}

