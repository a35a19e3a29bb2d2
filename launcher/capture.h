/* SPDX-License-Identifier: BSD-3-Clause */
/* capture.h - what a command writes goes to two files without a name, and from there back with the result when it is
 * little, or as the files themselves when it is much. */
#ifndef RP_LAUNCHER_CAPTURE_H
#define RP_LAUNCHER_CAPTURE_H

#include "buffer.h"

#define CAPTURE_INLINE ((size_t)64 << 10)       /* up to here a stream travels as bytes */

enum { CAPTURE_OUT, CAPTURE_ERR, CAPTURE_STREAMS };

struct capture {
	int fd[CAPTURE_STREAMS];                /* -1: to be made */
};

#define CAPTURE_NONE ((struct capture){ { -1, -1 } })

/* Makes files that are missing, in $TMPDIR or /tmp.  0, or a negative errno. */
int capture_open(struct capture *capture);
const char *capture_directory(void);

/* How much a command has written. */
void capture_sizes(const struct capture *capture, size_t sizes[CAPTURE_STREAMS]);

/* Reads up to `size` bytes of one stream: fewer when a descendant of the command has emptied the file in the meantime.  0,
 * or a negative errno. */
int capture_read(const struct capture *capture, int stream, char *ret, size_t size, size_t *ret_size);

/* 1 when their file system has no room left: what a command has written may be incomplete, though it need not have
 * noticed. */
int capture_is_short_of_room(const struct capture *capture);

/* Makes the files ready for the next command: emptied, or new ones when `shared`, that is when somebody may still write to
 * these. */
void capture_reset(struct capture *capture, const size_t sizes[CAPTURE_STREAMS], int shared);
void capture_close(struct capture *capture);

#endif
