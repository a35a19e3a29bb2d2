/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.c - choosing the shell, and finding the programs that it would find. */
#include "shell.h"
#include "cli.h"
#include "environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *copied(const char *text)
{
	return memcpy(resized(NULL, strlen(text) + 1, 1), text, strlen(text) + 1);
}

/* The first executable of this name in PATH, whatever it is: a shell looks no further either. */
static char *search(const char *name, const char *const *environment)
{
	const char *path = environment_value(environment, "PATH");
	struct stat status;
	char *file;

	for (const char *at = path; at; at = *at ? at + 1 : NULL) {
		int length = (int)strcspn(at, ":");

		if (asprintf(&file, "%.*s%s%s", length, at, length ? "/" : "./", name) < 0)
			return NULL;
		if (access(file, X_OK) == 0 && stat(file, &status) == 0 && S_ISREG(status.st_mode))
			return file;
		free(file);
		at += length;
	}
	return NULL;
}

const char *shell_name(const char *const *environment)
{
	static const char *const variables[] = { "PARALLEL_SHELL", "SHELL" };

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *value = environment_value(environment, variables[i]);

		if (value && *value)
			return value;
	}
	return "/bin/sh";
}

char *shell_path(const char *shell, const char *const *environment)
{
	char *found = strchr(shell, '/') ? NULL : search(shell, environment);

	return found ? found : copied(shell);
}

int shell_dialect(const char *shell, const char *name)
{
	int dialect = quote_dialect(shell);

	if (dialect < 0)
		cli_say(name, "the quoting of the shell %s is not known; set PARALLEL_SHELL to another, such as /bin/sh",
		        shell);
	return dialect;
}

int shell_check(const char *path, const char *name)
{
	if (access(path, X_OK) == 0)
		return 0;
	cli_say(name, "cannot execute the shell %s: %s; set PARALLEL_SHELL to another, such as /bin/sh", path,
	        strerror(errno));
	return -1;
}

/* What sh, bash, dash, ksh, zsh, csh or fish run themselves, sorted.  A word too many costs the start of a shell, a word
 * too few would run a program where the shell has something of its own. */
static const char *const shell_words[] = {
	"!", "-", ".", ":", "@", "[", "[[", "abbr", "alias", "alloc", "and", "argparse", "autoload", "begin", "bg",
	"bind", "bindkey", "break", "breaksw", "builtin", "bye", "caller", "cap", "case", "cd", "chdir", "clone",
	"command", "commandline", "comparguments", "compcall", "compctl", "compdescribe", "compfiles", "compgen",
	"compgroups", "complete", "compopt", "compquote", "comptags", "comptry", "compvalues", "contains", "continue",
	"coproc", "count", "declare", "default", "dirs", "disable", "disown", "do", "done", "echo", "echotc",
	"echoti", "elif", "else", "emulate", "enable", "end", "endif", "endsw", "enum", "esac", "eval", "exec",
	"exit", "export", "false", "fc", "fg", "fi", "filetest", "float", "for", "foreach", "function", "functions",
	"getcap", "getln", "getopts", "glob", "hash", "hashstat", "help", "hist", "history", "hup", "if", "in",
	"integer", "jobs", "kill", "let", "limit", "local", "log", "login", "logout", "ls-F", "mapfile", "math",
	"nameref", "newgrp", "nice", "nocorrect", "noglob", "nohup", "not", "notify", "onintr", "or", "path", "popd",
	"print", "printenv", "printf", "private", "pushd", "pushln", "pwd", "random", "read", "readarray", "readonly",
	"realpath", "rehash", "repeat", "return", "sched", "select", "set", "setcap", "setenv", "setopt", "settc",
	"setty", "setvar", "shift", "shopt", "sleep", "source", "stat", "status", "stop", "string", "suspend",
	"switch", "telltc", "test", "then", "time", "times", "trap", "true", "ttyctl", "type", "typeset", "ulimit",
	"umask", "unalias", "uncomplete", "unfunction", "unhash", "unlimit", "unset", "unsetenv", "unsetopt", "until",
	"vared", "wait", "whence", "where", "which", "while", "zcompile", "zformat", "zle", "zmodload", "zparseopts",
	"zregexparse", "zstyle", "{", "}",
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

/* bash puts functions into the environment as BASH_FUNC_name%%=() ... */
static int is_exported_function(const char *name, const char *const *environment)
{
	static const char prefix[] = "BASH_FUNC_";
	size_t length = strlen(name);

	for (const char *const *variable = environment; *variable; variable++) {
		const char *rest = *variable + sizeof prefix - 1;

		if (strncmp(*variable, prefix, sizeof prefix - 1) == 0 && strncmp(rest, name, length) == 0 &&
		    strncmp(rest + length, "%%=", 3) == 0)
			return 1;
	}
	return 0;
}

/* A file that execve takes as it is.  Anything else that is executable is a script to the shell. */
static int is_program(const char *path)
{
	struct stat status;
	char magic[4] = { 0 };
	ssize_t n;
	int fd;

	if (access(path, X_OK) < 0 || stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, magic, sizeof magic);
	close(fd);
	return (n == 4 && memcmp(magic, "\177ELF", 4) == 0) || (n >= 2 && memcmp(magic, "#!", 2) == 0);
}

char *shell_program(const char *name, const char *const *environment)
{
	char *file;

	if (bsearch(name, shell_words, sizeof shell_words / sizeof *shell_words, sizeof *shell_words, compare) ||
	    is_exported_function(name, environment))
		return NULL;
	file = strchr(name, '/') ? copied(name) : search(name, environment);
	if (file && !is_program(file)) {
		free(file);
		return NULL;
	}
	return file;
}
