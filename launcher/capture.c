/* SPDX-License-Identifier: BSD-3-Clause */
/* capture.c - files without a name that commands write to. */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Appending: a command that opens /dev/stdout again does not overwrite what it wrote before. */
#define FLAGS (O_RDWR | O_APPEND | O_CLOEXEC)

const char *capture_directory(void)
{
	const char *directory = getenv("TMPDIR");

	return directory && *directory ? directory : "/tmp";
}

static int open_one(void)
{
	int fd = open(capture_directory(), FLAGS | O_TMPFILE, 0600);
	char *name;

	/* Overlay and network file systems may have no such files: then one with a name, for a moment. */
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	if (asprintf(&name, "%s/rankpool-XXXXXX", capture_directory()) < 0)
		return -ENOMEM;
	fd = mkostemp(name, O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(name);
	free(name);
	return fd;
}

int capture_open(struct capture *capture)
{
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		int fd = capture->fd[i] < 0 ? open_one() : capture->fd[i];

		if (fd < 0)
			return fd;
		capture->fd[i] = fd;
	}
	return 0;
}

void capture_sizes(const struct capture *capture, size_t sizes[CAPTURE_STREAMS])
{
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		off_t end = lseek(capture->fd[i], 0, SEEK_END);

		sizes[i] = end < 0 ? 0 : (size_t)end;
	}
}

int capture_read(const struct capture *capture, int stream, char *ret, size_t size, size_t *ret_size)
{
	*ret_size = 0;
	while (*ret_size < size) {
		ssize_t n = pread(capture->fd[stream], ret + *ret_size, size - *ret_size, (off_t)*ret_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		*ret_size += (size_t)n;
	}
	return 0;
}

int capture_is_short_of_room(const struct capture *capture)
{
	struct statvfs status;

	if (fstatvfs(capture->fd[CAPTURE_OUT], &status) < 0)
		return 0;
	/* A file system that does not count its blocks has none. */
	return status.f_blocks && (geteuid() == 0 ? status.f_bfree : status.f_bavail) == 0;
}

void capture_close(struct capture *capture)
{
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		if (capture->fd[i] >= 0)
			close(capture->fd[i]);
		capture->fd[i] = -1;
	}
}

void capture_reset(struct capture *capture, const size_t sizes[CAPTURE_STREAMS], int shared)
{
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		if (capture->fd[i] < 0 || (!shared && !sizes[i]))
			continue;
		if (shared || ftruncate(capture->fd[i], 0) < 0) {
			close(capture->fd[i]);
			capture->fd[i] = -1;
		}
	}
}
