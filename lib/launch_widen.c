/* SPDX-License-Identifier: BSD-3-Clause */
/* launch_widen.c - undoing the binding that mpirun or srun gave to one rank.
 *
 * mpirun binds a rank to a core or so, of what its daemon on this node may use; a node's agent hands out all of that.
 * srun's daemon may use the whole node, whatever the job was given, so there the masks of the step's tasks count, which
 * Slurm tells.  A binding that somebody made on the way, between the launcher and here, was meant. */
#include "launch_inner.h"

#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>


#define WORD_BITS (8 * sizeof(unsigned long))

struct mask {
	unsigned long words[PLACE_WORDS];
};

static int is_equal(const struct mask *a, const struct mask *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static int is_within(const struct mask *a, const struct mask *b)
{
	for (size_t i = 0; i < PLACE_WORDS; i++)
		if (a->words[i] & ~b->words[i])
			return 0;
	return 1;
}

static int read_mask(pid_t tid, struct mask *ret)
{
	memset(ret, 0, sizeof *ret);
	return syscall(SYS_sched_getaffinity, tid, sizeof ret->words, ret->words) < 0 ? -errno : 0;
}

/* *ret is what the launcher's daemon may use, or, when somebody in between has another mask than we, what we have: it was
 * bound on purpose, or has bound us. */
static int read_daemon(const struct mask *own, struct mask *ret)
{
	pid_t pid = getppid();

	for (int i = 0; i < LAUNCH_ANCESTORS && pid > 0; i++) {
		int r = read_mask(pid, ret);

		if (r < 0)
			return r;
		if (!launch_is_of_rank(pid))
			return launch_is_launcher(pid) ? 0 : -ESRCH;
		if (!is_equal(own, ret)) {
			*ret = *own;
			return 0;
		}
		pid = launch_parent(pid);
	}
	return -ESRCH;
}

/* "0x00000000000F0000".  Returns what is behind it, NULL when it is no mask. */
static const char *parse_mask(const char *text, struct mask *ret)
{
	size_t n, bit = 0;

	memset(ret, 0, sizeof *ret);
	text += strncmp(text, "0x", 2) == 0 ? 2 : 0;
	n = strspn(text, "0123456789abcdefABCDEF");
	if (!n || n > PLACE_BITS / 4)
		return NULL;
	for (const char *p = text + n; p-- > text; bit += 4) {
		int digit = *p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10;

		ret->words[bit / WORD_BITS] |= (unsigned long)digit << bit % WORD_BITS;
	}
	return text + n;
}

/* All masks of the step's tasks on this node, when ours is one of them.  Anything but a plain list says nothing. */
static int read_step(const struct mask *own, struct mask *ret)
{
	const char *type = getenv("SLURM_CPU_BIND_TYPE"), *at = getenv("SLURM_CPU_BIND_LIST");
	struct mask sum = { { 0 } }, one;
	int is_ours = 0;

	*ret = *own;
	if (!type || strncmp(type, "mask_cpu", strlen("mask_cpu")) != 0)
		return 0;
	while (at && *at) {
		at = parse_mask(at, &one);
		if (!at || (*at && *at != ','))
			return -EINVAL;
		for (size_t i = 0; i < PLACE_WORDS; i++)
			sum.words[i] |= one.words[i];
		is_ours |= is_equal(&one, own);
		at += *at == ',';
	}
	if (is_ours)
		*ret = sum;
	return 0;
}

/* Two launchers tell whether they have bound: a mask that is narrower without that is the user's. */
static int has_bound(const struct launch *launch)
{
	if (getenv("OMPI_MCA_orte_launch"))
		return getenv("OMPI_MCA_orte_bound_at_launch") != NULL;
	if (strcmp(launch->launcher, "mpiexec of MPICH") == 0 && getenv("HYDI_CONTROL_FD"))
		return getenv("HYDRA_USER_PROVIDED_BINDING") != NULL;
	return 1;
}

/* All threads that are bound as the calling one: another mask is one that somebody gave to that thread. */
static int set_threads(const struct mask *own, const struct mask *wide)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	struct mask now;
	int r;

	r = syscall(SYS_sched_setaffinity, 0, sizeof wide->words, wide->words) < 0 ? -errno : 0;
	while (r == 0 && tasks && (entry = readdir(tasks))) {
		pid_t tid = atoi(entry->d_name);

		/* One that has just ended is none that is left out. */
		if (tid > 0 && read_mask(tid, &now) == 0 && is_equal(&now, own))
			syscall(SYS_sched_setaffinity, tid, sizeof wide->words, wide->words);
	}
	if (tasks)
		closedir(tasks);
	return r;
}

int launch_widen(void)
{
	struct launch launch;
	struct mask own, wide;
	int r;

	launch_read(&launch);
	if (!launch.under_mpi)
		return -ESRCH;
	r = read_mask(0, &own);
	if (r < 0 || !has_bound(&launch))
		return r;
	r = strcmp(launch.launcher, "srun") == 0 ? read_step(&own, &wide) : read_daemon(&own, &wide);
	if (r < 0 || is_equal(&own, &wide) || !is_within(&own, &wide))
		return r;
	return set_threads(&own, &wide);
}
