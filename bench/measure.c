/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.c - bench/measure NAME: makes one measurement and prints its nanoseconds, the median of its rounds. */
#include "measure.h"

#include <string.h>

static const struct {
	const char *name;
	double (*measure)(void);
} measures[] = {
	{ "map-chunk1", map_chunk1 },
	{ "map-arena", map_arena },
	{ "map-plain", map_plain },
	{ "map-threads", map_threads },
	{ "map-loop", map_loop },
	{ "bytes-pool", bytes_pool },
	{ "bytes-memcpy", bytes_memcpy },
	{ "apply-pool", apply_pool },
	{ "apply-pingpong", apply_pingpong },
	{ "open-pool", open_pool },
	{ "open-hwloc", open_hwloc },
	{ "start-process", start_process },
	{ "start-fork", start_fork },
	{ "start-thread", start_thread },
	{ "start-pthread", start_pthread },
	{ "idle-processes", idle_processes },
	{ "idle-threads", idle_threads },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof measures / sizeof *measures; i++)
		if (strcmp(argv[1], measures[i].name) == 0) {
			printf("%.3f\n", measures[i].measure());
			return 0;
		}
	fprintf(stderr, "usage: measure NAME, one of");
	for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
		fprintf(stderr, " %s", measures[i].name);
	fprintf(stderr, "\n");
	return 2;
}
