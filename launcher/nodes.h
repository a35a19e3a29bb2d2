/* SPDX-License-Identifier: BSD-3-Clause */
/* nodes.h - the machines to be used: those that the command line names, else those of the allocation that we are in. */
#ifndef RP_LAUNCHER_NODES_H
#define RP_LAUNCHER_NODES_H

#include "cli.h"
#include "hosts.h"

struct nodes {
	struct hosts hosts;                     /* this machine first, if it is one of them; empty: nothing was said */
	const char *scheduler;                  /* whose allocation this is, NULL: nobody's */
	int named;                              /* by the command line */
	int manager_only;                       /* the first is this machine, added to run the manager and nothing else */
	int excluded;                           /* this machine is none of the allocation's */
};

/* `lists` are those of --host, `files` of --hostfile.  0, or -1 after one line, which begins with `name`: a list, a file or
 * a variable that makes no sense, names of no machine, hosts that are not in the allocation, and a program that mpirun
 * has started already and that is to choose its nodes. */
int nodes_find(struct nodes *ret, const struct cli_list *lists, const struct cli_list *files, const char *name);
void nodes_free(struct nodes *nodes);

/* Whether other machines than this one are to be used: then the program goes on as front_run(). */
int nodes_are_remote(const struct nodes *nodes);

#endif
