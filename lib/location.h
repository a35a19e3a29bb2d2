/* SPDX-License-Identifier: BSD-3-Clause */
/* location.h - CPUs named by words, as the hwloc tools take them (hwloc(7), "Location Specification"). */
#ifndef RP_LIB_LOCATION_H
#define RP_LIB_LOCATION_H

#include <hwloc.h>

#include "error.h"

/* Puts into *ret the CPUs among `allowed` that `text` names.  Locations are separated by blanks, or by a comma when a type
 * follows it, and are added up; one that starts with ~ is taken out instead, with x intersected, with ^ exclusive-or'ed.
 *
 *   core:0-3   package:1.core:0   numa:all   pu:odd   objects by logical index; an index is x, x-y, x-, x:n (n from x on,
 *                                 around the end), all, odd, even, or several with commas; after a dot it counts within
 *                                 the object before the dot
 *   0-3,8                         hardware threads by the numbers that the system gives them
 *   0xf   0xff,,0x1   0xf...f     a mask of those
 *   all, root                     the machine
 *
 * -EINVAL: it does not parse; an object does not exist; an object or CPU named by its index has no allowed CPU; nothing is
 * left in the end. */
int location_parse(hwloc_topology_t machine, const char *text, hwloc_const_bitmap_t allowed, hwloc_bitmap_t ret,
                   struct rp_error *err);

#endif
