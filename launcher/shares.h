/* SPDX-License-Identifier: BSD-3-Clause */
/* shares.h - how many copies of a program each node gets. */
#ifndef RP_LAUNCHER_SHARES_H
#define RP_LAUNCHER_SHARES_H

#include "nodes.h"
#include "placing.h"

struct shares {
	uint32_t copies;                        /* over all nodes; 0: the nodes themselves tell, one for each core */
	int by_slot;                            /* nodes get different numbers: those in nodes->hosts */
	int oversubscribed;                     /* there are more copies than slots, or than cores here */
};

/* Sets the slots of each host in `nodes` to the copies that it gets, and leaves out hosts that get none.  As with mpirun
 * hosts are filled one after the other, or evenly when mapped by node, and the default is one copy for each slot; where
 * nobody has said how many there are, one for each core.  `each` wants a number in any case: no nodes at all are this
 * machine, and a machine that is to run nothing but the manager is left out.  0, or -1 after one line: there are fewer
 * slots. */
int shares_make(struct shares *ret, const struct placing *placing, struct nodes *nodes, int each, const char *name);

#endif
