/* SPDX-License-Identifier: BSD-3-Clause */
/* allocation.c - the nodes that a batch system has given us, as its environment tells. */
#include "allocation.h"
#include "buffer.h"
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MOST 65536
#define STEP_IDS_END 0xfffffff0ul               /* from here on: Slurm's batch scripts, shells and other non-steps */

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int fail(const char *name, const char *what, const char *value, const char *right)
{
	cli_say(name, "%s=%.200s: %s; --host or --hostfile can name the nodes instead", what, value, right);
	return -1;
}

/* ---- Slurm --------------------------------------------------------------------------------------------- */

/* Reads digits into *ret.  How many there were; -1: more than make sense. */
static int digits(const char *text, unsigned long *ret)
{
	int n = 0;

	*ret = 0;
	while (isdigit((unsigned char)text[n]))
		if (n == 9)
			return -1;
		else
			*ret = *ret * 10 + (unsigned long)(text[n++] - '0');
	return n;
}

struct names {
	struct hosts *hosts;
	struct buffer text;                     /* the name so far */
};

static int expand(struct names *names, const char *from, const char *to);

/* The rest of one name behind "[": "01-03,7]rest". */
static int expand_brackets(struct names *names, const char *at, const char *to)
{
	const char *close = memchr(at, ']', (size_t)(to - at));
	const size_t length = names->text.size;

	if (at == close)
		return -1;
	while (close && at < close) {
		unsigned long first, last;
		int width = digits(at, &first), end;

		if (width <= 0)
			return -1;
		at += width;
		last = first;
		if (*at == '-') {
			end = digits(++at, &last);
			if (end <= 0)
				return -1;
			at += end;
		}
		if (last < first || last - first >= NODES_MOST || (*at != ',' && at != close) ||
		    (*at == ',' && at + 1 == close))
			return -1;
		for (unsigned long i = first; i <= last; i++) {
			char number[24];

			snprintf(number, sizeof number, "%0*lu", width, i);
			names->text.size = length;
			buffer_text(&names->text, number);
			if (expand(names, close + 1, to) < 0)
				return -1;
		}
		at += *at == ',';
	}
	return close ? 0 : -1;
}

/* Adds all the names that name->text followed by from..to stands for. */
static int expand(struct names *names, const char *from, const char *to)
{
	const char *bracket = memchr(from, '[', (size_t)(to - from));

	buffer_add(&names->text, from, (size_t)((bracket ? bracket : to) - from));
	if (bracket)
		return expand_brackets(names, bracket + 1, to);
	if (names->hosts->count >= NODES_MOST || !names->text.size || memchr(names->text.data, ']', names->text.size))
		return -1;
	hosts_append(names->hosts, names->text.data, names->text.size, 0);
	return 0;
}

/* "n[01-03,7],m2": commas in brackets are inside a name. */
static int read_nodes(const char *list, struct hosts *hosts)
{
	struct names names = { .hosts = hosts };
	int r = 0;

	while (r == 0) {
		const char *end = list;

		for (int inside = 0; *end && (inside || *end != ','); end++)
			inside += (*end == '[') - (*end == ']');
		names.text.size = 0;
		r = end == list ? -1 : expand(&names, list, end);
		if (!*end)
			break;
		list = end + 1;
	}
	buffer_free(&names.text);
	return r;
}

/* "2(x3),1": so many on each node, in the order of the nodes.  CPUs that nobody has `asked` to be filled are only a
 * limit. */
static int read_counts(const char *list, int asked, struct hosts *hosts)
{
	size_t node = 0;

	for (;;) {
		unsigned long count, times = 1;
		int n = digits(list, &count);

		if (n <= 0 || count < 1 || count > 65535)
			return -1;
		list += n;
		if (strncmp(list, "(x", 2) == 0) {
			n = digits(list + 2, &times);
			if (n <= 0 || list[2 + n] != ')')
				return -1;
			list += 3 + n;
		}
		for (; times && node < hosts->count; times--) {
			hosts->items[node].slots = (unsigned)count;
			hosts->items[node++].said = asked;
		}
		if (!*list)
			return times || node < hosts->count ? -1 : 0;
		if (*list++ != ',')
			return -1;
	}
}

static int find_slurm(struct allocation *a, const char *name)
{
	static const char *const counts[] = { "SLURM_TASKS_PER_NODE", "SLURM_JOB_CPUS_PER_NODE", "SLURM_TASKS_PER_NODE" };
	/* A number of tasks that nobody asked for is 1 on each node, whatever there is of it. */
	const int asked = variable("SLURM_NTASKS") || variable("SLURM_NTASKS_PER_NODE");
	const char *list = variable("SLURM_JOB_NODELIST");

	if (!list)
		list = variable("SLURM_NODELIST");
	if (!list || !variable("SLURM_JOB_ID"))
		return 0;
	a->scheduler = "Slurm";
	if (read_nodes(list, &a->hosts) < 0)
		return fail(name, "SLURM_JOB_NODELIST", list, "that is no list of nodes such as n[01-03,7],m2");
	for (size_t i = !asked; i < sizeof counts / sizeof *counts; i++) {
		const char *value = variable(counts[i]);

		if (value)
			return read_counts(value, asked, &a->hosts) == 0
			               ? 0
			               : fail(name, counts[i], value,
			                      "that is no list of numbers such as 2(x3),1 with one for each node");
	}
	return 0;
}

/* ---- the others ---------------------------------------------------------------------------------------- */

/* Files that have a host and, where `counted`, its number of slots on each line.  Hosts may come again. */
static int read_file(struct allocation *a, const char *what, const char *path, int counted, const char *name)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	if (!file)
		return fail(name, what, path, strerror(errno));
	while (r == 0 && getline(&line, &room, file) >= 0) {
		const char *host = line + strspn(line, " \t\r\n");
		size_t length = strcspn(host, " \t\r\n");
		const char *rest = host + length + strspn(host + length, " \t\r\n");
		unsigned long slots = 1;

		if (!length)
			continue;
		if (counted && (digits(rest, &slots) <= 0 || slots < 1))
			r = -1;
		else
			r = hosts_add(&a->hosts, host, length, (unsigned)slots);
	}
	free(line);
	fclose(file);
	return r == 0 && a->hosts.count
	               ? 0
	               : fail(name, what, path, "that file has no host with a number of slots on each line");
}

static int find_pbs(struct allocation *a, const char *name)
{
	const char *path = variable("PBS_NODEFILE");

	if (!path)
		return 0;
	a->scheduler = "PBS";
	return read_file(a, "PBS_NODEFILE", path, 0, name);
}

/* "a 2 b 4".  LSF leaves the list out when it is too long; the file has it then. */
static int find_lsf(struct allocation *a, const char *name)
{
	const char *path = variable("LSB_DJOB_HOSTFILE"), *list = variable("LSB_MCPU_HOSTS");

	if (!path && !list)
		return 0;
	a->scheduler = "LSF";
	if (path)
		return read_file(a, "LSB_DJOB_HOSTFILE", path, 0, name);
	for (const char *at = list + strspn(list, " "); *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");
		const char *number = at + length + strspn(at + length, " ");
		unsigned long slots;
		int n = digits(number, &slots);

		if (n <= 0 || slots < 1 || (number[n] && number[n] != ' ') ||
		    hosts_add(&a->hosts, at, length, (unsigned)slots) < 0)
			return fail(name, "LSB_MCPU_HOSTS", list, "that is no list such as a 2 b 4");
		at = number + n;
	}
	return 0;
}

static int find_sge(struct allocation *a, const char *name)
{
	const char *path = variable("PE_HOSTFILE");

	if (!path)
		return 0;
	a->scheduler = "SGE";
	return read_file(a, "PE_HOSTFILE", path, 1, name);
}

/* srun without MPI makes no ranks, and yet several that have the same command line. */
static int is_one_of_a_step(void)
{
	const char *step = variable("SLURM_STEP_ID"), *tasks = variable("SLURM_STEP_NUM_TASKS");

	return variable("SLURM_JOB_ID") && step && strtoul(step, NULL, 10) < STEP_IDS_END && tasks && atoi(tasks) > 1;
}

int allocation_is_rank(void)
{
	static const char *const marks[] = { "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD" };

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (getenv(marks[i]))
			return 1;
	return is_one_of_a_step();
}

int allocation_find(struct allocation *ret, const char *name)
{
	static int (*const finders[])(struct allocation *, const char *) = { find_slurm, find_pbs, find_lsf, find_sge };
	int r = 0;

	*ret = (struct allocation){ 0 };
	if (allocation_is_rank() || getenv("RANKPOOL_RANK"))
		return 0;
	for (size_t i = 0; i < sizeof finders / sizeof *finders && r == 0 && !ret->scheduler; i++)
		r = finders[i](ret, name);
	if (r < 0)
		allocation_free(ret);
	return r;
}

void allocation_free(struct allocation *allocation)
{
	hosts_free(&allocation->hosts);
	*allocation = (struct allocation){ 0 };
}
