/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/pool.c - opening, closing and ending pools, their hooks, and workers that retire.  Ids such as pool_05 are those of
 * the catalogue of what multiprocessing's own tests demand. */
#include "pools.h"

#include <pthread.h>
#include <sched.h>

static int twice(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in * 2;
	return 0;
}

/* 0 when a map of `count` items is as it should be. */
static int try_map(struct rp_pool *pool, int count)
{
	int *in = calloc((size_t)count + 1, sizeof *in), *out = calloc((size_t)count + 1, sizeof *out), r, bad = 0;

	for (int i = 0; i < count; i++)
		in[i] = i;
	r = rp_pool_map(pool, twice, in, out, (size_t)count);
	for (int i = 0; r == 0 && i < count; i++)
		bad += out[i] != 2 * i;
	free(in);
	free(out);
	return bad ? 1000 : r;
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static void pool_02_has_as_many_workers_as_asked_for(void **state)
{
	for (int workers = 1; workers <= 5; workers++) {
		struct rp_pool *pool = pool_in(state, (uint32_t)workers);
		struct rp_worker_info infos[5];
		char host[64];

		gethostname(host, sizeof host);
		assert_int_equal(rp_pool_workers(pool), workers);
		for (int i = 0; i < workers; i++) {
			assert_int_equal(rp_pool_worker(pool, i, &infos[i]), 0);
			assert_int_equal(infos[i].rank, i);
			assert_int_equal(infos[i].local_rank, i);
			assert_int_equal(infos[i].node, 0);
			assert_string_equal(infos[i].host, host);
			assert_string_not_equal(infos[i].cpus, "");
			assert_int_equal(infos[i].restarts, 0);
			assert_int_equal(kill(infos[i].pid, 0), 0);
			for (int k = 0; k < i && world_of(state)->kind == RP_PROCESSES; k++)
				assert_int_not_equal(infos[i].pid, infos[k].pid);
			assert_int_equal(infos[i].pid == getpid(), world_of(state)->kind == RP_THREADS);
		}
		assert_int_equal(rp_pool_worker(pool, -1, &infos[0]), -EINVAL);
		assert_int_equal(rp_pool_worker(pool, workers, &infos[0]), -EINVAL);
		assert_int_equal(rp_pool_worker(pool, 0, NULL), -EINVAL);
		assert_int_equal(try_map(pool, 50), 0);
		rp_pool_free(pool);
		for (int i = 0; i < workers && world_of(state)->kind == RP_PROCESSES; i++)
			assert_int_equal(kill(infos[i].pid, 0), -1);
	}
}

static void pool_03_has_a_worker_per_allowed_core(void **state)
{
	struct rp_pool *pool = pool_in(state, 0);

	assert_int_equal(rp_pool_workers(pool), rp_pool_plan(NULL, NULL, NULL, 0, NULL));
	assert_in_range(rp_pool_workers(pool), 1, rp_cpu_count());
	rp_pool_free(pool);
	assert_int_equal(rp_pool_new(&pool, NULL, NULL), 0);
	assert_int_equal(rp_pool_workers(pool), rp_pool_plan(NULL, NULL, NULL, 0, NULL));
	rp_pool_free(pool);
}

static int square(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	*(uint64_t *)out = rp_task_index(task) * rp_task_index(task);
	return 0;
}

static void pool_09_may_be_large(void **state)
{
	struct rp_pool *pool = pool_in(state, 200);
	uint64_t out[1000], sum = 0;

	assert_int_equal(rp_pool_workers(pool), 200);
	assert_int_equal(rp_pool_map(pool, square, NULL, out, 1000), 0);
	for (int i = 0; i < 1000; i++)
		sum += out[i];
	assert_int_equal(sum, 332833500);
	rp_pool_free(pool);
}

static void new_is_refused(const struct rp_pool_options *options, int code, const char *word)
{
	struct rp_pool *pool = (struct rp_pool *)&code;
	struct rp_error err = { .text = "" };

	assert_int_equal(rp_pool_new(&pool, options, &err), code);
	assert_null(pool);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, word))
		fail_msg("'%s' does not say '%s'", err.text, word);
}

static int refuse(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return rp_task_fail(task, "there is no %s", "chalk");
}

static void pool_01_bad_options_are_refused(void **state RP_UNUSED)
{
	struct { struct rp_pool_options options; uint64_t later; } newer = { { .size = sizeof newer }, 1 };

	new_is_refused(RP_POOL(.workers = (uint32_t)-1), -EINVAL, "negative");
	new_is_refused(RP_POOL(.workers = 65536), -EINVAL, "65535");
	new_is_refused(RP_POOL(.kind = 2), -EINVAL, "kind");
	new_is_refused(RP_POOL(.flags = RP_DAEMON), -EINVAL, "RP_DAEMON");
	new_is_refused(RP_POOL(.flags = 1u << 30), -EINVAL, "0x40000000");
	new_is_refused(RP_POOL(.bind = "nonsense"), -EINVAL, "nonsense");
	new_is_refused(RP_POOL(.cpus = "core:99999"), -EINVAL, "99999");
	new_is_refused(RP_POOL(.init = refuse, .init_arg = "x"), -EINVAL, "init_arg");
	new_is_refused(RP_POOL(.init = refuse, .init_arg_size = 3), -EINVAL, "init_arg");
	new_is_refused(RP_POOL(.kind = RP_THREADS, .max_tasks = 1), -ENOTSUP, "max_tasks");
	new_is_refused(&(struct rp_pool_options){ .workers = 1 }, -EINVAL, ".size");
	new_is_refused(&newer.options, -E2BIG, "");
	assert_int_equal(rp_pool_new(NULL, NULL, NULL), -EINVAL);
}

static void a_null_pool_is_refused_everywhere(void **state RP_UNUSED)
{
	struct rp_worker_info info;
	struct rp_future *future = (struct rp_future *)&info;
	int in = 1, out;

	assert_int_equal(rp_pool_workers(NULL), -EINVAL);
	assert_int_equal(rp_pool_worker(NULL, 0, &info), -EINVAL);
	assert_int_equal(rp_pool_close(NULL), -EINVAL);
	assert_int_equal(rp_pool_terminate(NULL), -EINVAL);
	assert_int_equal(rp_pool_join(NULL, 0), -EINVAL);
	assert_int_equal(rp_pool_fd(NULL), -EINVAL);
	assert_int_equal(rp_pool_map(NULL, twice, &in, &out, 1), -EINVAL);
	assert_int_equal(rp_pool_map_bytes(NULL, twice, NULL, NULL, 1, NULL, NULL), -EINVAL);
	assert_int_equal(rp_pool_apply(NULL, twice, &in, 4, &out, 4, NULL), -EINVAL);
	assert_int_equal(rp_pool_submit(&future, NULL, twice, &in, 4, 4, NULL, NULL), -EINVAL);
	assert_null(future);
	assert_null(rp_pool_free(NULL));
}

/* ---- hooks ---------------------------------------------------------------------------------------------- */

struct hooks {
	_Atomic uint32_t inits, exits, early, strange;
	_Atomic uint32_t of_rank[8];
};

/* The argument of both hooks: where to count, and something to be recognised by. */
struct setup {
	struct hooks *hooks;
	char text[24];
};

static int is_strange(struct rp_task *task, const void *in, void *out)
{
	const struct setup *setup = in;
	size_t size = 0;

	return rp_task_init_arg(task, &size) != in || size != sizeof *setup || rp_task_in_size(task) != size ||
	       strcmp(setup->text, "for every worker") != 0 || out || rp_task_index(task) != 0 || rp_task_arg(task, NULL);
}

static int begin_worker(struct rp_task *task, const void *in, void *out)
{
	static _Thread_local char local[8];     /* where .exit is not called, nothing is left that nobody frees */
	const struct setup *setup = in;
	struct hooks *hooks = setup->hooks;

	hooks->strange += is_strange(task, in, out) || rp_task_local(task);
	hooks->inits++;
	hooks->of_rank[rp_task_rank(task)]++;
	rp_task_set_local(task, strcpy(local, "local"));
	(void)!rp_task_fail(task, "said by an init that succeeds");
	return 0;
}

static int end_worker(struct rp_task *task, const void *in, void *out)
{
	const struct setup *setup = in;

	setup->hooks->strange += is_strange(task, in, out) || strcmp(rp_task_local(task), "local") != 0;
	setup->hooks->exits++;
	return 0;
}

static int use_worker(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	const struct setup *setup = rp_task_init_arg(task, NULL);
	const char *local = rp_task_local(task);

	setup->hooks->early += !local || strcmp(local, "local") != 0 || !setup->hooks->of_rank[rp_task_rank(task)];
	*(int *)out = rp_task_rank(task);
	return 0;
}

static void pool_05_init_and_exit_run_once_in_each_worker(void **state)
{
	struct setup setup = { rp_alloc(sizeof *setup.hooks), "for every worker" };
	int ranks[100];

	for (int tasks = 0; tasks < 2; tasks++) {
		struct rp_pool *pool;

		memset(setup.hooks, 0, sizeof *setup.hooks);
		pool = pool_in(state, 4, .init = begin_worker, .exit = end_worker, .init_arg = &setup,
		               .init_arg_size = sizeof setup);
		if (tasks)
			assert_int_equal(rp_pool_map(pool, use_worker, NULL, ranks, 100), 0);
		assert_int_equal(rp_pool_close(pool), 0);
		assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
		assert_int_equal(setup.hooks->inits, 4);
		assert_int_equal(setup.hooks->exits, 4);
		assert_int_equal(setup.hooks->early, 0);
		assert_int_equal(setup.hooks->strange, 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(setup.hooks->of_rank[i], 1);
		rp_pool_free(pool);
	}
	rp_free(setup.hooks);
}

static int note_address(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	rp_task_set_local(task, (void *)(uintptr_t)in);
	return 0;
}

static int tell_address(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	*(const void **)out = rp_task_local(task) == rp_task_init_arg(task, NULL) ? rp_task_local(task) : out;
	return 0;
}

static void init_arg_is_one_copy_for_all(void **state)
{
	char plain[100] = "plain", *shared = rp_alloc(100);
	const void *where[50];
	struct rp_pool *pool;

	pool = pool_in(state, 3, .init = note_address, .init_arg = shared, .init_arg_size = 100);
	assert_int_equal(rp_pool_map(pool, tell_address, NULL, where, 50), 0);
	for (int i = 0; i < 50; i++)
		assert_ptr_equal(where[i], shared);
	rp_pool_free(pool);
	pool = pool_in(state, 3, .init = note_address, .init_arg = plain, .init_arg_size = 100);
	assert_int_equal(rp_pool_map(pool, tell_address, NULL, where, 50), 0);
	for (int i = 1; i < 50; i++)
		assert_ptr_equal(where[i], where[0]);
	rp_pool_free(pool);
	pool = pool_in(state, 3, .init = note_address);
	assert_int_equal(rp_pool_map(pool, tell_address, NULL, where, 50), 0);
	for (int i = 0; i < 50; i++)
		assert_null(where[i]);
	rp_pool_free(pool);
	rp_free(shared);
}

static int count_and_fail(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	atomic_fetch_add(&board->number[0], 1);
	return rp_task_fail(task, "there is no %s", "chalk");
}

/* Broken for good: every call says why, at once, and nobody is started again. */
static void check_broken(struct rp_pool *pool, const char *why)
{
	struct rp_future *future = NULL;
	struct rp_error err;
	int in[9] = { 0 }, out[9];

	for (int i = 0; i < 3; i++) {
		err = (struct rp_error){ 0 };
		assert_int_equal(rp_pool_map(pool, twice, in, out, 9, NULL, &err), -EPIPE);
		if (!strstr(err.text, why))
			fail_msg("'%s' does not say '%s'", err.text, why);
		err = (struct rp_error){ 0 };
		assert_int_equal(rp_pool_apply(pool, twice, in, 4, out, 4, &err), -EPIPE);
		assert_non_null(strstr(err.text, why));
		err = (struct rp_error){ 0 };
		assert_int_equal(rp_pool_submit(&future, pool, twice, in, 4, 4, NULL, &err), -EPIPE);
		assert_non_null(strstr(err.text, why));
		assert_null(future);
	}
}

static void pool_06_a_failing_init_breaks_the_pool(void **state)
{
	struct rp_pool *pool = pool_in(state, 2, .init = count_and_fail);
	struct rp_outcome outcomes[50];
	int in[50] = { 0 }, out[50], r;
	struct rp_error err = { 0 };

	r = rp_pool_map(pool, twice, in, out, 50, RP_MAP(.outcomes = outcomes), &err);
	assert_int_equal(r, -EPIPE);
	assert_non_null(strstr(err.text, "there is no chalk"));
	check_broken(pool, "there is no chalk");
	assert_in_range(board->number[0], 1, 2);
	assert_int_equal(rp_pool_close(pool), 0);
	assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
	assert_in_range(board->number[0], 1, 2);
	rp_pool_free(pool);
}

/* What is in the pool when it breaks does not wait for ever. */
static int fail_when_told(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	WAIT_FOR(board->number[1]);
	return rp_task_fail(task, "told to fail");
}

static void *tell_to_fail(void *arg RP_UNUSED)
{
	WAIT_FOR(board->number[2]);
	board->number[1] = 1;
	return NULL;
}

static void fut_40_a_pool_that_breaks_cancels_what_waits(void **state)
{
	struct rp_pool *pool = pool_in(state, 2, .init = fail_when_told);
	struct rp_outcome outcomes[50];
	int in[50] = { 0 }, out[50];
	struct rp_future *future;
	struct rp_error err = { 0 };
	pthread_t thread;

	assert_int_equal(rp_pool_submit(&future, pool, twice, in, 4, 4, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, tell_to_fail, NULL), 0);
	board->number[2] = 1;
	assert_int_equal(rp_pool_map(pool, twice, in, out, 50, RP_MAP(.outcomes = outcomes), &err), -EPIPE);
	assert_non_null(strstr(err.text, "told to fail"));
	pthread_join(thread, NULL);
	for (int i = 0; i < 50 && err.index != SIZE_MAX; i++) {
		assert_int_equal(outcomes[i].state, RP_CANCELLED);
		assert_int_equal(outcomes[i].rank, -1);
		assert_non_null(strstr(outcomes[i].text, "told to fail"));
	}
	assert_int_equal(rp_future_wait(future, PATIENCE * RP_SECOND), 0);
	assert_int_equal(rp_future_outcome(future)->state, RP_CANCELLED);
	assert_non_null(strstr(rp_future_outcome(future)->text, "told to fail"));
	future = rp_future_free(future);
	rp_pool_free(pool);
}

/* Ends its worker as the first byte of the argument says, while number[1] deaths are left. */
static int die_in_init(struct rp_task *task RP_UNUSED, const void *in, void *out RP_UNUSED)
{
	atomic_fetch_add(&board->number[0], 1);
	if (atomic_fetch_sub(&board->number[1], 1) <= 0)
		return 0;
	switch (*(const char *)in) {
	case 's': raise(SIGSEGV); break;
	case 'a': abort();
	case 'e': exit(3);
	case '_': _exit(0);
	default: raise(SIGKILL);
	}
	return 0;
}

static void an_init_that_ends_its_worker_breaks_the_pool(void **state)
{
	static const struct { const char *how, *why; } ends[] = {
		{ "s", "signal 11" }, { "a", "signal 6" }, { "e", "code 3" }, { "_", "code 0" }
	};

	for (size_t i = 0; i < LENGTH(ends); i++) {
		struct rp_pool *pool;

		board->number[0] = 0;
		board->number[1] = 1000;
		pool = pool_in(state, 2, .init = die_in_init, .init_arg = ends[i].how, .init_arg_size = 2);
		assert_int_equal(try_map(pool, 50), -EPIPE);
		check_broken(pool, ends[i].why);
		assert_in_range(board->number[0], 1, 2);
		rp_pool_free(pool);
	}
}

/* Somebody outside may have a reason of his own, once or twice. */
static void workers_killed_while_starting_are_tried_three_times(void **state)
{
	struct rp_pool *pool;

	board->number[1] = 2;
	pool = pool_in(state, 1, .init = die_in_init, .init_arg = "k", .init_arg_size = 2);
	assert_int_equal(try_map(pool, 50), 0);
	assert_int_equal(board->number[0], 3);
	rp_pool_free(pool);
	board->number[0] = 0;
	board->number[1] = 1000;
	pool = pool_in(state, 1, .init = die_in_init, .init_arg = "k", .init_arg_size = 2);
	assert_int_equal(try_map(pool, 50), -EPIPE);
	check_broken(pool, "signal 9");
	assert_int_equal(board->number[0], 3);
	rp_pool_free(pool);
}

/* ---- closing and ending --------------------------------------------------------------------------------- */

enum step { CLOSE, TERMINATE, JOIN, MAP, STEPS };

static void pool_49_close_terminate_join_in_every_order(void **state)
{
	for (int all = 0; all < STEPS * STEPS * STEPS * STEPS; all++) {
		struct rp_pool *pool = pool_in(state, 2);
		int closed = 0;

		for (int i = 0, rest = all; i < 4; i++, rest /= STEPS) {
			switch ((enum step)(rest % STEPS)) {
			case CLOSE:
				assert_int_equal(rp_pool_close(pool), 0);
				closed = 1;
				break;
			case TERMINATE:
				assert_int_equal(rp_pool_terminate(pool), 0);
				closed = 1;
				break;
			case JOIN:
				assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), closed ? 0 : -EINVAL);
				break;
			default:
				assert_int_equal(try_map(pool, 10), closed ? -EINVAL : 0);
			}
		}
		rp_pool_free(pool);
	}
}

static void pool_46_a_closed_pool_takes_no_work_and_says_so(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	struct rp_error err = { 0 };
	struct rp_bytes result = { "x", 1 };
	struct rp_future *future = (struct rp_future *)&err;
	int in = 1, out = 9;

	rp_pool_close(pool);
	assert_int_equal(rp_pool_map(pool, twice, &in, &out, 1, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "closed"));
	assert_int_equal(rp_pool_map_bytes(pool, twice, NULL, &result, 1, NULL, NULL), -EINVAL);
	assert_null(result.data);
	assert_int_equal(rp_pool_apply(pool, twice, &in, 4, &out, 4, NULL), -EINVAL);
	assert_int_equal(rp_pool_submit(&future, pool, twice, &in, 4, 4, NULL, NULL), -EINVAL);
	assert_null(future);
	assert_int_equal(out, 9);
	assert_int_equal(rp_pool_workers(pool), 1);
	rp_pool_free(pool);
}

static int wait_for_release(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	atomic_fetch_add(&board->number[0], 1);
	WAIT_FOR(board->number[1] || rp_task_cancelled(task));
	if (out)
		*(int *)out = 7;
	return 0;
}

static void pool_47_close_lets_queued_work_finish(void **state)
{
	struct rp_pool *pool = pool_in(state, 2, .max_tasks = world_of(state)->kind == RP_PROCESSES);
	struct rp_future *futures[9];
	int out = 0;

	for (size_t i = 0; i < LENGTH(futures); i++)
		assert_int_equal(rp_pool_submit(&futures[i], pool, wait_for_release, NULL, 0, 4, NULL, NULL), 0);
	assert_int_equal(rp_pool_close(pool), 0);
	assert_int_equal(rp_pool_join(pool, 0), -ETIMEDOUT);
	assert_int_equal(rp_pool_join(pool, RP_MILLISECOND), -ETIMEDOUT);
	board->number[1] = 1;
	assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
	for (size_t i = 0; i < LENGTH(futures); i++) {
		assert_int_equal(rp_future_get(futures[i], &out, 4, 0, NULL), 0);
		assert_int_equal(out, 7);
		futures[i] = rp_future_free(futures[i]);
	}
	assert_int_equal(board->number[0], 9);
	rp_pool_free(pool);
}

/* Waits for the future of this task to be freed, and tells so in number[3]. */
static int wait_until_unwanted(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	atomic_fetch_add(&board->number[0], 1);
	atomic_fetch_add(&board->number[3], WAIT_FOR(rp_task_cancelled(task)));
	return 0;
}

static int count_if_unwanted(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	atomic_fetch_add(&board->number[3], rp_task_cancelled(task));
	atomic_fetch_add(&board->number[0], 1);
	return 0;
}

/* Of two that run and one that waits behind them; then the ticket is used again, and a task nobody ever waited for. */
static void pool_47_a_task_sees_that_its_future_was_freed(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_future *futures[3];

	for (size_t i = 0; i < LENGTH(futures); i++)
		assert_int_equal(rp_pool_submit(&futures[i], pool, wait_until_unwanted, NULL, 0, 0, NULL, NULL), 0);
	assert_true(WAIT_FOR(board->number[0] == 2));
	assert_int_equal(board->number[3], 0);
	for (size_t i = 0; i < LENGTH(futures); i++)
		futures[i] = rp_future_free(futures[i]);
	assert_true(WAIT_FOR(board->number[3] == 3));
	assert_int_equal(rp_pool_apply(pool, count_if_unwanted, NULL, 0, NULL, 0, NULL), 0);
	assert_int_equal(rp_pool_submit(NULL, pool, count_if_unwanted, NULL, 0, 0, NULL, NULL), 0);
	assert_true(WAIT_FOR(board->number[0] == 5));
	assert_int_equal(board->number[3], 3);
	rp_pool_free(pool);
}

struct long_map {
	struct rp_pool *pool;
	struct rp_outcome outcomes[2000];
	struct rp_error err;
	int code;
};

static void *run_long_map(void *arg)
{
	struct long_map *map = arg;

	map->code = rp_pool_map(map->pool, wait_for_release, NULL, NULL, LENGTH(map->outcomes),
	                        RP_MAP(.chunk = 1, .outcomes = map->outcomes), &map->err);
	return NULL;
}

/* A thread's task can only be asked. */
static void pool_50_terminate_cuts_a_map_short(void **state)
{
	struct long_map *map = calloc(1, sizeof *map);
	pthread_t thread;
	size_t ok = 0;

	map->pool = pool_in(state, 3);
	assert_int_equal(pthread_create(&thread, NULL, run_long_map, map), 0);
	assert_true(WAIT_FOR(board->number[0] == 3));
	assert_int_equal(rp_pool_terminate(map->pool), 0);
	assert_int_equal(rp_pool_join(map->pool, PATIENCE * RP_SECOND), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(map->code, -ECANCELED);
	assert_int_equal(map->err.code, -ECANCELED);
	assert_int_equal(board->number[0], 3);
	for (size_t i = 0; i < LENGTH(map->outcomes); i++) {
		ok += map->outcomes[i].state == RP_OK;
		assert_true(map->outcomes[i].state == RP_OK || map->outcomes[i].state == RP_CANCELLED);
		assert_non_null(map->outcomes[i].text);
	}
	assert_in_range(ok, world_of(state)->kind == RP_THREADS ? 3 : 0, 3);
	rp_pool_free(map->pool);
	free(map);
}

static void *free_pool(void *arg)
{
	return rp_pool_free(arg);
}

/* With nothing closed, and with a future still on its way. */
static void pool_52_free_terminates(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_future *future;
	pthread_t thread;

	for (int i = 0; i < 20; i++)
		assert_int_equal(rp_pool_submit(i ? NULL : &future, pool, wait_for_release, NULL, 0, 4, NULL, NULL), 0);
	assert_true(WAIT_FOR(board->number[0] == 2));
	assert_int_equal(pthread_create(&thread, NULL, free_pool, pool), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(rp_future_done(future), 1);
	assert_int_equal(board->number[0], 2);
	future = rp_future_free(future);
}

static void hooks_of_workers_that_are_terminated_do_not_run(void **state)
{
	struct setup setup = { rp_alloc(sizeof *setup.hooks), "for every worker" };
	struct rp_pool *pool;

	memset(setup.hooks, 0, sizeof *setup.hooks);
	pool = pool_in(state, 2, .init = begin_worker, .exit = end_worker, .init_arg = &setup,
	               .init_arg_size = sizeof setup);
	assert_int_equal(try_map(pool, 10), 0);
	rp_pool_free(pool);
	assert_int_equal(setup.hooks->exits, 0);
	rp_free(setup.hooks);
}

static void a_hundred_pools_leave_nothing(void **state)
{
	size_t before = 0;

	for (int i = 0; i < 100; i++) {
		struct rp_pool *pool = pool_in(state, 1 + (uint32_t)i % 3);

		assert_int_equal(try_map(pool, 20), 0);
		rp_pool_free(pool);
		if (i == 10)
			before = arena_bytes();
	}
	assert_true(arena_bytes() <= before + ((size_t)2 << 20));
}

/* ---- workers that retire -------------------------------------------------------------------------------- */

struct life {
	_Atomic int32_t pid;
	_Atomic uint32_t tasks;
};

#define LIVES 4096

/* Counts the tasks of each process, in the table that the argument points to. */
static int live(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	struct life *lives = *(struct life *const *)rp_task_arg(task, NULL);
	int32_t mine = getpid();

	for (int i = mine % LIVES;; i = (i + 1) % LIVES) {
		int32_t other = 0;

		if (atomic_compare_exchange_strong(&lives[i].pid, &other, mine) || other == mine) {
			lives[i].tasks++;
			break;
		}
	}
	*(int32_t *)out = mine;
	return 0;
}

static void check_lives(struct life *lives, uint32_t most, uint32_t least_lives, uint32_t tasks)
{
	uint32_t count = 0, sum = 0;

	for (int i = 0; i < LIVES; i++) {
		assert_true(lives[i].tasks <= most);
		sum += lives[i].tasks;
		count += lives[i].pid != 0;
	}
	assert_int_equal(sum, tasks);
	assert_true(count >= least_lives);
}

static void pool_56_workers_retire_after_max_tasks(void **state)
{
	static const struct { size_t chunk; uint64_t max_tasks; uint32_t most; } cases[] = {
		{ 0, 10, 10 }, { 1, 10, 10 }, { 0, 1, 1 }, { 20, 1, 20 }, { 7, 3, 21 },
	};
	struct life *lives = rp_alloc(LIVES * sizeof *lives);
	int32_t pids[200];

	for (size_t c = 0; c < LENGTH(cases); c++) {
		struct rp_pool *pool = pool_in(state, 3, .max_tasks = cases[c].max_tasks);

		memset(lives, 0, LIVES * sizeof *lives);
		assert_int_equal(rp_pool_map(pool, live, NULL, pids, 200, RP_MAP(.chunk = cases[c].chunk, RP_ARG(lives))),
		                 0);
		check_lives(lives, cases[c].most, (200 + cases[c].most - 1) / cases[c].most, 200);
		for (int rank = 0; rank < 3; rank++)
			assert_int_not_equal(pid_of_worker(pool, rank), 0);
		assert_int_equal(try_map(pool, 100), 0);
		rp_pool_free(pool);
	}
	rp_free(lives);
}

static void pool_55_single_tasks_count_too(void **state)
{
	struct rp_pool *pool = pool_in(state, 1, .max_tasks = 3);
	int32_t pids[12];
	struct life *lives = rp_alloc(LIVES * sizeof *lives);
	struct rp_future *future;
	struct rp_worker_info info;

	memset(lives, 0, LIVES * sizeof *lives);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(rp_pool_submit(&future, pool, live, NULL, 0, 4, RP_MAP(RP_ARG(lives)), NULL), 0);
		assert_int_equal(rp_future_get(future, &pids[i], 4, PATIENCE * RP_SECOND, NULL), 0);
		future = rp_future_free(future);
		assert_true(i % 3 == 0 || pids[i] == pids[i - 1]);
		assert_true(i == 0 || i % 3 != 0 || pids[i] != pids[i - 1]);
	}
	check_lives(lives, 3, 4, 12);
	assert_true(WAIT_FOR(rp_pool_worker(pool, 0, &info) == 0 && info.restarts == 4));
	assert_int_equal(info.tasks, 12);
	rp_pool_free(pool);
	rp_free(lives);
}

static void hooks_run_in_every_worker_that_retires(void **state)
{
	struct setup setup = { rp_alloc(sizeof *setup.hooks), "for every worker" };
	struct rp_pool *pool;
	int ranks[100];

	memset(setup.hooks, 0, sizeof *setup.hooks);
	pool = pool_in(state, 2, .init = begin_worker, .exit = end_worker, .init_arg = &setup, .init_arg_size = sizeof setup,
	               .max_tasks = 5);
	assert_int_equal(rp_pool_map(pool, use_worker, NULL, ranks, 100), 0);
	assert_int_equal(rp_pool_close(pool), 0);
	assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
	assert_true(setup.hooks->inits >= 20);
	assert_int_equal(setup.hooks->exits, setup.hooks->inits);
	assert_int_equal(setup.hooks->early, 0);
	assert_int_equal(setup.hooks->strange, 0);
	rp_pool_free(pool);
	rp_free(setup.hooks);
}

/* ---- pools elsewhere ------------------------------------------------------------------------------------ */

static int refused_here(struct rp_pool *pool)
{
	struct rp_future *future = NULL;
	struct rp_worker_info info;
	int in = 1, out = 0;

	return rp_pool_workers(pool) == -EPERM && rp_pool_worker(pool, 0, &info) == -EPERM &&
	       rp_pool_close(pool) == -EPERM && rp_pool_terminate(pool) == -EPERM && rp_pool_join(pool, 0) == -EPERM &&
	       rp_pool_fd(pool) == -EPERM && rp_pool_map(pool, twice, &in, &out, 1) == -EPERM &&
	       rp_pool_map_bytes(pool, twice, NULL, NULL, 1, NULL, NULL) == -EPERM &&
	       rp_pool_apply(pool, twice, &in, 4, &out, 4, NULL) == -EPERM &&
	       rp_pool_submit(&future, pool, twice, &in, 4, 4, NULL, NULL) == -EPERM;
}

static void pool_11_a_forked_child_cannot_use_it(void **state)
{
	struct rp_pool *pool = pool_in(state, 2), *own;
	pid_t pid = fork_program();

	if (pid == 0) {
		must(refused_here(pool));
		must(rp_pool_free(pool) == NULL);
		must(rp_pool_new(&own, RP_POOL(.workers = 2, .kind = world_of(state)->kind), RP_FATAL) == 0);
		must(try_map(own, 100) == 0);
		rp_pool_free(own);
		_exit(0);                       /* what the threads that did not come along had is no leak */
	}
	assert_int_equal(code_of(pid), 0);
	assert_int_equal(try_map(pool, 100), 0);
	rp_pool_free(pool);
}

static int map_in_a_process(const void *arg, size_t arg_size RP_UNUSED)
{
	struct rp_pool *pool;

	if (rp_pool_new(&pool, RP_POOL(.workers = 2, .kind = *(const uint32_t *)arg), RP_FATAL) < 0)
		return 1;
	if (try_map(pool, 1000) != 0)
		return 2;
	rp_pool_free(pool);
	return 42;
}

static void pool_10_in_a_process(void **state)
{
	struct rp_process *process;
	uint32_t kind = world_of(state)->kind;

	assert_int_equal(rp_process_new(&process, RP_PROCESS(.target = map_in_a_process, RP_ARG(kind)), NULL), 0);
	assert_int_equal(rp_process_start(process, NULL), 0);
	assert_int_equal(rp_process_join(process, PATIENCE * RP_SECOND), 0);
	assert_int_equal(rp_process_exitcode(process), 42);
	process = rp_process_free(process);
}

/* A pool within a task has the CPUs of the worker that runs it, and no others. */
static int map_in_a_task(struct rp_task *task, const void *in, void *out)
{
	const struct rp_worker_info *mine = rp_task_worker(task);
	struct rp_worker_info info;
	struct rp_pool *pool;
	struct rp_error err;
	int r;

	if (rp_pool_new(&pool, RP_POOL(.kind = *(const uint32_t *)in), &err) < 0)
		return rp_task_fail(task, "%s", err.text);
	r = try_map(pool, 100);
	rp_pool_worker(pool, 0, &info);
	*(int *)out = rp_pool_workers(pool);
	rp_pool_free(pool);
	if (r)
		return rp_task_fail(task, "the map in the task returned %d", r);
	if (strcmp(info.cpus, mine->cpus) != 0)
		return rp_task_fail(task, "on %s instead of %s", info.cpus, mine->cpus);
	return 0;
}

static void pool_45_in_a_task(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	uint32_t kinds[8];
	int workers[8];
	struct rp_error err = { .text = "" };

	for (size_t i = 0; i < 8; i++)
		kinds[i] = i % 2 ? RP_THREADS : RP_PROCESSES;
	if (rp_pool_map(pool, map_in_a_task, kinds, workers, 8, NULL, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(workers[i], 1);
	rp_pool_free(pool);
}

/* What the environment says is for the program: the pools of its tasks have to do with one worker's CPUs. */
static int count_in_a_task(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	struct rp_pool *pool;
	struct rp_error err;

	if (rp_pool_new(&pool, NULL, &err) < 0)
		return rp_task_fail(task, "%s", err.text);
	((int *)out)[0] = rp_pool_workers(pool);
	((int *)out)[1] = rp_pool_plan(NULL, NULL, NULL, 0, NULL);
	rp_pool_free(pool);
	((int *)out)[2] = system("test -z \"$RANKPOOL_WORKERS\"");
	return 0;
}

static void the_environment_says_how_many(void **state)
{
	uint32_t kind = world_of(state)->kind;
	struct rp_pool *pool;
	struct rp_error err;
	int counts[3];

	setenv("RANKPOOL_WORKERS", "3", 1);
	pool = pool_in(state, 0);
	assert_int_equal(rp_pool_workers(pool), 3);
	if (rp_pool_apply(pool, count_in_a_task, NULL, 0, counts, sizeof counts, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(counts[0], counts[1]);
	assert_in_range(counts[0], 1, kind == RP_PROCESSES ? 1 : rp_cpu_count());
	assert_true(kind == RP_THREADS || counts[2] == 0);
	rp_pool_free(pool);
	pool = pool_in(state, 2);
	assert_int_equal(rp_pool_workers(pool), 2);
	rp_pool_free(pool);
	setenv("RANKPOOL_WORKERS", "3 or 4", 1);
	new_is_refused(RP_POOL(.kind = kind), -EINVAL, "rp_pool_new: RANKPOOL_WORKERS=3 or 4 is no number of workers");
	new_is_refused(NULL, -EINVAL, "RANKPOOL_WORKERS");
	pool = pool_in(state, 2);
	rp_pool_free(pool);
	unsetenv("RANKPOOL_WORKERS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERYWHERE(pool_02_has_as_many_workers_as_asked_for),
		EVERYWHERE(pool_03_has_a_worker_per_allowed_core),
		EVERYWHERE(pool_09_may_be_large),
		ONCE(pool_01_bad_options_are_refused),
		ONCE(a_null_pool_is_refused_everywhere),
		EVERYWHERE(pool_05_init_and_exit_run_once_in_each_worker),
		EVERYWHERE(init_arg_is_one_copy_for_all),
		EVERYWHERE(pool_06_a_failing_init_breaks_the_pool),
		EVERYWHERE(fut_40_a_pool_that_breaks_cancels_what_waits),
		PROCESSES(an_init_that_ends_its_worker_breaks_the_pool),
		PROCESSES(workers_killed_while_starting_are_tried_three_times),
		EVERYWHERE(pool_49_close_terminate_join_in_every_order),
		EVERYWHERE(pool_46_a_closed_pool_takes_no_work_and_says_so),
		EVERYWHERE(pool_47_close_lets_queued_work_finish),
		EVERYWHERE(pool_47_a_task_sees_that_its_future_was_freed),
		EVERYWHERE(pool_50_terminate_cuts_a_map_short),
		EVERYWHERE(pool_52_free_terminates),
		EVERYWHERE(hooks_of_workers_that_are_terminated_do_not_run),
		EVERYWHERE(a_hundred_pools_leave_nothing),
		PROCESSES(pool_56_workers_retire_after_max_tasks),
		PROCESSES(pool_55_single_tasks_count_too),
		PROCESSES(hooks_run_in_every_worker_that_retires),
		EVERYWHERE(pool_11_a_forked_child_cannot_use_it),
		EVERYWHERE(pool_10_in_a_process),
		PROCESSES(pool_45_in_a_task),
		EVERYWHERE(the_environment_says_how_many),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
