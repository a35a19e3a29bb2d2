/* SPDX-License-Identifier: BSD-3-Clause */
/* four_numbers.c - four worker processes print a number each; what they return arrives in order.
 * Prints 1 2 3 4, a line each, in any order; then once more, in this one. */
#include "rankpool.h"

#include <stdio.h>

static int process_task(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	printf("%d\n", *(const int *)in);
	*(int *)out = *(const int *)in;
	return 0;
}

int main(void)
{
	struct rp_pool *pool;
	int inputs[4] = { 1, 2, 3, 4 }, results[4];

	rp_pool_new(&pool, RP_POOL(.workers = 4), RP_FATAL);
	rp_pool_map(pool, process_task, inputs, results, 4, NULL, RP_FATAL);
	rp_pool_close(pool);
	rp_pool_join(pool, RP_FOREVER);

	for (int i = 0; i < 4; i++)
		printf("%d\n", results[i]);
	rp_pool_free(pool);
	return 0;
}
