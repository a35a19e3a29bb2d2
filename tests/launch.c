/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/launch.c - what started this process, told by the variables that launchers set; undoing their binding. */
#include "launch.h"
#include "rankpool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "jobs.h"

#define SALLOC "SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_TASKS_PER_NODE=8 SLURM_JOB_CPUS_PER_NODE=8 SLURM_JOB_NODELIST=n1 "
#define BATCH SALLOC "SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURMD_NODENAME=n1 SLURM_CPUS_ON_NODE=8 "
#define STEP BATCH "SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_STEP_NUM_TASKS=4 SLURM_STEP_NODELIST=n1 "
#define OPEN_MPI "OMPI_COMM_WORLD_SIZE=3 OMPI_COMM_WORLD_RANK=2 OMPI_MCA_orte_launch=1 PMIX_RANK=2 PMIX_NAMESPACE=5609 "
#define HYDRA "PMI_SIZE=5 PMI_RANK=4 PMI_FD=6 MPI_LOCALNRANKS=5 MPI_LOCALRANKID=4 HYDI_CONTROL_FD=7 "

static struct launch read_launch(const char *variables)
{
	struct launch launch;

	job_forget();
	job_set(variables);
	launch_read(&launch);
	job_forget();
	return launch;
}

static void expect(const char *variables, const char *launcher, int ranks, int rank)
{
	struct launch l = read_launch(variables);

	if (!l.under_mpi || l.ranks != ranks || l.rank != rank || strcmp(l.launcher, launcher) != 0 || l.step_tasks)
		fail_msg("%s\n  expected \"%s\" %d of %d, is %s \"%s\" %d of %d, step of %d", variables, launcher, rank,
		         ranks, l.under_mpi ? "MPI" : "no MPI", l.launcher, l.rank, l.ranks, l.step_tasks);
}

static void expect_none(const char *variables, const char *launcher, int step_tasks)
{
	struct launch l = read_launch(variables);

	if (l.under_mpi || l.ranks || l.rank != -1 || strcmp(l.launcher, launcher) != 0 || l.step_tasks != step_tasks)
		fail_msg("%s\n  expected no MPI, \"%s\", step of %d, is %s \"%s\" %d of %d, step of %d", variables, launcher,
		         step_tasks, l.under_mpi ? "MPI" : "no MPI", l.launcher, l.rank, l.ranks, l.step_tasks);
}

static void launchers(void **state RP_UNUSED)
{
	expect(OPEN_MPI, "mpirun of Open MPI", 3, 2);
	expect("OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0 PRTE_LAUNCHED=1 PMIX_RANK=0 PMIX_NAMESPACE=prterun-n1-9@1",
	       "mpirun of Open MPI", 1, 0);
	expect(HYDRA, "mpiexec of MPICH", 5, 4);
	expect(HYDRA "I_MPI_MPIRUN=mpirun I_MPI_HYDRA_TOPOLIB=hwloc", "mpirun of Intel MPI", 5, 4);
	expect("PMIX_RANK=1 PMIX_NAMESPACE=prterun-n1-9@1 PRTE_LAUNCHED=1", "prterun of PRRTE", 0, 1);
	expect("PMI_SIZE=2 PMI_RANK=1 PMI_LOCAL_RANK=1 PALS_RANKID=1 PALS_APID=x", "mpiexec of Cray PALS", 2, 1);
	expect("PMI_SIZE=2 PMI_RANK=1 PMI_FD=5 FLUX_TASK_RANK=1 FLUX_JOB_SIZE=2", "flux run", 2, 1);
	expect("PMIX_RANK=1 FLUX_TASK_RANK=1 FLUX_JOB_SIZE=2", "flux run", 2, 1);
	expect("OMPI_COMM_WORLD_SIZE=6 OMPI_COMM_WORLD_RANK=5 JSM_NAMESPACE_RANK=5 JSM_NAMESPACE_SIZE=6", "jsrun", 6, 5);
	expect("PMIX_RANK=5 JSM_NAMESPACE_RANK=5 JSM_NAMESPACE_SIZE=6", "jsrun", 6, 5);
	expect("PMI_FD=5", "the MPI launcher", 0, -1);
	expect("PMI_RANK=", "the MPI launcher", 0, -1);
	expect("OMPI_COMM_WORLD_SIZE=3x OMPI_COMM_WORLD_RANK=99999999999", "mpirun of Open MPI", 0, -1);
}

static void srun_with_mpi(void **state RP_UNUSED)
{
	expect(STEP "PMIX_RANK=3 PMIX_NAMESPACE=slurm.pmix.7.0", "srun", 4, 3);
	expect(STEP "PMI_RANK=3 PMI_SIZE=4 PMI_FD=9 PMI_JOBID=7.0 PMI2_SUN_PATH=/x", "srun", 4, 3);
	expect(STEP "PMI_RANK=3 PMI_SIZE=4 PALS_RANKID=3", "srun", 4, 3);
}

/* mpirun in a job, and in a shell that srun made a rank of one. */
static void launchers_inside_others(void **state RP_UNUSED)
{
	expect(BATCH OPEN_MPI, "mpirun of Open MPI", 3, 2);
	expect(STEP OPEN_MPI, "mpirun of Open MPI", 3, 2);
	expect(STEP "PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0 " HYDRA, "mpiexec of MPICH", 5, 4);
	expect(STEP "PMI_JOBID=7.0 PMI2_SUN_PATH=/x " OPEN_MPI, "mpirun of Open MPI", 3, 2);
}

static void what_is_not_mpi(void **state RP_UNUSED)
{
	expect_none("", "", 0);
	expect_none("OMPI_MCA_btl=self OMPI_ALLOW_RUN_AS_ROOT=1 I_MPI_ROOT=/x", "", 0);
	expect_none(SALLOC, "", 0);
	expect_none(BATCH, "", 0);
	/* The shell of an salloc that starts it as a step of the job. */
	expect_none(BATCH "SLURM_STEP_ID=4294967290 SLURM_STEP_NUM_TASKS=4", "", 0);
	expect_none("SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4", "", 0);
	expect_none(BATCH "SLURM_STEP_ID=TBD SLURM_STEP_NUM_TASKS=4", "", 0);
	expect_none(STEP, "srun", 4);
}

static void expect_text(const char *variables, const char *version, const char *expected)
{
	struct launch launch = read_launch(variables);
	char text[sizeof((struct rp_error *)0)->text];

	launch_explain(&launch, 1, version, text, sizeof text);
	assert_string_equal(text, expected);
}

static void explanations(void **state RP_UNUSED)
{
	expect_text(HYDRA, "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022",
	            "mpiexec of MPICH started 5 ranks, but Open MPI v4.1.4, which this program is linked with, finds 1: use "
	            "the mpirun of Open MPI");
	expect_text(OPEN_MPI, "MPICH Version:      4.0.2\nMPICH Release date: Thu Apr  7 12:34:45 CDT 2022\n",
	            "mpirun of Open MPI started 3 ranks, but MPICH Version: 4.0.2, which this program is linked with, finds "
	            "1: use the mpiexec of MPICH");
	expect_text(OPEN_MPI, "Intel(R) MPI Library 2021.10 for Linux* OS\n",
	            "mpirun of Open MPI started 3 ranks, but Intel(R) MPI Library 2021.10 for Linux* OS, which this program "
	            "is linked with, finds 1: use the mpirun of Intel MPI");
	expect_text(OPEN_MPI, "Open MPI v5.0.1",
	            "mpirun of Open MPI started 3 ranks, but Open MPI v5.0.1 finds 1: it is that of another installation, "
	            "use the one that came with the MPI that this program is linked with; or, if none started it, unset "
	            "its OMPI_* and PMIX_* variables");
	expect_text(STEP "PMI_RANK=3 PMI_SIZE=4", "Open MPI v4.1.4, package",
	            "srun started 4 ranks, but Open MPI v4.1.4 finds 1: the two do not speak the same PMI; use srun "
	            "--mpi=pmix (srun --mpi=list shows what there is), or the mpirun of Open MPI inside the allocation");
	expect_text(STEP "PMIX_RANK=3 PMIX_NAMESPACE=slurm.pmix.7.0", "MPICH Version:\t4.0.2\n",
	            "srun started 4 ranks, but MPICH Version: 4.0.2 finds 1: the two do not speak the same PMI; use srun "
	            "--mpi=pmi2 (srun --mpi=list shows what there is), or the mpiexec of MPICH inside the allocation");
	expect_text(STEP, "",
	            "srun started 4 tasks without MPI (--mpi=none), each of which would be alone; use srun --mpi=pmix (srun "
	            "--mpi=list shows what there is), or the mpirun that came with this MPI inside the allocation");
}

static int is_stale(const char *variables, const char *version)
{
	struct launch launch;
	int r;

	job_forget();
	job_set(variables);
	launch_read(&launch);
	r = launch_is_stale(&launch, version);
	job_forget();
	return r;
}

/* MPICH is at the other end of a descriptor, or ends the program. */
static void stale_variables(void **state RP_UNUSED)
{
	char variables[64];
	int null = open("/dev/null", O_RDWR), readable = open("/dev/null", O_RDONLY);

	assert_true(null >= 0 && readable >= 0);
	snprintf(variables, sizeof variables, "PMI_SIZE=2 PMI_RANK=1 PMI_FD=%d", null);
	assert_false(is_stale(variables, "MPICH Version: 4.0.2"));
	snprintf(variables, sizeof variables, "PMI_FD=%d", readable);
	assert_true(is_stale(variables, "MPICH Version: 4.0.2"));
	close(null);
	close(readable);
	snprintf(variables, sizeof variables, "PMI_SIZE=2 PMI_RANK=1 PMI_FD=%d", null);
	assert_true(is_stale(variables, "MPICH Version: 4.0.2"));
	assert_false(is_stale(variables, "Open MPI v4.1.4"));
	assert_true(is_stale("PMI_FD=abc", "MPICH Version: 4.0.2"));
	assert_true(is_stale("PMI_FD=99999999999999999999", "MPICH Version: 4.0.2"));
	assert_false(is_stale("PMI_SIZE=2 PMI_RANK=1", "MPICH Version: 4.0.2"));
	assert_false(is_stale("", "MPICH Version: 4.0.2"));
}

/* Whatever the version says, it is cut and ends. */
static void long_versions(void **state RP_UNUSED)
{
	struct launch launch = read_launch(HYDRA);
	char version[5000], text[120];

	memset(version, 'x', sizeof version - 1);
	version[sizeof version - 1] = 0;
	launch_explain(&launch, 1, version, text, sizeof text);
	assert_int_equal(strlen(text), sizeof text - 1);
	launch_explain(&launch, 1, " \t ", text, sizeof text);
	assert_non_null(strstr(text, "but MPI, which"));
}

/* ---- widening ---------------------------------------------------------------------------------------- */

static cpu_set_t all;                           /* what the test may use */
static int first, second;                       /* two CPUs of it */

static cpu_set_t only(int cpu)
{
	cpu_set_t ret;

	CPU_ZERO(&ret);
	CPU_SET(cpu, &ret);
	return ret;
}

static cpu_set_t current(void)
{
	cpu_set_t ret;

	CPU_ZERO(&ret);
	sched_getaffinity(0, sizeof ret, &ret);
	return ret;
}

/* In a grandchild whose parent has the name of a launcher and the CPUs that its launcher would have. */
static void under(const char *launcher, const cpu_set_t *daemon, int (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		pid_t rank;

		prctl(PR_SET_NAME, launcher);
		if (sched_setaffinity(0, sizeof *daemon, daemon) < 0)
			_exit(100);
		rank = fork();
		if (rank == 0)
			_exit(body());
		_exit(waitpid(rank, &status, 0) == rank && WIFEXITED(status) ? WEXITSTATUS(status) : 101);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Binds to one CPU as a launcher would, widens, and compares. */
static int widens_to(const char *variables, int bound, const cpu_set_t *expected, int code)
{
	cpu_set_t mask = only(bound), now;
	int r;

	job_set(variables);
	if (sched_setaffinity(0, sizeof mask, &mask) < 0)
		return 1;
	r = launch_widen();
	now = current();
	if (r != code)
		return 2;
	return CPU_EQUAL(&now, expected) ? 0 : 3;
}

static int widen_all(void)
{
	return widens_to(OPEN_MPI "OMPI_MCA_orte_bound_at_launch=1", first, &all, 0);
}

static int widen_hydra(void)
{
	return widens_to(HYDRA "HYDRA_USER_PROVIDED_BINDING=1", second, &all, 0);
}

static int widen_not_bound(void)
{
	cpu_set_t one = only(first);

	return widens_to(OPEN_MPI, first, &one, 0) ? 1 : widens_to(HYDRA, first, &one, 0);
}

static int widen_to_one(void)
{
	cpu_set_t one = only(first);

	return widens_to(OPEN_MPI "OMPI_MCA_orte_bound_at_launch=1", first, &one, 0);
}

/* Not within what the daemon may use: somebody gave it to us on purpose. */
static int widen_beside(void)
{
	cpu_set_t other = only(second);

	return widens_to(OPEN_MPI "OMPI_MCA_orte_bound_at_launch=1", second, &other, 0);
}

static int widen_stranger(void)
{
	cpu_set_t one = only(first);

	return widens_to(OPEN_MPI "OMPI_MCA_orte_bound_at_launch=1", first, &one, -ESRCH);
}

static int widen_without_mpi(void)
{
	cpu_set_t one = only(first);

	return widens_to(BATCH, first, &one, -ESRCH);
}

static void to_what_the_daemon_has(void **state RP_UNUSED)
{
	cpu_set_t one = only(first);

	if (first == second) {
		print_message("# one CPU cannot be widened\n");
		skip();
	}
	under("mpirun", &all, widen_all);
	under("hydra_pmi_proxy", &all, widen_hydra);
	under("mpirun", &all, widen_not_bound);
	under("orted", &one, widen_to_one);
	under("prted", &one, widen_beside);
	/* The parent that one gets when the launcher has died. */
	under("init", &all, widen_stranger);
	under("mpirun", &all, widen_without_mpi);
}

static int widen_step(const char *type, const char *list, const cpu_set_t *expected, int code)
{
	setenv("SLURM_CPU_BIND_TYPE", type, 1);
	setenv("SLURM_CPU_BIND_LIST", list, 1);
	return widens_to(STEP "PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0", first, expected, code);
}

/* What two tasks have as Slurm writes it; others may use the rest of the node. */
static int widen_steps(void)
{
	cpu_set_t one = only(first), both = one;
	char masks[64], others[64];
	int r;

	CPU_SET(second, &both);
	snprintf(masks, sizeof masks, "0x%016llX,0x%llx", 1ull << first, 1ull << second);
	snprintf(others, sizeof others, "0x%016llX,0x%llx", 1ull << second, 1ull << second);
	r = widen_step("none", "", &one, 0);
	r = r ? r : widen_step("mask_cpu:", others, &one, 0);
	r = r ? r : widen_step("mask_cpu:", "0x1*2", &one, -EINVAL);
	r = r ? r : widen_step("mask_cpu:", "0x", &one, -EINVAL);
	r = r ? r : widen_step("map_cpu:", masks, &one, 0);
	return r ? r : widen_step("mask_cpu:", masks, &both, 0);
}

static void to_what_the_step_has(void **state RP_UNUSED)
{
	if (first == second || second > 63) {
		print_message("# one CPU cannot be widened\n");
		skip();
	}
	under("slurmstepd", &all, widen_steps);
}

struct threads {
	pthread_barrier_t before, after;
	cpu_set_t masks[2];
};

static void *be_bound(void *arg)
{
	struct threads *t = arg;

	pthread_barrier_wait(&t->before);
	pthread_barrier_wait(&t->after);
	t->masks[0] = current();
	return NULL;
}

static void *bind_oneself(void *arg)
{
	struct threads *t = arg;
	cpu_set_t mine = only(second);

	sched_setaffinity(0, sizeof mine, &mine);
	pthread_barrier_wait(&t->before);
	pthread_barrier_wait(&t->after);
	t->masks[1] = current();
	return NULL;
}

static int widen_threads(void)
{
	cpu_set_t one = only(first), other = only(second);
	struct threads t;
	pthread_t threads[2];
	int r;

	pthread_barrier_init(&t.before, NULL, 3);
	pthread_barrier_init(&t.after, NULL, 3);
	sched_setaffinity(0, sizeof one, &one);
	if (pthread_create(&threads[0], NULL, be_bound, &t) || pthread_create(&threads[1], NULL, bind_oneself, &t))
		return 1;
	pthread_barrier_wait(&t.before);
	r = widens_to(OPEN_MPI "OMPI_MCA_orte_bound_at_launch=1", first, &all, 0);
	pthread_barrier_wait(&t.after);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	if (r)
		return r;
	return CPU_EQUAL(&t.masks[0], &all) && CPU_EQUAL(&t.masks[1], &other) ? 0 : 4;
}

static void threads_with_a_mask_of_their_own_keep_it(void **state RP_UNUSED)
{
	if (first == second) {
		print_message("# one CPU cannot be widened\n");
		skip();
	}
	under("mpirun", &all, widen_threads);
}

static int setup(void **state RP_UNUSED)
{
	job_forget();
	return 0;
}

int main(void)
{
#define test(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		test(launchers),
		test(srun_with_mpi),
		test(launchers_inside_others),
		test(what_is_not_mpi),
		test(explanations),
		test(stale_variables),
		test(long_versions),
		test(to_what_the_daemon_has),
		test(to_what_the_step_has),
		test(threads_with_a_mask_of_their_own_keep_it),
	};

	all = current();
	while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &all))
		first++;
	for (second = first + 1; second < CPU_SETSIZE && !CPU_ISSET(second, &all);)
		second++;
	second = second < CPU_SETSIZE ? second : first;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
