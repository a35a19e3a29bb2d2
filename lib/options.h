/* SPDX-License-Identifier: BSD-3-Clause */
/* options.h - taking over a caller's option struct, older or newer than this library. */
#ifndef RP_LIB_OPTIONS_H
#define RP_LIB_OPTIONS_H

#include "error.h"

/* Copies *in, an option struct that starts with its own size, into *ret of `size` bytes.  NULL is all defaults; fields that
 * an older caller does not have become 0; a newer caller's unknown fields must be 0 (-E2BIG).  A size below `smallest`, as
 * when the macro that sets it was forgotten, is -EINVAL. */
int options_import(void *ret, size_t size, const void *in, size_t smallest, const char *what, struct rp_error *err);

/* Refuses flags that the call does not know, by name. */
int options_flags(uint32_t flags, uint32_t known, const char *what, struct rp_error *err);

/* What RANKPOOL_WORKERS in the environment says, for callers who do not say how many workers they want; without it *ret
 * stays.  -EINVAL: it is no number of workers. */
int options_workers(uint32_t *ret, const char *what, struct rp_error *err);

/* A pointer with size 0, or a size with no pointer. */
int options_argument(const void *arg, size_t size, const char *what, struct rp_error *err);

#endif
