/* SPDX-License-Identifier: BSD-3-Clause */
/* link_peer.c - one rank of an MPI job that tries the link; tests/link.bats starts several of it.
 *
 *	link_peer SCENARIO [FILE]
 *
 * What is wrong is printed, and ends the job with status 99. */
#include "clock.h"
#include "link.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) check(condition, #condition, __LINE__)
#define KIB ((size_t)1024)
#define MIB ((size_t)1 << 20)
#define LONG_TIME INT64_C(60000000000)          /* after which a test has hung */

static void check(int condition, const char *text, int line)
{
	if (condition)
		return;
	fprintf(stderr, "link_peer.c:%d: not true: %s\n", line, text);
	_exit(99);
}

/* ---- messages with known contents ---- */

enum what { DATA, STOP, NUDGE };

struct header {
	uint32_t what;
	uint32_t seed;
	char padding[];
};

struct rank {
	struct link *link;
	const char *file;
	int unwanted;                           /* parts that begin refuses: bit i is part i */
	int echo;                               /* send back what comes */
	int stopped;                            /* STOP messages that came */
	int came, gone;                         /* messages; sent() calls */
	uint32_t next[64];                      /* the seed that the next message of a node must have */
	void *echoed[LINK_PARTS];
	struct rp_bytes scratch[LINK_PARTS];
};

static void fill(unsigned char *data, size_t size, uint32_t seed)
{
	uint64_t x = seed + UINT64_C(88172645463325252);

	for (size_t i = 0; i < size; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		memcpy(data + i, &x, size - i < 8 ? size - i : 8);
	}
}

static int is_filled(const unsigned char *data, size_t size, uint32_t seed)
{
	uint64_t x = seed + UINT64_C(88172645463325252);

	for (size_t i = 0; i < size; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		if (memcmp(data + i, &x, size - i < 8 ? size - i : 8) != 0)
			return 0;
	}
	return 1;
}

struct loan {
	struct rank *rank;
	int count;
	unsigned char *parts[LINK_PARTS];
};

static void returned(void *user)
{
	struct loan *loan = user;

	loan->rank->gone++;
	for (int i = 0; i < loan->count; i++)
		free(loan->parts[i]);
	free(loan);
}

/* Sends a message that only its sizes and its seed decide. */
static void send_data(struct rank *rank, int node, uint32_t seed, size_t header_size, const size_t *sizes, int count)
{
	struct header *header = calloc(1, header_size);
	struct rp_bytes parts[LINK_PARTS];
	struct loan *loan = calloc(1, sizeof *loan);

	CHECK(header && loan);
	header->what = DATA;
	header->seed = seed;
	fill((unsigned char *)header->padding, header_size - sizeof *header, seed);
	loan->rank = rank;
	loan->count = count;
	for (int i = 0; i < count; i++) {
		loan->parts[i] = malloc(sizes[i] ? sizes[i] : 1);
		CHECK(loan->parts[i] != NULL);
		fill(loan->parts[i], sizes[i], seed + (uint32_t)i);
		parts[i] = (struct rp_bytes){ loan->parts[i], sizes[i] };
	}
	CHECK(link_send(rank->link, node, header, header_size, parts, count, returned, loan) == 0);
	memset(header, 0xee, header_size);      /* the link has copied it */
	free(header);
}

static void tell(struct rank *rank, int node, enum what what)
{
	const struct header header = { .what = what };

	CHECK(link_send(rank->link, node, &header, sizeof header, NULL, 0, NULL, NULL) == 0);
}

static void begin(void *user, int node, const void *header, size_t size, const size_t *sizes, int parts, void **into)
{
	struct rank *rank = user;

	(void)node, (void)header;
	CHECK(size >= sizeof(struct header));
	for (int i = 0; i < parts; i++) {
		CHECK(!into[i]);
		if (sizes[i] && !(rank->unwanted & 1 << i))
			CHECK((into[i] = malloc(sizes[i])) != NULL);
	}
}

static void end(void *user, int node, const void *data, size_t size, void *const *into, const size_t *sizes, int parts)
{
	struct rank *rank = user;
	const struct header *header = data;

	rank->stopped += header->what == STOP;
	if (header->what == DATA) {
		CHECK(header->seed == rank->next[node]++);
		CHECK(is_filled((const unsigned char *)header->padding, size - sizeof *header, header->seed));
		if (rank->echo)
			send_data(rank, node, header->seed, size, sizes, parts);
	}
	for (int i = 0; i < parts; i++) {
		CHECK(!into[i] || is_filled(into[i], sizes[i], header->seed + (uint32_t)i));
		free(into[i]);
	}
	rank->came++;
}

static int poll_once(struct rank *rank)
{
	const struct link_receiver receiver = { .begin = begin, .end = end, .user = rank };

	return link_poll(rank->link, &receiver);
}

/* Polls until *value is `wanted`. */
static void poll_until(struct rank *rank, const int *value, int wanted)
{
	int64_t start = clock_now();

	while (*value != wanted) {
		poll_once(rank);
		CHECK(clock_now() - start < LONG_TIME);
	}
}

/* What agents do in most scenarios. */
static void serve(struct rank *rank)
{
	poll_until(rank, &rank->stopped, 1);
}

static void stop_all(struct rank *rank)
{
	for (int node = 1; node < link_nodes(rank->link); node++)
		tell(rank, node, STOP);
}

/* ---- scenarios: what the manager does, and what an agent does ---- */

/* All sizes around the limits, to and from every node. */
static void sizes_manager(struct rank *rank)
{
	static const size_t sizes[] = { 0,           1,       7,           16 * KIB - 1, 16 * KIB,     16 * KIB + 1, MIB,
		                        4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 17 * MIB + 3 };
	const int kinds = sizeof sizes / sizeof *sizes, nodes = link_nodes(rank->link);
	uint32_t seed = 0;

	for (int i = 0; i < kinds; i++)
		for (int j = 0; j < kinds; j += 1 + (i > 6)) {
			const size_t parts[LINK_PARTS] = { sizes[i], 0, sizes[j], 3, i > 6 ? 0 : sizes[i], 1 };

			for (int node = 1; node < nodes; node++)
				send_data(rank, node, seed, i % 2 ? LINK_HEADER : sizeof(struct header), parts, (i + j) % 7);
			seed++;
			poll_until(rank, &rank->came, (int)seed * (nodes - 1));
		}
	poll_until(rank, &rank->gone, (int)seed * (nodes - 1));
	CHECK(!link_busy(rank->link));
	stop_all(rank);
}

static void echo_agent(struct rank *rank)
{
	rank->echo = 1;
	serve(rank);
}

/* Many messages, small between large, under way at the same time in both directions. */
static void flood_manager(struct rank *rank)
{
	const int nodes = link_nodes(rank->link), count = 600;

	for (int i = 0; i < count; i++)
		for (int node = 1; node < nodes; node++) {
			const size_t parts[2] = { i % 50 == 7 ? 5 * MIB : (size_t)i, i % 9 == 3 ? 40 * KIB : 5 };

			send_data(rank, node, (uint32_t)i, sizeof(struct header) + (size_t)i % 100, parts, 2);
			CHECK(link_busy(rank->link));
		}
	poll_until(rank, &rank->came, count * (nodes - 1));
	poll_until(rank, &rank->gone, count * (nodes - 1));
	stop_all(rank);
}

static void count_manager(struct rank *rank)
{
	const size_t size = 3 * MIB;
	struct link_count sent, received;

	send_data(rank, 1, 0, 100, &size, 1);
	poll_until(rank, &rank->came, 1);
	poll_until(rank, &rank->gone, 1);
	link_counts(rank->link, &sent, &received);
	CHECK(sent.messages == 1 && sent.bytes == 100 + size);
	CHECK(received.messages == 1 && received.bytes == 100 + size);
	stop_all(rank);
}

/* There and back. */
static void huge_manager(struct rank *rank)
{
	const size_t parts[2] = { 300 * MIB, 10 };

	send_data(rank, 1, 0, sizeof(struct header), parts, 2);
	poll_until(rank, &rank->came, 1);
	poll_until(rank, &rank->gone, 1);
	stop_all(rank);
}

static void unwanted_manager(struct rank *rank)
{
	const size_t parts[4] = { 9 * MIB, 5, 9 * MIB + 1, 100 * KIB };

	for (uint32_t i = 0; i < 3; i++)
		send_data(rank, 1, i, sizeof(struct header), parts, 4);
	poll_until(rank, &rank->came, 3);
	stop_all(rank);
}

static void unwanted_agent(struct rank *rank)
{
	rank->unwanted = 1 | 2 | 8;
	echo_agent(rank);
}

/* Node 1 does not poll while node 2 is talked to; it goes on when the file appears. */
static void deaf_manager(struct rank *rank)
{
	const size_t large = 20 * MIB, small = 100;

	send_data(rank, 1, 0, sizeof(struct header), &large, 1);
	for (uint32_t i = 0; i < 100; i++) {
		send_data(rank, 2, i, sizeof(struct header), i % 10 ? &small : &large, 1);
		poll_until(rank, &rank->came, (int)i + 1);
	}
	CHECK(rank->next[1] == 0 && link_busy(rank->link));
	fclose(fopen(rank->file, "w"));
	poll_until(rank, &rank->came, 101);
	CHECK(rank->next[1] == 1);
	stop_all(rank);
}

static void deaf_agent(struct rank *rank)
{
	int64_t start = clock_now();

	while (link_here(rank->link) == 1 && access(rank->file, F_OK) != 0) {
		CHECK(clock_now() - start < LONG_TIME);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	echo_agent(rank);
}

/* Nodes that say nothing are heard of all the same. */
static void beat_manager(struct rank *rank)
{
	const int nodes = link_nodes(rank->link);
	struct link_count sent, received;
	int64_t start = clock_now();

	for (int node = 1; node < nodes; node++)
		for (int64_t heard = link_heard(rank->link, node); link_heard(rank->link, node) < heard + LINK_BEAT / 2;) {
			CHECK(clock_now() - start < 4 * LINK_BEAT);
			if (!poll_once(rank))
				nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		}
	link_counts(rank->link, &sent, &received);
	CHECK(sent.messages == 0 && received.messages == 0 && rank->came == 0);
	stop_all(rank);
}

/* Node 1 says nothing any more: what was lent to it comes back, and to close the link ends the job. */
static void lose_manager(struct rank *rank)
{
	const size_t sizes[2] = { 30 * MIB, 100 };
	int gone;

	for (uint32_t i = 0; i < 10; i++)
		send_data(rank, 1, i, sizeof(struct header), sizes, 2);
	poll_once(rank);
	CHECK(link_busy(rank->link));
	gone = rank->gone;
	link_lose(rank->link, 1);
	CHECK(gone == 0 && rank->gone == 10 && !link_busy(rank->link));
	send_data(rank, 1, 10, sizeof(struct header), sizes, 2);
	CHECK(rank->gone == 11);
	/* The others are there. */
	for (uint32_t i = 0; i < 10; i++)
		send_data(rank, 2, i, sizeof(struct header), sizes, 2);
	poll_until(rank, &rank->came, 10);
	printf("lost\n");
	fflush(stdout);
}

static void lose_agent(struct rank *rank)
{
	while (link_here(rank->link) == 1)
		pause();
	echo_agent(rank);
}

/* Lenders sleep while the manager has other things to do. */
static void lend_manager(struct rank *rank)
{
	int64_t start = clock_now();

	while (clock_now() - start < INT64_C(2000000000)) {
		poll_once(rank);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	stop_all(rank);
}

/* The job ends when it is found out that this rank says nothing. */
static void silent_manager(struct rank *rank)
{
	(void)rank;
	while (1)
		pause();
}

static void lend(struct rank *rank)
{
	struct rusage before, after;
	int64_t start = clock_now(), used, slept;
	int r;

	getrusage(RUSAGE_SELF, &before);
	r = link_lend(rank->link);
	if (r) {
		CHECK(r == -ENOLINK);
		printf("agent not heard of\n");
		fflush(stdout);
		return;
	}
	getrusage(RUSAGE_SELF, &after);
	slept = clock_now() - start;
	used = (after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec) *
	               INT64_C(1000000000) +
	       (after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec - before.ru_stime.tv_usec) * 1000;
	printf("lent %lld ms used %lld ms\n", (long long)slept / 1000000, (long long)used / 1000000);
}

static void who_manager(struct rank *rank)
{
	char version[100];

	link_version(version, sizeof version);
	CHECK(*version && !strchr(version, '\n'));
	printf("mpi %s\n", version);
	for (int i = 0; i < link_nodes(rank->link); i++) {
		const struct link_node *node = link_node(rank->link, i);

		printf("node %d agent %d ranks %d host %s\n", i, node->agent, node->ranks, node->host);
	}
	stop_all(rank);
}

static const struct scenario {
	const char *name;
	void (*manager)(struct rank *rank);
	void (*agent)(struct rank *rank);
} scenarios[] = {
	{ "beat", beat_manager, serve },
	{ "count", count_manager, echo_agent },
	{ "deaf", deaf_manager, deaf_agent },
	{ "flood", flood_manager, echo_agent },
	{ "huge", huge_manager, echo_agent },
	{ "lend", lend_manager, serve },
	{ "lose", lose_manager, lose_agent },
	{ "silent", silent_manager, serve },
	{ "sizes", sizes_manager, echo_agent },
	{ "unwanted", unwanted_manager, unwanted_agent },
	{ "who", who_manager, serve },
};

struct run {
	const struct scenario *scenario;
	const char *file;
	int expected;
	int r;
};

static void *run_rank(void *user)
{
	struct run *run = user;
	struct rank rank = { .file = run->file };
	struct rp_error err = { .text = "" };

	CHECK(!link_is_initialized());
	run->r = link_open(&rank.link, run->expected, &err);
	CHECK(link_is_initialized());
	if (run->r) {
		printf("link_open: %s%s%s\n", strerror(-run->r), *err.text ? ": " : "", err.text);
		return NULL;
	}
	switch (link_role(rank.link)) {
	case LINK_MANAGER:
		run->scenario->manager(&rank);
		break;
	case LINK_AGENT:
		run->scenario->agent(&rank);
		break;
	case LINK_LENDER:
		lend(&rank);
		break;
	}
	link_close(rank.link, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *expected = getenv("LINK_EXPECTED");
	struct run run = { .file = argc > 2 ? argv[2] : NULL, .expected = expected ? atoi(expected) : 0 };
	pthread_t thread;

	for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof *scenarios; i++)
		if (strcmp(scenarios[i].name, argv[1]) == 0)
			run.scenario = &scenarios[i];
	CHECK(run.scenario != NULL);
	/* MPI may belong to any one thread. */
	if (getenv("LINK_THREAD")) {
		CHECK(pthread_create(&thread, NULL, run_rank, &run) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	} else {
		run_rank(&run);
	}
	/* Also when the link was refused: mpirun ends the others when one fails, and they shall say it, too. */
	return 0;
}
