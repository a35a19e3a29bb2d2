/* SPDX-License-Identifier: BSD-3-Clause */
/* variables.h - what a child of this library finds in its environment. */
#ifndef RP_LIB_VARIABLES_H
#define RP_LIB_VARIABLES_H

/* 1: the environment has variables that tell this process that it is a rank of somebody's job, or what that job is
 * like.  Cheap: for the parent, before each fork. */
int variables_to_hide(void);

/* In a forked child: takes them out, and says how many threads are its own, where the user has not: a value that an
 * ancestor got here is not the user's.  cpus 0: says nothing of threads.  0 or -ENOMEM. */
int variables_set(unsigned cpus);

#endif
