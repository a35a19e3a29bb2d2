/* SPDX-License-Identifier: BSD-3-Clause */
/* template.h - a command with replacement strings, and what it becomes for one record of input. */
#ifndef RP_LAUNCHER_TEMPLATE_H
#define RP_LAUNCHER_TEMPLATE_H

#include "quote.h"

/* What one job is made of. */
struct record {
	unsigned long long seq;                 /* 1, 2, ... in the order of the inputs */
	size_t count;
	const struct slice *values;             /* one of each input source; no value holds a 0 byte */
};

struct template;

/* Reads the words of a command.  None: each record is a shell line itself.  A command without a replacement string gets
 * " {}" appended.  NULL and *ret_why (malloc'ed) when a replacement string is wrong. */
struct template *template_new(const char *const *words, size_t count, enum quote_dialect dialect, char **ret_why);
struct template *template_free(struct template *template);

/* The first word of a command that no shell is needed for: its template holds nothing that means anything to one.  NULL: it
 * has to go through a shell. */
const char *template_program(const struct template *template);

/* Appends the command as a shell line. */
void template_line(const struct template *template, const struct record *record, unsigned slot, struct buffer *ret);

/* Appends its words, each ended by a 0 byte, for a command that goes through no shell.  Returns how many. */
size_t template_words(const struct template *template, const struct record *record, unsigned slot, struct buffer *ret);

#endif
