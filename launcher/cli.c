/* SPDX-License-Identifier: BSD-3-Clause */
/* cli.c - parsing options by table, --help made from the same table, the nearest name for a misspelt one. */
#include "cli.h"
#include "buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 64                            /* longer words are nobody's misspelling */
#define HELP_COLUMN 30

/* ---- errors ------------------------------------------------------------------------------------------ */

static void say(const char *name, const char *format, va_list list)
{
	char *text = NULL;
	int length = vasprintf(&text, format, list);
	struct buffer line = { 0 };

	if (length < 0)
		return;
	buffer_text(&line, name);
	buffer_text(&line, ": ");
	for (int i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		char visible[8];

		snprintf(visible, sizeof visible, c < ' ' || c == 127 ? "\\%03o" : "%c", c);
		buffer_text(&line, visible);
	}
	buffer_byte(&line, '\n');
	/* In one piece, so that lines of several processes do not mix. */
	fwrite(line.data, 1, line.size, stderr);
	fflush(stderr);
	buffer_free(&line);
	free(text);
}

void cli_say(const char *name, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(name, format, list);
	va_end(list);
}

int cli_fail(const char *name, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(name, format, list);
	va_end(list);
	return CLI_FAILED;
}

int cli_close_stdout(const char *name)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	return cli_fail(name, "cannot write standard output: %s", strerror(errno ? errno : EIO));
}

/* ---- names ------------------------------------------------------------------------------------------- */

/* How many insertions, deletions, replacements and swaps of neighbours turn one word into the other. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_SIZE], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t m = strlen(a), n = strlen(b);

	if (m >= NAME_SIZE || n >= NAME_SIZE)
		return m + n;
	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; i <= m; i++) {
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

const char *cli_nearest(const char *word, const char *const *words, size_t count)
{
	const char *nearest = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < count; i++) {
		size_t d = distance(word, words[i]);

		if (d < best) {
			best = d;
			nearest = words[i];
		}
	}
	return nearest;
}

/* The next of an option's names, copied out of "a|bc|d"; NULL after the last. */
static const char *next_name(const char *names, char copy[NAME_SIZE])
{
	size_t length = strcspn(names, "|");

	if (!*names)
		return NULL;
	memcpy(copy, names, length);
	copy[length] = 0;
	return names + length + (names[length] == '|');
}

static const struct cli_option standard[] = {
	{ "h|help", CLI_FLAG, 0, NULL, "print this and exit" },
	{ "V|version", CLI_FLAG, 0, NULL, "print the version and exit" },
	{ 0 }
};

static int is_standard(const struct cli_option *option)
{
	return option >= standard && option < standard + sizeof standard / sizeof *standard;
}

/* Calls visit(name, option, user) for every name of every option, the standard ones last, until it returns non-zero. */
static int each_name(const struct cli_command *command, int (*visit)(const char *, const struct cli_option *, void *),
                     void *user)
{
	const struct cli_option *const tables[] = { command->options, standard };
	char name[NAME_SIZE];
	int r;

	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
		for (const struct cli_option *option = tables[t]; option->names; option++)
			for (const char *rest = next_name(option->names, name); rest; rest = next_name(rest, name)) {
				r = visit(name, option, user);
				if (r)
					return r;
			}
	return 0;
}

/* ---- finding an option ------------------------------------------------------------------------------- */

struct search {
	const char *word;
	size_t length;
	const struct cli_option *exact, *begins;
	size_t beginnings;                      /* different options whose name begins with the word */
	char nearest[NAME_SIZE];
	size_t nearest_distance;
};

static int match_long(const char *name, const struct cli_option *option, void *user)
{
	struct search *search = user;
	size_t d;

	if (!name[1])
		return 0;
	if (strncmp(name, search->word, search->length) == 0) {
		if (!name[search->length])
			search->exact = option;
		search->beginnings += search->begins != option;
		search->begins = option;
	}
	d = distance(search->word, name);
	if (d < search->nearest_distance) {
		search->nearest_distance = d;
		strcpy(search->nearest, name);
	}
	return search->exact != NULL;
}

static int match_letter(const char *name, const struct cli_option *option, void *user)
{
	struct search *search = user;

	if (name[1] || name[0] != search->word[0])
		return 0;
	search->exact = option;
	return 1;
}

static const struct cli_option *find_long(const struct cli_command *command, const char *word)
{
	struct search search = { .word = word, .length = strlen(word), .nearest_distance = SIZE_MAX };

	each_name(command, match_long, &search);
	if (search.exact)
		return search.exact;
	if (search.beginnings == 1 && search.length)
		return search.begins;
	if (search.beginnings > 1 && search.length)
		cli_say(command->name, "option --%s could be several; the nearest is --%s", word, search.nearest);
	else
		cli_say(command->name, "unknown option --%s; the nearest is --%s (%s --help lists all)", word,
		        search.nearest, command->name);
	return NULL;
}

static int append_letter(const char *name, const struct cli_option *option, void *user)
{
	char *letters = user;

	(void)option;
	if (!name[1]) {
		strcat(letters, " -");
		strcat(letters, name);
	}
	return 0;
}

static const struct cli_option *find_letter(const struct cli_command *command, char letter)
{
	struct search search = { .word = (char[]){ letter, 0 } };
	char letters[3 * 128] = "";

	each_name(command, match_letter, &search);
	if (search.exact)
		return search.exact;
	each_name(command, append_letter, letters);
	cli_say(command->name, "unknown option -%c; the short ones are%s (%s --help lists all)", letter,
	        *letters ? letters : " none", command->name);
	return NULL;
}

/* ---- --help and --version ---------------------------------------------------------------------------- */

static void print_option(const struct cli_option *option)
{
	char name[NAME_SIZE], left[2 * NAME_SIZE] = "  ", *end = left + 2;
	int shown[2] = { 0 };                   /* a letter, a word: the first of each */

	for (const char *rest = next_name(option->names, name); rest; rest = next_name(rest, name)) {
		if (shown[name[1] != 0]++)
			continue;
		end += sprintf(end, "%s%s%s", end == left + 2 ? "" : ", ", name[1] ? "--" : "-", name);
	}
	if (option->argument)
		sprintf(end, " %s", option->argument);
	printf("%-*s %s\n", HELP_COLUMN - 1, left, option->help);
}

static int print_standard(const struct cli_command *command, const struct cli_option *option)
{
	if (option == &standard[0]) {
		printf("Usage: %s %s\n%s", command->name, command->usage, command->about);
		for (const struct cli_option *o = command->options; o->names; o++)
			print_option(o);
		for (const struct cli_option *o = standard; o->names; o++)
			print_option(o);
	} else {
		puts("rankpool " PACKAGE_VERSION);
	}
	return cli_close_stdout(command->name) ? -1 : 0;
}

/* ---- parsing ----------------------------------------------------------------------------------------- */

static int store(const struct cli_option *option, void *values, const char *value)
{
	char *field = (char *)values + option->offset;
	struct cli_list *list = (void *)field;
	const char **grown;

	switch (option->kind) {
	case CLI_FLAG:
		*(int *)(void *)field = 1;
		return 0;
	case CLI_TEXT:
		*(const char **)(void *)field = value;
		return 0;
	case CLI_LIST:
		grown = realloc(list->items, (list->count + 1) * sizeof *grown);
		if (!grown)
			return -1;
		grown[list->count++] = value;
		list->items = grown;
		return 0;
	}
	return -1;
}

struct cursor {
	int argc, at;                           /* argv[at] is the word being looked at */
	char **argv;
};

/* Stores `option` with its value: `attached` behind it in the same word (NULL: none), else the next word. */
static int take(const struct cli_command *command, struct cursor *cursor, const struct cli_option *option,
                const char *shown, const char *attached, void *values)
{
	const char *value = attached;

	if (!option->argument && attached) {
		cli_say(command->name, "option %s takes no value", shown);
		return -1;
	}
	if (option->argument && !value) {
		if (cursor->at + 1 >= cursor->argc) {
			cli_say(command->name, "option %s needs a value: %s", shown, option->argument);
			return -1;
		}
		value = cursor->argv[++cursor->at];
	}
	if (store(option, values, value) < 0) {
		cli_say(command->name, "out of memory");
		return -1;
	}
	return 0;
}

/* --name, --name=VALUE, --name VALUE.  1: go on, 0: help or version was printed, -1. */
static int parse_long(const struct cli_command *command, struct cursor *cursor, void *values)
{
	char *word = cursor->argv[cursor->at];
	char *equals = strchr(word, '=');
	char name[2 * NAME_SIZE];
	const struct cli_option *option;

	snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
	option = find_long(command, name + strspn(name, "-"));
	if (!option)
		return -1;
	if (is_standard(option) && !equals)
		return print_standard(command, option);
	return take(command, cursor, option, name, equals ? equals + 1 : NULL, values) < 0 ? -1 : 1;
}

/* -abc, -jVALUE, -abj VALUE.  Returns what parse_long does. */
static int parse_letters(const struct cli_command *command, struct cursor *cursor, void *values)
{
	const char *letters = cursor->argv[cursor->at] + 1;

	for (; *letters; letters++) {
		const struct cli_option *option = find_letter(command, *letters);
		const char *attached = option && option->argument && letters[1] ? letters + 1 : NULL;

		if (option && is_standard(option))
			return print_standard(command, option);
		if (!option || take(command, cursor, option, (char[]){ '-', *letters, 0 }, attached, values) < 0)
			return -1;
		if (option->argument)
			break;
	}
	return 1;
}

/* Whether -name is a long option with one dash too few. */
static int is_long(const struct cli_command *command, const char *word)
{
	char name[2 * NAME_SIZE];
	struct search search = { .word = name, .nearest_distance = SIZE_MAX };

	if (word[1] == '-' || !command->one_dash)
		return word[1] == '-';
	snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 1, "="), word + 1);
	search.length = strlen(name);
	each_name(command, match_long, &search);
	return search.exact != NULL;
}

int cli_parse(const struct cli_command *command, int argc, char **argv, void *values)
{
	struct cursor cursor = { .argc = argc, .at = 1, .argv = argv };

	for (; cursor.at < argc; cursor.at++) {
		const char *word = argv[cursor.at];
		int r;

		if (word[0] != '-' || !word[1])
			break;
		if (strcmp(word, "--") == 0)
			return cursor.at + 1;
		r = is_long(command, word) ? parse_long(command, &cursor, values) : parse_letters(command, &cursor, values);
		if (r <= 0)
			return r;
	}
	return cursor.at;
}
