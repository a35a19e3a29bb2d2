/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - a function over an array, as the caller sees it: checks, memory that the workers can reach, outcomes. */
#include "map.h"

#include "clock.h"
#include "copy.h"
#include "job.h"
#include "options.h"
#include "pool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	/* Found out so far. */
	size_t bad;
	size_t first_bad;
	struct rp_outcome first_outcome;
	int worst;                              /* enum rp_state */
	int cut_short;                          /* the pool was over before the map was */
};

/* A part of a map that fits in one job: what was made in the arena for it. */
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
	int all_good;                           /* every item is RP_OK: known without a look at each */
};

int map_check_options(const struct rp_map_options *o, const char *what, struct rp_error *err)
{
	int r = options_flags(o->flags, RP_FAIL_FAST | RP_RESUME | RP_RETRY_LOST | RP_TIMES, what, err);
	const char *later = NULL;

	if (r < 0)
		return r;
	if (o->timeout || o->total_timeout)
		later = "a time limit";
	else if (o->tries > 1)
		later = ".tries above 1";
	else if (o->flags)
		later = "a flag of maps";
	else if (o->finished || o->progress)
		later = "a callback";
	return later ? error_set(err, -ENOTSUP, "%s: %s is not supported by this version", what, later) : 0;
}

/* ---- checks ----------------------------------------------------------------------------------------------- */

static int check_extent(const struct map *map, const char *which, size_t size, struct rp_error *err)
{
	if (size && map->count > (size_t)PTRDIFF_MAX / size)
		return error_set(err, -EINVAL, "%s: %zu items of %zu bytes in `%s` are more than memory can hold", map->what,
		                 map->count, size, which);
	return 0;
}

static int check_item_size(const struct map *map, const char *which, const void *array, size_t size, struct rp_error *err)
{
	if (array && !size)
		return error_set(
			err, -EINVAL,
			"%s: the pointer `%s` does not tell the size of an item (void *, or an array of strings): use "
			"rp_pool_map_array with the size, or rp_pool_map_bytes",
			map->what, which);
	if (!array && size)
		return error_set(err, -EINVAL, "%s: `%s` is NULL and its items have %zu bytes", map->what, which, size);
	return 0;
}

/* The same array for both is fine when the items have one size: each task reads its item before it writes its result. */
static int overlap(const struct map *map)
{
	uintptr_t in = (uintptr_t)map->in, out = (uintptr_t)map->out;

	return map->in && map->out && in < out + map->count * map->out_size && out < in + map->count * map->in_size;
}

static int check_overlap(const struct map *map, struct rp_error *err)
{
	if (!overlap(map))
		return 0;
	if (map->in == map->out && map->in_size == map->out_size && !map->bytes)
		return 0;
	return error_set(err, -EINVAL, "%s: `in` and `out` overlap", map->what);
}

static int check_map(struct map *map, const struct rp_map_options *options, struct rp_error *err)
{
	int r = options_import(&map->options, sizeof map->options, options, sizeof map->options, map->what, err);

	if (r == 0)
		r = pool_check_open(map->pool, map->what, err);
	if (r == 0 && !map->fn)
		r = error_set(err, -EINVAL, "%s: the function is NULL", map->what);
	if (r == 0)
		r = map_check_options(&map->options, map->what, err);
	if (r == 0)
		r = options_argument(map->options.arg, map->options.arg_size, map->what, err);
	if (r == 0)
		r = check_item_size(map, "in", map->in, map->in_size, err);
	if (r == 0)
		r = check_item_size(map, "out", map->out, map->out_size, err);
	if (r == 0)
		r = check_extent(map, "in", map->in_size, err);
	if (r == 0)
		r = check_extent(map, "out", map->out_size, err);
	if (r == 0 && map->count > (size_t)PTRDIFF_MAX)
		r = error_set(err, -EINVAL, "%s: the number of items is negative", map->what);
	return r < 0 ? r : check_overlap(map, err);
}

static int check_items(const struct map *map, struct rp_error *err)
{
	const struct rp_bytes *in = map->in;

	for (size_t i = 0; map->bytes && in && i < map->count; i++)
		if ((!in[i].data && in[i].size) || in[i].size > PTRDIFF_MAX - 64)
			return error_set_item(err, -EINVAL, i, "%s: item %zu has a size of %zu and %s", map->what, i,
			                      in[i].size, in[i].data ? "cannot be that large" : "no data");
	return 0;
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static void *make(struct map *map, struct wave *wave, size_t size)
{
	void *memory = arena_alloc(map->pool->arena, ARENA_MANAGER, size ? size : 1);

	if (memory)
		wave->made[wave->made_count++] = memory;
	return memory;
}

static void *ship(struct map *map, struct wave *wave, const void *from, size_t size)
{
	void *memory;

	if (!from || pool_reaches(map->pool, from, size))
		return (void *)(uintptr_t)from;
	memory = make(map, wave, size);
	if (memory)
		copy_large(memory, from, size, map->pool->crew->spinners + 1);
	return memory;
}

#define ALIGN(size) (((size) + 63) & ~(size_t)63)

/* Items of any size: one block holds those that the workers cannot reach, each aligned to 64. */
static const struct rp_bytes *ship_items(struct map *map, struct wave *wave)
{
	const struct rp_bytes *in = (const struct rp_bytes *)map->in + wave->base;
	struct rp_bytes *items = make(map, wave, wave->count * sizeof *items);
	size_t size = 0;
	char *block;

	if (!items)
		return NULL;
	for (uint32_t i = 0; i < wave->count; i++)
		if (!pool_reaches(map->pool, in[i].data, in[i].size))
			size += ALIGN(in[i].size ? in[i].size : 1);
	block = size ? make(map, wave, size) : NULL;
	if (size && !block)
		return NULL;
	for (uint32_t i = 0; i < wave->count; i++) {
		items[i] = in[i];
		if (!in[i].data || pool_reaches(map->pool, in[i].data, in[i].size))
			continue;
		items[i].data = memcpy(block, in[i].data, in[i].size);
		block += ALIGN(in[i].size ? in[i].size : 1);
	}
	return items;
}

static int ship_in(struct map *map, struct wave *wave)
{
	if (!map->in)
		return 0;
	if (map->bytes) {
		wave->in_bytes = ship_items(map, wave);
		return wave->in_bytes ? 0 : -ENOMEM;
	}
	wave->in = ship(map, wave, (const char *)map->in + wave->base * map->in_size, wave->count * map->in_size);
	return wave->in ? 0 : -ENOMEM;
}

static int make_out(struct map *map, struct wave *wave)
{
	char *out;

	if (!map->out)
		return 0;
	if (map->bytes) {
		wave->results = make(map, wave, wave->count * sizeof *wave->results);
		if (!wave->results)
			return -ENOMEM;
		memset(wave->results, 0, wave->count * sizeof *wave->results);
		return 0;
	}
	out = (char *)map->out + wave->base * map->out_size;
	wave->out = pool_reaches(map->pool, out, wave->count * map->out_size) ? out
	                                                                      : make(map, wave, wave->count * map->out_size);
	return wave->out ? 0 : -ENOMEM;
}

static int make_books(struct map *map, struct wave *wave)
{
	wave->states = make(map, wave, wave->count);
	if (!wave->states)
		return -ENOMEM;
	memset((void *)wave->states, 0, wave->count);
	if (map->options.outcomes) {
		wave->ranks = make(map, wave, wave->count * sizeof *wave->ranks);
		if (!wave->ranks)
			return -ENOMEM;
		memset(wave->ranks, 0xff, wave->count * sizeof *wave->ranks);
	}
	wave->arg = ship(map, wave, map->options.arg, map->options.arg_size);
	return !map->options.arg || wave->arg ? 0 : -ENOMEM;
}

static int prepare(struct map *map, struct wave *wave, struct rp_error *err)
{
	int r = ship_in(map, wave);

	if (r == 0)
		r = make_out(map, wave);
	if (r == 0)
		r = make_books(map, wave);
	if (r < 0)
		error_set(err, r, "%s: no memory to share %u items (%zu bytes in, %zu out) with the workers", map->what,
		          wave->count, wave->count * map->in_size, wave->count * map->out_size);
	return r;
}

static void clean(struct map *map, struct wave *wave)
{
	for (int i = 0; i < wave->made_count; i++)
		arena_drop(map->pool->arena, wave->made[i]);
}

/* ---- running ---------------------------------------------------------------------------------------------- */

/* Waits for a place among the pool's jobs. */
static uint32_t take_job(struct rp_pool *pool)
{
	uint32_t number = 0;

	pthread_mutex_lock(&pool->lock);
	while (pool->jobs == (1u << CREW_JOBS) - 1)
		pthread_cond_wait(&pool->job_free, &pool->lock);
	while (pool->jobs >> number & 1)
		number++;
	pool->jobs |= 1u << number;
	pthread_mutex_unlock(&pool->lock);
	return number;
}

static void return_job(struct rp_pool *pool, uint32_t number)
{
	pthread_mutex_lock(&pool->lock);
	pool->jobs &= ~(1u << number);
	pthread_cond_signal(&pool->job_free);
	pthread_mutex_unlock(&pool->lock);
	crew_tell(pool->crew);
}

static uint64_t next_serial(struct rp_pool *pool)
{
	uint64_t serial;

	pthread_mutex_lock(&pool->lock);
	serial = ++pool->serial;
	pthread_mutex_unlock(&pool->lock);
	return serial;
}

static void fill_job(const struct map *map, const struct wave *wave, struct job *job)
{
	size_t chunk = map->options.chunk;

	job->fn = map->fn;
	job->count = wave->count;
	job->chunk = chunk > wave->count ? wave->count : (uint32_t)chunk;
	job->check = 0;
	job->notes_for_all = map->options.outcomes != NULL;
	job->base = wave->base;
	job->in = wave->in;
	job->in_size = wave->in_bytes ? 0 : map->in_size;
	job->in_bytes = wave->in_bytes;
	job->out = wave->out;
	job->out_size = wave->results ? 0 : map->out_size;
	job->out_bytes = wave->results;
	job->states = wave->states;
	job->ranks = wave->ranks;
	job->arg = wave->arg;
	job->arg_size = map->options.arg_size;
	job->seed = map->options.seed;
	atomic_store(&job->first_bad, map->bad ? 0 : UINT64_MAX);
	atomic_store(&job->notes, NULL);
}

/* Nobody is in the job any more when this returns. */
static void shut_job(struct rp_pool *pool, uint32_t number)
{
	for (;;) {
		uint32_t seen = pool_ended(pool);

		if (job_shut(pool->crew, number))
			return;
		pool_wait(pool, seen, CLOCK_NEVER);
	}
}

/* The span of items that have no state; 0: all have one. */
static uint32_t find_lost(const struct wave *wave, uint32_t *ret_begin)
{
	const uint8_t *states = (const uint8_t *)wave->states;
	const uint8_t *first = memchr(states, RP_PENDING, wave->count), *last;

	if (!first)
		return 0;
	last = memrchr(states, RP_PENDING, wave->count);
	*ret_begin = (uint32_t)(first - states);
	return (uint32_t)(last - first) + 1;
}

/* Until every item has a state, or the pool is over. */
static void run_job(struct map *map, struct wave *wave, uint32_t number)
{
	struct rp_pool *pool = map->pool;
	struct crew *crew = pool->crew;
	struct job *job = &crew->jobs[number];
	uint32_t begin = 0, span = wave->count;

	for (;;) {
		job_open(crew, number, next_serial(pool), begin, begin + span);
		for (;;) {
			uint32_t seen = pool_ended(pool);

			if (pool_is_over(pool) || job_quiet(crew, number))
				break;
			pool_wait(pool, seen, CLOCK_NEVER);
		}
		shut_job(pool, number);
		span = find_lost(wave, &begin);
		if (!span || pool_is_over(pool))
			break;
		job->check = 1;
	}
	wave->notes = atomic_exchange(&job->notes, NULL);
	wave->all_good = !span && atomic_load(&job->first_bad) == UINT64_MAX;
}

/* ---- results ---------------------------------------------------------------------------------------------- */

static struct note **sort_notes(struct wave *wave)
{
	struct note **by_item = calloc(wave->count, sizeof *by_item);

	for (struct note *note = wave->notes; by_item && note; note = note->next)
		by_item[note->index] = note;
	return by_item;
}

static struct note *find_note(const struct wave *wave, uint32_t index)
{
	struct note *note = wave->notes;

	while (note && note->index != index)
		note = note->next;
	return note;
}

static int rank_of(int state, int rank)
{
	return state == RP_CANCELLED ? -1 : rank;
}

/* What the map as a whole says of a bad item. */
static void count_bad(struct map *map, struct wave *wave, uint32_t index, int state)
{
	static const int severity[] = {
		[RP_CANCELLED] = 1, [RP_FAILED] = 2, [RP_TIMED_OUT] = 3, [RP_DIED] = 4, [RP_OK] = 0
	};

	if (!map->bad++) {
		struct note *note = find_note(wave, index);

		map->first_bad = wave->base + index;
		pool_fill_outcome(map->pool, &map->first_outcome, state, note ? note->rank : -1, note);
	}
	if (severity[state] > severity[map->worst])
		map->worst = state;
}

/* Items that were not run are cancelled; what a terminated pool has killed did not die by itself. */
static int final_state(const struct map *map, int state)
{
	if (state == RP_PENDING || (state == RP_DIED && atomic_load(&map->pool->crew->stop) == CREW_TERMINATED))
		return RP_CANCELLED;
	return state;
}

/* Eight states at a time: most are RP_OK. */
static uint32_t next_bad(const uint8_t *states, uint32_t from, uint32_t count)
{
	uint64_t eight;

	while (from < count) {
		if (from + 8 <= count) {
			memcpy(&eight, states + from, 8);
			if (eight == UINT64_C(0x0101010101010101)) {
				from += 8;
				continue;
			}
		}
		if (states[from] != RP_OK)
			return from;
		from++;
	}
	return count;
}

static void deliver(struct map *map, struct wave *wave, uint32_t begin, uint32_t end)
{
	char *out = (char *)map->out + wave->base * map->out_size;

	if (wave->out && wave->out != out)
		copy_large(out + begin * map->out_size, wave->out + begin * map->out_size, (end - begin) * map->out_size,
		           map->pool->crew->spinners + 1);
	if (wave->results)
		memcpy((struct rp_bytes *)map->out + wave->base + begin, wave->results + begin,
		       (end - begin) * sizeof *wave->results);
}

static void settle_bad(struct map *map, struct wave *wave, uint32_t index, int state)
{
	count_bad(map, wave, index, state);
	if (wave->results) {
		arena_drop(map->pool->arena, wave->results[index].data);
		((struct rp_bytes *)map->out)[wave->base + index] = (struct rp_bytes){ 0 };
	}
}

/* Hands the results of a wave over, in runs of good items. */
static void harvest(struct map *map, struct wave *wave)
{
	const uint8_t *states = (const uint8_t *)wave->states;
	uint32_t begin = 0;

	while (begin < wave->count) {
		uint32_t bad = wave->all_good ? wave->count : next_bad(states, begin, wave->count);

		deliver(map, wave, begin, bad);
		if (bad < wave->count)
			settle_bad(map, wave, bad, final_state(map, states[bad]));
		begin = bad + 1;
	}
}

static void keep_notes(struct map *map, struct wave *wave)
{
	struct note *note = wave->notes, *next;

	pthread_mutex_lock(&map->pool->lock);
	for (; note; note = next) {
		next = note->next;
		pool_link_note(map->pool, note);
	}
	pthread_mutex_unlock(&map->pool->lock);
}

static void fill_outcomes(struct map *map, struct wave *wave, struct note **by_item)
{
	struct rp_outcome *outcomes = map->options.outcomes + wave->base;

	for (uint32_t i = 0; i < wave->count; i++) {
		int state = final_state(map, wave->states[i]);
		struct note *note = state == RP_CANCELLED ? NULL : by_item ? by_item[i] : find_note(wave, i);

		pool_fill_outcome(map->pool, &outcomes[i], state, rank_of(state, wave->ranks[i]), note);
	}
}

static void finish(struct map *map, struct wave *wave)
{
	harvest(map, wave);
	if (map->options.outcomes) {
		struct note **by_item = wave->notes ? sort_notes(wave) : NULL;

		fill_outcomes(map, wave, by_item);
		free(by_item);
	}
	keep_notes(map, wave);
}

/* A map that was cut short has not even begun its later waves. */
static void cancel_wave(struct map *map, struct wave *wave)
{
	for (uint32_t i = 0; i < wave->count; i++) {
		settle_bad(map, wave, i, RP_CANCELLED);
		if (map->options.outcomes)
			pool_fill_outcome(map->pool, &map->options.outcomes[wave->base + i], RP_CANCELLED, -1, NULL);
	}
}

static int run_wave(struct map *map, size_t base, struct rp_error *err)
{
	struct wave wave = { .base = base };
	size_t left = map->count - base;
	uint32_t number;
	int r;

	wave.count = (uint32_t)(left < RANGE_MOST ? left : RANGE_MOST);
	if (map->cut_short) {
		cancel_wave(map, &wave);
		return 0;
	}
	r = prepare(map, &wave, err);
	if (r == 0) {
		number = take_job(map->pool);
		fill_job(map, &wave, &map->pool->crew->jobs[number]);
		run_job(map, &wave, number);
		return_job(map->pool, number);
		finish(map, &wave);
		map->cut_short = pool_is_over(map->pool);
	}
	clean(map, &wave);
	return r;
}

void map_error(struct rp_error *err, int code, size_t bad, size_t count, size_t index, const struct rp_outcome *outcome,
               const char *host)
{
	char where[128] = "";

	if (outcome->rank >= 0)
		snprintf(where, sizeof where, " (rank %d, host %.64s, try %u)", (int)outcome->rank, host, outcome->tries);
	error_set_item(err, code, index, "%zu of %zu items failed, first item %zu: %.300s%s", bad, count, index,
	               outcome->text, where);
}

static int conclude(const struct map *map, struct rp_error *err)
{
	struct rp_pool *pool = map->pool;
	int code = pool_code(map->worst);

	if (!map->bad)
		return 0;
	if (atomic_load(&pool->crew->stop) == CREW_BROKEN)
		return error_set_item(err, -EPIPE, map->first_bad, "%s: the pool is broken: %s", map->what,
		                      pool_reason(pool));
	map_error(err, code, map->bad, map->count, map->first_bad, &map->first_outcome, pool->crew->host);
	return code;
}

static int run(struct map *map, const struct rp_map_options *options, struct rp_error *err)
{
	int r = check_map(map, options, err);

	if (r == 0)
		r = check_items(map, err);
	map->worst = RP_OK;
	for (size_t base = 0; r == 0 && base < map->count; base += RANGE_MOST)
		r = run_wave(map, base, err);
	return r < 0 ? r : conclude(map, err);
}

int rp_pool_map_array(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                      size_t count, const struct rp_map_options *options, struct rp_error *err)
{
	struct map map = {
		.pool = pool,
		.what = "rp_pool_map",
		.fn = fn,
		.in = in,
		.in_size = in_size,
		.out = out,
		.out_size = out_size,
		.count = count,
	};

	return run(&map, options, err);
}

int rp_pool_map_bytes(struct rp_pool *pool, rp_task_fn *fn, const struct rp_bytes *in, struct rp_bytes *out,
                      size_t count, const struct rp_map_options *options, struct rp_error *err)
{
	struct map map = {
		.pool = pool, .what = "rp_pool_map_bytes", .fn = fn, .in = in, .in_size = in ? sizeof *in : 0, .out = out,
		.out_size = out ? sizeof *out : 0, .bytes = 1, .count = count,
	};

	/* Also a call that is refused leaves nothing to be freed; unless it is refused because these are the items. */
	for (size_t i = 0; out && count <= (size_t)PTRDIFF_MAX / sizeof *out && !overlap(&map) && i < count; i++)
		out[i] = (struct rp_bytes){ 0 };
	return run(&map, options, err);
}
