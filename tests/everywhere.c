/* SPDX-License-Identifier: BSD-3-Clause */
/* everywhere.c - one of everything: what it prints has to be the same, byte for byte, as a plain process and under any
 * mpirun, srun or batch script, with any number of workers on any nodes.  So it prints no rank, host or pid. */
#include "rankpool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { NUMBERS = 100000, TEXTS = 300, BADS = 40 };

struct line {
	double a, b;
};

static uint64_t hash(uint64_t h, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		h = (h ^ bytes[i]) * UINT64_C(1099511628211);
	return h;
}

/* Its input, what all tasks of the map and all of the pool were given, and its own random bits: all four are in the sum. */
static int add(struct rp_task *task, const void *in, void *out)
{
	size_t arg_size, init_size;
	const struct line *line = rp_task_arg(task, &arg_size);
	const char *init = rp_task_init_arg(task, &init_size);
	const uint32_t *x = in;
	double *y = out;

	if (arg_size != sizeof(*line) || init_size != sizeof("everywhere"))
		return rp_task_fail(task, "arguments of %zu and %zu bytes", arg_size, init_size);
	*y = line->a * *x + line->b + init[*x % 10] + (double)(rp_task_seed(task) >> 40);
	return 0;
}

/* Gives back as many copies of the text as the item has a number, so that some results are empty and one is 1 MiB. */
static int repeat(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	size_t size = rp_task_in_size(task), index = rp_task_index(task);
	size_t count = index == TEXTS / 2 ? (1 << 20) / size : index % 20;
	char *text = malloc(count * size + 1);
	int r;

	if (!text)
		return rp_task_fail(task, "no memory for %zu copies", count);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * size, in, size);
	r = rp_task_reply(task, text, count * size);
	free(text);
	return r;
}

static int misbehave(struct rp_task *task, const void *in, void *out)
{
	const int *number = in;
	volatile char *nothing;

	switch (*number) {
	case 7:
		return rp_task_fail(task, "item %d does not want to", *number);
	case 23:
		nothing = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (nothing != MAP_FAILED)
			*nothing = 1;
		return 1;
	case 31:
		return -5;
	default:
		*(int *)out = -*number;
		return 0;
	}
}

static void map_numbers(struct rp_pool *pool)
{
	static uint32_t in[NUMBERS];
	static double out[NUMBERS];
	struct line line = { 3, 0.25 };

	for (size_t i = 0; i < NUMBERS; i++)
		in[i] = (uint32_t)(i * i);
	rp_pool_map(pool, add, in, out, NUMBERS, RP_MAP(RP_ARG(line), .seed = 42), RP_FATAL);
	printf("map: %.17g %.17g %.17g, all %016" PRIx64 "\n", out[0], out[1], out[NUMBERS - 1], hash(0, out, sizeof(out)));
}

static void map_texts(struct rp_pool *pool)
{
	static char texts[TEXTS][32];
	static struct rp_bytes in[TEXTS], out[TEXTS];
	uint64_t h = 0;
	size_t size = 0;

	for (size_t i = 0; i < TEXTS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "text %zu;", i * 7919 % 1000);
		in[i] = (struct rp_bytes){ texts[i], strlen(texts[i]) };
	}
	rp_pool_map_bytes(pool, repeat, in, out, TEXTS, NULL, RP_FATAL);
	for (size_t i = 0; i < TEXTS; i++) {
		h = hash(h, &out[i].size, sizeof(out[i].size));
		h = hash(h, out[i].data, out[i].size);
		size += out[i].size;
	}
	printf("map_bytes: '%s' '%s', %zu bytes, all %016" PRIx64 "\n", (const char *)out[0].data, (const char *)out[3].data,
	       size, h);
	rp_bytes_free(out, TEXTS);
}

static void apply(struct rp_pool *pool)
{
	int in = 5, out = 0;

	rp_pool_apply(pool, misbehave, &in, sizeof(in), &out, sizeof(out), RP_FATAL);
	printf("apply: %d\n", out);
	in = 7;
	printf("apply of a bad item: %s\n",
	       rp_pool_apply(pool, misbehave, &in, sizeof(in), &out, sizeof(out), NULL) == -EREMOTEIO ? "refused" : "?");
}

/* Texts of deaths name the worker. */
static void map_bad(struct rp_pool *pool)
{
	static struct rp_outcome outcomes[BADS];
	static int in[BADS], out[BADS];
	struct rp_error error;
	int r;

	for (int i = 0; i < BADS; i++)
		in[i] = i;
	r = rp_pool_map(pool, misbehave, in, out, BADS, RP_MAP(.outcomes = outcomes), &error);
	printf("map with bad items: %s, the first is %zu\n", strerror(-r), error.index);
	for (int i = 0; i < BADS; i++)
		if (outcomes[i].state != RP_OK)
			printf("item %d: %s, code %d, try %d: %s\n", i, rp_state_name(outcomes[i].state), outcomes[i].code,
			       outcomes[i].tries, outcomes[i].state == RP_DIED ? "..." : outcomes[i].text);
		else if (out[i] != -i)
			printf("item %d: %d\n", i, out[i]);
}

int main(int argc, char **argv)
{
	struct rp_pool *pool;

	rp_init(&argc, &argv, RP_FATAL);
	rp_pool_new(&pool, RP_POOL(.init = NULL, .init_arg = "everywhere", .init_arg_size = sizeof("everywhere")), RP_FATAL);
	map_numbers(pool);
	map_texts(pool);
	map_bad(pool);
	apply(pool);
	map_numbers(pool);
	rp_pool_free(pool);
	rp_finalize();
	return 0;
}
