/* SPDX-License-Identifier: BSD-3-Clause */
/* complaint.h - what mpirun says on standard error, in words of ours where it has many of its own. */
#ifndef RP_LAUNCHER_COMPLAINT_H
#define RP_LAUNCHER_COMPLAINT_H

#include "buffer.h"
#include "hosts.h"

/* Begin with the first four, the rest is 0. */
struct complaint {
	const char *name;                       /* lines of ours begin with it */
	const struct hosts *hosts;              /* that it was told to use */
	int fd;                                 /* where all goes */
	int is_program;                         /* the ranks are the user's program and not copies of this one */
	int started;                            /* the first rank runs: what comes from here on is passed on at once */
	int explained;                          /* a line of ours has said what is wrong */
	struct buffer line, block, held;
	int in_block;                           /* between two rules */
	int passing;                            /* the beginning of this line has been passed on */
};

/* What has been read from it.  The word of a first rank that is on another machine starts it. */
void complaint_take(struct complaint *complaint, const char *data, size_t size);

/* It has been quiet for a while: what has come of a line or a block is all of it, for now. */
void complaint_pause(struct complaint *complaint);

/* The first rank has come. */
void complaint_start(struct complaint *complaint);

/* It has ended.  When it never started anything and said no word that is known, a line says on which hosts that was.
 * `why` is what it did, "has ended with status 1". */
void complaint_end(struct complaint *complaint, const char *why);
void complaint_free(struct complaint *complaint);

/* "a, b, c"; of many the first. */
void complaint_list(const struct hosts *hosts, struct buffer *ret);

#endif
