/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/inputs.c - records out of words and files, alone, combined and linked; slow ones; wrong ones. */
#include "../launcher/inputs.h"
#include "../launcher/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define MOST 32

#define WORDS(...) ((char *[MOST]){ __VA_ARGS__ })

static const struct cli_list no_files;
static char names[3][64];                       /* of files in the test's directory */

static void write_file(int which, const char *bytes, size_t size)
{
	int fd = open(names[which], O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static struct inputs *open_words(char **words, const struct cli_list *files, char delimiter)
{
	size_t count = 0, command;

	while (words[count])
		count++;
	return inputs_new("test", words, count, files, delimiter, &command);
}

static void append(struct buffer *all, const struct record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		if (i)
			buffer_byte(all, ',');
		buffer_add(all, record->values[i].data, record->values[i].size);
	}
	buffer_byte(all, ';');
}

/* All records as "a,b;c,d;" */
static void expect(struct inputs *inputs, const char *expected)
{
	struct buffer all = { 0 };
	struct record record;
	unsigned long long seq = 0;
	int r;

	assert_non_null(inputs);
	while ((r = inputs_next(inputs, &record)) > 0) {
		assert_int_equal(record.seq, ++seq);
		append(&all, &record);
	}
	assert_int_equal(r, 0);
	assert_int_equal(inputs_next(inputs, &record), 0);
	buffer_byte(&all, 0);
	assert_string_equal(all.data, expected);
	buffer_free(&all);
	inputs_free(inputs);
}

static void expect_words(char **words, const char *expected)
{
	expect(open_words(words, &no_files, '\n'), expected);
}

static void words_behind_the_separator(void **state UNUSED)
{
	size_t command;

	expect_words(WORDS("echo", ":::", "a", "b", ""), "a;b;;");
	expect_words(WORDS(":::", "a"), "a;");
	expect_words(WORDS("echo", ":::"), "");
	inputs_free(inputs_new("test", WORDS("e", "f", ":::", "a"), 4, &no_files, '\n', &command));
	assert_int_equal(command, 2);
}

static void sources_combine_the_last_fastest(void **state UNUSED)
{
	expect_words(WORDS(":::", "a", "b", ":::", "x", "y", ":::", "1", "2"),
	             "a,x,1;a,x,2;a,y,1;a,y,2;b,x,1;b,x,2;b,y,1;b,y,2;");
	expect_words(WORDS(":::", "a", ":::", "x", "y"), "a,x;a,y;");
	/* One that is empty among others gives one empty value. */
	expect_words(WORDS(":::", "a", "b", ":::"), "a,;b,;");
	expect_words(WORDS(":::", ":::", "1", "2"), ",1;,2;");
	expect_words(WORDS(":::", ":::"), "");
}

static void linked_sources_go_in_step(void **state UNUSED)
{
	expect_words(WORDS(":::", "a", "b", ":::+", "x", "y"), "a,x;b,y;");
	expect_words(WORDS(":::", "a", "b", "c", ":::+", "x", "y"), "a,x;b,y;");
	expect_words(WORDS(":::", "a", "b", ":::+", "x", "y", "z"), "a,x;b,y;");
	expect_words(WORDS(":::", "a", "b", ":::+"), "a,;");
	expect_words(WORDS(":::", "a", "b", "c", ":::+", "x", "y", ":::", "1", "2"), "a,x,1;a,x,2;b,y,1;b,y,2;");
	expect_words(WORDS(":::", "1", "2", ":::", "a", "b", ":::+", "x", "y", "z"), "1,a,x;1,b,y;2,a,x;2,b,y;");
	expect_words(WORDS(":::+", "a", "b"), "a;b;");
}

static void lines_of_files(void **state UNUSED)
{
	struct cli_list files = { (const char *[]){ names[0], names[1] }, 2 };

	write_file(0, "a\n\n b \nc", 8);
	write_file(1, "x\ny\n", 4);
	expect_words(WORDS("::::", names[0]), "a;; b ;c;");
	expect_words(WORDS("::::", names[1], names[1]), "x,x;x,y;y,x;y,y;");
	expect_words(WORDS("::::", names[0], "::::+", names[1]), "a,x;,y;");
	expect_words(WORDS(":::", "1", "2", "::::", names[1]), "1,x;1,y;2,x;2,y;");
	expect_words(WORDS("::::", names[1], ":::", "1", "2"), "x,1;x,2;y,1;y,2;");
	expect(open_words(WORDS("echo", ":::", "1"), &files, '\n'), "a,x,1;a,y,1;,x,1;,y,1; b ,x,1; b ,y,1;c,x,1;c,y,1;");
	write_file(0, "", 0);
	expect_words(WORDS("::::", names[0]), "");
	expect_words(WORDS("::::", names[0], ":::", "1", "2"), ",1;,2;");
}

static void records_that_end_with_nul(void **state UNUSED)
{
	write_file(0, "a b\0\nc\0\0d", 9);
	expect(open_words(WORDS("::::", names[0]), &no_files, 0), "a b;\nc;;d;");
}

static void a_nul_inside_becomes_two_characters(void **state UNUSED)
{
	write_file(0, "a\0b\n\0\nc\n", 8);
	expect_words(WORDS("::::", names[0]), "a\\0b;\\0;c;");
}

static void long_lines(void **state UNUSED)
{
	const size_t size = 300000;
	char *bytes = malloc(size);
	struct record record;
	struct inputs *inputs;

	assert_non_null(bytes);
	memset(bytes, 'x', size);
	bytes[100000] = bytes[299998] = '\n';
	write_file(0, bytes, size);
	inputs = open_words(WORDS("::::", names[0]), &no_files, '\n');
	for (size_t i = 0; i < 3; i++) {
		static const size_t sizes[] = { 100000, 199997, 1 };

		assert_int_equal(inputs_next(inputs, &record), 1);
		assert_int_equal(record.values[0].size, sizes[i]);
	}
	assert_int_equal(inputs_next(inputs, &record), 0);
	inputs_free(inputs);
	free(bytes);
}

/* A pipe as a file that can be opened by name. */
static int open_pipe(char name[32])
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	snprintf(name, 32, "/dev/fd/%d", ends[0]);
	return ends[1];
}

static void a_slow_input_is_not_waited_for(void **state UNUSED)
{
	struct pollfd ready = { .events = POLLIN };
	struct record record;
	struct inputs *inputs;
	char name[32];
	int end = open_pipe(name);

	inputs = open_words(WORDS("::::", name, ":::", "1", "2"), &no_files, '\n');
	assert_int_equal(inputs_next(inputs, &record), -EAGAIN);
	assert_int_equal(write(end, "a\nb", 3), 3);
	ready.fd = inputs_fd(inputs);
	assert_int_equal(poll(&ready, 1, 0), 1);
	assert_int_equal(inputs_next(inputs, &record), 1);
	assert_int_equal(inputs_next(inputs, &record), 1);
	assert_int_equal(inputs_next(inputs, &record), -EAGAIN);
	assert_int_equal(inputs_next(inputs, &record), -EAGAIN);
	assert_int_equal(poll(&ready, 1, 0), 0);
	close(end);
	assert_int_equal(inputs_next(inputs, &record), 1);
	assert_int_equal(record.values[0].size, 1);
	assert_memory_equal(record.values[0].data, "b", 1);
	assert_int_equal(inputs_next(inputs, &record), 1);
	assert_int_equal(inputs_next(inputs, &record), 0);
	inputs_free(inputs);
}

/* The last source is read once and kept, in whatever pieces it comes. */
static void a_slow_input_that_is_gone_through_twice(void **state UNUSED)
{
	struct buffer all = { 0 };
	struct record record;
	struct inputs *inputs;
	char name[32];
	int end = open_pipe(name), r;

	inputs = open_words(WORDS(":::", "1", "2", "::::", name), &no_files, '\n');
	for (const char *at = "a\nbc\n"; *at; at++) {
		assert_int_equal(write(end, at, 1), 1);
		while ((r = inputs_next(inputs, &record)) > 0)
			append(&all, &record);
		assert_int_equal(r, -EAGAIN);
	}
	close(end);
	while ((r = inputs_next(inputs, &record)) > 0)
		append(&all, &record);
	assert_int_equal(r, 0);
	buffer_byte(&all, 0);
	assert_string_equal(all.data, "1,a;1,bc;2,a;2,bc;");
	buffer_free(&all);
	inputs_free(inputs);
}

static void how_many_are_listed(void **state UNUSED)
{
	static const struct { const char *words[MOST]; size_t listed; } cases[] = {
		{ { ":::", "a", "b" }, 2 },
		{ { ":::", "a", "b", ":::", "x", "y", "z" }, 6 },
		{ { ":::", "a", "b", ":::+", "x", "y", "z" }, 2 },
		{ { ":::", "a", "b", ":::" }, 2 },
		{ { ":::", "a", "::::", names[0] }, SIZE_MAX },
	};

	write_file(0, "a\n", 2);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct inputs *inputs = open_words((char **)(uintptr_t)cases[i].words, &no_files, '\n');

		assert_int_equal(inputs_listed(inputs), cases[i].listed);
		inputs_free(inputs);
	}
}

static void what_cannot_be_read_is_refused(void **state UNUSED)
{
	assert_null(open_words(WORDS("::::", "no such file"), &no_files, '\n'));
	assert_null(open_words(WORDS("::::", "."), &no_files, '\n'));
	assert_null(open_words(WORDS("::::", "-", "-"), &no_files, '\n'));
	assert_null(open_words(WORDS(":::", "a", "::::", names[0], "no such file"), &no_files, '\n'));
}

static int begin(void **state UNUSED)
{
	const char *directory = getenv("TMPDIR");

	for (int i = 0; i < 3; i++) {
		int fd;

		snprintf(names[i], sizeof names[i], "%s/rankpool-test-XXXXXX", directory ? directory : "/tmp");
		fd = mkstemp(names[i]);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static int end(void **state UNUSED)
{
	for (int i = 0; i < 3; i++)
		unlink(names[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_behind_the_separator),
		cmocka_unit_test(sources_combine_the_last_fastest),
		cmocka_unit_test(linked_sources_go_in_step),
		cmocka_unit_test(lines_of_files),
		cmocka_unit_test(records_that_end_with_nul),
		cmocka_unit_test(a_nul_inside_becomes_two_characters),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(a_slow_input_is_not_waited_for),
		cmocka_unit_test(a_slow_input_that_is_gone_through_twice),
		cmocka_unit_test(how_many_are_listed),
		cmocka_unit_test(what_cannot_be_read_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
