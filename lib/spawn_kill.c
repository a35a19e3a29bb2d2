/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn_kill.c - the end of everything below a process. */
#include "spawn.h"

#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VICTIMS 256                     /* children killed in one pass */
#define PATIENCE INT64_C(1000000000)

static int is_kept(pid_t pid, const pid_t *keep, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (keep[i] == pid)
			return 1;
	return 0;
}

struct victims {
	const pid_t *keep;
	size_t kept, count;
	pid_t pids[VICTIMS];
};

static void add_victim(struct victims *victims, pid_t pid)
{
	if (pid > 0 && victims->count < VICTIMS && !is_kept(pid, victims->keep, victims->kept))
		victims->pids[victims->count++] = pid;
}

/* -ENOENT when the kernel does not keep such lists. */
static int list_children_of_thread(const char *tid, struct victims *victims)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%.20s/children", tid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fscanf(file, "%d", &pid) == 1)
		add_victim(victims, pid);
	fclose(file);
	return 0;
}

/* The name in the second field may hold anything, so the fields are counted from its last parenthesis. */
static void check_parent(const char *pid, struct victims *victims)
{
	char path[64], text[512], *end;
	int parent;
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	end = strrchr(text, ')');
	if (end && sscanf(end + 1, " %*c %d", &parent) == 1 && parent == getpid())
		add_victim(victims, (pid_t)strtol(pid, NULL, 10));
}

static int walk(const char *path, struct victims *victims, int by_parent)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!directory)
		return -errno;
	while (r == 0 && (entry = readdir(directory))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		if (by_parent)
			check_parent(entry->d_name, victims);
		else
			r = list_children_of_thread(entry->d_name, victims);
	}
	closedir(directory);
	return r;
}

static void find_children(struct victims *victims)
{
	victims->count = 0;
	if (walk("/proc/self/task", victims, 0) < 0) {
		victims->count = 0;
		walk("/proc", victims, 1);
	}
}

pid_t *spawn_children(size_t *ret_count)
{
	struct victims found = { .kept = 0 };
	pid_t *pids = NULL, *more;

	/* Those that have been found are left out of the next look, as a look has room for so many. */
	for (*ret_count = 0; find_children(&found), found.count; *ret_count += found.count) {
		more = realloc(pids, (*ret_count + found.count) * sizeof *pids);
		if (!more)
			break;
		pids = more;
		memcpy(pids + *ret_count, found.pids, found.count * sizeof *pids);
		found.keep = pids;
		found.kept = *ret_count + found.count;
	}
	return pids;
}

/* Only children are killed, as no pid of theirs can be somebody else's before they are reaped here.  What they leave behind
 * becomes a child of this process, the subreaper, and is killed in the next pass.  A child that does not die, as in an
 * uninterruptible system call, is left with its SIGKILL pending once nothing has ended for a while. */
void spawn_kill_descendants(const pid_t *keep, size_t count)
{
	int64_t deadline = clock_deadline(PATIENCE);
	struct victims victims = { .keep = keep, .kept = count };
	struct spawn_end end;

	do {
		find_children(&victims);
		for (size_t i = 0; i < victims.count; i++)
			kill(victims.pids[i], SIGKILL);
		for (size_t i = 0; i < victims.count; i++)
			if (spawn_reap(victims.pids[i], -1, deadline, &end) == 0)
				deadline = clock_deadline(PATIENCE);
	} while (victims.count && clock_left(deadline));
}
