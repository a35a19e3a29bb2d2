/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - rankpool map: a command over inputs, by ranked and pinned workers.
 *
 * All that can be wrong with a command line is found here, before anything is started. */
#include "amount.h"
#include "cli.h"
#include "dispatch.h"
#include "interrupt.h"
#include "shell.h"
#include "subcommands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define NAME "rankpool map"
#define WORKERS_MOST 65536
#define AS_MANY_AS_POSSIBLE 250                 /* what -j 0 stands for where the inputs do not say less */
#define FAILED_MOST 101                         /* exit status: more than 100 jobs have failed */

struct map_options {
	const char *jobs, *cpus, *bind, *cpus_per_worker, *timeout;
	int keep_order, tag, dry_run, null, report_bindings;
	struct cli_list files;
};

#define FIELD(name) offsetof(struct map_options, name)

static const struct cli_option options[] = {
	{ "j|jobs|max-procs|P", CLI_TEXT, FIELD(jobs), "N", "jobs at a time: N, +N or -N (from the cores), N%, 0 (many)" },
	{ "k|keep-order", CLI_FLAG, FIELD(keep_order), NULL, "print outputs in the order of the inputs" },
	{ "a|arg-file", CLI_LIST, FIELD(files), "FILE", "take inputs from FILE, - is standard input; repeatable" },
	{ "0|null", CLI_FLAG, FIELD(null), NULL, "inputs in files end with NUL, not with a newline" },
	{ "tag", CLI_FLAG, FIELD(tag), NULL, "begin each line of output with the inputs and a TAB" },
	{ "timeout", CLI_TEXT, FIELD(timeout), "TIME", "end a job that takes longer: 30, 1.5s, 5m, 1h30m, 2d" },
	{ "dry-run|dryrun", CLI_FLAG, FIELD(dry_run), NULL, "print the commands and run none" },
	{ "cpus", CLI_TEXT, FIELD(cpus), "LOC", "CPUs to use: hwloc locations (package:0, core:0-3) or a list" },
	{ "bind-to", CLI_TEXT, FIELD(bind), "OBJ", "bind each worker to a core, pu, l3, numa, package, or none" },
	{ "cpus-per-worker", CLI_TEXT, FIELD(cpus_per_worker), "N", "CPUs of each worker" },
	{ "report-bindings", CLI_FLAG, FIELD(report_bindings), NULL, "say on stderr where each worker runs" },
	{ 0 }
};

static const struct cli_command command = {
	.name = NAME,
	.usage = "[options] [COMMAND ...] [::: INPUT ... | :::: FILE ...] ...",
	.about = "Runs COMMAND once for each input, on one ranked worker per core, each bound to its core.\n"
	         "Inputs are the words behind :::, the lines of files behind :::: or -a, else those of\n"
	         "standard input.  Several ::: make all combinations, :::+ and ::::+ go in step with the\n"
	         "source before.  Without a COMMAND each input is a shell command itself.\n"
	         "\n"
	         "In COMMAND:  {} the input   {.} without extension   {/} its base name   {//} its directory\n"
	         "             {/.} base name without extension   {#} number of the job   {%} of the worker\n"
	         "             {2} {2.} {-1/} ... the second, the last source.  Without any, {} is appended.\n"
	         "\n"
	         "Exit status: how many jobs have failed, 101 for more than 100, 255 for any other error.\n"
	         "\n",
	.options = options,
};

/* What one call of the command needs; freed in one place. */
struct map {
	struct map_options options;
	struct plan plan;
	struct shell shell;
	struct amount jobs;
	struct inputs *inputs;
	struct template *template;
	char *program;
	struct output *output;
	struct rp_pool *pool;
	struct parcels parcels;
	uint32_t cpus_per_worker;
};

/* ---- checking ----------------------------------------------------------------------------------------- */

static int check_jobs(struct map *map)
{
	const char *text = map->options.jobs ? map->options.jobs : "100%";

	if (amount_parse(text, &map->jobs) == 0)
		return 0;
	return cli_fail(NAME, "-j %s is not a number of jobs: N, +N, -N, N%% or 0", text);
}

static int check_timeout(struct map *map)
{
	const char *text = map->options.timeout;

	if (!text || amount_duration(text, &map->plan.timeout) == 0)
		return 0;
	if (strchr(text, '%'))
		return cli_fail(NAME, "--timeout %s: a part of the median run time is not supported, only times such as 30s",
		                text);
	return cli_fail(NAME, "--timeout %s is not a time such as 30, 1.5s, 5m, 1h30m or 2d", text);
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
	map->cpus_per_worker = (uint32_t)n;
	return 0;
}

/* Words, template and inputs. */
static int check_command(struct map *map, char **words, size_t count)
{
	size_t command_words = 0;
	const char *program;
	char *why = NULL;

	map->inputs = inputs_new(NAME, words, count, &map->options.files, map->options.null ? 0 : '\n', &command_words);
	if (!map->inputs || shell_find(&map->shell, NAME) < 0)
		return CLI_FAILED;
	map->template = template_new(words, command_words, map->shell.dialect, &why);
	if (!map->template) {
		cli_say(NAME, "%s", why);
		free(why);
		return CLI_FAILED;
	}
	program = template_program(map->template);
	map->program = program ? shell_program(program) : NULL;
	if (!map->program && shell_check(&map->shell, NAME) < 0)
		return CLI_FAILED;
	map->plan.template = map->template;
	map->plan.shell = map->shell.path;
	map->plan.program = map->program;
	return 0;
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

/* ---- workers ------------------------------------------------------------------------------------------ */

/* Returns how many they are; infos has room for `room`. */
static int plan_workers(const struct map *map, uint32_t workers, struct rp_worker_info *infos, size_t room,
                        struct rp_error *err)
{
	return rp_pool_plan(RP_POOL(.workers = workers, .cpus = map->options.cpus, .bind = map->options.bind,
	                            .cpus_per_worker = map->cpus_per_worker), NULL, infos, room, err);
}

/* How many jobs at a time: what -j says, seen from the cores that there are. */
static int count_workers(struct map *map)
{
	struct rp_error err;
	double n;
	int cores;

	/* It is a number of workers, and -j counts cores. */
	if (map->options.jobs)
		unsetenv("RANKPOOL_WORKERS");
	cores = plan_workers(map, 0, NULL, 0, &err);
	if (cores < 0)
		return cli_fail(NAME, "%s", err.text);
	n = amount_of(&map->jobs, cores);
	if (map->jobs.unit == AMOUNT_NUMBER && n == 0) {
		size_t listed = inputs_listed(map->inputs);

		n = listed < AS_MANY_AS_POSSIBLE ? (double)listed : AS_MANY_AS_POSSIBLE;
	}
	if (n < 1)
		return cli_fail(NAME, "-j %s leaves no worker: there %s %d core%s", map->options.jobs,
		                cores == 1 ? "is" : "are", cores, cores == 1 ? "" : "s");
	if (n > WORKERS_MOST)
		return cli_fail(NAME, "-j %s: %d workers are the most", map->options.jobs, WORKERS_MOST);
	map->plan.workers = (unsigned)n;
	if (plan_workers(map, map->plan.workers, NULL, 0, &err) < 0)
		return cli_fail(NAME, "%s", err.text);
	return 0;
}

/* Output that waits holds files.  Called after the workers have been forked: commands keep the limit that they expect. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_pool(struct map *map)
{
	struct plan *plan = &map->plan;
	struct rp_error err;
	int ways[2], r;

	plan->running = mmap(NULL, plan->workers * sizeof *plan->running, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                     -1, 0);
	if (plan->running == MAP_FAILED)
		return cli_fail(NAME, "out of memory");
	r = parcel_way(ways);
	if (r < 0)
		return cli_fail(NAME, "cannot make a socket: %s", strerror(-r));
	map->parcels.end = ways[0];
	plan->way = ways[1];
	plan->manager = getpid();
	r = rp_pool_new(&map->pool, RP_POOL(.workers = plan->workers, .cpus = map->options.cpus, .bind = map->options.bind,
	                                    .cpus_per_worker = map->cpus_per_worker, .flags = RP_LOCAL, .init = runner_init,
	                                    .exit = runner_exit, .init_arg = &plan, .init_arg_size = sizeof plan), &err);
	close(plan->way);
	if (r < 0)
		return cli_fail(NAME, "%s", err.text);
	raise_file_limit();
	return 0;
}

static void report_bindings(const struct map *map)
{
	struct rp_worker_info *infos = resized(NULL, map->plan.workers, sizeof *infos);
	int count = plan_workers(map, map->plan.workers, infos, map->plan.workers, NULL);

	for (int i = 0; i < count; i++)
		fprintf(stderr, NAME ": rank %d on %s: cpus %s\n", infos[i].rank, infos[i].host, infos[i].cpus);
	free(infos);
}

/* ---- running ------------------------------------------------------------------------------------------ */

static int exit_status(const struct map *map, const struct tally *tally)
{
	int error = output_error(map->output);

	if (interrupt_level())
		return 128 + interrupt_signal();
	if (error && error != EPIPE)
		return cli_fail(NAME, "cannot write output: %s", strerror(error));
	if (tally->broken)
		return CLI_FAILED;
	return tally->failed < FAILED_MOST ? (int)tally->failed : FAILED_MOST;
}

/* What a signal has left. */
static void sum_up(const struct map *map, const struct tally *tally)
{
	size_t listed = inputs_listed(map->inputs);
	char rest[64] = "the rest";

	if (listed != SIZE_MAX)
		snprintf(rest, sizeof rest, "%zu", listed - (size_t)(tally->done + tally->ended));
	cli_say(NAME, "%llu job%s done, %llu of them failed, %llu ended, %s not started", tally->done,
	        tally->done == 1 ? "" : "s", tally->failed, tally->ended, rest);
}

static int run(struct map *map)
{
	struct dispatch dispatch = { NAME, map->inputs, map->output, NULL, &map->parcels, &map->plan };
	struct tally tally;
	int r;

	if (map->options.report_bindings)
		report_bindings(map);
	if (map->options.dry_run) {
		dispatch_show(&dispatch, &tally);
		return exit_status(map, &tally);
	}
	r = open_pool(map);
	if (r)
		return r;
	dispatch.pool = map->pool;
	dispatch_run(&dispatch, &tally);
	map->pool = rp_pool_free(map->pool);
	if (interrupt_level())
		sum_up(map, &tally);
	return exit_status(map, &tally);
}

static int prepare(struct map *map, char **words, size_t count)
{
	int r = check_jobs(map);

	if (!r)
		r = check_timeout(map);
	if (!r)
		r = check_places(map);
	if (!r)
		r = check_output();
	if (!r)
		r = check_command(map, words, count);
	if (!r)
		r = count_workers(map);
	return r;
}

static void release(struct map *map)
{
	rp_pool_free(map->pool);
	output_free(map->output);
	parcels_free(&map->parcels);
	template_free(map->template);
	inputs_free(map->inputs);
	free(map->program);
	shell_done(&map->shell);
	free(map->options.files.items);
}

int map_main(int argc, char **argv)
{
	struct map map = { .parcels = { .end = -1 }, .plan = { .name = NAME } };
	int word = cli_parse(&command, argc, argv, &map.options), r, error;

	if (word <= 0)
		return word < 0 ? CLI_FAILED : 0;
	r = interrupt_begin(&map.plan.ignored);
	if (r < 0)
		r = cli_fail(NAME, "cannot make a pipe: %s", strerror(-r));
	else
		r = prepare(&map, argv + word, (size_t)(argc - word));
	if (!r) {
		if (inputs_are_typed(map.inputs) && isatty(STDERR_FILENO))
			fputs(NAME ": inputs are read from the terminal, Ctrl-D ends them\n", stderr);
		map.output = output_new(map.options.keep_order, map.options.tag);
		r = run(&map);
	}
	error = map.output ? output_error(map.output) : 0;
	release(&map);
	if (error == EPIPE) {
		/* Nobody reads any more: end as other programs do then. */
		if (!sigismember(&map.plan.ignored, SIGPIPE)) {
			signal(SIGPIPE, SIG_DFL);
			raise(SIGPIPE);
		}
		r = 128 + SIGPIPE;
	}
	return r;
}
