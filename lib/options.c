/* SPDX-License-Identifier: BSD-3-Clause */
/* options.c - taking over a caller's option struct, older or newer than this library. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int all_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return 0;
	return 1;
}

int options_import(void *ret, size_t size, const void *in, size_t smallest, const char *what, struct rp_error *err)
{
	size_t given;

	memset(ret, 0, size);
	if (in) {
		memcpy(&given, in, sizeof given);
		if (given < smallest)
			return error_set(err, -EINVAL,
			                 "%s: .size is %zu, below the smallest known %zu; use the macro that sets it",
			                 what, given, smallest);
		if (given > size && !all_zero((const char *)in + size, given - size))
			return error_set(err, -E2BIG, "%s: a field is set that this version of the library does not know",
			                 what);
		memcpy(ret, in, given < size ? given : size);
	}
	memcpy(ret, &size, sizeof size);
	return 0;
}

int options_flags(uint32_t flags, uint32_t known, const char *what, struct rp_error *err)
{
	static const char *const names[] = {
		"RP_DAEMON", "RP_LOCAL", "RP_INHERIT_BINDING", "RP_FAIL_FAST",
		"RP_RESUME", "RP_RETRY_LOST", "RP_UNORDERED", "RP_TIMES",
	};
	uint32_t strange = flags & ~known;
	unsigned bit;

	if (!strange)
		return 0;
	bit = (unsigned)__builtin_ctz(strange);
	if (bit < sizeof names / sizeof *names)
		return error_set(err, -EINVAL, "%s: flag %s has no meaning here", what, names[bit]);
	return error_set(err, -EINVAL, "%s: flag 0x%x is unknown", what, 1u << bit);
}

int options_workers(uint32_t *ret, const char *what, struct rp_error *err)
{
	const char *text = getenv("RANKPOOL_WORKERS");
	unsigned long n;
	char *end;

	if (!text || !*text)
		return 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || !n || n > INT32_MAX)
		return error_set(err, -EINVAL, "%s: RANKPOOL_WORKERS=%.64s is no number of workers", what, text);
	*ret = (uint32_t)n;
	return 0;
}

int options_argument(const void *arg, size_t size, const char *what, struct rp_error *err)
{
	if (arg && !size)
		return error_set(err, -EINVAL, "%s: a pointer with size 0", what);
	if (!arg && size)
		return error_set(err, -EINVAL, "%s: size %zu with a NULL pointer", what, size);
	return 0;
}
