/* SPDX-License-Identifier: BSD-3-Clause */
/* runner.c - what a worker does with one record.
 *
 * A packed record is its sequence number, the number of values, and the values, each followed by a 0 byte.  A packed
 * result is a struct head followed by the bytes of the streams that are not sent as files. */
#include "runner.h"
#include "brief.h"
#include "command.h"
#include "environment.h"
#include "parcel.h"
#include "shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127                           /* as shells say it */
#define NOT_EXECUTABLE 126

struct runner {                                 /* of one worker */
	struct brief brief;
	struct template *template;
	char *program;                              /* what is executed; NULL: the shell */
	char *shell;
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
	struct buffer *command = &runner->command;

	command->size = 0;
	if (runner->program) {
		set_words(runner, template_words(runner->template, record, slot, command));
		return runner->program;
	}
	buffer_text(command, runner->shell);
	buffer_byte(command, 0);
	buffer_text(command, "-c");
	buffer_byte(command, 0);
	template_line(runner->template, record, slot, command);
	buffer_byte(command, 0);
	set_words(runner, 3);
	return runner->shell;
}

/* What a shell would say when it cannot execute a command, as part of the command's own stderr. */
static int explain(struct runner *runner, const char *path, unsigned long long seq, int error)
{
	if (error == E2BIG)
		dprintf(runner->capture.fd[CAPTURE_ERR],
		        "%s: job %llu: the command is too long (%zu bytes) for the system, which takes 131071 bytes in one "
		        "argument or shell line and %ld in all\n",
		        runner->brief.name, seq, runner->command.size, sysconf(_SC_ARG_MAX));
	else
		dprintf(runner->capture.fd[CAPTURE_ERR], "%s: job %llu: cannot execute %s: %s\n", runner->brief.name, seq,
		        path, strerror(error));
	return error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* 0, or -1: nobody wanted it any more. */
static int execute(struct runner *runner, struct rp_task *task, const struct record *record, struct head *ret, int *shared)
{
	const char *path = prepare(runner, record, (unsigned)rp_task_rank(task) + 1);
	const struct command command = {
		.path = path,
		.words = (char *const *)runner->words,
		.environment = environment_for(runner->environment, record->seq),
		.out = runner->capture.fd[CAPTURE_OUT],
		.err = runner->capture.fd[CAPTURE_ERR],
		.timeout = runner->brief.timeout,
		.ignored = &runner->brief.ignored,
		.task = task,
	};
	struct command_end end;

	command_run(&command, &end);
	*ret = (struct head){ .seq = record->seq, .timed_out = end.timed_out };
	if (end.error)
		ret->status = explain(runner, path, record->seq, end.error);
	else
		ret->status = WIFSIGNALED(end.status) ? -WTERMSIG(end.status) : WEXITSTATUS(end.status);
	*shared = end.shared;
	return end.unwanted ? -1 : 0;
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
	r = any ? parcel_send(runner->brief.way, &parcel) : 0;
	for (int i = 0; i < CAPTURE_STREAMS; i++)
		if (head->in_file[i]) {
			close(runner->capture.fd[i]);
			runner->capture.fd[i] = -1;
		}
	return r;
}

/* Puts the head and the streams that are not sent as files behind it; *ret_size is what that took. */
static int fill(const struct runner *runner, struct head *head, char *bytes, size_t *ret_size)
{
	size_t at = sizeof *head;
	int r = 0;

	for (int i = 0; i < CAPTURE_STREAMS && r == 0; i++) {
		if (head->in_file[i])
			continue;
		r = capture_read(&runner->capture, i, bytes + at, head->sizes[i], &head->sizes[i]);
		at += head->sizes[i];
	}
	memcpy(bytes, head, sizeof *head);
	*ret_size = at;
	return r;
}

/* Files go to the manager's node only: from another one everything travels as bytes, which may be many.  rp_alloc gives
 * room for them or says that there is none. */
static int reply(struct rp_task *task, struct runner *runner, struct head *head)
{
	const struct rp_worker_info *worker = rp_task_worker(task);
	size_t size = sizeof *head;
	char *bytes;
	int large, r;

	for (int i = 0; i < CAPTURE_STREAMS; i++) {
		head->in_file[i] = worker->node == 0 && head->sizes[i] > CAPTURE_INLINE;
		size += head->in_file[i] ? 0 : head->sizes[i];
	}
	large = size > sizeof *head + CAPTURE_STREAMS * CAPTURE_INLINE;
	bytes = large ? rp_alloc(size) : buffer_space(&runner->reply, size);
	r = bytes ? fill(runner, head, bytes, &size) : -ENOMEM;
	if (r == 0)
		r = send_files(runner, head);
	if (r == 0)
		r = rp_task_reply(task, bytes, size);
	if (large)
		rp_free(bytes);
	if (r == -ENOMEM)
		return rp_task_fail(task, "its output is lost: no memory for its %zu bytes on %s", size, worker->host);
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
	r = execute(runner, task, &record, &head, &shared);
	capture_sizes(&runner->capture, head.sizes);
	if (head.sizes[CAPTURE_OUT] || head.sizes[CAPTURE_ERR])
		head.cut_short = capture_is_short_of_room(&runner->capture);
	r = r < 0 ? rp_task_fail(task, "it is not wanted any more") : reply(task, runner, &head);
	capture_reset(&runner->capture, head.sizes, shared);
	return r;
}

/* MPICH's mpirun leaves files open in what it starts. */
static void keep_files_back(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL)
		if (atoi(entry->d_name) > STDERR_FILENO)
			fcntl(atoi(entry->d_name), F_SETFD, FD_CLOEXEC);
	if (directory)
		closedir(directory);
}

/* On another node this process is not where the manager is. */
static int settle(struct rp_task *task, const struct brief *brief)
{
	if (brief->launched)
		keep_files_back();
	if (rp_task_worker(task)->node == 0)
		return 0;
	if (*brief->directory && chdir(brief->directory) < 0)
		return rp_task_fail(task, "cannot enter %s: %s", brief->directory, strerror(errno));
	umask(brief->mask);
	if (access(brief->output_directory, W_OK | X_OK) == 0)
		setenv("TMPDIR", brief->output_directory, 1);
	return 0;
}

int runner_init(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	struct runner *runner = resized(NULL, 1, sizeof *runner);
	const struct brief *brief = &runner->brief;
	const char *program;
	char *why = NULL;

	*runner = (struct runner){ .capture = CAPTURE_NONE };
	rp_task_set_local(task, runner);
	if (brief_unpack(in, rp_task_in_size(task), &runner->brief) < 0)
		return rp_task_fail(task, "the brief is not one");
	if (settle(task, brief))
		return 1;
	command_begin();
	runner->environment = environment_new(rp_task_worker(task), brief);
	runner->template = template_new(brief->words, brief->word_count, brief->dialect, &why);
	if (!runner->template) {
		int r = rp_task_fail(task, "%s", why);

		free(why);
		return r;
	}
	program = template_program(runner->template);
	runner->program = program ? shell_program(program, brief->environment) : NULL;
	runner->shell = shell_path(brief->shell, brief->environment);
	return 0;
}

int runner_exit(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	struct runner *runner = rp_task_local(task);

	capture_close(&runner->capture);
	template_free(runner->template);
	environment_free(runner->environment);
	brief_done(&runner->brief);
	free(runner->program);
	free(runner->shell);
	buffer_free(&runner->command);
	buffer_free(&runner->reply);
	free(runner->words);
	free(runner->values);
	free(runner);
	return 0;
}
