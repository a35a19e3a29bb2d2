/* SPDX-License-Identifier: BSD-3-Clause */
/* nodes_peer.c - a program for several nodes, one of whose parts tests/nodes.bats runs: nodes_peer PART. It prints
 * "done" when all was as it should be, and aborts with the line that was not. */
#include "children.h"
#include "rankpool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

static struct rp_error err;

#define good(call) must_be((call), #call, __FILE__, __LINE__)

static long must_be(long r, const char *text, const char *file, int line)
{
	if (r < 0) {
		dprintf(STDERR_FILENO, "# %s:%d: %s: %ld: %s\n", file, line, text, r, err.text);
		abort();
	}
	return r;
}

static struct rp_pool *open_pool(const struct rp_pool_options *options)
{
	struct rp_pool *pool;

	good(rp_pool_new(&pool, options, &err));
	return pool;
}

static void nap(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* ---- tasks ----------------------------------------------------------------------------------------------- */

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const int64_t *x = in;
	int64_t *y = out;

	*y = *x * *x;
	return 0;
}

static int slow_square(struct rp_task *task, const void *in, void *out)
{
	nap(2);
	return square(task, in, out);
}

static int index_of(struct rp_task *task, const void *in, void *out)
{
	*(uint64_t *)out = in ? 0 : rp_task_index(task);
	return 0;
}

static int reverse(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	size_t size = rp_task_in_size(task);
	const char *from = in;
	char *to = malloc(size + 1);
	int r;

	for (size_t i = 0; i < size; i++)
		to[i] = from[size - 1 - i];
	r = rp_task_reply(task, to, size);
	free(to);
	return r;
}

/* Every 97th fails, item 500 crashes, item 1500 leaves. */
static int bad_ones(struct rp_task *task, const void *in, void *out)
{
	int64_t x = *(const int64_t *)in;

	*(int64_t *)out = -1;
	if (x == 500)
		abort();
	if (x == 1500)
		exit(3);
	if (x % 97 == 0)
		return rp_task_fail(task, "%d is a multiple of 97", (int)x) + 10;
	*(int64_t *)out = x + 1;
	return 0;
}

static int where(struct rp_task *task, const void *in, void *out)
{
	(void)in;
	*(int *)out = rp_task_worker(task)->node;
	nap(20);
	return 0;
}

static int until_unwanted(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	const char *path = rp_task_arg(task, NULL);

	for (int i = 0; i < 100 * PATIENCE && !rp_task_cancelled(task); i++)
		nap(10);
	if (rp_task_cancelled(task))
		must(close(creat(path, 0600)) == 0);
	return 0;
}

struct together {
	int64_t init, arg;
	uint64_t seed;
	int rank, node;
};

static int init(struct rp_task *task, const void *in, void *out)
{
	int64_t *copy = malloc(sizeof *copy);

	must(!out && rp_task_in_size(task) == sizeof *copy && rp_task_init_arg(task, NULL) == in);
	memcpy(copy, in, sizeof *copy);
	rp_task_set_local(task, copy);
	return 0;
}

static int tell_all(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	struct together *all = out;
	size_t size;
	const void *arg = rp_task_arg(task, &size);

	must(size == sizeof all->arg);
	memcpy(&all->arg, arg, size);
	all->init = *(int64_t *)rp_task_local(task);
	all->seed = rp_task_seed(task);
	all->rank = rp_task_rank(task);
	all->node = rp_task_worker(task)->node;
	must(all->rank == rp_task_worker(task)->rank);
	return 0;
}

static int failing_init(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return rp_task_worker(task)->node == *(const int *)in ? rp_task_fail(task, "no licence here") : 0;
}

static int leave_mark(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%d", (const char *)in, rp_task_rank(task));
	return close(creat(path, 0600));
}

/* ---- parts ----------------------------------------------------------------------------------------------- */

static void part_places(void)
{
	struct rp_pool *pool = open_pool(NULL);
	int workers = rp_pool_workers(pool), nodes = rp_node_count();
	struct rp_worker_info *plan = calloc((size_t)workers, sizeof *plan), info;
	int per_node[64] = { 0 };

	must(nodes > 1 && nodes <= 64);
	must(rp_pool_plan(NULL, NULL, plan, (size_t)workers, &err) == workers);
	for (int i = 0; i < workers; i++) {
		must(rp_pool_worker(pool, i, &info) == 0);
		must(info.rank == i && info.node >= 0 && info.node < nodes && info.pid > 0);
		must(info.local_rank == per_node[info.node]++);
		must(plan[i].rank == i && plan[i].node == info.node && strcmp(plan[i].cpus, info.cpus) == 0);
		must(strcmp(plan[i].host, info.host) == 0 && plan[i].local_rank == info.local_rank);
		must(kill(info.pid, 0) == 0);
	}
	for (int i = 0; i < nodes; i++)
		must(per_node[i] > 0);
	must(rp_pool_worker(pool, workers, &info) == -EINVAL);
	rp_pool_free(pool);
	pool = open_pool(RP_POOL(.workers = (uint32_t)nodes + 1));
	must(rp_pool_workers(pool) == nodes + 1);
	rp_pool_free(pool);
	pool = open_pool(RP_POOL(.workers_per_node = 3));
	must(rp_pool_workers(pool) == 3 * nodes);
	must(rp_pool_worker(pool, 5, &info) == 0 && info.node == 1 && info.local_rank == 2);
	rp_pool_free(pool);
	pool = open_pool(RP_POOL(.workers = 2, .flags = RP_LOCAL));
	must(rp_pool_worker(pool, 1, &info) == 0 && info.node == 0);
	rp_pool_free(pool);
	must(rp_pool_new(&pool, RP_POOL(.bind = "shelf"), &err) == -EINVAL);
	free(plan);
}

static void check_squares(const int64_t *in, const int64_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		must(out[i] == in[i] * in[i]);
}

static void part_map(void)
{
	static int64_t plain_in[200000], plain_out[200000];
	struct rp_pool *pool = open_pool(NULL);
	size_t count = 200000;
	int64_t *in = rp_alloc(count * sizeof *in), *out = rp_alloc(count * sizeof *out);
	uint64_t *indexes = rp_alloc(count * sizeof *indexes);

	for (size_t i = 0; i < count; i++)
		in[i] = plain_in[i] = (int64_t)i - 1000;
	for (size_t chunk = 0; chunk <= 1000; chunk = chunk ? chunk * 10 : 1) {
		memset(out, 0xee, count * sizeof *out);
		memset(plain_out, 0xee, sizeof plain_out);
		good(rp_pool_map(pool, square, in, out, count, RP_MAP(.chunk = chunk), &err));
		check_squares(in, out, count);
		good(rp_pool_map(pool, square, plain_in, plain_out, count, RP_MAP(.chunk = chunk), &err));
		check_squares(in, plain_out, count);
	}
	for (size_t n = 0; n < 40; n++)
		good(rp_pool_map(pool, square, in, out, n, NULL, &err));
	good(rp_pool_map(pool, square, in, in, 100, NULL, &err));
	check_squares(plain_in, in, 100);
	good(rp_pool_map(pool, index_of, (int *)NULL, indexes, count, NULL, &err));
	for (size_t i = 0; i < count; i++)
		must(indexes[i] == i);
	rp_pool_free(pool);
	rp_free(in);
	rp_free(out);
	rp_free(indexes);
}

/* Everybody takes part in work that takes a while, and the outcomes tell who did what. */
static void part_spread(void)
{
	enum { COUNT = 400 };
	int64_t in[COUNT], out[COUNT];
	struct rp_outcome outcomes[COUNT];
	struct rp_worker_info info;
	struct rp_pool *pool = open_pool(NULL);
	int per_node[64] = { 0 }, nodes = rp_node_count();

	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	good(rp_pool_map(pool, slow_square, in, out, COUNT, RP_MAP(.outcomes = outcomes), &err));
	check_squares(in, out, COUNT);
	for (int i = 0; i < COUNT; i++) {
		must(outcomes[i].state == RP_OK && outcomes[i].tries == 1 && *outcomes[i].text == 0);
		good(rp_pool_worker(pool, outcomes[i].rank, &info));
		must(outcomes[i].node == info.node);
		per_node[outcomes[i].node]++;
	}
	for (int i = 0; i < nodes; i++)
		must((per_node[i] > 0) == (i > 0 || !getenv("RANKPOOL_MANAGER_ONLY")));
	rp_pool_free(pool);
}

static void part_bytes(void)
{
	enum { COUNT = 3000 };
	struct rp_bytes *in = calloc(COUNT, sizeof *in), *out = calloc(COUNT, sizeof *out);
	struct rp_pool *pool = open_pool(NULL);

	for (size_t i = 0; i < COUNT; i++) {
		size_t size = i * i % 5003;
		char *data = malloc(size + 1);

		for (size_t j = 0; j < size; j++)
			data[j] = (char)(i + j * 7);
		in[i] = (struct rp_bytes){ data, size };
	}
	good(rp_pool_map_bytes(pool, reverse, in, out, COUNT, NULL, &err));
	for (size_t i = 0; i < COUNT; i++) {
		const char *from = in[i].data, *to = out[i].data;

		must(out[i].size == in[i].size && to && to[out[i].size] == 0);
		for (size_t j = 0; j < in[i].size; j++)
			must(to[j] == from[in[i].size - 1 - j]);
		free((void *)(uintptr_t)from);
	}
	rp_bytes_free(out, COUNT);
	rp_pool_free(pool);
	free(in);
	free(out);
}

static void check_bad(const struct rp_outcome *o, int64_t x, int64_t out)
{
	if (x == 500) {
		must(o->state == RP_DIED && o->code == -SIGABRT && strstr(o->text, "signal 6"));
	} else if (x == 1500) {
		must(o->state == RP_DIED && o->code == 3);
	} else if (x % 97 == 0) {
		char text[64];

		snprintf(text, sizeof text, "%d is a multiple of 97", (int)x);
		must(o->state == RP_FAILED && o->code == 11 && strcmp(o->text, text) == 0);
	} else {
		must(o->state == RP_OK && out == x + 1);
		return;
	}
	must(out == 77 && o->rank >= 0 && o->node >= 0);
}

static void part_bad(void)
{
	enum { COUNT = 2000 };
	int64_t in[COUNT], out[COUNT];
	struct rp_outcome outcomes[COUNT];
	struct rp_pool *pool = open_pool(NULL);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < COUNT; i++) {
			in[i] = i;
			out[i] = 77;
		}
		must(rp_pool_map(pool, bad_ones, in, out, COUNT, RP_MAP(.outcomes = outcomes), &err) == -ECHILD);
		must(err.index == 0 && strstr(err.text, "23 of 2000 items failed, first item 0: 0 is a multiple of 97"));
		for (int i = 0; i < COUNT; i++)
			check_bad(&outcomes[i], in[i], out[i]);
	}
	must(rp_pool_map(pool, bad_ones, in, out, COUNT, NULL, &err) == -ECHILD);
	must(strstr(err.text, "23 of 2000 items failed, first item 0: 0 is a multiple of 97"));
	rp_outcomes_clear(outcomes, COUNT);
	rp_pool_free(pool);
}

static void part_arguments(void)
{
	enum { COUNT = 500 };
	struct together all[COUNT];
	int64_t init_arg = 4711, arg = 815;
	struct rp_pool *pool = open_pool(RP_POOL(.init = init, .init_arg = &init_arg, .init_arg_size = sizeof init_arg));
	uint64_t seeds[3];

	good(rp_pool_map(pool, tell_all, (int *)NULL, all, COUNT, RP_MAP(RP_ARG(arg), .seed = 5), &err));
	for (int i = 0; i < COUNT; i++)
		must(all[i].init == init_arg && all[i].arg == arg && all[i].rank >= 0);
	memcpy(seeds, (uint64_t[]){ all[0].seed, all[1].seed, all[COUNT - 1].seed }, sizeof seeds);
	printf("seeds %jx %jx %jx\n", (uintmax_t)seeds[0], (uintmax_t)seeds[1], (uintmax_t)seeds[2]);
	rp_pool_free(pool);
}

static void part_futures(void)
{
	enum { COUNT = 300 };
	struct rp_pool *pool = open_pool(NULL);
	struct rp_future *futures[COUNT], *first;
	int per_node[64] = { 0 }, node, left = COUNT;
	struct rp_bytes text = rp_text("forwards");
	size_t size;

	for (int i = 0; i < COUNT; i++)
		good(rp_pool_submit(&futures[i], pool, where, NULL, 0, sizeof node, NULL, &err));
	while (left) {
		int i = (int)good(rp_future_wait_any(futures, COUNT, PATIENCE * RP_SECOND));

		good(rp_future_get(futures[i], &node, sizeof node, 0, &err));
		must(rp_future_outcome(futures[i])->node == node);
		per_node[node]++;
		futures[i] = rp_future_free(futures[i]);
		left--;
	}
	for (int i = 0; i < rp_node_count(); i++)
		must((per_node[i] > 0) == (i > 0 || !getenv("RANKPOOL_MANAGER_ONLY")));
	for (int i = 0; i < COUNT; i++)
		good(rp_pool_submit(&futures[i], pool, reverse, text.data, text.size, 0, NULL, &err));
	good(rp_future_wait_all(futures, COUNT, PATIENCE * RP_SECOND));
	for (int i = 0; i < COUNT; i++) {
		must(memcmp(rp_future_data(futures[i], &size), "\0sdrawrof", 9) == 0 && size == 9);
		rp_future_free(futures[i]);
	}
	good(rp_pool_submit(&first, pool, bad_ones, &(int64_t){ 500 }, sizeof(int64_t), sizeof(int64_t), NULL, &err));
	must(rp_future_get(first, &(int64_t){ 0 }, sizeof(int64_t), RP_FOREVER, &err) == -ECHILD);
	rp_future_free(first);
	for (int64_t x = 0; x < 50; x++) {
		int64_t y = 0;

		good(rp_pool_apply(pool, square, &x, sizeof x, &y, sizeof y, &err));
		must(y == x * x);
	}
	rp_pool_free(pool);
}

/* Large inputs and results of single tasks. */
static void part_large_tasks(void)
{
	enum { COUNT = 24, SIZE = 3 << 20 };
	struct rp_pool *pool = open_pool(NULL);
	struct rp_future *futures[COUNT];
	char *data = malloc(SIZE);
	size_t size;

	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 31);
	for (int i = 0; i < COUNT; i++)
		good(rp_pool_submit(&futures[i], pool, reverse, data, SIZE - (size_t)i, 0, NULL, &err));
	for (int i = 0; i < COUNT; i++) {
		const char *result;

		good(rp_future_wait(futures[i], PATIENCE * RP_SECOND));
		result = rp_future_data(futures[i], &size);
		must(result && size == SIZE - (size_t)i && result[0] == data[size - 1] && result[size - 1] == data[0] &&
		     result[size] == 0);
		rp_future_free(futures[i]);
	}
	free(data);
	rp_pool_free(pool);
}

/* Cancelled before they run, given up while they run. */
static void part_cancel(void)
{
	enum { COUNT = 60 };
	char directory[] = "/tmp/nodes_peer.XXXXXX", path[COUNT][64];
	struct rp_pool *pool = open_pool(NULL);
	struct rp_future *futures[COUNT];
	int cancelled = 0, running = 0;

	must(mkdtemp(directory));
	for (int i = 0; i < COUNT; i++) {
		snprintf(path[i], sizeof path[i], "%s/%d", directory, i);
		good(rp_pool_submit(&futures[i], pool, until_unwanted, NULL, 0, 0,
		                    RP_MAP(RP_ARG_TEXT(path[i])), &err));
	}
	nap(200);
	for (int i = COUNT - 1; i >= 0; i--) {
		int r = rp_future_cancel(futures[i]);

		must(r == 0 || r == -EBUSY);
		cancelled += r == 0;
		must((rp_future_outcome(futures[i])->state == RP_CANCELLED) == (r == 0));
	}
	must(cancelled == COUNT - rp_pool_workers(pool));
	for (int i = 0; i < COUNT; i++)
		rp_future_free(futures[i]);
	rp_pool_close(pool);
	must(rp_pool_join(pool, PATIENCE * RP_SECOND) == 0);
	for (int i = 0; i < COUNT; i++)
		running += unlink(path[i]) == 0;
	must(running == rp_pool_workers(pool));
	must(rmdir(directory) == 0);
	rp_pool_free(pool);
}

static void part_init_fails(void)
{
	int node = rp_node_count() - 1;
	struct rp_pool *pool = open_pool(RP_POOL(.init = failing_init, .init_arg = &node, .init_arg_size = sizeof node));
	int64_t in[2000] = { 0 }, out[2000];
	int r = 0;

	for (int i = 0; i < 100 * PATIENCE && r == 0; i++)
		r = rp_pool_map(pool, slow_square, in, out, 2000, NULL, &err);
	must(r == -EPIPE && strstr(err.text, "no licence here"));
	must(rp_pool_apply(pool, square, in, sizeof *in, out, sizeof *out, &err) == -EPIPE);
	rp_pool_free(pool);
}

static void part_leaving(void)
{
	char directory[] = "/tmp/nodes_peer.XXXXXX", path[64];
	struct rp_pool *pool;
	int workers;

	must(mkdtemp(directory));
	pool = open_pool(RP_POOL(.init_arg = directory, .init_arg_size = sizeof directory, .exit = leave_mark));
	workers = rp_pool_workers(pool);
	must(rp_pool_join(pool, 0) == -EINVAL);
	must(rp_pool_close(pool) == 0 && rp_pool_join(pool, PATIENCE * RP_SECOND) == 0);
	rp_pool_free(pool);
	for (int i = 0; i < workers; i++) {
		snprintf(path, sizeof path, "%s/%d", directory, i);
		must(unlink(path) == 0);
	}
	must(rmdir(directory) == 0);
}

static void *terminate_soon(void *pool)
{
	nap(100);
	must(rp_pool_terminate(pool) == 0);
	return NULL;
}

static int forever(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	for (;;)
		pause();
	return 0;
}

static void part_terminate(void)
{
	struct rp_pool *pool = open_pool(NULL);
	int64_t in[5000] = { 0 }, out[5000];
	struct rp_future *future;
	pthread_t thread;

	good(rp_pool_submit(&future, pool, forever, NULL, 0, 0, NULL, &err));
	must(pthread_create(&thread, NULL, terminate_soon, pool) == 0);
	must(rp_pool_map(pool, slow_square, in, out, 5000, NULL, &err) == -ECANCELED);
	pthread_join(thread, NULL);
	must(rp_future_wait(future, PATIENCE * RP_SECOND) == 0);
	must(rp_future_outcome(future)->state == RP_CANCELLED);
	rp_future_free(future);
	must(rp_pool_join(pool, PATIENCE * RP_SECOND) == 0);
	rp_pool_free(pool);
}

static void *map_often(void *pool)
{
	int64_t in[1000], out[1000];
	struct rp_error e;

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	for (int round = 0; round < 20; round++) {
		memset(out, 0, sizeof out);
		if (rp_pool_map(pool, square, in, out, 1000, NULL, &e) < 0) {
			fprintf(stderr, "# %s\n", e.text);
			abort();
		}
		check_squares(in, out, 1000);
	}
	return NULL;
}

static void part_threads(void)
{
	struct rp_pool *pools[2] = { open_pool(NULL), open_pool(RP_POOL(.workers_per_node = 1)) };
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		must(pthread_create(&threads[i], NULL, map_often, pools[i % 2]) == 0);
	for (int i = 0; i < 8; i++)
		must(pthread_join(threads[i], NULL) == 0);
	rp_pool_free(pools[0]);
	rp_pool_free(pools[1]);
}

static void *kill_workers(void *arg)
{
	struct rp_pool *pool = arg;
	struct rp_worker_info info;

	for (int i = 0; i < 20; i++) {
		nap(20);
		good(rp_pool_worker(pool, rp_pool_workers(pool) - 1 - i % 2, &info));
		must(info.node > 0);
		if (info.pid > 0)
			kill(info.pid, SIGKILL);
	}
	return NULL;
}

/* Each death costs at most the item that the worker was at. */
static void part_deaths(void)
{
	enum { COUNT = 4000 };
	static int64_t in[COUNT], out[COUNT];
	static struct rp_outcome outcomes[COUNT];
	struct rp_pool *pool = open_pool(NULL);
	pthread_t thread;
	int died = 0;

	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	must(pthread_create(&thread, NULL, kill_workers, pool) == 0);
	rp_pool_map(pool, slow_square, in, out, COUNT, RP_MAP(.outcomes = outcomes), &err);
	must(pthread_join(thread, NULL) == 0);
	for (int i = 0; i < COUNT; i++) {
		if (outcomes[i].state == RP_OK)
			must(out[i] == in[i] * in[i]);
		else
			must(outcomes[i].state == RP_DIED && outcomes[i].code == -SIGKILL && outcomes[i].node > 0);
		died += outcomes[i].state == RP_DIED;
	}
	must(died > 0 && died <= 20);
	good(rp_pool_map(pool, square, in, out, COUNT, NULL, &err));
	check_squares(in, out, COUNT);
	rp_pool_free(pool);
}

static int seven(const void *arg, size_t size)
{
	return size == 4 && memcmp(arg, "far", 4) == 0 ? 7 : 1;
}

static int wait_long(const void *arg, size_t size)
{
	(void)arg;
	(void)size;
	for (;;)
		pause();
	return 0;
}

static void part_processes(void)
{
	struct rp_process *process;
	struct pollfd poller = { .events = POLLIN };
	int nodes = rp_node_count();

	for (int node = 0; node < nodes; node++) {
		good(rp_process_new(&process, RP_PROCESS(.target = seven, RP_ARG_TEXT("far"), .node = node), &err));
		good(rp_process_start(process, &err));
		must(rp_process_pid(process) > 0);
		must(rp_process_join(process, PATIENCE * RP_SECOND) == 0);
		must(rp_process_exitcode(process) == 7 && !rp_process_is_alive(process));
		rp_process_free(process);
		good(rp_process_new(&process, RP_PROCESS(.target = wait_long, .node = node, .flags = RP_DAEMON), &err));
		good(rp_process_start(process, &err));
		must(rp_process_is_alive(process) == 1 && rp_process_join(process, 0) == -ETIMEDOUT);
		must(rp_process_terminate(process) == 0);
		poller.fd = rp_process_sentinel(process);
		must(poll(&poller, 1, 1000 * PATIENCE) == 1);
		must(rp_process_exitcode(process) == -SIGTERM);
		rp_process_free(process);
	}
	must(rp_process_new(&process, RP_PROCESS(.target = seven, .node = nodes), &err) == -EINVAL);
	good(rp_process_new(&process, RP_PROCESS(.target = seven, .node = 1, .bind = "core:9999"), &err));
	must(rp_process_start(process, &err) == -EINVAL && strstr(err.text, "node 1"));
	rp_process_free(process);
	/* Ended with the program. */
	good(rp_process_new(&process, RP_PROCESS(.target = wait_long, .node = 1, .flags = RP_DAEMON), &err));
	good(rp_process_start(process, &err));
	rp_process_free(process);
}

static int fill_page(struct rp_task *task, const void *in, void *out)
{
	memset(out, (int)(rp_task_index(task) % 251), 1 << 20);
	*(int64_t *)out = *(const int64_t *)in;
	return 0;
}

static void part_large_items(void)
{
	enum { COUNT = 200, SIZE = 1 << 20 };
	struct rp_pool *pool = open_pool(NULL);
	int64_t in[COUNT];
	char *out = malloc((size_t)COUNT * SIZE);

	for (int i = 0; i < COUNT; i++)
		in[i] = i * 3;
	good(rp_pool_map_array(pool, fill_page, in, sizeof *in, out, SIZE, COUNT, NULL, &err));
	for (size_t i = 0; i < COUNT; i++) {
		must(*(int64_t *)(void *)(out + i * SIZE) == in[i]);
		must(out[i * SIZE + 8] == (char)(i % 251) && out[i * SIZE + SIZE - 1] == (char)(i % 251));
	}
	rp_pool_free(pool);
	free(out);
}

/* Each word of each result says whose it is and where it stands. */
#define WORD(index, at) ((uint64_t)(index) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(at))

static int fill_words(struct rp_task *task, const void *in, void *out)
{
	uint64_t *words = out, count = *(const uint64_t *)in;

	for (uint64_t i = 0; i < count; i++)
		words[i] = WORD(rp_task_index(task), i);
	return 0;
}

/* Results of so many words each, from other nodes alone. */
static void fetch_words(size_t count, size_t words)
{
	struct rp_pool *pool = open_pool(NULL);
	uint64_t *in = malloc(count * sizeof *in), *out = malloc(count * words * sizeof *out);
	struct rp_worker_info info;

	must(in && out);
	must(rp_pool_worker(pool, 0, &info) == 0 && info.node > 0);
	for (size_t i = 0; i < count; i++)
		in[i] = words;
	good(rp_pool_map_array(pool, fill_words, in, sizeof *in, out, words * sizeof *out, count, NULL, &err));
	rp_pool_free(pool);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < words; j++)
			must(out[i * words + j] == WORD(i, j));
	free(in);
	free(out);
}

/* Some more than 5 GiB, in items whose size is no round number, and in one alone. */
static void part_five_gib(void)
{
	fetch_words(5200, (1 << 17) + 3);
}

static void part_item_of_five_gib(void)
{
	fetch_words(1, ((size_t)5 << 27) + 3);
}

/* ---- how the program itself may end ----------------------------------------------------------------------- */

static void part_workers(void)
{
	struct rp_pool *pool = open_pool(NULL);

	printf("%d node, %d workers\n", rp_node_count(), rp_pool_workers(pool));
	rp_pool_free(pool);
}

static void part_return_early(void)
{
	open_pool(NULL);
}

static void part_exit_7(void)
{
	open_pool(NULL);
	exit(7);
}

static void part_killed(void)
{
	open_pool(NULL);
	puts("ready");
	fflush(stdout);
	raise(SIGKILL);
}

static void part_hang(void)
{
	static int64_t in[1000], out[1000];
	struct rp_pool *pool = open_pool(NULL);
	struct rp_worker_info info;

	for (int i = 0; i < rp_pool_workers(pool); i++) {
		good(rp_pool_worker(pool, i, &info));
		printf("worker %d %d %d\n", i, info.node, info.pid);
	}
	puts("ready");
	fflush(stdout);
	if (rp_pool_map(pool, forever, in, out, 1000, NULL, &err) < 0)
		printf("%d %s\n", err.code, err.text);
	fflush(stdout);
	exit(err.code == -EPIPE ? 9 : 8);
}

static const struct part {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "places", part_places },
	{ "map", part_map },
	{ "spread", part_spread },
	{ "bytes", part_bytes },
	{ "bad", part_bad },
	{ "arguments", part_arguments },
	{ "futures", part_futures },
	{ "large_tasks", part_large_tasks },
	{ "cancel", part_cancel },
	{ "init_fails", part_init_fails },
	{ "leaving", part_leaving },
	{ "terminate", part_terminate },
	{ "threads", part_threads },
	{ "deaths", part_deaths },
	{ "processes", part_processes },
	{ "large_items", part_large_items },
	{ "five_gib", part_five_gib },
	{ "item_of_five_gib", part_item_of_five_gib },
	{ "workers", part_workers },
	{ "return_early", part_return_early },
	{ "exit_7", part_exit_7 },
	{ "killed", part_killed },
	{ "hang", part_hang },
};

int main(int argc, char **argv)
{
	const struct part *part = NULL;

	for (size_t i = 0; argc == 2 && i < sizeof parts / sizeof *parts; i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			part = &parts[i];
	if (!part) {
		fprintf(stderr, "usage: nodes_peer PART\n");
		return 2;
	}
	if (rp_init(&argc, &argv, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	part->run();
	puts("done");
	fflush(stdout);
	rp_finalize();
	return 0;
}
