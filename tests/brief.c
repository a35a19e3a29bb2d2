/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/brief.c - what every worker has to know about a run, as bytes and back, and bytes that are something else. */
#include "../launcher/brief.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static const char *words[] = { "echo", "", "{} a  b\n" };
static const char *variables[] = { "A=1", "EMPTY=" };

static struct brief example(void)
{
	struct brief brief = { .name = "rankpool map", .words = words, .word_count = 3, .shell = "zsh", .dialect = QUOTE_CSH,
		               .environment = variables, .variable_count = 2, .directory = "/a b", .output_directory = "",
		               .mask = 027, .timeout = INT64_MAX, .workers = 70000, .manager = 4711, .way = -1,
		               .launched = 1 };

	sigemptyset(&brief.ignored);
	sigaddset(&brief.ignored, SIGHUP);
	return brief;
}

static void expect_list(const char *const *got, size_t count, const char *const *expected, size_t expected_count)
{
	assert_int_equal(count, expected_count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(got[i], expected[i]);
	assert_null(got[count]);
}

static void everything_arrives(void **state UNUSED)
{
	const struct brief brief = example();
	struct buffer packed = { 0 };
	struct brief got;

	brief_pack(&brief, &packed);
	assert_int_equal(brief_unpack(packed.data, packed.size, &got), 0);
	assert_string_equal(got.name, brief.name);
	expect_list(got.words, got.word_count, words, 3);
	assert_string_equal(got.shell, "zsh");
	assert_int_equal(got.dialect, QUOTE_CSH);
	expect_list(got.environment, got.variable_count, variables, 2);
	assert_string_equal(got.directory, "/a b");
	assert_string_equal(got.output_directory, "");
	assert_int_equal(got.mask, 027);
	assert_true(sigismember(&got.ignored, SIGHUP));
	assert_false(sigismember(&got.ignored, SIGINT));
	assert_int_equal(got.timeout, INT64_MAX);
	assert_int_equal(got.workers, 70000);
	assert_int_equal(got.manager, 4711);
	assert_int_equal(got.way, -1);
	assert_int_equal(got.launched, 1);
	brief_done(&got);
	buffer_free(&packed);
}

/* In memory of exactly that size, so that a sanitizer sees what is read beyond it. */
static int unpack(const char *data, size_t size)
{
	char *exact = size ? malloc(size) : NULL;
	struct brief got;
	int r;

	if (size) {
		assert_non_null(exact);
		memcpy(exact, data, size);
	}
	r = brief_unpack(exact, size, &got);
	if (r == 0)
		brief_done(&got);
	free(exact);
	return r;
}

static void what_is_cut_or_too_long_is_refused(void **state UNUSED)
{
	const struct brief brief = example();
	struct buffer packed = { 0 };

	brief_pack(&brief, &packed);
	for (size_t size = 0; size < packed.size; size++)
		assert_int_equal(unpack(packed.data, size), -EBADMSG);
	buffer_byte(&packed, 0);
	assert_int_equal(unpack(packed.data, packed.size), -EBADMSG);
	assert_int_equal(unpack(packed.data, packed.size - 1), 0);
	buffer_free(&packed);
}

/* Every number in it, lengths and counts among them, as large as it gets: it is read, or refused, and that is all. */
static void no_length_is_believed(void **state UNUSED)
{
	const struct brief brief = example();
	struct buffer packed = { 0 };
	int refused = 0;

	brief_pack(&brief, &packed);
	for (size_t at = 0; at + 8 <= packed.size; at++) {
		char kept[8];

		for (int byte = 0x7f; byte <= 0xff; byte += 0x80) {
			memcpy(kept, packed.data + at, 8);
			memset(packed.data + at, byte, 8);
			refused += unpack(packed.data, packed.size) == -EBADMSG;
			memcpy(packed.data + at, kept, 8);
		}
	}
	assert_true(refused > 100);
	assert_int_equal(unpack(packed.data, packed.size), 0);
	buffer_free(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives),
		cmocka_unit_test(what_is_cut_or_too_long_is_refused),
		cmocka_unit_test(no_length_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
