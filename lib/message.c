/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c - messages with an optional descriptor over a SOCK_SEQPACKET pair. */
#include "message.h"

#include "descriptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

int message_send(int socket, const struct message *message, int fd)
{
	struct iovec piece = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message };
	struct msghdr packet = { .msg_iov = &piece, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		packet.msg_control = &control;
		packet.msg_controllen = sizeof control.space;
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	}
	do
		n = sendmsg(socket, &packet, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -EPIPE : 0;
}

int message_receive(int socket, struct message *ret, int *ret_fd)
{
	struct iovec piece = { .iov_base = ret, .iov_len = sizeof *ret };
	union control control;
	struct msghdr packet = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space
	};
	struct cmsghdr *head;
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof *ret)
		return -EPIPE;
	head = CMSG_FIRSTHDR(&packet);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		memcpy(ret_fd, CMSG_DATA(head), sizeof *ret_fd);
		*ret_fd = descriptor_high(*ret_fd);
	}
	return 0;
}
