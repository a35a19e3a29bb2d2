/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/context.c - the one static object across fork, exit and threads. */
#include "context.h"
#include "rankpool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs body in a child and returns its exit code, or -signal. */
static int in_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void belongs_to_this_process(void **state RP_UNUSED)
{
	assert_int_equal(context_get()->pid, getpid());
	assert_true(context_owns(getpid()));
	assert_false(context_owns(getppid()));
}

static pid_t parent;

static void check_fresh(void)
{
	struct context *c = context_get();
	int bad = 0;

	bad |= c->pid != getpid() || context_owns(parent);
	bad |= c->pools != NULL || c->processes != NULL || c->supervisor != NULL || c->task != NULL;
	bad |= c->starts != 0 || c->process_number != 0 || c->is_daemon != 0 || c->name[0] != 0;
	_exit(bad);
}

/* A child must not end, or hand out, what its parent has. */
static void child_begins_anew(void **state RP_UNUSED)
{
	struct context *c = context_get();
	struct context before = *c;
	int code;

	parent = getpid();
	c->pools = (struct rp_pool *)&before;
	c->processes = (struct rp_process *)&before;
	c->starts = 2;
	c->process_number = 7;
	c->is_daemon = 1;
	strcpy(c->name, "Process-7");
	code = in_child(check_fresh);
	c->pools = before.pools;
	c->processes = before.processes;
	c->starts = before.starts;
	c->process_number = before.process_number;
	c->is_daemon = before.is_daemon;
	strcpy(c->name, before.name);
	assert_int_equal(code, 0);
}

static struct arena *const mapped = (struct arena *)&parent;

static void check_inherited(void)
{
	_exit(context_get()->inherited == mapped && context_get()->arena == NULL ? 0 : 1);
}

static void check_inherited_by_grandchild(void)
{
	_exit(in_child(check_inherited));
}

static void children_remember_an_ancestors_arena(void **state RP_UNUSED)
{
	int child, grandchild;

	context_get()->arena = mapped;
	child = in_child(check_inherited);
	grandchild = in_child(check_inherited_by_grandchild);
	context_get()->arena = NULL;
	assert_int_equal(child, 0);
	assert_int_equal(grandchild, 0);
}

static void take_lock(void)
{
	alarm(10);
	context_lock();
	context_unlock();
	_exit(0);
}

static void *fork_while_locked(void *arg)
{
	*(int *)arg = in_child(take_lock);
	return NULL;
}

/* The lock is held by a thread that the child does not have. */
static void lock_is_free_in_a_child(void **state RP_UNUSED)
{
	pthread_t thread;
	int code = -1;

	context_lock();
	assert_int_equal(pthread_create(&thread, NULL, fork_while_locked, &code), 0);
	pthread_join(thread, NULL);
	context_unlock();
	assert_int_equal(code, 0);
}

static void say_pools(void)
{
	dprintf(STDOUT_FILENO, "pools ");
}

static void say_processes(void)
{
	dprintf(STDOUT_FILENO, "processes ");
}

static void hook(void)
{
	context_get()->end_pools = say_pools;
	context_get()->end_processes = say_processes;
	context_hook_exit();
	context_hook_exit();
}

static void leave_by_exit(void)
{
	hook();
	exit(5);
}

static void leave_by_underscore_exit(void)
{
	hook();
	_exit(6);
}

static void leave_without_hooks(void)
{
	context_hook_exit();
	context_end();
	exit(7);
}

/* Runs body in a child; what it wrote to stdout goes to text. */
static int said_in_child(void (*body)(void), char *text, size_t size)
{
	int ends[2], saved = dup(STDOUT_FILENO), code;
	ssize_t n;

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	code = in_child(body);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], text, size - 1);
	close(ends[0]);
	assert_true(n >= 0);
	text[n] = 0;
	return code;
}

static void exit_ends_pools_then_processes_once(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said_in_child(leave_by_exit, text, sizeof text), 5);
	assert_string_equal(text, "pools processes ");
}

static void quick_exit_ends_nothing(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said_in_child(leave_by_underscore_exit, text, sizeof text), 6);
	assert_string_equal(text, "");
}

static void nothing_to_end_is_fine(void **state RP_UNUSED)
{
	char text[100];

	assert_int_equal(said_in_child(leave_without_hooks, text, sizeof text), 7);
	assert_string_equal(text, "");
}

/* Runs this program again with SIGUSR1 ignored or not; main then tells what it was started with. */
static int ignored_at_start(void (*disposition)(int))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGUSR1, disposition);
		execl("/proc/self/exe", "context", "report", (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void remembers_the_dispositions_of_the_start(void **state RP_UNUSED)
{
	assert_int_equal(ignored_at_start(SIG_IGN), 1);
	assert_int_equal(ignored_at_start(SIG_DFL), 0);
}

int main(int argc, char **argv RP_UNUSED)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(belongs_to_this_process),
		cmocka_unit_test(child_begins_anew),
		cmocka_unit_test(children_remember_an_ancestors_arena),
		cmocka_unit_test(lock_is_free_in_a_child),
		cmocka_unit_test(exit_ends_pools_then_processes_once),
		cmocka_unit_test(quick_exit_ends_nothing),
		cmocka_unit_test(nothing_to_end_is_fine),
		cmocka_unit_test(remembers_the_dispositions_of_the_start),
	};

	if (argc > 1) {
		/* What the program does to the signal later must not count. */
		int ignored = sigismember(&context_get()->ignored, SIGUSR1);

		signal(SIGUSR1, SIG_IGN);
		return ignored == sigismember(&context_get()->ignored, SIGUSR1) ? ignored : 98;
	}
	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
