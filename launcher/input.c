/* SPDX-License-Identifier: BSD-3-Clause */
/* input.c - one source of values. */
#include "input.h"
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)                /* read at a time: no reading far ahead */
#define VALUE_MAX ((size_t)64 << 20)            /* no command line can hold more; a file without line ends is a mistake */

/* Reads once, when that does not block.  1: more bytes or the end; -EAGAIN; other negative: said so. */
static int fill(struct input *source, const char *name)
{
	struct pollfd ready = { .fd = source->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&ready, 1, 0) == 0)
		return -EAGAIN;
	if (source->begin && source->bytes.size - source->begin < source->begin) {
		source->bytes.size -= source->begin;
		memmove(source->bytes.data, source->bytes.data + source->begin, source->bytes.size);
		source->scanned -= source->begin;
		source->begin = 0;
	}
	n = read(source->fd, buffer_space(&source->bytes, CHUNK), CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0) {
		cli_say(name, "cannot read %s: %s", source->name, strerror(errno));
		return -EIO;
	}
	source->bytes.size += (size_t)n;
	source->ended = n == 0;
	return 1;
}

/* The next value of a file into source->value: 1, 0 at the end, or what fill() says. */
static int read_value(struct input *source, const char *name)
{
	int r;

	for (;;) {
		const char *from = source->bytes.data ? source->bytes.data + source->scanned : NULL;
		const char *end = from ? memchr(from, source->delimiter, source->bytes.size - source->scanned) : NULL;

		if (end || (source->ended && source->bytes.size > source->begin)) {
			source->value.data = source->bytes.data + source->begin;
			source->value.size = (size_t)((end ? end : source->bytes.data + source->bytes.size) -
			                              source->value.data);
			source->begin += source->value.size + (end != NULL);
			source->scanned = source->begin;
			return 1;
		}
		if (source->ended)
			return 0;
		source->scanned = source->bytes.size;
		if (source->bytes.size - source->begin > VALUE_MAX) {
			cli_say(name, "%s has a line of more than %zu MiB: is it made of lines?", source->name,
			        VALUE_MAX >> 20);
			return -EMSGSIZE;
		}
		r = fill(source, name);
		if (r < 0)
			return r;
	}
}

int input_peek(struct input *source, const char *name)
{
	int r;

	if (source->peeked)
		return 1;
	if (source->words) {
		if (source->word_at == source->word_count)
			return 0;
		source->value.data = source->words[source->word_at];
		source->value.size = strlen(source->value.data);
		source->word_at++;
	} else {
		r = read_value(source, name);
		if (r <= 0)
			return r;
	}
	source->peeked = 1;
	return 1;
}

void input_keep(struct input *source, size_t index)
{
	if (source->words)
		return;
	buffer_add(&source->kept_bytes, source->value.data, source->value.size);
	if ((index & (index + 1)) == 0)
		source->kept = resized(source->kept, 2 * (index + 1), sizeof *source->kept);
	source->kept[index] = source->kept_bytes.size;
}

void input_recall(struct input *source, size_t index)
{
	size_t begin;

	if (source->words) {
		/* An empty list gives one empty value when other sources have some. */
		source->value.data = index < source->word_count ? source->words[index] : "";
		source->value.size = strlen(source->value.data);
		return;
	}
	begin = index ? source->kept[index - 1] : 0;
	source->value.data = source->kept_bytes.data + begin;
	source->value.size = source->kept[index] - begin;
}

void input_done(struct input *source)
{
	if (source->fd > STDERR_FILENO)
		close(source->fd);
	buffer_free(&source->bytes);
	buffer_free(&source->kept_bytes);
	free(source->kept);
}
