/* SPDX-License-Identifier: BSD-3-Clause */
/* supervisor.c - the manager's side of its supervisor: forking it, asking it, ending it. */
#include "supervisor.h"

#include "clock.h"
#include "context.h"
#include "descriptor.h"
#include "image.h"
#include "job.h"
#include "message.h"
#include "supervise.h"
#include "ticket.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BURIAL INT64_C(10000000000)             /* ns from a process's end to the supervisor's saying so, at most */
#define ORPHANS INT64_C(1000000000)             /* ns that workers of a dead supervisor get to die */

struct supervisor {
	pthread_mutex_t lock;                   /* one request at a time */
	struct arena *arena;
	struct image *image;                    /* what its children have of the program */
	pid_t pid;
	int pidfd;
	int socket;
	_Atomic int64_t *pulse;                 /* in the arena */
};

/* Noted as the library's own at once: another thread may fork in between. */
static int own_pair(int *pair)
{
	int raw[2], code;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw) < 0)
		return -errno;
	pair[0] = descriptor_high(raw[0]);
	pair[1] = descriptor_high(raw[1]);
	code = errno;
	if (pair[0] >= 0)
		context_fd_add(pair[0]);
	if (pair[1] >= 0)
		context_fd_add(pair[1]);
	return pair[0] < 0 || pair[1] < 0 ? -code : 0;
}

static void close_own(int fd)
{
	if (fd < 0)
		return;
	context_fd_remove(fd);
	close(fd);
}

/* In the child the library's own descriptors have been closed, and these are wanted there. */
static pid_t fork_it(struct supervisor *supervisor, int *pair)
{
	pid_t manager = getpid(), pid;
	int self = descriptor_high((int)syscall(SYS_pidfd_open, manager, 0));

	/* Without pidfds (under valgrind) the supervisor looks once a second who its parent is. */
	if (self < 0 && errno != ENOSYS)
		return -errno;
	context_fd_remove(pair[1]);
	pid = spawn_fork(SPAWN_GROUP | SPAWN_SUBREAPER | SPAWN_OUTLIVE, NULL, &supervisor->pidfd);
	if (pid == 0) {
		context_get()->image = supervisor->image;
		arena_forked(supervisor->arena);
		supervise(pair[1], supervisor->arena, manager, self, supervisor->pulse);
	}
	close(pair[1]);
	pair[1] = -1;
	if (self >= 0)
		close(self);
	return pid;
}

int supervisor_new(struct supervisor **ret, struct arena *arena, struct rp_error *err)
{
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	_Atomic int64_t *pulse = arena_alloc(arena, ARENA_MANAGER, sizeof *pulse);
	int pair[2] = { -1, -1 }, r = supervisor && pulse ? own_pair(pair) : -ENOMEM;

	*ret = NULL;
	if (r == 0) {
		supervisor->image = image_new(arena);
		r = supervisor->image ? 0 : -ENOMEM;
	}
	if (r == 0) {
		atomic_store(pulse, 0);
		supervisor->pulse = pulse;
		pthread_mutex_init(&supervisor->lock, NULL);
		supervisor->arena = arena;
		supervisor->pidfd = -1;
		supervisor->socket = pair[0];
		supervisor->pid = fork_it(supervisor, pair);
		r = supervisor->pid < 0 ? (int)supervisor->pid : 0;
	}
	if (r < 0) {
		close_own(pair[0]);
		close_own(pair[1]);
		arena_drop(arena, (const void *)pulse);
		if (supervisor)
			image_free(supervisor->image);
		free(supervisor);
		return error_set(err, r, "cannot start the supervisor: %s", strerror(-r));
	}
	context_fd_add(supervisor->pidfd);
	*ret = supervisor;
	return 0;
}

/* The end of the connection is what ends it, also when a child that another thread forked meanwhile has a copy. */
void supervisor_end(struct supervisor *supervisor)
{
	struct spawn_end end;

	shutdown(supervisor->socket, SHUT_RDWR);
	spawn_reap(supervisor->pid, supervisor->pidfd, CLOCK_NEVER, &end);
}

void supervisor_forked(struct supervisor *supervisor)
{
	image_forked(supervisor->image);
	free(supervisor);
}

struct supervisor *supervisor_free(struct supervisor *supervisor)
{
	if (!supervisor)
		return NULL;
	supervisor_end(supervisor);
	close_own(supervisor->socket);
	close_own(supervisor->pidfd);
	arena_drop(supervisor->arena, (const void *)supervisor->pulse);
	image_free(supervisor->image);
	pthread_mutex_destroy(&supervisor->lock);
	free(supervisor);
	return NULL;
}

int supervisor_teach(struct supervisor *supervisor, const void *fn, struct rp_error *err)
{
	return image_teach(supervisor->image, fn, err);
}

int supervisor_lives(struct supervisor *supervisor)
{
	struct pollfd poller = { .fd = supervisor->pidfd, .events = POLLIN };

	return poll(&poller, 1, 0) <= 0;        /* a signal is no end */
}

/* A supervisor that was killed may have left a copy of its end with a worker, so its own end is waited for too. */
static int await_answer(struct supervisor *supervisor)
{
	struct pollfd polled[] = {
		{ .fd = supervisor->socket, .events = POLLIN },
		{ .fd = supervisor->pidfd, .events = POLLIN },
	};

	while (poll(polled, 2, -1) < 0)
		;
	return polled[0].revents & POLLIN ? 0 : -EPIPE;
}

/* One request and its answer. */
static int ask(struct supervisor *supervisor, struct message *message, int fd, int *ret_fd)
{
	int unused = -1, r;

	pthread_mutex_lock(&supervisor->lock);
	r = message_send(supervisor->socket, message, fd);
	if (r == 0)
		r = await_answer(supervisor);
	if (r == 0)
		r = message_receive(supervisor->socket, message, ret_fd ? ret_fd : &unused);
	pthread_mutex_unlock(&supervisor->lock);
	if (unused >= 0)
		close(unused);
	return r < 0 ? r : message->result;
}

int supervisor_open(struct supervisor *supervisor, struct crew *crew, struct rp_error *err)
{
	struct message message = { .kind = MESSAGE_OPEN, .what = crew };
	int r = ask(supervisor, &message, crew->fd, NULL);

	if (r == -EPIPE)
		return error_set(err, r, "the supervisor has died");
	if (r < 0)
		return error_set(err, r, "cannot start %u workers: %s", crew->size, strerror(-r));
	return 0;
}

void supervisor_kill(struct supervisor *supervisor, struct crew *crew)
{
	struct message message = { .kind = MESSAGE_KILL, .what = crew };

	ask(supervisor, &message, -1, NULL);
}

void supervisor_close(struct supervisor *supervisor, struct crew *crew)
{
	struct message message = { .kind = MESSAGE_CLOSE, .what = crew };

	ask(supervisor, &message, -1, NULL);
}

/* A zombie has ended: it may be long before whoever inherited it reaps it. */
static void await_end(pid_t pid, int64_t deadline)
{
	struct pollfd poller = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	if (poller.fd < 0)
		return;
	poll(&poller, 1, clock_poll_ms(deadline));
	close(poller.fd);
}

/* They get SIGKILL by PDEATHSIG, some moments later. */
void supervisor_bury(struct crew *crew)
{
	int64_t deadline = clock_deadline(ORPHANS);

	for (uint32_t i = 0; i < crew->size; i++) {
		pid_t pid = atomic_load(&crew->slots[i].pid);

		if (pid)
			await_end(pid, deadline);
		arena_recover(crew->arena, crew->heap + i);
		ticket_bury(crew, i, -SIGKILL, "", crew->fd);
		job_bury(crew, i, -SIGKILL, "");
		atomic_store(&crew->slots[i].pid, 0);
		atomic_store(&crew->slots[i].state, SLOT_EMPTY);
	}
}

void supervisor_pulse(struct supervisor *supervisor, int64_t heard)
{
	atomic_store_explicit(supervisor->pulse, heard, memory_order_relaxed);
}

void supervisor_forget(struct supervisor *supervisor, void *token)
{
	struct birth *birth = token;
	uint32_t runs = BIRTH_RUNS;

	if (!atomic_compare_exchange_strong(&birth->state, &runs, BIRTH_FORGOTTEN))
		arena_drop(supervisor->arena, birth);
}

pid_t supervisor_start(struct supervisor *supervisor, const struct process_call *call, int *ret_pidfd, void **ret_token,
                       struct rp_error *err)
{
	struct birth *birth = arena_alloc(supervisor->arena, ARENA_MANAGER, sizeof *birth + call->arg_size);
	struct message message = { .kind = MESSAGE_START, .what = birth };
	int r;

	if (!birth)
		return error_set(err, -ENOMEM, "%s: no memory for %zu bytes of argument", call->name, call->arg_size);
	r = supervisor_teach(supervisor, (void *)call->target, err);
	if (r < 0) {
		arena_drop(supervisor->arena, birth);
		return r;
	}
	memset(birth, 0, sizeof *birth);
	birth->target = call->target;
	birth->flags = call->flags;
	birth->arg_size = call->arg_size;
	if (call->arg_size)
		memcpy(birth->arg, call->arg, call->arg_size);
	if (call->place) {
		birth->bound = 1;
		birth->place = *call->place;
	}
	strncpy(birth->name, call->name, sizeof birth->name - 1);
	*ret_pidfd = -1;
	fflush(stdout);
	fflush(stderr);
	r = ask(supervisor, &message, -1, ret_pidfd);
	if (r < 0) {
		arena_drop(supervisor->arena, birth);
	} else if (*ret_pidfd < 0) {
		/* It runs, but its descriptor found no room here: it cannot be had. */
		kill(birth->pid, SIGKILL);
		supervisor_forget(supervisor, birth);
		r = -EMFILE;
	}
	if (r < 0) {
		return error_set(err, r, "cannot start %s: %s", call->name,
		                 r == -EPIPE ? "the supervisor has died" : strerror(-r));
	}
	birth->watch = *ret_pidfd;
	*ret_token = birth;
	return birth->pid;
}

int supervisor_ended(struct supervisor *supervisor, void *token, struct spawn_end *ret)
{
	struct birth *birth = token;
	struct pollfd poller = { .fd = birth->watch, .events = POLLIN };
	int64_t deadline = clock_deadline(BURIAL);

	/* Its end is seen here before the supervisor has told how it was. */
	if (atomic_load(&birth->state) == BIRTH_RUNS && poll(&poller, 1, 0) <= 0 && supervisor_lives(supervisor))
		return -EAGAIN;
	while (atomic_load(&birth->state) == BIRTH_RUNS && supervisor_lives(supervisor) && clock_left(deadline))
		wait_on(&birth->state, BIRTH_RUNS, deadline);
	*ret = atomic_load(&birth->state) == BIRTH_ENDED ? birth->end : (struct spawn_end){ 0 };
	return 0;
}
