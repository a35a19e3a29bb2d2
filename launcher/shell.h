/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.h - the user's shell, and which commands do not need it: for the variables of a given environment, a list that ends
 * with NULL. */
#ifndef RP_LAUNCHER_SHELL_H
#define RP_LAUNCHER_SHELL_H

#include "quote.h"

/* $PARALLEL_SHELL, $SHELL or /bin/sh: a path, or a mere name. */
const char *shell_name(const char *const *environment);

/* Where it is, malloc'ed: a mere name is looked for in PATH, and stays one when it is not there. */
char *shell_path(const char *shell, const char *const *environment);

/* Its enum quote_dialect, or -1 after one line that says that nobody knows it. */
int shell_dialect(const char *shell, const char *name);

/* Whether it can be executed: 0, or -1 after a line that says why not. */
int shell_check(const char *path, const char *name);

/* The file that a shell would execute for a command of this name, malloc'ed.  NULL when only a shell can tell: a builtin, a
 * keyword, an exported function, a script without #!, or nothing that can be found. */
char *shell_program(const char *name, const char *const *environment);

#endif
