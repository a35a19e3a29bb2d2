/* SPDX-License-Identifier: BSD-3-Clause */
/* environment.h - what a command finds in its environment. */
#ifndef RP_LAUNCHER_ENVIRONMENT_H
#define RP_LAUNCHER_ENVIRONMENT_H

#include "brief.h"
#include "rankpool.h"

/* ---- the manager's part */

/* This process's variables without those by which a launcher tells a program that it is a rank (keep: with them), as a
 * malloc'ed list that ends with NULL.  The texts stay where they are. */
const char **environment_for_commands(int keep, size_t *ret_count);

/* ---- a worker's part */

struct environment;

/* The brief's, which has to live as long, with the worker's own RANKPOOL_* and PARALLEL_* variables.  Made once per worker:
 * only the sequence number changes between jobs. */
struct environment *environment_new(const struct rp_worker_info *worker, const struct brief *brief);
struct environment *environment_free(struct environment *environment);

/* As execve takes it; lives until the next call. */
char *const *environment_for(struct environment *environment, unsigned long long seq);

/* Of a list that ends with NULL: the value of a variable, NULL: it has none. */
const char *environment_value(const char *const *variables, const char *name);

#endif
