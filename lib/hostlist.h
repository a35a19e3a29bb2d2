/* SPDX-License-Identifier: BSD-3-Clause */
/* hostlist.h - names of hosts, and Slurm's lists of them. */
#ifndef RP_LIB_HOSTLIST_H
#define RP_LIB_HOSTLIST_H

/* Whether the two are one host: some write "node1" where others write "node1.cluster". */
int hostlist_same(const char *a, const char *b);

/* Which host, from 0 on, of a list as Slurm writes it ("node[01-16,20],login1", "rack[0-1]node[0-3]") is that one.  -1: none
 * is, or the list is malformed before it. */
long hostlist_find(const char *list, const char *host);

#endif
