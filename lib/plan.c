/* SPDX-License-Identifier: BSD-3-Clause */
/* plan.c - what a pool would find, told without making one. */
#include "context.h"
#include "hub.h"
#include "pool.h"
#include "runtime.h"
#include "spread.h"
#include "topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int plan_one(const struct rp_pool_options *o, const char *topology, struct rp_worker_info *infos, size_t count,
                    struct rp_error *err)
{
	struct topology *elsewhere = NULL;
	const struct topology *t;
	struct place *places = NULL;
	int e;

	if (topology) {
		e = topology_load(&elsewhere, topology, NULL, err);
		t = elsewhere;
	} else {
		struct rp_error why;

		t = topology_here(&why);
		e = t ? 0 : error_set(err, why.code, "%s", why.text);
	}
	if (e == 0)
		e = topology_plan(t, o, &places, err);
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
/* The workers of all nodes, into a room that is large enough. */
static int fill_nodes(struct hub *hub, const struct rp_pool_options *o, const uint32_t *workers,
                      struct rp_worker_info *infos, struct rp_error *err)
{
	struct rp_pool_options here = *o;
	int e = 0;

	here.workers = workers[0];
	here.workers_per_node = 0;
	if (here.workers)
		e = plan_one(&here, NULL, infos, here.workers, err);
	return e < 0 ? e : spread_infos(hub, o, workers, infos, err);
}

static int plan_nodes(struct hub *hub, const struct rp_pool_options *o, struct rp_worker_info *infos, size_t count,
                      struct rp_error *err)
{
	uint32_t *workers = calloc((size_t)hub_nodes(hub), sizeof *workers);
	struct rp_worker_info *all = NULL;
	int64_t sum = workers ? spread(hub, o, workers, err) : error_set(err, -ENOMEM, "out of memory");
	int e = sum < 0 ? (int)sum : 0;

	if (e == 0 && count) {
		all = calloc((size_t)sum + 1, sizeof *all);
		e = all ? fill_nodes(hub, o, workers, all, err) : error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; e == 0 && i < count && i < (size_t)sum; i++)
		infos[i] = all[i];
	free(all);
	free(workers);
	return e < 0 ? e : (int)sum;
}

int rp_pool_plan(const struct rp_pool_options *options, const char *topology, struct rp_worker_info *infos, size_t count,
                 struct rp_error *err)
{
	struct rp_pool_options o;
	struct hub *hub = runtime_hub();
	int e = pool_import(&o, options, "rp_pool_plan", err);

	if (e < 0)
		return e;
	if (!infos && count)
		return error_set(err, -EINVAL, "rp_pool_plan: room for %zu infos at NULL", count);
	if (!topology && hub && o.kind == RP_PROCESSES && !(o.flags & RP_LOCAL))
		return plan_nodes(hub, &o, infos, count, err);
	if (!topology && !o.workers && !o.workers_per_node)
		o.workers = pool_ranks_here();
	return plan_one(&o, topology, infos, count, err);
}

/* Hardware threads in the calling thread's affinity mask and in every cgroup cpuset, at most the cgroup quota rounded up. */
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

int rp_node_count(void)
{
	struct hub *hub = runtime_hub();

	return hub ? hub_nodes(hub) : 1;
}
