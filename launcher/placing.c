/* SPDX-License-Identifier: BSD-3-Clause */
/* placing.c - how many copies of a program, and where.
 *
 * mpirun's --map-by says which places ranks go to one after the other.  By core, thread or slot they are neighbours, which
 * the library calls compact; by cache, NUMA node or package they go around, which it calls spread. */
#include "placing.h"
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COPIES_MOST 65535

static const struct object {
	const char *word;                       /* mpirun's */
	const char *object;                     /* the library's; NULL: none that can be bound to */
	int compact;                            /* ranks that are mapped by it are neighbours */
} objects[] = {
	{ "slot", NULL, 1 },        { "node", NULL, 0 },         { "hwthread", "pu", 1 }, { "pu", "pu", 1 },
	{ "core", "core", 1 },      { "l3cache", "l3", 0 },      { "l3", "l3", 0 },       { "numa", "numa", 0 },
	{ "socket", "package", 0 }, { "package", "package", 0 },
};

static const struct object *find_object(const char *word)
{
	for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
		if (strcasecmp(objects[i].word, word) == 0)
			return &objects[i];
	return NULL;
}

static int refuse(const char *name, const char *option, const char *value, const char *right)
{
	cli_say(name, "%s %s: %s", option, value, right);
	return -1;
}

static int read_number(const char *text, uint32_t *ret)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n < 1 || n > COPIES_MOST)
		return -1;
	*ret = (uint32_t)n;
	return 0;
}

static int read_counts(struct placing *p, const struct placing_words *words, const char *name)
{
	static const char right[] = "that is no number of copies from 1 to 65535";

	if (words->copies && read_number(words->copies, &p->copies) < 0)
		return refuse(name, "-n", words->copies, right);
	if (words->per_node && read_number(words->per_node, &p->per_node) < 0)
		return refuse(name, "-N", words->per_node, right);
	return 0;
}

/* ---- --map-by ------------------------------------------------------------------------------------------- */

struct mapping {
	const struct object *object;            /* NULL: not said */
	int threads;                            /* CPUs are hardware threads */
	int spread;
};

static int read_modifier(struct placing *p, struct mapping *m, const char *word)
{
	if (strncasecmp(word, "pe=", 3) == 0)
		return read_number(word + 3, &p->cpus_each);
	if (strcasecmp(word, "oversubscribe") == 0)
		p->oversubscribe = 1;
	else if (strcasecmp(word, "nolocal") == 0)
		p->not_here = 1;
	else if (strcasecmp(word, "span") == 0)
		m->spread = 1;
	else if (strcasecmp(word, "hwtcpus") == 0)
		m->threads = 1;
	else if (strcasecmp(word, "nooversubscribe") != 0 && strcasecmp(word, "corecpus") != 0)
		return -1;
	return 0;
}

/* ppr:2:socket */
static int read_pattern(struct placing *p, struct mapping *m, char **rest)
{
	const char *count = strtok_r(NULL, ":", rest), *word = count ? strtok_r(NULL, ":", rest) : NULL;
	uint32_t n;

	m->object = word ? find_object(word) : NULL;
	if (!m->object || read_number(count, &n) < 0 || strcasecmp(word, "slot") == 0)
		return -1;
	if (!m->object->object) {
		p->per_node = n;
	} else {
		p->per_object = n;
		snprintf(p->object, sizeof p->object, "%s", m->object->object);
	}
	return 0;
}

static int read_map_by(struct placing *p, struct mapping *m, const char *text, const char *name)
{
	static const char right[] =
		"write slot, hwthread, core, l3cache, numa, package, node or ppr:N:OBJECT, and behind it "
		":PE=N, :SPAN, :OVERSUBSCRIBE, :NOLOCAL or :HWTCPUS";
	char copy[128], *rest, *word;
	const int is_counted = p->per_node != 0;
	int r = 0;

	if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy || !*text)
		return refuse(name, "--map-by", text, right);
	word = strtok_r(copy, ":", &rest);
	/* ":PE=2" has no object. */
	if (word && *text == ':')
		r = read_modifier(p, m, word);
	else if (word && strcasecmp(word, "ppr") == 0 && is_counted)
		return refuse(name, "--map-by", text, "-N says the same in another way; leave one of them out");
	else if (word && strcasecmp(word, "ppr") == 0)
		r = read_pattern(p, m, &rest);
	else if (!word || !(m->object = find_object(word)))
		r = -1;
	while (r == 0 && (word = strtok_r(NULL, ":,", &rest)))
		r = read_modifier(p, m, word);
	if (r < 0)
		return refuse(name, "--map-by", text, right);
	p->by_node = m->object && strcasecmp(m->object->word, "node") == 0 && !p->per_node;
	return 0;
}

/* ---- --bind-to ------------------------------------------------------------------------------------------ */

/* An object, or "none"; the library's own :compact and :spread may be behind it. */
static int read_bind_to(struct placing *p, const struct mapping *m, const char *text, const char *name)
{
	static const char right[] = "write none, hwthread, core, l3cache, numa or package";
	const struct object *object = NULL;
	const char *how = NULL, *bind = "core";
	char copy[64], *rest = NULL, *word;

	if (snprintf(copy, sizeof copy, "%s", text ? text : "") >= (int)sizeof copy)
		return refuse(name, "--bind-to", text, right);
	word = text ? strtok_r(copy, ":", &rest) : NULL;
	if (text && (!word || (strcasecmp(word, "none") != 0 && (!(object = find_object(word)) || !object->object))))
		return refuse(name, "--bind-to", text, right);
	if (word)
		bind = object ? object->object : "none";
	else if (m->threads)
		bind = "pu";
	for (word = text ? strtok_r(NULL, ":", &rest) : NULL; word; word = strtok_r(NULL, ":", &rest)) {
		if (strcasecmp(word, "compact") == 0 || strcasecmp(word, "spread") == 0)
			how = strcasecmp(word, "compact") == 0 ? "compact" : "spread";
		else if (strcasecmp(word, "overload-allowed") != 0 && strcasecmp(word, "if-supported") != 0)
			return refuse(name, "--bind-to", text, right);
	}
	if (how && m->object && (m->object->compact && !m->spread) != (strcmp(how, "compact") == 0))
		return refuse(name, "--bind-to", text, "--map-by says otherwise; leave one of them out");
	if (!how && m->object)
		how = m->object->compact && !m->spread ? "compact" : "spread";
	snprintf(p->bind, sizeof p->bind, "%s%s%s", bind, how && strcmp(bind, "none") != 0 ? ":" : "",
	         how && strcmp(bind, "none") != 0 ? how : "");
	return 0;
}

int placing_read(struct placing *ret, const struct placing_words *words, const char *name)
{
	struct mapping mapping = { 0 };

	*ret = (struct placing){ .cpus = words->cpus };
	if (read_counts(ret, words, name) < 0 || (words->map_by && read_map_by(ret, &mapping, words->map_by, name) < 0) ||
	    read_bind_to(ret, &mapping, words->bind_to, name) < 0)
		return -1;
	if (strcmp(ret->bind, "none") == 0 && ret->cpus)
		return refuse(name, "--bind-to", "none", "it contradicts --cpus");
	if (strcmp(ret->bind, "none") == 0 && ret->cpus_each)
		return refuse(name, "--bind-to", "none", "it contradicts the PE= of --map-by");
	return 0;
}

/* ---- for the library ------------------------------------------------------------------------------------ */

/* How many copies there are for the objects of all nodes. */
static int count_objects(const struct placing *p, uint32_t *ret, const char *name)
{
	struct rp_error err;
	int n = rp_pool_plan(RP_POOL(.bind = p->object, .cpus = p->cpus), NULL, NULL, 0, &err);

	if (n < 0) {
		cli_say(name, "%s", err.text);
		return -1;
	}
	*ret = (uint32_t)n * p->per_object;
	if (p->copies > *ret) {
		cli_say(name, "-n %u: --map-by has room for %u, %u for each %s", p->copies, *ret, p->per_object, p->object);
		return -1;
	}
	return 0;
}

int placing_options(const struct placing *p, struct rp_pool_options *ret, const char *name)
{
	uint32_t copies = p->copies;

	if (p->per_object && count_objects(p, &copies, name) < 0)
		return -1;
	*ret = *RP_POOL(.workers = p->copies ? p->copies : copies, .cpus = p->cpus, .bind = p->bind,
	                .cpus_per_worker = p->cpus_each);
	if (!ret->workers)
		ret->workers_per_node = p->per_node;
	return 0;
}
