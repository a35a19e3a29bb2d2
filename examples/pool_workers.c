/* SPDX-License-Identifier: BSD-3-Clause */
/* pool_workers.c - what a pool is for: it shares work out among its workers, one pinned to each core, as each gets done.
 * Prints "41538 primes below 500000", then a line for each worker: "rank 0 on CPUs 0 counted 27 ranges".  Who did how
 * many differs from run to run; together it is 50.  An item may be any struct. */
#include "rankpool.h"

#include <stdio.h>

struct range {
	int first, end;
};

static int count_primes(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const struct range *range = in;
	int *primes = out;

	*primes = 0;
	for (int n = range->first; n < range->end; n++) {
		int divisor = 2;

		while (divisor * divisor <= n && n % divisor)
			divisor++;
		*primes += n >= 2 && divisor * divisor > n;
	}
	return 0;
}

int main(void)
{
	struct rp_pool *pool;
	struct rp_worker_info worker;
	struct range ranges[50];
	int primes[50], sum = 0;

	for (int i = 0; i < 50; i++)
		ranges[i] = (struct range){ i * 10000, (i + 1) * 10000 };

	rp_pool_new(&pool, NULL, RP_FATAL);
	rp_pool_map(pool, count_primes, ranges, primes, 50, NULL, RP_FATAL);

	for (int i = 0; i < 50; i++)
		sum += primes[i];
	printf("%d primes below 500000\n", sum);
	for (int rank = 0; rp_pool_worker(pool, rank, &worker) == 0; rank++)
		printf("rank %d on CPUs %s counted %d ranges\n", rank, worker.cpus, (int)worker.tasks);
	rp_pool_free(pool);
	return 0;
}
