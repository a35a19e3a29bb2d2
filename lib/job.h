/* SPDX-License-Identifier: BSD-3-Clause */
/* job.h - one map in shared memory: who runs which item, and what is true when workers die. */
#ifndef RP_LIB_JOB_H
#define RP_LIB_JOB_H

#include "crew.h"

/* Values of a state byte besides those of enum rp_state. */
#define JOB_FAR 0x81 /* RP_OK, and the result is in the caller's memory already: from another node */
#define JOB_AWAY 255                            /* another node has the item */

/* ---- manager */

/* Lets the crew work on items [begin, end) of jobs[number], whose other fields are filled.  serial: larger each time. */
void job_open(struct crew *crew, uint32_t number, uint64_t serial, uint32_t begin, uint32_t end);

/* 1 when nobody is in the job and no range of it is left: what then has no state was lost with a dead worker. */
int job_quiet(struct crew *crew, uint32_t number);

/* Lets nobody in any more.  1 once everybody has left: only then may the job's words be changed. */
int job_shut(struct crew *crew, uint32_t number);

/* In a job that is shut: the span of items that have no state; 0: all have one. */
uint32_t job_lost(const _Atomic uint8_t *states, uint32_t count, uint32_t *ret_begin);

/* Takes back up to `most` items that no worker has claimed, from the back of the fullest range and whole chunks of it; how
 * many, 0: none.  Those that have no state (in a job that was opened again some have one) are nobody's then: the caller
 * gives them a state before the next look for lost items, so it does both in one thread or under one lock.  The job may
 * have become quiet by it: the caller looks, or whoever waits for that is told. */
uint32_t job_take(struct crew *crew, uint32_t number, uint32_t most, uint32_t *ret_begin);

/* Items that nobody has claimed yet. */
uint32_t job_left(const struct crew *crew, uint32_t number);

/* An item that another node has run is bad; and why, in a note of the manager's own. */
void job_count_bad(struct job *job, uint32_t index);
void job_add_note(struct crew *crew, struct job *job, uint32_t index, enum rp_state state, int code, int rank,
                  const char *text, size_t size);

/* ---- worker */

/* The lowest-numbered open job newer than `after` (a seq, 0 for any); its seq, or 0. */
uint64_t job_next(struct crew *crew, uint64_t after);

/* Enters; 0 when the job has gone meanwhile. */
struct job *job_enter(struct crew *crew, uint32_t slot, uint64_t seq);

/* Up to `most` items for the slot, from its own range or stolen.  whole: not fewer unless the range has fewer; else half
 * of what is left stays for others.  How many; 0: nothing is left, or the job was shut. */
uint32_t job_claim(struct crew *crew, uint32_t slot, uint64_t seq, uint32_t most, int whole, uint32_t *ret_begin);

/* Leaves, and tells the manager when that may matter. */
void job_leave(struct crew *crew, uint32_t slot, uint64_t seq);

/* Says why item `index` is not RP_OK and then sets its state. */
void job_note(struct crew *crew, uint32_t slot, struct job *job, uint32_t index, enum rp_state state, int code,
              const char *text, size_t size);

/* ---- supervisor */

/* The worker of a slot has died: the item that it ran is RP_DIED, and it is in no job any more. */
void job_bury(struct crew *crew, uint32_t slot, int code, const char *text);

#endif
