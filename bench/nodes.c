/* SPDX-License-Identifier: BSD-3-Clause */
/* nodes.c - mpirun bench/nodes NAME: makes one measurement of a pool whose workers are all on other nodes, and prints
 * nanoseconds per item.
 *
 *	map             squares, chunk 1
 *	apply           one task at a time, there and back
 *	submit          single tasks, many under way
 *	in, in-arena    items of 1 MiB from plain memory, from rp_alloc's
 *	out, out-arena  results of 1 MiB into such memory
 *	idle            CPU that the pool takes in a second when nothing ran for one, all ranks with what they forked
 *
 * Wants RANKPOOL_NODES=rank where ranks share a machine, and RANKPOOL_MANAGER_ONLY=1. */
#include "cpu.h"

#include <string.h>

enum { SQUARES = 1000000, TASKS = 2000, LARGE = 128, PAGE = 4096, IDLE_REST = 2, IDLE_SECONDS = 3 };

#define SIZE ((size_t)1 << 20)

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(uint64_t *)out = *(const uint64_t *)in * *(const uint64_t *)in;
	return 0;
}

static _Noreturn void wrong(const char *what, size_t i)
{
	fprintf(stderr, "%s %zu is wrong\n", what, i);
	exit(1);
}

static struct rp_pool *far_pool(void)
{
	struct rp_pool *pool;
	struct rp_worker_info info;

	rp_pool_new(&pool, NULL, RP_FATAL);
	if (rp_pool_worker(pool, 0, &info) < 0 || info.node == 0) {
		fprintf(stderr, "the manager's node has workers: set RANKPOOL_MANAGER_ONLY=1\n");
		exit(1);
	}
	return pool;
}

/* ---- small items ------------------------------------------------------------------------------------------ */

static double map_squares(void)
{
	uint64_t *in = need(malloc(SQUARES * sizeof *in)), *out = need(calloc(SQUARES, sizeof *out));
	struct rp_pool *pool = far_pool();
	struct rounds rounds = { 0 };

	for (uint64_t i = 0; i < SQUARES; i++)
		in[i] = i;
	rp_pool_map(pool, square, in, out, SQUARES, RP_MAP(.chunk = 1), RP_FATAL);
	while (again(&rounds))
		rp_pool_map(pool, square, in, out, SQUARES, RP_MAP(.chunk = 1), RP_FATAL);
	rp_pool_free(pool);
	for (uint64_t i = 0; i < SQUARES; i++)
		if (out[i] != i * i)
			wrong("item", i);
	free(in);
	free(out);
	return median(&rounds) / SQUARES;
}

static void apply(struct rp_pool *pool)
{
	for (uint64_t i = 0; i < TASKS / 10; i++) {
		uint64_t result;

		rp_pool_apply(pool, square, &i, sizeof i, &result, sizeof result, RP_FATAL);
		if (result != i * i)
			wrong("apply", i);
	}
}

static void submit(struct rp_pool *pool)
{
	static struct rp_future *futures[TASKS];

	for (uint64_t i = 0; i < TASKS; i++)
		rp_pool_submit(&futures[i], pool, square, &i, sizeof i, sizeof i, NULL, RP_FATAL);
	for (uint64_t i = 0; i < TASKS; i++) {
		uint64_t result;

		rp_future_get(futures[i], &result, sizeof result, RP_FOREVER, RP_FATAL);
		if (result != i * i)
			wrong("task", i);
		rp_future_free(futures[i]);
	}
}

static double time_tasks(void (*f)(struct rp_pool *pool), int count)
{
	struct rp_pool *pool = far_pool();
	struct rounds rounds = { 0 };

	f(pool);
	while (again(&rounds))
		f(pool);
	rp_pool_free(pool);
	return median(&rounds) / count;
}

static double apply_one(void)
{
	return time_tasks(apply, TASKS / 10);
}

static double submit_many(void)
{
	return time_tasks(submit, TASKS);
}

/* ---- large items ------------------------------------------------------------------------------------------ */

/* A word of each page is read. */
static int sum_pages(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < SIZE; at += PAGE)
		sum += *(const uint64_t *)(const void *)((const char *)in + at);
	*(uint64_t *)out = sum;
	return 0;
}

/* A word of each page is written. */
static int mark_pages(struct rp_task *task, const void *in, void *out)
{
	for (size_t at = 0; at < SIZE; at += PAGE)
		*(uint64_t *)(void *)((char *)out + at) = *(const uint64_t *)in + at + rp_task_index(task);
	return 0;
}

static double bring(char *items)
{
	struct rp_pool *pool = far_pool();
	struct rounds rounds = { 0 };
	uint64_t sums[LARGE], sum;

	memset(items, 1, LARGE * SIZE);
	rp_pool_map_array(pool, sum_pages, items, SIZE, sums, sizeof *sums, LARGE, NULL, RP_FATAL);
	while (again(&rounds))
		rp_pool_map_array(pool, sum_pages, items, SIZE, sums, sizeof *sums, LARGE, NULL, RP_FATAL);
	rp_pool_free(pool);
	for (size_t i = 0; i < LARGE; i++) {
		sum_pages(NULL, items + i * SIZE, &sum);
		if (sums[i] != sum)
			wrong("item", i);
	}
	return median(&rounds) / LARGE;
}

static double fetch(char *items)
{
	struct rp_pool *pool = far_pool();
	struct rounds rounds = { 0 };
	uint64_t in[LARGE];

	for (uint64_t i = 0; i < LARGE; i++)
		in[i] = i * i;
	memset(items, 1, LARGE * SIZE);
	rp_pool_map_array(pool, mark_pages, in, sizeof *in, items, SIZE, LARGE, NULL, RP_FATAL);
	while (again(&rounds))
		rp_pool_map_array(pool, mark_pages, in, sizeof *in, items, SIZE, LARGE, NULL, RP_FATAL);
	rp_pool_free(pool);
	for (size_t i = 0; i < LARGE; i++)
		for (size_t at = 0; at < SIZE; at += PAGE)
			if (*(uint64_t *)(void *)(items + i * SIZE + at) != in[i] + at + i)
				wrong("result", i);
	return median(&rounds) / LARGE;
}

static double in_plain(void)
{
	return bring(need(malloc(LARGE * SIZE)));
}

static double in_arena(void)
{
	return bring(need(rp_alloc(LARGE * SIZE)));
}

static double out_plain(void)
{
	return fetch(need(malloc(LARGE * SIZE)));
}

static double out_arena(void)
{
	return fetch(need(rp_alloc(LARGE * SIZE)));
}

/* ---- nothing ---------------------------------------------------------------------------------------------- */

static double idle(void)
{
	struct rp_pool *pool = far_pool();
	double ns;

	apply(pool);
	ns = used_by_idle(pool, IDLE_REST, IDLE_SECONDS);
	rp_pool_free(pool);
	return ns;
}

static const struct {
	const char *name;
	double (*measure)(void);
} measures[] = {
	{ "map", map_squares },  { "apply", apply_one },  { "submit", submit_many },  { "in", in_plain },
	{ "in-arena", in_arena }, { "out", out_plain },   { "out-arena", out_arena }, { "idle", idle },
};

int main(int argc, char **argv)
{
	double (*measure)(void) = NULL;

	for (size_t i = 0; argc == 2 && i < sizeof measures / sizeof *measures; i++)
		if (strcmp(argv[1], measures[i].name) == 0)
			measure = measures[i].measure;
	if (!measure) {
		fprintf(stderr, "usage: mpirun nodes map|apply|submit|in|in-arena|out|out-arena|idle\n");
		return 2;
	}
	rp_init(&argc, &argv, RP_FATAL);
	printf("%.3f\n", measure());
	fflush(stdout);
	rp_finalize();
	return 0;
}
