/* SPDX-License-Identifier: BSD-3-Clause */
/* quote.h - values inside a shell line: where in the line's own quoting a value stands, and how it is written there so that
 * the shell never takes any of it for shell text. */
#ifndef RP_LAUNCHER_QUOTE_H
#define RP_LAUNCHER_QUOTE_H

#include "buffer.h"

enum quote_dialect { QUOTE_BOURNE, QUOTE_CSH, QUOTE_FISH };

/* The dialect of a shell by the name of its program; -1: not one that is known. */
int quote_dialect(const char *shell);

enum quote_place {
	QUOTE_RAW,                              /* as it is: the value is the command itself */
	QUOTE_PLAIN,                            /* outside of any quotes */
	QUOTE_DOUBLE,                           /* inside "..." */
	QUOTE_SINGLE,                           /* inside '...' */
	QUOTE_ANSI,                             /* inside $'...' */
	QUOTE_COMMENT,                          /* behind a # that begins a word */
	QUOTE_BACKQUOTED = 16                   /* added to the above inside `...` */
};

/* Reads a shell line's own text.  { 0 } is at its beginning. */
struct quote_scanner {
	char open[32];                          /* what has been opened and not yet closed, innermost last */
	int depth;
	char last[4];                           /* the characters before, newest first */
	int escaped;                            /* the last one was a backslash that quotes what comes next */
	int here;                               /* 1: << was read, 2: and its line has ended */
	int braces;                             /* { without } outside of quotes; below 0 stays there */
	int lost;                               /* quoting that is not followed: nested too deeply, a case inside $(...) */
};

void quote_scan(struct quote_scanner *scanner, char c);

/* Where a value stands that follows what was read; the value itself counts as one word character.  -1 and *ret_why when no
 * way of writing it there is safe. */
int quote_scan_value(struct quote_scanner *scanner, const char **ret_why);

/* Appends value as it has to be written at `place`. */
void quote_add(struct buffer *buffer, enum quote_dialect dialect, int place, struct slice value);

#endif
