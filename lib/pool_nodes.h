/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_nodes.h - a pool's workers on other nodes. */
#ifndef RP_LIB_POOL_NODES_H
#define RP_LIB_POOL_NODES_H

#include "pool.h"

struct hub_listener;

/* Who gets how many; *ret_here of them on this node. */
int pool_spread(struct rp_pool *pool, struct hub *hub, const struct rp_pool_options *options, uint32_t *ret_here,
                struct rp_error *err);

/* Sees to it that all nodes have initializer and exit function, before any worker runs one.  Negative: one has not. */
int pool_name_functions(struct rp_pool *pool, const struct rp_pool_options *options, struct rp_error *err);

/* Opens the pool on the other nodes; when one refuses, all close it again. */
int pool_open_nodes(struct rp_pool *pool, const struct rp_pool_options *options, struct rp_error *err);

/* Tells them that no more work comes (WIRE_LET_GO), or to kill the workers; does not wait, pool->staying tells. */
void pool_leave_nodes(struct rp_pool *pool, int how);

/* They kill what runs and forget the pool; returns when they have. */
void pool_close_nodes(struct rp_pool *pool);

/* What a worker of another node is now. */
void pool_node_worker(const struct rp_pool *pool, int rank, struct rp_worker_info *ret);

/* The living pool of that number, for the hub's thread; NULL. */
struct rp_pool *pool_by_id(uint64_t id);

void pool_node_broken(uint64_t pool, int node, const char *reason);
void pool_node_lost(int node, const char *why);
void pool_tick(void);

#endif
