/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_pool.c - crews of this node: planning, opening and ending them. */
#include "agent_inner.h"

#include "clock.h"
#include "supervisor.h"
#include "topology.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPLAIN INT64_C(100000000)              /* ns that who breaks a crew gets to write down why */

struct agent_pool *agent_pool(const struct agent *agent, uint64_t id)
{
	struct agent_pool *pool = agent->pools;

	while (pool && pool->id != id)
		pool = pool->next;
	return pool;
}

int agent_pool_is_over(const struct agent_pool *pool)
{
	return atomic_load(&pool->crew->stop) > CREW_CLOSES;
}

/* ---- plan and open ---------------------------------------------------------------------------------------- */

static const char *string_or_null(const char *string)
{
	return *string ? string : NULL;
}

static int read_options(const struct agent *agent, const struct letter *letter, struct rp_pool_options *ret,
                        struct rp_error *err)
{
	const struct wire_pool *says = &letter->says->pool;
	const char *cpus = letter->part[0], *bind = cpus ? memchr(cpus, 0, letter->size[0]) : NULL;

	if (letter->missing)
		return error_set(err, -ENOMEM, "no memory for %zu bytes", letter->missing);
	bind = bind ? bind + 1 : NULL;
	if (!bind || !memchr(bind, 0, letter->size[0] - (size_t)(bind - cpus)))
		return error_set(err, -EPROTO, "a pool without its strings");
	*ret = *RP_POOL(.workers = says->workers, .cpus = string_or_null(cpus), .bind = string_or_null(bind),
	                .cpus_per_worker = says->cpus_per_worker, .flags = says->flags, .max_tasks = says->max_tasks,
	                .init = (rp_task_fn *)(uintptr_t)agent_function(agent, says->init),
	                .exit = (rp_task_fn *)(uintptr_t)agent_function(agent, says->exit));
	if ((says->init && !ret->init) || (says->exit && !ret->exit))
		return error_set(err, -EPROTO, "a pool with a function that was never named");
	return 0;
}

static int make_places(const struct rp_pool_options *o, struct place **ret, uint32_t *ret_spinners, struct rp_error *err)
{
	struct topology *topology = topology_here(err);
	int cpus;

	if (!topology)
		return -EIO;
	/* Idle workers may spin on all CPUs but one, which is the agent's. */
	cpus = topology_usable(topology);
	*ret_spinners = cpus > 1 ? (uint32_t)cpus - 1 : 0;
	return topology_plan(topology, o, ret, err);
}

void agent_plan(struct agent *agent, struct letter *letter)
{
	const struct wire_pool *says = &letter->says->pool;
	struct rp_worker_info *infos = NULL;
	struct rp_error err = { .text = "" };
	struct rp_pool_options o;
	struct place *places = NULL;
	uint32_t spinners = 0;
	int r = read_options(agent, letter, &o, &err);

	if (r == 0)
		r = make_places(&o, &places, &spinners, &err);
	if (r > 0)
		infos = calloc((size_t)r, sizeof *infos);
	if (r > 0 && !infos)
		r = error_set(&err, -ENOMEM, "out of memory");
	for (int i = 0; i < r; i++) {
		topology_info(&places[i], (int)says->first_rank + i, &infos[i]);
		infos[i].node = link_here(agent->link);
		infos[i].local_rank = i;
	}
	free(places);
	if (r < 0)
		agent_reply(agent, &says->wire, r, err.text);
	else
		agent_reply_part(agent, &says->wire, r, infos, (size_t)r * sizeof *infos);
}

static int make_crew(struct agent *agent, const struct letter *letter, struct crew **ret, struct rp_error *err)
{
	const struct wire_pool *says = &letter->says->pool;
	struct place *places = NULL;
	struct rp_pool_options o;
	uint32_t spinners = 0;
	int r = read_options(agent, letter, &o, err);

	if (r == 0)
		r = make_places(&o, &places, &spinners, err);
	if (r > 0)
		r = crew_new(ret, agent->arena, places, (uint32_t)r, RP_PROCESSES, err);
	free(places);
	if (r < 0)
		return r;
	(*ret)->spinners = spinners;
	(*ret)->first_rank = says->first_rank;
	(*ret)->node = (uint32_t)link_here(agent->link);
	(*ret)->size_all = says->size;
	(*ret)->init = o.init;
	(*ret)->exit = o.exit;
	(*ret)->max_tasks = o.max_tasks;
	if (says->has_init_arg) {
		(*ret)->init_arg = letter->part[1];
		(*ret)->init_arg_size = letter->size[1];
	}
	return 0;
}

void agent_open(struct agent *agent, struct letter *letter)
{
	const struct wire *wire = &letter->says->wire;
	struct agent_pool *pool = calloc(1, sizeof *pool);
	struct rp_worker_info *infos = NULL;
	struct rp_error err = { .text = "" };
	struct crew *crew = NULL;
	int r = pool ? make_crew(agent, letter, &crew, &err) : error_set(&err, -ENOMEM, "out of memory");

	if (r == 0)
		infos = calloc(crew->size, sizeof *infos);
	if (r == 0)
		r = infos ? supervisor_open(agent->supervisor, crew, &err) : error_set(&err, -ENOMEM, "out of memory");
	if (r < 0) {
		crew_free(crew);
		free(infos);
		free(pool);
		agent_reply(agent, wire, r, err.text);
		return;
	}
	pool->id = wire->id;
	pool->crew = crew;
	pool->init_arg = letter->part[1];
	letter->part[1] = NULL;
	pool->next = agent->pools;
	agent->pools = pool;
	for (uint32_t i = 0; i < crew->size; i++)
		worker_info(crew, i, &infos[i]);
	agent_reply_part(agent, wire, crew->size, infos, crew->size * sizeof *infos);
}

void agent_info(struct agent *agent, struct letter *letter)
{
	const struct wire_info *says = &letter->says->info;
	struct agent_pool *pool = agent_pool(agent, says->wire.id);
	struct rp_worker_info *info = NULL;

	if (!pool || says->slot >= pool->crew->size) {
		agent_reply(agent, &says->wire, -EINVAL, "there is no such worker");
		return;
	}
	info = calloc(1, sizeof *info);
	if (!info) {
		agent_reply(agent, &says->wire, -ENOMEM, "out of memory");
		return;
	}
	worker_info(pool->crew, says->slot, info);
	agent_reply_part(agent, &says->wire, 1, info, sizeof *info);
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

void agent_pool_kill(struct agent *agent, struct agent_pool *pool)
{
	struct crew *crew = pool->crew;
	uint32_t now = atomic_load(&crew->stop);

	while (now < CREW_BROKEN && !atomic_compare_exchange_weak(&crew->stop, &now, CREW_TERMINATED))
		;
	crew_ring_all(crew);
	supervisor_kill(agent->supervisor, crew);
	pool->stir = 1;
}

void agent_pool_orphan(struct agent_pool *pool)
{
	crew_break(pool->crew, "the supervisor, which minds the workers on %s, was killed", pool->crew->host);
	if (!crew_is_empty(pool->crew))
		supervisor_bury(pool->crew);
	pool->stir = 1;
}

void agent_stop(struct agent *agent, struct letter *letter)
{
	const struct wire_stop *says = &letter->says->stop;
	struct agent_pool *pool = agent_pool(agent, says->wire.id);

	if (!pool) {
		agent_reply(agent, &says->wire, 0, NULL);
		return;
	}
	pool->stir = 1;
	if (says->how == WIRE_LET_GO) {
		pool->let_go = says->wire.call;
		pool->closing = 1;
		return;
	}
	if (says->how == WIRE_FREE) {
		pool->free = says->wire.call;
		pool->freeing = 1;
	} else {
		pool->kill = says->wire.call;
	}
	agent_pool_kill(agent, pool);
}

static void answer(struct agent *agent, const struct agent_pool *pool, uint32_t *call)
{
	if (*call)
		agent_reply(agent, &(struct wire){ .call = *call, .id = pool->id }, 0, NULL);
	*call = 0;
}

/* Their calls are over when no worker is left. */
static int look_at_end(struct agent *agent, struct agent_pool *pool)
{
	uint32_t runs = CREW_RUNS;

	if (pool->closing && !agent_batches_left(pool) && !agent_tasks_left(pool) &&
	    atomic_compare_exchange_strong(&pool->crew->stop, &runs, CREW_CLOSES))
		crew_ring_all(pool->crew);
	if (!(pool->let_go || pool->kill || pool->freeing) || !crew_is_empty(pool->crew))
		return 0;
	answer(agent, pool, &pool->let_go);
	answer(agent, pool, &pool->kill);
	if (pool->freeing) {
		uint32_t call = pool->free;
		uint64_t id = pool->id;

		agent_pool_free(agent, pool);
		agent_reply(agent, &(struct wire){ .call = call, .id = id }, 0, NULL);
	}
	return 1;
}

/* Who breaks a crew may be killed before it has said why. */
static int look_at_break(struct agent *agent, struct agent_pool *pool)
{
	struct crew *crew = pool->crew;
	struct wire_broken broken = { .wire = { .kind = WIRE_BROKEN, .id = pool->id } };
	int explained;

	if (pool->told || atomic_load(&crew->stop) != CREW_BROKEN)
		return 0;
	explained = atomic_load(&crew->explained) != 0;
	if (!pool->broken)
		pool->broken = clock_now();
	if (!explained && clock_now() - pool->broken < EXPLAIN) {
		pool->stir = 1;
		return 0;
	}
	snprintf(broken.reason, sizeof broken.reason, "%s", explained ? crew->reason : "a worker failed while starting");
	agent_send(agent, &broken, sizeof broken, NULL, 0, NULL, NULL);
	pool->told = 1;
	return 1;
}

int agent_pool_look(struct agent *agent, struct agent_pool *pool, int always)
{
	uint32_t ended = atomic_load(&pool->crew->ended);
	int happened = 0;

	if (!always && !pool->stir && ended == pool->seen)
		return 0;
	pool->seen = ended;
	pool->stir = 0;
	happened += agent_tasks_look(agent, pool, always);
	happened += agent_batches_look(agent, pool);
	happened += look_at_break(agent, pool);
	return happened + look_at_end(agent, pool);
}

void agent_pool_free(struct agent *agent, struct agent_pool *pool)
{
	struct agent_pool **at = &agent->pools;
	struct crew *crew = pool->crew;

	supervisor_close(agent->supervisor, crew);
	if (!crew_is_empty(crew))
		supervisor_bury(crew);
	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
	agent_tasks_free(pool);
	agent_batches_free(pool);
	for (size_t i = 0; i < CREW_TICKETS / CREW_BLOCK; i++)
		arena_drop(agent->arena, crew->tickets[i]);
	arena_drop(agent->arena, crew->ring);
	arena_drop(agent->arena, pool->init_arg);
	crew_free(crew);
	free(pool);
}
