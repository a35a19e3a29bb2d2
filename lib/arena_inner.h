/* SPDX-License-Identifier: BSD-3-Clause */
/* arena_inner.h - the arena's tables, as blocks (arena.c) and runs of units (arena_runs.c) share them. */
#ifndef RP_LIB_ARENA_INNER_H
#define RP_LIB_ARENA_INNER_H

#include "arena.h"

#include <pthread.h>
#include <stdatomic.h>

#define UNIT ((size_t)65536)
#define CLASSES 10u                             /* blocks of 64 << class bytes, up to 32 KiB */
#define MAP_WORDS (UNIT / 64 / 64)

enum type { UNKNOWN, FREE, CLAIMED, LARGE, SLAB };

#define WORD(type, extra, heap, length) \
	((uint64_t)(type) << 56 | (uint64_t)(extra) << 60 | (uint64_t)(heap) << 40 | (uint64_t)(length))
#define TYPE(word) ((enum type)((word) >> 56 & 15))
#define EXTRA(word) ((unsigned)((word) >> 60))  /* FREE, CLAIMED: which pages are real; SLAB: the class */
#define NONE_REAL 0u
#define ALL_REAL 1u
#define SOME_REAL 2u
#define HEAP(word) ((uint32_t)((word) >> 40 & 0xffff))
#define LENGTH(word) ((word) & 0xffffffffff)

/* Shared: what the heap's owner is in the middle of. */
struct heap {
	_Alignas(64) _Atomic uint64_t claim;    /* unit + 1 of a run it may hold CLAIMED; 0: none */
	_Atomic(void *) pending;                /* a block that nobody else knows of yet */
};

struct header {
	uint64_t units;
	uint64_t first;                         /* the units before it hold these tables */
	_Alignas(64) _Atomic uint64_t top;
	_Alignas(64) _Atomic uint64_t freed;
};

/* Private to one process: which slabs a heap owns.  A process allocates from one heap, that of a thread pool from
 * several. */
struct slabs {
	uint32_t *units;
	size_t count, room, next;
};

struct owned {
	struct owned *next;
	uint32_t heap;
	struct slabs class[CLASSES];
};

struct arena {
	struct arena *parent;                   /* an ancestor process's; its memory can be read here */
	struct header *header;
	struct heap *heaps;
	_Atomic uint64_t *words;
	_Atomic uint64_t (*maps)[MAP_WORDS];
	char *base;
	size_t size;
	int fd;
	pthread_mutex_t lock;                   /* of this process's threads only */
	uint64_t lent[ARENA_HEAPS / 64];        /* manager: heap numbers in use */
	uint64_t rover; /* where the next search for a free run begins: a unit that is or was a head */
	struct owned *owned;
	struct owned *parents;                  /* the lists of the processes that forked this one */
};

static inline char *unit_address(const struct arena *arena, uint64_t unit)
{
	return arena->base + unit * UNIT;
}

/* A run of at least `want` units, its first `want` with real pages, CLAIMED.  0 and errno. */
uint64_t arena_claim(struct arena *arena, uint32_t heap, uint64_t want);

/* Gives a claimed run its use, and then what is behind it to everybody: in this order, a process that dies in between
 * leaves no free run inside another. */
void arena_settle(struct arena *arena, uint32_t heap, uint64_t unit, uint64_t word);

/* Makes a run free; real: ALL_REAL, NONE_REAL or SOME_REAL. */
void arena_release(struct arena *arena, uint64_t unit, uint64_t count, unsigned real);

/* The same for the run behind one that this heap has claimed, if the heap holds it too. */
void arena_release_rest(struct arena *arena, uint32_t heap, uint64_t unit);

#endif
