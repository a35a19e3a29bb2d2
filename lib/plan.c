/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c - what a pool would find, told without making one. */
#include "context.h"
#include "options.h"
#include "pool.h"
#include "topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int import(struct rp_pool_options *ret, const struct rp_pool_options *in, struct rp_error *err)
{
	int e = options_import(ret, sizeof *ret, in, sizeof *ret, "rp_pool_plan", err);

	if (e < 0)
		return e;
	if (ret->kind != RP_PROCESSES && ret->kind != RP_THREADS)
		return error_set(err, -EINVAL, "rp_pool_plan: kind %u is neither RP_PROCESSES nor RP_THREADS", ret->kind);
	e = options_flags(ret->flags, RP_LOCAL | RP_INHERIT_BINDING, "rp_pool_plan", err);
	if (e == 0 && !ret->workers && !ret->workers_per_node && !pool_in_task())
		e = options_workers(&ret->workers, "rp_pool_plan", err);
	return e;
}

int rp_pool_plan(const struct rp_pool_options *options, const char *topology, struct rp_worker_info *infos, size_t count,
                 struct rp_error *err)
{
	struct rp_pool_options o;
	struct topology *elsewhere = NULL;
	const struct topology *t;
	struct place *places = NULL;
	int e;

	e = import(&o, options, err);
	if (e < 0)
		return e;
	if (!infos && count)
		return error_set(err, -EINVAL, "rp_pool_plan: room for %zu infos at NULL", count);
	if (topology) {
		e = topology_load(&elsewhere, topology, NULL, err);
		t = elsewhere;
	} else {
		struct rp_error why;

		t = topology_here(&why);
		e = t ? 0 : error_set(err, why.code, "%s", why.text);
	}
	if (e == 0)
		e = topology_plan(t, &o, &places, err);
	for (int i = 0; i < e && (size_t)i < count; i++) {
		topology_info(&places[i], i, &infos[i]);
		if (elsewhere)
			strncpy(infos[i].host, topology_host(elsewhere), sizeof infos[i].host - 1);
	}
	free(places);
	topology_free(elsewhere);
	return e;
}

/* Hardware threads in the calling thread's affinity mask and in every cgroup cpuset, at most the cgroup quota rounded up and
 * the scheduler's grant. */
int rp_cpu_count(void)
{
	struct rp_error err;
	const struct topology *t = topology_here(&err);

	return t ? topology_usable(t) : err.code;
}

double rp_cpu_quota(void)
{
	const struct topology *t = topology_here(NULL);

	return t ? topology_quota(t) : 0;
}

int rp_cpu_grant(const char **scheduler)
{
	const struct topology *t = topology_here(NULL);
	const char *name = "";
	int cpus = t ? (int)topology_grant(t, &name) : 0;

	if (scheduler)
		*scheduler = name;
	return cpus;
}

/* A pool's workers are all on this node as long as no run time spans several. */
int rp_node_count(void)
{
	return 1;
}
