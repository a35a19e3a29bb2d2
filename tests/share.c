/* SPDX-License-Identifier: BSD-3-Clause */
/* share.c - maps over several nodes, with the nodes of tests/peers.h: by dice, so each test is many. */
#include "peers.h"

#include <pthread.h>

#define ITEMS 3000

/* ---- tasks of the own workers ----------------------------------------------------------------------------- */

/* Its input may be where its result goes. */
static int work_in_place(struct rp_task *task, const void *in, void *out)
{
	size_t i;
	const struct job_arg *arg = begin_item(task, in, &i);

	if (verdict_of(arg, i) == FAILS)
		return rp_task_fail(task, "item %zu is bad", i) + 10;
	*(uint64_t *)out = i;
	return 0;
}

static int work_bytes(struct rp_task *task, const void *in, void *out RP_UNUSED)
{
	char reply[320];
	size_t i;
	const struct job_arg *arg = begin_item(task, NULL, &i);

	if (in || rp_task_in_size(task)) {
		must(rp_task_in_size(task) == item_size(arg, i) && (in == NULL) == item_is_null(arg, i));
		must(holds_bytes(in, item_size(arg, i), i));
	}
	if (verdict_of(arg, i) == FAILS)
		return rp_task_fail(task, "item %zu is bad", i) + 10;
	fill_bytes(reply, reply_size(arg, i), i);
	return reply_is_null(arg, i) ? 0 : rp_task_reply(task, reply, reply_size(arg, i));
}

/* ---- one map ---------------------------------------------------------------------------------------------- */

struct order {
	struct rp_pool *pool;
	uint64_t seed;
	size_t items;
	uint32_t bad, deadly, slow;
	int may_end_early;                      /* the pool may be over before the map is */
	int killed;                             /* workers are killed from outside: any item may be RP_DIED */
};

struct ware {
	struct job_arg arg;
	size_t count;
	void *in, *out, *spare;
	size_t out_size;
	int bytes, in_place;
	struct rp_outcome *outcomes;
	int cancelled, died, bad;
};

static void check_result(const struct ware *w, size_t i, int good)
{
	const struct result result = result_of_item(&w->arg, i);
	struct result untouched;

	memset(&untouched, 0xee, sizeof untouched);
	if (!w->out)
		return;
	if (w->bytes) {
		const struct rp_bytes *reply = (struct rp_bytes *)w->out + i;

		must((reply->data == NULL) == (!good || reply_is_null(&w->arg, i)));
		must(reply->size == (good ? reply_size(&w->arg, i) : 0));
		must(holds_bytes(reply->data, reply->size, i));
	} else if (w->in_place) {
		must(((uint64_t *)w->out)[i] == (good ? i : item_of(&w->arg, i)));
	} else {
		must(memcmp((struct result *)w->out + i, good ? &result : &untouched, sizeof result) == 0);
	}
}

static void check_outcome(const struct order *order, struct ware *w, size_t i)
{
	static const enum rp_state right[] = { [GOOD] = RP_OK, [FAILS] = RP_FAILED, [DIES] = RP_DIED };
	const struct rp_outcome *o = &w->outcomes[i];
	enum verdict verdict = verdict_of(&w->arg, i);
	char text[64];

	snprintf(text, sizeof text, "item %zu is bad", i);
	if (o->state == RP_CANCELLED && order->may_end_early) {
		must(w->arg.ran[i] <= 1 && o->rank == -1);
		w->cancelled++;
	} else if (o->state == RP_DIED && verdict != DIES && order->killed) {
		must(w->arg.ran[i] <= 1);
		w->died++;
	} else {
		if (o->state != right[verdict])
			dprintf(STDERR_FILENO, "# item %zu of %zu: %s, not %s: rank %d, %s; ran %u\n", i, w->count,
			        rp_state_name(o->state), rp_state_name(right[verdict]), o->rank, o->text, w->arg.ran[i]);
		must(o->state == right[verdict]);
		must(o->rank >= 0 && o->rank < rp_pool_workers(order->pool) && o->node >= 0 && o->node < peers.nodes);
		must(w->arg.ran[i] == 1);
		must(verdict != FAILS || (o->code == 11 && strcmp(o->text, text) == 0));
		must(verdict != DIES || o->code == -9);
		w->died += verdict == DIES;
	}
	w->bad += o->state != RP_OK;
	check_result(w, i, o->state == RP_OK);
}

static int expected_code(const struct ware *w)
{
	int code = 0;

	for (size_t i = 0; i < w->count; i++) {
		enum verdict verdict = verdict_of(&w->arg, i);

		if (verdict == DIES)
			return -ECHILD;
		if (verdict == FAILS)
			code = -EREMOTEIO;
	}
	return code;
}

static void check_ware(const struct order *order, struct ware *w, int r, const struct rp_error *err)
{
	int refused = order->may_end_early && (r == -EPIPE || r == -EINVAL || r == -ENOLINK);

	for (size_t i = 0; i < w->count; i++) {
		if (w->outcomes && w->outcomes[i].state == RP_PENDING)
			must(refused);                  /* the pool was over before the map began */
		else if (w->outcomes)
			check_outcome(order, w, i);
		else if (!order->may_end_early && !order->killed)
			check_result(w, i, verdict_of(&w->arg, i) == GOOD);
		must(w->arg.ran[i] == 1 || ((order->killed || order->may_end_early) && w->arg.ran[i] == 0));
	}
	if (order->may_end_early && (w->cancelled || !w->outcomes || refused))
		return;
	if (!order->killed && r != expected_code(w))
		must_at(0, err->text, __FILE__, __LINE__);
	if (w->outcomes)
		must(r == (w->died ? -ECHILD : w->bad ? -EREMOTEIO : 0));
}

static void *make_bytes(const struct ware *w)
{
	struct rp_bytes *in = calloc(w->count + 1, sizeof *in);

	for (size_t i = 0; i < w->count; i++) {
		size_t size = item_size(&w->arg, i);
		char *data = item_is_null(&w->arg, i) ? NULL : malloc(size + 1);

		if (data)
			fill_bytes(data, size, i);
		in[i] = (struct rp_bytes){ data, size };
	}
	return in;
}

static void make_ware(struct ware *w, const struct order *order)
{
	uint64_t dice = mix(order->seed);
	int arena = dice % 3 == 0;

	*w = (struct ware){ .arg = { dice, order->bad, order->deadly, order->slow, 0, NULL }, .count = order->items };
	w->arg.ran = counters(w->count + 1);
	w->bytes = dice / 3 % 3 == 0;
	w->in_place = !w->bytes && dice / 9 % 4 == 0;
	w->out_size = w->in_place ? 8 : w->bytes ? sizeof(struct rp_bytes) : sizeof(struct result);
	if (w->bytes) {
		w->in = dice / 64 % 5 ? make_bytes(w) : NULL;
	} else if (w->in_place || dice / 64 % 5) {
		w->in = malloc(w->count * 8 + 1);
		for (size_t i = 0; i < w->count; i++)
			((uint64_t *)w->in)[i] = item_of(&w->arg, i);
	}
	if (w->in_place)
		w->out = w->in;
	else if (dice / 512 % 7)
		w->out = arena && !w->bytes ? rp_alloc(w->count * w->out_size + 1) : malloc(w->count * w->out_size + 1);
	if (w->out && !w->in_place)
		memset(w->out, 0xee, w->count * w->out_size);
	if (arena && w->out && !w->bytes && !w->in_place && (order->bad || order->deadly || order->may_end_early)) {
		rp_free(w->out);                /* what a failed task leaves there is nobody's business */
		w->out = NULL;
	}
	w->outcomes = dice / 4096 % 3 ? calloc(w->count + 1, sizeof *w->outcomes) : NULL;
	w->spare = arena && !w->bytes && !w->in_place ? w->out : NULL;
}

static void free_ware(struct ware *w)
{
	for (size_t i = 0; w->bytes && w->in && i < w->count; i++)
		free((void *)(uintptr_t)((struct rp_bytes *)w->in)[i].data);
	if (w->bytes && w->out)
		rp_bytes_free(w->out, w->count);
	if (w->spare)
		rp_free(w->spare);
	else if (!w->in_place)
		free(w->out);
	free(w->in);
	free(w->outcomes);
	rp_free((void *)w->arg.ran);
}

/* All that the call was given is freed as soon as it has returned. */
static int do_map(const struct order *order)
{
	size_t chunk = mix(order->seed + 7) % 3 ? 0 : 1 + mix(order->seed + 8) % 50;
	struct rp_error err = { .text = "" };
	struct ware w;
	int r;

	make_ware(&w, order);
	if (w.bytes)
		r = rp_pool_map_bytes(order->pool, work_bytes, w.in, w.out, w.count,
		                      RP_MAP(RP_ARG(w.arg), .chunk = chunk, .outcomes = w.outcomes), &err);
	else
		r = rp_pool_map_array(order->pool, w.in_place ? work_in_place : work, w.in, w.in ? 8 : 0, w.out,
		                      w.out ? w.out_size : 0, w.count,
		                      RP_MAP(RP_ARG(w.arg), .chunk = chunk, .outcomes = w.outcomes), &err);
	check_ware(order, &w, r, &err);
	if (w.outcomes)
		rp_outcomes_clear(w.outcomes, w.count);
	free_ware(&w);
	return r;
}

/* ---- many maps -------------------------------------------------------------------------------------------- */

struct crowd {
	struct order order;
	unsigned maps;
	pthread_t thread;
};

static void *run_crowd(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < crowd->maps; i++) {
		struct order order = crowd->order;

		order.seed = mix(crowd->order.seed + i);
		order.items = mix(order.seed) % crowd->order.items;
		do_map(&order);
	}
	return NULL;
}

static void start_crowds(struct crowd *crowds, int count, const struct order *order, unsigned maps)
{
	for (int i = 0; i < count; i++) {
		crowds[i] = (struct crowd){ .order = *order, .maps = maps };
		crowds[i].order.seed = mix(order->seed + 1000 + (uint64_t)i);
		must(pthread_create(&crowds[i].thread, NULL, run_crowd, &crowds[i]) == 0);
	}
}

static void join_crowds(struct crowd *crowds, int count)
{
	for (int i = 0; i < count; i++)
		must(pthread_join(crowds[i].thread, NULL) == 0);
}

static void test_maps(void **state RP_UNUSED)
{
	struct crowd crowds[3];

	for (unsigned try = 0; try < tries(); try++) {
		struct order order = { .seed = try + 100, .items = ITEMS / SLOWER };

		choose_nodes(order.seed);
		order.pool = open_pool(1 + try % 3);
		order.bad = try % 3 == 1 ? 50 : 0;
		start_crowds(crowds, 3, &order, 12);
		join_crowds(crowds, 3);
		rp_pool_free(order.pool);
		end_nodes();
	}
}

static void test_deaths(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries() / 2; try++) {
		struct order order = { .seed = 2 * try + 200, .items = 400, .deadly = 120, .slow = 20, .bad = 90 };

		choose_nodes(order.seed);
		order.pool = open_pool(1 + try % 2);
		for (int i = 0; i < 4; i++) {
			order.seed = mix(order.seed);
			do_map(&order);
		}
		rp_pool_free(order.pool);
		end_nodes();
	}
}

/* Own workers are killed while other nodes take and give back. */
static void test_kills(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries() / 2; try++) {
		struct order order = { .seed = 2 * try + 300, .items = 800, .slow = 20, .killed = 1 };
		struct rp_worker_info info;
		struct crowd crowds[2];

		choose_nodes(order.seed);
		order.pool = open_pool(2);
		start_crowds(crowds, 2, &order, 4);
		for (int i = 0; i < 6; i++) {
			if (rp_pool_worker(order.pool, i % 2, &info) == 0 && info.pid > 0)
				kill(info.pid, SIGKILL);
			nap(3000);
		}
		join_crowds(crowds, 2);
		rp_pool_free(order.pool);
		end_nodes();
	}
}

/* The pool is over at any moment: terminated, or a node of it is lost. */
static void test_ends(void **state RP_UNUSED)
{
	for (unsigned try = 0; try < tries(); try++) {
		struct order order = { .seed = try + 400, .items = 20000 / SLOWER, .slow = 5, .may_end_early = 1 };
		struct crowd crowds[3];

		choose_nodes(order.seed);
		order.pool = open_pool(2);
		start_crowds(crowds, 3, &order, 4);
		nap((long)(mix(order.seed) % 30000));
		if (try % 3 == 0)
			peers.silent[1] = 1;
		else
			assert_int_equal(rp_pool_terminate(order.pool), 0);
		join_crowds(crowds, 3);
		rp_pool_free(order.pool);
		end_nodes();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests_name("share", tests, peers_begin, NULL);
}
