/* SPDX-License-Identifier: BSD-3-Clause */
/* variables.c - what a child of this library finds in its environment.
 *
 * Workers and processes are no ranks: MPI in one of them, or in a program that it starts, would take a launcher's variables
 * for its own, and speak to the launcher in the name of the rank that is its ancestor. */
#include "variables.h"

#include "context.h"
#include "launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct environment {
	struct environment *previous;           /* an ancestor's: the program may have kept what getenv gave it */
	char texts[3][40];
	char *list[];
};

/* In these lists an entry that ends in * stands for all names that begin so.  The command has the same ones: it goes by what
 * its manager finds. */

/* What mpirun, srun and rankpool itself tell a rank: a program that a command starts is no rank of that job. */
static const char *const launchers[] = {
	"HYDI_*", "HYDRA_*", "JSM_*", "MPIR*", "MPI_LOCALNRANKS", "MPI_LOCALRANKID", "OMPI_*", "PALS_*", "PMI2_*", "PMIX_*",
	"PMI_*", "PRTE_*", "RANKPOOL_FRONT", "RANKPOOL_MANAGER_ONLY", "RANKPOOL_NODES", "RANKPOOL_RUN_*", "RANKPOOL_WORKERS",
	"SLURM_CPU_BIND*", "SLURM_DISTRIBUTION", "SLURM_GTIDS", "SLURM_HOSTFILE", "SLURM_LAUNCH_NODE_IPADDR",
	"SLURM_LOCALID", "SLURM_MPI_TYPE", "SLURM_NODEID", "SLURM_OVERLAP", "SLURM_PMI*", "SLURM_PROCID",
	"SLURM_SRUN_COMM_*", "SLURM_STEP*", "SLURM_TASK_PID", NULL
};

/* The user's word, which mpirun asks for and never sets. */
static const char *const permissions[] = { "OMPI_ALLOW_RUN_AS_ROOT*", "PRTE_ALLOW_RUN_AS_ROOT*", NULL };

/* Settings: the user's where no launcher is, which makes some of its own. */
static const char *const settings[] = {
	"HYDRA_*", "MPIR*", "OMPI_MCA_*", "PMIX_MCA_*", "PRTE_MCA_*", "SLURM_HOSTFILE", "SLURM_OVERLAP", NULL
};

static int is_in(const char *variable, const char *const *names)
{
	size_t length = strcspn(variable, "=");

	for (; *names; names++) {
		size_t named = strcspn(*names, "*");

		if (strncmp(variable, *names, named) == 0 && ((*names)[named] ? length >= named : length == named))
			return 1;
	}
	return 0;
}

/* The first letter decides for most: this is asked for each variable of each fork. */
static int is_launchers(const char *variable, int launched)
{
	if (!strchr("HJMOPRS", *variable) || !is_in(variable, launchers) || is_in(variable, permissions))
		return 0;
	return launched || !is_in(variable, settings);
}

static int is_launched(void)
{
	struct launch launch;

	launch_read(&launch);
	return launch.under_mpi || launch.step_tasks > 1;
}

/* Settings need not be looked at: they are a launcher's only beside other marks of it. */
int variables_to_hide(void)
{
	int found = 0;

	for (char **variable = environ; variable && *variable && !found; variable++)
		found = is_launchers(*variable, 0);
	return found;
}

static void put(char **list, size_t *count, char *text, size_t name)
{
	size_t i = 0;

	while (i < *count && strncmp(list[i], text, name + 1) != 0)
		i++;
	list[i] = text;
	*count += i == *count;
}

static void limit_threads(struct environment *fresh, size_t *n, unsigned cpus)
{
	static const char *const names[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS" };
	struct context *context = context_get();

	_Static_assert(sizeof names / sizeof *names == sizeof fresh->texts / sizeof *fresh->texts, "room for each");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *now = getenv(names[i]);

		if (now && (!context->thread_limit || strtoul(now, NULL, 10) != context->thread_limit))
			continue;
		snprintf(fresh->texts[i], sizeof fresh->texts[i], "%s=%u", names[i], cpus);
		put(fresh->list, n, fresh->texts[i], strlen(names[i]));
	}
	context->thread_limit = cpus;
}

/* Not by setenv: its lock may have been held by another thread of the parent, and fork does not set that one free. */
int variables_set(unsigned cpus)
{
	struct context *context = context_get();
	int launched = is_launched();
	struct environment *fresh;
	size_t n = 0;

	while (environ && environ[n])
		n++;
	fresh = malloc(sizeof *fresh + (n + sizeof fresh->texts / sizeof *fresh->texts + 1) * sizeof *fresh->list);
	if (!fresh)
		return -ENOMEM;
	n = 0;
	for (char **variable = environ; variable && *variable; variable++)
		if (!is_launchers(*variable, launched))
			fresh->list[n++] = *variable;
	if (cpus)
		limit_threads(fresh, &n, cpus);
	fresh->list[n] = NULL;
	fresh->previous = context->environment;
	context->environment = fresh;
	environ = fresh->list;
	return 0;
}
