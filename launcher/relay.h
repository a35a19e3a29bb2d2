/* SPDX-License-Identifier: BSD-3-Clause */
/* relay.h - what is typed on its way to a process in another process group, which could not read it from the terminal. */
#ifndef RP_LAUNCHER_RELAY_H
#define RP_LAUNCHER_RELAY_H

#include "buffer.h"

#include <poll.h>

struct relay {
	int reader;                             /* for that process; -1: none, or given away */
	int writer;                             /* -1: it is over */
	int begun;
	struct buffer typed;
};

#define RELAY_NONE ((struct relay){ .reader = -1, .writer = -1 })

/* Begins when standard input is a terminal; else there is none.  0, or a negative errno. */
int relay_open(struct relay *relay);

/* From here on what is typed is passed on.  relay_give: the process has a reader of its own. */
void relay_begin(struct relay *relay);
void relay_give(struct relay *relay);

/* What to poll for, two of them, and what to do after it. */
#define RELAY_POLLS 2
void relay_wait(const struct relay *relay, struct pollfd ret[RELAY_POLLS]);
void relay_run(struct relay *relay, const struct pollfd polled[RELAY_POLLS]);
void relay_close(struct relay *relay);

#endif
