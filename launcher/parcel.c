/* SPDX-License-Identifier: BSD-3-Clause */
/* parcel.c - open files on their way from a worker to the manager. */
#include "parcel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is written; the descriptors travel beside it. */
struct label {
	unsigned long long seq;
	int has[CAPTURE_STREAMS];
};

union control {                                 /* aligned as a control message has to be */
	struct cmsghdr header;
	char bytes[CMSG_SPACE(CAPTURE_STREAMS * sizeof(int))];
};

int parcel_way(int ret_ends[2])
{
	/* A datagram each: parcels of several workers do not mix. */
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

int parcel_send(int end, const struct parcel *parcel)
{
	struct label label = { .seq = parcel->seq };
	struct iovec text = { &label, sizeof label };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control };
	int fds[CAPTURE_STREAMS], count = 0;

	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		label.has[i] = parcel->fd[i] >= 0;
		if (label.has[i])
			fds[count++] = parcel->fd[i];
	}
	message.msg_controllen = CMSG_SPACE((size_t)count * sizeof *fds);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof *fds);
	memcpy(CMSG_DATA(&control.header), fds, (size_t)count * sizeof *fds);
	return sendmsg(end, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 1: one has come, 0: not now, or never again. */
static int receive(int end, struct parcel *ret)
{
	struct label label;
	struct iovec text = { &label, sizeof label };
	union control control;
	struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control,
	                          .msg_controllen = sizeof control };
	struct cmsghdr *header;
	const unsigned char *next = NULL;

	if (recvmsg(end, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof label)
		return 0;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		next = CMSG_DATA(header);
	ret->seq = label.seq;
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		ret->fd[i] = -1;
		/* The kernel leaves out those that this process has no more room for. */
		if (label.has[i] && next && next + sizeof(int) <= (unsigned char *)header + header->cmsg_len) {
			memcpy(&ret->fd[i], next, sizeof(int));
			next += sizeof(int);
		}
	}
	return 1;
}

void parcels_take(struct parcels *parcels)
{
	struct parcel parcel;

	while (parcels->end >= 0 && receive(parcels->end, &parcel)) {
		parcels->items = resized(parcels->items, parcels->count + 1, sizeof parcel);
		parcels->items[parcels->count++] = parcel;
	}
}

int parcels_find(struct parcels *parcels, unsigned long long seq, struct parcel *ret)
{
	parcels_take(parcels);
	for (size_t i = 0; i < parcels->count; i++)
		if (parcels->items[i].seq == seq) {
			*ret = parcels->items[i];
			parcels->items[i] = parcels->items[--parcels->count];
			return 1;
		}
	return 0;
}

void parcels_free(struct parcels *parcels)
{
	parcels_take(parcels);
	for (size_t i = 0; i < parcels->count; i++)
		for (int k = 0; k < CAPTURE_STREAMS; k++)
			if (parcels->items[i].fd[k] >= 0)
				close(parcels->items[i].fd[k]);
	free(parcels->items);
	*parcels = (struct parcels){ .end = -1 };
}
