/* SPDX-License-Identifier: BSD-3-Clause */
/* runner.c - what a worker does with one record.
 *
 * A packed record is its sequence number, the number of values, and the values, each followed by a 0 byte.  A packed
 * result is a struct head followed by the bytes of the streams that are not sent as files. */
#include "runner.h"
#include "command.h"
#include "environment.h"
#include "parcel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127                           /* as shells say it */
#define NOT_EXECUTABLE 126

struct runner {                                 /* of one worker */
	const struct plan *plan;
	struct environment *environment;
	struct capture capture;
	struct buffer command;                      /* the shell line, or words one after another */
	struct buffer reply;
	const char **words;                         /* what execve gets */
	size_t word_room;
	struct slice *values;
	size_t value_room;
};

/* ---- records and results ------------------------------------------------------------------------------ */

struct head {
	unsigned long long seq;
	int32_t status, timed_out, cut_short, reserved;
	size_t sizes[CAPTURE_STREAMS];
	int32_t in_file[CAPTURE_STREAMS];
};

void runner_pack(const struct record *record, struct buffer *ret)
{
	buffer_add(ret, &record->seq, sizeof record->seq);
	buffer_add(ret, &record->count, sizeof record->count);
	for (size_t i = 0; i < record->count; i++) {
		buffer_add(ret, record->values[i].data, record->values[i].size);
		buffer_byte(ret, 0);
	}
}

static void unpack_record(struct runner *runner, const char *in, struct record *ret)
{
	memcpy(&ret->seq, in, sizeof ret->seq);
	in += sizeof ret->seq;
	memcpy(&ret->count, in, sizeof ret->count);
	in += sizeof ret->count;
	if (ret->count > runner->value_room) {
		runner->values = resized(runner->values, ret->count, sizeof *runner->values);
		runner->value_room = ret->count;
	}
	for (size_t i = 0; i < ret->count; i++) {
		runner->values[i] = (struct slice){ in, strlen(in) };
		in += runner->values[i].size + 1;
	}
	ret->values = runner->values;
}

int runner_unpack(const void *data, size_t size, struct result *ret)
{
	const char *bytes = data;
	struct head head;

	if (size < sizeof head)
		return -EBADMSG;
	memcpy(&head, bytes, sizeof head);
	bytes += sizeof head;
	size -= sizeof head;
	*ret = (struct result){ .seq = head.seq, .status = head.status, .timed_out = head.timed_out,
	                        .cut_short = head.cut_short };
	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		ret->sizes[i] = head.sizes[i];
		ret->in_file[i] = head.in_file[i];
		if (head.in_file[i])
			continue;
		if (head.sizes[i] > size)
			return -EBADMSG;
		ret->data[i] = bytes;
		bytes += head.sizes[i];
		size -= head.sizes[i];
	}
	return 0;
}

/* ---- the command -------------------------------------------------------------------------------------- */

static void set_words(struct runner *runner, size_t count)
{
	const char *at = runner->command.data;

	if (count + 1 > runner->word_room) {
		runner->words = resized(runner->words, count + 1, sizeof *runner->words);
		runner->word_room = count + 1;
	}
	for (size_t i = 0; i < count; i++) {
		runner->words[i] = at;
		at += strlen(at) + 1;
	}
	runner->words[count] = NULL;
}

/* Fills in the template and says what to execute. */
static const char *prepare(struct runner *runner, const struct record *record, unsigned slot)
{
	const struct plan *plan = runner->plan;
	struct buffer *command = &runner->command;

	command->size = 0;
	if (plan->program) {
		set_words(runner, template_words(plan->template, record, slot, command));
		return plan->program;
	}
	buffer_text(command, plan->shell);
	buffer_byte(command, 0);
	buffer_text(command, "-c");
	buffer_byte(command, 0);
	template_line(plan->template, record, slot, command);
	buffer_byte(command, 0);
	set_words(runner, 3);
	return plan->shell;
}

/* What a shell would say when it cannot execute a command, as part of the command's own stderr. */
static int explain(struct runner *runner, const char *path, unsigned long long seq, int error)
{
	if (error == E2BIG)
		dprintf(runner->capture.fd[CAPTURE_ERR],
		        "%s: job %llu: the command is too long (%zu bytes) for the system, which takes 131071 bytes in one "
		        "argument or shell line and %ld in all\n",
		        runner->plan->name, seq, runner->command.size, sysconf(_SC_ARG_MAX));
	else
		dprintf(runner->capture.fd[CAPTURE_ERR], "%s: job %llu: cannot execute %s: %s\n", runner->plan->name, seq,
		        path, strerror(error));
	return error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

static void execute(struct runner *runner, const struct record *record, int rank, struct head *ret, int *shared)
{
	const char *path = prepare(runner, record, (unsigned)rank + 1);
	const struct command command = {
		.path = path,
		.words = (char *const *)runner->words,
		.environment = environment_for(runner->environment, record->seq),
		.out = runner->capture.fd[CAPTURE_OUT],
		.err = runner->capture.fd[CAPTURE_ERR],
		.timeout = runner->plan->timeout,
		.ignored = &runner->plan->ignored,
		.running = &runner->plan->running[rank],
	};
	struct command_end end;

	command_run(&command, &end);
	*ret = (struct head){ .seq = record->seq, .timed_out = end.timed_out };
	if (end.error)
		ret->status = explain(runner, path, record->seq, end.error);
	else
		ret->status = WIFSIGNALED(end.status) ? -WTERMSIG(end.status) : WEXITSTATUS(end.status);
	*shared = end.shared;
}

/* ---- the task ----------------------------------------------------------------------------------------- */

/* Sends the streams that are much as files, which are gone from the runner then.  0, or a negative errno. */
static int send_files(struct runner *runner, const struct head *head)
{
	struct parcel parcel = { .seq = head->seq };
	int any = 0, r;

	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		parcel.fd[i] = head->in_file[i] ? runner->capture.fd[i] : -1;
		any |= head->in_file[i];
	}
	r = any ? parcel_send(runner->plan->way, &parcel) : 0;
	for (int i = 0; i < CAPTURE_STREAMS; i++)
		if (head->in_file[i]) {
			close(runner->capture.fd[i]);
			runner->capture.fd[i] = -1;
		}
	return r;
}

static int reply(struct rp_task *task, struct runner *runner, struct head *head)
{
	int r = 0;

	runner->reply.size = 0;
	buffer_add(&runner->reply, head, sizeof *head);
	for (int i = 0; i < CAPTURE_STREAMS && r == 0; i++) {
		size_t before = runner->reply.size;

		head->in_file[i] = head->sizes[i] > CAPTURE_INLINE;
		if (head->in_file[i])
			continue;
		r = capture_read(&runner->capture, i, head->sizes[i], &runner->reply);
		head->sizes[i] = runner->reply.size - before;
	}
	memcpy(runner->reply.data, head, sizeof *head);
	if (r == 0)
		r = send_files(runner, head);
	if (r == 0)
		r = rp_task_reply(task, runner->reply.data, runner->reply.size);
	return r < 0 ? rp_task_fail(task, "its output is lost: %s", strerror(-r)) : 0;
}

int runner_run(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	struct runner *runner = rp_task_local(task);
	int r = capture_open(&runner->capture), shared;
	struct record record;
	struct head head;

	if (r < 0)
		return rp_task_fail(task, "no file for its output in %s: %s", capture_directory(), strerror(-r));
	unpack_record(runner, in, &record);
	execute(runner, &record, rp_task_rank(task), &head, &shared);
	capture_sizes(&runner->capture, head.sizes);
	if (head.sizes[CAPTURE_OUT] || head.sizes[CAPTURE_ERR])
		head.cut_short = capture_is_short_of_room(&runner->capture);
	r = reply(task, runner, &head);
	capture_reset(&runner->capture, head.sizes, shared);
	return r;
}

int runner_init(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	struct runner *runner = resized(NULL, 1, sizeof *runner);

	*runner = (struct runner){ .capture = CAPTURE_NONE };
	memcpy(&runner->plan, in, sizeof runner->plan);
	/* Ignored, it would have the kernel reap the commands. */
	signal(SIGCHLD, SIG_DFL);
	runner->environment = environment_new(rp_task_worker(task), runner->plan->workers, runner->plan->manager);
	rp_task_set_local(task, runner);
	return 0;
}

int runner_exit(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	struct runner *runner = rp_task_local(task);

	capture_close(&runner->capture);
	environment_free(runner->environment);
	buffer_free(&runner->command);
	buffer_free(&runner->reply);
	free(runner->words);
	free(runner->values);
	free(runner);
	return 0;
}
