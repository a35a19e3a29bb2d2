/* SPDX-License-Identifier: BSD-3-Clause */
/* drawing.h - a machine in text: packages, NUMA nodes and caches as a tree, cores as cells with their workers in them. */
#ifndef RP_LAUNCHER_DRAWING_H
#define RP_LAUNCHER_DRAWING_H

#include "machine.h"

/* Prints it on standard output, at most 100 columns wide.  0, or -1: out of memory. */
int drawing_print(const struct machine *machine);

#endif
