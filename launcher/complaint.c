/* SPDX-License-Identifier: BSD-3-Clause */
/* complaint.c - what mpirun says on standard error.
 *
 * Open MPI sets its own words between two rules.  Those that are known become one line, or none where they only repeat what
 * the exit status says; others, and whatever the ranks write, are passed on as they are. */
#include "complaint.h"
#include "cli.h"
#include "handover.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULE_LEAST 60                           /* dashes */
#define BLOCK_MOST ((size_t)64 << 10)
#define HELD_MOST ((size_t)256 << 10)
#define LISTED_MOST 8
#define WORD_MOST 256

static void pass(const struct complaint *c, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(c->fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

/* Before the first rank has come, it may be why it never does. */
static void pass_or_hold(struct complaint *c, const char *data, size_t size)
{
	if (c->started)
		pass(c, data, size);
	else if (c->held.size + size <= HELD_MOST)
		buffer_add(&c->held, data, size);
}

void complaint_list(const struct hosts *hosts, struct buffer *ret)
{
	for (size_t i = 0; i < hosts->count && i < LISTED_MOST; i++) {
		buffer_text(ret, i ? ", " : "");
		buffer_text(ret, hosts->items[i].name);
	}
	if (hosts->count > LISTED_MOST) {
		buffer_text(ret, " and ");
		buffer_number(ret, hosts->count - LISTED_MOST);
		buffer_text(ret, " more");
	}
	buffer_byte(ret, 0);
}

/* ---- words that are known ------------------------------------------------------------------------------- */

/* The word behind the last `key` in text. */
static const char *word_behind(const char *text, const char *key, char ret[WORD_MOST])
{
	const char *at = NULL;
	size_t length;

	for (const char *next = strstr(text, key); next; next = strstr(next + 1, key))
		at = next + strlen(key);
	snprintf(ret, WORD_MOST, "?");
	if (!at)
		return ret;
	at += strspn(at, " \t");
	length = strcspn(at, " \t\r\n");
	snprintf(ret, WORD_MOST, "%.*s", (int)(length < WORD_MOST ? length : WORD_MOST - 1), at);
	return ret;
}

static void say_nothing(struct complaint *c, const char *text)
{
	(void)c;
	(void)text;
}

static void say_root(struct complaint *c, const char *text)
{
	(void)text;
	cli_say(c->name, "mpirun refuses to run as root; --allow-run-as-root permits it");
	c->explained = 1;
}

static void say_slots(struct complaint *c, const char *text)
{
	struct buffer list = { 0 };
	unsigned long slots = 0;

	(void)text;
	for (size_t i = 0; i < c->hosts->count; i++)
		slots += c->hosts->items[i].slots;
	complaint_list(c->hosts, &list);
	cli_say(c->name, "mpirun has not enough slots; there are %lu, on %s", slots, list.data);
	buffer_free(&list);
	c->explained = 1;
}

static void say_executable(struct complaint *c, const char *text)
{
	char file[WORD_MOST], node[WORD_MOST];

	cli_say(c->name, "cannot execute %s on host %s: it has to be there, and executable, on every host",
	        word_behind(text, "Executable:", file), word_behind(text, "Node:", node));
	c->explained = 1;
}

static void say_agent(struct complaint *c, const char *text)
{
	(void)text;
	cli_say(c->name, "mpirun finds no program to reach other hosts with: install ssh, or set OMPI_MCA_plm_rsh_agent");
	c->explained = 1;
}

static void say_lost(struct complaint *c, const char *text)
{
	char node[WORD_MOST];

	cli_say(c->name, "contact with host %s is lost", word_behind(text, "on node", node));
	c->explained = 1;
}

static void say_signal(struct complaint *c, const char *text)
{
	const char *signal = strstr(text, "exited on signal ");
	char node[WORD_MOST], rank[WORD_MOST];

	signal = signal ? signal + strlen("exited on ") : "?";
	word_behind(text, "on node", node);
	if (c->is_program)
		cli_say(c->name, "rank %s on %s was ended by %.*s", word_behind(text, "process rank", rank), node,
		        (int)strcspn(signal, ".\n"), signal);
	else
		cli_say(c->name, "rankpool's own process on host %s was ended by %.*s", node, (int)strcspn(signal, ".\n"),
		        signal);
	c->explained = 1;
}

/* The name is "[[8485,1],0]". */
static void say_status(struct complaint *c, const char *text)
{
	char name[WORD_MOST], code[WORD_MOST];
	const char *rank;

	if (!c->is_program)
		return;
	rank = strrchr(word_behind(text, "Process name:", name), ',');
	rank = rank ? rank + 1 : "?";
	cli_say(c->name, "rank %.*s exited with status %s", (int)strcspn(rank, "]"), rank,
	        word_behind(text, "Exit code:", code));
	c->explained = 1;
}

static const struct {
	const char *words;
	void (*say)(struct complaint *, const char *);
} known[] = {
	{ "Primary job  terminated normally", say_nothing },
	{ "exited with non-zero status", say_status },
	{ "unable to reliably start one or more daemons", say_nothing },
	{ "attempt to run as root", say_root },
	{ "not enough slots", say_slots },
	{ "All nodes which are allocated for this job are already filled", say_slots },
	{ "find the specified executable", say_executable },
	{ "could not access\nor execute an executable", say_executable },
	{ "\"plm_rsh_agent\"", say_agent },
	{ "lost communication with a remote daemon", say_lost },
	{ "noticed that process rank", say_signal },
};

static void end_block(struct complaint *c)
{
	static const char rule[] = "--------------------------------------------------------------------------\n";
	size_t size = c->block.size;

	buffer_byte(&c->block, 0);
	c->in_block = 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(c->block.data, known[i].words)) {
			known[i].say(c, c->block.data);
			return;
		}
	pass_or_hold(c, rule, sizeof rule - 1);
	pass_or_hold(c, c->block.data, size);
	pass_or_hold(c, rule, sizeof rule - 1);
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

static int is_rule(const struct buffer *line)
{
	size_t n = 0;

	while (n < line->size && line->data[n] == '-')
		n++;
	return n >= RULE_LEAST && n + 1 == line->size;
}

static int could_be_rule(const struct buffer *line)
{
	for (size_t i = 0; i < line->size; i++)
		if (line->data[i] != '-')
			return 0;
	return 1;
}

/* What says nothing to users: Open MPI's own errors behind the words that explain them, a race between its mpirun and ssh,
 * and that srun did not bind anything, as it was told. */
static int is_noise(struct buffer *line)
{
	static const char *const noise[] = {
		"FORCE-TERMINATE AT ", "[INVALID]", "plm:rsh: Warning: setpgid(",
		"srun: cluster configuration lacks support for cpu binding",
	};

	buffer_byte(line, 0);
	line->size--;
	for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
		if ((line->data[0] == '[' || strncmp(line->data, "srun: ", 6) == 0) && strstr(line->data, noise[i]))
			return 1;
	return 0;
}

static void pass_block(struct complaint *c)
{
	static const char rule[] = "--------------------------------------------------------------------------\n";

	if (!c->in_block)
		return;
	c->in_block = 0;
	pass_or_hold(c, rule, sizeof rule - 1);
	pass_or_hold(c, c->block.data, c->block.size);
}

static void end_line(struct complaint *c)
{
	struct buffer *line = &c->line;

	if (c->passing) {
		pass_or_hold(c, line->data, line->size);
	} else if (is_rule(line)) {
		if (c->in_block) {
			end_block(c);
		} else {
			c->in_block = 1;
			c->block.size = 0;
		}
	} else if (c->in_block) {
		buffer_add(&c->block, line->data, line->size);
		if (c->block.size > BLOCK_MOST)
			pass_block(c);
	} else if (!is_noise(line)) {
		pass_or_hold(c, line->data, line->size);
	}
	c->passing = 0;
	line->size = 0;
}

void complaint_start(struct complaint *c)
{
	c->started = 1;
	pass(c, c->held.data, c->held.size);
	c->held.size = 0;
}

static void take(struct complaint *c, const char *data, size_t size)
{
	while (size) {
		const char *end = memchr(data, '\n', size);
		size_t n = end ? (size_t)(end - data) + 1 : size;

		buffer_add(&c->line, data, n);
		if (end)
			end_line(c);
		data += n;
		size -= n;
	}
	/* A prompt, a bar: it need not be a whole line to be of interest. */
	if (c->line.size && !c->in_block && !could_be_rule(&c->line) && c->line.data[0] != '[') {
		pass_or_hold(c, c->line.data, c->line.size);
		c->passing = 1;
		c->line.size = 0;
	}
}

void complaint_take(struct complaint *c, const char *data, size_t size)
{
	const size_t length = strlen(HANDOVER_ELSEWHERE);
	const char *word = c->started ? NULL : memmem(data, size, HANDOVER_ELSEWHERE, length);

	if (word) {
		take(c, data, (size_t)(word - data));
		complaint_start(c);
		size -= (size_t)(word - data) + length;
		data = word + length;
	}
	take(c, data, size);
}

void complaint_pause(struct complaint *c)
{
	if (!c->started)
		return;
	pass_block(c);
	if (c->line.size) {
		pass(c, c->line.data, c->line.size);
		c->passing = 1;
		c->line.size = 0;
	}
}

/* ---- the end -------------------------------------------------------------------------------------------- */

/* Where the name stands in text as a word of its own. */
static const char *find_word(const char *text, const char *name, size_t length)
{
	for (const char *at = text; *at; at++)
		if (strncasecmp(at, name, length) == 0 &&
		    (at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '.')) &&
		    !isalnum((unsigned char)at[length]) && at[length] != '-')
			return at;
	return NULL;
}

/* What ssh, or whatever reaches the hosts, has said of one of them: the line, copied.  mpirun may have cut the name
 * short. */
static int find_reason(const struct complaint *c, const char *host, char *ret, size_t size)
{
	for (const char *line = c->held.data; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		snprintf(ret, size, "%.*s", (int)strcspn(line, "\r\n"), line);
		if (find_word(ret, host, strlen(host)) ||
		    (!isdigit((unsigned char)*host) && find_word(ret, host, strcspn(host, "."))))
			return 1;
	}
	return 0;
}

/* Where somebody has said why, the names that only he can look up are not the reason. */
static int explain_hosts(struct complaint *c)
{
	char reason[512];
	int said = 0;

	for (size_t i = 0; i < c->hosts->count && said < LISTED_MOST; i++) {
		const struct host *host = &c->hosts->items[i];

		if (host->place != HOST_HERE && find_reason(c, host->name, reason, sizeof reason)) {
			cli_say(c->name, "host %s cannot be reached: %s", host->name, reason);
			said++;
		}
	}
	for (size_t i = 0; i < c->hosts->count && !said; i++)
		if (c->hosts->items[i].place == HOST_UNKNOWN) {
			cli_say(c->name, "host %s is not known: no name or address of a machine", c->hosts->items[i].name);
			said++;
		}
	return said;
}

void complaint_end(struct complaint *c, const char *why)
{
	struct buffer list = { 0 };

	if (c->line.size)
		end_line(c);
	pass_block(c);
	if (c->started)
		return;
	buffer_byte(&c->held, 0);
	if (!c->explained && !explain_hosts(c)) {
		pass(c, c->held.data, c->held.size - 1);
		complaint_list(c->hosts, &list);
		cli_say(c->name, "nothing could be started on %s: mpirun %s", list.data, why);
		buffer_free(&list);
	}
	c->explained = 1;
}

void complaint_free(struct complaint *c)
{
	buffer_free(&c->line);
	buffer_free(&c->block);
	buffer_free(&c->held);
}
