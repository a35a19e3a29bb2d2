/* SPDX-License-Identifier: BSD-3-Clause */
/* slots.c - sharing out the CPUs of a machine among workers.
 *
 * The objects of the wanted kind are joined, neighbours first, until each holds the CPUs of one worker: these are the
 * slots.  A slot's room is how many workers' CPUs it holds.  Workers fill the slots evenly as long as there is room,
 * and when there is none left they start over with all room free again, so that no CPU ever serves two workers more
 * than another.  Where only some of the slots with room get one more, hwloc_distrib chooses which: that is what
 * spreads few workers over the machine.  When the slots leave objects over and there are more workers than slots, the
 * workers get runs of neighbouring objects that begin at even distances instead, for otherwise these objects would
 * idle while others serve several. */
#include "slots.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct slot {
	hwloc_bitmap_t cpus;
	unsigned size;                          /* cores in it, hardware threads for SLOTS_PU */
	unsigned order;                         /* of its first object */
	int torn;                               /* its objects have nothing but the machine in common */
	int taken;                              /* an object that is in a slot */
	unsigned room;                          /* workers that fit, at least 1 */
	unsigned workers;                       /* that it gets */
	unsigned load;                          /* workers that each of its CPUs serves, rounded up */
};

struct planner {
	const struct slots_wish *wish;
	struct rp_error *err;
	unsigned each;                          /* wish->each, at least 1 */
	struct slot *objects;                   /* of the kind, in hwloc's order */
	unsigned object_count;
	struct slot *slots;
	unsigned slot_count;
	unsigned left_over;                     /* objects that are in no slot */
	unsigned size;                          /* of all objects together */
};

static const struct {
	const char *name;
	enum slots_kind kind;
} kinds[] = {
	{ "core", SLOTS_CORE },   { "pu", SLOTS_PU },           { "l3", SLOTS_L3 },      { "numa", SLOTS_NUMA },
	{ "package", SLOTS_PACKAGE }, { "none", SLOTS_NONE },
	/* mpirun's words for the same */
	{ "hwthread", SLOTS_PU }, { "l3cache", SLOTS_L3 }, { "socket", SLOTS_PACKAGE },
};

static const hwloc_obj_type_t types[] = {
	[SLOTS_CORE] = HWLOC_OBJ_CORE, [SLOTS_PU] = HWLOC_OBJ_PU, [SLOTS_L3] = HWLOC_OBJ_L3CACHE,
	[SLOTS_NUMA] = HWLOC_OBJ_NUMANODE, [SLOTS_PACKAGE] = HWLOC_OBJ_PACKAGE, [SLOTS_NONE] = HWLOC_OBJ_MACHINE,
};

int slots_parse(struct slots_wish *wish, const char *bind, struct rp_error *err)
{
	size_t length;

	wish->kind = SLOTS_CORE;
	wish->compact = 0;
	if (!bind)
		return 0;
	length = strcspn(bind, ":");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strlen(kinds[i].name) != length || strncasecmp(bind, kinds[i].name, length) != 0)
			continue;
		wish->kind = kinds[i].kind;
		wish->compact = strcasecmp(bind + length, ":compact") == 0;
		if (!bind[length] || wish->compact || strcasecmp(bind + length, ":spread") == 0)
			return 0;
		return error_set(err, -EINVAL, "\"%s\": how to place is \"spread\" or \"compact\", not \"%s\"", bind,
		                 bind + length + 1);
	}
	return error_set(err, -EINVAL, "unknown object \"%.*s\" to bind to; known are core, pu, l3, numa, package, none",
	                 length > 100 ? 100 : (int)length, bind);
}

static hwloc_obj_type_t core_type(hwloc_topology_t machine)
{
	return hwloc_get_nbobjs_by_type(machine, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

unsigned slots_cores(hwloc_topology_t machine, hwloc_const_bitmap_t cpus)
{
	hwloc_obj_type_t type = core_type(machine);
	hwloc_obj_t o = NULL;
	unsigned n = 0;

	while ((o = hwloc_get_next_obj_by_type(machine, type, o)) != NULL)
		n += hwloc_bitmap_intersects(o->cpuset, cpus) ? 1 : 0;
	return n;
}

static int no_memory(const struct planner *p)
{
	return error_set(p->err, -ENOMEM, "out of memory while placing workers");
}

static int refuse_kind(const struct planner *p, const char *name)
{
	hwloc_topology_t machine = p->wish->machine;
	char has[160] = "";
	size_t used = 0;

	for (enum slots_kind k = SLOTS_CORE; k < SLOTS_NONE; k++) {
		int n = hwloc_get_nbobjs_by_type(machine, types[k]);

		if (n > 0)
			used += (size_t)snprintf(has + used, sizeof has - used, "%s%d %s", used ? ", " : "", n,
			                         kinds[k].name);
	}
	return error_set(p->err, -EINVAL, "no \"%s\" to bind to on the CPUs that may be used; the machine has %s", name,
	                 has);
}

/* Is there an earlier object with the same CPUs?  Two kinds of memory at one package are one place. */
static int is_known(const struct planner *p, hwloc_const_bitmap_t cpus)
{
	for (unsigned i = 0; i + 1 < p->object_count; i++)
		if (hwloc_bitmap_isequal(p->objects[i].cpus, cpus))
			return 1;
	return 0;
}

static int find_objects(struct planner *p)
{
	const struct slots_wish *w = p->wish;
	hwloc_obj_type_t type = w->kind == SLOTS_CORE ? core_type(w->machine) : types[w->kind];
	int count = hwloc_get_nbobjs_by_type(w->machine, type);
	hwloc_obj_t o = NULL;

	p->objects = calloc(count > 0 ? (size_t)count : 1, sizeof *p->objects);
	if (!p->objects)
		return no_memory(p);
	while ((o = hwloc_get_next_obj_by_type(w->machine, type, o)) != NULL) {
		struct slot *s = &p->objects[p->object_count];

		if (!hwloc_bitmap_intersects(o->cpuset, w->cpus))
			continue;
		s->cpus = hwloc_bitmap_alloc();
		if (!s->cpus)
			return no_memory(p);
		s->order = p->object_count++;
		if (hwloc_bitmap_and(s->cpus, o->cpuset, w->cpus) < 0)
			return no_memory(p);
		if (w->kind == SLOTS_NUMA && is_known(p, s->cpus)) {
			hwloc_bitmap_free(s->cpus);
			p->object_count--;
			continue;
		}
		s->size = w->kind == SLOTS_PU || w->kind == SLOTS_CORE ? 1 : slots_cores(w->machine, s->cpus);
		p->size += s->size;
	}
	return p->object_count ? 0 : refuse_kind(p, kinds[w->kind].name);
}

/* Makes a slot of the objects listed. */
static int join(struct planner *p, const unsigned *list, unsigned count, int torn)
{
	struct slot *s = &p->slots[p->slot_count];

	s->cpus = hwloc_bitmap_alloc();
	if (!s->cpus)
		return no_memory(p);
	p->slot_count++;
	s->order = p->objects[list[0]].order;
	s->torn = torn;
	for (unsigned i = 0; i < count; i++) {
		struct slot *o = &p->objects[list[i]];

		if (hwloc_bitmap_or(s->cpus, s->cpus, o->cpus) < 0)
			return no_memory(p);
		s->size += o->size;
		o->taken = 1;
	}
	s->room = s->size > p->each ? s->size / p->each : 1;
	return 0;
}

/* Objects at the end that are too few for a slot are left to a larger domain; in the whole machine they stay over,
 * unless they are all there is. */
static int join_within(struct planner *p, hwloc_const_bitmap_t domain, unsigned *list)
{
	int whole = hwloc_bitmap_isequal(domain, hwloc_topology_get_topology_cpuset(p->wish->machine));
	unsigned count = 0, size = 0;

	for (unsigned i = 0; i < p->object_count; i++) {
		struct slot *o = &p->objects[i];
		int e;

		if (o->taken || !hwloc_bitmap_isincluded(o->cpus, domain))
			continue;
		list[count++] = i;
		size += o->size;
		if (size < p->each)
			continue;
		e = join(p, list, count, whole);
		if (e < 0)
			return e;
		count = size = 0;
	}
	p->left_over = count;
	if (count < p->object_count)
		return 0;
	p->left_over = 0;
	return join(p, list, count, whole);
}

/* Torn slots last: they are used when there are no better ones. */
static int by_order(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	if (x->torn != y->torn)
		return x->torn - y->torn;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_size(const void *a, const void *b)
{
	const struct hwloc_obj *const *x = a, *const *y = b;
	int m = hwloc_bitmap_weight((*x)->cpuset), n = hwloc_bitmap_weight((*y)->cpuset);

	return m != n ? m - n : hwloc_bitmap_compare_first((*x)->cpuset, (*y)->cpuset);
}

/* What neighbours may have in common, smallest first, in *ret, malloc'ed: which of NUMA node and package is the larger
 * differs between machines. */
static int find_domains(const struct planner *p, hwloc_obj_t **ret, size_t *ret_count)
{
	static const hwloc_obj_type_t domains[] = { HWLOC_OBJ_MACHINE, HWLOC_OBJ_PACKAGE, HWLOC_OBJ_NUMANODE,
		                                    HWLOC_OBJ_DIE,     HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L2CACHE };
	/* Without any joining to be done, the machine will do. */
	const size_t kinds_used = p->each > 1 ? sizeof domains / sizeof *domains : 1;
	hwloc_topology_t machine = p->wish->machine;
	size_t room = 0;

	*ret_count = 0;
	for (size_t i = 0; i < kinds_used; i++) {
		int n = hwloc_get_nbobjs_by_type(machine, domains[i]);

		room += n > 0 ? (size_t)n : 0;
	}
	*ret = calloc(room, sizeof **ret);
	if (!*ret)
		return no_memory(p);
	for (size_t i = 0; i < kinds_used; i++)
		for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(machine, domains[i], o)) != NULL;)
			(*ret)[(*ret_count)++] = o;
	qsort(*ret, *ret_count, sizeof **ret, by_size);
	return 0;
}

static int find_slots(struct planner *p)
{
	unsigned *list = malloc(p->object_count * sizeof *list);
	hwloc_obj_t *domains = NULL;
	size_t count = 0;
	int e;

	p->slots = calloc(p->object_count, sizeof *p->slots);
	e = p->slots && list ? find_domains(p, &domains, &count) : no_memory(p);
	for (size_t i = 0; e == 0 && i < count; i++)
		e = join_within(p, domains[i]->cpuset, list);
	if (e == 0)
		qsort(p->slots, p->slot_count, sizeof *p->slots, by_order);
	free(domains);
	free(list);
	return e;
}

/* How many slots `count` workers are spread over: all, or only those before the torn ones when these have room enough. */
static unsigned choosable(const struct planner *p, unsigned count)
{
	unsigned i, room = 0;

	for (i = 0; i < p->slot_count && !p->slots[i].torn; i++)
		room += p->slots[i].room > 0;
	return room >= count ? i : p->slot_count;
}

/* Gives one worker more to `count` of the slots with room, spread over the machine.  hwloc_distrib weighs hardware
 * threads, of which cores may have different numbers, so it is shown one for each slot and nothing else. */
static int spread(struct planner *p, unsigned count)
{
	hwloc_bitmap_t first = hwloc_bitmap_alloc(), *parts = calloc(count, sizeof *parts);
	const unsigned slots = choosable(p, count);
	hwloc_topology_t machine = NULL;
	hwloc_obj_t root;
	int e = 0;

	if (!first || !parts)
		e = no_memory(p);
	for (unsigned i = 0; e == 0 && i < slots; i++)
		if (p->slots[i].room && hwloc_bitmap_set(first, (unsigned)hwloc_bitmap_first(p->slots[i].cpus)) < 0)
			e = no_memory(p);
	if (e == 0 && (hwloc_topology_dup(&machine, p->wish->machine) < 0 || hwloc_topology_restrict(machine, first, 0) < 0))
		e = no_memory(p);
	if (e < 0)
		goto out;
	root = hwloc_get_root_obj(machine);
	if (hwloc_distrib(machine, &root, 1, parts, count, INT_MAX, 0) < 0)
		e = no_memory(p);
	for (unsigned k = 0; e == 0 && k < count; k++)
		for (unsigned i = 0; i < slots; i++) {
			struct slot *s = &p->slots[i];

			if (!s->room || !hwloc_bitmap_isset(parts[k], (unsigned)hwloc_bitmap_first(s->cpus)))
				continue;
			s->workers++;
			s->room--;
			break;
		}
out:
	for (unsigned k = 0; parts && k < count; k++)
		hwloc_bitmap_free(parts[k]);
	free(parts);
	hwloc_bitmap_free(first);
	if (machine)
		hwloc_topology_destroy(machine);
	return e;
}

/* Every slot with room, or the first `count` of them, gets up to `most` workers more.  Returns how many that were. */
static unsigned fill(struct planner *p, unsigned count, unsigned most)
{
	unsigned given = 0;

	for (unsigned i = 0; i < p->slot_count && given < count; i++) {
		struct slot *s = &p->slots[i];
		unsigned n = s->room < most ? s->room : most;

		n = n < count - given ? n : count - given;
		s->workers += n;
		s->room -= n;
		given += n;
	}
	return given;
}

static unsigned total_room(const struct planner *p)
{
	unsigned room = 0;

	for (unsigned i = 0; i < p->slot_count; i++)
		room += p->slots[i].room;
	return room;
}

static int share_out(struct planner *p, unsigned workers)
{
	unsigned room = total_room(p), rest;
	int e = 0;

	for (unsigned i = 0; i < p->slot_count; i++)
		p->slots[i].workers = workers / room * p->slots[i].room;
	for (rest = workers % room; e == 0 && rest;) {
		unsigned open = 0;

		for (unsigned i = 0; i < p->slot_count; i++)
			open += p->slots[i].room ? 1 : 0;
		if (p->wish->compact) {
			rest -= fill(p, rest, UINT_MAX);
		} else if (rest >= open) {
			rest -= fill(p, rest, 1);
		} else {
			e = spread(p, rest);
			rest = 0;
		}
	}
	for (unsigned i = 0; i < p->slot_count; i++) {
		struct slot *s = &p->slots[i];

		s->load = (unsigned)(((uint64_t)s->workers * p->each + s->size - 1) / s->size);
	}
	return e;
}

static struct slot *free_slots(struct slot *slots, unsigned count)
{
	for (unsigned i = 0; slots && i < count; i++)
		hwloc_bitmap_free(slots[i].cpus);
	free(slots);
	return NULL;
}

/* Instead of the slots, one for each worker: neighbouring objects from an even distance on, past the last those at 0. */
static int find_runs(struct planner *p, unsigned workers)
{
	p->slots = free_slots(p->slots, p->slot_count);
	p->slot_count = 0;
	p->slots = calloc(workers, sizeof *p->slots);
	if (!p->slots)
		return no_memory(p);
	for (unsigned i = 0; i < workers; i++) {
		unsigned at = (unsigned)((uint64_t)i * p->object_count / workers);
		struct slot *s = &p->slots[i];

		s->cpus = hwloc_bitmap_alloc();
		if (!s->cpus)
			return no_memory(p);
		p->slot_count++;
		s->workers = 1;
		s->load = (unsigned)(((uint64_t)workers * p->each + p->size - 1) / p->size);
		for (unsigned n = 0; n < p->object_count && s->size < p->each; n++) {
			const struct slot *o = &p->objects[(at + n) % p->object_count];

			s->size += o->size;
			if (hwloc_bitmap_or(s->cpus, s->cpus, o->cpus) < 0)
				return no_memory(p);
		}
	}
	return 0;
}

/* How many CPUs a worker may use: what was said; else its share of the slot, and of the time that is granted to all. */
static void set_place(const struct planner *p, struct place *ret, const struct slot *s, unsigned workers)
{
	const struct slots_wish *w = p->wish;
	unsigned share = s->size / s->workers, fair = w->granted / workers;

	ret->bound = w->kind != SLOTS_NONE;
	ret->load = s->load;
	if (w->each)
		share = w->each < s->size ? w->each : s->size;
	else if (fair < share)
		share = fair;
	ret->cpu_count = share ? share : 1;
}

static int fill_places(const struct planner *p, struct place *ret, unsigned workers, hwloc_bitmap_t nodes)
{
	for (unsigned i = 0, rank = 0; i < p->slot_count; i++) {
		const struct slot *s = &p->slots[i];

		if (!s->workers)
			continue;
		hwloc_bitmap_zero(nodes);
		if (p->wish->kind != SLOTS_NONE && hwloc_cpuset_to_nodeset(p->wish->machine, s->cpus, nodes) < 0)
			return no_memory(p);
		place_set(&ret[rank], s->cpus, nodes);
		set_place(p, &ret[rank], s, workers);
		for (unsigned k = 1; k < s->workers; k++)
			ret[rank + k] = ret[rank];
		rank += s->workers;
	}
	return 0;
}

static unsigned default_workers(const struct planner *p)
{
	const struct slots_wish *w = p->wish;
	/* Whole objects count as one each, unless it was said how many CPUs a worker needs. */
	unsigned n = w->each || w->kind == SLOTS_NONE ? p->size : p->object_count;

	if (n > w->granted)
		n = w->granted;
	return n > p->each ? n / p->each : 1;
}

int slots_plan(const struct slots_wish *wish, struct place **ret, struct rp_error *err)
{
	struct planner p = { .wish = wish, .err = err, .each = wish->each ? wish->each : 1 };
	hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
	struct place *places = NULL;
	unsigned workers = 0;
	int e;

	e = nodes ? find_objects(&p) : no_memory(&p);
	if (e < 0)
		goto out;
	workers = wish->workers ? wish->workers : default_workers(&p);
	e = find_slots(&p);
	if (e < 0)
		goto out;
	e = p.left_over && workers > total_room(&p) ? find_runs(&p, workers) : share_out(&p, workers);
	if (e < 0)
		goto out;
	places = calloc(workers, sizeof *places);
	e = places ? fill_places(&p, places, workers, nodes) : no_memory(&p);
out:
	free_slots(p.slots, p.slot_count);
	free_slots(p.objects, p.object_count);
	hwloc_bitmap_free(nodes);
	if (e < 0) {
		free(places);
		return e;
	}
	*ret = places;
	return (int)workers;
}
