/* SPDX-License-Identifier: BSD-3-Clause */
/* supervisor.h - the small single-threaded process that is the parent of workers: forks, reaps, replaces and kills them. */
#ifndef RP_LIB_SUPERVISOR_H
#define RP_LIB_SUPERVISOR_H

#include "crew.h"
#include "process.h"

/* The manager's handle; its calls may be made by several threads. */
struct supervisor;

/* Forks it: what it and its workers know is this process's memory of now.  -EAGAIN, -ENOMEM as fork. */
int supervisor_new(struct supervisor **ret, struct arena *arena, struct rp_error *err);

/* Kills all that it has started, and waits until that and itself are gone.  The handle stays; may be repeated. */
void supervisor_end(struct supervisor *supervisor);
struct supervisor *supervisor_free(struct supervisor *supervisor);

/* In a forked child: forgets the parent's handle. */
void supervisor_forked(struct supervisor *supervisor);

/* Before a function is given to any of its children: sees to it that they know it, also when its module was loaded since.
 * Negative: the module cannot be named. */
int supervisor_teach(struct supervisor *supervisor, const void *fn, struct rp_error *err);

/* 0 once it has been killed. */
int supervisor_lives(struct supervisor *supervisor);

/* Forks a worker for each slot of the crew; returns when all exist.  When one cannot be forked, none is left. */
int supervisor_open(struct supervisor *supervisor, struct crew *crew, struct rp_error *err);

/* Kills the crew's workers, which was stopped before, and does not wait for them. */
void supervisor_kill(struct supervisor *supervisor, struct crew *crew);

/* Kills what still runs of the crew, with all descendants, and forgets it; returns when all of it is gone. */
void supervisor_close(struct supervisor *supervisor, struct crew *crew);

/* After the supervisor was killed: waits for the crew's workers, which die with it, and sees to what they leave behind. */
void supervisor_bury(struct crew *crew);

/* For a manager that serves another: when it last heard of that one (CLOCK_MONOTONIC ns).  From then on the supervisor kills
 * a manager, and all of its own, whose pulse is SUPERVISE_SILENCE old: one that hangs, or was stopped, must not keep its
 * node.  0: not minded any more. */
void supervisor_pulse(struct supervisor *supervisor, int64_t heard);

/* What struct process_starter asks for. */
pid_t supervisor_start(struct supervisor *supervisor, const struct process_call *call, int *ret_pidfd, void **ret_token,
                       struct rp_error *err);
int supervisor_ended(struct supervisor *supervisor, void *token, struct spawn_end *ret);
void supervisor_forget(struct supervisor *supervisor, void *token);

#endif
