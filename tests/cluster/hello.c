/* SPDX-License-Identifier: BSD-3-Clause */
/* hello.c - a bare MPI program: each rank says where it is, after rank 0 has exchanged 1 MiB with it. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 20 };

/* Whether a buffer that rank `from` filled has arrived. */
static int right(const unsigned char *buffer, int from)
{
	return buffer[0] == from + 1 && memcmp(buffer, buffer + 1, SIZE - 1) == 0;
}

static int exchange(int rank, int size)
{
	unsigned char *out = malloc(SIZE), *in = malloc(SIZE);
	int good = 1;

	if (!out || !in)
		MPI_Abort(MPI_COMM_WORLD, 1);
	memset(out, rank + 1, SIZE);
	for (int peer = rank ? 0 : 1; peer < (rank ? 1 : size); peer++) {
		MPI_Sendrecv(out, SIZE, MPI_BYTE, peer, 0, in, SIZE, MPI_BYTE, peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		good &= right(in, peer);
	}
	free(out);
	free(in);
	return good;
}

int main(int argc, char **argv)
{
	int rank, size, length;
	char name[MPI_MAX_PROCESSOR_NAME];

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	MPI_Get_processor_name(name, &length);
	printf("%d of %d on %s: %s\n", rank, size, name, exchange(rank, size) ? "right" : "wrong");
	MPI_Finalize();
	return 0;
}
