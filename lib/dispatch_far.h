/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch_far.h - single tasks on other nodes.  All but far_cancel is called under the pool's lock. */
#ifndef RP_LIB_DISPATCH_FAR_H
#define RP_LIB_DISPATCH_FAR_H

#include "dispatch.h"
#include "wire.h"

/* 1 and who is to get the next task: the node with the most room, *ret = NULL for the own one.  0: nobody has room. */
int far_choose(struct rp_pool *pool, struct pool_node **ret);
int far_send(struct rp_future *future, struct pool_node *node);

/* The future is no longer one of its node's. */
void far_unlink(struct rp_future *future);
void far_drop(struct rp_future *future);

/* Nothing waits: when somebody is idle, another node gives back what it has not begun. */
void far_balance(struct rp_pool *pool);

/* As rp_future_cancel, of one that a node has.  -EAGAIN: it has come back from there meanwhile. */
int far_cancel(struct rp_future *future);

/* ---- the hub's thread */
void *far_room(const struct wire_done *done, size_t size);
void far_done(int node, const struct wire_done *done, const char *text, void *result, size_t size);

/* ---- in dispatch.c, for this */
int dispatch_check(struct rp_future *future); /* 1 when it has ended, now or before */
void dispatch_finish(struct rp_future *future, int state, int rank, struct note *note);
void dispatch_put_first(struct rp_pool *pool, struct rp_future *future);
int dispatch_take_back(struct rp_pool *pool); /* one task that waits for the own node's workers; 1: it waits again */

#endif
