/* SPDX-License-Identifier: BSD-3-Clause */
/* openmp.c - bench/openmp dynamic|guided|static: nanoseconds per item of the squares of map.c, warm. */
#include "measure.h"

#include <string.h>

enum { ITEMS = 10000000, CHECK_STEP = 997 };

static void dynamic(const uint64_t *in, uint64_t *out)
{
#pragma omp parallel for schedule(dynamic, 1)
	for (size_t i = 0; i < ITEMS; i++)
		out[i] = in[i] * in[i];
}

static void guided(const uint64_t *in, uint64_t *out)
{
#pragma omp parallel for schedule(guided)
	for (size_t i = 0; i < ITEMS; i++)
		out[i] = in[i] * in[i];
}

static void fixed(const uint64_t *in, uint64_t *out)
{
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < ITEMS; i++)
		out[i] = in[i] * in[i];
}

int main(int argc, char **argv)
{
	const char *how = argc == 2 ? argv[1] : "";
	void (*map)(const uint64_t *in, uint64_t *out) = strcmp(how, "dynamic") == 0  ? dynamic
	                                                 : strcmp(how, "guided") == 0 ? guided
	                                                 : strcmp(how, "static") == 0 ? fixed
	                                                                              : NULL;
	uint64_t *in = need(malloc(ITEMS * sizeof *in)), *out = need(malloc(ITEMS * sizeof *out));
	struct rounds rounds = { 0 };

	if (!map) {
		fprintf(stderr, "usage: openmp dynamic|guided|static\n");
		return 2;
	}
	for (uint64_t i = 0; i < ITEMS; i++) {
		in[i] = i;
		out[i] = 0;
	}
	map(in, out);
	while (again(&rounds))
		map(in, out);
	for (uint64_t i = 0; i < ITEMS; i += CHECK_STEP)
		if (out[i] != i * i)
			return 1;
	printf("%.3f\n", median(&rounds) / ITEMS);
	free(in);
	free(out);
	return 0;
}
