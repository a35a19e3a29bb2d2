/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/wait.c - sleeping on a word, also one in another process's memory. */
#include "pools.h"

#include "clock.h"
#include "wait.h"

#include <sys/time.h>

static _Atomic uint32_t *word;

static void a_word_that_has_changed_is_not_waited_for(void **state RP_UNUSED)
{
	*word = 5;
	assert_int_equal(wait_on(word, 4, CLOCK_NEVER), 0);
	assert_int_equal(wait_on(word, 4, clock_now()), 0);
}

static void the_deadline_ends_it(void **state RP_UNUSED)
{
	int64_t then = clock_now(), deadline = then + 20000000;

	*word = 5;
	assert_int_equal(wait_on(word, 5, 1), -ETIMEDOUT);
	assert_int_equal(wait_on(word, 5, clock_now()), -ETIMEDOUT);
	while (wait_on(word, 5, deadline) != -ETIMEDOUT)
		;
	assert_true(clock_now() >= deadline);
}

static void wait_for_change(void)
{
	board->number[0]++;
	while (*word == 7)
		wait_on(word, 7, CLOCK_NEVER);
}

static void sleepers_in_other_processes_are_woken(void **state RP_UNUSED)
{
	pid_t pids[3];

	*word = 7;
	board->number[0] = 0;
	for (size_t i = 0; i < LENGTH(pids); i++) {
		pids[i] = begin(wait_for_change);
		assert_true(WAIT_FOR(board->number[0] == (int)i + 1 && process_state(pids[i]) == 'S'));
	}
	wait_wake(word, 3);             /* nothing has changed: they go to sleep again */
	*word = 8;
	wait_wake(word, 3);
	for (size_t i = 0; i < LENGTH(pids); i++)
		assert_int_equal(code_of(pids[i]), 0);
}

static void ring(int signal RP_UNUSED)
{
}

static void a_signal_wakes_too(void **state RP_UNUSED)
{
	struct sigaction action = { .sa_handler = ring }, old;
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };

	*word = 5;
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(wait_on(word, 5, clock_now() + PATIENCE * INT64_C(1000000000)), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
}

static int share_memory(void **state RP_UNUSED)
{
	board = board_new();
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return word == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_that_has_changed_is_not_waited_for),
		cmocka_unit_test(the_deadline_ends_it),
		cmocka_unit_test(sleepers_in_other_processes_are_woken),
		cmocka_unit_test(a_signal_wakes_too),
	};

	return cmocka_run_group_tests_name("wait", tests, share_memory, NULL);
}
