/* SPDX-License-Identifier: BSD-3-Clause */
/* message.h - what manager and supervisor say to each other over their socket. */
#ifndef RP_LIB_MESSAGE_H
#define RP_LIB_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

enum message_kind { MESSAGE_OPEN, MESSAGE_KILL, MESSAGE_CLOSE, MESSAGE_START };

struct message {
	uint32_t kind;                          /* of a request; the answer repeats it */
	int32_t result;                         /* of an answer: 0 or more, or a negative errno */
	void *what;                             /* in the arena: a crew, or a birth */
};

/* Sends one message, with a copy of `fd` unless that is -1.  -EPIPE when nobody is there any more. */
int message_send(int socket, const struct message *message, int fd);

/* Waits for one; *ret_fd is -1 when none came with it.  0, -EPIPE at the end. */
int message_receive(int socket, struct message *ret, int *ret_fd);

#endif
