/* SPDX-License-Identifier: BSD-3-Clause */
/* cli.h - the command line of a subcommand: a table of options, one parser for all, errors of one line. */
#ifndef RP_LAUNCHER_CLI_H
#define RP_LAUNCHER_CLI_H

#include <stddef.h>

#define CLI_FAILED 255                          /* exit status of a command that could not do what was asked */

enum cli_kind {
	CLI_FLAG,                               /* int: set to 1 */
	CLI_TEXT,                               /* const char *: points into argv; the last one given counts */
	CLI_LIST                                /* struct cli_list: every one given, in order */
};

struct cli_list {
	const char **items;                     /* malloc'ed; the items point into argv */
	size_t count;
};

/* One option.  A table of them ends with an empty one. */
struct cli_option {
	const char *names;                      /* "j|jobs|max-procs": letters are short options, the first word is shown */
	enum cli_kind kind;
	size_t offset;                          /* of its field in the subcommand's struct of values */
	const char *argument;                   /* what --help calls its value; NULL for a flag */
	const char *help;                       /* one line of --help */
};

struct cli_command {
	const char *name;                       /* "rankpool map", as errors begin with it */
	const char *usage;                      /* what follows the name in --help's first line */
	const char *about;                      /* the lines between that and the options */
	const struct cli_option *options;
	int one_dash;                           /* -name is --name, as mpirun has it, where it is one in full */
};

/* Takes the options off the front of argv[1..] into *values: -x, -xVALUE, -x VALUE, bundles of letters, --name,
 * --name=VALUE, --name VALUE, any beginning of a name that is nobody else's.  Options end at the first word that is not
 * one, or after "--".  Returns the index of that word (argc: there is none); 0 after --help or --version, whose text has
 * been printed; -1 when something is wrong, which one line on stderr has said. */
int cli_parse(const struct cli_command *command, int argc, char **argv, void *values);

/* Prints "NAME: sentence" as one line on stderr, control characters made visible.  cli_fail returns CLI_FAILED. */
void cli_say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of `count` words the one that `word` is most likely a misspelling of; NULL when there are none. */
const char *cli_nearest(const char *word, const char *const *words, size_t count);

/* Flushes standard output: 0, or CLI_FAILED after one line that says why what was printed did not get out. */
int cli_close_stdout(const char *name);

#endif
