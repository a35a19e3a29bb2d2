/* SPDX-License-Identifier: BSD-3-Clause */
/* map_check.c - all that can be wrong with a command line of rankpool map is found here, before anything is started. */
#include "map_inner.h"
#include "amount.h"
#include "environment.h"
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME MAP_NAME

static int check_time(const char *option, const char *text, int64_t *ret)
{
	if (!text || amount_duration(text, ret) == 0)
		return 0;
	return cli_fail(NAME, "%s %s is not a time such as 30, 1.5s, 5m, 1h30m or 2d", option, text);
}

static int check_times(struct map *map)
{
	const char *timeout = map->options.timeout;

	if (timeout && strchr(timeout, '%'))
		return cli_fail(NAME, "--timeout %s: a part of the median run time is not supported, only times such as 30s",
		                timeout);
	if (check_time("--timeout", timeout, &map->brief.timeout))
		return CLI_FAILED;
	return check_time("--time-limit", map->options.time_limit, &map->time_limit);
}

static int check_places(struct map *map)
{
	const struct map_options *o = &map->options;
	int unbound = o->bind && strcmp(o->bind, "none") == 0;
	char *end;
	unsigned long n;

	if (unbound && o->cpus)
		return cli_fail(NAME, "--cpus %s and --bind-to none contradict each other", o->cpus);
	if (unbound && o->cpus_per_worker)
		return cli_fail(NAME, "--cpus-per-worker %s and --bind-to none contradict each other", o->cpus_per_worker);
	if (!o->cpus_per_worker)
		return 0;
	errno = 0;
	n = strtoul(o->cpus_per_worker, &end, 10);
	if (errno || *end || n < 1 || n > WORKERS_MOST || strspn(o->cpus_per_worker, "0123456789") == 0)
		return cli_fail(NAME, "--cpus-per-worker %s is not a number of CPUs", o->cpus_per_worker);
	map->workers.cpus_per_worker = (uint32_t)n;
	return 0;
}

static int fail_contradiction(const char *option, const char *value, const char *map_by)
{
	return cli_fail(NAME, "%s %s and --map-by %s contradict each other", option, value, map_by);
}

/* mpirun's words for the same, and for how many there are. */
static int check_mapping(struct map *map)
{
	const struct map_options *o = &map->options;
	const struct placing_words words = { .map_by = o->map_by, .bind_to = o->bind, .cpus = o->cpus };
	struct placing *p = &map->placing;

	if (!o->map_by)
		return 0;
	if (placing_read(p, &words, NAME) < 0)
		return CLI_FAILED;
	if (p->not_here)
		return cli_fail(NAME, "--map-by %s: --host and --hostfile say which nodes work", o->map_by);
	if ((p->per_node || p->per_object) && o->jobs)
		return fail_contradiction("-j", o->jobs, o->map_by);
	if (p->cpus_each && o->cpus_per_worker)
		return fail_contradiction("--cpus-per-worker", o->cpus_per_worker, o->map_by);
	map->workers.bind = p->bind;
	map->workers.cpus_per_worker |= p->cpus_each;
	map->workers.fixed_per_node = p->per_node;
	return 0;
}

static int check_environment(struct map *map)
{
	const char *text = map->options.mpi_env;

	if (text && strcmp(text, "keep") != 0)
		return cli_fail(NAME, "--mpi-env %s is not known; it is --mpi-env keep, or nothing", text);
	map->brief.environment = environment_for_commands(text != NULL, &map->brief.variable_count);
	return 0;
}

/* What runs a command that is no program in PATH is looked for before anything is started. */
static int check_shell(const struct brief *brief, const struct template *template)
{
	const char *name = template_program(template);
	char *program = name ? shell_program(name, brief->environment) : NULL, *path;
	int r = 0;

	if (!program) {
		path = shell_path(brief->shell, brief->environment);
		r = shell_check(path, NAME);
		free(path);
	}
	free(program);
	return r;
}

/* Words, template and inputs. */
static int check_command(struct map *map, char **words, size_t count)
{
	struct brief *brief = &map->brief;
	char *why = NULL;
	int dialect;

	map->inputs = inputs_new(NAME, words, count, &map->options.files, map->options.null ? 0 : '\n', &brief->word_count);
	if (!map->inputs)
		return CLI_FAILED;
	brief->words = (const char **)words;
	brief->shell = shell_name(brief->environment);
	dialect = shell_dialect(brief->shell, NAME);
	if (dialect < 0)
		return CLI_FAILED;
	brief->dialect = (enum quote_dialect)dialect;
	map->template = template_new(brief->words, brief->word_count, brief->dialect, &why);
	if (!map->template) {
		cli_say(NAME, "%s", why);
		free(why);
		return CLI_FAILED;
	}
	return check_shell(brief, map->template) < 0 ? CLI_FAILED : 0;
}

/* A closed standard output has been opened as /dev/null, for reading, by main(). */
static int check_output(void)
{
	struct capture capture = CAPTURE_NONE;
	int flags = fcntl(STDOUT_FILENO, F_GETFL), r;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return cli_fail(NAME, "standard output is closed, or not open for writing");
	r = capture_open(&capture);
	capture_close(&capture);
	if (r < 0)
		return cli_fail(NAME, "cannot make files for output in %s: %s", capture_directory(), strerror(-r));
	return 0;
}

static int check_workers(struct map *map)
{
	struct workers *workers = &map->workers;
	struct rp_pool_options all;

	/* So many for each object of all nodes. */
	if (map->placing.per_object) {
		if (placing_options(&map->placing, &all, NAME) < 0)
			return CLI_FAILED;
		workers->fixed = all.workers;
	}
	if (workers_count(workers, inputs_listed(map->inputs), NAME) < 0)
		return CLI_FAILED;
	map->brief.workers = workers->total;
	return 0;
}

int map_check_options(struct map *map)
{
	int r;

	map->workers.jobs = map->options.jobs;
	map->workers.cpus = map->options.cpus;
	map->workers.bind = map->options.bind;
	r = workers_check(&map->workers, NAME) < 0 ? CLI_FAILED : 0;
	if (!r)
		r = check_times(map);
	if (!r)
		r = check_places(map);
	if (!r)
		r = check_mapping(map);
	if (!r)
		r = check_environment(map);
	return r;
}

int map_prepare(struct map *map, char **words, size_t count)
{
	int r = check_output();

	if (!r)
		r = check_command(map, words, count);
	if (!r)
		r = check_workers(map);
	return r;
}
