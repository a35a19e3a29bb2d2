/* SPDX-License-Identifier: BSD-3-Clause */
/* environment.h - what a command finds in its environment. */
#ifndef RP_LAUNCHER_ENVIRONMENT_H
#define RP_LAUNCHER_ENVIRONMENT_H

#include "rankpool.h"

struct environment;

/* The caller's environment without the variables by which mpirun and srun tell a program that it is a rank of theirs,
 * and with the worker's own RANKPOOL_* and PARALLEL_* ones.  Made once per worker: only the sequence number changes
 * between jobs. */
struct environment *environment_new(const struct rp_worker_info *worker, unsigned workers, pid_t manager);
struct environment *environment_free(struct environment *environment);

/* As execve takes it; lives until the next call. */
char *const *environment_for(struct environment *environment, unsigned long long seq);

#endif
