/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/message.c - messages and descriptors between manager and supervisor. */
#include "pools.h"

#include "message.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

static int ends[2];

static int make_pair(void **state RP_UNUSED)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state RP_UNUSED)
{
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void messages_arrive_whole_and_in_order(void **state RP_UNUSED)
{
	for (int i = 0; i < 20; i++) {
		struct message message = { .kind = MESSAGE_START, .result = -i, .what = &ends[i % 2] };

		assert_int_equal(message_send(ends[0], &message, -1), 0);
	}
	for (int i = 0; i < 20; i++) {
		struct message message = { 0 };
		int fd = 99;

		assert_int_equal(message_receive(ends[1], &message, &fd), 0);
		assert_int_equal(message.kind, MESSAGE_START);
		assert_int_equal(message.result, -i);
		assert_ptr_equal(message.what, &ends[i % 2]);
		assert_int_equal(fd, -1);
	}
}

static void descriptors_go_with_them(void **state RP_UNUSED)
{
	struct message message = { .kind = MESSAGE_OPEN };
	int line[2], before = count_fds(), fd = -1;
	char byte = 0;

	assert_int_equal(pipe(line), 0);
	assert_int_equal(message_send(ends[0], &message, line[1]), 0);
	close(line[1]);
	assert_int_equal(message_receive(ends[1], &message, &fd), 0);
	assert_true(fd > STDERR_FILENO);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(line[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	close(line[0]);
	assert_int_equal(count_fds(), before);
}

/* In a program that has closed one of the first three, a number below 3 would be taken for that. */
static void receive_with_stdin_closed(void)
{
	struct message message = { .kind = MESSAGE_OPEN };
	int fd;

	close(STDIN_FILENO);
	must(message_send(ends[0], &message, ends[0]) == 0);
	must(message_receive(ends[1], &message, &fd) == 0);
	must(fd > STDERR_FILENO);
	must(fcntl(STDIN_FILENO, F_GETFD) < 0);
}

static void descriptors_stay_clear_of_the_first_three(void **state RP_UNUSED)
{
	assert_int_equal(code_of(begin(receive_with_stdin_closed)), 0);
}

/* Neither SIGPIPE nor waiting for ever. */
static void nobody_there_is_an_error(void **state RP_UNUSED)
{
	struct message message = { .kind = MESSAGE_KILL };
	int fd = 99;

	assert_int_equal(message_send(ends[0], &message, -1), 0);
	close(ends[0]);
	assert_int_equal(message_receive(ends[1], &message, &fd), 0);
	assert_int_equal(message_receive(ends[1], &message, &fd), -EPIPE);
	assert_int_equal(fd, -1);
	assert_int_equal(message_send(ends[1], &message, -1), -EPIPE);
	assert_int_equal(message_send(ends[1], &message, ends[1]), -EPIPE);
	ends[0] = dup(ends[1]);
}

static void something_else_is_an_error(void **state RP_UNUSED)
{
	struct message message;
	int fd;

	assert_int_equal(send(ends[0], "short", 5, 0), 5);
	assert_int_equal(message_receive(ends[1], &message, &fd), -EPIPE);
}

static volatile int rings;

static void ring(int signal RP_UNUSED)
{
	rings++;
}

static void *send_late(void *arg RP_UNUSED)
{
	struct message message = { .kind = MESSAGE_CLOSE };

	WAIT_FOR(rings > 5);
	message_send(ends[0], &message, -1);
	return NULL;
}

static void trap_15_signals_interrupt_nothing(void **state RP_UNUSED)
{
	struct sigaction action = { .sa_handler = ring }, old;
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	struct message message = { 0 };
	sigset_t alarms;
	pthread_t thread;
	int fd;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL);
	assert_int_equal(pthread_create(&thread, NULL, send_late, NULL), 0);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(message_receive(ends[1], &message, &fd), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_int_equal(message.kind, MESSAGE_CLOSE);
	pthread_join(thread, NULL);
}

#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, make_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(messages_arrive_whole_and_in_order),
		WITH_PAIR(descriptors_go_with_them),
		WITH_PAIR(descriptors_stay_clear_of_the_first_three),
		WITH_PAIR(nobody_there_is_an_error),
		WITH_PAIR(something_else_is_an_error),
		WITH_PAIR(trap_15_signals_interrupt_nothing),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
