/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - rankpool map: a command over inputs, by ranked and pinned workers. */
#include "allocation.h"
#include "dispatch.h"
#include "interrupt.h"
#include "map_inner.h"
#include "map_nodes.h"
#include "orphans.h"
#include "subcommands.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME MAP_NAME
#define FAILED_MOST 101                         /* exit status: more than 100 jobs have failed */

#define FIELD(name) offsetof(struct map_options, name)

static const struct cli_option options[] = {
	{ "j|jobs|max-procs|P", CLI_TEXT, FIELD(jobs), "N", "jobs at a time per node: N, +N, -N (from the cores), N%, 0" },
	{ "k|keep-order", CLI_FLAG, FIELD(keep_order), NULL, "print outputs in the order of the inputs" },
	{ "a|arg-file", CLI_LIST, FIELD(files), "FILE", "take inputs from FILE, - is standard input; repeatable" },
	{ "0|null", CLI_FLAG, FIELD(null), NULL, "inputs in files end with NUL, not with a newline" },
	{ "tag", CLI_FLAG, FIELD(tag), NULL, "begin each line of output with the inputs and a TAB" },
	{ "timeout", CLI_TEXT, FIELD(timeout), "TIME", "end a job that takes longer: 30, 1.5s, 5m, 1h30m, 2d" },
	{ "time-limit", CLI_TEXT, FIELD(time_limit), "TIME", "end everything after so long" },
	{ "dry-run|dryrun", CLI_FLAG, FIELD(dry_run), NULL, "print the commands and run none" },
	{ "map-by", CLI_TEXT, FIELD(map_by), "OBJ", "as mpirun: core, numa, ppr:2:package, core:PE=4, ..." },
	{ "cpus", CLI_TEXT, FIELD(cpus), "LOC", "CPUs to use: hwloc locations (package:0, core:0-3) or a list" },
	{ "bind-to", CLI_TEXT, FIELD(bind), "OBJ", "bind each worker to a core, pu, l3, numa, package, or none" },
	{ "cpus-per-worker", CLI_TEXT, FIELD(cpus_per_worker), "N", "CPUs of each worker" },
	{ "report-bindings", CLI_FLAG, FIELD(report_bindings), NULL, "say on stderr where each worker runs" },
	{ "H|host", CLI_LIST, FIELD(hosts), "LIST", "run on these machines: a,b or a:4,b:4 (4 workers each); repeatable" },
	{ "hostfile|machinefile", CLI_LIST, FIELD(hostfiles), "FILE", "the same from a file, a machine on each line" },
	{ "nodes", CLI_TEXT, FIELD(nodes), "N", "use the first N of the machines, or of the allocation" },
	{ "allow-run-as-root", CLI_FLAG, FIELD(as_root), NULL, "let mpirun start things as root" },
	{ "mpi-env", CLI_TEXT, FIELD(mpi_env), "keep", "leave commands the variables by which mpirun and srun make ranks" },
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

/* ---- workers ------------------------------------------------------------------------------------------ */

/* The workers of this node will have the memory and the files of this moment.  Of the ranks that a launcher has started only
 * the first one comes back from here. */
static int begin(struct map *map)
{
	struct rp_error err;
	int ways[2], r = parcel_way(ways);

	if (r < 0)
		return cli_fail(NAME, "cannot make a socket: %s", strerror(-r));
	map->parcels.end = ways[0];
	map->brief.way = ways[1];
	map->brief.mask = umask(0);
	umask(map->brief.mask);
	orphans_adopt();
	r = rp_init(NULL, NULL, &err);
	close(map->brief.way);
	return r < 0 ? cli_fail(NAME, "%s", err.text) : 0;
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
	struct brief *brief = &map->brief;
	struct rp_pool_options o = workers_options(&map->workers);
	struct buffer packed = { 0 };
	struct rp_error err;
	int r;

	map->directory = getcwd(NULL, 0);
	brief->directory = map->directory ? map->directory : "";
	brief->output_directory = capture_directory();
	brief->manager = getpid();
	brief->launched = allocation_is_rank() && !map->options.mpi_env;
	brief_pack(brief, &packed);
	o.init = runner_init;
	o.exit = runner_exit;
	o.init_arg = packed.data;
	o.init_arg_size = packed.size;
	r = rp_pool_new(&map->pool, &o, &err);
	buffer_free(&packed);
	if (r < 0)
		return cli_fail(NAME, "%s", err.text);
	raise_file_limit();
	return 0;
}

/* ---- running ------------------------------------------------------------------------------------------ */

static int exit_status(const struct map *map, const struct tally *tally)
{
	int error = output_error(map->output);

	if (interrupt_level())
		return 128 + interrupt_signal();
	if (error && error != EPIPE)
		return cli_fail(NAME, "cannot write output: %s", strerror(error));
	if (tally->broken || tally->late)
		return CLI_FAILED;
	return tally->failed < FAILED_MOST ? (int)tally->failed : FAILED_MOST;
}

/* What a signal or the time limit has left. */
static void sum_up(const struct map *map, const struct tally *tally)
{
	size_t listed = inputs_listed(map->inputs);
	char rest[64] = "the rest", over[96] = "";

	if (tally->late)
		snprintf(over, sizeof over, "the time limit of %g s is over: ", (double)map->time_limit / (double)RP_SECOND);
	if (listed != SIZE_MAX)
		snprintf(rest, sizeof rest, "%zu", listed - (size_t)(tally->done + tally->ended));
	cli_say(NAME, "%s%llu job%s done, %llu of them failed, %llu ended, %s not started", over, tally->done,
	        tally->done == 1 ? "" : "s", tally->failed, tally->ended, rest);
}

static int run(struct map *map)
{
	struct dispatch dispatch = { NAME, map->inputs, map->output, map->template, NULL, &map->parcels, &map->brief,
		                     map->time_limit };
	struct tally tally;
	int r;

	if (map->options.report_bindings)
		workers_report(&map->workers, NAME);
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
	if (interrupt_level() || tally.late)
		sum_up(map, &tally);
	return exit_status(map, &tally);
}

static void release(struct map *map)
{
	rp_pool_free(map->pool);
	rp_finalize();
	output_free(map->output);
	parcels_free(&map->parcels);
	template_free(map->template);
	inputs_free(map->inputs);
	free(map->brief.environment);
	free(map->directory);
	free(map->options.files.items);
	free(map->options.hosts.items);
	free(map->options.hostfiles.items);
}

/* This process is the one that does it. */
static int go(struct map *map, int launched, char **words, size_t count)
{
	int r = interrupt_begin(&map->brief.ignored);

	if (r < 0)
		return cli_fail(NAME, "cannot make a pipe: %s", strerror(-r));
	r = map_prepare(map, words, count);
	if (!r && !launched && !map->options.dry_run)
		r = begin(map);
	if (r)
		return r;
	if (inputs_are_typed(map->inputs) && isatty(STDERR_FILENO))
		fputs(NAME ": inputs are read from the terminal, Ctrl-D ends them\n", stderr);
	map->output = output_new(map->options.keep_order, map->options.tag);
	return run(map);
}

/* The command line has been read, up to argv[word]. */
static int go_where_said(struct map *map, int launched, int argc, char **argv, int word)
{
	const struct map_options *o = &map->options;
	const struct map_nodes nodes = { NAME, &o->hosts, &o->hostfiles, &o->files, o->nodes, o->jobs, o->as_root };
	int status, r = map_check_options(map);

	if (r)
		return r;
	/* Commands can be shown here, but for where their workers are. */
	r = o->dry_run && !o->report_bindings ? 0 : map_nodes_go(&nodes, argv, word, &status);
	if (r)
		return r < 0 ? CLI_FAILED : status;
	return go(map, launched, argv + word, (size_t)(argc - word));
}

int map_main(int argc, char **argv)
{
	struct map map = { .parcels = { .end = -1 }, .brief = { .name = NAME } };
	int launched = allocation_is_rank(), word, r, error;

	r = launched ? begin(&map) : 0;
	if (r)
		return r;
	word = cli_parse(&command, argc, argv, &map.options);
	if (word <= 0)
		return word < 0 ? CLI_FAILED : 0;
	r = go_where_said(&map, launched, argc, argv, word);
	error = map.output ? output_error(map.output) : 0;
	release(&map);
	if (error == EPIPE) {
		/* Nobody reads any more: end as other programs do then, but not as a rank that has died. */
		if (!launched && !sigismember(&map.brief.ignored, SIGPIPE)) {
			signal(SIGPIPE, SIG_DFL);
			raise(SIGPIPE);
		}
		r = 128 + SIGPIPE;
	}
	return r;
}
