/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c - nanoseconds of one start and join: a process against fork and waitpid, a thread against pthread's. */
#include "measure.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WARM = 20, ROUNDS = 500 };

static int target(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	return 0;
}

static void *thread(void *arg)
{
	return arg;
}

static void rankpool(const struct rp_process_options *options)
{
	struct rp_process *process;

	rp_process_new(&process, options, RP_FATAL);
	rp_process_start(process, RP_FATAL);
	if (rp_process_join(process, RP_FOREVER) < 0 || rp_process_exitcode(process) != 0)
		exit(1);
	rp_process_free(process);
}

double start_process(void)
{
	double begin = 0;

	for (int i = 0; i < WARM + ROUNDS; i++) {
		if (i == WARM)
			begin = now();
		rankpool(RP_PROCESS(.target = target));
	}
	return (now() - begin) / ROUNDS;
}

double start_fork(void)
{
	double begin = 0;

	for (int i = 0; i < WARM + ROUNDS; i++) {
		int status;
		pid_t pid;

		if (i == WARM)
			begin = now();
		pid = fork();
		if (pid == 0)
			_exit(target(NULL, 0));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			die("fork");
	}
	return (now() - begin) / ROUNDS;
}

double start_thread(void)
{
	double begin = 0;

	for (int i = 0; i < WARM + ROUNDS; i++) {
		if (i == WARM)
			begin = now();
		rankpool(RP_THREAD(.target = target));
	}
	return (now() - begin) / ROUNDS;
}

double start_pthread(void)
{
	double begin = 0;

	for (int i = 0; i < WARM + ROUNDS; i++) {
		pthread_t id;

		if (i == WARM)
			begin = now();
		if (pthread_create(&id, NULL, thread, NULL) != 0 || pthread_join(id, NULL) != 0)
			die("pthread");
	}
	return (now() - begin) / ROUNDS;
}
