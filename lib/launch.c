/* SPDX-License-Identifier: BSD-3-Clause */
/* launch.c - what started this process: an MPI launcher, a scheduler, or nobody.
 *
 * Each launcher tells its processes by variables of its own, and launchers are nested: a batch script that srun started
 * (which gives PMIX_RANK to a mere shell, too) calls mpirun.  So the ones that are started inside others come first, and
 * Slurm's variables, which everything in a job inherits, prove nothing by themselves. */
#include "launch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_IDS_END 0xfffffff0ul               /* from here on: batch scripts, salloc's shells and other non-steps */

static const char open_mpi[] = "mpirun of Open MPI", srun[] = "srun";

static int is_set(const char *name)
{
	return getenv(name) != NULL;
}

static int begins(const char *text, const char *with)
{
	return text && strncmp(text, with, strlen(with)) == 0;
}

/* The number in a variable; `none` when it holds something else or is not set. */
static long number(const char *name, long none)
{
	const char *text = getenv(name);
	char *end;
	long n;

	if (!text || *text < '0' || *text > '9')
		return none;
	n = strtol(text, &end, 10);
	return *end ? none : n;
}

static int small_number(const char *name, int none)
{
	long n = number(name, none);

	return n > INT_MAX ? none : (int)n;
}

static void read_open_mpi(struct launch *ret)
{
	ret->launcher = is_set("JSM_NAMESPACE_RANK") ? "jsrun" : open_mpi;
	ret->ranks = small_number("OMPI_COMM_WORLD_SIZE", 0);
	ret->rank = small_number("OMPI_COMM_WORLD_RANK", -1);
}

/* PMI-1 and PMI-2: what MPICH and its descendants are started with, and what schedulers offer them. */
static void read_pmi(struct launch *ret)
{
	int is_intel = is_set("I_MPI_MPIRUN") || is_set("I_MPI_HYDRA_TOPOLIB");

	ret->ranks = small_number("PMI_SIZE", 0);
	ret->rank = small_number("PMI_RANK", -1);
	if (is_set("MPI_LOCALNRANKS"))
		ret->launcher = is_intel ? "mpirun of Intel MPI" : "mpiexec of MPICH";
	else if (is_set("SLURM_STEP_ID"))
		ret->launcher = srun;
	else if (is_set("PALS_RANKID"))
		ret->launcher = "mpiexec of Cray PALS";
	else if (is_set("FLUX_TASK_RANK"))
		ret->launcher = "flux run";
}

/* PMIx itself tells the number of ranks to those who ask its server, and not in the environment. */
static void read_pmix(struct launch *ret)
{
	ret->rank = small_number("PMIX_RANK", -1);
	if (begins(getenv("PMIX_NAMESPACE"), "slurm.")) {
		ret->launcher = srun;
		ret->ranks = small_number("SLURM_STEP_NUM_TASKS", 0);
	} else if (is_set("JSM_NAMESPACE_RANK")) {
		ret->launcher = "jsrun";
		ret->ranks = small_number("JSM_NAMESPACE_SIZE", 0);
	} else if (is_set("FLUX_TASK_RANK")) {
		ret->launcher = "flux run";
		ret->ranks = small_number("FLUX_JOB_SIZE", 0);
	} else if (is_set("PRTE_LAUNCHED")) {
		ret->launcher = "prterun of PRRTE";
	}
}

static int read_step(void)
{
	long step = number("SLURM_STEP_ID", -1);

	if (!is_set("SLURM_JOB_ID") || step < 0 || (unsigned long)step >= STEP_IDS_END)
		return 0;
	return small_number("SLURM_STEP_NUM_TASKS", 0);
}

static int read_local_rank(void)
{
	static const char *const names[] = { "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PALS_LOCAL_RANKID",
		                             "SLURM_LOCALID" };
	int rank = -1;

	for (size_t i = 0; rank < 0 && i < sizeof names / sizeof *names; i++)
		rank = small_number(names[i], -1);
	return rank;
}

void launch_read(struct launch *ret)
{
	*ret = (struct launch){
		.under_mpi = 1, .rank = -1, .local_rank = read_local_rank(), .launcher = "the MPI launcher"
	};
	if (is_set("OMPI_COMM_WORLD_SIZE")) {
		read_open_mpi(ret);
	} else if (is_set("PMI_RANK") || is_set("PMI_FD")) {
		read_pmi(ret);
	} else if (is_set("PMIX_RANK")) {
		read_pmix(ret);
	} else {
		ret->under_mpi = 0;
		ret->step_tasks = read_step();
		ret->launcher = ret->step_tasks ? srun : "";
	}
}

/* Open MPI does not care. */
int launch_is_stale(const struct launch *launch, const char *mpi_version)
{
	long fd = number("PMI_FD", -1);
	int flags;

	if (!launch->under_mpi || !is_set("PMI_FD") || strstr(mpi_version, "Open MPI"))
		return 0;
	flags = fd >= 0 && fd <= INT_MAX ? fcntl((int)fd, F_GETFL) : -1;
	return flags < 0 || (flags & O_ACCMODE) == O_RDONLY;
}

/* The first words of what MPI says about itself, which may be a page: "Open MPI v4.1.4", "MPICH Version: 4.0.2". */
static void shorten(char *ret, size_t size, const char *version)
{
	size_t n = 0;

	for (const char *p = version; *p && *p != '\n' && *p != ',' && n + 2 < size; p++) {
		int blank = *p == ' ' || *p == '\t';

		if (!blank)
			ret[n++] = *p;
		else if (n && ret[n - 1] != ' ')
			ret[n++] = ' ';
	}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = 0;
}

static const char *right_mpirun(const char *version)
{
	if (strstr(version, "Open MPI"))
		return "the mpirun of Open MPI";
	if (strstr(version, "Intel"))
		return "the mpirun of Intel MPI";
	return strstr(version, "MPICH") ? "the mpiexec of MPICH" : "the mpirun that came with this MPI";
}

/* srun without MPI, or with a PMI that our MPI does not speak. */
static void explain_srun(const struct launch *launch, int mpi_size, const char *mpi, const char *version, char *text,
                         size_t size)
{
	char what[160];

	if (launch->step_tasks)
		snprintf(what, sizeof what, "srun started %d tasks without MPI (--mpi=none), each of which would be alone",
		         launch->step_tasks);
	else
		snprintf(what, sizeof what, "srun started %d ranks, but %s finds %d: the two do not speak the same PMI",
		         launch->ranks, mpi, mpi_size);
	snprintf(text, size, "%s; use srun --mpi=%s (srun --mpi=list shows what there is), or %s inside the allocation",
	         what, strstr(version, "MPICH") || strstr(version, "Intel") ? "pmi2" : "pmix", right_mpirun(version));
}

void launch_explain(const struct launch *launch, int mpi_size, const char *mpi_version, char *text, size_t size)
{
	const char *right = right_mpirun(mpi_version);
	char mpi[80];

	shorten(mpi, sizeof mpi, mpi_version);
	if (!*mpi)
		strcpy(mpi, "MPI");
	if (strcmp(launch->launcher, srun) == 0)
		explain_srun(launch, mpi_size, mpi, mpi_version, text, size);
	else if (strcmp(right + strlen("the "), launch->launcher) == 0)
		snprintf(text, size,
		         "%s started %d ranks, but %s finds %d: it is that of another installation, use the one that came "
		         "with the MPI that this program is linked with; or, if none started it, unset its %s variables",
		         launch->launcher, launch->ranks, mpi, mpi_size,
		         strstr(launch->launcher, "Open MPI") ? "OMPI_* and PMIX_*" : "PMI_*");
	else
		snprintf(text, size, "%s started %d ranks, but %s, which this program is linked with, finds %d: use %s",
		         launch->launcher, launch->ranks, mpi, mpi_size, right);
}
