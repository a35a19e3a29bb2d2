/* SPDX-License-Identifier: BSD-3-Clause */
/* crew.h - the workers of one pool on this node, as manager, supervisor and workers see them in the arena. */
#ifndef RP_LIB_CREW_H
#define RP_LIB_CREW_H

#include "arena.h"
#include "place.h"

#include <stdatomic.h>

#define CREW_LINE 64                            /* bytes that two CPUs cannot write at once without cost */
#define CREW_JOBS 4u                            /* maps that run at the same time; further ones wait their turn */
#define CREW_TICKETS 8192u                      /* single tasks on their way; further ones wait in the manager */
#define CREW_RING (2 * CREW_TICKETS)
#define CREW_BLOCK 256u                         /* tickets that come into being together */
#define CREW_MASKS 1024u                        /* of 64 slots each */
#define CREW_INLINE 64u                         /* a ticket's input and result up to this size need no memory of their own */

enum slot_state { SLOT_EMPTY, SLOT_STARTING, SLOT_READY, SLOT_RETIRED };
enum crew_stop { CREW_RUNS, CREW_CLOSES, CREW_BROKEN, CREW_TERMINATED };

/* A range of items, [begin, end), of one job in one word: claims and thefts are one compare-and-swap. */
#define RANGE(begin, end) ((uint64_t)(end) << 32 | (uint32_t)(begin))
#define RANGE_BEGIN(range) ((uint32_t)(range))
#define RANGE_END(range) ((uint32_t)((range) >> 32))
#define RANGE_MOST ((size_t)1 << 31)            /* items of one job; the manager cuts larger maps */

struct range {
	_Alignas(CREW_LINE) _Atomic uint64_t word;
};

struct slot {
	/* Written by the worker for each item; read by the supervisor when the worker has died. */
	_Alignas(CREW_LINE) _Atomic uint64_t current;  /* item of the entered job that runs, + 1; 0: none */
	_Atomic uint64_t job;                   /* seq of the job it is in; 0: none */
	_Atomic uint32_t ticket;                /* id of the ticket it took or is about to take, + 1; 0: none */
	_Atomic uint64_t tasks;
	_Atomic int64_t busy;                   /* ns */
	/* Written by others too. */
	_Alignas(CREW_LINE) _Atomic uint32_t bell;     /* futex: rung when there may be work */
	_Atomic uint32_t state;                 /* enum slot_state */
	_Atomic int32_t pid;
	_Atomic uint32_t restarts;
	struct place place;
	struct range range[CREW_JOBS];
};

/* What happened to an item that is not RP_OK.  Made by a worker or the supervisor, from then on the manager's. */
struct note {
	struct note *next, *previous;
	void *owner;                            /* manager: the pool whose list it is in, */
	uint64_t serial;                        /* and what tells it from an earlier note in the same memory */
	uint64_t index;                         /* within the job */
	int32_t code;
	int32_t rank;
	uint32_t state;                         /* enum rp_state */
	uint32_t size;                          /* of the text, without its final 0 */
	char text[];
};

struct job {
	_Alignas(CREW_LINE) _Atomic uint64_t seq;      /* 0: nobody may enter; set last, cleared first */
	rp_task_fn *fn;
	uint32_t count;
	uint32_t chunk;                         /* 0: chosen by the workers */
	uint32_t check;                         /* some items have a state already: look before running */
	uint32_t notes_for_all;                 /* else only for the first bad item */
	size_t base;                            /* of item 0 in the caller's arrays */
	const char *in;                         /* fixed-size items, or NULL */
	size_t in_size;
	const struct rp_bytes *in_bytes;        /* items of any size, or NULL */
	char *out;
	size_t out_size;
	struct rp_bytes *out_bytes;
	_Atomic uint8_t *states;                /* enum rp_state per item, written after its result: the truth */
	int32_t *ranks;                         /* per item, or NULL */
	const void *arg;
	size_t arg_size;
	uint64_t seed;
	_Alignas(CREW_LINE) _Atomic uint64_t first_bad;
	_Atomic(struct note *) notes;           /* pushed by workers, taken by the manager */
};

/* state: enum rp_state of a finished ticket << 8 | its phase; while taken the slot's number + 1 is in the upper bits. */
enum ticket_phase { TICKET_FREE, TICKET_READY, TICKET_TAKEN, TICKET_DONE };

struct ticket {
	_Alignas(CREW_LINE) _Atomic uint32_t state;
	int32_t code;
	int32_t rank;
	rp_task_fn *fn;
	const void *in;
	size_t in_size;
	void *out;                              /* NULL: result of any size, through rp_task_reply */
	size_t out_size;
	uint64_t index;
	uint64_t seed;
	const void *arg;
	size_t arg_size;
	_Atomic uint32_t unwanted;              /* nobody waits for the result any more */
	struct rp_bytes reply;
	struct note *note;                      /* why it is not RP_OK; NULL: nothing is known but the state */
	uint64_t order;                         /* in which tickets ended */
	_Alignas(CREW_LINE) char in_place[CREW_INLINE];
	_Alignas(CREW_LINE) char out_place[CREW_INLINE];
};

struct crew {
	struct arena *arena;                    /* valid in every process of the tree: forked with this address */
	uint32_t size;                          /* slots */
	uint32_t kind;                          /* enum rp_kind */
	uint32_t heap;                          /* of slot 0; slot i has heap + i */
	uint32_t first_rank;                    /* of slot 0; slot i has first_rank + i */
	uint32_t node;                          /* that the crew is on */
	uint32_t size_all;                      /* slots of the pool over all nodes; 0: there is one node */
	uint32_t spinners;                      /* workers that may spin when idle */
	rp_task_fn *init, *exit;
	const void *init_arg;
	size_t init_arg_size;
	uint64_t max_tasks;
	int fd;                                 /* eventfd behind rp_pool_fd, by its number in the manager */
	_Atomic uint32_t fd_wanted;
	char host[64];

	_Alignas(CREW_LINE) _Atomic uint32_t stop;     /* enum crew_stop */
	_Atomic uint32_t breaking;              /* the first to set it writes the reason */
	_Atomic uint32_t explained;             /* the reason may be read */
	char reason[400];

	_Alignas(CREW_LINE) _Atomic uint32_t ended;    /* futex of the manager: something it may wait for has happened */
	_Atomic uint32_t waiting;               /* manager threads that sleep on it */
	_Atomic uint64_t order;                 /* tickets ended so far */

	_Alignas(CREW_LINE) _Atomic uint64_t spinning[CREW_MASKS];   /* a bit per slot: idle, and looking */
	_Alignas(CREW_LINE) _Atomic uint64_t sleeping[CREW_MASKS];   /* idle, and asleep or about to be */

	struct job jobs[CREW_JOBS];

	/* Tickets to be run, in order: hints, the tickets' states decide.  Made by the manager when first needed. */
	_Alignas(CREW_LINE) _Atomic uint64_t head;
	_Atomic uint64_t tail;
	_Atomic uint32_t *ring;
	struct ticket *tickets[CREW_TICKETS / CREW_BLOCK];

	struct slot slots[];
};

/* In the manager: a crew in the arena with a slot per place, of which there may be none; no worker runs yet. */
int crew_new(struct crew **ret, struct arena *arena, const struct place *places, uint32_t count, uint32_t kind,
             struct rp_error *err);
struct crew *crew_free(struct crew *crew);

/* Wakes idle workers, up to `count` of them.  For tickets those that spin need no waking and count: they look for
 * tickets. */
void crew_ring(struct crew *crew, uint32_t count);
void crew_ring_for_range(struct crew *crew);    /* one of them */
void crew_ring_all(struct crew *crew);

/* 1 when no worker is left; crew_tell is called when that becomes true. */
int crew_is_empty(const struct crew *crew);

/* Tells the manager that something has ended; a task: also those who wait for rp_pool_fd, by the caller's own number of the
 * crew's eventfd. */
void crew_tell(struct crew *crew);
void crew_tell_ended(struct crew *crew, int fd);

/* Ends the crew for a reason that every later call repeats; the first reason stays. */
void crew_break(struct crew *crew, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A note that belongs to nobody yet; `heap` is the caller's.  NULL when there is no memory: the state alone tells then. */
struct note *crew_note(struct crew *crew, uint32_t heap, enum rp_state state, int code, uint32_t rank, const char *text,
                       size_t size);

/* The same in the manager, which has several threads: the note is nobody's and published. */
struct note *crew_own_note(struct crew *crew, enum rp_state state, int code, int rank, const char *text, size_t size);

/* In the worker, which found no work; `bell` is the slot's bell as it was before it looked.  Spinning is for one that
 * has just finished a task: 1 when there may be work, 0 when it took too long or enough others spin. */
int crew_spin(struct crew *crew, uint32_t slot, uint32_t bell);
void crew_sleep(struct crew *crew, uint32_t slot, uint32_t bell);

/* In the supervisor, when the worker of a slot has died: the marks that it left behind. */
void crew_buried(struct crew *crew, uint32_t slot);

#endif
