/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptor.h - file descriptors of the library's own. */
#ifndef RP_LIB_DESCRIPTOR_H
#define RP_LIB_DESCRIPTOR_H

/* A new descriptor, moved above 2: in a program whose stdout is closed the library's would become 1, and what the program
 * prints would go there.  Close-on-exec.  A negative fd is returned as it is, with errno untouched. */
int descriptor_high(int fd);

#endif
