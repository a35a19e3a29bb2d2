/* SPDX-License-Identifier: BSD-3-Clause */
/* start_peer.c - how programs begin and end under a launcher, well and badly: start_peer PART [ARGUMENT], for
 * tests/start.bats.  It prints what there is to see, and aborts with the line that was not as it should be. */
#include "children.h"
#include "rankpool.h"

#include <dlfcn.h>
#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

/* A second build of this program differs in this. */
#ifndef BUILD
#define BUILD 1
#endif

static struct rp_error err;
static const char *argument = "";

#define good(call) must_be((call), #call, __LINE__)

static int must_be(int r, const char *text, int line)
{
	if (r < 0) {
		dprintf(STDERR_FILENO, "# line %d: %s: %d: %s\n", line, text, r, err.text);
		abort();
	}
	return r;
}

static void begin_mpi(void)
{
	MPI_Init(NULL, NULL);
}

/* All ranks of the program's own MPI can still speak to each other. */
static void check_mpi(void)
{
	int rank, ranks, sum, flag;

	must(MPI_Initialized(&flag) == MPI_SUCCESS && flag);
	must(MPI_Finalized(&flag) == MPI_SUCCESS && !flag);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
	must(sum == ranks * (ranks - 1) / 2);
}

static int add_one(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in + 1;
	return 0;
}

static void map_on(struct rp_pool *pool)
{
	int in[1000], out[1000];

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	good(rp_pool_map(pool, add_one, in, out, 1000, NULL, &err));
	for (int i = 0; i < 1000; i++)
		must(out[i] == i + 1);
}

/* Opens a pool, uses it, returns how many workers it had. */
static int map_once(void)
{
	struct rp_pool *pool;
	int workers;

	good(rp_pool_new(&pool, NULL, &err));
	map_on(pool);
	workers = rp_pool_workers(pool);
	rp_pool_free(pool);
	return workers;
}

static void say(int r)
{
	printf("%d %s\n", r, r < 0 ? err.text : "");
	fflush(stdout);
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

static int part_after_mpi(void)
{
	begin_mpi();
	say(rp_init(NULL, NULL, &err));
	say(rp_start(NULL, &err));
	must(rp_finalize() == 0);
	check_mpi();
	MPI_Finalize();
	return 0;
}

static int part_after_mpi_ended(void)
{
	begin_mpi();
	MPI_Finalize();
	say(rp_init(NULL, NULL, &err));
	return 0;
}

/* Each rank has a pool of its own, of the CPUs that it is bound to. */
static int part_local(void)
{
	cpu_set_t before, after;
	struct rp_pool *pool;

	sched_getaffinity(0, sizeof before, &before);
	if (strcmp(argument, "first") == 0)
		good(rp_start(RP_START(.flags = RP_LOCAL), &err));
	begin_mpi();
	check_mpi();
	if (strcmp(argument, "first") != 0)
		good(rp_start(RP_START(.flags = RP_LOCAL), &err));
	good(rp_pool_new(&pool, RP_POOL(.bind = "pu"), &err));
	must(rp_node_count() == 1);
	map_on(pool);
	check_mpi();
	map_on(pool);
	printf("%d of %d\n", rp_pool_workers(pool), CPU_COUNT(&before));
	rp_pool_free(pool);
	must(rp_finalize() == 0);
	sched_getaffinity(0, sizeof after, &after);
	must(CPU_EQUAL(&before, &after));
	check_mpi();
	MPI_Finalize();
	return 0;
}

static void *use_mpi(void *arg RP_UNUSED)
{
	int provided;

	MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
	check_mpi();
	map_once();
	check_mpi();
	MPI_Finalize();
	return NULL;
}

/* MPI is a second thread's, and both use pools. */
static int part_threads(void)
{
	pthread_t thread;

	good(rp_start(RP_START(.flags = RP_LOCAL), &err));
	must(pthread_create(&thread, NULL, use_mpi, NULL) == 0);
	map_once();
	map_once();
	must(pthread_join(thread, NULL) == 0);
	map_once();
	must(rp_finalize() == 0);
	puts("done");
	return 0;
}

static int part_counted(void)
{
	int workers;

	good(rp_init(NULL, NULL, &err));
	workers = map_once();
	must(rp_start(NULL, &err) == 0);
	must(rp_start(RP_START(.flags = RP_LOCAL), &err) == 0);
	must(rp_init(NULL, NULL, &err) == 0);
	for (int i = 0; i < 3; i++) {
		must(rp_finalize() == 0);
		must(map_once() == workers);
	}
	must(rp_finalize() == 0);
	must(rp_finalize() == 0);
	printf("%d workers\n", workers);
	return 0;
}

/* A rank that has served goes on with its program, as what it is: one process. */
static int part_serves(void)
{
	int r = good(rp_start(NULL, &err));

	if (r == 0) {
		printf("manager of %d\n", map_once());
		fflush(stdout);
		must(rp_finalize() == 0);
		return 0;
	}
	must(r == 1);
	must(rp_finalize() == 0);
	must(rp_node_count() == 1);
	map_once();
	say(rp_init(NULL, NULL, &err));
	must(rp_start(RP_START(.flags = RP_LOCAL), &err) == 0);
	map_once();
	must(rp_finalize() == 0);
	printf("served\n");
	return 3;
}

static int part_again(void)
{
	good(rp_init(NULL, NULL, &err));
	map_once();
	must(rp_finalize() == 0);
	say(rp_init(NULL, NULL, &err));
	map_once();
	must(rp_start(RP_START(.flags = RP_LOCAL), &err) == 0);
	map_once();
	must(rp_finalize() == 0);
	say(rp_start(NULL, &err));
	return 0;
}

/* Not started by a launcher, it begins MPI itself; a library in it knows of none of that. */
static int part_alone(void)
{
	good(rp_init(NULL, NULL, &err));
	begin_mpi();
	must(rp_start(NULL, &err) == 0);
	map_once();
	must(rp_finalize() == 0);
	check_mpi();
	map_once();
	MPI_Finalize();
	must(rp_start(NULL, &err) == 0 && rp_finalize() == 0);
	map_once();
	must(rp_finalize() == 0);
	puts("done");
	return 0;
}

static int part_plain(void)
{
	int flag;

	good(rp_init(NULL, NULL, &err));
	map_once();
	must(MPI_Initialized(&flag) == MPI_SUCCESS && !flag);
	must(rp_finalize() == 0);
	must(MPI_Initialized(&flag) == MPI_SUCCESS && !flag);
	puts("never");
	return 0;
}

static int part_refused(void)
{
	say(rp_init(NULL, NULL, &err));
	return 1;
}

/* ---- ending ---------------------------------------------------------------------------------------------- */

static int forever(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	for (;;)
		pause();
	return 0;
}

static int aborting(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	if (*(const int *)in == 7)
		MPI_Abort(MPI_COMM_WORLD, 5);
	return add_one(task, in, out);
}

/* ends HOW: the manager ends while all workers have a task that does not. */
static int part_ends(void)
{
	struct rp_future *future;
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	map_on(pool);
	for (int i = 0; i < rp_pool_workers(pool); i++)
		good(rp_pool_submit(&future, pool, forever, NULL, 0, 0, NULL, &err));
	if (strcmp(argument, "return") == 0)
		return 6;
	if (strcmp(argument, "exit") == 0)
		exit(7);
	if (strcmp(argument, "_exit") == 0)
		_exit(8);
	if (strcmp(argument, "_exit_0") == 0)
		_exit(0);
	if (strcmp(argument, "abort") == 0)
		abort();
	if (strcmp(argument, "MPI_Abort") == 0)
		MPI_Abort(MPI_COMM_WORLD, 9);
	if (strcmp(argument, "wait") == 0) {
		printf("ready %d\n", (int)getpid());
		fflush(stdout);
		pause();
	}
	raise(atoi(argument));
	return 0;
}

/* A task may do what it likes. */
static int part_task_aborts(void)
{
	struct rp_outcome outcomes[20];
	int in[20], out[20], r;
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	for (int i = 0; i < 20; i++)
		in[i] = i;
	r = rp_pool_map(pool, aborting, in, out, 20, RP_MAP(.outcomes = outcomes), &err);
	must(r == -ECHILD);
	for (int i = 0; i < 20; i++)
		must(i == 7 ? outcomes[i].state == RP_DIED : outcomes[i].state == RP_OK && out[i] == i + 1);
	puts("done");
	rp_pool_free(pool);
	return rp_finalize();
}

/* ---- lenders --------------------------------------------------------------------------------------------- */

struct life {
	int parent, children;
	unsigned long ticks;                    /* of CPU time */
};

static void read_life(int pid, struct life *ret)
{
	char path[64], text[1024], *at;
	unsigned long user = 0, system = 0;
	FILE *file;

	*ret = (struct life){ 0 };
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "re");
	at = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
	if (at)
		sscanf(at, ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ret->parent, &user, &system);
	ret->ticks = user + system;
	if (file)
		fclose(file);
}

/* Processes that have this one for their parent, but for one. */
static int find_children(int parent, int but, int *ret, int most)
{
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	struct life life;
	int n = 0;

	must(processes != NULL);
	while ((entry = readdir(processes)) && n < most) {
		ret[n] = atoi(entry->d_name);
		if (ret[n] <= 0 || ret[n] == but)
			continue;
		read_life(ret[n], &life);
		n += life.parent == parent;
	}
	closedir(processes);
	return n;
}

static int part_lend(void)
{
	struct rp_worker_info planned[5], info;
	int lenders[8], child, count;
	struct life before[8], after;
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	must(rp_pool_plan(NULL, NULL, planned, 5, &err) == 5 && rp_pool_workers(pool) == 5);
	for (int i = 0; i < 5; i++) {
		must(rp_pool_worker(pool, i, &info) == 0);
		must(info.rank == i && info.local_rank == i && info.node == 0 && info.pid > 0);
		must(strcmp(info.cpus, planned[i].cpus) == 0);
	}
	map_on(pool);
	count = find_children(getppid(), getpid(), lenders, 8);
	for (int i = 0; i < count; i++)
		read_life(lenders[i], &before[i]);
	nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
	for (int i = 0; i < count; i++) {
		read_life(lenders[i], &after);
		/* A tenth of what spinning would take, and many times what they need. */
		must(after.parent == getppid() && after.ticks - before[i].ticks <= (unsigned long)sysconf(_SC_CLK_TCK) / 5);
		must(find_children(lenders[i], 0, &child, 1) == 0);
	}
	printf("%d lenders, %d workers with ranks 0-4\n", count, rp_pool_workers(pool));
	rp_pool_free(pool);
	return rp_finalize();
}

/* ---- functions ------------------------------------------------------------------------------------------- */

/* In a library that this program is linked with, and in another that it opens. */
int plugin_count(struct rp_task *task, const void *in, void *out);

static int fails(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	return 4;
}

static void map_with(rp_task_fn *init, rp_task_fn *fn, int expected)
{
	int in[300], out[300];
	struct rp_pool *pool;

	good(rp_pool_new(&pool, RP_POOL(.init = init), &err));
	for (int i = 0; i < 300; i++)
		in[i] = i;
	good(rp_pool_map(pool, fn, in, out, 300, NULL, &err));
	for (int i = 0; i < 300; i++)
		must(out[i] == i + expected);
	good(rp_pool_apply(pool, fn, &in[7], sizeof in[7], &out[0], sizeof out[0], &err));
	must(out[0] == 7 + expected);
	rp_pool_free(pool);
}

static void run_on_all(rp_target *target, int expected)
{
	struct rp_process *process;

	for (int node = 0; node < rp_node_count(); node++) {
		good(rp_process_new(&process, RP_PROCESS(.target = target, .node = node), &err));
		good(rp_process_start(process, &err));
		must(rp_process_join(process, PATIENCE * RP_SECOND) == 0 && rp_process_exitcode(process) == expected);
		rp_process_free(process);
	}
}

static int part_functions(void)
{
	static int no_code;
	struct rp_pool *pool;
	void *plugin;

	good(rp_init(NULL, NULL, &err));
	map_with(NULL, add_one, 1);
	run_on_all(fails, 4);
	map_with(NULL, plugin_count, 0);
	plugin = dlopen(argument, RTLD_NOW | RTLD_LOCAL);
	must(plugin && dlsym(plugin, "plugin_count") != (void *)(uintptr_t)plugin_count);
	map_with((rp_task_fn *)(uintptr_t)dlsym(plugin, "plugin_init"),
	         (rp_task_fn *)(uintptr_t)dlsym(plugin, "plugin_count"), 1000);
	run_on_all((rp_target *)(uintptr_t)dlsym(plugin, "plugin_target"), 9);
	good(rp_pool_new(&pool, NULL, &err));
	must(rp_pool_map(pool, (rp_task_fn *)(uintptr_t)&no_code, &no_code, &no_code, 1, NULL, &err) == -EFAULT);
	must(strstr(err.text, "is no function") != NULL);
	map_on(pool);
	rp_pool_free(pool);
	puts("done");
	return rp_finalize();
}

/* ---- two builds ------------------------------------------------------------------------------------------ */

static int shout(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	printf("run %d\n", BUILD);
	return 0;
}

static int shout_too(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	printf("run %d\n", BUILD);
	return 0;
}

static void say_refused(const char *what, int r)
{
	printf("%s ", what);
	say(r);
}

static int part_builds(void)
{
	struct rp_process *process;
	struct rp_future *future;
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	say_refused("init", rp_pool_new(&pool, RP_POOL(.init = shout), &err));
	say_refused("exit", rp_pool_new(&pool, RP_POOL(.exit = shout), &err));
	good(rp_pool_new(&pool, NULL, &err));
	say_refused("map", rp_pool_map(pool, shout, NULL, NULL, 100, NULL, &err));
	say_refused("apply", rp_pool_apply(pool, shout, NULL, 0, NULL, 0, &err));
	say_refused("submit", rp_pool_submit(&future, pool, shout, NULL, 0, 0, NULL, &err));
	rp_pool_free(pool);
	good(rp_process_new(&process, RP_PROCESS(.target = shout_too, .node = 1), &err));
	say_refused("process", rp_process_start(process, &err));
	rp_process_free(process);
	/* Here it is the right one. */
	good(rp_pool_new(&pool, RP_POOL(.flags = RP_LOCAL), &err));
	map_on(pool);
	rp_pool_free(pool);
	puts("done");
	fflush(stdout);
	return rp_finalize();
}

/* ---- what tasks find ------------------------------------------------------------------------------------- */

static int part_hello(void)
{
	int rank, ranks;

	begin_mpi();
	check_mpi();
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	printf("%d of %d\n", rank, ranks);
	MPI_Finalize();
	return 0;
}

static int start_program(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return system(rp_task_arg(task, NULL));
}

static int begin_alone(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	int ranks;

	begin_mpi();
	check_mpi();
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	puts(ranks == 1 ? "alone" : "with others");
	MPI_Finalize();
	return 0;
}

static int count_input(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out)
{
	char buffer[100];

	*(int *)out = (int)read(STDIN_FILENO, buffer, sizeof buffer);
	return 0;
}

static int print(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	printf("task %zu\n", rp_task_index(task));
	return 0;
}

static int part_starts(void)
{
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	good(rp_pool_map(pool, start_program, NULL, NULL, 4, RP_MAP(RP_ARG_TEXT(argument)), &err));
	rp_pool_free(pool);
	return rp_finalize();
}

static int part_singleton(void)
{
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, RP_POOL(.max_tasks = 1), &err));
	good(rp_pool_map(pool, begin_alone, NULL, NULL, 4, RP_MAP(.chunk = 1), &err));
	rp_pool_free(pool);
	return rp_finalize();
}

static int part_input(void)
{
	int out[20], sum = 0, size = 0;
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	good(rp_pool_map(pool, count_input, NULL, out, 20, RP_MAP(.chunk = 1), &err));
	for (int i = 0; i < 20; i++)
		sum += out[i];
	while (getchar() != EOF)
		size++;
	printf("manager read %d, workers %d\n", size, sum);
	rp_pool_free(pool);
	return rp_finalize();
}

static int part_prints(void)
{
	struct rp_pool *pool;

	good(rp_init(NULL, NULL, &err));
	good(rp_pool_new(&pool, NULL, &err));
	good(rp_pool_map(pool, print, NULL, NULL, 100, NULL, &err));
	puts("returned");
	fflush(stdout);
	rp_pool_free(pool);
	return rp_finalize();
}

static const struct part {
	const char *name;
	int (*run)(void);
} parts[] = {
	{ "after_mpi", part_after_mpi },
	{ "after_mpi_ended", part_after_mpi_ended },
	{ "again", part_again },
	{ "alone", part_alone },
	{ "builds", part_builds },
	{ "counted", part_counted },
	{ "ends", part_ends },
	{ "functions", part_functions },
	{ "hello", part_hello },
	{ "input", part_input },
	{ "lend", part_lend },
	{ "local", part_local },
	{ "plain", part_plain },
	{ "prints", part_prints },
	{ "refused", part_refused },
	{ "serves", part_serves },
	{ "singleton", part_singleton },
	{ "starts", part_starts },
	{ "task_aborts", part_task_aborts },
	{ "threads", part_threads },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++) {
		if (strcmp(argv[1], parts[i].name) != 0)
			continue;
		argument = argc > 2 ? argv[2] : "";
		return parts[i].run();
	}
	fprintf(stderr, "usage: start_peer PART [ARGUMENT]\n");
	return 2;
}
