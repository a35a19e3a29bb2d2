/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/map.c - what a map returns, refuses, writes and leaves alone.  Ids such as pool_26 are those of the catalogue of
 * what multiprocessing's own tests demand. */
#include "pools.h"

#include "memory.h"

#include <limits.h>
#include <pthread.h>

static int square(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	double x = *(const double *)in;

	*(double *)out = x * x;
	return 0;
}

static void check_squares(struct rp_pool *pool, size_t count, size_t chunk)
{
	double *in = calloc(count + 1, sizeof *in), *out = calloc(count + 1, sizeof *out);
	struct rp_error err = { .text = "" };

	for (size_t i = 0; i < count; i++)
		in[i] = (double)i;
	out[count] = -1;
	if (rp_pool_map(pool, square, in, out, count, RP_MAP(.chunk = chunk), &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < count; i++)
		assert_true(out[i] == (double)i * (double)i);
	assert_true(out[count] == -1);
	free(in);
	free(out);
}

static void pool_26_map_keeps_order(void **state)
{
	for (uint32_t workers = 1; workers <= 5; workers++) {
		struct rp_pool *pool = pool_in(state, workers);

		check_squares(pool, 10, 0);
		check_squares(pool, 100, 20);
		check_squares(pool, 1000, 1);
		check_squares(pool, 1000, 7);
		check_squares(pool, 1000, SIZE_MAX);
		assert_null(rp_pool_free(pool));
	}
}

/* 0 items, 1 item, fewer than workers, as many, one more. */
static void pool_31_few_items(void **state)
{
	struct rp_pool *pool = pool_in(state, 4);

	for (size_t count = 0; count <= 9; count++)
		check_squares(pool, count, count % 3);
	assert_int_equal(rp_pool_map_array(pool, square, NULL, 0, NULL, 0, 0, NULL, NULL), 0);
	assert_int_equal(rp_pool_map_bytes(pool, square, NULL, NULL, 0, NULL, NULL), 0);
	rp_pool_free(pool);
}

static int dawdle(struct rp_task *task, const void *in, void *out)
{
	uint64_t spin = rp_task_seed(task) % 3000;

	for (volatile uint64_t i = 0; i < spin; i++)
		;
	*(size_t *)out = rp_task_index(task) * 3 + (in != NULL);
	return 0;
}

static void order_does_not_depend_on_durations(void **state)
{
	struct rp_pool *pool = pool_in(state, 3);
	size_t out[3000];

	for (size_t chunk = 0; chunk < 3; chunk++) {
		memset(out, 0xff, sizeof out);
		assert_int_equal(rp_pool_map(pool, dawdle, NULL, out, LENGTH(out), RP_MAP(.chunk = chunk)), 0);
		for (size_t i = 0; i < LENGTH(out); i++)
			assert_int_equal(out[i], i * 3);
	}
	rp_pool_free(pool);
}

static int say_nothing(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return 0;
}

static int twice_and_one(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(uint32_t *)out = *(const uint32_t *)in * 2 + 1;
	return 0;
}

static void ten_million_items(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	uint32_t count = 10000000 / SLOWER, *in = malloc(count * sizeof *in), *out = malloc(count * sizeof *out), bad = 0;

	for (uint32_t i = 0; i < count; i++)
		in[i] = i;
	assert_int_equal(rp_pool_map(pool, twice_and_one, in, out, count), 0);
	for (uint32_t i = 0; i < count; i++)
		bad += out[i] != i * 2 + 1;
	assert_int_equal(bad, 0);
	free(in);
	free(out);
	rp_pool_free(pool);
}

struct pair {
	int32_t a, b;
	char odd[3];
};

static int multiply(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	const struct pair *pair = in;
	struct pair *result = out;

	*result = (struct pair){ pair->a * pair->b, pair->a, { pair->odd[2], pair->odd[1], pair->odd[0] } };
	return 0;
}

static void pool_32_structs_are_items(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct pair in[100], out[100];

	for (int i = 0; i < 100; i++)
		in[i] = (struct pair){ i, 99 - i, { (char)i, 'x', 'y' } };
	assert_int_equal(rp_pool_map(pool, multiply, in, out, 100, RP_MAP(.chunk = 20), RP_FATAL), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(out[i].a, i * (99 - i));
		assert_int_equal(out[i].b, i);
		assert_memory_equal(out[i].odd, ((char[]){ 'y', 'x', (char)i }), 3);
	}
	rp_pool_free(pool);
}

static int tick(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	_Atomic uint32_t *counter = (void *)(uintptr_t)rp_task_arg(task, NULL);

	atomic_fetch_add(&counter[rp_task_index(task)], 1);
	return 0;
}

static void each_item_runs_once_with_neither_input_nor_result(void **state)
{
	struct rp_pool *pool = pool_in(state, 3);
	size_t count = 20000;
	_Atomic uint32_t *counter = counters(count);

	for (uint32_t round = 1; round <= 20; round++) {
		assert_int_equal(rp_pool_map(pool, tick, NULL, NULL, count,
		                             RP_MAP(.arg = (void *)counter, .arg_size = count * 4, .chunk = round / 2)), 0);
		assert_int_equal(count_unlike(counter, count, round), 0);
	}
	rp_free((void *)counter);
	rp_pool_free(pool);
}

static void results_may_take_the_place_of_items(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	uint32_t plain[5000], *shared = rp_alloc(sizeof plain);

	for (uint32_t i = 0; i < LENGTH(plain); i++)
		plain[i] = shared[i] = i;
	assert_int_equal(rp_pool_map(pool, twice_and_one, plain, plain, LENGTH(plain)), 0);
	assert_int_equal(rp_pool_map(pool, twice_and_one, shared, shared, LENGTH(plain)), 0);
	for (uint32_t i = 0; i < LENGTH(plain); i++) {
		assert_int_equal(plain[i], 2 * i + 1);
		assert_int_equal(shared[i], 2 * i + 1);
	}
	rp_free(shared);
	rp_pool_free(pool);
}

/* ---- what is refused ------------------------------------------------------------------------------------ */

static struct rp_error refused;         /* of the last refused() */

/* The map is refused with `code`, in words that hold `word`; nothing was run, out and outcomes are as they were. */
static int refused_map(struct rp_pool *pool, rp_task_fn *fn, const void *in, size_t in_size, void *out, size_t out_size,
                       size_t count, const struct rp_map_options *options)
{
	struct rp_outcome outcome, before;
	struct rp_map_options o = { 0 };
	char copy[256];
	int r;

	if (options)
		o = *options;
	memset(&before, 0x5a, sizeof before);
	outcome = before;
	if (!o.outcomes && count && options && options->size == sizeof o)
		o.outcomes = &outcome;
	refused = (struct rp_error){ 0 };
	if (out)
		memcpy(copy, out, sizeof copy);
	r = rp_pool_map_array(pool, fn, in, in_size, out, out_size, count, o.outcomes ? &o : options, &refused);
	assert_int_equal(refused.code, r);
	assert_memory_equal(&outcome, &before, sizeof before);
	if (out)
		assert_memory_equal(out, copy, sizeof copy);
	return r;
}

#define assert_refused(code, word, ...) \
	do { \
		assert_int_equal(refused_map(__VA_ARGS__), code); \
		if (!strstr(refused.text, word)) \
			fail_msg("'%s' does not say '%s'", refused.text, word); \
	} while (0)

static void overlaps_are_refused(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	uint32_t array[128];
	struct rp_bytes bytes[4] = { { "a", 1 }, { "b", 1 }, { "c", 1 }, { "d", 1 } };

	for (uint32_t i = 0; i < LENGTH(array); i++)
		array[i] = i;
	assert_refused(-EINVAL, "overlap", pool, twice_and_one, array, 4, array + 1, 4, 10, NULL);
	assert_refused(-EINVAL, "overlap", pool, twice_and_one, array + 9, 4, array, 4, 10, NULL);
	assert_refused(-EINVAL, "overlap", pool, twice_and_one, array, 4, array, 8, 10, NULL);
	assert_refused(-EINVAL, "overlap", pool, square, array, 8, array, 4, 10, NULL);
	assert_int_equal(rp_pool_map_array(pool, twice_and_one, array, 4, array + 10, 4, 10, NULL, NULL), 0);
	assert_int_equal(array[19], 19);
	assert_int_equal(rp_pool_map_bytes(pool, twice_and_one, bytes, bytes, 4, NULL, NULL), -EINVAL);
	assert_int_equal(rp_pool_map_bytes(pool, twice_and_one, bytes, bytes + 2, 3, NULL, NULL), -EINVAL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(*(const char *)bytes[i].data, 'a' + i);
	rp_pool_free(pool);
}

static void negative_counts_are_refused(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	double in[64] = { 0 }, out[64] = { 0 };
	volatile int minus = -1;
	struct rp_bytes item = { in, (size_t)minus }, result = { "x", 1 };

	assert_refused(-EINVAL, "", pool, square, in, 8, out, 8, (size_t)minus, NULL);
	assert_refused(-EINVAL, "", pool, square, NULL, 0, NULL, 0, (size_t)minus, NULL);
	assert_refused(-EINVAL, "", pool, square, NULL, 0, NULL, 0, (size_t)PTRDIFF_MAX + 1, NULL);
	assert_refused(-EINVAL, "", pool, square, in, 8, NULL, 0, (size_t)PTRDIFF_MAX / 8 + 1, NULL);
	assert_refused(-EINVAL, "", pool, square, NULL, 0, out, 8, (size_t)PTRDIFF_MAX / 8 + 1, NULL);
	assert_refused(-EINVAL, "", pool, square, in, (size_t)-8, out, 8, 1, NULL);
	assert_int_equal(rp_pool_map_bytes(pool, square, &item, &result, 1, NULL, &refused), -EINVAL);
	assert_null(result.data);
	assert_int_equal(result.size, 0);
	assert_int_equal(rp_pool_map_bytes(pool, square, NULL, NULL, (size_t)minus, NULL, NULL), -EINVAL);
	rp_pool_free(pool);
}

static void map_bytes_that_wrap(void)
{
	struct rp_bytes items[4], result[4];
	struct rp_pool *pool;
	char x = 0;

	must(rp_pool_new(&pool, RP_POOL(.workers = 1), RP_FATAL) == 0);
	for (int i = 0; i < 4; i++)
		items[i] = (struct rp_bytes){ &x, (size_t)1 << 62 };
	must(rp_pool_map_bytes(pool, square, items, result, 4, NULL, NULL) < 0);
	rp_pool_free(pool);
}

/* Together they are more than an address can say. */
static void sizes_that_add_up_to_nothing_are_refused(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(map_bytes_that_wrap)), 0);
}

static void pointers_that_tell_no_size_are_refused(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	double array[64] = { 0 };
	char *strings[] = { (char *)array };
	const char *constant[] = { "a" };
	void *in = array;
	size_t index;
	struct rp_error err = { 0 };

	assert_int_equal(rp_pool_map(pool, square, in, array, 1, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "rp_pool_map_array"));
	assert_non_null(strstr(err.text, "rp_pool_map_bytes"));
	assert_int_equal(rp_pool_map(pool, square, array, in, 1), -EINVAL);
	assert_int_equal(rp_pool_map(pool, square, strings, array, 1), -EINVAL);
	assert_int_equal(rp_pool_map(pool, square, constant, array, 1), -EINVAL);
	assert_int_equal(rp_pool_map(pool, square, array, strings, 1), -EINVAL);
	assert_int_equal(rp_pool_map(pool, dawdle, in, &index, 0), -EINVAL);
	rp_pool_free(pool);
}

static void typed_null_is_no_input(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	double *none = NULL;
	size_t index = 1;

	assert_int_equal(rp_pool_map(pool, dawdle, (void *)NULL, &index, 1), 0);
	assert_int_equal(index, 0);
	index = 1;
	assert_int_equal(rp_pool_map(pool, dawdle, none, &index, 1), 0);
	assert_int_equal(index, 0);
	assert_int_equal(rp_pool_map(pool, say_nothing, none, none, 1), 0);
	rp_pool_free(pool);
}

static int is_finished(size_t index RP_UNUSED, const struct rp_outcome *outcome RP_UNUSED, void *user RP_UNUSED)
{
	return 0;
}

static void show(size_t done RP_UNUSED, size_t total RP_UNUSED, void *user RP_UNUSED)
{
}

static void bad_options_are_refused(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	struct { struct rp_map_options options; uint64_t later; } newer = { { .size = sizeof newer }, 1 };
	double in[64] = { 0 }, out[64] = { 0 };

	assert_refused(-EINVAL, "NULL", NULL, square, in, 8, out, 8, 1, NULL);
	assert_refused(-EINVAL, "NULL", pool, NULL, in, 8, out, 8, 1, NULL);
	assert_refused(-EINVAL, "arg", pool, square, in, 8, out, 8, 1, RP_MAP(.arg = in));
	assert_refused(-EINVAL, "arg", pool, square, in, 8, out, 8, 1, RP_MAP(.arg_size = 1));
	assert_refused(-EINVAL, "RP_DAEMON", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_DAEMON));
	assert_refused(-EINVAL, "RP_UNORDERED", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_UNORDERED));
	assert_refused(-EINVAL, "0x8000", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = 0x8000));
	assert_refused(-EINVAL, ".size", pool, square, in, 8, out, 8, 1, &(struct rp_map_options){ .chunk = 1 });
	assert_refused(-E2BIG, "", pool, square, in, 8, out, 8, 1, &newer.options);
	rp_pool_free(pool);
}

/* They come with later versions; nothing is silently ignored. */
static void what_this_version_cannot_do_is_refused(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	double in[64] = { 0 }, out[64] = { 0 };

	assert_refused(-ENOTSUP, "time", pool, square, in, 8, out, 8, 1, RP_MAP(.timeout = RP_SECOND));
	assert_refused(-ENOTSUP, "time", pool, square, in, 8, out, 8, 1, RP_MAP(.total_timeout = RP_SECOND));
	assert_refused(-ENOTSUP, "tries", pool, square, in, 8, out, 8, 1, RP_MAP(.tries = 2));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_FAIL_FAST));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_RESUME));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_RETRY_LOST));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.flags = RP_TIMES));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.finished = is_finished));
	assert_refused(-ENOTSUP, "", pool, square, in, 8, out, 8, 1, RP_MAP(.progress = show));
	assert_int_equal(rp_pool_map(pool, square, in, out, 1, RP_MAP(.tries = 1)), 0);
	rp_pool_free(pool);
}

/* ---- failing items -------------------------------------------------------------------------------------- */

/* Items that are negative fail with that code; others are squared.  Both write to out. */
static int reject_negative(struct rp_task *task, const void *in, void *out)
{
	int x = *(const int *)in;

	*(int *)out = (int)((unsigned)x * (unsigned)x);
	if (x == -7 || x == 7)
		(void)!rp_task_fail(task, "%d is %s: 100%%", x, "no good");
	return x < 0 ? x : 0;
}

static void pool_34_all_items_run_although_some_fail(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	int in[] = { 1, 2, 7, -7, 4, -3, INT_MIN, 5 }, out[LENGTH(in)];
	struct rp_outcome outcomes[LENGTH(in)];
	struct rp_error err = { 0 };

	memset(out, 0x77, sizeof out);
	memset(outcomes, 0x77, sizeof outcomes);
	in[6] = -2000000000;
	assert_int_equal(rp_pool_map(pool, reject_negative, in, out, LENGTH(in), RP_MAP(.outcomes = outcomes), &err),
	                 -EREMOTEIO);
	assert_int_equal(err.code, -EREMOTEIO);
	assert_int_equal(err.index, 3);
	assert_non_null(strstr(err.text, "3 of 8 items failed, first item 3: -7 is no good: 100%"));
	for (size_t i = 0; i < LENGTH(in); i++) {
		assert_int_equal(outcomes[i].state, in[i] < 0 ? RP_FAILED : RP_OK);
		assert_int_equal(outcomes[i].code, in[i] < 0 ? in[i] : 0);
		assert_int_equal(outcomes[i].tries, 1);
		assert_in_range(outcomes[i].rank, 0, 1);
		assert_int_equal(outcomes[i].node, 0);
		assert_int_equal(outcomes[i].started, 0);
		assert_int_equal(outcomes[i].ended, 0);
		assert_int_equal(out[i], in[i] < 0 ? 0x77777777 : in[i] * in[i]);
		assert_string_equal(outcomes[i].text, in[i] == -7   ? "-7 is no good: 100%"
		                                      : in[i] == -3 ? "the task returned -3"
		                                      : in[i] < 0   ? "the task returned -2000000000"
		                                                    : "");
	}
	rp_pool_free(pool);
}

#define LONG_TEXT ((size_t)1 << 20)

/* A text in which every byte depends on where it is. */
static char *long_text(size_t index, size_t size)
{
	char *text = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		text[i] = (char)('a' + (i * 7 + index + i / 4096) % 26);
	text[size] = 0;
	return text;
}

static int complain_at_length(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	char *text = long_text(rp_task_index(task), LONG_TEXT);
	int r;

	(void)!rp_task_fail(task, "not this");
	r = rp_task_fail(task, "%s", text);
	free(text);
	return r;
}

static void pool_17_texts_arrive_whole(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_outcome outcomes[16];
	struct rp_error err = { 0 };

	assert_int_equal(rp_pool_map(pool, complain_at_length, NULL, NULL, 16, RP_MAP(.outcomes = outcomes), &err),
	                 -EREMOTEIO);
	for (size_t i = 0; i < 16; i++) {
		char *text = long_text(i, LONG_TEXT);

		assert_int_equal(outcomes[i].state, RP_FAILED);
		assert_int_equal(outcomes[i].code, 1);
		assert_int_equal(strlen(outcomes[i].text), LONG_TEXT);
		assert_string_equal(outcomes[i].text, text);
		free(text);
	}
	rp_outcomes_clear(outcomes, 8);
	for (size_t i = 0; i < 8; i++)
		assert_true(outcomes[i].state == RP_PENDING && !outcomes[i].text);
	assert_int_equal(strlen(outcomes[8].text), LONG_TEXT);
	rp_pool_free(pool);
	rp_outcomes_clear(outcomes, 16);
	rp_outcomes_clear(NULL, 16);
}

static int fail_quietly(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	const char *text = in;

	return *text == '0' ? 0 : rp_task_fail(task, "%s", text + 1);
}

static void texts_may_be_empty_and_in_the_way(void **state)
{
	struct rp_pool *pool = pool_in(state, 1);
	struct rp_bytes in[] = { rp_text("1"), rp_text("0ok"), rp_text("1%n%s\n") };
	struct rp_outcome outcomes[3];
	struct rp_error err = { 0 };

	assert_int_equal(rp_pool_map_bytes(pool, fail_quietly, in, NULL, 3, RP_MAP(.outcomes = outcomes), &err), -EREMOTEIO);
	assert_int_equal(err.index, 0);
	assert_string_equal(outcomes[0].text, "");
	assert_string_equal(outcomes[1].text, "");
	assert_string_equal(outcomes[2].text, "%n%s\n");
	rp_pool_free(pool);
}

/* A pool may live for months, and nobody can reach the texts of maps that keep no outcomes. */
static void failing_maps_do_not_pile_up(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	size_t before;

	for (int i = 0; i < 5; i++)
		rp_pool_map(pool, complain_at_length, NULL, NULL, 2);
	before = arena_bytes();
	for (int i = 0; i < 60; i++)
		assert_int_equal(rp_pool_map(pool, complain_at_length, NULL, NULL, 2), -EREMOTEIO);
	assert_true(arena_bytes() < before + 20 * LONG_TEXT);
	rp_pool_free(pool);
}

/* ---- items and results of any size ---------------------------------------------------------------------- */

static size_t size_of_item(size_t index)
{
	static const size_t sizes[] = { 0,    1,     7,     63,    64,    65,    4095,   4096,
		                        4097, 32767, 32768, 32769, 65535, 65536, 100000, 3000000 };

	return sizes[index % LENGTH(sizes)];
}

/* Gives the item back in reverse; says so in an error when it did not look like what was sent. */
static int reverse(struct rp_task *task, const void *in, void *out)
{
	size_t index = rp_task_index(task), size = rp_task_in_size(task);
	char *text = long_text(index, size_of_item(index));
	int r;

	if (size != size_of_item(index) || (size && memcmp(in, text, size) != 0) || out)
		r = rp_task_fail(task, "item %zu has %zu bytes, or others than were sent", index, size);
	else {
		for (size_t i = 0; i < size; i++)
			text[i] = ((const char *)in)[size - 1 - i];
		r = rp_task_reply(task, text, size);
	}
	free(text);
	return r;
}

static void items_and_results_have_any_size(void **state)
{
	struct rp_pool *pool = pool_in(state, 3);
	struct rp_bytes in[64], out[64];
	struct rp_error err = { .text = "" };

	for (size_t i = 0; i < 64; i++)
		in[i] = (struct rp_bytes){ i % 32 ? long_text(i, size_of_item(i)) : NULL, i % 32 ? size_of_item(i) : 0 };
	if (rp_pool_map_bytes(pool, reverse, in, out, 64, NULL, &err) < 0)
		fail_msg("%s", err.text);
	rp_pool_free(pool);
	for (size_t i = 0; i < 64; i++) {
		const char *data = out[i].data, *sent = in[i].data;

		assert_int_equal(out[i].size, in[i].size);
		assert_non_null(data);
		assert_int_equal(data[out[i].size], 0);
		for (size_t k = 0; k < in[i].size; k++)
			if (data[k] != sent[in[i].size - 1 - k])
				fail_msg("item %zu differs at %zu", i, k);
		free((void *)(uintptr_t)sent);
	}
	rp_bytes_free(out, 64);
	for (size_t i = 0; i < 64; i++)
		assert_true(!out[i].data && !out[i].size);
	rp_bytes_free(out, 64);
	rp_bytes_free(NULL, 64);
}

/* Replies, some of them twice, and fails for every third item. */
static int reply_or_fail(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	size_t index = rp_task_index(task);

	if (rp_task_reply(task, "a reply that is overwritten", 27) < 0)
		return 5;
	if (index % 2 && rp_task_reply(task, "the last one", 12) < 0)
		return 6;
	return index % 3 ? 0 : 7;
}

static void results_of_failed_items_are_dropped(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_bytes out[60];
	size_t before;

	memset(out, 0x77, sizeof out);
	assert_int_equal(rp_pool_map_bytes(pool, reply_or_fail, NULL, out, 60, NULL, NULL), -EREMOTEIO);
	for (size_t i = 0; i < 60; i++) {
		assert_int_equal(out[i].size, i % 3 == 0 ? 0 : i % 2 ? 12 : 27);
		if (i % 3 == 0)
			assert_null(out[i].data);
		else
			assert_string_equal(out[i].data, i % 2 ? "the last one" : "a reply that is overwritten");
	}
	rp_bytes_free(out, 60);
	assert_int_equal(rp_pool_map_bytes(pool, say_nothing, NULL, out, 60, NULL, NULL), 0);
	for (size_t i = 0; i < 60; i++)
		assert_true(!out[i].data && !out[i].size);
	before = arena_bytes();
	for (int i = 0; i < 2000; i++)
		assert_int_equal(rp_pool_map_bytes(pool, reply_or_fail, NULL, NULL, 60, NULL, NULL), -EREMOTEIO);
	assert_true(arena_bytes() < before + ((size_t)2 << 20));
	rp_pool_free(pool);
}

#define HUGE (((size_t)4 << 30) + 12345)

static int look_at_ends(struct rp_task *task, const void *in, void *out)
{
	const char *text = in;

	if (rp_task_in_size(task) != HUGE || text[0] != 'a' || text[HUGE - 1] != 'z')
		return rp_task_fail(task, "%zu bytes", rp_task_in_size(task));
	if (!out)
		return rp_task_reply(task, text + HUGE - 3, 3);
	((char *)out)[HUGE - 1] = '!';
	return 0;
}

/* From memory that reads as zeros and costs nothing. */
static int reply_hugely(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	char *zeros = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (zeros == MAP_FAILED)
		return 1;
	madvise(zeros, HUGE, MADV_HUGEPAGE);
	zeros[0] = 'b';
	zeros[HUGE - 1] = 'y';
	return rp_task_reply(task, zeros, HUGE);
}

/* The second piece finds the pages of the first: making them real is what takes the time. */
static void map_huge(void)
{
	struct rp_bytes item, result;
	struct rp_pool *pool;
	const char *data;
	char *memory;

	must(rp_pool_new(&pool, RP_POOL(.workers = 1), RP_FATAL) == 0);
	memory = rp_alloc(HUGE);
	must(memory);
	memory[0] = 'a';
	memory[HUGE - 3] = 'x';
	memory[HUGE - 1] = 'z';
	item = (struct rp_bytes){ memory, HUGE };
	must(rp_pool_map_bytes(pool, look_at_ends, &item, &result, 1, NULL, RP_FATAL) == 0);
	data = result.data;
	must(result.size == 3 && data[0] == 'x' && data[2] == 'z');
	rp_bytes_free(&result, 1);
	must(rp_pool_map_array(pool, look_at_ends, memory, HUGE, memory, HUGE, 1, NULL, RP_FATAL) == 0);
	must(memory[HUGE - 1] == '!');
	rp_free(memory);
	must(rp_pool_map_bytes(pool, reply_hugely, NULL, &result, 1, NULL, RP_FATAL) == 0);
	data = result.data;
	must(result.size == HUGE && data[0] == 'b' && data[HUGE - 1] == 'y' && data[HUGE] == 0);
	rp_bytes_free(&result, 1);
	rp_pool_free(pool);
}

/* In a child, so that the memory is gone at once. */
static void items_and_results_above_4_gib(void **state RP_UNUSED)
{
	size_t available = memory_available(SIZE_MAX);
	pid_t pid;

	if (SLOWER > 1 || available < (size_t)8 << 30) {
		print_message("# skipped: 8 GiB of memory are needed, there are %.1f, or a sanitizer is at work\n",
		              (double)available / (1 << 30));
		skip();
	}
	pid = begin(map_huge);
	assert_int_equal(code_of(pid), 0);
}

/* ---- what a map gives to its tasks ---------------------------------------------------------------------- */

struct wish {
	char text[40];
	int number;
};

static int read_argument(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	size_t size = 99;
	const struct wish *wish = rp_task_arg(task, &size);

	*(int *)out = size == sizeof *wish && !strcmp(wish->text, "in a block") ? wish->number
	              : wish                                                    ? -1
	                                                                        : (int)size - 1000;
	return 0;
}

static int where_argument_is(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	*(const void **)out = rp_task_arg(task, NULL);
	return 0;
}

static void arguments_are_shipped_once_for_all(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct wish wish = { "in a block", 42 }, *shared = rp_alloc(sizeof *shared);
	const void *where[50];
	int out[50];

	assert_int_equal(rp_pool_map(pool, read_argument, NULL, out, 50, RP_MAP(RP_ARG(wish))), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(out[i], 42);
	assert_int_equal(rp_pool_map(pool, read_argument, NULL, out, 50), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(out[i], -1000);
	assert_int_equal(rp_pool_map(pool, where_argument_is, NULL, where, 50,
	                             RP_MAP(.arg = shared, .arg_size = sizeof *shared)), 0);
	for (int i = 0; i < 50; i++)
		assert_ptr_equal(where[i], shared);
	rp_free(shared);
	rp_pool_free(pool);
}

static int give_seed(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	*(uint64_t *)out = rp_task_seed(task);
	return 0;
}

static void seeds_depend_on_seed_and_index_alone(void **state)
{
	uint64_t expected[200], seeds[200];

	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct rp_pool *pool = pool_in(state, workers);

		assert_int_equal(rp_pool_map(pool, give_seed, NULL, seeds, 200, RP_MAP(.seed = 7, .chunk = workers)), 0);
		if (workers == 1)
			memcpy(expected, seeds, sizeof seeds);
		assert_memory_equal(seeds, expected, sizeof seeds);
		assert_int_equal(rp_pool_map(pool, give_seed, NULL, seeds, 200, RP_MAP(.seed = 8)), 0);
		for (int i = 0; i < 200; i++)
			for (int k = 0; k < 200; k++)
				assert_true(seeds[i] != expected[k] && (i == k || seeds[i] != seeds[k]));
		rp_pool_free(pool);
	}
}

/* ---- sharing out ---------------------------------------------------------------------------------------- */

struct meeting {
	_Atomic uint32_t begun, done;
	uint32_t others;
};

/* The first item ends only when all others have, and these begin only when it has: a worker that kept more than the
 * first item to itself would wait for ever. */
static int wait_for_others(struct rp_task *task, const void *in RP_UNUSED, void *out)
{
	struct meeting *meeting = (void *)(uintptr_t)rp_task_arg(task, NULL);

	if (rp_task_index(task) == 0) {
		meeting->begun = 1;
		*(int *)out = WAIT_FOR(meeting->done == meeting->others);
	} else {
		*(int *)out = WAIT_FOR(meeting->begun);
		atomic_fetch_add(&meeting->done, 1);
	}
	return 0;
}

static void a_slow_item_holds_up_no_other(void **state)
{
	struct meeting *meeting = rp_alloc(sizeof *meeting);

	for (uint32_t workers = 2; workers <= 4; workers++) {
		struct rp_pool *pool = pool_in(state, workers);
		struct rp_outcome outcomes[1000];
		int out[1000] = { 0 };

		*meeting = (struct meeting){ .others = 999 };
		assert_int_equal(rp_pool_map(pool, wait_for_others, NULL, out, 1000,
		                             RP_MAP(.arg = meeting, .arg_size = sizeof *meeting, .chunk = workers % 2,
		                                    .outcomes = outcomes)), 0);
		for (int i = 0; i < 1000; i++) {
			assert_int_equal(out[i], 1);
			assert_true(i == 0 || outcomes[i].rank != outcomes[0].rank);
		}
		rp_pool_free(pool);
	}
	rp_free(meeting);
}

struct caller {
	struct rp_pool *pool;
	pthread_t thread;
	int rounds, bad;
	uint32_t number;
};

/* Each of its maps has other items and another length. */
static void *map_and_check(void *arg)
{
	struct caller *caller = arg;
	uint32_t in[700], out[700];

	for (int round = 0; round < caller->rounds; round++) {
		uint32_t count = 1 + (caller->number * 131 + (uint32_t)round * 17) % 700;

		for (uint32_t i = 0; i < count; i++)
			in[i] = caller->number * 1000000 + (uint32_t)round * 1000 + i;
		caller->bad += rp_pool_map(caller->pool, twice_and_one, in, out, count) != 0;
		for (uint32_t i = 0; i < count; i++)
			caller->bad += out[i] != in[i] * 2 + 1;
	}
	return NULL;
}

static int bad_of(struct caller *callers, uint32_t count)
{
	int bad = 0;

	for (uint32_t i = 0; i < count; i++) {
		callers[i].number = i;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, map_and_check, &callers[i]), 0);
	}
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
		bad += callers[i].bad;
	}
	return bad;
}

/* Of which a pool runs four at a time. */
static void pool_60_many_threads_map_on_one_pool(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct caller callers[9];

	for (size_t i = 0; i < LENGTH(callers); i++)
		callers[i] = (struct caller){ .pool = pool, .rounds = 40 };
	assert_int_equal(bad_of(callers, LENGTH(callers)), 0);
	rp_pool_free(pool);
}

static void two_pools_at_once(void **state)
{
	struct rp_pool *pools[2] = { pool_in(state, 2), pool_in(state, 3) };
	struct caller callers[4];

	for (size_t i = 0; i < LENGTH(callers); i++)
		callers[i] = (struct caller){ .pool = pools[i % 2], .rounds = 60 };
	assert_int_equal(bad_of(callers, LENGTH(callers)), 0);
	pools[0] = rp_pool_free(pools[0]);
	check_squares(pools[1], 100, 0);
	pools[1] = rp_pool_free(pools[1]);
}

static int map_within(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	struct rp_pool *pool = *(struct rp_pool *const *)in;
	uint32_t one = 1, two = 0;

	*(int *)out = rp_pool_map(pool, twice_and_one, &one, &two, 1);
	return two != 0;
}

/* A task that waited for its own pool could wait for itself. */
static void tasks_cannot_use_the_pool_that_runs_them(void **state)
{
	struct rp_pool *pool = pool_in(state, 2);
	struct rp_pool *in[4] = { pool, pool, pool, pool };
	int out[4];

	assert_int_equal(rp_pool_map(pool, map_within, in, out, 4), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(out[i], world_of(state)->kind == RP_THREADS ? -EDEADLK : -EPERM);
	rp_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERYWHERE(pool_26_map_keeps_order),
		EVERYWHERE(pool_31_few_items),
		EVERYWHERE(order_does_not_depend_on_durations),
		EVERYWHERE(ten_million_items),
		EVERYWHERE(pool_32_structs_are_items),
		EVERYWHERE(each_item_runs_once_with_neither_input_nor_result),
		EVERYWHERE(results_may_take_the_place_of_items),
		EVERYWHERE(overlaps_are_refused),
		EVERYWHERE(negative_counts_are_refused),
		ONCE(sizes_that_add_up_to_nothing_are_refused),
		EVERYWHERE(pointers_that_tell_no_size_are_refused),
		EVERYWHERE(typed_null_is_no_input),
		EVERYWHERE(bad_options_are_refused),
		EVERYWHERE(what_this_version_cannot_do_is_refused),
		EVERYWHERE(pool_34_all_items_run_although_some_fail),
		EVERYWHERE(pool_17_texts_arrive_whole),
		EVERYWHERE(texts_may_be_empty_and_in_the_way),
		EVERYWHERE(failing_maps_do_not_pile_up),
		EVERYWHERE(items_and_results_have_any_size),
		EVERYWHERE(results_of_failed_items_are_dropped),
		ONCE(items_and_results_above_4_gib),
		EVERYWHERE(arguments_are_shipped_once_for_all),
		EVERYWHERE(seeds_depend_on_seed_and_index_alone),
		EVERYWHERE(a_slow_item_holds_up_no_other),
		EVERYWHERE(pool_60_many_threads_map_on_one_pool),
		EVERYWHERE(two_pools_at_once),
		EVERYWHERE(tasks_cannot_use_the_pool_that_runs_them),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
