/* SPDX-License-Identifier: BSD-3-Clause */
/* handover.h - from the process that a user has started to the one that mpirun has started for it: standard input, output
 * and error, so that they do not go through mpirun. */
#ifndef RP_LAUNCHER_HANDOVER_H
#define RP_LAUNCHER_HANDOVER_H

#include <sys/types.h>

#define HANDOVER_VARIABLE "RANKPOOL_FRONT"      /* environment of all ranks: where the first asks for them */
#define HANDOVER_NAME_SIZE 48

/* What the first rank says on standard error instead when it is on another machine. */
#define HANDOVER_ELSEWHERE "\036rankpool is up\036\n"

/* A socket that waits for it, and the variable's value.  A descriptor, or a negative errno. */
int handover_open(char ret_name[HANDOVER_NAME_SIZE]);

/* Once `fd` polls readable: gives the three descriptors to the process that asks.  Its pid, with *ret_pidfd to signal and
 * poll; 0: it was somebody else's, or has gone. */
pid_t handover_give(int fd, const int descriptors[3], int *ret_pidfd);

/* Whether this process was started with a handover to be asked for, by another copy of this program. */
int handover_is_copy(void);

/* Whether it is the first of the ranks that mpirun or srun has started. */
int handover_is_first(void);

/* In the first rank on the same machine: standard input, output and error become those of the other process.  On another
 * machine it says so; other ranks do nothing. */
void handover_take(void);

#endif
