/* SPDX-License-Identifier: BSD-3-Clause */
/* idle.c - nanoseconds of CPU that an idle pool takes in a second: manager, supervisor and workers together. */
#include "cpu.h"

enum { SECONDS = 2 };

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in * *(const int *)in;
	return 0;
}

static double idle(const struct rp_pool_options *options)
{
	struct rp_pool *pool;
	int in[1000], out[1000];
	double ns;

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	rp_pool_new(&pool, options, RP_FATAL);
	rp_pool_map(pool, square, in, out, 1000, NULL, RP_FATAL);
	ns = used_by_idle(pool, 0, SECONDS);
	rp_pool_free(pool);
	return ns;
}

double idle_processes(void)
{
	return idle(NULL);
}

double idle_threads(void)
{
	return idle(RP_POOL(.kind = RP_THREADS));
}
