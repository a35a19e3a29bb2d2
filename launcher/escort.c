/* SPDX-License-Identifier: BSD-3-Clause */
/* escort.c - the process beside one copy of a program. */
#include "escort.h"
#include "buffer.h"
#include "cli.h"
#include "courier.h"
#include "descendants.h"
#include "environment.h"
#include "handover.h"
#include "lines.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUT, ERR, STREAMS };

struct state {
	const struct escort *escort;
	pid_t pid;
	int signals;
	struct lines streams[STREAMS];
	int64_t deadline;                       /* ms, of SIGTERM; -1: none */
	int ended, status;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static int watch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaddset(&set, signals[i]);
		signal(signals[i], SIG_DFL);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The reading end never blocks, the writing one as the program expects. */
static int open_stream(struct lines *lines, const struct lines *like, int stream)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*lines = *like;
	lines->from = ends[0];
	/* A courier takes both. */
	lines->stream = like->to < 0 ? 0 : stream;
	lines->to = like->to < 0 ? stream : like->to;
	return ends[1];
}

static void add(const char ***list, size_t *count, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s=%s", name, value) < 0)
		return;
	*list = resized(*list, *count + 2, sizeof **list);
	(*list)[(*count)++] = text;
	(*list)[*count] = NULL;
}

static void add_number(const char ***list, size_t *count, const char *name, long number)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%ld", number);
	add(list, count, name, digits);
}

static int is_named(const char *variable, const char *beginning)
{
	return strncmp(variable, beginning, strlen(beginning)) == 0;
}

static int is_in(const char *variable, const char *const *list, size_t count)
{
	size_t length = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < count; i++)
		if (strncmp(list[i], variable, length) == 0)
			return 1;
	return 0;
}

/* What a front has told its copies is not for them, and what a program that has nodes of its own is to know for no other. */
static int is_hidden(const char *variable, int has_nodes)
{
	return is_named(variable, HANDOVER_VARIABLE) || is_named(variable, "RANKPOOL_RUN_") ||
	       (!has_nodes && is_named(variable, "RANKPOOL_"));
}

const char **escort_environment(const struct escort *escort, const struct rp_worker_info *worker, int size)
{
	size_t all, count = 0;
	const char **list = environment_for_commands(escort->keep_mpi, &all);

	for (size_t i = 0; i < all; i++)
		if (!is_hidden(list[i], !worker))
			list[count++] = list[i];
	list[count] = NULL;
	for (const char **kept = escort->kept; kept && *kept; kept++)
		if (!is_hidden(*kept, !worker) && !is_in(*kept, list, count)) {
			list = resized(list, count + 2, sizeof *list);
			list[count++] = *kept;
			list[count] = NULL;
		}
	if (worker) {
		add_number(&list, &count, "RANKPOOL_RANK", worker->rank);
		add_number(&list, &count, "RANKPOOL_SIZE", size);
		add_number(&list, &count, "RANKPOOL_LOCAL_RANK", worker->local_rank);
		add_number(&list, &count, "RANKPOOL_NODE", worker->node);
		add(&list, &count, "RANKPOOL_CPUS", worker->cpus);
	} else if (size) {
		add_number(&list, &count, "RANKPOOL_WORKERS", size);
	}
	return list;
}

/* Errors travel through a pipe that the exec closes. */
static _Noreturn void become(const struct state *state, const char *const *environment, const int fds[3], int error_way)
{
	sigset_t none;
	int error;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && setpgid(0, 0) == 0 && (fds[0] < 0 || dup2(fds[0], 0) == 0) &&
	    dup2(fds[1], 1) == 1 && dup2(fds[2], 2) == 2) {
		for (int s = 1; s < NSIG; s++)
			if (s != SIGKILL && s != SIGSTOP)
				signal(s, sigismember(&state->escort->ignored, s) ? SIG_IGN : SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(state->escort->path, state->escort->words, (char *const *)environment);
	}
	error = errno;
	if (write(error_way, &error, sizeof error) < 0)
		_exit(126);
	_exit(127);
}

/* 0, or errno. */
static int start(struct state *state, const struct rp_worker_info *worker, int size, int input,
                 const struct lines *lines)
{
	const struct escort *escort = state->escort;
	const char **environment = escort_environment(escort, escort->unranked ? NULL : worker, size);
	const int fds[] = { input, open_stream(&state->streams[OUT], lines, STDOUT_FILENO),
		            open_stream(&state->streams[ERR], lines, STDERR_FILENO) };
	int error = 0, way[2];

	if (fds[1] < 0 || fds[2] < 0 || pipe2(way, O_CLOEXEC) < 0)
		return errno;
	state->pid = fork();
	if (state->pid == 0)
		become(state, environment, fds, way[1]);
	if (state->pid < 0)
		error = errno;
	close(way[1]);
	close(fds[1]);
	close(fds[2]);
	if (state->pid > 0 && read(way[0], &error, sizeof error) > 0)
		waitpid(state->pid, NULL, 0);
	close(way[0]);
	free(environment);
	return error;
}

/* ---- beside it ------------------------------------------------------------------------------------------ */

static void pass_signals(struct state *state)
{
	struct signalfd_siginfo info;

	while (read(state->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		int signal = (int)info.ssi_signo;

		if (signal == SIGCHLD)
			continue;
		/* Once is enough, and all that comes later would only stretch the time. */
		if (signal == SIGTERM && state->deadline < 0)
			state->deadline = now_ms() + ESCORT_GRACE_MS;
		if (!state->ended)
			kill(-state->pid, signal);
		if (signal == SIGTERM && !state->ended)
			kill(-state->pid, SIGCONT);
	}
}

/* Takes in what has ended: the program, and orphans of it. */
static void reap(struct state *state)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == state->pid) {
			state->status = status;
			state->ended = 1;
		}
}

/* Nobody takes the output any more: the program finds the same. */
static void pass_output(struct lines *lines)
{
	if (lines->from >= 0 && lines_take(lines) < 0) {
		close(lines->from);
		lines->from = -1;
	}
}

static void wait_for_news(struct state *state)
{
	struct pollfd fds[] = {
		{ .fd = state->signals, .events = POLLIN },
		{ .fd = state->streams[OUT].from, .events = POLLIN },
		{ .fd = state->streams[ERR].from, .events = POLLIN },
	};
	int64_t left = state->deadline < 0 ? -1 : state->deadline - now_ms();

	if (state->deadline >= 0 && left <= 0) {
		kill(-state->pid, SIGKILL);
		left = 10;
	}
	poll(fds, sizeof fds / sizeof *fds, (int)left);
	pass_signals(state);
	for (int i = 0; i < STREAMS; i++)
		pass_output(&state->streams[i]);
	reap(state);
}

/* The same end as the program's, but for a core file. */
static int end_alike(int status)
{
	sigset_t none;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	prctl(PR_SET_DUMPABLE, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

int escort_run(const struct escort *escort, const struct rp_worker_info *worker, int size, int input,
               const char *courier)
{
	struct state state = { .escort = escort, .deadline = -1, .streams = { { .from = -1 }, { .from = -1 } } };
	char tag[24] = "";
	struct lines lines = { .to = -1, .tag = tag, .lock = escort->lock };
	int error;

	if (escort->tagged)
		snprintf(tag, sizeof tag, "[%d] ", worker->rank);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (*courier) {
		lines.lock = -1;
		lines.to = courier_connect(courier, worker->node);
		if (lines.to < 0)
			return cli_fail(escort->name, "rank %d on %s: its output has no way: %s", worker->rank, worker->host,
			                strerror(-lines.to));
	}
	state.signals = watch_signals();
	error = state.signals < 0 ? errno : start(&state, worker, size, input, &lines);
	if (error) {
		cli_say(escort->name, "rank %d on %s: cannot execute %s: %s", worker->rank, worker->host, escort->path,
		        strerror(error));
		return error == ENOENT ? PROGRAM_NOT_FOUND : PROGRAM_NOT_EXECUTABLE;
	}
	while (!state.ended)
		wait_for_news(&state);
	/* What it has started and left behind goes with it, before its last words are looked for. */
	descendants_end();
	for (int i = 0; i < STREAMS; i++) {
		lines_end(&state.streams[i]);
		lines_free(&state.streams[i]);
	}
	return end_alike(state.status);
}
