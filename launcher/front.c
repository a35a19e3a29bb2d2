/* SPDX-License-Identifier: BSD-3-Clause */
/* front.c - this program once on every node, and this process in front of it.
 *
 * mpirun gets a process group of its own, so that what the terminal sends reaches the front alone, which passes it on to the
 * first copy: that one then decides, as it would without a front.  The front is a child subreaper: whatever mpirun leaves
 * behind here, such as an ssh that still waits, ends with it. */
#include "front.h"
#include "complaint.h"
#include "descendants.h"
#include "front_command.h"
#include "handover.h"
#include "passing.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MOST_MS 20000                     /* until the first copy runs, and more with many hosts */
#define START_PER_HOST_MS 100
#define LEAVE_MOST_MS 8000                      /* from the end of the first copy to that of mpirun */
#define TERM_MS 2000                            /* from SIGTERM to SIGKILL */
#define QUIET_MS 100

enum phase {
	PHASE_STARTING,                         /* no copy runs yet */
	PHASE_RUNNING,
	PHASE_LEAVING,                          /* the first copy has ended */
	PHASE_ENDING,                           /* mpirun has got SIGTERM */
	PHASE_KILLED
};

struct state {
	const struct front *front;
	enum phase phase;
	int64_t deadline;                       /* of the phase, in ms; -1: none */
	pid_t mpirun;
	int mpirun_fd, first_fd;                /* pidfds; -1: none yet */
	int listener, words;                    /* for the handover, for what mpirun says */
	struct passing passing;
	struct relay relay;
	int asked;                              /* how often to end */
	int interrupted;                        /* the signal that has ended all, 0: none */
	int64_t limit;                          /* of the whole run, in ms; -1: none */
	int is_late;                            /* it was over */
	struct complaint complaint;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static _Noreturn void become_mpirun(const struct state *state, const struct front_command *command, int words)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setpgid(0, 0);
	if ((state->front->nodes->excluded || dup2(null, STDIN_FILENO) == STDIN_FILENO) &&
	    dup2(words, STDERR_FILENO) == STDERR_FILENO) {
		passing_restore(&state->passing);
		front_command_exec(command);
	}
	_exit(127);
}

static int start(struct state *state, const struct front_command *command)
{
	int words[2], r = passing_open(&state->passing, 0);

	if (r < 0 || pipe2(words, O_CLOEXEC) < 0)
		return r < 0 ? r : -errno;
	state->words = words[0];
	fcntl(words[0], F_SETFL, O_NONBLOCK);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	state->mpirun = fork();
	if (state->mpirun == 0)
		become_mpirun(state, command, words[1]);
	close(words[1]);
	if (state->mpirun < 0)
		return -errno;
	setpgid(state->mpirun, state->mpirun);
	state->mpirun_fd = (int)syscall(SYS_pidfd_open, state->mpirun, 0);
	return state->mpirun_fd < 0 ? -errno : 0;
}

/* ---- what happens --------------------------------------------------------------------------------------- */

static void enter(struct state *state, enum phase phase, int64_t most_ms)
{
	state->phase = phase;
	state->deadline = most_ms < 0 ? -1 : now_ms() + most_ms;
}

static void end_mpirun(struct state *state)
{
	kill(-state->mpirun, SIGTERM);
	enter(state, PHASE_ENDING, TERM_MS);
}

static void give_descriptors(struct state *state)
{
	const int descriptors[] = { state->relay.reader >= 0 ? state->relay.reader : STDIN_FILENO, STDOUT_FILENO,
		                    STDERR_FILENO };

	if (state->first_fd >= 0 || handover_give(state->listener, descriptors, &state->first_fd) <= 0)
		return;
	close(state->listener);
	state->listener = -1;
	relay_give(&state->relay);
	complaint_start(&state->complaint);
	if (state->phase == PHASE_STARTING)
		enter(state, PHASE_RUNNING, -1);
}

static void take_words(struct state *state)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(state->words, bytes, sizeof bytes)) > 0)
		complaint_take(&state->complaint, bytes, (size_t)n);
	if (n == 0) {
		close(state->words);
		state->words = -1;
	}
	if (state->complaint.started && state->phase == PHASE_STARTING)
		enter(state, PHASE_RUNNING, -1);
}

static void pass_signals(struct state *state)
{
	for (int signal = passing_next(&state->passing); signal; signal = passing_next(&state->passing)) {
		/* Twice is the first copy's affair.  More means that it does not listen. */
		state->asked += signal == SIGINT || signal == SIGTERM;
		if (state->phase == PHASE_RUNNING && state->first_fd >= 0 && state->asked < 4)
			syscall(SYS_pidfd_send_signal, state->first_fd, signal, NULL, 0);
		else if (state->phase == PHASE_RUNNING && (signal == SIGUSR1 || signal == SIGUSR2))
			kill(state->mpirun, signal);
		else if (signal != SIGUSR1 && signal != SIGUSR2 && state->phase < PHASE_ENDING) {
			if (state->phase != PHASE_LEAVING)
				state->interrupted = signal;
			end_mpirun(state);
		}
	}
}

/* The time of the phase is over. */
static void run_late(struct state *state)
{
	struct buffer list = { 0 };

	switch (state->phase) {
	case PHASE_STARTING:
		complaint_list(&state->front->nodes->hosts, &list);
		cli_say(state->front->name, "not all of the hosts %s have answered within %d s", list.data,
		        (int)((START_MOST_MS + START_PER_HOST_MS * (int64_t)state->front->nodes->hosts.count) / 1000));
		buffer_free(&list);
		state->complaint.explained = 1;
		end_mpirun(state);
		break;
	case PHASE_LEAVING:
		cli_say(state->front->name, "mpirun has not ended %d s after rankpool: it is ended", LEAVE_MOST_MS / 1000);
		end_mpirun(state);
		break;
	case PHASE_ENDING:
		kill(-state->mpirun, SIGKILL);
		enter(state, PHASE_KILLED, -1);
		break;
	case PHASE_RUNNING:
	case PHASE_KILLED:
		state->deadline = -1;
		break;
	}
}

static void look_at_times(struct state *state)
{
	if (state->deadline >= 0 && now_ms() >= state->deadline)
		run_late(state);
	if (state->limit < 0 || now_ms() < state->limit)
		return;
	state->limit = -1;
	if (state->phase >= PHASE_ENDING)
		return;
	cli_say(state->front->name, "the time limit of %g s is over; everything is ended",
	        (double)state->front->time_limit / 1e9);
	state->is_late = 1;
	end_mpirun(state);
}

/* For poll(). */
static int next_time(const struct state *state)
{
	const int unfinished = state->complaint.in_block || state->complaint.line.size;
	int64_t next = state->deadline, left;

	if (state->limit >= 0 && (next < 0 || state->limit < next))
		next = state->limit;
	left = next < 0 ? INT64_MAX : next - now_ms();
	if (unfinished && left > QUIET_MS)
		left = QUIET_MS;
	return left == INT64_MAX ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Until something has happened: 1 when mpirun has ended. */
static int wait_for_news(struct state *state)
{
	struct pollfd fds[5 + RELAY_POLLS] = {
		{ .fd = state->mpirun_fd, .events = POLLIN },
		{ .fd = state->words, .events = POLLIN },
		{ .fd = state->passing.fd, .events = POLLIN },
		{ .fd = state->listener, .events = POLLIN },
		{ .fd = state->phase == PHASE_RUNNING ? state->first_fd : -1, .events = POLLIN },
	};
	int n;

	relay_wait(&state->relay, fds + 5);
	n = poll(fds, sizeof fds / sizeof *fds, next_time(state));
	look_at_times(state);
	if (n == 0)
		complaint_pause(&state->complaint);
	if (n <= 0)
		return 0;
	/* The first copy may have come and gone together with mpirun. */
	if (fds[3].revents)
		give_descriptors(state);
	if (fds[1].revents)
		take_words(state);
	if (fds[2].revents)
		pass_signals(state);
	if (fds[4].revents)
		enter(state, PHASE_LEAVING, state->front->is_program ? -1 : LEAVE_MOST_MS);
	relay_run(&state->relay, fds + 5);
	return fds[0].revents != 0;
}

/* ---- the end -------------------------------------------------------------------------------------------- */

static int finish(struct state *state)
{
	int status = 0;
	char why[64];

	while (waitpid(state->mpirun, &status, 0) < 0 && errno == EINTR)
		;
	if (state->words >= 0)
		take_words(state);
	/* An ssh that still waits, say. */
	descendants_end();
	if (WIFSIGNALED(status))
		snprintf(why, sizeof why, "was ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof why, "has ended with status %d", WEXITSTATUS(status));
	if (!state->interrupted && !state->is_late)
		complaint_end(&state->complaint, why);
	if (state->is_late)
		return FRONT_TIME_OVER;
	if (WIFSIGNALED(status) && state->phase < PHASE_ENDING && state->complaint.started)
		cli_say(state->front->name, "mpirun %s", why);
	if (state->interrupted)
		return 128 + state->interrupted;
	if (!state->complaint.started || (WIFSIGNALED(status) && state->phase >= PHASE_ENDING))
		return CLI_FAILED;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void release(struct state *state)
{
	const int fds[] = { state->mpirun_fd, state->first_fd, state->listener, state->words };

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	relay_close(&state->relay);
	passing_close(&state->passing);
	complaint_free(&state->complaint);
}

int front_run(const struct front *front, char **words)
{
	struct state state = { .front = front, .mpirun_fd = -1, .first_fd = -1, .words = -1, .passing = { .fd = -1 },
		               .relay = RELAY_NONE, .limit = -1,
		               .complaint = { .name = front->name, .hosts = &front->nodes->hosts, .fd = STDERR_FILENO,
		                              .is_program = front->is_program } };
	struct front_command command;
	char name[HANDOVER_NAME_SIZE];
	int r;

	if (front_command_make(&command, front, words) < 0)
		return CLI_FAILED;
	state.listener = r = handover_open(name);
	if (r >= 0 && front->reads_input)
		r = relay_open(&state.relay);
	if (r >= 0) {
		setenv(HANDOVER_VARIABLE, name, 1);
		r = start(&state, &command);
	}
	if (r < 0) {
		r = cli_fail(front->name, "cannot start %s: %s", command.mpirun.path, strerror(-r));
	} else {
		const int64_t most = START_MOST_MS + START_PER_HOST_MS * (int64_t)front->nodes->hosts.count;

		enter(&state, PHASE_STARTING, most);
		state.limit = front->time_limit ? now_ms() + front->time_limit / 1000000 : -1;
		while (!wait_for_news(&state))
			;
		r = finish(&state);
	}
	front_command_free(&command);
	release(&state);
	return r;
}

void front_attach(void)
{
	handover_take();
}
