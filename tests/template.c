/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/template.c - replacement strings: what they become, when no shell is needed, which are refused. */
#include "../launcher/template.h"
#include "../launcher/part.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define MOST 8

struct words {
	const char *items[MOST];                /* up to the first NULL */
};

#define WORDS(...) (&(const struct words){ { __VA_ARGS__ } })

static size_t count(const struct words *words)
{
	size_t n = 0;

	while (n < MOST && words->items[n])
		n++;
	return n;
}

static struct template *parse(const struct words *command)
{
	char *why = NULL;
	struct template *template = template_new(command->items, count(command), QUOTE_BOURNE, &why);

	if (!template)
		fail_msg("refused: %s", why);
	return template;
}

/* The record number 7 with these values, in `room`. */
static struct record record_of(const struct words *values, struct slice room[MOST])
{
	for (size_t i = 0; i < count(values); i++)
		room[i] = (struct slice){ values->items[i], strlen(values->items[i]) };
	return (struct record){ .seq = 7, .count = count(values), .values = room };
}

static void expect_line(const struct words *command, const struct words *values, const char *line)
{
	struct template *template = parse(command);
	struct slice room[MOST];
	struct record record = record_of(values, room);
	struct buffer got = { 0 };

	template_line(template, &record, 3, &got);
	buffer_byte(&got, 0);
	assert_string_equal(got.data, line);
	buffer_free(&got);
	template_free(template);
}

static void expect_words(const struct words *command, const struct words *values, const struct words *expected)
{
	struct template *template = parse(command);
	struct slice room[MOST];
	struct record record = record_of(values, room);
	struct buffer got = { 0 };
	const char *at;
	size_t n;

	assert_non_null(template_program(template));
	n = template_words(template, &record, 3, &got);
	assert_int_equal(n, count(expected));
	at = got.data;
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(at, expected->items[i]);
		at += strlen(at) + 1;
	}
	assert_ptr_equal(at, got.data + got.size);
	buffer_free(&got);
	template_free(template);
}

static void expect_refused(const char *word, const char *said)
{
	char *why = NULL;

	if (template_new(WORDS("echo", word)->items, 2, QUOTE_BOURNE, &why))
		fail_msg("%s was taken", word);
	assert_non_null(why);
	assert_non_null(strstr(why, said));
	free(why);
}

/* The program of a template, NULL: it needs a shell. */
static void expect_program(const char *command, const char *program)
{
	struct template *template = parse(WORDS(command));

	if (program)
		assert_string_equal(template_program(template), program);
	else
		assert_null(template_program(template));
	template_free(template);
}

static void without_a_replacement_string_one_is_appended(void **state UNUSED)
{
	expect_line(WORDS("echo"), WORDS("a"), "echo a");
	expect_line(WORDS("echo x"), WORDS("a b"), "echo x 'a b'");
	expect_line(WORDS("echo"), WORDS("a", "b"), "echo a b");
}

static void every_part_of_a_value(void **state UNUSED)
{
	expect_line(WORDS("e {} {.} {/} {//} {/.}"), WORDS("d/a.b.c"), "e d/a.b.c d/a.b a.b.c d a.b");
	expect_line(WORDS("e {.}-{/}-{//}-{/.}"), WORDS("a"), "e a-a-.-a");
}

static void one_source_of_several(void **state UNUSED)
{
	const struct words *values = WORDS("d/a.x", "b");

	expect_line(WORDS("e {1} {2} {-1} {-2}"), values, "e d/a.x b b d/a.x");
	expect_line(WORDS("e {1.} {1/} {1//} {1/.} {-2/}"), values, "e d/a a.x d a a.x");
	expect_line(WORDS("e {0}"), values, "e d/a.x b");
	expect_line(WORDS("e {1 /}"), values, "e a.x");
	/* As in GNU parallel: what is not there is nothing. */
	expect_line(WORDS("e <{3}{-3}{99999999999999999999}{-0}>"), values, "e <>");
}

static void numbers_of_job_and_worker(void **state UNUSED)
{
	expect_line(WORDS("e {#} {%} {}"), WORDS("a", "b"), "e 7 3 a b");
}

static void other_braces_are_text(void **state UNUSED)
{
	expect_line(WORDS("e {a} {1,2} {{x}} ${v} ${v:-{} {}}"), WORDS("q"), "e {a} {1,2} {{x}} ${v} ${v:-q q}");
	expect_line(WORDS("{ echo {}; }"), WORDS("q"), "{ echo q; }");
	expect_line(WORDS("e '{' \"}\" \\{ {}"), WORDS("q"), "e '{' \"}\" \\{ q");
	/* What is replaced is not looked at again. */
	expect_line(WORDS("e {}"), WORDS("{#}"), "e '{#}'");
}

static void values_are_quoted_where_they_stand(void **state UNUSED)
{
	const struct words *values = WORDS("a $b");

	expect_line(WORDS("e {}x \"{}\" '{}'"), values, "e 'a $b'x \"'a \\$b'\" 'a $b'");
	expect_line(WORDS("e \"$(e {})\" `e {}`"), values, "e \"$(e 'a $b')\" `e 'a \\$b'`");
	expect_line(WORDS("e # {}"), WORDS("a\nb"), "e # a b");
	expect_line(WORDS("e \\{} \"\\{}\""), values, "e 'a $b' \"\\\\'a \\$b'\"");
	expect_line(WORDS("v={} e"), values, "v='a $b' e");
}

static void the_command_itself_is_not_quoted(void **state UNUSED)
{
	expect_line(WORDS(NULL), WORDS("echo a; echo b"), "echo a; echo b");
	expect_line(WORDS("{} {}"), WORDS("e a"), "e a 'e a'");
	expect_line(WORDS("my_{/} {}"), WORDS("d/x y"), "my_x y 'd/x y'");
	expect_line(WORDS(" {}"), WORDS("e a"), " 'e a'");
}

static void a_shell_is_needed_when_text_means_something_to_it(void **state UNUSED)
{
	static const char *const needed[] = {
		"e {} | f", "e {}; f", "e '{}'", "e \"{}\"", "e \\a", "e $x", "e `x`", "e *", "e ?", "e [a]", "e ~", "e >f",
		"e <f", "e & f", "e (a)", "a=b e", "e a=b", "e {a}", "e {a,b}", "e !x", "e\nf", "e # x", "#e", "{} x",
		"e{} x", "e ^x",
	};

	expect_program("e", "e");
	expect_program("  /b/e-1.2_x {} a:b,c@d%e+f {#} {%} x#y", "/b/e-1.2_x");
	expect_program("e\t{}", "e");
	expect_program("e {}#", "e");
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		expect_program(needed[i], NULL);
}

static void words_of_a_program(void **state UNUSED)
{
	expect_words(WORDS("e  -x\t{}"), WORDS("a  b"), WORDS("e", "-x", "a  b"));
	expect_words(WORDS("e", "p{}s {.}"), WORDS("$(x).c"), WORDS("e", "p$(x).cs", "$(x)"));
	expect_words(WORDS("e", "p{}s"), WORDS("a", "b"), WORDS("e", "pa", "bs"));
	expect_words(WORDS("e {} x"), WORDS(""), WORDS("e", "", "x"));
	expect_words(WORDS("e {#}{%}"), WORDS("a"), WORDS("e", "73"));
	/* One word of the command line may hold several of the command. */
	expect_words(WORDS("e a b"), WORDS("c"), WORDS("e", "a", "b", "c"));
}

static void what_is_wrong_is_refused(void **state UNUSED)
{
	struct buffer deep = { 0 };

	expect_refused("{", "{ is not closed");
	expect_refused("{1 x", "{1 is not closed");
	expect_refused("{/", "{/ is not closed");
	expect_refused("{}}", "} has no {");
	expect_refused("{= s/a/b/ =}", "Perl");
	expect_refused("<<E\n{}\nE\n", "here-document");
	expect_refused("`e \\{}`", "backslash");
	expect_refused("$(case {} in a) e {};; esac)", "too intricate");
	for (size_t i = 0; i < 40; i++)
		buffer_text(&deep, "$(");
	buffer_text(&deep, "{}");
	buffer_byte(&deep, 0);
	expect_refused(deep.data, "too intricate");
	buffer_free(&deep);
}

static struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static void expect_part(const char *value, enum part part, const char *expected)
{
	struct slice got = part_of(slice_of(value), part);

	assert_int_equal(got.size, strlen(expected));
	assert_memory_equal(got.data, expected, got.size);
}

static void parts_at_their_limits(void **state UNUSED)
{
	static const struct { const char *value, *stem, *base, *directory, *base_stem; } cases[] = {
		{ "", "", "", ".", "" },          { "/", "/", "", "/", "" },           { "//", "//", "", "/", "" },
		{ "a/", "a/", "", ".", "" },      { "a/b/", "a/b/", "", "a", "" },     { "/a", "/a", "a", "/", "a" },
		{ "/a/", "/a/", "", "/", "" },    { "a//b.c", "a//b", "b.c", "a", "b" }, { ".x", "", ".x", ".", "" },
		{ "a.", "a", "a.", ".", "a" },    { "a.b/c", "a.b/c", "c", "a.b", "c" }, { "..", ".", "..", ".", "." },
		{ "./", "./", "", ".", "" },      { "a\nb.c", "a\nb", "a\nb.c", ".", "a\nb" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect_part(cases[i].value, PART_ALL, cases[i].value);
		expect_part(cases[i].value, PART_STEM, cases[i].stem);
		expect_part(cases[i].value, PART_BASE, cases[i].base);
		expect_part(cases[i].value, PART_DIRECTORY, cases[i].directory);
		expect_part(cases[i].value, PART_BASE_STEM, cases[i].base_stem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_replacement_string_one_is_appended),
		cmocka_unit_test(every_part_of_a_value),
		cmocka_unit_test(one_source_of_several),
		cmocka_unit_test(numbers_of_job_and_worker),
		cmocka_unit_test(other_braces_are_text),
		cmocka_unit_test(values_are_quoted_where_they_stand),
		cmocka_unit_test(the_command_itself_is_not_quoted),
		cmocka_unit_test(a_shell_is_needed_when_text_means_something_to_it),
		cmocka_unit_test(words_of_a_program),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(parts_at_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
