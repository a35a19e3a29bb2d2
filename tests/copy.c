/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/copy.c - every byte, and none beside, however many threads do it. */
#include "pools.h"

#include "copy.h"

#include <pthread.h>
#include <sys/resource.h>

#define MIB ((size_t)1 << 20)
#define GUARD ((size_t)64)

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + i / 4096 + i / MIB);
}

static void check_copy(size_t size, unsigned cpus, size_t shift)
{
	unsigned char *from = malloc(size + GUARD), *room = malloc(size + 3 * GUARD), *to = room + GUARD + shift;

	for (size_t i = 0; i < size; i++)
		from[i] = byte_at(i);
	memset(room, 0xee, size + 3 * GUARD);
	copy_large(to, from, size, cpus);
	assert_int_equal(memcmp(to, from, size), 0);
	for (size_t i = 0; i < GUARD; i++) {
		assert_int_equal(to[-(ptrdiff_t)i - 1], 0xee);
		assert_int_equal(to[size + i], 0xee);
	}
	free(from);
	free(room);
}

static void every_byte_is_copied(void **state RP_UNUSED)
{
	static const size_t sizes[] = {
		0, 1, 63, 64, 65, 4096, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 63,
		12 * MIB + 64, 40 * MIB + 7
	};
	static const unsigned cpus[] = { 0, 1, 2, 3, 8, 1000 };

	for (size_t s = 0; s < LENGTH(sizes); s++)
		for (size_t c = 0; c < LENGTH(cpus); c++)
			check_copy(sizes[s], cpus[c], (s + c) % 64);
}

static int count_threads(void)
{
	return count_entries("/proc/self/task") - 2;
}

static void threads_and_signals_are_as_before(void **state RP_UNUSED)
{
	sigset_t before, after;
	int threads = count_threads();

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	check_copy(33 * MIB, 8, 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < NSIG; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
	assert_true(WAIT_FOR(count_threads() == threads));
}

/* With no room for the stack of a thread. */
static void copy_without_room(void)
{
	struct rlimit limit;
	char *from = malloc(40 * MIB), *to = malloc(40 * MIB), line[200];
	size_t pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	must(file && fgets(line, sizeof line, file) && sscanf(line, "%zu", &pages) == 1);
	fclose(file);
	memset(from, 'x', 40 * MIB);
	must(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + MIB;
	must(setrlimit(RLIMIT_AS, &limit) == 0);
	copy_large(to, from, 40 * MIB, 8);
	must(memcmp(to, from, 40 * MIB) == 0);
}

static void without_threads_the_caller_does_it(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(copy_without_room)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_copied),
		cmocka_unit_test(threads_and_signals_are_as_before),
		cmocka_unit_test(without_threads_the_caller_does_it),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
