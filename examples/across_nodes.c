/* SPDX-License-Identifier: BSD-3-Clause */
/* across_nodes.c - one program for a laptop, for mpirun and for a batch job: only rp_init makes the difference.
 * Prints "the longest chain below 2000000 begins with 1723519 and has 556 steps", then a line for each node: "node 0 (name)
 * did 27 of 200 ranges".  Under mpirun rank 0 comes back from rp_init, every other rank works for it:
 *
 *	./across_nodes
 *	mpirun --host a,b,c --map-by ppr:1:node ./across_nodes */
#include "rankpool.h"

#include <stdio.h>
#include <stdlib.h>

#define RANGES 200
#define EACH 10000

struct chain {
	long start;
	int steps;
};

static int longest(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	long first = *(const int *)in * (long)EACH;
	struct chain *best = out;

	*best = (struct chain){ 0 };
	for (long start = first > 0 ? first : 1; start < first + EACH; start++) {
		int steps = 0;

		for (long n = start; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
			steps++;
		if (steps > best->steps)
			*best = (struct chain){ start, steps };
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct rp_outcome outcomes[RANGES];
	struct chain chains[RANGES], best = { 0 };
	int ranges[RANGES], *done;
	struct rp_worker_info worker;
	struct rp_pool *pool;

	rp_init(&argc, &argv, RP_FATAL);
	rp_pool_new(&pool, NULL, RP_FATAL);
	for (int i = 0; i < RANGES; i++)
		ranges[i] = i;
	rp_pool_map(pool, longest, ranges, chains, RANGES, RP_MAP(.outcomes = outcomes), RP_FATAL);

	done = calloc((size_t)rp_node_count(), sizeof *done);
	for (int i = 0; i < RANGES; i++) {
		done[outcomes[i].node]++;
		if (chains[i].steps > best.steps)
			best = chains[i];
	}
	printf("the longest chain below %d begins with %ld and has %d steps\n", RANGES * EACH, best.start, best.steps);
	for (int rank = 0; rp_pool_worker(pool, rank, &worker) == 0; rank++)
		if (worker.local_rank == 0)
			printf("node %d (%s) did %d of %d ranges\n", worker.node, worker.host, done[worker.node], RANGES);
	free(done);
	rp_pool_free(pool);
	rp_finalize();
	return 0;
}
