/* SPDX-License-Identifier: BSD-3-Clause */
/* part.h - parts of a value that is taken for a file name. */
#ifndef RP_LAUNCHER_PART_H
#define RP_LAUNCHER_PART_H

#include "buffer.h"

enum part {
	PART_ALL,                               /* {} */
	PART_STEM,                              /* {.}   without extension */
	PART_BASE,                              /* {/}   behind the last slash */
	PART_DIRECTORY,                         /* {//}  before that, "." when there is none */
	PART_BASE_STEM                          /* {/.} */
};

/* Points into value, or to a constant. */
struct slice part_of(struct slice value, enum part part);

#endif
