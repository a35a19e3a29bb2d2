/* SPDX-License-Identifier: BSD-3-Clause */
/* run.c - rankpool run: ranked, pinned copies of a program, on this machine or on several.
 *
 * Programs are of three kinds.  Plain ones are started by an escort each (copies.c).  Processes of an MPI program have to be
 * started by mpirun: it starts this command instead, which binds itself to its place and becomes the program.  A program
 * that uses librankpool is started once, or once on every node, and told how many workers its pool has.  Where there are
 * other nodes, or mpirun is needed, this process goes on as the front. */
#include "amount.h"
#include "allocation.h"
#include "buffer.h"
#include "cli.h"
#include "copies.h"
#include "front.h"
#include "handover.h"
#include "program.h"
#include "rank.h"
#include "shares.h"
#include "subcommands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "rankpool run"

struct run_options {
	const char *copies, *per_node, *map_by, *bind_to, *cpus, *time_limit, *mpi, *mpi_env;
	struct cli_list hosts, hostfiles;
	int tag, keep_going, report, as_root;
};

#define FIELD(name) offsetof(struct run_options, name)

static const struct cli_option options[] = {
	{ "n|np", CLI_TEXT, FIELD(copies), "N", "copies in all (default: one per core, or per slot of the hosts)" },
	{ "N|npernode", CLI_TEXT, FIELD(per_node), "N", "copies on each node" },
	{ "H|host", CLI_LIST, FIELD(hosts), "LIST", "nodes and their slots: a:2,b; repeatable" },
	{ "hostfile|machinefile", CLI_LIST, FIELD(hostfiles), "FILE",
	  "nodes in a file: \"a slots=2\" or \"a:2\" a line; repeatable" },
	{ "map-by", CLI_TEXT, FIELD(map_by), "OBJ", "as mpirun: core, numa, node, ppr:2:package, core:PE=4, ..." },
	{ "bind-to", CLI_TEXT, FIELD(bind_to), "OBJ",
	  "bind each copy to a core, hwthread, l3cache, numa, package, or none" },
	{ "cpus", CLI_TEXT, FIELD(cpus), "LOC", "CPUs to use: hwloc locations (package:0, core:0-3) or a list" },
	{ "report-bindings", CLI_FLAG, FIELD(report), NULL, "say on stderr where each copy runs" },
	{ "tag|tag-output", CLI_FLAG, FIELD(tag), NULL, "begin each line of output with [rank]" },
	{ "time-limit", CLI_TEXT, FIELD(time_limit), "TIME", "end everything after that: 30, 1.5s, 5m, 1h30m, 2d" },
	{ "keep-going", CLI_FLAG, FIELD(keep_going), NULL, "a copy that fails does not end the others" },
	{ "mpi", CLI_TEXT, FIELD(mpi), "yes|no", "it is, or is not, an MPI program (default: what it needs tells)" },
	{ "mpi-env", CLI_TEXT, FIELD(mpi_env), "keep", "copies see the variables of an mpirun or srun around rankpool" },
	{ "allow-run-as-root", CLI_FLAG, FIELD(as_root), NULL, "Open MPI's mpirun may be run as root" },
	{ 0 }
};

static const struct cli_command command = {
	.name = NAME,
	.usage = "[options] PROGRAM [ARGUMENT ...]",
	.about = "Starts copies of PROGRAM, each with a rank and bound to a core of its own, passes their\n"
	         "output on by whole lines, and ends all when one fails.  An MPI program is started through\n"
	         "mpirun or srun.  A program that uses librankpool is started once, with -n workers.\n"
	         "\n"
	         "Exit status: that of the first copy that failed, 128 + N when signal N ended it, 124 when\n"
	         "the time was over, 127 or 126 without a PROGRAM that can be executed, 255 otherwise.\n"
	         "\n",
	.options = options,
	.one_dash = 1,
};

struct run {
	struct run_options options;
	struct placing placing;
	struct program program;
	struct nodes nodes;
	int64_t time_limit;
	sigset_t ignored;
	char **words;                           /* the program and its arguments */
};

/* ---- checking ------------------------------------------------------------------------------------------- */

static int check_words(struct run *run)
{
	const struct run_options *o = &run->options;
	const struct placing_words words = { o->copies, o->per_node, o->map_by, o->bind_to, o->cpus };

	if (placing_read(&run->placing, &words, NAME) < 0)
		return CLI_FAILED;
	if (o->time_limit && (amount_duration(o->time_limit, &run->time_limit) < 0 || !run->time_limit))
		return cli_fail(NAME, "--time-limit %s is not a time such as 30, 1.5s, 5m, 1h30m or 2d", o->time_limit);
	if (o->mpi && strcmp(o->mpi, "yes") != 0 && strcmp(o->mpi, "no") != 0)
		return cli_fail(NAME, "--mpi %s: write yes or no", o->mpi);
	if (o->mpi_env && strcmp(o->mpi_env, "keep") != 0)
		return cli_fail(NAME, "--mpi-env %s: write keep", o->mpi_env);
	return 0;
}

/* On other nodes the first rank has found it good, and what is wrong there the escort says. */
static int check_program(struct run *run)
{
	const struct run_options *o = &run->options;
	int r = program_find(&run->program, run->words[0], NAME);

	if (r)
		return r;
	program_examine(&run->program);
	if (o->mpi && strcmp(o->mpi, "no") == 0 && run->program.kind == PROGRAM_MPI)
		run->program.kind = PROGRAM_PLAIN;
	if (o->mpi && strcmp(o->mpi, "yes") == 0)
		run->program.kind = PROGRAM_MPI;
	if (run->program.kind == PROGRAM_MPI && o->keep_going)
		return cli_fail(NAME, "--keep-going: %s is an MPI program, of which no process goes on when one has failed",
		                run->words[0]);
	if (run->program.kind == PROGRAM_POOL && (o->bind_to || o->map_by || o->tag || o->report))
		return cli_fail(NAME, "%s: %s uses librankpool and starts its workers itself; -n says how many",
		                o->bind_to ? "--bind-to" : o->map_by ? "--map-by" : o->tag ? "--tag" : "--report-bindings",
		                run->words[0]);
	return 0;
}

static void find_ignored(sigset_t *ret)
{
	struct sigaction action;

	sigemptyset(ret);
	for (int s = 1; s < NSIG; s++)
		/* A shell that starts something in the background has it ignore these two; but what comes is passed on. */
		if (s != SIGINT && s != SIGQUIT && sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			sigaddset(ret, s);
}

/* ---- one of several ways -------------------------------------------------------------------------------- */

/* Through mpirun: with other nodes, and for MPI programs on this one. */
static int run_through_mpirun(struct run *run, int argc, char **argv)
{
	const enum program_kind kind = run->program.kind;
	struct front front = { .name = NAME, .nodes = &run->nodes, .as_root = run->options.as_root, .reads_input = 1 };
	struct shares shares;
	char **words;
	int r;

	if (kind == PROGRAM_POOL && !run->program.calls_init)
		return cli_fail(NAME, "%s does not call rp_init, so that it has no other nodes than its own", run->words[0]);
	if (shares_make(&shares, &run->placing, &run->nodes, kind == PROGRAM_MPI, NAME) < 0)
		return CLI_FAILED;
	front.by_slot = shares.by_slot;
	rank_tell(kind, shares.copies, &run->nodes.hosts);
	if (kind != PROGRAM_PLAIN)
		front.time_limit = run->time_limit;
	if (kind == PROGRAM_MPI) {
		front.is_program = 1;
		front.family = run->program.family;
		front.oversubscribed = shares.oversubscribed;
	}
	words = resized(NULL, (size_t)argc + 2, sizeof *words);
	words[0] = "rankpool";
	memcpy(words + 1, argv, ((size_t)argc + 1) * sizeof *words);
	r = front_run(&front, words);
	free(words);
	return r;
}

static struct escort make_escort(const struct run *run)
{
	return (struct escort){ .name = NAME,
		                .path = run->program.path,
		                .words = run->words,
		                .lock = -1,
		                .tagged = run->options.tag,
		                .keep_mpi = run->options.mpi_env != NULL,
		                .ignored = run->ignored };
}

static int run_copies(const struct run *run, int is_pool)
{
	struct escort escort = make_escort(run);
	const struct copies copies = { .name = NAME, .escort = &escort, .placing = is_pool ? NULL : &run->placing,
		                       .workers = run->placing.copies, .keep_going = run->options.keep_going,
		                       .report = run->options.report, .time_limit = run->time_limit };

	escort.unranked = is_pool;
	return copies_run(&copies);
}

/* Nobody is needed beside it. */
static int become_pool_program(const struct run *run)
{
	struct escort escort = make_escort(run);

	escort.keep_mpi = 1;
	if (run->placing.cpus && rank_bind_to(run->placing.cpus, NAME) < 0)
		return CLI_FAILED;
	execve(run->program.path, run->words, (char *const *)escort_environment(&escort, NULL, (int)run->placing.copies));
	cli_say(NAME, "cannot execute %s: %s", run->program.path, strerror(errno));
	return PROGRAM_NOT_EXECUTABLE;
}

/* In a process that an mpirun has started: our own, or the user's. */
static int run_rank(struct run *run)
{
	const enum program_kind kind = rank_told(run->program.kind, &run->placing);
	struct escort escort = make_escort(run);
	const struct rank_wish wish = { NAME, &run->placing, &escort, run->options.report };

	escort.keep_mpi = 1;
	if (kind == PROGRAM_MPI)
		return rank_become(&wish);
	return kind == PROGRAM_POOL ? become_pool_program(run) : run_copies(run, 0);
}

static int run_here(struct run *run)
{
	if (run->program.kind == PROGRAM_POOL && !run->time_limit)
		return become_pool_program(run);
	return run_copies(run, run->program.kind == PROGRAM_POOL);
}

/* Slots of this node that were said, by the command line or by a scheduler, count as on any other. */
static int share_here(struct run *run)
{
	struct shares shares;

	if (!run->nodes.hosts.count && !run->placing.per_node)
		return 0;
	if (shares_make(&shares, &run->placing, &run->nodes, 0, NAME) < 0)
		return CLI_FAILED;
	if (!run->placing.per_object)
		run->placing.copies = shares.copies;
	return 0;
}

static int start(struct run *run, int argc, char **argv)
{
	int r = check_words(run);

	if (!r && (!allocation_is_rank() || handover_is_first()))
		r = check_program(run);
	else if (!r)
		run->program.path = rank_find_program(run->words[0]);
	if (r)
		return r;
	if (nodes_find(&run->nodes, &run->options.hosts, &run->options.hostfiles, NAME) < 0)
		return CLI_FAILED;
	if (allocation_is_rank())
		return run_rank(run);
	if (nodes_are_remote(&run->nodes) || run->program.kind == PROGRAM_MPI)
		return run_through_mpirun(run, argc, argv);
	r = share_here(run);
	return r ? r : run_here(run);
}

int run_main(int argc, char **argv)
{
	struct run run = { .time_limit = 0 };
	int word = cli_parse(&command, argc, argv, &run.options), r;

	if (word <= 0)
		return word < 0 ? CLI_FAILED : 0;
	if (word == argc)
		return cli_fail(NAME, "which program? (%s --help says more)", NAME);
	run.words = argv + word;
	find_ignored(&run.ignored);
	r = start(&run, argc, argv);
	program_free(&run.program);
	nodes_free(&run.nodes);
	free(run.options.hosts.items);
	free(run.options.hostfiles.items);
	return r;
}
