/* SPDX-License-Identifier: BSD-3-Clause */
/* input.h - one source of values: a list of words, or a file that is read as values are needed. */
#ifndef RP_LAUNCHER_INPUT_H
#define RP_LAUNCHER_INPUT_H

#include "buffer.h"

struct input {
	char **words;                           /* of a list; NULL: a file */
	size_t word_count, word_at;
	const char *name;                       /* of a file */
	int fd, ended;
	char delimiter;
	size_t begin, scanned;                  /* in `bytes`: what has not been given out, what holds no delimiter */
	struct buffer bytes;
	int peeked;                             /* `value` has been read and not yet used */
	struct slice value;
	struct buffer kept_bytes;               /* values read so far, for the next time through */
	size_t *kept;                           /* where each of them ends in kept_bytes */
};

/* 1: the value that comes next is in source->value, until `peeked` is taken back.  0: there are no more.  -EAGAIN: not
 * before source->fd polls readable.  Other negative: it cannot be read, as one line that begins with `name` has said. */
int input_peek(struct input *source, const char *name);

/* Remembers the current value as its number `index`, 0 and up, and makes that the current one again. */
void input_keep(struct input *source, size_t index);
void input_recall(struct input *source, size_t index);

void input_done(struct input *source);

#endif
