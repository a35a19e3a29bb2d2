/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h - what rp_process needs of the floors above it. */
#ifndef RP_LIB_PROCESS_H
#define RP_LIB_PROCESS_H

#include "spawn.h"
#include "topology.h"

/* What the child is to do; strings and arg are borrowed for the call. */
struct process_call {
	rp_target *target;
	const void *arg;
	size_t arg_size;
	const char *name;
	const struct place *place;              /* NULL: anywhere */
	uint32_t flags;                         /* RP_DAEMON */
	int32_t node;                           /* 0: this one */
	const char *bind;                       /* on another node, where no place of this one helps; NULL: anywhere */
};

/* How a process is started when a supervisor exists (rp_init): the supervisor forks it, is its parent and reaps it.  Set in
 * the context by the runtime. */
struct process_starter {
	/* The pid; *ret_pidfd polls readable when it has ended; *ret_token is given to the other calls. */
	pid_t (*start)(const struct process_call *call, int *ret_pidfd, void **ret_token, struct rp_error *err);
	/* 0 and *ret once it has ended, -EAGAIN while it runs. */
	int (*ended)(void *token, struct spawn_end *ret);
	void (*forget)(void *token);            /* the handle is gone; the process goes on and is reaped */
	/* Sends a signal; under the context's lock.  NULL: the descriptor does. */
	int (*signal)(void *token, int signal);
};

/* The body of a started process, in the child after spawn_fork: runs the target with a context of its own, ends its
 * children, leaves by _exit. */
_Noreturn void process_run(const struct process_call *call);

#endif
