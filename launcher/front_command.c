/* SPDX-License-Identifier: BSD-3-Clause */
/* front_command.c - how mpirun, or srun, starts this program on every node. */
#include "front_command.h"
#include "buffer.h"
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;

/* ---- checking ------------------------------------------------------------------------------------------- */

static int is_open(const struct mpirun *mpirun)
{
	return mpirun->kind == MPIRUN_OPEN || mpirun->kind == MPIRUN_PRRTE;
}

/* Open MPI wants to be told twice. */
static const char *const root_variables[][2] = {
	{ "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM" },
	{ "PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM" },
};

static int may_be_root(const struct front *front)
{
	if (geteuid() != 0 || front->as_root)
		return 1;
	for (size_t i = 0; i < sizeof root_variables / sizeof *root_variables; i++)
		if (getenv(root_variables[i][0]) && getenv(root_variables[i][1]))
			return 1;
	return 0;
}

/* One host a line, with its slots where copies are started for them.  The first copy goes to the first. */
static int write_hosts(const struct front_command *command)
{
	const struct hosts *hosts = &command->front->nodes->hosts;
	const int by_slot = command->front->by_slot;
	struct buffer text = { 0 };
	int fd = memfd_create("hosts", 0), r = 0;

	for (size_t i = 0; i < hosts->count; i++) {
		const struct host *host = &hosts->items[i];
		unsigned slots = by_slot ? host->slots : 1;

		/* srun wants the host again for each task. */
		for (unsigned times = command->mpirun.kind == MPIRUN_SRUN ? slots : 1; times; times--) {
			buffer_text(&text, host->name);
			if (command->mpirun.kind != MPIRUN_SRUN) {
				buffer_text(&text, is_open(&command->mpirun) ? " slots=" : ":");
				buffer_number(&text, slots);
			}
			buffer_byte(&text, '\n');
		}
	}
	if (fd >= 0 && (write(fd, text.data, text.size) != (ssize_t)text.size || lseek(fd, 0, SEEK_SET) < 0)) {
		r = errno;
		close(fd);
		errno = r;
		fd = -1;
	}
	buffer_free(&text);
	return fd;
}

int front_command_make(struct front_command *ret, const struct front *front, char **words)
{
	const char *scheduler = front->nodes->scheduler;
	const int slurm = scheduler && strcmp(scheduler, "Slurm") == 0;
	char path[PATH_MAX];
	ssize_t n;

	*ret = (struct front_command){ .front = front, .words = words, .hosts = -1 };
	if (mpirun_find(&ret->mpirun, front->family ? front->family : mpirun_own_family(), slurm, front->name) < 0)
		return -1;
	if (is_open(&ret->mpirun) && !may_be_root(front)) {
		cli_say(front->name, "mpirun refuses to run as root; --allow-run-as-root permits it");
		front_command_free(ret);
		return -1;
	}
	n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	ret->program = strdup(path);
	/* The scheduler's own list is what mpirun takes, in words and with rights that only they know. */
	if (!slurm || front->nodes->named || front->by_slot)
		ret->hosts = write_hosts(ret);
	if (n <= 0 || ((!slurm || front->nodes->named || front->by_slot) && ret->hosts < 0)) {
		cli_say(front->name, "cannot prepare mpirun: %s", strerror(errno));
		front_command_free(ret);
		return -1;
	}
	return 0;
}

void front_command_free(struct front_command *command)
{
	mpirun_free(&command->mpirun);
	free(command->program);
	if (command->hosts >= 0)
		close(command->hosts);
	command->hosts = -1;
	command->program = NULL;
}

/* ---- the command line ----------------------------------------------------------------------------------- */

struct line {
	char **words;
	size_t count;
};

static void add(struct line *line, const char *word)
{
	line->words = resized(line->words, line->count + 2, sizeof *line->words);
	line->words[line->count++] = (char *)word;
	line->words[line->count] = NULL;
}

static void add_all(struct line *line, const char *const *words)
{
	for (; *words; words++)
		add(line, *words);
}

static const char *number(unsigned long n)
{
	char *text;

	return asprintf(&text, "%lu", n) < 0 ? "" : text;
}

static unsigned long copies(const struct front *front)
{
	unsigned long n = 0;

	for (size_t i = 0; i < front->nodes->hosts.count; i++)
		n += front->by_slot ? front->nodes->hosts.items[i].slots : 1;
	return n;
}

/* Variables that are one machine's own, or mpirun's. */
static int is_local(const char *variable, size_t length)
{
	static const char *const names[] = {
		"BASH_*", "DBUS_*", "DISPLAY", "GPG_*", "HOME", "HOSTNAME", "LOGNAME", "LS_COLORS", "MAIL", "OLDPWD",
		"OMPI_*", "PMIX_*", "PMI_*", "PRTE_*", "PWD", "SHELL", "SHLVL", "SLURM*", "SSH_*", "TERM", "TMPDIR",
		"USER", "XAUTHORITY", "XDG_*", "_",
	};

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)variable[i]) && variable[i] != '_')
			return 1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t named = strcspn(names[i], "*");

		if (strncmp(variable, names[i], named) == 0 && (names[i][named] ? length >= named : length == named))
			return 1;
	}
	return length == 0;
}

/* srun and MPICH's mpirun take the environment along, so that a command finds the same everywhere; Open MPI's does when it
 * is told each name. */
static void add_variables(struct line *line)
{
	if (getenv("OMPI_MCA_mca_base_env_list"))
		return;
	for (char **variable = environ; *variable; variable++) {
		size_t length = strcspn(*variable, "=");

		if (!is_local(*variable, length)) {
			add(line, "-x");
			add(line, strndup(*variable, length));
		}
	}
}

static void set_if_unset(const char *const *names, const char *value)
{
	for (size_t i = 0; names[i]; i++)
		if (getenv(names[i]))
			return;
	setenv(names[0], value, 1);
}

/* A host that does not answer is known within seconds, and nobody is asked for a password. */
static void set_environment(const struct front_command *command)
{
	static const char *const open[] = { "OMPI_MCA_plm_rsh_args", "OMPI_MCA_plm_rsh_agent", "OMPI_MCA_orte_rsh_agent",
		                            NULL };
	static const char *const prrte[] = { "PRTE_MCA_plm_ssh_args", "PRTE_MCA_plm_ssh_agent", NULL };
	static const char *const hydra[] = { "HYDRA_LAUNCHER_EXTRA_ARGS", "HYDRA_LAUNCHER", "HYDRA_LAUNCHER_EXEC", NULL };
	static const char ssh[] = "-o BatchMode=yes -o ConnectTimeout=5";

	set_if_unset(open, ssh);
	set_if_unset(prrte, ssh);
	set_if_unset(hydra, ssh);
	/* Copies that mpirun ends need no time for it: their supervisors clean up.  It would wait whenever a status is not
	 * 0. */
	for (int i = 0; i < 2 && !command->front->is_program; i++)
		setenv(i ? "PRTE_MCA_odls_base_sigkill_timeout" : "OMPI_MCA_odls_base_sigkill_timeout", "0", 0);
	if (command->front->oversubscribed)
		setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
	for (size_t i = 0; command->front->as_root && i < sizeof root_variables / sizeof *root_variables; i++) {
		setenv(root_variables[i][0], "1", 1);
		setenv(root_variables[i][1], "1", 1);
	}
	/* Names with a domain stay so: cut short they may be nobody's. */
	if (!command->front->nodes->scheduler)
		setenv("OMPI_MCA_orte_keep_fqdn_hostnames", "1", 0);
	/* The copies' step would keep all that was granted from what commands start by srun or mpirun themselves. */
	setenv("SLURM_OVERLAP", "1", 0);
	if (command->front->nodes->manager_only)
		setenv("RANKPOOL_MANAGER_ONLY", "1", 1);
}

static void add_srun(struct line *line, const struct front_command *command, const char *hosts)
{
	const struct front *front = command->front;
	char *mpi;

	if (asprintf(&mpi, "--mpi=%s", command->mpirun.pmi) < 0)
		return;
	add_all(line, (const char *const[]){ "srun", mpi, "--kill-on-bad-exit=1", "--cpu-bind=none", "--input=none", "-n",
	                                     number(copies(front)), NULL });
	if (!hosts) {
		add_all(line, (const char *const[]){ "-N", number(front->nodes->hosts.count), "--ntasks-per-node=1", NULL });
	} else {
		setenv("SLURM_HOSTFILE", hosts, 1);
		add_all(line, (const char *const[]){ "-N", number(front->nodes->hosts.count), "--distribution=arbitrary",
		                                     NULL });
	}
}

static void add_open(struct line *line, const struct front_command *command, const char *hosts)
{
	add_all(line, (const char *const[]){ "mpirun", "--bind-to", "none", "--map-by",
	                                     command->front->by_slot ? "slot" : "ppr:1:node", "-n",
	                                     number(copies(command->front)), NULL });
	if (hosts)
		add_all(line, (const char *const[]){ "--hostfile", hosts, NULL });
	add_variables(line);
}

static void add_hydra(struct line *line, const struct front_command *command, const char *hosts)
{
	add_all(line, (const char *const[]){ "mpirun", "-bind-to", "none", "-n", number(copies(command->front)), NULL });
	if (!command->front->by_slot)
		add_all(line, (const char *const[]){ "-ppn", "1", NULL });
	if (hosts)
		add_all(line, (const char *const[]){ "-f", hosts, NULL });
}

void front_command_exec(const struct front_command *command)
{
	struct line line = { 0 };
	char hosts[64];

	snprintf(hosts, sizeof hosts, "/proc/self/fd/%d", command->hosts);
	set_environment(command);
	switch (command->mpirun.kind) {
	case MPIRUN_SRUN:
		add_srun(&line, command, command->hosts < 0 ? NULL : hosts);
		break;
	case MPIRUN_OPEN:
	case MPIRUN_PRRTE:
		add_open(&line, command, command->hosts < 0 ? NULL : hosts);
		break;
	case MPIRUN_HYDRA:
		add_hydra(&line, command, command->hosts < 0 ? NULL : hosts);
		break;
	}
	add(&line, command->program);
	for (char **word = command->words + 1; *word; word++)
		add(&line, *word);
	execv(command->mpirun.path, line.words);
}
