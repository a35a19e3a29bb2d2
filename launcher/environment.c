/* SPDX-License-Identifier: BSD-3-Clause */
/* environment.c - what a command finds in its environment. */
#include "environment.h"
#include "allocation.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { RANKPOOL_SEQ, PARALLEL_SEQ, SEQS };

struct environment {
	char **variables;                       /* the first `owned` are ours, the rest are the brief's */
	size_t owned, count;
	char seq[SEQS][48];
};

/* ---- whose a variable is -------------------------------------------------------------------------------- */

/* In these lists an entry that ends in * stands for all names that begin so. */

/* What each worker says anew. */
static const char *const own[] = {
	"PARALLEL_JOBSLOT", "PARALLEL_PID", "PARALLEL_SEQ", "RANKPOOL_CPUS", "RANKPOOL_LOCAL_RANK", "RANKPOOL_NODE",
	"RANKPOOL_RANK", "RANKPOOL_SEQ", "RANKPOOL_SIZE", NULL
};

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

static int is_for_commands(const char *variable, int launched)
{
	if (is_in(variable, permissions) || (!launched && is_in(variable, settings)))
		return 1;
	return !is_in(variable, launchers);
}

const char **environment_for_commands(int keep, size_t *ret_count)
{
	int launched = allocation_is_rank();
	const char **variables;
	size_t count = 0;

	while (environ && environ[count])
		count++;
	variables = resized(NULL, count + 1, sizeof *variables);
	*ret_count = 0;
	for (size_t i = 0; i < count; i++)
		if (!is_in(environ[i], own) && (keep || is_for_commands(environ[i], launched)))
			variables[(*ret_count)++] = environ[i];
	variables[*ret_count] = NULL;
	return variables;
}

const char *environment_value(const char *const *variables, const char *name)
{
	size_t length = strlen(name);

	for (; *variables; variables++)
		if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
			return *variables + length + 1;
	return NULL;
}

/* ---- of one worker -------------------------------------------------------------------------------------- */

static void add(struct environment *environment, char *variable)
{
	environment->variables = resized(environment->variables, environment->count + 2, sizeof *environment->variables);
	environment->variables[environment->count++] = variable;
	environment->variables[environment->count] = NULL;
}

static void add_own(struct environment *environment, const char *name, const char *value)
{
	struct buffer text = { 0 };

	buffer_text(&text, name);
	buffer_byte(&text, '=');
	buffer_text(&text, value);
	buffer_byte(&text, 0);
	add(environment, text.data);
	environment->owned++;
}

static void add_number(struct environment *environment, const char *name, long number)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%ld", number);
	add_own(environment, name, digits);
}

/* What the library gave this worker to say how many threads are its own, where the user has not said it. */
static void add_thread_limits(struct environment *environment, const struct brief *brief)
{
	static const char *const names[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);

		if (value && !environment_value(brief->environment, names[i]))
			add_own(environment, names[i], value);
	}
}

struct environment *environment_new(const struct rp_worker_info *worker, const struct brief *brief)
{
	struct environment *environment = resized(NULL, 1, sizeof *environment);

	*environment = (struct environment){ 0 };
	add_number(environment, "RANKPOOL_RANK", worker->rank);
	add_number(environment, "RANKPOOL_SIZE", brief->workers);
	add_number(environment, "RANKPOOL_LOCAL_RANK", worker->local_rank);
	add_number(environment, "RANKPOOL_NODE", worker->node);
	add_own(environment, "RANKPOOL_CPUS", worker->cpus);
	add_number(environment, "PARALLEL_JOBSLOT", worker->rank + 1L);
	add_number(environment, "PARALLEL_PID", brief->manager);
	add_thread_limits(environment, brief);
	for (int i = 0; i < SEQS; i++)
		add(environment, environment->seq[i]);
	for (size_t i = 0; i < brief->variable_count; i++)
		add(environment, (char *)(uintptr_t)brief->environment[i]);
	return environment;
}

struct environment *environment_free(struct environment *environment)
{
	if (environment) {
		for (size_t i = 0; i < environment->owned; i++)
			free(environment->variables[i]);
		free(environment->variables);
		free(environment);
	}
	return NULL;
}

char *const *environment_for(struct environment *environment, unsigned long long seq)
{
	snprintf(environment->seq[RANKPOOL_SEQ], sizeof environment->seq[0], "RANKPOOL_SEQ=%llu", seq);
	snprintf(environment->seq[PARALLEL_SEQ], sizeof environment->seq[0], "PARALLEL_SEQ=%llu", seq);
	return environment->variables;
}
