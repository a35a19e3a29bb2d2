/* SPDX-License-Identifier: BSD-3-Clause */
/* hosts.h - machines and how many places each has, as users list them. */
#ifndef RP_LAUNCHER_HOSTS_H
#define RP_LAUNCHER_HOSTS_H

#include <stddef.h>

enum host_place {
	HOST_UNKNOWN,                           /* not looked for, or no name or address of a machine */
	HOST_ELSEWHERE,
	HOST_HERE,                              /* this machine: its name, with or without domain, or its address */
	HOST_SILENT                             /* the name service gave no answer in time */
};

struct host {
	char *name;                             /* without brackets around an IPv6 address */
	unsigned slots;                         /* at least 1 */
	int said;                               /* there was a number, or the host more than once; else nobody knows */
	int listed;                             /* bare in a list: where that counts as one slot, as it does for mpirun */
	enum host_place place;
};

struct hosts {                                  /* { 0 } is empty; each name is in it once */
	struct host *items;
	size_t count;
};

/* Adds "a:2,b,[::1]:4".  A host that is there already gets so many slots more.  0, or -1 after one line, which
 * begins with `name`, has said what is wrong and where. */
int hosts_parse(struct hosts *hosts, const char *list, const char *name);

/* Adds those of a file, one a line: "a", "a:2", "a slots=2 max_slots=4"; # begins a comment.  Returns what
 * hosts_parse does. */
int hosts_read(struct hosts *hosts, const char *path, const char *name);

/* Adds one.  slots 0: not said.  0, or -1 without a word: more slots on one host than there can be. */
int hosts_add(struct hosts *hosts, const char *host, size_t length, unsigned slots);

/* The same for one that is not there yet. */
void hosts_append(struct hosts *hosts, const char *host, size_t length, unsigned slots);

/* Finds out the place of each, in at most some seconds, and puts this machine first, all its names made one.  Where each
 * name is known to be that of a machine of its own, as in a scheduler's list, only the one that this is is looked for. */
void hosts_locate(struct hosts *hosts, int known);

void hosts_free(struct hosts *hosts);

#endif
