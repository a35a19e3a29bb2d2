/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.c - a machine as hwloc sees it, and where rankpool's workers go on it.
 *
 * What may be used and where workers go is the library's word alone; hwloc is asked for the picture around it. */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct rp_error *err, int code, const char *text)
{
	*err = (struct rp_error){ .code = code, .index = SIZE_MAX };
	snprintf(err->text, sizeof err->text, "%s", text);
	return code;
}

/* The library told a list, a mask, or the beginning of a list that ends in dots.  1: it is cut. */
static int read_cpus(const char *text, hwloc_bitmap_t ret)
{
	char list[sizeof(((struct rp_worker_info *)0)->cpus)];
	char *dots;

	if (strncmp(text, "0x", 2) == 0) {
		hwloc_bitmap_sscanf(ret, text);
		return 0;
	}
	strcpy(list, text);
	dots = strstr(list, ",...");
	if (dots)
		*dots = 0;
	hwloc_bitmap_list_sscanf(ret, list);
	return dots != NULL;
}

static int load_hwloc(struct machine *m, const char *topology, struct rp_error *err)
{
	size_t n = topology ? strlen(topology) : 0;
	int is_file = topology && (strchr(topology, '/') || (n >= 4 && strcmp(topology + n - 4, ".xml") == 0));

	if (hwloc_topology_init(&m->hwloc) < 0) {
		m->hwloc = NULL;
		return fail(err, -ENOMEM, "hwloc cannot be initialised");
	}
	if ((is_file && hwloc_topology_set_xml(m->hwloc, topology) < 0) ||
	    (topology && !is_file && hwloc_topology_set_synthetic(m->hwloc, topology) < 0) ||
	    hwloc_topology_load(m->hwloc) < 0)
		return fail(err, -EINVAL, "hwloc cannot load the topology");
	return 0;
}

/* The CPUs that workers with these .cpus could have: those of one that is not bound.  When there are too many to be told at
 * once they are asked for one by one, which takes as many workers as there are CPUs. */
static int find_cpus(const struct machine *m, const char *cpus, const char *topology, hwloc_bitmap_t ret,
                     struct rp_error *err)
{
	const struct rp_pool_options *all = RP_POOL(.workers = 1, .bind = "none", .cpus = cpus);
	const int count = hwloc_get_nbobjs_by_type(m->hwloc, HWLOC_OBJ_PU);
	struct rp_worker_info info, *infos;
	int n = rp_pool_plan(all, topology, &info, 1, err);

	if (n < 0 || !read_cpus(info.cpus, ret))
		return n < 0 ? n : 0;
	infos = calloc((size_t)count, sizeof *infos);
	if (!infos)
		return fail(err, -ENOMEM, "out of memory");
	n = rp_pool_plan(RP_POOL(.workers = (uint32_t)count, .bind = "pu", .cpus = cpus), topology, infos, (size_t)count,
	                 err);
	for (int i = 0; i < n; i++)
		hwloc_bitmap_set(ret, (unsigned)atoi(infos[i].cpus));
	free(infos);
	return n < 0 ? n : 0;
}

static int find_teams(struct machine *m)
{
	m->teams = calloc((size_t)m->workers, sizeof *m->teams);
	if (!m->teams)
		return -1;
	for (int i = 0; i < m->workers; i++) {
		struct team *t = m->team_count ? &m->teams[m->team_count - 1] : NULL;

		if (t && strcmp(t->list, m->infos[i].cpus) == 0) {
			t->count++;
			continue;
		}
		t = &m->teams[m->team_count++];
		*t = (struct team){ .first = i, .count = 1, .cpus = hwloc_bitmap_alloc(), .list = m->infos[i].cpus };
		if (!t->cpus)
			return -1;
		t->cut = read_cpus(t->list, t->cpus);
	}
	return 0;
}

int machine_load(struct machine *ret, const struct rp_pool_options *options, const char *topology, struct rp_error *err)
{
	int n;

	*ret = (struct machine){ .allowed = hwloc_bitmap_alloc(), .usable = hwloc_bitmap_alloc() };
	/* The library first: it knows what to say about a bad description. */
	n = rp_pool_plan(options, topology, NULL, 0, err);
	if (n < 0)
		return n;
	ret->workers = n;
	ret->infos = calloc((size_t)n, sizeof *ret->infos);
	if (!ret->infos || !ret->allowed || !ret->usable)
		return fail(err, -ENOMEM, "out of memory");
	n = rp_pool_plan(options, topology, ret->infos, (size_t)n, err);
	if (n >= 0)
		n = load_hwloc(ret, topology, err);
	if (n >= 0)
		n = find_cpus(ret, NULL, topology, ret->allowed, err);
	if (n >= 0)
		n = find_cpus(ret, options->cpus, topology, ret->usable, err);
	if (n < 0)
		return n;
	ret->forbidden = hwloc_bitmap_dup(hwloc_topology_get_complete_cpuset(ret->hwloc));
	if (!ret->forbidden || hwloc_bitmap_andnot(ret->forbidden, ret->forbidden, ret->allowed) < 0 || find_teams(ret) < 0)
		return fail(err, -ENOMEM, "out of memory");
	if (!topology) {
		ret->quota = rp_cpu_quota();
		ret->grant = rp_cpu_grant(&ret->scheduler);
	}
	return 0;
}

void machine_free(struct machine *machine)
{
	for (int i = 0; i < machine->team_count; i++)
		hwloc_bitmap_free(machine->teams[i].cpus);
	free(machine->teams);
	free(machine->infos);
	hwloc_bitmap_free(machine->allowed);
	hwloc_bitmap_free(machine->usable);
	hwloc_bitmap_free(machine->forbidden);
	if (machine->hwloc)
		hwloc_topology_destroy(machine->hwloc);
}

hwloc_obj_type_t machine_core_type(const struct machine *machine)
{
	return hwloc_get_nbobjs_by_type(machine->hwloc, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

int machine_objects(const struct machine *machine, hwloc_obj_type_t type, hwloc_const_bitmap_t cpus, hwloc_bitmap_t ret)
{
	int n = 0;

	for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(machine->hwloc, type, o)) != NULL;)
		if (hwloc_bitmap_intersects(o->cpuset, cpus)) {
			n++;
			if (ret)
				hwloc_bitmap_set(ret, o->logical_index);
		}
	return n;
}
