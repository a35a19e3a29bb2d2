/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/function_program.c - one end of what tests/function.c tests; linked in several ways, started in pairs.
 *
 *	identify own|linked|plugin|deleted [PLUGIN...]   loads them, then writes the id of a function to stdout
 *	resolve [PLUGIN...]                              loads them, then reads an id and prints: RESULT VALUE TEXT
 *
 * VALUE is what the function makes of -5.  A plugin that is "deleted" is so between its loading and the question. */
#include "function.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef long number_fn(long x);

static long twice(long x)
{
	return 2 * x + BUILD;
}

/* The plugins' names may be relative: the folder they were relative to is left then. */
static number_fn *load(char **paths)
{
	number_fn *first = NULL;

	for (char **p = paths; *p; p++) {
		void *plugin = dlopen(*p, RTLD_NOW | RTLD_LOCAL);
		number_fn *const *fn = plugin ? dlsym(plugin, "function_plugin") : NULL;

		if (!fn) {
			fprintf(stderr, "%s\n", dlerror());
			exit(2);
		}
		if (!first)
			first = *fn;
	}
	return first;
}

static int identify(const char *what, char **paths)
{
	number_fn *fn = load(paths);
	struct function_id id;

	if (!strcmp(what, "own"))
		fn = twice;
	else if (!strcmp(what, "linked"))
		fn = labs;
	else if (!strcmp(what, "deleted") && unlink(paths[0]) < 0)
		return 2;
	if (chdir("/") < 0 || function_identify((const void *)(uintptr_t)fn, &id, RP_FATAL) < 0)
		return 2;
	return fwrite(&id, sizeof id, 1, stdout) != 1;
}

static int resolve(char **paths)
{
	struct rp_error err = { .text = "" };
	struct function_id id;
	void *found;
	int r;

	load(paths);
	if (chdir("/") < 0 || fread(&id, sizeof id, 1, stdin) != 1)
		return 2;
	r = function_resolve(&id, &found, &err);
	printf("%d %ld %s\n", r, r ? 0 : ((number_fn *)(uintptr_t)found)(-5), err.text);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "identify"))
		return identify(argv[2], argv + 3);
	return argc >= 2 && !strcmp(argv[1], "resolve") ? resolve(argv + 2) : 2;
}
