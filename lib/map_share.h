/* SPDX-License-Identifier: BSD-3-Clause */
/* map_share.h - a wave of a map on several nodes, as the map's thread sees it.  Without other nodes a wave has no share, and
 * the calls do nothing. */
#ifndef RP_LIB_MAP_SHARE_H
#define RP_LIB_MAP_SHARE_H

#include "wave.h"

/* wave->share: malloc'ed, to be freed after map_end_share. */
int map_begin_share(const struct map *map, struct wave *wave, uint32_t number, struct rp_error *err);
void map_open_share(const struct wave *wave);
void map_shut_share(const struct wave *wave);

/* The own workers have nothing left.  1: something has happened, look again; 0: nothing is left anywhere. */
int map_await_share(const struct map *map, const struct wave *wave);
void map_end_share(const struct wave *wave);

#endif
