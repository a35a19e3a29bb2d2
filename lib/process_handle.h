/* SPDX-License-Identifier: BSD-3-Clause */
/* process_handle.h - what a process's handle is, and how its end is found. */
#ifndef RP_LIB_PROCESS_HANDLE_H
#define RP_LIB_PROCESS_HANDLE_H

#include "process.h"

#include <pthread.h>

enum stage { STAGE_NEW, STAGE_RUNNING, STAGE_ENDED };

struct rp_process {
	struct rp_process *next, **link;        /* in the context's list; link: what points at this */
	pid_t owner;                            /* the process that made it */
	enum stage stage;
	int freed;                              /* by its owner, while it ran */
	int watched;                            /* the exit hook waits for it: not to be destroyed */
	uint32_t kind, flags;
	rp_target *target;
	void *arg;
	size_t arg_size;
	char *name;
	struct place *place;
	int32_t node;                           /* 0: the manager's */
	char *bind;                             /* on another node, as the caller said it */
	pid_t pid;
	int sentinel;                           /* pidfd of a process, eventfd of a thread; open as long as the handle */
	int exitcode;                           /* once ended */
	const struct process_starter *starter;  /* NULL: a child of this process */
	void *token;
	pthread_t thread;
	int joinable;                           /* thread: neither joined nor detached yet */
	int returned;                           /* thread: what becomes its exit code */
	int done;                               /* thread: has left the handle alone */
};

/* Without the lock, of a handle that is the caller's: from new to running is the caller's own step, to ended anybody's. */
enum stage handle_stage(const struct rp_process *process);

/* 1: it is the thread that asks. */
int handle_is_self(const struct rp_process *process);

/* Waits for the end of a started process, without the lock, up to the deadline.  0, or -ETIMEDOUT. */
int handle_wait(struct rp_process *process, int64_t deadline);

/* Under the context's lock, none of them waits: */
void handle_run(struct rp_process *process);            /* from now on it runs, and its end is looked for */
int handle_check(struct rp_process *process);           /* 0: has ended, and is gone if it was freed; -EAGAIN: it runs */
int handle_check_all(void);                             /* reaps what has ended; returns how many run */
void handle_destroy(struct rp_process *process);        /* that does not run */

/* 0 also when it has ended.  Takes the lock itself. */
int handle_signal(struct rp_process *process, int signal);

/* The exit hook: terminates daemons, joins the others. */
void handle_end_all(void);

#endif
