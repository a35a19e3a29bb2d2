/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu.h - CPU time of processes, and of an idle pool's. */
#ifndef RP_BENCH_CPU_H
#define RP_BENCH_CPU_H

#include "measure.h"

#include <errno.h>
#include <unistd.h>

/* CPU time that a process has used, all threads together. */
static inline double used(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	errno = clock_getcpuclockid(pid, &clock);
	if (errno || clock_gettime(clock, &t) < 0)
		die("CPU clock");
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline pid_t parent(pid_t pid)
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

/* The processes of a pool: its workers, the supervisors that forked those, the ranks of the job (or the program alone) that
 * forked these.  How many. */
static inline int find_processes(const struct rp_pool *pool, pid_t *pids, int most)
{
	struct rp_worker_info info;
	int count = 1;

	pids[0] = getpid();
	for (int rank = 0; rp_pool_worker(pool, rank, &info) == 0 && info.pid != getpid() && count + 3 <= most; rank++) {
		pid_t supervisor = parent(info.pid), agent = supervisor == getpid() ? supervisor : parent(supervisor);

		pids[count++] = info.pid;
		if (info.local_rank == 0 && supervisor != getpid())
			pids[count++] = supervisor;
		if (info.local_rank == 0 && agent != getpid())
			pids[count++] = agent;
	}
	return count;
}

static inline void rest(int seconds)
{
	nanosleep(&(struct timespec){ .tv_sec = seconds }, NULL);
}

/* Nanoseconds of CPU that a pool on which nothing runs takes in a second, after some to become quiet. */
static inline double used_by_idle(const struct rp_pool *pool, int before, int seconds)
{
	pid_t pids[1024];
	int count = find_processes(pool, pids, 1024);
	double sum = 0;

	rest(before);
	for (int i = 0; i < count; i++)
		sum -= used(pids[i]);
	rest(seconds);
	for (int i = 0; i < count; i++)
		sum += used(pids[i]);
	return sum / seconds;
}

#endif
