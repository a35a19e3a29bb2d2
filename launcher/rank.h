/* SPDX-License-Identifier: BSD-3-Clause */
/* rank.h - rankpool run in a process that mpirun has started, and what the front has told it. */
#ifndef RP_LAUNCHER_RANK_H
#define RP_LAUNCHER_RANK_H

#include "escort.h"
#include "hosts.h"
#include "placing.h"
#include "program.h"

/* From the front to all copies, through the environment. */
void rank_tell(enum program_kind kind, uint32_t copies, const struct hosts *hosts);

/* What it has told; `kind` and the placing stay where it has not. */
enum program_kind rank_told(enum program_kind kind, struct placing *placing);

/* The file that a word names, or what it would be called; looks without a word. */
char *rank_find_program(const char *word);

struct rank_wish {
	const char *name;                       /* messages begin with it */
	const struct placing *placing;
	const struct escort *escort;            /* the program; its output is passed on by lines when it is to be tagged */
	int report;                             /* say where it is */
};

/* Binds this process to the place that a rank of its number has among those of this node and becomes the program, or its
 * escort.  Returns the exit status. */
int rank_become(const struct rank_wish *wish);

/* Binds this process to what `cpus` names.  0, or -1 after one line. */
int rank_bind_to(const char *cpus, const char *name);

#endif
