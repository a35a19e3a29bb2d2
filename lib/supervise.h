/* SPDX-License-Identifier: BSD-3-Clause */
/* supervise.h - the supervisor's own process. */
#ifndef RP_LIB_SUPERVISE_H
#define RP_LIB_SUPERVISE_H

#include "arena.h"
#include "process.h"

#include <stdatomic.h>

#define SUPERVISE_SILENCE INT64_C(11000000000)  /* ns since the pulse after which the manager is ended */

/* An rp_process that the supervisor forks: request and answer in one, in the arena. */
enum birth_state { BIRTH_RUNS, BIRTH_ENDED, BIRTH_FORGOTTEN };

struct birth {
	_Atomic uint32_t state;                 /* enum birth_state; whoever sets it second drops the block.  A futex */
	pid_t pid;
	int watch;                              /* the manager's descriptor that polls readable when it has ended */
	struct spawn_end end;
	rp_target *target;
	uint32_t flags;
	uint32_t bound;                         /* place holds where */
	size_t arg_size;
	struct place place;
	char name[128];
	_Alignas(64) char arg[];
};

/* Serves the manager's requests and minds its children until the manager is gone or closes the socket; then ends all that it
 * has started.  pulse: in the arena, see supervisor_pulse. */
_Noreturn void supervise(int socket, struct arena *arena, pid_t manager, int manager_fd, const _Atomic int64_t *pulse);

#endif
