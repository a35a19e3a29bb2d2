/* SPDX-License-Identifier: BSD-3-Clause */
/* context.h - the library's one static object: what belongs to this process as a whole. */
#ifndef RP_LIB_CONTEXT_H
#define RP_LIB_CONTEXT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTEXT_FD_PAGES 16
#define CONTEXT_FD_PAGE 65536                   /* descriptors on one: 16 pages are the kernel's largest table */

struct arena;
struct environment;
struct far_process;
struct hub;
struct image;
struct place;
struct process_starter;
struct rp_pool;
struct rp_process;
struct station;
struct supervisor;
struct topology;

struct context {
	pthread_mutex_t lock;                   /* guards everything below but `pid` */
	pid_t pid;                              /* of the process that the state below belongs to */
	int starts;                             /* rp_start calls not yet undone by rp_finalize */
	int alone;                              /* the first of them found no MPI launcher */
	struct supervisor *supervisor;          /* forked by rp_start; NULL without */
	struct station *station;                /* of the manager of several nodes; NULL: there is one node */
	const struct process_starter *starter;  /* how rp_process_start forks once there is a supervisor; NULL: here */
	const struct process_starter *far_starter;      /* and on another node; NULL: there is none */
	struct far_process *far_processes;      /* that have not ended, as their nodes' agents know them */
	struct hub *hub;                        /* of the station; closed and still there as long as pools refer to it */
	int nodes;                              /* of the run time; 0 stands for 1 */
	int ranks;                              /* of the MPI job on this node; 0: there is no job */
	struct arena *arena;                    /* this process's, made when first needed */
	struct rp_pool *pools;                  /* alive, newest first */
	_Atomic uint64_t notes;                 /* texts of outcomes so far */
	size_t orphans;                         /* futures that have outlived their pool, with results in the arena */
	struct rp_process *processes;           /* started and not yet known to have ended, newest first */
	unsigned process_number;                /* of the newest rp_process, for its default name */
	int is_daemon;                          /* this process was started with RP_DAEMON */
	char name[128];                         /* of this process: "" in the program's first */
	struct rp_task *task;                   /* in a pool worker: its task handle */
	void (*end_processes)(void);            /* exit hooks, set by the floors above when they are first used */
	void (*end_pools)(void);
	void (*end_runtime)(void);
	unsigned changing;                      /* threads in calls that make a pool or free one */
	_Atomic int exiting;                    /* exit() runs, in: */
	pthread_t exiting_thread;

	/* From here on a forked child has what its parent had; above, what a program begins with. */
	int hooked;                             /* atexit has been called */
	struct supervisor *left;                /* a parent's: of no use here, but no leak either */
	struct hub *left_hub;                   /* likewise */
	struct arena *inherited;                /* mapped by an ancestor: its addresses mean the same here */
	struct image *image;                    /* in a supervisor's child: what to make of functions */
	struct topology *topology;              /* this machine's, loaded when first needed */
	sigset_t ignored;                       /* signals that were ignored when the program was started */
	int pidfds;                             /* whether the system has them: 1, -1, 0: not asked yet */
	struct environment *environment;        /* what this process's variables were copied to, to set some */
	unsigned thread_limit;                  /* what OMP_NUM_THREADS and its like were set to for this process; 0: not */
	int lifeline[2];                        /* [1]: open in this process alone; its closing kills children of threads */
	int leash;                              /* this process's end of its parent's lifeline; -1: none; both not kept */
	int fd_end;                             /* above the highest one that was ever noted there */
	unsigned long *fds[CONTEXT_FD_PAGES];   /* bits: descriptors that children are not to inherit */
};

/* Never fails.  In a forked child the state is that of a program which has just begun: the parent's handles stay the
 * parent's. */
struct context *context_get(void);
void context_lock(void);
void context_unlock(void);

/* 1 when a handle made by process `owner` belongs to this process. */
int context_owns(pid_t owner);

/* Descriptors of the library's own, such as sentinels, are closed in every forked child, which close-on-exec alone does not
 * do.  One that could not be noted (no memory) is only that: inherited. */
void context_fd_add(int fd);
void context_fd_remove(int fd);                 /* before it is closed */

/* Has the exit hooks run when this process leaves by exit() or by returning from main; idempotent. */
void context_hook_exit(void);

/* Around a call that makes a pool or frees one: the end of the program lets it finish, and what begins later is held. */
void context_enter(void);
void context_leave(void);

/* In a thread whose call on a pool was ended by the end of the program: does not return, as what the thread would do
 * next is no longer part of it (its main might return another exit code). */
void context_hold(void);

/* Runs them now, for a child that leaves by _exit: pools first, then processes, then what both stand on. */
void context_end(void);

#endif
