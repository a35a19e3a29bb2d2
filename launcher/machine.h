/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.h - a machine as hwloc sees it, and where rankpool's workers go on it. */
#ifndef RP_LAUNCHER_MACHINE_H
#define RP_LAUNCHER_MACHINE_H

#include <hwloc.h>
#include "rankpool.h"

/* Workers of consecutive ranks that have the same CPUs. */
struct team {
	int first, count;
	hwloc_bitmap_t cpus;
	const char *list;                       /* cpus in words */
	int cut;                                /* which these do not tell whole: there are more */
};

struct machine {
	hwloc_topology_t hwloc;
	hwloc_bitmap_t allowed;                 /* CPUs that may be used */
	hwloc_bitmap_t usable;                  /* those of them that the workers were given */
	hwloc_bitmap_t forbidden;               /* CPUs that the machine has besides */
	double quota;                           /* CPUs' worth of time; 0: no limit */
	int grant;                              /* CPUs that a scheduler has given; 0: no limit */
	const char *scheduler;
	int workers;
	struct rp_worker_info *infos;           /* by rank */
	struct team *teams;
	int team_count;
};

/* Plans the workers on this machine (topology NULL) or on one that is elsewhere.  0, or negative and *err; to be given to
 * machine_free in either case. */
int machine_load(struct machine *ret, const struct rp_pool_options *options, const char *topology, struct rp_error *err);
void machine_free(struct machine *machine);

/* Cores, or hardware threads where hwloc knows no cores. */
hwloc_obj_type_t machine_core_type(const struct machine *machine);

/* How many objects of the type hold CPUs of `cpus`; their logical indexes go into *ret unless that is NULL. */
int machine_objects(const struct machine *machine, hwloc_obj_type_t type, hwloc_const_bitmap_t cpus, hwloc_bitmap_t ret);

#endif
