/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - the rankpool command: a table of subcommands. */
#include "cli.h"
#include "front.h"
#include "subcommands.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);      /* argv[0] is the subcommand's name; returns the exit status */
	const char *summary;
} subcommands[] = {
	{ "map", map_main, "run a command over inputs, on ranked and pinned workers" },
	{ "run", run_main, "start ranked and pinned copies of a program" },
	{ "topo", topo_main, "show the machine, and where workers go on it" },
	{ 0 }
};

static int find(const char *word)
{
	const char *names[sizeof subcommands / sizeof *subcommands];
	const char *nearest;
	size_t count = 0;

	for (const struct subcommand *s = subcommands; s->name; s++) {
		if (strcmp(s->name, word) == 0)
			return (int)(s - subcommands);
		names[count++] = s->name;
	}
	nearest = cli_nearest(word, names, count);
	cli_say("rankpool", "unknown subcommand %s; the nearest is %s (rankpool --help lists all)", word,
	        nearest ? nearest : "--help");
	return -1;
}

/* What was closed when the program began is opened the wrong way round, so that no other file takes its number and using
 * it is an error. */
static void keep_standard_numbers(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	static const struct cli_option no_options[] = { { 0 } };
	char about[1024] = "Ranked, pinned worker processes for commands and C programs.\n"
	                   "\n"
	                   "Subcommands (each has --help):\n";
	const struct cli_command command = { "rankpool", "SUBCOMMAND [options] ...", about, no_options, 0 };
	size_t length = strlen(about);
	int word, chosen;

	keep_standard_numbers();
	front_attach();
	for (const struct subcommand *s = subcommands; s->name; s++)
		length += (size_t)snprintf(about + length, sizeof about - length, "  %-27s %s\n", s->name, s->summary);
	snprintf(about + length, sizeof about - length, "\nOptions:\n");
	word = cli_parse(&command, argc, argv, NULL);
	if (word <= 0)
		return word < 0 ? CLI_FAILED : 0;
	if (word == argc)
		return cli_fail("rankpool", "which subcommand? (rankpool --help lists them)");
	chosen = find(argv[word]);
	return chosen < 0 ? CLI_FAILED : subcommands[chosen].run(argc - word, argv + word);
}
