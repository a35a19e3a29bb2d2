/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/process_supervised.c - the promises of tests/process.c in programs that have called rp_init. */
#define SUPERVISED 1
#include "process.c"
