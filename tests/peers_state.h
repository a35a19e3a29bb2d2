/* SPDX-License-Identifier: BSD-3-Clause */
/* peers_state.h - what a node of peers.h has: messages, pools, maps, tasks. */
#ifndef RP_TESTS_PEERS_STATE_H
#define RP_TESTS_PEERS_STATE_H

#include "peers_work.h"

#include "clock.h"
#include "function.h"
#include "link.h"
#include "wire.h"

#define PEERS_MOST 6                            /* nodes, the manager's own counted */

/* ---- what the peers are like ------------------------------------------------------------------------------ */

static struct {
	int nodes;
	uint32_t fits;                          /* workers that fit on each */
	unsigned refusing;                      /* batches of a hundred that find no memory, */
	int refusing_one;                       /* also when they are one item */
	unsigned giving;                        /* askings of a hundred that get anything */
	unsigned lazy;                          /* steps of a hundred in which a peer does nothing */
	unsigned piece;                         /* items that are run in a step, at most */
	_Atomic int silent[PEERS_MOST];         /* nothing comes from it, and what goes there is lost */
	_Atomic int told_to_end;
	_Atomic int batches, taken, signals;    /* how many there were */
	uint64_t seed;
} peers;

struct parcel {
	struct parcel *next;
	union wire_any says;
	size_t header;
	int parts;
	const void *part[LINK_PARTS];
	size_t size[LINK_PARTS];
	void (*sent)(void *user);
	void *user;
	int copied;                             /* the parts are the parcel's own */
	void *into[LINK_PARTS];                 /* once it is on its way in */
};

struct played_map {
	struct played_map *next;
	struct wire_map says;
	struct job_arg arg;
};

struct played_batch {
	struct played_batch *next;              /* newest first */
	const struct played_map *map;
	struct wire_batch says;
	struct parcel *parcel;
	uint8_t *states;
	uint32_t left, given;                   /* without a state; given back */
	int begun;
};

struct played_task {
	struct played_task *next;               /* newest first */
	struct wire_task says;
	struct job_arg arg;
	int begun, dropped;
};

struct played_process {
	struct played_process *next;
	uint64_t id;
	int signal, forgotten;
};

struct played_pool {
	struct played_pool *next;
	uint64_t id;
	uint32_t first_rank, workers;
	int killed, let_go;
};

struct peer {
	int number, lost, ended;
	struct parcel *in, *out, *arriving;
	struct played_map *maps;
	struct played_batch *batches;
	struct played_task *tasks;
	struct played_process *processes;
	struct played_pool *pools;
};

struct link {
	struct link_node node[PEERS_MOST];
	struct peer peer[PEERS_MOST];
	uint64_t dice;
};

static struct parcel *graveyard;                /* what was coming in when a node was lost or the link was closed */

static inline uint32_t roll(struct link *link, uint32_t sides)
{
	link->dice = mix(link->dice + 0x51ed2701);
	return sides ? (uint32_t)(link->dice >> 20) % sides : 0;
}

static inline int happens(struct link *link, unsigned of_hundred)
{
	return roll(link, 100) < of_hundred;
}

static inline void put_parcel(struct parcel **to, struct parcel *parcel)
{
	while (*to)
		to = &(*to)->next;
	parcel->next = NULL;
	*to = parcel;
}

static inline struct parcel *make_parcel(const void *header, size_t size, const struct rp_bytes *parts, int count)
{
	struct parcel *parcel = calloc(1, sizeof *parcel);

	must(parcel && size <= sizeof parcel->says && count <= LINK_PARTS);
	memcpy(&parcel->says, header, size);
	parcel->header = size;
	parcel->parts = count;
	for (int i = 0; i < count; i++) {
		parcel->part[i] = parts[i].data;
		parcel->size[i] = parts[i].size;
	}
	return parcel;
}

/* Reads what was borrowed, and gives it back. */
static inline void own_parts(struct parcel *parcel)
{
	for (int i = 0; i < parcel->parts && !parcel->copied; i++) {
		void *copy = malloc(parcel->size[i] + 1);

		must(copy);
		if (parcel->size[i])
			memcpy(copy, parcel->part[i], parcel->size[i]);
		parcel->part[i] = copy;
	}
	parcel->copied = 1;
	if (parcel->sent)
		parcel->sent(parcel->user);
	parcel->sent = NULL;
}

static inline struct parcel *free_parcel(struct parcel *parcel)
{
	for (int i = 0; parcel && i < parcel->parts && parcel->copied; i++)
		free((void *)(uintptr_t)parcel->part[i]);
	free(parcel);
	return NULL;
}

/* To the manager; takes over the parts, which are malloc'ed. */
static inline void say(struct peer *peer, const void *header, size_t size, const struct rp_bytes *parts, int count)
{
	struct parcel *parcel = make_parcel(header, size, parts, count);

	parcel->copied = 1;
	put_parcel(&peer->out, parcel);
}

static inline void reply(struct peer *peer, const struct wire *to, int64_t result, struct rp_bytes data)
{
	const struct wire_reply says = { .wire = { WIRE_REPLY, to->call, to->id }, .result = result };

	if (to->call)
		say(peer, &says, sizeof says, &data, data.data ? 1 : 0);
	else
		free((void *)(uintptr_t)data.data);
}

static inline struct job_arg arg_of(const struct parcel *parcel, int part)
{
	struct job_arg arg;

	must(parcel->size[part] == sizeof arg);
	memcpy(&arg, parcel->part[part], sizeof arg);
	return arg;
}

static inline struct played_pool *pool_of(struct peer *peer, uint64_t id)
{
	struct played_pool *pool = peer->pools;

	while (pool && pool->id != id)
		pool = pool->next;
	return pool;
}

static inline struct played_map *map_of(struct peer *peer, uint64_t id)
{
	struct played_map *map = peer->maps;

	while (map && map->says.wire.id != id)
		map = map->next;
	return map;
}

#endif
