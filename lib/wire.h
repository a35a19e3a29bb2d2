/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.h - what manager and agents say to each other: the headers of messages and the order of their parts.
 *
 * Both ends run the same version of this library on the same architecture (link_open and the functions' identities see to
 * that), so headers are plain structs.  A header begins with struct wire; `call` is not 0 when the sender waits for a
 * WIRE_REPLY with the same number.  Everything that the manager numbers (pools, maps, batches, tasks, processes, functions)
 * has numbers from 1 that are used once.
 *
 * Who may send what when: a pool's messages come after its WIRE_OPEN was answered with 0 and before its WIRE_CLOSE
 * (WIRE_FREE), a map's between its WIRE_MAP and WIRE_MAP_END, a function's number after its WIRE_FUNCTION was answered.
 * Of a pool that is broken or was killed neither WIRE_RESULT nor WIRE_DONE come any more; calls are answered. */
#ifndef RP_LIB_WIRE_H
#define RP_LIB_WIRE_H

#include "function.h"
#include "rankpool.h"

#include <stdint.h>

enum wire_kind {
	/* manager to agent                     parts */
	WIRE_END = 1,  /* -                    serve no longer: end everything, leave with 0 */
	WIRE_FUNCTION, /* -                    reply: 0, or why it cannot be found there */
	WIRE_PLAN,     /* strings              reply: how many workers; part: rp_worker_info[] */
	WIRE_OPEN,     /* strings, init_arg    reply: the same, once the workers have been forked */
	WIRE_INFO,     /* -                    reply: 1; part: one rp_worker_info */
	WIRE_STOP,     /* -                    reply when it is done */
	WIRE_MAP,      /* arg                  - */
	WIRE_BATCH,    /* fixed: in; bytes: uint64_t sizes[count], data (each aligned to 64) */
	WIRE_TAKE,     /* -                    WIRE_GIVEN, always exactly one */
	WIRE_MAP_END,  /* -                    - (there is no batch of it on the node any more, or it is stopped) */
	WIRE_TASK,     /* in, arg              WIRE_DONE some time, unless recalled */
	WIRE_RECALL,   /* -                    reply: 1 it will never run (and no WIRE_DONE comes), 0 it runs or has ended */
	WIRE_DROP,     /* -                    nobody waits for the task's result any more; WIRE_DONE comes nevertheless */
	WIRE_START,    /* arg                  reply: the pid */
	WIRE_SIGNAL,   /* -                    reply: 0 */
	WIRE_FORGET,   /* -                    - the process goes on, nobody asks for its end */
	/* agent to manager */
	WIRE_REPLY = 64, /* infos */
	WIRE_RESULT,     /* states, ranks, out or sizes, data, notes; see struct wire_result */
	WIRE_GIVEN,      /* struct wire_range[count] */
	WIRE_DONE,       /* text, reply */
	WIRE_BROKEN,     /* -                    the pool's workers cannot go on; once per pool */
	WIRE_ENDED       /* -                    a process of WIRE_START has ended */
};

struct wire {
	uint32_t kind;                          /* enum wire_kind */
	uint32_t call;
	uint64_t id;                            /* of what it is about: pool, map, task, process, function */
};

struct wire_function {
	struct wire wire;                       /* id: its number from now on */
	struct function_id function;
};

/* WIRE_PLAN and WIRE_OPEN.  strings: cpus and bind, each 0-terminated and empty for NULL. */
struct wire_pool {
	struct wire wire;                       /* id: the pool; 0 in WIRE_PLAN */
	uint32_t workers;                       /* on this node; 0: as many as fit (WIRE_PLAN only) */
	uint32_t cpus_per_worker, flags;
	uint32_t first_rank;                    /* of this node's workers */
	uint32_t size;                          /* workers of the pool over all nodes */
	uint32_t init, exit;                    /* numbers of functions; 0: none */
	uint32_t has_init_arg;
	uint64_t max_tasks;
};

struct wire_info {
	struct wire wire;                       /* id: the pool */
	uint32_t slot;                          /* on this node */
};

/* WIRE_LET_GO: no more work will come, workers leave in order (their exit function runs); answered when all have left.
 * WIRE_KILL: the workers are killed, answered when they are; what ran is not reported any more.  The pool stays known.
 * WIRE_FREE: the same, and the pool is forgotten. */
enum wire_stop_how { WIRE_LET_GO, WIRE_KILL, WIRE_FREE };

struct wire_stop {
	struct wire wire;                       /* id: the pool */
	uint32_t how;                           /* enum wire_stop_how */
};

/* A map, or one wave of a large one. */
struct wire_map {
	struct wire wire;                       /* id: the map */
	uint64_t pool;
	uint32_t function;
	uint32_t chunk;                         /* 0: chosen by the workers */
	uint32_t bytes_in;                      /* items of any size */
	uint32_t bytes_out;                     /* results of any size */
	uint32_t outcomes; /* 1: a note for each bad item, and all ranks; 0: a note of the first bad item of a batch */
	uint32_t has_in, has_out, has_arg;      /* 0: NULL */
	uint64_t in_size, out_size;             /* of an item, when fixed */
	uint64_t seed;
};

/* Items [begin, begin + count) of the map, whose item 0 is item `base` of the caller's arrays.  Items of any size: an item
 * that is NULL has the size WIRE_NONE; it and one of size 0 take nothing of the data. */
struct wire_batch {
	struct wire wire;                       /* id: the map */
	uint64_t batch;
	uint64_t base;
	uint32_t begin, count;
};

/* Gives back up to `most` items that nobody has begun: from the back, what has not been opened first. */
struct wire_take {
	struct wire wire;                       /* id: the map */
	uint32_t most;
};

struct wire_range {
	uint32_t begin, end;                    /* of the map */
};

/* Comes before the results of the batches that it takes from. */
struct wire_given {
	struct wire wire;                       /* id: the map */
	uint32_t count;                         /* ranges; 0: there is nothing to give */
};

/* A batch has ended: every item of it that was not given back has a state.
 *
 * Parts: 0 states: uint8_t[count], not there when all are RP_OK; given-back items have WIRE_AWAY.
 *        1 ranks: int32_t[count] over all nodes, when the map wants outcomes.
 *        2 sizes: uint64_t[count] when results are of any size (WIRE_NONE: no result, also of items that are not RP_OK).
 *        3 data: fixed results: all of them (count * out_size) when all are RP_OK, else those of RP_OK items one after the
 *          other; results of any size: those one after the other, each aligned to 64 from the start of the part.
 *        4 notes: struct wire_note, text and its 0, padded to 8, one after the other. */
struct wire_result {
	struct wire wire;                       /* id: the map */
	uint64_t batch;
	uint32_t all_good;
	uint32_t notes;                         /* how many */
	int32_t error; /* 0; else the node could not even begin (-ENOMEM): no parts, no item was run */
	uint32_t reserved;
	char text[256];                         /* of error */
};

#define WIRE_AWAY 255                           /* in states: given back */
#define WIRE_NONE UINT64_MAX                    /* in sizes: NULL, which is something else than nothing at an address */
#define WIRE_ALIGN(size) \
	(((size) + 63) & ~(uint64_t)63) /* what an item or result takes; the last one no more than its size */

struct wire_note {
	uint32_t index;                         /* of the map */
	int32_t code;
	int32_t rank;                           /* over all nodes */
	uint32_t state;                         /* enum rp_state */
	uint32_t size;                          /* of the text, without its 0 */
	uint32_t reserved;
};

/* Parts: 0 in, 1 arg. */
struct wire_task {
	struct wire wire;                       /* id: the task */
	uint64_t pool;
	uint32_t function;
	uint32_t has_in, has_arg;
	uint32_t reserved;
	uint64_t out_size;                      /* 0: any */
	uint64_t index, seed;
};

/* WIRE_RECALL and WIRE_DROP */
struct wire_recall {
	struct wire wire;                       /* id: the task */
	uint64_t pool;
};

/* Parts: 0 text of a task that is not RP_OK, with its 0 (size 0: nothing is known), 1 result. */
struct wire_done {
	struct wire wire;                       /* id: the task */
	uint64_t pool;
	uint32_t state;
	int32_t code;
	int32_t rank;                           /* over all nodes */
	uint32_t has_reply;                     /* a result of any size may be of 0 bytes and yet there */
};

/* Parts: 0 arg. */
struct wire_start {
	struct wire wire;                       /* id: the process */
	uint32_t function;
	uint32_t flags;
	char name[128];
	char bind[256];                         /* "": anywhere */
};

struct wire_signal {
	struct wire wire;                       /* id: the process */
	int32_t signal;
};

struct wire_broken {
	struct wire wire;                       /* id: the pool */
	char reason[400];
};

struct wire_ended {
	struct wire wire;                       /* id: the process */
	int32_t known, code;                    /* as struct spawn_end */
	int64_t max_rss;
};

struct wire_reply {
	struct wire wire;                       /* id: as asked; call: as asked */
	int64_t result;                         /* or a negative errno, with a text */
	char text[496];
};

union wire_any {
	struct wire wire;
	struct wire_function function;
	struct wire_pool pool;
	struct wire_info info;
	struct wire_stop stop;
	struct wire_map map;
	struct wire_batch batch;
	struct wire_take take;
	struct wire_given given;
	struct wire_result result;
	struct wire_task task;
	struct wire_recall recall;
	struct wire_done done;
	struct wire_start start;
	struct wire_signal signal;
	struct wire_broken broken;
	struct wire_ended ended;
	struct wire_reply reply;
};

#endif
