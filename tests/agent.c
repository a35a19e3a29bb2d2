/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/agent.c - a node's serve loop, as the manager sees it: pools, maps, tasks and processes by messages, and their end
 * whatever happens. */
#include "agents.h"

static int refusing;                            /* memory for what is packed */

#define arena_alloc(arena, heap, size) (refusing ? NULL : (arena_alloc)(arena, heap, size))
#include "../lib/agent_result.c"
#undef arena_alloc

#include "supervise.h"

#define RUNS (1u << 16)

static _Atomic uint32_t *runs;                  /* of each item, by all workers */

static int begin_group(void **state RP_UNUSED)
{
	runs = mmap(NULL, RUNS * sizeof *runs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return runs == MAP_FAILED;
}

/* ---- what workers do -------------------------------------------------------------------------------------- */

struct item {
	uint32_t value, way;
};

enum { WELL, FAILS, FAILS_LOUDLY, DIES, WAITS };

static void wait_at_gate(void)
{
	board->number[1]++;
	while (!board->number[0])
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

static int triple(struct rp_task *task, const void *in, void *out)
{
	const struct item *item = in;
	size_t size;
	const char *arg = rp_task_arg(task, &size);

	runs[rp_task_index(task) % RUNS]++;
	must(!arg || (size == 6 && strcmp(arg, "hello") == 0));
	*(uint64_t *)out = item->value * UINT64_C(3) + rp_task_index(task);
	switch (item->way) {
	case FAILS: return 7;
	case FAILS_LOUDLY: return rp_task_fail(task, "item %zu is bad", rp_task_index(task));
	case DIES: _exit(9);
	case WAITS: wait_at_gate(); return 0;
	default: return 0;
	}
}

static uint64_t tell_map(uint64_t pool, uint32_t function, uint32_t chunk, uint32_t outcomes)
{
	struct wire_map says = { .wire = { .kind = WIRE_MAP, .id = new_id() }, .pool = pool, .function = function,
		                 .chunk = chunk, .outcomes = outcomes, .has_in = 1, .has_out = 1, .has_arg = 1,
		                 .in_size = sizeof(struct item), .out_size = 8, .seed = 1 };

	TELL(&says, PART("hello", 6));
	return says.wire.id;
}

static uint64_t bytes_map(uint64_t pool, uint32_t function)
{
	struct wire_map says = { .wire = { .kind = WIRE_MAP, .id = new_id() }, .pool = pool, .function = function,
		                 .bytes_in = 1, .bytes_out = 1, .has_in = 1, .has_out = 1 };

	TELL(&says, NOTHING);
	return says.wire.id;
}

/* ---- pools ------------------------------------------------------------------------------------------------ */

static void plans_and_pools_tell_their_workers(void **state RP_UNUSED)
{
	struct wire_pool plan = { .wire = { .kind = WIRE_PLAN }, .workers = 3, .first_rank = FIRST_RANK };
	struct wire_info ask = { .wire = { .kind = WIRE_INFO } };
	struct rp_worker_info info = { 0 };
	struct message *reply;

	reply = ASK(&plan, PART("\0core", 6));
	assert_int_equal(reply->says.reply.result, 3);
	assert_int_equal(reply->size[0], 3 * sizeof info);
	for (int i = 0; i < 3; i++) {
		const struct rp_worker_info *planned = (struct rp_worker_info *)reply->part[0] + i;

		assert_int_equal(planned->rank, FIRST_RANK + i);
		assert_int_equal(planned->local_rank, i);
		assert_int_equal(planned->node, HERE);
		assert_int_equal(planned->pid, 0);
		assert_true(*planned->cpus);
	}
	free_message(reply);
	plan.workers = 0;
	assert_true(RESULT_OF(&plan, PART("\0", 2)) >= 1);
	reply = ASK(&plan, PART("\0nonsense", 10));
	assert_int_equal(reply->says.reply.result, -EINVAL);
	assert_non_null(strstr(reply->says.reply.text, "nonsense"));
	free_message(reply);
	assert_int_equal(RESULT_OF(&plan, PART("core", 4)), -EPROTO);
	plan.wire.kind = WIRE_OPEN;
	assert_int_equal(RESULT_OF(&plan, PART("none", 5)), -EPROTO);
	plan.init = 77;
	assert_int_equal(RESULT_OF(&plan, PART("\0none", 6)), -EPROTO);
	ask.wire.id = open_pool(2, 0, 0, NOTHING);
	ask.slot = 1;
	while (!info.pid) {
		reply = ASK(&ask, NOTHING);
		assert_int_equal(reply->says.reply.result, 1);
		memcpy(&info, reply->part[0], sizeof info);
		free_message(reply);
	}
	assert_int_equal(info.rank, FIRST_RANK + 1);
	assert_int_equal(info.local_rank, 1);
	assert_int_equal(info.node, HERE);
	assert_int_equal(kill(info.pid, 0), 0);
	ask.slot = 2;
	assert_int_equal(RESULT_OF(&ask, NOTHING), -EINVAL);
	free_pool(ask.wire.id);
	assert_true(is_gone(info.pid));
	assert_int_equal(RESULT_OF(&ask, NOTHING), -EINVAL);
}

static int check_init(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	must(in && strcmp(in, "argument") == 0 && rp_task_in_size(task) == 9);
	board->number[10 + rp_task_rank(task) - FIRST_RANK]++;
	return 0;
}

static int say_goodbye(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	board->number[20 + rp_task_rank(task) - FIRST_RANK]++;
	return 0;
}

/* Let go, they leave in order, when what was to be done is done; killed, at once. */
static void pools_are_let_go_and_killed(void **state RP_UNUSED)
{
	uint32_t init = FUNCTION(check_init), bye = FUNCTION(say_goodbye), work = FUNCTION(triple), call, call2;
	uint64_t pool = open_pool(2, init, bye, PART("argument", 9)), map;
	struct item item = { 1, WAITS };

	map = tell_map(pool, work, 0, 0);
	tell_batch(map, 1, 0, 1, PART(&item, sizeof item), NOTHING);
	assert_true(WAIT_FOR(board->number[1]));
	call = stop_pool(pool, WIRE_LET_GO);
	assert_int_equal(RESULT_OF(&((struct wire_info){ .wire = { .kind = WIRE_INFO, .id = pool } }), NOTHING), 1);
	assert_null(find_message(WIRE_REPLY, 0, call));
	board->number[0] = 1;
	await_stop(call);
	free_message(result_of(map, 1));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(board->number[10 + i], 1);
		assert_int_equal(board->number[20 + i], 1);
	}
	free_pool(pool);

	board->number[0] = board->number[1] = 0;
	pool = open_pool(2, init, bye, PART("argument", 9));
	map = tell_map(pool, work, 0, 0);
	tell_batch(map, 2, 0, 1, PART(&item, sizeof item), NOTHING);
	assert_true(WAIT_FOR(board->number[1]));
	call = stop_pool(pool, WIRE_LET_GO);
	call2 = stop_pool(pool, WIRE_KILL);
	await_stop(call2);
	await_stop(call);                       /* that is an end, too */
	assert_null(find_message(WIRE_RESULT, 0, 0));
	assert_int_equal(board->number[20] + board->number[21], 2);
	free_pool(pool);
	free_pool(pool);                        /* one that is not known is free */
	assert_null(find_message(WIRE_BROKEN, 0, 0));
}

static int never_starts(struct rp_task *task, const void *in RP_UNUSED, void *out RP_UNUSED)
{
	return rp_task_fail(task, "nothing works");
}

static void a_broken_pool_is_told_once_and_why(void **state RP_UNUSED)
{
	struct item item = { 1, WELL };
	uint32_t work = FUNCTION(triple);
	struct message *message;
	uint64_t pool = open_pool(1, FUNCTION(never_starts), 0, NOTHING), map;

	message = hear(WIRE_BROKEN, pool);
	assert_non_null(strstr(message->says.broken.reason, "the initializer failed: nothing works (rank 5, host "));
	free_message(message);
	map = tell_map(pool, work, 0, 0);
	tell_batch(map, 1, 0, 1, PART(&item, sizeof item), NOTHING);
	TELL(&((struct wire_task){ .wire = { WIRE_TASK, 0, new_id() }, .pool = pool, .function = work }), NOTHING);
	TELL(&((struct wire_take){ .wire = { .kind = WIRE_TAKE, .id = map }, .most = 5 }), NOTHING);
	message = hear(WIRE_GIVEN, map);
	assert_int_equal(message->says.given.count, 0);
	free_message(message);
	end_map(map);
	await_stop(stop_pool(pool, WIRE_LET_GO));
	await_stop(stop_pool(pool, WIRE_KILL));
	free_pool(pool);
	assert_null(find_message(WIRE_BROKEN, 0, 0));
	assert_null(find_message(WIRE_RESULT, 0, 0));
	assert_null(find_message(WIRE_DONE, 0, 0));
}

static pid_t child_of_this(void)
{
	char path[64];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	must(file && fscanf(file, "%d", &pid) == 1);
	fclose(file);
	return pid;
}

static void the_supervisors_death_breaks_every_pool(void **state RP_UNUSED)
{
	uint64_t pools[2] = { open_pool(2, 0, 0, NOTHING), open_pool(1, 0, 0, NOTHING) };
	uint32_t work = FUNCTION(triple);
	struct item item = { 1, WAITS };
	struct message *message;

	tell_batch(tell_map(pools[0], work, 0, 0), 1, 0, 1, PART(&item, sizeof item), NOTHING);
	assert_true(WAIT_FOR(board->number[1]));
	assert_int_equal(kill(child_of_this(), SIGKILL), 0);
	for (int i = 0; i < 2; i++) {
		message = hear(WIRE_BROKEN, pools[i]);
		assert_non_null(strstr(message->says.broken.reason, "the supervisor, which minds the workers on "));
		free_message(message);
	}
	free_pool(pools[0]);
	assert_int_equal(RESULT_OF(&((struct wire_pool){ .wire = { .kind = WIRE_OPEN, .id = new_id() }, .workers = 1 }),
	                           PART("\0none", 6)), -EPIPE);
}

static void an_unknown_function_is_refused(void **state RP_UNUSED)
{
	struct wire_function says = { .wire = { .kind = WIRE_FUNCTION, .id = new_id() } };
	struct message *reply;

	assert_int_equal(function_identify((const void *)(uintptr_t)triple, &says.function, NULL), 0);
	says.function.hash[0] ^= 1;
	says.function.is_program = 0;
	strcpy(says.function.path, "/nowhere/at/all.so");
	reply = ASK(&says, NOTHING);
	assert_true(reply->says.reply.result < 0);
	assert_true(*reply->says.reply.text);
	free_message(reply);
	says.wire.id = 0;
	assert_int_equal(RESULT_OF(&says, NOTHING), -EPROTO);
}

/* ---- batches ---------------------------------------------------------------------------------------------- */

static void results_come_as_they_lie_when_all_is_well(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(3, 0, 0, NOTHING), map = tell_map(pool, FUNCTION(triple), 0, 0);
	static struct item items[1000];

	for (uint32_t i = 0; i < 1000; i++)
		items[i] = (struct item){ i, WELL };
	for (uint32_t b = 0; b < 10; b++)
		tell_batch(map, b + 1, b * 100, 100, PART(items + b * 100, 100 * sizeof *items), NOTHING);
	for (uint32_t n = 0; n < 10; n++) {
		struct message *message = hear(WIRE_RESULT, map);
		uint32_t b = (uint32_t)message->says.result.batch - 1;
		const uint64_t *out = message->part[3];

		assert_int_equal(message->says.result.error, 0);
		assert_true(message->says.result.all_good);
		assert_int_equal(message->says.result.notes, 0);
		assert_int_equal(message->size[0] + message->size[1] + message->size[2] + message->size[4], 0);
		assert_int_equal(message->size[3], 100 * sizeof *out);
		for (uint32_t i = 0; i < 100; i++)
			assert_int_equal(out[i], (b * 100 + i) * 3 + 1000 + b * 100 + i);
		free_message(message);
	}
	end_map(map);
	free_pool(pool);
}

/* Those that are well close up. */
static void check_mixed(const struct message *message, const struct item *items, uint32_t begin, uint32_t count)
{
	const uint8_t *states = message->part[0];
	const int32_t *ranks = message->part[1];
	const uint64_t *out = message->part[3];
	uint32_t good = 0;

	assert_false(message->says.result.all_good);
	assert_int_equal(message->size[0], count);
	assert_int_equal(message->size[1], count * sizeof *ranks);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t way = items[i].way;

		assert_int_equal(states[i], way == DIES ? RP_DIED : way == WELL ? RP_OK : RP_FAILED);
		assert_true(ranks[i] >= FIRST_RANK && ranks[i] < FIRST_RANK + 3);
		assert_int_equal(runs[1000 + begin + i], 1);
		if (way == WELL)
			assert_int_equal(out[good++], items[i].value * UINT64_C(3) + 1000 + begin + i);
	}
	assert_int_equal(message->size[3], good * sizeof *out);
}

static void check_notes(const struct message *message, const struct item *items, uint32_t begin, uint32_t expected)
{
	char text[100];

	assert_int_equal(message->says.result.notes, expected);
	for (uint32_t n = 0; n < expected; n++) {
		const struct wire_note *note = note_at(message, n);
		uint32_t way = items[note->index - begin].way;

		assert_int_equal(note->code, way == FAILS ? 7 : way == DIES ? 9 : 1);
		assert_int_equal(note->state, way == DIES ? RP_DIED : RP_FAILED);
		assert_int_equal(note->size, strlen(text_of(note)));
		assert_int_equal(note->rank, ((int32_t *)message->part[1])[note->index - begin]);
		snprintf(text, sizeof text, "item %u is bad", 1000 + note->index);
		assert_non_null(strstr(text_of(note), way == FAILS ? "returned 7" : way == DIES ? "code 9" : text));
	}
}

static void bad_items_have_their_notes(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(3, 0, 0, NOTHING), map = tell_map(pool, FUNCTION(triple), 0, 1);
	struct item items[60];
	struct message *message;
	uint32_t bad = 0;

	memset((void *)runs, 0, RUNS * sizeof *runs);
	for (uint32_t i = 0; i < 60; i++) {
		items[i] = (struct item){ i, i % 5 == 3 ? FAILS : i % 7 == 5 ? FAILS_LOUDLY : i % 11 == 4 ? DIES : WELL };
		bad += items[i].way != WELL;
	}
	tell_batch(map, 1, 200, 60, PART(items, sizeof items), NOTHING);
	message = result_of(map, 1);
	check_mixed(message, items, 200, 60);
	check_notes(message, items, 200, bad);
	free_message(message);
	end_map(map);
	free_pool(pool);
}

static void without_outcomes_the_first_bad_item_has_a_note(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), map = tell_map(pool, FUNCTION(triple), 0, 0);
	struct item items[90];
	struct message *message;

	for (uint32_t i = 0; i < 90; i++)
		items[i] = (struct item){ i, i >= 40 && i % 2 ? FAILS : WELL };
	tell_batch(map, 7, 0, 90, PART(items, sizeof items), NOTHING);
	message = result_of(map, 7);
	assert_int_equal(message->size[1], 0);
	assert_int_equal(message->says.result.notes, 1);
	assert_int_equal(note_at(message, 0)->index, 41);
	assert_int_equal(message->size[3], 65 * 8);
	free_message(message);
	free_pool(pool);
}

/* Gives its item back, with an x before it; nothing for NULL; nothing at an address for what is empty; fails for "bad". */
static int echo(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	static char text[1 << 20];
	size_t size = rp_task_in_size(task);

	if (!in)
		return 0;
	if (!size)
		return rp_task_reply(task, "", 0) < 0;
	if (size == 3 && memcmp(in, "bad", 3) == 0)
		return rp_task_reply(task, "lost", 4) < 0 ? 1 : 2;
	text[0] = 'x';
	memcpy(text + 1, in, size);
	return rp_task_reply(task, text, size + 1) < 0;
}

struct sized {
	uint64_t sizes[8];
	char data[4096];
};

static struct rp_bytes lay_out(struct sized *sized, const char *const *texts, uint32_t count)
{
	size_t end = 0;

	memset(sized, 0, sizeof *sized);
	for (uint32_t i = 0; i < count; i++) {
		sized->sizes[i] = texts[i] ? strlen(texts[i]) : WIRE_NONE;
		if (texts[i])
			memcpy(sized->data + end, texts[i], strlen(texts[i]));
		end += texts[i] ? WIRE_ALIGN(strlen(texts[i])) : 0;
	}
	return PART(sized->data, end);
}

static void check_echo(const struct message *message, const char *const *texts, uint32_t count)
{
	const uint64_t *sizes = message->part[2];
	const char *data = message->part[3];

	assert_int_equal(message->size[2], count * sizeof *sizes);
	for (uint32_t i = 0; i < count; i++) {
		if (!texts[i] || strcmp(texts[i], "bad") == 0) {
			assert_true(sizes[i] == WIRE_NONE);
		} else if (!*texts[i]) {
			assert_int_equal(sizes[i], 0);
		} else {
			assert_int_equal(sizes[i], strlen(texts[i]) + 1);
			assert_int_equal(data[0], 'x');
			assert_memory_equal(data + 1, texts[i], strlen(texts[i]));
			data += WIRE_ALIGN(sizes[i]);
		}
	}
}

static void items_and_results_of_any_size(void **state RP_UNUSED)
{
	static const char *const several[] = {
		"one", NULL, "", "more than the sixty-four bytes to which all that comes is aligned", "bad",
		"", "last",
	};
	static const char *const one[] = { NULL, "", "alone", "bad" };
	static const char *const none[] = { NULL, "" };
	uint64_t pool = open_pool(2, 0, 0, NOTHING), map = bytes_map(pool, FUNCTION(echo));
	struct message *message;
	struct sized sized;
	struct rp_bytes data;

	data = lay_out(&sized, several, 7);
	tell_batch(map, 1, 0, 7, PART(sized.sizes, 7 * 8), data);
	message = result_of(map, 1);
	check_echo(message, several, 7);
	assert_int_equal(((uint8_t *)message->part[0])[4], RP_FAILED);
	assert_int_equal(note_at(message, 0)->code, 2);
	free_message(message);
	data = lay_out(&sized, one, 4);
	tell_batch(map, 2, 0, 4, PART(sized.sizes, 4 * 8), data);
	message = result_of(map, 2);
	check_echo(message, one, 4);
	assert_int_equal(message->size[3], 6);
	free_message(message);
	data = lay_out(&sized, none, 2);
	tell_batch(map, 3, 0, 2, PART(sized.sizes, 2 * 8), data);
	message = result_of(map, 3);
	check_echo(message, none, 2);
	assert_true(message->says.result.all_good);
	free_message(message);
	sized.sizes[1] = 4000;
	tell_batch(map, 4, 0, 2, PART(sized.sizes, 2 * 8), PART("too short", 9));
	message = result_of(map, 4);
	assert_int_equal(message->says.result.error, -EPROTO);
	free_message(message);
	free_pool(pool);
}

static void results_that_cannot_be_packed_have_failed(void **state RP_UNUSED)
{
	static const char *const texts[] = { "one", "bad", "", "two", "three" };
	uint64_t pool = open_pool(1, 0, 0, NOTHING), map = bytes_map(pool, FUNCTION(echo));
	struct rp_bytes data;
	struct message *message;
	struct sized sized;
	struct item item = { 1, WAITS };
	uint64_t gate = tell_map(pool, FUNCTION(triple), 0, 0);

	/* While the worker is at the gate the batch is opened, which wants memory too. */
	data = lay_out(&sized, texts, 5);
	tell_batch(gate, 1, 0, 1, PART(&item, sizeof item), NOTHING);
	tell_batch(map, 1, 0, 5, PART(sized.sizes, 5 * 8), data);
	assert_true(WAIT_FOR(board->number[1]));
	free_pool(open_pool(1, 0, 0, NOTHING));
	refusing = 1;
	board->number[0] = 1;
	message = result_of(map, 1);
	refusing = 0;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(((uint8_t *)message->part[0])[i], RP_FAILED);
		assert_true(((uint64_t *)message->part[2])[i] == WIRE_NONE);
	}
	assert_int_equal(message->size[3], 0);
	assert_int_equal(message->says.result.notes, 1);
	assert_int_equal(note_at(message, 0)->index, 0);
	assert_int_equal(note_at(message, 0)->code, -ENOMEM);
	assert_non_null(strstr(text_of(note_at(message, 0)), "no memory on "));
	free_message(message);
	free_pool(pool);
}

static void what_there_is_no_memory_for_is_refused(void **state RP_UNUSED)
{
	uint32_t work = FUNCTION(triple);
	uint64_t pool = open_pool(1, 0, 0, NOTHING), map;
	struct wire_map says = { .wire = { .kind = WIRE_MAP, .id = new_id() }, .pool = pool, .function = work, .has_out = 1,
		                 .out_size = (size_t)1 << 50 };
	struct wire_task task = { .wire = { .kind = WIRE_TASK, .id = new_id() }, .pool = pool, .function = work,
		                  .out_size = (size_t)1 << 50 };
	struct message *message;

	TELL(&says, NOTHING);
	tell_batch(says.wire.id, 1, 0, 2, NOTHING, NOTHING);
	message = result_of(says.wire.id, 1);
	assert_int_equal(message->says.result.error, -ENOMEM);
	assert_non_null(strstr(message->says.result.text, "no memory"));
	free_message(message);
	map = tell_map(pool, work, 0, 0);
	tell_batch(map, 2, 0, 2, PART(NULL, (size_t)1 << 50), NOTHING);
	message = result_of(map, 2);
	assert_int_equal(message->says.result.error, -ENOMEM);
	free_message(message);
	says.wire.id = new_id();
	says.has_arg = 1;
	TELL(&says, PART(NULL, (size_t)1 << 50));
	tell_batch(says.wire.id, 3, 0, 2, NOTHING, NOTHING);
	message = result_of(says.wire.id, 3);
	assert_int_equal(message->says.result.error, -ENOMEM);
	free_message(message);
	TELL(&task, NOTHING);
	message = hear(WIRE_DONE, task.wire.id);
	assert_int_equal(message->says.done.state, RP_FAILED);
	assert_int_equal(message->says.done.code, -ENOMEM);
	assert_int_equal(message->says.done.rank, -1);
	assert_non_null(strstr(message->part[0], "no memory on "));
	free_message(message);
	tell_batch(map, 4, 0, 1, PART(&((struct item){ 1, WELL }), sizeof(struct item)), NOTHING);
	free_message(result_of(map, 4));
	tell_batch(map, 5, 0, 2, PART(&((struct item){ 1, WELL }), sizeof(struct item)), NOTHING);
	message = result_of(map, 5);
	assert_int_equal(message->says.result.error, -EPROTO);
	free_message(message);
	map = tell_map(pool, 1234, 0, 0);
	tell_batch(map, 6, 0, 0, NOTHING, NOTHING);
	message = result_of(map, 6);
	assert_int_equal(message->says.result.error, -EPROTO);
	free_message(message);
	free_pool(pool);
}

/* More maps than jobs, more batches of each than may be open; with deaths. */
static void maps_at_once_do_not_mix(void **state RP_UNUSED)
{
	enum { MAPS = 6, BATCHES = 5, EACH = 40 };
	uint64_t pool = open_pool(3, 0, 0, NOTHING), maps[MAPS];
	uint32_t work = FUNCTION(triple);
	struct item items[EACH];

	memset((void *)runs, 0, RUNS * sizeof *runs);
	for (uint32_t m = 0; m < MAPS; m++)
		maps[m] = tell_map(pool, work, m % 3, 1);
	for (uint32_t b = 0; b < BATCHES; b++)
		for (uint32_t m = 0; m < MAPS; m++) {
			for (uint32_t i = 0; i < EACH; i++)
				items[i] = (struct item){ m * 1000 + i, i == 3 + b ? DIES : i % 9 ? WELL : FAILS };
			tell_batch(maps[m], m * 10 + b, (m * BATCHES + b) * EACH, EACH, PART(items, sizeof items), NOTHING);
		}
	for (uint32_t n = 0; n < MAPS * BATCHES; n++) {
		struct message *message = hear(WIRE_RESULT, 0);
		uint32_t m = (uint32_t)message->says.result.batch / 10, b = (uint32_t)message->says.result.batch % 10;

		assert_int_equal(message->says.wire.id, maps[m]);
		for (uint32_t i = 0; i < EACH; i++)
			items[i] = (struct item){ m * 1000 + i, i == 3 + b ? DIES : i % 9 ? WELL : FAILS };
		check_mixed(message, items, (m * BATCHES + b) * EACH, EACH);
		free_message(message);
	}
	free_pool(pool);
}

/* Nobody waits for a map that is over; its batches go without a word, and the next map finds its place. */
static void a_map_that_is_over_leaves_without_a_word(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), map, next;
	uint32_t work = FUNCTION(triple);
	struct item items[8];

	for (uint32_t i = 0; i < 8; i++)
		items[i] = (struct item){ i, WAITS };
	memset((void *)runs, 0, RUNS * sizeof *runs);
	map = tell_map(pool, work, 0, 1);
	for (uint32_t b = 0; b < 6; b++)
		tell_batch(map, b + 1, b * 8, 8, PART(items, sizeof items), NOTHING);
	assert_true(WAIT_FOR(board->number[1] == 2));
	end_map(map);
	end_map(map + 1000);                    /* never heard of */
	items[0].way = WELL;
	next = tell_map(pool, work, 0, 0);
	tell_batch(next, 1, 500, 1, PART(items, sizeof *items), NOTHING);
	board->number[0] = 1;
	free_message(result_of(next, 1));
	assert_null(find_message(WIRE_RESULT, map, 0));
	assert_true(board->number[1] < 48);
	free_pool(pool);
}

/* ---- giving back ------------------------------------------------------------------------------------------ */

/* Marks what was given; how much. */
static uint32_t take_back(uint64_t map, uint32_t most, uint8_t *away)
{
	struct message *message;
	uint32_t count = 0;

	TELL(&((struct wire_take){ .wire = { .kind = WIRE_TAKE, .id = map }, .most = most }), NOTHING);
	message = hear(WIRE_GIVEN, map);
	assert_int_equal(message->size[0], message->says.given.count * sizeof(struct wire_range));
	for (uint32_t i = 0; i < message->says.given.count; i++) {
		const struct wire_range *range = (struct wire_range *)message->part[0] + i;

		assert_true(range->begin < range->end);
		for (uint32_t k = range->begin; k < range->end; k++) {
			assert_int_equal(away[k], 0);
			away[k] = 1;
			count++;
		}
	}
	free_message(message);
	assert_true(count <= most);
	return count;
}

static void check_away(const struct message *message, const uint8_t *away, uint32_t begin, uint32_t count)
{
	const uint8_t *states = message->part[0];

	for (uint32_t i = 0; i < count; i++) {
		int state = states ? states[i] : RP_OK;

		assert_int_equal(state == WIRE_AWAY, away[begin + i]);
		assert_int_equal(runs[1000 + begin + i], !away[begin + i]);
		assert_true(state == WIRE_AWAY || state == RP_OK || state == RP_DIED);
	}
}

static uint32_t count_away(const uint8_t *away, uint32_t begin, uint32_t end)
{
	uint32_t count = 0;

	while (begin < end)
		count += away[begin++];
	return count;
}

static void the_unbegun_is_given_back(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), map = tell_map(pool, FUNCTION(triple), 0, 0);
	static uint8_t away[400];
	struct item items[100];

	memset(away, 0, sizeof away);
	memset((void *)runs, 0, RUNS * sizeof *runs);
	for (uint32_t i = 0; i < 100; i++)
		items[i] = (struct item){ i, WAITS };
	assert_int_equal(take_back(map, 10, away), 0);
	for (uint32_t b = 0; b < 4; b++)
		tell_batch(map, b, b * 100, 100, PART(items, sizeof items), NOTHING);
	assert_true(WAIT_FOR(board->number[1] == 2));
	assert_int_equal(take_back(map, 30, away), 30);         /* from the back of what has not been opened */
	assert_true(away[399] && away[370] && !away[369]);
	assert_int_equal(take_back(map, 150, away), 150);
	assert_true(away[300] && away[220] && !away[219]);
	assert_int_equal(take_back(map, 25, away), 25);         /* and from what has, the newest first */
	assert_int_equal(count_away(away, 200, 400), 200);
	assert_int_equal(count_away(away, 100, 200), 5);
	assert_int_equal(count_away(away, 0, 100), 0);
	assert_int_equal(take_back(map, 5000, away), 400 - 205 - 2);
	assert_int_equal(take_back(map, 1, away), 0);
	assert_int_equal(take_back(map + 1000, 1, away), 0);
	board->number[0] = 1;
	for (int n = 0; n < 4; n++) {
		struct message *message = hear(WIRE_RESULT, map);
		uint32_t b = (uint32_t)message->says.result.batch;

		assert_false(message->says.result.all_good);
		assert_int_equal(message->says.result.error, 0);
		check_away(message, away, b * 100, 100);
		free_message(message);
	}
	assert_int_equal(count_away(away, 0, 400), 398);
	free_pool(pool);
}

static void chunks_are_given_back_whole(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(1, 0, 0, NOTHING), map = tell_map(pool, FUNCTION(triple), 10, 0);
	static uint8_t away[300];
	struct item items[100];

	memset(away, 0, sizeof away);
	for (uint32_t i = 0; i < 100; i++)
		items[i] = (struct item){ i, WAITS };
	for (uint32_t b = 0; b < 3; b++)
		tell_batch(map, b, b * 100, 100, PART(items, sizeof items), NOTHING);
	assert_true(WAIT_FOR(board->number[1] == 1));
	assert_int_equal(take_back(map, 9, away), 0);
	assert_int_equal(take_back(map, 29, away), 20);
	assert_true(away[280] && !away[279]);
	assert_int_equal(take_back(map, 5000, away), 270);      /* all but the chunk that was claimed */
	assert_true(away[10] && !away[9]);
	board->number[0] = 1;
	for (int n = 0; n < 3; n++)
		free_message(hear(WIRE_RESULT, map));
	free_pool(pool);
}

static int count_and_die(struct rp_task *task, const void *in, void *out)
{
	const struct item *item = in;

	runs[rp_task_index(task) % RUNS]++;
	for (volatile int i = 0; i < 3000; i++)
		;
	if (item->way == DIES)
		raise(SIGKILL);
	*(uint64_t *)out = item->value;
	return 0;
}

/* Every item is run once or given back, while workers die and items are taken at any moment. */
static void taking_and_dying_lose_nothing(void **state RP_UNUSED)
{
	enum { EACH = 3000 };
	uint64_t pool = open_pool(3, 0, 0, NOTHING);
	uint32_t work = FUNCTION(count_and_die), died = 0;
	static uint8_t away[EACH * 4];
	static struct item items[EACH * 4];
	unsigned seed = (unsigned)time(NULL);

	print_message("# seed %u\n", seed);
	for (int round = 0; round < 10; round++) {
		uint64_t map = tell_map(pool, work, (uint32_t)round % 3, (uint32_t)round % 2);

		memset(away, 0, sizeof away);
		memset((void *)runs, 0, RUNS * sizeof *runs);
		for (uint32_t i = 0; i < LENGTH(items); i++)
			items[i] = (struct item){ i, rand_r(&seed) % 700 ? WELL : DIES };
		for (uint32_t b = 0; b < 4; b++)
			tell_batch(map, b, b * EACH, EACH, PART(items + b * EACH, EACH * sizeof *items), NOTHING);
		for (int i = 0; i < 12; i++)
			take_back(map, 1 + (uint32_t)rand_r(&seed) % 400, away);
		for (int n = 0; n < 4; n++) {
			struct message *message = hear(WIRE_RESULT, map);
			uint32_t b = (uint32_t)message->says.result.batch;

			check_away(message, away, b * EACH, EACH);
			for (uint32_t i = 0; message->part[0] && i < EACH; i++)
				died += ((uint8_t *)message->part[0])[i] == RP_DIED;
			free_message(message);
		}
		end_map(map);
	}
	assert_true(died > 0);
	free_pool(pool);
}

/* ---- tasks ------------------------------------------------------------------------------------------------ */

struct order {
	uint32_t way, size;
};

enum { COPIES, REPLIES, REPLIES_NOTHING, FAILS_WELL, CRASHES, STAYS, WANTED };

static int obey(struct rp_task *task, const void *in, void *out)
{
	const struct order *order = in;
	size_t size;
	const char *arg = rp_task_arg(task, &size);
	static char text[100000];

	must(!order || order->size <= sizeof text);
	if (!order)
		return in || rp_task_in_size(task) ? 1 : 0;
	must(!arg || size == 4);
	memset(text, 'a' + (int)(rp_task_index(task) % 26), sizeof text);
	switch (order->way) {
	case COPIES: memcpy(out, text, order->size); return 0;
	case REPLIES: return rp_task_reply(task, text, order->size) < 0;
	case REPLIES_NOTHING: return 0;
	case FAILS_WELL: return rp_task_fail(task, "%s", arg ? arg : "no reason");
	case CRASHES: raise(SIGSEGV); return 0;
	case STAYS: wait_at_gate(); return 0;
	default:
		board->number[1]++;
		while (!rp_task_cancelled(task))
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
		board->number[2]++;
		return 5;
	}
}

static uint64_t tell_task(uint64_t pool, uint32_t function, struct rp_bytes in, struct rp_bytes arg, size_t out_size)
{
	struct wire_task says = { .wire = { .kind = WIRE_TASK, .id = new_id() }, .pool = pool, .function = function,
		                  .has_in = in.data != NULL, .has_arg = arg.data != NULL, .out_size = out_size, .index = 4 };

	TELL(&says, in, arg);
	return says.wire.id;
}

static uint64_t tell_order(uint64_t pool, uint32_t function, uint32_t way, uint32_t size, size_t out_size)
{
	return tell_task(pool, function, PART(&((struct order){ way, size }), sizeof(struct order)), NOTHING, out_size);
}

/* reply: its size; -1: there is none. */
static void check_done(uint64_t id, enum rp_state state, int code, const char *text, ssize_t reply)
{
	struct message *message = hear(WIRE_DONE, id);

	assert_int_equal(message->says.done.state, state);
	assert_int_equal(message->says.done.code, code);
	assert_true(message->says.done.rank == FIRST_RANK || message->says.done.rank == FIRST_RANK + 1);
	assert_int_equal(message->says.done.has_reply, reply >= 0);
	assert_int_equal(message->size[1], reply < 0 ? 0 : reply);
	for (ssize_t i = 0; i < reply; i++)
		assert_int_equal(((char *)message->part[1])[i], 'e');
	if (text) {
		assert_non_null(strstr(message->part[0], text));
		assert_int_equal(message->size[0], strlen(message->part[0]) + 1);
	} else {
		assert_int_equal(message->size[0], 0);
	}
	free_message(message);
}

static void tasks_of_all_kinds(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), id;
	uint32_t obeys = FUNCTION(obey);
	struct message *message;
	struct {
		struct order order;
		char more[5000];
	} large = { .order = { REPLIES, 90000 } };

	check_done(tell_order(pool, obeys, COPIES, 8, 8), RP_OK, 0, NULL, 8);
	check_done(tell_order(pool, obeys, COPIES, 64, 64), RP_OK, 0, NULL, 64);
	check_done(tell_order(pool, obeys, COPIES, 65, 65), RP_OK, 0, NULL, 65);
	check_done(tell_order(pool, obeys, COPIES, 100000, 100000), RP_OK, 0, NULL, 100000);
	check_done(tell_order(pool, obeys, REPLIES, 0, 0), RP_OK, 0, NULL, 0);
	check_done(tell_order(pool, obeys, REPLIES, 10, 0), RP_OK, 0, NULL, 10);
	check_done(tell_order(pool, obeys, REPLIES_NOTHING, 0, 0), RP_OK, 0, NULL, -1);
	check_done(tell_task(pool, obeys, PART(&large, sizeof large), NOTHING, 0), RP_OK, 0, NULL, 90000);
	check_done(tell_task(pool, obeys, NOTHING, NOTHING, 0), RP_OK, 0, NULL, -1);
	check_done(tell_order(pool, obeys, FAILS_WELL, 0, 0), RP_FAILED, 1, "no reason", -1);
	id = tell_task(pool, obeys, PART(&((struct order){ FAILS_WELL, 0 }), sizeof(struct order)), PART("why", 4), 8);
	check_done(id, RP_FAILED, 1, "why", -1);
	check_done(tell_order(pool, obeys, CRASHES, 0, 0), RP_DIED, -SIGSEGV, "signal 11", -1);
	check_done(tell_order(pool, obeys, CRASHES, 0, 200), RP_DIED, -SIGSEGV, "signal 11", -1);
	message = hear(WIRE_DONE, tell_task(pool, 4321, NOTHING, NOTHING, 0));
	assert_int_equal(message->says.done.state, RP_FAILED);
	assert_int_equal(message->says.done.code, -EPROTO);
	free_message(message);
	free_pool(pool);
}

/* More than there are tickets. */
static void tasks_wait_for_tickets(void **state RP_UNUSED)
{
	enum { MANY = CREW_TICKETS + 2000 };
	uint64_t pool = open_pool(2, 0, 0, NOTHING), first = 0, id;
	uint32_t obeys = FUNCTION(obey), done = 0;
	static uint8_t seen[MANY];
	struct wire_recall recall = { .wire = { .kind = WIRE_RECALL }, .pool = pool };
	struct message *message;

	memset(seen, 0, sizeof seen);
	tell_order(pool, obeys, STAYS, 0, 0);
	tell_order(pool, obeys, STAYS, 0, 0);
	for (int i = 0; i < MANY; i++) {
		id = tell_order(pool, obeys, REPLIES_NOTHING, 0, 0);
		first = first ? first : id;
	}
	recall.wire.id = first + MANY - 1;      /* has no ticket yet */
	assert_int_equal(RESULT_OF(&recall, NOTHING), 1);
	assert_int_equal(RESULT_OF(&recall, NOTHING), 0);
	board->number[0] = 1;
	while (done < MANY - 1 + 2) {
		message = hear(WIRE_DONE, 0);
		assert_int_equal(message->says.done.state, RP_OK);
		if (message->says.wire.id >= first)
			assert_int_equal(seen[message->says.wire.id - first]++, 0);
		done++;
		free_message(message);
	}
	assert_int_equal(seen[MANY - 1], 0);
	free_pool(pool);
}

static void tasks_are_recalled_until_they_run(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(1, 0, 0, NOTHING), running, waiting, last;
	uint32_t obeys = FUNCTION(obey);
	struct wire_recall recall = { .wire = { .kind = WIRE_RECALL }, .pool = pool };

	running = tell_order(pool, obeys, STAYS, 0, 0);
	waiting = tell_order(pool, obeys, REPLIES, 4, 0);
	last = tell_order(pool, obeys, REPLIES, 5, 0);
	assert_true(WAIT_FOR(board->number[1]));
	recall.wire.id = waiting;
	assert_int_equal(RESULT_OF(&recall, NOTHING), 1);
	assert_int_equal(RESULT_OF(&recall, NOTHING), 0);
	recall.wire.id = running;
	assert_int_equal(RESULT_OF(&recall, NOTHING), 0);
	board->number[0] = 1;
	check_done(running, RP_OK, 0, NULL, -1);
	check_done(last, RP_OK, 0, NULL, 5);
	assert_int_equal(RESULT_OF(&recall, NOTHING), 0);
	recall.pool = 999;
	assert_int_equal(RESULT_OF(&recall, NOTHING), 0);
	assert_null(find_message(WIRE_DONE, waiting, 0));
	free_pool(pool);
}

static void tasks_see_that_nobody_waits(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(1, 0, 0, NOTHING), running, waiting;
	uint32_t obeys = FUNCTION(obey);
	struct wire_recall drop = { .wire = { .kind = WIRE_DROP }, .pool = pool };

	running = tell_order(pool, obeys, WANTED, 0, 0);
	waiting = tell_order(pool, obeys, WANTED, 0, 0);
	assert_true(WAIT_FOR(board->number[1]));
	drop.wire.id = waiting;
	TELL(&drop, NOTHING);
	drop.wire.id = 12345;
	TELL(&drop, NOTHING);
	assert_int_equal(RESULT_OF(&((struct wire_info){ .wire = { .kind = WIRE_INFO, .id = pool } }), NOTHING), 1);
	assert_int_equal(board->number[2], 0);
	drop.wire.id = running;
	TELL(&drop, NOTHING);
	check_done(running, RP_FAILED, 5, "returned 5", -1);
	check_done(waiting, RP_FAILED, 5, "returned 5", -1);
	free_pool(pool);
}

/* What has ended of a broken pool is told before that it is broken. */
static void pools_full_of_work_are_freed(void **state RP_UNUSED)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), maps[2];
	uint32_t obeys = FUNCTION(obey), work = FUNCTION(triple), echoes = FUNCTION(echo);
	static const char *const texts[] = { "one", "bad", "three" };
	struct item items[20];
	struct sized sized;
	struct rp_bytes data = lay_out(&sized, texts, 3);

	for (uint32_t i = 0; i < 20; i++)
		items[i] = (struct item){ i, i < 10 ? FAILS : WAITS };
	maps[0] = tell_map(pool, work, 0, 1);
	maps[1] = bytes_map(pool, echoes);
	for (uint32_t b = 0; b < 5; b++)
		tell_batch(maps[0], b, b * 20, 20, PART(items, sizeof items), NOTHING);
	tell_batch(maps[1], 1, 0, 3, PART(sized.sizes, 3 * 8), data);
	for (int i = 0; i < 9000; i++)
		tell_order(pool, obeys, STAYS, 0, 100);
	assert_true(WAIT_FOR(board->number[1] == 2));
	free_pool(pool);
	assert_null(find_message(WIRE_BROKEN, 0, 0));
}

/* What was sent is given back. */
static void memory_does_not_grow(void **state RP_UNUSED)
{
	enum { SIZE = 1 << 20 };
	uint64_t pool = open_pool(1, 0, 0, NOTHING), map;
	struct wire_map says = { .wire = { .kind = WIRE_MAP, .id = new_id() }, .pool = pool, .function = FUNCTION(obey),
		                 .has_out = 1, .out_size = SIZE };
	uint32_t obeys = FUNCTION(obey), echoes = FUNCTION(echo);
	char *item = calloc(1, SIZE / 2);
	uint64_t size = SIZE / 2;

	must(item);
	TELL(&says, NOTHING);
	map = bytes_map(pool, echoes);
	for (uint32_t i = 0; i < 60; i++) {
		tell_batch(says.wire.id, i, 0, 1, NOTHING, NOTHING);
		free_message(result_of(says.wire.id, i));
		tell_batch(map, i, 0, 1, PART(&size, 8), PART(item, SIZE / 2));
		free_message(result_of(map, i));
		free_message(hear(WIRE_DONE, tell_order(pool, obeys, COPIES, 90000, SIZE)));
		free_message(hear(WIRE_DONE, tell_order(pool, obeys, REPLIES, 90000, 0)));
	}
	end_map(map);
	free_pool(pool);
	free(item);
	assert_true(arena_bytes() < (size_t)16 * SIZE);
}

/* ---- processes -------------------------------------------------------------------------------------------- */

static int be_process(const void *arg, size_t size)
{
	const int *way = arg;

	must(size == sizeof *way || (!arg && !size));
	board->pid[0] = getpid();
	if (!arg)
		return 3;
	if (*way == 1)
		signal(SIGTERM, SIG_IGN);
	board->number[1]++;
	for (;;)
		pause();
}

static pid_t start_process(uint32_t function, const int *way, const char *bind, uint64_t *ret_id)
{
	struct wire_start says = { .wire = { .kind = WIRE_START, .id = *ret_id = new_id() }, .function = function,
		                   .name = "Process-1" };

	snprintf(says.bind, sizeof says.bind, "%s", bind);
	return (pid_t)RESULT_OF(&says, PART(way, way ? sizeof *way : 0));
}

static void check_end(uint64_t id, int code)
{
	struct message *message = hear(WIRE_ENDED, id);

	assert_int_equal(message->says.ended.known, 1);
	assert_int_equal(message->says.ended.code, code);
	assert_true(message->says.ended.max_rss > 0);
	free_message(message);
}

static void processes_start_and_end(void **state RP_UNUSED)
{
	uint32_t process = FUNCTION(be_process);
	uint64_t ids[3];
	struct wire_signal says = { .wire = { .kind = WIRE_SIGNAL }, .signal = SIGTERM };
	pid_t pid = start_process(process, NULL, "", &ids[0]);

	assert_true(pid > 0);
	check_end(ids[0], 3);
	assert_int_equal(board->pid[0], pid);
	says.wire.id = ids[0];
	assert_int_equal(RESULT_OF(&says, NOTHING), 0);         /* it is gone, and that is what was wanted */
	pid = start_process(process, &(int){ 0 }, "core:0", &ids[1]);
	assert_true(pid > 0);
	assert_true(WAIT_FOR(board->number[1] == 1));
	says.wire.id = ids[1];
	assert_int_equal(RESULT_OF(&says, NOTHING), 0);
	check_end(ids[1], -SIGTERM);
	assert_int_equal(start_process(process, NULL, "nonsense:7", &ids[2]), -EINVAL);
	assert_int_equal(start_process(4321, NULL, "", &ids[2]), -EPROTO);
	pid = start_process(process, &(int){ 0 }, "", &ids[2]);
	TELL(&((struct wire){ .kind = WIRE_FORGET, .id = ids[2] }), NOTHING);
	TELL(&((struct wire){ .kind = WIRE_FORGET, .id = ids[2] }), NOTHING);
	says.wire.id = ids[2];
	assert_int_equal(RESULT_OF(&says, NOTHING), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(WAIT_FOR(is_gone(pid)));
	assert_null(find_message(WIRE_ENDED, 0, 0));
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

/* Something of everything; the pids of all. */
static void be_busy(pid_t *pids)
{
	uint64_t pool = open_pool(2, 0, 0, NOTHING), id;
	uint32_t process = FUNCTION(be_process), work = FUNCTION(triple), obeys = FUNCTION(obey);
	struct item items[10];

	for (uint32_t i = 0; i < 10; i++)
		items[i] = (struct item){ i, WAITS };
	pids[0] = start_process(process, &(int){ 0 }, "", &id);
	pids[1] = start_process(process, &(int){ 1 }, "", &id);
	must(WAIT_FOR(board->number[1] == 2));
	id = tell_map(pool, work, 0, 0);
	for (uint32_t b = 0; b < 4; b++)
		tell_batch(id, b, b * 10, 10, PART(items, sizeof items), NOTHING);
	tell_order(pool, obeys, STAYS, 0, 100);
	must(WAIT_FOR(board->number[1] == 4));
	for (uint32_t i = 0; i < 2; i++) {
		struct wire_info ask = { .wire = { .kind = WIRE_INFO, .id = pool }, .slot = i };
		struct message *reply = ASK(&ask, NOTHING);

		pids[2 + i] = ((struct rp_worker_info *)reply->part[0])->pid;
		free_message(reply);
	}
}

static void check_gone(const pid_t *pids)
{
	for (int i = 0; i < 4; i++)
		if (!is_gone(pids[i]))
			fail_msg("%d is still there", i);
}

static void the_end_is_the_end_of_all(void **state RP_UNUSED)
{
	pid_t pids[4];

	be_busy(pids);
	TELL(&((struct wire){ .kind = WIRE_END }), NOTHING);
	stage_join(0);
	check_gone(pids);
}

static void a_silent_manager_is_the_end(void **state RP_UNUSED)
{
	pid_t pids[4];

	be_busy(pids);
	stage.link.silence = LINK_LOST + RP_SECOND;
	stage_join(-ENOLINK);
	assert_true(stage.link.lost);
	assert_null(stage.link.sent);
	check_gone(pids);
}

static void what_cannot_be_said_is_the_end(void **state RP_UNUSED)
{
	stage.link.deaf = 1;
	TELL(&((struct wire_info){ .wire = { .kind = WIRE_INFO, .call = 1 } }), NOTHING);
	stage_join(-ENOLINK);
}

static void what_cannot_be_understood_is_the_end(void **state RP_UNUSED)
{
	if (strcmp(*(const char **)state, "short") == 0)
		TELL(&((struct wire){ .kind = WIRE_OPEN }), PART("ab", 2));
	else
		TELL(&((struct wire){ .kind = 50 }), PART("ab", 2));
	stage_join(-ENOLINK);
}

/* A program of its own, whose agent hears less and less and is then stopped. */
static void be_stopped(void)
{
	uint64_t id;
	uint32_t process;

	must(stage_begin(NULL) == 0);
	process = FUNCTION(be_process);
	board->pid[1] = start_process(process, &(int){ 1 }, "", &id);
	stage.link.silence = LINK_LOST - RP_SECOND / 4;
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);    /* two looks at it */
	raise(SIGSTOP);
}

static void a_stopped_agent_is_ended(void **state RP_UNUSED)
{
	if (!board)
		board = board_new();
	assert_int_equal(code_of(begin(be_stopped)), -SIGKILL);
	assert_true(board->pid[1] > 0);
	assert_true(WAIT_FOR(is_gone(board->pid[1])));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_begin, stage_end)
#define TEST_WITH(f, word) { #f " (" word ")", f, stage_begin, stage_end, &(const char *){ word } }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plans_and_pools_tell_their_workers),
		TEST(pools_are_let_go_and_killed),
		TEST(a_broken_pool_is_told_once_and_why),
		TEST(the_supervisors_death_breaks_every_pool),
		TEST(an_unknown_function_is_refused),
		TEST(results_come_as_they_lie_when_all_is_well),
		TEST(bad_items_have_their_notes),
		TEST(without_outcomes_the_first_bad_item_has_a_note),
		TEST(items_and_results_of_any_size),
		TEST(results_that_cannot_be_packed_have_failed),
		TEST(what_there_is_no_memory_for_is_refused),
		TEST(maps_at_once_do_not_mix),
		TEST(a_map_that_is_over_leaves_without_a_word),
		TEST(the_unbegun_is_given_back),
		TEST(chunks_are_given_back_whole),
		TEST(taking_and_dying_lose_nothing),
		TEST(tasks_of_all_kinds),
		TEST(tasks_wait_for_tickets),
		TEST(tasks_are_recalled_until_they_run),
		TEST(tasks_see_that_nobody_waits),
		TEST(pools_full_of_work_are_freed),
		TEST(memory_does_not_grow),
		TEST(processes_start_and_end),
		TEST(the_end_is_the_end_of_all),
		TEST(a_silent_manager_is_the_end),
		TEST(what_cannot_be_said_is_the_end),
		TEST_WITH(what_cannot_be_understood_is_the_end, "short"),
		TEST_WITH(what_cannot_be_understood_is_the_end, "strange"),
		cmocka_unit_test(a_stopped_agent_is_ended),
	};

	return cmocka_run_group_tests_name("agent", tests, begin_group, NULL);
}
