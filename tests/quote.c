/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/quote.c - values in shell lines: real shells are asked what arrives, and whether anything was run. */
#include "../launcher/quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static const char *const nasty[] = {
	"a", "", " ", "a b", "  a  b ", "a\nb", "a\tb", "it's", "'", "''", "'''", "a''b", "\"", "\"\"", "\\", "\\\\",
	"a\\", "\\n", "$HOME", "${HOME}", "$(echo ran)", "`echo ran`", "$((1+1))", "*", "?", "[a-z]", "~", "~root",
	"a=b", "{a,b}", "{1..3}", "!x", "!!", "#", "# x", "a#b", ";", "&", "|", "<x", ">x", "(a)", "-n", "--",
	"'; echo ran; '", "\"; echo ran; \"", "'$(echo ran)'", "\"$(echo ran)\"", "'\"$(echo ran)\"'",
	"\\'; echo ran; \\'", "`echo ran`'`echo ran`", "}$(echo ran)", ") ; echo ran", "\n echo ran\n", "\\\n",
	"\xc3\xa9", "\xff\xfe", "%s%n", "\001\002", "a'b\"c`d$e\\f",
};

static struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

/* What a template's text is around a value. */
struct frame {
	const char *before, *after;
	int quoted;                             /* inside "...": the value arrives with the quotes that it needs */
};

static void write_line(struct buffer *line, const struct frame *frame, const char *value)
{
	struct quote_scanner scanner = { 0 };
	const char *why = NULL;
	int place;

	for (const char *at = frame->before; *at; at++)
		quote_scan(&scanner, *at);
	place = quote_scan_value(&scanner, &why);
	assert_true(place >= 0);
	buffer_text(line, frame->before);
	quote_add(line, QUOTE_BOURNE, place, slice_of(value));
	buffer_text(line, frame->after);
	buffer_byte(line, 0);
}

/* Runs a line and returns what it printed. */
static void ask(const char *shell, const char *line, struct buffer *ret)
{
	int ends[2];
	char block[4096];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	if (fork() == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(shell, shell, "-c", line, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((n = read(ends[0], block, sizeof block)) > 0)
		buffer_add(ret, block, (size_t)n);
	close(ends[0]);
	wait(NULL);
	buffer_byte(ret, 0);
}

static void expect_to_arrive(const char *shell, const struct frame *frame, const char *value)
{
	struct buffer line = { 0 }, got = { 0 }, expected = { 0 };

	write_line(&line, frame, value);
	ask(shell, line.data, &got);
	if (frame->quoted)
		quote_add(&expected, QUOTE_BOURNE, QUOTE_PLAIN, slice_of(value));
	else
		buffer_text(&expected, value);
	buffer_text(&expected, "|");
	buffer_byte(&expected, 0);
	if (strcmp(got.data, expected.data) != 0)
		fail_msg("%s: line <%s> gave <%s>, not <%s>", shell, line.data, got.data, expected.data);
	buffer_free(&line);
	buffer_free(&got);
	buffer_free(&expected);
}

static void try_all(const char *shell, const struct frame *frames, size_t count)
{
	for (size_t f = 0; f < count; f++)
		for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++)
			expect_to_arrive(shell, &frames[f], nasty[i]);
}

static const struct frame frames[] = {
	{ "printf '%s|' ", "", 0 },
	{ "printf '%s|' ''", "''", 0 },
	{ "printf '%s|' '", "'", 0 },
	{ "printf '%s|' \"", "\"", 1 },
	{ "printf '%s|' \"$(printf '%s.' ", ")\" | sed 's/\\.|$/|/'", 0 },
	{ "printf '%s|' \"`printf '%s.' ", "`\" | sed 's/\\.|$/|/'", 0 },
	{ "if true; then (printf '%s|' ", "); fi", 0 },
	{ "v=", "; printf '%s|' \"$v\"", 0 },
	{ "v=\"", "\"; printf '%s|' \"$v\"", 1 },
	{ "printf '%s|' \"a'b\" >/dev/null; printf '%s|' ", "", 0 },
};

static void a_value_arrives_whole(void **state UNUSED)
{
	try_all("/bin/sh", frames, sizeof frames / sizeof *frames);
}

static void a_value_arrives_whole_in_bash(void **state UNUSED)
{
	static const struct frame ansi[] = { { "printf '%s|' $'", "'", 0 }, { "printf '%s|' $'\\t\\'x", "'", 0 } };

	if (access("/bin/bash", X_OK) < 0)
		skip();
	try_all("/bin/bash", frames, sizeof frames / sizeof *frames);
	try_all("/bin/bash", ansi, 1);
}

static void a_comment_stays_one(void **state UNUSED)
{
	static const struct frame comment = { "printf 'x|' # it's ", "", 0 };

	for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
		struct buffer line = { 0 }, got = { 0 };

		write_line(&line, &comment, nasty[i]);
		ask("/bin/sh", line.data, &got);
		assert_string_equal(got.data, "x|");
		buffer_free(&line);
		buffer_free(&got);
	}
}

static void expect_written(enum quote_dialect dialect, int place, const char *value, const char *expected)
{
	struct buffer got = { 0 };

	quote_add(&got, dialect, place, slice_of(value));
	buffer_byte(&got, 0);
	assert_string_equal(got.data, expected);
	buffer_free(&got);
}

static void words_are_those_of_gnu_parallel(void **state UNUSED)
{
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "a-b_c.d+e/F9", "a-b_c.d+e/F9");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "", "''");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "a b", "'a b'");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "it's", "'it'\"'\"'s'");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "'", "\"'\"");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "'a'", "\"'\"'a'\"'\"");
	expect_written(QUOTE_BOURNE, QUOTE_PLAIN, "a:b", "'a:b'");
	expect_written(QUOTE_BOURNE, QUOTE_RAW, "a b", "a b");
}

static void other_dialects(void **state UNUSED)
{
	expect_written(QUOTE_CSH, QUOTE_PLAIN, "a b!$'\\", "a\\ b\\!\\$\\'\\\\");
	expect_written(QUOTE_CSH, QUOTE_PLAIN, "a\nb", "a\"\\\n\"b");
	expect_written(QUOTE_CSH, QUOTE_DOUBLE, "$x", "\"\\$x\"");
	expect_written(QUOTE_CSH, QUOTE_SINGLE, "it's", "'it\\'s'");
	expect_written(QUOTE_FISH, QUOTE_PLAIN, "it's \\", "'it\\'s \\\\'");
	expect_written(QUOTE_FISH, QUOTE_SINGLE, "it's", "it\\'s");
	expect_written(QUOTE_FISH, QUOTE_DOUBLE, "$x", "'\\$x'");
}

static void shells_are_known_by_name(void **state UNUSED)
{
	assert_int_equal(quote_dialect("/bin/sh"), QUOTE_BOURNE);
	assert_int_equal(quote_dialect("zsh"), QUOTE_BOURNE);
	assert_int_equal(quote_dialect("/usr/bin/tcsh"), QUOTE_CSH);
	assert_int_equal(quote_dialect("/usr/bin/fish"), QUOTE_FISH);
	assert_int_equal(quote_dialect("/usr/bin/python3"), -1);
	assert_int_equal(quote_dialect(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_arrives_whole),
		cmocka_unit_test(a_value_arrives_whole_in_bash),
		cmocka_unit_test(a_comment_stays_one),
		cmocka_unit_test(words_are_those_of_gnu_parallel),
		cmocka_unit_test(other_dialects),
		cmocka_unit_test(shells_are_known_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
