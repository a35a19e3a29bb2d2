/* SPDX-License-Identifier: BSD-3-Clause */
/* agent.c - a node's serve loop: messages of the manager on one side, crews in shared memory on the other.
 *
 * One thread, which nothing but the opening of a pool holds up.  The workers tell of their ends by a futex, the manager by
 * messages that have to be polled for; so the agent polls hot for some microseconds after anything has happened and then
 * naps on the futex, ever longer: it has no CPU of its own. */
#include "agent_inner.h"

#include "clock.h"
#include "supervise.h"
#include "supervisor.h"
#include "wait.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOOK INT64_C(100000000)                 /* ns between looks for what nobody tells of */
#define HOT INT64_C(50000)                      /* ns after something has happened */
#define NAP_FIRST INT64_C(20000)
#define NAP_BUSY INT64_C(1000000)               /* at most, while there is work or was */
#define NAP_IDLE INT64_C(20000000)
#define WARM INT64_C(1000000000)                /* ns for which it counts as work that there was some */
#define GRACE INT64_C(1000000000)               /* processes', from SIGTERM to SIGKILL and from that to their end */

_Static_assert(sizeof(union wire_any) <= LINK_HEADER, "each message's header can be sent");
_Static_assert(SUPERVISE_SILENCE > LINK_LOST, "an agent that runs finds out by itself");

static void end(struct agent *agent, struct letter *letter)
{
	(void)letter;
	agent->ending = clock_now();
	for (struct agent_pool *pool = agent->pools; pool; pool = pool->next)
		agent_pool_kill(agent, pool);
	agent_processes_signal(agent, SIGTERM);
}

static const struct kind {
	void (*take)(struct agent *agent, struct letter *letter);
	size_t size;                            /* of the header */
} kinds[] = {
	[WIRE_END] = { end, sizeof(struct wire) },
	[WIRE_FUNCTION] = { agent_learn, sizeof(struct wire_function) },
	[WIRE_PLAN] = { agent_plan, sizeof(struct wire_pool) },
	[WIRE_OPEN] = { agent_open, sizeof(struct wire_pool) },
	[WIRE_INFO] = { agent_info, sizeof(struct wire_info) },
	[WIRE_STOP] = { agent_stop, sizeof(struct wire_stop) },
	[WIRE_MAP] = { agent_map, sizeof(struct wire_map) },
	[WIRE_BATCH] = { agent_batch, sizeof(struct wire_batch) },
	[WIRE_TAKE] = { agent_take, sizeof(struct wire_take) },
	[WIRE_MAP_END] = { agent_map_end, sizeof(struct wire) },
	[WIRE_TASK] = { agent_task, sizeof(struct wire_task) },
	[WIRE_RECALL] = { agent_recall, sizeof(struct wire_recall) },
	[WIRE_DROP] = { agent_drop, sizeof(struct wire_recall) },
	[WIRE_START] = { agent_start, sizeof(struct wire_start) },
	[WIRE_SIGNAL] = { agent_signal, sizeof(struct wire_signal) },
	[WIRE_FORGET] = { agent_forget, sizeof(struct wire) },
};

/* NULL for what is no message of the manager's. */
static const struct kind *kind_of(const void *header, size_t size)
{
	struct wire wire;

	if (size < sizeof wire)
		return NULL;
	memcpy(&wire, header, sizeof wire);
	if (wire.kind >= sizeof kinds / sizeof *kinds || !kinds[wire.kind].take || size < kinds[wire.kind].size)
		return NULL;
	return &kinds[wire.kind];
}

/* All parts are received where workers could read them; what is not kept goes at once. */
static void begin(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into)
{
	struct agent *agent = user;
	int wanted = kind_of(header, size) && parts <= LINK_PARTS;

	(void)node;
	for (int i = 0; i < parts; i++)
		into[i] = wanted && sizes[i] ? arena_alloc(agent->arena, ARENA_MANAGER, sizes[i]) : NULL;
}

/* Two ends that do not understand each other cannot go on. */
static void take(void *user, int node, const void *header, size_t size, void *const *into, const size_t *sizes, int parts)
{
	const struct kind *kind = kind_of(header, size);
	struct agent *agent = user;
	struct letter letter = { 0 };
	union wire_any says;

	(void)node;
	if (!kind || parts > LINK_PARTS) {
		agent->lost = 1;
		return;
	}
	memcpy(&says, header, kind->size);
	letter.says = &says;
	for (int i = 0; i < parts; i++) {
		letter.part[i] = into[i];
		letter.size[i] = sizes[i];
		if (!into[i])
			letter.missing += sizes[i];
	}
	kind->take(agent, &letter);
	for (int i = 0; i < parts; i++)
		arena_drop(agent->arena, letter.part[i]);
}

/* ---- looking ---------------------------------------------------------------------------------------------- */

static void look_at_manager(struct agent *agent, int64_t now)
{
	int64_t heard = link_heard(agent->link, 0);

	if (now - heard > LINK_LOST)
		agent->lost = 1;
	else
		supervisor_pulse(agent->supervisor, heard);
}

static void look_at_supervisor(struct agent *agent)
{
	if (supervisor_lives(agent->supervisor))
		return;
	for (struct agent_pool *pool = agent->pools; pool; pool = pool->next)
		if (atomic_load(&pool->crew->stop) <= CREW_CLOSES || !crew_is_empty(pool->crew))
			agent_pool_orphan(pool);
}

/* How many things have happened. */
static int look(struct agent *agent)
{
	int64_t now = clock_now();
	int always = now - agent->looked >= LOOK, happened = 0;
	struct agent_pool *next;

	if (always) {
		look_at_manager(agent, now);
		look_at_supervisor(agent);
		happened += agent_processes_look(agent);
		agent->looked = now;
	}
	for (struct agent_pool *pool = agent->pools; pool; pool = next) {
		next = pool->next;
		happened += agent_pool_look(agent, pool, always);
	}
	return happened;
}

/* ---- waiting ---------------------------------------------------------------------------------------------- */

static int has_work(const struct agent_pool *pool)
{
	return agent_batches_left(pool) || agent_tasks_left(pool) || pool->let_go || pool->kill || pool->freeing;
}

/* Until one of the crew's workers tells of an end that was not yet looked at. */
static void nap_on(struct agent_pool *pool, int64_t nap)
{
	struct crew *crew = pool->crew;

	atomic_fetch_add(&crew->waiting, 1);
	wait_on(&crew->ended, pool->seen, clock_now() + nap);
	atomic_fetch_sub(&crew->waiting, 1);
}

static void rest(struct agent *agent)
{
	struct agent_pool *busy = NULL;
	int64_t now = clock_now(), most;

	if (link_busy(agent->link) || now - agent->worked < HOT) {
		sched_yield();
		return;
	}
	for (struct agent_pool *pool = agent->pools; pool && !busy; pool = pool->next)
		if (has_work(pool))
			busy = pool;
	most = busy || agent->ending || now - agent->worked < WARM ? NAP_BUSY : NAP_IDLE;
	agent->nap = agent->nap * 2 < NAP_FIRST ? NAP_FIRST : agent->nap * 2;
	if (agent->nap > most)
		agent->nap = most;
	if (busy)
		nap_on(busy, agent->nap);
	else
		agent_processes_rest(agent, agent->nap);
	/* System calls that ask are made as often as one naps, not as often as one spins. */
	if (agent_processes_look(agent))
		agent->worked = clock_now();
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

/* 1: everything has ended, or had its time. */
static int has_ended(struct agent *agent)
{
	int64_t since = clock_now() - agent->ending;

	if (agent->processes && since < 2 * GRACE) {
		if (since >= GRACE)
			agent_processes_signal(agent, SIGKILL);
		return 0;
	}
	for (const struct agent_pool *pool = agent->pools; pool; pool = pool->next)
		if (!crew_is_empty(pool->crew) && since < 2 * GRACE)
			return 0;
	return 1;
}

/* What the link has borrowed it gives back first, while there is an arena. */
static void lose(struct agent *agent)
{
	link_lose(agent->link, 0);
	for (struct agent_pool *pool = agent->pools; pool; pool = pool->next)
		agent_pool_kill(agent, pool);
}

int agent_serve(struct link *link, struct supervisor *supervisor, struct arena *arena)
{
	struct agent agent = { .link = link, .supervisor = supervisor, .arena = arena, .looked = clock_now() };
	const struct link_receiver receiver = { begin, take, &agent };

	while (!agent.lost && !(agent.ending && has_ended(&agent))) {
		int happened = link_poll(link, &receiver);

		happened += look(&agent);
		if (happened) {
			agent.worked = clock_now();
			agent.nap = 0;
		} else {
			rest(&agent);
		}
	}
	if (agent.lost)
		lose(&agent);
	supervisor_pulse(supervisor, 0);
	agent_processes_free(&agent);
	while (agent.pools)
		agent_pool_free(&agent, agent.pools);
	free(agent.functions);
	return agent.lost ? -ENOLINK : 0;
}
