/* SPDX-License-Identifier: BSD-3-Clause */
/* workers.c - how many workers a run has: what -j says for each node, seen from the cores that it has. */
#include "workers.h"
#include "amount.h"
#include "buffer.h"
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AS_MANY_AS_POSSIBLE 250                 /* what -j 0 stands for where the inputs do not say less */
#define GUESS 256                               /* workers that there may well be */

/* The workers of one node among all, which are in order of their nodes. */
struct group {
	const struct rp_worker_info *first;
	int count;
};

int workers_check(const struct workers *workers, const char *name)
{
	struct amount amount;

	if (!workers->jobs || amount_parse(workers->jobs, &amount) == 0)
		return 0;
	cli_say(name, "-j %s is not a number of jobs: N, +N, -N, N%% or 0", workers->jobs);
	return -1;
}

struct rp_pool_options workers_options(const struct workers *workers)
{
	return *RP_POOL(.workers = workers->count, .workers_per_node = workers->per_node, .cpus = workers->cpus,
	                .bind = workers->bind, .cpus_per_worker = workers->cpus_per_worker);
}

/* All workers that the options make, malloc'ed; *ret_count is negative when they make none, as one line has said. */
static struct rp_worker_info *plan(const struct workers *workers, const char *name, int *ret_count)
{
	const struct rp_pool_options options = workers_options(workers);
	struct rp_worker_info *infos = NULL;
	struct rp_error err;
	size_t room = GUESS;

	/* Asking reads a good deal of the system's files, so that it is done twice only when there are many. */
	do {
		infos = resized(infos, room, sizeof *infos);
		*ret_count = rp_pool_plan(&options, NULL, infos, room, &err);
	} while (*ret_count > (int)room && (room = (size_t)*ret_count));
	if (*ret_count < 0)
		cli_say(name, "%s", err.text);
	return infos;
}

static struct group next_group(const struct rp_worker_info *infos, int count, int begin)
{
	struct group group = { &infos[begin], 1 };

	while (begin + group.count < count && infos[begin + group.count].node == infos[begin].node)
		group.count++;
	return group;
}

static int count_groups(const struct rp_worker_info *infos, int count)
{
	int groups = 0;

	for (int i = 0; i < count; groups++)
		i += next_group(infos, count, i).count;
	return groups;
}

static int say_none_left(const struct workers *workers, const struct group *group, const char *name, int several)
{
	cli_say(name, "-j %s leaves no worker%s%s: there %s %d core%s", workers->jobs, several ? " on " : "",
	        several ? group->first->host : "", group->count == 1 ? "is" : "are", group->count,
	        group->count == 1 ? "" : "s");
	return -1;
}

static int say_too_many(const struct workers *workers, const char *name)
{
	cli_say(name, "-j %s: %d workers are the most", workers->jobs, WORKERS_MOST);
	return -1;
}

/* Every node may have another number of cores, and so of workers. */
static int count_relative(struct workers *workers, const struct amount *amount, const struct rp_worker_info *infos,
                          int count, const char *name)
{
	int several = count_groups(infos, count) > 1, same = 1;
	double sum = 0, last = 0;

	for (int i = 0; i < count;) {
		struct group group = next_group(infos, count, i);
		double n = amount_of(amount, group.count);

		if (n < 1)
			return say_none_left(workers, &group, name, several);
		if (n > WORKERS_MOST)
			return say_too_many(workers, name);
		same &= i == 0 || n == last;
		sum += n;
		last = n;
		i += group.count;
	}
	if (same)
		workers->per_node = (uint32_t)last;
	else
		workers->count = (uint32_t)sum;
	return 0;
}

static int count_absolute(struct workers *workers, double n, int nodes, size_t listed, const char *name)
{
	if (n > WORKERS_MOST)
		return say_too_many(workers, name);
	if (n < 1) {
		size_t each = listed == SIZE_MAX ? AS_MANY_AS_POSSIBLE : (listed + (size_t)nodes - 1) / (size_t)nodes;

		n = each < 1 ? 1 : each < AS_MANY_AS_POSSIBLE ? (double)each : AS_MANY_AS_POSSIBLE;
	}
	workers->per_node = (uint32_t)n;
	return 0;
}

int workers_count(struct workers *workers, size_t listed, const char *name)
{
	struct rp_worker_info *infos;
	struct amount amount;
	int count, r = 0;

	workers->count = workers->fixed;
	workers->per_node = workers->fixed_per_node;
	/* That is a number of workers, and -j counts cores. */
	if (workers->jobs)
		unsetenv("RANKPOOL_WORKERS");
	infos = plan(workers, name, &count);
	if (count >= 0 && workers->jobs) {
		if (amount_parse(workers->jobs, &amount) < 0)
			r = -1;
		else if (amount.unit == AMOUNT_NUMBER)
			r = count_absolute(workers, amount_of(&amount, 0), count_groups(infos, count), listed, name);
		else
			r = count_relative(workers, &amount, infos, count, name);
		if (r == 0) {
			free(infos);
			infos = plan(workers, name, &count);
		}
	}
	free(infos);
	workers->total = count < 0 ? 0 : (uint32_t)count;
	return count < 0 ? -1 : r;
}

void workers_report(const struct workers *workers, const char *name)
{
	int count;
	struct rp_worker_info *infos = plan(workers, name, &count);

	for (int i = 0; i < count; i++)
		fprintf(stderr, "%s: rank %d on %s: cpus %s\n", name, infos[i].rank, infos[i].host, infos[i].cpus);
	free(infos);
}
