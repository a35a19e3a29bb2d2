/* SPDX-License-Identifier: BSD-3-Clause */
/* peers.h - the manager of several nodes without MPI: a link whose other ends are played in the hub's own thread, by dice
 * that a seed decides.  They run no workers: what a task gives is known to them, see peers_work.h.
 *
 * What is borrowed is read as late as may be, what is received is written in two steps, so that memory which goes too early
 * is seen to go. */
#ifndef RP_TESTS_PEERS_H
#define RP_TESTS_PEERS_H

#include "peers_play.h"

/* ---- link.h ----------------------------------------------------------------------------------------------- */

int link_is_initialized(void)
{
	return 0;
}

int link_is_finalized(void)
{
	return 0;
}

void link_version(char *text, size_t size)
{
	snprintf(text, size, "none");
}

int link_open(struct link **ret, int expected RP_UNUSED, struct rp_error *err RP_UNUSED)
{
	struct link *link = calloc(1, sizeof *link);

	must(link && peers.nodes <= PEERS_MOST);
	link->dice = peers.seed;
	for (int i = 0; i < peers.nodes; i++) {
		link->node[i] = (struct link_node){ .agent = i, .ranks = 1 };
		snprintf(link->node[i].host, sizeof link->node[i].host, "n%d", i);
		link->peer[i].number = i;
	}
	*ret = link;
	return 0;
}

enum link_role link_role(const struct link *link RP_UNUSED)
{
	return LINK_MANAGER;
}

int link_nodes(const struct link *link RP_UNUSED)
{
	return peers.nodes;
}

const struct link_node *link_node(const struct link *link, int node)
{
	return &link->node[node];
}

int link_here(const struct link *link RP_UNUSED)
{
	return 0;
}

void link_counts(const struct link *link RP_UNUSED, struct link_count *sent, struct link_count *received)
{
	*sent = *received = (struct link_count){ 0 };
}

int link_lend(struct link *link RP_UNUSED)
{
	return -ENOLINK;
}

/* Now and then parts leave at once, as small ones do. */
int link_send(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
              void (*sent)(void *user), void *user)
{
	struct parcel *parcel;

	must(node > 0 && node < peers.nodes);
	if (link->peer[node].lost) {
		if (sent)
			sent(user);
		return 0;
	}
	parcel = make_parcel(header, size, parts, count);
	parcel->sent = sent;
	parcel->user = user;
	put_parcel(&link->peer[node].in, parcel);
	if (!sent || happens(link, 50))
		own_parts(parcel);
	return 0;
}

int link_poll(struct link *link, const struct link_receiver *receiver)
{
	int first = (int)roll(link, (uint32_t)peers.nodes), n = 0;

	for (int i = 0; i < peers.nodes; i++) {
		struct peer *peer = &link->peer[(first + i) % peers.nodes];

		if (!peer->number || peer->lost || peers.silent[peer->number] || happens(link, peers.lazy))
			continue;
		if (happens(link, 50))
			n += step_in(link, peer);
		if (happens(link, 50))
			n += step_batches(link, peer) + step_tasks(link, peer) + step_processes(peer);
		if (happens(link, 50))
			n += step_out(peer, receiver);
	}
	return n;
}

int link_busy(const struct link *link)
{
	for (int i = 1; i < peers.nodes; i++)
		if (!peers.silent[i] && (link->peer[i].in || link->peer[i].arriving || link->peer[i].out))
			return 1;
	return 0;
}

int64_t link_heard(const struct link *link RP_UNUSED, int node)
{
	return peers.silent[node] ? -LINK_LOST : clock_now();
}

static inline void drop_parcels(struct parcel **from)
{
	struct parcel *parcel;

	while ((parcel = *from)) {
		*from = parcel->next;
		if (parcel->sent)
			parcel->sent(parcel->user);
		free_parcel(parcel);
	}
}

/* It may still be written to, so it is never freed. */
static inline void bury(struct peer *peer)
{
	if (!peer->arriving)
		return;
	peer->arriving->next = graveyard;
	graveyard = peer->arriving;
	peer->arriving = NULL;
}

void link_lose(struct link *link, int node)
{
	struct peer *peer = &link->peer[node];

	must(!peer->lost && peers.silent[node]);
	peer->lost = 1;
	drop_parcels(&peer->in);
	drop_parcels(&peer->out);
	bury(peer);
}

/* Everything that was sent leaves first; what comes in has nobody to take it. */
struct link *link_close(struct link *link, int status RP_UNUSED)
{
	for (int i = 1; i < peers.nodes; i++) {
		struct peer *peer = &link->peer[i];

		bury(peer);
		while (!peer->lost && !peers.silent[i] && step_in(link, peer))
			;
		drop_parcels(&peer->in);
		drop_parcels(&peer->out);
		while (peer->maps)
			drop_maps(peer, peer->maps->says.pool, 0);
		while (peer->tasks)
			drop_tasks(peer, 0, peer->tasks->says.wire.id);
		for (struct played_process *process; (process = peer->processes); free(process))
			peer->processes = process->next;
		for (struct played_pool *pool; (pool = peer->pools); free(pool))
			peer->pools = pool->next;
	}
	free(link);
	return NULL;
}

/* ---- a run time over several nodes ------------------------------------------------------------------------ */

static inline unsigned tries(void)
{
	const char *text = getenv("PEERS_TRIES");

	return text ? (unsigned)atoi(text) : UNDER_ASAN || UNDER_TSAN ? 4 : 12;
}

static inline void begin_nodes(int nodes, uint64_t seed)
{
	struct rp_error err = { .text = "" };

	memset(&peers, 0, sizeof peers);
	peers.nodes = nodes;
	peers.seed = seed;
	peers.fits = 2;
	peers.giving = 70;
	peers.lazy = (unsigned)(mix(seed) % 60);
	peers.piece = 1 + (unsigned)(mix(seed + 1) % 100);
	peers.refusing = mix(seed + 2) % 4 ? 0 : 30;
	if (rp_init(NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(rp_node_count(), nodes);
}

static inline void end_nodes(void)
{
	int lost = 0;

	assert_int_equal(rp_finalize(), 0);
	for (int i = 1; i < peers.nodes; i++)
		lost += peers.silent[i];
	assert_int_equal(peers.told_to_end, peers.nodes - 1 - lost);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	unsetenv("RANKPOOL_MANAGER_ONLY");
}

static inline struct rp_pool *open_pool(uint32_t each)
{
	struct rp_error err = { .text = "" };
	struct rp_pool *pool;

	if (rp_pool_new(&pool, RP_POOL(.workers_per_node = each, .bind = "none"), &err) < 0)
		must_at(0, err.text, __FILE__, __LINE__);
	return pool;
}

/* Every second time the manager's node has no workers. */
static inline void choose_nodes(uint64_t seed)
{
	if (seed % 2)
		setenv("RANKPOOL_MANAGER_ONLY", "1", 1);
	begin_nodes(2 + (int)(mix(seed) % (PEERS_MOST - 1)), seed);
	peers.refusing_one = seed % 2 == 0;
}

/* As rank 0 of a job is started. */
static inline int peers_begin(void **state RP_UNUSED)
{
	setenv("OMPI_COMM_WORLD_SIZE", "6", 1);
	setenv("OMPI_COMM_WORLD_RANK", "0", 1);
	setenv("OMPI_COMM_WORLD_LOCAL_RANK", "0", 1);
	return 0;
}

#endif
