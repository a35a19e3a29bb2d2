/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/cli.c - options of every form, and what is said about wrong ones. */
#include "../launcher/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define MOST 12

struct values {
	int keep, null;
	const char *jobs;
	struct cli_list files;
};

static const struct cli_option options[] = {
	{ "j|jobs|max-procs|P", CLI_TEXT, offsetof(struct values, jobs), "N", "so many" },
	{ "k|keep-order", CLI_FLAG, offsetof(struct values, keep), NULL, "in order" },
	{ "0|null", CLI_FLAG, offsetof(struct values, null), NULL, "ends with NUL" },
	{ "a|arg-file", CLI_LIST, offsetof(struct values, files), "FILE", "from there" },
	{ 0 }
};
static const struct cli_command command = { "test it", "[options] WORD", "About it.\n", options, 0 };

static FILE *said;                              /* what has gone to stderr */
static int stderr_before;

static int parse(char **words, struct values *values)
{
	char *argv[MOST + 1] = { (char[]){ "it" } };
	int argc = 1;

	while (words[argc - 1]) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	memset(values, 0, sizeof *values);
	rewind(said);
	assert_int_equal(ftruncate(fileno(said), 0), 0);
	dup2(fileno(said), STDERR_FILENO);
	argc = cli_parse(&command, argc, argv, values);
	dup2(stderr_before, STDERR_FILENO);
	return argc;
}

#define WORDS(...) ((char *[MOST]){ __VA_ARGS__ })

static void options_of_every_form(void **state UNUSED)
{
	static char *const forms[][4] = {
		{ "-j", "4" }, { "-j4" }, { "-P", "4" }, { "--jobs", "4" }, { "--jobs=4" }, { "--max-procs=4" },
		{ "--job=4" }, { "--j", "4" }, { "-j3", "-j4" },
	};
	struct values values;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		char *words[MOST];
		int count = 0;

		while (forms[i][count]) {
			words[count] = forms[i][count];
			count++;
		}
		words[count] = (char[]){ "-k" };
		words[count + 1] = (char[]){ "word" };
		words[count + 2] = NULL;
		assert_int_equal(parse(words, &values), count + 2);
		assert_string_equal(values.jobs, "4");
		assert_int_equal(values.keep, 1);
	}
}

static void letters_go_together(void **state UNUSED)
{
	struct values values;

	assert_int_equal(parse(WORDS("-k0j2", "x"), &values), 2);
	assert_int_equal(values.keep + values.null, 2);
	assert_string_equal(values.jobs, "2");
	assert_int_equal(parse(WORDS("-0kj", "-2", "x"), &values), 3);
	assert_string_equal(values.jobs, "-2");
	assert_int_equal(parse(WORDS("-jk", "x"), &values), 2);
	assert_string_equal(values.jobs, "k");
	assert_int_equal(values.keep, 0);
}

static void options_end_at_the_first_other_word(void **state UNUSED)
{
	struct values values;

	assert_int_equal(parse(WORDS("x", "-k"), &values), 1);
	assert_int_equal(values.keep, 0);
	assert_int_equal(parse(WORDS("-k", "--", "-0"), &values), 3);
	assert_int_equal(values.null, 0);
	assert_int_equal(parse(WORDS("-", "-k"), &values), 1);
	assert_int_equal(parse(WORDS("-k"), &values), 2);
	assert_int_equal(parse(WORDS(NULL), &values), 1);
}

static void a_list_keeps_all(void **state UNUSED)
{
	struct values values;

	assert_int_equal(parse(WORDS("-a", "x", "-ay", "--arg-file=z", "-k"), &values), 6);
	assert_int_equal(values.files.count, 3);
	assert_string_equal(values.files.items[0], "x");
	assert_string_equal(values.files.items[1], "y");
	assert_string_equal(values.files.items[2], "z");
	free(values.files.items);
}

/* One line on stderr that begins with the command's name and has `what` in it. */
static void expect_wrong(char **words, const char *what)
{
	char line[512] = "";
	struct values values;

	assert_int_equal(parse(words, &values), -1);
	rewind(said);
	assert_non_null(fgets(line, sizeof line, said));
	assert_int_equal(strncmp(line, "test it: ", 9), 0);
	if (!strstr(line, what))
		fail_msg("%s not in: %s", what, line);
	assert_int_equal(fgetc(said), EOF);
}

static void wrong_options_are_named_with_the_nearest(void **state UNUSED)
{
	expect_wrong(WORDS("--keep-ordr"), "unknown option --keep-ordr; the nearest is --keep-order");
	expect_wrong(WORDS("--jbos=3"), "unknown option --jbos; the nearest is --jobs");
	expect_wrong(WORDS("--nul1"), "the nearest is --null");
	expect_wrong(WORDS("-x"), "unknown option -x; the short ones are -j -P -k -0 -a");
	expect_wrong(WORDS("-kx"), "unknown option -x");
	expect_wrong(WORDS("--a\nb"), "--a\\012b");
	expect_wrong(WORDS("--=x"), "unknown option --;");
	expect_wrong(WORDS("--jobs"), "option --jobs needs a value: N");
	expect_wrong(WORDS("-kj"), "option -j needs a value: N");
	expect_wrong(WORDS("--null=1"), "option --null takes no value");
	expect_wrong(WORDS("--help=1"), "option --help takes no value");
}

static void the_nearest_word(void **state UNUSED)
{
	static const char *const words[] = { "map", "topo", "run" };

	assert_string_equal(cli_nearest("mpa", words, 3), "map");
	assert_string_equal(cli_nearest("top", words, 3), "topo");
	assert_string_equal(cli_nearest("rnu", words, 3), "run");
	assert_null(cli_nearest("x", words, 0));
}

static int begin(void **state UNUSED)
{
	said = tmpfile();
	stderr_before = dup(STDERR_FILENO);
	return said && stderr_before >= 0 ? 0 : -1;
}

static int end(void **state UNUSED)
{
	fclose(said);
	close(stderr_before);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_of_every_form),
		cmocka_unit_test(letters_go_together),
		cmocka_unit_test(options_end_at_the_first_other_word),
		cmocka_unit_test(a_list_keeps_all),
		cmocka_unit_test(wrong_options_are_named_with_the_nearest),
		cmocka_unit_test(the_nearest_word),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
