/* SPDX-License-Identifier: BSD-3-Clause */
/* image.c - functions of modules that were loaded after the supervisor was forked. */
#include "image.h"

#include "error.h"
#include "function_module.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN 8                                 /* functions that were asked for last */

struct module {
	uintptr_t base;
	uint64_t name;                          /* hashed */
	uint8_t hash[FUNCTION_HASH];            /* its build-id, or zeros */
};

/* In the arena; never changed, nor given back while there are children. */
struct lesson {
	struct lesson *next;
	const void *fn;
	struct function_id id;
};

/* The dynamic linker counts what it loads and unloads: while it counts the same, so is what is loaded. */
struct count {
	unsigned long long adds, subs;
};

struct image {
	struct arena *arena;
	_Atomic(struct lesson *) *lessons;      /* in the arena, newest first: an address may come to mean something else */
	struct module *modules;
	size_t module_count, room;

	pthread_mutex_t lock;                   /* guards what follows, and the writing of lessons */
	struct count seen;                      /* when these were known: */
	const void *known[KNOWN];
	unsigned next;

	/* In a child. */
	const struct lesson *learned;           /* last, and what it is there */
	void *here;
};

/* ---- what is loaded -------------------------------------------------------------------------------------- */

static int read_count(struct dl_phdr_info *module, size_t size, void *data)
{
	(void)size;
	*(struct count *)data = (struct count){ module->dlpi_adds, module->dlpi_subs };
	return 1;
}

static struct count count_now(void)
{
	struct count count = { 0 };

	dl_iterate_phdr(read_count, &count);
	return count;
}

static int is_same_count(struct count a, struct count b)
{
	return a.adds == b.adds && a.subs == b.subs;
}

static void describe(const struct dl_phdr_info *info, struct module *ret)
{
	*ret = (struct module){ .base = info->dlpi_addr, .name = UINT64_C(14695981039346656037) };
	for (const char *p = info->dlpi_name; *p; p++)
		ret->name = (ret->name ^ (unsigned char)*p) * UINT64_C(1099511628211);
	module_build_id(info, ret->hash);
}

static int add_module(struct dl_phdr_info *info, size_t size, void *data)
{
	struct image *image = data;
	struct module *larger;

	(void)size;
	if (image->module_count == image->room) {
		image->room = 2 * image->room + 32;
		larger = realloc(image->modules, image->room * sizeof *larger);
		if (!larger)
			return -ENOMEM;
		image->modules = larger;
	}
	describe(info, &image->modules[image->module_count++]);
	return 0;
}

struct search {
	const struct image *image;
	uintptr_t code;
	int found;                              /* it lies in a module, */
	int is_new;                             /* which was not there */
};

static int find_module(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *s = data;
	struct module module;

	(void)size;
	if (!module_segment(info, s->code - info->dlpi_addr, PF_X))
		return 0;
	describe(info, &module);
	s->found = s->is_new = 1;
	for (size_t i = 0; i < s->image->module_count && s->is_new; i++)
		s->is_new = s->image->modules[i].base != module.base || s->image->modules[i].name != module.name ||
		            memcmp(s->image->modules[i].hash, module.hash, sizeof module.hash) != 0;
	return 1;
}

/* Code that the program has made itself has no module, and is what it was in children that have its memory.  What cannot be
 * run at all is a pointer gone wrong. */
static int is_executable(uintptr_t code)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	char line[512], may = '-';

	while (maps && may != 'x' && fgets(line, sizeof line, maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*2c%c", &start, &end, &may) != 3 || code < start || code >= end)
			may = '-';
	if (maps)
		fclose(maps);
	return !maps || may == 'x';
}

/* ---- the image ------------------------------------------------------------------------------------------- */

void image_forked(struct image *image)
{
	if (!image)
		return;
	free(image->modules);
	free(image);
}

struct image *image_free(struct image *image)
{
	struct lesson *lesson = image ? atomic_load(image->lessons) : NULL, *next;

	if (!image)
		return NULL;
	for (; lesson; lesson = next) {
		next = lesson->next;
		arena_drop(image->arena, lesson);
	}
	arena_drop(image->arena, (const void *)image->lessons);
	pthread_mutex_destroy(&image->lock);
	image_forked(image);
	return NULL;
}

struct image *image_new(struct arena *arena)
{
	struct image *image = calloc(1, sizeof *image);

	if (!image)
		return NULL;
	image->arena = arena;
	image->lessons = arena_alloc(arena, ARENA_MANAGER, sizeof *image->lessons);
	image->seen = count_now();
	if (!image->lessons || dl_iterate_phdr(add_module, image) < 0) {
		arena_drop(arena, (const void *)image->lessons);
		image_forked(image);
		return NULL;
	}
	atomic_init(image->lessons, NULL);
	pthread_mutex_init(&image->lock, NULL);
	return image;
}

/* ---- in the manager -------------------------------------------------------------------------------------- */

static int write_lesson(struct image *image, const void *fn, struct rp_error *err)
{
	struct lesson *lesson = arena_alloc(image->arena, ARENA_MANAGER, sizeof *lesson);
	int r;

	if (!lesson)
		return error_set(err, -ENOMEM, "out of memory");
	lesson->fn = fn;
	lesson->next = atomic_load(image->lessons);
	r = function_identify(fn, &lesson->id, err);
	if (r < 0)
		arena_drop(image->arena, lesson);
	else
		atomic_store(image->lessons, lesson);
	return r;
}

static int is_known(struct image *image, struct count now, const void *fn)
{
	if (!is_same_count(image->seen, now)) {
		memset(image->known, 0, sizeof image->known);
		image->seen = now;
	}
	for (unsigned i = 0; i < KNOWN; i++)
		if (image->known[i] == fn)
			return 1;
	return 0;
}

static int look(struct image *image, const void *fn, struct rp_error *err)
{
	struct search search = { .image = image, .code = (uintptr_t)fn };
	int r = 0;

	dl_iterate_phdr(find_module, &search);
	if (search.is_new || (!search.found && !is_executable(search.code)))
		r = write_lesson(image, fn, err);
	if (r == 0)
		image->known[image->next++ % KNOWN] = fn;
	return r;
}

int image_teach(struct image *image, const void *fn, struct rp_error *err)
{
	struct count now = count_now();
	int r = 0;

	pthread_mutex_lock(&image->lock);
	if (!is_known(image, now, fn))
		r = look(image, fn, err);
	pthread_mutex_unlock(&image->lock);
	return r;
}

/* ---- in a child ------------------------------------------------------------------------------------------ */

void *image_function(struct image *image, const void *fn, struct rp_error *err)
{
	const struct lesson *lesson = image ? atomic_load(image->lessons) : NULL;

	while (lesson && lesson->fn != fn)
		lesson = lesson->next;
	if (!lesson)
		return (void *)(uintptr_t)fn;
	if (lesson != image->learned) {
		image->learned = NULL;
		if (function_resolve(&lesson->id, &image->here, err) < 0)
			return NULL;
		image->learned = lesson;
	}
	return image->here;
}
