/* SPDX-License-Identifier: BSD-3-Clause */
/* agent.h - the one process of a node that talks to the manager: opens crews there, runs batches and tasks with them. */
#ifndef RP_LIB_AGENT_H
#define RP_LIB_AGENT_H

#include "arena.h"
#include "link.h"

struct supervisor;

/* Serves the manager until it says WIRE_END or nothing for LINK_LOST.  All that was started has ended when it returns: 0, or
 * -ENOLINK, and then the link has lost node 0.  What the link has borrowed and not yet sent lies in the arena: the link is
 * closed first.  Runs no user code and uses no signals. */
int agent_serve(struct link *link, struct supervisor *supervisor, struct arena *arena);

#endif
