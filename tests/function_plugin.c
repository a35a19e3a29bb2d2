/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/function_plugin.c - what tests/function.c has loaded: a static function, told by what it returns. */
#ifndef ADDEND
#define ADDEND 0
#endif

/* Two builds may differ in a constant only, which is not in the code as its value could be. */
static const volatile long addend = ADDEND;

static long triple(long x)
{
	return 3 * x + BUILD + addend;
}

long (*const function_plugin)(long) = triple;
