/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - filling a caller's struct rp_error; RP_FATAL; names of states. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct rp_error rp_fatal = { .index = SIZE_MAX };

static int fill(struct rp_error *err, int code, size_t index, const char *format, va_list list)
{
	struct rp_error e = { .code = code, .index = index };

	if (!err)
		return code;
	vsnprintf(e.text, sizeof e.text, format, list);
	if (err == RP_FATAL) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, e.text);
		exit(1);
	}
	*err = e;
	return code;
}

int error_set(struct rp_error *err, int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fill(err, code, SIZE_MAX, format, list);
	va_end(list);
	return code;
}

int error_set_item(struct rp_error *err, int code, size_t index, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fill(err, code, index, format, list);
	va_end(list);
	return code;
}

const char *rp_state_name(int state)
{
	static const char *const names[] = {
		[RP_PENDING] = "pending", [RP_OK] = "ok",	       [RP_FAILED] = "failed",
		[RP_DIED] = "died",	  [RP_TIMED_OUT] = "timed out", [RP_CANCELLED] = "cancelled",
	};

	if (state < 0 || (size_t)state >= sizeof names / sizeof *names)
		return "unknown";
	return names[state];
}
