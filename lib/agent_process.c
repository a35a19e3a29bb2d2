/* SPDX-License-Identifier: BSD-3-Clause */
/* agent_process.c - rp_process on this node: the supervisor's children, told of to the manager. */
#include "agent_inner.h"

#include "clock.h"
#include "context.h"
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLLED 64                               /* in one poll */
#define BURIAL INT64_C(1000000000)              /* ns that those get which were killed */

struct agent_process {
	struct agent_process *next;
	uint64_t id;
	int pidfd;
	void *token;
};

static struct agent_process **find(struct agent *agent, uint64_t id)
{
	struct agent_process **at = &agent->processes;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void let_go(struct agent *agent, struct agent_process **at)
{
	struct agent_process *process = *at;

	*at = process->next;
	supervisor_forget(agent->supervisor, process->token);
	context_fd_remove(process->pidfd);
	close(process->pidfd);
	free(process);
}

static int start(struct agent *agent, const struct letter *letter, struct agent_process *process, struct rp_error *err)
{
	const struct wire_start *says = &letter->says->start;
	char name[sizeof says->name], bind[sizeof says->bind];
	struct process_call call = { .flags = says->flags, .name = name };
	struct topology *topology;
	struct place place;
	int r = 0;

	memcpy(name, says->name, sizeof name);
	memcpy(bind, says->bind, sizeof bind);
	name[sizeof name - 1] = bind[sizeof bind - 1] = 0;
	call.target = (rp_target *)(uintptr_t)agent_function(agent, says->function);
	if (!call.target)
		return error_set(err, -EPROTO, "%s: a function that was never named", name);
	if (letter->missing)
		return error_set(err, -ENOMEM, "%s: no memory for %zu bytes of argument", name, letter->missing);
	call.arg = letter->part[0];
	call.arg_size = letter->size[0];
	if (*bind) {
		topology = topology_here(err);
		r = topology ? topology_locate(topology, bind, &place, err) : -EIO;
		call.place = &place;
	}
	return r < 0 ? r : supervisor_start(agent->supervisor, &call, &process->pidfd, &process->token, err);
}

void agent_start(struct agent *agent, struct letter *letter)
{
	const struct wire *wire = &letter->says->wire;
	struct agent_process *process = calloc(1, sizeof *process);
	struct rp_error err = { .text = "" };
	int r = process ? start(agent, letter, process, &err) : error_set(&err, -ENOMEM, "out of memory");

	agent_reply(agent, wire, r, err.text);
	if (r < 0) {
		free(process);
		return;
	}
	context_fd_add(process->pidfd);
	process->id = wire->id;
	process->next = agent->processes;
	agent->processes = process;
}

/* One that has ended gets no signal, and that is as well. */
void agent_signal(struct agent *agent, struct letter *letter)
{
	const struct wire_signal *says = &letter->says->signal;
	const struct agent_process *process = *find(agent, says->wire.id);

	agent_reply(agent, &says->wire, process ? spawn_signal(process->pidfd, says->signal) : 0, NULL);
}

void agent_forget(struct agent *agent, struct letter *letter)
{
	struct agent_process **at = find(agent, letter->says->wire.id);

	if (*at)
		let_go(agent, at);
}

static int look(struct agent *agent, uint64_t id)
{
	struct wire_ended ended = { .wire = { .kind = WIRE_ENDED, .id = id } };
	struct agent_process **at = find(agent, id);
	struct spawn_end end = { 0 };

	if (supervisor_ended(agent->supervisor, (*at)->token, &end) < 0)
		return 0;
	ended.known = end.known;
	ended.code = end.code;
	ended.max_rss = end.max_rss;
	let_go(agent, at);
	agent_send(agent, &ended, sizeof ended, NULL, 0, NULL, NULL);
	return 1;
}

int agent_processes_look(struct agent *agent)
{
	const struct agent_process *process = agent->processes;
	struct pollfd pollers[POLLED];
	uint64_t ids[POLLED];
	int happened = 0, n;

	while (process) {
		for (n = 0; process && n < POLLED; process = process->next, n++) {
			ids[n] = process->id;
			pollers[n] = (struct pollfd){ .fd = process->pidfd, .events = POLLIN };
		}
		if (poll(pollers, (nfds_t)n, 0) <= 0)
			continue;
		for (int i = 0; i < n; i++)
			if (pollers[i].revents)
				happened += look(agent, ids[i]);
	}
	return happened;
}

void agent_processes_rest(const struct agent *agent, int64_t nap)
{
	struct timespec limit = { .tv_sec = nap / 1000000000, .tv_nsec = nap % 1000000000 };
	struct pollfd pollers[POLLED];
	int n = 0;

	for (const struct agent_process *process = agent->processes; process && n < POLLED; process = process->next)
		pollers[n++] = (struct pollfd){ .fd = process->pidfd, .events = POLLIN };
	ppoll(pollers, (nfds_t)n, &limit, NULL);
}

void agent_processes_signal(struct agent *agent, int signal)
{
	for (struct agent_process *process = agent->processes; process; process = process->next)
		spawn_signal(process->pidfd, signal);
}

/* One that does not even die of SIGKILL, in an uninterruptible system call, holds nobody up for ever. */
void agent_processes_free(struct agent *agent)
{
	int64_t deadline = clock_deadline(BURIAL);

	agent_processes_signal(agent, SIGKILL);
	while (agent->processes) {
		struct pollfd poller = { .fd = agent->processes->pidfd, .events = POLLIN };

		poll(&poller, 1, clock_poll_ms(deadline));
		let_go(agent, &agent->processes);
	}
}
