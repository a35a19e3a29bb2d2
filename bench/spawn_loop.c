/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn_loop.c - bench/spawn_loop COUNT CPU CPU PROGRAM: the least that running a program COUNT times on two pinned
 * processes takes: each spawns its half one after the other, reads what the program prints, and waits. */
#define _GNU_SOURCE 1
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(char *program, int number)
{
	char argument[16], buffer[4096];
	char *command[] = { program, argument, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(argument, sizeof argument, "%d", number);
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	errno = posix_spawn(&pid, program, &actions, NULL, command, environ);
	if (errno)
		die(program);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	while ((n = read(fds[0], buffer, sizeof buffer)) > 0)
		if (write(STDOUT_FILENO, buffer, (size_t)n) != n)
			die("write");
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("a command failed");
}

int main(int argc, char **argv)
{
	int count, failed = 0;

	if (argc != 5) {
		fprintf(stderr, "usage: spawn_loop COUNT CPU CPU PROGRAM\n");
		return 2;
	}
	count = atoi(argv[1]);
	for (int half = 0; half < 2; half++) {
		cpu_set_t set;
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid > 0)
			continue;
		CPU_ZERO(&set);
		CPU_SET(strtoul(argv[2 + half], NULL, 10), &set);
		if (sched_setaffinity(0, sizeof set, &set) < 0)
			die("sched_setaffinity");
		for (int i = half; i < count; i += 2)
			run(argv[4], i + 1);
		_exit(0);
	}
	for (int half = 0; half < 2; half++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			failed = 1;
	}
	return failed;
}
