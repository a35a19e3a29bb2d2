/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/image_plugin.c - what programs of the tests load late: tasks with state of their own, and a target. */
#include "rankpool.h"

int plugin_init(struct rp_task *task, const void *in, void *out);
int plugin_count(struct rp_task *task, const void *in, void *out);
int plugin_fail(struct rp_task *task RP_UNUSED, const void *in, void *out);
int plugin_target(const void *arg, size_t size);

static int added;

int plugin_init(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	added = 1000;
	return 0;
}

int plugin_count(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in + added;
	return 0;
}

int plugin_fail(struct rp_task *task RP_UNUSED, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return 5;
}

int plugin_target(const void *arg RP_UNUSED, size_t size RP_UNUSED)
{
	return 9;
}
