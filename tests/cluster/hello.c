/* hello.c - a bare MPI program: each rank says where it is, after all have sent each other 1 MiB. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 1 << 20 };

int main(int argc, char **argv)
{
	int rank, size, length, wrong = 0;
	char name[MPI_MAX_PROCESSOR_NAME];
	unsigned char *out, *in;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	MPI_Get_processor_name(name, &length);
	out = malloc(SIZE);
	in = malloc((size_t)size * SIZE);
	if (!out || !in)
		MPI_Abort(MPI_COMM_WORLD, 1);
	memset(out, rank + 1, SIZE);
	MPI_Allgather(out, SIZE, MPI_BYTE, in, SIZE, MPI_BYTE, MPI_COMM_WORLD);
	for (int r = 0; r < size; r++)
		wrong += in[(size_t)r * SIZE] != r + 1 || in[(size_t)(r + 1) * SIZE - 1] != r + 1;
	printf("%d of %d on %s, %d wrong\n", rank, size, name, wrong);
	free(out);
	free(in);
	MPI_Finalize();
	return 0;
}
