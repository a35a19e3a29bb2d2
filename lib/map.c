/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - a function over an array, as the caller sees it: checks, memory that the workers can reach, outcomes. */
#include "map.h"

#include "clock.h"
#include "context.h"
#include "hub.h"
#include "job.h"
#include "map_share.h"
#include "options.h"
#include "supervisor.h"
#include "wave.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		r = options_argument(map->options.arg, map->options.arg_size, "the map's .arg", err);
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

	size_t sum = 0;

	for (size_t i = 0; map->bytes && in && i < map->count; i++) {
		if ((!in[i].data && in[i].size) || in[i].size > PTRDIFF_MAX - 64)
			return error_set_item(err, -EINVAL, i, "%s: item %zu has a size of %zu and %s", map->what, i,
			                      in[i].size, in[i].data ? "cannot be that large" : "no data");
		if (WAVE_ALIGN(in[i].size) > PTRDIFF_MAX - sum)
			return error_set_item(err, -EINVAL, i, "%s: the items up to %zu are more than memory can hold",
			                      map->what, i);
		sum += WAVE_ALIGN(in[i].size);
	}
	return 0;
}

/* ---- running ---------------------------------------------------------------------------------------------- */

/* Waits for a place among the pool's jobs.  The pool may have been closed since it was last looked at: -EINVAL, but a
 * map that has begun goes on. */
static int take_job(struct rp_pool *pool, int begun)
{
	int number = 0;

	pthread_mutex_lock(&pool->lock);
	while (pool->jobs == (1u << CREW_JOBS) - 1)
		pthread_cond_wait(&pool->job_free, &pool->lock);
	if (pool->closed && !begun) {
		number = -EINVAL;
	} else {
		while (pool->jobs >> number & 1)
			number++;
		pool->jobs |= 1u << number;
	}
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

/* The own node's workers run what is in the span, unless other nodes take it from them; then nobody is in the job. */
static void run_here(struct rp_pool *pool, const struct wave *wave, uint32_t number, uint32_t begin, uint32_t end)
{
	job_open(pool->crew, number, next_serial(pool), begin, end);
	map_open_share(wave);
	for (;;) {
		uint32_t seen = pool_ended(pool);

		if (pool_is_over(pool) || job_quiet(pool->crew, number))
			break;
		pool_wait(pool, seen, CLOCK_NEVER);
	}
	map_shut_share(wave);
	shut_job(pool, number);
}

/* Until every item has a state, or the pool is over. */
static void run_job(struct map *map, struct wave *wave, uint32_t number)
{
	struct rp_pool *pool = map->pool;
	struct job *job = &pool->crew->jobs[number];
	uint32_t begin = 0, span = pool->crew->size ? wave->count : 0;

	for (;;) {
		if (span)
			run_here(pool, wave, number, begin, begin + span);
		do {
			span = job_lost(wave->states, wave->count, &begin);
		} while (!span && !pool_is_over(pool) && map_await_share(map, wave));
		if (!span || pool_is_over(pool))
			break;
		job->check = 1;
	}
	map_end_share(wave);
	wave->notes = atomic_exchange(&job->notes, NULL);
	wave->all_good = !span && !wave->share && atomic_load(&job->first_bad) == UINT64_MAX;
}

static int run_wave(struct map *map, size_t base, struct rp_error *err)
{
	struct wave wave = { .base = base };
	size_t left = map->count - base;
	int number, r;

	wave.count = (uint32_t)(left < RANGE_MOST ? left : RANGE_MOST);
	if (map->cut_short) {
		wave_cancel(map, &wave);
		return 0;
	}
	r = wave_prepare(map, &wave, err);
	number = r < 0 ? r : take_job(map->pool, base > 0);
	if (number >= 0) {
		fill_job(map, &wave, &map->pool->crew->jobs[number]);
		r = map->pool->hub ? map_begin_share(map, &wave, (uint32_t)number, err) : 0;
		if (r == 0)
			run_job(map, &wave, (uint32_t)number);
		return_job(map->pool, (uint32_t)number);
	} else if (r == 0) {
		r = error_set(err, number, "%s: the pool is closed", map->what);
	}
	if (r == 0) {
		wave_finish(map, &wave);
		map->cut_short = pool_is_over(map->pool);
	}
	free(wave.share);
	wave_clean(map, &wave);
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
	map_error(err, code, map->bad, map->count, map->first_bad, &map->first_outcome,
	          pool_host_of(pool, map->first_outcome.rank));
	return code;
}

/* To all who may run it. */
static int name_function(struct map *map, struct rp_error *err)
{
	const struct rp_pool *pool = map->pool;
	struct rp_error e;
	int64_t number = 0;

	if (pool->supervisor)
		number = supervisor_teach(pool->supervisor, (void *)map->fn, &e);
	if (number == 0 && pool->hub)
		number = hub_function(pool->hub, (void *)map->fn, &e);
	if (number < 0)
		return error_set(err, (int)number, "%s: %.400s", map->what, e.text);
	map->function = (uint32_t)number;
	return 0;
}

static int run(struct map *map, const struct rp_map_options *options, struct rp_error *err)
{
	int r = check_map(map, options, err);

	if (r == 0)
		r = check_items(map, err);
	if (r == 0 && map->count && !pool_is_over(map->pool))
		r = name_function(map, err);
	map->worst = RP_OK;
	for (size_t base = 0; r == 0 && base < map->count; base += RANGE_MOST)
		r = run_wave(map, base, err);
	if (map->cut_short)
		context_hold();
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
		.in_size = in ? in_size : 0,
		.out = out,
		.out_size = out ? out_size : 0,
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
