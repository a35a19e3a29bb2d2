/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_say.c - what the agent answers, and the functions that it has been told of. */
#include "agent_inner.h"

#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void agent_send(struct agent *agent, const void *header, size_t size, const struct rp_bytes *parts, int count,
                void (*sent)(void *user), void *user)
{
	if (link_send(agent->link, 0, header, size, parts, count, sent, user) == 0)
		return;
	agent->lost = 1;
	if (sent)
		sent(user);
}

static struct wire_reply reply_to(const struct wire *to, int64_t result)
{
	return (struct wire_reply){ .wire = { WIRE_REPLY, to->call, to->id }, .result = result };
}

void agent_reply(struct agent *agent, const struct wire *to, int64_t result, const char *text)
{
	struct wire_reply reply = reply_to(to, result);

	if (text)
		snprintf(reply.text, sizeof reply.text, "%s", text);
	agent_send(agent, &reply, sizeof reply, NULL, 0, NULL, NULL);
}

void agent_reply_part(struct agent *agent, const struct wire *to, int64_t result, void *part, size_t size)
{
	struct wire_reply reply = reply_to(to, result);

	agent_send(agent, &reply, sizeof reply, &(struct rp_bytes){ part, size }, 1, free, part);
}

static int remember(struct agent *agent, uint32_t number, void *function)
{
	if (number > agent->function_count) {
		void **functions = realloc(agent->functions, number * sizeof *functions);

		if (!functions)
			return -ENOMEM;
		memset(functions + agent->function_count, 0, (number - agent->function_count) * sizeof *functions);
		agent->functions = functions;
		agent->function_count = number;
	}
	agent->functions[number - 1] = function;
	return 0;
}

void agent_learn(struct agent *agent, struct letter *letter)
{
	const struct wire_function *says = &letter->says->function;
	struct rp_error err = { .text = "" };
	void *function = NULL;
	int r;

	if (!says->wire.id || says->wire.id > UINT32_MAX) {
		agent_reply(agent, &says->wire, -EPROTO, "a function needs a number");
		return;
	}
	r = function_resolve(&says->function, &function, &err);
	if (r >= 0)
		r = supervisor_teach(agent->supervisor, function, &err);
	if (r >= 0)
		r = remember(agent, (uint32_t)says->wire.id, function);
	if (r == -ENOMEM && !*err.text)
		error_set(&err, r, "out of memory");
	agent_reply(agent, &says->wire, r < 0 ? r : 0, err.text);
}

void *agent_function(const struct agent *agent, uint32_t number)
{
	return number && number <= agent->function_count ? agent->functions[number - 1] : NULL;
}
