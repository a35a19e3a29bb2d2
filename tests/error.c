/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/error.c - the three kinds of struct rp_error, and the names of states. */
#include "error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void null_is_quiet(void **state RP_UNUSED)
{
	assert_int_equal(error_set(NULL, -ENOENT, "host %s", "a"), -ENOENT);
	assert_int_equal(error_set_item(NULL, -EREMOTEIO, 3, "item"), -EREMOTEIO);
}

static void callers_own_is_filled(void **state RP_UNUSED)
{
	struct rp_error err;

	memset(&err, 0xff, sizeof err);
	assert_int_equal(error_set(&err, -ENOENT, "host %s: port %d", "a", 7), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_int_equal(err.reserved, 0);
	assert_true(err.index == SIZE_MAX);
	assert_string_equal(err.text, "host a: port 7");
}

static void item_is_named(void **state RP_UNUSED)
{
	struct rp_error err = { 0 };

	assert_int_equal(error_set_item(&err, -ECHILD, 41, "item %zu died", (size_t)41), -ECHILD);
	assert_int_equal(err.code, -ECHILD);
	assert_int_equal(err.index, 41);
	assert_string_equal(err.text, "item 41 died");
}

static void long_text_is_cut_and_terminated(void **state RP_UNUSED)
{
	struct rp_error err;
	char text[2000];

	memset(&err, 'y', sizeof err);
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	error_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	assert_memory_equal(err.text, text, sizeof err.text - 1);
}

/* A caller may pass on what an inner call has said, in the same struct. */
static void old_text_can_be_part_of_the_new(void **state RP_UNUSED)
{
	struct rp_error err = { 0 };

	error_set(&err, -EIO, "disk full");
	error_set(&err, -EPIPE, "worker 3: %s", err.text);
	assert_string_equal(err.text, "worker 3: disk full");
}

/* Runs error_set with RP_FATAL in a child; what it printed goes to text.  Returns its wait status. */
static int fatal_in_child(char *text, size_t size)
{
	int ends[2], status;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		error_set(RP_FATAL, -ENOMEM, "no room for %d items", 12);
		_exit(99);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void fatal_prints_one_line_and_exits_with_1(void **state RP_UNUSED)
{
	char text[1000], expected[1000];
	int status = fatal_in_child(text, sizeof text);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	snprintf(expected, sizeof expected, "%s: no room for 12 items\n", program_invocation_short_name);
	assert_string_equal(text, expected);
}

static void states_have_names(void **state RP_UNUSED)
{
	assert_string_equal(rp_state_name(RP_PENDING), "pending");
	assert_string_equal(rp_state_name(RP_OK), "ok");
	assert_string_equal(rp_state_name(RP_FAILED), "failed");
	assert_string_equal(rp_state_name(RP_DIED), "died");
	assert_string_equal(rp_state_name(RP_TIMED_OUT), "timed out");
	assert_string_equal(rp_state_name(RP_CANCELLED), "cancelled");
	assert_string_equal(rp_state_name(RP_CANCELLED + 1), "unknown");
	assert_string_equal(rp_state_name(-1), "unknown");
	assert_string_equal(rp_state_name(INT32_MIN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_quiet),
		cmocka_unit_test(callers_own_is_filled),
		cmocka_unit_test(item_is_named),
		cmocka_unit_test(long_text_is_cut_and_terminated),
		cmocka_unit_test(old_text_can_be_part_of_the_new),
		cmocka_unit_test(fatal_prints_one_line_and_exits_with_1),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
