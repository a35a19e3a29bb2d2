/* SPDX-License-Identifier: BSD-3-Clause */
/* launch_daemon.c - the launcher's process on this node: mpirun itself, or the daemon that it has started here. */
#include "launch_inner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRON_MOST (4 << 20)                  /* bytes of a process's environment that are read */
#define PATIENCE_MS 2000                        /* for the daemon to end by itself */

/* A whole file of /proc, which has no size before it is read, and a 0 behind it; malloc'ed, NULL when it cannot be read. */
static char *read_proc(pid_t pid, const char *name, size_t *ret_size)
{
	char path[64], *text = NULL, *more;
	size_t size = 0, room = 0;
	ssize_t n = 1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n > 0 && size < ENVIRON_MOST) {
		if (size + 1 >= room) {
			room = room ? 2 * room : 4096;
			more = realloc(text, room);
			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + size, room - size - 1);
		size += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (text)
		text[size] = 0;
	*ret_size = size;
	return text;
}

pid_t launch_parent(pid_t pid)
{
	size_t size;
	char *text = read_proc(pid, "stat", &size), *at = text ? strrchr(text, ')') : NULL;
	int parent = 0;

	if (at && sscanf(at, ") %*c %d", &parent) != 1)
		parent = 0;
	free(text);
	return parent;
}

/* Whether the process was started with this variable as we have it; also when neither has it. */
static int shares(const char *environment, size_t size, const char *name)
{
	const char *value = getenv(name);
	size_t n = strlen(name);

	for (const char *p = environment; p < environment + size; p += strlen(p) + 1)
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			return value && strcmp(p + n + 1, value) == 0;
	return !value;
}

int launch_is_of_rank(pid_t pid)
{
	static const char *const marks[] = { "OMPI_COMM_WORLD_RANK", "PMIX_NAMESPACE", "PMIX_RANK", "PMI_RANK", "PMI_FD" };
	size_t size, i = 0;
	char *environment = read_proc(pid, "environ", &size);

	while (environment && i < sizeof marks / sizeof *marks && shares(environment, size, marks[i]))
		i++;
	free(environment);
	return environment && i == sizeof marks / sizeof *marks;
}

int launch_is_launcher(pid_t pid)
{
	static const char *const names[] = {
		"mpirun", "mpiexec", "orte", "prte", "hydra", "mpispawn", "flux", "pals", "jsm",
	};
	size_t size;
	char *name = read_proc(pid, "comm", &size);
	int found = 0;

	for (size_t i = 0; name && !found && i < sizeof names / sizeof *names; i++)
		found = strncmp(name, names[i], strlen(names[i])) == 0;
	free(name);
	return found;
}

static pid_t find_daemon(void)
{
	pid_t pid = getppid();

	for (int i = 0; i < LAUNCH_ANCESTORS && pid > 1; i++) {
		if (!launch_is_of_rank(pid))
			return launch_is_launcher(pid) ? pid : 0;
		pid = launch_parent(pid);
	}
	return 0;
}

/* In a process of its own that nobody waits for. No SIGTERM: mpirun, which is about to abort the job already, crashes
 * then. */
static void watch(int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };

	if (poll(&poller, 1, PATIENCE_MS) == 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

void launch_abandon(void)
{
	pid_t daemon = find_daemon(), child;
	int pidfd = daemon ? (int)syscall(SYS_pidfd_open, daemon, 0) : -1, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (pidfd < 0 || null < 0)
		return;
	child = fork();
	if (child == 0) {
		/* Whoever reads what this process wrote would wait for the watcher, too. */
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		setsid();
		if (fork() == 0)
			watch(pidfd);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	close(pidfd);
	close(null);
}
