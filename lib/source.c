/* SPDX-License-Identifier: BSD-3-Clause */
/* source.c - a machine that is elsewhere, read from its description.
 *
 * hwloc says what is wrong with a description on stderr only, if at all, and its XML reader can be crashed by a
 * malformed file (an object without complete_cpuset is enough for 2.9).  So each description is tried in a child
 * process first, whose stderr is read: a broken one costs the caller an error and nothing else. */
#include "source.h"
#include "place.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGEST_FILE ((size_t)64 << 20)
#define TRIAL_SECONDS 10

struct description {
	const char *text;                       /* synthetic, or the whole XML */
	size_t size;                            /* of the XML with its final 0; 0: synthetic */
};

int source_check(hwloc_topology_t machine)
{
	int last = hwloc_bitmap_last(hwloc_topology_get_topology_cpuset(machine));
	int last_node = hwloc_bitmap_last(hwloc_topology_get_topology_nodeset(machine));

	return last < 0 || last >= PLACE_BITS || last_node >= PLACE_BITS ? -EINVAL : 0;
}

static int load(hwloc_topology_t *ret, const struct description *d)
{
	hwloc_topology_t machine;
	int e;

	*ret = NULL;
	if (hwloc_topology_init(&machine) < 0)
		return -ENOMEM;
	e = d->size ? hwloc_topology_set_xmlbuffer(machine, d->text, (int)d->size) :
	              hwloc_topology_set_synthetic(machine, d->text);
	if (e < 0 || hwloc_topology_load(machine) < 0)
		e = -EINVAL;
	else
		e = source_check(machine);
	if (e < 0)
		hwloc_topology_destroy(machine);
	else
		*ret = machine;
	return e;
}

/* A description of few letters can have hwloc build any number of objects: "pu:1000000000".  Words count that are outside of
 * brackets: "package:2 [numa] core:4 pu:2", or numbers alone. */
static int is_too_large(const char *synthetic)
{
	unsigned long product = 1;
	int depth = 0, in_word = 0;

	for (const char *s = synthetic; *s; s++) {
		depth += *s == '(' || *s == '[';
		depth -= *s == ')' || *s == ']';
		if (depth == 0 && isdigit((unsigned char)*s) && (!in_word || s[-1] == ':')) {
			unsigned long n = strtoul(s, NULL, 0);

			if (n > PLACE_BITS || product * n > PLACE_BITS)
				return 1;
			product *= n ? n : 1;
		}
		in_word = !isspace((unsigned char)*s);
	}
	return 0;
}

/* The child of a trial: what is said goes to `out`, the very last byte is 1 when the description is good.  It must not
 * disturb the program that it is a copy of: no handlers, no core dump, no exit handlers, an end to every loop. */
static _Noreturn void try_in_child(const struct description *d, int out)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	struct rlimit limit = { .rlim_cur = TRIAL_SECONDS, .rlim_max = TRIAL_SECONDS };
	hwloc_topology_t machine;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		signal(fatal[i], SIG_DFL);
	setrlimit(RLIMIT_CPU, &limit);
	dup2(out, STDERR_FILENO);
	setenv("HWLOC_XML_VERBOSE", "1", 1);
	setenv("HWLOC_SYNTHETIC_VERBOSE", "1", 1);
	if (load(&machine, d) == 0 && write(out, "\1", 1) == 1)
		_exit(0);
	_exit(1);
}

struct trial {
	char why[160];                          /* the first line that was said */
	size_t used;
	char last;                              /* byte that came */
};

static void take(struct trial *trial, int fd)
{
	char buffer[512];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0) {
		for (ssize_t i = 0; i < n && trial->used < sizeof trial->why - 1; i++)
			trial->why[trial->used++] = buffer[i];
		trial->last = buffer[n - 1];
	}
}

/* The end of the child, not of the pipe, is waited for: another thread may just have forked something that holds the
 * pipe. */
static void listen_to(struct trial *trial, pid_t pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd polls[] = { { .fd = fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };

	while (pidfd >= 0 && !polls[1].revents) {
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			break;
		take(trial, fd);
		if (polls[0].revents & POLLHUP)
			polls[0].fd = -1;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	take(trial, fd);
	trial->why[strcspn(trial->why, "\n\1")] = 0;
	if (pidfd >= 0)
		close(pidfd);
}

/* 0: the description can be loaded here; -EINVAL: it cannot. */
static int try(const struct description *d, struct trial *trial)
{
	int fds[2], e = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		try_in_child(d, fds[1]);
	if (pid < 0)
		e = -errno;
	close(fds[1]);
	if (pid > 0) {
		listen_to(trial, pid, fds[0]);
		e = trial->last == 1 ? 0 : -EINVAL;
	}
	close(fds[0]);
	return e;
}

static int read_all(const char *path, char **ret, size_t *ret_size)
{
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room), *more;
	int fd = open(path, O_RDONLY | O_CLOEXEC), e = fd < 0 ? -errno : 0;

	while (e == 0 && text) {
		ssize_t n = read(fd, text + size, room - size - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			e = -errno;
		if (n <= 0)
			break;
		size += (size_t)n;
		if (size + 1 < room)
			continue;
		if (size > LARGEST_FILE) {
			e = -EFBIG;
			break;
		}
		more = realloc(text, room *= 2);
		if (!more)
			free(text);
		text = more;
	}
	if (fd >= 0)
		close(fd);
	if (!text)
		return -ENOMEM;
	text[size] = 0;
	*ret_size = size + 1;
	*ret = text;
	return e;
}

static int is_path(const char *source)
{
	size_t n = strlen(source);

	return strchr(source, '/') || (n >= 4 && strcmp(source + n - 4, ".xml") == 0);
}

static int refuse(const char *source, int is_file, int e, const char *why, struct rp_error *err)
{
	static const char unnamed[] = "xmlbuffer: ";
	const char *colon = *why ? ": " : "";

	/* The reader has seen text without a name. */
	if (is_file && *why == ':') {
		colon = ": line ";
		why++;
	} else if (strncmp(why, unnamed, strlen(unnamed)) == 0) {
		why += strlen(unnamed);
	}
	if (e != -EINVAL)
		return error_set(err, e, "topology %.200s: %s", source, strerror(-e));
	if (is_file)
		return error_set(err, e, "topology %.200s is not a machine that hwloc wrote as XML%s%s", source, colon, why);
	return error_set(err, e,
	                 "topology \"%.160s\" is neither an XML file nor a description like \"package:2 core:4 pu:2\"%s%s",
	                 source, colon, why);
}

int source_load(hwloc_topology_t *ret, const char *source, struct rp_error *err)
{
	struct description d = { .text = source };
	struct trial trial = { .used = 0 };
	char *file = NULL;
	int e = 0;

	*ret = NULL;
	if (is_path(source)) {
		e = read_all(source, &file, &d.size);
		d.text = file;
	} else if (is_too_large(source)) {
		return error_set(err, -EINVAL, "topology \"%.200s\" has more than %d hardware threads", source, PLACE_BITS);
	}
	if (e == 0)
		e = try(&d, &trial);
	if (e == 0)
		e = load(ret, &d);
	if (e < 0)
		refuse(source, file != NULL, e, trial.why, err);
	free(file);
	return e;
}
