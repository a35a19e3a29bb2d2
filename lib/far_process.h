/* SPDX-License-Identifier: BSD-3-Clause */
/* far_process.h - processes on other nodes: started by their agents, which tell when they end. */
#ifndef RP_LIB_FAR_PROCESS_H
#define RP_LIB_FAR_PROCESS_H

#include "process.h"
#include "wire.h"

extern const struct process_starter far_process_starter;

/* ---- the hub's thread */
void far_process_ended(const struct wire_ended *ended);
void far_process_lost(int node);

#endif
