/* SPDX-License-Identifier: BSD-3-Clause */
/* scale.c - mpirun bench/scale KIND WORKERS ITEMS: what work on other nodes costs the manager, as a row of bench/scale.sh's
 * table.
 *
 *	cheap   a map of squares, 8 bytes in and out        sleep   a map of items that sleep for 1 ms
 *	submit  single tasks, squares
 *
 * WORKERS are those of each node.  Prints: nodes, workers, items, milliseconds, messages out and in, bytes out and in, and
 * microseconds of CPU of the thread that owns MPI.  Wants RANKPOOL_NODES=rank and RANKPOOL_MANAGER_ONLY=1. */
#include "context.h"
#include "hub.h"
#include "measure.h"
#include "wait.h"

#include <string.h>

struct meter {
	struct link_count sent, received;
	double cpu;
	struct hub_errand errand;
	_Atomic uint32_t done;
};

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(uint64_t *)out = *(const uint64_t *)in * *(const uint64_t *)in;
	return 0;
}

static int slow_square(struct rp_task *task, const void *in, void *out)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return square(task, in, out);
}

/* In the hub's thread. */
static void read_meter(struct hub *hub, void *user)
{
	struct meter *meter = user;
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	meter->cpu = (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
	link_counts(hub_link(hub), &meter->sent, &meter->received);
	atomic_store(&meter->done, 1);
	wait_wake(&meter->done, 1);
}

static void look_at(struct meter *meter)
{
	atomic_store(&meter->done, 0);
	hub_send_on_errand(context_get()->hub, &meter->errand, read_meter, meter);
	while (!atomic_load(&meter->done))
		wait_on(&meter->done, 0, -1);
}

static void submit_all(struct rp_pool *pool, const uint64_t *in, uint64_t *out, size_t count)
{
	struct rp_future **futures = need(calloc(count, sizeof(void *)));

	for (size_t i = 0; i < count; i++)
		rp_pool_submit(&futures[i], pool, square, &in[i], sizeof *in, sizeof *out, NULL, RP_FATAL);
	for (size_t i = 0; i < count; i++) {
		rp_future_get(futures[i], &out[i], sizeof *out, RP_FOREVER, RP_FATAL);
		rp_future_free(futures[i]);
	}
	free(futures);
}

static void run(struct rp_pool *pool, const char *kind, const uint64_t *in, uint64_t *out, size_t count)
{
	if (strcmp(kind, "submit") == 0)
		submit_all(pool, in, out, count);
	else
		rp_pool_map(pool, strcmp(kind, "sleep") == 0 ? slow_square : square, in, out, count, NULL, RP_FATAL);
}

int main(int argc, char **argv)
{
	size_t count = argc == 4 ? strtoull(argv[3], NULL, 0) : 0;
	struct meter before = { 0 }, after = { 0 };
	struct rp_pool *pool;
	uint64_t *in, *out;
	double start;
	size_t first;

	if (!count) {
		fprintf(stderr, "usage: mpirun scale cheap|sleep|submit WORKERS ITEMS\n");
		return 2;
	}
	rp_init(&argc, &argv, RP_FATAL);
	rp_pool_new(&pool, RP_POOL(.workers_per_node = (uint32_t)strtoul(argv[2], NULL, 0)), RP_FATAL);
	in = need(malloc(count * sizeof *in));
	out = need(calloc(count, sizeof *out));
	for (size_t i = 0; i < count; i++)
		in[i] = i;
	first = (size_t)rp_pool_workers(pool);
	run(pool, argv[1], in, out, first < count ? first : count);
	look_at(&before);
	start = now();
	run(pool, argv[1], in, out, count);
	start = now() - start;
	look_at(&after);
	for (size_t i = 0; i < count; i++)
		if (out[i] != i * i)
			die("a wrong result");
	printf("%d %d %zu %.1f %ju %ju %ju %ju %.0f\n", rp_node_count() - 1, rp_pool_workers(pool), count, start / 1e6,
	       after.sent.messages - before.sent.messages, after.received.messages - before.received.messages,
	       after.sent.bytes - before.sent.bytes, after.received.bytes - before.received.bytes, after.cpu - before.cpu);
	fflush(stdout);
	rp_pool_free(pool);
	free(in);
	free(out);
	rp_finalize();
	return 0;
}
