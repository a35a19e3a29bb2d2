/* SPDX-License-Identifier: BSD-3-Clause */
/* future.c - single tasks as their submitter sees them: submit, wait, get, cancel; and apply, which does it all at once. */
#include "dispatch.h"

#include "clock.h"
#include "context.h"
#include "map.h"
#include "options.h"
#include "wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIN 4000                               /* looks before the manager sleeps: some tens of microseconds */

/* ---- submit ---------------------------------------------------------------------------------------------- */

static int check_submit(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, size_t out_size,
                        const struct rp_map_options *o, const char *what, struct rp_error *err)
{
	int r = pool_check_open(pool, what, err);

	if (r == 0 && !fn)
		r = error_set(err, -EINVAL, "%s: the function is NULL", what);
	if (r == 0)
		r = options_argument(in, in_size, "the task's `in`", err);
	if (r == 0)
		r = options_argument(o->arg, o->arg_size, "the task's .arg", err);
	if (r == 0 && (in_size > PTRDIFF_MAX - 1 || out_size > PTRDIFF_MAX - 1))
		r = error_set(err, -EINVAL, "%s: a size is negative", what);
	if (r == 0)
		r = map_check_options(o, what, err);
	return r;
}

static int refused(const struct rp_pool *pool, int code, const char *what, struct rp_error *err)
{
	if (code == -EPIPE)
		return error_set(err, code, "%s: the pool is broken: %s", what, pool_reason(pool));
	return error_set(err, code, "%s: %s", what, code == -EINVAL ? "the pool is closed" : "no memory for another task");
}

int rp_pool_submit(struct rp_future **ret, struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size,
                   size_t out_size, const struct rp_map_options *options, struct rp_error *err)
{
	struct rp_future *future = NULL;
	struct rp_map_options o;
	int r;

	if (ret)
		*ret = NULL;
	r = options_import(&o, sizeof o, options, sizeof o, "rp_pool_submit", err);
	if (r == 0)
		r = check_submit(pool, fn, in, in_size, out_size, &o, "rp_pool_submit", err);
	if (r == 0)
		r = dispatch_make(&future, pool, fn, in_size, out_size, err);
	if (r < 0)
		return r;
	r = dispatch_number(future, err);
	if (r < 0)
		return r;
	r = dispatch_ship(future, in, NULL, &o, 0);
	if (r < 0)
		return error_set(err, r, "rp_pool_submit: no memory for %zu bytes in and %zu out", in_size, out_size);
	future->seed = o.seed;
	future->counted = 1;
	future->dropped = !ret;
	r = dispatch_send(future);
	if (r < 0)
		return refused(pool, r, "rp_pool_submit", err);
	if (ret)
		*ret = future;
	return 0;
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

static int is_ours(const struct rp_future *future)
{
	return future ? context_owns(future->owner) ? 0 : -EPERM : -EINVAL;
}

/* Looks without the lock: another thread may collect the future meanwhile and the ticket may be used again, which only makes
 * the look useless. */
static void spin(const struct rp_future *future)
{
	const struct crew *crew = future->pool->crew;
	int id = atomic_load(&future->ticket);

	if (!crew->spinners || id == DISPATCH_NO_TICKET)
		return;
	for (int i = 0; i < SPIN; i++) {
		if (atomic_load_explicit(&future->ended, memory_order_relaxed) ||
		    ticket_outcome(crew, (uint32_t)id) != RP_PENDING)
			return;
		wait_pause();
	}
}

static int wait_until(struct rp_future *future, int64_t deadline)
{
	if (!atomic_load(&future->ended) && clock_left(deadline))
		spin(future);
	for (;;) {
		uint32_t seen = future->pool ? pool_ended(future->pool) : 0;

		if (dispatch_look(future)) {
			if (future->outcome.state == RP_CANCELLED)
				context_hold();
			return 0;
		}
		if (!clock_left(deadline) || pool_wait(future->pool, seen, deadline) == -ETIMEDOUT)
			return dispatch_look(future) ? 0 : -ETIMEDOUT;
	}
}

int rp_future_wait(struct rp_future *future, int64_t timeout)
{
	int r = is_ours(future);

	return r < 0 ? r : wait_until(future, clock_deadline(timeout));
}

static int check_all(struct rp_future *const *futures, size_t count)
{
	int any = 0, r;

	if (!futures && count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!futures[i])
			continue;
		r = is_ours(futures[i]);
		if (r < 0)
			return r;
		any = 1;
	}
	return any;
}

/* The index of the one that ended first, or -EAGAIN. */
static int first_ended(struct rp_future *const *futures, size_t count)
{
	int best = -EAGAIN;

	for (size_t i = 0; i < count && i <= INT32_MAX; i++)
		if (futures[i] && dispatch_look(futures[i]) && (best < 0 || futures[i]->order < futures[best]->order))
			best = (int)i;
	return best;
}

static struct rp_pool *pool_of_any(struct rp_future *const *futures, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (futures[i] && futures[i]->pool)
			return futures[i]->pool;
	return NULL;
}

/* Futures of several pools are possible: it is their first pool's end that wakes, and the others' are found by looking. */
int rp_future_wait_any(struct rp_future *const *futures, size_t count, int64_t timeout)
{
	int64_t deadline = clock_deadline(timeout), look_at;
	int any = check_all(futures, count), best;

	if (any <= 0)
		return any < 0 ? any : -ENOENT;
	for (;;) {
		struct rp_pool *pool = pool_of_any(futures, count);
		uint32_t seen = pool ? pool_ended(pool) : 0;

		best = first_ended(futures, count);
		if (best >= 0)
			return best;
		if (!clock_left(deadline))
			return -ETIMEDOUT;
		look_at = deadline;
		for (size_t i = 0; i < count; i++)
			if (futures[i] && futures[i]->pool != pool)
				look_at = clock_deadline(RP_MILLISECOND);
		pool_wait(pool, seen, look_at < deadline ? look_at : deadline);
	}
}

int rp_future_wait_all(struct rp_future *const *futures, size_t count, int64_t timeout)
{
	int64_t deadline = clock_deadline(timeout);
	int r = check_all(futures, count);

	for (size_t i = 0; r >= 0 && i < count; i++)
		if (futures[i])
			r = wait_until(futures[i], deadline);
	return r < 0 ? r : 0;
}

int rp_future_done(const struct rp_future *future)
{
	int r = is_ours(future);

	if (r < 0)
		return r;
	if (atomic_load(&future->ended))
		return 1;
	return dispatch_look((struct rp_future *)(uintptr_t)future);
}

int rp_future_get(struct rp_future *future, void *out, size_t out_size, int64_t timeout, struct rp_error *err)
{
	const struct rp_outcome *o;
	int r = options_argument(out, out_size, "rp_future_get: `out`", err);

	if (r < 0)
		return r;
	r = rp_future_wait(future, timeout);
	if (r == -ETIMEDOUT)
		return error_set(err, r, "rp_future_get: the task has not ended yet");
	if (r < 0)
		return error_set(err, r, "rp_future_get: the future is %s", future ? "another process's" : "NULL");
	o = &future->outcome;
	if (o->state != RP_OK)
		return error_set_item(err, future->code, future->index, "task %zu %s: %s", (size_t)future->index,
		                      rp_state_name(o->state), o->text);
	if (out && out_size < future->result.size)
		return error_set(err, -EMSGSIZE, "rp_future_get: the result has %zu bytes, there is room for %zu",
		                 future->result.size, out_size);
	if (out && future->result.size)
		memcpy(out, future->result.data, future->result.size);
	return 0;
}

const void *rp_future_data(const struct rp_future *future, size_t *size)
{
	int ready = is_ours(future) == 0 && atomic_load(&future->ended) && future->outcome.state == RP_OK;

	if (size)
		*size = ready ? future->result.size : 0;
	return ready ? future->result.data : NULL;
}

const struct rp_outcome *rp_future_outcome(const struct rp_future *future)
{
	static const struct rp_outcome pending = { .rank = -1, .node = -1, .text = "" };

	return is_ours(future) == 0 && atomic_load(&future->ended) ? &future->outcome : &pending;
}

int rp_future_cancel(struct rp_future *future)
{
	int r = is_ours(future);

	return r < 0 ? r : dispatch_cancel(future);
}

struct rp_future *rp_future_free(struct rp_future *future)
{
	if (is_ours(future) == 0)
		dispatch_drop(future);
	return NULL;
}

/* ---- apply ------------------------------------------------------------------------------------------------ */

int rp_pool_apply(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                  struct rp_error *err)
{
	static const struct rp_map_options none = { .size = sizeof none };
	struct rp_future *future = NULL;
	int r = options_argument(out, out_size, "the task's `out`", err);

	if (r == 0)
		r = check_submit(pool, fn, in, in_size, out_size, &none, "rp_pool_apply", err);
	if (r == 0)
		r = dispatch_make(&future, pool, fn, in_size, out_size, err);
	if (r < 0)
		return r;
	r = dispatch_number(future, err);
	if (r < 0)
		return r;
	r = dispatch_ship(future, in, out, &none, 1);
	if (r < 0)
		return error_set(err, r, "rp_pool_apply: no memory for %zu bytes in and %zu out", in_size, out_size);
	r = dispatch_send(future);
	if (r < 0)
		return refused(pool, r, "rp_pool_apply", err);
	wait_until(future, CLOCK_NEVER);
	r = future->code;
	if (r == 0 && out_size && future->result.data != out)
		memcpy(out, future->result.data, out_size);
	if (r == -EPIPE)
		error_set(err, r, "rp_pool_apply: the pool is broken: %s", future->outcome.text);
	else if (r < 0)
		map_error(err, r, 1, 1, 0, &future->outcome, pool_host_of(pool, future->outcome.rank));
	dispatch_drop(future);
	return r;
}
