/* SPDX-License-Identifier: BSD-3-Clause */
/* cpulimit.h - the CPUs and the CPU time that control groups leave to this process. */
#ifndef RP_LIB_CPULIMIT_H
#define RP_LIB_CPULIMIT_H

#include <hwloc.h>

/* Narrows *cpus to the cpusets and *ret_quota (CPUs' worth of time; 0: no limit) to the CPU quotas of every level of this
 * process's control groups that can be seen, version 1, version 2 and both at once.  Files that are missing or unreadable,
 * and what they say without setting a limit ("max", -1, nothing), change nothing.
 * `root` is prefixed to every path.  0 or -ENOMEM. */
int cpulimit_read(const char *root, hwloc_bitmap_t cpus, double *ret_quota);

#endif
