/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - a link's life: opening, polling, signs of life, losing, closing. */
#include "link_inner.h"

#include "clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RING_LEAST 8                            /* letters that can be received at any time */
#define RING_MOST 64
#define CLOSE_MOST INT64_C(30000000000)         /* ns that the manager waits for others to close */
#define LEND_NAP INT64_C(20000000)              /* ns, the longest that a lender sleeps */

int link_is_initialized(void)
{
	int flag = 0;

	return MPI_Initialized(&flag) == MPI_SUCCESS && flag;
}

int link_is_finalized(void)
{
	int flag = 0;

	return MPI_Finalized(&flag) == MPI_SUCCESS && flag;
}

void link_version(char *text, size_t size)
{
	char full[MPI_MAX_LIBRARY_VERSION_STRING] = "";
	int length;

	MPI_Get_library_version(full, &length);
	full[strcspn(full, "\n")] = '\0';
	if (size) {
		text[0] = '\0';
		strncat(text, full, size - 1);
	}
}

/* ---- opening ---- */

static void discard(struct link *link)
{
	struct incoming *in;

	while ((in = link->spare)) {
		link->spare = in->next;
		free(in);
	}
	free(link->status);
	free(link->done);
	free(link->rides);
	free(link->requests);
	free(link->peers);
	free(link->nodes);
	free(link);
}

static int add_peers(struct link *link)
{
	if (link->role == LINK_LENDER)
		return 0;
	link->peer_count = link->role == LINK_MANAGER ? link->node_count : 1;
	link->ring = RING_LEAST + link->peer_count < RING_MOST ? RING_LEAST + link->peer_count : RING_MOST;
	link->peers = calloc((size_t)link->peer_count, sizeof *link->peers);
	if (!link->peers)
		return -ENOMEM;
	for (int i = 0; i < link->peer_count; i++) {
		struct peer *peer = &link->peers[i];

		*peer = (struct peer){ .rank = i, .heard = link->now, .last = &peer->first, .left = i == link->here };
	}
	link->fixed = link->ring + link->peer_count * (2 * LINK_WINDOW + 1) + link->lenders;
	return link_reserve(link, RING_MOST);
}

int link_open(struct link **ret, int expected, struct rp_error *err)
{
	struct link *link;
	int provided, ranks, r;

	if (link_is_initialized())
		return error_set(err, -EALREADY, "MPI has been initialised already");
	link = calloc(1, sizeof *link);
	if (!link)
		return error_set(err, -ENOMEM, "no memory for the link");
	link->beat.kind = LETTER_BEAT;
	link->agents = link->local = MPI_COMM_NULL;
	MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);     /* those made of it inherit that */
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	r = expected > 1 && ranks == 1 ? -EPROTO : link_join(link, provided, err);
	if (!r) {
		link->now = link->beat_due = clock_now();
		r = add_peers(link);
		if (r)
			error_set(err, r, "no memory for the link to %d nodes", link->node_count);
	}
	if (r) {
		/* All ranks know of it only when rank 0 found it.  Where one failed alone, it has to leave without the
		 * others: that ends the job, while MPI_Finalize would wait for them. */
		if (r != -ENOMEM && r != -EIO)
			MPI_Finalize();
		discard(link);
		return r;
	}
	if (link->role != LINK_LENDER)
		link_post(link);
	*ret = link;
	return 0;
}

enum link_role link_role(const struct link *link)
{
	return link->role;
}

int link_nodes(const struct link *link)
{
	return link->node_count;
}

const struct link_node *link_node(const struct link *link, int node)
{
	return &link->nodes[node];
}

int link_here(const struct link *link)
{
	return link->here;
}

/* ---- losing ---- */

int64_t link_heard(const struct link *link, int node)
{
	const struct peer *peer = &link->peers[node];

	/* One that has said goodbye is silent because it was told to be. */
	return peer->left && !peer->lost ? clock_now() : peer->heard;
}

void link_lose(struct link *link, int node)
{
	struct peer *peer = &link->peers[node];

	if (peer->lost)
		return;
	peer->lost = link->broken = 1;
	link->unfinished -= peer->unfinished;
	peer->unfinished = 0;
	link_drop_receives(link, peer);
	link_drop_sends(link, peer);
}

void link_fail(struct link *link, struct peer *peer)
{
	peer->heard = -LINK_LOST;
	link_lose(link, peer->rank);
}

static void fail_all(struct link *link)
{
	for (int i = 0; i < link->peer_count; i++)
		if (i != link->here)
			link_fail(link, &link->peers[i]);
}

/* ---- polling ---- */

static void beat_lenders(struct link *link)
{
	const struct ride ride = { .motion = LENDER_OUT };

	if (link->lenders_waiting)
		return;
	for (int i = 1; i <= link->lenders; i++)
		if (link_start(link, link->local, i, &link->beat.kind, sizeof link->beat.kind, LINK_LETTER, ride) == 0)
			link->lenders_waiting++;
}

static void send_beats(struct link *link)
{
	link->beat_due = link->now + LINK_BEAT;
	beat_lenders(link);
	for (int i = 0; i < link->peer_count; i++) {
		struct peer *peer = &link->peers[i];
		const struct ride ride = { .motion = BEAT_OUT, .peer = peer };

		/* Behind a goodbye comes nothing, and a beat that has not left says all that another could. */
		if (i == link->here || peer->lost || peer->beating || link->closing)
			continue;
		if (link_start(link, link->agents, i, &link->beat, sizeof link->beat, LINK_LETTER, ride))
			link_fail(link, peer);
		else
			peer->beating = 1;
	}
}

/* Silence counts only while this process listens: a job that was stopped as a whole goes on when it is continued. */
static void forgive(struct link *link, int64_t pause)
{
	for (int i = 0; i < link->peer_count; i++)
		link->peers[i].heard += pause;
}

static void complete(struct link *link, struct ride ride, const MPI_Status *status, int error, void *user)
{
	switch (ride.motion) {
	case LETTER_IN:
	case PIECE_IN:
		link_came(link, ride, status, error, user);
		break;
	case LETTER_OUT:
	case PIECE_OUT:
		link_sent(link, ride, error);
		break;
	case BEAT_OUT:
		ride.peer->beating = 0;
		link->signs++;
		if (error != MPI_SUCCESS)
			link_fail(link, ride.peer);
		break;
	case LENDER_OUT:
		link->lenders_waiting--;
		link->signs++;
		break;
	case NO_MOTION:
		break;
	}
}

int link_poll(struct link *link, const struct link_receiver *receiver)
{
	int64_t before = link->now;
	int happened;

	link->now = clock_now();
	if (link->now - before > LINK_BEAT)
		forgive(link, link->now - before);
	if (link->now >= link->beat_due)
		send_beats(link);
	if (link->starved)
		link_feed(link, receiver);
	link->signs = 0;
	happened = link_test(link, complete, (void *)(uintptr_t)receiver);
	if (happened < 0)
		fail_all(link);
	link_post(link);
	/* Who looks often for a second after each event would do so for ever if these were events. */
	return happened - link->signs;
}

int link_busy(const struct link *link)
{
	return link->unfinished > 0;
}

void link_counts(const struct link *link, struct link_count *sent, struct link_count *received)
{
	*sent = link->sent;
	*received = link->received;
}

/* ---- lenders ---- */

static void nap(int64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

int link_lend(struct link *link)
{
	int64_t now = clock_now(), heard = now, before;
	uint32_t kind = LETTER_BEAT;

	link->broken = 1;
	while (kind != LETTER_BYE) {
		MPI_Request request;
		int arrived = 0;

		if (MPI_Irecv(&kind, sizeof kind, MPI_BYTE, 0, LINK_LETTER, link->local, &request) != MPI_SUCCESS)
			return -ENOLINK;
		for (int64_t pause = LEND_NAP / 64; !arrived; pause = 2 * pause < LEND_NAP ? 2 * pause : LEND_NAP) {
			nap(pause);
			before = now;
			now = clock_now();
			if (now - before > LINK_BEAT)
				heard += now - before;          /* as forgive() has it */
			if (MPI_Test(&request, &arrived, MPI_STATUS_IGNORE) != MPI_SUCCESS ||
			    (!arrived && now - heard > LINK_LOST))
				return -ENOLINK;
		}
		heard = now;
	}
	link->broken = 0;
	return 0;
}

/* ---- closing ---- */

static void drop(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into)
{
	(void)user, (void)node, (void)header, (void)size, (void)sizes, (void)parts, (void)into;
}

static void dropped(void *user, int node, const void *header, size_t size, void *const *into, const size_t *sizes, int parts)
{
	(void)user, (void)node, (void)header, (void)size, (void)into, (void)sizes, (void)parts;
}

/* All have said goodbye, and all that was sent has left. */
static int is_done(const struct link *link)
{
	for (int i = 0; i < link->peer_count; i++)
		if (!link->peers[i].left)
			return 0;
	return link->count == link->posted;
}

/* Both sides of each pair say that nothing comes after, so that no message is under way when MPI is finalised. */
static int say_goodbye(struct link *link)
{
	const struct link_receiver receiver = { .begin = drop, .end = dropped };
	int64_t end = link->role == LINK_MANAGER ? clock_now() + CLOSE_MOST : CLOCK_NEVER;

	for (int i = 0; i < link->peer_count; i++)
		if (i != link->here && link_bye(link, &link->peers[i]))
			return -ENOMEM;
	link->closing = 1;
	for (unsigned idle = 0; !link->broken && !is_done(link); idle++) {
		if (link_poll(link, &receiver))
			idle = 0;
		else if (idle > 1000)
			nap(200000);
		for (int i = 0; i < link->peer_count; i++)
			if (link->now - link_heard(link, i) > LINK_LOST || link->now > end)
				return -ENOLINK;
	}
	return link->broken ? -ENOLINK : 0;
}

static int release_lenders(struct link *link)
{
	const uint32_t bye = LETTER_BYE;

	for (int i = 1; i <= link->lenders; i++)
		if (MPI_Send(&bye, sizeof bye, MPI_BYTE, i, LINK_LETTER, link->local) != MPI_SUCCESS)
			return -EIO;
	return 0;
}

static void stop_listening(struct link *link)
{
	for (int i = 0; i < link->count; i++) {
		MPI_Cancel(&link->requests[i]);
		MPI_Wait(&link->requests[i], MPI_STATUS_IGNORE);
		free(link->rides[i].object);
	}
}

struct link *link_close(struct link *link, int status)
{
	if (!link)
		return NULL;
	if (link->broken || (link->role != LINK_LENDER && (say_goodbye(link) || release_lenders(link)))) {
		MPI_Abort(MPI_COMM_WORLD, status ? status : 1);
		_exit(status ? status : 1);
	}
	stop_listening(link);
	if (link->agents != MPI_COMM_NULL)
		MPI_Comm_free(&link->agents);
	MPI_Comm_free(&link->local);
	MPI_Finalize();
	discard(link);
	return NULL;
}
