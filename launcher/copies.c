/* SPDX-License-Identifier: BSD-3-Clause */
/* copies.c - starting copies of a program, waiting for them, and ending them together.
 *
 * Each is a process of the library's, bound by it to its place, on this node or another; what runs in it is the escort,
 * which starts the program.  What an escort is to know is in `ours` before the supervisors are forked, on every node. */
#include "copies.h"
#include "cli.h"
#include "courier.h"
#include "environment.h"
#include "passing.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define KILL_MS (ESCORT_GRACE_MS + 1500)        /* from SIGTERM to the end of an escort that does not do its duty */
#define FIXED_POLLS (2 + RELAY_POLLS)
#define LAST_WORDS_MS 2000                      /* from the last end to the last output */

static struct escort ours;
static int own_input = -1;                      /* standard input as it is when the supervisor is forked */

struct copy {                                   /* the argument of a process */
	struct rp_worker_info worker;
	int size;
	char input[64];                         /* a file to be its standard input; "": own_input */
	char courier[COURIER_NAME_SIZE];        /* "": the copies are all on this node and need none */
};

struct state {
	const struct copies *copies;
	struct rp_worker_info *infos;
	struct rp_process **processes;          /* by rank; NULL: it has ended */
	struct pollfd *polls;                   /* by rank, behind FIXED_POLLS others */
	int count, running;
	struct passing passing;
	struct relay relay;
	struct couriers couriers;
	int status;                             /* of the first that failed */
	int asked;                              /* the last of SIGINT, SIGTERM and SIGHUP that came; 0: none */
	int times;                              /* how often they came */
	int64_t limit, kill;                    /* times, in ms: of the whole run, of the end of what is left; -1: none */
	int deaf;                               /* a signal could not be passed on, as was said */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int run_escort(const void *arg, size_t size)
{
	struct copy copy;
	int input = -1;

	memcpy(&copy, arg, size < sizeof copy ? size : sizeof copy);
	if (copy.worker.rank == 0)
		input = *copy.input ? open(copy.input, O_RDONLY | O_CLOEXEC) : own_input;
	return escort_run(&ours, &copy.worker, copy.size, input, copy.courier);
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int plan(struct state *state)
{
	const struct copies *copies = state->copies;
	struct rp_pool_options options = *RP_POOL(.workers = 1, .bind = "none", .flags = RP_LOCAL);
	struct rp_error err;
	int n;

	if (copies->placing && placing_options(copies->placing, &options, copies->name) < 0)
		return -1;
	n = rp_pool_plan(&options, NULL, NULL, 0, &err);
	if (n > 0) {
		state->infos = calloc((size_t)n, sizeof *state->infos);
		state->processes = calloc((size_t)n, sizeof(struct rp_process *));
		state->polls = calloc((size_t)n + FIXED_POLLS, sizeof *state->polls);
		if (!state->infos || !state->processes || !state->polls) {
			cli_say(copies->name, "out of memory");
			return -1;
		}
		n = rp_pool_plan(&options, NULL, state->infos, (size_t)n, &err);
	}
	if (n < 0) {
		cli_say(copies->name, "%s", err.text);
		return -1;
	}
	state->count = n;
	return 0;
}

static int start_one(struct state *state, int rank)
{
	const struct copies *copies = state->copies;
	const int is_bound = copies->placing && strcmp(copies->placing->bind, "none") != 0;
	struct copy copy = { .worker = state->infos[rank], .size = copies->placing ? state->count : (int)copies->workers };
	char name[32];
	struct rp_error err;

	snprintf(name, sizeof name, "rank %d", rank);
	memcpy(copy.courier, state->couriers.name, sizeof copy.courier);
	if (rank == 0 && state->relay.reader >= 0)
		snprintf(copy.input, sizeof copy.input, "/proc/%d/fd/%d", (int)getpid(), state->relay.reader);
	if (rp_process_new(&state->processes[rank],
	                   RP_PROCESS(.target = run_escort, RP_ARG(copy), .name = name, .node = copy.worker.node,
	                              .bind = is_bound ? copy.worker.cpus : NULL), &err) < 0 ||
	    rp_process_start(state->processes[rank], &err) < 0) {
		cli_say(copies->name, "%s", err.text);
		state->processes[rank] = rp_process_free(state->processes[rank]);
		return -1;
	}
	state->polls[FIXED_POLLS + rank] =
		(struct pollfd){ .fd = rp_process_sentinel(state->processes[rank]), .events = POLLIN };
	state->running++;
	return 0;
}

static int start_all(struct state *state)
{
	struct rp_error err;

	if (rp_node_count() > 1 && couriers_open(&state->couriers, state->infos, state->count, &err) < 0) {
		cli_say(state->copies->name, "%s", err.text);
		return -1;
	}
	for (int rank = 0; rank < state->count; rank++) {
		if (state->copies->report)
			cli_say(state->copies->name, "rank %d on %s: cpus %s", rank, state->infos[rank].host,
			        state->infos[rank].cpus);
		if (start_one(state, rank) < 0)
			return -1;
	}
	return 0;
}

/* ---- ending --------------------------------------------------------------------------------------------- */

/* Escorts on this node take any signal, those on others what the library passes on. */
static void signal_all(struct state *state, int signal)
{
	for (int rank = 0; rank < state->count; rank++) {
		struct rp_process *process = state->processes[rank];

		if (!process)
			continue;
		if (signal == SIGKILL)
			rp_process_kill(process);
		else if (signal == SIGTERM || (state->infos[rank].node && (signal == SIGINT || signal == SIGHUP)))
			rp_process_terminate(process);
		else if (!state->infos[rank].node)
			kill(rp_process_pid(process), signal);
		else if (!state->deaf++)
			cli_say(state->copies->name, "%s cannot be passed on to other nodes than this one",
			        strsignal(signal));
	}
}

static void end_all(struct state *state)
{
	if (state->kill < 0) {
		signal_all(state, SIGTERM);
		state->kill = now_ms() + KILL_MS;
	}
}

static void obey(struct state *state, int signal)
{
	switch (signal) {
	case SIGINT:
	case SIGTERM:
	case SIGHUP:
		state->asked = signal;
		if (state->times++ || signal == SIGTERM)
			end_all(state);
		else
			signal_all(state, signal);
		break;
	case SIGTSTP:
		signal_all(state, signal);
		raise(SIGSTOP);
		break;
	default:
		signal_all(state, signal);
		break;
	}
}

static void say_end(const struct state *state, int rank, int code)
{
	const char *rest = state->running && !state->copies->keep_going && state->kill < 0 && !state->asked ?
	                   "; the others are ended" : "";
	const char *host = state->infos[rank].host;

	/* Whoever has ended it knows, and one that nobody reads from any more is not to be told. */
	if (code == -SIGPIPE || (state->asked && code < 0) || state->kill >= 0)
		return;
	if (code == RP_UNKNOWN)
		cli_say(state->copies->name, "rank %d on %s has ended, nobody knows how%s", rank, host, rest);
	else if (code < 0)
		cli_say(state->copies->name, "rank %d on %s was ended by signal %d (%s)%s", rank, host, -code,
		        strsignal(-code), rest);
	else
		cli_say(state->copies->name, "rank %d on %s exited with status %d%s", rank, host, code, rest);
}

static void take_end(struct state *state, int rank)
{
	int code = rp_process_exitcode(state->processes[rank]);

	state->processes[rank] = rp_process_free(state->processes[rank]);
	state->polls[FIXED_POLLS + rank].fd = -1;
	state->running--;
	if (rank == 0)
		relay_close(&state->relay);
	if (code == 0)
		return;
	if (state->copies->placing)
		say_end(state, rank, code);
	if (!state->status)
		state->status = code == RP_UNKNOWN ? CLI_FAILED : code < 0 ? 128 - code : code;
	if (!state->copies->keep_going && !state->asked)
		end_all(state);
}

/* ---- waiting -------------------------------------------------------------------------------------------- */

static void look_at_times(struct state *state)
{
	int64_t now = now_ms();

	if (state->limit >= 0 && now >= state->limit) {
		state->limit = -1;
		cli_say(state->copies->name, "the time limit of %g s is over; %d running cop%s ended",
		        (double)state->copies->time_limit / (double)RP_SECOND, state->running,
		        state->running == 1 ? "y is" : "ies are");
		end_all(state);
		state->status = COPIES_TIME_OVER;
	}
	if (state->kill >= 0 && now >= state->kill) {
		signal_all(state, SIGKILL);
		state->kill = INT64_MAX;
	}
}

static int next_time(const struct state *state)
{
	int64_t next = state->limit, left;

	if (state->kill >= 0 && state->kill != INT64_MAX && (next < 0 || state->kill < next))
		next = state->kill;
	if (next < 0)
		return -1;
	left = next - now_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Nobody reads any more: the end that the copies would come to, could they see it. */
static void lose_output(struct state *state)
{
	couriers_close(&state->couriers);
	if (!state->status)
		state->status = 128 + SIGPIPE;
	end_all(state);
}

static void wait_for_news(struct state *state)
{
	state->polls[0] = (struct pollfd){ .fd = state->passing.fd, .events = POLLIN };
	couriers_wait(&state->couriers, state->polls + 1);
	relay_wait(&state->relay, state->polls + 2);
	if (poll(state->polls, (nfds_t)state->count + FIXED_POLLS, next_time(state)) > 0) {
		if (couriers_run(&state->couriers, state->polls + 1) < 0)
			lose_output(state);
		relay_run(&state->relay, state->polls + 2);
		for (int signal = passing_next(&state->passing); signal; signal = passing_next(&state->passing))
			obey(state, signal);
		for (int rank = 0; rank < state->count; rank++)
			if (state->polls[FIXED_POLLS + rank].fd >= 0 && state->polls[FIXED_POLLS + rank].revents)
				take_end(state, rank);
	}
	look_at_times(state);
}

static void release(struct state *state)
{
	for (int rank = 0; state->processes && rank < state->count; rank++)
		rp_process_free(state->processes[rank]);
	couriers_close(&state->couriers);
	rp_finalize();
	relay_close(&state->relay);
	passing_close(&state->passing);
	free(state->infos);
	free(state->processes);
	free(state->polls);
}

/* What the supervisor is to have when it is forked. */
static int begin(const struct copies *copies)
{
	struct rp_error err;
	size_t count;

	ours = *copies->escort;
	if (ours.keep_mpi)
		ours.kept = environment_for_commands(1, &count);
	own_input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	ours.lock = memfd_create("lines", MFD_CLOEXEC);
	if (own_input < 0 || ours.lock < 0)
		return cli_fail(copies->name, "no more files can be opened: %s", strerror(errno));
	if (rp_init(NULL, NULL, &err) < 0)
		return cli_fail(copies->name, "%s", err.text);
	return 0;
}

int copies_run(const struct copies *copies)
{
	struct state state = { .copies = copies, .passing = { .fd = -1 }, .relay = RELAY_NONE, .limit = -1, .kill = -1 };
	int r = begin(copies);

	if (r)
		return r;
	r = plan(&state);
	if (r == 0 && (passing_open(&state.passing, 1) < 0 || relay_open(&state.relay) < 0)) {
		cli_say(copies->name, "no more files can be opened: %s", strerror(errno));
		r = -1;
	}
	raise_file_limit();
	if (r == 0)
		r = start_all(&state);
	if (r < 0) {
		state.status = CLI_FAILED;
		end_all(&state);
		/* The line has been said. */
		state.asked = SIGTERM;
	}
	relay_begin(&state.relay);
	if (copies->time_limit)
		state.limit = now_ms() + copies->time_limit / RP_MILLISECOND;
	while (state.running)
		wait_for_news(&state);
	state.limit = -1;
	for (int64_t end = state.kill = now_ms() + LAST_WORDS_MS; state.couriers.left > 0 && now_ms() < end;)
		wait_for_news(&state);
	release(&state);
	return state.status;
}
