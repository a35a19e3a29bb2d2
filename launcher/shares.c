/* SPDX-License-Identifier: BSD-3-Clause */
/* shares.c - how many copies of a program each node gets. */
#include "shares.h"
#include "buffer.h"
#include "cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct share {
	const struct placing *placing;
	struct nodes *nodes;
	const char *name;
	size_t first;                           /* the host to begin with: behind one that runs the manager alone */
	uint64_t slots;                         /* of all hosts together */
	int known;                              /* that is a number that somebody has said */
	uint32_t *counts;                       /* of each host */
};

/* Of this machine: what one of all nodes is taken for when nobody has said anything about them. */
static int count_here(const struct placing *placing, const char *name)
{
	struct rp_pool_options options;
	struct rp_error err;
	int n;

	if (placing_options(placing, &options, name) < 0)
		return -1;
	n = rp_pool_plan(&options, NULL, NULL, 0, &err);
	if (n < 0)
		cli_say(name, "%s", err.text);
	return n;
}

static void drop_first(struct hosts *hosts)
{
	free(hosts->items[0].name);
	memmove(hosts->items, hosts->items + 1, --hosts->count * sizeof *hosts->items);
}

/* --map-by :NOLOCAL makes the first node one for the manager alone. */
static void leave_out(struct share *share, int each)
{
	struct nodes *nodes = share->nodes;

	if (share->placing->not_here && nodes->hosts.count > 1 && nodes->hosts.items[0].place == HOST_HERE)
		nodes->manager_only = 1;
	if (nodes->manager_only && each) {
		drop_first(&nodes->hosts);
		nodes->manager_only = 0;
		nodes->excluded = 1;
	}
	share->first = nodes->manager_only ? 1 : 0;
}

/* How many slots there are, as far as anybody has said. */
static void count_slots(struct share *share)
{
	const struct hosts *hosts = &share->nodes->hosts;

	for (size_t i = share->first; i < hosts->count; i++) {
		share->slots += hosts->items[i].slots;
		share->known |= hosts->items[i].said || hosts->items[i].listed || share->nodes->scheduler != NULL;
	}
}

static void list_slots(const struct share *share, struct buffer *ret)
{
	const struct hosts *hosts = &share->nodes->hosts;

	for (size_t i = share->first; i < hosts->count && i < share->first + 8; i++) {
		buffer_text(ret, i > share->first ? ", " : "");
		buffer_text(ret, hosts->items[i].name);
		buffer_byte(ret, ':');
		buffer_number(ret, hosts->items[i].slots);
	}
	if (hosts->count > share->first + 8)
		buffer_text(ret, ", ...");
	buffer_byte(ret, 0);
}

static int refuse(const struct share *share, uint64_t wanted)
{
	struct buffer list = { 0 };

	list_slots(share, &list);
	cli_say(share->name,
	        "%llu copies are more than the %llu slot%s of %s; name more slots, or use --map-by :OVERSUBSCRIBE",
	        (unsigned long long)wanted, (unsigned long long)share->slots, share->slots == 1 ? "" : "s", list.data);
	buffer_free(&list);
	return -1;
}

/* -N, with or without -n. */
static int share_per_node(struct share *share, uint64_t *ret)
{
	const struct hosts *hosts = &share->nodes->hosts;
	const struct placing *p = share->placing;
	uint64_t left = p->copies ? p->copies : UINT64_MAX;

	*ret = 0;
	for (size_t i = share->first; i < hosts->count; i++) {
		share->counts[i] = left < p->per_node ? (uint32_t)left : p->per_node;
		left -= share->counts[i];
		*ret += share->counts[i];
		if (share->known && !p->oversubscribe && share->counts[i] > hosts->items[i].slots &&
		    (hosts->items[i].said || share->nodes->scheduler)) {
			cli_say(share->name, "-N %u: host %s has %u slot%s; name more, or use --map-by :OVERSUBSCRIBE",
			        p->per_node, hosts->items[i].name, hosts->items[i].slots,
			        hosts->items[i].slots == 1 ? "" : "s");
			return -1;
		}
	}
	if (p->copies && left) {
		cli_say(share->name, "-n %u: with -N %u there is room for %llu on %zu node%s", p->copies, p->per_node,
		        (unsigned long long)*ret, hosts->count - share->first, hosts->count - share->first == 1 ? "" : "s");
		return -1;
	}
	return 0;
}

/* -n: slots are filled in the order of the hosts, or one of each host in turn. */
static int share_copies(struct share *share, uint64_t copies)
{
	const struct hosts *hosts = &share->nodes->hosts;
	uint64_t left = copies;

	if (share->known && copies > share->slots && !share->placing->oversubscribe)
		return refuse(share, copies);
	for (size_t i = share->first; i < hosts->count && !share->placing->by_node && share->known; i++) {
		share->counts[i] = left < hosts->items[i].slots ? (uint32_t)left : hosts->items[i].slots;
		left -= share->counts[i];
	}
	while (left)
		for (size_t i = share->first; i < hosts->count && left; i++) {
			if (share->known && !share->placing->oversubscribe && share->counts[i] >= hosts->items[i].slots)
				continue;
			share->counts[i]++;
			left--;
		}
	return 0;
}

/* The hosts that are left, and whether they are all alike. */
static int apply(struct share *share)
{
	struct hosts *hosts = &share->nodes->hosts;
	size_t kept = share->first;
	int differ = 0;

	for (size_t i = share->first; i < hosts->count; i++) {
		if (!share->counts[i]) {
			free(hosts->items[i].name);
			differ = 1;
			continue;
		}
		hosts->items[kept] = hosts->items[i];
		hosts->items[kept].slots = share->counts[i];
		differ |= hosts->items[kept].slots != hosts->items[share->first].slots;
		kept++;
	}
	if (kept < hosts->count)
		share->nodes->named = 1;
	hosts->count = kept;
	return differ;
}

static void add_here(struct nodes *nodes)
{
	char name[HOST_NAME_MAX + 1] = "localhost";

	gethostname(name, sizeof name);
	hosts_append(&nodes->hosts, name, strlen(name), 0);
	nodes->hosts.items[0].place = HOST_HERE;
	nodes->named = 1;
}

static int is_more_than_cores(const struct share *share)
{
	const int cores = rp_pool_plan(NULL, NULL, NULL, 0, NULL);

	return cores > 0 && share->counts[share->first] > (uint32_t)cores;
}

static int share_out(struct share *share, int each, struct shares *ret)
{
	const struct placing *p = share->placing;
	uint64_t copies = p->copies;
	int here = 0;

	if (p->per_node && share_per_node(share, &copies) < 0)
		return -1;
	if (!p->per_node && !copies && !p->per_object && share->known &&
	    !(share->nodes->scheduler && !share->nodes->hosts.items[0].said))
		copies = share->slots;
	if (!copies && !each)
		return 0;
	if (!copies || p->per_object) {
		here = count_here(p, share->name);
		if (here < 0)
			return -1;
		for (size_t i = share->first; i < share->nodes->hosts.count; i++)
			share->counts[i] = (uint32_t)here;
		copies = (uint64_t)here * (share->nodes->hosts.count - share->first);
	} else if (!p->per_node && share_copies(share, copies) < 0) {
		return -1;
	}
	ret->copies = (uint32_t)copies;
	ret->oversubscribed = share->known ? copies > share->slots : is_more_than_cores(share);
	ret->by_slot = apply(share) || each;
	return 0;
}

int shares_make(struct shares *ret, const struct placing *placing, struct nodes *nodes, int each, const char *name)
{
	struct share share = { .placing = placing, .nodes = nodes, .name = name };
	int r;

	*ret = (struct shares){ 0 };
	if (!nodes->hosts.count)
		add_here(nodes);
	leave_out(&share, each);
	count_slots(&share);
	share.counts = resized(NULL, nodes->hosts.count, sizeof *share.counts);
	memset(share.counts, 0, nodes->hosts.count * sizeof *share.counts);
	r = share_out(&share, each, ret);
	free(share.counts);
	return r;
}
