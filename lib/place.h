/* SPDX-License-Identifier: BSD-3-Clause */
/* place.h - where one worker runs, in plain bits. */
#ifndef RP_LIB_PLACE_H
#define RP_LIB_PLACE_H

#include <stddef.h>
#include <stdint.h>

#define PLACE_BITS 8192                         /* the kernel's largest NR_CPUS */
#define PLACE_WORDS (PLACE_BITS / (8 * sizeof(unsigned long)))

struct hwloc_bitmap_s;                          /* so that those who bind need not know hwloc */

/* No pointers: made before a fork, used after it, kept in shared memory. */
struct place {
	uint32_t cpu_count;                     /* CPUs that are the worker's to use: what OMP_NUM_THREADS is set to */
	uint32_t bound;                         /* 0: "none", runs on any allowed CPU */
	uint32_t load;                          /* workers that each CPU serves, rounded up; over 1: oversubscribed */
	uint32_t reserved;
	unsigned long cpus[PLACE_WORDS];        /* OS indexes of PUs */
	unsigned long nodes[PLACE_WORDS];       /* OS indexes of NUMA nodes near them */
	char list[192];                         /* cpus in words, see place_list */
};

/* As hwloc lists, "0-3,8"; what is too long for that as hwloc's mask, "0x55555555,..."; what is too long for both is the
 * beginning of the list and ends in ",...". */
void place_list(char *ret, size_t size, const struct hwloc_bitmap_s *cpus);

/* Fills cpus, nodes and list; the rest is 0. */
void place_set(struct place *ret, const struct hwloc_bitmap_s *cpus, const struct hwloc_bitmap_s *nodes);

/* Binds the calling thread: CPUs hard, memory preferred near them (a refusal of the latter is not an error, and a
 * policy that the user chose, as with numactl, stays).  System calls only, so that it may run after a fork. */
int place_bind(const struct place *place);

#endif
