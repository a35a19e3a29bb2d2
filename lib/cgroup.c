/* SPDX-License-Identifier: BSD-3-Clause */
/* cgroup.c - the control groups that this process is in.
 *
 * The tightest level decides, and it need not be the process's own, so every level from the mount point down to the
 * process's group is read.  In a container the path in /proc/self/cgroup may be the host's, which does not exist below
 * the container's mount: the walk then ends at the last directory that does, at worst the mount point, and that is the
 * container's own group. */
#include "cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mount {
	char *root, *point;                     /* fields 4 and 5 of mountinfo: what is mounted, and where */
	int version;
	const char *controllers;                /* version 1: super options, among which are the controllers */
};

char *cgroup_read(const char *directory, const char *name)
{
	char path[PATH_MAX];
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
		return NULL;
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (getline(&line, &size, f) < 0) {
		free(line);
		line = NULL;
	}
	fclose(f);
	if (line)
		line[strcspn(line, "\n")] = 0;
	return line;
}

/* Is `word` one of the comma-separated `words`? */
static int has_word(const char *words, size_t length, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words, *end = words + length; p < end;) {
		size_t w = strcspn(p, ",\n");

		if (w > (size_t)(end - p))
			w = (size_t)(end - p);
		if (w == n && memcmp(p, word, n) == 0)
			return 1;
		p += w + 1;
	}
	return 0;
}

/* This process's path in the hierarchy that has `controller` ("": version 2), malloc'ed; NULL when it has none. */
static char *own_path(const char *root, const char *controller)
{
	char name[PATH_MAX];
	char *line = NULL, *ret = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
	f = fopen(name, "re");
	if (!f)
		return NULL;
	while (!ret && getline(&line, &size, f) > 0) {
		/* "4:cpu,cpuacct:/path", version 2: "0::/path" */
		char *names = strchr(line, ':');
		char *path = names ? strchr(names + 1, ':') : NULL;

		if (!path)
			continue;
		names++;
		line[strcspn(line, "\n")] = 0;
		if (*controller ? has_word(names, (size_t)(path - names), controller) : path == names)
			ret = strdup(path + 1);
	}
	free(line);
	fclose(f);
	return ret;
}

/* The part of `path` that lies below what is mounted. */
static const char *below_mount(const char *path, const char *mounted)
{
	size_t n = strlen(mounted);

	if (strcmp(mounted, "/") == 0)
		n = 0;
	if (strncmp(path, mounted, n) == 0 && (path[n] == '/' || !path[n]))
		path += n;
	/* "/../.." is how a group outside of this cgroup namespace is shown: there is no way down to it. */
	return strncmp(path, "/..", 3) == 0 ? "" : path;
}

static void walk(const char *root, const struct mount *mount, const char *path, cgroup_visit *visit, void *user)
{
	char directory[PATH_MAX];
	size_t length;

	length = (size_t)snprintf(directory, sizeof directory, "%s%s", root, mount->point);
	if (length >= sizeof directory)
		return;
	path = below_mount(path, mount->root);
	while (access(directory, X_OK) == 0) {
		size_t n;

		visit(directory, mount->version, user);
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (!n || length + 1 + n >= sizeof directory)
			break;
		directory[length++] = '/';
		memcpy(directory + length, path, n);
		length += n;
		directory[length] = 0;
		path += n;
	}
}

/* mountinfo writes blanks and backslashes in paths as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	*to = 0;
}

/* Splits a line of mountinfo: "31 23 0:28 ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE SUPEROPTIONS".  1: a cgroup. */
static int parse_mount(char *line, struct mount *ret)
{
	char *fields[5] = { NULL }, *type = NULL, *save = NULL, *tail = strstr(line, " - ");
	int n = 0;

	if (!tail)
		return 0;
	*tail = 0;
	for (char *w = strtok_r(line, " ", &save); w && n < 5; w = strtok_r(NULL, " ", &save))
		fields[n++] = w;
	type = strtok_r(tail + 3, " ", &save);
	if (n < 5 || !type || strncmp(type, "cgroup", 6) != 0)
		return 0;
	ret->version = strcmp(type, "cgroup2") == 0 ? 2 : 1;
	strtok_r(NULL, " ", &save);
	ret->controllers = strtok_r(NULL, " \n", &save);
	ret->root = fields[3];
	ret->point = fields[4];
	unescape(ret->root);
	unescape(ret->point);
	return ret->version == 2 || ret->controllers;
}

static void walk_hierarchy(const char *root, const struct mount *mount, const char *controller, cgroup_visit *visit,
                           void *user)
{
	char *path;

	if (mount->version == 1 && !has_word(mount->controllers, strlen(mount->controllers), controller))
		return;
	path = own_path(root, mount->version == 1 ? controller : "");
	walk(root, mount, path ? path : "", visit, user);
	free(path);
}

void cgroup_walk(const char *root, const char *controller, cgroup_visit *visit, void *user)
{
	char name[PATH_MAX];
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
	f = fopen(name, "re");
	if (!f)
		return;
	while (getline(&line, &size, f) > 0) {
		struct mount mount;

		if (parse_mount(line, &mount))
			walk_hierarchy(root, &mount, controller, visit, user);
	}
	free(line);
	fclose(f);
}
