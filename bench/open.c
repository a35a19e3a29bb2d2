/* SPDX-License-Identifier: BSD-3-Clause */
/* open.c - nanoseconds from nothing to the first result of a pool of one worker per core, and those of hwloc's own load.
 * Both are a process's first: a measurement is one run. */
#include "measure.h"

#include <hwloc.h>

static int answer(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out)
{
	*(int *)out = 42;
	return 0;
}

double open_pool(void)
{
	struct rp_pool *pool;
	double begin = now(), end;
	int result = 0;

	rp_pool_new(&pool, NULL, RP_FATAL);
	rp_pool_apply(pool, answer, NULL, 0, &result, sizeof result, RP_FATAL);
	end = now();
	rp_pool_free(pool);
	if (result != 42)
		exit(1);
	return end - begin;
}

double open_hwloc(void)
{
	hwloc_topology_t topology;
	double begin = now(), end;

	if (hwloc_topology_init(&topology) < 0 || hwloc_topology_load(topology) < 0)
		die("hwloc");
	end = now();
	hwloc_topology_destroy(topology);
	return end - begin;
}
