/* SPDX-License-Identifier: BSD-3-Clause */
/* error.h - the one way in which the library says what went wrong. */
#ifndef RP_LIB_ERROR_H
#define RP_LIB_ERROR_H

#include "rankpool.h"

/* Fills *err (NULL: nothing; RP_FATAL: prints the sentence and exits with 1) and returns code, a negative errno, so that one
 * line sets the text and fails: return error_set(err, -EINVAL, "...", ...). */
int error_set(struct rp_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for an error that is about item `index`. */
int error_set_item(struct rp_error *err, int code, size_t index, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
