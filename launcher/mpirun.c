/* SPDX-License-Identifier: BSD-3-Clause */
/* mpirun.c - the program that starts MPI processes here.
 *
 * What it is follows from what it says of its version, as all of them are called mpirun. */
#include "mpirun.h"
#include "cli.h"
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define ANSWER_MOST_MS 10000

/* ---- families ------------------------------------------------------------------------------------------ */

static int begins(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

enum mpi_family mpirun_family(const char *library)
{
	const char *slash = strrchr(library, '/');

	library = slash ? slash + 1 : library;
	/* 12 is what MPICH, Intel MPI, MVAPICH and Cray MPI have agreed on. */
	if (begins(library, "libmpich") || begins(library, "libmpi.so.12") || begins(library, "libmpifort.so.12") ||
	    begins(library, "libmpicxx.so.12") || begins(library, "libmpi_gnu") || begins(library, "libmpi_cray"))
		return MPI_MPICH;
	if (begins(library, "libmpi.so") || begins(library, "libmpi_mpifh.so") || begins(library, "libmpi_usempi") ||
	    begins(library, "libmpi_cxx.so") || begins(library, "libmpi_usempif08"))
		return MPI_OPEN;
	return MPI_ANY;
}

const char *mpirun_family_name(enum mpi_family family)
{
	return family == MPI_OPEN ? "Open MPI" : family == MPI_MPICH ? "MPICH" : "MPI";
}

static int look_at(struct dl_phdr_info *info, size_t size, void *user)
{
	enum mpi_family *family = user;

	(void)size;
	*family = mpirun_family(info->dlpi_name);
	return *family != MPI_ANY;
}

enum mpi_family mpirun_own_family(void)
{
	enum mpi_family family = MPI_ANY;

	dl_iterate_phdr(look_at, &family);
	return family;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static int left_ms(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ANSWER_MOST_MS - (int)((now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000);
}

/* The first bytes of what `path word` prints, up to its end, a full answer, or as long as anybody would wait. */
static void ask(const char *path, const char *word, char *answer, size_t size)
{
	char *words[] = { (char *)path, (char *)word, NULL };
	struct timespec start;
	size_t length = 0;
	int ends[2];
	pid_t pid;

	*answer = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &start);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (null >= 0 && dup2(null, 0) == 0 && dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2)
			execv(path, words);
		_exit(127);
	}
	close(ends[1]);
	while (pid > 0 && length + 1 < size) {
		struct pollfd poller = { .fd = ends[0], .events = POLLIN };
		int left = left_ms(&start);
		ssize_t n;

		if (left <= 0)
			break;
		if (poll(&poller, 1, left) <= 0)
			continue;
		n = read(ends[0], answer + length, size - 1 - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	answer[length] = 0;
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

/* -1: what it says is not known. */
static int kind_of(const char *path)
{
	char answer[4096];
	const char *at;

	ask(path, "--version", answer, sizeof answer);
	at = strstr(answer, "(Open MPI) ");
	if (at)
		return atoi(at + strlen("(Open MPI) ")) >= 5 ? MPIRUN_PRRTE : MPIRUN_OPEN;
	if (strstr(answer, "OpenRTE"))
		return MPIRUN_OPEN;
	if (strstr(answer, "PRRTE") || strstr(answer, "prterun"))
		return MPIRUN_PRRTE;
	if (strstr(answer, "HYDRA") || strstr(answer, "Intel(R) MPI"))
		return MPIRUN_HYDRA;
	return -1;
}

static enum mpi_family family_of(int kind)
{
	return kind == MPIRUN_HYDRA ? MPI_MPICH : MPI_OPEN;
}

/* ---- finding ------------------------------------------------------------------------------------------- */

/* What srun has: of PMIx any version, or PMI 2 for MPICH. */
static int find_srun(struct mpirun *ret, enum mpi_family family)
{
	static const char *const wanted[] = { "pmix", "pmi2" };
	char answer[4096], *word, *rest;

	ret->path = shell_program("srun", (const char *const *)environ);
	if (!ret->path)
		return -1;
	ret->kind = MPIRUN_SRUN;
	ask(ret->path, "--mpi=list", answer, sizeof answer);
	for (size_t i = 0; i < (family == MPI_OPEN ? 1 : 2) && !*ret->pmi; i++) {
		char copy[sizeof answer];

		strcpy(copy, answer);
		for (word = strtok_r(copy, " \t\n,:", &rest); word && !*ret->pmi; word = strtok_r(NULL, " \t\n,:", &rest))
			if (begins(word, wanted[i]))
				snprintf(ret->pmi, sizeof ret->pmi, "%s", word);
	}
	return *ret->pmi ? 0 : -1;
}

int mpirun_find(struct mpirun *ret, enum mpi_family family, int slurm, const char *name)
{
	/* Where several MPIs are installed side by side, Debian's names tell them apart. */
	static const char *const names[][5] = {
		[MPI_ANY] = { "mpirun", "mpiexec", NULL },
		[MPI_OPEN] = { "mpirun", "mpiexec", "mpirun.openmpi", NULL },
		[MPI_MPICH] = { "mpirun", "mpiexec", "mpiexec.hydra", "mpirun.mpich", NULL },
	};
	char other[256] = "";
	int seen = -1;

	*ret = (struct mpirun){ 0 };
	for (int i = 0; names[family][i]; i++) {
		char *path = shell_program(names[family][i], (const char *const *)environ);
		int kind = path ? kind_of(path) : -1;

		if (kind >= 0 && (family == MPI_ANY || family_of(kind) == family)) {
			*ret = (struct mpirun){ .path = path, .kind = (enum mpirun_kind)kind };
			return 0;
		}
		if (path && !*other) {
			snprintf(other, sizeof other, "%s", path);
			seen = kind;
		}
		free(path);
	}
	if (slurm && find_srun(ret, family) == 0)
		return 0;
	mpirun_free(ret);
	if (!*other)
		cli_say(name, "%smpirun is not in PATH: install Open MPI or MPICH, or load its module",
		        slurm ? "srun offers no PMIx and " : "");
	else if (seen >= 0)
		cli_say(name, "%s is %s's, but %s is needed: put the mpirun of %s first in PATH, or load its module", other,
		        mpirun_family_name(family_of(seen)), mpirun_family_name(family), mpirun_family_name(family));
	else
		cli_say(name, "%s --version names neither Open MPI nor MPICH: put the mpirun of one of them first in PATH",
		        other);
	return -1;
}

void mpirun_free(struct mpirun *mpirun)
{
	free(mpirun->path);
	*mpirun = (struct mpirun){ 0 };
}
