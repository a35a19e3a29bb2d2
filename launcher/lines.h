/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.h - what one process writes, passed on by whole lines beside those of others. */
#ifndef RP_LAUNCHER_LINES_H
#define RP_LAUNCHER_LINES_H

#include "buffer.h"

struct lines {
	int from;                               /* what is read, never blocking; -1: it has ended */
	int to;                                 /* a file; or a courier's socket, */
	int stream;                             /* when this is not 0: what to ask it for */
	const char *tag;                        /* before each line; "": none */
	int lock;                               /* a file that all who write to `to` lock for it, -1: nobody else does */
	int inside;                             /* in a line of which the beginning has been passed on */
	struct buffer waiting;                  /* no whole line yet */
	struct buffer out;
};

/* Passes on what there is: 0, also at the end, or a negative errno when nobody takes it. */
int lines_take(struct lines *lines);

/* Nothing more is to come: a last line without its end is passed on, too.  Returns what lines_take does. */
int lines_end(struct lines *lines);
void lines_free(struct lines *lines);

#endif
