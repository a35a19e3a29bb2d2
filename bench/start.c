/* SPDX-License-Identifier: BSD-3-Clause */
/* start.c - nanoseconds of one start and join: a process against fork and waitpid, a thread against pthread's. */
#include "measure.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 10 };

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
	struct rounds rounds = { 0 };

	while (again(&rounds))
		for (int i = 0; i < BATCH; i++)
			rankpool(RP_PROCESS(.target = target));
	return median(&rounds) / BATCH;
}

double start_fork(void)
{
	struct rounds rounds = { 0 };

	while (again(&rounds))
		for (int i = 0; i < BATCH; i++) {
			int status;
			pid_t pid = fork();

			if (pid == 0)
				_exit(target(NULL, 0));
			if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
				die("fork");
		}
	return median(&rounds) / BATCH;
}

double start_thread(void)
{
	struct rounds rounds = { 0 };

	while (again(&rounds))
		for (int i = 0; i < BATCH; i++)
			rankpool(RP_THREAD(.target = target));
	return median(&rounds) / BATCH;
}

double start_pthread(void)
{
	struct rounds rounds = { 0 };

	while (again(&rounds))
		for (int i = 0; i < BATCH; i++) {
			pthread_t id;

			if (pthread_create(&id, NULL, thread, NULL) != 0 || pthread_join(id, NULL) != 0)
				die("pthread");
		}
	return median(&rounds) / BATCH;
}
