/* SPDX-License-Identifier: BSD-3-Clause */
/* peers_play.h - what a node of peers.h makes of what it hears. */
#ifndef RP_TESTS_PEERS_PLAY_H
#define RP_TESTS_PEERS_PLAY_H

#include "peers_state.h"

/* ---- pools ------------------------------------------------------------------------------------------------ */

static inline struct rp_bytes infos(const struct peer *peer, uint32_t first_rank, uint32_t from, uint32_t count)
{
	struct rp_worker_info *all = calloc(count, sizeof *all);

	must(all);
	for (uint32_t i = 0; i < count; i++) {
		all[i] = (struct rp_worker_info){ .rank = (int)(first_rank + from + i), .node = peer->number,
			                          .local_rank = (int)(from + i), .pid = 1000000 + (int)(from + i) };
		snprintf(all[i].host, sizeof all[i].host, "n%d", peer->number);
	}
	return (struct rp_bytes){ all, count * sizeof *all };
}

static inline void play_plan(struct peer *peer, const struct wire_pool *says)
{
	if (says->workers)
		reply(peer, &says->wire, says->workers, infos(peer, says->first_rank, 0, says->workers));
	else
		reply(peer, &says->wire, peers.fits, (struct rp_bytes){ 0 });
}

static inline void play_open(struct peer *peer, const struct wire_pool *says)
{
	struct played_pool *pool = calloc(1, sizeof *pool);

	must(pool && says->workers);
	*pool = (struct played_pool){ peer->pools, says->wire.id, says->first_rank, says->workers, 0, 0 };
	peer->pools = pool;
	reply(peer, &says->wire, says->workers, infos(peer, says->first_rank, 0, says->workers));
}

static inline void free_batch(struct played_batch *batch)
{
	free_parcel(batch->parcel);
	free(batch->states);
	free(batch);
}

static inline void drop_batches(struct peer *peer, uint64_t map)
{
	for (struct played_batch **at = &peer->batches, *batch; (batch = *at);) {
		if (batch->says.wire.id != map) {
			at = &batch->next;
			continue;
		}
		*at = batch->next;
		free_batch(batch);
	}
}

static inline void drop_maps(struct peer *peer, uint64_t pool, uint64_t id)
{
	for (struct played_map **at = &peer->maps, *map; (map = *at);) {
		if (map->says.pool != pool && map->says.wire.id != id) {
			at = &map->next;
			continue;
		}
		drop_batches(peer, map->says.wire.id);
		*at = map->next;
		free(map);
	}
}

static inline void drop_tasks(struct peer *peer, uint64_t pool, uint64_t id)
{
	for (struct played_task **at = &peer->tasks, *task; (task = *at);) {
		if (task->says.pool != pool && task->says.wire.id != id) {
			at = &task->next;
			continue;
		}
		*at = task->next;
		free(task);
	}
}

static inline void play_stop(struct peer *peer, const struct wire_stop *says)
{
	struct played_pool *pool = pool_of(peer, says->wire.id), **at;

	if (pool && says->how == WIRE_LET_GO)
		pool->let_go = 1;
	if (pool && says->how != WIRE_LET_GO) {
		pool->killed = 1;
		drop_maps(peer, pool->id, 0);
		drop_tasks(peer, pool->id, 0);
	}
	if (pool && says->how == WIRE_FREE) {
		for (at = &peer->pools; *at != pool; at = &(*at)->next)
			;
		*at = pool->next;
		free(pool);
	}
	reply(peer, &says->wire, 0, (struct rp_bytes){ 0 });
}

/* ---- maps ------------------------------------------------------------------------------------------------- */

static inline void play_map(struct peer *peer, const struct parcel *parcel)
{
	struct played_pool *pool = pool_of(peer, parcel->says.map.pool);
	struct played_map *map;

	if (!pool || pool->killed)
		return;
	must(!pool->let_go);
	map = calloc(1, sizeof *map);
	must(map && !map_of(peer, parcel->says.map.wire.id));
	*map = (struct played_map){ peer->maps, parcel->says.map, arg_of(parcel, 0) };
	peer->maps = map;
}

static inline int is_refused(struct link *link, const struct wire_batch *says)
{
	return (says->count > 1 || peers.refusing_one) && happens(link, peers.refusing);
}

static inline void refuse_batch(struct peer *peer, const struct wire_batch *says)
{
	const struct wire_result refusal = { .wire = { WIRE_RESULT, 0, says->wire.id }, .batch = says->batch,
		                             .error = -ENOMEM, .text = "no memory, say the dice" };

	say(peer, &refusal, sizeof refusal, NULL, 0);
}

/* 1: the parcel stays. */
static inline int play_batch(struct link *link, struct peer *peer, struct parcel *parcel)
{
	const struct wire_batch *says = &parcel->says.batch;
	const struct played_map *map = map_of(peer, says->wire.id);
	struct played_batch *batch;

	if (!map)
		return 0;
	peers.batches++;
	if (is_refused(link, says)) {
		refuse_batch(peer, says);
		return 0;
	}
	batch = calloc(1, sizeof *batch);
	must(batch && says->count);
	*batch = (struct played_batch){ .next = peer->batches, .map = map, .says = *says, .parcel = parcel,
		                        .states = calloc(says->count, 1), .left = says->count };
	peer->batches = batch;
	return 1;
}

/* As an agent does, one range may be of two batches. */
static inline void give(struct wire_given *given, struct wire_range *ranges, uint32_t begin, uint32_t end)
{
	struct wire_range *last = given->count ? &ranges[given->count - 1] : NULL;

	if (last && last->begin == end)
		last->begin = begin;
	else if (last && last->end == begin)
		last->end = end;
	else
		ranges[given->count++] = (struct wire_range){ begin, end };
}

/* From the back of what has not begun; of what has, any span that is left.  How many. */
static inline uint32_t give_of(struct link *link, struct played_batch *batch, uint32_t most, struct wire_given *given,
                               struct wire_range *ranges)
{
	uint32_t end = batch->says.count, begin;

	if (batch->begun)
		end = 1 + roll(link, end);
	while (end && batch->states[end - 1] != RP_PENDING)
		end--;
	for (begin = end; begin && end - begin < most && batch->states[begin - 1] == RP_PENDING; begin--)
		batch->states[begin - 1] = WIRE_AWAY;
	if (begin == end)
		return 0;
	batch->left -= end - begin;
	batch->given += end - begin;
	give(given, ranges, batch->says.begin + begin, batch->says.begin + end);
	return end - begin;
}

static inline void play_take(struct link *link, struct peer *peer, const struct wire_take *says)
{
	struct wire_given given = { .wire = { WIRE_GIVEN, 0, says->wire.id } };
	struct wire_range *ranges = calloc(64, sizeof *ranges);
	uint32_t wanted = happens(link, peers.giving) ? says->most : 0;
	struct rp_bytes part;

	must(ranges && says->most);
	if (happens(link, 50))
		wanted = roll(link, wanted + 1);
	for (struct played_batch *batch = peer->batches; batch && wanted && given.count < 64; batch = batch->next)
		if (batch->says.wire.id == says->wire.id)
			wanted -= give_of(link, batch, wanted, &given, ranges);
	peers.taken += given.count != 0;
	part = (struct rp_bytes){ ranges, given.count * sizeof *ranges };
	say(peer, &given, sizeof given, &part, 1);
}

static inline void check_input(const struct played_batch *batch, uint32_t n, size_t i, const uint64_t *sizes,
                               const char *data)
{
	const struct job_arg *arg = &batch->map->arg;

	must(batch->map->says.has_in == (batch->map->says.bytes_in || batch->map->says.in_size));
	if (batch->map->says.bytes_in) {
		must(sizes[n] == (item_is_null(arg, i) ? WIRE_NONE : item_size(arg, i)));
		must(holds_bytes(data, item_size(arg, i), i));
	} else if (batch->map->says.has_in) {
		must(memcmp((const char *)batch->parcel->part[0] + n * 8, &(uint64_t){ item_of(arg, i) }, 8) == 0);
	}
}

/* Runs some items. */
static inline void work_on(struct played_batch *batch, uint32_t most)
{
	static const uint8_t state_of[] = { [GOOD] = RP_OK, [FAILS] = RP_FAILED, [DIES] = RP_DIED };
	const char *data = batch->parcel->part[1];

	batch->begun = 1;
	for (uint32_t n = 0; n < batch->says.count; n++) {
		size_t i = batch->says.base + batch->says.begin + n;

		if (batch->states[n] == RP_PENDING && most && most--) {
			check_input(batch, n, i, batch->parcel->part[0], data);
			atomic_fetch_add(&batch->map->arg.ran[i], 1);
			batch->states[n] = state_of[verdict_of(&batch->map->arg, i)];
			batch->left--;
		}
		if (batch->map->says.bytes_in)
			data += WIRE_ALIGN(item_size(&batch->map->arg, i));
	}
}

static inline void add_note(struct rp_bytes *notes, size_t i, uint32_t index, uint32_t state, int rank)
{
	struct wire_note note = { .index = index, .code = state == RP_DIED ? -9 : 11, .rank = rank, .state = state };
	char text[64];
	size_t size;
	char *larger;

	note.size = (uint32_t)snprintf(text, sizeof text, "item %zu is bad", i);
	size = (sizeof note + note.size + 1 + 7) & ~(size_t)7;
	larger = realloc((void *)(uintptr_t)notes->data, notes->size + size);
	must(larger);
	memcpy(larger + notes->size, &note, sizeof note);
	memcpy(larger + notes->size + sizeof note, text, note.size + 1u);
	*notes = (struct rp_bytes){ larger, notes->size + size };
}

static inline void end_batch(struct peer *peer, const struct played_batch *batch)
{
	const struct wire_map *map = &batch->map->says;
	const struct played_pool *pool = pool_of(peer, map->pool);
	uint32_t count = batch->says.count, bad = 0;
	uint64_t *sizes = calloc(count, sizeof *sizes);
	int32_t *ranks = calloc(count, sizeof *ranks);
	char *data = malloc(count * (map->bytes_out ? 320 : map->out_size) + 1), *at = data;
	struct rp_bytes part[5] = { 0 };
	struct wire_result says = { .wire = { WIRE_RESULT, 0, map->wire.id }, .batch = batch->says.batch };

	must(sizes && ranks && data);
	for (uint32_t n = 0; n < count; n++) {
		size_t i = batch->says.base + batch->says.begin + n;
		int rank = (int)(pool->first_rank + i % pool->workers);

		ranks[n] = rank;
		sizes[n] = WIRE_NONE;
		if (batch->states[n] == RP_OK && map->bytes_out) {
			sizes[n] = reply_is_null(&batch->map->arg, i) ? WIRE_NONE : reply_size(&batch->map->arg, i);
			fill_bytes(at, reply_size(&batch->map->arg, i), i);
			at += WIRE_ALIGN(reply_size(&batch->map->arg, i));
		} else if (batch->states[n] == RP_OK && map->has_out) {
			struct result result = result_of_item(&batch->map->arg, i);

			at = mempcpy(at, &result, map->out_size);
		} else if (batch->states[n] != RP_OK && batch->states[n] != WIRE_AWAY) {
			if ((!bad++ || map->outcomes) && ++says.notes)
				add_note(&part[4], i, batch->says.begin + n, batch->states[n], rank);
		}
	}
	says.all_good = !bad && !batch->given;
	part[0] = (struct rp_bytes){ memcpy(malloc(count), batch->states, count), says.all_good ? 0 : count };
	part[1] = (struct rp_bytes){ ranks, map->outcomes ? count * sizeof *ranks : 0 };
	part[2] = (struct rp_bytes){ sizes, map->bytes_out ? count * sizeof *sizes : 0 };
	part[3] = (struct rp_bytes){ data, map->has_out ? (size_t)(at - data) : 0 };
	say(peer, &says, sizeof says, part, 5);
}

/* Goes on with one of the two oldest. */
static inline int step_batches(struct link *link, struct peer *peer)
{
	struct played_batch **at = &peer->batches, *batch;

	while (*at && (*at)->next && ((*at)->next->next || happens(link, 50)))
		at = &(*at)->next;
	batch = *at;
	if (!batch)
		return 0;
	if (batch->left && (batch->begun || !is_refused(link, &batch->says))) {
		work_on(batch, 1 + roll(link, peers.piece));
		return 1;
	}
	if (batch->left)
		refuse_batch(peer, &batch->says);
	else
		end_batch(peer, batch);
	*at = batch->next;
	free_batch(batch);
	return 1;
}

/* ---- single tasks, processes ------------------------------------------------------------------------------ */

static inline void play_task(struct peer *peer, const struct parcel *parcel)
{
	const struct played_pool *pool = pool_of(peer, parcel->says.task.pool);
	struct played_task *task;

	if (!pool || pool->killed)
		return;
	must(!pool->let_go);
	task = calloc(1, sizeof *task);
	must(task);
	*task = (struct played_task){ .next = peer->tasks, .says = parcel->says.task, .arg = arg_of(parcel, 1) };
	must(parcel->size[0] == sizeof(uint64_t) && parcel->part[0]);
	must(memcmp(parcel->part[0], &(uint64_t){ item_of(&task->arg, task->says.index) }, 8) == 0);
	peer->tasks = task;
}

static inline struct played_task *task_of(struct peer *peer, uint64_t id)
{
	struct played_task *task = peer->tasks;

	while (task && task->says.wire.id != id)
		task = task->next;
	return task;
}

static inline void play_recall(struct peer *peer, const struct wire_recall *says)
{
	struct played_task *task = task_of(peer, says->wire.id);
	int recalled = task && !task->begun;

	if (recalled)
		drop_tasks(peer, 0, says->wire.id);
	reply(peer, &says->wire, recalled, (struct rp_bytes){ 0 });
}

static inline void end_task(struct peer *peer, const struct played_task *task)
{
	size_t i = task->says.index;
	const struct played_pool *pool = pool_of(peer, task->says.pool);
	enum verdict verdict = verdict_of(&task->arg, i);
	struct wire_done says = { .wire = { WIRE_DONE, 0, task->says.wire.id }, .pool = task->says.pool,
		                  .state = verdict == GOOD ? RP_OK : verdict == FAILS ? RP_FAILED : RP_DIED,
		                  .code = verdict == GOOD ? 0 : verdict == FAILS ? 11 : -9,
		                  .rank = (int)pool->first_rank, .has_reply = verdict == GOOD };
	struct result result = result_of_item(&task->arg, i);
	size_t size = task->says.out_size ? task->says.out_size : reply_size(&task->arg, i);
	char *text = calloc(1, 64), *data = malloc(size + 1);
	struct rp_bytes part[2] = { { text, 0 }, { data, verdict == GOOD ? size : 0 } };

	must(text && data);
	if (verdict != GOOD)
		part[0].size = (size_t)snprintf(text, 64, "item %zu is bad", i) + 1;
	if (task->says.out_size)
		memcpy(data, &result, size);
	else
		fill_bytes(data, size, i);
	atomic_fetch_add(&task->arg.ran[i], 1);
	say(peer, &says, sizeof says, part, 2);
	drop_tasks(peer, 0, task->says.wire.id);
}

/* Begins the oldest, or ends one that has begun. */
static inline int step_tasks(struct link *link, struct peer *peer)
{
	struct played_task *oldest = NULL, *begun = NULL;

	for (struct played_task *task = peer->tasks; task; task = task->next) {
		if (!task->begun)
			oldest = task;
		else if ((!task->arg.stays || task->dropped) && (!begun || happens(link, 50)))
			begun = task;
	}
	if (oldest && happens(link, 50))
		oldest->begun = 1;
	else if (begun)
		end_task(peer, begun);
	else
		return 0;
	return 1;
}

static inline void play_start(struct peer *peer, const struct wire_start *says)
{
	struct played_process *process = calloc(1, sizeof *process);

	must(process);
	*process = (struct played_process){ peer->processes, says->wire.id, says->name[0] == 's' ? -1 : 0, 0 };
	peer->processes = process;
	reply(peer, &says->wire, 4711, (struct rp_bytes){ 0 });
}

static inline struct played_process *process_of(struct peer *peer, uint64_t id)
{
	struct played_process *process = peer->processes;

	while (process && process->id != id)
		process = process->next;
	return process;
}

/* One called "s..." stays until a signal comes, any other leaves with 5. */
static inline int step_processes(struct peer *peer)
{
	for (struct played_process **at = &peer->processes, *process; (process = *at); at = &process->next) {
		struct wire_ended says = { .wire = { WIRE_ENDED, 0, process->id }, .known = 1 };

		if (process->signal < 0)
			continue;
		says.code = process->signal ? -process->signal : 5;
		say(peer, &says, sizeof says, NULL, 0);
		*at = process->next;
		free(process);
		return 1;
	}
	return 0;
}

static inline void play_signal(struct peer *peer, const struct wire_signal *says)
{
	struct played_process *process = process_of(peer, says->wire.id);

	peers.signals++;
	if (process)
		process->signal = says->signal;
}

/* ---- all that a peer hears -------------------------------------------------------------------------------- */

static inline void play_function(struct peer *peer, const struct wire_function *says)
{
	void *fn;

	must(function_resolve(&says->function, &fn, NULL) == 0);
	reply(peer, &says->wire, 0, (struct rp_bytes){ 0 });
}

/* 1: the parcel stays. */
static inline int hear(struct link *link, struct peer *peer, struct parcel *parcel)
{
	const union wire_any *says = &parcel->says;
	struct played_task *task;

	must(!peer->ended);
	switch (says->wire.kind) {
	case WIRE_END:
		peer->ended = 1;
		peers.told_to_end++;
		break;
	case WIRE_FUNCTION:
		play_function(peer, &says->function);
		break;
	case WIRE_PLAN:
		play_plan(peer, &says->pool);
		break;
	case WIRE_OPEN:
		play_open(peer, &says->pool);
		break;
	case WIRE_INFO:
		must(pool_of(peer, says->wire.id));
		reply(peer, &says->wire, 1, infos(peer, pool_of(peer, says->wire.id)->first_rank, says->info.slot, 1));
		break;
	case WIRE_STOP:
		play_stop(peer, &says->stop);
		break;
	case WIRE_MAP:
		play_map(peer, parcel);
		break;
	case WIRE_BATCH:
		return play_batch(link, peer, parcel);
	case WIRE_TAKE:
		play_take(link, peer, &says->take);
		break;
	case WIRE_MAP_END:
		drop_maps(peer, 0, says->wire.id);
		break;
	case WIRE_TASK:
		play_task(peer, parcel);
		break;
	case WIRE_RECALL:
		play_recall(peer, &says->recall);
		break;
	case WIRE_DROP:
		task = task_of(peer, says->wire.id);
		if (task)
			task->dropped = 1;
		break;
	case WIRE_START:
		play_start(peer, &says->start);
		break;
	case WIRE_SIGNAL:
		play_signal(peer, &says->signal);
		break;
	case WIRE_FORGET:
		if (process_of(peer, says->wire.id))
			process_of(peer, says->wire.id)->forgotten = 1;
		break;
	default:
		must(0);
	}
	return 0;
}

static inline int step_in(struct link *link, struct peer *peer)
{
	struct parcel *parcel = peer->in;

	if (!parcel)
		return 0;
	peer->in = parcel->next;
	own_parts(parcel);
	if (!hear(link, peer, parcel))
		free_parcel(parcel);
	return 1;
}

/* A message to the manager: begun in one step, ended in a later one. */
static inline int step_out(struct peer *peer, const struct link_receiver *receiver)
{
	struct parcel *parcel = peer->arriving;

	if (!parcel && !peer->out)
		return 0;
	if (!parcel) {
		parcel = peer->arriving = peer->out;
		peer->out = parcel->next;
		receiver->begin(receiver->user, peer->number, &parcel->says, parcel->header, parcel->size, parcel->parts,
		                parcel->into);
		return 1;
	}
	for (int i = 0; i < parcel->parts; i++)
		if (parcel->into[i] && parcel->size[i])
			memcpy(parcel->into[i], parcel->part[i], parcel->size[i]);
	peer->arriving = NULL;
	receiver->end(receiver->user, peer->number, &parcel->says, parcel->header, parcel->into, parcel->size,
	              parcel->parts);
	free_parcel(parcel);
	return 1;
}

#endif
