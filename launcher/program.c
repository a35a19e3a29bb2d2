/* SPDX-License-Identifier: BSD-3-Clause */
/* program.c - the file that a word names, and what kind of program it holds.
 *
 * An ELF file lists the libraries that it needs itself.  What those need, only the dynamic loader finds out as it would at
 * the start; it lists them instead when LD_TRACE_LOADED_OBJECTS is set, which is what ldd does. */
#include "program.h"
#include "buffer.h"
#include "cli.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

extern char **environ;

/* ---- finding -------------------------------------------------------------------------------------------- */

/* 0, or why not. */
static int is_executable(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return errno;
	if (!S_ISREG(status.st_mode))
		return S_ISDIR(status.st_mode) ? EISDIR : EACCES;
	return access(path, X_OK) < 0 ? errno : 0;
}

/* Looks in PATH; what is there and cannot be executed is remembered in *error while the search goes on. */
static char *search(const char *word, int *error)
{
	const char *path = getenv("PATH");

	for (const char *at = path ? path : "/usr/bin:/bin"; at; at = *at ? at + 1 : NULL) {
		int length = (int)strcspn(at, ":"), e;
		char *file;

		if (asprintf(&file, "%.*s%s%s", length, at, length ? "/" : "./", word) < 0)
			return NULL;
		e = is_executable(file);
		if (e == 0)
			return file;
		if (e == EACCES)
			*error = e;
		free(file);
		at += length;
	}
	return NULL;
}

char *program_search(const char *word)
{
	int error;

	return search(word, &error);
}

int program_find(struct program *ret, const char *word, const char *name)
{
	int error = ENOENT;

	*ret = (struct program){ 0 };
	if (strchr(word, '/')) {
		error = is_executable(word);
		if (error == 0)
			ret->path = strdup(word);
	} else if (*word) {
		ret->path = search(word, &error);
	}
	if (ret->path)
		return 0;
	if (error == ENOENT || error == ENOTDIR) {
		cli_say(name, "%s: %s", word, strchr(word, '/') ? "no such file" : "no such command in PATH");
		return PROGRAM_NOT_FOUND;
	}
	cli_say(name, "cannot execute %s: %s", word, strerror(error));
	return PROGRAM_NOT_EXECUTABLE;
}

void program_free(struct program *program)
{
	free(program->path);
	*program = (struct program){ 0 };
}

/* ---- what the file says --------------------------------------------------------------------------------- */

struct image {
	const unsigned char *bytes;
	size_t size;
	const ElfW(Phdr) *segments;
	size_t segment_count;
};

static int is_inside(const struct image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

static int open_image(struct image *image)
{
	const ElfW(Ehdr) *header = (const void *)image->bytes;

	if (image->size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    header->e_phentsize != sizeof *image->segments || header->e_phoff % sizeof(uint32_t) != 0 ||
	    !is_inside(image, header->e_phoff, (uint64_t)header->e_phnum * sizeof *image->segments))
		return -1;
	image->segments = (const void *)(image->bytes + header->e_phoff);
	image->segment_count = header->e_phnum;
	return 0;
}

/* Where in the file an address of the program lies; `size` when nowhere. */
static uint64_t offset_of(const struct image *image, uint64_t address)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const ElfW(Phdr) *s = &image->segments[i];

		if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr < s->p_filesz)
			return address - s->p_vaddr + s->p_offset;
	}
	return image->size;
}

struct dynamic {
	const ElfW(Dyn) *entries;
	size_t count;
	const char *strings;
	size_t string_size;
};

static int find_dynamic(const struct image *image, struct dynamic *ret)
{
	uint64_t strings = image->size, size = 0;

	*ret = (struct dynamic){ 0 };
	for (size_t i = 0; i < image->segment_count; i++) {
		const ElfW(Phdr) *s = &image->segments[i];

		if (s->p_type == PT_DYNAMIC && is_inside(image, s->p_offset, s->p_filesz) &&
		    s->p_offset % sizeof(void *) == 0) {
			ret->entries = (const void *)(image->bytes + s->p_offset);
			ret->count = s->p_filesz / sizeof *ret->entries;
		}
	}
	for (size_t i = 0; i < ret->count && ret->entries[i].d_tag != DT_NULL; i++) {
		if (ret->entries[i].d_tag == DT_STRTAB)
			strings = offset_of(image, ret->entries[i].d_un.d_ptr);
		else if (ret->entries[i].d_tag == DT_STRSZ)
			size = ret->entries[i].d_un.d_val;
	}
	if (!size || !is_inside(image, strings, size) || image->bytes[strings + size - 1])
		return -1;
	ret->strings = (const char *)image->bytes + strings;
	ret->string_size = size;
	return 0;
}

static int is_own_library(const char *library)
{
	return strncmp(library, "librankpool.so", strlen("librankpool.so")) == 0;
}

/* The library is one of those that the file itself needs.  MPI is more than librankpool, which needs it too. */
static void count_library(struct program *program, const char *library)
{
	enum mpi_family family = mpirun_family(library);

	if (family != MPI_ANY) {
		program->kind = PROGRAM_MPI;
		program->family = family;
	} else if (is_own_library(library) && program->kind == PROGRAM_PLAIN) {
		program->kind = PROGRAM_POOL;
	}
}

static int names(const struct dynamic *dynamic, const char *symbol)
{
	const char *at = dynamic->strings, *end = at + dynamic->string_size;

	for (; at < end; at += strlen(at) + 1)
		if (strcmp(at, symbol) == 0)
			return 1;
	return 0;
}

/* 1: it is a program that the dynamic loader loads. */
static int read_image(struct program *program, const struct image *image)
{
	struct dynamic dynamic;

	if (find_dynamic(image, &dynamic) < 0)
		return 0;
	for (size_t i = 0; i < dynamic.count && dynamic.entries[i].d_tag != DT_NULL; i++)
		if (dynamic.entries[i].d_tag == DT_NEEDED && dynamic.entries[i].d_un.d_val < dynamic.string_size)
			count_library(program, dynamic.strings + dynamic.entries[i].d_un.d_val);
	program->calls_init = names(&dynamic, "rp_init") || names(&dynamic, "rp_start");
	return 1;
}

/* ---- what the loader says ------------------------------------------------------------------------------- */

/* Runs in the child: the loader of the program, which stops before the program. */
static _Noreturn void trace(const char *path, int way)
{
	char *words[] = { (char *)path, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
	unsetenv("LD_WARN");
	unsetenv("LD_VERBOSE");
	if (dup2(way, STDOUT_FILENO) == STDOUT_FILENO)
		execve(path, words, environ);
	_exit(127);
}

/* Of programs that need neither: whether a library of theirs does. */
static void ask_loader(struct program *program)
{
	enum mpi_family family = MPI_ANY;
	int ends[2], own = 0;
	char line[1024];
	FILE *lines;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		trace(program->path, ends[1]);
	close(ends[1]);
	lines = fdopen(ends[0], "r");
	/* "	libmpi.so.40 => /usr/lib/libmpi.so.40 (0x...)" */
	while (pid > 0 && lines && fgets(line, sizeof line, lines)) {
		const char *library = line + strspn(line, " \t");

		own |= is_own_library(library);
		if (family == MPI_ANY)
			family = mpirun_family(strtok(line, " \t\n") ? library : "");
	}
	if (lines)
		fclose(lines);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (own) {
		program->kind = PROGRAM_POOL;
		program->calls_init = 1;
	} else if (family != MPI_ANY) {
		program->kind = PROGRAM_MPI;
		program->family = family;
	}
}

static int has_loader(const struct image *image)
{
	for (size_t i = 0; i < image->segment_count; i++)
		if (image->segments[i].p_type == PT_INTERP)
			return 1;
	return 0;
}

void program_examine(struct program *program)
{
	int fd = open(program->path, O_RDONLY | O_CLOEXEC), is_loaded = 0;
	struct image image = { 0 };
	struct stat status;
	void *bytes;

	if (fd < 0)
		return;
	if (fstat(fd, &status) == 0 && status.st_size > 0) {
		bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			image = (struct image){ .bytes = bytes, .size = (size_t)status.st_size };
			is_loaded = open_image(&image) == 0 && read_image(program, &image) && has_loader(&image);
			munmap(bytes, image.size);
		}
	}
	close(fd);
	/* One that is set to the identity of another user would not be traced but run. */
	if (is_loaded && program->kind == PROGRAM_PLAIN && !(status.st_mode & (S_ISUID | S_ISGID)))
		ask_loader(program);
}
