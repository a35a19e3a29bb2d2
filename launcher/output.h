/* SPDX-License-Identifier: BSD-3-Clause */
/* output.h - what commands wrote, command by command on standard output and standard error, in the order in which they
 * end or in that of their inputs. */
#ifndef RP_LAUNCHER_OUTPUT_H
#define RP_LAUNCHER_OUTPUT_H

#include "parcel.h"
#include "runner.h"

struct output;

struct output *output_new(int keep_order, int tagged);

/* Drops what still waits. */
struct output *output_free(struct output *output);

/* Takes a result: prints it, stdout before stderr, or copies it until its turn has come.  The parcel's files are the
 * output's from here on.  Each line begins with `tag` and a TAB when tagged. */
void output_put(struct output *output, const struct result *result, const struct parcel *parcel, struct slice tag);

/* Nothing will come of this job. */
void output_skip(struct output *output, unsigned long long seq);

/* So much waits for an earlier job that no more should be started. */
int output_is_full(const struct output *output);

/* 0, or the errno with which printing failed: from then on everything is dropped. */
int output_error(const struct output *output);

#endif
