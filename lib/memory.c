/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - how much memory the machine and the memory cgroups still allow. */
#include "memory.h"

#include "cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOO_SMALL_TO_MATTER ((size_t)1 << 20)

static size_t machine_available(void)
{
	size_t kib = SIZE_MAX / 1024;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		return SIZE_MAX;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %zu kB", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024;
}

/* The value of a line "NAME NUMBER" of memory.stat; 0: not there. */
static uint64_t stat_value(const char *directory, const char *name)
{
	char path[PATH_MAX], key[64];
	uint64_t value, ret = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/memory.stat", directory);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%63s %" SCNu64, key, &value) == 2)
		if (!strcmp(key, name))
			ret = value;
	fclose(file);
	return ret;
}

static int read_number(const char *directory, const char *name, uint64_t *ret)
{
	char *line = cgroup_read(directory, name), *end = line;
	int found;

	if (line)
		*ret = strtoull(line, &end, 10);
	found = end != line;            /* "max" is no number */
	free(line);
	return found;
}

/* What is cached of files gives way to what is wanted. */
static void visit(const char *directory, int version, void *user)
{
	size_t *least = user;
	uint64_t limit, usage, cached, left;

	if (!read_number(directory, version == 1 ? "memory.limit_in_bytes" : "memory.max", &limit) ||
	    !read_number(directory, version == 1 ? "memory.usage_in_bytes" : "memory.current", &usage))
		return;
	cached = stat_value(directory, version == 1 ? "total_inactive_file" : "inactive_file") +
	         stat_value(directory, version == 1 ? "total_active_file" : "active_file");
	left = limit + cached > usage ? limit + cached - usage : 0;
	if (left < *least)
		*least = left;
}

size_t memory_available(size_t wanted)
{
	size_t machine, cgroups = SIZE_MAX;

	if (wanted < TOO_SMALL_TO_MATTER)
		return SIZE_MAX;
	machine = machine_available();
	cgroup_walk("", "memory", visit, &cgroups);
	return machine < cgroups ? machine : cgroups;
}
