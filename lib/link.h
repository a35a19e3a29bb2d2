/* SPDX-License-Identifier: BSD-3-Clause */
/* link.h - the only way to MPI. */
#ifndef RP_LIB_LINK_H
#define RP_LIB_LINK_H

/* 1 when the program has called MPI_Init.  Never initialises MPI itself. */
int link_is_initialized(void);

#endif
