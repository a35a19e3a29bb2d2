/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - the only file that knows MPI. */
#include "link.h"

#include <mpi.h>

int link_is_initialized(void)
{
	int flag = 0;

	return MPI_Initialized(&flag) == MPI_SUCCESS && flag;
}
