/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch_far.c - single tasks and processes over several nodes, with the nodes of tests/peers.h, and the ends of it. */
#include "peers.h"

#include "context.h"
#include "hub.h"

#include <pthread.h>

/* Replies instead of writing a result. */
static int work_reply(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	char reply[320];
	size_t i;
	const struct job_arg *arg = begin_item(task, in, &i);

	if (verdict_of(arg, i) == FAILS)
		return rp_task_fail(task, "item %zu is bad", i) + 10;
	fill_bytes(reply, reply_size(arg, i), i);
	return rp_task_reply(task, reply, reply_size(arg, i));
}

static int until_unwanted(struct rp_task *task, const void *in, void *out)
{
	size_t i;

	begin_item(task, in, &i);
	while (!rp_task_cancelled(task))
		nap(500);
	return work(task, NULL, out);
}

/* ---- one task --------------------------------------------------------------------------------------------- */

struct errand {
	struct rp_future *future;
	size_t index;
	int reply;
};

/* Of a pool that belongs to this thread alone, so that its submits are numbered as it makes them. */
static int submit(struct errand *errand, struct rp_pool *pool, const struct job_arg *arg, size_t index, rp_task_fn *fn)
{
	uint64_t item = item_of(arg, index);

	*errand = (struct errand){ .index = index, .reply = fn == work_reply };
	return rp_pool_submit(&errand->future, pool, fn, &item, sizeof item, errand->reply ? 0 : sizeof(struct result),
	                      RP_MAP(.arg = arg, .arg_size = sizeof *arg), NULL);
}

static void check_good(const struct errand *errand, const struct job_arg *arg)
{
	struct result result = result_of_item(arg, errand->index);
	size_t size;
	const void *data = rp_future_data(errand->future, &size);

	must(arg->ran[errand->index] == 1);
	if (errand->reply)
		must(data && size == reply_size(arg, errand->index) && holds_bytes(data, size, errand->index));
	else
		must(size == sizeof result && memcmp(data, &result, size) == 0);
}

/* An ended one; cancelled: it may be. */
static void check_errand(const struct errand *errand, const struct job_arg *arg, int cancelled)
{
	const struct rp_outcome *o = rp_future_outcome(errand->future);
	enum verdict verdict = verdict_of(arg, errand->index);
	char text[64];

	snprintf(text, sizeof text, "item %zu is bad", errand->index);
	if (cancelled && o->state == RP_CANCELLED)
		return;
	must(o->state == (verdict == GOOD ? RP_OK : verdict == FAILS ? RP_FAILED : RP_DIED));
	must(verdict != FAILS || (o->code == 11 && strcmp(o->text, text) == 0));
	must(o->rank >= 0 && o->node >= 0 && o->node < peers.nodes);
	if (verdict == GOOD)
		check_good(errand, arg);
}

/* ---- many ------------------------------------------------------------------------------------------------- */

enum { TASKS = 160 };

struct clerk {
	pthread_t thread;
	struct rp_pool *pool;
	uint64_t seed;
	struct job_arg arg;
	int may_end_early;
};

static void cancel_some(struct clerk *clerk, struct errand *errands, int count)
{
	for (int i = 0; i < count; i++) {
		int r;

		if (mix(clerk->seed + (uint64_t)i) % 4)
			continue;
		r = rp_future_cancel(errands[i].future);
		must(r == 0 || r == -EBUSY || r == -EALREADY);
		must(r != -EBUSY || clerk->may_end_early || clerk->arg.slow || !rp_future_done(errands[i].future) ||
		     rp_future_outcome(errands[i].future)->state != RP_CANCELLED);
		if (r == 0) {
			must(rp_future_done(errands[i].future) == 1);
			must(rp_future_outcome(errands[i].future)->state == RP_CANCELLED);
			must(clerk->may_end_early || clerk->arg.ran[errands[i].index] == 0);
		}
	}
}

/* Waits for all, frees some before they have ended. */
static void collect_all(struct clerk *clerk, struct errand *errands, int count)
{
	struct rp_future *futures[TASKS];

	for (int i = 0; i < count; i++) {
		if (mix(clerk->seed + 77 + (uint64_t)i) % 5 == 0)
			errands[i].future = rp_future_free(errands[i].future);
		futures[i] = errands[i].future;
	}
	for (;;) {
		int i = rp_future_wait_any(futures, (size_t)count, 2 * PATIENCE * RP_SECOND);

		must(i >= 0 || i == -ENOENT);
		if (i < 0)
			return;
		check_errand(&errands[i], &clerk->arg, 1);
		futures[i] = errands[i].future = rp_future_free(futures[i]);
	}
}

static void *run_clerk(void *data)
{
	struct clerk *clerk = data;
	struct errand errands[TASKS];
	int count = 0;

	for (; count < TASKS; count++) {
		int reply = mix(clerk->seed + 5 + (uint64_t)count) % 2 == 0;

		if (submit(&errands[count], clerk->pool, &clerk->arg, (size_t)count, reply ? work_reply : work) == 0)
			continue;
		must(clerk->may_end_early);
		break;
	}
	cancel_some(clerk, errands, count);
	collect_all(clerk, errands, count);
	return NULL;
}

static void open_clerk(struct clerk *clerk, uint64_t seed, uint32_t each, uint32_t bad)
{
	*clerk = (struct clerk){ .pool = open_pool(each), .seed = seed, .arg = { mix(seed), bad, 3 * bad, 0, 0, NULL } };
	clerk->arg.ran = counters(TASKS);
}

static void close_clerk(struct clerk *clerk)
{
	rp_pool_free(clerk->pool);
	rp_free((void *)clerk->arg.ran);
}

static void test_tasks(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries(); try++) {
		struct clerk clerks[3];

		choose_nodes(try + 500);
		for (int i = 0; i < 3; i++)
			open_clerk(&clerks[i], try * 3 + 500 + (unsigned)i, 1 + try % 3, try % 2 * 20);
		for (int i = 0; i < 3; i++)
			must(pthread_create(&clerks[i].thread, NULL, run_clerk, &clerks[i]) == 0);
		for (int i = 0; i < 3; i++) {
			must(pthread_join(clerks[i].thread, NULL) == 0);
			assert_int_equal(rp_pool_close(clerks[i].pool), 0);
			assert_int_equal(rp_pool_join(clerks[i].pool, 2 * PATIENCE * RP_SECOND), 0);
			close_clerk(&clerks[i]);
		}
		end_nodes();
	}
}

/* The pool is terminated, or loses a node, at any moment. */
static void test_early_ends(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries(); try++) {
		struct clerk clerk;

		choose_nodes(try + 600);
		open_clerk(&clerk, try + 600, 2, 0);
		clerk.may_end_early = 1;
		must(pthread_create(&clerk.thread, NULL, run_clerk, &clerk) == 0);
		nap((long)(mix(try) % 3000));
		if (try % 3 == 0)
			peers.silent[1] = 1;
		else
			assert_int_equal(rp_pool_terminate(clerk.pool), 0);
		must(pthread_join(clerk.thread, NULL) == 0);
		assert_int_equal(rp_pool_terminate(clerk.pool), 0);
		assert_int_equal(rp_pool_join(clerk.pool, 2 * PATIENCE * RP_SECOND), 0);
		close_clerk(&clerk);
		end_nodes();
	}
}

/* Futures stay when their pool goes, and when the run time does. */
static void test_futures_outlive(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < 8; try++) {
		struct errand errands[TASKS];
		struct clerk clerk;

		choose_nodes(try + 700);
		open_clerk(&clerk, try + 700, 2, 9);
		for (int i = 0; i < TASKS; i++)
			must(submit(&errands[i], clerk.pool, &clerk.arg, (size_t)i, i % 2 ? work : work_reply) == 0);
		nap((long)(mix(try) % 5000));
		if (try % 4 < 2)
			rp_pool_free(clerk.pool);
		if (try % 2)
			end_nodes();
		for (int i = 0; i < TASKS; i++) {
			assert_int_equal(rp_future_wait(errands[i].future, PATIENCE * RP_SECOND), 0);
			check_errand(&errands[i], &clerk.arg, 1);
			if (i % 3 == 0)
				errands[i].future = rp_future_free(errands[i].future);
		}
		if (try % 4 >= 2)
			rp_pool_free(clerk.pool);
		for (int i = 0; i < TASKS; i++)
			rp_future_free(errands[i].future);
		rp_free((void *)clerk.arg.ran);
		if (try % 2 == 0)
			end_nodes();
		rp_finalize();
	}
}

/* Also one that waited, and was sent to another node after that. */
static void test_unwanted(void **state RP_UNUSED)
{
	struct errand errands[TASKS];
	struct clerk clerk;

	setenv("RANKPOOL_MANAGER_ONLY", "1", 1);
	begin_nodes(3, 800);
	open_clerk(&clerk, 800, 1, 0);
	clerk.arg.stays = 1;
	for (int i = 0; i < 20; i++)
		must(submit(&errands[i], clerk.pool, &clerk.arg, (size_t)i, until_unwanted) == 0);
	for (int i = 19; i >= 0; i--)
		rp_future_free(errands[i].future);
	assert_int_equal(rp_pool_close(clerk.pool), 0);
	assert_int_equal(rp_pool_join(clerk.pool, PATIENCE * RP_SECOND), 0);
	assert_int_equal(count_unlike(clerk.arg.ran, 20, 1), 0);
	close_clerk(&clerk);
	end_nodes();
}

/* ---- the end of the run time in the middle of calls -------------------------------------------------------- */

static void *map_until_over(void *data)
{
	struct clerk *clerk = data;
	struct result out[TASKS];
	int r = 0;

	while (r == 0)
		r = rp_pool_map(clerk->pool, work, (uint64_t *)NULL, out, TASKS, RP_MAP(RP_ARG(clerk->arg)), NULL);
	must(r == -ECANCELED || r == -EPIPE || r == -ENOLINK || r == -EINVAL);
	return NULL;
}

static void test_finalize_in_map(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries(); try++) {
		struct clerk clerks[2];

		choose_nodes(try + 900);
		for (int i = 0; i < 2; i++) {
			open_clerk(&clerks[i], try + 900, 2, 0);
			must(pthread_create(&clerks[i].thread, NULL, map_until_over, &clerks[i]) == 0);
		}
		nap((long)(mix(try) % 10000));
		end_nodes();
		for (int i = 0; i < 2; i++) {
			must(pthread_join(clerks[i].thread, NULL) == 0);
			close_clerk(&clerks[i]);
		}
		rp_finalize();
	}
}

/* A program that ends while other threads are in maps, in rp_pool_new, in submits. */
static void *open_and_close(void *data RP_UNUSED)
{
	struct rp_pool *pool;

	while (rp_pool_new(&pool, RP_POOL(.workers_per_node = 1), NULL) == 0)
		rp_pool_free(pool);
	return NULL;
}

static void exit_in_map(void)
{
	struct clerk clerks[3];
	pthread_t opener;

	signal(SIGSEGV, SIG_DFL);               /* cmocka would go on with the next test */
	choose_nodes(board->number[0]);
	for (int i = 0; i < 3; i++) {
		open_clerk(&clerks[i], 900, 2, 0);
		clerks[i].may_end_early = 1;
		must(pthread_create(&clerks[i].thread, NULL, i < 2 ? map_until_over : run_clerk, &clerks[i]) == 0);
	}
	if (board->number[0] % 3 == 0)
		must(pthread_create(&opener, NULL, open_and_close, NULL) == 0);
	nap((long)(mix((uint64_t)board->number[0]) % 10000));
	exit(7);
}

static void test_exit_in_map(void **state RP_UNUSED)
{
	if (UNDER_TSAN)
		skip();                         /* it reports the threads that a program leaves at its end */
	if (!board)
		board = board_new();
	for (int try = 0; try < (int)tries(); try++) {
		pid_t pid;

		board->number[0] = 1000 + try;
		pid = fork();
		if (pid == 0)
			exit_in_map();
		assert_int_equal(code_of(pid), 7);
	}
}

/* A closed hub refuses, and does not hang. */
static void test_closed_hub(void **state RP_UNUSED)
{
	struct wire_info message = { .wire = { .kind = WIRE_INFO, .id = 1 } };
	struct hub_call call;
	struct rp_pool *pool;
	struct rp_worker_info info;

	begin_nodes(3, 1);
	pool = open_pool(1);
	assert_int_equal(rp_pool_worker(pool, 2, &info), 0);
	assert_int_equal(info.pid, 1000000);
	end_nodes();
	assert_int_equal(rp_pool_worker(pool, 2, &info), 0);
	assert_string_equal(info.host, "n2");
	hub_ask(context_get()->hub, &call, 1, &message, sizeof message, NULL, 0);
	assert_int_equal(hub_await(&call), -ENOLINK);
	assert_string_equal(call.answer.text, "the run time has ended");
	rp_pool_free(pool);
	rp_finalize();
}

/* ---- processes, and what is refused ------------------------------------------------------------------------ */

static int target(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	return 0;
}

static void test_processes(void **state RP_UNUSED)
{
	struct rp_process *process[4];

	begin_nodes(4, 2);
	for (int i = 1; i < 4; i++) {
		assert_int_equal(rp_process_new(&process[i],
		                                RP_PROCESS(.target = target, .node = i, .name = i == 1 ? "leaves" : "stays",
		                                           .flags = i == 3 ? RP_DAEMON : 0), NULL), 0);
		assert_int_equal(rp_process_start(process[i], NULL), 0);
		assert_int_equal(rp_process_pid(process[i]), 4711);
	}
	assert_int_equal(rp_process_join(process[1], PATIENCE * RP_SECOND), 0);
	assert_int_equal(rp_process_exitcode(process[1]), 5);
	assert_int_equal(rp_process_exitcode(process[2]), RP_RUNNING);
	peers.silent[2] = 1;
	assert_int_equal(rp_process_join(process[2], PATIENCE * RP_SECOND), 0);
	assert_int_equal(rp_process_exitcode(process[2]), RP_UNKNOWN);
	end_nodes();
	assert_int_equal(rp_process_join(process[3], PATIENCE * RP_SECOND), 0);
	assert_int_equal(rp_process_exitcode(process[3]), -SIGTERM);
	for (int i = 1; i < 4; i++)
		rp_process_free(process[i]);
}

static void test_refused(void **state RP_UNUSED)
{
	struct rp_pool *pool;
	struct rp_error err;

	begin_nodes(3, 3);
	assert_int_equal(rp_pool_new(&pool, RP_POOL(.workers = 4, .workers_per_node = 2), &err), -EINVAL);
	assert_non_null(strstr(err.text, "contradict each other"));
	assert_int_equal(rp_pool_new(&pool, RP_POOL(.workers = (uint32_t)-3), &err), -EINVAL);
	assert_non_null(strstr(err.text, "-3 is negative"));
	assert_int_equal(rp_pool_new(&pool, RP_POOL(.workers_per_node = 70000), &err), -EINVAL);
	assert_int_equal(rp_pool_new(&pool, RP_POOL(.workers = 1), &err), 0);
	assert_int_equal(rp_pool_workers(pool), 1);
	rp_pool_free(pool);
	end_nodes();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_early_ends),
		cmocka_unit_test(test_futures_outlive),
		cmocka_unit_test(test_unwanted),
		cmocka_unit_test(test_finalize_in_map),
		cmocka_unit_test(test_exit_in_map),
		cmocka_unit_test(test_closed_hub),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("dispatch_far", tests, peers_begin, NULL);
}
