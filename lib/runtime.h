/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime.h - what pools need of the process as a whole: its arena and its supervisor. */
#ifndef RP_LIB_RUNTIME_H
#define RP_LIB_RUNTIME_H

#include "arena.h"

struct hub;
struct supervisor;

/* This process's arena, made when first needed.  0, or a negative errno and *err. */
int runtime_arena(struct arena **ret, struct rp_error *err);

/* 1 when the memory lies in an arena that this process shares: its own, or one that an ancestor mapped. */
int runtime_holds(const void *memory, size_t size);

/* The supervisor of rp_start, or NULL. */
struct supervisor *runtime_supervisor(void);

/* The other nodes, or NULL: there are none. */
struct hub *runtime_hub(void);

#endif
