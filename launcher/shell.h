/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.h - the user's shell, and which commands do not need it. */
#ifndef RP_LAUNCHER_SHELL_H
#define RP_LAUNCHER_SHELL_H

#include "quote.h"

struct shell {
	const char *path;                       /* $PARALLEL_SHELL, $SHELL or /bin/sh */
	enum quote_dialect dialect;
};

/* 0, or -1 after one line that says why the shell cannot be used. */
int shell_find(struct shell *ret, const char *name);

/* The file that a shell would execute for a command of this name, malloc'ed.  NULL when only a shell can tell: a builtin, a
 * keyword, an exported function, a script without #!, or nothing that can be found. */
char *shell_program(const char *name);

#endif
