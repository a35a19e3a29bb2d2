/* SPDX-License-Identifier: BSD-3-Clause */
/* children.h - for tests that start processes: bodies in children, memory shared with them, waiting for what they do. */
#ifndef RP_TESTS_CHILDREN_H
#define RP_TESTS_CHILDREN_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20             /* seconds that anything may take on a loaded machine */

/* For what may run in a child, where a failed assertion of cmocka's would go on with the next test. */
static inline void must_at(int ok, const char *text, const char *file, int line)
{
	if (ok)
		return;
	dprintf(STDERR_FILENO, "# %s:%d: %s is false\n", file, line, text);
	abort();
}
#define must(condition) must_at(!!(condition), #condition, __FILE__, __LINE__)

/* What one process tells another, in memory that all descendants share. */
struct board {
	_Atomic int number[64];
	_Atomic pid_t pid[64];
	char text[4096];
};

static inline struct board *board_new(void)
{
	struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(board != MAP_FAILED);
	return board;
}

static inline void board_free(struct board *board)
{
	munmap(board, sizeof *board);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until `condition` is true: *ret_ok tells whether it became so in time. */
#define WAIT_FOR(condition) \
	({ \
		double until_ = now() + PATIENCE; \
		while (!(condition) && now() < until_) \
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); \
		!!(condition); \
	})

/* The exit code of a child, also of one that is about to become one because its parent is ending, or -signal; -1000 when it
 * does not end in time (it is killed then). */
static inline int code_of(pid_t pid)
{
	int status = 0, ended = 0;

	if (WAIT_FOR(ended || (ended = waitpid(pid, &status, WNOHANG) == pid)))
		return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1000;
}

static int is_copy;

/* A leak checker asks this.  A forked copy of the test has blocks that only threads of the test knew, or handles that it
 * cannot free: they are no leaks. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return is_copy;
}

/* Forks for a body that is to be as a program of its own: without the handlers by which cmocka catches crashes. */
static inline pid_t fork_program(void)
{
	const int caught[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS };
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	must(pid >= 0);
	is_copy |= pid == 0;
	for (size_t i = 0; pid == 0 && i < sizeof caught / sizeof *caught; i++)
		signal(caught[i], SIG_DFL);
	return pid;
}

/* Starts body in a plain forked child; it ends by _exit(0) unless body ends it. */
static inline pid_t begin(void (*body)(void))
{
	pid_t pid = fork_program();

	if (pid == 0) {
		body();
		_exit(0);
	}
	return pid;
}

/* Runs body in a child, which then leaves by exit(0); what it writes to stdout goes to text.  Returns as code_of. */
static inline int said(void (*body)(void), char *text, size_t size)
{
	size_t have = 0;
	int ends[2];
	ssize_t n;
	pid_t pid;

	must(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork_program();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		body();
		exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + have, size - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	close(ends[0]);
	return code_of(pid);
}

static inline int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int n = 0;

	must(directory);
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

static inline int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

/* The letter that /proc gives for a process: R, S, T, Z..., or 0 when there is none. */
static inline char process_state(pid_t pid)
{
	char path[64], text[512], *end = NULL;
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : 0;
}

/* Also a zombie: what has ended and waits for a parent is no longer there to do anything. */
static inline int is_gone(pid_t pid)
{
	char state = process_state(pid);

	return state == 0 || state == 'Z' || state == 'X';
}

#endif
