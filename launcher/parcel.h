/* SPDX-License-Identifier: BSD-3-Clause */
/* parcel.h - open files on their way from a worker to the manager: the output of a command, too much to be copied. */
#ifndef RP_LAUNCHER_PARCEL_H
#define RP_LAUNCHER_PARCEL_H

#include "capture.h"

struct parcel {
	unsigned long long seq;                 /* of the job */
	int fd[CAPTURE_STREAMS];                /* -1: that stream was little and came with the result */
};

/* The two ends of the way, made before the workers so that each of them has the sending one.  0, or a negative errno. */
int parcel_way(int ret_ends[2]);

/* Waits while the way is full.  0, or a negative errno. */
int parcel_send(int end, const struct parcel *parcel);

/* Parcels that have arrived and not yet been asked for. */
struct parcels {
	int end;                                /* -1: none can come */
	struct parcel *items;
	size_t count;
};

/* Takes in what has arrived; never blocks. */
void parcels_take(struct parcels *parcels);

/* The parcel of one job, which was sent before its result.  0 when there is none. */
int parcels_find(struct parcels *parcels, unsigned long long seq, struct parcel *ret);
void parcels_free(struct parcels *parcels);

#endif
