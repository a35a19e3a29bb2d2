/* SPDX-License-Identifier: BSD-3-Clause */
/* rank.c - rankpool run in a process that mpirun has started.
 *
 * mpirun binds nothing: each rank finds its own place, so that the same words mean the same under any launcher. */
#include "rank.h"
#include "buffer.h"
#include "cli.h"
#include "handover.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIND "RANKPOOL_RUN_KIND"
#define COPIES "RANKPOOL_RUN_COPIES"
#define NODES "RANKPOOL_RUN_NODES"              /* copies of each node, a comma between */

void rank_tell(enum program_kind kind, uint32_t copies, const struct hosts *hosts)
{
	struct buffer list = { 0 };
	char digits[24];

	snprintf(digits, sizeof digits, "%d", (int)kind);
	setenv(KIND, digits, 1);
	snprintf(digits, sizeof digits, "%u", copies);
	setenv(COPIES, digits, 1);
	for (size_t i = 0; i < hosts->count; i++) {
		buffer_text(&list, i ? "," : "");
		buffer_number(&list, hosts->items[i].slots);
	}
	buffer_byte(&list, 0);
	setenv(NODES, list.data, 1);
	buffer_free(&list);
}

/* So many copies on each node that gets any; 0: they differ. */
static uint32_t same_on_all(const char *list)
{
	unsigned long first = 0;

	/* The first one's is not a copy. */
	if (getenv("RANKPOOL_MANAGER_ONLY"))
		list += strcspn(list, ",") + (strchr(list, ',') != NULL);
	while (*list) {
		char *end;
		unsigned long n = strtoul(list, &end, 10);

		if (first && n != first)
			return 0;
		first = n;
		list = end + (*end == ',');
	}
	return (uint32_t)first;
}

enum program_kind rank_told(enum program_kind kind, struct placing *placing)
{
	const char *told = getenv(KIND), *copies = getenv(COPIES), *nodes = getenv(NODES);
	uint32_t count = copies ? (uint32_t)strtoul(copies, NULL, 10) : 0;

	if (!told || !nodes || !handover_is_copy())
		return kind;
	if (count && !placing->per_object) {
		placing->per_node = same_on_all(nodes);
		placing->copies = placing->per_node ? 0 : count;
	}
	/* A program with a pool of its own takes a number for all nodes. */
	if (told[0] == '0' + PROGRAM_POOL)
		placing->copies = count;
	return (enum program_kind)atoi(told);
}

char *rank_find_program(const char *word)
{
	char *path = strchr(word, '/') ? NULL : program_search(word);

	return path ? path : strdup(word);
}

/* ---- binding -------------------------------------------------------------------------------------------- */

/* "0-3,8" */
static int bind_to_list(const char *list)
{
	cpu_set_t *set;
	size_t size = CPU_ALLOC_SIZE(65536);
	int r = -1;

	set = CPU_ALLOC(65536);
	if (!set)
		return -1;
	CPU_ZERO_S(size, set);
	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			break;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long cpu = first; cpu <= last && cpu < 65536; cpu++)
			CPU_SET_S(cpu, size, set);
		list = end + (*end == ',');
	}
	if (!*list)
		r = sched_setaffinity(0, size, set);
	CPU_FREE(set);
	return r;
}

int rank_bind_to(const char *cpus, const char *name)
{
	struct rp_worker_info info;
	struct rp_error err;

	if (rp_pool_plan(RP_POOL(.workers = 1, .bind = "none", .cpus = cpus, .flags = RP_LOCAL), NULL, &info, 1, &err) < 0) {
		cli_say(name, "%s", err.text);
		return -1;
	}
	if (bind_to_list(info.cpus) < 0) {
		cli_say(name, "cannot bind to CPUs %s: %s", info.cpus, strerror(errno));
		return -1;
	}
	return 0;
}

/* What mpirun, of whichever MPI, or srun says; `otherwise` when it does not. */
static int told_number(const char *const *names, int otherwise)
{
	for (; *names; names++)
		if (getenv(*names))
			return atoi(getenv(*names));
	return otherwise;
}

/* How many tasks the step has on this node, "2(x3),1". */
static int tasks_here(void)
{
	const char *list = getenv("SLURM_STEP_TASKS_PER_NODE"), *node = getenv("SLURM_NODEID");
	int left = node ? atoi(node) : 0;

	while (list && *list) {
		char *end;
		long count = strtol(list, &end, 10), times = strncmp(end, "(x", 2) == 0 ? strtol(end + 2, &end, 10) : 1;

		if (left < times)
			return (int)count;
		left -= (int)times;
		list = end + strcspn(end, ",");
		list += *list == ',';
	}
	return 1;
}

static int count_threads(const char *cpus)
{
	int count = 0;

	while (*cpus) {
		char *end;
		unsigned long first = strtoul(cpus, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		count += (int)(last - first) + 1;
		if (*end != ',')
			break;
		cpus = end + 1;
	}
	return count;
}

static void set_threads(int count)
{
	static const char *const names[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS" };
	char digits[24];

	snprintf(digits, sizeof digits, "%d", count);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		setenv(names[i], digits, 0);
}

/* Ranks go node by node. */
static int node_of(int rank)
{
	const char *list = handover_is_copy() ? getenv(NODES) : NULL;
	int node = 0;

	for (; list && *list; node++) {
		char *end;
		long count = strtol(list, &end, 10);

		if (rank < count)
			return node;
		rank -= (int)count;
		list = end + (*end == ',');
	}
	return getenv("SLURM_NODEID") ? atoi(getenv("SLURM_NODEID")) : 0;
}

/* Its place is the one that a worker of its number would have in a pool of as many. */
static int find_place(const struct rank_wish *wish, struct rp_worker_info *ret)
{
	static const char *const local_ranks[] = { "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID", NULL };
	static const char *const local_sizes[] = { "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", NULL };
	static const char *const ranks[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID", NULL };
	const struct placing *p = wish->placing;
	const int count = told_number(local_sizes, tasks_here()), local = told_number(local_ranks, 0);
	struct rp_worker_info *infos = calloc((size_t)(count > local ? count : local + 1), sizeof *infos);
	struct rp_error err;
	int n;

	if (!infos)
		return cli_fail(wish->name, "out of memory");
	n = rp_pool_plan(RP_POOL(.workers = (uint32_t)(count > local ? count : local + 1), .cpus = p->cpus, .bind = p->bind,
	                         .cpus_per_worker = p->cpus_each, .flags = RP_LOCAL), NULL, infos, (size_t)count, &err);
	if (n > 0) {
		*ret = infos[local];
		ret->rank = told_number(ranks, 0);
		ret->local_rank = local;
		ret->node = node_of(ret->rank);
	} else {
		cli_say(wish->name, "%s", err.text);
	}
	free(infos);
	return n > 0 ? 0 : CLI_FAILED;
}

int rank_become(const struct rank_wish *wish)
{
	static const char *const sizes[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", NULL };
	const struct escort *escort = wish->escort;
	const int is_bound = strcmp(wish->placing->bind, "none") != 0, size = told_number(sizes, 1);
	struct rp_worker_info place;
	int r = find_place(wish, &place);

	if (r)
		return r;
	if (is_bound) {
		if (bind_to_list(place.cpus) < 0)
			return cli_fail(wish->name, "rank %d on %s: cannot bind to CPUs %s: %s", place.rank, place.host,
			                place.cpus, strerror(errno));
		set_threads(count_threads(place.cpus));
	}
	if (wish->report)
		cli_say(wish->name, "rank %d on %s: cpus %s", place.rank, place.host, place.cpus);
	if (escort->tagged)
		return escort_run(escort, &place, size, -1, "");
	execve(escort->path, escort->words, (char *const *)escort_environment(escort, &place, size));
	cli_say(wish->name, "rank %d on %s: cannot execute %s: %s", place.rank, place.host, escort->path, strerror(errno));
	return errno == ENOENT ? PROGRAM_NOT_FOUND : PROGRAM_NOT_EXECUTABLE;
}
