/* SPDX-License-Identifier: BSD-3-Clause */
/* spread.c - how many of a pool's workers each node gets. */
#include "spread.h"

#include "hub.h"
#include "topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int spread_message(struct wire_pool *ret, struct rp_bytes *ret_strings, const struct rp_pool_options *o)
{
	const char *cpus = o->cpus ? o->cpus : "", *bind = o->bind ? o->bind : "";
	size_t first = strlen(cpus) + 1, second = strlen(bind) + 1;
	char *strings = malloc(first + second);

	if (!strings)
		return -ENOMEM;
	memcpy(strings, cpus, first);
	memcpy(strings + first, bind, second);
	*ret_strings = (struct rp_bytes){ strings, first + second };
	*ret = (struct wire_pool){
		.wire = { .kind = WIRE_PLAN }, .cpus_per_worker = o->cpus_per_worker, .flags = o->flags,
		.max_tasks = o->max_tasks, .has_init_arg = o->init_arg != NULL,
	};
	return 0;
}

/* Asks other nodes; workers[i] is how many, 0: as many as fit. */
static struct hub_call *ask_all(struct hub *hub, const struct rp_pool_options *o, const uint32_t *workers, int only_some)
{
	int nodes = hub_nodes(hub);
	struct hub_call *calls = calloc((size_t)nodes, sizeof *calls);
	struct wire_pool message;
	struct rp_bytes strings = { 0 };
	uint32_t first = workers[0];

	if (!calls || spread_message(&message, &strings, o) < 0) {
		free(calls);
		return NULL;
	}
	for (int i = 1; i < nodes; i++) {
		message.workers = workers[i];
		message.first_rank = first;
		first += workers[i];
		if (workers[i] || !only_some)
			hub_ask(hub, &calls[i], i, &message, sizeof message, &strings, 1);
	}
	for (int i = 1; i < nodes; i++)
		if (workers[i] || !only_some)
			hub_await(&calls[i]);
	free((void *)(uintptr_t)strings.data);
	return calls;
}

static int fail(const struct hub *hub, int node, const struct hub_call *call, struct rp_error *err)
{
	return error_set(err, (int)call->answer.result, "node %d (%s): %.400s", node, hub_node(hub, node)->host,
	                 call->answer.text);
}

static int fit_here(const struct rp_pool_options *o, struct rp_error *err)
{
	struct rp_error e = { .code = -EIO };
	const struct topology *topology = topology_here(&e);
	struct rp_pool_options alone = *o;
	struct place *places = NULL;
	int count;

	if (!topology)
		return error_set(err, e.code, "%s", e.text);
	alone.workers = 0;
	count = topology_plan(topology, &alone, &places, err);
	free(places);
	return count;
}

/* How many fit on each node by themselves. */
static int capacities(struct hub *hub, const struct rp_pool_options *o, uint32_t *ret, struct rp_error *err)
{
	int nodes = hub_nodes(hub), several = 0, r = fit_here(o, err);
	struct hub_call *calls;

	memset(ret, 0, (size_t)nodes * sizeof *ret);
	if (r < 0)
		return r;
	calls = ask_all(hub, o, ret, 0);
	if (!calls)
		return error_set(err, -ENOMEM, "out of memory");
	ret[0] = (uint32_t)r;
	for (int i = 0; i < nodes; i++) {
		if (i && calls[i].answer.result < 0 && r >= 0)
			r = fail(hub, i, &calls[i], err);
		else if (i)
			ret[i] = (uint32_t)calls[i].answer.result;
		free(calls[i].answer.data);
		several |= hub_node(hub, i)->ranks > 1;
	}
	free(calls);
	/* mpirun has been told slots, also where that is one. */
	for (int i = 0; several && i < nodes; i++)
		ret[i] = (uint32_t)hub_node(hub, i)->ranks;
	if (getenv("RANKPOOL_MANAGER_ONLY") && nodes > 1)
		ret[0] = 0;
	return r < 0 ? r : 0;
}

static int check_counts(const struct rp_pool_options *o, struct rp_error *err)
{
	if (o->workers && o->workers_per_node)
		return error_set(err, -EINVAL, "workers = %u and workers_per_node = %u contradict each other", o->workers,
		                 o->workers_per_node);
	if (o->workers > INT32_MAX)
		return error_set(err, -EINVAL, "workers: %d is negative", (int)o->workers);
	return 0;
}

/* Largest remainders: what is left over goes one each to the nodes that were cut the most, the lower of equals. */
static void share_out(uint32_t workers, const uint32_t *fits, uint32_t *ret, int nodes)
{
	uint64_t all = 0, given = 0;

	for (int i = 0; i < nodes; i++)
		all += fits[i];
	for (int i = 0; i < nodes; i++) {
		ret[i] = (uint32_t)((uint64_t)workers * fits[i] / all);
		given += ret[i];
	}
	for (; given < workers; given++) {
		int best = -1;
		double most = -1;

		for (int i = 0; i < nodes; i++) {
			double cut = (double)workers * fits[i] / (double)all - ret[i];

			if (fits[i] && cut > most + 1e-9) {
				most = cut;
				best = i;
			}
		}
		ret[best]++;
	}
}

int64_t spread(struct hub *hub, const struct rp_pool_options *o, uint32_t *workers, struct rp_error *err)
{
	int nodes = hub_nodes(hub), r = check_counts(o, err);
	uint32_t *fits = r < 0 ? NULL : calloc((size_t)nodes, sizeof *fits);
	int64_t sum = 0;

	if (!fits)
		return r < 0 ? r : error_set(err, -ENOMEM, "out of memory");
	r = capacities(hub, o, fits, err);
	for (int i = 0; i < nodes; i++)
		workers[i] = !o->workers_per_node ? fits[i] : fits[i] ? o->workers_per_node : 0;
	if (r == 0 && o->workers)
		share_out(o->workers, fits, workers, nodes);
	for (int i = 0; i < nodes; i++)
		sum += workers[i];
	free(fits);
	return r < 0 ? r : sum;
}

int spread_infos(struct hub *hub, const struct rp_pool_options *o, const uint32_t *workers, struct rp_worker_info *infos,
                 struct rp_error *err)
{
	struct hub_call *calls = ask_all(hub, o, workers, 1);
	int r = 0;

	if (!calls)
		return error_set(err, -ENOMEM, "out of memory");
	infos += workers[0];
	for (int i = 1; i < hub_nodes(hub); i++) {
		if (!workers[i])
			continue;
		if (calls[i].answer.result < 0 && r == 0)
			r = fail(hub, i, &calls[i], err);
		else if (calls[i].answer.size == workers[i] * sizeof *infos)
			memcpy(infos, calls[i].answer.data, calls[i].answer.size);
		else if (r == 0)
			r = error_set(err, -EPROTO, "node %d (%s): an answer of a wrong size", i, hub_node(hub, i)->host);
		free(calls[i].answer.data);
		infos += workers[i];
	}
	free(calls);
	return r;
}
