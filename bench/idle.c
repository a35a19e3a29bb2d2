/* SPDX-License-Identifier: BSD-3-Clause */
/* idle.c - nanoseconds of CPU that an idle pool takes in a second: manager, supervisor and workers together. */
#include "measure.h"

#include <errno.h>
#include <unistd.h>

enum { SECONDS = 2 };

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in * *(const int *)in;
	return 0;
}

/* CPU time that a process has used, all threads together. */
static double used(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	errno = clock_getcpuclockid(pid, &clock);
	if (errno || clock_gettime(clock, &t) < 0)
		die("CPU clock");
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static pid_t parent(pid_t pid)
{
	char path[64];
	int ppid = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d (%*[^)]) %*c %d", &ppid) != 1)
		die(path);
	fclose(file);
	return ppid;
}

static double used_by(const struct rp_pool *pool)
{
	struct rp_worker_info info;
	double sum = used(getpid());

	for (int rank = 0; rp_pool_worker(pool, rank, &info) == 0 && info.pid != getpid(); rank++) {
		if (rank == 0 && parent(info.pid) != getpid())
			sum += used(parent(info.pid));
		sum += used(info.pid);
	}
	return sum;
}

static double idle(const struct rp_pool_options *options)
{
	struct rp_pool *pool;
	int in[1000], out[1000];
	double begin;

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	rp_pool_new(&pool, options, RP_FATAL);
	rp_pool_map(pool, square, in, out, 1000, NULL, RP_FATAL);
	begin = used_by(pool);
	nanosleep(&(struct timespec){ .tv_sec = SECONDS }, NULL);
	begin = used_by(pool) - begin;
	rp_pool_free(pool);
	return begin / SECONDS;
}

double idle_processes(void)
{
	return idle(NULL);
}

double idle_threads(void)
{
	return idle(RP_POOL(.kind = RP_THREADS));
}
