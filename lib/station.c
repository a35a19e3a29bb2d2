/* SPDX-License-Identifier: BSD-3-Clause */
/* station.c - this rank's place in an MPI job. */
#include "station.h"

#include "agent.h"
#include "clock.h"
#include "hub.h"
#include "launch.h"
#include "spawn.h"
#include "supervisor.h"
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct station {
	pthread_t thread;
	struct station_duty duty;
	struct link *link;
	struct hub *hub;                        /* of the manager */
	struct rp_error err;
	int code;                               /* of joining */
	int status;                             /* of having served */
	_Atomic uint32_t met;                   /* futex: joined, or not */
};

static void meet(struct station *station)
{
	atomic_store(&station->met, 1);
	wait_wake(&station->met, 1);
}

static void join(struct station *station)
{
	char version[256];

	station->code = link_open(&station->link, station->duty.launch->ranks, &station->err);
	if (station->code == -EPROTO && !*station->err.text) {
		link_version(version, sizeof version);
		launch_explain(station->duty.launch, 1, version, station->err.text, sizeof station->err.text);
	}
	if (station->code < 0 || link_role(station->link) != LINK_MANAGER)
		return;
	station->hub = hub_new(station->link, station->duty.listener);
	if (!station->hub)
		station->code = error_set(&station->err, -ENOMEM, "out of memory");
}

/* A rank that its launcher did not count as the first of its node, and that is, forks late.
 *
 * What tasks have left behind comes to this process, when the supervisor that would have ended it was killed.  It is ended
 * before MPI is, as mpirun may kill the rank then; children that the program had before are not the library's. */
static int serve_node(struct station *station)
{
	struct supervisor **supervisor = station->duty.supervisor;
	struct rp_error e;
	size_t count;
	pid_t *before;
	int r;

	if (!*supervisor && supervisor_new(supervisor, station->duty.arena, &e) < 0) {
		fprintf(stderr, "rankpool: %s\n", e.text);
		return -ECHILD;
	}
	before = spawn_children(&count);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	r = agent_serve(station->link, *supervisor, station->duty.arena);
	supervisor_end(*supervisor);
	spawn_kill_descendants(before, count);
	free(before);
	return r;
}

static void serve(struct station *station)
{
	int r = 0;

	if (station->hub)
		hub_run(station->hub);
	else if (link_role(station->link) == LINK_AGENT)
		r = serve_node(station);
	else
		r = link_lend(station->link);
	if (r == -ENOLINK)
		fprintf(stderr, "rankpool: node %d (%s): the manager is lost: nothing was heard of it for %d s\n",
		        link_here(station->link), link_node(station->link, link_here(station->link))->host,
		        (int)(LINK_LOST / RP_SECOND));
	if (r == -ENOLINK || (station->hub && hub_has_lost(station->hub)))
		launch_abandon();
	station->status = r < 0;
	station->link = link_close(station->link, 1);
}

static void *run(void *arg)
{
	struct station *station = arg;

	join(station);
	if (station->code < 0 || station->hub)
		meet(station);
	if (station->code == 0)
		serve(station);
	if (!station->hub)
		meet(station);
	return NULL;
}

/* The thread takes no signals: they are the program's. */
static int start(struct station *station)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = pthread_create(&station->thread, NULL, run, station);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int station_open(struct station **ret, const struct station_duty *duty, int *ret_status, struct rp_error *err)
{
	struct station *station = calloc(1, sizeof *station);
	int r = station ? 0 : -ENOMEM;

	*ret = NULL;
	if (r == 0) {
		station->duty = *duty;
		r = start(station);
	}
	if (r < 0) {
		free(station);
		return error_set(err, r, "cannot start a thread for MPI: %s", strerror(-r));
	}
	while (!atomic_load(&station->met))
		wait_on(&station->met, 0, CLOCK_NEVER);
	if (station->code == 0 && station->hub) {
		*ret = station;
		return STATION_MANAGER;
	}
	pthread_join(station->thread, NULL);
	r = station->code < 0 ? error_set(err, station->code, "%s", station->err.text) : STATION_SERVED;
	*ret_status = station->status;
	free(station);
	return r;
}

struct hub *station_hub(struct station *station)
{
	return station->hub;
}

struct station *station_close(struct station *station)
{
	if (!station)
		return NULL;
	hub_stop(station->hub);
	pthread_join(station->thread, NULL);
	free(station);
	return NULL;
}
