/* SPDX-License-Identifier: BSD-3-Clause */
/* orphans.c - what commands leave behind when the supervisor is killed.
 *
 * Its workers and their commands die with it, but not what the commands have started: that comes to this process. */
#include "orphans.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 400
#define ROUND_NS 5000000

/* A child that has ended stays for whoever started it to reap. */
static int has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 || info.si_pid;
}

/* Returns how many there were. */
static int kill_children(void)
{
	char name[64];
	FILE *file;
	int pid, count = 0;

	/* The kernel gives orphans to the main thread. */
	snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)getpid());
	file = fopen(name, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%d", &pid) == 1)
		if (!has_ended(pid))
			count += kill(pid, SIGKILL) == 0;
	fclose(file);
	return count;
}

/* When a process is seen to have ended its children have come here already: so a round that finds nobody is the last. */
static void end_orphans(void)
{
	for (int i = 0; i < ROUNDS && kill_children(); i++)
		nanosleep(&(struct timespec){ .tv_nsec = ROUND_NS }, NULL);
}

void orphans_adopt(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* A rank that serves exits inside of rp_init. */
	atexit(end_orphans);
}
