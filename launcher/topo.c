/* SPDX-License-Identifier: BSD-3-Clause */
/* topo.c - rankpool topo: the machine as rankpool sees it, and where workers would go. */
#include "cli.h"
#include "drawing.h"
#include "machine.h"
#include "subcommands.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "rankpool topo"
#define WORKERS_MOST 65535
#define LIST_WIDTH 48

struct topo_options {
	const char *workers, *cpus, *bind, *each, *topology;
	int json;
};

#define FIELD(name) offsetof(struct topo_options, name)

static const struct cli_option options[] = {
	{ "j|jobs", CLI_TEXT, FIELD(workers), "N", "place N workers instead of as many as have room" },
	{ "cpus", CLI_TEXT, FIELD(cpus), "LOC", "CPUs to use: hwloc locations (package:0, core:0-3) or a list" },
	{ "bind-to", CLI_TEXT, FIELD(bind), "OBJ", "core, pu, l3, numa, package or none; :compact is side by side" },
	{ "cpus-per-worker", CLI_TEXT, FIELD(each), "N", "CPUs of each worker" },
	{ "topology", CLI_TEXT, FIELD(topology), "TOPO", "another machine: \"package:2 core:8 pu:2\" or a FILE.xml" },
	{ "json", CLI_FLAG, FIELD(json), NULL, "print an object for programs to read" },
	{ 0 }
};

static const struct cli_command command = {
	.name = NAME,
	.usage = "[options]",
	.about = "Shows the machine, the CPUs of it that may be used, and where workers would go.\n"
	         "Starts nothing.\n"
	         "\n",
	.options = options,
};

static int parse_count(const char *option, const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n;

	if (!text)
		return 0;
	n = strspn(text, "0123456789") == strlen(text) ? strtoul(text, &end, 10) : 0;
	if (n < 1 || n > WORKERS_MOST)
		return cli_fail(NAME, "%s %s is not a number from 1 to %d", option, text, WORKERS_MOST);
	*ret = (uint32_t)n;
	return 0;
}

/* What map would refuse is refused here too. */
static int check_options(const struct topo_options *o, struct rp_pool_options *ret)
{
	int unbound = o->bind && strcmp(o->bind, "none") == 0;

	*ret = *RP_POOL(.cpus = o->cpus, .bind = o->bind);
	if (unbound && o->cpus)
		return cli_fail(NAME, "--cpus %s and --bind-to none contradict each other", o->cpus);
	if (unbound && o->each)
		return cli_fail(NAME, "--cpus-per-worker %s and --bind-to none contradict each other", o->each);
	if (parse_count("-j", o->workers, &ret->workers) || parse_count("--cpus-per-worker", o->each, &ret->cpus_per_worker))
		return CLI_FAILED;
	return 0;
}

/* A description that can be read only once, as from <(ssh HOST lstopo --of xml), is needed more often: it is copied to
 * where it can, and *name changed to that.  0, or -1. */
static int keep_topology(const char **name, char *path, size_t size)
{
	struct stat st;
	char buffer[1 << 16];
	ssize_t n;
	int in, out;

	if (!*name || stat(*name, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	in = open(*name, O_RDONLY | O_CLOEXEC);
	out = memfd_create("topology", MFD_CLOEXEC);
	n = in < 0 || out < 0 ? -1 : 0;
	while (n >= 0 && (n = read(in, buffer, sizeof buffer)) > 0)
		n = write(out, buffer, (size_t)n) == n ? n : -1;
	if (n < 0)
		cli_fail(NAME, "topology %s: %s", *name, strerror(errno));
	if (in >= 0)
		close(in);
	snprintf(path, size, "/proc/self/fd/%d", out);
	*name = path;
	return n < 0 ? -1 : 0;
}

/* ---- in words ----------------------------------------------------------------------------------------- */

static void print_count(const char *before, int n, const char *noun)
{
	if (n > 0)
		printf("%s%d %s%s", before, n, noun, n == 1 ? "" : "s");
}

/* Of a long list the beginning: --json has all of it. */
static void print_cpus(const char *before, hwloc_const_bitmap_t cpus, const char *after)
{
	char list[LIST_WIDTH];
	int cut = hwloc_bitmap_list_snprintf(list, sizeof list, cpus) >= LIST_WIDTH;

	if (cut)
		*strrchr(list, ',') = 0;
	printf("%s%s%s%s", before, list, cut ? ",..." : "", after);
}

/* What one worker's CPUs are counted in, and how many of them there are to share out. */
static const char *unit(const struct machine *m, const struct rp_pool_options *o, int *ret_count)
{
	int threads = o->bind && (strncasecmp(o->bind, "pu", 2) == 0 || strncasecmp(o->bind, "hwthread", 8) == 0);

	*ret_count = machine_objects(m, threads ? HWLOC_OBJ_PU : machine_core_type(m), m->usable, NULL);
	return threads ? "CPU" : "core";
}

static int is_oversubscribed(const struct machine *m, const struct rp_pool_options *o)
{
	int64_t each = o->cpus_per_worker ? o->cpus_per_worker : 1;
	int count;

	unit(m, o, &count);
	return m->workers * each > count;
}

static void print_workers(const struct machine *m, const struct rp_pool_options *o)
{
	const char *bind = o->bind ? o->bind : "core", *noun;
	int each = o->cpus_per_worker ? (int)o->cpus_per_worker : 1, count;

	noun = unit(m, o, &count);
	print_count("", m->workers, "worker");
	printf(strcmp(bind, "none") == 0 ? ", not bound" : ", bound to %s", bind);
	if (o->cpus_per_worker)
		print_count(", of ", each, noun);
	putchar('\n');
	if (is_oversubscribed(m, o)) {
		printf("oversubscribed:");
		print_count(" ", m->workers, "worker");
		if (each > 1)
			print_count(" of ", each, noun);
		print_count(" on ", count, noun);
		putchar('\n');
	}
}

static void print_facts(const struct machine *m, const struct topo_options *o)
{
	static const struct {
		hwloc_obj_type_t type;
		const char *noun;
	} kinds[] = { { HWLOC_OBJ_NUMANODE, "NUMA node" }, { HWLOC_OBJ_L3CACHE, "L3 cache" }, { HWLOC_OBJ_CORE, "core" },
		      { HWLOC_OBJ_PU, "CPU" } };
	const char *host = m->infos[0].host;
	int packages = hwloc_get_nbobjs_by_type(m->hwloc, HWLOC_OBJ_PACKAGE);

	printf("%s: ", *host ? host : o->topology ? o->topology : "this machine");
	print_count("", packages, "package");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		print_count(packages || i ? ", " : "", hwloc_get_nbobjs_by_type(m->hwloc, kinds[i].type), kinds[i].noun);
	putchar('\n');
	if (!hwloc_bitmap_iszero(m->forbidden)) {
		print_cpus("allowed: CPUs ", m->allowed, "");
		print_cpus("; not allowed: ", m->forbidden, "\n");
	}
	if (!hwloc_bitmap_isequal(m->usable, m->allowed))
		print_cpus("given by --cpus: CPUs ", m->usable, "\n");
	if (m->quota > 0)
		printf("quota: cgroups grant %g CPUs' worth of time%s\n", m->quota,
		       m->workers > m->quota ? ", which the workers share" : "");
	if (m->grant > 0) {
		printf("grant: %s has given ", m->scheduler);
		print_count("", m->grant, "CPU");
		printf(" of this node to the job%s\n", m->workers > m->grant ? ", which the workers share" : "");
	}
}

/* ---- for programs ------------------------------------------------------------------------------------- */

static json_t *indexes(const struct machine *m, hwloc_obj_type_t type, hwloc_const_bitmap_t cpus)
{
	hwloc_bitmap_t found = hwloc_bitmap_alloc();
	json_t *ret = json_array();

	if (found && machine_objects(m, type, cpus, found) > 0)
		for (int i = hwloc_bitmap_first(found); i >= 0; i = hwloc_bitmap_next(found, i))
			json_array_append_new(ret, json_integer(i));
	hwloc_bitmap_free(found);
	return ret;
}

static json_t *cpus_text(hwloc_const_bitmap_t cpus)
{
	char *list = NULL;
	json_t *ret;

	ret = hwloc_bitmap_list_asprintf(&list, cpus) < 0 ? json_null() : json_string(list);
	free(list);
	return ret;
}

/* One worker of a team; where it is was found once for all of them. */
static json_t *worker(const struct rp_worker_info *info, json_t *where)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "rank", json_integer(info->rank));
	json_object_set_new(ret, "node", json_integer(info->node));
	json_object_set_new(ret, "local_rank", json_integer(info->local_rank));
	json_object_set_new(ret, "host", json_string(info->host));
	json_object_update(ret, where);
	return ret;
}

static json_t *where(const struct machine *m, const struct team *team)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "cpus", team->cut ? json_string(team->list) : cpus_text(team->cpus));
	json_object_set_new(ret, "cores", indexes(m, machine_core_type(m), team->cpus));
	json_object_set_new(ret, "numa_nodes", indexes(m, HWLOC_OBJ_NUMANODE, team->cpus));
	json_object_set_new(ret, "packages", indexes(m, HWLOC_OBJ_PACKAGE, team->cpus));
	return ret;
}

static json_t *object_count(const struct machine *m, hwloc_obj_type_t type)
{
	return json_integer(hwloc_get_nbobjs_by_type(m->hwloc, type));
}

static json_t *facts(const struct machine *m, const struct topo_options *o, const struct rp_pool_options *pool)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "host", json_string(m->infos[0].host));
	json_object_set_new(ret, "topology", o->topology ? json_string(o->topology) : json_null());
	json_object_set_new(ret, "packages", object_count(m, HWLOC_OBJ_PACKAGE));
	json_object_set_new(ret, "numa_nodes", object_count(m, HWLOC_OBJ_NUMANODE));
	json_object_set_new(ret, "l3_caches", object_count(m, HWLOC_OBJ_L3CACHE));
	json_object_set_new(ret, "cores", object_count(m, HWLOC_OBJ_CORE));
	json_object_set_new(ret, "cpus", object_count(m, HWLOC_OBJ_PU));
	json_object_set_new(ret, "allowed", cpus_text(m->allowed));
	json_object_set_new(ret, "not_allowed", cpus_text(m->forbidden));
	json_object_set_new(ret, "given", cpus_text(m->usable));
	json_object_set_new(ret, "quota", m->quota > 0 ? json_real(m->quota) : json_null());
	json_object_set_new(ret, "grant", m->grant > 0 ? json_integer(m->grant) : json_null());
	json_object_set_new(ret, "bind", json_string(pool->bind ? pool->bind : "core"));
	json_object_set_new(ret, "cpus_per_worker", json_integer(pool->cpus_per_worker ? pool->cpus_per_worker : 1));
	json_object_set_new(ret, "oversubscribed", json_boolean(is_oversubscribed(m, pool)));
	return ret;
}

/* One fact and one worker a line, so that it reads well and any number of workers takes little memory. */
static void print_json(const struct machine *m, const struct topo_options *o, const struct rp_pool_options *pool)
{
	json_t *all = facts(m, o, pool), *value;
	const char *key;

	json_object_foreach (all, key, value) {
		printf("%s  \"%s\": ", value == json_object_get(all, "host") ? "{\n" : ",\n", key);
		json_dumpf(value, stdout, JSON_ENCODE_ANY);
	}
	printf(",\n  \"workers\": [");
	for (int t = 0; t < m->team_count; t++) {
		json_t *at = where(m, &m->teams[t]);

		for (int i = 0; i < m->teams[t].count; i++) {
			json_t *one = worker(&m->infos[m->teams[t].first + i], at);

			printf("%s\n    ", t || i ? "," : "");
			json_dumpf(one, stdout, 0);
			json_decref(one);
		}
		json_decref(at);
	}
	printf("\n  ]\n}\n");
	json_decref(all);
}

static int print(const struct machine *m, const struct topo_options *o, const struct rp_pool_options *pool)
{
	int e;

	if (o->json) {
		print_json(m, o, pool);
		return cli_close_stdout(NAME);
	}
	print_facts(m, o);
	print_workers(m, pool);
	putchar('\n');
	e = table_print(m);
	putchar('\n');
	if (e < 0 || drawing_print(m) < 0)
		return cli_fail(NAME, "out of memory");
	return cli_close_stdout(NAME);
}

int topo_main(int argc, char **argv)
{
	struct topo_options o = { .json = 0 };
	struct rp_pool_options pool;
	struct machine machine;
	struct rp_error err;
	const char *topology;
	char path[64];
	int word, status;

	word = cli_parse(&command, argc, argv, &o);
	if (word <= 0)
		return word < 0 ? CLI_FAILED : 0;
	if (word < argc)
		return cli_fail(NAME, "%s is no option, and there is nothing else to give (%s --help lists all)", argv[word],
		                NAME);
	topology = o.topology;
	if (check_options(&o, &pool) || keep_topology(&topology, path, sizeof path) < 0)
		return CLI_FAILED;
	/* What hwloc would add to the one line that says what is wrong. */
	setenv("HWLOC_HIDE_ERRORS", "2", 0);
	if (machine_load(&machine, &pool, topology, &err) < 0)
		status = cli_fail(NAME, "%s", err.text);
	else
		status = print(&machine, &o, &pool);
	machine_free(&machine);
	return status;
}
