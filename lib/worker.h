/* SPDX-License-Identifier: BSD-3-Clause */
/* worker.h - what a worker does, be it a process or a thread. */
#ifndef RP_LIB_WORKER_H
#define RP_LIB_WORKER_H

#include "crew.h"

/* Exit codes of a worker that leaves by itself; a task that calls exit leaves with its own. */
#define WORKER_LEFT 0                           /* closed, or retired after max_tasks */
#define WORKER_INIT_FAILED 1

/* Runs the initializer, then jobs and tickets until the crew is stopped or the worker has had max_tasks.  The slot's
 * state says how far it is.  fd: this process's number of the crew's eventfd.  Returns an exit code. */
int worker_run(struct crew *crew, uint32_t slot, int fd);

/* The same as the whole life of a worker process, in the child after spawn_fork (which has seen to it that exit runs no
 * handlers of the manager's, also when a task calls it). */
_Noreturn void worker_process(struct crew *crew, uint32_t slot, int fd);

/* Fills what rp_pool_worker and rp_task_worker tell about a slot. */
void worker_info(const struct crew *crew, uint32_t slot, struct rp_worker_info *ret);

/* rp_alloc in a task: the memory comes from the worker's own heap. */
void *worker_alloc(struct rp_task *task, size_t size);

#endif
