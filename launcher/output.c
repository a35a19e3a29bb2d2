/* SPDX-License-Identifier: BSD-3-Clause */
/* output.c - printing results.
 *
 * Results that wait for their turn are kept in a ring that begins with the one to be printed next.  What they hold of
 * memory is bounded: beyond that the bytes go to a file without a name, the spool, and beyond many results nothing more
 * is started. */
#include "output.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define WAITING_MOST ((size_t)1 << 16)          /* results */
#define MEMORY_MOST ((size_t)16 << 20)          /* bytes of theirs in memory */
#define BLOCK ((size_t)64 << 10)

/* One stream of one result. */
struct stream {
	char *data;                             /* malloc'ed; or in a file, */
	int fd;                                 /* which is its own or the spool; -1: it is not */
	off_t offset;
	size_t size;
};

#define NOTHING ((struct stream){ .fd = -1 })

struct waiting {
	int known;                              /* its result has come, or none will */
	struct stream streams[CAPTURE_STREAMS];
	char *tag;
	size_t tag_size;
};

struct output {
	int keep_order, tagged, error;
	unsigned long long next;                /* the job whose turn it is */
	struct waiting *ring;
	size_t room, first;                     /* ring[first] belongs to `next`; room is a power of two */
	size_t waiting, memory, files;
	struct capture spool;
	size_t spooled;                         /* streams in the spool */
	off_t spool_end;
	struct buffer tagged_bytes;
};

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Decides what a failed write means: 1: try again, 0: give up.  What standard error does not take is lost quietly when
 * nobody listens there. */
static int again(struct output *output, int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };

	if (interrupt_level() == INTERRUPT_NOW) {
		output->error = EINTR;
		return 0;
	}
	if (errno == EINTR)
		return 1;
	if (errno == EAGAIN) {
		poll(&ready, 1, -1);
		return 1;
	}
	if (fd != STDERR_FILENO || (errno != EPIPE && errno != EBADF))
		output->error = errno;
	return 0;
}

/* 0, or -1 when it could not be written. */
static int write_all(struct output *output, int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0) {
			if (!again(output, fd))
				return -1;
			continue;
		}
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Puts the tag before the first byte and, as GNU parallel does, before each byte that follows a CR or LF. */
static int write_tagged(struct output *output, int fd, struct slice tag, const char *data, size_t size, char *before)
{
	struct buffer *bytes = &output->tagged_bytes;

	bytes->size = 0;
	for (size_t i = 0; i < size; i++) {
		if (*before == '\n' || *before == '\r') {
			buffer_add(bytes, tag.data, tag.size);
			buffer_byte(bytes, '\t');
		}
		buffer_byte(bytes, data[i]);
		*before = data[i];
	}
	return write_all(output, fd, bytes->data, bytes->size);
}

static int write_file_tagged(struct output *output, int fd, struct slice tag, const struct stream *stream)
{
	char block[BLOCK], before = '\n';
	off_t at = stream->offset;
	size_t left = stream->size;

	while (left) {
		ssize_t n = pread(stream->fd, block, left < BLOCK ? left : BLOCK, at);

		if (n <= 0)
			return 0;               /* a descendant of the command has cut it off */
		if (write_tagged(output, fd, tag, block, (size_t)n, &before) < 0)
			return -1;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

/* Inside the kernel where that works: not into a file that is open for appending. */
static int write_file(struct output *output, int fd, const struct stream *stream)
{
	char block[BLOCK];
	off_t at = stream->offset;
	size_t left = stream->size;

	while (left) {
		ssize_t n = sendfile(fd, stream->fd, &at, left);

		if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
			n = pread(stream->fd, block, left < BLOCK ? left : BLOCK, at);
			if (n > 0 && write_all(output, fd, block, (size_t)n) < 0)
				return -1;
			at += n > 0 ? n : 0;
		} else if (n < 0) {
			if (!again(output, fd))
				return -1;
			continue;
		}
		if (n <= 0)
			return 0;
		left -= (size_t)n;
	}
	return 0;
}

static void print_stream(struct output *output, int fd, struct slice tag, const struct stream *stream)
{
	char before = '\n';

	if (output->error || !stream->size)
		return;
	if (stream->fd >= 0 && output->tagged)
		write_file_tagged(output, fd, tag, stream);
	else if (stream->fd >= 0)
		write_file(output, fd, stream);
	else if (output->tagged)
		write_tagged(output, fd, tag, stream->data, stream->size, &before);
	else
		write_all(output, fd, stream->data, stream->size);
}

static void print(struct output *output, struct slice tag, const struct stream streams[CAPTURE_STREAMS])
{
	print_stream(output, STDOUT_FILENO, tag, &streams[CAPTURE_OUT]);
	print_stream(output, STDERR_FILENO, tag, &streams[CAPTURE_ERR]);
}

/* ---- keeping ------------------------------------------------------------------------------------------ */

/* The ring's place for a job, which grows to have one. */
static struct waiting *place(struct output *output, unsigned long long seq)
{
	size_t distance = (size_t)(seq - output->next);

	if (distance >= output->room) {
		size_t room = output->room ? output->room : 64;
		struct waiting *ring;

		while (room <= distance)
			room *= 2;
		ring = resized(NULL, room, sizeof *ring);
		memset(ring, 0, room * sizeof *ring);
		for (size_t i = 0; i < output->room; i++)
			ring[i] = output->ring[(output->first + i) & (output->room - 1)];
		free(output->ring);
		output->ring = ring;
		output->room = room;
		output->first = 0;
	}
	return &output->ring[(output->first + distance) & (output->room - 1)];
}

/* Moves bytes to the spool.  0: they stay in memory, as there is no room on disk. */
static int spool(struct output *output, const char *data, size_t size)
{
	size_t done = 0;

	if (capture_open(&output->spool) < 0)
		return 0;
	while (done < size) {
		ssize_t n = write(output->spool.fd[CAPTURE_OUT], data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (ftruncate(output->spool.fd[CAPTURE_OUT], output->spool_end) < 0)
				capture_close(&output->spool);
			return 0;
		}
		done += (size_t)n;
	}
	output->spool_end += (off_t)size;
	output->spooled++;
	return 1;
}

static void keep_stream(struct output *output, struct stream *stream, const char *data, size_t size)
{
	*stream = NOTHING;
	stream->size = size;
	if (!size)
		return;
	if (output->memory + size > MEMORY_MOST && spool(output, data, size)) {
		stream->fd = output->spool.fd[CAPTURE_OUT];
		stream->offset = output->spool_end - (off_t)size;
		return;
	}
	stream->data = resized(NULL, size, 1);
	memcpy(stream->data, data, size);
	output->memory += size;
}

static void drop_stream(struct output *output, struct stream *stream)
{
	if (stream->data) {
		free(stream->data);
		output->memory -= stream->size;
	} else if (stream->fd >= 0 && stream->fd == output->spool.fd[CAPTURE_OUT]) {
		fallocate(stream->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, stream->offset, (off_t)stream->size);
		if (--output->spooled == 0 && ftruncate(stream->fd, 0) == 0)
			output->spool_end = 0;
	} else if (stream->fd >= 0) {
		close(stream->fd);
		output->files--;
	}
	*stream = NOTHING;
}

/* Prints what has its turn now. */
static void print_ready(struct output *output)
{
	while (output->waiting && output->ring[output->first].known) {
		struct waiting *waiting = &output->ring[output->first];

		print(output, (struct slice){ waiting->tag, waiting->tag_size }, waiting->streams);
		for (int i = 0; i < CAPTURE_STREAMS; i++)
			drop_stream(output, &waiting->streams[i]);
		free(waiting->tag);
		*waiting = (struct waiting){ 0 };
		output->first = (output->first + 1) & (output->room - 1);
		output->next++;
		output->waiting--;
	}
}

static void keep(struct output *output, const struct result *result, struct stream files[CAPTURE_STREAMS], struct slice tag)
{
	struct waiting *waiting = place(output, result->seq);

	waiting->known = 1;
	output->waiting++;
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		if (result->in_file[i])
			waiting->streams[i] = files[i];
		else
			keep_stream(output, &waiting->streams[i], result->data[i], result->sizes[i]);
	}
	if (output->tagged && tag.size) {
		waiting->tag = resized(NULL, tag.size, 1);
		memcpy(waiting->tag, tag.data, tag.size);
		waiting->tag_size = tag.size;
	}
}

/* ---- results ------------------------------------------------------------------------------------------ */

void output_put(struct output *output, const struct result *result, const struct parcel *parcel, struct slice tag)
{
	struct stream streams[CAPTURE_STREAMS];

	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		streams[i] = NOTHING;
		streams[i].size = result->sizes[i];
		if (result->in_file[i]) {
			streams[i].fd = parcel->fd[i];
			output->files += parcel->fd[i] >= 0;
		} else {
			streams[i].data = (char *)(uintptr_t)result->data[i];
		}
	}
	if (output->keep_order && result->seq != output->next) {
		keep(output, result, streams, tag);
		return;
	}
	print(output, tag, streams);
	for (int i = 0; i < CAPTURE_STREAMS; i++)
		if (result->in_file[i])
			drop_stream(output, &streams[i]);
	if (output->keep_order)
		output_skip(output, result->seq);
}

void output_skip(struct output *output, unsigned long long seq)
{
	struct waiting *waiting;

	if (!output->keep_order)
		return;
	waiting = place(output, seq);
	*waiting = (struct waiting){ .known = 1, .streams = { NOTHING, NOTHING } };
	output->waiting++;
	print_ready(output);
}

/* Half of the files that may be open: the rest is for those on their way. */
static size_t files_most(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	return limit.rlim_cur < 2 * WAITING_MOST ? (size_t)limit.rlim_cur / 2 : WAITING_MOST;
}

int output_is_full(const struct output *output)
{
	return output->waiting >= WAITING_MOST || output->memory >= 2 * MEMORY_MOST ||
	       (output->files && output->files >= files_most());
}

int output_error(const struct output *output)
{
	return output->error;
}

struct output *output_new(int keep_order, int tagged)
{
	struct output *output = resized(NULL, 1, sizeof *output);

	*output = (struct output){ .keep_order = keep_order, .tagged = tagged, .next = 1, .spool = CAPTURE_NONE };
	return output;
}

struct output *output_free(struct output *output)
{
	if (!output)
		return NULL;
	for (size_t i = 0; i < output->room; i++) {
		if (output->ring[i].known)
			for (int k = 0; k < CAPTURE_STREAMS; k++)
				drop_stream(output, &output->ring[i].streams[k]);
		free(output->ring[i].tag);
	}
	free(output->ring);
	capture_close(&output->spool);
	buffer_free(&output->tagged_bytes);
	free(output);
	return NULL;
}
