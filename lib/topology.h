/* SPDX-License-Identifier: BSD-3-Clause */
/* topology.h - which CPUs may be used, and where workers go on them.  Nothing above this file knows hwloc. */
#ifndef RP_LIB_TOPOLOGY_H
#define RP_LIB_TOPOLOGY_H

#include "error.h"
#include "place.h"

#define TOPOLOGY_WORKERS 65535                  /* the most that one machine can have */

struct topology;

/* source: NULL is this machine; else the path of an XML file (it ends in ".xml" or has a slash), or a synthetic description
 * such as "package:2 core:4 pu:2".
 * For this machine the allowed CPUs are the calling thread's affinity mask, less what hwloc finds disallowed and what cgroup
 * cpusets leave out; the quota is that of cgroups; v1 and v2, every level; the grant is that of the batch scheduler, see
 * grant.h.  For another machine they are all there are, no quota and no grant.
 * `root` is for tests: the affinity (Cpus_allowed_list of /proc/self/status, where there is such a file), the cgroups and
 * the scheduler's files are read from the tree recorded under it, whatever the machine.  NULL: no recorded tree.
 * -EINVAL with the reason for a malformed source; -ENODEV when no CPU is left. */
int topology_load(struct topology **ret, const char *source, const char *root, struct rp_error *err);
struct topology *topology_free(struct topology *topology);

/* This machine as it is now for the calling thread, or NULL and *err.  hwloc is asked once per program; affinity, cgroups
 * and scheduler each time.  It belongs to the context: never to be freed, and good as long as the process lives. */
struct topology *topology_here(struct rp_error *err);

int topology_cpus(const struct topology *topology);     /* allowed PUs, at least 1 */
int topology_usable(const struct topology *topology);   /* at most ceil(quota) and the grant of them */
int topology_cores(const struct topology *topology);    /* workers by default: of the allowed cores as many */
double topology_quota(const struct topology *topology); /* CPUs' worth of time that cgroups grant; 0: no limit */
unsigned topology_grant(const struct topology *topology, const char **ret_scheduler);   /* 0: limits nothing; never NULL */
const char *topology_host(const struct topology *topology);     /* its name, "" when the description has none */

/* Gives each of options->workers (0: as many as fit) a place, by its .cpus, .bind and .cpus_per_worker.
 *
 * .bind is an object, "core" (also for NULL), "pu", "l3", "numa", "package" or "none", or mpirun's word for one; with
 * ":spread" (the default: as far apart as possible) or ":compact" (side by side) behind it.  A worker gets all allowed
 * CPUs of its object.
 * .cpus_per_worker counts cores, for "pu" hardware threads; a worker that needs more than its object has gets several
 * neighbouring ones, which may be fewer CPUs than it asked for only when there are not as many.
 * Workers by default: one per allowed core for "core" and "none", per object for the others; with .cpus_per_worker as
 * many as have room for that; never more than ceil(quota) or the grant / .cpus_per_worker, never less than 1.
 * More workers than there is room for share CPUs evenly: no CPU serves two workers more than another; place.load
 * tells.
 * A machine on which hwloc finds no cores has one per hardware thread.
 *
 * *ret is one malloc'ed array, in order of rank, the caller's to free().  Returns the number of workers.
 * -EINVAL: an unknown bind object (named, with the known ones) or one that the machine does not have, a location that
 * does not parse or holds no allowed CPU, more than TOPOLOGY_WORKERS. */
int topology_plan(const struct topology *topology, const struct rp_pool_options *options, struct place **ret,
                  struct rp_error *err);

/* The place named by an hwloc location ("core:3"), see location.h. */
int topology_locate(const struct topology *topology, const char *location, struct place *ret, struct rp_error *err);

/* A worker of this machine at *place as rp_worker_info tells it: rank, place and host; the rest is 0. */
void topology_info(const struct place *place, int rank, struct rp_worker_info *ret);

#endif
