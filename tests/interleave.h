/* SPDX-License-Identifier: BSD-3-Clause */
/* interleave.h - runs pieces of code as if on several CPUs, in one thread: in every order of their atomic operations that at
 * most so many deviations from taking turns lead to, and with deaths at any of them.
 *
 * A test includes this and then the file of lib/ that it is about, "../lib/job.c": every atomic operation in it is then a
 * point at which the director of the play may go on with another actor, or have the one that is there die.  All choices are
 * tried, one play each, until there are no more (play_all), or as many as asked for at random (play_some).  Memory is
 * sequentially consistent here: what weaker orders allow is not found. */
#ifndef RP_TESTS_INTERLEAVE_H
#define RP_TESTS_INTERLEAVE_H

#include <limits.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define ACTORS 8
#define STACK ((size_t)256 << 10)
#define CHOICES 100000                          /* in one play: more is a play that does not end */
#define FOR_EVER 200000                         /* points */

enum actor_state { OFF_STAGE, READY, ASLEEP, GONE, DEAD };

struct actor {
	void (*body)(int actor);
	enum actor_state state;
	int mortal;
	int patient;                            /* may sleep for ever */
	const void *bed;                        /* the word that it sleeps on */
	int begun;                              /* it has been on stage in this life */
	jmp_buf place;                          /* where it goes on */
	ucontext_t context;                     /* where it begins */
	char *stack;
};

static struct play {
	struct actor actors[ACTORS];
	jmp_buf director;
	ucontext_t director_context;
	int running;                            /* who is on; -1: the director, for whom nothing is a point */
	int last;                               /* who was on before the director */
	int next;                               /* who was preempted in favour of; -1: the one whose turn it is */
	int turns, deaths;                      /* out of turn, and deaths, still allowed */
	int points;
	int random;                             /* choices are drawn, not enumerated */
	uint64_t seed;
	int depth, known;                       /* choices made in this play; those that are given */
	int choice[CHOICES], options[CHOICES];
	const char *wrong;                      /* what is wrong with this play; NULL: nothing */
} play = { .running = -1 };

static _Atomic uint32_t obituaries;             /* deaths and other ends so far, for whom it concerns to sleep on */

/* What an actor has done wrong ends the play. */
static void object(const char *what)
{
	if (!play.wrong)
		play.wrong = what;
}

static uint64_t draw(void)
{
	play.seed ^= play.seed << 13;
	play.seed ^= play.seed >> 7;
	play.seed ^= play.seed << 17;
	return play.seed;
}

/* 0 is to go on as before. */
static int choose(int options)
{
	if (options == 1 || play.depth == CHOICES)
		return 0;
	if (play.random)
		return draw() % 8 ? 0 : (int)(draw() % (uint64_t)options);
	if (play.depth == play.known) {
		play.choice[play.known] = 0;
		play.options[play.known++] = options;
	}
	return play.choice[play.depth++];
}

static int count_ready(void)
{
	int n = 0;

	for (int i = 0; i < ACTORS; i++)
		n += play.actors[i].state == READY;
	return n;
}

/* The ready ones in turn, from the one after `last` on. */
static int nth_ready(int last, int n)
{
	int i = last;

	do
		i = (i + 1) % ACTORS;
	while (play.actors[i].state != READY || n--);
	return i;
}

/* System calls are what switching contexts would cost most; the address sanitizer must see them switched. */
static void exchange(struct actor *actor, int enter)
{
#if UNDER_ASAN
	if (enter)
		swapcontext(&play.director_context, &actor->context);
	else
		swapcontext(&actor->context, &play.director_context);
#else
	if (!enter) {
		if (!_setjmp(actor->place))
			_longjmp(play.director, 1);
	} else if (!_setjmp(play.director)) {
		if (actor->begun)
			_longjmp(actor->place, 1);
		actor->begun = 1;
		setcontext(&actor->context);
	}
#endif
}

static void wake(const void *word, int count)
{
	for (int i = 0; i < ACTORS && count; i++)
		if (play.actors[i].state == ASLEEP && play.actors[i].bed == word) {
			play.actors[i].state = READY;
			count--;
		}
}

static void leave_stage(enum actor_state state)
{
	struct actor *actor = &play.actors[play.running];

	actor->state = state;
	if (state == GONE || state == DEAD) {
		obituaries++;
		wake(&obituaries, INT_MAX);
	}
	exchange(actor, 0);
}

/* Before each atomic operation. */
static void point(void)
{
	int me = play.running, others, choice;

	if (me < 0)
		return;
	if (++play.points > FOR_EVER)
		object("it does not end");
	if (play.wrong)
		leave_stage(GONE);
	others = play.turns ? count_ready() - 1 : 0;
	choice = choose(1 + others + (play.deaths && play.actors[me].mortal));
	if (!choice)
		return;
	if (choice > others) {
		play.deaths--;
		leave_stage(DEAD);
	} else {
		play.turns--;
		play.next = nth_ready(me, choice - 1);
		leave_stage(READY);
	}
}

/* A futex: sleeps while *word is value. */
static inline int play_wait(_Atomic uint32_t *word, uint32_t value)
{
	point();
	if (__atomic_load_n((uint32_t *)word, __ATOMIC_SEQ_CST) != value || play.running < 0)
		return 0;
	play.actors[play.running].bed = (const void *)word;
	leave_stage(ASLEEP);
	return 0;
}

static inline void play_wake(const void *word, int count)
{
	point();
	wake(word, count);
}

static void act(int actor)
{
	play.actors[actor].body(actor);
	leave_stage(GONE);
}

/* Also for one that was on stage before: a new life. */
static void enter_stage(int number, void (*body)(int actor), int mortal)
{
	struct actor *actor = &play.actors[number];

	if (!actor->stack)
		actor->stack = malloc(STACK);
	actor->body = body;
	actor->mortal = mortal;
	actor->patient = actor->begun = 0;
	actor->state = READY;
	getcontext(&actor->context);
	actor->context.uc_stack.ss_sp = actor->stack;
	actor->context.uc_stack.ss_size = STACK;
	actor->context.uc_link = NULL;
	makecontext(&actor->context, (void (*)(void))(uintptr_t)act, 1, number);
}

/* One play: until nobody can go on. */
static void direct(void)
{
	int ready, choice;

	while ((ready = count_ready())) {
		if (play.next < 0) {
			choice = play.turns ? choose(ready) : 0;
			play.turns -= choice != 0;
			play.next = nth_ready(play.last, choice);
		}
		play.running = play.last = play.next;
		play.next = -1;
		exchange(&play.actors[play.running], 1);
		play.running = -1;
	}
	for (int i = 0; i < ACTORS; i++)
		if (play.actors[i].state == ASLEEP && !play.actors[i].patient)
			object("somebody sleeps for ever");
}

struct theatre {
	void (*set)(void);                      /* makes everything as it is at the beginning, and calls enter_stage */
	void (*check)(void);                    /* looks at how it ended, and objects */
	int turns, deaths;                      /* out of turn, and deaths, at most */
};

static void play_once(const struct theatre *theatre)
{
	for (int i = 0; i < ACTORS; i++)
		play.actors[i].state = OFF_STAGE;
	play.turns = theatre->turns;
	play.deaths = theatre->deaths;
	play.points = play.depth = 0;
	play.next = play.last = -1;
	play.wrong = NULL;
	obituaries = 0;
	theatre->set();
	direct();
	if (!play.wrong)
		theatre->check();
}

/* The next sequence of choices.  0: there is none. */
static int vary(void)
{
	while (play.known && play.choice[play.known - 1] + 1 == play.options[play.known - 1])
		play.known--;
	if (play.known)
		play.choice[play.known - 1]++;
	return play.known != 0;
}

/* How many plays there were; *ret_wrong is what was wrong with the last one, and the reason why there were no more. */
static inline long play_all(const struct theatre *theatre, const char **ret_wrong)
{
	long plays = 0;

	play.random = play.known = 0;
	do {
		play_once(theatre);
		plays++;
	} while (!play.wrong && vary());
	*ret_wrong = play.wrong;
	return plays;
}

/* Plays with seeds from `seed` on; the number of the first that went wrong, or `plays`. */
static inline long play_some(const struct theatre *theatre, long plays, uint64_t seed, const char **ret_wrong)
{
	long n = 0;

	play.random = 1;
	play.wrong = NULL;
	for (; n < plays && !play.wrong; n += !play.wrong) {
		play.seed = (seed + (uint64_t)n) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		play_once(theatre);
	}
	*ret_wrong = play.wrong;
	return n;
}

static inline void close_theatre(void)
{
	for (int i = 0; i < ACTORS; i++) {
		free(play.actors[i].stack);
		play.actors[i].stack = NULL;
	}
}

/* ---- atomic operations as points ------------------------------------------------------------------------ */

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit

#ifdef __clang__
#define AS_IS(builtin) __c11_##builtin
#define CHANGE(kind, p, old, new, weak, good, bad) __c11_atomic_compare_exchange_##kind(p, old, new, good, bad)
#define LOAD(p, order) __c11_atomic_load(p, order)
#define STORE(p, v, order) __c11_atomic_store(p, v, order)
#define SWAP(p, v, order) __c11_atomic_exchange(p, v, order)
#else
#define AS_IS(builtin) __##builtin
#define CHANGE(kind, p, old, new, weak, good, bad) __atomic_compare_exchange_n(p, old, new, weak, good, bad)
#define LOAD(p, order) __atomic_load_n(p, order)
#define STORE(p, v, order) __atomic_store_n(p, v, order)
#define SWAP(p, v, order) __atomic_exchange_n(p, v, order)
#endif

#define atomic_load_explicit(p, order) (point(), LOAD(p, order))
#define atomic_load(p) atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store_explicit(p, v, order) (point(), STORE(p, v, order))
#define atomic_store(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v) (point(), SWAP(p, v, memory_order_seq_cst))
#define atomic_fetch_add_explicit(p, v, order) (point(), AS_IS(atomic_fetch_add)(p, v, order))
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v) (point(), AS_IS(atomic_fetch_sub)(p, v, memory_order_seq_cst))
#define atomic_fetch_or(p, v) (point(), AS_IS(atomic_fetch_or)(p, v, memory_order_seq_cst))
#define atomic_fetch_and(p, v) (point(), AS_IS(atomic_fetch_and)(p, v, memory_order_seq_cst))
#define atomic_compare_exchange_strong(p, old, new) \
	(point(), CHANGE(strong, p, old, new, 0, memory_order_seq_cst, memory_order_seq_cst))
#define atomic_compare_exchange_weak_explicit(p, old, new, good, bad) (point(), CHANGE(weak, p, old, new, 1, good, bad))
#define atomic_compare_exchange_weak(p, old, new) \
	atomic_compare_exchange_weak_explicit(p, old, new, memory_order_seq_cst, memory_order_seq_cst)

#endif
