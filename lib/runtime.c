/* SPDX-License-Identifier: BSD-3-Clause */
/* runtime.c - what belongs to the process as a whole: its arena, its supervisor, the other nodes; rp_alloc. */
#include "runtime.h"

#include "context.h"
#include "hub.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* Linux 5.4 has all that the library is built on. */
static int check_kernel(struct rp_error *err)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return error_set(err, -ENOSYS, "this is not Linux 5.4 or newer");
	if (major < 5 || (major == 5 && minor < 4))
		return error_set(err, -ENOSYS, "Linux 5.4 or newer is needed, this is %s", name.release);
	return 0;
}

/* The ancestor's arena stays mapped, and what lies in it can be read here as there. */
static int make_arena(struct context *context, struct rp_error *err)
{
	int r = context->arena ? 0 : check_kernel(err);

	if (r == 0 && !context->arena)
		r = arena_new(&context->arena, context->inherited, err);
	return r;
}

int runtime_arena(struct arena **ret, struct rp_error *err)
{
	struct context *context = context_get();
	struct rp_error e = { 0 };
	int r;

	context_lock();
	r = make_arena(context, &e);
	*ret = context->arena;
	context_unlock();
	return r < 0 ? error_set(err, r, "%s", e.text) : 0;
}

int runtime_holds(const void *memory, size_t size)
{
	const struct context *context = context_get();

	return arena_owner(context->arena ? context->arena : context->inherited, memory, size) != NULL;
}

struct supervisor *runtime_supervisor(void)
{
	return context_get()->supervisor;
}

struct hub *runtime_hub(void)
{
	struct hub *hub = context_get()->hub;

	return hub && hub_nodes(hub) > 1 && !hub_is_closed(hub) ? hub : NULL;
}

const char *rp_version(void)
{
	return PACKAGE_VERSION;
}

void *rp_alloc(size_t size)
{
	struct rp_task *task = context_get()->task;
	struct rp_error e = { 0 };
	struct arena *arena;

	if (task)
		return worker_alloc(task, size);
	if (runtime_arena(&arena, &e) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	return arena_alloc(arena, ARENA_MANAGER, size ? size : 1);
}

void rp_free(const void *memory)
{
	const struct context *context = context_get();
	struct arena *arena = arena_owner(context->arena ? context->arena : context->inherited, memory, 0);

	if (arena)
		arena_drop(arena, memory);
}

void rp_bytes_free(struct rp_bytes *bytes, size_t count)
{
	for (size_t i = 0; bytes && i < count; i++) {
		rp_free(bytes[i].data);
		bytes[i] = (struct rp_bytes){ 0 };
	}
}

struct rp_bytes rp_text(const char *string)
{
	return (struct rp_bytes){ string, string ? strlen(string) + 1 : 0 };
}
