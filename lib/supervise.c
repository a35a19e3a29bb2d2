/* SPDX-License-Identifier: BSD-3-Clause */
/* supervise.c - the supervisor's own process: one thread, one loop, the only place where workers are forked and reaped.
 *
 * It waits for: requests of the manager (or the end of the socket), the end of the manager (its pidfd), the end of
 * children (SIGCHLD through a signalfd; all children are its own, so it may reap any), the time when a worker that died at
 * birth may be tried again, and for a pulse that stops. */
#include "supervise.h"

#include "clock.h"
#include "context.h"
#include "descriptor.h"
#include "image.h"
#include "job.h"
#include "message.h"
#include "spawn.h"
#include "ticket.h"
#include "wait.h"
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EARLY INT64_C(50000000)                 /* ns: a worker that lived less and did nothing died at birth */
#define DELAY_FIRST INT64_C(1000000)
#define DELAY_MOST INT64_C(90000000)
#define STARTS_MOST 3                           /* deaths in a row before the worker was ready */
#define FORKS_MOST 50
#define IDLE INT64_C(1000000000)                /* after which free memory goes back */
#define TARGET_MISSING 127                      /* exit code of a process that has no target, as a shell's
                                                * of a command */
#define STOPPED INT64_C(3000000000)             /* ns between two looks: this process was stopped, or the machine slept */

/* A worker's place in the supervisor's books. */
struct post {
	pid_t pid;                              /* 0: nobody */
	int64_t since;
	uint64_t tasks;                         /* that the slot had done when this worker began */
	int64_t delay;                          /* before the next one, when they die at birth */
	int64_t due;                            /* when to fork; CLOCK_NEVER: not at all */
	int failed_starts;
};

struct gang {
	struct gang *next;
	struct crew *crew;
	int fd;
	uint32_t alive;
	int killed;                             /* all that were alive when it was stopped have got their SIGKILL */
	int failed_forks;                       /* in a row */
	struct post posts[];
};

struct charge {                                 /* an rp_process */
	struct charge *next;
	struct birth *birth;
};

struct supervision {
	int socket, signals, manager_fd;
	struct arena *arena;
	struct gang *gangs;
	struct charge *charges;
	uint64_t freed;                         /* arena_freed when last looked at */
	int64_t trim_due;
	const _Atomic int64_t *pulse;
	int64_t looked, awake;                  /* at the pulse; since when without a stop */
};

/* A child must not hold what only the supervisor may. */
static void close_own(const struct supervision *s)
{
	close(s->socket);
	close(s->signals);
	close(s->manager_fd);
}

static int fork_worker(struct supervision *s, struct gang *gang, uint32_t slot)
{
	static const uint32_t flags = SPAWN_GROUP | SPAWN_NO_SIGINT | SPAWN_SUBREAPER | SPAWN_OOM_FIRST;
	struct crew *crew = gang->crew;
	struct slot *place = &crew->slots[slot];
	struct post *post = &gang->posts[slot];
	int pidfd = -1;
	pid_t pid;

	atomic_store(&place->state, SLOT_STARTING);
	post->tasks = atomic_load(&place->tasks);
	pid = spawn_fork(flags, place->place.bound ? &place->place : NULL, &pidfd);
	if (pid == 0) {
		close_own(s);
		worker_process(crew, slot, gang->fd);
	}
	post->due = CLOCK_NEVER;
	if (pid < 0) {
		atomic_store(&place->state, SLOT_EMPTY);
		return (int)pid;
	}
	close(pidfd);
	atomic_store(&place->pid, pid);
	post->pid = pid;
	post->since = clock_now();
	gang->alive++;
	return 0;
}

/* A task's descendants that left its process group are found by their parents: they come to the supervisor when the worker,
 * which was their subreaper, is gone. */
static void kill_strays(struct supervision *s)
{
	size_t count = 0;
	pid_t *keep;

	for (struct gang *g = s->gangs; g; g = g->next)
		count += g->alive;
	for (struct charge *c = s->charges; c; c = c->next)
		count++;
	keep = calloc(count + 1, sizeof *keep);
	if (!keep)
		return;
	count = 0;
	for (struct gang *g = s->gangs; g; g = g->next)
		for (uint32_t i = 0; i < g->crew->size; i++)
			if (g->posts[i].pid)
				keep[count++] = g->posts[i].pid;
	for (struct charge *c = s->charges; c; c = c->next)
		keep[count++] = c->birth->pid;
	spawn_kill_descendants(keep, count);
	free(keep);
}

static void describe(const struct crew *crew, pid_t pid, int code, const struct rusage *usage, char *text, size_t size)
{
	double peak = (double)usage->ru_maxrss / 1024;

	if (code < 0)
		snprintf(text, size, "the worker was killed by signal %d (%s), pid %d on %s, peak memory %.1f MiB", -code,
		         strsignal(-code), (int)pid, crew->host, peak);
	else
		snprintf(text, size, "the worker exited with code %d, pid %d on %s, peak memory %.1f MiB", code, (int)pid,
		         crew->host, peak);
}

/* The worker was not ready yet: the initializer ended it, or somebody outside did. */
static void judge_start(struct gang *gang, struct post *post, int code, const char *text)
{
	if (code == SPAWN_UNFIT)
		crew_break(gang->crew,
		           "a worker could not be set up: it may not run on its CPUs, or the limits are too low");
	else if (code != -SIGKILL && code != -SIGTERM)
		crew_break(gang->crew, "%s: %s",
		           gang->crew->init ? "the initializer did not return" : "a worker could not start", text);
	else if (gang->crew->init && ++post->failed_starts == STARTS_MOST)
		crew_break(gang->crew, "%d workers in a row died while starting: %s", STARTS_MOST, text);
}

/* began: it had begun a task, which may well be what ended it. */
static void plan_successor(struct post *post, const struct slot *slot, int began)
{
	int64_t now = clock_now();

	if (!began && now - post->since < EARLY && atomic_load(&slot->tasks) == post->tasks) {
		post->delay = post->delay ? 2 * post->delay : DELAY_FIRST;
		if (post->delay > DELAY_MOST)
			post->delay = DELAY_MOST;
	} else {
		post->delay = 0;
	}
	post->due = now + post->delay;
}

/* The order matters: first the dead worker's half-done allocation, then what it was working on, which needs its heap; only
 * then may others take its absence for granted. */
static void bury(struct supervision *s, struct gang *gang, uint32_t i, int code, const struct rusage *usage)
{
	struct crew *crew = gang->crew;
	struct slot *slot = &crew->slots[i];
	struct post *post = &gang->posts[i];
	uint32_t state = atomic_load(&slot->state);
	int began = atomic_load(&slot->current) || atomic_load(&slot->ticket);
	char text[256];

	describe(crew, post->pid, code, usage, text, sizeof text);
	post->pid = 0;
	gang->alive--;
	/* When the whole gang goes, its strays are killed once, behind the last of it. */
	if (state != SLOT_RETIRED && (atomic_load(&crew->stop) <= CREW_CLOSES || !gang->alive))
		kill_strays(s);
	arena_recover(crew->arena, crew->heap + i);
	if (state == SLOT_STARTING && atomic_load(&crew->stop) == CREW_RUNS)
		judge_start(gang, post, code, text);
	else if (state != SLOT_STARTING)
		post->failed_starts = 0;
	crew_buried(crew, i);
	ticket_bury(crew, i, code, text, gang->fd);
	job_bury(crew, i, code, text);
	atomic_fetch_add(&slot->restarts, 1);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->state, SLOT_EMPTY);
	if (atomic_load(&crew->stop) == CREW_RUNS) {
		plan_successor(post, slot, began);
		if (state == SLOT_RETIRED)
			post->due = 0;
	}
	crew_tell(crew);
}

static void end_birth(struct arena *arena, struct birth *birth, const struct spawn_end *end)
{
	uint32_t runs = BIRTH_RUNS;

	birth->end = *end;
	if (!atomic_compare_exchange_strong(&birth->state, &runs, BIRTH_ENDED))
		arena_drop(arena, birth);
	else
		wait_wake(&birth->state, INT_MAX);
}

static void note_end(struct supervision *s, pid_t pid, int status, const struct rusage *usage)
{
	int code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);

	for (struct gang *g = s->gangs; g; g = g->next)
		for (uint32_t i = 0; i < g->crew->size; i++)
			if (g->posts[i].pid == pid) {
				bury(s, g, i, code, usage);
				return;
			}
	for (struct charge **at = &s->charges; *at; at = &(*at)->next)
		if ((*at)->birth->pid == pid) {
			struct charge *charge = *at;
			struct spawn_end end = { .known = 1, .code = code, .max_rss = usage->ru_maxrss * 1024 };

			*at = charge->next;
			end_birth(s->arena, charge->birth, &end);
			free(charge);
			return;
		}
}

static void reap(struct supervision *s)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	pid_t pid;

	while (read(s->signals, &info, sizeof info) > 0)
		;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		note_end(s, pid, status, &usage);
}

static void kill_gang(struct gang *gang)
{
	gang->killed = 1;
	for (uint32_t i = 0; i < gang->crew->size; i++)
		if (gang->posts[i].pid)
			kill(gang->posts[i].pid, SIGKILL);
}

/* Waits for the workers of a gang that were killed. */
static void await_gang(struct supervision *s, struct gang *gang)
{
	struct pollfd poller = { .fd = s->signals, .events = POLLIN };

	while (gang->alive) {
		poll(&poller, 1, 100);
		reap(s);
	}
}

static void end_gang(struct supervision *s, struct gang *gang)
{
	struct gang **at = &s->gangs;

	kill_gang(gang);
	await_gang(s, gang);
	kill_strays(s);
	while (*at != gang)
		at = &(*at)->next;
	*at = gang->next;
	close(gang->fd);
	free(gang);
}

static int open_gang(struct supervision *s, struct crew *crew, int fd)
{
	struct gang *gang = calloc(1, sizeof *gang + crew->size * sizeof *gang->posts);
	int r = gang ? 0 : -ENOMEM;

	if (!gang) {
		close(fd);
		return r;
	}
	gang->crew = crew;
	gang->fd = fd;
	gang->next = s->gangs;
	s->gangs = gang;
	for (uint32_t i = 0; i < crew->size; i++)
		gang->posts[i].due = CLOCK_NEVER;
	for (uint32_t i = 0; r == 0 && i < crew->size; i++)
		r = fork_worker(s, gang, i);
	if (r < 0) {
		atomic_store(&crew->stop, CREW_TERMINATED);
		end_gang(s, gang);
	}
	return r;
}

static struct gang *find_gang(const struct supervision *s, const struct crew *crew)
{
	struct gang *gang = s->gangs;

	while (gang && gang->crew != crew)
		gang = gang->next;
	return gang;
}

/* In the child: nobody but the user can be told that what it should run is not there. */
static rp_target *find_target(const struct process_call *call)
{
	struct rp_error err;
	void *target = image_function(context_get()->image, (void *)call->target, &err);

	if (!target) {
		dprintf(STDERR_FILENO, "rankpool: %s: %s\n", call->name, err.text);
		_exit(TARGET_MISSING);
	}
	return (rp_target *)(uintptr_t)target;
}

static int start_charge(struct supervision *s, struct birth *birth, int *ret_pidfd)
{
	struct process_call call = {
		.target = birth->target, .arg = birth->arg_size ? birth->arg : NULL, .arg_size = birth->arg_size,
		.name = birth->name, .place = birth->bound ? &birth->place : NULL, .flags = birth->flags,
	};
	struct charge *charge = calloc(1, sizeof *charge);
	pid_t pid;

	if (!charge)
		return -ENOMEM;
	pid = spawn_fork(SPAWN_GROUP | SPAWN_SUBREAPER, call.place, ret_pidfd);
	if (pid == 0) {
		close_own(s);
		arena_forked(s->arena);
		call.target = find_target(&call);
		process_run(&call);
	}
	if (pid < 0) {
		free(charge);
		return (int)pid;
	}
	birth->pid = pid;
	charge->birth = birth;
	charge->next = s->charges;
	s->charges = charge;
	return 0;
}

/* 0 when the manager has gone. */
static int serve(struct supervision *s)
{
	struct message request;
	struct gang *gang;
	int fd = -1, answer_fd = -1;

	if (message_receive(s->socket, &request, &fd) < 0)
		return 0;
	switch ((enum message_kind)request.kind) {
	case MESSAGE_OPEN:
		request.result = fd < 0 ? -EMFILE : open_gang(s, request.what, fd);
		break;
	case MESSAGE_KILL:
	case MESSAGE_CLOSE:
		gang = find_gang(s, request.what);
		if (gang && request.kind == MESSAGE_KILL)
			kill_gang(gang);
		else if (gang)
			end_gang(s, gang);
		request.result = 0;
		break;
	case MESSAGE_START:
		request.result = start_charge(s, request.what, &answer_fd);
		break;
	}
	message_send(s->socket, &request, answer_fd);
	if (answer_fd >= 0)
		close(answer_fd);
	return 1;
}

/* A machine that has no room for another process may have some soon; a gang of which nobody is left does not wait long. */
static void refork(struct supervision *s, struct gang *gang, uint32_t slot)
{
	int r = fork_worker(s, gang, slot);

	if (r == 0) {
		gang->failed_forks = 0;
		return;
	}
	gang->posts[slot].due = clock_now() + DELAY_MOST;
	if (++gang->failed_forks >= FORKS_MOST && !gang->alive)
		crew_break(gang->crew, "no worker is left, and none can be forked: %s", strerror(-r));
}

/* Forks the workers whose time has come; the next time, or CLOCK_NEVER. */
static int64_t replace(struct supervision *s)
{
	int64_t next = CLOCK_NEVER;

	for (struct gang *g = s->gangs; g; g = g->next) {
		int stopped = atomic_load(&g->crew->stop) != CREW_RUNS;

		for (uint32_t i = 0; i < g->crew->size; i++) {
			struct post *post = &g->posts[i];

			if (post->due == CLOCK_NEVER)
				continue;
			if (stopped) {
				post->due = CLOCK_NEVER;
			} else if (post->due <= clock_now()) {
				refork(s, g, i);
			}
			next = post->due < next ? post->due : next;
		}
		if (!g->killed && atomic_load(&g->crew->stop) > CREW_CLOSES)
			kill_gang(g);
	}
	return next;
}

/* Free memory goes back after a second in which nothing was freed; looking once a second costs next to nothing. */
static void trim(struct supervision *s)
{
	uint64_t freed = arena_freed(s->arena);
	int64_t now = clock_now();

	if (freed != s->freed) {
		s->freed = freed;
		s->trim_due = now + IDLE;
	} else if (now >= s->trim_due) {
		arena_trim(s->arena);
		s->trim_due = CLOCK_NEVER;
	}
}

/* A job that is suspended as a whole and goes on later is no reason: what was missed while this process was stopped too does
 * not count. */
static int is_silent(struct supervision *s)
{
	int64_t heard = atomic_load(s->pulse), now = clock_now();

	if (now - s->looked > STOPPED)
		s->awake = now;
	s->looked = now;
	return heard && now - (heard > s->awake ? heard : s->awake) > SUPERVISE_SILENCE;
}

static void end_manager(const struct supervision *s, pid_t manager)
{
	if (s->manager_fd >= 0)
		spawn_signal(s->manager_fd, SIGKILL);
	else
		kill(manager, SIGKILL);
}

static void end_all(struct supervision *s)
{
	for (struct gang *g = s->gangs; g; g = g->next)
		kill_gang(g);
	spawn_kill_descendants(NULL, 0);
}

_Noreturn void supervise(int socket, struct arena *arena, pid_t manager, int manager_fd, const _Atomic int64_t *pulse)
{
	struct supervision s = { .socket = socket, .manager_fd = manager_fd, .arena = arena, .trim_due = CLOCK_NEVER,
		                 .pulse = pulse, .looked = clock_now() };
	sigset_t chld, all;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	s.signals = descriptor_high(signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK));
	s.freed = arena_freed(arena);
	for (;;) {
		struct pollfd polled[] = {
			{ .fd = socket, .events = POLLIN },
			{ .fd = s.signals, .events = POLLIN },
			{ .fd = manager_fd, .events = POLLIN },
		};
		int64_t due = replace(&s), look = clock_now() + IDLE;

		trim(&s);
		poll(polled, 3, clock_poll_ms(due < look ? due : look));
		if (polled[2].revents || (getppid() != manager))
			break;
		if (is_silent(&s)) {
			end_manager(&s, manager);
			break;
		}
		if (polled[1].revents)
			reap(&s);
		if (polled[0].revents && !serve(&s))
			break;
	}
	end_all(&s);
	_exit(0);
}
