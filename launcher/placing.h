/* SPDX-License-Identifier: BSD-3-Clause */
/* placing.h - how many copies of a program, and where: mpirun's words as the library takes them. */
#ifndef RP_LAUNCHER_PLACING_H
#define RP_LAUNCHER_PLACING_H

#include "rankpool.h"

#include <stdint.h>

struct placing_words {                          /* as given, NULL when not */
	const char *copies, *per_node;          /* -n, -N */
	const char *map_by, *bind_to;
	const char *cpus;
};

struct placing {
	uint32_t copies;                        /* over all nodes; 0: not said */
	uint32_t per_node;                      /* 0: not said */
	uint32_t per_object;                    /* 0: not said; so many for each `object` of each node */
	char object[16];
	const char *cpus;                       /* NULL: all */
	char bind[48];                          /* of rp_pool_options */
	uint32_t cpus_each;                     /* 0: not said */
	int oversubscribe;                      /* there may be more copies than slots */
	int not_here;                           /* none on the first node */
	int by_node;                            /* evenly over the nodes, instead of filling one after the other */
};

/* 0, or -1 after one line that begins with `name`: a word that is not known, two that contradict each other. */
int placing_read(struct placing *ret, const struct placing_words *words, const char *name);

/* The options of a pool with the same workers.  -1 after one line: more copies are asked for than there are objects. */
int placing_options(const struct placing *placing, struct rp_pool_options *ret, const char *name);

#endif
