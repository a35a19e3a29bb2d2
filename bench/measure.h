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

static inline void *need(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

#endif
