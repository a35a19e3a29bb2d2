/* SPDX-License-Identifier: BSD-3-Clause */
/* far_process.c - processes on other nodes.
 *
 * The descriptor that polls readable at the end is an eventfd of the manager's own, which the hub's thread writes when the
 * agent tells of the end.  The list of them is the context's, under its lock. */
#include "far_process.h"

#include "context.h"
#include "descriptor.h"
#include "hub.h"
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct far_process {
	struct far_process *next;
	uint64_t id;
	int node;
	int fd;                                 /* the handle's */
	int over;
	struct spawn_end end;
};

static void enlist(struct far_process *far)
{
	struct context *context = context_get();

	context_lock();
	far->next = context->far_processes;
	context->far_processes = far;
	context_unlock();
}

static void strike_out(struct far_process *far)
{
	struct far_process **at = &context_get()->far_processes;

	while (*at && *at != far)
		at = &(*at)->next;
	if (*at)
		*at = far->next;
}

static void drop(struct far_process *far)
{
	context_lock();
	strike_out(far);
	context_unlock();
	close(far->fd);
	free(far);
}

static int64_t ask(struct hub *hub, const struct far_process *far, const struct process_call *call, struct rp_error *err)
{
	struct wire_start message = { .wire = { .kind = WIRE_START, .id = far->id }, .flags = call->flags };
	const struct rp_bytes arg = { call->arg, call->arg_size };
	int64_t function = hub_function(hub, (void *)call->target, err), pid;
	struct hub_call asked;

	if (function < 0)
		return function;
	if (call->bind && strlen(call->bind) >= sizeof message.bind)
		return error_set(err, -EINVAL, "%s: .bind is too long", call->name);
	message.function = (uint32_t)function;
	snprintf(message.name, sizeof message.name, "%s", call->name);
	snprintf(message.bind, sizeof message.bind, "%s", call->bind ? call->bind : "");
	hub_ask(hub, &asked, far->node, &message, sizeof message, &arg, 1);
	pid = hub_await(&asked);
	free(asked.answer.data);
	if (pid < 0)
		return error_set(err, (int)pid, "node %d (%s): %.400s", far->node, hub_node(hub, far->node)->host,
		                 asked.answer.text);
	return pid;
}

static pid_t start(const struct process_call *call, int *ret_fd, void **ret_token, struct rp_error *err)
{
	struct hub *hub = runtime_hub();
	struct far_process *far = hub ? calloc(1, sizeof *far) : NULL;
	int64_t pid;

	if (!far)
		return error_set(err, hub ? -ENOMEM : -ENOLINK, "%s: %s", call->name,
		                 hub ? "out of memory" : "the other nodes are gone");
	far->id = hub_number(hub);
	far->node = call->node;
	far->fd = descriptor_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (far->fd < 0) {
		free(far);
		return error_set(err, -errno, "%s: no descriptor for its end: %s", call->name, strerror(errno));
	}
	enlist(far);                            /* before it can end */
	pid = ask(hub, far, call, err);
	if (pid < 0) {
		drop(far);
		return (pid_t)pid;
	}
	*ret_fd = far->fd;
	*ret_token = far;
	return (pid_t)pid;
}

static int ended(void *token, struct spawn_end *ret)
{
	const struct far_process *far = token;

	if (!far->over)
		return -EAGAIN;
	*ret = far->end;
	return 0;
}

static void tell(const struct far_process *far, const void *message, size_t size)
{
	struct hub *hub = runtime_hub();

	if (hub && !far->over)
		hub_post(hub, far->node, message, size, NULL, 0, NULL, NULL);
}

static void forget(void *token)
{
	struct far_process *far = token;
	const struct wire message = { .kind = WIRE_FORGET, .id = far->id };

	tell(far, &message, sizeof message);
	strike_out(far);
	free(far);
}

static int send_signal(void *token, int signal)
{
	const struct far_process *far = token;
	const struct wire_signal message = { .wire = { .kind = WIRE_SIGNAL, .id = far->id }, .signal = signal };

	tell(far, &message, sizeof message);
	return 0;
}

const struct process_starter far_process_starter = {
	.start = start, .ended = ended, .forget = forget, .signal = send_signal,
};

static void settle(struct far_process *far, const struct spawn_end *end)
{
	ssize_t written;

	far->end = *end;
	far->over = 1;
	written = write(far->fd, &(uint64_t){ 1 }, 8);
	(void)written;
}

void far_process_ended(const struct wire_ended *message)
{
	const struct spawn_end end = { message->known, message->code, message->max_rss };

	context_lock();
	for (struct far_process *far = context_get()->far_processes; far; far = far->next)
		if (far->id == message->wire.id && !far->over)
			settle(far, &end);
	context_unlock();
}

void far_process_lost(int node)
{
	const struct spawn_end unknown = { 0 };

	context_lock();
	for (struct far_process *far = context_get()->far_processes; far; far = far->next)
		if (far->node == node && !far->over)
			settle(far, &unknown);
	context_unlock();
}
