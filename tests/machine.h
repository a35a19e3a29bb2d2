/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.h - machines that are not here, and plans for them in a few words.  To be included after cmocka.h. */
#ifndef RP_TESTS_MACHINE_H
#define RP_TESTS_MACHINE_H

#include <hwloc.h>

#include "topology.h"
#include "tree.h"

/* One plan: options in the order of the command's, and the workers' CPUs, rank by rank; '!': refused, with that in the
 * text. */
struct row {
	unsigned workers;
	const char *bind, *cpus;
	unsigned each;
	const char *expected;
};

static inline struct topology *load(const char *source, const char *root)
{
	struct rp_error err = { .text = "" };
	struct topology *t;

	if (topology_load(&t, source, root, &err) < 0)
		fail_msg("%s: %s", source, err.text);
	return t;
}

static inline void check_row(const struct topology *t, const char *machine, const struct row *row)
{
	static char lists[1 << 16];
	struct rp_error err = { .text = "" };
	struct place *places;
	size_t used = 0;
	int n;

	n = topology_plan(t, RP_POOL(.workers = row->workers, .bind = row->bind, .cpus = row->cpus,
	                             .cpus_per_worker = row->each), &places, &err);
	lists[0] = 0;
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(lists + used, sizeof lists - used, "%s%s", i ? " " : "", places[i].list);
	if (row->expected[0] == '!' ? n != -EINVAL || !strstr(err.text, row->expected + 1) :
	                              n <= 0 || strcmp(lists, row->expected) != 0)
		fail_msg("%s -j %u --bind-to %s --cpus %s --cpus-per-worker %u\n  expected %s\n  is %d: %s%s", machine,
		         row->workers, row->bind, row->cpus, row->each, row->expected, n, lists, err.text);
	free(places);
}

static inline void check(const char *machine, const char *root, const struct row *rows, size_t count)
{
	struct topology *t = load(machine, root);

	for (size_t i = 0; i < count; i++)
		check_row(t, machine, &rows[i]);
	topology_free(t);
}

#define CHECK(machine, root, rows) check(machine, root, rows, sizeof rows / sizeof *rows)

/* A machine that no synthetic description can give: those hardware threads of one that it can, as XML.  Returns its path. */
static inline const char *without(const char *synthetic, const char *kept, unsigned long flags)
{
	static char path[64];
	hwloc_topology_t machine;
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	hwloc_bitmap_list_sscanf(set, kept);
	snprintf(path, sizeof path, "%s/machine.xml", tree);
	assert_int_equal(hwloc_topology_init(&machine), 0);
	assert_int_equal(hwloc_topology_set_synthetic(machine, synthetic), 0);
	assert_int_equal(hwloc_topology_load(machine), 0);
	assert_int_equal(hwloc_topology_restrict(machine, set, flags), 0);
	assert_int_equal(hwloc_topology_export_xml(machine, path, 0), 0);
	hwloc_topology_destroy(machine);
	hwloc_bitmap_free(set);
	return path;
}

static inline struct place *plan(const struct topology *t, const struct rp_pool_options *options, int *ret_count)
{
	struct rp_error err = { .text = "" };
	struct place *places;

	*ret_count = topology_plan(t, options ? options : RP_POOL(.workers = 0), &places, &err);
	if (*ret_count < 0)
		fail_msg("%s", err.text);
	return places;
}

#endif
