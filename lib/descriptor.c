/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptor.c - file descriptors of the library's own. */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int descriptor_high(int fd)
{
	int high, code;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	code = errno;
	close(fd);
	errno = code;
	return high;
}
