/* SPDX-License-Identifier: BSD-3-Clause */
/* allocation.h - the nodes that a batch system has given us, as its environment tells; it is never asked. */
#ifndef RP_LAUNCHER_ALLOCATION_H
#define RP_LAUNCHER_ALLOCATION_H

#include "hosts.h"

struct allocation {
	const char *scheduler;                  /* "Slurm", "PBS", "LSF", "SGE"; NULL: this is no allocation */
	struct hosts hosts;                     /* in its order, slots as granted; hosts_locate() finds their places */
};

/* 0, also when there is none, or -1 after one line that begins with `name`: the variables make no sense.  Nothing is found
 * in a program that belongs to a larger whole, which has the nodes: a rank of an MPI job, a command that a worker runs. */
int allocation_find(struct allocation *ret, const char *name);
void allocation_free(struct allocation *allocation);

/* Whether mpirun, srun or another MPI launcher has started this process. */
int allocation_is_rank(void);

#endif
