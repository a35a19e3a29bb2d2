/* SPDX-License-Identifier: BSD-3-Clause */
/* pools.h - for tests of pools: each in every world it applies to (processes or threads, with rp_init or without), and a
 * look for what it has left behind. */
#ifndef RP_TESTS_POOLS_H
#define RP_TESTS_POOLS_H

#include "children.h"

#include "rankpool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#if defined __has_feature
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif
#if defined __SANITIZE_ADDRESS__ || HAS_FEATURE(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif
#if defined __SANITIZE_THREAD__ || HAS_FEATURE(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif
#define SLOWER (UNDER_ASAN || UNDER_TSAN ? 10 : 1)      /* divides the size of what is large for its own sake */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct world {
	uint32_t kind;                          /* enum rp_kind */
	int started;                            /* rp_init was called */
	int fds;                                /* open when the test began */
};

#define IN_WORLD(f, where, kind, started) \
	{ #f " (" where ")", f, world_begin, world_end, &(struct world){ kind, started, 0 } }
#define PROCESSES(f) IN_WORLD(f, "processes", RP_PROCESSES, 0), IN_WORLD(f, "processes, rp_init", RP_PROCESSES, 1)
#define THREADS(f) IN_WORLD(f, "threads", RP_THREADS, 0), IN_WORLD(f, "threads, rp_init", RP_THREADS, 1)
#define EVERYWHERE(f) PROCESSES(f), THREADS(f)
#define ONCE(f) { #f, f, world_begin, world_end, &(struct world){ RP_PROCESSES, 0, 0 } }

static struct board *board;                     /* shared by all processes of a test; cleared before each */

/* The arena's stays open once there is one, whoever needed it first. */
static inline int fds_of_test(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char name[300];
	int n = 0;

	must(directory);
	while ((entry = readdir(directory))) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, name, sizeof name - 1);

		name[length < 0 ? 0 : length] = 0;
		n += length > 0 && !strstr(name, "memfd:rankpool");
	}
	closedir(directory);
	return n;
}

static inline int world_begin(void **state)
{
	struct world *world = *state;

	if (!board)
		board = board_new();
	memset(board, 0, sizeof *board);
	world->fds = fds_of_test();
	if (world->started)
		must(rp_init(NULL, NULL, NULL) == 0);
	return 0;
}

/* No child, no descriptor. */
static inline int world_end(void **state)
{
	struct world *world = *state;

	if (world->started)
		assert_int_equal(rp_finalize(), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(fds_of_test(), world->fds);
	return 0;
}

#define world_of(state) ((const struct world *)*(state))

/* A pool of so many workers in the test's world; further options may follow. */
#define pool_in(state, count, ...) \
	({ \
		struct rp_pool *pool_ = NULL; \
		struct rp_error err_ = { .text = "" }; \
		if (rp_pool_new(&pool_, RP_POOL(.workers = (count), .kind = world_of(state)->kind, ##__VA_ARGS__), &err_) < \
		    0) \
			fail_msg("%s", err_.text); \
		pool_; \
	})

/* The pid of a worker that is there, waited for if need be; 0: there was none in time. */
static inline pid_t pid_of_worker(const struct rp_pool *pool, int rank)
{
	struct rp_worker_info info = { 0 };

	WAIT_FOR(rp_pool_worker(pool, rank, &info) < 0 || info.pid);
	return info.pid;
}

/* A counter for each item, shared with all workers. */
static inline _Atomic uint32_t *counters(size_t count)
{
	_Atomic uint32_t *counter = rp_alloc(count * sizeof *counter);

	must(counter);
	memset((void *)counter, 0, count * sizeof *counter);
	return counter;
}

static inline size_t count_unlike(const _Atomic uint32_t *counter, size_t count, uint32_t value)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += counter[i] != value;
	return n;
}

/* Bytes of shared memory that the process's arena really holds. */
static inline size_t arena_bytes(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t bytes = 0;
	char name[300];
	struct stat status;

	must(directory);
	while ((entry = readdir(directory))) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, name, sizeof name - 1);

		name[length < 0 ? 0 : length] = 0;
		if (strstr(name, "memfd:rankpool") && fstatat(dirfd(directory), entry->d_name, &status, 0) == 0)
			bytes += (size_t)status.st_blocks * 512;
	}
	closedir(directory);
	return bytes;
}

#endif
