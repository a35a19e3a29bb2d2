/* SPDX-License-Identifier: BSD-3-Clause */
/* copy.h - copying large arrays at the speed of the memory, not of one CPU. */
#ifndef RP_LIB_COPY_H
#define RP_LIB_COPY_H

#include <stddef.h>

/* memcpy by up to `cpus` threads that end before it returns; small sizes are copied by the caller alone. */
void copy_large(void *to, const void *from, size_t size, unsigned cpus);

#endif
