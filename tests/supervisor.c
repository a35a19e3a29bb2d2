/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/supervisor.c - what is left when workers, the supervisor or the program die: every other item exactly once, no
 * hang, no process, no memory. */
#include "pools.h"

#include "clock.h"
#include "context.h"
#include "supervise.h"
#include "supervisor.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* What a task does with its item. */
enum way {
	LIVES,
	SEGFAULTS,
	ABORTS,
	DIVIDES,
	EXITS_0,
	EXITS_3,
	LEAVES_42,
	KILLS_ITSELF,
	TERMINATES_ITSELF,
	OVERFLOWS,
	WAYS
};

static const int code_of_way[WAYS] = {
	[SEGFAULTS] = -SIGSEGV, [ABORTS] = -SIGABRT, [DIVIDES] = -SIGFPE, [EXITS_3] = 3, [LEAVES_42] = 42,
	[KILLS_ITSELF] = -SIGKILL, [TERMINATES_ITSELF] = -SIGTERM, [OVERFLOWS] = -SIGSEGV,
};

static int overflow(int depth)
{
	volatile char here[65536];

	here[0] = (char)depth;
	return depth ? overflow(depth + 1) + here[0] : 0;
}

static void go(int way)
{
	void *volatile nowhere = (void *)8;

	switch (way) {
	case SEGFAULTS: *(volatile int *)nowhere = 0; break;
	case ABORTS: abort();
	case DIVIDES: raise(SIGFPE); break;
	case EXITS_0: exit(0);
	case EXITS_3: exit(3);
	case LEAVES_42: _exit(42);
	case KILLS_ITSELF: raise(SIGKILL); break;
	case TERMINATES_ITSELF: raise(SIGTERM); break;
	case OVERFLOWS: overflow(1); break;
	default: break;
	}
}

/* Counts, writes its result, and goes its way. */
static int count_and_go(struct rp_task *task, const void *in, void *out)
{
	_Atomic uint32_t *counter = (void *)(uintptr_t)rp_task_arg(task, NULL);
	size_t i = rp_task_index(task);

	atomic_fetch_add(&counter[i], 1);
	*(size_t *)out = i * 3;
	go(*(const int *)in);
	return 0;
}

#define ITEMS 300

struct trial {
	int way[ITEMS];
	size_t out[ITEMS];
	struct rp_outcome outcomes[ITEMS];
	_Atomic uint32_t *counter;
	struct rp_error err;
	int code;
};

static void try_trial(struct rp_pool *pool, struct trial *trial, size_t chunk)
{
	trial->counter = counters(ITEMS);
	memset(trial->out, 0x77, sizeof trial->out);
	memset(trial->outcomes, 0x77, sizeof trial->outcomes);
	trial->code = rp_pool_map(pool, count_and_go, trial->way, trial->out, ITEMS,
	                          RP_MAP(.chunk = chunk, .outcomes = trial->outcomes, .arg = (void *)trial->counter,
	                                 .arg_size = ITEMS * 4), &trial->err);
}

/* Those that lived have their results, those that died their cause; each was run exactly once. */
static void check_trial(struct trial *trial)
{
	size_t first = SIZE_MAX;

	for (size_t i = ITEMS; i-- > 0;)
		if (trial->way[i])
			first = i;
	assert_int_equal(trial->code, first == SIZE_MAX ? 0 : -ECHILD);
	if (first != SIZE_MAX)
		assert_int_equal(trial->err.index, first);
	for (size_t i = 0; i < ITEMS; i++) {
		const struct rp_outcome *o = &trial->outcomes[i];
		int way = trial->way[i], code = code_of_way[way];
		char cause[40];

		assert_int_equal(trial->counter[i], 1);
		assert_int_equal(o->state, way ? RP_DIED : RP_OK);
		assert_int_equal(o->code, code);
		assert_int_equal(o->tries, 1);
		assert_true(o->rank >= 0);
		assert_int_equal(trial->out[i], way ? 0x7777777777777777 : i * 3);
		snprintf(cause, sizeof cause, code < 0 ? "signal %d" : "code %d", code < 0 ? -code : code);
		if (!strstr(o->text, way ? cause : ""))
			fail_msg("'%s' does not say '%s'", o->text, cause);
	}
	rp_free((void *)trial->counter);
}

static void pool_25_a_death_costs_one_item(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct trial *trial = calloc(1, sizeof *trial);

	for (int way = SEGFAULTS; way < WAYS; way++) {
		if (way == OVERFLOWS && UNDER_ASAN)
			continue;
		memset(trial->way, 0, sizeof trial->way);
		trial->way[way * 31 % ITEMS] = way;
		try_trial(pool, trial, (size_t)way % 3 * 10);
		check_trial(trial);
		memset(trial->way, 0, sizeof trial->way);
		try_trial(pool, trial, 0);
		check_trial(trial);
	}
	rp_pool_free(pool);
	free(trial);
}

static void many_deaths_cost_as_many_items(void **state)
{
	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct rp_pool *pool = pool_in(state, workers);
		struct trial *trial = calloc(1, sizeof *trial);

		for (size_t chunk = 0; chunk < 30; chunk += 13) {
			for (int i = 0; i < ITEMS; i++)
				trial->way[i] = i % 7 == 3 ? SEGFAULTS + i % (OVERFLOWS - SEGFAULTS) : LIVES;
			try_trial(pool, trial, chunk);
			check_trial(trial);
		}
		rp_pool_free(pool);
		free(trial);
	}
}

/* The first, the last, all. */
static void every_item_may_be_deadly(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct trial *trial = calloc(1, sizeof *trial);

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < ITEMS; i++)
			trial->way[i] =
				(round == 0 && i == 0) || (round == 1 && i == ITEMS - 1) || round == 2 ? LEAVES_42 : LIVES;
		try_trial(pool, trial, 0);
		check_trial(trial);
	}
	rp_pool_free(pool);
	free(trial);
}

static void *run_trials(void *arg)
{
	struct trial *trial = calloc(1, sizeof *trial);
	struct rp_pool *pool = arg;

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < ITEMS; i++)
			trial->way[i] = (i + round) % 50 == 3 ? SEGFAULTS : LIVES;
		try_trial(pool, trial, (size_t)round);
		check_trial(trial);
	}
	free(trial);
	return NULL;
}

/* An assertion that fails in a thread ends the child. */
static void deaths_in_several_maps_at_once(void **state)
{
	struct rp_pool *pool = pool_in(state, 3);
	pthread_t threads[6];

	for (size_t i = 0; i < LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_trials, pool), 0);
	for (size_t i = 0; i < LENGTH(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	rp_pool_free(pool);
}

/* ---- killed from outside -------------------------------------------------------------------------------- */

static int reply_or_die(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	const char *text = in;

	if (text[0] == 'd')
		raise(SIGKILL);
	if (text[0] == 'h' && rp_task_reply(task, text, rp_task_in_size(task)) == 0)
		raise(SIGKILL);         /* with a result in hand that nobody gets */
	return rp_task_reply(task, text, rp_task_in_size(task));
}

static void deaths_among_results_of_any_size(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_bytes in[200], out[200];
	struct rp_outcome outcomes[200];
	char text[5000];
	size_t before = 0;

	memset(text, 'x', sizeof text);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 200; i++)
			in[i] = i % 17 == 5 ? rp_text("died") : i % 23 == 6 ? rp_text("half done") :
			        (struct rp_bytes){ text, (i + (size_t)round) * 22 };
		assert_int_equal(rp_pool_map_bytes(pool, reply_or_die, in, out, 200, RP_MAP(.outcomes = outcomes), NULL),
		                 -ECHILD);
		for (size_t i = 0; i < 200; i++) {
			int died = i % 17 == 5 || i % 23 == 6;

			assert_int_equal(outcomes[i].state, died ? RP_DIED : RP_OK);
			assert_int_equal(out[i].size, died ? 0 : in[i].size);
			if (died)
				assert_null(out[i].data);
			else
				assert_memory_equal(out[i].data, in[i].data, in[i].size);
		}
		rp_bytes_free(out, 200);
		rp_outcomes_clear(outcomes, 200);
		if (round == 9)
			before = arena_bytes();
	}
	assert_true(arena_bytes() <= before + ((size_t)1 << 20));
	rp_pool_free(pool);
}

static void idle_workers_that_die_are_replaced(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct trial *trial = calloc(1, sizeof *trial);
	struct rp_worker_info info = { 0 };

	for (uint32_t round = 1; round <= 5; round++) {
		for (int rank = 0; rank < 2; rank++) {
			pid_t pid = pid_of_worker(pool, rank);

			try_trial(pool, trial, 0);      /* so that it has begun to be a worker */
			check_trial(trial);
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_true(WAIT_FOR(rp_pool_worker(pool, rank, &info) == 0 && info.pid && info.pid != pid));
			assert_int_equal(info.restarts, round);
		}
		try_trial(pool, trial, 0);
		check_trial(trial);
	}
	rp_pool_free(pool);
	free(trial);
}

struct killer {
	struct rp_pool *pool;
	pthread_t thread;
	unsigned seed;
	_Atomic int stop;
	int kills;
};

/* Three deaths in a row before the worker was ready would break the pool, so one that has done nothing yet is hit twice at
 * most: the first time perhaps because its predecessor had just done something. */
static void *kill_workers(void *arg)
{
	struct killer *killer = arg;
	int workers = rp_pool_workers(killer->pool), in_a_row[8] = { 0 };
	uint64_t tasks[8] = { 0 };

	while (!killer->stop) {
		int rank = rand_r(&killer->seed) % workers;
		struct rp_worker_info info;

		nanosleep(&(struct timespec){ .tv_nsec = 500000 + rand_r(&killer->seed) % 3000000 }, NULL);
		if (rp_pool_worker(killer->pool, rank, &info) < 0 || !info.pid)
			continue;
		in_a_row[rank] = info.tasks == tasks[rank] ? in_a_row[rank] + 1 : 0;
		tasks[rank] = info.tasks;
		if (in_a_row[rank] < 2)
			killer->kills += kill(info.pid, SIGKILL) == 0;
	}
	return NULL;
}

/* A few microseconds each. */
static int count_slowly(struct rp_task *task, const void *in, void *out)
{
	_Atomic uint32_t *counter = (void *)(uintptr_t)rp_task_arg(task, NULL);

	atomic_fetch_add(&counter[rp_task_index(task)], 1);
	for (volatile int i = 0; i < 1500; i++)
		;
	*(uint32_t *)out = *(const uint32_t *)in * 2 + 1;
	return 0;
}

static void check_after_killer(struct rp_pool *pool, uint32_t count, size_t chunk, unsigned seed)
{
	struct killer killer = { .pool = pool, .seed = seed };
	_Atomic uint32_t *counter = counters(count);
	uint32_t *in = malloc(count * sizeof *in), *out = calloc(count, sizeof *out), died = 0;
	struct rp_outcome *outcomes = calloc(count, sizeof *outcomes);
	struct rp_error err = { .text = "" };
	int code;

	for (uint32_t i = 0; i < count; i++)
		in[i] = i;
	assert_int_equal(pthread_create(&killer.thread, NULL, kill_workers, &killer), 0);
	code = rp_pool_map(pool, count_slowly, in, out, count,
	                   RP_MAP(.chunk = chunk, .outcomes = outcomes, .arg = (void *)counter, .arg_size = count * 4),
	                   &err);
	killer.stop = 1;
	pthread_join(killer.thread, NULL);
	for (uint32_t i = 0; i < count; i++) {
		if (outcomes[i].state == RP_OK && counter[i] == 1 && out[i] == 2 * i + 1)
			continue;
		if (outcomes[i].state != RP_DIED || outcomes[i].code != -SIGKILL || counter[i] > 1 || out[i])
			fail_msg("seed %u, item %u: state %u, code %d, run %u times, result %u; %s", seed, i,
			         outcomes[i].state, outcomes[i].code, counter[i], out[i], err.text);
		died++;
	}
	assert_int_equal(code, died ? -ECHILD : 0);
	assert_true((int)died <= killer.kills);
	print_message("# seed %u: %d kills, %u items died\n", seed, killer.kills, died);
	rp_free((void *)counter);
	free(in);
	free(out);
	free(outcomes);
}

static void a_killer_costs_what_it_hits_and_nothing_else(void **state)
{
	unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid() << 16;

	for (size_t chunk = 0; chunk < 3; chunk++) {
		struct rp_pool *pool = pool_in(state, 1 + (uint32_t)chunk * 2);
		struct trial *trial = calloc(1, sizeof *trial);

		check_after_killer(pool, (uint32_t)(200000 / SLOWER / (chunk ? 4 : 1)), chunk * 5, seed + (unsigned)chunk);
		try_trial(pool, trial, 0);
		if (trial->code == -ECHILD)     /* the killer's last victim was hit just now */
			rp_free((void *)trial->counter);
		else
			check_trial(trial);
		rp_pool_free(pool);
		free(trial);
	}
}

/* ---- what a worker leaves behind ------------------------------------------------------------------------ */

/* A descendant in a session of its own, which knows when it is killed no sooner than anybody else. */
static int leave_descendants(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	pid_t pid = fork();

	if (pid == 0) {
		pid_t grandchild;

		setsid();
		grandchild = fork();
		if (grandchild == 0)
			setsid();
		board->pid[grandchild ? 0 : 1] = getpid();
		for (;;)
			pause();
	}
	if (!WAIT_FOR(board->pid[0] && board->pid[1]))
		return rp_task_fail(task, "nobody there");
	go(*(const int *)in);
	return 0;
}

static void descendants_of_dead_workers_are_killed(void **state)
{
	static const int ways[] = { SEGFAULTS, EXITS_0, KILLS_ITSELF };

	for (size_t i = 0; i < LENGTH(ways); i++) {
		struct rp_pool *pool = pool_in(state, 2);
		int out;

		board->pid[0] = board->pid[1] = 0;
		assert_int_equal(rp_pool_map(pool, leave_descendants, &ways[i], &out, 1), -ECHILD);
		assert_true(WAIT_FOR(is_gone(board->pid[0]) && is_gone(board->pid[1])));
		rp_pool_free(pool);
	}
}

static void descendants_end_with_the_pool(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	int way = LIVES, out;

	assert_int_equal(rp_pool_map(pool, leave_descendants, &way, &out, 1), 0);
	assert_false(is_gone(board->pid[0]) || is_gone(board->pid[1]));
	rp_pool_free(pool);
	assert_true(is_gone(board->pid[0]) && is_gone(board->pid[1]));
}

static void crash_with_core(void)
{
	char directory[] = "/tmp/rankpool.XXXXXX", command[100];
	struct rp_pool *pool;
	struct rlimit limit;
	size_t before;
	int way = SEGFAULTS;
	char *memory;
	double then;

	must(mkdtemp(directory) && chdir(directory) == 0);
	must(getrlimit(RLIMIT_CORE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	must(setrlimit(RLIMIT_CORE, &limit) == 0);
	must(rp_pool_new(&pool, RP_POOL(.workers = 1), RP_FATAL) == 0);
	memory = rp_alloc((size_t)64 << 20);
	must(memory);
	memset(memory, 1, (size_t)64 << 20);
	before = arena_bytes();
	then = now();
	for (int i = 0; i < 3; i++)
		must(rp_pool_map(pool, leave_descendants, &way, (int *)board->text, 1) == -ECHILD);
	must(now() - then < PATIENCE);
	must(arena_bytes() < before + ((size_t)4 << 20));
	pool = rp_pool_free(pool);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	must(chdir("/") == 0 && system(command) == 0);
}

/* The reservation has a terabyte of holes, which a core dump would make real one by one. */
static void a_core_dump_costs_no_shared_memory(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(crash_with_core)), 0);
}

/* ---- the supervisor dies -------------------------------------------------------------------------------- */

/* The only child of this process. */
static pid_t supervisor_pid(void)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	must(file && fscanf(file, "%d", &pid) == 1);
	fclose(file);
	return pid;
}

static int wait_for_ever(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	board->pid[10 + rp_task_rank(task)] = getpid();
	atomic_fetch_add(&board->number[0], 1);
	while (pause())
		;
	return 0;
}

static void *kill_supervisor(void *arg)
{
	WAIT_FOR(board->number[0] == 2);
	kill(*(pid_t *)arg, SIGKILL);
	return NULL;
}

static void the_supervisors_death_is_the_pools(void **state)
{
	struct rp_pool *pool = pool_in(state, 2), *other;
	struct rp_outcome outcomes[100];
	struct rp_error err = { 0 };
	struct rp_future *future;
	pid_t pid = supervisor_pid();
	pthread_t thread;

	assert_int_equal(rp_pool_submit(&future, pool, wait_for_ever, NULL, 0, 4, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, kill_supervisor, &pid), 0);
	assert_int_equal(rp_pool_map(pool, wait_for_ever, NULL, NULL, 100, RP_MAP(.outcomes = outcomes), &err), -EPIPE);
	assert_non_null(strstr(err.text, "supervisor"));
	pthread_join(thread, NULL);
	for (int i = 0; i < 100; i++)
		assert_true(outcomes[i].state == RP_CANCELLED || outcomes[i].state == RP_DIED);
	assert_int_equal(rp_future_wait(future, PATIENCE * RP_SECOND), 0);
	assert_int_not_equal(rp_future_outcome(future)->state, RP_OK);
	assert_true(WAIT_FOR(is_gone(board->pid[10]) && is_gone(board->pid[11])));
	assert_int_equal(rp_pool_map(pool, wait_for_ever, NULL, NULL, 1, NULL, &err), -EPIPE);
	assert_int_equal(rp_pool_apply(pool, wait_for_ever, NULL, 0, NULL, 0, NULL), -EPIPE);
	assert_int_equal(rp_pool_close(pool), 0);
	assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
	future = rp_future_free(future);
	rp_pool_free(pool);
	if (!world_of(state)->started)
		return;
	err.text[0] = 0;
	assert_true(rp_pool_new(&other, RP_POOL(.workers = 1), &err) < 0);
	assert_non_null(strstr(err.text, "supervisor"));
}

static void an_idle_supervisors_death_is_seen_by_the_next_call(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	pid_t pid = supervisor_pid();
	struct rp_error err = { 0 };

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(WAIT_FOR(is_gone(pid)));
	assert_int_equal(rp_pool_map(pool, wait_for_ever, NULL, NULL, 10, NULL, &err), -EPIPE);
	assert_non_null(strstr(err.text, "supervisor"));
	assert_int_equal(rp_pool_terminate(pool), 0);
	assert_int_equal(rp_pool_join(pool, PATIENCE * RP_SECOND), 0);
	rp_pool_free(pool);
}

/* ---- the program dies ----------------------------------------------------------------------------------- */

static int busy_for_ever(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	board->pid[10 + rp_task_rank(task)] = getpid();
	if (rp_task_rank(task) == 0)
		leave_descendants(task, &(int){ LIVES }, NULL);
	while (!board->number[63])
		;
	return 0;
}

static void map_for_ever(int with_init)
{
	struct rp_pool *pool;

	if (with_init)
		must(rp_init(NULL, NULL, NULL) == 0);
	must(rp_pool_new(&pool, RP_POOL(.workers = 2), RP_FATAL) == 0);
	board->pid[2] = supervisor_pid();
	rp_pool_map(pool, busy_for_ever, NULL, NULL, 100);
}

static void map_for_ever_plainly(void)
{
	map_for_ever(0);
}

static void map_for_ever_after_init(void)
{
	map_for_ever(1);
}

static void pool_59_nothing_survives_the_program(void **state RP_UNUSED)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGSEGV };

	for (size_t i = 0; i < 2 * LENGTH(signals); i++) {
		pid_t pid;

		memset(board, 0, sizeof *board);
		pid = begin(i % 2 ? map_for_ever_after_init : map_for_ever_plainly);
		assert_true(WAIT_FOR(board->pid[0] && board->pid[1] && board->pid[10] && board->pid[11]));
		assert_int_equal(kill(pid, signals[i / 2]), 0);
		assert_int_equal(code_of(pid), -signals[i / 2]);
		assert_true(WAIT_FOR(is_gone(board->pid[2])));
		for (int k = 0; k < 2; k++)
			assert_true(is_gone(board->pid[k]) && is_gone(board->pid[10 + k]));
	}
}

/* What it serves has not been heard of for too long; it may hang itself, or be stopped. */
static void have_no_pulse(void)
{
	must(rp_init(NULL, NULL, NULL) == 0);
	supervisor_pulse(context_get()->supervisor, clock_now() - SUPERVISE_SILENCE + RP_SECOND / 2);
	board->pid[2] = supervisor_pid();
	if (board->number[20])
		raise(SIGSTOP);
	map_for_ever(1);
}

static void a_manager_without_a_pulse_is_ended(void **state RP_UNUSED)
{
	for (int stopped = 0; stopped < 2; stopped++) {
		memset(board, 0, sizeof *board);
		board->number[20] = stopped;
		assert_int_equal(code_of(begin(have_no_pulse)), -SIGKILL);
		assert_true(WAIT_FOR(is_gone(board->pid[2])));
		for (int k = 0; !stopped && k < 2; k++)
			assert_true(is_gone(board->pid[10 + k]));
	}
}

static void have_a_pulse(void)
{
	int64_t old = clock_now() - SUPERVISE_SILENCE + RP_SECOND / 2;

	must(rp_init(NULL, NULL, NULL) == 0);
	supervisor_pulse(context_get()->supervisor, old);
	supervisor_pulse(context_get()->supervisor, clock_now());
	while (clock_now() < old + SUPERVISE_SILENCE + 5 * RP_SECOND / 4)
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	exit(7);
}

static void a_manager_with_a_pulse_is_left_alone(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(have_a_pulse)), 7);
}

static void *leave_by_exit(void *arg RP_UNUSED)
{
	WAIT_FOR(board->pid[10] && board->pid[11]);
	exit(5);
}

static void exit_in_the_middle(void)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, leave_by_exit, NULL) == 0);
	map_for_ever(0);
}

static void return_with_pools(void)
{
	struct rp_pool *pools[3];

	for (size_t i = 0; i < LENGTH(pools); i++)
		must(rp_pool_new(&pools[i], RP_POOL(.workers = 2, .kind = i == 1 ? RP_THREADS : RP_PROCESSES), RP_FATAL) ==
		     0);
	board->pid[10] = pid_of_worker(pools[0], 0);
	board->pid[11] = pid_of_worker(pools[2], 1);
	must(rp_pool_submit(NULL, pools[0], wait_for_ever, NULL, 0, 4, NULL, NULL) == 0);
	exit(6);
}

static void pool_53_exit_ends_pools_and_keeps_its_code(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(exit_in_the_middle)), 5);
	assert_true(is_gone(board->pid[10]) && is_gone(board->pid[11]));
	assert_int_equal(code_of(begin(return_with_pools)), 6);
	assert_true(is_gone(board->pid[10]) && is_gone(board->pid[11]));
}

/* ---- output --------------------------------------------------------------------------------------------- */

static int print_index(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	printf("item %zu\n", rp_task_index(task));
	return 0;
}

static void print_and_map(uint32_t kind, int with_init)
{
	struct rp_pool *pool;

	printf("before\n");
	if (with_init)
		must(rp_init(NULL, NULL, NULL) == 0);
	printf("unflushed\n");
	must(rp_pool_new(&pool, RP_POOL(.workers = 3, .kind = kind), RP_FATAL) == 0);
	must(rp_pool_map(pool, print_index, NULL, NULL, 500) == 0);
	if (write(STDOUT_FILENO, "mapped\n", 7) != 7)
		abort();
	must(rp_pool_apply(pool, print_index, NULL, 0, NULL, 0, NULL) == 0);
	if (write(STDOUT_FILENO, "applied\n", 8) != 8)
		abort();
	pool = rp_pool_free(pool);
	printf("after\n");
}

static void print_from_processes(void)
{
	print_and_map(RP_PROCESSES, 0);
}

static void print_from_processes_after_init(void)
{
	print_and_map(RP_PROCESSES, 1);
}

static int times_in(const char *text, const char *line)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, line)); at++)
		n += at == text || at[-1] == '\n';
	return n;
}

/* All of it once, and before the call returns. */
static void trap_04_output_appears_once_and_in_time(void **state RP_UNUSED)
{
	static void (*const bodies[])(void) = { print_from_processes, print_from_processes_after_init };

	for (size_t b = 0; b < LENGTH(bodies); b++) {
		char text[20000], line[40];

		assert_int_equal(said(bodies[b], text, sizeof text), 0);
		assert_int_equal(times_in(text, "before\n"), 1);
		assert_int_equal(times_in(text, "unflushed\n"), 1);
		assert_int_equal(times_in(text, "after\n"), 1);
		assert_int_equal(times_in(strstr(text, "mapped\n"), "item "), 1);
		assert_int_equal(times_in(strstr(text, "mapped\n"), "item 0\n"), 1);
		assert_int_equal(times_in(strstr(text, "applied\n"), "item "), 0);
		for (int i = 1; i < 500; i++) {
			snprintf(line, sizeof line, "item %d\n", i);
			assert_int_equal(times_in(text, line), 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESSES(pool_25_a_death_costs_one_item),
		PROCESSES(many_deaths_cost_as_many_items),
		PROCESSES(every_item_may_be_deadly),
		PROCESSES(deaths_in_several_maps_at_once),
		PROCESSES(deaths_among_results_of_any_size),
		PROCESSES(idle_workers_that_die_are_replaced),
		PROCESSES(a_killer_costs_what_it_hits_and_nothing_else),
		PROCESSES(descendants_of_dead_workers_are_killed),
		PROCESSES(descendants_end_with_the_pool),
		ONCE(a_core_dump_costs_no_shared_memory),
		PROCESSES(the_supervisors_death_is_the_pools),
		PROCESSES(an_idle_supervisors_death_is_seen_by_the_next_call),
		ONCE(pool_59_nothing_survives_the_program),
		ONCE(a_manager_without_a_pulse_is_ended),
		ONCE(a_manager_with_a_pulse_is_left_alone),
		ONCE(pool_53_exit_ends_pools_and_keeps_its_code),
		ONCE(trap_04_output_appears_once_and_in_time),
	};

	return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
