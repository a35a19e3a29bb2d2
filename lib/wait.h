/* SPDX-License-Identifier: BSD-3-Clause */
/* wait.h - waiting for a word in shared memory to change. */
#ifndef RP_LIB_WAIT_H
#define RP_LIB_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word == value; deadline as in clock.h.  0 after a wake-up, a change or a signal, -ETIMEDOUT. */
int wait_on(_Atomic uint32_t *word, uint32_t value, int64_t deadline);

/* Wakes up to count sleepers. */
void wait_wake(_Atomic uint32_t *word, int count);

static inline void wait_pause(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("yield");
#endif
}

#endif
