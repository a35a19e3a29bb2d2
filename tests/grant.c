/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/grant.c - how many CPUs the variables of a job grant, and when they say nothing. */
#include "grant.h"
#include "rankpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs.h"
#include "tree.h"

/* In job_set's words, blanks in a value being ~. */
static void expect(const char *variables, unsigned cpus, const char *scheduler)
{
	struct grant grant;

	job_forget();
	job_set(variables);
	grant_read(tree, &grant);
	job_forget();
	if (grant.cpus != cpus || strcmp(grant.scheduler, scheduler) != 0)
		fail_msg("%s: expected %u of \"%s\", is %u of \"%s\"", variables, cpus, scheduler, grant.cpus,
		         grant.scheduler);
}

static void no_job(void **state RP_UNUSED)
{
	expect("", 0, "");
	expect("SLURM_CPUS_ON_NODE=4 SLURMD_NODENAME=@ NCPUS=3 NSLOTS=2 NHOSTS=1 HOSTNAME=@ LSB_MCPU_HOSTS=@~2", 0, "");
}

static void slurm_step(void **state RP_UNUSED)
{
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=4", 4, "Slurm");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=4 SLURM_JOB_NODELIST=@ SLURM_JOB_CPUS_PER_NODE=8", 4,
	       "Slurm");
	/* srun, with an MPI. */
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=4 SLURM_JOB_NODELIST=@ SLURM_JOB_CPUS_PER_NODE=8 "
	       "PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0", 4, "Slurm");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=many", 0, "");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=-4", 0, "");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@", 0, "");
}

/* mpirun's daemons run in a step of one task; the ranks get all of the job. */
static void slurm_below_mpirun(void **state RP_UNUSED)
{
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=1 SLURM_JOB_NODELIST=@ SLURM_JOB_CPUS_PER_NODE=8 "
	       "OMPI_COMM_WORLD_SIZE=2", 8, "Slurm");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=@ SLURM_CPUS_ON_NODE=3 OMPI_COMM_WORLD_SIZE=2", 3, "Slurm");
	/* Hydra hands on the variables of the node that it was started on. */
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=elsewhere1 SLURM_CPUS_ON_NODE=72 SLURM_JOB_NODELIST=elsewhere[1-3],@ "
	       "SLURM_JOB_CPUS_PER_NODE=72(x2),36,6 PMI_RANK=3 PMI_SIZE=4 MPI_LOCALNRANKS=1", 6, "Slurm");
}

static void slurm_elsewhere(void **state RP_UNUSED)
{
	/* A shell of salloc on the login node. */
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=elsewhere[1-3] SLURM_JOB_CPUS_PER_NODE=4(x3)", 0, "");
	expect("SLURM_JOB_ID=7 SLURMD_NODENAME=elsewhere1 SLURM_CPUS_ON_NODE=4", 0, "");
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=elsewhere[1-3],@ SLURM_JOB_CPUS_PER_NODE=4(x3)", 0, "");
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=elsewhere[1-3],@ SLURM_JOB_CPUS_PER_NODE=4(x3),5", 5, "Slurm");
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=elsewhere[1-3],@ SLURM_JOB_CPUS_PER_NODE=4(x4", 4, "Slurm");
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=@ SLURM_JOB_CPUS_PER_NODE=x", 0, "");
	expect("SLURM_JOB_ID=7 SLURM_JOB_NODELIST=@ SLURM_JOB_CPUS_PER_NODE=99999999999999999999", 0, "");
}

/* Lines for this host and for another one. */
static void write_hosts(const char *path, const char *rest, int here)
{
	char text[4096] = "", host[256] = "";
	size_t used = (size_t)snprintf(text, sizeof text, "elsewhere1%s\nelsewhere1%s\n", rest, rest);

	gethostname(host, sizeof host - 1);
	for (int i = 0; i < here; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s\n", host, rest);
	tree_write(path, text);
}

static void pbs(void **state RP_UNUSED)
{
	write_hosts("/nodes", "", 8);
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes PBS_NUM_PPN=8", 8, "PBS");
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes NCPUS=8", 8, "PBS");
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes", 0, "");
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nothere PBS_NUM_PPN=8", 0, "");
	expect("PBS_NODEFILE=/nodes PBS_NUM_PPN=8", 0, "");
	write_hosts("/nodes", "", 1);
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes NCPUS=8", 8, "PBS");
	write_hosts("/nodes", "", 4);
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes NCPUS=2", 8, "PBS");
	write_hosts("/nodes", "", 0);
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes NCPUS=8", 0, "");
	expect("PBS_JOBID=1.server PBS_NODEFILE=/nodes PBS_NUM_PPN=8", 0, "");
}

static void lsf(void **state RP_UNUSED)
{
	expect("LSB_JOBID=9 LSB_MCPU_HOSTS=elsewhere~4~@~6 LSB_DJOB_NUMPROC=10", 6, "LSF");
	expect("LSB_JOBID=9 LSB_MCPU_HOSTS=elsewhere~4", 0, "");
	expect("LSB_JOBID=9 LSB_MCPU_HOSTS=@", 0, "");
	expect("LSB_JOBID=9 LSB_MCPU_HOSTS=@~2 LSB_AFFINITY_HOSTFILE=/affinity", 0, "");
	/* How many on all hosts is not how many here. */
	expect("LSB_JOBID=9 LSB_DJOB_NUMPROC=10", 0, "");
	write_hosts("/hosts", "", 3);
	expect("LSB_JOBID=9 LSB_DJOB_NUMPROC=5 LSB_DJOB_HOSTFILE=/hosts", 3, "LSF");
}

static void grid_engine(void **state RP_UNUSED)
{
	write_hosts("/pe", " 3 all.q@host UNDEFINED", 2);
	expect("SGE_TASK_ID=undefined JOB_ID=5 NSLOTS=12 PE_HOSTFILE=/pe", 6, "Grid Engine");
	write_hosts("/pe", " 3 all.q@host UNDEFINED", 0);
	expect("SGE_TASK_ID=undefined JOB_ID=5 NSLOTS=12 PE_HOSTFILE=/pe", 0, "");
	expect("SGE_TASK_ID=undefined JOB_ID=5 NSLOTS=1 NHOSTS=1 HOSTNAME=@", 1, "Grid Engine");
	expect("SGE_TASK_ID=undefined JOB_ID=5 NSLOTS=1 NHOSTS=1 HOSTNAME=elsewhere", 0, "");
	expect("SGE_TASK_ID=undefined JOB_ID=5 NSLOTS=4 NHOSTS=2 HOSTNAME=@", 0, "");
	expect("JOB_ID=5 NSLOTS=1 NHOSTS=1 HOSTNAME=@", 0, "");
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, tree_new, tree_free)
	const struct CMUnitTest tests[] = {
		test(no_job), test(slurm_step), test(slurm_below_mpirun), test(slurm_elsewhere),
		test(pbs),    test(lsf),        test(grid_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
