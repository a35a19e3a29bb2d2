/* SPDX-License-Identifier: BSD-3-Clause */
/* monte_carlo_pi.c [WORKERS] - random points in a square; the share that falls in the circle tells pi.
 * Prints "pi is about 3.14..." from 10 million points: the same digits for any number of workers, as the random numbers of
 * an item follow from the map's seed and the item's index alone. */
#include "rankpool.h"

#include <stdio.h>
#include <stdlib.h>

enum { ITEMS = 100, POINTS = 100000 };

/* The generator splitmix64, as a number in [0, 1). */
static double next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int throw_points(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	uint64_t state = rp_task_seed(task);
	int hits = 0;

	for (int i = 0; i < POINTS; i++) {
		double x = next(&state), y = next(&state);

		hits += x * x + y * y < 1;
	}
	*(int *)out = hits;
	return 0;
}

int main(int argc, char **argv)
{
	struct rp_pool *pool;
	int hits[ITEMS];
	double sum = 0;

	rp_init(&argc, &argv, RP_FATAL);
	rp_pool_new(&pool, RP_POOL(.workers = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0), RP_FATAL);
	rp_pool_map(pool, throw_points, NULL, hits, ITEMS, RP_MAP(.seed = 2024), RP_FATAL);
	rp_pool_free(pool);

	for (int i = 0; i < ITEMS; i++)
		sum += hits[i];
	printf("pi is about %.9f\n", 4 * sum / ((double)ITEMS * POINTS));
	rp_finalize();
	return 0;
}
