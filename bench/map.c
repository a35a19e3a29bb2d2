/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - nanoseconds per item of a map of 10^7 squares, warm.  OpenMP's side is openmp.c. */
#include "measure.h"

enum { ITEMS = 10000000, CHECK_STEP = 997 };

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const uint64_t *x = in;
	uint64_t *y = out;

	*y = *x * *x;
	return 0;
}

static void fill(uint64_t *in, uint64_t *out)
{
	for (uint64_t i = 0; i < ITEMS; i++) {
		in[i] = i;
		out[i] = 0;
	}
}

static void check(const uint64_t *out)
{
	for (uint64_t i = 0; i < ITEMS; i += CHECK_STEP)
		if (out[i] != i * i) {
			fprintf(stderr, "item %llu is wrong\n", (unsigned long long)i);
			exit(1);
		}
}

static double map(const struct rp_pool_options *options, size_t chunk, uint64_t *in, uint64_t *out)
{
	struct rp_pool *pool;
	struct rounds rounds = { 0 };

	rp_pool_new(&pool, options, RP_FATAL);
	rp_pool_map(pool, square, in, out, ITEMS, RP_MAP(.chunk = chunk), RP_FATAL);
	while (again(&rounds))
		rp_pool_map(pool, square, in, out, ITEMS, RP_MAP(.chunk = chunk), RP_FATAL);
	rp_pool_free(pool);
	check(out);
	return median(&rounds) / ITEMS;
}

static double map_in_memory(const struct rp_pool_options *options, size_t chunk)
{
	uint64_t *in = need(malloc(ITEMS * sizeof *in)), *out = need(malloc(ITEMS * sizeof *out));
	double ns;

	fill(in, out);
	ns = map(options, chunk, in, out);
	free(in);
	free(out);
	return ns;
}

double map_chunk1(void)
{
	return map_in_memory(NULL, 1);
}

double map_plain(void)
{
	return map_in_memory(NULL, 0);
}

double map_threads(void)
{
	return map_in_memory(RP_POOL(.kind = RP_THREADS), 1);
}

double map_arena(void)
{
	uint64_t *in, *out;
	double ns;

	rp_init(NULL, NULL, RP_FATAL);
	in = need(rp_alloc(ITEMS * sizeof *in));
	out = need(rp_alloc(ITEMS * sizeof *out));
	fill(in, out);
	ns = map(NULL, 0, in, out);
	rp_free(in);
	rp_free(out);
	rp_finalize();
	return ns;
}

/* Not inlined, so that no round is dropped as unused. */
__attribute__((noinline)) static void loop(const uint64_t *in, uint64_t *out)
{
	for (size_t i = 0; i < ITEMS; i++)
		out[i] = in[i] * in[i];
}

double map_loop(void)
{
	uint64_t *in = need(malloc(ITEMS * sizeof *in)), *out = need(malloc(ITEMS * sizeof *out));
	struct rounds rounds = { 0 };

	fill(in, out);
	loop(in, out);
	while (again(&rounds))
		loop(in, out);
	check(out);
	free(in);
	free(out);
	return median(&rounds) / ITEMS;
}
