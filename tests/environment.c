/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/environment.c - what commands find in their environment: with a launcher and without, and what a worker adds. */
#include "../launcher/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static int begin(void **state UNUSED)
{
	const char *output = getenv("CMOCKA_MESSAGE_OUTPUT");
	char *kept = output ? strdup(output) : NULL;

	clearenv();
	if (kept)
		setenv("CMOCKA_MESSAGE_OUTPUT", kept, 1);      /* the test still speaks as it was told to */
	free(kept);
	return 0;
}

/* 1: commands see the variable when it is set. */
static int is_seen(const char *name, int keep)
{
	const char **variables;
	size_t count;
	int seen;

	setenv(name, "x", 1);
	variables = environment_for_commands(keep, &count);
	seen = environment_value(variables, name) != NULL;
	assert_null(variables[count]);
	free(variables);
	unsetenv(name);
	return seen;
}

static const char *const launchers[] = {
	"OMPI_COMM_WORLD_RANK", "OMPI_UNIVERSE_SIZE", "PMIX_RANK", "PMIX_NAMESPACE", "PMI_RANK", "PMI_FD", "HYDI_CONTROL_FD",
	"MPI_LOCALRANKID", "PRTE_LAUNCHED", "SLURM_STEP_ID", "SLURM_STEPID", "SLURM_PROCID", "SLURM_CPU_BIND_LIST",
	"RANKPOOL_NODES", "RANKPOOL_WORKERS", "RANKPOOL_MANAGER_ONLY", "RANKPOOL_FRONT",
};
static const char *const own[] = { "RANKPOOL_RANK", "RANKPOOL_SEQ", "PARALLEL_SEQ", "PARALLEL_JOBSLOT" };
static const char *const settings[] = { "OMPI_MCA_btl", "PMIX_MCA_gds", "MPIR_CVAR_DEBUG_SUMMARY", "HYDRA_LAUNCHER" };
static const char *const others[] = { "PATH", "SLURM_JOB_ID", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI", "PMI", "RANKPOOL_RANKS" };

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static void expect_all(const char *const *names, size_t count, int keep, int seen)
{
	for (size_t i = 0; i < count; i++)
		if (is_seen(names[i], keep) != seen)
			fail_msg("%s is %sseen", names[i], seen ? "not " : "");
}

static void without_a_launcher_settings_are_the_users(void **state UNUSED)
{
	expect_all(launchers, LENGTH(launchers), 0, 0);
	expect_all(own, LENGTH(own), 0, 0);
	expect_all(settings, LENGTH(settings), 0, 1);
	expect_all(others, LENGTH(others), 0, 1);
}

static void nothing_of_a_launcher_is_left(void **state UNUSED)
{
	setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
	expect_all(launchers, LENGTH(launchers), 0, 0);
	expect_all(settings, LENGTH(settings), 0, 0);
	expect_all(others, LENGTH(others), 0, 1);
	assert_false(is_seen("OMPI_COMM_WORLD_SIZE", 0));
}

static void unless_it_is_to_be_kept(void **state UNUSED)
{
	setenv("PMI_FD", "7", 1);
	expect_all(launchers, LENGTH(launchers), 1, 1);
	expect_all(settings, LENGTH(settings), 1, 1);
	expect_all(own, LENGTH(own), 1, 0);
}

static void a_worker_adds_its_place(void **state UNUSED)
{
	const struct rp_worker_info info = { .rank = 5, .node = 2, .local_rank = 1, .cpus = "3" };
	const char *variables[] = { "MKL_NUM_THREADS=7", "A=b", NULL };
	const struct brief brief = { .environment = variables, .variable_count = 2, .workers = 8, .manager = 99 };
	struct environment *environment;
	const char *const *list;

	/* The library gives a worker these, where the user has none: here of two. */
	setenv("OMP_NUM_THREADS", "1", 1);
	setenv("MKL_NUM_THREADS", "1", 1);
	setenv("ONLY_HERE", "x", 1);
	environment = environment_new(&info, &brief);
	list = (const char *const *)environment_for(environment, 12);
	assert_string_equal(environment_value(list, "RANKPOOL_RANK"), "5");
	assert_string_equal(environment_value(list, "RANKPOOL_SIZE"), "8");
	assert_string_equal(environment_value(list, "RANKPOOL_NODE"), "2");
	assert_string_equal(environment_value(list, "RANKPOOL_LOCAL_RANK"), "1");
	assert_string_equal(environment_value(list, "RANKPOOL_CPUS"), "3");
	assert_string_equal(environment_value(list, "RANKPOOL_SEQ"), "12");
	assert_string_equal(environment_value(list, "PARALLEL_SEQ"), "12");
	assert_string_equal(environment_value(list, "PARALLEL_JOBSLOT"), "6");
	assert_string_equal(environment_value(list, "PARALLEL_PID"), "99");
	assert_string_equal(environment_value(list, "OMP_NUM_THREADS"), "1");
	assert_string_equal(environment_value(list, "MKL_NUM_THREADS"), "7");
	assert_string_equal(environment_value(list, "A"), "b");
	assert_null(environment_value(list, "ONLY_HERE"));
	list = (const char *const *)environment_for(environment, 13);
	assert_string_equal(environment_value(list, "RANKPOOL_SEQ"), "13");
	environment_free(environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_a_launcher_settings_are_the_users, begin),
		cmocka_unit_test_setup(nothing_of_a_launcher_is_left, begin),
		cmocka_unit_test_setup(unless_it_is_to_be_kept, begin),
		cmocka_unit_test_setup(a_worker_adds_its_place, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
