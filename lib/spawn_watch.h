/* SPDX-License-Identifier: BSD-3-Clause */
/* spawn_watch.h - what tells a parent that its child has ended. */
#ifndef RP_LIB_SPAWN_WATCH_H
#define RP_LIB_SPAWN_WATCH_H

#include <sys/types.h>

/* From before a fork until just after it. */
struct watch {
	int ends[2];                    /* -1: a pidfd will do */
};

int watch_open(struct watch *watch);                    /* before: 0 or a negative errno */
void watch_child(struct watch *watch);                  /* after, in the child */
int watch_parent(struct watch *watch, pid_t pid);       /* in the parent: the descriptor, or a negative errno */
void watch_close(struct watch *watch);                  /* when there is no child */

#endif
