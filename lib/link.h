/* SPDX-License-Identifier: BSD-3-Clause */
/* link.h - messages between the manager and the agents of the other nodes; the only way to MPI.
 *
 * All calls of one link are made by the thread that opened it: MPI is that thread's from link_open to link_close. */
#ifndef RP_LIB_LINK_H
#define RP_LIB_LINK_H

#include "error.h"

#define LINK_HEADER 4096                        /* bytes of a message's header at most */
#define LINK_PARTS 6                            /* parts behind it at most */
#define LINK_BEAT INT64_C(2000000000)           /* ns between signs of life */
#define LINK_LOST INT64_C(10000000000)          /* ns of silence after which a node counts as lost */

struct link;

enum link_role { LINK_MANAGER, LINK_AGENT, LINK_LENDER };

/* What all ranks know of a node once the link is open.  Node 0 is the manager's. */
struct link_node {
	int agent;                              /* its rank in MPI: the node's lowest */
	int ranks;                              /* of the job on this node */
	char host[64];
};

/* What link_poll calls.  Messages of one node arrive in the order in which they were sent. */
struct link_receiver {
	/* A header has come, sizes[] are those of the parts that follow.  Sets into[i] to memory for part i; NULL: it is
	 * received and dropped.  Parts of size 0 need none. */
	void (*begin)(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into);
	/* All parts are where begin wanted them.  The header lives until this returns. */
	void (*end)(void *user, int node, const void *header, size_t size, void *const *into, const size_t *sizes,
	            int parts);
	void *user;
};

/* 1 when the program has called MPI_Init; when MPI_Finalize has been called, after which there is no MPI any more.  Never
 * initialise MPI themselves. */
int link_is_initialized(void);
int link_is_finalized(void);

/* The MPI that the library was built with, as it names itself, cut at the first newline. */
void link_version(char *text, size_t size);

/* MPI_Init, and who is where: collective over all ranks of the job.  Ranks of one host name and boot are one node; with
 * RANKPOOL_NODES=rank in rank 0's environment each rank is one.  expected: the number of ranks that the launcher says;
 * 0: it says none; MPI saying 1 where the launcher says more is -EPROTO, without a text (the caller has the words), and
 * MPI is finalised again.  Different versions of this library: -EPROTO with both, on every rank.  -ENOMEM and -EIO are of
 * one rank alone: it has to end with a status that is not 0, and the launcher ends the others. */
int link_open(struct link **ret, int expected, struct rp_error *err);

enum link_role link_role(const struct link *link);
int link_nodes(const struct link *link);
const struct link_node *link_node(const struct link *link, int node);
int link_here(const struct link *link);         /* this rank's own node */

/* Sends a header, which is copied, and parts, which are borrowed until sent(user) is called by link_poll (or by this call
 * itself, or link_close); sent may be NULL when there are no parts.  node: the manager sends to any other, an agent to
 * node 0.  A node that is lost takes everything and sent() is called at once.  0, -ENOMEM (nothing was sent, sent() is not
 * called). */
int link_send(struct link *link, int node, const void *header, size_t size, const struct rp_bytes *parts, int count,
              void (*sent)(void *user), void *user);

/* Moves what can be moved, sends beats when they are due.  How many things have happened, signs of life not counted; 0:
 * nothing. */
int link_poll(struct link *link, const struct link_receiver *receiver);

/* 1 while messages are on their way, out or in: MPI moves them only while it is polled. */
int link_busy(const struct link *link);

/* When anything was last heard of the node, CLOCK_MONOTONIC ns; negative: MPI itself said that it cannot be reached.  Pauses
 * of more than LINK_BEAT between this rank's polls do not count.  The caller decides that the node is lost, and says so:
 * then nothing more is sent to it or expected from it, borrowed parts are given back, what has begun will not end, and
 * link_close ends by MPI_Abort.  A part that was coming in at that moment may still be written to where begin wanted it. */
int64_t link_heard(const struct link *link, int node);
void link_lose(struct link *link, int node);

/* The whole life of a lender rank: sleeps in the kernel, a short look at MPI now and then, until its node's agent has closed
 * its link.  0, or -ENOLINK when the agent was not heard of for LINK_LOST. */
int link_lend(struct link *link);

/* What this rank has sent and received so far: headers and parts, without signs of life. */
struct link_count {
	uint64_t messages, bytes;
};
void link_counts(const struct link *link, struct link_count *sent, struct link_count *received);

/* Collective: MPI_Finalize, after everything sent has left and all nodes have called this; an agent's (and the manager's)
 * tells the lenders of its node that they may go.  What comes in meanwhile is dropped.  When a node was lost, also now,
 * MPI_Abort with that status (1 for 0) instead, which does not return.  NULL. */
struct link *link_close(struct link *link, int status);

#endif
