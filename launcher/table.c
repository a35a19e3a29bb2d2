/* SPDX-License-Identifier: BSD-3-Clause */
/* table.c - a line per worker: its CPUs, and the core, NUMA node and package that they belong to. */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MOST 32                         /* with a line of their own */

enum column { COLUMN_RANK, COLUMN_CPUS, COLUMN_CORE, COLUMN_NUMA, COLUMN_PACKAGE, COLUMNS };

static const struct {
	const char *name;
	size_t widest;
} columns[COLUMNS] = { { "rank", 11 }, { "cpus", 40 }, { "core", 20 }, { "numa", 12 }, { "package", 12 } };

/* Workers that are told in one line: of one team, or neighbours that share numa and package. */
struct row {
	int first, last;                        /* ranks */
	int begin, end;                         /* teams, the end is one behind */
	char text[COLUMNS][64];
};

static void shorten(char text[64], size_t widest)
{
	if (strlen(text) > widest)
		strcpy(text + widest - 3, "...");
}

/* The logical indexes of what the CPUs belong to: "0-3"; "-" where there is no such thing. */
static void tell_objects(const struct machine *m, hwloc_obj_type_t type, hwloc_const_bitmap_t cpus, char text[64])
{
	hwloc_bitmap_t found = hwloc_bitmap_alloc();

	snprintf(text, 64, "-");
	if (found && machine_objects(m, type, cpus, found) > 0)
		hwloc_bitmap_list_snprintf(text, 64, found);
	hwloc_bitmap_free(found);
}

static void tell_range(int first, int last, char text[64])
{
	snprintf(text, 64, last > first ? "%d-%d" : "%d", first, last);
}

static void fill_row(const struct machine *m, int team, struct row *ret)
{
	const struct team *t = &m->teams[team];

	*ret = (struct row){ .first = t->first, .last = t->first + t->count - 1, .begin = team, .end = team + 1 };
	snprintf(ret->text[COLUMN_CPUS], 64, "%s", t->list);
	tell_objects(m, machine_core_type(m), t->cpus, ret->text[COLUMN_CORE]);
	tell_objects(m, HWLOC_OBJ_NUMANODE, t->cpus, ret->text[COLUMN_NUMA]);
	tell_objects(m, HWLOC_OBJ_PACKAGE, t->cpus, ret->text[COLUMN_PACKAGE]);
}

/* Several teams in one row: "0-1 2-3 ... 94-95". */
static int finish_row(const struct machine *m, struct row *row)
{
	hwloc_bitmap_t all;

	if (row->end - row->begin < 2)
		return 0;
	all = hwloc_bitmap_alloc();
	if (!all)
		return -1;
	for (int i = row->begin; i < row->end; i++)
		hwloc_bitmap_or(all, all, m->teams[i].cpus);
	tell_objects(m, machine_core_type(m), all, row->text[COLUMN_CORE]);
	hwloc_bitmap_free(all);
	snprintf(row->text[COLUMN_CPUS], 64, "%.18s %.18s%s%.18s", m->teams[row->begin].list, m->teams[row->begin + 1].list,
	         row->end - row->begin == 2 ? "" : row->end - row->begin == 3 ? " " : " ... ",
	         row->end - row->begin == 2 ? "" : m->teams[row->end - 1].list);
	return 0;
}

static int can_join(const struct machine *m, const struct row *row, const struct row *next)
{
	return m->workers > WORKERS_MOST && strcmp(row->text[COLUMN_NUMA], next->text[COLUMN_NUMA]) == 0 &&
	       strcmp(row->text[COLUMN_PACKAGE], next->text[COLUMN_PACKAGE]) == 0;
}

/* Returns how many. */
static int find_rows(const struct machine *m, struct row *rows)
{
	int n = 0;

	for (int i = 0; i < m->team_count; i++) {
		struct row next;

		fill_row(m, i, &next);
		if (n && can_join(m, &rows[n - 1], &next)) {
			rows[n - 1].last = next.last;
			rows[n - 1].end = next.end;
			continue;
		}
		for (int k = 1; m->workers <= WORKERS_MOST && k < m->teams[i].count; k++) {
			rows[n] = next;
			rows[n].last = next.first;
			rows[n++].end = next.begin;
			next.first++;
		}
		rows[n++] = next;
	}
	return n;
}

int table_print(const struct machine *machine)
{
	struct row *rows = calloc((size_t)machine->workers, sizeof *rows);
	int count = rows ? find_rows(machine, rows) : 0, e = rows ? 0 : -1;
	size_t width[COLUMNS];

	for (int c = 0; c < COLUMNS; c++)
		width[c] = strlen(columns[c].name);
	for (int i = 0; e == 0 && i < count; i++) {
		e = finish_row(machine, &rows[i]);
		tell_range(rows[i].first, rows[i].last, rows[i].text[COLUMN_RANK]);
		for (int c = 0; c < COLUMNS; c++) {
			shorten(rows[i].text[c], columns[c].widest);
			width[c] = strlen(rows[i].text[c]) > width[c] ? strlen(rows[i].text[c]) : width[c];
		}
	}
	for (int i = -1; e == 0 && i < count; i++)
		for (int c = 0; c < COLUMNS; c++) {
			const char *text = i < 0 ? columns[c].name : rows[i].text[c];

			printf("%-*s%s", c + 1 < COLUMNS ? (int)width[c] : 0, text, c + 1 < COLUMNS ? "  " : "\n");
		}
	free(rows);
	return e;
}
