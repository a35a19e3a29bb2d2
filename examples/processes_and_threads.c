/* SPDX-License-Identifier: BSD-3-Clause */
/* processes_and_threads.c - the same function in processes of its own, then in threads of this one: one word differs.
 * Prints "Hello, Alice!", "Hello, Bob!", "Hello, Charlie!" in any order, a line each; then the three once more. */
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
	struct rp_process *processes[3], *threads[3];

	for (int i = 0; i < 3; i++) {
		rp_process_new(&processes[i], RP_PROCESS(.target = my_function, RP_ARG_TEXT(names[i])), RP_FATAL);
		rp_process_start(processes[i], RP_FATAL);
	}
	for (int i = 0; i < 3; i++) {
		rp_process_join(processes[i], RP_FOREVER);
		rp_process_free(processes[i]);
	}

	for (int i = 0; i < 3; i++) {
		rp_process_new(&threads[i], RP_THREAD(.target = my_function, RP_ARG_TEXT(names[i])), RP_FATAL);
		rp_process_start(threads[i], RP_FATAL);
	}
	for (int i = 0; i < 3; i++) {
		rp_process_join(threads[i], RP_FOREVER);
		rp_process_free(threads[i]);
	}
	return 0;
}
