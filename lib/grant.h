/* SPDX-License-Identifier: BSD-3-Clause */
/* grant.h - the CPUs of this node that a batch scheduler has given to the job, where nothing but its variables says so. */
#ifndef RP_LIB_GRANT_H
#define RP_LIB_GRANT_H

struct grant {
	unsigned cpus;                          /* how many; 0: no scheduler tells */
	const char *scheduler;                  /* "Slurm", "PBS", "LSF" or "Grid Engine"; "" when none does */
};

/* Reads the environment of a job of Slurm, PBS, LSF or Grid Engine.  It counts only where it names this host: variables
 * travel to other nodes and to login nodes with whatever is started there.  What cannot be made sense of says nothing.
 * `root` is prefixed to the paths of the files that schedulers write. */
void grant_read(const char *root, struct grant *ret);

#endif
