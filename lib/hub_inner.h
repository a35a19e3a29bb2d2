/* SPDX-License-Identifier: BSD-3-Clause */
/* hub_inner.h - what the parts of the hub know of each other. */
#ifndef RP_LIB_HUB_INNER_H
#define RP_LIB_HUB_INNER_H

#include "hub.h"

#include <pthread.h>

struct known_function {
	const void *fn;
	uint64_t number;
};

/* Under its lock, which nobody holds while waiting for anything. */
struct hub_functions {
	pthread_mutex_t lock;
	struct known_function *known;
	size_t count;
	uint64_t numbers;
};

struct hub_functions *hub_functions(struct hub *hub);

#endif
