/* SPDX-License-Identifier: BSD-3-Clause */
/* program.h - the file that a word of the command line names, and what kind of program it holds. */
#ifndef RP_LAUNCHER_PROGRAM_H
#define RP_LAUNCHER_PROGRAM_H

#include "mpirun.h"

#define PROGRAM_NOT_FOUND 127                   /* exit statuses, as shells have them */
#define PROGRAM_NOT_EXECUTABLE 126

enum program_kind {
	PROGRAM_PLAIN,
	PROGRAM_MPI,                            /* needs an MPI library: mpirun is to start each process of it */
	PROGRAM_POOL                            /* needs librankpool, and no MPI of its own */
};

struct program {
	char *path;
	enum program_kind kind;
	enum mpi_family family;                 /* of an MPI program */
	int calls_init;                         /* of a pool program: rp_init or rp_start, so that it can have nodes */
};

/* Finds it as execvp would.  0, or PROGRAM_NOT_FOUND or PROGRAM_NOT_EXECUTABLE after one line that begins with `name`. */
int program_find(struct program *ret, const char *word, const char *name);

/* What PATH has of that name, malloc'ed; NULL: nothing. */
char *program_search(const char *word);

/* Fills in the rest: from what the file says that it needs, and what the libraries that it needs do in turn.  A script, or
 * anything else that is no ELF file, is plain. */
void program_examine(struct program *program);
void program_free(struct program *program);

#endif
