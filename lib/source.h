/* SPDX-License-Identifier: BSD-3-Clause */
/* source.h - a machine that is elsewhere, read from its description. */
#ifndef RP_LIB_SOURCE_H
#define RP_LIB_SOURCE_H

#include <hwloc.h>

#include "error.h"

/* The machine that `source` describes: the path of an XML file if it ends in ".xml" or has a slash, else a synthetic
 * description as hwloc has them.  -EINVAL with the reason when it is malformed; the errno of a file that cannot be
 * read. */
int source_load(hwloc_topology_t *ret, const char *source, struct rp_error *err);

/* Refuses a machine that struct place has no room for. */
int source_check(hwloc_topology_t machine);

#endif
