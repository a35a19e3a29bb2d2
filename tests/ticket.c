/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/ticket.c - single tasks on their way: in order, each once, and what becomes of those of the dead.
 *
 * As in tests/job.c the workers' real loop is played through in every order of events, on a ring of four entries. */
#include "pools.h"

#include "clock.h"
#include "ticket.h"
#include "wait.h"

#include "interleave.h"

static char note_memory[65536];
static size_t note_used;
static uint64_t ring_size = CREW_RING;

static inline void *note_space(size_t size)
{
	void *memory = note_memory + note_used;

	note_used += (size + 63) / 64 * 64;
	return note_used <= sizeof note_memory ? memory : NULL;
}

/* On stage there is no arena, no time, and no kernel. */
#define on_stage() (play.running >= 0)
#define arena_alloc_pending(arena, heap, size) \
	(on_stage() ? note_space(size) : (arena_alloc_pending)(arena, heap, size))
#define arena_publish(arena, heap) (on_stage() ? (void)0 : (arena_publish)(arena, heap))
#define arena_drop_pending(arena, heap) (on_stage() ? (void)0 : (arena_drop_pending)(arena, heap))
#define clock_now() (on_stage() ? play.points * INT64_C(1000) : (clock_now)())
#define wait_on(word, value, deadline) (on_stage() ? play_wait(word, value) : (wait_on)(word, value, deadline))
#define wait_wake(word, count) (on_stage() ? play_wake(word, count) : (wait_wake)(word, count))
#undef CREW_RING
#define CREW_RING ring_size

#include "../lib/crew.c"
#include "../lib/job.c"
#include "../lib/ticket.c"
#include "../lib/worker.c"

#include <pthread.h>
#include <sys/eventfd.h>

/* ---- one step at a time --------------------------------------------------------------------------------- */

struct house {
	struct arena *arena;
	struct crew *crew;
	struct ticket_office office;
};

static struct house *open_house(uint32_t workers)
{
	struct house *house = calloc(1, sizeof *house);
	struct place places[8] = { 0 };

	assert_int_equal(arena_new(&house->arena, NULL, NULL), 0);
	assert_int_equal(crew_new(&house->crew, house->arena, places, workers, RP_PROCESSES, NULL), 0);
	return house;
}

static void close_house(struct house *house)
{
	crew_free(house->crew);
	arena_free(house->arena);
	free(house);
}

static uint32_t send_ticket(struct house *house, uint64_t index, rp_task_fn *fn)
{
	int id = ticket_take(house->crew, &house->office);
	struct ticket *ticket;

	assert_true(id >= 0);
	ticket = ticket_at(house->crew, (uint32_t)id);
	ticket->index = index;
	ticket->fn = fn;
	ticket->note = NULL;
	ticket->reply = (struct rp_bytes){ 0 };
	ticket_send(house->crew, (uint32_t)id);
	return (uint32_t)id;
}

static void tickets_are_popped_in_order(void **state RP_UNUSED)
{
	struct house *house = open_house(2);
	uint32_t ids[100];

	assert_int_equal(ticket_waits(house->crew), 0);
	assert_null(ticket_pop(house->crew, 0));
	for (uint32_t i = 0; i < 100; i++)
		ids[i] = send_ticket(house, i, NULL);
	for (uint32_t i = 0; i < 100; i++) {
		struct ticket *ticket;

		assert_int_equal(ticket_waits(house->crew), 1);
		assert_int_equal(ticket_outcome(house->crew, ids[i]), RP_PENDING);
		assert_int_equal(ticket_runs(house->crew, ids[i]), 0);
		ticket = ticket_pop(house->crew, i % 2);
		assert_ptr_equal(ticket, ticket_at(house->crew, ids[i]));
		assert_int_equal(ticket->index, i);
		assert_int_equal(ticket_runs(house->crew, ids[i]), 1);
		assert_int_equal(ticket_outcome(house->crew, ids[i]), RP_PENDING);
		ticket_end(house->crew, i % 2, ticket, i % 3 ? RP_OK : RP_FAILED, -1);
		assert_int_equal(ticket_outcome(house->crew, ids[i]), i % 3 ? RP_OK : RP_FAILED);
		assert_int_equal(ticket_runs(house->crew, ids[i]), 0);
		assert_int_equal(ticket->order, i);
	}
	assert_null(ticket_pop(house->crew, 1));
	close_house(house);
}

static void only_so_many_are_on_their_way(void **state RP_UNUSED)
{
	struct house *house = open_house(1);
	char *used = calloc(CREW_TICKETS, 1);
	uint32_t id = 0;

	for (uint32_t i = 0; i < CREW_TICKETS; i++) {
		id = send_ticket(house, i, NULL);
		assert_in_range(id, 0, CREW_TICKETS - 1);
		assert_int_equal(used[id]++, 0);
	}
	assert_int_equal(ticket_take(house->crew, &house->office), -EAGAIN);
	assert_int_equal(ticket_recall(house->crew, id), 1);
	ticket_return(house->crew, &house->office, id);
	assert_int_equal(ticket_take(house->crew, &house->office), id);
	free(used);
	close_house(house);
}

/* Entries of recalled tickets fill the ring until somebody passes over them; then it goes round. */
static void the_ring_goes_round(void **state RP_UNUSED)
{
	struct house *house = open_house(1);

	for (int round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < ring_size; i++) {
			uint32_t id = send_ticket(house, i, NULL);

			assert_int_equal(ticket_recall(house->crew, id), 1);
			assert_int_equal(ticket_recall(house->crew, id), 0);
			assert_int_equal(ticket_outcome(house->crew, id), RP_CANCELLED);
			ticket_return(house->crew, &house->office, id);
		}
		assert_int_equal(ticket_take(house->crew, &house->office), -EAGAIN);
		assert_null(ticket_pop(house->crew, 0));
	}
	close_house(house);
}

static void what_has_been_taken_cannot_be_recalled(void **state RP_UNUSED)
{
	struct house *house = open_house(1);
	uint32_t id = send_ticket(house, 0, NULL);
	struct ticket *ticket = ticket_pop(house->crew, 0);

	assert_int_equal(ticket_recall(house->crew, id), 0);
	ticket_end(house->crew, 0, ticket, RP_OK, -1);
	assert_int_equal(ticket_recall(house->crew, id), 0);
	assert_int_equal(ticket_outcome(house->crew, id), RP_OK);
	close_house(house);
}

static void the_descriptor_is_told_when_somebody_wants_it(void **state RP_UNUSED)
{
	struct house *house = open_house(1);
	int fd = house->crew->fd;
	eventfd_t told;

	for (int wanted = 0; wanted < 2; wanted++) {
		house->crew->fd_wanted = (uint32_t)wanted;
		send_ticket(house, 0, NULL);
		ticket_end(house->crew, 0, ticket_pop(house->crew, 0), RP_OK, fd);
		assert_int_equal(eventfd_read(fd, &told) == 0, wanted);
	}
	close_house(house);
}

static void the_dead_workers_ticket_died(void **state RP_UNUSED)
{
	struct house *house = open_house(2);
	struct crew *crew = house->crew;
	uint32_t id = send_ticket(house, 7, NULL), ended;
	struct ticket *ticket = ticket_at(crew, id);

	crew->slots[0].ticket = id + 1;         /* about to take it */
	ticket_bury(crew, 0, -9, "killed", -1);
	assert_int_equal(ticket_outcome(crew, id), RP_PENDING);
	assert_ptr_equal(ticket_pop(crew, 1), ticket);
	crew->slots[0].ticket = id + 1;         /* too late for it */
	ticket_bury(crew, 0, -9, "killed", -1);
	assert_int_equal(ticket_runs(crew, id), 1);
	ticket->reply = (struct rp_bytes){ "half done", 9 };
	ended = crew->ended;
	ticket_bury(crew, 1, -9, "killed", -1);
	assert_int_not_equal(crew->ended, ended);
	assert_int_equal(ticket_outcome(crew, id), RP_DIED);
	assert_int_equal(ticket->code, -9);
	assert_int_equal(ticket->rank, 1);
	assert_null(ticket->reply.data);
	assert_string_equal(ticket->note->text, "killed");
	ticket_return(crew, &house->office, id);
	assert_int_equal(send_ticket(house, 8, NULL), id);
	assert_ptr_equal(ticket_pop(crew, 0), ticket);
	ticket_end(crew, 0, ticket, RP_OK, -1);
	crew->slots[0].ticket = id + 1;         /* ended, and not yet forgotten */
	ticket_bury(crew, 0, -9, "killed", -1);
	assert_int_equal(ticket_outcome(crew, id), RP_OK);
	ticket_return(crew, &house->office, id);
	assert_int_equal(send_ticket(house, 9, NULL), id);
	assert_ptr_equal(ticket_pop(crew, 0), ticket);
	crew->stop = CREW_TERMINATED;           /* killed with its pool: that is not its own death */
	ticket_bury(crew, 0, -9, "killed", -1);
	assert_int_equal(ticket_outcome(crew, id), RP_CANCELLED);
	close_house(house);
}

/* ---- everything at once, on stage ----------------------------------------------------------------------- */

#define MANAGER 0
#define SUPERVISOR 1
#define FIRST_WORKER 2
#define MOST_TICKETS 12

struct case_on_stage {
	uint32_t workers, tickets, recalls, spinners, max_tasks;        /* the first so many are recalled at once */
	int turns, deaths;                      /* out of turn, and deaths, at most */
	long at_random;                         /* so many plays; 0: all that there are */
};

static struct {
	const struct case_on_stage *on;
	struct crew *crew;
	struct ticket_office office;
	_Atomic uint32_t ring[4];
	struct ticket tickets[MOST_TICKETS];
	int runs[MOST_TICKETS], outcome[MOST_TICKETS];
	int deaths, over;
} scene;

static int run_ticket_task(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	scene.runs[rp_task_index(task)]++;
	return rp_task_index(task) % 3 == 2;    /* some fail, and have a note */
}

static void be_worker(int actor)
{
	worker_run(scene.crew, (uint32_t)(actor - FIRST_WORKER), -1);
}

/* 1 when it has the outcome of every ticket that it sent. */
static int collect(uint32_t *ids, uint32_t sent)
{
	uint32_t waits = 0;

	for (uint32_t i = 0; i < sent; i++) {
		if (scene.outcome[i])
			continue;
		scene.outcome[i] = ticket_outcome(scene.crew, ids[i]);
		waits += !scene.outcome[i];
		if (scene.outcome[i])
			ticket_return(scene.crew, &scene.office, ids[i]);
	}
	return !waits;
}

static void be_manager(int actor RP_UNUSED)
{
	struct crew *crew = scene.crew;
	uint32_t ids[MOST_TICKETS], sent = 0, seen, all = scene.on->tickets;

	while (seen = atomic_load(&crew->ended), sent < all || !collect(ids, sent)) {
		int id = sent < all ? ticket_take(crew, &scene.office) : -EAGAIN;

		if (id >= 0) {
			scene.tickets[id].index = sent;
			scene.tickets[id].fn = run_ticket_task;
			scene.tickets[id].note = NULL;
			ids[sent++] = (uint32_t)id;
			ticket_send(crew, (uint32_t)id);
			if (sent <= scene.on->recalls)
				ticket_recall(crew, (uint32_t)id);
		} else if (!collect(ids, sent)) {
			atomic_fetch_add(&crew->waiting, 1);
			play_wait(&crew->ended, seen);
			atomic_fetch_sub(&crew->waiting, 1);
		}
	}
	scene.over = 1;
	atomic_store(&crew->stop, CREW_TERMINATED);
	crew_ring_all(crew);
}

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
			ticket_bury(crew, i, -9, "dead", -1);
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
	memset((void *)scene.tickets, 0, sizeof scene.tickets);
	memset(scene.runs, 0, sizeof scene.runs);
	memset(scene.outcome, 0, sizeof scene.outcome);
	scene.office.made = MOST_TICKETS;
	scene.office.free_count = 0;
	for (uint32_t id = MOST_TICKETS; id--;)
		scene.office.free[scene.office.free_count++] = id;
	scene.deaths = scene.over = 0;
	note_used = 0;
	crew->size = on->workers;
	crew->spinners = on->spinners;
	crew->max_tasks = on->max_tasks;
	crew->ring = scene.ring;
	crew->tickets[0] = scene.tickets;
	enter_stage(MANAGER, be_manager, 0);
	enter_stage(SUPERVISOR, be_supervisor, 0);
	play.actors[SUPERVISOR].patient = 1;
	for (uint32_t i = 0; i < on->workers; i++)
		enter_stage((int)(FIRST_WORKER + i), be_worker, 1);
}

static void check_scene(void)
{
	int died = 0;

	if (!scene.over)
		object("not all tickets have ended");
	for (uint32_t i = 0; i < scene.on->tickets; i++) {
		int good = i % 3 == 2 ? RP_FAILED : RP_OK;

		died += scene.outcome[i] == RP_DIED;
		if (scene.runs[i] > 1)
			object("a ticket was run twice");
		if (scene.outcome[i] == good ? scene.runs[i] != 1 : scene.outcome[i] == RP_CANCELLED ? scene.runs[i] != 0 :
		    scene.outcome[i] != RP_DIED)
			object("a ticket has the wrong outcome");
		if (scene.outcome[i] == RP_CANCELLED && i >= scene.on->recalls)
			object("a ticket was cancelled by nobody");
	}
	if (died > scene.deaths)
		object("more tickets have died than workers");
}

static const struct case_on_stage cases[] = {
	{ 1, 1, 0, 0, 0, 2, 0, 0 }, { 1, 2, 0, 0, 0, 1, 1, 0 }, { 2, 2, 0, 0, 0, 2, 0, 0 }, { 2, 2, 1, 0, 0, 2, 0, 0 },
	{ 2, 2, 0, 0, 0, 1, 1, 0 }, { 1, 6, 2, 0, 0, 2, 0, 0 }, { 3, 3, 0, 0, 0, 1, 0, 0 }, { 1, 3, 0, 0, 1, 1, 0, 0 },
	{ 2, 12, 4, 0, 0, 100, 3, 40000 }, { 3, 12, 0, 1, 0, 100, 3, 20000 }, { 2, 12, 3, 1, 2, 100, 2, 20000 },
	{ 4, 12, 0, 0, 0, 100, 0, 20000 },
};

static void every_order_of_events_ends_well(void **state RP_UNUSED)
{
	uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	if (UNDER_TSAN) {
		print_message("# left out: the thread sanitizer does not know contexts that are switched by hand\n");
		return;
	}
	ring_size = LENGTH(scene.ring);
	for (size_t c = 0; c < LENGTH(cases); c++) {
		struct theatre theatre = { set_scene, check_scene, cases[c].turns, cases[c].deaths };
		size_t size = (sizeof(struct crew) + cases[c].workers * sizeof(struct slot) + 63) / 64 * 64;
		const char *wrong;
		long plays;

		scene.on = &cases[c];
		scene.crew = aligned_alloc(64, size);
		if (cases[c].at_random)
			plays = play_some(&theatre, cases[c].at_random / SLOWER, seed, &wrong);
		else
			plays = play_all(&theatre, &wrong);
		free(scene.crew);
		if (wrong)
			fail_msg("case %zu, play %ld of seed %llu: %s", c, plays, (unsigned long long)seed, wrong);
	}
	ring_size = 2 * CREW_TICKETS;
	close_theatre();
}

/* ---- everything at once, in earnest --------------------------------------------------------------------- */

#define CROWD 4
#define THRONG 40000

static struct {
	struct house *house;
	_Atomic int stop;
	_Atomic uint32_t runs[THRONG];
	int outcome[THRONG];
} crowd;

static void *pop_and_end(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;

	while (!crowd.stop) {
		struct ticket *ticket = ticket_pop(crowd.house->crew, slot);

		if (!ticket)
			continue;
		crowd.runs[ticket->index]++;
		ticket_end(crowd.house->crew, slot, ticket, RP_OK, -1);
	}
	return NULL;
}

/* Each was run once, or recalled. */
static void threads_run_each_ticket_once(void **state RP_UNUSED)
{
	struct house *house = crowd.house = open_house(CROWD);
	uint32_t count = THRONG / SLOWER, sent = 0, ended = 0, id_of[64], index_of[64], held = 0;
	unsigned seed = (unsigned)time(NULL);
	pthread_t threads[CROWD];

	for (uint32_t i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pop_and_end, (void *)(uintptr_t)i), 0);
	while (ended < count) {
		while (held < LENGTH(id_of) && sent < count) {
			index_of[held] = sent;
			id_of[held] = send_ticket(house, sent++, NULL);
			if (rand_r(&seed) % 4 == 0)
				ticket_recall(house->crew, id_of[held]);
			held++;
		}
		for (uint32_t i = 0; i < held; i++) {
			int outcome = ticket_outcome(house->crew, id_of[i]);

			if (!outcome)
				continue;
			crowd.outcome[index_of[i]] = outcome;
			ticket_return(house->crew, &house->office, id_of[i]);
			ended++;
			held--;
			id_of[i] = id_of[held];
			index_of[i--] = index_of[held];
		}
	}
	crowd.stop = 1;
	for (uint32_t i = 0; i < CROWD; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(crowd.runs[i], crowd.outcome[i] == RP_OK);
	close_house(house);
}

static _Atomic uint32_t *counter;

static int count_ticket(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	counter[rp_task_index(task)]++;
	for (volatile int i = 0; i < 20000; i++)
		;
	return rp_task_index(task) % 2 ? rp_task_reply(task, "reply", 5) : rp_task_fail(task, "this one fails");
}

static void bury(struct crew *crew, uint32_t slot)
{
	arena_recover(crew->arena, crew->heap + slot);
	crew_buried(crew, slot);
	ticket_bury(crew, slot, -SIGKILL, "killed", -1);
	job_bury(crew, slot, -SIGKILL, "killed");
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

#define KILLED ((uint32_t)4000)                 /* tickets; fewer than can be on their way at once */

static uint32_t count_pending(const struct house *house, const uint32_t *ids)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < KILLED; i++)
		n += ticket_outcome(house->crew, ids[i]) == RP_PENDING;
	return n;
}

static int check_killed(struct house *house, const uint32_t *ids)
{
	int died = 0;

	for (uint32_t i = 0; i < KILLED; i++) {
		const struct ticket *ticket = ticket_at(house->crew, ids[i]);
		int outcome = ticket_outcome(house->crew, ids[i]);

		died += outcome == RP_DIED;
		assert_true(outcome == RP_DIED || outcome == (i % 2 ? RP_OK : RP_FAILED));
		assert_true(counter[i] == 1 || (outcome == RP_DIED && counter[i] == 0));
		assert_int_equal(ticket->note != NULL, outcome != RP_OK);
		assert_int_equal(ticket->reply.size, outcome == RP_OK ? 5 : 0);
	}
	return died;
}

static void killed_workers_lose_no_ticket(void **state RP_UNUSED)
{
	struct house *house = open_house(2);
	struct crew *crew = house->crew;
	unsigned seed = (unsigned)time(NULL);
	pid_t pids[2] = { 0, 0 };
	uint32_t ids[KILLED];
	int kills = 0, died = 0;

	print_message("# seed %u\n", seed);
	counter = arena_alloc(house->arena, ARENA_MANAGER, KILLED * sizeof *counter);
	memset((void *)counter, 0, KILLED * sizeof *counter);
	for (int round = 0; round < 20 / SLOWER + 1; round++) {
		for (uint32_t i = 0; i < KILLED; i++)
			ids[i] = send_ticket(house, i, count_ticket);
		while (count_pending(house, ids)) {
			uint32_t i = (uint32_t)kills % 2;

			for (uint32_t k = 0; k < 2; k++)
				if (!pids[k])
					pids[k] = fork_worker_process(crew, k);
			nanosleep(&(struct timespec){ .tv_nsec = rand_r(&seed) % 250000 }, NULL);
			assert_int_equal(kill(pids[i], SIGKILL), 0);
			assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
			pids[i] = 0;
			bury(crew, i);
			kills++;
		}
		died += check_killed(house, ids);
		memset((void *)counter, 0, KILLED * sizeof *counter);
		for (uint32_t i = 0; i < KILLED; i++)
			ticket_return(crew, &house->office, ids[i]);
	}
	for (uint32_t i = 0; i < 2; i++)
		if (pids[i]) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	print_message("# %d kills, %d tasks died\n", kills, died);
	assert_true(died <= kills);
	close_house(house);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tickets_are_popped_in_order),
		cmocka_unit_test(only_so_many_are_on_their_way),
		cmocka_unit_test(the_ring_goes_round),
		cmocka_unit_test(what_has_been_taken_cannot_be_recalled),
		cmocka_unit_test(the_descriptor_is_told_when_somebody_wants_it),
		cmocka_unit_test(the_dead_workers_ticket_died),
		cmocka_unit_test(every_order_of_events_ends_well),
		cmocka_unit_test(threads_run_each_ticket_once),
		cmocka_unit_test(killed_workers_lose_no_ticket),
	};

	return cmocka_run_group_tests_name("ticket", tests, NULL, NULL);
}
