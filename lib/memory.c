/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - how much memory the machine and the memory cgroups still allow. */
#include "memory.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOO_SMALL_TO_MATTER ((size_t)1 << 20)

/* 0: not there or not a number ("max"). */
static int read_number(const char *path, uint64_t *ret)
{
	char text[64], *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	*ret = strtoull(text, &end, 10);
	return end != text;
}

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

struct hierarchy {
	const char *mount, *limit, *usage;
};

/* The least left on any level from `path` up to the mount's root. */
static size_t cgroup_left(const struct hierarchy *h, char *path)
{
	size_t least = SIZE_MAX;

	for (;;) {
		char file[4352];
		uint64_t limit, usage;
		char *slash;

		snprintf(file, sizeof file, "%s%s/%s", h->mount, path, h->limit);
		if (read_number(file, &limit)) {
			snprintf(file, sizeof file, "%s%s/%s", h->mount, path, h->usage);
			if (read_number(file, &usage)) {
				uint64_t left = limit > usage ? limit - usage : 0;

				if (left < least)
					least = left;
			}
		}
		slash = strrchr(path, '/');
		if (!slash)
			return least;
		*slash = 0;
	}
}

static size_t cgroups_available(void)
{
	static const struct hierarchy v2 = { "/sys/fs/cgroup", "memory.max", "memory.current" };
	static const struct hierarchy mixed = { "/sys/fs/cgroup/unified", "memory.max", "memory.current" };
	static const struct hierarchy v1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes" };
	size_t least = SIZE_MAX;
	char line[4200];
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (!file)
		return SIZE_MAX;
	while (fgets(line, sizeof line, file)) {
		char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL, copy[4200];
		size_t left = SIZE_MAX;

		if (!path)
			continue;
		*path++ = 0;
		path[strcspn(path, "\n")] = 0;
		strcpy(copy, path);
		if (!strcmp(controllers, ":memory")) {
			left = cgroup_left(&v1, path);
		} else if (!strcmp(controllers, ":")) {
			left = cgroup_left(&v2, path);
			size_t other = cgroup_left(&mixed, copy);

			left = other < left ? other : left;
		}
		least = left < least ? left : least;
	}
	fclose(file);
	return least;
}

size_t memory_available(size_t wanted)
{
	size_t machine, cgroups;

	if (wanted < TOO_SMALL_TO_MATTER)
		return SIZE_MAX;
	machine = machine_available();
	cgroups = cgroups_available();
	return machine < cgroups ? machine : cgroups;
}
