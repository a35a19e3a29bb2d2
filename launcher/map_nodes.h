/* SPDX-License-Identifier: BSD-3-Clause */
/* map_nodes.h - on which nodes a map runs, and how it gets there. */
#ifndef RP_LAUNCHER_MAP_NODES_H
#define RP_LAUNCHER_MAP_NODES_H

#include "cli.h"

struct map_nodes {
	const char *name;                       /* messages begin with it */
	/* As the command line says it, NULL: not at all. */
	const struct cli_list *hosts, *hostfiles, *files;       /* --host, --hostfile, -a; never NULL */
	const char *most, *jobs;                /* --nodes, -j */
	int as_root;                            /* --allow-run-as-root */
};

/* When other nodes than this one are to be used this program is started on each of them with the same command line, and
 * what follows is done there: 1 and *ret_status once they have ended.  0: the map runs in this process, and on the nodes
 * of the ranks that it may have.  -1 after one line.
 * `words` are the subcommand and its arguments, up to a NULL; from words[first] on they are no options. */
int map_nodes_go(const struct map_nodes *map, char **words, int first, int *ret_status);

#endif
