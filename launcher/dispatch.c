/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.c - the manager's loop.
 *
 * A few jobs per worker are in the pool's hands, so that no worker waits for the manager and yet no input is read before
 * it is needed.  The loop sleeps in one poll() on all that can happen: a job has ended, an input has come, files of
 * large output have come, a signal. */
#include "dispatch.h"
#include "cli.h"
#include "command.h"
#include "interrupt.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 500
#define JOBS_PER_WORKER 2
#define SHOWN_MOST 200                          /* bytes of a job's inputs in a message */

struct job {
	struct rp_future *future;               /* NULL: the place is free, */
	struct job *next;                       /* and this is the next one that is */
	unsigned long long seq;
	int taken_back;                         /* cancelled, because nothing more is to be started */
	struct buffer inputs;                   /* its values, a blank between them */
};

struct state {
	const struct dispatch *dispatch;
	struct tally *tally;
	int pool_fd;                            /* polls readable when a job has ended; -1: no pool */
	int64_t deadline;                       /* ns; INT64_MAX: none */
	struct job *jobs, *free;
	struct job **done;                      /* room for as many */
	size_t room, flying;
	int ended;                              /* nothing more is started */
	int lost;                               /* the pool takes nothing any more, and that was said */
	int starved;                            /* the next record has not come yet */
	struct buffer packed;
};

/* ---- what became of a job ----------------------------------------------------------------------------- */

/* Says something about a job, with the beginning of its inputs. */
static void describe(const struct state *state, const struct job *job, const char *what)
{
	int shown = job->inputs.size < SHOWN_MOST ? (int)job->inputs.size : SHOWN_MOST;

	cli_say(state->dispatch->name, "job %llu (%.*s%s): %s", job->seq, shown, shown ? job->inputs.data : "",
	        job->inputs.size > SHOWN_MOST ? "..." : "", what);
}

static void report(struct state *state, const struct job *job, const struct result *result)
{
	const struct dispatch *dispatch = state->dispatch;
	struct parcel parcel = { .fd = { -1, -1 } };
	char what[96];

	if (result->in_file[CAPTURE_OUT] || result->in_file[CAPTURE_ERR])
		parcels_find(dispatch->parcels, job->seq, &parcel);
	for (int i = 0; i < CAPTURE_STREAMS; i++)
		if (result->in_file[i] && parcel.fd[i] < 0) {
			describe(state, job, "its output is lost, too many files are open");
			state->tally->broken = 1;
		}
	output_put(dispatch->output, result, &parcel, (struct slice){ job->inputs.data, job->inputs.size });
	if (result->timed_out) {
		snprintf(what, sizeof what, "ended, its time limit of %g s was over",
		         (double)dispatch->brief->timeout / (double)RP_SECOND);
		describe(state, job, what);
	}
	if (result->cut_short) {
		snprintf(what, sizeof what, "no space is left in %.40s, its output may be incomplete", capture_directory());
		describe(state, job, what);
		state->tally->broken = 1;
		state->ended = 1;
	}
	state->tally->failed += result->status != 0 || result->timed_out;
	state->tally->done++;
}

/* The pool's own end cancels what nobody has taken back: all that it still had is lost, for one reason. */
static void lose_pool(struct state *state, const char *why)
{
	if (!state->lost)
		cli_say(state->dispatch->name, "%s: the jobs that it had are lost, and no more are started", why);
	state->lost = 1;
	state->tally->broken = 1;
	state->ended = 1;
}

static void finish(struct state *state, struct job *job)
{
	const struct rp_outcome *outcome = rp_future_outcome(job->future);
	struct result result;
	const void *data;
	size_t size;

	if (outcome->state == RP_OK) {
		data = rp_future_data(job->future, &size);
		if (runner_unpack(data, size, &result) < 0)
			abort();
		report(state, job, &result);
	} else {
		output_skip(state->dispatch->output, job->seq);
		if (outcome->state == RP_CANCELLED) {
			if (!job->taken_back)
				lose_pool(state, outcome->text);
		} else {
			describe(state, job, outcome->text);
			state->tally->failed++;
			state->tally->done++;
		}
	}
	job->future = rp_future_free(job->future);
	job->inputs.size = 0;
	job->taken_back = 0;
	job->next = state->free;
	state->free = job;
	state->flying--;
}

static int by_seq(const void *a, const void *b)
{
	unsigned long long x = (*(struct job *const *)a)->seq, y = (*(struct job *const *)b)->seq;

	return x < y ? -1 : x > y;
}

/* Jobs that are found to have ended together are taken in the order in which they were started: one worker ends them in
 * that. */
static void collect(struct state *state)
{
	size_t count = 0;

	for (size_t i = 0; i < state->room; i++)
		if (state->jobs[i].future && rp_future_done(state->jobs[i].future))
			state->done[count++] = &state->jobs[i];
	qsort(state->done, count, sizeof(struct job *), by_seq);
	for (size_t i = 0; i < count; i++)
		finish(state, state->done[i]);
}

/* ---- starting jobs ------------------------------------------------------------------------------------ */

static void join_values(const struct record *record, struct buffer *ret)
{
	for (size_t i = 0; i < record->count; i++) {
		if (i)
			buffer_byte(ret, ' ');
		buffer_add(ret, record->values[i].data, record->values[i].size);
	}
}

static void submit(struct state *state, const struct record *record)
{
	struct job *job = state->free;
	struct rp_error err;

	job->seq = record->seq;
	join_values(record, &job->inputs);
	state->packed.size = 0;
	runner_pack(record, &state->packed);
	if (rp_pool_submit(&job->future, state->dispatch->pool, runner_run, state->packed.data, state->packed.size, 0, NULL,
	                   &err) < 0) {
		if (!state->lost)
			cli_say(state->dispatch->name, "%s", err.text);
		state->lost = 1;
		state->tally->broken = 1;
		state->ended = 1;
		job->inputs.size = 0;
		return;
	}
	state->free = job->next;
	state->flying++;
}

static int has_room(const struct state *state)
{
	return !state->ended && state->flying < state->room && !output_is_full(state->dispatch->output);
}

static void feed(struct state *state)
{
	struct record record;

	state->starved = 0;
	while (has_room(state) && !state->starved) {
		int r = inputs_next(state->dispatch->inputs, &record);

		if (r > 0) {
			submit(state, &record);
		} else if (r == -EAGAIN) {
			state->starved = 1;
		} else {
			state->ended = 1;
			state->tally->broken |= r < 0;
		}
	}
}

/* ---- stopping ----------------------------------------------------------------------------------------- */

static void stop_starting(struct state *state)
{
	state->ended = 1;
	for (size_t i = 0; i < state->room; i++)
		if (state->jobs[i].future)
			state->jobs[i].taken_back = rp_future_cancel(state->jobs[i].future) == 0;
	collect(state);
}

/* Nobody waits for the running jobs any more, which their workers see: they end them, with SIGTERM as often and as long as
 * GNU parallel does it, then SIGKILL.  Workers that are not done with it in time are killed with the pool. */
static void end_commands(struct state *state)
{
	int64_t most = RP_SECOND;

	stop_starting(state);
	state->tally->ended = state->flying;
	for (size_t i = 0; i < state->room; i++)
		state->jobs[i].future = rp_future_free(state->jobs[i].future);
	for (int i = 0; i < COMMAND_TERM_STEPS; i++)
		most += command_term_steps[i];
	rp_pool_close(state->dispatch->pool);
	rp_pool_join(state->dispatch->pool, most);
}

/* ---- the loop ----------------------------------------------------------------------------------------- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * RP_SECOND + t.tv_nsec;
}

/* How long to sleep, in ms.  collect() finds out that the pool has lost its supervisor, of which no descriptor tells. */
static int patience(const struct state *state)
{
	int64_t left;

	if (state->deadline == INT64_MAX)
		return state->flying ? LOOK_MS : -1;
	left = (state->deadline - now()) / RP_MILLISECOND + 1;
	return left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS;
}

static void wait_for_news(struct state *state)
{
	const struct dispatch *dispatch = state->dispatch;
	struct pollfd fds[] = {
		{ .fd = state->pool_fd, .events = POLLIN },
		{ .fd = interrupt_fd(), .events = POLLIN },
		{ .fd = dispatch->parcels->end, .events = POLLIN },
		{ .fd = state->starved ? inputs_fd(dispatch->inputs) : -1, .events = POLLIN },
	};
	uint64_t count;

	if (poll(fds, sizeof fds / sizeof *fds, patience(state)) < 0)
		return;
	/* How many have ended does not matter: collect() looks at all. */
	if (fds[0].revents && read(fds[0].fd, &count, sizeof count) < 0)
		return;
	if (fds[1].revents)
		interrupt_taken();
	if (fds[2].revents)
		parcels_take(dispatch->parcels);
}

static void say_what_the_signal_does(const struct state *state)
{
	cli_say(state->dispatch->name, "%s: starting nothing more, waiting for %zu running job%s%s",
	        strsignal(interrupt_signal()), state->flying, state->flying == 1 ? "" : "s",
	        interrupt_signal() == SIGHUP ? "" : " (once more ends them)");
}

/* 1 when the loop is over at once. */
static int obey(struct state *state, int *draining)
{
	int error = output_error(state->dispatch->output);

	state->tally->late = now() >= state->deadline;
	if (interrupt_level() == INTERRUPT_NOW || error == EPIPE || state->tally->late) {
		end_commands(state);
		return 1;
	}
	if (!*draining && (interrupt_level() == INTERRUPT_DRAIN || error)) {
		*draining = 1;
		stop_starting(state);
		if (interrupt_level() && state->flying)
			say_what_the_signal_does(state);
	}
	return 0;
}

void dispatch_run(const struct dispatch *dispatch, struct tally *ret)
{
	size_t room = (size_t)dispatch->brief->workers * JOBS_PER_WORKER;
	struct state state = { .dispatch = dispatch, .tally = ret, .room = room, .pool_fd = rp_pool_fd(dispatch->pool) };
	int draining = 0;

	*ret = (struct tally){ 0 };
	state.deadline = INT64_MAX;
	if (dispatch->time_limit && dispatch->time_limit < INT64_MAX - now())
		state.deadline = now() + dispatch->time_limit;
	state.jobs = resized(NULL, room, sizeof *state.jobs);
	state.done = resized(NULL, room, sizeof(struct job *));
	memset(state.jobs, 0, room * sizeof *state.jobs);
	for (size_t i = room; i-- > 0; state.free = &state.jobs[i])
		state.jobs[i].next = state.free;
	for (;;) {
		collect(&state);
		if (obey(&state, &draining))
			break;
		feed(&state);
		if (!state.flying && state.ended)
			break;
		wait_for_news(&state);
	}
	for (size_t i = 0; i < room; i++) {
		rp_future_free(state.jobs[i].future);
		buffer_free(&state.jobs[i].inputs);
	}
	free(state.jobs);
	free(state.done);
	buffer_free(&state.packed);
}

static void show(const struct dispatch *dispatch, const struct record *record)
{
	unsigned slot = (unsigned)((record->seq - 1) % dispatch->brief->workers) + 1;
	struct parcel none = { .fd = { -1, -1 } };
	struct result result = { .seq = record->seq };
	struct buffer line = { 0 }, tag = { 0 };

	template_line(dispatch->template, record, slot, &line);
	buffer_byte(&line, '\n');
	result.data[CAPTURE_OUT] = line.data;
	result.sizes[CAPTURE_OUT] = line.size;
	join_values(record, &tag);
	output_put(dispatch->output, &result, &none, (struct slice){ tag.data, tag.size });
	buffer_free(&line);
	buffer_free(&tag);
}

void dispatch_show(const struct dispatch *dispatch, struct tally *ret)
{
	struct state state = { .dispatch = dispatch, .tally = ret, .starved = 1, .pool_fd = -1, .deadline = INT64_MAX };
	struct record record;
	int r = 0;

	*ret = (struct tally){ 0 };
	while (!interrupt_level() && !output_error(dispatch->output)) {
		r = inputs_next(dispatch->inputs, &record);
		if (r > 0)
			show(dispatch, &record);
		else if (r == -EAGAIN)
			wait_for_news(&state);
		else
			break;
	}
	ret->broken = r < 0 && r != -EAGAIN;
}
