/* SPDX-License-Identifier: BSD-3-Clause */
/* hub_function.h - the functions that other nodes know. */
#ifndef RP_LIB_HUB_FUNCTION_H
#define RP_LIB_HUB_FUNCTION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct hub;

struct known_function {
	const void *fn;
	uint64_t number;
};

struct hub_functions {
	pthread_mutex_t lock;                   /* nobody holds it while waiting for anything */
	struct known_function *known;
	size_t count;
	uint64_t numbers;
};

struct hub_functions *hub_functions(struct hub *hub);

#endif
