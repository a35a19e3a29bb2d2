/* SPDX-License-Identifier: BSD-3-Clause */
/* jobs.h - the environments that launchers and schedulers make, for tests.  To be included after cmocka.h. */
#ifndef RP_TESTS_JOBS_H
#define RP_TESTS_JOBS_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Nothing of a launcher, of a scheduler or of rankpool, whatever the tests were started in. */
static inline void job_forget(void)
{
	static const char *const prefixes[] = {
		"OMPI_", "PMI", "PRTE_", "PALS_", "JSM_", "FLUX_", "HYD", "MPI_LOCAL", "I_MPI_", "SLURM", "PBS_", "NCPUS=",
		"LSB_", "SGE_", "PE_HOSTFILE=", "NSLOTS=", "NHOSTS=", "RANKPOOL_WORKERS=",
	};
	char name[128];

	for (char **at = environ; *at;) {
		size_t i = 0, n = strcspn(*at, "=");

		while (i < sizeof prefixes / sizeof *prefixes && strncmp(*at, prefixes[i], strlen(prefixes[i])) != 0)
			i++;
		if (i == sizeof prefixes / sizeof *prefixes || n >= sizeof name) {
			at++;
			continue;
		}
		memcpy(name, *at, n);
		name[n] = 0;
		unsetenv(name);
	}
}

/* "NAME=VALUE NAME=VALUE"; @ is this host's name. */
static inline void job_set(const char *variables)
{
	char all[2048] = "", host[256] = "", *save = NULL;
	size_t used = 0;

	gethostname(host, sizeof host - 1);
	for (; *variables && used + sizeof host < sizeof all; variables++) {
		if (*variables == '@')
			used += strlen(strcpy(all + used, host));
		else
			all[used++] = *variables;
	}
	all[used] = 0;
	for (char *one = strtok_r(all, " ", &save); one; one = strtok_r(NULL, " ", &save)) {
		char *value = strchr(one, '=');

		*value = 0;
		for (char *p = value + 1; *p; p++)
			if (*p == '~')
				*p = ' ';
		setenv(one, value + 1, 1);
	}
}

#endif
