/* SPDX-License-Identifier: BSD-3-Clause */
/* inputs.h - where the inputs come from: words behind :::, lines of files, standard input; all combinations of several
 * sources, or linked ones in step. */
#ifndef RP_LAUNCHER_INPUTS_H
#define RP_LAUNCHER_INPUTS_H

#include "template.h"

struct cli_list;
struct inputs;

/* What a word of a command line begins; 0: nothing. */
enum { INPUTS_WORDS = 1, INPUTS_FILES = 2, INPUTS_LINKED = 4 };
int inputs_separator(const char *word);

/* Takes the inputs off the end of a command line: words[0..count) up to the first of ::: :::+ :::: ::::+ are the
 * command, *ret_command of them.  `files` (-a) come before those; with no source at all, standard input is one.  Records
 * in files end with `delimiter`.  Every file is opened here.  NULL after one line, beginning with `name`, that says what
 * cannot be read. */
struct inputs *inputs_new(const char *name, char **words, size_t count, const struct cli_list *files, char delimiter,
                          size_t *ret_command);
struct inputs *inputs_free(struct inputs *inputs);

/* 1: the next record, which lives until the next call.  0: there are no more.  -EAGAIN: not before inputs_fd() polls
 * readable; nothing is waited for.  Other negative: an input cannot be read, as one line has said. */
int inputs_next(struct inputs *inputs, struct record *ret);
int inputs_fd(const struct inputs *inputs);

/* How many records there will be at most, when all sources are words; SIZE_MAX: only reading tells. */
size_t inputs_listed(const struct inputs *inputs);

/* Whether somebody has to type them. */
int inputs_are_typed(const struct inputs *inputs);

#endif
