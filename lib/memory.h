/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h - how much memory the machine and the memory cgroups still allow. */
#ifndef RP_LIB_MEMORY_H
#define RP_LIB_MEMORY_H

#include <stddef.h>

/* Bytes that may still be made real: the least of MemAvailable and what is left below each memory cgroup limit (v1 and v2,
 * every level up to the root).  For a `wanted` too small to matter nothing is read and the answer is SIZE_MAX. */
size_t memory_available(size_t wanted);

#endif
