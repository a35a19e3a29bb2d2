/* SPDX-License-Identifier: BSD-3-Clause */
/* image.h - functions of modules that were loaded after the supervisor was forked: its children do not have them.
 *
 * A function goes to workers and processes as its bare address, which means the same there, as they are copies of the
 * program as it was. For one of a module that was loaded (dlopen) since, a note in shared memory says what the address
 * stands for, and the child that meets it loads the module. */
#ifndef RP_LIB_IMAGE_H
#define RP_LIB_IMAGE_H

#include "arena.h"

struct image;

/* Before the supervisor is forked: remembers what is loaded now.  NULL: no memory. */
struct image *image_new(struct arena *arena);

/* After all children have gone.  NULL. */
struct image *image_free(struct image *image);
void image_forked(struct image *image);         /* in a child that is none of these: drops the copy */

/* Sees to it that children know the function, by any thread.  -EFAULT: it is none; -ENOTSUP: its module
 * cannot be named; -ENOMEM. */
int image_teach(struct image *image, const void *fn, struct rp_error *err);

/* In a child: the function that the address stands for, NULL and *err when its module cannot be had. Few ns unless
 * something was ever taught. */
void *image_function(struct image *image, const void *fn, struct rp_error *err);

#endif
