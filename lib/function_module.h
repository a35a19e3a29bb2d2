/* SPDX-License-Identifier: BSD-3-Clause */
/* function_module.h - one loaded module: where its code lies, and what it is known by.
 * All are for callbacks of dl_iterate_phdr, as a module may be gone when that has returned. */
#ifndef RP_LIB_FUNCTION_MODULE_H
#define RP_LIB_FUNCTION_MODULE_H

#include "function.h"

#include <link.h>

/* A hash of memory ends with the size of what was hashed, so that modules of other sizes need not be read. */
#define FUNCTION_HASH_MIXED (FUNCTION_HASH - sizeof(uint32_t))

/* The loaded segment that has all of `flags` (PF_R, PF_W, PF_X) and the place `offset` from the load address; NULL: none. */
const ElfW(Phdr) *module_segment(const struct dl_phdr_info *module, uintptr_t offset, ElfW(Word) flags);

/* The kernel's own code, which is in the list of modules but in no file. */
int module_is_vdso(const struct dl_phdr_info *module);

/* Fills hash[FUNCTION_HASH]; 0: it has none. */
int module_build_id(const struct dl_phdr_info *module, uint8_t *hash);

/* Bytes of code and constants, which are in memory as in the file; 0: none of its code is so. */
uint32_t module_fixed_size(const struct dl_phdr_info *module);

/* Fills the hash and its kind: the build-id, unless there is none or FUNCTION_CODE is wanted.  0, and kind 0, when there is
 * nothing to know the module by. */
int module_hash(const struct dl_phdr_info *module, enum function_hash_kind wanted, struct function_id *ret);

#endif
