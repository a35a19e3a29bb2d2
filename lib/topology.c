/* SPDX-License-Identifier: BSD-3-Clause */
/* topology.c - which CPUs may be used, and where workers go on them. */
#include "topology.h"
#include "cpulimit.h"
#include "context.h"
#include "grant.h"
#include "location.h"
#include "slots.h"
#include "source.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct topology {
	hwloc_topology_t machine;               /* shared by all that topology_here has made */
	hwloc_bitmap_t allowed;
	double quota;
	struct grant grant;
	struct topology *older;                 /* of topology_here: this machine under another affinity or other cgroups */
};

static struct topology *drop(struct topology *t)
{
	if (t)
		hwloc_bitmap_free(t->allowed);
	free(t);
	return NULL;
}

static int load_here(hwloc_topology_t *ret, struct rp_error *err)
{
	hwloc_topology_t machine;
	int e = 0;

	*ret = NULL;
	if (hwloc_topology_init(&machine) < 0)
		return error_set(err, -ENOMEM, "hwloc cannot be initialised");
	if (hwloc_topology_load(machine) < 0)
		e = error_set(err, -ENODEV, "hwloc cannot find out about this machine: %s", strerror(errno));
	else if (!hwloc_topology_is_thissystem(machine))
		e = error_set(err, -EINVAL,
		              "HWLOC_XMLFILE, HWLOC_SYNTHETIC or HWLOC_FSROOT has hwloc describe another machine as this; "
		              "unset it, or set HWLOC_THISSYSTEM=1 if it is this one");
	else if (source_check(machine) < 0)
		e = error_set(err, -ENODEV, "this machine numbers CPUs beyond %d", PLACE_BITS - 1);
	if (e < 0)
		hwloc_topology_destroy(machine);
	else
		*ret = machine;
	return e;
}

/* The mask of the calling thread, or the one recorded under `root`.  1: *ret is it, 0: there is none. */
static int read_affinity(const char *root, hwloc_bitmap_t ret)
{
	static const char key[] = "Cpus_allowed_list:";
	unsigned long mask[PLACE_WORDS] = { 0 };
	char name[PATH_MAX], line[4096];
	int found = 0;
	FILE *f;

	if (!root)
		return syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) > 0 &&
		       hwloc_bitmap_from_ulongs(ret, PLACE_WORDS, mask) == 0;
	snprintf(name, sizeof name, "%s/proc/self/status", root);
	f = fopen(name, "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		found = strncmp(line, key, strlen(key)) == 0 &&
		        hwloc_bitmap_list_sscanf(ret, line + strlen(key) + strspn(line + strlen(key), " \t")) == 0;
	}
	if (f)
		fclose(f);
	return found;
}

static int refuse_none(hwloc_const_bitmap_t affinity, hwloc_const_bitmap_t cpusets, struct rp_error *err)
{
	char a[128], c[128];

	place_list(a, sizeof a, affinity);
	place_list(c, sizeof c, cpusets);
	return error_set(err, -ENODEV, "no CPU may be used: the affinity mask allows %s, the cgroups %s", a, c);
}

/* Allowed CPUs, quota and grant of the process, or of the one recorded under `root`. */
static int read_limits(struct topology *t, const char *root, struct rp_error *err)
{
	hwloc_bitmap_t affinity = hwloc_bitmap_alloc();
	int e = -ENOMEM;

	if (!affinity || cpulimit_read(root ? root : "", t->allowed, &t->quota) < 0) {
		error_set(err, e, "out of memory");
		goto out;
	}
	e = 0;
	if (!read_affinity(root, affinity))
		hwloc_bitmap_fill(affinity);
	if (hwloc_bitmap_intersects(t->allowed, affinity))
		hwloc_bitmap_and(t->allowed, t->allowed, affinity);
	else
		e = refuse_none(affinity, t->allowed, err);
	grant_read(root ? root : "", &t->grant);
	/* Whatever the scheduler counts, cores or hardware threads: so many leave nothing out. */
	if (t->grant.cpus >= (unsigned)hwloc_bitmap_weight(t->allowed))
		t->grant = (struct grant){ .scheduler = "" };
out:
	hwloc_bitmap_free(affinity);
	return e;
}

/* A topology of *machine, all of whose CPUs are allowed. */
static struct topology *make(hwloc_topology_t machine)
{
	struct topology *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->machine = machine;
	t->grant.scheduler = "";
	t->allowed = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(machine));
	if (!t->allowed)
		return drop(t);
	hwloc_bitmap_and(t->allowed, t->allowed, hwloc_topology_get_topology_cpuset(machine));
	return t;
}

int topology_load(struct topology **ret, const char *source, const char *root, struct rp_error *err)
{
	hwloc_topology_t machine;
	struct topology *t;
	int e;

	*ret = NULL;
	e = source ? source_load(&machine, source, err) : load_here(&machine, err);
	if (e < 0)
		return e;
	t = make(machine);
	if (!t) {
		hwloc_topology_destroy(machine);
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (!source || root)
		e = read_limits(t, root, err);
	else if (hwloc_bitmap_iszero(t->allowed))
		e = error_set(err, -EINVAL, "topology %.200s has no CPU that may be used", source);
	if (e < 0)
		topology_free(t);
	else
		*ret = t;
	return e;
}

struct topology *topology_free(struct topology *topology)
{
	if (topology)
		hwloc_topology_destroy(topology->machine);
	return drop(topology);
}

static int is_same(const struct topology *a, const struct topology *b)
{
	return !(a->quota < b->quota) && !(a->quota > b->quota) && a->grant.cpus == b->grant.cpus &&
	       strcmp(a->grant.scheduler, b->grant.scheduler) == 0 && hwloc_bitmap_isequal(a->allowed, b->allowed);
}

/* With the context locked.  Errors must not leave by exit(), so *err is no caller's. */
static struct topology *find_here(struct context *context, struct rp_error *err)
{
	hwloc_topology_t machine = context->topology ? context->topology->machine : NULL;
	struct topology *now, *t = context->topology;

	if (!machine && load_here(&machine, err) < 0)
		return NULL;
	now = make(machine);
	if (!now)
		error_set(err, -ENOMEM, "out of memory");
	if (!now || read_limits(now, NULL, err) < 0) {
		if (!context->topology)
			hwloc_topology_destroy(machine);
		return drop(now);
	}
	while (t && !is_same(t, now))
		t = t->older;
	if (t) {
		drop(now);
		return t;
	}
	now->older = context->topology;
	context->topology = now;
	return now;
}

struct topology *topology_here(struct rp_error *err)
{
	struct rp_error e = { .code = 0 };
	struct topology *ret;

	context_lock();
	ret = find_here(context_get(), &e);
	context_unlock();
	if (!ret)
		error_set(err, e.code, "%s", e.text);
	return ret;
}

int topology_cpus(const struct topology *topology)
{
	return hwloc_bitmap_weight(topology->allowed);
}

/* CPUs' worth of time, whole ones, and what the scheduler has given. */
static unsigned granted(const struct topology *topology)
{
	unsigned given = topology->grant.cpus ? topology->grant.cpus : UINT_MAX, whole;

	if (topology->quota <= 0 || topology->quota > PLACE_BITS)
		return given;
	whole = (unsigned)topology->quota;
	whole += whole < topology->quota;
	return whole < given ? whole : given;
}

int topology_usable(const struct topology *topology)
{
	unsigned cpus = (unsigned)topology_cpus(topology), time = granted(topology);

	return (int)(time < cpus ? time : cpus);
}

int topology_cores(const struct topology *topology)
{
	unsigned cores = slots_cores(topology->machine, topology->allowed), time = granted(topology);

	return (int)(time < cores ? time : cores);
}

double topology_quota(const struct topology *topology)
{
	return topology->quota;
}

unsigned topology_grant(const struct topology *topology, const char **ret_scheduler)
{
	*ret_scheduler = topology->grant.scheduler;
	return topology->grant.cpus;
}

const char *topology_host(const struct topology *topology)
{
	const char *name = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology->machine), "HostName");

	return name ? name : "";
}

static int check_count(uint32_t count, const char *what, struct rp_error *err)
{
	if (count > INT32_MAX)
		return error_set(err, -EINVAL, "%s: %d is negative", what, (int)count);
	if (count > TOPOLOGY_WORKERS)
		return error_set(err, -EINVAL, "%s: %u is more than %d", what, count, TOPOLOGY_WORKERS);
	return 0;
}

int topology_plan(const struct topology *topology, const struct rp_pool_options *options, struct place **ret,
                  struct rp_error *err)
{
	struct slots_wish wish = { .machine = topology->machine, .cpus = topology->allowed, .granted = granted(topology),
		                   .workers = options->workers ? options->workers : options->workers_per_node,
		                   .each = options->cpus_per_worker };
	hwloc_bitmap_t cpus = NULL;
	int e;

	*ret = NULL;
	e = check_count(options->workers, "workers", err);
	if (e == 0)
		e = check_count(options->workers_per_node, "workers_per_node", err);
	if (e < 0)
		return e;
	if (options->workers && options->workers_per_node)
		return error_set(err, -EINVAL, "workers = %u and workers_per_node = %u contradict each other",
		                 options->workers, options->workers_per_node);
	e = check_count(options->cpus_per_worker, "cpus_per_worker", err);
	if (e < 0)
		return e;
	e = slots_parse(&wish, options->bind, err);
	if (e < 0)
		return e;
	if (options->cpus) {
		cpus = hwloc_bitmap_alloc();
		wish.cpus = cpus;
		e = cpus ? location_parse(topology->machine, options->cpus, topology->allowed, cpus, err) :
		           error_set(err, -ENOMEM, "out of memory");
	}
	if (e == 0)
		e = slots_plan(&wish, ret, err);
	hwloc_bitmap_free(cpus);
	return e;
}

int topology_locate(const struct topology *topology, const char *location, struct place *ret, struct rp_error *err)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc(), nodes = hwloc_bitmap_alloc();
	int e;

	e = cpus && nodes ? location_parse(topology->machine, location, topology->allowed, cpus, err) :
	                    error_set(err, -ENOMEM, "out of memory");
	if (e == 0 && hwloc_cpuset_to_nodeset(topology->machine, cpus, nodes) < 0)
		e = error_set(err, -ENOMEM, "out of memory");
	if (e == 0) {
		place_set(ret, cpus, nodes);
		ret->cpu_count = slots_cores(topology->machine, cpus);
		ret->bound = ret->load = 1;
	}
	hwloc_bitmap_free(cpus);
	hwloc_bitmap_free(nodes);
	return e;
}

void topology_info(const struct place *place, int rank, struct rp_worker_info *ret)
{
	*ret = (struct rp_worker_info){ .rank = rank, .local_rank = rank };
	gethostname(ret->host, sizeof ret->host - 1);
	memcpy(ret->cpus, place->list, sizeof ret->cpus);
}
