/* SPDX-License-Identifier: BSD-3-Clause */
/* slots.h - sharing out the CPUs of a machine among workers. */
#ifndef RP_LIB_SLOTS_H
#define RP_LIB_SLOTS_H

#include <hwloc.h>

#include "error.h"
#include "place.h"

enum slots_kind { SLOTS_CORE, SLOTS_PU, SLOTS_L3, SLOTS_NUMA, SLOTS_PACKAGE, SLOTS_NONE };

struct slots_wish {
	hwloc_topology_t machine;
	hwloc_const_bitmap_t cpus;              /* to be shared out; not empty */
	enum slots_kind kind;                   /* what a worker is bound to */
	int compact;                            /* fill one after the other; else spread over the machine */
	unsigned workers;                       /* 0: as many as fit */
	unsigned each;                          /* CPUs per worker: cores, hardware threads for SLOTS_PU; 0: not said */
	unsigned granted;                       /* CPUs' worth of time there is; UINT_MAX: no limit */
};

/* Reads "core", "pu:compact", "l3:spread" into *wish; NULL is "core".  -EINVAL names what is known. */
int slots_parse(struct slots_wish *wish, const char *bind, struct rp_error *err);

/* Cores that hold at least one of `cpus`; where hwloc knows no cores, hardware threads are them. */
unsigned slots_cores(hwloc_topology_t machine, hwloc_const_bitmap_t cpus);

/* One place per worker, in *ret, malloc'ed.  Returns how many.  -EINVAL when the machine has no object of the kind. */
int slots_plan(const struct slots_wish *wish, struct place **ret, struct rp_error *err);

#endif
