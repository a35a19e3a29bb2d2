/* SPDX-License-Identifier: BSD-3-Clause */
/* arena.c - memory shared by a process tree, allocated without locks.
 *
 * The mapping is cut into units of 64 KiB, which arena_runs.c hands out in runs.  A large block is a run; blocks up to
 * 32 KiB come from slabs, units of equal blocks with a bitmap of those in use: only the heap that owns a slab sets bits,
 * anybody clears them.  The tables lie on pages of their own, apart from user data. */
#include "arena_inner.h"

#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define LARGEST ((size_t)1 << 40)
#define SMALLEST ((size_t)1 << 26)
#define VALGRIND ((size_t)1 << 28)
#define SMALLEST_WANTED ((size_t)1 << 30)
#define SEARCH 64u                              /* slabs looked at before a new one is taken */

static unsigned class_of(size_t size)
{
	return size <= 64 ? 0 : 58 - (unsigned)__builtin_clzl(size - 1);
}

static void *alloc_large(struct arena *arena, uint32_t heap, _Atomic(void *) *pending, size_t size)
{
	uint64_t want = (size + UNIT - 1) / UNIT;
	uint64_t unit = arena_claim(arena, heap, want);

	if (!unit)
		return NULL;
	if (pending)
		atomic_store(pending, unit_address(arena, unit));
	arena_settle(arena, heap, unit, WORD(LARGE, 1, heap, want));
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
	unit = arena_claim(arena, heap, 1);
	if (!unit)
		return NULL;
	if (add_slab(slabs, (uint32_t)unit) < 0) {
		arena_settle(arena, heap, unit, WORD(FREE, 1, 0, 1));
		errno = ENOMEM;
		return NULL;
	}
	memset(arena->maps[unit], 0, sizeof arena->maps[unit]);
	arena_settle(arena, heap, unit, WORD(SLAB, class, heap, 1));
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
		arena_release(arena, unit, LENGTH(word), 1);
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
	uint64_t w = unit ? atomic_load(&arena->words[unit - 1]) : 0;

	/* Before the run, in which it may lie, is anybody else's; but what the run was is remembered from before. */
	arena_drop_pending(arena, heap);
	if (unit--) {
		/* What it had claimed behind was being joined to the run, or cut off from it. */
		if (HEAP(w) == heap && TYPE(w) != FREE) {
			atomic_compare_exchange_strong(&arena->header->top, &(uint64_t){ unit }, unit + LENGTH(w));
			arena_release_rest(arena, heap, unit + LENGTH(w));
		}
		if (HEAP(w) == heap && TYPE(w) == CLAIMED)
			arena_release(arena, unit, LENGTH(w), SOME_REAL);
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
	int first = count ? -ENOSPC : (int)ARENA_MANAGER + 1;

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
