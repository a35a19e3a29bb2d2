/* SPDX-License-Identifier: BSD-3-Clause */
/* one_process.c - the shortest program with a second process: new, start, join.
 * Prints "This is a new process." */
#include "rankpool.h"

#include <stdio.h>

static int create_process(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	printf("This is a new process.\n");
	return 0;
}

int main(void)
{
	struct rp_process *p;

	rp_process_new(&p, RP_PROCESS(.target = create_process), RP_FATAL);
	rp_process_start(p, RP_FATAL);
	rp_process_join(p, RP_FOREVER);
	rp_process_free(p);
	return 0;
}
