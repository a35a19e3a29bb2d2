/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/crew.c - who is idle and who wakes whom.  The order of events is tried out in tests/job.c and tests/ticket.c. */
#include "pools.h"

#include "crew.h"
#include "wait.h"

#include <pthread.h>

static struct arena *arena;

static int open_arena(void **state RP_UNUSED)
{
	return arena_new(&arena, NULL, NULL);
}

static int close_arena(void **state RP_UNUSED)
{
	arena = arena_free(arena);
	return 0;
}

static struct crew *crew_of(uint32_t count, uint32_t kind)
{
	struct place *places = calloc(count, sizeof *places);
	struct crew *crew = NULL;
	struct rp_error err = { .text = "" };

	for (uint32_t i = 0; i < count; i++)
		snprintf(places[i].list, sizeof places[i].list, "%u", i);
	if (crew_new(&crew, arena, places, count, kind, &err) < 0)
		fail_msg("%s", err.text);
	free(places);
	return crew;
}

static void it_begins_empty_and_quiet(void **state RP_UNUSED)
{
	int fds = count_fds();
	struct crew *crew = crew_of(130, RP_PROCESSES), *other = crew_of(3, RP_THREADS);
	char host[64];

	gethostname(host, sizeof host);
	assert_true(arena_holds(arena, crew, sizeof *crew + 130 * sizeof *crew->slots));
	assert_int_equal(crew->size, 130);
	assert_int_equal(crew->kind, RP_PROCESSES);
	assert_ptr_equal(crew->arena, arena);
	assert_string_equal(crew->host, host);
	assert_int_equal(crew->stop, CREW_RUNS);
	assert_true(crew->heap + 130 <= other->heap || other->heap + 3 <= crew->heap);
	assert_true(crew->heap > ARENA_MANAGER && other->heap > ARENA_MANAGER);
	assert_string_equal(crew->slots[129].place.list, "129");
	assert_int_equal((uintptr_t)&crew->slots[1] % CREW_LINE, 0);
	assert_int_equal(fcntl(crew->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(crew_is_empty(crew), 1);
	assert_int_equal(crew_is_empty(other), 0);      /* threads are gone when they have retired */
	for (int i = 0; i < 3; i++)
		other->slots[i].state = SLOT_RETIRED;
	assert_int_equal(crew_is_empty(other), 1);
	crew->slots[129].state = SLOT_STARTING;
	assert_int_equal(crew_is_empty(crew), 0);
	crew_free(other);
	crew_free(crew);
	assert_null(crew_free(NULL));
	assert_int_equal(count_fds(), fds);
}

/* As many as there are heaps, and not one more; what was made meanwhile is given back. */
static void too_many_workers_are_refused(void **state RP_UNUSED)
{
	uint32_t most = ARENA_HEAPS - 1;
	int fds = count_fds();
	struct place *places = calloc(most, sizeof *places);
	struct crew *crew = NULL, *other = crew_of(1, RP_PROCESSES);
	struct rp_error err = { .text = "" };

	assert_int_equal(crew_new(&crew, arena, places, most, RP_PROCESSES, &err), -ENOSPC);
	assert_null(crew);
	assert_string_not_equal(err.text, "");
	crew_free(other);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(crew_new(&crew, arena, places, most, RP_PROCESSES, NULL), 0);
		crew = crew_free(crew);
	}
	free(places);
	assert_int_equal(count_fds(), fds);
}

static void the_first_reason_to_break_stays(void **state RP_UNUSED)
{
	struct crew *crew = crew_of(2, RP_PROCESSES);
	uint32_t ended = crew->ended, bell = crew->slots[1].bell;
	char reason[sizeof crew->reason], text[1000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	crew_break(crew, "%s of %d", text, 2);
	assert_int_equal(crew->stop, CREW_BROKEN);
	assert_int_not_equal(crew->ended, ended);
	assert_int_not_equal(crew->slots[1].bell, bell);
	assert_int_equal(strlen(crew->reason), sizeof crew->reason - 1);
	memcpy(reason, crew->reason, sizeof reason);
	crew_break(crew, "another");
	assert_string_equal(crew->reason, reason);
	crew = crew_free(crew);
	crew = crew_of(1, RP_PROCESSES);
	crew->stop = CREW_CLOSES;
	crew_break(crew, "while it closes");
	assert_int_equal(crew->stop, CREW_BROKEN);
	crew = crew_free(crew);
	crew = crew_of(1, RP_PROCESSES);
	crew->stop = CREW_TERMINATED;
	crew_break(crew, "too late");
	assert_int_equal(crew->stop, CREW_TERMINATED);
	crew_free(crew);
}

static void notes_say_it_all(void **state RP_UNUSED)
{
	struct crew *crew = crew_of(1, RP_PROCESSES);
	size_t size = 3000000;
	char *text = malloc(size + 1);
	struct note *note;

	memset(text, 'y', size);
	text[size] = 0;
	note = crew_note(crew, crew->heap, RP_FAILED, INT32_MIN, 7, text, size);
	assert_non_null(note);
	assert_int_equal(note->state, RP_FAILED);
	assert_int_equal(note->code, INT32_MIN);
	assert_int_equal(note->rank, 7);
	assert_int_equal(note->size, size);
	assert_string_equal(note->text, text);
	arena_publish(arena, crew->heap);
	arena_drop(arena, note);
	note = crew_note(crew, crew->heap, RP_DIED, 0, 0, "", 0);
	assert_string_equal(note->text, "");
	assert_null(crew_note(crew, crew->heap, RP_DIED, 0, 0, text, (size_t)1 << 50));
	free(text);
	crew_free(crew);
}

/* ---- waking --------------------------------------------------------------------------------------------- */

static struct {
	struct crew *crew;
	pthread_t threads[70];
	_Atomic uint32_t awake, asleep;
} house;

static void *sleep_once(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg, bell = house.crew->slots[slot].bell;

	house.asleep++;
	crew_sleep(house.crew, slot, bell);
	house.awake++;
	return NULL;
}

static uint32_t count_sleepers(void)
{
	uint32_t n = 0;

	for (uint32_t m = 0; m < 2; m++)
		n += (uint32_t)__builtin_popcountll(house.crew->sleeping[m]);
	return n;
}

static void put_to_bed(uint32_t count)
{
	house.crew = crew_of(count, RP_PROCESSES);
	house.awake = house.asleep = 0;
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(pthread_create(&house.threads[i], NULL, sleep_once, (void *)(uintptr_t)i), 0);
	assert_true(WAIT_FOR(count_sleepers() == count));
}

static void get_up(uint32_t count)
{
	crew_ring_all(house.crew);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(pthread_join(house.threads[i], NULL), 0);
	assert_int_equal(count_sleepers(), 0);
	house.crew = crew_free(house.crew);
}

static void as_many_wake_as_are_called(void **state RP_UNUSED)
{
	put_to_bed(70);
	crew_ring(house.crew, 1);
	assert_true(WAIT_FOR(house.awake == 1));
	crew_ring(house.crew, 66);
	assert_true(WAIT_FOR(house.awake == 67));
	house.crew->spinning[1] = 1;    /* somebody who spins looks for himself */
	crew_ring(house.crew, 1);
	assert_int_equal(count_sleepers(), 3);
	crew_ring(house.crew, 3);
	assert_true(WAIT_FOR(house.awake == 69));
	house.crew->spinning[1] = 0;
	crew_ring(house.crew, 1000);
	assert_true(WAIT_FOR(house.awake == 70));
	crew_ring(house.crew, 1);
	get_up(70);
}

/* One that died after it had chosen whom to wake has taken the mark of that one. */
static void a_burial_wakes_everybody(void **state RP_UNUSED)
{
	put_to_bed(3);
	house.crew->sleeping[0] = 4;
	crew_buried(house.crew, 2);
	assert_true(WAIT_FOR(house.awake == 3));
	assert_int_equal(house.crew->sleeping[0], 0);
	get_up(3);
}

static void nobody_sleeps_through_what_came_before(void **state RP_UNUSED)
{
	struct crew *crew = crew_of(1, RP_PROCESSES);
	uint32_t bell = crew->slots[0].bell;

	crew_ring_all(crew);
	crew_sleep(crew, 0, bell);      /* the bell rang before */
	bell = crew->slots[0].bell;
	crew->tail = 1;
	crew_sleep(crew, 0, bell);      /* a ticket waits */
	crew->tail = 0;
	crew->stop = CREW_CLOSES;
	crew_sleep(crew, 0, bell);
	assert_int_equal(crew->sleeping[0], 0);
	crew_free(crew);
}

static void only_so_many_spin(void **state RP_UNUSED)
{
	struct crew *crew = crew_of(3, RP_PROCESSES);

	assert_int_equal(crew_spin(crew, 0, crew->slots[0].bell - 1), 0);
	crew->spinners = 1;
	assert_int_equal(crew_spin(crew, 0, crew->slots[0].bell - 1), 1);
	assert_int_equal(crew_spin(crew, 0, crew->slots[0].bell), 0);
	crew->tail = 1;
	assert_int_equal(crew_spin(crew, 0, crew->slots[0].bell), 1);
	crew->spinning[0] = 2;
	assert_int_equal(crew_spin(crew, 0, crew->slots[0].bell - 1), 0);
	assert_int_equal(crew->spinning[0], 2);
	crew_free(crew);
}

/* ---- nothing is lost ------------------------------------------------------------------------------------ */

static struct {
	struct crew *crew;
	pthread_t threads[3];
	_Atomic uint32_t work, done;
} mill;

static void *grind(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;

	while (mill.crew->stop == CREW_RUNS) {
		uint32_t bell = mill.crew->slots[slot].bell, work = mill.work;

		if (work && atomic_compare_exchange_strong(&mill.work, &work, work - 1))
			mill.done++;
		else if (!work && !crew_spin(mill.crew, slot, bell))
			crew_sleep(mill.crew, slot, bell);
	}
	return NULL;
}

/* All wake for each piece of work, which is what a map does; a call that was missed would leave the last one undone. */
static void no_call_is_missed(void **state RP_UNUSED)
{
	for (uint32_t spinners = 0; spinners < 3; spinners++) {
		mill.crew = crew_of(3, RP_PROCESSES);
		mill.crew->spinners = spinners;
		mill.done = 0;
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&mill.threads[i], NULL, grind, (void *)(uintptr_t)i), 0);
		for (uint32_t i = 1; i <= 3000 / SLOWER; i++) {
			mill.work++;
			crew_ring_all(mill.crew);
			for (int k = 0; k < 100000 && mill.done != i; k++)
				wait_pause();
			assert_true(WAIT_FOR(mill.done == i));
		}
		mill.crew->stop = CREW_CLOSES;
		crew_ring_all(mill.crew);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(pthread_join(mill.threads[i], NULL), 0);
		mill.crew = crew_free(mill.crew);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_empty_and_quiet),
		cmocka_unit_test(too_many_workers_are_refused),
		cmocka_unit_test(the_first_reason_to_break_stays),
		cmocka_unit_test(notes_say_it_all),
		cmocka_unit_test(as_many_wake_as_are_called),
		cmocka_unit_test(a_burial_wakes_everybody),
		cmocka_unit_test(nobody_sleeps_through_what_came_before),
		cmocka_unit_test(only_so_many_spin),
		cmocka_unit_test(no_call_is_missed),
	};

	return cmocka_run_group_tests_name("crew", tests, open_arena, close_arena);
}
