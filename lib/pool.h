/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.h - the manager's side of a pool, as pool, map and future share it. */
#ifndef RP_LIB_POOL_H
#define RP_LIB_POOL_H

#include "crew.h"
#include "ticket.h"

#include <pthread.h>

struct hub;
struct supervisor;

/* Another node that has workers of the pool. */
struct pool_node {
	int node;
	uint32_t first_rank, workers;
	const char *host;
	struct rp_worker_info *infos;           /* as they were when the pool was opened */
	/* Under the pool's lock: */
	uint32_t tasks;                         /* single tasks that it has */
	struct rp_future *futures;              /* which, newest first */
	uint32_t recalls;                       /* asked for and not answered */
};

struct rp_pool {
	struct rp_pool *next;                   /* in the context */
	pid_t owner;
	struct arena *arena;
	struct crew *crew;
	struct supervisor *supervisor;          /* NULL: threads */
	int own_supervisor;                     /* forked for this pool alone */
	void *init_arg;                         /* the arena's copy, or NULL */
	pthread_t *threads;
	uint32_t thread_count;                  /* started and not yet joined */
	uint32_t workers;                       /* over all nodes */
	struct hub *hub;                        /* NULL: no other node has workers */
	uint64_t id;                            /* by which the nodes know it, */
	uint32_t init, exit;                    /* and these functions; 0: there is none */
	struct pool_node *nodes;                /* those, without the manager's own */
	int node_count;
	_Atomic uint32_t staying;               /* nodes whose workers have not left yet */
	_Atomic uint32_t leaving;               /* 1: they have been told to let them go, 2: to kill them */

	pthread_mutex_t lock;                   /* guards what follows */
	pthread_cond_t job_free;
	int closed;                             /* no more work is taken */
	uint64_t serial;                        /* of the newest job */
	uint32_t jobs;                          /* bits: jobs in use */
	struct note *notes;                     /* whose texts outcomes point to */
	struct ticket_office office;
	struct rp_future *holders[CREW_TICKETS];
	struct rp_future *futures;              /* all that have not been freed, newest first */
	struct rp_future *first, *last;         /* submitted, and no ticket was free */
	uint64_t submits;
	uint32_t tasks_here;                    /* single tasks that the own node's workers have */
	/* Set by the module of futures when there is the first: */
	int (*tasks_wait)(struct rp_pool *pool);        /* under the lock: 1 while anything submitted has not ended */
	void (*abandon_tasks)(struct rp_pool *pool);    /* the workers have gone and the pool goes: the futures stay */
	void (*pump)(struct rp_pool *pool);             /* sends on what waits for a worker */
};

/* 1 in a task, of a pool of processes or of threads. */
int pool_in_task(void);

/* The options as rp_pool_new and rp_pool_plan take them, checked, with how many workers where the environment says so. */
int pool_import(struct rp_pool_options *ret, const struct rp_pool_options *options, const char *what, struct rp_error *err);

/* How many workers the launcher asked for on this node by starting more than one rank there, each of which stands for
 * one; 0: it did not. */
uint32_t pool_ranks_here(void);

/* Whether a call on the pool may go on: -EINVAL (no pool), -EPERM (another process's). */
int pool_check(const struct rp_pool *pool, const char *what, struct rp_error *err);

/* The same for a call that brings work: -EINVAL (closed), -EPIPE (broken), -EDEADLK (from a task of its own threads). */
int pool_check_open(struct rp_pool *pool, const char *what, struct rp_error *err);

/* 1 once nothing more will run: broken or terminated. */
int pool_is_over(const struct rp_pool *pool);

/* Why, as a sentence. */
const char *pool_reason(const struct rp_pool *pool);

/* The number to be seen by pool_wait: taken before looking for what one waits for. */
uint32_t pool_ended(const struct rp_pool *pool);

/* Breaks the pool when its supervisor has been killed, which nobody else would tell. */
void pool_mind(struct rp_pool *pool);

/* Sleeps until something of the pool has ended since `seen` was taken, or for a while: the caller looks again.
 * -ETIMEDOUT at the deadline. */
int pool_wait(struct rp_pool *pool, uint32_t seen, int64_t deadline);

/* 1 when memory can be used by the pool's workers where it is. */
int pool_reaches(const struct rp_pool *pool, const void *memory, size_t size);

/* Makes the note one of the pool's, before an outcome points to it. */
void pool_stamp_note(struct rp_pool *pool, struct note *note);

/* Under the lock: takes the note of an ended item into the pool's list, for its text to live as long as the pool. */
void pool_link_note(struct rp_pool *pool, struct note *note);
void pool_unlink_note(struct rp_pool *pool, struct note *note);

/* The outcome's fields that a note tells. */
void pool_fill_outcome(const struct rp_pool *pool, struct rp_outcome *ret, int state, int rank, const struct note *note);

/* The node that a rank belongs to, and its name. */
int pool_node_of(const struct rp_pool *pool, int rank);
const char *pool_host_of(const struct rp_pool *pool, int rank);

/* What a map returns when this is the worst state; 0 for RP_OK. */
int pool_code(int state);

#endif
