/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/hosts.c - lists and files of hosts, good and bad, and which of them is this machine. */
#include "../launcher/hosts.h"
#include "said.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))

static void expect_host(const struct hosts *hosts, size_t i, const char *name, unsigned slots, int said)
{
	assert_true(i < hosts->count);
	assert_string_equal(hosts->items[i].name, name);
	assert_int_equal(hosts->items[i].slots, slots);
	assert_int_equal(hosts->items[i].said, said);
}

/* A file of these lines in ret. */
static void write_file(const char *lines, char ret[64])
{
	int fd;

	snprintf(ret, 64, "%s", "/tmp/rankpool-hosts-XXXXXX");
	fd = mkstemp(ret);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	close(fd);
}

static void lists(void **state UNUSED)
{
	struct hosts hosts = { 0 };

	assert_int_equal(hosts_parse(&hosts, "a:2,b,node-03.example.org:16,10.0.0.7:4", "t"), 0);
	assert_int_equal(hosts.count, 4);
	expect_host(&hosts, 0, "a", 2, 1);
	expect_host(&hosts, 1, "b", 1, 0);
	expect_host(&hosts, 2, "node-03.example.org", 16, 1);
	expect_host(&hosts, 3, "10.0.0.7", 4, 1);
	hosts_free(&hosts);
	assert_int_equal(hosts.count, 0);
}

static void a_host_again_adds_slots(void **state UNUSED)
{
	struct hosts hosts = { 0 };

	assert_int_equal(hosts_parse(&hosts, "a,b:3,A,a:4,b", "t"), 0);
	assert_int_equal(hosts_parse(&hosts, "a", "t"), 0);
	assert_int_equal(hosts.count, 2);
	expect_host(&hosts, 0, "a", 7, 1);
	expect_host(&hosts, 1, "b", 4, 1);
	hosts_free(&hosts);
}

static void addresses(void **state UNUSED)
{
	struct hosts hosts = { 0 };

	assert_int_equal(hosts_parse(&hosts, "[::1]:4,[fe80::1%eth0],2001:db8::7,[2001:db8::8]", "t"), 0);
	expect_host(&hosts, 0, "::1", 4, 1);
	expect_host(&hosts, 1, "fe80::1%eth0", 1, 0);
	expect_host(&hosts, 2, "2001:db8::7", 1, 0);
	expect_host(&hosts, 3, "2001:db8::8", 1, 0);
	hosts_free(&hosts);
}

static void bad_lists(void **state UNUSED)
{
	static const char *const bad[] = {
		"",     ",",        "a,",          ",a",
		"a,,b", "a:",       "a:0",         "a:x",
		"a:-1", "a:2:3",    "a:65536",     "a:99999999999999999999",
		"a b",  "a;reboot", "$(x)",        "-oProxyCommand=x",
		"[::1", "[a]:2",    "[::1]x",      "[::1]:",
		"[]",   "::1::2",   "a:65535,a:1", "user@a",
		"a\n",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hosts hosts = { 0 };
		struct said said;
		int r;

		said_begin(&said);
		r = hosts_parse(&hosts, bad[i], "t");
		said_end(&said);
		if (r != -1 || strncmp(said.text, "t: --host ", 10) != 0 || !strstr(said.text, "such as a:2,b") ||
		    strchr(said.text, '\n') != said.text + strlen(said.text) - 1)
			fail_msg("%s: %d, %s", bad[i], r, said.text);
		hosts_free(&hosts);
	}
}

static void files(void **state UNUSED)
{
	struct hosts hosts = { 0 };
	char path[64];

	write_file("# the cluster\n\n  a slots=2 max_slots=8 # big\r\nb:3\nc\nc\n\td max-slots = 4\n[::1] slots = 2\ne",
	           path);
	assert_int_equal(hosts_read(&hosts, path, "t"), 0);
	assert_int_equal(hosts.count, 6);
	expect_host(&hosts, 0, "a", 2, 1);
	expect_host(&hosts, 1, "b", 3, 1);
	expect_host(&hosts, 2, "c", 2, 1);
	expect_host(&hosts, 3, "d", 4, 1);
	expect_host(&hosts, 4, "::1", 2, 1);
	expect_host(&hosts, 5, "e", 1, 0);
	hosts_free(&hosts);
	unlink(path);
}

static void bad_files(void **state UNUSED)
{
	static const struct {
		const char *lines, *where;
	} bad[] = {
		{ "", "names no host" },          { "# nothing\n\n", "names no host" },
		{ "a\nb slots=\n", ":2: " },      { "a slots=0\n", ":1: " },
		{ "a slots 2\n", ":1: " },        { "a 2\n", ":1: " },
		{ "a\n\nb:2 slots=2\n", ":3: " }, { "a slots=4 max_slots=2\n", ":1: " },
		{ "a color=red\n", ":1: " },      { "a,b\n", ":1: " },
		{ "root@a\n", ":1: " },           { "-x\n", ":1: " },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hosts hosts = { 0 };
		struct said said;
		char path[64];
		int r;

		write_file(bad[i].lines, path);
		said_begin(&said);
		r = hosts_read(&hosts, path, "t");
		said_end(&said);
		unlink(path);
		if (r != -1 || !strstr(said.text, path) || !strstr(said.text, bad[i].where))
			fail_msg("%s: %d, %s", bad[i].lines, r, said.text);
		hosts_free(&hosts);
	}
}

static void no_file(void **state UNUSED)
{
	struct hosts hosts = { 0 };
	struct said said;

	said_begin(&said);
	assert_int_equal(hosts_read(&hosts, "/nowhere/hosts", "t"), -1);
	assert_string_equal(said_end(&said), "t: hostfile /nowhere/hosts: No such file or directory\n");
}

static void this_machine_comes_first_and_once(void **state UNUSED)
{
	char list[2 * HOST_NAME_MAX], name[HOST_NAME_MAX + 1];
	struct hosts hosts = { 0 };

	gethostname(name, sizeof name);
	snprintf(list, sizeof list, "192.0.2.77:3,127.0.0.1:2,%s,[::1]:4,localhost,127.9.8.7", name);
	assert_int_equal(hosts_parse(&hosts, list, "t"), 0);
	hosts_locate(&hosts, 0);
	assert_int_equal(hosts.count, 2);
	expect_host(&hosts, 0, "127.0.0.1", 9, 1);
	assert_int_equal(hosts.items[0].place, HOST_HERE);
	assert_string_equal(hosts.items[1].name, "192.0.2.77");
	assert_int_equal(hosts.items[1].place, HOST_ELSEWHERE);
	hosts_free(&hosts);
}

static void names_of_nothing(void **state UNUSED)
{
	struct hosts hosts = { 0 };

	/* RFC 6761 keeps this domain empty. */
	assert_int_equal(hosts_parse(&hosts, "no-such-host.invalid", "t"), 0);
	hosts_locate(&hosts, 0);
	assert_true(hosts.items[0].place == HOST_UNKNOWN || hosts.items[0].place == HOST_SILENT);
	hosts_free(&hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(a_host_again_adds_slots),
		cmocka_unit_test(addresses),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(files),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(no_file),
		cmocka_unit_test(this_machine_comes_first_and_once),
		cmocka_unit_test(names_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
