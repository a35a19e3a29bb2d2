/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h - a folder of files that a test has for /proc and /sys. */
#ifndef RP_TESTS_TREE_H
#define RP_TESTS_TREE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree[] = "/tmp/rankpool-tree-XXXXXX";

/* For cmocka's setup and teardown: an empty tree for each test, and none after it; and no job, if the tests run in one. */
static inline int tree_new(void **state)
{
	static const char *const jobs[] = { "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID" };

	(void)state;
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		unsetenv(jobs[i]);
	strcpy(tree + sizeof tree - 7, "XXXXXX");
	return mkdtemp(tree) ? 0 : -1;
}

static inline int tree_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int tree_free(void **state)
{
	(void)state;
	return nftw(tree, tree_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* "/proc/self/cgroup" and the like; folders on the way are made. */
static inline void tree_write(const char *path, const char *text)
{
	char name[512];
	FILE *f;

	snprintf(name, sizeof name, "%s%s", tree, path);
	for (char *p = strchr(name + sizeof tree, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(name, 0700);
		*p = '/';
	}
	f = fopen(name, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(name);
		abort();
	}
}

#endif
