/* SPDX-License-Identifier: BSD-3-Clause */
/* map.h - what apply and submit share with maps. */
#ifndef RP_LIB_MAP_H
#define RP_LIB_MAP_H

#include "error.h"

/* Refuses what this version cannot do, by name. */
int map_check_options(const struct rp_map_options *options, const char *what, struct rp_error *err);

/* "bad of count items failed, first item index: why (rank, host, try)". */
void map_error(struct rp_error *err, int code, size_t bad, size_t count, size_t index, const struct rp_outcome *outcome,
               const char *host);

#endif
