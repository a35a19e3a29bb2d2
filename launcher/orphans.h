/* SPDX-License-Identifier: BSD-3-Clause */
/* orphans.h - what commands leave behind when the supervisor is killed, which would have ended it. */
#ifndef RP_LAUNCHER_ORPHANS_H
#define RP_LAUNCHER_ORPHANS_H

/* From here on descendants whose parents have all died become children of this process. */
void orphans_adopt(void);

/* Kills the children of this process, which has ended all that it has started itself, and what comes in their place. */
void orphans_end(void);

#endif
