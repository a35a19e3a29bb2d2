/* SPDX-License-Identifier: BSD-3-Clause */
/* descendants.c - ending all that is below this process.
 *
 * A child that is killed leaves its own children to this process, the subreaper, so that going on until there are none gets
 * them all, whatever process group or session they have put themselves in. */
#include "descendants.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 5
#define STEPS_MOST 200

int descendants_kill(void)
{
	char name[64];
	FILE *file;
	int pid;

	snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)gettid());
	file = fopen(name, "re");
	if (!file)
		return -1;
	while (fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(file);
	return 0;
}

void descendants_end(void)
{
	for (int i = 0; i < STEPS_MOST; i++) {
		pid_t pid;

		do
			pid = waitpid(-1, NULL, WNOHANG);
		while (pid > 0);
		if (pid < 0 || descendants_kill() < 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000L }, NULL);
	}
}
