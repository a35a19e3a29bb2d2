/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/lines.c - whole lines out of whatever pieces come in. */
#include "../launcher/lines.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

struct fixture {
	struct lines lines;
	int way;                                /* what is written there comes in */
};

static void begin(struct fixture *f, const char *tag)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	f->way = ends[1];
	f->lines = (struct lines){ .from = ends[0], .to = memfd_create("out", MFD_CLOEXEC), .tag = tag,
		                   .lock = memfd_create("lock", MFD_CLOEXEC) };
}

static void give(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->way, text, strlen(text)), strlen(text));
	assert_int_equal(lines_take(&f->lines), 0);
}

static void expect(struct fixture *f, const char *wanted)
{
	char got[1024];
	ssize_t n = pread(f->lines.to, got, sizeof got - 1, 0);

	got[n > 0 ? n : 0] = 0;
	assert_string_equal(got, wanted);
}

static void finish(struct fixture *f, const char *wanted)
{
	close(f->way);
	assert_int_equal(lines_end(&f->lines), 0);
	assert_int_equal(f->lines.from, -1);
	expect(f, wanted);
	close(f->lines.to);
	close(f->lines.lock);
	lines_free(&f->lines);
}

static void whole_lines_only(void **state UNUSED)
{
	struct fixture f;

	begin(&f, "");
	give(&f, "on");
	expect(&f, "");
	give(&f, "e\ntw");
	expect(&f, "one\n");
	give(&f, "o\n\nthree");
	expect(&f, "one\ntwo\n\n");
	finish(&f, "one\ntwo\n\nthree");
}

static void tags(void **state UNUSED)
{
	struct fixture f;

	begin(&f, "[7] ");
	give(&f, "one\ntwo\n\nthr");
	expect(&f, "[7] one\n[7] two\n[7] \n");
	give(&f, "ee");
	finish(&f, "[7] one\n[7] two\n[7] \n[7] three\n");
}

static void a_line_without_end_is_passed_on_in_parts(void **state UNUSED)
{
	char *piece = malloc(1 << 16);
	struct fixture f;

	begin(&f, "[7] ");
	memset(piece, 'x', 1 << 16);
	for (int i = 0; i < 33; i++) {
		assert_int_equal(write(f.way, piece, 1 << 16), 1 << 16);
		assert_int_equal(lines_take(&f.lines), 0);
	}
	assert_true(f.lines.waiting.size < 1 << 20);
	give(&f, "end\n");
	/* One tag: it is one line. */
	assert_int_equal(lseek(f.lines.to, 0, SEEK_END), (33 << 16) + 4 + 4);
	close(f.way);
	assert_int_equal(lines_end(&f.lines), 0);
	assert_int_equal(lseek(f.lines.to, 0, SEEK_END), (33 << 16) + 4 + 4);
	close(f.lines.to);
	close(f.lines.lock);
	lines_free(&f.lines);
	free(piece);
}

static void nobody_takes_it(void **state UNUSED)
{
	struct fixture f;

	begin(&f, "");
	close(f.lines.to);
	f.lines.to = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(f.way, "a\n", 2), 2);
	assert_true(lines_take(&f.lines) < 0);
	close(f.way);
	close(f.lines.to);
	close(f.lines.lock);
	lines_free(&f.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_lines_only),
		cmocka_unit_test(tags),
		cmocka_unit_test(a_line_without_end_is_passed_on_in_parts),
		cmocka_unit_test(nobody_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
