/* SPDX-License-Identifier: BSD-3-Clause */
/* topology.h - which CPUs may be used, and where workers go on them.  Nothing above this file knows hwloc. */
#ifndef RP_LIB_TOPOLOGY_H
#define RP_LIB_TOPOLOGY_H

#include "error.h"

#define PLACE_BITS 8192                         /* the kernel's largest NR_CPUS */
#define PLACE_WORDS (PLACE_BITS / (8 * sizeof(unsigned long)))

/* Where one worker runs.  Plain bits and no pointers: made before a fork, used after it, kept in shared memory. */
struct place {
	uint32_t cpu_count;                     /* CPUs that are the worker's to use: what OMP_NUM_THREADS is set to */
	uint32_t bound;                         /* 0: "none", runs on any allowed CPU */
	unsigned long cpus[PLACE_WORDS];        /* OS indexes of PUs */
	unsigned long nodes[PLACE_WORDS];       /* OS indexes of NUMA nodes near them */
	char list[192];                         /* cpus as hwloc lists: "0-3,8" */
};

struct topology;

/* source: NULL is this machine; else the path of an XML file, or a synthetic description such as "package:2 core:4 pu:2".
 * For this machine the allowed CPUs are affinity mask, cgroup cpuset and quota (v1 and v2, every level), else all there are.
 * `root` is prefixed to the paths under /proc and /sys (NULL: ""), for tests with a recorded tree.
 * -EINVAL with the reason for a malformed source. */
int topology_load(struct topology **ret, const char *source, const char *root, struct rp_error *err);
struct topology *topology_free(struct topology *topology);

int topology_cpus(const struct topology *topology);     /* allowed PUs, at least 1 */
int topology_cores(const struct topology *topology);    /* workers by default: allowed cores, at most ceil(quota), at least 1 */
double topology_quota(const struct topology *topology); /* CPUs' worth of time that cgroups grant; 0: no limit */

/* Gives each of options->workers (0: as many as fit) a place, by its .cpus, .bind and .cpus_per_worker.
 * *ret is one malloc'ed array, the caller's to free().  Returns the number of workers.
 * -EINVAL: an unknown bind object (named, with the known ones), a location that does not parse or holds no allowed CPU. */
int topology_plan(const struct topology *topology, const struct rp_pool_options *options, struct place **ret,
                  struct rp_error *err);

/* The place named by an hwloc location ("core:3"). */
int topology_locate(const struct topology *topology, const char *location, struct place *ret, struct rp_error *err);

/* Binds the calling thread: CPUs hard, memory preferred near them (a refusal of the latter is not an error). */
int place_bind(const struct place *place);

#endif
