/* SPDX-License-Identifier: BSD-3-Clause */
/* arena.c - memory shared by a process tree, allocated without locks.
 *
 * The mapping is cut into units of 64 KiB.  A table with one word per unit describes runs of units: the word of a run's
 * first unit holds its type, length and owning heap; the words of the other units mean nothing.  So the runs form a list
 * that is walked from unit `first` to unit `top` by adding lengths.  Every change is one compare-and-swap of one word:
 *
 *   FREE(n)  -> CLAIMED(n, heap)                  somebody takes the run
 *   CLAIMED  -> LARGE(k) after FREE(n-k) behind   keeps the first k units; the rest cannot be reached before
 *   CLAIMED  -> SLAB(class)                       one unit of equal blocks, with a bitmap of those in use
 *   LARGE    -> FREE
 *
 * The list grows at its end: the word at `top` goes from 0 to CLAIMED, then `top` moves behind it; whoever finds the
 * first step done makes the second.  A process that dies in between leaves a CLAIMED word, and the heap's record says
 * which: arena_recover makes it FREE again.  Blocks below 32 KiB come from slabs: only the heap that owns a slab sets
 * bits in its map, anybody clears them.  The unit words and bitmaps lie on pages of their own, apart from user data. */
#include "arena.h"

#include "descriptor.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define UNIT ((size_t)65536)
#define LARGEST ((size_t)1 << 40)
#define SMALLEST ((size_t)1 << 26)
#define VALGRIND ((size_t)1 << 28)
#define SMALLEST_WANTED ((size_t)1 << 30)
#define CLASSES 10u                             /* blocks of 64 << class bytes, up to 32 KiB */
#define MAP_WORDS (UNIT / 64 / 64)
#define SEARCH 64u                              /* slabs looked at before a new one is taken */

enum type { UNKNOWN, FREE, CLAIMED, LARGE, SLAB };

#define WORD(type, extra, heap, length) \
	((uint64_t)(type) << 56 | (uint64_t)(extra) << 60 | (uint64_t)(heap) << 40 | (uint64_t)(length))
#define TYPE(word) ((enum type)((word) >> 56 & 15))
#define EXTRA(word) ((unsigned)((word) >> 60))  /* FREE, CLAIMED: 1 when its pages are real; SLAB: the class */
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

static unsigned class_of(size_t size)
{
	return size <= 64 ? 0 : 58 - (unsigned)__builtin_clzl(size - 1);
}

static char *unit_address(const struct arena *arena, uint64_t unit)
{
	return arena->base + unit * UNIT;
}

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

static void release_run(struct arena *arena, uint64_t unit, uint64_t count, int warm)
{
	atomic_store(&arena->words[unit], WORD(FREE, warm, 0, count));
	atomic_fetch_add(&arena->header->freed, 1);
}

/* The run behind one that this heap has claimed, if the heap holds it too. */
static void release_rest(struct arena *arena, uint32_t heap, uint64_t unit)
{
	uint64_t w;

	if (unit >= atomic_load(&arena->header->top))
		return;
	w = atomic_load(&arena->words[unit]);
	if (TYPE(w) == CLAIMED && HEAP(w) == heap)
		release_run(arena, unit, LENGTH(w), (int)EXTRA(w));
}

/* Joins the free runs behind a run that the caller holds CLAIMED. Returns the new length. */
static uint64_t absorb(struct arena *arena, uint32_t heap, uint64_t unit, uint64_t word, uint64_t want)
{
	uint64_t length = LENGTH(word), warm = EXTRA(word);

	while (length < want && unit + length < atomic_load(&arena->header->top)) {
		_Atomic uint64_t *next = &arena->words[unit + length];
		uint64_t w = atomic_load(next);

		if (TYPE(w) != FREE || !atomic_compare_exchange_strong(next, &w, WORD(CLAIMED, EXTRA(w), heap, LENGTH(w))))
			break;
		length += LENGTH(w);
		warm &= EXTRA(w);
		atomic_store(&arena->words[unit], WORD(CLAIMED, warm, heap, length));
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

/* A run of exactly `want` units with real pages, still CLAIMED.  0 and errno. */
static uint64_t claim(struct arena *arena, uint32_t heap, uint64_t want)
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
	if (!EXTRA(word) && populate_anyhow(arena, unit, want) < 0) {
		release_run(arena, unit, length, 0);
		atomic_store(&arena->heaps[heap].claim, 0);
		return 0;
	}
	if (length > want)
		atomic_store(&arena->words[unit + want], WORD(CLAIMED, EXTRA(word), heap, length - want));
	arena->rover = unit;
	return unit;
}

/* Gives a claimed run its use, and then what is behind it to everybody: in this order, a process that dies in between leaves
 * no free run inside another. */
static void settle(struct arena *arena, uint32_t heap, uint64_t unit, uint64_t word)
{
	uint64_t length = LENGTH(atomic_load(&arena->words[unit]));

	atomic_store(&arena->words[unit], word);
	if (length > LENGTH(word))
		release_rest(arena, heap, unit + LENGTH(word));
	atomic_store(&arena->heaps[heap].claim, 0);
}

static void *alloc_large(struct arena *arena, uint32_t heap, _Atomic(void *) *pending, size_t size)
{
	uint64_t want = (size + UNIT - 1) / UNIT;
	uint64_t unit = claim(arena, heap, want);

	if (!unit)
		return NULL;
	if (pending)
		atomic_store(pending, unit_address(arena, unit));
	settle(arena, heap, unit, WORD(LARGE, 1, heap, want));
	return unit_address(arena, unit);
}

/* Takes a free block of one slab, or NULL.  The pending word is set before the bit, so that a block whose bit is set is
 * either published or known. */
static void *take_block(struct arena *arena, uint32_t unit, unsigned class, _Atomic(void *) *pending)
{
	size_t block = (size_t)64 << class, blocks = UNIT / block;

	for (size_t i = 0; i * 64 < blocks; i++) {
		uint64_t all = blocks - i * 64 >= 64 ? UINT64_MAX : ((uint64_t)1 << (blocks - i * 64)) - 1;
		_Atomic uint64_t *map = &arena->maps[unit][i];
		uint64_t used = atomic_load(map);

		while ((used & all) != all) {
			unsigned bit = (unsigned)__builtin_ctzl(~used);
			char *memory = unit_address(arena, unit) + (i * 64 + bit) * block;

			if (pending)
				atomic_store(pending, memory);
			used = atomic_fetch_or(map, (uint64_t)1 << bit);
			if (!(used >> bit & 1))
				return memory;
		}
	}
	return NULL;
}

static int add_slab(struct slabs *slabs, uint32_t unit)
{
	if (slabs->count == slabs->room) {
		size_t room = slabs->room ? 2 * slabs->room : 16;
		uint32_t *units = realloc(slabs->units, room * sizeof *units);

		if (!units)
			return -ENOMEM;
		slabs->units = units;
		slabs->room = room;
	}
	slabs->units[slabs->count++] = unit;
	return 0;
}

/* The slabs that a heap owns already, left there by those who used it before. */
static struct owned *find_slabs(struct arena *arena, uint32_t heap)
{
	uint64_t top = atomic_load(&arena->header->top);
	struct owned *owned = arena->owned;

	while (owned && owned->heap != heap)
		owned = owned->next;
	if (owned)
		return owned;
	owned = calloc(1, sizeof *owned);
	if (!owned)
		return NULL;
	owned->heap = heap;
	owned->next = arena->owned;
	arena->owned = owned;
	for (uint64_t unit = arena->header->first; unit < top;) {
		uint64_t w = atomic_load(&arena->words[unit]);

		if (TYPE(w) == SLAB && HEAP(w) == heap)
			add_slab(&owned->class[EXTRA(w)], (uint32_t)unit);
		unit += LENGTH(w);
	}
	return owned;
}

static void *alloc_small(struct arena *arena, uint32_t heap, _Atomic(void *) *pending, size_t size)
{
	unsigned class = class_of(size);
	struct owned *owned = find_slabs(arena, heap);
	struct slabs *slabs;
	uint64_t unit;
	void *memory = NULL;

	if (!owned)
		return NULL;
	slabs = &owned->class[class];
	for (size_t i = 0; !memory && i < slabs->count && i < SEARCH; i++) {
		memory = take_block(arena, slabs->units[slabs->next], class, pending);
		if (!memory)
			slabs->next = (slabs->next + 1) % slabs->count;
	}
	if (memory)
		return memory;
	unit = claim(arena, heap, 1);
	if (!unit)
		return NULL;
	if (add_slab(slabs, (uint32_t)unit) < 0) {
		settle(arena, heap, unit, WORD(FREE, 1, 0, 1));
		errno = ENOMEM;
		return NULL;
	}
	memset(arena->maps[unit], 0, sizeof arena->maps[unit]);
	settle(arena, heap, unit, WORD(SLAB, class, heap, 1));
	slabs->next = slabs->count - 1;
	return take_block(arena, (uint32_t)unit, class, pending);
}

static void *alloc(struct arena *arena, uint32_t heap, _Atomic(void *) *pending, size_t size)
{
	void *memory;

	if (size > arena->size) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_lock(&arena->lock);
	if (size <= (size_t)64 << (CLASSES - 1))
		memory = alloc_small(arena, heap, pending, size);
	else
		memory = alloc_large(arena, heap, pending, size);
	pthread_mutex_unlock(&arena->lock);
	return memory;
}

void *arena_alloc(struct arena *arena, uint32_t heap, size_t size)
{
	return alloc(arena, heap, NULL, size);
}

void *arena_alloc_pending(struct arena *arena, uint32_t heap, size_t size)
{
	return alloc(arena, heap, &arena->heaps[heap].pending, size);
}

void arena_publish(struct arena *arena, uint32_t heap)
{
	atomic_store_explicit(&arena->heaps[heap].pending, NULL, memory_order_release);
}

void arena_drop(struct arena *arena, const void *memory)
{
	uint64_t offset, unit, word;

	if (!memory || !arena_holds(arena, memory, 0))
		return;
	offset = (uint64_t)((const char *)memory - arena->base);
	unit = offset / UNIT;
	word = atomic_load(&arena->words[unit]);
	if (TYPE(word) == SLAB) {
		uint64_t block = offset % UNIT / ((uint64_t)64 << EXTRA(word));

		atomic_fetch_and(&arena->maps[unit][block / 64], ~((uint64_t)1 << block % 64));
	} else if (TYPE(word) == LARGE && offset % UNIT == 0) {
		release_run(arena, unit, LENGTH(word), 1);
	}
}

/* The word is cleared first: freed twice would be worse than lost, if the process dies here. */
void arena_drop_pending(struct arena *arena, uint32_t heap)
{
	arena_drop(arena, atomic_exchange(&arena->heaps[heap].pending, NULL));
}

void arena_recover(struct arena *arena, uint32_t heap)
{
	struct heap *h = &arena->heaps[heap];
	uint64_t unit = atomic_load(&h->claim);

	/* First, as it may lie in the run, which is nobody else's yet. */
	arena_drop_pending(arena, heap);
	if (unit) {
		uint64_t w = atomic_load(&arena->words[--unit]);

		/* What it had claimed behind was being joined to the run, or cut off from it. */
		if (HEAP(w) == heap && TYPE(w) != FREE) {
			atomic_compare_exchange_strong(&arena->header->top, &(uint64_t){ unit }, unit + LENGTH(w));
			release_rest(arena, heap, unit + LENGTH(w));
		}
		if (HEAP(w) == heap && TYPE(w) == CLAIMED)
			release_run(arena, unit, LENGTH(w), 0);
		atomic_store(&h->claim, 0);
	}
}

int arena_holds(const struct arena *arena, const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)memory, base = arena ? (uintptr_t)arena->base : 0;

	return arena && at >= base && at - base < arena->size && size <= arena->size - (at - base);
}

struct arena *arena_owner(struct arena *arena, const void *memory, size_t size)
{
	while (arena && !arena_holds(arena, memory, size))
		arena = arena->parent;
	return arena;
}

static void forget_slabs(struct arena *arena)
{
	struct owned *owned;

	while ((owned = arena->owned)) {
		arena->owned = owned->next;
		for (unsigned c = 0; c < CLASSES; c++)
			free(owned->class[c].units);
		free(owned);
	}
}

/* Another thread of the parent may have been changing the lists: they are left alone, not freed. */
void arena_forked(struct arena *arena)
{
	for (struct owned *o = arena->owned; o; o = o->next)
		if (!o->next) {
			o->next = arena->parents;
			arena->parents = arena->owned;
			break;
		}
	arena->owned = NULL;
	pthread_mutex_init(&arena->lock, NULL);
}

static int heap_is_lent(const struct arena *arena, uint32_t heap)
{
	return arena->lent[heap / 64] >> heap % 64 & 1;
}

int arena_lend_heaps(struct arena *arena, uint32_t count)
{
	uint32_t run = 0;
	int first = -ENOSPC;

	pthread_mutex_lock(&arena->lock);
	for (uint32_t heap = ARENA_MANAGER + 1; heap < ARENA_HEAPS && first < 0; heap++) {
		run = heap_is_lent(arena, heap) ? 0 : run + 1;
		if (run == count)
			first = (int)(heap - count + 1);
	}
	for (uint32_t i = 0; first >= 0 && i < count; i++)
		arena->lent[((uint32_t)first + i) / 64] |= (uint64_t)1 << ((uint32_t)first + i) % 64;
	pthread_mutex_unlock(&arena->lock);
	return first;
}

void arena_return_heaps(struct arena *arena, uint32_t first, uint32_t count)
{
	pthread_mutex_lock(&arena->lock);
	for (uint32_t i = first; i < first + count; i++)
		arena->lent[i / 64] &= ~((uint64_t)1 << i % 64);
	pthread_mutex_unlock(&arena->lock);
}

uint64_t arena_freed(const struct arena *arena)
{
	return atomic_load_explicit(&arena->header->freed, memory_order_relaxed);
}

/* Valgrind's leak check reads all that is mapped, which makes shared memory real.  This is how its clients see it. */
static int under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "/vgpreload_");
}

/* The most that limits allow: a larger file would raise SIGXFSZ, a larger mapping would fail later for malloc. */
static size_t reservation(void)
{
	size_t size = under_valgrind() ? VALGRIND : LARGEST;
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		while (size > limit.rlim_cur && size > SMALLEST)
			size /= 2;
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		while (size > limit.rlim_cur / 2 && size > SMALLEST)
			size /= 2;
	return size;
}

static int map_file(struct arena *arena, struct rp_error *err)
{
	struct rlimit limit;
	size_t smallest;
	void *base;

	arena->size = reservation();
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < arena->size)
		return error_set(err, -EFBIG, "the limit on file sizes (RLIMIT_FSIZE) is %zu bytes: shared memory needs %zu",
		                 (size_t)limit.rlim_cur, arena->size);
	smallest = arena->size < SMALLEST_WANTED ? arena->size : SMALLEST_WANTED;
	if (ftruncate(arena->fd, (off_t)arena->size) < 0)
		return error_set(err, -errno, "cannot reserve %zu MiB of shared memory: %s", arena->size >> 20,
		                 strerror(errno));
	for (;; arena->size /= 2) {
		base = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, arena->fd, 0);
		if (base != MAP_FAILED)
			break;
		if (arena->size / 2 < smallest)
			return error_set(err, -errno, "cannot map %zu MiB of shared memory: %s", arena->size >> 20,
			                 strerror(errno));
	}
	/* A core dump of any process of the tree would otherwise write, and so make real, every hole. */
	madvise(base, arena->size, MADV_DONTDUMP);
	arena->base = base;
	return 0;
}

/* Lays the tables out at the head of the mapping; their pages are real only where they are used. */
static void lay_out(struct arena *arena)
{
	size_t at = 4096, units = arena->size / UNIT;

	arena->header = (struct header *)arena->base;
	arena->heaps = (struct heap *)(arena->base + at);
	at += ARENA_HEAPS * sizeof *arena->heaps;
	arena->words = (_Atomic uint64_t *)(arena->base + at);
	at += units * sizeof *arena->words;
	arena->maps = (_Atomic uint64_t(*)[MAP_WORDS])(arena->base + at);
	at += units * sizeof *arena->maps;
	arena->header->units = units;
	arena->header->first = (at + UNIT - 1) / UNIT;
	atomic_store(&arena->header->top, arena->header->first);
}

int arena_new(struct arena **ret, struct arena *parent, struct rp_error *err)
{
	struct arena *arena = calloc(1, sizeof *arena);
	int r;

	*ret = NULL;
	if (!arena)
		return error_set(err, -ENOMEM, "out of memory");
	arena->parent = parent;
	pthread_mutex_init(&arena->lock, NULL);
	arena->fd = descriptor_high(memfd_create("rankpool", MFD_CLOEXEC));
	if (arena->fd < 0)
		r = error_set(err, -errno, "cannot make shared memory: %s", strerror(errno));
	else
		r = map_file(arena, err);
	if (r < 0) {
		arena_free(arena);
		return r;
	}
	lay_out(arena);
	*ret = arena;
	return 0;
}

struct arena *arena_free(struct arena *arena)
{
	if (!arena)
		return NULL;
	forget_slabs(arena);
	if (arena->base)
		munmap(arena->base, arena->size);
	if (arena->fd >= 0)
		close(arena->fd);
	free(arena);
	return NULL;
}
