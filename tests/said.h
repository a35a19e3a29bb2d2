/* SPDX-License-Identifier: BSD-3-Clause */
/* said.h - what a function of the command says on standard error. */
#ifndef RP_TESTS_SAID_H
#define RP_TESTS_SAID_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct said {
	int file, before;
	char text[4096];
};

static inline void said_begin(struct said *said)
{
	fflush(stderr);
	said->file = memfd_create("said", MFD_CLOEXEC);
	said->before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(said->file, STDERR_FILENO);
}

/* Puts it into said->text and standard error back to where it was. */
static inline const char *said_end(struct said *said)
{
	ssize_t n;

	fflush(stderr);
	n = pread(said->file, said->text, sizeof said->text - 1, 0);
	said->text[n > 0 ? n : 0] = 0;
	dup2(said->before, STDERR_FILENO);
	close(said->before);
	close(said->file);
	return said->text;
}

#endif
