/* SPDX-License-Identifier: BSD-3-Clause */
/* spread.h - how many of a pool's workers each node gets. */
#ifndef RP_LIB_SPREAD_H
#define RP_LIB_SPREAD_H

#include "error.h"

struct hub;
struct wire_pool;

/* Fills workers[] for all nodes of the hub, the manager's own included, and returns their sum. As many as fit on each
 * unless the options say how many: .workers over all nodes, shared out in proportion to what fits, .workers_per_node
 * on each. Where a node has several ranks each rank, on any node, stands for one worker. */
int64_t spread(struct hub *hub, const struct rp_pool_options *options, uint32_t *workers, struct rp_error *err);

/* Asks other nodes where workers[node] workers would go, all at the same time; infos[] has room for their sum, in order of
 * the nodes (the manager's own first, which are left as they are). */
int spread_infos(struct hub *hub, const struct rp_pool_options *options, const uint32_t *workers,
                 struct rp_worker_info *infos, struct rp_error *err);

/* The part of a message that tells a pool's options, and the strings that go with it: *ret_strings is malloc'ed. */
int spread_message(struct wire_pool *ret, struct rp_bytes *ret_strings, const struct rp_pool_options *options);

#endif
