/* SPDX-License-Identifier: BSD-3-Clause */
/* orphans.h - what commands leave behind when the supervisor is killed, which would have ended it. */
#ifndef RP_LAUNCHER_ORPHANS_H
#define RP_LAUNCHER_ORPHANS_H

/* From here on descendants whose parents have all died become children of this process.  When it exits, and all that was
 * hooked to that later has been done, it kills what children it has then, and what comes in their place. */
void orphans_adopt(void);

#endif
