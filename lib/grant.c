/* SPDX-License-Identifier: BSD-3-Clause */
/* grant.c - the CPUs of this node that a batch scheduler has given to the job.
 *
 * Where the scheduler uses cgroups or binds its processes this adds nothing.  Where it does not (Slurm's task/none, most
 * PBS and Grid Engine), the variables of the job are all that keeps a program from the CPUs of other jobs. */
#include "grant.h"
#include "hostlist.h"
#include "launch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A number that is all of a variable, or of a word; 0 when it is something else. */
static unsigned parse(const char *text)
{
	char *end;
	unsigned long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	n = strtoul(text, &end, 10);
	return *end || n > INT_MAX ? 0 : (unsigned)n;
}

static unsigned number(const char *name)
{
	return parse(getenv(name));
}

static int is_here(const char *host)
{
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof name - 1);
	return host && hostlist_same(host, name);
}

/* ---- Slurm ------------------------------------------------------------------------------------------- */

/* The element of "72(x2),36" at `index`. */
static unsigned slurm_count(const char *counts, unsigned long index)
{
	while (counts && *counts) {
		unsigned long n, times = 1;
		char *end;

		n = strtoul(counts, &end, 10);
		if (end == counts)
			return 0;
		if (strncmp(end, "(x", 2) == 0) {
			times = strtoul(end + 2, &end, 10);
			end += *end == ')';
		}
		if (index < times)
			return n > INT_MAX ? 0 : (unsigned)n;
		index -= times;
		if (*end && *end != ',')
			return 0;
		counts = end + (*end == ',');
	}
	return 0;
}

static unsigned slurm_job(void)
{
	char name[HOST_NAME_MAX + 1] = "";
	const char *nodes = getenv("SLURM_JOB_NODELIST");
	long index;

	gethostname(name, sizeof name - 1);
	index = nodes ? hostlist_find(nodes, name) : -1;
	return index < 0 ? 0 : slurm_count(getenv("SLURM_JOB_CPUS_PER_NODE"), (unsigned long)index);
}

/* SLURM_CPUS_ON_NODE is the step's, and so the right one for what srun started; below mpirun the step is that of mpirun's
 * daemon, which may have been given a single CPU, and counts only when nothing else does. */
static unsigned slurm(const char *root __attribute__((unused)))
{
	unsigned step = is_here(getenv("SLURMD_NODENAME")) ? number("SLURM_CPUS_ON_NODE") : 0, job;
	struct launch launch;

	launch_read(&launch);
	if (step && (!launch.under_mpi || strcmp(launch.launcher, "srun") == 0))
		return step;
	job = slurm_job();
	return job ? job : step;
}

/* ---- PBS, LSF, Grid Engine --------------------------------------------------------------------------- */

/* Of a file of lines "HOST [COUNT ...]": the sum of the counts of this host (no count: 1), 0 without such a file. */
static unsigned sum_of_file(const char *root, const char *path)
{
	char name[PATH_MAX], host[256], *line = NULL;
	unsigned sum = 0;
	size_t size = 0;
	FILE *f;

	if (!path || (size_t)snprintf(name, sizeof name, "%s%s", root, path) >= sizeof name)
		return 0;
	f = fopen(name, "re");
	while (f && getline(&line, &size, f) > 0) {
		unsigned count = 1;

		if (sscanf(line, "%255s %u", host, &count) >= 1 && is_here(host) && count <= INT_MAX - sum)
			sum += count;
	}
	free(line);
	if (f)
		fclose(f);
	return sum;
}

/* Torque has a line for each CPU in its file.  In that of PBS Pro and OpenPBS there is a line for each MPI process of a
 * chunk, and NCPUS is the CPUs of a chunk, or the threads of one of its processes: as many lines as CPUs is a chunk with a
 * process on each CPU; else each line stands for NCPUS, which is at least what was given. */
static unsigned pbs(const char *root)
{
	unsigned lines = sum_of_file(root, getenv("PBS_NODEFILE")), cpus = number("NCPUS");

	if (number("PBS_NUM_PPN"))
		return lines;
	return lines == cpus ? cpus : lines && cpus <= INT_MAX / lines ? lines * cpus : 0;
}

/* "HOST COUNT HOST COUNT". */
static unsigned lsf(const char *root)
{
	const char *at = getenv("LSB_MCPU_HOSTS");
	char host[256], count[16];
	int n;

	/* LSF binds these by itself, and a slot may be several CPUs. */
	if (getenv("LSB_AFFINITY_HOSTFILE"))
		return 0;
	for (; at && sscanf(at, "%255s %15s%n", host, count, &n) == 2; at += n)
		if (is_here(host))
			return parse(count);
	return at ? 0 : sum_of_file(root, getenv("LSB_DJOB_HOSTFILE"));
}

/* A job without a parallel environment has no file, and a slot on the host it runs on. */
static unsigned grid_engine(const char *root)
{
	if (getenv("PE_HOSTFILE"))
		return sum_of_file(root, getenv("PE_HOSTFILE"));
	return number("NHOSTS") == 1 && is_here(getenv("HOSTNAME")) ? number("NSLOTS") : 0;
}

/* ------------------------------------------------------------------------------------------------------ */

void grant_read(const char *root, struct grant *ret)
{
	static const struct {
		const char *mark, *name;
		unsigned (*read)(const char *root);
	} schedulers[] = {
		{ "SLURM_JOB_ID", "Slurm", slurm },
		{ "PBS_JOBID", "PBS", pbs },
		{ "LSB_JOBID", "LSF", lsf },
		{ "SGE_TASK_ID", "Grid Engine", grid_engine },
	};

	*ret = (struct grant){ .scheduler = "" };
	for (size_t i = 0; !ret->cpus && i < sizeof schedulers / sizeof *schedulers; i++)
		if (getenv(schedulers[i].mark)) {
			ret->cpus = schedulers[i].read(root);
			ret->scheduler = ret->cpus ? schedulers[i].name : "";
		}
}
