/* SPDX-License-Identifier: BSD-3-Clause */
/* function.h - which function of which binary: told to other processes and machines, and found there again.
 *
 * What is named is the code that a pointer leads to. Where a program was linked at a fixed address, its pointer to a
 * function of a library may lead to an entry of the program's linkage table, which leads on to the same function
 * there. Of a function with versions for several kinds of CPU (target_clones) it is the version chosen where the
 * pointer was taken. */
#ifndef RP_LIB_FUNCTION_H
#define RP_LIB_FUNCTION_H

#include "rankpool.h"

#define FUNCTION_HASH 20

enum function_hash_kind { FUNCTION_BUILD_ID = 1, FUNCTION_CODE = 2 };

struct function_id {                            /* plain data, goes over the wire between equal architectures */
	uint8_t hash[FUNCTION_HASH];            /* build-id, cut or padded with zeros, or hash of code and constants */
	uint32_t hash_kind;                     /* enum function_hash_kind */
	uint32_t is_program;                    /* in the main executable: looked for in the receiver's own only */
	uint64_t offset;                        /* from the module's load address */
	char path[1024];                        /* of the module, absolute when possible; of the program for messages only */
};

/* -EFAULT when the pointer lies in no module's code; -ENOTSUP when the module has no build-id and no code to hash: all of it
 * is writable, or cannot be read. */
int function_identify(const void *fn, struct function_id *ret, struct rp_error *err);

/* The same function here, in a loaded module of that hash, whatever its path, or in the file of that path, which is then
 * loaded and stays so.  Several modules of that hash: the one of the same path, else of the same base name, else any.
 * -ENOEXEC: the module is another build here, or cannot be loaded; -ENOENT: it is not here; -EFAULT: the offset is not in
 * its code; -EINVAL: no id at all. */
int function_resolve(const struct function_id *id, void **ret, struct rp_error *err);

/* Build-id of the main executable in hexadecimal, or "code " and a hash of its code, or "unknown". */
void function_program(char *text, size_t size);

#endif
