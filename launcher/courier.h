/* SPDX-License-Identifier: BSD-3-Clause */
/* courier.h - what copies on all nodes write, brought to the manager by whole lines.
 *
 * mpirun passes on what ranks write as it comes, and may cut lines of one node to put those of another between.  So there
 * is a courier on every node, a worker of a pool: escorts give it frames, and each time the manager asks it brings those
 * that it has. */
#ifndef RP_LAUNCHER_COURIER_H
#define RP_LAUNCHER_COURIER_H

#include "rankpool.h"

#include <poll.h>

/* ---- an escort's part */

struct frame {                                  /* followed by `size` bytes: whole lines, or the end of a last one */
	int32_t stream;                         /* a descriptor of the manager: standard output or error */
	uint32_t size;
};

#define COURIER_NAME_SIZE 48

/* A socket to the courier of this node, which may not be up yet.  A descriptor, or a negative errno. */
int courier_connect(const char *name, int node);

/* ---- the manager's part */

struct couriers {
	struct rp_pool *pool;                   /* NULL: there are none */
	struct rp_future **asked;               /* one for each courier */
	int count, left;                        /* of those couriers whose escorts have not all ended */
	char name[COURIER_NAME_SIZE];
};

/* Opens one on each node that gets any of these copies.  0, or -1 and *err. */
int couriers_open(struct couriers *couriers, const struct rp_worker_info *copies, int count, struct rp_error *err);

/* What to poll for, and what to do then: prints what they have brought and asks them again.  0, or a negative errno when
 * nobody takes it. */
void couriers_wait(const struct couriers *couriers, struct pollfd *ret);
int couriers_run(struct couriers *couriers, const struct pollfd *polled);
void couriers_close(struct couriers *couriers);

#endif
