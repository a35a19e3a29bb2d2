/* SPDX-License-Identifier: BSD-3-Clause */
/* wave.h - a part of a map that fits in one job: its memory in the arena, and what becomes of its results. */
#ifndef RP_LIB_WAVE_H
#define RP_LIB_WAVE_H

#include "pool.h"

#define WAVE_ALIGN(size) (((size) + 63) & ~(size_t)63)

/* One call. */
struct map {
	struct rp_pool *pool;
	const char *what;
	rp_task_fn *fn;
	const void *in;                         /* items of in_size, or struct rp_bytes */
	size_t in_size;
	void *out;
	size_t out_size;
	int bytes;                              /* items and results have sizes of their own */
	size_t count;
	struct rp_map_options options;
	uint32_t function;                      /* its number, when there are other nodes */
	/* Found out so far. */
	size_t bad;
	size_t first_bad;
	struct rp_outcome first_outcome;
	char first_text[304];                   /* what of its text fits into an error */
	int worst;                              /* enum rp_state */
	int cut_short;                          /* the pool was over before the map was */
};

/* A part of a map that fits in one job: what was made in the arena for it. */
struct share;

struct wave {
	size_t base;
	uint32_t count;
	void *made[6];
	int made_count;
	char *out;                              /* staged results, or NULL */
	struct rp_bytes *results;
	_Atomic uint8_t *states;
	int32_t *ranks;
	const char *in;
	const struct rp_bytes *in_bytes;
	const void *arg;
	struct note *notes;
	struct share *share;                    /* what other nodes do of it; NULL: there are none */
	int all_good;                           /* every item is RP_OK: known without a look at each */
};

/* Makes what the workers need of items, results and argument reachable for them. -ENOMEM. */
int wave_prepare(const struct map *map, struct wave *wave, struct rp_error *err);
void wave_clean(const struct map *map, struct wave *wave);

/* Every item has its state, or the pool is over: hands results and outcomes to the caller, and counts the bad. */
void wave_finish(struct map *map, struct wave *wave);

/* The same for one that was never begun, as the pool was over before. */
void wave_cancel(struct map *map, struct wave *wave);

#endif
