/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - mpirun bench/link NAME [SIZE]: makes one measurement of messages between nodes, and prints nanoseconds.
 *
 *	send SIZE       from rank 0 to 1, per message       bare-send SIZE  by MPI_Send and MPI_Recv
 *	                                                bare-in, bare-out SIZE  from one array into another, to rank 1 or 0
 *	ping            a small message there and back      bare-ping       by MPI_Send and MPI_Recv
 *	poll            rank 0's look at nothing, while the others sleep
 *
 * Wants RANKPOOL_NODES=rank where ranks share a machine. */
#include "clock.h"
#include "link.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES ((size_t)2 << 30)                 /* that a measurement of a rate sends */
#define ARRAY ((size_t)128 << 20)               /* of a measurement that sends one, */
#define ARRAYS 5                                /* as often */
#define PINGS 20000
#define POLLS 200000
#define FLIGHT 4                                /* messages under way */

static const char stop;

struct rank {
	struct link *link;
	size_t size;
	unsigned char *memory;
	int came, gone, stopped;
	int echo;
};

static void begin(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into)
{
	struct rank *rank = user;

	(void)node, (void)header, (void)size, (void)sizes;
	if (parts)
		into[0] = rank->memory;
}

static void end(void *user, int node, const void *header, size_t size, void *const *into, const size_t *sizes, int parts)
{
	struct rank *rank = user;

	(void)into, (void)sizes, (void)parts;
	if (size == sizeof stop)
		rank->stopped = 1;
	else if (rank->echo)
		link_send(rank->link, node, header, size, NULL, 0, NULL, NULL);
	rank->came++;
}

static void sent(void *user)
{
	((struct rank *)user)->gone++;
}

static void poll_once(struct rank *rank)
{
	const struct link_receiver receiver = { .begin = begin, .end = end, .user = rank };

	link_poll(rank->link, &receiver);
}

static void stop_others(struct rank *rank)
{
	for (int i = 1; i < link_nodes(rank->link); i++)
		link_send(rank->link, i, &stop, sizeof stop, NULL, 0, NULL, NULL);
}

static size_t rounds(const struct rank *rank)
{
	return BYTES / rank->size > 5000 ? 5000 : BYTES / rank->size > 4 ? BYTES / rank->size : 4;
}

/* ---- measurements: rank 0's result is what is printed ---- */

static double send_link(struct rank *rank)
{
	const struct rp_bytes part = { rank->memory, rank->size };
	const long header = 0;
	int64_t start = 0;
	int count = (int)rounds(rank);

	if (link_role(rank->link) != LINK_MANAGER) {
		while (rank->came < count + 1)
			poll_once(rank);
		link_send(rank->link, 0, &header, sizeof header, NULL, 0, NULL, NULL);
		return 0;
	}
	for (int i = -1; i < count; i++) {
		link_send(rank->link, 1, &header, sizeof header, &part, 1, sent, rank);
		/* The first is not counted: memory is touched, and connections are made. */
		while (i < 0 ? rank->gone == 0 : i + 1 - rank->gone >= FLIGHT)
			poll_once(rank);
		start = i < 0 ? clock_now() : start;
	}
	while (rank->came == 0)
		poll_once(rank);
	return (double)(clock_now() - start) / count;
}

static double send_bare(struct rank *rank)
{
	int count = (int)rounds(rank), size = (int)rank->size;
	int64_t start = 0;
	char done = 0;

	for (int i = -1; i < count; i++) {
		if (link_role(rank->link) == LINK_MANAGER)
			MPI_Send(rank->memory, size, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
		else
			MPI_Recv(rank->memory, size, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		start = i < 0 ? clock_now() : start;
	}
	if (link_role(rank->link) == LINK_MANAGER)
		MPI_Recv(&done, 1, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	else
		MPI_Send(&done, 1, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
	return (double)(clock_now() - start) / count;
}

/* As the items of a map are sent, which are in memory of their own each. */
static double send_array(struct rank *rank, int to)
{
	size_t count = ARRAY / rank->size;
	char *array = malloc(count * rank->size), done = 0;
	int here = link_here(rank->link), size = (int)rank->size;
	int64_t start = 0;

	if (!array)
		MPI_Abort(MPI_COMM_WORLD, 1);
	memset(array, 1, count * rank->size);
	for (int round = -1; round < ARRAYS; round++) {
		MPI_Barrier(MPI_COMM_WORLD);
		start = round == 0 ? clock_now() : start;
		for (size_t i = 0; i < count; i++)
			if (here != to)
				MPI_Send(array + i * rank->size, size, MPI_BYTE, to, 0, MPI_COMM_WORLD);
			else
				MPI_Recv(array + i * rank->size, size, MPI_BYTE, !to, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	}
	if (here == to)
		MPI_Send(&done, 1, MPI_CHAR, !to, 0, MPI_COMM_WORLD);
	else
		MPI_Recv(&done, 1, MPI_CHAR, to, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	free(array);
	return (double)(clock_now() - start) / (double)count / ARRAYS;
}

static double send_in(struct rank *rank)
{
	return send_array(rank, 1);
}

static double send_out(struct rank *rank)
{
	return send_array(rank, 0);
}

static double ping_link(struct rank *rank)
{
	const long header = 0;
	int64_t start = 0;

	if (link_role(rank->link) != LINK_MANAGER) {
		rank->echo = 1;
		while (!rank->stopped)
			poll_once(rank);
		return 0;
	}
	for (int i = -PINGS / 10; i < PINGS; i++) {
		int came = rank->came;

		if (i == 0)
			start = clock_now();
		link_send(rank->link, 1, &header, sizeof header, NULL, 0, NULL, NULL);
		while (rank->came == came)
			poll_once(rank);
	}
	stop_others(rank);
	return (double)(clock_now() - start) / PINGS;
}

static double ping_bare(struct rank *rank)
{
	int64_t start = 0;
	long data = 0;

	for (int i = -PINGS / 10; i < PINGS; i++) {
		if (i == 0)
			start = clock_now();
		if (link_role(rank->link) == LINK_MANAGER)
			MPI_Send(&data, 1, MPI_LONG, 1, 0, MPI_COMM_WORLD);
		MPI_Recv(&data, 1, MPI_LONG, !link_here(rank->link), 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		if (link_role(rank->link) != LINK_MANAGER)
			MPI_Send(&data, 1, MPI_LONG, 0, 0, MPI_COMM_WORLD);
	}
	return (double)(clock_now() - start) / PINGS;
}

static double poll_link(struct rank *rank)
{
	int64_t start;
	double ns;

	if (link_role(rank->link) != LINK_MANAGER) {
		while (!rank->stopped) {
			poll_once(rank);
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		}
		return 0;
	}
	for (int i = 0; i < POLLS / 10; i++)
		poll_once(rank);
	start = clock_now();
	for (int i = 0; i < POLLS; i++)
		poll_once(rank);
	ns = (double)(clock_now() - start) / POLLS;
	stop_others(rank);
	return ns;
}

static const struct {
	const char *name;
	double (*measure)(struct rank *rank);
} measures[] = {
	{ "send", send_link },      { "bare-send", send_bare }, { "ping", ping_link },
	{ "bare-ping", ping_bare }, { "poll", poll_link },      { "bare-in", send_in }, { "bare-out", send_out },
};

int main(int argc, char **argv)
{
	struct rank rank = { .size = argc > 2 ? strtoull(argv[2], NULL, 0) : 1 };
	double (*measure)(struct rank *) = NULL;
	double ns;

	for (size_t i = 0; argc > 1 && i < sizeof measures / sizeof *measures; i++)
		if (strcmp(argv[1], measures[i].name) == 0)
			measure = measures[i].measure;
	rank.memory = rank.size ? malloc(rank.size) : NULL;
	if (!measure || !rank.memory) {
		fprintf(stderr, "usage: mpirun link send|bare-send|bare-in|bare-out|ping|bare-ping|poll [SIZE]\n");
		return 2;
	}
	memset(rank.memory, 1, rank.size);
	link_open(&rank.link, 0, RP_FATAL);
	ns = measure(&rank);
	if (link_role(rank.link) == LINK_MANAGER)
		printf("%.3f\n", ns);
	rank.link = link_close(rank.link, 0);
	free(rank.memory);
	return 0;
}
