/* SPDX-License-Identifier: BSD-3-Clause */
/* link_receive.c - messages on their way in: letters from anybody, then pieces from their senders, all senders at once. */
#include "link_inner.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- letters ---- */

static struct incoming *take(struct link *link)
{
	struct incoming *letter = link->spare;

	if (!letter)
		return malloc(sizeof *letter);
	link->spare = letter->next;
	link->spares--;
	return letter;
}

static void recycle(struct link *link, struct incoming *letter)
{
	if (link->spares > link->ring) {
		free(letter);
		return;
	}
	letter->next = link->spare;
	link->spare = letter;
	link->spares++;
}

/* Without memory for a buffer the ring is smaller until the next poll. */
void link_post(struct link *link)
{
	const int size = (int)(sizeof(struct incoming) - offsetof(struct incoming, letter));

	while (link->posted < link->ring) {
		struct ride ride = { .motion = LETTER_IN, .object = take(link) };
		MPI_Request request;

		if (!ride.object)
			return;
		if (MPI_Irecv(&((struct incoming *)ride.object)->letter, size, MPI_BYTE,
		              link->role == LINK_MANAGER ? MPI_ANY_SOURCE : 0, LINK_LETTER, link->agents,
		              &request) != MPI_SUCCESS) {
			recycle(link, ride.object);
			return;
		}
		link_track(link, request, ride);
		link->posted++;
	}
}

/* ---- messages ---- */

static void begin(struct link *link, struct peer *peer, const struct incoming *in, const struct link_receiver *receiver)
{
	const struct letter *letter = &in->letter;
	const unsigned char *data = in->data + letter->size;

	peer->begun = 1;
	peer->unfinished++;
	link->unfinished++;
	peer->cursor = (struct cursor){ 0 };
	for (uint32_t i = 0; i < letter->parts; i++) {
		peer->into[i] = NULL;
		peer->sizes[i] = letter->sizes[i];
	}
	receiver->begin(receiver->user, peer->rank, in->data, letter->size, peer->sizes, (int)letter->parts, peer->into);
	if (peer->lost)
		return;
	for (uint32_t i = 0; i < letter->parts; i++) {
		if (!(letter->carried & 1u << i) || !letter->sizes[i])
			continue;
		if (peer->into[i])
			memcpy(peer->into[i], data, letter->sizes[i]);
		data += letter->sizes[i];
	}
}

/* Where the next piece goes; NULL: not now.  Unwanted pieces come one at a time, as they share their place. */
static void *place_for_piece(struct link *link, struct peer *peer)
{
	unsigned char *into = peer->into[peer->cursor.part];

	if (into)
		return into + peer->cursor.offset;
	if (peer->pieces)
		return NULL;
	if (!peer->sink)
		peer->sink = malloc(LINK_PIECE);
	if (!peer->sink)
		link->starved = 1;
	return peer->sink;
}

/* Receives what may be received.  1: all pieces are there; the peer may be lost after it. */
static int receive_pieces(struct link *link, struct peer *peer, const struct letter *letter)
{
	const struct ride ride = { .motion = PIECE_IN, .peer = peer };
	MPI_Request request;
	size_t size;

	while ((size = link_piece(&peer->cursor, letter))) {
		void *place = peer->pieces == LINK_WINDOW ? NULL : place_for_piece(link, peer);

		if (!place)
			return 0;
		if (MPI_Irecv(place, (int)size, MPI_BYTE, peer->rank, LINK_BODY, link->agents, &request) != MPI_SUCCESS) {
			link_fail(link, peer);
			return 0;
		}
		link_track(link, request, ride);
		peer->cursor.offset += size;
		peer->pieces++;
	}
	return peer->pieces == 0;
}

static void end(struct link *link, struct peer *peer, struct incoming *in, const struct link_receiver *receiver)
{
	const struct letter *letter = &in->letter;

	peer->begun = 0;
	peer->unfinished--;
	link->unfinished--;
	free(peer->sink);
	peer->sink = NULL;
	link->received.messages++;
	link->received.bytes += letter->size;
	for (uint32_t i = 0; i < letter->parts; i++)
		link->received.bytes += letter->sizes[i];
	receiver->end(receiver->user, peer->rank, in->data, letter->size, peer->into, peer->sizes, (int)letter->parts);
}

/* Goes on with the peer's messages as far as they are there. */
static void advance(struct link *link, struct peer *peer, const struct link_receiver *receiver)
{
	struct incoming *in;

	while (!peer->lost && (in = peer->queue) && in->letter.number == peer->expected) {
		if (in->letter.kind == LETTER_MESSAGE) {
			if (!peer->begun)
				begin(link, peer, in, receiver);
			if (peer->lost || !receive_pieces(link, peer, &in->letter))
				return;
		}
		/* Out of the queue first: the receiver may lose the peer. */
		peer->queue = in->next;
		peer->expected++;
		if (in->letter.kind == LETTER_MESSAGE)
			end(link, peer, in, receiver);
		else
			peer->left = 1;
		recycle(link, in);
	}
}

void link_came(struct link *link, struct ride ride, const MPI_Status *status, int error,
               const struct link_receiver *receiver)
{
	struct incoming *in = ride.object, **at;
	struct peer *peer = ride.peer;

	if (ride.motion == LETTER_IN) {
		link->posted--;
		if (status->MPI_SOURCE >= 0 && status->MPI_SOURCE < link->peer_count)
			peer = &link->peers[status->MPI_SOURCE];
	} else {
		peer->pieces--;
	}
	if (!peer || peer->lost || error != MPI_SUCCESS) {
		if (in)
			recycle(link, in);
		if (peer && !peer->lost)
			link_fail(link, peer);
		return;
	}
	peer->heard = link->now;
	if (in && in->letter.kind == LETTER_BEAT) {
		link->signs++;
		recycle(link, in);
		return;
	}
	if (in) {
		for (at = &peer->queue; *at && (*at)->letter.number < in->letter.number;)
			at = &(*at)->next;
		in->next = *at;
		*at = in;
		if (peer->queue != in)
			return;
	}
	advance(link, peer, receiver);
}

void link_feed(struct link *link, const struct link_receiver *receiver)
{
	link->starved = 0;
	for (int i = 0; i < link->peer_count; i++)
		advance(link, &link->peers[i], receiver);
}

void link_drop_receives(struct link *link, struct peer *peer)
{
	/* What has begun stays: the caller may be reading its header. */
	struct incoming *in, **at = peer->begun ? &peer->queue->next : &peer->queue;

	/* What has not arrived at all will not: only pieces that are coming in at this moment still reach their place. */
	for (int i = 0; i < link->count; i++)
		if (link->rides[i].motion == PIECE_IN && link->rides[i].peer == peer &&
		    link->requests[i] != MPI_REQUEST_NULL)
			MPI_Cancel(&link->requests[i]);
	while ((in = *at)) {
		*at = in->next;
		recycle(link, in);
	}
}
