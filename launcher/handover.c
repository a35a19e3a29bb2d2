/* SPDX-License-Identifier: BSD-3-Clause */
/* handover.c - descriptors through a socket without a place in any directory.
 *
 * The name is not to be guessed and both sides look at the other's user.  Where the first rank is on another machine, nobody
 * listens under that name there: it says that it is up, and goes on with what mpirun gives it. */
#include "handover.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS 3
#define ANSWER_MOST_MS 10000

static socklen_t address_of(const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	/* The 0 before it makes it abstract. */
	snprintf(ret->sun_path + 1, sizeof ret->sun_path - 1, "%s", name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(ret->sun_path + 1));
}

static int is_own_user(int fd, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())
		return 0;
	if (ret_pid)
		*ret_pid = peer.pid;
	return 1;
}

int handover_open(char ret_name[HANDOVER_NAME_SIZE])
{
	unsigned char random[16];
	struct sockaddr_un address;
	socklen_t size;
	int fd, length;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -EIO;
	length = snprintf(ret_name, HANDOVER_NAME_SIZE, "rankpool-");
	for (size_t i = 0; i < sizeof random; i++)
		length += snprintf(ret_name + length, HANDOVER_NAME_SIZE - (size_t)length, "%02x", random[i]);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size = address_of(ret_name, &address);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

/* The control message with room for the descriptors. */
union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

pid_t handover_give(int fd, const int descriptors[3], int *ret_pidfd)
{
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC), pidfd = -1;
	union control control = { .header = { .cmsg_len = CMSG_LEN(DESCRIPTORS * sizeof(int)), .cmsg_level = SOL_SOCKET,
		                              .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { (char[]){ 'd' }, 1 };
	const struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
		                        .msg_controllen = sizeof control };
	pid_t pid = 0;

	if (peer < 0)
		return 0;
	/* It waits for its descriptors: until they are sent the pid is its own. */
	if (is_own_user(peer, &pid) && pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	memcpy(CMSG_DATA(&control.header), descriptors, DESCRIPTORS * sizeof(int));
	if (pidfd >= 0 && sendmsg(peer, &message, MSG_NOSIGNAL) < 0) {
		close(pidfd);
		pidfd = -1;
	}
	close(peer);
	if (pidfd < 0)
		return 0;
	*ret_pidfd = pidfd;
	return pid;
}

int handover_is_copy(void)
{
	return getenv(HANDOVER_VARIABLE) != NULL;
}

int handover_is_first(void)
{
	static const char *const ranks[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK" };

	for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
		if (getenv(ranks[i]))
			return strcmp(getenv(ranks[i]), "0") == 0;
	return 0;
}

/* -1: they do not come. */
static int receive(int fd, int descriptors[DESCRIPTORS])
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	union control control;
	char byte;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control,
		                  .msg_controllen = sizeof control };

	if (poll(&poller, 1, ANSWER_MOST_MS) <= 0 || recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != 1 ||
	    !CMSG_FIRSTHDR(&message) || control.header.cmsg_len != CMSG_LEN(DESCRIPTORS * sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(descriptors, CMSG_DATA(&control.header), DESCRIPTORS * sizeof(int));
	return 0;
}

void handover_take(void)
{
	const char *name = getenv(HANDOVER_VARIABLE);
	int descriptors[DESCRIPTORS];
	struct sockaddr_un address;
	socklen_t size;
	int fd;

	if (!name || !handover_is_first())
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	size = address_of(name, &address);
	if (connect(fd, (struct sockaddr *)&address, size) < 0) {
		dprintf(STDERR_FILENO, HANDOVER_ELSEWHERE);
	} else if (is_own_user(fd, NULL) && receive(fd, descriptors) == 0) {
		for (int i = 0; i < DESCRIPTORS; i++) {
			dup2(descriptors[i], i);
			close(descriptors[i]);
		}
	}
	close(fd);
}
