/* SPDX-License-Identifier: BSD-3-Clause */
/* front.h - this program once on every node, through mpirun or srun, and this process in front of it.
 *
 * The front stays where the user has started it: it hands standard input, output and error over to the first copy, passes
 * signals on to it, says in one line what mpirun says in many, and ends with its status. */
#ifndef RP_LAUNCHER_FRONT_H
#define RP_LAUNCHER_FRONT_H

#include "mpirun.h"
#include "nodes.h"

#include <stdint.h>

#define FRONT_TIME_OVER 124                     /* as that of timeout(1) */

struct front {
	const char *name;                       /* messages begin with it */
	const struct nodes *nodes;
	int as_root;                            /* mpirun may run as root */
	int by_slot;                            /* a copy for each slot of each node instead of one for each node */
	int reads_input;                        /* the first copy may read standard input */
	/* What else there can be when the copies become another program: */
	int64_t time_limit;                     /* ns, 0: none; then the status is FRONT_TIME_OVER */
	int is_program;                         /* an MPI program: its processes end as they like */
	enum mpi_family family;                 /* that its mpirun has to be of; MPI_ANY: our own */
	int oversubscribed;                     /* there are more of them than cores: they should not spin */
};

/* Starts this program with these words, the first of which is its name, and waits for the end.  The copies find the same
 * command line and see by nodes_find() that they have no nodes to choose.  Returns the exit status: that of the first
 * copy, 128 + the signal that ended it, or CLI_FAILED after one line. */
int front_run(const struct front *front, char **words);

/* First thing in main: in the first copy standard input, output and error become the front's. */
void front_attach(void);

#endif
