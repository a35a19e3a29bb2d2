/* SPDX-License-Identifier: BSD-3-Clause */
/* apply.c - nanoseconds of one round trip, hot: rp_pool_apply, and two pinned processes that spin on a word each. */
#define _GNU_SOURCE 1
#include "measure.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 100 };

/* One word each, on cache lines of their own; the last ping is 0. */
struct table {
	_Alignas(128) atomic_uint ping;
	_Alignas(128) atomic_uint pong;
};

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(uint64_t *)out = *(const uint64_t *)in * *(const uint64_t *)in;
	return 0;
}

static void apply(struct rp_pool *pool)
{
	for (uint64_t i = 0; i < BATCH; i++) {
		uint64_t result;

		rp_pool_apply(pool, square, &i, sizeof i, &result, sizeof result, RP_FATAL);
		if (result != i * i) {
			fprintf(stderr, "apply %llu is wrong\n", (unsigned long long)i);
			exit(1);
		}
	}
}

double apply_pool(void)
{
	struct rounds rounds = { 0 };
	struct rp_pool *pool;

	rp_pool_new(&pool, NULL, RP_FATAL);
	apply(pool);
	while (again(&rounds))
		apply(pool);
	rp_pool_free(pool);
	return median(&rounds) / BATCH;
}

static void bind_to(const char *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(strtoul(cpus, NULL, 10), &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		die("sched_setaffinity");
}

static void answer_pings(struct table *table)
{
	for (unsigned seen = 0, ping = 1; ping; seen = ping) {
		while ((ping = atomic_load_explicit(&table->ping, memory_order_acquire)) == seen)
			;
		atomic_store_explicit(&table->pong, ping, memory_order_release);
	}
}

static void ping(struct table *table, unsigned number)
{
	atomic_store_explicit(&table->ping, number, memory_order_release);
	while (atomic_load_explicit(&table->pong, memory_order_acquire) != number)
		;
}

/* On the first CPUs of two of the pool's workers. */
double apply_pingpong(void)
{
	struct table *table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rp_worker_info infos[2];
	struct rounds rounds = { 0 };
	unsigned number = 0;
	int status;
	pid_t pid;

	if (table == MAP_FAILED)
		die("mmap");
	if (rp_pool_plan(NULL, NULL, infos, 2, RP_FATAL) < 2) {
		fprintf(stderr, "needs two cores\n");
		exit(1);
	}
	bind_to(infos[1].cpus);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		answer_pings(table);
		_exit(0);
	}
	bind_to(infos[0].cpus);
	while (again(&rounds))
		for (int i = 0; i < BATCH; i++)
			ping(table, ++number);
	ping(table, 0);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die("the other side");
	return median(&rounds) / BATCH;
}
