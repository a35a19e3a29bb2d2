/* SPDX-License-Identifier: BSD-3-Clause */
/* link_join.c - who is where.  Rank 0 sees what all ranks say of themselves, and tells each the rank of its agent. */
#include "link_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A program of another version of the library, for a test. */
#ifndef LINK_VERSION
#define LINK_VERSION PACKAGE_VERSION
#endif

/* All that versions of the library must agree on to find out that they differ: it never changes. */
struct hello {
	uint32_t protocol;
	int32_t provided;                       /* what MPI gives to threads */
	char version[56];
	char host[72];
	char boot[48];
	char more[72];
};
_Static_assert(sizeof(struct hello) == 256, "what other versions expect");

/* What rank 0 makes of them. */
struct verdict {
	int32_t code;                           /* 0, or a negative errno with its text */
	char text[508];
};

static int check(int code, const char *what, struct rp_error *err)
{
	char text[MPI_MAX_ERROR_STRING] = "";
	int length;

	if (code == MPI_SUCCESS)
		return 0;
	MPI_Error_string(code, text, &length);
	return error_set(err, -EIO, "MPI: %s: %s", what, text);
}

static void say_hello(struct hello *hello, int provided)
{
	struct utsname names;
	ssize_t size;
	int fd;

	*hello = (struct hello){ .protocol = LINK_PROTOCOL, .provided = provided, .version = LINK_VERSION };
	if (uname(&names) == 0)
		snprintf(hello->host, sizeof hello->host, "%s", names.nodename);
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size = read(fd, hello->boot, sizeof hello->boot - 1);
	hello->boot[size > 0 ? size : 0] = '\0';
	close(fd);
}

/* ---- rank 0 ---- */

static void judge(const struct hello *hello, int ranks, const char *nodes, struct verdict *verdict)
{
	*verdict = (struct verdict){ 0 };
	if (nodes && *nodes && strcmp(nodes, "rank") != 0) {
		verdict->code = -EINVAL;
		snprintf(verdict->text, sizeof verdict->text, "RANKPOOL_NODES=%s: only \"rank\" is known", nodes);
	}
	for (int i = 0; i < ranks && !verdict->code; i++) {
		const struct hello *other = &hello[i];

		if (other->protocol != hello->protocol || strcmp(other->version, hello->version) != 0) {
			verdict->code = -EPROTO;
			snprintf(verdict->text, sizeof verdict->text,
			         "rankpool %s (protocol %u) on %s and rankpool %s (protocol %u) on %s cannot work together: "
			         "all nodes need the same version",
			         hello->version, hello->protocol, hello->host, other->version, other->protocol, other->host);
		} else if (other->provided < MPI_THREAD_FUNNELED) {
			verdict->code = -ENOTSUP;
			snprintf(verdict->text, sizeof verdict->text,
			         "the MPI on %s was built without support for threads (MPI_THREAD_FUNNELED)", other->host);
		}
	}
}

static int compare_nodes(const struct hello *a, const struct hello *b)
{
	int r = strcmp(a->host, b->host);

	return r ? r : strcmp(a->boot, b->boot);
}

static int compare_ranks(const void *a, const void *b, void *user)
{
	const struct hello *hello = user;
	int x = *(const int *)a, y = *(const int *)b, r = compare_nodes(&hello[x], &hello[y]);

	return r ? r : (x > y) - (x < y);
}

/* Sets agent[rank]: the lowest rank of the same node. */
static void find_agents(struct hello *hello, int ranks, const char *nodes, int *order, int *agent)
{
	for (int i = 0; i < ranks; i++)
		order[i] = agent[i] = i;
	if (nodes && *nodes)
		return;
	qsort_r(order, (size_t)ranks, sizeof *order, compare_ranks, hello);
	for (int i = 1; i < ranks; i++)
		if (compare_nodes(&hello[order[i - 1]], &hello[order[i]]) == 0)
			agent[order[i]] = agent[order[i - 1]];
}

/* ---- all ranks ---- */

/* Gives each rank its agent's. */
static int find_agent(const struct hello *own, int rank, int ranks, int *agent, struct rp_error *err)
{
	size_t count = rank == 0 ? (size_t)ranks : 0;
	struct hello *hello = calloc(count + 1, sizeof *hello);
	int *order = calloc(count + 1, sizeof *order), *agents = calloc(count + 1, sizeof *agents);
	const char *nodes = getenv("RANKPOOL_NODES");
	struct verdict verdict;
	int r = hello && order && agents ? 0 : error_set(err, -ENOMEM, "no memory for %d ranks", ranks);

	if (!r)
		r = check(MPI_Gather(own, (int)sizeof *own, MPI_BYTE, hello, (int)sizeof *own, MPI_BYTE, 0, MPI_COMM_WORLD),
		          "cannot gather the nodes", err);
	if (!r && rank == 0) {
		judge(hello, ranks, nodes, &verdict);
		if (!verdict.code)
			find_agents(hello, ranks, nodes, order, agents);
	}
	if (!r)
		r = check(MPI_Bcast(&verdict, (int)sizeof verdict, MPI_BYTE, 0, MPI_COMM_WORLD),
		          "cannot send the verdict", err);
	if (!r && verdict.code)
		r = error_set(err, verdict.code, "%s", verdict.text);
	if (!r)
		r = check(MPI_Scatter(agents, 1, MPI_INT, agent, 1, MPI_INT, 0, MPI_COMM_WORLD),
		          "cannot send the nodes", err);
	free(agents);
	free(order);
	free(hello);
	return r;
}

/* The agents tell each other of their nodes, then their lenders. */
static int tell_nodes(struct link *link, const struct link_node *own, struct rp_error *err)
{
	int numbers[2] = { 0 }, bytes = (int)sizeof *own, r = 0;

	if (link->agents != MPI_COMM_NULL) {
		MPI_Comm_rank(link->agents, &numbers[0]);
		MPI_Comm_size(link->agents, &numbers[1]);
	}
	r = check(MPI_Bcast(numbers, 2, MPI_INT, 0, link->local), "cannot number the nodes", err);
	if (r)
		return r;
	link->here = numbers[0];
	link->node_count = numbers[1];
	link->nodes = calloc((size_t)link->node_count, sizeof *link->nodes);
	if (!link->nodes)
		return error_set(err, -ENOMEM, "no memory for %d nodes", link->node_count);
	if (link->agents != MPI_COMM_NULL)
		r = check(MPI_Allgather(own, bytes, MPI_BYTE, link->nodes, bytes, MPI_BYTE, link->agents),
		          "cannot gather the nodes' names", err);
	if (!r)
		r = check(MPI_Bcast(link->nodes, bytes * link->node_count, MPI_BYTE, 0, link->local),
		          "cannot tell the nodes' names", err);
	return r;
}

int link_join(struct link *link, int provided, struct rp_error *err)
{
	struct hello own;
	struct link_node node = { 0 };
	int rank, ranks, agent, r;

	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	say_hello(&own, provided);
	r = find_agent(&own, rank, ranks, &agent, err);
	if (r)
		return r;
	link->role = rank == 0 ? LINK_MANAGER : rank == agent ? LINK_AGENT : LINK_LENDER;
	r = check(MPI_Comm_split(MPI_COMM_WORLD, agent, rank, &link->local), "cannot join the ranks of a node", err);
	if (!r)
		r = check(MPI_Comm_split(MPI_COMM_WORLD, rank == agent ? 0 : MPI_UNDEFINED, rank, &link->agents),
		          "cannot join the nodes", err);
	if (r)
		return r;
	MPI_Comm_size(link->local, &node.ranks);
	node.agent = agent;
	snprintf(node.host, sizeof node.host, "%.63s", own.host);
	link->lenders = rank == agent ? node.ranks - 1 : 0;
	return tell_nodes(link, &node, err);
}
