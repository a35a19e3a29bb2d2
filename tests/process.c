/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/process.c - rp_process: the catalogue of what multiprocessing.Process promises, and what is ours.
 *
 * Tests named proc_NN are entry PROC-NN of that catalogue.  Not here:
 *   01 11     there is no object for the current or the parent process
 *   07        flags belong to rp_process_new; nothing can change them later
 *   22        rp_cpu_count belongs to the run time
 *   27        a freed handle is gone: there is no closed state to refuse calls in
 *   32        C has no threads that a process waits for by itself: those that a target has not joined end with it
 *   34        a server that forks for others is the supervisor's test
 *   35        a target and its argument are all there is to subclass; 02 has them
 *   50 51     interpreters only */
#include "process.h"

#include "children.h"
#include "context.h"
#include "error.h"
#include "rankpool.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <cmocka.h>

/* 1 in tests/process_supervised.c: every program calls rp_init first, and its supervisor forks the processes. */
#ifndef SUPERVISED
#define SUPERVISED 0
#endif

#define LONG (PATIENCE * RP_SECOND)

static struct board *board;

/* ---- targets ------------------------------------------------------------------------------------------ */

static int nothing(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return 0;
}

static int give_back(const void *arg, size_t arg_size RP_UNUSED)
{
	return *(const int *)arg;
}

static int wait_for_ever(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	while (pause() < 0)
		continue;
	return 0;
}

/* Until the board's number[*arg] is set. */
static int wait_for_number(const void *arg, size_t arg_size RP_UNUSED)
{
	return WAIT_FOR(board->number[*(const int *)arg]) ? 0 : 1;
}

/* ---- short forms, also for children ------------------------------------------------------------------- */

/* First thing in every program. */
static void init(void)
{
	if (SUPERVISED)
		must(rp_init(NULL, NULL, RP_FATAL) == 0);
}

/* An orphan was killed: as a child of this process, the subreaper of its descendants, or of the supervisor. */
static int was_killed(pid_t pid)
{
	return SUPERVISED ? WAIT_FOR(is_gone(pid)) : code_of(pid) == -SIGKILL;
}

static struct rp_process *make(const struct rp_process_options *options)
{
	struct rp_process *process;
	struct rp_error err;

	if (rp_process_new(&process, options, &err) < 0) {
		dprintf(STDERR_FILENO, "# %s\n", err.text);
		abort();
	}
	return process;
}

static struct rp_process *start(const struct rp_process_options *options)
{
	struct rp_process *process = make(options);
	struct rp_error err;

	if (rp_process_start(process, &err) < 0) {
		dprintf(STDERR_FILENO, "# %s\n", err.text);
		abort();
	}
	return process;
}

/* Joins, frees and returns the exit code. */
static int finish(struct rp_process *process)
{
	int code;

	must(rp_process_join(process, LONG) == 0);
	code = rp_process_exitcode(process);
	rp_process_free(process);
	return code;
}

static int run(const struct rp_process_options *options)
{
	return finish(start(options));
}

static int readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

/* ---- arguments and options ---------------------------------------------------------------------------- */

static int add_up(const void *arg, size_t arg_size)
{
	const unsigned char *bytes = arg;
	unsigned sum = 0;

	for (size_t i = 0; i < arg_size; i++)
		sum = (sum * 31 + bytes[i]) & 0xffffff;
	board->number[0] = (int)sum;
	board->number[1] = arg_size > 1000000 ? -1 : (int)arg_size;
	return arg == NULL;
}

static void proc_02_argument_reaches_the_child_unchanged(void **state RP_UNUSED)
{
	const size_t sizes[] = { 1, 7, 4096, 3000000 };
	unsigned char *bytes = malloc(sizes[3]);
	struct rp_process *process;
	unsigned sum;

	for (int i = 0; i < 4; i++) {
		sum = 0;
		for (size_t k = 0; k < sizes[i]; k++) {
			bytes[k] = (unsigned char)(k * 7 + k / 256);
			sum = (sum * 31 + bytes[k]) & 0xffffff;
		}
		process = make(RP_PROCESS(.target = add_up, .arg = bytes, .arg_size = sizes[i]));
		memset(bytes, 0, sizes[i]);             /* the copy is made by rp_process_new */
		assert_int_equal(rp_process_start(process, NULL), 0);
		assert_int_equal(finish(process), 0);
		assert_int_equal(board->number[0], sum);
		assert_int_equal(board->number[1], sizes[i] > 1000000 ? -1 : (int)sizes[i]);
	}
	free(bytes);
	assert_int_equal(run(RP_PROCESS(.target = add_up)), 1);
	assert_int_equal(run(RP_PROCESS(.target = add_up, RP_ARG_TEXT("text"))), 0);
	assert_int_equal(board->number[1], 5);
}

static void refuse(const struct rp_process_options *options, int code, const char *word)
{
	struct rp_process *process = (struct rp_process *)board;
	struct rp_error err = { 0 };

	assert_int_equal(rp_process_new(&process, options, &err), code);
	assert_null(process);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" does not say \"%s\"", err.text, word);
	assert_int_equal(rp_process_new(&process, options, NULL), code);
}

static void options_that_make_no_sense_are_refused(void **state RP_UNUSED)
{
	struct {
		struct rp_process_options known;
		uint64_t unknown;
	} newer = { .known = { .size = sizeof newer, .target = nothing } };
	struct rp_process *process;
	int x = 1;

	refuse(NULL, -EINVAL, "target");
	refuse(RP_PROCESS(.name = "x"), -EINVAL, "target");
	refuse(&(struct rp_process_options){ .target = nothing }, -EINVAL, "size");
	refuse(RP_PROCESS(.target = nothing, .kind = 2), -EINVAL, "kind");
	refuse(RP_PROCESS(.target = nothing, .flags = RP_LOCAL), -EINVAL, "RP_LOCAL");
	refuse(RP_PROCESS(.target = nothing, .flags = 1u << 30), -EINVAL, "0x40000000");
	refuse(RP_PROCESS(.target = nothing, .node = 1), -EINVAL, "there is one node");
	refuse(RP_PROCESS(.target = nothing, .node = -1), -EINVAL, "there is one node");
	refuse(RP_PROCESS(.target = nothing, .reserved = 1), -EINVAL, "reserved");
	refuse(RP_PROCESS(.target = nothing, .arg = &x), -EINVAL, "size 0");
	refuse(RP_PROCESS(.target = nothing, .arg_size = 4), -EINVAL, "NULL");
	refuse(RP_PROCESS(.target = nothing, .bind = "nonsense:1"), -EINVAL, "nonsense");
	refuse(RP_PROCESS(.target = nothing, .arg = &x, .arg_size = SIZE_MAX / 2), -ENOMEM, "memory");
	assert_int_equal(rp_process_new(NULL, RP_PROCESS(.target = nothing), NULL), -EINVAL);
	assert_int_equal(rp_process_new(&process, &newer.known, NULL), 0);
	rp_process_free(process);
	newer.unknown = 1;
	refuse(&newer.known, -E2BIG, "version");
}

static void no_handle_is_refused(void **state RP_UNUSED)
{
	struct rp_error err;

	assert_int_equal(rp_process_start(NULL, &err), -EINVAL);
	assert_int_equal(rp_process_join(NULL, 0), -EINVAL);
	assert_int_equal(rp_process_is_alive(NULL), -EINVAL);
	assert_int_equal(rp_process_pid(NULL), -EINVAL);
	assert_int_equal(rp_process_sentinel(NULL), -EINVAL);
	assert_int_equal(rp_process_terminate(NULL), -EINVAL);
	assert_int_equal(rp_process_kill(NULL), -EINVAL);
	assert_int_equal(rp_process_exitcode(NULL), RP_UNKNOWN);
	assert_null(rp_process_name(NULL));
	assert_null(rp_process_free(NULL));
}

static int note_cpus(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	return CPU_EQUAL(&set, (cpu_set_t *)board->text) ? 0 : 2;
}

static void bind_is_where_it_runs(void **state RP_UNUSED)
{
	cpu_set_t before, after;
	struct place place;

	CPU_ZERO(&before);
	sched_getaffinity(0, sizeof before, &before);
	assert_int_equal(topology_locate(topology_here(NULL), "pu:0", &place, NULL), 0);
	memcpy(board->text, place.cpus, sizeof(cpu_set_t));
	assert_int_equal(CPU_COUNT((cpu_set_t *)board->text), 1);
	assert_int_equal(run(RP_PROCESS(.target = note_cpus, .bind = "pu:0")), 0);
	assert_int_equal(run(RP_THREAD(.target = note_cpus, .bind = "pu:0")), 0);
	CPU_ZERO(&after);
	sched_getaffinity(0, sizeof after, &after);
	assert_true(CPU_EQUAL(&before, &after));
	memcpy(board->text, &before, sizeof before);
	assert_int_equal(run(RP_PROCESS(.target = note_cpus)), 0);
}

/* ---- life --------------------------------------------------------------------------------------------- */

static int note_identity(const void *arg, size_t arg_size)
{
	board->pid[0] = getpid();
	board->pid[1] = getppid();
	board->pid[2] = gettid();
	snprintf(board->text, sizeof board->text, "%s", context_get()->name);
	return wait_for_number(arg, arg_size);
}

static void proc_03_full_life_cycle(void **state RP_UNUSED)
{
	const int go = 9;
	struct rp_process *process = make(RP_PROCESS(.target = note_identity, RP_ARG(go), .name = "some name"));

	board->number[go] = 0;
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_process_exitcode(process), RP_NOT_STARTED);
	assert_int_equal(rp_active_children(), 0);
	assert_int_equal(rp_process_start(process, NULL), 0);
	assert_int_equal(rp_process_exitcode(process), RP_RUNNING);
	assert_int_equal(rp_process_is_alive(process), 1);
	assert_int_equal(rp_active_children(), 1);
	board->number[go] = 1;
	assert_int_equal(rp_process_join(process, RP_FOREVER), 0);
	assert_int_equal(board->pid[0], rp_process_pid(process));
	assert_string_equal(board->text, "some name");
	assert_int_equal(rp_process_exitcode(process), 0);
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_active_children(), 0);
	assert_string_equal(rp_process_name(process), "some name");
	assert_null(rp_process_free(process));
}

static void proc_04_active_children_are_those_that_run(void **state RP_UNUSED)
{
	struct rp_process *processes[70];

	for (int i = 0; i < 70; i++) {
		processes[i] = start(RP_PROCESS(.target = wait_for_ever));
		assert_int_equal(rp_active_children(), i + 1);
	}
	for (int i = 0; i < 70; i++) {
		assert_int_equal(rp_process_kill(processes[i * 3 % 70]), 0);
		assert_int_equal(finish(processes[i * 3 % 70]), -SIGKILL);
		assert_int_equal(rp_active_children(), 69 - i);
	}
}

static void reap_by_is_alive(struct rp_process *process)
{
	assert_int_equal(rp_process_is_alive(process), 0);
}

static void reap_by_exitcode(struct rp_process *process)
{
	assert_int_equal(rp_process_exitcode(process), 0);
}

static void reap_by_join(struct rp_process *process)
{
	assert_int_equal(rp_process_join(process, 0), 0);
}

static void reap_by_active_children(struct rp_process *process RP_UNUSED)
{
	assert_int_equal(rp_active_children(), 0);
}

static void reap_by_start(struct rp_process *process RP_UNUSED)
{
	assert_int_equal(run(RP_PROCESS(.target = nothing)), 0);
}

/* And nobody else: the program's own children are its own to wait for. */
static void proc_05_children_are_reaped_one_by_one(void **state RP_UNUSED)
{
	void (*const ways[])(struct rp_process *process) = { reap_by_is_alive, reap_by_exitcode, reap_by_join,
		                                             reap_by_active_children, reap_by_start };
	struct rp_process *process;
	pid_t pid, own = fork();

	if (own == 0)
		_exit(42);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		process = start(RP_PROCESS(.target = nothing));
		pid = rp_process_pid(process);
		assert_true(WAIT_FOR(readable(rp_process_sentinel(process))));
		assert_true(is_gone(pid));
		ways[i](process);
		assert_true(WAIT_FOR(process_state(pid) == 0));
		assert_int_equal(finish(process), 0);
	}
	assert_int_equal(code_of(own), 42);
}

static int note_thread(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return getpid() == gettid() && context_get()->pid == getpid() ? 0 : 1;
}

static void proc_13_main_thread_is_a_new_one(void **state RP_UNUSED)
{
	assert_int_equal(run(RP_PROCESS(.target = note_thread)), 0);
}

static void proc_14_join_with_0_polls(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = wait_for_ever));
	double begun = now();

	assert_int_equal(rp_process_join(process, 0), -ETIMEDOUT);
	assert_int_equal(rp_process_join(process, RP_MILLISECOND * 20), -ETIMEDOUT);
	assert_true(now() - begun >= 0.02);
	assert_int_equal(rp_process_is_alive(process), 1);
	rp_process_kill(process);
	assert_int_equal(finish(process), -SIGKILL);
}

static void proc_15_join_may_be_repeated(void **state RP_UNUSED)
{
	const int code = 5;
	struct rp_process *process = start(RP_PROCESS(.target = give_back, RP_ARG(code)));

	for (int i = 0; i < 3; i++) {
		assert_int_equal(rp_process_join(process, i ? 0 : RP_FOREVER), 0);
		assert_int_equal(rp_process_exitcode(process), 5);
	}
	rp_process_free(process);
}

/* ---- signals and ends --------------------------------------------------------------------------------- */

static void proc_16_terminate_is_sigterm(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = wait_for_ever));

	assert_int_equal(rp_process_terminate(process), 0);
	assert_int_equal(rp_process_join(process, LONG), 0);
	assert_int_equal(rp_process_exitcode(process), -SIGTERM);
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_active_children(), 0);
	assert_int_equal(rp_process_join(process, RP_FOREVER), 0);
	rp_process_free(process);
}

static void proc_17_kill_is_sigkill(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = wait_for_ever));

	assert_int_equal(rp_process_kill(process), 0);
	assert_int_equal(finish(process), -SIGKILL);
}

static int raise_signal(const void *arg, size_t arg_size RP_UNUSED)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	raise(*(const int *)arg);
	return 77;
}

static int stop_first(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	raise(SIGSTOP);
	return 3;
}

static void proc_18_exitcode_tells_the_signal(void **state RP_UNUSED)
{
	const int signals[] = { SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGUSR1, SIGPIPE, SIGALRM, SIGRTMIN, SIGINT };
	struct rp_process *process;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		assert_int_equal(run(RP_PROCESS(.target = raise_signal, RP_ARG(signals[i]))), -signals[i]);
	process = start(RP_PROCESS(.target = stop_first));
	assert_true(WAIT_FOR(process_state(rp_process_pid(process)) == 'T'));
	assert_int_equal(rp_process_join(process, 0), -ETIMEDOUT);
	assert_int_equal(rp_process_exitcode(process), RP_RUNNING);
	kill(rp_process_pid(process), SIGCONT);
	assert_int_equal(finish(process), 3);
}

static void proc_19_signals_after_the_end_do_nothing(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = nothing));

	assert_true(WAIT_FOR(is_gone(rp_process_pid(process))));
	assert_int_equal(rp_process_terminate(process), 0);     /* not reaped yet */
	assert_int_equal(rp_process_join(process, LONG), 0);
	assert_int_equal(rp_process_terminate(process), 0);
	assert_int_equal(rp_process_kill(process), 0);
	assert_int_equal(rp_process_exitcode(process), 0);
	rp_process_free(process);
}

static void proc_20_signals_before_the_start_are_refused(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = nothing));

	assert_int_equal(rp_process_terminate(process), -EINVAL);
	assert_int_equal(rp_process_kill(process), -EINVAL);
	rp_process_free(process);
}

/* The orphan is the program's own affair. */
static int fork_and_wait(const void *arg, size_t arg_size)
{
	pid_t pid = fork();

	if (pid == 0)
		wait_for_ever(NULL, 0);
	board->pid[0] = pid;
	return wait_for_ever(arg, arg_size);
}

static void proc_21_terminate_leaves_forked_grandchildren(void **state RP_UNUSED)
{
	struct rp_process *process;

	board->pid[0] = 0;
	process = start(RP_PROCESS(.target = fork_and_wait));
	assert_true(WAIT_FOR(board->pid[0]));
	rp_process_terminate(process);
	assert_int_equal(finish(process), -SIGTERM);
	assert_false(is_gone(board->pid[0]));
	assert_int_equal(kill(board->pid[0], SIGKILL), 0);
	assert_true(was_killed(board->pid[0]));
}

static int fail_with_words(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	fputs("no such luck\n", stdout);
	return 1;
}

static void run_failing(void)
{
	init();
	printf(" %d", run(RP_PROCESS(.target = fail_with_words)));
}

/* What there is to say the target says: the library prints nothing. */
static void proc_36_failure_is_a_code_and_the_targets_own_words(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said(run_failing, text, sizeof text), 0);
	assert_string_equal(text, "no such luck\n 1");
}

static int exit_with(const void *arg, size_t arg_size RP_UNUSED)
{
	exit(*(const int *)arg);
}

static int quick_exit_with(const void *arg, size_t arg_size RP_UNUSED)
{
	_exit(*(const int *)arg);
}

static void *exit_in_thread(void *arg)
{
	exit(*(int *)arg);
}

static int exit_from_thread(const void *arg, size_t arg_size)
{
	pthread_t thread;
	int code = *(const int *)arg;

	must(pthread_create(&thread, NULL, exit_in_thread, &code) == 0);
	return wait_for_ever(arg, arg_size);
}

static int leave_main_thread(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	pthread_exit(NULL);
}

static void proc_37_ways_to_exit(void **state RP_UNUSED)
{
	rp_target *const targets[] = { give_back, exit_with, quick_exit_with, exit_from_thread };
	const int codes[] = { 0, 1, 8, 255, 256, -1 };

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
			assert_int_equal(run(RP_PROCESS(.target = targets[i], RP_ARG(codes[k]))), codes[k] & 255);
#ifndef __SANITIZE_THREAD__             /* which has a thread of its own: this is not the last */
	assert_int_equal(run(RP_PROCESS(.target = leave_main_thread)), 0);
#endif
}

static void proc_44_signals_do_not_end_a_join(void **state RP_UNUSED)
{
	const struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct rp_process *process = start(RP_PROCESS(.target = wait_for_ever));
	double begun;

	setitimer(ITIMER_REAL, &every, NULL);
	begun = now();
	assert_int_equal(rp_process_join(process, RP_SECOND / 10), -ETIMEDOUT);
	assert_true(now() - begun >= 0.1);
	rp_process_terminate(process);
	assert_int_equal(rp_process_join(process, RP_FOREVER), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(rp_process_exitcode(process), -SIGTERM);
	rp_process_free(process);
}

static void proc_52_an_end_that_somebody_else_took_is_unknown(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = nothing));

	if (SUPERVISED) {
		assert_int_equal(waitpid(rp_process_pid(process), NULL, 0), -1);
		assert_int_equal(finish(process), 0);
		return;
	}
	assert_int_equal(waitpid(rp_process_pid(process), NULL, 0), rp_process_pid(process));
	assert_int_equal(rp_process_join(process, RP_FOREVER), 0);
	assert_int_equal(rp_process_exitcode(process), RP_UNKNOWN);
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_process_kill(process), 0);
	rp_process_free(process);
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 10; i++)
		assert_int_equal(run(RP_PROCESS(.target = nothing)), RP_UNKNOWN);
	signal(SIGCHLD, SIG_DFL);
}

/* ---- the family --------------------------------------------------------------------------------------- */

static int note_daemon(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return context_get()->is_daemon;
}

static int run_nested(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return run(RP_PROCESS(.target = note_daemon));
}

static void proc_06_daemons_children_are_daemons(void **state RP_UNUSED)
{
	assert_int_equal(run(RP_PROCESS(.target = note_daemon)), 0);
	assert_int_equal(run(RP_PROCESS(.target = note_daemon, .flags = RP_DAEMON)), 1);
	assert_int_equal(run(RP_PROCESS(.target = run_nested)), 0);
	assert_int_equal(run(RP_PROCESS(.target = run_nested, .flags = RP_DAEMON)), 1);
}

/* Unlike in Python: a pool or a process in a pool's task is of use. */
static void proc_08_daemons_may_have_children(void **state RP_UNUSED)
{
	assert_int_equal(run(RP_PROCESS(.target = run_nested, .flags = RP_DAEMON)), 1);
}

static int number_after_a_while(const void *arg, size_t arg_size RP_UNUSED)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	board->number[*(const int *)arg] = 1;
	return 0;
}

static int note_sigterm_and_end(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	sigset_t term;
	int signal = 0;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	board->number[10] = 1;
	sigwait(&term, &signal);
	board->number[11] = signal;
	return 0;
}

/* Handles that a program has when it exits. */
static struct rp_process *kept[8];

static void start_and_exit(void)
{
	const int first = 0, second = 1, third = 2;

	init();
	rp_process_free(start(RP_PROCESS(.target = number_after_a_while, RP_ARG(first))));
	kept[0] = start(RP_PROCESS(.target = number_after_a_while, RP_ARG(second)));
	kept[1] = start(RP_THREAD(.target = number_after_a_while, RP_ARG(third)));
	kept[2] = start(RP_PROCESS(.target = note_sigterm_and_end, .flags = RP_DAEMON));
	kept[3] = start(RP_PROCESS(.target = wait_for_ever, .flags = RP_DAEMON));
	board->pid[0] = rp_process_pid(kept[2]);
	board->pid[1] = rp_process_pid(kept[3]);
	must(WAIT_FOR(board->number[10]));
	exit(3);
}

static void proc_09_exit_joins_processes_and_terminates_daemons(void **state RP_UNUSED)
{
	memset(board, 0, sizeof *board);
	assert_int_equal(code_of(begin(start_and_exit)), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(board->number[i], 1);
	assert_int_equal(board->number[11], SIGTERM);
	assert_int_equal(process_state(board->pid[0]), 0);
	assert_int_equal(process_state(board->pid[1]), 0);
}

static int ignore_sigterm(const void *arg, size_t arg_size)
{
	signal(SIGTERM, SIG_IGN);
	board->number[0] = 1;
	return wait_for_ever(arg, arg_size);
}

static void exit_with_a_stubborn_daemon(void)
{
	init();
	kept[0] = start(RP_PROCESS(.target = ignore_sigterm, .flags = RP_DAEMON));
	board->pid[0] = rp_process_pid(kept[0]);
	rp_process_free(start(RP_PROCESS(.target = stop_first, .flags = RP_DAEMON)));
	must(WAIT_FOR(board->number[0]));
	exit(4);
}

static void trap_08_a_daemon_that_ignores_sigterm_is_killed(void **state RP_UNUSED)
{
	board->number[0] = 0;
	assert_int_equal(code_of(begin(exit_with_a_stubborn_daemon)), 4);
	assert_int_equal(process_state(board->pid[0]), 0);
}

static int start_child_and_return(const void *arg, size_t arg_size RP_UNUSED)
{
	const int slot = 0;

	kept[0] = start(RP_PROCESS(.target = number_after_a_while, RP_ARG(slot)));
	kept[1] = start(RP_PROCESS(.target = wait_for_ever, .flags = RP_DAEMON));
	board->pid[0] = rp_process_pid(kept[1]);
	if (*(const int *)arg)
		exit(6);
	return 6;
}

static void proc_10_the_end_of_a_target_is_an_exit_too(void **state RP_UNUSED)
{
	for (int by_exit = 0; by_exit < 2; by_exit++) {
		board->number[0] = 0;
		assert_int_equal(run(RP_PROCESS(.target = start_child_and_return, RP_ARG(by_exit))), 6);
		assert_int_equal(board->number[0], 1);
		assert_int_equal(process_state(board->pid[0]), 0);
	}
}

/* Pids of a chain of processes, each the child of the one before, go to the board. */
static int nest(const void *arg, size_t arg_size RP_UNUSED)
{
	int depth = *(const int *)arg, next = depth - 1;

	board->pid[depth] = getpid();
	if (depth == 0)
		board->number[0] = 1;
	else
		start(RP_PROCESS(.target = nest, RP_ARG(next)));
	return wait_for_ever(NULL, 0);
}

static void proc_12_grandchildren_end_with_their_parent(void **state RP_UNUSED)
{
	const int depth = 3;
	struct rp_process *process;

	board->number[0] = 0;
	process = start(RP_PROCESS(.target = nest, RP_ARG(depth)));
	assert_true(WAIT_FOR(board->number[0]));
	for (int i = 0; i < depth; i++)
		assert_false(is_gone(board->pid[i]));
	rp_process_terminate(process);
	assert_int_equal(finish(process), -SIGTERM);
	for (int i = 0; i < depth; i++)
		assert_true(was_killed(board->pid[i]));
}

struct id {
	int length, digits[2];
};

static int say_id_and_go_on(const void *arg, size_t arg_size RP_UNUSED)
{
	struct id id = *(const struct id *)arg;

	printf("[");
	for (int i = 0; i < id.length; i++)
		printf(i ? " %d" : "%d", id.digits[i]);
	printf("] ");
	for (int i = 0; id.length < 2 && i < 2; i++) {
		struct id next = id;

		next.digits[next.length++] = i;
		must(run(RP_PROCESS(.target = say_id_and_go_on, RP_ARG(next))) == 0);
	}
	return 0;
}

static void say_all_ids(void)
{
	const struct id empty = { 0 };

	init();
	must(run(RP_PROCESS(.target = say_id_and_go_on, RP_ARG(empty))) == 0);
}

static void proc_23_nested_processes_run_in_order(void **state RP_UNUSED)
{
	char text[200];

	assert_int_equal(said(say_all_ids, text, sizeof text), 0);
	assert_string_equal(text, "[] [0] [0 0] [0 1] [1] [1 0] [1 1] ");
}

static void proc_24_no_sentinel_before_the_start(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = nothing));

	assert_int_equal(rp_process_sentinel(process), -EINVAL);
	rp_process_free(process);
}

static void check_sentinel(const struct rp_process_options *options, int slot)
{
	struct rp_process *process;
	int fd;

	board->number[slot] = 0;
	process = start(options);
	fd = rp_process_sentinel(process);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_false(readable(fd));
	board->number[slot] = 1;
	assert_true(WAIT_FOR(readable(fd)));
	/* What can be polled can be asked. */
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_process_exitcode(process), 0);
	assert_int_equal(rp_process_join(process, 0), 0);
	assert_int_equal(rp_process_sentinel(process), fd);
	assert_true(readable(fd));
	rp_process_free(process);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void proc_25_sentinel_polls_readable_from_the_end_on(void **state RP_UNUSED)
{
	const int slot = 3;

	check_sentinel(RP_PROCESS(.target = wait_for_number, RP_ARG(slot)), slot);
	check_sentinel(RP_THREAD(.target = wait_for_number, RP_ARG(slot)), slot);
}

/* Python refuses to close it; here the handle goes and the process goes on. */
static void proc_26_a_freed_process_goes_on_and_is_reaped(void **state RP_UNUSED)
{
	const int slot = 0;
	struct rp_process *process;
	pid_t pid;

	board->number[slot] = 0;
	process = start(RP_PROCESS(.target = wait_for_number, RP_ARG(slot)));
	pid = rp_process_pid(process);
	assert_null(rp_process_free(process));
	assert_int_equal(rp_active_children(), 1);
	assert_false(is_gone(pid));
	board->number[slot] = 1;
	assert_true(WAIT_FOR(rp_active_children() == 0));
	assert_true(WAIT_FOR(process_state(pid) == 0));
}

static void proc_28_free_without_a_start(void **state RP_UNUSED)
{
	const int x = 1;

	assert_null(rp_process_free(make(RP_PROCESS(.target = give_back, RP_ARG(x), .name = "never"))));
	assert_null(rp_process_free(make(RP_THREAD(.target = give_back, RP_ARG(x)))));
}

/* ---- many --------------------------------------------------------------------------------------------- */

#define MANY 1000

static void start_many(struct rp_process **processes, int count, rp_target *target)
{
	for (int i = 0; i < count; i++) {
		const int code = i & 255;

		processes[i] = start(RP_PROCESS(.target = target, RP_ARG(code)));
	}
}

static void proc_29_many_processes_at_once(void **state RP_UNUSED)
{
	struct rp_process *processes[100];

	start_many(processes, 100, give_back);
	for (int i = 0; i < 100; i++)
		assert_int_equal(finish(processes[i]), i);
	/* The signal may come before the child has begun. */
	for (int round = 0; round < 2; round++) {
		start_many(processes, 100, wait_for_ever);
		for (int i = 0; i < 100; i++)
			assert_int_equal(rp_process_terminate(processes[i]), 0);
		for (int i = 0; i < 100; i++)
			assert_int_equal(finish(processes[i]), -SIGTERM);
	}
}

static void proc_29_a_thousand_processes_at_once(void **state RP_UNUSED)
{
	struct rp_process **processes = calloc(MANY, sizeof *processes);
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < MANY + 100) {
		printf("# only %lu descriptors are allowed\n", (unsigned long)limit.rlim_cur);
		free(processes);
		skip();
	}
	start_many(processes, MANY, wait_for_ever);
	assert_int_equal(rp_active_children(), MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(rp_process_kill(processes[i]), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(finish(processes[i]), -SIGKILL);
	assert_int_equal(rp_active_children(), 0);
	free(processes);
}

static void cycle(int cycles)
{
	for (int i = 0; i < cycles; i++)
		assert_int_equal(run(i % 10 ? RP_PROCESS(.target = give_back, RP_ARG(i), .name = i % 3 ? NULL : "x")
		                            : RP_THREAD(.target = give_back, RP_ARG(i))), i & 255);
}

static void proc_30_start_and_join_leak_nothing(void **state RP_UNUSED)
{
	size_t used;
	int fds;

	cycle(100);
	used = mallinfo2().uordblks;
	fds = count_fds();
	cycle(10000);
	assert_int_equal(count_fds(), fds);
	assert_true(mallinfo2().uordblks < used + 4096);
}

static int count_own_fds(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return count_fds();
}

static void proc_31_siblings_are_not_inherited(void **state RP_UNUSED)
{
	int before = count_fds(), first;
	struct rp_process *siblings[10];

	first = run(RP_PROCESS(.target = count_own_fds));
	for (int i = 0; i < 10; i++) {
		siblings[i] = i % 3 ? start(RP_PROCESS(.target = wait_for_ever)) : start(RP_THREAD(.target = nothing));
		assert_int_equal(run(RP_PROCESS(.target = count_own_fds)), first);
	}
	for (int i = 0; i < 10; i++) {
		rp_process_kill(siblings[i]);
		finish(siblings[i]);
	}
	assert_int_equal(count_fds(), before);
}

/* ---- what a child finds ------------------------------------------------------------------------------- */

static int close_output(const void *arg, size_t arg_size RP_UNUSED)
{
	int way = *(const int *)arg, ends[2];

	if (way != 1)
		printf("lost");
	if (way == 0) {
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	} else if (way == 1) {
		fclose(stdout);
		fclose(stderr);
	} else if (way == 2) {
		must(pipe(ends) == 0);
		close(ends[0]);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
	} else if (way == 3) {
		dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		dup2(STDOUT_FILENO, STDERR_FILENO);
	}
	return 0;
}

/* In the parent, before the start; then in the child as well. */
static void start_without_output(void)
{
	int way = board->number[0];

	if (way == 0) {
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	} else if (way == 1) {
		fclose(stdout);
		fclose(stderr);
	} else {
		close(STDOUT_FILENO);
	}
	init();
	for (int i = 0; i < 4; i++) {
		board->number[1] += run(RP_PROCESS(.target = close_output, RP_ARG(i))) != 0;
		board->number[1] += run(RP_THREAD(.target = nothing)) != 0;
		if (way != 1)
			printf("lost");
	}
	board->number[2] = 1;
}

static void proc_33_broken_output_changes_no_code(void **state RP_UNUSED)
{
	for (int way = 0; way < 4; way++)
		assert_int_equal(run(RP_PROCESS(.target = close_output, RP_ARG(way))), 0);
	for (int way = 0; way < 3; way++) {
		memset(board, 0, sizeof *board);
		board->number[0] = way;
		assert_int_equal(code_of(begin(start_without_output)), 0);
		assert_int_equal(board->number[2], 1);
		assert_int_equal(board->number[1], 0);
	}
}

static void proc_38_a_process_starts_once(void **state RP_UNUSED)
{
	struct rp_process *process = start(RP_PROCESS(.target = wait_for_ever, .name = "single"));
	struct rp_error err;

	assert_int_equal(rp_process_start(process, &err), -EINVAL);
	assert_non_null(strstr(err.text, "single"));
	assert_int_equal(rp_active_children(), 1);
	rp_process_kill(process);
	assert_int_equal(rp_process_join(process, RP_FOREVER), 0);
	assert_int_equal(rp_process_start(process, &err), -EINVAL);
	assert_int_equal(rp_process_exitcode(process), -SIGKILL);
	rp_process_free(process);
}

static struct rp_process *inherited[3];

static void use_inherited(void)
{
	struct rp_error err;
	int fds;

	for (int i = 0; i < 3; i++) {
		struct rp_process *p = inherited[i];

		must(rp_process_start(p, &err) == -EPERM && strstr(err.text, "heirloom"));
		must(rp_process_join(p, 0) == -EPERM && rp_process_is_alive(p) == -EPERM);
		must(rp_process_terminate(p) == -EPERM && rp_process_kill(p) == -EPERM);
		must(rp_process_sentinel(p) == -EPERM && rp_process_exitcode(p) == RP_UNKNOWN);
		must(strcmp(rp_process_name(p), "heirloom") == 0);
	}
	must(rp_active_children() == 0);
	fds = count_fds();
	for (int i = 0; i < 3; i++)
		must(rp_process_free(inherited[i]) == NULL);
	must(count_fds() == fds);
	must(run(RP_PROCESS(.target = nothing)) == 0);
}

static void proc_39_only_its_maker_may_use_it(void **state RP_UNUSED)
{
	inherited[0] = make(RP_PROCESS(.target = nothing, .name = "heirloom"));
	inherited[1] = start(RP_PROCESS(.target = wait_for_ever, .name = "heirloom"));
	inherited[2] = start(RP_THREAD(.target = nothing, .name = "heirloom"));
	assert_int_equal(code_of(begin(use_inherited)), 0);
	assert_int_equal(rp_process_is_alive(inherited[1]), 1);
	rp_process_kill(inherited[1]);
	assert_int_equal(finish(inherited[1]), -SIGKILL);
	assert_int_equal(finish(inherited[2]), 0);
	assert_int_equal(rp_process_start(inherited[0], NULL), 0);
	assert_int_equal(finish(inherited[0]), 0);
}

static void proc_40_no_join_before_the_start(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = nothing));

	assert_int_equal(rp_process_join(process, 0), -EINVAL);
	assert_int_equal(rp_process_join(process, RP_FOREVER), -EINVAL);
	assert_int_equal(rp_process_start(process, NULL), 0);
	assert_int_equal(finish(process), 0);
}

static int join_board(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	struct rp_process *self;

	must(WAIT_FOR(board->number[0]));
	memcpy(&self, board->text, sizeof self);
	return -rp_process_join(self, RP_FOREVER);
}

static void proc_41_nobody_joins_himself(void **state RP_UNUSED)
{
	struct rp_process *process;

	if (!SUPERVISED) {                      /* else a child has the memory of rp_init, without the handle */
		board->number[0] = 0;
		process = start(RP_PROCESS(.target = join_board));
		memcpy(board->text, &process, sizeof process);
		board->number[0] = 1;
		assert_int_equal(finish(process), EPERM);
	}
	board->number[0] = 0;
	process = start(RP_THREAD(.target = join_board));
	memcpy(board->text, &process, sizeof process);
	board->number[0] = 1;
	assert_int_equal(finish(process), EDEADLK);
}

static void proc_42_nothing_is_known_before_the_start(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = nothing));

	assert_int_equal(rp_process_exitcode(process), RP_NOT_STARTED);
	assert_int_equal(rp_process_pid(process), 0);
	assert_int_equal(rp_process_is_alive(process), 0);
	rp_process_free(process);
}

static int name_children(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	struct rp_process *first = make(RP_PROCESS(.target = nothing)), *second = make(RP_THREAD(.target = nothing));

	snprintf(board->text, sizeof board->text, "%s in %s, then %s", rp_process_name(first), context_get()->name,
	         rp_process_name(second));
	rp_process_free(first);
	rp_process_free(second);
	return 0;
}

static void name_them(void)
{
	struct rp_process *first = make(RP_PROCESS(.target = nothing));
	struct rp_process *same = make(RP_PROCESS(.target = nothing, .name = "x"));
	struct rp_process *third = make(RP_PROCESS(.target = name_children));
	char long_name[1000];

	init();
	must(strcmp(rp_process_name(first), "Process-1") == 0);
	must(strcmp(rp_process_name(same), "x") == 0);
	must(strcmp(rp_process_name(third), "Process-3") == 0);
	must(rp_process_start(third, NULL) == 0 && finish(third) == 0);
	must(strcmp(board->text, "Process-3:1 in Process-3, then Process-3:2") == 0);
	must(run(RP_PROCESS(.target = name_children, .name = "x")) == 0);
	must(strcmp(board->text, "x:1 in x, then x:2") == 0);
	memset(long_name, 'n', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	third = make(RP_PROCESS(.target = nothing, .name = long_name));
	must(strcmp(rp_process_name(third), long_name) == 0);
	must(rp_process_start(third, NULL) == 0 && finish(third) == 0);
	rp_process_free(first);
	rp_process_free(same);
}

static void proc_43_names(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(name_them)), 0);
}

static int read_stdin(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	char c;

	return read(STDIN_FILENO, &c, 1) == 0 ? 0 : 1;
}

static int run_reader(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	close(STDIN_FILENO);
	return run(RP_PROCESS(.target = read_stdin));
}

static void proc_45_nested_with_stdin_closed(void **state RP_UNUSED)
{
	assert_int_equal(run(RP_PROCESS(.target = run_reader)), 0);
}

static void read_beside_a_child(void)
{
	char text[10] = "";
	int ends[2];

	init();
	must(pipe(ends) == 0 && write(ends[1], "mine", 4) == 4);
	dup2(ends[0], STDIN_FILENO);
	must(run(RP_PROCESS(.target = read_stdin)) == 0);
	must(read(STDIN_FILENO, text, 9) == 4 && strcmp(text, "mine") == 0);
}

static void proc_46_stdin_is_the_null_device(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(read_beside_a_child)), 0);
}

/* What a generation leaves to the next must not grow: descriptors, and the handlers that run after a fork. */
static int go_deeper(const void *arg, size_t arg_size RP_UNUSED)
{
	int depth = *(const int *)arg, next = depth + 1;

	board->number[depth] = count_fds();
	return depth == 5 ? 0 : run(RP_PROCESS(.target = go_deeper, RP_ARG(next)));
}

static void *go_deeper_from_thread(void *arg)
{
	*(int *)arg = run(RP_PROCESS(.target = go_deeper, .arg = arg, .arg_size = sizeof(int)));
	return NULL;
}

static void proc_47_generations_add_nothing(void **state RP_UNUSED)
{
	int depth = 0;
	pthread_t thread;

	assert_int_equal(run(RP_PROCESS(.target = go_deeper, RP_ARG(depth))), 0);
	for (int i = 1; i <= 5; i++)
		assert_int_equal(board->number[i], board->number[0]);
	assert_int_equal(pthread_create(&thread, NULL, go_deeper_from_thread, &depth), 0);
	pthread_join(thread, NULL);
	assert_int_equal(depth, 0);
	for (int i = 2; i <= 5; i++)
		assert_int_equal(board->number[i], board->number[1]);
}

static int say_child(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	printf("child ");
	return 0;
}

static void say_around(void)
{
	init();
	printf("before ");
	must(run(RP_PROCESS(.target = say_child)) == 0);
	printf("between ");
	must(run(RP_PROCESS(.target = say_child)) == 0);
	printf("after");
}

static void proc_48_output_appears_once(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said(say_around, text, sizeof text), 0);
	assert_string_equal(text, "before child between child after");
}

/* A stream of the program's own with unwritten data is not written by children, however they leave. */
static void trap_05_other_streams_are_written_once(void **state RP_UNUSED)
{
	const int code = 7;
	char text[20] = "";
	int ends[2];
	FILE *file;

	assert_int_equal(pipe(ends), 0);
	file = fdopen(ends[1], "w");
	fputs("once", file);
	assert_int_equal(run(RP_PROCESS(.target = give_back, RP_ARG(code))), 7);
	assert_int_equal(run(RP_PROCESS(.target = exit_with, RP_ARG(code))), 7);
	fclose(file);
	assert_int_equal(read(ends[0], text, sizeof text - 1), 4);
	assert_string_equal(text, "once");
	close(ends[0]);
}

static void say_handler(void)
{
	printf("handler of %s ", context_get()->name[0] ? "child" : "program");
}

static int register_and_leave(const void *arg, size_t arg_size RP_UNUSED)
{
	atexit(say_handler);
	if (*(const int *)arg)
		exit(0);
	return 0;
}

static void register_and_start(void)
{
	const int by_return = 0, by_exit = 1;

	init();
	atexit(say_handler);
	must(run(RP_PROCESS(.target = register_and_leave, RP_ARG(by_return))) == 0);
	printf("1 ");
	must(run(RP_PROCESS(.target = register_and_leave, RP_ARG(by_exit))) == 0);
	printf("2 ");
}

/* A return leaves by _exit.  What a child registers itself is run when it calls exit; what it inherits never is. */
static void proc_49_inherited_exit_handlers_do_not_run(void **state RP_UNUSED)
{
	char text[200];

	assert_int_equal(said(register_and_start, text, sizeof text), 0);
	assert_string_equal(text, "1 handler of child 2 handler of program ");
}

static void count_signal(int signal RP_UNUSED)
{
	board->number[20]++;
}

static int count_strange_signals(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	struct sigaction action;
	sigset_t mask;
	int strange = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s < NSIG; s++)
		strange += sigismember(&mask, s) == 1 ||
		           (sigaction(s, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
		            sigismember(&context_get()->ignored, s) != 1);
	return strange;
}

static void trap_11_handlers_and_masks_are_not_inherited(void **state RP_UNUSED)
{
	sigset_t some, old;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &some, &old);
	signal(SIGTERM, count_signal);
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(run(RP_PROCESS(.target = count_strange_signals)), 0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int note_group(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return getpgrp() == board->pid[0] ? 0 : 1;
}

static void group_is_the_callers(void **state RP_UNUSED)
{
	board->pid[0] = getpgrp();
	assert_int_equal(run(RP_PROCESS(.target = note_group)), SUPERVISED);
}

static int note_global(const void *arg RP_UNUSED, size_t arg_size RP_UNUSED)
{
	return inherited[0] == (struct rp_process *)board ? 0 : 1;
}

static void memory_is_that_of_the_fork(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = note_global));

	inherited[0] = (struct rp_process *)board;
	assert_int_equal(rp_process_start(process, NULL), 0);
	assert_int_equal(finish(process), SUPERVISED);
}

/* ---- the death of the program ------------------------------------------------------------------------- */

static int note_and_nest(const void *arg, size_t arg_size)
{
	int slot = *(const int *)arg, below = slot + 10;

	board->pid[slot] = getpid();
	if (slot < 20)
		start(RP_PROCESS(.target = note_and_nest, RP_ARG(below)));
	return wait_for_ever(arg, arg_size);
}

static void *start_in_thread(void *arg)
{
	int first = *(int *)arg;

	for (int slot = first; slot < first + 3; slot++)
		start(RP_PROCESS(.target = note_and_nest, RP_ARG(slot)));
	return NULL;
}

/* Of main's: 1 2 3, 11 12 13 and 21 22 23; of a thread's that has ended: 4 5 6 and so on; a stranger: 0. */
static void start_families(void)
{
	int of_main = 1, of_thread = 4;
	pthread_t thread;
	pid_t stranger;

	init();
	start_in_thread(&of_main);
	must(pthread_create(&thread, NULL, start_in_thread, &of_thread) == 0);
	pthread_join(thread, NULL);
	stranger = fork();
	if (stranger == 0)
		wait_for_ever(NULL, 0);
	board->pid[0] = stranger;
	wait_for_ever(NULL, 0);
}

static int families_run(void)
{
	for (int i = 0; i <= 26; i++)
		if (i % 10 <= 6 && !board->pid[i] && i != 10 && i != 20)
			return 0;
	return 1;
}

static void trap_12_all_end_with_the_program(void **state RP_UNUSED)
{
	pid_t program;

	memset(board, 0, sizeof *board);
	program = begin(start_families);
	assert_true(WAIT_FOR(families_run()));
	for (int i = 0; i <= 26; i++)
		assert_false(board->pid[i] && is_gone(board->pid[i]));
	kill(program, SIGKILL);
	assert_int_equal(code_of(program), -SIGKILL);
	for (int i = 1; i <= 26; i++)
		if (board->pid[i])
			assert_true(was_killed(board->pid[i]));
	assert_false(is_gone(board->pid[0]));
	kill(board->pid[0], SIGKILL);
	assert_int_equal(code_of(board->pid[0]), -SIGKILL);
}

/* ---- threads ------------------------------------------------------------------------------------------ */

static void a_thread_lives_like_a_process(void **state RP_UNUSED)
{
	const int go = 9, codes[] = { 0, 7, 256, -1 };
	struct rp_process *thread = make(RP_THREAD(.target = wait_for_number, RP_ARG(go), .name = "thread"));

	board->number[go] = 0;
	assert_int_equal(rp_process_exitcode(thread), RP_NOT_STARTED);
	assert_int_equal(rp_process_join(thread, 0), -EINVAL);
	assert_int_equal(rp_process_sentinel(thread), -EINVAL);
	assert_int_equal(rp_process_start(thread, NULL), 0);
	assert_int_equal(rp_process_start(thread, NULL), -EINVAL);
	assert_int_equal(rp_process_exitcode(thread), RP_RUNNING);
	assert_int_equal(rp_process_is_alive(thread), 1);
	assert_int_equal(rp_active_children(), 1);
	assert_int_equal(rp_process_pid(thread), getpid());
	assert_int_equal(rp_process_join(thread, RP_MILLISECOND), -ETIMEDOUT);
	assert_int_equal(rp_process_terminate(thread), -ENOTSUP);
	assert_int_equal(rp_process_kill(thread), -ENOTSUP);
	board->number[go] = 1;
	assert_int_equal(rp_process_join(thread, RP_FOREVER), 0);
	assert_int_equal(rp_process_join(thread, 0), 0);
	assert_int_equal(rp_process_exitcode(thread), 0);
	assert_int_equal(rp_process_is_alive(thread), 0);
	assert_int_equal(rp_process_kill(thread), -ENOTSUP);
	assert_int_equal(rp_active_children(), 0);
	rp_process_free(thread);
	for (int i = 0; i < 4; i++)
		assert_int_equal(run(RP_THREAD(.target = give_back, RP_ARG(codes[i]))), codes[i] & 255);
	assert_int_equal(run(RP_THREAD(.target = leave_main_thread)), 0);
}

static int share_memory(const void *arg, size_t arg_size RP_UNUSED)
{
	**(int *const *)arg = 5;
	return gettid() == getpid();
}

static void a_thread_shares_memory(void **state RP_UNUSED)
{
	int number = 0, *pointer = &number;

	assert_int_equal(run(RP_THREAD(.target = share_memory, RP_ARG(pointer))), 0);
	assert_int_equal(number, 5);
}

static void many_threads_at_once(void **state RP_UNUSED)
{
	const int go = 8;
	struct rp_process *threads[100];

	board->number[go] = 0;
	for (int i = 0; i < 100; i++)
		threads[i] = start(RP_THREAD(.target = wait_for_number, RP_ARG(go)));
	assert_int_equal(rp_active_children(), 100);
	board->number[go] = 1;
	for (int i = 0; i < 50; i++)
		assert_int_equal(finish(threads[i]), 0);
	for (int i = 50; i < 100; i++)
		rp_process_free(threads[i]);
	assert_true(WAIT_FOR(rp_active_children() == 0));
}

static void *join_and_free(void *arg)
{
	for (int i = 0; i < 200; i++) {
		must(run(RP_PROCESS(.target = give_back, RP_ARG(i))) == i);
		must(run(RP_THREAD(.target = give_back, RP_ARG(i))) == i);
	}
	return arg;
}

/* Each looks for ends when it starts something, also for those that another is about to take. */
static void threads_of_the_program_do_not_take_each_others_ends(void **state RP_UNUSED)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, join_and_free, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(rp_active_children(), 0);
}

static void exit_with_a_daemon_thread(void)
{
	init();
	kept[0] = start(RP_THREAD(.target = wait_for_ever, .flags = RP_DAEMON));
	exit(5);
}

static void exit_from_a_thread_of_ours(void)
{
	const int code = 6, slot = 0;

	init();
	kept[0] = start(RP_PROCESS(.target = number_after_a_while, RP_ARG(slot)));
	kept[1] = start(RP_THREAD(.target = exit_with, RP_ARG(code)));
	wait_for_ever(NULL, 0);
}

static void threads_at_exit(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(exit_with_a_daemon_thread)), 5);
	board->number[0] = 0;
	assert_int_equal(code_of(begin(exit_from_a_thread_of_ours)), 6);
	assert_int_equal(board->number[0], 1);
}

static int start_and_leave(const void *arg, size_t arg_size RP_UNUSED)
{
	const int slot = 0;

	**(struct rp_process **const *)arg = start(RP_PROCESS(.target = wait_for_number, RP_ARG(slot)));
	return 0;
}

static void a_process_outlives_the_thread_that_started_it(void **state RP_UNUSED)
{
	struct rp_process *process = NULL, **place = &process;

	board->number[0] = 0;
	assert_int_equal(run(RP_THREAD(.target = start_and_leave, RP_ARG(place))), 0);
	assert_int_equal(run(RP_THREAD(.target = nothing)), 0);
	assert_int_equal(rp_process_is_alive(process), 1);
	board->number[0] = 1;
	assert_int_equal(finish(process), 0);
}

/* ---- a starter, as the run time's supervisor is ------------------------------------------------------- */

struct token {
	pid_t pid;
	int fd, looks, forgotten;
	struct spawn_end end;
};

static struct token tokens[20];
static int token_count, refusals;

static pid_t fake_start(const struct process_call *call, int *ret_pidfd, void **ret_token, struct rp_error *err)
{
	struct token *token = &tokens[token_count];
	int fd;

	if (refusals > 0) {
		refusals--;
		return error_set(err, -EAGAIN, "%s: refused", call->name);
	}
	token->pid = spawn_fork(0, call->place, &fd);
	if (token->pid == 0)
		process_run(call);
	must(token->pid > 0);
	token_count++;
	token->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	context_fd_add(token->fd);
	*ret_pidfd = fd;
	*ret_token = token;
	return token->pid;
}

/* Knows of an end only some time after the sentinel does. */
static int fake_ended(void *arg, struct spawn_end *ret)
{
	struct token *token = arg;

	must(!token->forgotten);
	if (!readable(token->fd) || ++token->looks < 4)
		return -EAGAIN;
	if (token->looks == 4)
		must(spawn_reap(token->pid, token->fd, 0, &token->end) == 0);
	*ret = token->end;
	return 0;
}

static void fake_forget(void *arg)
{
	struct token *token = arg;

	token->forgotten++;
	context_fd_remove(token->fd);
	close(token->fd);
}

static const struct process_starter fake = { .start = fake_start, .ended = fake_ended, .forget = fake_forget };

static const struct process_starter *real_starter;

static int set_starter(void **state RP_UNUSED)
{
	memset(tokens, 0, sizeof tokens);
	token_count = refusals = 0;
	real_starter = context_get()->starter;
	context_get()->starter = &fake;
	return 0;
}

static int unset_starter(void **state RP_UNUSED)
{
	int forgotten = 0;

	context_get()->starter = real_starter;
	for (int i = 0; i < token_count; i++)
		forgotten += tokens[i].forgotten == 1;
	return forgotten == token_count ? 0 : -1;
}

static void a_starter_starts_and_tells_the_end(void **state RP_UNUSED)
{
	const int codes[] = { 0, 7, 300 };
	struct rp_process *process;

	for (int i = 0; i < 3; i++)
		assert_int_equal(run(RP_PROCESS(.target = give_back, RP_ARG(codes[i]))), codes[i] & 255);
	assert_int_equal(token_count, 3);
	process = start(RP_PROCESS(.target = wait_for_ever));
	assert_int_equal(rp_process_pid(process), tokens[3].pid);
	assert_int_equal(rp_process_join(process, RP_MILLISECOND), -ETIMEDOUT);
	assert_int_equal(rp_active_children(), 1);
	assert_int_equal(rp_process_terminate(process), 0);
	assert_true(WAIT_FOR(readable(rp_process_sentinel(process))));
	assert_int_equal(rp_active_children(), 0);
	assert_int_equal(rp_process_is_alive(process), 0);
	assert_int_equal(rp_process_exitcode(process), -SIGTERM);
	assert_int_equal(finish(process), -SIGTERM);
	assert_int_equal(run(RP_THREAD(.target = give_back, RP_ARG(codes[1]))), 7);
	assert_int_equal(token_count, 4);
}

static void a_starter_forgets_what_was_freed(void **state RP_UNUSED)
{
	const int slot = 0;
	struct rp_process *process;

	board->number[slot] = 0;
	process = start(RP_PROCESS(.target = wait_for_number, RP_ARG(slot)));
	rp_process_free(process);
	assert_int_equal(rp_active_children(), 1);
	assert_int_equal(tokens[0].forgotten, 0);
	board->number[slot] = 1;
	assert_true(WAIT_FOR(rp_active_children() == 0 && tokens[0].forgotten == 1));
}

static void a_starter_may_refuse(void **state RP_UNUSED)
{
	struct rp_process *process = make(RP_PROCESS(.target = nothing, .name = "late"));
	struct rp_error err;

	refusals = 1;
	assert_int_equal(rp_process_start(process, &err), -EAGAIN);
	assert_string_equal(err.text, "late: refused");
	assert_int_equal(rp_process_exitcode(process), RP_NOT_STARTED);
	assert_int_equal(rp_process_start(process, &err), 0);
	assert_int_equal(finish(process), 0);
}

/* ---- all ---------------------------------------------------------------------------------------------- */

static int set_up_group(void **state RP_UNUSED)
{
	struct sigaction action = { .sa_handler = count_signal };

	board = board_new();
	sigaction(SIGALRM, &action, NULL);
	init();
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int tear_down_group(void **state RP_UNUSED)
{
	pid_t left;

	if (SUPERVISED) {
		rp_finalize();
		/* The supervisors of programs that were killed have ended by themselves, as orphans. */
		WAIT_FOR(waitpid(-1, NULL, WNOHANG) < 0);
	}
	left = waitpid(-1, NULL, WNOHANG);
	if (left >= 0)
		printf("# a child is left: %d\n", (int)left);
	board_free(board);
	return left >= 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proc_02_argument_reaches_the_child_unchanged),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
		cmocka_unit_test(no_handle_is_refused),
		cmocka_unit_test(bind_is_where_it_runs),
		cmocka_unit_test(proc_03_full_life_cycle),
		cmocka_unit_test(proc_04_active_children_are_those_that_run),
		cmocka_unit_test(proc_05_children_are_reaped_one_by_one),
		cmocka_unit_test(proc_06_daemons_children_are_daemons),
		cmocka_unit_test(proc_08_daemons_may_have_children),
		cmocka_unit_test(proc_09_exit_joins_processes_and_terminates_daemons),
		cmocka_unit_test(trap_08_a_daemon_that_ignores_sigterm_is_killed),
		cmocka_unit_test(proc_10_the_end_of_a_target_is_an_exit_too),
		cmocka_unit_test(proc_12_grandchildren_end_with_their_parent),
		cmocka_unit_test(proc_13_main_thread_is_a_new_one),
		cmocka_unit_test(proc_14_join_with_0_polls),
		cmocka_unit_test(proc_15_join_may_be_repeated),
		cmocka_unit_test(proc_16_terminate_is_sigterm),
		cmocka_unit_test(proc_17_kill_is_sigkill),
		cmocka_unit_test(proc_18_exitcode_tells_the_signal),
		cmocka_unit_test(proc_19_signals_after_the_end_do_nothing),
		cmocka_unit_test(proc_20_signals_before_the_start_are_refused),
		cmocka_unit_test(proc_21_terminate_leaves_forked_grandchildren),
		cmocka_unit_test(proc_23_nested_processes_run_in_order),
		cmocka_unit_test(proc_24_no_sentinel_before_the_start),
		cmocka_unit_test(proc_25_sentinel_polls_readable_from_the_end_on),
		cmocka_unit_test(proc_26_a_freed_process_goes_on_and_is_reaped),
		cmocka_unit_test(proc_28_free_without_a_start),
		cmocka_unit_test(proc_29_many_processes_at_once),
		cmocka_unit_test(proc_29_a_thousand_processes_at_once),
		cmocka_unit_test(proc_30_start_and_join_leak_nothing),
		cmocka_unit_test(proc_31_siblings_are_not_inherited),
		cmocka_unit_test(proc_33_broken_output_changes_no_code),
		cmocka_unit_test(proc_36_failure_is_a_code_and_the_targets_own_words),
		cmocka_unit_test(proc_37_ways_to_exit),
		cmocka_unit_test(proc_38_a_process_starts_once),
		cmocka_unit_test(proc_39_only_its_maker_may_use_it),
		cmocka_unit_test(proc_40_no_join_before_the_start),
		cmocka_unit_test(proc_41_nobody_joins_himself),
		cmocka_unit_test(proc_42_nothing_is_known_before_the_start),
		cmocka_unit_test(proc_43_names),
		cmocka_unit_test(proc_44_signals_do_not_end_a_join),
		cmocka_unit_test(proc_45_nested_with_stdin_closed),
		cmocka_unit_test(proc_46_stdin_is_the_null_device),
		cmocka_unit_test(proc_47_generations_add_nothing),
		cmocka_unit_test(proc_48_output_appears_once),
		cmocka_unit_test(trap_05_other_streams_are_written_once),
		cmocka_unit_test(proc_49_inherited_exit_handlers_do_not_run),
		cmocka_unit_test(proc_52_an_end_that_somebody_else_took_is_unknown),
		cmocka_unit_test(trap_11_handlers_and_masks_are_not_inherited),
		cmocka_unit_test(trap_12_all_end_with_the_program),
		cmocka_unit_test(group_is_the_callers),
		cmocka_unit_test(memory_is_that_of_the_fork),
		cmocka_unit_test(a_thread_lives_like_a_process),
		cmocka_unit_test(a_thread_shares_memory),
		cmocka_unit_test(many_threads_at_once),
		cmocka_unit_test(threads_of_the_program_do_not_take_each_others_ends),
		cmocka_unit_test(threads_at_exit),
		cmocka_unit_test(a_process_outlives_the_thread_that_started_it),
		cmocka_unit_test_setup_teardown(a_starter_starts_and_tells_the_end, set_starter, unset_starter),
		cmocka_unit_test_setup_teardown(a_starter_forgets_what_was_freed, set_starter, unset_starter),
		cmocka_unit_test_setup_teardown(a_starter_may_refuse, set_starter, unset_starter),
	};

	return cmocka_run_group_tests_name(SUPERVISED ? "process_supervised" : "process", tests, set_up_group,
	                                   tear_down_group);
}
