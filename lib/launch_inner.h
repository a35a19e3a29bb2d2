/* SPDX-License-Identifier: BSD-3-Clause */
/* launch_inner.h - the processes between this one and the launcher that started it. */
#ifndef RP_LIB_LAUNCH_INNER_H
#define RP_LIB_LAUNCH_INNER_H

#include "launch.h"

#include <sys/types.h>

#define LAUNCH_ANCESTORS 32                     /* looked at: scripts between the launcher and us */

pid_t launch_parent(pid_t pid);                 /* 0: it has none, or is gone */

/* Whether it belongs to the same rank as this process, being the script that calls us, say. */
int launch_is_of_rank(pid_t pid);

/* By its name, as a process whose parent has died has another one, which is no launcher. */
int launch_is_launcher(pid_t pid);

#endif
