/* SPDX-License-Identifier: BSD-3-Clause */
/* cpulimit.c - the CPUs and the CPU time that control groups leave to this process: the tightest level decides. */
#include "cpulimit.h"

#include "cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct limits {
	hwloc_bitmap_t cpus;
	double quota;
	int failed;                             /* negative errno */
};

static void narrow_quota(struct limits *limits, long long quota, long long period)
{
	double cpus = (double)quota / (double)period;

	if (quota > 0 && period > 0 && (limits->quota == 0 || cpus < limits->quota))
		limits->quota = cpus;
}

static void narrow_cpus(struct limits *limits, const char *directory, const char *effective, const char *plain)
{
	char *line = cgroup_read(directory, effective);
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	if (!set)
		limits->failed = -ENOMEM;
	if (!line || !*line) {
		free(line);
		line = cgroup_read(directory, plain);
	}
	if (set && line && *line && hwloc_bitmap_list_sscanf(set, line) == 0 && !hwloc_bitmap_iszero(set))
		hwloc_bitmap_and(limits->cpus, limits->cpus, set);
	hwloc_bitmap_free(set);
	free(line);
}

static void read_v1_cpu(struct limits *limits, const char *directory)
{
	char *quota = cgroup_read(directory, "cpu.cfs_quota_us");
	char *period = cgroup_read(directory, "cpu.cfs_period_us");

	if (quota && period)
		narrow_quota(limits, atoll(quota), atoll(period));
	free(quota);
	free(period);
}

static void read_v2(struct limits *limits, const char *directory)
{
	char *max = cgroup_read(directory, "cpu.max");
	long long quota, period;

	if (max && sscanf(max, "%lld %lld", &quota, &period) == 2)
		narrow_quota(limits, quota, period);
	free(max);
	narrow_cpus(limits, directory, "cpuset.cpus.effective", "cpuset.cpus");
}

static void visit_cpu(const char *directory, int version, void *user)
{
	if (version == 1)
		read_v1_cpu(user, directory);
	else
		read_v2(user, directory);
}

static void visit_cpuset(const char *directory, int version, void *user)
{
	if (version == 1)
		narrow_cpus(user, directory, "cpuset.effective_cpus", "cpuset.cpus");
}

int cpulimit_read(const char *root, hwloc_bitmap_t cpus, double *ret_quota)
{
	struct limits limits = { .cpus = cpus };

	cgroup_walk(root, "cpu", visit_cpu, &limits);
	cgroup_walk(root, "cpuset", visit_cpuset, &limits);
	*ret_quota = limits.quota;
	return limits.failed;
}
