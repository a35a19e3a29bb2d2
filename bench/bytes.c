/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes.c - nanoseconds per item of 1 MiB that is brought from plain memory to whoever looks at it; a word of each page is
 * read there. */
#include "measure.h"

#include <string.h>

enum { ITEMS = 128, PAGE_WORDS = 512 };

struct item {
	uint64_t words[131072];
};

static int sum_pages(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const struct item *item = in;
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof item->words / sizeof *item->words; i += PAGE_WORDS)
		sum += item->words[i];
	*(uint64_t *)out = sum;
	return 0;
}

static struct item *make(size_t count)
{
	struct item *items = need(malloc(count * sizeof *items));

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < sizeof items->words / sizeof *items->words; j++)
			items[i].words[j] = i + j;
	return items;
}

static void check(const struct item *items, const uint64_t *sums)
{
	for (size_t i = 0; i < ITEMS; i++) {
		uint64_t sum;

		sum_pages(NULL, &items[i], &sum);
		if (sum != sums[i]) {
			fprintf(stderr, "item %zu is wrong\n", i);
			exit(1);
		}
	}
}

double bytes_pool(void)
{
	struct item *items = make(ITEMS);
	uint64_t sums[ITEMS];
	struct rounds rounds = { 0 };
	struct rp_pool *pool;

	rp_pool_new(&pool, NULL, RP_FATAL);
	rp_pool_map(pool, sum_pages, items, sums, ITEMS, NULL, RP_FATAL);
	while (again(&rounds))
		rp_pool_map(pool, sum_pages, items, sums, ITEMS, NULL, RP_FATAL);
	rp_pool_free(pool);
	check(items, sums);
	free(items);
	return median(&rounds) / ITEMS;
}

double bytes_memcpy(void)
{
	struct item *items = make(ITEMS), *copies = make(ITEMS);
	uint64_t sums[ITEMS];
	struct rounds rounds = { 0 };

	while (again(&rounds))
		for (size_t i = 0; i < ITEMS; i++) {
			memcpy(&copies[i], &items[i], sizeof *copies);
			sum_pages(NULL, &copies[i], &sums[i]);
		}
	check(items, sums);
	free(items);
	free(copies);
	return median(&rounds) / ITEMS;
}
