/* SPDX-License-Identifier: BSD-3-Clause */
/* map_nodes.c - on which nodes a map runs. */
#include "map_nodes.h"
#include "allocation.h"
#include "buffer.h"
#include "complaint.h"
#include "front.h"
#include "handover.h"
#include "inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODES_MOST 65536

static int fail(const char *name, const char *most, const char *why, const char *list)
{
	cli_say(name, "--nodes %s: %s%s", most, why, list);
	return -1;
}

/* Those behind the first N are not used.  A first one that only runs the manager is none of them. */
static int take_first(struct nodes *nodes, const char *most, const char *name)
{
	struct hosts *hosts = &nodes->hosts;
	const size_t extra = nodes->manager_only ? 1 : 0;
	struct buffer list = { 0 };
	char *end;
	unsigned long n = strtoul(most, &end, 10);

	if (strspn(most, "0123456789") == 0 || *end || n < 1 || n > NODES_MOST)
		return fail(name, most, "that is no number of nodes", "");
	if (allocation_is_rank())
		return handover_is_copy() ? 0 :
		                            fail(name, most, "mpirun or srun has started this already, on its nodes", "");
	if (!hosts->count && n > 1)
		return fail(name, most, "this machine is the only one; --host or --hostfile can name others", "");
	if (hosts->count && n > hosts->count - extra) {
		complaint_list(hosts, &list);
		fail(name, most, "there are fewer: ", list.data);
		buffer_free(&list);
		return -1;
	}
	while (hosts->count > n + extra) {
		free(hosts->items[--hosts->count].name);
		nodes->named = 1;
	}
	return 0;
}

/* "a:4,b:4" are so many workers, unless -j says how many on each. */
static void count_slots(const struct nodes *nodes)
{
	unsigned long sum = 0;
	char digits[24];

	for (size_t i = nodes->manager_only ? 1 : 0; i < nodes->hosts.count; i++) {
		if (!nodes->hosts.items[i].said)
			return;
		sum += nodes->hosts.items[i].slots;
	}
	snprintf(digits, sizeof digits, "%lu", sum);
	setenv("RANKPOOL_WORKERS", digits, 0);
}

/* The file behind /dev/fd/63, which a shell has made of <(command), is open in this process and in no copy. */
static char *found_from_elsewhere(char *word)
{
	int fd, end = 0;
	char *path;

	if (sscanf(word, "/dev/fd/%d%n", &fd, &end) != 1 && sscanf(word, "/proc/self/fd/%d%n", &fd, &end) != 1)
		return word;
	if (word[end] || fd <= STDERR_FILENO || asprintf(&path, "/proc/%d/fd/%d", (int)getpid(), fd) < 0)
		return word;
	return path;
}

/* The words of the copies: names of files are left of `first`, among the options, and behind ::::. */
static char **words_of_copies(char **words, int first)
{
	int count = 0, kind = INPUTS_FILES;
	char **copies;

	while (words[count])
		count++;
	copies = resized(NULL, (size_t)count + 2, sizeof *copies);
	copies[0] = "rankpool";
	for (int i = 0; i < count; i++) {
		if (i == first || (i > first && inputs_separator(words[i])))
			kind = inputs_separator(words[i]);
		copies[i + 1] = kind & INPUTS_FILES ? found_from_elsewhere(words[i]) : words[i];
	}
	copies[count + 1] = NULL;
	return copies;
}

/* Whether standard input is a source: it is named, or nothing is. */
static int reads_input(char **words, int first, const struct cli_list *files)
{
	int kind = 0, any = files->count > 0;

	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->items[i], "-") == 0)
			return 1;
	for (char **word = words + first; *word; word++) {
		kind = inputs_separator(*word) ? inputs_separator(*word) : kind;
		any |= kind;
		if (kind & INPUTS_FILES && strcmp(*word, "-") == 0)
			return 1;
	}
	return !any;
}

static int run_front(const struct map_nodes *map, const struct nodes *nodes, char **words, int first)
{
	const struct front front = { .name = map->name, .nodes = nodes, .as_root = map->as_root,
		                     .reads_input = reads_input(words, first, map->files) };
	char **copies = words_of_copies(words, first);
	int status = front_run(&front, copies);

	for (int i = 0; words[i]; i++)
		if (copies[i + 1] != words[i])
			free(copies[i + 1]);
	free(copies);
	return status;
}

int map_nodes_go(const struct map_nodes *map, char **words, int first, int *ret_status)
{
	struct nodes nodes;
	int r;

	if (nodes_find(&nodes, map->hosts, map->hostfiles, map->name) < 0)
		return -1;
	r = map->most ? take_first(&nodes, map->most, map->name) : 0;
	if (r == 0 && nodes.named && !map->jobs)
		count_slots(&nodes);
	if (r == 0 && nodes_are_remote(&nodes)) {
		*ret_status = run_front(map, &nodes, words, first);
		r = 1;
	}
	nodes_free(&nodes);
	return r;
}
