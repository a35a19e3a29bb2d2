/* SPDX-License-Identifier: BSD-3-Clause */
/* brief.h - what every worker has to know about the run.  It travels as bytes: workers may be on other nodes. */
#ifndef RP_LAUNCHER_BRIEF_H
#define RP_LAUNCHER_BRIEF_H

#include "quote.h"

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct brief {
	const char *name;                       /* messages begin with it */
	const char **words;                     /* the command as it was typed: a worker finds program and shell itself */
	size_t word_count;
	const char *shell;                      /* a path, or a name to be looked for in PATH */
	enum quote_dialect dialect;
	const char **environment;               /* of the commands, before each worker adds its own */
	size_t variable_count;
	const char *directory;                  /* that the commands run in; "": it has no name any more */
	const char *output_directory;           /* where output is kept, on nodes that have it */
	mode_t mask;                            /* umask */
	sigset_t ignored;                       /* signals that rankpool was started with as ignored */
	int64_t timeout;                        /* ns, 0: none */
	unsigned workers;                       /* on all nodes */
	pid_t manager;
	int way;                                /* for parcels: the sending end, on the manager's node */
	int launched;                           /* by mpirun or the like: open files above 2 are its own, not the user's */
};

void brief_pack(const struct brief *brief, struct buffer *ret);

/* Reads what brief_pack has written; its texts stay in `data`.  0, or -EBADMSG: it is something else. */
int brief_unpack(const void *data, size_t size, struct brief *ret);

/* Frees what brief_unpack has made. */
void brief_done(struct brief *brief);

#endif
