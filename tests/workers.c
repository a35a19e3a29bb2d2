/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/workers.c - how many workers -j makes of the nodes that there are.  The nodes are this file's: it has the one
 * call of the library that tells of them. */
#include "../launcher/workers.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define MOST 8

static struct {
	int cores[MOST];                        /* of each node, up to a 0 */
	int empty_first;                        /* the manager's node has no workers */
	int asked;                              /* how often */
} world;

static void set_world(const int *cores, int empty_first)
{
	memset(&world, 0, sizeof world);
	for (int i = 0; cores[i]; i++)
		world.cores[i] = cores[i];
	world.empty_first = empty_first;
}

#define WORLD(...) set_world((const int[]){ __VA_ARGS__, 0 }, 0)

int rp_pool_plan(const struct rp_pool_options *options, const char *topology UNUSED, struct rp_worker_info *infos,
                 size_t count, struct rp_error *err UNUSED)
{
	size_t n = 0;

	world.asked++;
	for (int node = world.empty_first; world.cores[node]; node++) {
		int here = options->workers_per_node ? (int)options->workers_per_node : world.cores[node];

		for (int i = 0; i < here; i++, n++)
			if (n < count) {
				infos[n] = (struct rp_worker_info){ .rank = (int)n, .node = node, .local_rank = i };
				snprintf(infos[n].host, sizeof infos[n].host, "host%d", node);
			}
	}
	return options->workers ? (int)options->workers : (int)n;
}

static void expect(const char *jobs, size_t listed, uint32_t count, uint32_t per_node, uint32_t total)
{
	struct workers workers = { .jobs = jobs };

	assert_int_equal(workers_check(&workers, "test"), 0);
	assert_int_equal(workers_count(&workers, listed, "test"), 0);
	assert_int_equal(workers.count, count);
	assert_int_equal(workers.per_node, per_node);
	assert_int_equal(workers.total, total);
}

/* What is said goes to a file, and back into `said`. */
static void expect_refused(const char *jobs, const char *what)
{
	struct workers workers = { .jobs = jobs };
	char said[512] = "";
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO), r;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	r = workers_count(&workers, SIZE_MAX, "test");
	dup2(before, STDERR_FILENO);
	close(before);
	assert_true(pread(fileno(file), said, sizeof said - 1, 0) > 0);
	fclose(file);
	assert_int_equal(r, -1);
	if (!strstr(said, what))
		fail_msg("%s, and not %s", said, what);
}

static void a_number_is_per_node(void **state UNUSED)
{
	WORLD(4);
	expect("3", SIZE_MAX, 0, 3, 3);
	WORLD(4, 4, 8);
	expect("3", SIZE_MAX, 0, 3, 9);
	set_world((const int[]){ 4, 4, 8, 0 }, 1);
	expect("3", SIZE_MAX, 0, 3, 6);
	expect_refused("70000", "-j 70000: 65535 workers are the most");
}

static void without_a_word_it_is_the_library_that_decides(void **state UNUSED)
{
	WORLD(4, 8);
	expect(NULL, SIZE_MAX, 0, 0, 12);
	assert_int_equal(world.asked, 1);
}

static void as_many_as_possible_are_the_inputs_or_250(void **state UNUSED)
{
	WORLD(4, 8);
	expect("0", SIZE_MAX, 0, 250, 500);
	expect("0", 10000, 0, 250, 500);
	expect("0", 7, 0, 4, 8);
	expect("0", 0, 0, 1, 2);
}

static void relative_numbers_are_of_each_node(void **state UNUSED)
{
	WORLD(4, 4);
	expect("100%", SIZE_MAX, 0, 4, 8);
	expect("+1", SIZE_MAX, 0, 5, 10);
	expect("-1", SIZE_MAX, 0, 3, 6);
	WORLD(4, 8, 3);
	expect("100%", SIZE_MAX, 15, 0, 15);
	expect("50%", SIZE_MAX, 2 + 4 + 2, 0, 8);
	expect("+1", SIZE_MAX, 18, 0, 18);
	expect("-2", SIZE_MAX, 9, 0, 9);
}

static void no_worker_left_is_said_with_the_host(void **state UNUSED)
{
	WORLD(4);
	expect_refused("-4", "-j -4 leaves no worker: there are 4 cores");
	WORLD(4, 1);
	expect_refused("-1", "-j -1 leaves no worker on host1: there is 1 core");
}

/* More than are asked for at once. */
static void many_workers(void **state UNUSED)
{
	WORLD(200, 200);
	expect("100%", SIZE_MAX, 0, 200, 400);
	expect(NULL, SIZE_MAX, 0, 0, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_per_node),
		cmocka_unit_test(without_a_word_it_is_the_library_that_decides),
		cmocka_unit_test(as_many_as_possible_are_the_inputs_or_250),
		cmocka_unit_test(relative_numbers_are_of_each_node),
		cmocka_unit_test(no_worker_left_is_said_with_the_host),
		cmocka_unit_test(many_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
