/* SPDX-License-Identifier: BSD-3-Clause */
/* function.h - which function of which binary: told to other processes and machines, and found there again. */
#ifndef RP_LIB_FUNCTION_H
#define RP_LIB_FUNCTION_H

#include "error.h"

#define FUNCTION_HASH 20

struct function_id {
	uint8_t hash[FUNCTION_HASH];
	uint32_t hash_kind;
	uint32_t is_program;
	uint64_t offset;
	char path[1024];
};

int function_identify(const void *fn, struct function_id *ret, struct rp_error *err);
int function_resolve(const struct function_id *id, void **ret, struct rp_error *err);
void function_program(char *text, size_t size);

#endif
