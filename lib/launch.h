/* SPDX-License-Identifier: BSD-3-Clause */
/* launch.h - what started this process: an MPI launcher, a scheduler, or nobody. */
#ifndef RP_LIB_LAUNCH_H
#define RP_LIB_LAUNCH_H

#include <stddef.h>

struct launch {
	int under_mpi;                          /* OMPI_COMM_WORLD_SIZE, PMIX_RANK, PMI_RANK or PMI_FD is set */
	int ranks;                              /* how many the launcher says there are; 0: it does not say */
	int rank;                               /* this one's; -1: it does not say */
	int local_rank;                         /* among those of this node; -1: it does not say */
	const char *launcher;                   /* "mpirun of Open MPI", "srun", ...: for messages; "" when there is none */
	int step_tasks;                         /* of the Slurm step, when srun started us without any MPI mark; else 0 */
};

void launch_read(struct launch *ret);

/* The sentence for a launcher that says n ranks where MPI says mpi_size (1), or for srun without MPI: both are named, and
 * the way out.  mpi_version is what MPI_Get_library_version tells, "" when it was not asked. */
void launch_explain(const struct launch *launch, int mpi_size, const char *mpi_version, char *text, size_t size);

/* 1: the launcher's variables are those of another process, as MPI of that version would find out by ending the program. */
int launch_is_stale(const struct launch *launch, const char *mpi_version);

/* Undoes the binding that the launcher gave this process: its threads may then use all CPUs that the launcher's daemon on
 * this node may use, or under srun those of all tasks of the step on this node, and never more.  A binding that is not the
 * launcher's, as by taskset, stays.
 * 0, also when there was nothing to widen; a negative errno: nothing was changed.  -ESRCH: no launcher is to be found. */
int launch_widen(void);

/* For a rank that ends because it has lost contact: a launcher that cannot reach one of its nodes may wait for that
 * for ever. Leaves a process behind that kills the launcher's daemon on this node unless that ends by itself within
 * two seconds. */
void launch_abandon(void);

#endif
