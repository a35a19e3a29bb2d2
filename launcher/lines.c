/* SPDX-License-Identifier: BSD-3-Clause */
/* lines.c - what one process writes, passed on by whole lines beside those of others.
 *
 * The lock is one that the kernel takes back from a process that dies with it. */
#include "lines.h"
#include "courier.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)
#define LINE_MOST ((size_t)1 << 20)             /* of a longer one parts are passed on */

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int give(const struct lines *lines, const char *data, size_t size)
{
	const struct frame frame = { .stream = lines->stream, .size = (uint32_t)size };
	int r = lines->stream ? write_all(lines->to, (const char *)&frame, sizeof frame) : 0;

	return r < 0 ? r : write_all(lines->to, data, size);
}

static void lock(const struct lines *lines, short how)
{
	struct flock range = { .l_type = how, .l_whence = SEEK_SET };

	while (lines->lock >= 0 && fcntl(lines->lock, F_SETLKW, &range) < 0 && errno == EINTR)
		;
}

/* The first `size` bytes of what waits. */
static int pass_on(struct lines *lines, size_t size)
{
	const char *data = lines->waiting.data, *end = data + size;
	struct buffer *out = &lines->out;
	int r;

	if (!size)
		return 0;
	out->size = 0;
	while (*lines->tag && data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		size_t n = newline ? (size_t)(newline - data) + 1 : (size_t)(end - data);

		if (!lines->inside)
			buffer_text(out, lines->tag);
		buffer_add(out, data, n);
		lines->inside = !newline;
		data += n;
	}
	lock(lines, F_WRLCK);
	r = *lines->tag ? give(lines, out->data, out->size) : give(lines, data, size);
	lock(lines, F_UNLCK);
	lines->waiting.size -= size;
	memmove(lines->waiting.data, end, lines->waiting.size);
	return r;
}

int lines_take(struct lines *lines)
{
	for (;;) {
		struct buffer *waiting = &lines->waiting;
		const char *newline;
		ssize_t n = read(lines->from, buffer_space(waiting, PIECE), PIECE);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0 || errno != EAGAIN) {
				close(lines->from);
				lines->from = -1;
			}
			return 0;
		}
		newline = memrchr(waiting->data + waiting->size, '\n', (size_t)n);
		waiting->size += (size_t)n;
		if (!newline && waiting->size < LINE_MOST)
			continue;
		r = pass_on(lines, newline ? (size_t)(newline - waiting->data) + 1 : waiting->size);
		if (r < 0)
			return r;
	}
}

int lines_end(struct lines *lines)
{
	int r = lines->from >= 0 ? lines_take(lines) : 0;

	if (r == 0 && lines->waiting.size) {
		/* A tagged one gets an end, or the next tag would stand in it. */
		if (*lines->tag)
			buffer_byte(&lines->waiting, '\n');
		r = pass_on(lines, lines->waiting.size);
	}
	if (r == 0 && *lines->tag && lines->inside) {
		lines->inside = 0;
		r = give(lines, "\n", 1);
	}
	return r;
}

void lines_free(struct lines *lines)
{
	if (lines->from >= 0)
		close(lines->from);
	lines->from = -1;
	buffer_free(&lines->waiting);
	buffer_free(&lines->out);
}
