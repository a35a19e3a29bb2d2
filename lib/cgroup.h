/* SPDX-License-Identifier: BSD-3-Clause */
/* cgroup.h - the control groups that this process is in. */
#ifndef RP_LIB_CGROUP_H
#define RP_LIB_CGROUP_H

/* A level of a hierarchy: its directory, and which version's files are in it. */
typedef void cgroup_visit(const char *directory, int version, void *user);

/* Calls visit for every level of this process's groups that can be seen, from the mount points down: in the version 1
 * hierarchy of `controller`, and in that of version 2.  `root` is prefixed to every path. */
void cgroup_walk(const char *root, const char *controller, cgroup_visit *visit, void *user);

/* The first line of a file, without its newline, malloc'ed; NULL when there is none. */
char *cgroup_read(const char *directory, const char *name);

#endif
