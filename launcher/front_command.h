/* SPDX-License-Identifier: BSD-3-Clause */
/* front_command.h - the command line and the environment with which mpirun, or srun, starts this program on every node. */
#ifndef RP_LAUNCHER_FRONT_COMMAND_H
#define RP_LAUNCHER_FRONT_COMMAND_H

#include "front.h"
#include "mpirun.h"

struct front_command {
	const struct front *front;
	struct mpirun mpirun;
	char **words;                           /* for this program */
	char *program;                          /* its file */
	int hosts;                              /* a file with the hosts, -1: mpirun knows them */
};

/* 0, or -1 after one line: there is no mpirun, it is another MPI's, it would refuse. */
int front_command_make(struct front_command *ret, const struct front *front, char **words);

/* In the process that is to become it.  Returns when that fails. */
void front_command_exec(const struct front_command *command);
void front_command_free(struct front_command *command);

#endif
