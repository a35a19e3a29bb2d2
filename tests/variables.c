/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/variables.c - what children find in their environment: workers and processes, with a launcher and without. */
#include "variables.h"
#include "rankpool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "children.h"

/* What a child of a program with these variables finds, one a line, in the order of the list. */
static char seen[4096];

static const char *const marks[] = {
	"HYDI_CONTROL_FD", "HYDRA_LAUNCHER", "JSM_NAMESPACE_RANK", "MPIR_CVAR_DEBUG_SUMMARY", "MPI_LOCALNRANKS",
	"MPI_LOCALRANKID", "OMPI_COMM_WORLD_SIZE", "OMPI_MCA_btl", "OMPI_MCA_ess_base_jobid", "PALS_RANKID", "PMI2_SUN_PATH",
	"PMIX_MCA_gds", "PMIX_RANK", "PMIX_SERVER_URI2", "PMI_FD", "PMI_RANK", "PRTE_LAUNCHED", "RANKPOOL_FRONT",
	"RANKPOOL_MANAGER_ONLY", "RANKPOOL_NODES", "RANKPOOL_WORKERS", "SLURM_CPU_BIND_LIST", "SLURM_LOCALID",
	"SLURM_NODEID", "SLURM_PROCID", "SLURM_STEPID", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_TASK_PID",
};
static const char *const others[] = {
	"A", "HOME", "JSM", "MPI", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PATH", "PMIX",
	"RANKPOOL_RANKS", "SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_JOB_NODELIST",
};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static void print_names(const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (getenv(names[i]))
			printf("%s\n", names[i]);
}

static void set_all(void)
{
	clearenv();
	for (size_t i = 0; i < LENGTH(marks); i++)
		setenv(marks[i], "1", 1);
	for (size_t i = 0; i < LENGTH(others); i++)
		setenv(others[i], "/", 1);
}

static int tell(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	print_names(marks, LENGTH(marks));
	print_names(others, LENGTH(others));
	fflush(stdout);
	/* And so do programs that it starts. */
	return system("/usr/bin/env | /bin/grep -cE '^(OMPI_C|PMI2?_|PMIX_|SLURM_STEP)'") == 0;
}

static int tell_task(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return tell(NULL, 0) == 0 ? 0 : 1;
}

static void start_one(const char *bind)
{
	struct rp_process *process;

	must(rp_process_new(&process, RP_PROCESS(.target = tell, .bind = bind), NULL) == 0);
	must(rp_process_start(process, NULL) == 0 && rp_process_join(process, RP_FOREVER) == 0);
	must(rp_process_exitcode(process) == 0);
	rp_process_free(process);
}

static void free_process(void)
{
	set_all();
	start_one(NULL);
}

static void bound_process(void)
{
	set_all();
	start_one("pu:0");
}

static void process_of_a_supervisor(void)
{
	set_all();
	must(rp_start(RP_START(.flags = RP_LOCAL), NULL) == 0);
	start_one(NULL);
	must(rp_finalize() == 0);
}

static void worker(void)
{
	struct rp_pool *pool;

	set_all();
	must(rp_pool_new(&pool, RP_POOL(.workers = 1), NULL) == 0);
	must(rp_pool_apply(pool, tell_task, NULL, 0, NULL, 0, NULL) == 0);
	rp_pool_free(pool);
	/* The program itself keeps what it was started with. */
	must(getenv("OMPI_COMM_WORLD_SIZE") && getenv("RANKPOOL_WORKERS"));
}

static void expect_others_only(void (*body)(void))
{
	char expected[sizeof seen] = "";

	for (size_t i = 0; i < LENGTH(others); i++)
		strcat(strcat(expected, others[i]), "\n");
	strcat(expected, "0\n");
	assert_int_equal(said(body, seen, sizeof seen), 0);
	assert_string_equal(seen, expected);
}

static void children_see_nothing_of_a_launcher(void **state RP_UNUSED)
{
	expect_others_only(free_process);
	expect_others_only(bound_process);
	expect_others_only(process_of_a_supervisor);
	expect_others_only(worker);
}

/* Without a launcher they are the user's. */
static void settings(void)
{
	clearenv();
	setenv("OMPI_MCA_btl", "self", 1);
	setenv("HYDRA_LAUNCHER", "fork", 1);
	setenv("SLURM_PROCID", "0", 1);
	must(variables_to_hide() && variables_set(0) == 0 && !variables_to_hide());
	print_names(marks, LENGTH(marks));
	setenv("PMI_FD", "5", 1);
	must(variables_to_hide() && variables_set(0) == 0 && !variables_to_hide());
	print_names(marks, LENGTH(marks));
}

static void settings_are_the_users_without_a_launcher(void **state RP_UNUSED)
{
	assert_int_equal(said(settings, seen, sizeof seen), 0);
	assert_string_equal(seen, "HYDRA_LAUNCHER\nOMPI_MCA_btl\n");
}

static void nothing(void)
{
	clearenv();
	must(!variables_to_hide() && variables_set(0) == 0);
	environ = NULL;
	must(!variables_to_hide() && variables_set(3) == 0);
	must(strcmp(getenv("OMP_NUM_THREADS"), "3") == 0);
	must(setenv("A", "b", 1) == 0 && variables_set(2) == 0);
	must(strcmp(getenv("OMP_NUM_THREADS"), "2") == 0 && strcmp(getenv("A"), "b") == 0);
}

static void an_environment_that_is_not_there(void **state RP_UNUSED)
{
	assert_int_equal(said(nothing, seen, sizeof seen), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_see_nothing_of_a_launcher),
		cmocka_unit_test(settings_are_the_users_without_a_launcher),
		cmocka_unit_test(an_environment_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
