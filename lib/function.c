/* SPDX-License-Identifier: BSD-3-Clause */
/* function.c - which function of which binary: told to other processes and machines, and found there again.
 *
 * A function is known by its module and its distance from where that was loaded, a module by its build-id.  One without
 * is known by a hash of its code and constants as they lie in memory, which is as in the file: position-independent code is
 * not relocated, and constants that are, lie in segments that were writable.
 *
 * A linker can be told to take anything for a build-id, such as the commit of a whole project, and one library may be loaded
 * from two files.  So a build-id that two loaded modules share names neither, and the hash of the code is taken; and of
 * several modules with the right hash, the one whose path is most alike is the right one. */
#include "function.h"

#include "error.h"
#include "function_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HASH_SHOWN 8                            /* bytes of a hash, in messages */

enum likeness { SAME_PATH, SAME_NAME, ANY_PATH, JUST_LOADED };

struct owner {                                  /* looks for the module that an address lies in */
	uintptr_t code;
	enum function_hash_kind kind;
	struct function_id *id;
	unsigned seen;
	int result;
};

struct search {                                 /* looks for the module that an id names */
	const struct function_id *id;
	enum likeness likeness;
	uintptr_t loaded_at;                    /* JUST_LOADED: the only module to look at */
	unsigned seen;
	int found;
	void *code;                             /* of the one found: the function, NULL when the offset is not in its code */
	int is_other;                           /* a module of the path, or of its base name, has another hash: */
	enum likeness other_likeness;
	struct function_id other;
	uintptr_t other_code;
};

/* What does not fit loses its beginning: the end of a path, or of what dlerror says, tells most. */
static const char *shorten(char *ret, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length < size)
		return memcpy(ret, text, length + 1);
	text += length - (size - 4);
	while (((unsigned char)*text & 0xc0) == 0x80)
		text++;                         /* not from the middle of a UTF-8 character */
	snprintf(ret, size, "...%s", text);
	return ret;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int is_same_hash(const struct function_id *a, const struct function_id *b)
{
	return a->hash_kind == b->hash_kind && !memcmp(a->hash, b->hash, FUNCTION_HASH);
}

static const char *hash_text(char *text, size_t size, const struct function_id *id, size_t bytes)
{
	static const char *const kinds[] = { "unknown", "", "code " };
	size_t n = (size_t)snprintf(text, size, "%s", kinds[id->hash_kind]);

	for (size_t i = 0; id->hash_kind && i < bytes && n + 2 < size; i++, n += 2)
		snprintf(text + n, size - n, "%02x", id->hash[i]);
	return text;
}

/* ---- where a module comes from -------------------------------------------------------------------------- */

static void keep_path(struct function_id *id, const char *path)
{
	memset(id->path, 0, sizeof id->path);
	shorten(id->path, sizeof id->path, path);
}

/* The name that the dynamic linker has is none for the program, and for what was loaded so relative to a directory that may
 * no longer be the current one.  The kernel knows which file code is mapped from, also when that has since been deleted. */
static void locate(struct function_id *id, uintptr_t code)
{
	static const char deleted[] = " (deleted)";
	FILE *maps = id->is_program || id->path[0] != '/' ? fopen("/proc/self/maps", "re") : NULL;
	char *line = NULL;
	size_t space = 0;
	ssize_t n;

	while (maps && (n = getline(&line, &space, maps)) > 0) {
		uintptr_t start, end;
		int at = 0;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %n", &start, &end, &at) != 2 || code < start ||
		    code >= end)
			continue;
		line[strcspn(line, "\n")] = 0;
		n = (ssize_t)strlen(line) - (ssize_t)strlen(deleted);
		if (n > at && !strcmp(line + n, deleted))
			line[n] = 0;
		if (line[at] == '/')
			keep_path(id, line + at);
		break;
	}
	if (maps)
		fclose(maps);
	free(line);
	if (!id->path[0])
		keep_path(id, program_invocation_name);
}

/* ---- identify ------------------------------------------------------------------------------------------- */

static int find_owner(struct dl_phdr_info *module, size_t size RP_UNUSED, void *data)
{
	struct owner *o = data;
	int is_program = o->seen++ == 0;
	uintptr_t offset = o->code - module->dlpi_addr;

	if (!module_segment(module, offset, PF_X) || module_is_vdso(module))
		return 0;
	o->id->is_program = (uint32_t)is_program;
	o->id->offset = offset;
	keep_path(o->id, module->dlpi_name);
	o->result = module_hash(module, o->kind, o->id) ? 0 : -ENOTSUP;
	return 1;
}

static int count_namesakes(struct dl_phdr_info *module, size_t size RP_UNUSED, void *data)
{
	struct owner *o = data;
	uint8_t hash[FUNCTION_HASH];

	if (module_build_id(module, hash) && !memcmp(hash, o->id->hash, sizeof hash))
		o->seen++;
	return 0;
}

/* The program needs no name that is its own: it is looked for in one place only. */
static int has_namesakes(struct owner *o)
{
	o->seen = 0;
	if (!o->id->is_program && o->id->hash_kind == FUNCTION_BUILD_ID)
		dl_iterate_phdr(count_namesakes, o);
	return o->seen > 1;
}

int function_identify(const void *fn, struct function_id *ret, struct rp_error *err)
{
	struct owner o = { .code = (uintptr_t)fn, .kind = FUNCTION_BUILD_ID, .id = ret, .result = -EFAULT };
	char module[256];

	memset(ret, 0, sizeof *ret);
	dl_iterate_phdr(find_owner, &o);
	if (!o.result && has_namesakes(&o)) {
		o.kind = FUNCTION_CODE;
		o.seen = 0;
		dl_iterate_phdr(find_owner, &o);
	}
	if (o.result == -EFAULT)
		return error_set(err, -EFAULT, "%p is no function of this program or of a library that it has loaded", fn);
	locate(ret, o.code);
	if (o.result)
		return error_set(err, o.result,
		                 "%s has no build-id to be known by on other nodes: link it with -Wl,--build-id",
		                 shorten(module, sizeof module, ret->path));
	return 0;
}

/* ---- resolve -------------------------------------------------------------------------------------------- */

static int is_alike(const struct search *s, const struct dl_phdr_info *module)
{
	uint32_t size;

	switch (s->likeness) {
	case SAME_PATH: return s->id->is_program || !strcmp(module->dlpi_name, s->id->path);
	case SAME_NAME: return !strcmp(base_name(module->dlpi_name), base_name(s->id->path));
	case ANY_PATH: break;
	case JUST_LOADED: return module->dlpi_addr == s->loaded_at;
	}
	size = module_fixed_size(module);
	return s->id->hash_kind == FUNCTION_BUILD_ID || !memcmp(s->id->hash + FUNCTION_HASH_MIXED, &size, sizeof size);
}

static int match(struct dl_phdr_info *module, size_t size RP_UNUSED, void *data)
{
	struct search *s = data;
	uint32_t is_program = s->seen++ == 0;
	uintptr_t offset = (uintptr_t)s->id->offset;
	struct function_id here;

	if (is_program != s->id->is_program || module_is_vdso(module) || !is_alike(s, module))
		return 0;
	if (module_hash(module, s->id->hash_kind, &here) && is_same_hash(&here, s->id)) {
		s->found = 1;
		s->code = module_segment(module, offset, PF_X) ? (void *)(module->dlpi_addr + offset) : NULL;
		return 1;
	}
	if (s->likeness != ANY_PATH && (!s->is_other || s->likeness == JUST_LOADED)) {
		s->is_other = 1;
		s->other_likeness = s->likeness;
		s->other = here;
		s->other.is_program = is_program;
		keep_path(&s->other, module->dlpi_name);
		for (unsigned i = 0; i < module->dlpi_phnum; i++)
			if (module->dlpi_phdr[i].p_flags & PF_X && module->dlpi_phdr[i].p_type == PT_LOAD)
				s->other_code = module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
	}
	return 0;
}

static int look(struct search *s, enum likeness likeness)
{
	s->likeness = likeness;
	s->seen = 0;
	dl_iterate_phdr(match, s);
	return s->found;
}

static int refuse_other(struct search *s, struct rp_error *err)
{
	char name[64], here[32], there[32], path_here[128], path_there[128];

	locate(&s->other, s->other_code);
	return error_set(err, -ENOEXEC, "%s is another build on this node: %s here (%s), %s there (%s)",
	                 shorten(name, sizeof name, base_name(s->id->path)),
	                 hash_text(here, sizeof here, &s->other, HASH_SHOWN),
	                 shorten(path_here, sizeof path_here, s->other.path),
	                 hash_text(there, sizeof there, s->id, HASH_SHOWN),
	                 shorten(path_there, sizeof path_there, s->id->path));
}

/* On success the module stays loaded, as its functions are about to be called. */
static int load(struct search *s, struct rp_error *err)
{
	void *module = dlopen(s->id->path, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map = NULL;
	char name[64], reason[384];
	int r;

	if (!module || dlinfo(module, RTLD_DI_LINKMAP, &map) < 0) {
		const char *text = dlerror();

		r = error_set(err, -ENOEXEC, "%s cannot be loaded on this node: %s",
		              shorten(name, sizeof name, base_name(s->id->path)),
		              shorten(reason, sizeof reason, text ? text : "the dynamic linker does not say why"));
		goto out;
	}
	s->loaded_at = map->l_addr;
	if (look(s, JUST_LOADED))
		return 0;
	r = refuse_other(s, err);
out:
	if (module)
		dlclose(module);
	return r;
}

/* dlopen would look for a path that is not absolute in places of its own, and wait at what is no file, such as a pipe. */
static int load_if_there(struct search *s, struct rp_error *err)
{
	const char *path = s->id->path;
	char name[64], hash[32], where[200];
	struct stat st;
	int e = 0;

	if (path[0] != '/' || stat(path, &st) < 0)
		e = path[0] != '/' ? ENOENT : errno;
	else if (!S_ISREG(st.st_mode))
		e = ENOEXEC;
	if (!e)
		return load(s, err);
	if (s->is_other)
		return refuse_other(s, err);
	return error_set(err, -ENOENT, "%s (%s) is not loaded on this node, and %s cannot be: %s",
	                 shorten(name, sizeof name, base_name(path)), hash_text(hash, sizeof hash, s->id, HASH_SHOWN),
	                 shorten(where, sizeof where, path), strerror(e));
}

int function_resolve(const struct function_id *id, void **ret, struct rp_error *err)
{
	struct search s = { .id = id };
	char name[64];
	int r = 0;

	*ret = NULL;
	if (id->hash_kind < FUNCTION_BUILD_ID || id->hash_kind > FUNCTION_CODE || id->is_program > 1 ||
	    !memchr(id->path, 0, sizeof id->path))
		return error_set(err, -EINVAL, "what is to name a function does not: hash of kind %u", id->hash_kind);
	for (enum likeness l = SAME_PATH; l <= (id->is_program ? SAME_PATH : ANY_PATH) && !s.found; l++)
		look(&s, l);
	if (!s.found)
		r = s.is_other && s.other_likeness == SAME_PATH ? refuse_other(&s, err) : load_if_there(&s, err);
	if (r)
		return r;
	if (!s.code)
		return error_set(err, -EFAULT, "offset 0x%" PRIx64 " is not in the code of %s", id->offset,
		                 shorten(name, sizeof name, base_name(id->path)));
	*ret = s.code;
	return 0;
}

/* ---- the program ---------------------------------------------------------------------------------------- */

static int hash_first(struct dl_phdr_info *module, size_t size RP_UNUSED, void *data)
{
	struct function_id *id = data;

	module_hash(module, FUNCTION_BUILD_ID, id);
	return 1;
}

void function_program(char *text, size_t size)
{
	struct function_id id = { .hash_kind = 0 };

	dl_iterate_phdr(hash_first, &id);
	hash_text(text, size, &id, FUNCTION_HASH);
}
