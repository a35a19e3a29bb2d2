/* SPDX-License-Identifier: BSD-3-Clause */
/* command.c - running one command. */
#include "command.h"
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND RP_MILLISECOND
#define SECOND RP_SECOND
#define LOOK (100 * MILLISECOND)                /* between looks whether the command is still wanted */

const int64_t command_term_steps[COMMAND_TERM_STEPS] = { 200 * MILLISECOND, 100 * MILLISECOND, 50 * MILLISECOND };

/* ---- starting ----------------------------------------------------------------------------------------- */

static void restore_signals(const sigset_t *ignored)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD };
	sigset_t none;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], sigismember(ignored, signals[i]) ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Runs in the child, which has the parent's memory: system calls only, and nothing is left changed but *error. */
static void start_here(const struct command *command, volatile int *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && setpgid(0, 0) == 0 && dup2(command->out, STDOUT_FILENO) >= 0 &&
	    dup2(command->err, STDERR_FILENO) >= 0) {
		restore_signals(command->ignored);
		execve(command->path, command->words, command->environment);
	}
	*error = errno;
	_exit(127);
}

/* vfork: copying this process's page tables would cost more than all the rest.  The parent goes on when the child has
 * called execve or ended, so that *ret_error is final then. */
static pid_t start(const struct command *command, int *ret_error)
{
	volatile int error = 0;
	pid_t pid = vfork();

	if (pid == 0)
		start_here(command, &error);
	*ret_error = pid < 0 ? errno : error;
	return pid;
}

/* ---- ending ------------------------------------------------------------------------------------------- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static sigset_t child_signal(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	return child;
}

/* Sleeps until a child has ended since this was last called, or a signal came (1); 0 once `deadline` has passed. */
static int await_child(int64_t deadline)
{
	sigset_t child = child_signal();
	int64_t left = deadline - now();
	struct timespec wait = { left / SECOND, left % SECOND };

	if (left <= 0)
		return 0;
	sigtimedwait(&child, NULL, &wait);
	return 1;
}

/* Reaps children until none is left (1) or `deadline` has passed (0). */
static int reap_until(int64_t deadline, pid_t pid, int *status)
{
	for (;;) {
		int s;
		pid_t ended = waitpid(-1, &s, WNOHANG);

		if (ended < 0)
			return 1;
		if (ended == pid)
			*status = s;
		if (!ended && !await_child(deadline))
			return 0;
	}
}

/* Kills this process's children: the descendants that have left the command's process group come here once their parents
 * are gone.  -1 when the kernel does not tell who they are. */
static int kill_children(void)
{
	char name[64];
	FILE *file;
	int pid;

	snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)gettid());
	file = fopen(name, "re");
	if (!file)
		return -1;
	while (fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(file);
	return 0;
}

/* Ends the command `pid`, not yet reaped, and everything that descends from it.  Returns its wait status. */
static int end_tree(pid_t pid)
{
	int status = 0, done = 0;

	for (int i = 0; i < COMMAND_TERM_STEPS && !done; i++) {
		kill(-pid, SIGTERM);
		done = reap_until(now() + command_term_steps[i], pid, &status);
	}
	if (!done)
		kill(-pid, SIGKILL);
	while (!done) {
		/* Without a list of them the supervisor does it: it ends all that is below a worker that has ended. */
		if (kill_children() < 0)
			_exit(CLI_FAILED);
		done = reap_until(now() + 10 * MILLISECOND, pid, &status);
	}
	return status;
}

/* Waits for the command and reaps it: 1.  0: it has to be ended, as *ret says why. */
static int wait_for(const struct command *command, pid_t pid, struct command_end *ret)
{
	int64_t deadline = command->timeout ? now() + command->timeout : INT64_MAX;

	for (;;) {
		int64_t look = now() + LOOK;

		await_child(look < deadline ? look : deadline);
		if (waitpid(pid, &ret->status, WNOHANG))
			return 1;
		if (now() >= deadline)
			ret->timed_out = 1;
		else if (rp_task_cancelled(command->task))
			ret->unwanted = 1;
		if (ret->timed_out || ret->unwanted)
			return 0;
	}
}

/* Orphans of a command become children of this process. */
static int any_left(void)
{
	pid_t pid;

	do
		pid = waitpid(-1, NULL, WNOHANG);
	while (pid > 0);
	return pid == 0;
}

void command_begin(void)
{
	sigset_t child = child_signal();

	/* Ignored, it would have the kernel reap the commands. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &child, NULL);
}

void command_run(const struct command *command, struct command_end *ret)
{
	pid_t pid;

	*ret = (struct command_end){ 0 };
	pid = start(command, &ret->error);
	if (pid < 0)
		return;
	if (ret->error) {
		waitpid(pid, &ret->status, 0);
		return;
	}
	if (wait_for(command, pid, ret))
		ret->shared = any_left();
	else
		ret->status = end_tree(pid);
}
