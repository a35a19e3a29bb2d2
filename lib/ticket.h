/* SPDX-License-Identifier: BSD-3-Clause */
/* ticket.h - single tasks (apply, submit) on their way from the manager to a worker and back. */
#ifndef RP_LIB_TICKET_H
#define RP_LIB_TICKET_H

#include "crew.h"

/* ---- manager; its calls for one crew are made under one lock of its own */

/* Who in the manager has which ticket. */
struct ticket_office {
	uint32_t made;                          /* ids below it have been used */
	uint32_t free_count;
	uint32_t free[CREW_TICKETS];
};

/* A ticket to be filled.  Its id, or -EAGAIN: all are on their way, -ENOMEM. */
int ticket_take(struct crew *crew, struct ticket_office *office);
struct ticket *ticket_at(const struct crew *crew, uint32_t id);

/* Puts a filled ticket in the queue and wakes a worker for it. */
void ticket_send(struct crew *crew, uint32_t id);

/* Takes a ticket back that no worker has taken.  1: it will never run; 0: it runs or has ended. */
int ticket_recall(struct crew *crew, uint32_t id);

/* enum rp_state once it has ended, RP_PENDING before. */
int ticket_outcome(const struct crew *crew, uint32_t id);
int ticket_runs(const struct crew *crew, uint32_t id);

/* The manager has read all that it wants of an ended or recalled ticket. */
void ticket_return(struct crew *crew, struct ticket_office *office, uint32_t id);

/* ---- worker */

int ticket_waits(const struct crew *crew);

/* The next ticket, now the slot's own; NULL: none. */
struct ticket *ticket_pop(struct crew *crew, uint32_t slot);

/* Its result and note are in place: hands it back.  fd: the worker's own number of the crew's eventfd. */
void ticket_end(struct crew *crew, uint32_t slot, struct ticket *ticket, enum rp_state state, int fd);

/* ---- supervisor */

void ticket_bury(struct crew *crew, uint32_t slot, int code, const char *text, int fd);

#endif
