/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.c - bench/machine: what bench/run has to know, as shell assignments: the version, how many workers a pool has by
 * default and their CPUs (as OpenMP places, so that its threads get the same), and a CPU of each of two workers. */
#include "measure.h"

#include <string.h>

/* "0-2,8" to "{0,1,2,8}". */
static void print_place(const char *list)
{
	char separator = '{';

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last; first++, separator = ',')
			printf("%c%lu", separator, first);
		list = end + (*end == ',');
	}
	printf("}");
}

int main(void)
{
	struct rp_worker_info two[2], *infos;
	int workers = rp_pool_plan(NULL, NULL, NULL, 0, RP_FATAL);

	infos = need(calloc((size_t)workers, sizeof *infos));
	rp_pool_plan(NULL, NULL, infos, (size_t)workers, RP_FATAL);
	rp_pool_plan(RP_POOL(.workers = 2), NULL, two, 2, RP_FATAL);

	printf("version='%s'\nworkers=%d\nplaces='", rp_version(), workers);
	for (int i = 0; i < workers; i++) {
		printf("%s", i ? "," : "");
		print_place(infos[i].cpus);
	}
	printf("'\ncpu_a=%lu\ncpu_b=%lu\n", strtoul(two[0].cpus, NULL, 10), strtoul(two[1].cpus, NULL, 10));
	free(infos);
	return 0;
}
