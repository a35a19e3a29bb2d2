/* SPDX-License-Identifier: BSD-3-Clause */
/* context.h - the library's one static object: what belongs to this process as a whole. */
#ifndef RP_LIB_CONTEXT_H
#define RP_LIB_CONTEXT_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct place;
struct process_starter;
struct rp_pool;
struct rp_process;
struct supervisor;
struct topology;

struct context {
	pthread_mutex_t lock;                   /* guards everything below but `pid` */
	pid_t pid;                              /* of the process that the state below belongs to */
	int starts;                             /* rp_start calls not yet undone by rp_finalize */
	struct supervisor *supervisor;          /* forked by rp_start; NULL without */
	const struct process_starter *starter;  /* how rp_process_start forks once there is a supervisor; NULL: here */
	struct arena *arena;                    /* this process's, made when first needed */
	struct arena *inherited;                /* mapped by an ancestor: its addresses mean the same here */
	struct topology *topology;              /* this machine's, loaded when first needed */
	struct rp_pool *pools;                  /* alive, newest first */
	struct rp_process *processes;           /* started and not yet known to have ended, newest first */
	unsigned process_number;                /* of the newest rp_process, for its default name */
	int is_daemon;                          /* this process was started with RP_DAEMON */
	char name[128];                         /* of this process: "" in the program's first */
	struct rp_task *task;                   /* in a pool worker: its task handle */
	void (*end_processes)(void);            /* exit hooks, set by the floors above when they are first used */
	void (*end_pools)(void);
	int hooked;                             /* atexit has been called */
	sigset_t ignored;                       /* signals that were ignored when the program was started */
};

/* Never fails.  In a forked child the state is that of a program which has just begun: the parent's handles stay the
 * parent's. */
struct context *context_get(void);
void context_lock(void);
void context_unlock(void);

/* 1 when a handle made by process `owner` belongs to this process. */
int context_owns(pid_t owner);

/* Has the exit hooks run when this process leaves by exit() or by returning from main; idempotent. */
void context_hook_exit(void);

/* Runs them now, for a child that leaves by _exit: pools first, then processes. */
void context_end(void);

#endif
