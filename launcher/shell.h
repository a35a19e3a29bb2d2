/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.h - the user's shell, and which commands do not need it. */
#ifndef RP_LAUNCHER_SHELL_H
#define RP_LAUNCHER_SHELL_H

#include "quote.h"

struct shell {
	const char *path;                       /* $PARALLEL_SHELL, $SHELL or /bin/sh; a mere name is looked for in PATH */
	char *found;                            /* where it was: freed by shell_done */
	enum quote_dialect dialect;
};

/* 0, or -1 after one line that says why the shell cannot be used. */
int shell_find(struct shell *ret, const char *name);
void shell_done(struct shell *shell);

/* Whether it can be executed: 0, or -1 after a line that says why not. */
int shell_check(const struct shell *shell, const char *name);

/* The file that a shell would execute for a command of this name, malloc'ed.  NULL when only a shell can tell: a builtin, a
 * keyword, an exported function, a script without #!, or nothing that can be found. */
char *shell_program(const char *name);

#endif
