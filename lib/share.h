/* SPDX-License-Identifier: BSD-3-Clause */
/* share.h - what the other nodes do of a map: which of its items they have, and what comes back. */
#ifndef RP_LIB_SHARE_H
#define RP_LIB_SHARE_H

#include "hub.h"
#include "job.h"

#include <pthread.h>

/* A node that works for the pool; filled by the pool. */
struct share_node {
	int node;
	uint32_t workers;
	/* The share's own. */
	int knows;                              /* has been told of the map */
	int taking;                             /* has been asked to give back */
	int dry;                                /* had nothing to give back, and got nothing since */
	uint32_t batches, items;                /* that it has */
	uint32_t most;                          /* items of a batch that it has memory for */
	uint32_t sending, receiving;            /* transfers from and into the caller's memory */
	double rate;                            /* items per ns, as far as is known */
	struct share_batch *list;               /* oldest first */
	struct share_node *next;                /* of those that want something */
	int wants;                              /* is among them */
};

/* One wave of a map.  The caller fills the first part and keeps all that it points to until share_end has returned; the rest
 * is the hub's thread's, but for the words that say otherwise. */
struct share {
	struct hub_activity activity;           /* with the map's number */
	struct hub *hub;
	uint64_t pool;
	struct crew *crew;
	uint32_t number;                        /* of the local job */
	uint32_t function, chunk;
	size_t base;
	uint32_t count;
	const char *in;                         /* the caller's own arrays from item `base` on: fixed items, or NULL */
	size_t in_size;
	const struct rp_bytes *in_bytes;
	char *out;
	size_t out_size;
	struct rp_bytes *out_bytes;
	_Atomic uint8_t *states;
	int32_t *ranks;
	const void *arg;
	size_t arg_size;
	uint64_t seed;
	struct share_node *nodes;
	int node_count;                         /* in the order of their numbers */

	/* There may be thousands of nodes: what each message needs is kept, not looked for. */
	struct share_node *wanting, **last_wanting;
	uint32_t workers;                       /* that can still be given something, here and there */
	uint32_t idle_there;                    /* of those, on nodes that have nothing */

	pthread_mutex_t gate;                   /* guards `open` */
	int open;                               /* items may be taken from the local job */
	_Atomic uint32_t away;                  /* items that are with other nodes, or on their way from one to another */
	_Atomic uint32_t returned;              /* some have been given back to the local workers */
	_Atomic uint32_t idle;                  /* the local workers have nothing to do */
	struct wire_range *reserve;             /* items in hand: given back by a node, or never given out */
	size_t reserve_count, reserve_room;
	int ending;
	_Atomic uint32_t ended;                 /* futex */
	struct hub_errand errand;
};

/* ---- the map's thread */

/* From here on nodes work.  all_away: there are no local workers. */
int share_begin(struct share *share, struct rp_error *err);

/* The local job is open, or about to be shut; while it is open the share may take of its items. */
void share_open(struct share *share);
void share_shut(struct share *share);

/* The local workers have nothing left: asks for something. */
void share_want(struct share *share);

/* Returns once nothing is read from or written to the caller's memory any more; also before all items are back. */
void share_end(struct share *share);

#endif
