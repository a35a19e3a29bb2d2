/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_inner.h - what the files of the agent share. */
#ifndef RP_LIB_AGENT_INNER_H
#define RP_LIB_AGENT_INNER_H

#include "agent.h"
#include "crew.h"
#include "ticket.h"
#include "wire.h"

/* A message that has come.  Its parts lie in the arena; those that are kept are set to NULL, the others dropped. */
struct letter {
	const union wire_any *says;
	void *part[LINK_PARTS];
	size_t size[LINK_PARTS];
	size_t missing;                         /* bytes of parts for which there was no memory */
};

struct agent_map {
	struct agent_map *next;
	struct agent_pool *pool;
	struct wire_map says;
	rp_task_fn *fn;
	void *arg;
	size_t arg_size;
	size_t missing;                         /* bytes of arg for which there was no memory: nothing can be run */
	uint32_t batches;                       /* that have not ended */
	int over;                               /* nobody waits for these any more */
};

/* Items that came together: one job of the crew, and one result. */
struct agent_batch {
	struct agent_batch *next;               /* in the pool's queue */
	struct agent_map *map;
	struct arena *arena;
	struct wire_batch says;
	uint32_t left; /* its first items, all that are here; others were given back before it was opened */
	uint64_t serial;                        /* of its job */
	int given;                              /* some of its items were given back */
	int shut;                               /* nobody may enter the job any more */
	void *made[8];                          /* in the arena, dropped with it */
	int made_count;
	void *in_parts[2];
	size_t in_sizes[2];
	struct rp_bytes *in_bytes;
	char *out;
	struct rp_bytes *results;
	_Atomic uint8_t *states;
	int32_t *ranks;
	uint64_t *sizes;                        /* of results of any size, once it has ended */
	void *notes;                            /* as they are sent, malloc'ed */
};

/* One crew. */
struct agent_pool {
	struct agent_pool *next;
	uint64_t id;
	struct crew *crew;
	void *init_arg;
	uint32_t seen;                          /* crew->ended before the last look */
	int stir;                               /* there is more to be seen than that tells */
	int closing;                            /* workers may go when nothing is left to do */
	uint32_t let_go, kill, free;            /* calls that wait for the workers' end; 0: none */
	int freeing;
	int64_t broken;                         /* when it was seen to be; 0: it is not */
	int told;                               /* and the manager knows */

	struct agent_map *maps;
	struct agent_batch *running[CREW_JOBS];
	struct agent_batch *queue;
	uint64_t serial;                        /* of the newest job */

	struct ticket_office office;
	struct agent_task *sent, *sent_last;    /* with tickets, in the order in which workers take them */
	struct agent_task *waiting, *waiting_last;
};

struct agent {
	struct link *link;
	struct supervisor *supervisor;
	struct arena *arena;
	struct agent_pool *pools;
	struct agent_process *processes;
	void **functions;                       /* by number - 1 */
	uint32_t function_count;
	int lost;                               /* the manager is, or cannot be spoken to */
	int64_t ending;                         /* since when all is being ended; 0: it is not */
	int64_t looked;                         /* when it was last looked for what nobody tells */
	int64_t worked;                         /* when something last happened */
	int64_t nap;
};

/* ---- agent_say.c */

/* As link_send to the manager; what cannot be sent for lack of memory ends the contact. */
void agent_send(struct agent *agent, const void *header, size_t size, const struct rp_bytes *parts, int count,
                void (*sent)(void *user), void *user);

/* Answers a call; text may be NULL. */
void agent_reply(struct agent *agent, const struct wire *to, int64_t result, const char *text);

/* The same with a part in malloc'ed memory, which is given away. */
void agent_reply_part(struct agent *agent, const struct wire *to, int64_t result, void *part, size_t size);

/* WIRE_FUNCTION, and what its number stands for since; NULL: nothing. */
void agent_learn(struct agent *agent, struct letter *letter);
void *agent_function(const struct agent *agent, uint32_t number);

/* ---- agent_pool.c */

void agent_plan(struct agent *agent, struct letter *letter);
void agent_open(struct agent *agent, struct letter *letter);
void agent_info(struct agent *agent, struct letter *letter);
void agent_stop(struct agent *agent, struct letter *letter);

struct agent_pool *agent_pool(const struct agent *agent, uint64_t id);
int agent_pool_is_over(const struct agent_pool *pool);

/* What has happened since the last look; how many things.  always: also what nobody tells of. */
int agent_pool_look(struct agent *agent, struct agent_pool *pool, int always);

/* Kills the workers and does not wait. */
void agent_pool_kill(struct agent *agent, struct agent_pool *pool);

/* The supervisor was killed. */
void agent_pool_orphan(struct agent_pool *pool);

/* Waits for the workers' end and gives everything back. */
void agent_pool_free(struct agent *agent, struct agent_pool *pool);

/* ---- agent_batch.c */

void agent_map(struct agent *agent, struct letter *letter);
void agent_map_end(struct agent *agent, struct letter *letter);
void agent_batch(struct agent *agent, struct letter *letter);

struct agent_map *agent_find_map(const struct agent *agent, uint64_t id);

int agent_batches_look(struct agent *agent, struct agent_pool *pool);
int agent_batches_left(const struct agent_pool *pool);

/* The workers are gone: gives back what is left of maps. */
void agent_batches_free(struct agent_pool *pool);

/* ---- agent_take.c */

void agent_take(struct agent *agent, struct letter *letter);

/* ---- agent_result.c */

/* Memory of the batch's own; NULL: there is none. */
void *agent_batch_make(struct agent_batch *batch, size_t size);

/* The batch has never been, or is no longer. */
void agent_batch_free(struct agent_batch *batch);

void agent_drop_notes(struct arena *arena, struct note *notes);

/* Tells what became of its items, and gives the batch and its notes back when that has been sent.  all_good: every item of
 * it is RP_OK. */
void agent_result(struct agent *agent, struct agent_batch *batch, struct note *notes, int all_good);

/* Nothing of it was run. */
void agent_refuse(struct agent *agent, const struct wire_batch *says, int code, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* ---- agent_task.c */

void agent_task(struct agent *agent, struct letter *letter);
void agent_recall(struct agent *agent, struct letter *letter);
void agent_drop(struct agent *agent, struct letter *letter);

/* all: also behind those that nobody has taken. */
int agent_tasks_look(struct agent *agent, struct agent_pool *pool, int all);
int agent_tasks_left(const struct agent_pool *pool);
void agent_tasks_free(struct agent_pool *pool);

/* ---- agent_process.c */

void agent_start(struct agent *agent, struct letter *letter);
void agent_signal(struct agent *agent, struct letter *letter);
void agent_forget(struct agent *agent, struct letter *letter);

int agent_processes_look(struct agent *agent);
void agent_processes_signal(struct agent *agent, int signal);

/* Sleeps until one of them ends, at most so many ns. */
void agent_processes_rest(const struct agent *agent, int64_t nap);

/* Kills them, and waits for that. */
void agent_processes_free(struct agent *agent);

#endif
