/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/complaint.c - mpirun's words in, ours out. */
#include "../launcher/complaint.h"
#include "../launcher/handover.h"
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define RULE "--------------------------------------------------------------------------\n"

static struct hosts hosts;

static int set_hosts(void **state UNUSED)
{
	int r = hosts_parse(&hosts, "here,n1.site.org:2,n2", "t");

	for (size_t i = 0; i < hosts.count; i++)
		hosts.items[i].place = i ? HOST_ELSEWHERE : HOST_HERE;
	return r;
}

static int free_hosts(void **state UNUSED)
{
	hosts_free(&hosts);
	return 0;
}

/* What comes of `words`, given piece by piece of `step` bytes. */
static void expect(const char *words, int started, int is_program, const char *wanted)
{
	const size_t size = strlen(words);

	for (size_t step = 1; step <= size; step += step < 8 ? 1 : 61) {
		struct complaint c = {
			.name = "t", .hosts = &hosts, .fd = STDERR_FILENO, .is_program = is_program, .started = started
		};
		struct said said;

		said_begin(&said);
		for (size_t at = 0; at < size; at += step)
			complaint_take(&c, words + at, size - at < step ? size - at : step);
		complaint_end(&c, "has ended with status 1");
		said_end(&said);
		assert_string_equal(said.text, wanted);
		complaint_free(&c);
	}
}

static void known_blocks(void **state UNUSED)
{
	expect(RULE "mpirun has detected an attempt to run as root.\n\nmore\n" RULE, 0, 0,
	       "t: mpirun refuses to run as root; --allow-run-as-root permits it\n");
	expect(RULE "There are not enough slots available in the system\n" RULE, 0, 0,
	       "t: mpirun has not enough slots; there are 4, on here, n1.site.org, n2\n");
	expect(RULE
	       "mpirun was unable to find the specified executable file, and\n\nNode:       n2\nExecutable: /x/prog\n" RULE,
	       0, 0, "t: cannot execute /x/prog on host n2: it has to be there, and executable, on every host\n");
	expect(RULE "mpirun noticed that process rank 3 with PID 0 on node n2 exited on signal 9 (Killed).\n" RULE, 1, 1,
	       "t: rank 3 on n2 was ended by signal 9 (Killed)\n");
	expect(RULE "mpirun noticed that process rank 3 with PID 0 on node n2 exited on signal 9 (Killed).\n" RULE, 1, 0,
	       "t: rankpool's own process on host n2 was ended by signal 9 (Killed)\n");
	expect(RULE "mpirun detected that one or more processes exited with non-zero status, thus\n\n"
	            "  Process name: [[8485,1],12]\n  Exit code:    3\n" RULE, 1, 1, "t: rank 12 exited with status 3\n");
	expect(RULE "Primary job  terminated normally, but 1 process returned\na non-zero exit code.\n" RULE, 1, 0, "");
}

static void hosts_that_are_not_reached(void **state UNUSED)
{
	static const char daemons[] = RULE "ORTE was unable to reliably start one or more daemons.\nThis usually\n" RULE;
	char words[1024];

	snprintf(words, sizeof words, "ssh: connect to host n2 port 22: Connection refused\r\n%s", daemons);
	expect(words, 0, 0, "t: host n2 cannot be reached: ssh: connect to host n2 port 22: Connection refused\n");
	/* A name that mpirun has cut short. */
	snprintf(words, sizeof words, "%sroot@n1: Permission denied (publickey).\n", daemons);
	expect(words, 0, 0, "t: host n1.site.org cannot be reached: root@n1: Permission denied (publickey).\n");
	/* A name that only ssh knows is no reason where there is another. */
	hosts.items[1].place = HOST_UNKNOWN;
	snprintf(words, sizeof words, "ssh: connect to host n2 port 22: Connection refused\r\n%s", daemons);
	expect(words, 0, 0, "t: host n2 cannot be reached: ssh: connect to host n2 port 22: Connection refused\n");
	expect(daemons, 0, 0, "t: host n1.site.org is not known: no name or address of a machine\n");
	hosts.items[1].place = HOST_ELSEWHERE;
	/* n22 is not n2. */
	snprintf(words, sizeof words, "no route to n22\n%s", daemons);
	expect(words, 0, 0,
	       "no route to n22\nt: nothing could be started on here, n1.site.org, n2: mpirun has ended with status 1\n");
}

static void what_ranks_write_is_passed_on(void **state UNUSED)
{
	expect("a line\nand a prompt: ", 1, 0, "a line\nand a prompt: ");
	expect("-- a list\n- of dashes\n---\n", 1, 0, "-- a list\n- of dashes\n---\n");
	expect(RULE "words that nobody knows\n" RULE "more\n", 1, 0, RULE "words that nobody knows\n" RULE "more\n");
	expect(RULE "no end to this", 1, 0, RULE "no end to this");
	expect("[n1:00197] plm:rsh: Warning: setpgid(201,201) failed in parent\n[n1] all is well\n", 1, 0,
	       "[n1] all is well\n");
}

static void nothing_is_said_when_all_is_well(void **state UNUSED)
{
	expect("", 1, 0, "");
	expect("", 0, 0, "");
}

static void a_first_rank_elsewhere(void **state UNUSED)
{
	struct complaint c = { .name = "t", .hosts = &hosts, .fd = STDERR_FILENO };
	static const char words[] = "a warning\n" HANDOVER_ELSEWHERE "its words\n";
	struct said said;

	said_begin(&said);
	complaint_take(&c, words, sizeof words - 1);
	said_end(&said);
	assert_string_equal(said.text, "a warning\nits words\n");
	assert_true(c.started);
	complaint_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_blocks),
		cmocka_unit_test(hosts_that_are_not_reached),
		cmocka_unit_test(what_ranks_write_is_passed_on),
		cmocka_unit_test(nothing_is_said_when_all_is_well),
		cmocka_unit_test(a_first_rank_elsewhere),
	};

	return cmocka_run_group_tests(tests, set_hosts, free_hosts);
}
