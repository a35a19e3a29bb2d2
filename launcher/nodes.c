/* SPDX-License-Identifier: BSD-3-Clause */
/* nodes.c - the machines to be used. */
#include "nodes.h"
#include "allocation.h"
#include "buffer.h"
#include "complaint.h"
#include "handover.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- names ---------------------------------------------------------------------------------------------- */

/* ssh may know a host by a name of its own.  The name holds nothing that a shell would take for anything else. */
static int ssh_knows(const char *host)
{
	char command[sizeof "ssh -G -- '' 2>/dev/null" + 256], line[512], name[256];
	struct hosts one = { 0 };
	int known = 0;
	FILE *pipe;

	snprintf(command, sizeof command, "ssh -G -- '%s' 2>/dev/null", host);
	pipe = popen(command, "re");
	if (!pipe)
		return 0;
	while (!known && fgets(line, sizeof line, pipe))
		if (sscanf(line, "hostname %255s", name) == 1 && strcasecmp(name, host) != 0 &&
		    hosts_add(&one, name, strlen(name), 0) == 0) {
			hosts_locate(&one, 0);
			known = one.items[0].place == HOST_ELSEWHERE || one.items[0].place == HOST_HERE;
		}
	while (fgets(line, sizeof line, pipe))
		;
	pclose(pipe);
	hosts_free(&one);
	return known;
}

/* With a program of the user's own to reach the hosts, only that knows their names. */
static int reached_by_ssh(void)
{
	static const char *const agents[] = { "OMPI_MCA_plm_rsh_agent", "OMPI_MCA_orte_rsh_agent", "OMPI_MCA_plm",
		                              "PRTE_MCA_plm_ssh_agent", "PRTE_MCA_plm", "HYDRA_LAUNCHER",
		                              "HYDRA_LAUNCHER_EXEC" };

	for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
		if (getenv(agents[i]))
			return 0;
	return 1;
}

static int check_names(const struct nodes *nodes, const char *name)
{
	struct hosts unknown = { 0 };
	struct buffer list = { 0 };
	const int is_checked = reached_by_ssh() && !nodes->scheduler;
	int silent = 0;

	for (size_t i = 0; is_checked && i < nodes->hosts.count; i++) {
		const struct host *host = &nodes->hosts.items[i];

		if ((host->place == HOST_UNKNOWN || host->place == HOST_SILENT) && !ssh_knows(host->name)) {
			hosts_add(&unknown, host->name, strlen(host->name), 0);
			silent |= host->place == HOST_SILENT;
		}
	}
	if (unknown.count) {
		complaint_list(&unknown, &list);
		cli_say(name, "host%s %s: %s; check the spelling, or /etc/hosts", unknown.count == 1 ? "" : "s", list.data,
		        silent ? "the name service gave no answer in time"
		               : "no machine of that name or address is known here");
		buffer_free(&list);
	}
	silent = unknown.count > 0;
	hosts_free(&unknown);
	return silent ? -1 : 0;
}

/* ---- where they come from ------------------------------------------------------------------------------- */

/* Names with and without a domain are the same in an allocation. */
static int is_same(const char *a, const char *b)
{
	size_t m = strcspn(a, "."), n = strcspn(b, ".");

	return strcasecmp(a, b) == 0 || (m == n && strncasecmp(a, b, m) == 0 && (!a[m] || !b[n]));
}

/* The named hosts in the scheduler's words; slots that were not said are those granted. */
static int restrict_to(struct nodes *nodes, const struct allocation *allocation, const char *name)
{
	struct buffer list = { 0 };

	for (size_t i = 0; i < nodes->hosts.count; i++) {
		struct host *host = &nodes->hosts.items[i];
		const struct host *found = NULL;

		for (size_t k = 0; k < allocation->hosts.count && !found; k++)
			if (is_same(host->name, allocation->hosts.items[k].name) ||
			    (host->place == HOST_HERE && allocation->hosts.items[k].place == HOST_HERE))
				found = &allocation->hosts.items[k];
		if (!found) {
			complaint_list(&allocation->hosts, &list);
			cli_say(name, "host %s is not in the allocation, in which %s has given us %s", host->name,
			        allocation->scheduler, list.data);
			buffer_free(&list);
			return -1;
		}
		free(host->name);
		host->name = strdup(found->name);
	}
	return 0;
}

static int read_named(struct nodes *nodes, const struct cli_list *lists, const struct cli_list *files, const char *name)
{
	for (size_t i = 0; i < lists->count; i++)
		if (hosts_parse(&nodes->hosts, lists->items[i], name) < 0)
			return -1;
	for (size_t i = 0; i < files->count; i++)
		if (hosts_read(&nodes->hosts, files->items[i], name) < 0)
			return -1;
	nodes->named = 1;
	return 0;
}

/* Output goes to where the user is: the first rank runs here, whether or not this machine is to do any of the work. */
static void add_manager(struct nodes *nodes)
{
	struct hosts *hosts = &nodes->hosts;
	char name[HOST_NAME_MAX + 1] = "localhost";

	if (!hosts->count || hosts->items[0].place == HOST_HERE)
		return;
	if (nodes->scheduler) {
		nodes->excluded = 1;
		return;
	}
	gethostname(name, sizeof name);
	hosts_add(hosts, name, strlen(name), 1);
	hosts->items[hosts->count - 1].place = HOST_HERE;
	hosts_locate(hosts, 1);
	nodes->manager_only = 1;
}

int nodes_find(struct nodes *ret, const struct cli_list *lists, const struct cli_list *files, const char *name)
{
	const int named = lists->count || files->count;
	struct allocation allocation = { 0 };
	int r = 0;

	*ret = (struct nodes){ 0 };
	if (handover_is_copy())
		return 0;
	if (named && allocation_is_rank()) {
		cli_say(name, "%s: mpirun or srun has started this already and has chosen the hosts; name them there",
		        lists->count ? "--host" : "--hostfile");
		return -1;
	}
	r = allocation_find(&allocation, name);
	if (r == 0 && named)
		r = read_named(ret, lists, files, name);
	if (r == 0) {
		ret->scheduler = allocation.scheduler;
		hosts_locate(&allocation.hosts, 1);
		hosts_locate(&ret->hosts, 0);
	}
	if (r == 0 && named && allocation.scheduler)
		r = restrict_to(ret, &allocation, name);
	if (r == 0 && !named) {
		ret->hosts = allocation.hosts;
		allocation.hosts = (struct hosts){ 0 };
	}
	if (r == 0)
		r = check_names(ret, name);
	if (r == 0)
		add_manager(ret);
	allocation_free(&allocation);
	if (r < 0)
		nodes_free(ret);
	return r;
}

void nodes_free(struct nodes *nodes)
{
	hosts_free(&nodes->hosts);
	*nodes = (struct nodes){ 0 };
}

int nodes_are_remote(const struct nodes *nodes)
{
	return nodes->hosts.count > 1 || nodes->excluded;
}
