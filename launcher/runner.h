/* SPDX-License-Identifier: BSD-3-Clause */
/* runner.h - what a worker does: one record of input in, one command run, what became of it out. */
#ifndef RP_LAUNCHER_RUNNER_H
#define RP_LAUNCHER_RUNNER_H

#include "capture.h"
#include "rankpool.h"
#include "template.h"

/* Of a pool: its init_arg is a packed brief. */
rp_task_fn runner_init, runner_exit;

/* A task: in is a packed record, the reply a packed result. */
rp_task_fn runner_run;

void runner_pack(const struct record *record, struct buffer *ret);

struct result {
	unsigned long long seq;
	int status;                             /* exit code, or -signal */
	int timed_out;
	int cut_short;                          /* there was no room for all of its output */
	size_t sizes[CAPTURE_STREAMS];          /* of what it wrote */
	int in_file[CAPTURE_STREAMS];           /* sent as a parcel */
	const char *data[CAPTURE_STREAMS];      /* else the bytes themselves */
};

/* Reads a reply, which has to stay where it is as long as the result is used.  0, or -EBADMSG. */
int runner_unpack(const void *data, size_t size, struct result *ret);

#endif
