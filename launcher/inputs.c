/* SPDX-License-Identifier: BSD-3-Clause */
/* inputs.c - streams of records.
 *
 * Linked sources form a group that goes forward in step and ends with its shortest.  A record is one combination of the
 * groups' values; the last group varies fastest.  Only a group that is gone through more than once keeps what it read from
 * files. */
#include "inputs.h"
#include "cli.h"
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct group {
	size_t first, count;                    /* its sources */
	size_t at, known;                       /* the tuple that it stands on, counted from 1; how many have been read */
	int complete;                           /* there are no more than `known` */
	int repeated;                           /* gone through more than once */
};

struct inputs {
	const char *name;
	char delimiter;
	struct input *sources;
	struct group *groups;
	size_t source_count, group_count;
	int begun, ended, waits_for;            /* waits_for: the descriptor behind -EAGAIN */
	size_t advancing;                       /* the group that -EAGAIN interrupted */
	unsigned long long seq;
	struct slice *values;
	struct buffer *cleaned;                 /* per source: a value whose 0 bytes have been replaced */
	int warned_nul, line_ends;              /* line_ends: how many of the first three were CR LF; -1: settled */
};

static int peek(struct inputs *inputs, struct input *source)
{
	int r = input_peek(source, inputs->name);

	if (r == -EAGAIN)
		inputs->waits_for = source->fd;
	return r;
}

/* ---- one group ---------------------------------------------------------------------------------------- */

/* Goes on to the group's next tuple: 1, 0 when there is none, or negative. */
static int advance(struct inputs *inputs, struct group *group)
{
	struct input *sources = inputs->sources + group->first;

	if (group->at == group->known) {
		for (size_t i = 0; i < group->count && !group->complete; i++) {
			int r = peek(inputs, &sources[i]);

			if (r < 0)
				return r;
			group->complete |= r == 0;
		}
		if (group->complete)
			return 0;
		for (size_t i = 0; i < group->count; i++) {
			sources[i].peeked = 0;
			if (group->repeated)
				input_keep(&sources[i], group->known);
		}
		group->known++;
	} else {
		for (size_t i = 0; i < group->count; i++)
			input_recall(&sources[i], group->at);
	}
	group->at++;
	return 1;
}

/* The first tuple of every group: a source that is empty gives an empty value, unless all are empty.  1, 0, negative. */
static int begin(struct inputs *inputs)
{
	int any = 0;

	for (size_t i = 0; i < inputs->source_count; i++) {
		int r = peek(inputs, &inputs->sources[i]);

		if (r < 0)
			return r;
		any |= r;
	}
	if (!any)
		return 0;
	for (size_t g = 0; g < inputs->group_count; g++) {
		struct group *group = &inputs->groups[g];

		for (size_t i = group->first; i < group->first + group->count; i++) {
			struct input *source = &inputs->sources[i];

			if (!source->peeked)
				source->value = (struct slice){ "", 0 };
			source->peeked = 0;
			if (group->repeated)
				input_keep(source, 0);
		}
		group->at = group->known = 1;
	}
	return 1;
}

/* ---- records ------------------------------------------------------------------------------------------ */

static void notice_line_end(struct inputs *inputs, struct slice value)
{
	if (inputs->line_ends < 0)
		return;
	if (!value.size || value.data[value.size - 1] != '\r')
		inputs->line_ends = -1;
	else if (++inputs->line_ends == 3) {
		cli_say(inputs->name, "warning: the first three inputs end in CR LF; the CR is passed on as part of each");
		inputs->line_ends = -1;
	}
}

/* No argument of a program can hold a 0 byte: it becomes the two characters \0, as in GNU parallel. */
static struct slice without_nul(struct inputs *inputs, size_t source, struct slice value)
{
	struct buffer *cleaned = &inputs->cleaned[source];

	if (!value.size || !memchr(value.data, 0, value.size))
		return value;
	if (!inputs->warned_nul)
		cli_say(inputs->name, "warning: input %llu holds a NUL, which no argument can; passed on as \\0 "
		        "(is --null meant?)", inputs->seq + 1);
	inputs->warned_nul = 1;
	cleaned->size = 0;
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i])
			buffer_byte(cleaned, value.data[i]);
		else
			buffer_text(cleaned, "\\0");
	}
	return (struct slice){ cleaned->data, cleaned->size };
}

static int deliver(struct inputs *inputs, struct record *ret)
{
	for (size_t i = 0; i < inputs->source_count; i++) {
		inputs->values[i] = without_nul(inputs, i, inputs->sources[i].value);
		if (inputs->delimiter == '\n')
			notice_line_end(inputs, inputs->values[i]);
	}
	*ret = (struct record){ .seq = ++inputs->seq, .count = inputs->source_count, .values = inputs->values };
	return 1;
}

int inputs_next(struct inputs *inputs, struct record *ret)
{
	int r;

	if (inputs->ended)
		return 0;
	if (!inputs->begun) {
		r = begin(inputs);
		inputs->ended = r == 0;
		inputs->begun = r == 1;
		return r == 1 ? deliver(inputs, ret) : r;
	}
	/* As an odometer: the last group goes on; one that is at its end starts again and the group before it goes on. */
	for (;;) {
		struct group *group = &inputs->groups[inputs->advancing];

		r = advance(inputs, group);
		if (r < 0)
			return r;
		if (r > 0)
			break;
		if (inputs->advancing-- == 0) {
			inputs->ended = 1;
			return 0;
		}
	}
	while (++inputs->advancing < inputs->group_count) {
		inputs->groups[inputs->advancing].at = 0;
		advance(inputs, &inputs->groups[inputs->advancing]);
	}
	inputs->advancing = inputs->group_count - 1;
	return deliver(inputs, ret);
}

int inputs_fd(const struct inputs *inputs)
{
	return inputs->waits_for;
}

size_t inputs_listed(const struct inputs *inputs)
{
	size_t listed = 1;

	for (size_t g = 0; g < inputs->group_count; g++) {
		const struct group *group = &inputs->groups[g];
		size_t shortest = SIZE_MAX;

		for (size_t i = group->first; i < group->first + group->count; i++) {
			if (!inputs->sources[i].words)
				return SIZE_MAX;
			if (inputs->sources[i].word_count < shortest)
				shortest = inputs->sources[i].word_count;
		}
		/* An empty source still gives one empty value. */
		if (__builtin_mul_overflow(listed, shortest ? shortest : 1, &listed))
			return SIZE_MAX;
	}
	return listed;
}

int inputs_are_typed(const struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->source_count; i++)
		if (!inputs->sources[i].words && isatty(inputs->sources[i].fd))
			return 1;
	return 0;
}

/* ---- making them -------------------------------------------------------------------------------------- */

static struct input *add_source(struct inputs *inputs, int linked)
{
	struct input *source;
	struct group *group;

	if (!linked || !inputs->source_count) {
		inputs->groups = resized(inputs->groups, inputs->group_count + 1, sizeof *group);
		inputs->groups[inputs->group_count++] = (struct group){ .first = inputs->source_count };
	}
	inputs->groups[inputs->group_count - 1].count++;
	inputs->sources = resized(inputs->sources, inputs->source_count + 1, sizeof *source);
	source = &inputs->sources[inputs->source_count++];
	*source = (struct input){ .fd = -1, .delimiter = inputs->delimiter };
	return source;
}

static int uses_stdin(const struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->source_count; i++)
		if (inputs->sources[i].fd == STDIN_FILENO)
			return 1;
	return 0;
}

static int open_file(struct inputs *inputs, const char *name, int linked)
{
	int is_stdin = strcmp(name, "-") == 0, fd = STDIN_FILENO;
	struct input *source;
	struct stat status;

	if (is_stdin && uses_stdin(inputs))
		return cli_fail(inputs->name, "standard input cannot be two sources at once");
	if (!is_stdin)
		fd = open(name, O_RDONLY | O_CLOEXEC);
	source = add_source(inputs, linked);
	source->fd = fd;
	source->name = is_stdin ? "standard input" : name;
	if (fd < 0 || fstat(fd, &status) < 0)
		return cli_fail(inputs->name, "cannot read %s: %s", source->name, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return cli_fail(inputs->name, "cannot read %s: it is a directory", source->name);
	if (fcntl(fd, F_GETFL) >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return cli_fail(inputs->name, "cannot read %s: it is not open for reading", source->name);
	return 0;
}

int inputs_separator(const char *word)
{
	static const struct { const char *word; int meaning; } separators[] = {
		{ ":::", INPUTS_WORDS },
		{ "::::", INPUTS_FILES },
		{ ":::+", INPUTS_WORDS | INPUTS_LINKED },
		{ "::::+", INPUTS_FILES | INPUTS_LINKED },
	};

	for (size_t i = 0; i < sizeof separators / sizeof *separators; i++)
		if (strcmp(word, separators[i].word) == 0)
			return separators[i].meaning;
	return 0;
}

/* The words behind one separator, up to the next. */
static int add_list(struct inputs *inputs, int meaning, char **words, size_t count)
{
	struct input *source;

	for (size_t i = 0; meaning & INPUTS_FILES && i < count; i++)
		if (open_file(inputs, words[i], meaning & INPUTS_LINKED) != 0)
			return -1;
	if (meaning & INPUTS_FILES)
		return 0;
	source = add_source(inputs, meaning & INPUTS_LINKED);
	source->words = words;
	source->word_count = count;
	return 0;
}

static int add_lists(struct inputs *inputs, char **words, size_t count, size_t *ret_command)
{
	size_t at = 0, end;

	while (at < count && !inputs_separator(words[at]))
		at++;
	*ret_command = at;
	for (; at < count; at = end) {
		for (end = at + 1; end < count && !inputs_separator(words[end]); end++)
			;
		if (add_list(inputs, inputs_separator(words[at]), words + at + 1, end - at - 1) < 0)
			return -1;
	}
	return 0;
}

/* A group needs to be kept when one before it can have a second tuple. */
static void mark_repeated(struct inputs *inputs)
{
	int repeated = 0;

	for (size_t g = 0; g < inputs->group_count; g++) {
		struct group *group = &inputs->groups[g];
		int single = 0;

		group->repeated = repeated;
		for (size_t i = group->first; i < group->first + group->count; i++)
			single |= inputs->sources[i].words && inputs->sources[i].word_count <= 1;
		repeated |= !single;
	}
}

struct inputs *inputs_new(const char *name, char **words, size_t count, const struct cli_list *files, char delimiter,
                          size_t *ret_command)
{
	struct inputs *inputs = resized(NULL, 1, sizeof *inputs);
	int failed = 0;

	*inputs = (struct inputs){ .name = name, .delimiter = delimiter, .waits_for = -1 };
	for (size_t i = 0; i < files->count && !failed; i++)
		failed = open_file(inputs, files->items[i], 0);
	if (!failed)
		failed = add_lists(inputs, words, count, ret_command);
	if (!failed && !inputs->source_count)
		failed = open_file(inputs, "-", 0);
	if (failed)
		return inputs_free(inputs);
	mark_repeated(inputs);
	inputs->advancing = inputs->group_count - 1;
	inputs->values = resized(NULL, inputs->source_count, sizeof *inputs->values);
	inputs->cleaned = resized(NULL, inputs->source_count, sizeof *inputs->cleaned);
	for (size_t i = 0; i < inputs->source_count; i++)
		inputs->cleaned[i] = (struct buffer){ 0 };
	return inputs;
}

struct inputs *inputs_free(struct inputs *inputs)
{
	if (!inputs)
		return NULL;
	for (size_t i = 0; i < inputs->source_count; i++) {
		input_done(&inputs->sources[i]);
		if (inputs->cleaned)
			buffer_free(&inputs->cleaned[i]);
	}
	free(inputs->sources);
	free(inputs->groups);
	free(inputs->values);
	free(inputs->cleaned);
	free(inputs);
	return NULL;
}
