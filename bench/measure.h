/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.h - what the measurements of bench/measure share.  Each returns nanoseconds per unit of its work. */
#ifndef RP_BENCH_MEASURE_H
#define RP_BENCH_MEASURE_H

#include "rankpool.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double map_chunk1(void);
double map_arena(void);
double map_plain(void);
double map_threads(void);
double map_loop(void);
double bytes_pool(void);
double bytes_memcpy(void);
double apply_pool(void);
double apply_pingpong(void);
double open_pool(void);
double open_hwloc(void);
double start_process(void);
double start_fork(void);
double start_thread(void);
double start_pthread(void);
double idle_processes(void);
double idle_threads(void);

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

enum { ROUNDS_LEAST = 5, ROUNDS_MOST = 1000 };

/* Times of a piece of work that is done again and again; {0} to begin with. */
struct rounds {
	double began, spent;
	int count;
	double times[ROUNDS_MOST];
};

/* while (again(&rounds)) work; - at least 0.2 s of it. */
static inline int again(struct rounds *rounds)
{
	double t = now();

	if (rounds->began > 0) {
		rounds->times[rounds->count] = t - rounds->began;
		rounds->spent += rounds->times[rounds->count++];
	}
	if (rounds->count == ROUNDS_MOST || (rounds->count >= ROUNDS_LEAST && rounds->spent > 2e8))
		return 0;
	rounds->began = now();
	return 1;
}

static inline int compare_times(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Not the mean: what else the machine does hits few rounds. */
static inline double median(struct rounds *rounds)
{
	qsort(rounds->times, (size_t)rounds->count, sizeof *rounds->times, compare_times);
	return rounds->times[rounds->count / 2];
}

static inline void *need(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

#endif
