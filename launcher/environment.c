/* SPDX-License-Identifier: BSD-3-Clause */
/* environment.c - what a command finds in its environment. */
#include "environment.h"
#include "buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum { RANKPOOL_SEQ, PARALLEL_SEQ, SEQS };

struct environment {
	char **variables;                       /* the first `owned` are ours, the rest are the caller's */
	size_t owned, count;
	char seq[SEQS][48];
};

/* A program started by a command is no rank of the job that rankpool itself may be part of.  An entry that ends in *
 * stands for all names that begin so. */
static const char *const strangers[] = {
	"OMPI_*", "PMIX_*", "PMI_*", "SLURM_STEP*", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_TASK_PID",
	"SLURM_GTIDS", "SLURM_SRUN_COMM_*", "SLURM_LAUNCH_NODE_IPADDR", "SLURM_CPU_BIND*", "SLURM_PMI*", "RANKPOOL_RANK",
	"RANKPOOL_SIZE", "RANKPOOL_LOCAL_RANK", "RANKPOOL_NODE", "RANKPOOL_CPUS", "RANKPOOL_SEQ", "RANKPOOL_FRONT",
	"RANKPOOL_MANAGER_ONLY", "RANKPOOL_NODES", "RANKPOOL_WORKERS", "PARALLEL_SEQ", "PARALLEL_JOBSLOT", "PARALLEL_PID",
	"PMI2_*", "PRTE_*", "PALS_*", "JSM_*", "HYDI_CONTROL_FD", "HYDRA_USER_PROVIDED_BINDING", "MPI_LOCALNRANKS",
	"MPI_LOCALRANKID",
};

static int is_stranger(const char *variable)
{
	size_t length = strcspn(variable, "=");

	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		size_t named = strcspn(strangers[i], "*");

		if (strncmp(variable, strangers[i], named) == 0 && (strangers[i][named] ? length >= named : length == named))
			return 1;
	}
	return 0;
}

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

struct environment *environment_new(const struct rp_worker_info *worker, unsigned workers, pid_t manager)
{
	struct environment *environment = resized(NULL, 1, sizeof *environment);

	*environment = (struct environment){ 0 };
	add_number(environment, "RANKPOOL_RANK", worker->rank);
	add_number(environment, "RANKPOOL_SIZE", workers);
	add_number(environment, "RANKPOOL_LOCAL_RANK", worker->local_rank);
	add_number(environment, "RANKPOOL_NODE", worker->node);
	add_own(environment, "RANKPOOL_CPUS", worker->cpus);
	add_number(environment, "PARALLEL_JOBSLOT", worker->rank + 1L);
	add_number(environment, "PARALLEL_PID", manager);
	for (int i = 0; i < SEQS; i++)
		add(environment, environment->seq[i]);
	for (char **variable = environ; *variable; variable++)
		if (!is_stranger(*variable))
			add(environment, *variable);
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
