/* SPDX-License-Identifier: BSD-3-Clause */
/* job.c - one map in shared memory.
 *
 * Protocol.  A job's items start as one contiguous range per slot, each range one atomic word (begin, end) on a line of
 * its own. The owner claims from the front, an idle worker steals the back half of the fullest range, both by
 * compare-and-swap of that word; a thief then stores what it took as its own range, which was empty, so nobody else can
 * write there.  Equal words mean equal states of the range, so a compare-and-swap that succeeds late (ABA) is as right
 * as an early one.
 *
 * Truth.  states[i] is written once, after the result of item i; ranges, claims and counts are hints.  Before a worker
 * runs item i it stores i + 1 in slot->current.  So when it dies, at most the item in `current` was begun without a
 * state: the supervisor makes that item RP_DIED.  Items that the dead worker had claimed and not begun, or stolen and
 * not yet stored, have no state and are in no range: they are lost.
 *
 * Presence.  A worker is in a job from storing the job's seq in slot->job, and seeing after that that the seq still
 * holds, to storing 0 there.  The manager shuts a job by clearing its seq and waiting until no slot holds it (the
 * supervisor clears the word of a dead worker, after it has dealt with `current`).  Nobody but the present touches a
 * job's words, so they may be reused then; a worker that stalls anywhere is present all the time.
 *
 * End.  A job is quiet when nobody is in it and all its ranges are empty.  Each worker that leaves looks for that after
 * it has left (both with sequential consistency), so the last one to leave sees it and tells the manager.  Between a
 * theft and the store of the stolen range the thief is present, so the job is not quiet.  In a quiet job every item has
 * a state or was lost; the manager shuts it and opens it again, with a new seq, over the span of the lost items, told to
 * skip those that have a state.  Each round either finishes or ends with a death that gave an item its state or hit a
 * worker that had begun nothing; the supervisor slows down workers that die at birth, so the rounds come to an end when
 * the deaths do.
 *
 * Taking back.  Whoever opened the job may take items off the back of a range, to have them run elsewhere: the same
 * compare-and-swap as a thief's, but by one that is in no slot and so never present.  What it took is in no range and has no
 * state, like what was lost; so it gives these items a state of their own before anybody may look for lost ones, and that
 * is all that the two have to be kept apart for.  (In a job that was opened again some of them may have a state already.)
 * It stores no range, so it cannot be in a thief's way, and takes nothing from a job that is shut.  When it took the last
 * items, workers that are busy in other jobs may not come by for long and see that this one is quiet: so it tells. */
#include "job.h"

#include <string.h>

/* The number of a job is part of its seq, so that a slot's one word names both. */
static struct job *job_of(struct crew *crew, uint64_t seq)
{
	return &crew->jobs[seq % CREW_JOBS];
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void job_open(struct crew *crew, uint32_t number, uint64_t serial, uint32_t begin, uint32_t end)
{
	uint64_t items = end - begin, chunk = crew->jobs[number].chunk ? crew->jobs[number].chunk : 1;
	uint64_t chunks = (items + chunk - 1) / chunk;

	for (uint32_t i = 0; i < crew->size; i++) {
		uint32_t b = begin + (uint32_t)least(items, chunks * i / crew->size * chunk);
		uint32_t e = begin + (uint32_t)least(items, chunks * (i + 1) / crew->size * chunk);

		atomic_store_explicit(&crew->slots[i].range[number].word, RANGE(b, e), memory_order_relaxed);
	}
	atomic_store(&crew->jobs[number].seq, serial * CREW_JOBS + number);
	crew_ring_all(crew);
}

static int anyone_in(const struct crew *crew, uint64_t seq)
{
	for (uint32_t i = 0; i < crew->size; i++)
		if (atomic_load(&crew->slots[i].job) == seq)
			return 1;
	return 0;
}

static int ranges_left(const struct crew *crew, uint32_t number)
{
	for (uint32_t i = 0; i < crew->size; i++) {
		uint64_t range = atomic_load(&crew->slots[i].range[number].word);

		if (RANGE_BEGIN(range) < RANGE_END(range))
			return 1;
	}
	return 0;
}

/* Ranges are looked at first: a range is emptied only by somebody who is in, and who is seen there or has left since. */
static int quiet(const struct crew *crew, uint32_t number, uint64_t seq)
{
	return !ranges_left(crew, number) && !anyone_in(crew, seq) && !ranges_left(crew, number);
}

int job_quiet(struct crew *crew, uint32_t number)
{
	return quiet(crew, number, atomic_load(&crew->jobs[number].seq));
}

int job_shut(struct crew *crew, uint32_t number)
{
	atomic_store(&crew->jobs[number].seq, 0);
	for (uint32_t i = 0; i < crew->size; i++) {
		uint64_t seq = atomic_load(&crew->slots[i].job);

		if (seq && seq % CREW_JOBS == number)
			return 0;
	}
	return 1;
}

uint32_t job_lost(const _Atomic uint8_t *states, uint32_t count, uint32_t *ret_begin)
{
	const uint8_t *plain = (const uint8_t *)states, *first = memchr(plain, RP_PENDING, count), *last;

	if (!first)
		return 0;
	last = memrchr(plain, RP_PENDING, count);
	*ret_begin = (uint32_t)(first - plain);
	return (uint32_t)(last - first) + 1;
}

uint64_t job_next(struct crew *crew, uint64_t after)
{
	uint64_t best = 0;

	for (uint32_t j = 0; j < CREW_JOBS; j++) {
		uint64_t seq = atomic_load_explicit(&crew->jobs[j].seq, memory_order_acquire);

		if (seq > after && (!best || seq < best))
			best = seq;
	}
	return best;
}

struct job *job_enter(struct crew *crew, uint32_t slot, uint64_t seq)
{
	struct job *job = job_of(crew, seq);

	atomic_store(&crew->slots[slot].job, seq);
	if (atomic_load(&job->seq) == seq)
		return job;
	job_leave(crew, slot, seq);
	return NULL;
}

/* While little is left of a range only half of it is claimed, so that others find something to steal. */
static uint32_t claim_own(struct range *range, uint32_t most, int whole, uint32_t *ret_begin)
{
	uint64_t old = atomic_load_explicit(&range->word, memory_order_relaxed);

	for (;;) {
		uint32_t begin = RANGE_BEGIN(old), end = RANGE_END(old), count = most;

		if (begin >= end)
			return 0;
		if (whole && count > end - begin)
			count = end - begin;
		else if (!whole && count > (end - begin + 1) / 2)
			count = (end - begin + 1) / 2;
		if (atomic_compare_exchange_weak_explicit(&range->word, &old, RANGE(begin + count, end),
		                                          memory_order_acq_rel, memory_order_relaxed)) {
			*ret_begin = begin;
			return count;
		}
	}
}

/* The slot with the most left, the nearest of equals (slots are numbered along the topology); crew->size: none.  others:
 * the slot itself is left out. */
static uint32_t fullest(const struct crew *crew, uint32_t slot, int others, uint32_t number, uint64_t *ret_range)
{
	uint32_t best = crew->size, most = 0;

	for (uint32_t i = others != 0; i < crew->size; i++) {
		uint32_t step = (i + 1) / 2, other = (i & 1 ? slot + step : slot + crew->size - step) % crew->size;
		uint64_t range = atomic_load_explicit(&crew->slots[other].range[number].word, memory_order_relaxed);
		uint32_t left = RANGE_BEGIN(range) < RANGE_END(range) ? RANGE_END(range) - RANGE_BEGIN(range) : 0;

		if (left > most) {
			most = left;
			best = other;
			*ret_range = range;
		}
	}
	return best;
}

uint32_t job_left(const struct crew *crew, uint32_t number)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < crew->size; i++) {
		uint64_t range = atomic_load_explicit(&crew->slots[i].range[number].word, memory_order_relaxed);

		if (RANGE_BEGIN(range) < RANGE_END(range))
			left += RANGE_END(range) - RANGE_BEGIN(range);
	}
	return left;
}

/* 1: the slot's own range, which was empty, holds stolen items now. */
static int steal(struct crew *crew, uint32_t slot, uint32_t number)
{
	uint32_t chunk = crew->jobs[number].chunk ? crew->jobs[number].chunk : 1;

	for (;;) {
		uint64_t range = 0;
		uint32_t victim = fullest(crew, slot, 1, number, &range);
		uint32_t begin = RANGE_BEGIN(range), end = RANGE_END(range), half;

		if (victim == crew->size)
			return 0;
		half = begin + (end - begin) / chunk / 2 * chunk;
		if (!atomic_compare_exchange_strong(&crew->slots[victim].range[number].word, &range, RANGE(begin, half)))
			continue;
		atomic_store(&crew->slots[slot].range[number].word, RANGE(half, end));
		/* Others may have found nothing while these items were in no range. */
		if (end - half > 1)
			crew_ring_for_range(crew);
		return 1;
	}
}

uint32_t job_claim(struct crew *crew, uint32_t slot, uint64_t seq, uint32_t most, int whole, uint32_t *ret_begin)
{
	uint32_t number = (uint32_t)(seq % CREW_JOBS), count;
	struct range *own = &crew->slots[slot].range[number];

	if (atomic_load_explicit(&crew->jobs[number].seq, memory_order_relaxed) != seq)
		return 0;
	do {
		count = claim_own(own, most, whole, ret_begin);
	} while (!count && steal(crew, slot, number));
	return count;
}

/* How many items of a range stay when up to `most` are taken and no chunk is cut; they are counted from its begin. */
static uint32_t keep(uint32_t left, uint32_t most, uint32_t chunk)
{
	uint64_t stay = left > most ? left - most : 0;

	return (uint32_t)least(left, (stay + chunk - 1) / chunk * chunk);
}

uint32_t job_take(struct crew *crew, uint32_t number, uint32_t most, uint32_t *ret_begin)
{
	uint32_t chunk = crew->jobs[number].chunk ? crew->jobs[number].chunk : 1;

	while (atomic_load(&crew->jobs[number].seq)) {
		uint64_t range = 0;
		uint32_t victim = fullest(crew, 0, 0, number, &range);
		uint32_t begin = RANGE_BEGIN(range), end = RANGE_END(range), stays = keep(end - begin, most, chunk);

		if (victim == crew->size || stays == end - begin)
			return 0;
		if (!atomic_compare_exchange_strong(&crew->slots[victim].range[number].word, &range,
		                                    RANGE(begin, begin + stays)))
			continue;
		crew_tell(crew);
		*ret_begin = begin + stays;
		return end - begin - stays;
	}
	return 0;
}

void job_leave(struct crew *crew, uint32_t slot, uint64_t seq)
{
	struct job *job = job_of(crew, seq);

	atomic_store(&crew->slots[slot].job, 0);
	if (atomic_load(&job->seq) != seq || quiet(crew, (uint32_t)(seq % CREW_JOBS), seq))
		crew_tell(crew);
}

/* 1 when it is the first bad item so far; also when it was said to be by one that died before it could say why. */
static int is_first(struct job *job, uint64_t index)
{
	uint64_t first = atomic_load(&job->first_bad);

	if (index == first)
		return 1;
	while (index < first)
		if (atomic_compare_exchange_weak(&job->first_bad, &first, index))
			return 1;
	return 0;
}

void job_note(struct crew *crew, uint32_t slot, struct job *job, uint32_t index, enum rp_state state, int code,
              const char *text, size_t size)
{
	uint32_t heap = crew->heap + slot;
	struct note *note = NULL;

	if (is_first(job, index) || job->notes_for_all)
		note = crew_note(crew, heap, state, code, slot, text, size);
	if (note) {
		note->index = index;
		note->next = atomic_load(&job->notes);
		arena_publish(crew->arena, heap);
		while (!atomic_compare_exchange_weak(&job->notes, &note->next, note))
			;
	}
	atomic_store_explicit(&job->states[index], state, memory_order_release);
}

static void push(struct job *job, struct note *note)
{
	note->next = atomic_load(&job->notes);
	while (!atomic_compare_exchange_weak(&job->notes, &note->next, note))
		;
}

void job_count_bad(struct job *job, uint32_t index)
{
	is_first(job, index);
}

void job_add_note(struct crew *crew, struct job *job, uint32_t index, enum rp_state state, int code, int rank,
                  const char *text, size_t size)
{
	struct note *note = crew_own_note(crew, state, code, rank, text, size);

	if (!note)
		return;
	note->index = index;
	push(job, note);
}

void job_bury(struct crew *crew, uint32_t slot, int code, const char *text)
{
	struct slot *s = &crew->slots[slot];
	uint64_t seq = atomic_load(&s->job), current = atomic_load(&s->current);

	/* What dies in a pool that is over was killed with it, and is cancelled. */
	if (seq && current && atomic_load(&crew->stop) <= CREW_CLOSES) {
		struct job *job = job_of(crew, seq);

		if (atomic_load(&job->states[current - 1]) == RP_PENDING) {
			/* A result that was written and not yet announced is nobody's: its block is pending, or lost. */
			if (job->out_bytes)
				job->out_bytes[current - 1] = (struct rp_bytes){ 0 };
			job_note(crew, slot, job, (uint32_t)(current - 1), RP_DIED, code, text, strlen(text));
		}
	}
	atomic_store(&s->current, 0);
	atomic_store(&s->job, 0);
	crew_tell(crew);
}
