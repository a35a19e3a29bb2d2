/* SPDX-License-Identifier: BSD-3-Clause */
/* hub_function.c - the functions that other nodes know, each told to all of them once. */
#include "hub_function.h"

#include "hub.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t find_function(struct hub_functions *functions, const void *fn)
{
	uint64_t number = 0;

	pthread_mutex_lock(&functions->lock);
	for (size_t i = 0; i < functions->count && !number; i++)
		if (functions->known[i].fn == fn)
			number = functions->known[i].number;
	pthread_mutex_unlock(&functions->lock);
	return number;
}

static int add_function(struct hub_functions *functions, const void *fn, uint64_t number)
{
	struct known_function *larger;

	pthread_mutex_lock(&functions->lock);
	larger = realloc(functions->known, (functions->count + 1) * sizeof *larger);
	if (larger) {
		functions->known = larger;
		functions->known[functions->count++] = (struct known_function){ fn, number };
	}
	pthread_mutex_unlock(&functions->lock);
	return larger ? 0 : -ENOMEM;
}

/* Every node is asked at once, and all must have it. */
static int announce(struct hub *hub, const struct wire_function *message, struct rp_error *err)
{
	int nodes = hub_nodes(hub), r = 0;
	struct hub_call *calls = calloc((size_t)nodes, sizeof *calls);

	if (!calls)
		return error_set(err, -ENOMEM, "out of memory");
	for (int i = 1; i < nodes; i++)
		hub_ask(hub, &calls[i], i, message, sizeof *message, NULL, 0);
	for (int i = 1; i < nodes; i++) {
		int64_t result = hub_await(&calls[i]);

		if (result < 0 && r == 0)
			r = error_set(err, (int)result, "node %d (%s): %.400s", i, hub_node(hub, i)->host,
			              calls[i].answer.text);
		free(calls[i].answer.data);
	}
	free(calls);
	return r;
}

/* Of their own, as messages have no more than 32 bits for them. */
static uint64_t number_function(struct hub_functions *functions)
{
	uint64_t number;

	pthread_mutex_lock(&functions->lock);
	number = ++functions->numbers;
	pthread_mutex_unlock(&functions->lock);
	return number;
}

int64_t hub_function(struct hub *hub, const void *fn, struct rp_error *err)
{
	struct wire_function message = { .wire = { .kind = WIRE_FUNCTION } };
	struct hub_functions *functions = hub_functions(hub);
	uint64_t number = find_function(functions, fn);
	int r;

	if (number)
		return (int64_t)number;
	r = function_identify(fn, &message.function, err);
	if (r < 0)
		return r;
	number = message.wire.id = number_function(functions);
	r = announce(hub, &message, err);
	if (r == 0 && add_function(functions, fn, number) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r < 0 ? r : (int64_t)number;
}
