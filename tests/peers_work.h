/* SPDX-License-Identifier: BSD-3-Clause */
/* peers_work.h - what the tests with peers.h have done: a function of a salt and the item's number, so that those who run
 * it, those who play that and those who look at the results agree. */
#ifndef RP_TESTS_PEERS_WORK_H
#define RP_TESTS_PEERS_WORK_H

#include "pools.h"

/* The argument of every map and task: what they do with item i follows from it and i alone. */
struct job_arg {
	uint64_t salt;
	uint32_t bad, deadly;                   /* one item of so many fails, or kills its worker; 0: none */
	uint32_t slow;                          /* microseconds that an item takes */
	uint32_t stays;                         /* a task ends when nobody wants it any more */
	_Atomic uint32_t *ran;                  /* how often each item was run, in the arena */
};

struct result {
	uint64_t value[3];
};

enum verdict { GOOD, FAILS, DIES };

static inline uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 32;
}

static inline uint64_t item_of(const struct job_arg *arg, size_t i)
{
	return mix(arg->salt + i);
}

static inline enum verdict verdict_of(const struct job_arg *arg, size_t i)
{
	uint64_t dice = mix(item_of(arg, i));

	if (arg->deadly && dice % arg->deadly == 0)
		return DIES;
	return arg->bad && dice / 7 % arg->bad == 0 ? FAILS : GOOD;
}

static inline struct result result_of_item(const struct job_arg *arg, size_t i)
{
	return (struct result){ { i, item_of(arg, i), ~item_of(arg, i) } };
}

/* Items and results of any size. */
static inline int item_is_null(const struct job_arg *arg, size_t i)
{
	return item_of(arg, i) % 7 == 0;
}

static inline size_t item_size(const struct job_arg *arg, size_t i)
{
	return item_is_null(arg, i) ? 0 : item_of(arg, i) / 8 % 200;
}

static inline int reply_is_null(const struct job_arg *arg, size_t i)
{
	return item_of(arg, i) % 11 == 0;
}

static inline size_t reply_size(const struct job_arg *arg, size_t i)
{
	return reply_is_null(arg, i) ? 0 : item_of(arg, i) / 16 % 300;
}

static inline void fill_bytes(char *to, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (char)(seed + i * 7);
}

static inline int holds_bytes(const char *from, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		if (from[i] != (char)(seed + i * 7))
			return 0;
	return 1;
}

static inline void nap(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* ---- tasks of the own workers ----------------------------------------------------------------------------- */

static inline const struct job_arg *begin_item(struct rp_task *task, const void *in, size_t *ret_index)
{
	const struct job_arg *arg = rp_task_arg(task, NULL);
	size_t i = *ret_index = rp_task_index(task);

	atomic_fetch_add(&arg->ran[i], 1);
	if (in)
		must(memcmp(in, &(uint64_t){ item_of(arg, i) }, 8) == 0);
	if (arg->slow)
		nap(arg->slow);
	if (verdict_of(arg, i) == DIES)
		raise(SIGKILL);
	return arg;
}

static inline int work(struct rp_task *task, const void *in, void *out)
{
	size_t i;
	const struct job_arg *arg = begin_item(task, in, &i);

	if (out)
		memset(out, 0x77, sizeof(struct result));
	if (verdict_of(arg, i) == FAILS)
		return rp_task_fail(task, "item %zu is bad", i) + 10;
	if (out)
		*(struct result *)out = result_of_item(arg, i);
	return 0;
}

#endif
