/* SPDX-License-Identifier: BSD-3-Clause */
/* place.c - where one worker runs, in plain bits. */
#include "place.h"

#include <errno.h>
#include <hwloc.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5                   /* Linux 5.15 */
#endif

void place_list(char *ret, size_t size, hwloc_const_bitmap_t cpus)
{
	static const char more[] = ",...";

	if ((size_t)hwloc_bitmap_list_snprintf(ret, size, cpus) < size)
		return;
	if ((size_t)hwloc_bitmap_snprintf(ret, size, cpus) < size)
		return;
	hwloc_bitmap_list_snprintf(ret, size - strlen(more), cpus);
	/* The number before the cut may have lost digits. */
	strcpy(strrchr(ret, ','), more);
}

static void copy_bits(unsigned long *ret, hwloc_const_bitmap_t bits)
{
	for (unsigned i = 0; i < PLACE_WORDS; i++)
		ret[i] = hwloc_bitmap_to_ith_ulong(bits, i);
}

void place_set(struct place *ret, hwloc_const_bitmap_t cpus, hwloc_const_bitmap_t nodes)
{
	memset(ret, 0, sizeof *ret);
	copy_bits(ret->cpus, cpus);
	copy_bits(ret->nodes, nodes);
	place_list(ret->list, sizeof ret->list, cpus);
}

/* One node by MPOL_PREFERRED; several need MPOL_PREFERRED_MANY, before which the kernel would take the first alone. */
static void prefer_nodes(const struct place *place)
{
	int mode = MPOL_DEFAULT;
	unsigned count = 0;

	for (unsigned i = 0; i < PLACE_WORDS; i++)
		count += (unsigned)__builtin_popcountl(place->nodes[i]);
	if (!count || syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) < 0)
		return;
	if (mode != MPOL_DEFAULT && mode != MPOL_PREFERRED && mode != MPOL_PREFERRED_MANY)
		return;
	if (count > 1 && syscall(SYS_set_mempolicy, MPOL_PREFERRED_MANY, place->nodes, PLACE_BITS + 1UL) == 0)
		return;
	syscall(SYS_set_mempolicy, MPOL_PREFERRED, place->nodes, PLACE_BITS + 1UL);
}

int place_bind(const struct place *place)
{
	if (syscall(SYS_sched_setaffinity, 0, sizeof place->cpus, place->cpus) < 0)
		return -errno;
	if (place->bound)
		prefer_nodes(place);
	return 0;
}
