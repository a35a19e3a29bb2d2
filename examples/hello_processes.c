/* SPDX-License-Identifier: BSD-3-Clause */
/* hello_processes.c - one process for each name.
 * Prints, in any order: "Hello, Alice!", "Hello, Bob!", "Hello, Charlie!", a line each. */
#include "rankpool.h"

#include <stdio.h>

static int my_function(const void *name, size_t size RP_UNUSED)
{
	printf("Hello, %s!\n", (const char *)name);
	return 0;
}

int main(void)
{
	const char *names[3] = { "Alice", "Bob", "Charlie" };
	struct rp_process *processes[3];

	for (int i = 0; i < 3; i++) {
		rp_process_new(&processes[i], RP_PROCESS(.target = my_function, RP_ARG_TEXT(names[i])), RP_FATAL);
		rp_process_start(processes[i], RP_FATAL);
	}
	for (int i = 0; i < 3; i++) {
		rp_process_join(processes[i], RP_FOREVER);
		rp_process_free(processes[i]);
	}
	return 0;
}
