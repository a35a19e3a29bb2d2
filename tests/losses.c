/* SPDX-License-Identifier: BSD-3-Clause */
/* losses.c - a map over several nodes, of which tests/losses.bats takes something away: losses deaths|endless. Tasks say
 * where they are by files in the current directory, which all nodes see. */
#include "rankpool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS = 100000 };

static struct rp_outcome outcomes[ITEMS];
static int in[ITEMS], out[ITEMS];

/* Whether nobody has made this file before, on any node. It appears with its line in it. */
static int first(const char *name, const char *line)
{
	char unique[64];
	FILE *file;
	int r;

	snprintf(unique, sizeof(unique), "%s.%s.%d", name, line, (int)getpid());
	for (char *c = unique; *c; c++)
		if (*c == ' ')
			*c = '.';
	file = fopen(unique, "w");
	if (!file)
		return 0;
	fprintf(file, "%s\n", line);
	fclose(file);
	r = link(unique, name);
	unlink(unique);
	return r == 0;
}

static void nap(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static void wait_to_be_killed(void)
{
	while (1)
		nap(1000);
}

/* The first task of another node waits to be killed from outside, the second is to crash, and until there have been both,
 * those of the manager's node leave the others some work. */
static int deaths(struct rp_task *task, const void *input, void *output)
{
	const struct rp_worker_info *worker = rp_task_worker(task);
	char line[100];

	*(int *)output = 2 * *(const int *)input;
	if (access("crashed", F_OK) == 0)
		return 0;
	if (worker->node == 0) {
		while (access("crashed", F_OK) != 0)
			nap(1);
		return 0;
	}
	snprintf(line, sizeof(line), "%.40s %d %zu", worker->host, worker->pid, rp_task_index(task));
	if (access("victim", F_OK) != 0 && first("victim", line))
		wait_to_be_killed();
	if (first("crashed", line))
		raise(SIGSEGV);
	return 0;
}

static int endless(struct rp_task *task, const void *input, void *output)
{
	char name[32];

	*(int *)output = *(const int *)input;
	snprintf(name, sizeof(name), "begun.%d", rp_task_worker(task)->node);
	if (access(name, F_OK) != 0)
		first(name, "at work");
	wait_to_be_killed();
	return 0;
}

static int report(int r)
{
	int good = 0;

	for (int i = 0; i < ITEMS; i++)
		if (outcomes[i].state == RP_OK && out[i] == 2 * i)
			good++;
		else
			printf("item %d: %s, code %d, node %d: %s\n", i, rp_state_name(outcomes[i].state), outcomes[i].code,
			       outcomes[i].node, outcomes[i].text);
	printf("%d good, %s\n", good, strerror(-r));
	return 0;
}

int main(int argc, char **argv)
{
	struct rp_pool *pool;
	int r;

	rp_init(&argc, &argv, RP_FATAL);
	rp_pool_new(&pool, NULL, RP_FATAL);
	for (int i = 0; i < ITEMS; i++)
		in[i] = i;
	if (argc == 2 && strcmp(argv[1], "endless") == 0)
		rp_pool_map(pool, endless, in, out, ITEMS, NULL, RP_FATAL);
	r = rp_pool_map(pool, deaths, in, out, ITEMS, RP_MAP(.outcomes = outcomes), NULL);
	r = report(r);
	rp_pool_free(pool);
	rp_finalize();
	return r;
}
