/* SPDX-License-Identifier: BSD-3-Clause */
/* mpirun.h - the program that starts MPI processes here: which one it is and what it understands. */
#ifndef RP_LAUNCHER_MPIRUN_H
#define RP_LAUNCHER_MPIRUN_H

/* The two families of MPI libraries.  A process of one that the other's mpirun has started believes to be alone. */
enum mpi_family { MPI_ANY, MPI_OPEN, MPI_MPICH };

enum mpirun_kind {
	MPIRUN_OPEN,                            /* of Open MPI up to 4 */
	MPIRUN_PRRTE,                           /* of Open MPI from 5 on */
	MPIRUN_HYDRA,                           /* of MPICH and its relatives */
	MPIRUN_SRUN                             /* Slurm's */
};

struct mpirun {
	char *path;
	enum mpirun_kind kind;
	char pmi[32];                           /* for --mpi= of srun */
};

/* The one in PATH for programs of this family; srun when there is none and `slurm`, that is in an allocation of Slurm's.
 * 0, or -1 after one line that begins with `name` and says what to do. */
int mpirun_find(struct mpirun *ret, enum mpi_family family, int slurm, const char *name);
void mpirun_free(struct mpirun *mpirun);

/* What librankpool was linked with. */
enum mpi_family mpirun_own_family(void);

/* The family that a library of this name belongs to, "libmpi.so.40"; MPI_ANY: it is no MPI library. */
enum mpi_family mpirun_family(const char *library);
const char *mpirun_family_name(enum mpi_family family);

#endif
