/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/spawn.c - what a forked child finds, how it ends, and with whom. */
#include "spawn.h"

#include "children.h"
#include "clock.h"
#include "context.h"
#include "rankpool.h"
#include "topology.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <cmocka.h>

#define SECONDS INT64_C(1000000000)

static struct board *board;

/* Runs body in a spawned child and returns its exit code or -signal. */
static int in_spawned(uint32_t flags, const struct place *place, void (*body)(void))
{
	struct spawn_end end;
	int fd;
	pid_t pid = spawn_fork(flags, place, &fd);

	if (pid == 0) {
		body();
		spawn_leave(0);
	}
	must(pid > 0);
	must(spawn_reap(pid, fd, clock_deadline(PATIENCE * SECONDS), &end) == 0 && end.known);
	close(fd);
	return end.code;
}

static void pause_for_ever(void)
{
	for (;;)
		pause();
}

static void fork_waiting(int slot)
{
	pid_t pid = fork();

	if (pid == 0)
		pause_for_ever();
	board->pid[slot] = pid;
}

/* ---- ends --------------------------------------------------------------------------------------------- */

static void leave_with_300(void)
{
	spawn_leave(300);
}

static void abort_here(void)
{
	abort();
}

static void ends_are_codes_or_signals(void **state RP_UNUSED)
{
	assert_int_equal(in_spawned(0, NULL, leave_with_300), 300 & 255);
	assert_int_equal(in_spawned(0, NULL, abort_here), -SIGABRT);
}

static void the_parent_gets_a_pidfd(void **state RP_UNUSED)
{
	struct pollfd poller = { .fd = -1, .events = POLLIN };
	struct spawn_end end;
	pid_t pid = spawn_fork(0, NULL, &poller.fd);

	if (pid == 0)
		pause_for_ever();
	assert_true(pid > 0);
	assert_int_equal(fcntl(poller.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(spawn_reap(pid, poller.fd, 0, &end), -ETIMEDOUT);
	assert_int_equal(spawn_reap(pid, poller.fd, clock_deadline(SECONDS / 100), &end), -ETIMEDOUT);
	assert_int_equal(spawn_signal(poller.fd, 12345), -EINVAL);
	assert_int_equal(spawn_signal(poller.fd, SIGKILL), 0);
	assert_int_equal(spawn_reap(pid, poller.fd, CLOCK_NEVER, &end), 0);
	assert_true(end.known);
	assert_int_equal(end.code, -SIGKILL);
	assert_true(end.max_rss > 0);
	assert_int_equal(poll(&poller, 1, 0), 1);
	/* The pid may be another's by now; the descriptor is not. */
	assert_int_equal(spawn_signal(poller.fd, SIGKILL), 0);
	close(poller.fd);
}

static void another_reaper_is_told_apart(void **state RP_UNUSED)
{
	struct spawn_end end = { .known = 1 };
	int fd, status;
	pid_t pid = spawn_fork(0, NULL, &fd);

	if (pid == 0)
		spawn_leave(3);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(spawn_reap(pid, fd, CLOCK_NEVER, &end), 0);
	assert_false(end.known);
	close(fd);
}

/* Some of them are gone before their parent can even ask for a pidfd. */
static void ignored_children_end_unknown(void **state RP_UNUSED)
{
	struct spawn_end end;
	int fd;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 30; i++) {
		pid = spawn_fork(0, NULL, &fd);
		if (pid == 0)
			_exit(0);
		assert_true(pid > 0);
		end.known = 1;
		assert_int_equal(spawn_reap(pid, fd, i % 2 ? CLOCK_NEVER : clock_deadline(PATIENCE * SECONDS), &end), 0);
		assert_false(end.known);
		assert_int_equal(spawn_signal(fd, SIGKILL), 0);
		close(fd);
	}
	signal(SIGCHLD, SIG_DFL);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal RP_UNUSED)
{
	alarms++;
}

static void signals_do_not_end_a_wait(void **state RP_UNUSED)
{
	const struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = count_alarm };
	struct spawn_end end;
	double begun = now();
	int fd;
	pid_t pid = spawn_fork(0, NULL, &fd);

	if (pid == 0)
		pause_for_ever();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	assert_int_equal(spawn_reap(pid, fd, clock_deadline(SECONDS / 5), &end), -ETIMEDOUT);
	assert_true(now() - begun >= 0.2);
	assert_true(alarms > 0);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	spawn_signal(fd, SIGKILL);
	assert_int_equal(spawn_reap(pid, fd, CLOCK_NEVER, &end), 0);
	close(fd);
}

/* ---- what the child finds ----------------------------------------------------------------------------- */

static void count_on_board(int signal RP_UNUSED)
{
	board->number[0]++;
}

/* Exit code: how many signals are not as they were when the program was started. */
static void count_strange_signals(void)
{
	struct sigaction action;
	sigset_t mask;
	int strange = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s < NSIG; s++) {
		int ignored = sigismember(&context_get()->ignored, s) == 1;

		if (sigaction(s, NULL, &action) == 0 && action.sa_handler != (ignored ? SIG_IGN : SIG_DFL))
			strange++;
		strange += sigismember(&mask, s) == 1;
	}
	spawn_leave(strange);
}

static void signals_are_those_of_the_start(void **state RP_UNUSED)
{
	sigset_t some, old;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigaddset(&some, SIGRTMAX);
	pthread_sigmask(SIG_BLOCK, &some, &old);
	signal(SIGTERM, count_on_board);
	signal(SIGRTMIN, count_on_board);
	signal(SIGUSR2, SIG_IGN);
	assert_int_equal(in_spawned(0, NULL, count_strange_signals), 0);
	assert_int_equal(in_spawned(SPAWN_NO_SIGINT, NULL, count_strange_signals), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &some);
	assert_int_equal(sigismember(&some, SIGTERM), 1);
	assert_int_equal(sigismember(&some, SIGUSR1), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGRTMIN, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

/* main's other mode, in a program that was started with SIGUSR1 ignored and then changed its mind. */
static int report_ignored(void)
{
	struct sigaction action;
	int fd, status = 0;
	pid_t pid;

	signal(SIGUSR1, count_on_board);
	pid = spawn_fork(0, NULL, &fd);
	if (pid == 0) {
		sigaction(SIGUSR1, NULL, &action);
		_exit(action.sa_handler == SIG_IGN ? 77 : 1);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void ignored_signals_stay_ignored(void **state RP_UNUSED)
{
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGUSR1, SIG_IGN);
		execl(program_invocation_name, "spawn", "ignored", (char *)NULL);
		_exit(99);
	}
	assert_int_equal(code_of(pid), 77);
}

/* The signal arrives while the child still has the program's handler, or it has not yet begun to run. */
static void no_inherited_handler_runs_in_a_child(void **state RP_UNUSED)
{
	struct spawn_end end;
	int fd;
	pid_t pid;

	board->number[0] = 0;
	signal(SIGTERM, count_on_board);
	for (int i = 0; i < 30; i++) {
		pid = spawn_fork(0, NULL, &fd);
		if (pid == 0)
			pause_for_ever();
		assert_int_equal(spawn_signal(fd, SIGTERM), 0);
		assert_int_equal(spawn_reap(pid, fd, clock_deadline(PATIENCE * SECONDS), &end), 0);
		assert_int_equal(end.code, -SIGTERM);
		close(fd);
	}
	signal(SIGTERM, SIG_DFL);
	assert_int_equal(board->number[0], 0);
}

static void look_at_group(void)
{
	spawn_leave(getpgrp() == getpid());
}

static void leads_a_group_when_asked(void **state RP_UNUSED)
{
	assert_int_equal(in_spawned(0, NULL, look_at_group), 0);
	assert_int_equal(in_spawned(SPAWN_GROUP, NULL, look_at_group), 1);
}

/* Exit code 1 when an orphan below this process becomes its child. */
static void adopt(void)
{
	int status = 0;
	pid_t orphan, between = fork();

	if (between == 0) {
		fork_waiting(0);
		_exit(0);
	}
	waitpid(between, NULL, 0);
	orphan = board->pid[0];
	kill(orphan, SIGKILL);
	spawn_leave(waitpid(orphan, &status, 0) == orphan);
}

static void adopts_orphans_when_asked(void **state RP_UNUSED)
{
	assert_int_equal(in_spawned(SPAWN_SUBREAPER, NULL, adopt), 1);
	assert_int_equal(in_spawned(0, NULL, adopt), 0);
	assert_int_equal(code_of(board->pid[0]), -SIGKILL);
}

static int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int n = -1;

	if (!file || fscanf(file, "%d", &n) != 1)
		abort();
	fclose(file);
	return n;
}

static void note_score(void)
{
	board->number[0] = read_number("/proc/self/oom_score_adj");
}

static void is_killed_first_when_asked(void **state RP_UNUSED)
{
	int own = read_number("/proc/self/oom_score_adj");

	assert_int_equal(in_spawned(0, NULL, note_score), 0);
	assert_int_equal(board->number[0], own);
	assert_int_equal(in_spawned(SPAWN_OOM_FIRST, NULL, note_score), 0);
	assert_true(board->number[0] > own || own == 1000);
}

static void read_stdin(void)
{
	char c;

	spawn_leave((int)read(STDIN_FILENO, &c, 1) + 10);
}

static void exec_cat(void)
{
	execlp("cat", "cat", (char *)NULL);
}

static void with_stdin(void)
{
	int ends[2];

	must(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
	dup2(ends[0], STDIN_FILENO);
	if (in_spawned(0, NULL, read_stdin) != 10)
		_exit(1);
	if (in_spawned(SPAWN_KEEP_STDIN, NULL, read_stdin) != 11)
		_exit(2);
	close(STDIN_FILENO);
	if (in_spawned(0, NULL, read_stdin) != 10)
		_exit(3);
	/* It is there for an exec as well, though every descriptor is closed by that. */
	if (in_spawned(0, NULL, exec_cat) != 0)
		_exit(4);
}

static void stdin_is_empty(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(with_stdin)), 0);
}

static int noted_fd;

static void look_at_noted_fd(void)
{
	spawn_leave(fcntl(noted_fd, F_GETFD) < 0 && errno == EBADF);
}

static void count_own_fds(void)
{
	board->number[1] = count_fds();
}

static void own_descriptors_are_not_inherited(void **state RP_UNUSED)
{
	int before = count_fds();

	for (int i = 0; i < 3; i++) {
		assert_int_equal(in_spawned(0, NULL, count_own_fds), 0);
		assert_int_equal(board->number[1], before);
	}
	noted_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 700);
	assert_true(noted_fd >= 700);
	assert_int_equal(in_spawned(0, NULL, look_at_noted_fd), 0);
	context_fd_add(noted_fd);
	assert_int_equal(in_spawned(0, NULL, look_at_noted_fd), 1);
	context_fd_remove(noted_fd);
	assert_int_equal(in_spawned(0, NULL, look_at_noted_fd), 0);
	close(noted_fd);
	assert_int_equal(count_fds(), before);
	context_fd_add(-1);
	context_fd_remove(1 << 30);
}

/* ---- binding ------------------------------------------------------------------------------------------ */

static void note_cpus(void)
{
	const char *threads = getenv("OMP_NUM_THREADS");
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set);
	board->number[0] = CPU_COUNT(&set);
	board->number[1] = CPU_ISSET(board->number[2], &set);
	snprintf(board->text, sizeof board->text, "%s %s %s", threads ? threads : "none", getenv("OPENBLAS_NUM_THREADS"),
	         getenv("MKL_NUM_THREADS"));
}

static struct place some_place(int cpu)
{
	struct place place = { .cpu_count = 1, .bound = 1 };

	place.cpus[(size_t)cpu / (8 * sizeof(long))] = 1ul << (size_t)cpu % (8 * sizeof(long));
	return place;
}

static int last_cpu(void)
{
	int cpu = CPU_SETSIZE - 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set);
	while (cpu > 0 && !CPU_ISSET(cpu, &set))
		cpu--;
	return cpu;
}

static void is_bound_to_its_place(void **state RP_UNUSED)
{
	struct place place = some_place(last_cpu());

	board->number[2] = last_cpu();
	unsetenv("OMP_NUM_THREADS");
	unsetenv("MKL_NUM_THREADS");
	setenv("OPENBLAS_NUM_THREADS", "7", 1);
	assert_int_equal(in_spawned(0, &place, note_cpus), 0);
	assert_int_equal(board->number[0], 1);
	assert_int_equal(board->number[1], 1);
	assert_string_equal(board->text, "1 7 1");
	assert_null(getenv("OMP_NUM_THREADS"));
	unsetenv("OPENBLAS_NUM_THREADS");
}

static void bind_again(void)
{
	struct place place = some_place(board->number[2]);
	struct spawn_end end;
	int fd;
	pid_t pid;

	setenv("MKL_NUM_THREADS", "5", 1);
	pid = spawn_fork(0, &place, &fd);
	if (pid == 0) {
		note_cpus();
		spawn_leave(0);
	}
	spawn_reap(pid, fd, CLOCK_NEVER, &end);
}

/* What a child was given is not what its user set: its own children get theirs. */
static void limits_of_threads_are_not_inherited(void **state RP_UNUSED)
{
	struct place place = some_place(last_cpu());

	place.cpu_count = 3;
	board->number[2] = last_cpu();
	unsetenv("OMP_NUM_THREADS");
	unsetenv("MKL_NUM_THREADS");
	assert_int_equal(in_spawned(0, &place, bind_again), 0);
	assert_string_equal(board->text, "1 1 5");
}

static void run_on_board(void)
{
	board->number[5] = 1;
}

static void an_impossible_place_runs_nothing(void **state RP_UNUSED)
{
	struct place place = some_place(PLACE_BITS - 1);

	board->number[5] = 0;
	assert_int_equal(in_spawned(0, &place, run_on_board), SPAWN_UNFIT);
	assert_int_equal(board->number[5], 0);
}

/* ---- output and exit ---------------------------------------------------------------------------------- */

static void print_around_a_fork(void)
{
	struct spawn_end end;
	int fd;
	pid_t pid;

	printf("before ");
	pid = spawn_fork(0, NULL, &fd);
	if (pid == 0) {
		printf("child ");
		spawn_leave(0);
	}
	spawn_reap(pid, fd, CLOCK_NEVER, &end);
	printf("after");
}

static void output_appears_once(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said(print_around_a_fork, text, sizeof text), 0);
	assert_string_equal(text, "before child after");
}

static void say_parents(void)
{
	printf("parent's ");
}

static void say_childs(void)
{
	printf("child's ");
}

static void exit_in_child(void)
{
	struct spawn_end end = { 0 };
	int fd;
	pid_t pid;

	atexit(say_parents);
	pid = spawn_fork(0, NULL, &fd);
	if (pid == 0) {
		atexit(say_childs);
		printf("in child: ");
		exit(9);
	}
	spawn_reap(pid, fd, CLOCK_NEVER, &end);
	printf("%d, in parent: ", end.code);
}

static void exit_runs_no_inherited_handler(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said(exit_in_child, text, sizeof text), 0);
	assert_string_equal(text, "in child: child's 9, in parent: parent's ");
}

static void print_to_nobody(void)
{
	int ends[2];

	must(pipe(ends) == 0);
	close(ends[0]);
	dup2(ends[1], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	printf("lost");
	spawn_leave(4);
}

static void print_to_a_full_disk(void)
{
	dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
	printf("lost");
	spawn_leave(5);
}

static void print_to_nothing(void)
{
	fclose(stdout);
	close(STDERR_FILENO);
	spawn_leave(6);
}

static void broken_output_changes_no_code(void **state RP_UNUSED)
{
	assert_int_equal(in_spawned(0, NULL, print_to_nobody), 4);
	assert_int_equal(in_spawned(0, NULL, print_to_a_full_disk), 5);
	assert_int_equal(in_spawned(0, NULL, print_to_nothing), 6);
}

/* ---- no room ------------------------------------------------------------------------------------------ */

/* Exit code: what spawn_fork said, with the sign turned, when descriptors are short. */
static int fork_without_descriptors(uint32_t flags)
{
	struct rlimit limit = { .rlim_cur = 0 };
	int fd;
	pid_t pid;

	limit.rlim_cur = limit.rlim_max = (rlim_t)fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	close((int)limit.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &limit);
	pid = spawn_fork(flags, NULL, &fd);
	if (pid == 0)
		pause_for_ever();
	if (waitpid(-1, NULL, 0) >= 0 || errno != ECHILD)
		return 1;
	return (int)-pid;
}

static void fork_for_null(void)
{
	_exit(fork_without_descriptors(0));
}

static void fork_for_pidfd(void)
{
	_exit(fork_without_descriptors(SPAWN_KEEP_STDIN));
}

static void no_child_is_left_when_descriptors_are_short(void **state RP_UNUSED)
{
	if (context_get()->pidfds < 0) {
		printf("# under valgrind, which has descriptors of its own, they cannot be made short\n");
		skip();
	}
	assert_int_equal(code_of(begin(fork_for_null)), EMFILE);
	assert_int_equal(code_of(begin(fork_for_pidfd)), EMFILE);
}

/* ---- with whom it ends -------------------------------------------------------------------------------- */

#define FAMILY 4

static void spawn_waiting(int slot)
{
	int fd;
	pid_t pid = spawn_fork(0, NULL, &fd);

	if (pid == 0)
		pause_for_ever();
	board->pid[slot] = pid;
}

static void *spawn_family(void *arg RP_UNUSED)
{
	for (int i = 0; i < FAMILY; i++)
		spawn_waiting(i);
	return NULL;
}

static void in_thread(void *(*body)(void *), int join)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, body, NULL) == 0);
	if (join)
		pthread_join(thread, NULL);
}

static void family_of_main_thread(void)
{
	spawn_family(NULL);
	board->number[0] = 1;
	pause_for_ever();
}

static void *spawn_family_and_stay(void *arg)
{
	spawn_family(arg);
	board->number[0] = 1;
	pause_for_ever();
	return NULL;
}

static void family_of_living_thread(void)
{
	in_thread(spawn_family_and_stay, 0);
	pause_for_ever();
}

static void family_of_ended_thread(void)
{
	in_thread(spawn_family, 1);
	board->number[0] = 1;
	pause_for_ever();
}

/* Others that the program forked by itself, before and between, and that live on. */
static void family_among_strangers(void)
{
	for (int i = 0; i < 2; i++) {
		fork_waiting(10 + 2 * i);
		in_thread(spawn_family, 1);
		for (int k = 0; i == 0 && k < FAMILY; k++)
			board->pid[20 + k] = board->pid[k];
		fork_waiting(11 + 2 * i);
	}
	board->number[0] = 1;
	pause_for_ever();
}

static void *spawn_shell(void *arg RP_UNUSED)
{
	int fd;
	pid_t pid = spawn_fork(0, NULL, &fd);

	if (pid == 0)
		execlp("sleep", "sleep", "1000", (char *)NULL);
	board->pid[0] = pid;
	return NULL;
}

static void command_of_ended_thread(void)
{
	in_thread(spawn_shell, 1);
	board->number[0] = 1;
	pause_for_ever();
}

/* Runs a program and kills it when it has written number[0]. */
static void kill_program(void (*program)(void), int signal)
{
	pid_t pid;

	memset(board, 0, sizeof *board);
	pid = begin(program);
	assert_true(WAIT_FOR(board->number[0]));
	kill(pid, signal);
	assert_int_equal(code_of(pid), -signal);
}

/* All are orphans of the killed program, and so children of this one. */
static void check_killed(int slot, int count)
{
	for (int i = slot; i < slot + count; i++)
		assert_int_equal(code_of(board->pid[i]), -SIGKILL);
}

static void dies_with_a_parent_of_one_thread(void **state RP_UNUSED)
{
	kill_program(family_of_main_thread, SIGKILL);
	check_killed(0, FAMILY);
	kill_program(family_of_main_thread, SIGSEGV);
	check_killed(0, FAMILY);
}

static void dies_with_a_parent_of_many_threads(void **state RP_UNUSED)
{
	kill_program(family_of_living_thread, SIGKILL);
	check_killed(0, FAMILY);
	kill_program(family_of_ended_thread, SIGKILL);
	check_killed(0, FAMILY);
}

static void strangers_do_not_keep_it_alive(void **state RP_UNUSED)
{
	kill_program(family_among_strangers, SIGKILL);
	check_killed(0, FAMILY);
	check_killed(20, FAMILY);
	for (int i = 10; i < 14; i++) {
		assert_false(is_gone(board->pid[i]));
		kill(board->pid[i], SIGKILL);
		assert_int_equal(code_of(board->pid[i]), -SIGKILL);
	}
}

static void a_command_dies_with_the_parent_too(void **state RP_UNUSED)
{
	kill_program(command_of_ended_thread, SIGKILL);
	check_killed(0, 1);
}

/* Neither the end of the thread that forked nor that of a sibling is the parent's. */
static void outlives_thread_and_siblings(void **state RP_UNUSED)
{
	memset(board, 0, sizeof *board);
	in_thread(spawn_family, 1);
	kill(board->pid[0], SIGKILL);
	assert_int_equal(code_of(board->pid[0]), -SIGKILL);
	kill(board->pid[2], SIGTERM);
	assert_int_equal(code_of(board->pid[2]), -SIGTERM);
	assert_int_equal(in_spawned(0, NULL, run_on_board), 0);
	board->pid[FAMILY] = board->pid[1];
	board->pid[FAMILY + 1] = board->pid[3];
	in_thread(spawn_family, 1);     /* time for a wrong signal to arrive, and a second use of what the first made */
	for (int i = 0; i < FAMILY + 2; i++) {
		assert_int_equal(waitpid(board->pid[i], NULL, WNOHANG), 0);
		kill(board->pid[i], SIGTERM);
		assert_int_equal(code_of(board->pid[i]), -SIGTERM);
	}
}

static void *spawn_one(void *arg RP_UNUSED)
{
	spawn_waiting(0);
	return NULL;
}

static void spawn_and_die(void)
{
	spawn_one(NULL);
	kill(getpid(), SIGKILL);
}

static void spawn_in_thread_and_die(void)
{
	in_thread(spawn_one, 1);
	kill(getpid(), SIGKILL);
}

/* The parent is gone before the child has got as far as asking to be told. */
static void a_parent_that_is_gone_already_counts(void **state RP_UNUSED)
{
	void (*const programs[])(void) = { spawn_and_die, spawn_in_thread_and_die };

	for (int i = 0; i < 20; i++) {
		board->pid[0] = 0;
		assert_int_equal(code_of(begin(programs[i % 2])), -SIGKILL);
		assert_true(board->pid[0] > 0);
		check_killed(0, 1);
	}
}

static void closed_program(void)
{
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	in_thread(spawn_family, 1);
	for (int i = 0; i < 10; i++) {
		printf("nobody reads this\n");
		fflush(stdout);
		if (write(STDIN_FILENO, "x", 1) > 0 || write(STDERR_FILENO, "x", 1) > 0)
			board->number[1]++;
	}
	for (int i = 0; i < FAMILY; i++)
		board->number[2] += waitpid(board->pid[i], NULL, WNOHANG) != 0;
	board->number[0] = 1;
	pause_for_ever();
}

static void printing_without_stdout_kills_nobody(void **state RP_UNUSED)
{
	kill_program(closed_program, SIGTERM);
	assert_int_equal(board->number[1], 0);
	assert_int_equal(board->number[2], 0);
	check_killed(0, FAMILY);
}

/* ---- killing what is below ---------------------------------------------------------------------------- */

/* A process that has left the group and lost its parent, one that is stopped, one that ignores what it can: each with a
 * child of its own.  Their pids go to the board from `slot` on. */
static void start_brood(int slot)
{
	for (int i = 0; i < 3; i++) {
		if (fork() != 0)
			continue;
		if (fork() != 0)
			_exit(0);
		if (i == 0)
			setsid();
		if (i == 2)
			for (int s = 1; s < NSIG; s++)
				signal(s, SIG_IGN);
		if (fork() == 0) {
			board->pid[slot + 2 * i + 1] = getpid();
			pause_for_ever();
		}
		board->pid[slot + 2 * i] = getpid();
		if (i == 1)
			raise(SIGSTOP);
		pause_for_ever();
	}
	for (int i = 0; i < 6; i++)
		if (!WAIT_FOR(board->pid[slot + i]))
			_exit(90);
}

/* A kept child adopts its own orphans; what is below it stays with it. */
static void keep_brood(void)
{
	start_brood(10);
	board->number[0] = 1;
	pause_for_ever();
}

static void kill_brood(void)
{
	struct spawn_end end;
	int fd;
	pid_t kept = spawn_fork(SPAWN_SUBREAPER, NULL, &fd);

	if (kept == 0)
		keep_brood();
	start_brood(0);
	spawn_waiting(6);
	if (!WAIT_FOR(board->number[0]))
		_exit(91);
	spawn_kill_descendants(&kept, 1);
	for (int i = 0; i < 7; i++)
		if (process_state(board->pid[i]))
			_exit(92);
	for (int i = 10; i < 16; i++)
		if (is_gone(board->pid[i]))
			_exit(93);
	if (is_gone(kept) || waitpid(kept, NULL, WNOHANG) != 0)
		_exit(94);
	spawn_kill_descendants(NULL, 0);
	for (int i = 10; i < 16; i++)
		if (process_state(board->pid[i]))
			_exit(95);
	if (process_state(kept) || spawn_reap(kept, fd, CLOCK_NEVER, &end) != 0 || end.known)
		_exit(96);
	spawn_kill_descendants(NULL, 0);
}

static void kills_all_descendants_but_the_kept(void **state RP_UNUSED)
{
	memset(board, 0, sizeof *board);
	assert_int_equal(in_spawned(SPAWN_SUBREAPER, NULL, kill_brood), 0);
}

static void kill_crowd(void)
{
	for (int i = 0; i < 300; i++)
		if (fork() == 0)
			pause_for_ever();
	spawn_kill_descendants(NULL, 0);
	spawn_leave(waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD);
}

static void kills_more_than_fit_one_pass(void **state RP_UNUSED)
{
	assert_int_equal(in_spawned(SPAWN_SUBREAPER, NULL, kill_crowd), 0);
}

static int set_up_group(void **state RP_UNUSED)
{
	board = board_new();
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int tear_down_group(void **state RP_UNUSED)
{
	pid_t left = waitpid(-1, NULL, WNOHANG);

	if (left >= 0)
		printf("# a child is left: %d\n", (int)left);
	board_free(board);
	return left >= 0 ? -1 : 0;
}

int main(int argc, char **argv RP_UNUSED)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_codes_or_signals),
		cmocka_unit_test(the_parent_gets_a_pidfd),
		cmocka_unit_test(another_reaper_is_told_apart),
		cmocka_unit_test(ignored_children_end_unknown),
		cmocka_unit_test(signals_do_not_end_a_wait),
		cmocka_unit_test(signals_are_those_of_the_start),
		cmocka_unit_test(ignored_signals_stay_ignored),
		cmocka_unit_test(no_inherited_handler_runs_in_a_child),
		cmocka_unit_test(leads_a_group_when_asked),
		cmocka_unit_test(adopts_orphans_when_asked),
		cmocka_unit_test(is_killed_first_when_asked),
		cmocka_unit_test(stdin_is_empty),
		cmocka_unit_test(own_descriptors_are_not_inherited),
		cmocka_unit_test(is_bound_to_its_place),
		cmocka_unit_test(limits_of_threads_are_not_inherited),
		cmocka_unit_test(an_impossible_place_runs_nothing),
		cmocka_unit_test(output_appears_once),
		cmocka_unit_test(exit_runs_no_inherited_handler),
		cmocka_unit_test(broken_output_changes_no_code),
		cmocka_unit_test(no_child_is_left_when_descriptors_are_short),
		cmocka_unit_test(dies_with_a_parent_of_one_thread),
		cmocka_unit_test(dies_with_a_parent_of_many_threads),
		cmocka_unit_test(strangers_do_not_keep_it_alive),
		cmocka_unit_test(a_command_dies_with_the_parent_too),
		cmocka_unit_test(outlives_thread_and_siblings),
		cmocka_unit_test(a_parent_that_is_gone_already_counts),
		cmocka_unit_test(printing_without_stdout_kills_nobody),
		cmocka_unit_test(kills_all_descendants_but_the_kept),
		cmocka_unit_test(kills_more_than_fit_one_pass),
	};

	if (argc > 1)
		return report_ignored();
	return cmocka_run_group_tests_name("spawn", tests, set_up_group, tear_down_group);
}
