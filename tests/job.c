/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/job.c - a map in shared memory: sharing out, claiming, stealing, and what is true when workers die.
 *
 * The protocol is played through by the workers' real loop (worker.c) with all interleavings of two workers, a manager and a
 * supervisor, and with deaths anywhere; and then by processes that are killed at any instruction. */
#include "pools.h"

#include "clock.h"
#include "crew.h"
#include "wait.h"

#include "interleave.h"

static void *note_space(size_t size);

/* On stage there is no arena, no time, and no kernel. */
#define on_stage() (play.running >= 0)
#define arena_alloc_pending(arena, heap, size) \
	(on_stage() ? note_space(size) : (arena_alloc_pending)(arena, heap, size))
#define arena_publish(arena, heap) (on_stage() ? (void)0 : (arena_publish)(arena, heap))
#define arena_drop_pending(arena, heap) (on_stage() ? (void)0 : (arena_drop_pending)(arena, heap))
#define clock_now() (on_stage() ? play.points * INT64_C(1000) : (clock_now)())
#define wait_on(word, value, deadline) (on_stage() ? play_wait(word, value) : (wait_on)(word, value, deadline))
#define wait_wake(word, count) (on_stage() ? play_wake(word, count) : (wait_wake)(word, count))

#include "../lib/crew.c"
#include "../lib/job.c"
#include "../lib/ticket.c"
#include "../lib/worker.c"

#include <pthread.h>

static char note_memory[65536];
static size_t note_used;

static void *note_space(size_t size)
{
	void *memory = note_memory + note_used;

	note_used += (size + 63) / 64 * 64;
	return note_used <= sizeof note_memory ? memory : NULL;
}

/* A crew without an arena. */
static struct crew *bare_crew(uint32_t workers)
{
	size_t size = (sizeof(struct crew) + workers * sizeof(struct slot) + 63) / 64 * 64;
	struct crew *crew = aligned_alloc(64, size);

	memset(crew, 0, size);
	crew->size = workers;
	crew->fd = -1;
	return crew;
}

static uint64_t range_of(const struct crew *crew, uint32_t slot, uint32_t number)
{
	return crew->slots[slot].range[number].word;
}

/* ---- one step at a time --------------------------------------------------------------------------------- */

static void items_are_shared_out_evenly(void **state RP_UNUSED)
{
	static const uint32_t counts[] = { 0, 1, 2, 3, 10, 99, 100, 101, 4096, 2000000000 };

	for (uint32_t workers = 1; workers <= 7; workers++) {
		struct crew *crew = bare_crew(workers);

		for (size_t c = 0; c < LENGTH(counts); c++) {
			uint32_t next = 5, least = UINT32_MAX, most = 0;

			job_open(crew, 1, c + 1, 5, 5 + counts[c]);
			for (uint32_t i = 0; i < workers; i++) {
				uint64_t range = range_of(crew, i, 1);
				uint32_t length = RANGE_END(range) - RANGE_BEGIN(range);

				assert_int_equal(RANGE_BEGIN(range), next);
				next = RANGE_END(range);
				least = length < least ? length : least;
				most = length > most ? length : most;
			}
			assert_int_equal(next, 5 + counts[c]);
			assert_true(most - least <= 1);
			assert_int_equal(crew->jobs[1].seq, (c + 1) * CREW_JOBS + 1);
		}
		free(crew);
	}
}

/* So that a worker's chunk is what the caller calls one. */
static void chunks_are_not_cut(void **state RP_UNUSED)
{
	for (uint32_t workers = 1; workers <= 5; workers++) {
		struct crew *crew = bare_crew(workers);

		for (uint32_t chunk = 1; chunk <= 13; chunk++) {
			uint32_t next = 0, begin, count, seen = 0;

			crew->jobs[0].chunk = chunk;
			job_open(crew, 0, chunk, 0, 100);
			for (uint32_t i = 0; i < workers; i++) {
				assert_int_equal(RANGE_BEGIN(range_of(crew, i, 0)), next);
				next = RANGE_END(range_of(crew, i, 0));
				assert_true(next % chunk == 0 || next == 100);
			}
			while ((count = job_claim(crew, workers - 1, (uint64_t)chunk * CREW_JOBS, chunk, 1, &begin))) {
				assert_int_equal(begin % chunk, 0);
				assert_int_equal(count, begin + chunk <= 100 ? chunk : 100 - begin);
				seen += count;
			}
			assert_int_equal(seen, 100);
		}
		free(crew);
	}
}

static void the_owner_claims_from_the_front(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(2);
	uint32_t begin = 0;

	job_open(crew, 0, 1, 0, 200);
	assert_int_equal(job_claim(crew, 0, 4, 1, 0, &begin), 1);
	assert_int_equal(begin, 0);
	assert_int_equal(job_claim(crew, 0, 4, 10, 0, &begin), 10);
	assert_int_equal(begin, 1);
	assert_int_equal(job_claim(crew, 0, 4, 1000, 0, &begin), 45);   /* half of what is left */
	assert_int_equal(begin, 11);
	assert_int_equal(job_claim(crew, 0, 4, 1000, 1, &begin), 44);   /* all of it */
	assert_int_equal(begin, 56);
	assert_int_equal(range_of(crew, 1, 0), RANGE(100, 200));
	free(crew);
}

static void a_thief_takes_the_back_half_of_the_fullest_range(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(5);
	uint32_t begin = 0;

	job_open(crew, 2, 1, 0, 0);
	crew->slots[0].range[2].word = RANGE(0, 10);
	crew->slots[1].range[2].word = RANGE(20, 41);
	crew->slots[3].range[2].word = RANGE(50, 71);
	crew->slots[4].range[2].word = RANGE(80, 81);
	assert_int_equal(job_claim(crew, 2, 6, 1, 0, &begin), 1);       /* 1 and 3 are as full and as near */
	assert_true(begin == 30 || begin == 60);
	crew->slots[2].range[2].word = RANGE(0, 0);
	crew->slots[1].range[2].word = RANGE(0, 0);
	crew->slots[3].range[2].word = RANGE(0, 0);
	assert_int_equal(job_claim(crew, 2, 6, 1, 0, &begin), 1);
	assert_int_equal(begin, 5);
	assert_int_equal(range_of(crew, 0, 2), RANGE(0, 5));
	assert_int_equal(range_of(crew, 2, 2), RANGE(6, 10));
	crew->slots[0].range[2].word = crew->slots[2].range[2].word = RANGE(3, 3);
	assert_int_equal(job_claim(crew, 2, 6, 64, 0, &begin), 1);      /* the last item of all */
	assert_int_equal(begin, 80);
	assert_int_equal(job_claim(crew, 2, 6, 64, 0, &begin), 0);
	free(crew);
}

static void what_is_taken_back_is_the_back_of_the_fullest_range(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(3);
	uint32_t begin = 0, told;

	job_open(crew, 1, 1, 0, 0);
	crew->slots[0].range[1].word = RANGE(0, 10);
	crew->slots[1].range[1].word = RANGE(20, 41);
	crew->slots[2].range[1].word = RANGE(50, 52);
	told = crew->ended;
	assert_int_equal(job_take(crew, 1, 5, &begin), 5);
	assert_int_equal(begin, 36);
	assert_int_equal(range_of(crew, 1, 1), RANGE(20, 36));
	assert_int_not_equal(crew->ended, told);
	assert_int_equal(job_take(crew, 1, 100, &begin), 16);           /* one range at a time, all of it */
	assert_int_equal(begin, 20);
	assert_int_equal(job_take(crew, 1, 100, &begin), 10);
	assert_int_equal(begin, 0);
	assert_int_equal(job_take(crew, 1, 1, &begin), 1);
	assert_int_equal(begin, 51);
	assert_int_equal(job_take(crew, 1, 1, &begin), 1);              /* the last item of all */
	assert_int_equal(begin, 50);
	told = crew->ended;
	assert_int_equal(job_take(crew, 1, 1, &begin), 0);
	assert_int_equal(crew->ended, told);
	assert_int_equal(job_quiet(crew, 1), 1);
	crew->slots[0].range[1].word = RANGE(0, 10);
	assert_int_equal(job_shut(crew, 1), 1);
	assert_int_equal(job_take(crew, 1, 100, &begin), 0);            /* nothing of a job that is shut */
	free(crew);
}

static void what_is_taken_back_is_whole_chunks(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(2);
	uint32_t begin = 0;

	crew->jobs[0].chunk = 10;
	job_open(crew, 0, 1, 0, 0);
	crew->slots[1].range[0].word = RANGE(100, 134);
	assert_int_equal(job_take(crew, 0, 3, &begin), 0);              /* not even the rest of 4 at the end */
	assert_int_equal(job_take(crew, 0, 9, &begin), 4);
	assert_int_equal(begin, 130);
	assert_int_equal(job_take(crew, 0, 9, &begin), 0);
	assert_int_equal(job_take(crew, 0, 25, &begin), 20);
	assert_int_equal(begin, 110);
	assert_int_equal(range_of(crew, 1, 0), RANGE(100, 110));
	crew->jobs[0].chunk = 1u << 31;
	crew->slots[1].range[0].word = RANGE(5, 1u << 31);
	assert_int_equal(job_take(crew, 0, 1000, &begin), 0);
	assert_int_equal(job_take(crew, 0, UINT32_MAX, &begin), (1u << 31) - 5);
	assert_int_equal(begin, 5);
	free(crew);
}

static void a_job_is_entered_by_its_seq_alone(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(2);
	uint32_t begin, told;

	assert_int_equal(job_next(crew, 0), 0);
	assert_null(job_enter(crew, 0, 4));
	assert_int_equal(crew->slots[0].job, 0);
	job_open(crew, 3, 1, 0, 10);
	job_open(crew, 1, 2, 0, 10);
	assert_int_equal(job_next(crew, 0), 1 * CREW_JOBS + 3);
	assert_int_equal(job_next(crew, 7), 2 * CREW_JOBS + 1);
	assert_int_equal(job_next(crew, 9), 0);
	assert_ptr_equal(job_enter(crew, 0, 7), &crew->jobs[3]);
	assert_int_equal(job_shut(crew, 3), 0);                         /* somebody is in */
	assert_int_equal(job_shut(crew, 1), 1);
	assert_int_equal(job_claim(crew, 0, 7, 1, 0, &begin), 0);       /* and gets nothing any more */
	told = crew->ended;
	job_leave(crew, 0, 7);
	assert_int_not_equal(crew->ended, told);
	assert_int_equal(job_shut(crew, 3), 1);
	assert_null(job_enter(crew, 1, 7));
	free(crew);
}

static void a_job_is_quiet_when_nobody_is_in_and_nothing_is_left(void **state RP_UNUSED)
{
	struct crew *crew = bare_crew(2);
	uint32_t begin, told;

	job_open(crew, 0, 1, 0, 2);
	assert_int_equal(job_quiet(crew, 0), 0);
	assert_non_null(job_enter(crew, 0, 4));
	assert_non_null(job_enter(crew, 1, 4));
	while (job_claim(crew, 0, 4, 64, 0, &begin))
		;
	assert_int_equal(job_quiet(crew, 0), 0);
	told = crew->ended;
	job_leave(crew, 1, 4);
	assert_int_equal(crew->ended, told);
	assert_int_equal(job_quiet(crew, 0), 0);
	job_leave(crew, 0, 4);
	assert_int_not_equal(crew->ended, told);
	assert_int_equal(job_quiet(crew, 0), 1);
	free(crew);
}

static struct arena *real_arena(void)
{
	struct arena *arena = NULL;

	assert_int_equal(arena_new(&arena, NULL, NULL), 0);
	return arena;
}

static struct crew *real_crew(struct arena *arena, uint32_t workers)
{
	struct place places[8] = { 0 };
	struct crew *crew = NULL;

	assert_int_equal(crew_new(&crew, arena, places, workers, RP_PROCESSES, NULL), 0);
	return crew;
}

/* Opens job 0 for so many items; the states are returned. */
static _Atomic uint8_t *open_job(struct crew *crew, uint32_t count, rp_task_fn *fn)
{
	struct job *job = &crew->jobs[0];

	job->fn = fn;
	job->count = count;
	job->check = 0;
	job->notes_for_all = 1;
	job->first_bad = UINT64_MAX;
	job->notes = NULL;
	job->states = arena_alloc(crew->arena, ARENA_MANAGER, count);
	memset((void *)job->states, 0, count);
	job_open(crew, 0, 1, 0, count);
	return job->states;
}

static void the_first_bad_item_has_a_note_and_all_on_request(void **state RP_UNUSED)
{
	static const uint32_t order[] = { 50, 70, 20, 20, 30, 0 };
	static const int noted[] = { 1, 0, 1, 1, 0, 1 }; /* the second 20: the first may have died before it said why */
	struct arena *arena = real_arena();

	for (int all = 0; all < 2; all++) {
		struct crew *crew = real_crew(arena, 1);
		_Atomic uint8_t *states = open_job(crew, 100, NULL);
		struct job *job = &crew->jobs[0];

		job->notes_for_all = (uint32_t)all;
		for (size_t i = 0; i < LENGTH(order); i++) {
			struct note *before = job->notes, *note;

			job_note(crew, 0, job, order[i], RP_FAILED, -3, "because", 7);
			assert_int_equal(states[order[i]], RP_FAILED);
			note = job->notes;
			assert_int_equal(note != before, all || noted[i]);
			if (note == before)
				continue;
			assert_ptr_equal(note->next, before);
			assert_int_equal(note->index, order[i]);
			assert_int_equal(note->state, RP_FAILED);
			assert_int_equal(note->code, -3);
			assert_int_equal(note->rank, 0);
			assert_int_equal(note->size, 7);
			assert_string_equal(note->text, "because");
		}
		assert_int_equal(job->first_bad, 0);
		crew_free(crew);
	}
	arena_free(arena);
}

static void the_dead_workers_item_died(void **state RP_UNUSED)
{
	struct arena *arena = real_arena();
	struct crew *crew = real_crew(arena, 2);
	_Atomic uint8_t *states = open_job(crew, 100, NULL);
	struct slot *slot = &crew->slots[1];
	struct rp_bytes results[100] = { [9] = { "half done", 9 } };
	struct note *note;

	crew->jobs[0].out_bytes = results;
	assert_non_null(job_enter(crew, 1, 4));
	slot->current = 0;                      /* between two items */
	job_bury(crew, 1, -9, "killed");
	assert_null(crew->jobs[0].notes);
	assert_int_equal(slot->job, 0);
	assert_non_null(job_enter(crew, 1, 4));
	slot->current = 8 + 1;
	states[8] = RP_OK;                      /* done, and not yet said so otherwise */
	job_bury(crew, 1, -9, "killed");
	assert_int_equal(states[8], RP_OK);
	assert_null(crew->jobs[0].notes);
	assert_non_null(job_enter(crew, 1, 4));
	slot->current = 9 + 1;
	job_bury(crew, 1, -9, "killed");
	note = crew->jobs[0].notes;
	assert_int_equal(states[9], RP_DIED);
	assert_null(results[9].data);
	assert_int_equal(note->index, 9);
	assert_int_equal(note->code, -9);
	assert_int_equal(note->rank, 1);
	assert_string_equal(note->text, "killed");
	assert_int_equal(slot->job, 0);
	assert_int_equal(slot->current, 0);
	slot->current = 10 + 1;                 /* in no job */
	job_bury(crew, 1, -9, "killed");
	assert_int_equal(states[10], RP_PENDING);
	assert_non_null(job_enter(crew, 1, 4));
	slot->current = 11 + 1;
	crew->stop = CREW_TERMINATED;           /* killed with its pool: that is not its own death */
	job_bury(crew, 1, -9, "killed");
	assert_int_equal(states[11], RP_PENDING);
	crew_free(crew);
	arena_free(arena);
}

/* ---- everything at once, on stage ----------------------------------------------------------------------- */

/* Actors: the managers, one for each map, the supervisor, the workers, and one that takes items back. */
#define MAPS 2
#define SUPERVISOR MAPS
#define FIRST_WORKER (MAPS + 1)
#define TAKER (ACTORS - 1)
#define MOST_ITEMS 16
#define AWAY 255                                /* the state of an item that was taken back */

struct case_on_stage {
	uint32_t maps, workers, items, chunk, spinners, max_tasks;
	int turns, deaths;                      /* out of turn, and deaths, at most */
	long at_random;                         /* so many plays; 0: all that there are */
	uint32_t takes, at_once;                /* how often items of the first map are taken back, how many at most */
};

static struct {
	const struct case_on_stage *on;
	struct crew *crew;
	_Atomic uint8_t states[MAPS][MOST_ITEMS];
	int runs[MAPS][MOST_ITEMS];
	uint64_t serial;
	uint32_t over;
	int deaths;
	uint32_t taken;
	_Atomic uint32_t lock;                  /* 1: somebody takes items back, or looks for lost ones */
} scene;

static int run_item(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	scene.runs[task->seed][rp_task_index(task)]++;
	return 0;
}

static void be_worker(int actor)
{
	worker_run(scene.crew, (uint32_t)(actor - FIRST_WORKER), -1);
}

static void sleep_until_told(uint32_t seen)
{
	atomic_fetch_add(&scene.crew->waiting, 1);
	play_wait(&scene.crew->ended, seen);
	atomic_fetch_sub(&scene.crew->waiting, 1);
}

static void lock_scene(void)
{
	while (atomic_exchange(&scene.lock, 1))
		play_wait(&scene.lock, 1);
}

static void unlock_scene(void)
{
	atomic_store(&scene.lock, 0);
	play_wake(&scene.lock, 1);
}

/* As a thread of the manager's does it that has other nodes to give work to. */
static void be_taker(int actor RP_UNUSED)
{
	for (uint32_t i = 0; i < scene.on->takes; i++) {
		uint32_t begin = 0, count;

		lock_scene();
		count = job_take(scene.crew, 0, scene.on->at_once, &begin);
		if (count > scene.on->at_once)
			object("more was taken than wanted");
		for (uint32_t item = begin; item < begin + count; item++) {
			if (scene.states[0][item] && !scene.crew->jobs[0].check)
				object("an item was taken that has a state");
			if (scene.states[0][item])
				continue;
			atomic_store(&scene.states[0][item], AWAY);
			scene.taken++;
		}
		unlock_scene();
	}
}

/* As map.c does it. */
static void be_manager(int actor)
{
	struct crew *crew = scene.crew;
	uint32_t number = (uint32_t)actor, begin = 0, span = scene.on->items, seen;

	for (;;) {
		job_open(crew, number, ++scene.serial, begin, begin + span);
		while (seen = atomic_load(&crew->ended), !job_quiet(crew, number))
			sleep_until_told(seen);
		while (seen = atomic_load(&crew->ended), !job_shut(crew, number))
			sleep_until_told(seen);
		lock_scene();
		span = job_lost(scene.states[actor], scene.on->items, &begin);
		unlock_scene();
		if (!span)
			break;
		crew->jobs[number].check = 1;
	}
	if (++scene.over < scene.on->maps)
		return;
	atomic_store(&crew->stop, CREW_TERMINATED);
	crew_ring_all(crew);
}

/* As supervise.c does it. */
static void be_supervisor(int actor RP_UNUSED)
{
	struct crew *crew = scene.crew;

	for (uint32_t seen = 0;; seen++) {
		play_wait(&obituaries, seen);
		for (uint32_t i = 0; i < crew->size; i++) {
			struct actor *worker = &play.actors[FIRST_WORKER + i];

			if (worker->state != DEAD && worker->state != GONE)
				continue;
			scene.deaths += worker->state == DEAD;
			worker->state = OFF_STAGE;
			crew_buried(crew, i);
			job_bury(crew, i, -9, "dead");
			atomic_store(&crew->slots[i].state, SLOT_EMPTY);
			crew_tell(crew);
			if (atomic_load(&crew->stop) == CREW_RUNS)
				enter_stage((int)(FIRST_WORKER + i), be_worker, 1);
		}
	}
}

static void set_scene(void)
{
	const struct case_on_stage *on = scene.on;
	struct crew *crew = scene.crew;

	memset(crew, 0, sizeof *crew + on->workers * sizeof *crew->slots);
	memset((void *)scene.states, 0, sizeof scene.states);
	memset(scene.runs, 0, sizeof scene.runs);
	scene.serial = scene.over = note_used = 0;
	scene.deaths = 0;
	scene.taken = 0;
	scene.lock = 0;
	crew->size = on->workers;
	crew->spinners = on->spinners;
	crew->max_tasks = on->max_tasks;
	for (uint32_t m = 0; m < on->maps; m++) {
		struct job *job = &crew->jobs[m];

		job->fn = run_item;
		job->seed = m;
		job->count = on->items;
		job->chunk = on->chunk;
		job->states = scene.states[m];
		job->notes_for_all = 1;
		job->first_bad = UINT64_MAX;
		enter_stage((int)m, be_manager, 0);
	}
	enter_stage(SUPERVISOR, be_supervisor, 0);
	play.actors[SUPERVISOR].patient = 1;
	for (uint32_t i = 0; i < on->workers; i++)
		enter_stage((int)(FIRST_WORKER + i), be_worker, 1);
	if (on->takes)
		enter_stage(TAKER, be_taker, 0);
}

static int check_items(uint32_t map)
{
	uint32_t away = 0;
	int died = 0;

	for (uint32_t i = 0; i < scene.on->items; i++) {
		int state = scene.states[map][i], runs = scene.runs[map][i];

		died += state == RP_DIED;
		away += state == AWAY;
		if (state != RP_OK && state != RP_DIED && state != AWAY)
			object("an item has no state");
		if (state == AWAY && runs)
			object("an item was run that had been taken back");
		if (runs > 1)
			object("an item was run twice");
		if (state == RP_OK && runs != 1)
			object("an item is done that was not run");
	}
	for (struct note *note = scene.crew->jobs[map].notes; note; note = note->next)
		if (scene.states[map][note->index] != RP_DIED)
			object("a note tells of an item that is well");
	if (away != (map ? 0 : scene.taken))
		object("what was taken is not what is away");
	return died;
}

static void check_scene(void)
{
	int died = 0;

	if (scene.over < scene.on->maps)
		object("a map has not ended");
	for (uint32_t m = 0; m < scene.on->maps; m++)
		died += check_items(m);
	if (died > scene.deaths)
		object("more items have died than workers");
	for (uint32_t i = 0; i < scene.on->workers; i++)
		if (scene.crew->slots[i].job)
			object("somebody is still in a job");
}

static const struct case_on_stage cases[] = {
	{ 1, 1, 1, 0, 0, 0, 2, 0, 0, 0, 0 }, { 1, 1, 2, 0, 0, 0, 1, 1, 0, 0, 0 }, { 1, 2, 1, 0, 0, 0, 2, 0, 0, 0, 0 },
	{ 1, 2, 3, 0, 0, 0, 2, 0, 0, 0, 0 }, { 1, 2, 3, 2, 0, 0, 2, 0, 0, 0, 0 }, { 1, 2, 2, 0, 0, 0, 1, 1, 0, 0, 0 },
	{ 1, 2, 4, 1, 0, 0, 1, 1, 0, 0, 0 }, { 1, 3, 4, 0, 0, 0, 1, 0, 0, 0, 0 }, { 1, 2, 3, 0, 0, 2, 1, 0, 0, 0, 0 },
	{ 1, 2, 5, 0, 0, 0, 100, 0, 40000, 0, 0 }, { 1, 2, 4, 0, 0, 0, 100, 3, 40000, 0, 0 },
	{ 1, 3, 7, 0, 1, 0, 100, 2, 20000, 0, 0 }, { 1, 4, 16, 0, 0, 0, 100, 4, 20000, 0, 0 },
	{ 1, 3, 9, 3, 0, 2, 100, 3, 20000, 0, 0 }, { 2, 2, 5, 0, 0, 0, 100, 2, 40000, 0, 0 },
	{ 2, 4, 6, 0, 2, 3, 100, 4, 20000, 0, 0 },
	{ 1, 1, 1, 0, 0, 0, 2, 0, 0, 1, 1 }, { 1, 1, 3, 0, 0, 0, 2, 0, 0, 1, 2 }, { 1, 1, 2, 0, 0, 0, 1, 1, 0, 1, 1 },
	{ 1, 2, 2, 0, 0, 0, 2, 0, 0, 1, 1 }, { 1, 2, 3, 0, 0, 0, 1, 1, 0, 1, 2 }, { 1, 2, 4, 2, 0, 0, 1, 0, 0, 2, 2 },
	{ 1, 2, 6, 0, 0, 0, 100, 3, 40000, 3, 2 }, { 2, 4, 9, 2, 1, 2, 100, 3, 20000, 4, 3 },
};

/* Every item once, whatever the order and whoever dies, and the manager is told of the end. */
static void every_order_of_events_ends_well(void **state RP_UNUSED)
{
	uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	if (UNDER_TSAN) {
		print_message("# left out: the thread sanitizer does not know contexts that are switched by hand\n");
		return;
	}
	for (size_t c = 0; c < LENGTH(cases); c++) {
		struct theatre theatre = { set_scene, check_scene, cases[c].turns, cases[c].deaths };
		const char *wrong;
		long plays;

		scene.on = &cases[c];
		scene.crew = bare_crew(cases[c].workers);
		if (cases[c].at_random)
			plays = play_some(&theatre, cases[c].at_random / SLOWER, seed, &wrong);
		else
			plays = play_all(&theatre, &wrong);
		free(scene.crew);
		if (wrong)
			fail_msg("case %zu, play %ld of seed %llu: %s", c, plays, (unsigned long long)seed, wrong);
	}
	close_theatre();
}

/* ---- everything at once, in earnest --------------------------------------------------------------------- */

static struct crowd {
	struct crew *crew;
	uint32_t claims[1 << 16];
	pthread_t threads[4];
} crowd;

static void *claim_all(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg, begin, count, seed = slot * 7919 + 1;

	if (!job_enter(crowd.crew, slot, 4))
		return arg;
	while ((count = job_claim(crowd.crew, slot, 4, 1 + seed % 5, seed % 2, &begin))) {
		for (uint32_t i = begin; i < begin + count; i++)
			__atomic_fetch_add(&crowd.claims[i], 1, __ATOMIC_RELAXED);
		seed = seed * 1103515245 + 12345;
	}
	job_leave(crowd.crew, slot, 4);
	return NULL;
}

static void threads_claim_each_item_once(void **state RP_UNUSED)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("# seed %u\n", seed);
	for (int round = 0; round < 400 / SLOWER; round++) {
		uint32_t workers = 2 + (uint32_t)round % 3, items = (uint32_t)rand_r(&seed) % (round % 4 ? 300 : 1 << 16);

		crowd.crew = bare_crew(workers);
		memset(crowd.claims, 0, sizeof crowd.claims);
		job_open(crowd.crew, 0, 1, 0, items);
		for (uint32_t i = 0; i < workers; i++)
			assert_int_equal(pthread_create(&crowd.threads[i], NULL, claim_all, (void *)(uintptr_t)i), 0);
		for (uint32_t i = 0; i < workers; i++)
			assert_int_equal(pthread_join(crowd.threads[i], NULL), 0);
		for (uint32_t i = 0; i < LENGTH(crowd.claims); i++)
			assert_int_equal(crowd.claims[i], i < items);
		assert_int_equal(job_quiet(crowd.crew, 0), 1);
		free(crowd.crew);
	}
}

static _Atomic uint32_t *counter;

static int count_item(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	counter[rp_task_index(task)]++;
	for (volatile int i = 0; i < 2000; i++)
		;
	return rp_task_index(task) % 1000 == 77 ? rp_task_fail(task, "item %zu", rp_task_index(task)) : 0;
}

static pid_t fork_worker_process(struct crew *crew, uint32_t slot)
{
	pid_t pid = fork_program();

	if (pid == 0) {
		arena_forked(crew->arena);
		_exit(worker_run(crew, slot, -1));
	}
	return pid;
}

static void check_killed_job(const struct crew *crew, const _Atomic uint8_t *states, uint32_t items, int kills)
{
	uint32_t died = 0, failed = 0, notes = 0;

	for (uint32_t i = 0; i < items; i++) {
		died += states[i] == RP_DIED;
		failed += states[i] == RP_FAILED;
		assert_true(states[i] == RP_DIED || states[i] == (i % 1000 == 77 ? RP_FAILED : RP_OK));
		assert_true(counter[i] == 1 || (states[i] == RP_DIED && counter[i] == 0));
	}
	/* One that was killed between its note and the item's state has left a note that nobody reads: the item died. */
	for (const struct note *note = crew->jobs[0].notes; note; note = note->next) {
		assert_true(note->state == states[note->index] || states[note->index] == RP_DIED);
		notes += note->state == states[note->index];
	}
	assert_int_equal(notes, died + failed);
	assert_true(died <= (uint32_t)kills);
	print_message("# %d kills, %u items died\n", kills, died);
}

/* Kills one of the workers, and does what the supervisor would. */
static void kill_and_bury(struct crew *crew, pid_t *pids, uint32_t i)
{
	assert_int_equal(kill(pids[i], SIGKILL), 0);
	assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	pids[i] = 0;
	arena_recover(crew->arena, crew->heap + i);
	crew_buried(crew, i);
	job_bury(crew, i, -SIGKILL, "killed");
}

/* Two workers are forked, killed at any moment, buried and replaced until the job is done. */
static void killed_workers_lose_no_item(void **state RP_UNUSED)
{
	struct arena *arena = real_arena();
	struct crew *crew = real_crew(arena, 2);
	uint32_t items = 1500000 / SLOWER, serial = 1;
	unsigned seed = (unsigned)time(NULL);
	_Atomic uint8_t *states;
	pid_t pids[2] = { 0, 0 };
	int kills = 0;

	print_message("# seed %u\n", seed);
	counter = arena_alloc(arena, ARENA_MANAGER, items * sizeof *counter);
	memset((void *)counter, 0, items * sizeof *counter);
	states = open_job(crew, items, count_item);
	while (memchr((const void *)states, RP_PENDING, items)) {
		if (job_quiet(crew, 0) && job_shut(crew, 0)) {
			crew->jobs[0].check = 1;
			job_open(crew, 0, ++serial, 0, items);
		}
		for (uint32_t i = 0; i < 2; i++)
			if (!pids[i])
				pids[i] = fork_worker_process(crew, i);
		nanosleep(&(struct timespec){ .tv_nsec = rand_r(&seed) % 250000 }, NULL);
		if (kills < 3000)
			kill_and_bury(crew, pids, (uint32_t)kills++ / 3 % 2);
	}
	kill_and_bury(crew, pids, pids[0] ? 0 : 1);
	if (pids[1])
		kill_and_bury(crew, pids, 1);
	check_killed_job(crew, states, items, kills);
	crew_free(crew);
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_are_shared_out_evenly),
		cmocka_unit_test(chunks_are_not_cut),
		cmocka_unit_test(the_owner_claims_from_the_front),
		cmocka_unit_test(a_thief_takes_the_back_half_of_the_fullest_range),
		cmocka_unit_test(what_is_taken_back_is_the_back_of_the_fullest_range),
		cmocka_unit_test(what_is_taken_back_is_whole_chunks),
		cmocka_unit_test(a_job_is_entered_by_its_seq_alone),
		cmocka_unit_test(a_job_is_quiet_when_nobody_is_in_and_nothing_is_left),
		cmocka_unit_test(the_first_bad_item_has_a_note_and_all_on_request),
		cmocka_unit_test(the_dead_workers_item_died),
		cmocka_unit_test(every_order_of_events_ends_well),
		cmocka_unit_test(threads_claim_each_item_once),
		cmocka_unit_test(killed_workers_lose_no_item),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
