/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.h - futures on their way: from the submitter to a ticket, and from an ended ticket back. */
#ifndef RP_LIB_DISPATCH_H
#define RP_LIB_DISPATCH_H

#include "pool.h"

#define DISPATCH_NO_TICKET (-1)

struct rp_future {
	struct rp_pool *pool;                   /* NULL once the pool is gone */
	pid_t owner;
	struct rp_future *newer, *older;        /* all of the pool */
	struct rp_future *next;                 /* in the pool's list of those that wait for a ticket */
	_Atomic int ticket;
	struct pool_node *node;                 /* that has it, in whose list it is by `next`; NULL: none */
	uint64_t far;                           /* its number there */
	uint32_t function;                      /* the function's number, when there are other nodes */
	int dropped;                            /* nobody has the handle any more */
	int unwanted;                           /* somebody had it and gave it up */
	rp_task_fn *fn;
	const void *in;                         /* `small`, or in the arena */
	size_t in_size;
	void *out;                              /* where the task writes a result that is not small; NULL: it replies */
	size_t out_size;
	const void *arg;
	size_t arg_size;
	void *own[3];                           /* memory made for in, out and arg */
	int counted;                            /* its index is its number among the submits; else 0 */
	uint64_t index;
	uint64_t seed;
	uint64_t order;
	_Atomic int ended;                      /* the fields below are final */
	struct rp_outcome outcome;
	int code;                               /* what getting it returns */
	struct note *note;                      /* the outcome's text, if it is one */
	struct rp_bytes result;
	char small[CREW_INLINE + 1];            /* the input until it is sent, then the result, with a 0 behind it */
};

/* A future that its pool does not know yet. */
int dispatch_make(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, size_t in_size, size_t out_size,
                  struct rp_error *err);

/* Puts input, result and argument where the workers can reach them.  borrow: the caller waits, so that memory which they
 * reach already is used in place; else it is copied.  -ENOMEM: the future is gone. */
int dispatch_ship(struct rp_future *future, const void *in, void *out, const struct rp_map_options *o, int borrow);

/* The pool has other nodes: they must know the function. */
int dispatch_number(struct rp_future *future, struct rp_error *err);

/* From here the pool knows it, and a worker will.  Otherwise it is gone: -EINVAL (closed), -EPIPE (broken), -ENOMEM. */
int dispatch_send(struct rp_future *future);

/* 1 when it has ended; its fields are final then.  Keeps what waits for tickets going. */
int dispatch_look(struct rp_future *future);

/* As rp_future_cancel. */
int dispatch_cancel(struct rp_future *future);

/* The handle is gone; the task still runs, and can see that nobody waits for it. */
void dispatch_drop(struct rp_future *future);

#endif
