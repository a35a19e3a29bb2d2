/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h - a line per worker: its CPUs, and the core, NUMA node and package that they belong to. */
#ifndef RP_LAUNCHER_TABLE_H
#define RP_LAUNCHER_TABLE_H

#include "machine.h"

/* Prints it on standard output, at most 110 columns wide.  When there are many workers, neighbours share a line.
 * 0, or -1: out of memory. */
int table_print(const struct machine *machine);

#endif
