/* SPDX-License-Identifier: BSD-3-Clause */
/* station.h - this rank's place in an MPI job: the thread that owns MPI, and what it does there. */
#ifndef RP_LIB_STATION_H
#define RP_LIB_STATION_H

#include "arena.h"

struct hub;
struct hub_listener;
struct launch;
struct station;
struct supervisor;

enum station_role { STATION_MANAGER, STATION_SERVED };

struct station_duty {
	const struct launch *launch;
	const struct hub_listener *listener;    /* of a manager */
	struct supervisor **supervisor; /* this node's; NULL in it: none was forked, as the rank was thought a lender */
	struct arena *arena;
};

/* Joins the job: MPI_Init in a thread of its own, which all of MPI belongs to from now on. On rank 0 returns as soon
 * as all have met, STATION_MANAGER. On every other rank returns when the manager has ended: STATION_SERVED,
 * *ret_status is what the rank should exit with.
 * -EPROTO: the launcher and MPI do not agree, or ranks run different versions. */
int station_open(struct station **ret, const struct station_duty *duty, int *ret_status, struct rp_error *err);

/* The caller's, to be freed after the station was closed, when nobody can use it any more. */
struct hub *station_hub(struct station *station);

/* The manager's end: all other ranks leave, the hub is closed. */
struct station *station_close(struct station *station);

#endif
