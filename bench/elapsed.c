/* SPDX-License-Identifier: BSD-3-Clause */
/* elapsed.c - bench/elapsed [-m] [-r ROUNDS] INPUT COMMAND [ARGUMENT]...: runs a command, its standard input from a file and
 * its standard output to /dev/null, and prints the mean nanoseconds; with -m the most memory that it had, in bytes. */
#define _GNU_SOURCE 1
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The most memory of the command itself or of a child that it waited for, whichever had more. */
static double run(const char *input, char **command)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	errno = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
	if (errno)
		die(command[0]);
	if (wait4(pid, &status, 0, &usage) != pid)
		die("wait4");
	if (status != 0) {
		fprintf(stderr, "%s ended with status 0x%x\n", command[0], (unsigned)status);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	return (double)usage.ru_maxrss * 1024;
}

int main(int argc, char **argv)
{
	double begin, most = 0;
	int memory = 0, rounds = 1, option;

	while ((option = getopt(argc, argv, "+mr:")) != -1)
		if (option == 'm')
			memory = 1;
		else if (option != 'r' || (rounds = atoi(optarg)) < 1)
			return 2;
	if (argc - optind < 2) {
		fprintf(stderr, "usage: elapsed [-m] [-r ROUNDS] INPUT COMMAND [ARGUMENT]...\n");
		return 2;
	}
	begin = now();
	for (int i = 0; i < rounds; i++)
		most = run(argv[optind], argv + optind + 1);
	printf("%.0f\n", memory ? most : (now() - begin) / rounds);
	return 0;
}
