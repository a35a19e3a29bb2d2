/* SPDX-License-Identifier: BSD-3-Clause */
/* drawing.c - a machine in text: packages, NUMA nodes and caches as a tree, cores as cells with their workers in them. */
#include "drawing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 100
#define CELL_SIZE 256                           /* bytes for the text of one core */
#define LINES_MOST 12                           /* of cells under one heading, before the middle is left out */
#define SIBLINGS_MOST 8                         /* headings alike under one, before the middle is left out */

/* The workers that a hardware thread serves. */
struct load {
	int first, last, count;
};

struct drawing {
	const struct machine *machine;
	hwloc_obj_type_t core;
	struct load *loads;                     /* by OS index */
	int used[5];                            /* which signs the legend has to explain */
};

enum sign { SIGN_WORKER, SIGN_MORE, SIGN_THREADS, SIGN_FREE, SIGN_FORBIDDEN };

static int find_loads(struct drawing *d)
{
	const struct machine *m = d->machine;
	int last = hwloc_bitmap_last(hwloc_topology_get_topology_cpuset(m->hwloc));

	d->loads = calloc((size_t)last + 1, sizeof *d->loads);
	if (!d->loads)
		return -1;
	for (int i = 0; i < m->team_count; i++) {
		const struct team *t = &m->teams[i];

		for (int cpu = hwloc_bitmap_first(t->cpus); cpu >= 0 && cpu <= last; cpu = hwloc_bitmap_next(t->cpus, cpu)) {
			struct load *l = &d->loads[cpu];

			if (!l->count)
				l->first = t->first;
			l->last = t->first + t->count - 1;
			l->count += t->count;
		}
	}
	return 0;
}

/* "3", "3-5" or "3+2" (rank 3 and two more), "." for nobody's, "x" for one that must not be used. */
static void print_load(struct drawing *d, unsigned cpu, char *ret, size_t size)
{
	const struct load *l = &d->loads[cpu];

	d->used[!hwloc_bitmap_isset(d->machine->allowed, cpu) ? SIGN_FORBIDDEN : l->count ? SIGN_WORKER : SIGN_FREE] = 1;
	if (!hwloc_bitmap_isset(d->machine->allowed, cpu))
		snprintf(ret, size, "x");
	else if (!l->count)
		snprintf(ret, size, ".");
	else if (l->count == 1)
		snprintf(ret, size, "%d", l->first);
	else if (l->last - l->first + 1 == l->count)
		snprintf(ret, size, "%d-%d", l->first, l->last);
	else
		d->used[SIGN_MORE] = snprintf(ret, size, "%d+%d", l->first, l->count - 1) > 0;
}

/* "[3]" when all hardware threads of the core are alike, else one word for each: "[3|4]". */
static void print_core(struct drawing *d, hwloc_obj_t core, char *ret, size_t size)
{
	char word[32], before[32] = "";
	size_t used = 0;
	int alike = 1;

	for (int cpu = hwloc_bitmap_first(core->cpuset); cpu >= 0; cpu = hwloc_bitmap_next(core->cpuset, cpu)) {
		print_load(d, (unsigned)cpu, word, sizeof word);
		alike = alike && (!*before || strcmp(word, before) == 0);
		strcpy(before, word);
		if (used + strlen(word) + 3 < size)
			used += (size_t)sprintf(ret + used, "%c%s", used ? '|' : '[', word);
	}
	if (alike)
		used = (size_t)sprintf(ret, "[%s", before);
	else
		d->used[SIGN_THREADS] = 1;
	strcpy(ret + used, "]");
}

/* The cores listed, as cells in lines of equal width; lines in the middle of very many are left out. */
static int print_cells(struct drawing *d, const hwloc_obj_t *cores, int count, int indent)
{
	char (*cells)[CELL_SIZE] = malloc((size_t)count * sizeof *cells);
	int width = 0, per_line, lines;

	if (!cells)
		return -1;
	for (int i = 0; i < count; i++) {
		int n;

		print_core(d, cores[i], cells[i], sizeof cells[i]);
		n = (int)strlen(cells[i]);
		width = n > width ? n : width;
	}
	per_line = (WIDTH - indent - 15) / (width + 1);
	per_line = per_line < 1 ? 1 : per_line >= 4 ? per_line / 4 * 4 : per_line;
	lines = (count + per_line - 1) / per_line;
	for (int line = 0; line < lines; line++) {
		int from = line * per_line, to = from + per_line < count ? from + per_line : count;
		char name[32];

		if (lines > LINES_MOST && line == LINES_MOST / 2) {
			printf("%*s... %d more lines like these ...\n", indent, "", lines - LINES_MOST);
			line = lines - LINES_MOST / 2 - 1;
			continue;
		}
		snprintf(name, sizeof name, to - from > 1 ? "%s %u-%u" : "%s %u", d->core == HWLOC_OBJ_CORE ? "core" : "CPU",
		         cores[from]->logical_index, cores[to - 1]->logical_index);
		printf("%*s%-14s", indent, "", name);
		for (int i = from; i < to; i++)
			printf(" %-*s", i + 1 < to ? width : 0, cells[i]);
		putchar('\n');
	}
	free(cells);
	return 0;
}

static void print_size(uint64_t bytes)
{
	static const char *const units[] = { "KB", "MB", "GB", "TB" };
	double size = (double)bytes / 1024;
	int unit = 0;

	for (; size >= 1024 && unit < 3; unit++)
		size /= 1024;
	printf(" (%.*f %s)", size < 10 && unit > 1 ? 1 : 0, size, units[unit]);
}

static void print_name(hwloc_obj_t o)
{
	char type[32];

	hwloc_obj_type_snprintf(type, sizeof type, o, 0);
	printf("%s", o->type == HWLOC_OBJ_NUMANODE ? "NUMA node" : type);
	if (o->parent)
		printf(" %u", o->logical_index);
	if (hwloc_obj_type_is_cache(o->type) && o->attr->cache.size)
		print_size(o->attr->cache.size);
	if (o->type == HWLOC_OBJ_NUMANODE && o->attr->numanode.local_memory)
		print_size(o->attr->numanode.local_memory);
}

/* Is the object worth a heading of its own?  A cache that one core has to itself is not. */
static int is_heading(const struct drawing *d, hwloc_obj_t o)
{
	if (o->type == HWLOC_OBJ_CORE || o->type == HWLOC_OBJ_PU)
		return 0;
	if (o->type == HWLOC_OBJ_PACKAGE || o->memory_arity)
		return 1;
	return hwloc_get_nbobjs_inside_cpuset_by_type(d->machine->hwloc, o->cpuset, d->core) > 1;
}

/* The headings right below an object, and the cores below it that are under no heading, in *cores. */
static int find_below(const struct drawing *d, hwloc_obj_t o, hwloc_obj_t *headings, hwloc_obj_t *cores, int *core_count)
{
	int n = 0;

	*core_count = 0;
	for (hwloc_obj_t child = o->first_child; child; child = child->next_sibling) {
		if (is_heading(d, child)) {
			headings[n++] = child;
			continue;
		}
		for (hwloc_obj_t c = NULL; (c = hwloc_get_next_obj_inside_cpuset_by_type(d->machine->hwloc, child->cpuset,
		                                                                          d->core, c)) != NULL;)
			cores[(*core_count)++] = c;
	}
	return n;
}

/* One heading, with all that is alone below the one before in the same line, and what is under it. */
static int print_object(struct drawing *d, hwloc_obj_t o, int indent)
{
	const int most_cores = hwloc_get_nbobjs_by_type(d->machine->hwloc, d->core);
	hwloc_obj_t *cores = malloc((size_t)most_cores * sizeof *cores), *headings = NULL;
	int count, core_count, e = cores ? 0 : -1;

	printf("%*s", indent, "");
	for (; e == 0; o = headings[0]) {
		print_name(o);
		for (hwloc_obj_t memory = o->memory_first_child; memory; memory = memory->next_sibling) {
			printf(" + ");
			print_name(memory);
		}
		free(headings);
		headings = calloc(o->arity ? o->arity : 1, sizeof *headings);
		if (!headings)
			e = -1;
		count = headings ? find_below(d, o, headings, cores, &core_count) : 0;
		if (e < 0 || count != 1 || core_count)
			break;
		printf(" + ");
	}
	putchar('\n');
	if (e == 0 && core_count)
		e = print_cells(d, cores, core_count, indent + 2);
	for (int i = 0; e == 0 && i < count; i++) {
		if (count > SIBLINGS_MOST && i == SIBLINGS_MOST / 2) {
			i = count - SIBLINGS_MOST / 2;
			printf("%*s... %d more like these ...\n", indent + 2, "", count - SIBLINGS_MOST);
		}
		e = print_object(d, headings[i], indent + 2);
	}
	free(headings);
	free(cores);
	return e;
}

static void print_legend(const struct drawing *d)
{
	const char *core = d->core == HWLOC_OBJ_CORE ? "core" : "CPU";

	printf("\nEach [ ] is a %s", core);
	if (d->used[SIGN_WORKER])
		printf(" with the ranks of its workers");
	if (d->used[SIGN_MORE])
		printf(" (3+2: rank 3 and two more)");
	if (d->used[SIGN_THREADS])
		printf("; | parts its CPUs");
	if (d->used[SIGN_FREE])
		printf("; . has no worker");
	if (d->used[SIGN_FORBIDDEN])
		printf("; x may not be used");
	printf(".\n");
}

int drawing_print(const struct machine *machine)
{
	struct drawing d = { .machine = machine, .core = machine_core_type(machine) };
	int e = find_loads(&d);

	if (e == 0)
		e = print_object(&d, hwloc_get_root_obj(machine->hwloc), 0);
	if (e == 0)
		print_legend(&d);
	free(d.loads);
	return e;
}
