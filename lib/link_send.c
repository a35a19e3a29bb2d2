/* SPDX-License-Identifier: BSD-3-Clause */
/* link_send.c - messages on their way out: each peer's queue, first come, first sent. */
#include "link_inner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int link_start(struct link *link, MPI_Comm comm, int rank, const void *data, size_t size, int tag, struct ride ride)
{
	MPI_Request request;

	if (MPI_Isend(data, (int)size, MPI_BYTE, rank, tag, comm, &request) != MPI_SUCCESS)
		return -EIO;
	link_track(link, request, ride);
	return 0;
}

static void give_back(struct outgoing *message)
{
	void (*sent)(void *user) = message->sent;

	message->sent = NULL;
	if (sent)
		sent(message->user);
}

static void release(struct link *link, struct outgoing *message)
{
	free(message);
	link->letters--;
}

static int send_letter(struct link *link, struct peer *peer, struct outgoing *message)
{
	struct ride ride = { .motion = LETTER_OUT, .peer = peer, .object = message };
	int r = link_start(link, link->agents, peer->rank, &message->letter, message->bytes, LINK_LETTER, ride);

	if (!r) {
		message->posted = 1;
		message->requests++;
	}
	return r;
}

static int send_piece(struct link *link, struct peer *peer, struct outgoing *message, size_t size)
{
	struct ride ride = { .motion = PIECE_OUT, .peer = peer, .object = message };
	const unsigned char *data = message->parts[message->cursor.part] + message->cursor.offset;
	int r = link_start(link, link->agents, peer->rank, data, size, LINK_BODY, ride);

	if (!r) {
		message->cursor.offset += size;
		message->bodies++;
		message->requests++;
		peer->window++;
	}
	return r;
}

/* Gives MPI what it may have. */
static void pump(struct link *link, struct peer *peer)
{
	struct outgoing *message;
	size_t size;
	int r = 0;

	while ((message = peer->first)) {
		if (!message->posted)
			r = send_letter(link, peer, message);
		while (!r && (size = link_piece(&message->cursor, &message->letter))) {
			if (peer->window == LINK_WINDOW)
				return;
			r = send_piece(link, peer, message, size);
		}
		if (r) {
			link_fail(link, peer);
			return;
		}
		message->whole = 1;
		peer->first = message->next;
		if (!peer->first)
			peer->last = &peer->first;
	}
}

void link_sent(struct link *link, struct ride ride, int error)
{
	struct outgoing *message = ride.object;
	struct peer *peer = ride.peer;

	message->requests--;
	if (ride.motion == PIECE_OUT) {
		message->bodies--;
		peer->window--;
		if (!message->bodies && message->whole)
			give_back(message);
	}
	if (!message->requests && message->whole) {
		release(link, message);
		if (!peer->lost) {
			link->unfinished--;
			peer->unfinished--;
		}
	}
	if (peer->lost)
		return;
	if (error != MPI_SUCCESS)
		link_fail(link, peer);
	else if (ride.motion == PIECE_OUT)
		pump(link, peer);
}

/* Which parts the letter takes with it: each that still fits.  Their bytes. */
static size_t choose_carried(struct letter *letter)
{
	size_t carried = 0;

	for (uint32_t i = 0; i < letter->parts; i++) {
		if (letter->sizes[i] > LINK_CARRY - carried)
			continue;
		letter->carried |= 1u << i;
		carried += letter->sizes[i];
	}
	return carried;
}

/* Of the kind and with the parts of `letter`; NULL: no memory. */
static struct outgoing *make_message(struct link *link, const struct letter *letter, const void *header,
                                     const struct rp_bytes *parts, size_t carried)
{
	struct outgoing *message;
	unsigned char *data;

	if (link_reserve(link, link->letters + 1) ||
	    !(message = malloc(sizeof *message + letter->size + carried)))
		return NULL;
	memset(message, 0, sizeof *message);
	message->letter = *letter;
	message->bytes = sizeof *letter + letter->size + carried;
	data = message->data;
	if (letter->size)
		data = (unsigned char *)mempcpy(data, header, letter->size);
	for (uint32_t i = 0; i < letter->parts; i++) {
		message->parts[i] = parts[i].data;
		if (letter->carried & 1u << i && parts[i].size)
			data = (unsigned char *)mempcpy(data, parts[i].data, parts[i].size);
	}
	link->letters++;
	return message;
}

static void enqueue(struct link *link, struct peer *peer, struct outgoing *message)
{
	message->letter.number = peer->number++;
	*peer->last = message;
	peer->last = &message->next;
	peer->unfinished++;
	link->unfinished++;
	pump(link, peer);
}

int link_bye(struct link *link, struct peer *peer)
{
	const struct letter letter = { .kind = LETTER_BYE };
	struct outgoing *message = make_message(link, &letter, NULL, NULL, 0);

	if (!message)
		return -ENOMEM;
	enqueue(link, peer, message);
	return 0;
}

int link_send(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
              void (*sent)(void *user), void *user)
{
	struct letter letter = { .kind = LETTER_MESSAGE, .size = (uint32_t)size, .parts = (uint32_t)count };
	struct outgoing *message;
	struct cursor cursor = { 0 };
	struct peer *peer = &link->peers[node];
	size_t carried;

	assert(node < link->peer_count && node != link->here && !link->closing);
	assert(size <= LINK_HEADER && count <= LINK_PARTS);
	if (peer->lost) {
		if (sent)
			sent(user);
		return 0;
	}
	for (int i = 0; i < count; i++)
		letter.sizes[i] = parts[i].size;
	carried = choose_carried(&letter);
	message = make_message(link, &letter, header, parts, carried);
	if (!message)
		return -ENOMEM;
	link->sent.messages++;
	link->sent.bytes += size;
	for (int i = 0; i < count; i++)
		link->sent.bytes += parts[i].size;
	if (link_piece(&cursor, &letter)) {
		message->sent = sent;
		message->user = user;
		sent = NULL;
	}
	enqueue(link, peer, message);
	if (sent)
		sent(user);
	return 0;
}

void link_drop_sends(struct link *link, struct peer *peer)
{
	struct outgoing *message;

	/* First those that MPI has in whole: what it still reads of them is read in vain. */
	for (int i = 0; i < link->count; i++)
		if (link->rides[i].motion == PIECE_OUT && link->rides[i].peer == peer)
			give_back(link->rides[i].object);
	while ((message = peer->first)) {
		peer->first = message->next;
		give_back(message);
		message->whole = 1;
		if (!message->requests)
			release(link, message);
	}
	peer->last = &peer->first;
}
