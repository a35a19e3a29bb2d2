/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_map.c - a function mapped over inputs by a pool of worker processes, one on each core.
 * Prints the squares 1 4 9 16 25, a line each: results have the order of their inputs. */
#include "rankpool.h"

#include <stdio.h>

static int process_task(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const double *input = in;
	double *result = out;

	*result = *input * *input;
	return 0;
}

int main(void)
{
	struct rp_pool *pool;
	double inputs[5] = { 1, 2, 3, 4, 5 }, results[5];

	rp_pool_new(&pool, NULL, RP_FATAL);
	rp_pool_map(pool, process_task, inputs, results, 5, NULL, RP_FATAL);
	rp_pool_close(pool);
	rp_pool_join(pool, RP_FOREVER);

	for (int i = 0; i < 5; i++)
		printf("%g\n", results[i]);
	rp_pool_free(pool);
	return 0;
}
