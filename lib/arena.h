/* SPDX-License-Identifier: BSD-3-Clause */
/* arena.h - the one shared mapping of a process tree: the same bytes at the same addresses in manager, supervisor,
 * workers. */
#ifndef RP_LIB_ARENA_H
#define RP_LIB_ARENA_H

#include "error.h"

struct arena;

/* Who allocates: each worker slot has a heap of its own, and so has the manager, so that no lock is shared between processes
 * and a process killed in the middle of an allocation harms nobody. */
#define ARENA_MANAGER 0u
#define ARENA_HEAPS 65536u

/* Reserves address space (1 TiB, or as much as limits allow) without using memory.  parent: one that an ancestor process
 * mapped, or NULL.  A negative errno with the reason. */
int arena_new(struct arena **ret, struct arena *parent, struct rp_error *err);
struct arena *arena_free(struct arena *arena);

/* Memory aligned to 64, its pages made real, not zeroed.  NULL and errno = ENOMEM when the machine or a memory cgroup
 * has not got it.  Any process of the tree may drop it. */
void *arena_alloc(struct arena *arena, uint32_t heap, size_t size);

/* The same for the one block that the heap's owner has not yet published: arena_recover frees it when the owner dies.
 * Publishing hands it on; dropping frees it. */
void *arena_alloc_pending(struct arena *arena, uint32_t heap, size_t size);
void arena_publish(struct arena *arena, uint32_t heap);
void arena_drop_pending(struct arena *arena, uint32_t heap);

void arena_drop(struct arena *arena, const void *memory);

/* After the owner of `heap` has died: undoes what it was in the middle of, and frees its pending blocks. */
void arena_recover(struct arena *arena, uint32_t heap);

int arena_holds(const struct arena *arena, const void *memory, size_t size);

/* The arena among this one and its ancestors that holds the memory; NULL: none. */
struct arena *arena_owner(struct arena *arena, const void *memory, size_t size);

/* In a forked child: the private notes of the parent about its heap are not the child's. */
void arena_forked(struct arena *arena);

/* Gives `count` heap numbers in a row, the manager's to lend to slots; -ENOSPC when all are lent. */
int arena_lend_heaps(struct arena *arena, uint32_t count);
void arena_return_heaps(struct arena *arena, uint32_t first, uint32_t count);

/* Gives the pages of free memory back to the machine. */
void arena_trim(struct arena *arena);

/* Changes whenever memory is freed that arena_trim could give back. */
uint64_t arena_freed(const struct arena *arena);

#endif
