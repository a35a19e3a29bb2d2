/* SPDX-License-Identifier: BSD-3-Clause */
/* map_inner.h - what the files of rankpool map share. */
#ifndef RP_LAUNCHER_MAP_INNER_H
#define RP_LAUNCHER_MAP_INNER_H

#include "brief.h"
#include "cli.h"
#include "inputs.h"
#include "output.h"
#include "placing.h"
#include "workers.h"

#define MAP_NAME "rankpool map"

struct map_options {
	const char *jobs, *cpus, *bind, *cpus_per_worker, *timeout, *time_limit, *mpi_env, *nodes, *map_by;
	int keep_order, tag, dry_run, null, report_bindings, as_root;
	struct cli_list files, hosts, hostfiles;
};

/* What one call of the command needs; freed in one place. */
struct map {
	struct map_options options;
	struct workers workers;
	struct placing placing;                 /* what --map-by says */
	struct brief brief;
	int64_t time_limit;                     /* ns, 0: none */
	struct inputs *inputs;
	struct template *template;
	char *directory;
	struct output *output;
	struct rp_pool *pool;
	struct parcels parcels;
};

/* Both return 0, or the exit status after one line that says what is wrong. */

/* Checks what needs nothing but the options, and takes it over. */
int map_check_options(struct map *map);

/* Checks what a run needs here: somewhere to write to, the command, its inputs, workers. */
int map_prepare(struct map *map, char **words, size_t count);

#endif
