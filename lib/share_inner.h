/* SPDX-License-Identifier: BSD-3-Clause */
/* share_inner.h - what the parts of a share know of each other; all of it is the hub's thread's. */
#ifndef RP_LIB_SHARE_INNER_H
#define RP_LIB_SHARE_INNER_H

#include "share.h"

/* What a node was given at a time. */
struct share_batch {
	struct share_batch *next;
	uint64_t id;
	uint32_t begin, count;
	uint32_t left;                          /* not given back */
	int64_t since;
};

/* Items in hand.  -ENOMEM. */
int share_reserve(struct share *share, uint32_t begin, uint32_t end);

/* Counts the workers that can still be given something, when the nodes have changed of which that is true. */
void share_count_workers(struct share *share);

/* The node has room for more, or may have. */
void share_hunger(struct share *share, struct share_node *node);

/* It has got so many items, or lost them. */
void share_change(struct share *share, struct share_node *node, int64_t change);

/* Nobody can go on: what is missing will not come.  Breaks the pool. */
void share_give_up(struct share *share, const char *why);

struct share_node *share_node_of(struct share *share, int node);
void share_remove_batch(struct share *share, struct share_node *node, struct share_batch *batch);

/* How many of the items from `begin` on fit into a batch's bytes; at least one. */
uint32_t share_fit(const struct share *share, uint32_t begin, uint32_t count);

/* Sends items, which are JOB_AWAY already, to a node. */
void share_give(struct share *share, struct share_node *node, uint32_t begin, uint32_t count);

/* What hub_acts asks for. */
void share_begin_message(struct hub_activity *activity, int node, const void *header, const size_t *sizes, int parts,
                         void **into);
void share_end_message(struct hub_activity *activity, int node, const void *header, void *const *into, const size_t *sizes,
                       int parts);

#endif
