/* SPDX-License-Identifier: BSD-3-Clause */
/* descendants.h - the children of a process that is a child subreaper: its own, and those of which the parents have gone. */
#ifndef RP_LAUNCHER_DESCENDANTS_H
#define RP_LAUNCHER_DESCENDANTS_H

/* Sends SIGKILL to each child of the calling thread.  0, or -1 when the kernel does not tell who they are. */
int descendants_kill(void);

/* Kills and reaps until none is left, for at most a second. */
void descendants_end(void);

#endif
