/* SPDX-License-Identifier: BSD-3-Clause */
/* link_inner.h - what the files of the link share: its peers, and its table of requests under way.
 *
 * A message is a letter, and pieces of the parts that do not fit into it.  Letters have a tag of their own: both sides know
 * from a letter which pieces belong to it, and MPI keeps the order of what has one sender and one tag.  Letters are received
 * from whoever sends, into a ring of buffers; as they may be found complete in another order, each bears a number. */
#ifndef RP_LIB_LINK_INNER_H
#define RP_LIB_LINK_INNER_H

#include "link.h"

#include <mpi.h>

#if MPI_VERSION * 10 + MPI_SUBVERSION < 31
#error "rankpool needs an MPI of version 3.1"
#endif

#define LINK_PROTOCOL 1
#define LINK_CARRY ((size_t)16 << 10)           /* bytes of parts that a letter takes with it */
/* Small enough that a sign of life waits behind little, also where a thousand nodes share rank 0's network. */
#define LINK_PIECE ((size_t)4 << 20)
#define LINK_WINDOW 4                           /* pieces under way, per peer and direction */

enum link_tag { LINK_LETTER = 1, LINK_BODY };

enum letter_kind { LETTER_MESSAGE, LETTER_BEAT, LETTER_BYE };

/* What travels, in front of the header and the parts it carries. */
struct letter {
	_Alignas(16) uint32_t kind;
	uint32_t carried;                       /* bit i: part i is in here */
	uint64_t number;                        /* of the sender's messages to this receiver, from 0 */
	uint32_t size;                          /* of the header */
	uint32_t parts;
	uint64_t sizes[LINK_PARTS];
};

/* Where in a message's parts the next piece begins. */
struct cursor {
	uint32_t part;
	size_t offset;
};

/* A letter that has come; waits in its sender's queue until those before it are done. */
struct incoming {
	struct incoming *next;
	struct letter letter;
	unsigned char data[LINK_HEADER + LINK_CARRY];
};

struct outgoing {
	struct outgoing *next;
	void (*sent)(void *user);               /* NULL: called, or none */
	void *user;
	const unsigned char *parts[LINK_PARTS];
	struct cursor cursor;
	int posted;                             /* the letter has been given to MPI, */
	int whole;                              /* and all pieces too */
	int bodies;                             /* requests for pieces that are not complete */
	int requests;                           /* those and the letter's */
	size_t bytes;                           /* of the letter and what is behind it */
	struct letter letter;
	unsigned char data[];
};

struct peer {
	int rank;                               /* in link->agents: its node */
	int lost, left;
	int beating;                            /* a beat has not left yet */
	int64_t heard;
	/* Sending: letters from `first` on are to be given to MPI. */
	struct outgoing *first, **last;
	uint64_t number;
	int window;                             /* pieces under way */
	int unfinished;                         /* messages */
	/* Receiving: the message `expected` has begun when `begun`; it is the first of the queue. */
	struct incoming *queue;
	uint64_t expected;
	int begun;
	void *into[LINK_PARTS];
	size_t sizes[LINK_PARTS];
	struct cursor cursor;
	int pieces;                             /* under way to here */
	void *sink;                             /* for pieces of parts that nobody wants */
};

enum motion { NO_MOTION, LETTER_IN, PIECE_IN, LETTER_OUT, PIECE_OUT, BEAT_OUT, LENDER_OUT };

/* What is known of a request; the requests themselves are an array that MPI reads. */
struct ride {
	enum motion motion;
	struct peer *peer;                      /* NULL: LETTER_IN, LENDER_OUT */
	void *object;                           /* struct incoming, struct outgoing */
	size_t bytes;
};

struct link {
	MPI_Comm agents;                        /* the agents, in the order of their nodes; not on lenders */
	MPI_Comm local;                         /* the ranks of this node; the agent's is 0 */
	enum link_role role;
	int here, node_count, lenders;
	struct link_node *nodes;
	struct peer *peers;                     /* the manager's: of all nodes; an agent's: of node 0 */
	int peer_count;
	int broken;                             /* a node was lost */
	int closing;
	int lenders_waiting;                    /* beats to lenders that have not left yet */
	int64_t now;                            /* of the poll that is going on, or was last */
	int64_t beat_due;
	struct letter beat;
	int signs;                              /* of life, in and out, among what the last poll has done */
	/* Requests under way; done and status are what MPI_Testsome fills. */
	int count, capacity;
	int fixed;                              /* room for all requests but those of letters to be sent, */
	int letters;                            /* of which there are so many */
	MPI_Request *requests;
	struct ride *rides;
	int *done;
	MPI_Status *status;
	int ring, posted;                       /* receives of letters: wanted, there */
	struct incoming *spare;
	int spares;
	int unfinished;                         /* messages, both ways, of nodes that are not lost */
	int starved;                            /* a receive waits for memory */
	struct link_count sent, received;
};

/* ---- link_table.c ---- */

/* Makes room for all requests when there are so many letters to be sent; -ENOMEM. */
int link_reserve(struct link *link, int letters);

/* Notes a request that was started; there is room. */
void link_track(struct link *link, MPI_Request request, struct ride ride);

/* Gives each request that is complete to `complete`, with 0 or MPI's error code.  How many, or -EIO. */
typedef void link_complete_fn(struct link *link, struct ride ride, const MPI_Status *status, int error, void *user);
int link_test(struct link *link, link_complete_fn *complete, void *user);

/* Finds the next piece of a message whose parts have these sizes, those of `carried` left out.  Its length; 0: no more. */
size_t link_piece(struct cursor *cursor, const struct letter *letter);

/* ---- link_join.c ---- */

/* Finds out who is where: fills agents, local, role, here, nodes and lenders.  Collective. */
int link_join(struct link *link, int provided, struct rp_error *err);

/* ---- link_send.c ---- */

/* MPI_Isend to a peer.  What fails loses the peer: 0 then. */
int link_start(struct link *link, MPI_Comm comm, int rank, const void *data, size_t size, int tag, struct ride ride);
void link_sent(struct link *link, struct ride ride, int error);         /* a LETTER_OUT or PIECE_OUT is complete */
int link_bye(struct link *link, struct peer *peer);                     /* nothing comes after it; -ENOMEM */
void link_drop_sends(struct link *link, struct peer *peer);             /* the peer was lost */

/* ---- link_receive.c ---- */

void link_post(struct link *link);                                      /* fills the ring of letters */
void link_came(struct link *link, struct ride ride, const MPI_Status *status, int error,
               const struct link_receiver *receiver);                   /* a LETTER_IN or PIECE_IN is complete */
void link_feed(struct link *link, const struct link_receiver *receiver); /* what waited for memory */
void link_drop_receives(struct link *link, struct peer *peer);          /* the peer was lost */

/* ---- link.c ---- */

/* MPI said that the peer cannot be reached, or does not say what it should. */
void link_fail(struct link *link, struct peer *peer);

#endif
