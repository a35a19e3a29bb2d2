/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/arena.c - shared memory without locks: blocks that never overlap, nothing lost when its users are killed
 * anywhere, and pages that go back.
 *
 * The code is played through in every order of events by several processes' worth of private state, each with its heap;
 * and then by processes that are killed at any instruction. */
#include "pools.h"

#include "interleave.h"

#include "memory.h"

#include <fcntl.h>

/* On stage nobody touches the memory, so that it need not be real. */
#define on_stage() (play.running >= 0)
#define madvise(address, size, advice) (on_stage() ? 0 : (madvise)(address, size, advice))
#define fallocate(fd, mode, offset, size) (on_stage() ? 0 : (fallocate)(fd, mode, offset, size))

#define ENTRIES(array) (sizeof(array) / sizeof *(array))
#undef LENGTH                   /* a word's, in what follows */
#include "../lib/arena_runs.c"
#include "../lib/arena.c"

#include <pthread.h>

#define MIB ((size_t)1 << 20)
#define UNITS_OF(size) (((size) + UNIT - 1) / UNIT)

static struct arena *open_arena(void)
{
	struct arena *arena = NULL;
	struct rp_error err = { .text = "" };

	if (arena_new(&arena, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return arena;
}

/* With room for some 950 units. */
static struct arena *open_small_arena(void)
{
	struct rlimit limit, small;
	struct arena *arena;

	must(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	small = limit;
	small.rlim_cur = SMALLEST;
	must(setrlimit(RLIMIT_FSIZE, &small) == 0);
	arena = open_arena();
	must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	return arena;
}

/* How many blocks of a size there is room for. */
static size_t capacity(struct arena *arena, size_t size)
{
	static void *blocks[1024];
	size_t n = 0;

	while (n < ENTRIES(blocks) && (blocks[n] = arena_alloc(arena, ARENA_MANAGER, size)))
		n++;
	assert_true(n < ENTRIES(blocks));
	assert_int_equal(errno, ENOMEM);
	for (size_t i = 0; i < n; i++)
		arena_drop(arena, blocks[i]);
	return n;
}

/* What is real of it. */
static size_t real_bytes(const struct arena *arena)
{
	struct stat status;

	assert_int_equal(fstat(arena->fd, &status), 0);
	return (size_t)status.st_blocks * 512;
}

/* ---- one process ---------------------------------------------------------------------------------------- */

static void blocks_of_any_size_do_not_overlap(void **state RP_UNUSED)
{
	static const size_t sizes[] = { 0,     1,     63,    64,    65,     127,    128,     129,
		                        1000,  4095,  4096,  4097,  16384,  16385,  32767,   32768,
		                        32769, 65535, 65536, 65537, 131072, 131073, 1000000, 3000000 };
	struct arena *arena = open_arena();
	unsigned char *blocks[ENTRIES(sizes)][4];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ENTRIES(sizes); i++)
			for (size_t k = 0; k < 4; k++) {
				blocks[i][k] = arena_alloc(arena, ARENA_MANAGER, sizes[i]);
				assert_non_null(blocks[i][k]);
				assert_int_equal((uintptr_t)blocks[i][k] % 64, 0);
				assert_int_equal(arena_holds(arena, blocks[i][k], sizes[i]), 1);
				memset(blocks[i][k], (int)(i * 4 + k), sizes[i]);
			}
		for (size_t i = 0; i < ENTRIES(sizes); i++)
			for (size_t k = 0; k < 4; k++) {
				for (size_t b = 0; b < sizes[i]; b++)
					if (blocks[i][k][b] != i * 4 + k)
						fail_msg("block %zu of %zu bytes was written to by another", k, sizes[i]);
				arena_drop(arena, blocks[i][k]);
			}
	}
	arena_free(arena);
}

static void what_is_dropped_is_used_again(void **state RP_UNUSED)
{
	static const size_t sizes[] = { 1, 64, 100, 4096, 32768, 32769, 65536, 200000 };
	struct arena *arena = open_arena();

	for (size_t i = 0; i < ENTRIES(sizes); i++) {
		void *block = arena_alloc(arena, ARENA_MANAGER, sizes[i]);
		uint64_t top;

		arena_drop(arena, block);
		top = arena->header->top;
		for (int k = 0; k < 1000; k++) {
			block = arena_alloc(arena, ARENA_MANAGER, sizes[i]);
			arena_drop(arena, block);
		}
		assert_int_equal(arena->header->top, top);
	}
	arena_free(arena);
}

static void free_memory_grows_together_again(void **state RP_UNUSED)
{
	struct arena *arena = open_small_arena();
	size_t units = capacity(arena, UNIT);
	char *all;

	assert_true(units > 900);
	assert_int_equal(capacity(arena, UNIT), units);
	all = arena_alloc(arena, ARENA_MANAGER, units * UNIT);
	assert_non_null(all);
	memset(all, 1, units * UNIT);
	assert_null(arena_alloc(arena, ARENA_MANAGER, 1));
	arena_drop(arena, all);
	assert_int_equal(capacity(arena, 3 * UNIT), units / 3);
	assert_int_equal(capacity(arena, 7 * UNIT - 1), units / 7);
	assert_int_equal(capacity(arena, UNIT), units);
	assert_int_equal(capacity(arena, units * UNIT), 1);
	arena_free(arena);
}

static void random_use_loses_nothing(void **state RP_UNUSED)
{
	struct arena *arena = open_small_arena();
	size_t units = capacity(arena, UNIT), held = 0;
	unsigned seed = (unsigned)time(NULL);
	char *blocks[200];

	print_message("# seed %u\n", seed);
	for (int i = 0; i < 20000; i++) {
		if (held == ENTRIES(blocks) || (held && rand_r(&seed) % 2)) {
			size_t k = (size_t)rand_r(&seed) % held;

			arena_drop(arena, blocks[k]);
			blocks[k] = blocks[--held];
		} else {
			blocks[held] = arena_alloc(arena, ARENA_MANAGER, 32769 + (size_t)rand_r(&seed) % (5 * UNIT));
			held += blocks[held] != NULL;
		}
	}
	while (held)
		arena_drop(arena, blocks[--held]);
	assert_int_equal(capacity(arena, UNIT), units);
	assert_int_equal(capacity(arena, units * UNIT), 1);
	arena_free(arena);
}

static void strange_blocks_are_left_alone(void **state RP_UNUSED)
{
	struct arena *arena = open_arena(), *other = open_arena();
	char *block = arena_alloc(arena, ARENA_MANAGER, 3 * UNIT), plain[100];

	arena_drop(arena, NULL);
	arena_drop(arena, plain);
	arena_drop(other, block);
	arena_drop(arena, block + UNIT);        /* not where it begins */
	arena_drop(arena, block + 64);
	assert_int_equal(arena_holds(arena, plain, 1), 0);
	assert_int_equal(arena_holds(other, block, 1), 0);
	assert_int_equal(arena_holds(NULL, block, 1), 0);
	assert_int_equal(arena_holds(arena, block, SIZE_MAX), 0);
	assert_int_equal(arena_holds(arena, arena->base - MIB, 2 * MIB), 0);
	memset(block, 1, 3 * UNIT);
	assert_ptr_not_equal(arena_alloc(arena, ARENA_MANAGER, UNIT), block + UNIT);
	arena_free(other);
	arena_free(arena);
	assert_null(arena_free(NULL));
}

static void an_ancestors_memory_is_found(void **state RP_UNUSED)
{
	struct arena *grandparent = open_arena(), *parent = NULL, *arena = NULL;
	void *old = arena_alloc(grandparent, ARENA_MANAGER, 1), *fresh;
	int plain;

	assert_int_equal(arena_new(&parent, grandparent, NULL), 0);
	assert_int_equal(arena_new(&arena, parent, NULL), 0);
	fresh = arena_alloc(arena, ARENA_MANAGER, 1);
	assert_ptr_equal(arena_owner(arena, old, 1), grandparent);
	assert_ptr_equal(arena_owner(arena, fresh, 1), arena);
	assert_null(arena_owner(parent, fresh, 1));
	assert_null(arena_owner(arena, &plain, 1));
	assert_null(arena_owner(NULL, old, 1));
	arena_free(arena);
	arena_free(parent);
	arena_free(grandparent);
}

static void heaps_are_lent_in_rows(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	int first = arena_lend_heaps(arena, 10), second = arena_lend_heaps(arena, 1), rest;

	assert_true(first > (int)ARENA_MANAGER);
	assert_true(second >= first + 10 || second < first);
	arena_return_heaps(arena, (uint32_t)first, 10);
	assert_int_equal(arena_lend_heaps(arena, 11) >= 0, 1);
	rest = arena_lend_heaps(arena, ARENA_HEAPS);
	assert_int_equal(rest, -ENOSPC);
	rest = arena_lend_heaps(arena, ARENA_HEAPS - 12);
	assert_int_equal(rest, -ENOSPC);
	/* A node of which only the manager is. */
	assert_true(arena_lend_heaps(arena, 0) > (int)ARENA_MANAGER);
	arena_free(arena);
}

static void pending_blocks_belong_to_nobody_yet(void **state RP_UNUSED)
{
	struct arena *arena = open_small_arena();
	uint32_t heap = (uint32_t)arena_lend_heaps(arena, 1);
	size_t units = capacity(arena, UNIT);

	for (size_t size = 100; size < 10 * UNIT; size *= 7) {
		void *block = arena_alloc_pending(arena, heap, size), *again;

		arena_recover(arena, heap);
		again = arena_alloc_pending(arena, heap, size);
		assert_ptr_equal(again, block);
		arena_drop_pending(arena, heap);
		again = arena_alloc_pending(arena, heap, size);
		assert_ptr_equal(again, block);
		arena_publish(arena, heap);
		arena_recover(arena, heap);
		assert_ptr_not_equal(arena_alloc_pending(arena, heap, size), block);
		arena_recover(arena, heap);
		arena_drop(arena, block);
	}
	assert_true(capacity(arena, UNIT) >= units - 4);        /* less a slab for each of the small sizes */
	arena_free(arena);
}

static void too_much_is_refused_and_costs_nothing(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 50, (size_t)1 << 39 };

	for (size_t i = 0; i < ENTRIES(sizes); i++) {
		errno = 0;
		assert_null(arena_alloc(arena, ARENA_MANAGER, sizes[i]));
		assert_int_equal(errno, ENOMEM);
		assert_true(real_bytes(arena) < 8 * MIB);
	}
	assert_non_null(arena_alloc(arena, ARENA_MANAGER, MIB));
	arena_free(arena);
}

/* ---- what is given back --------------------------------------------------------------------------------- */

static void large_blocks_are_given_back(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	uint64_t freed = arena_freed(arena);
	char *blocks[8];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 8; i++) {
			blocks[i] = arena_alloc(arena, ARENA_MANAGER, (i + 1) * MIB);
			memset(blocks[i], 1, (i + 1) * MIB);
		}
		assert_true(real_bytes(arena) >= 36 * MIB);
		for (size_t i = 0; i < 8; i += 2)
			arena_drop(arena, blocks[i]);
		assert_int_not_equal(arena_freed(arena), freed);
		arena_trim(arena);
		assert_true(real_bytes(arena) < 21 * MIB);
		for (size_t i = 1; i < 8; i += 2) {
			assert_int_equal(blocks[i][(i + 1) * MIB - 1], 1);
			arena_drop(arena, blocks[i]);
		}
		arena_trim(arena);
		assert_true(real_bytes(arena) < MIB);
	}
	arena_free(arena);
}

/* A free run that joins one whose pages have gone is real in part, and that part is to go back too. */
static void joined_runs_are_given_back(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	char *first = arena_alloc(arena, ARENA_MANAGER, 4 * MIB), *second = arena_alloc(arena, ARENA_MANAGER, 4 * MIB),
	     *third;
	char *last = arena_alloc(arena, ARENA_MANAGER, MIB);

	memset(second, 1, 4 * MIB);
	arena_drop(arena, first);
	arena_trim(arena);
	arena_drop(arena, second);
	arena->rover = 0;
	third = arena_alloc(arena, ARENA_MANAGER, 16 * MIB);    /* looks at both, and finds them too small together */
	arena_drop(arena, third);
	arena_drop(arena, last);
	arena_trim(arena);
	assert_true(real_bytes(arena) < MIB);
	arena_free(arena);
}

/* ---- limits --------------------------------------------------------------------------------------------- */

/* Whether a reservation succeeds below a limit, and its memory can be used. */
static int reserve_below(int resource, size_t bytes, char *text)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };
	struct rp_error err = { .text = "" };
	struct arena *arena;
	char *block;
	int r;

	must(setrlimit(resource, &limit) == 0);
	r = arena_new(&arena, NULL, &err);
	snprintf(text, 500, "%s", err.text);
	if (r < 0)
		return arena || !err.text[0] ? 2 : 1;
	block = arena_alloc(arena, ARENA_MANAGER, 8 * MIB);
	must(block);
	memset(block, 1, 8 * MIB);
	must(malloc(MIB) != NULL);
	return 0;
}

static void limits_are_kept(void **state RP_UNUSED)
{
	static const struct { int resource; size_t mib; int refused; const char *word; } limits[] = {
		{ RLIMIT_FSIZE, 1, 1, "RLIMIT_FSIZE" }, { RLIMIT_FSIZE, 63, 1, "RLIMIT_FSIZE" }, { RLIMIT_FSIZE, 64, 0, "" },
		{ RLIMIT_FSIZE, 1000, 0, "" }, { RLIMIT_AS, 1000, 0, "" }, { RLIMIT_AS, 10000, 0, "" },
	};

	for (size_t i = 0; i < ENTRIES(limits); i++) {
		pid_t pid;

		if (limits[i].resource == RLIMIT_AS && (UNDER_ASAN || UNDER_TSAN))
			continue;               /* they reserve more than that for themselves */
		pid = fork_program();
		if (pid == 0)
			_exit(reserve_below(limits[i].resource, limits[i].mib * MIB, board->text));
		assert_int_equal(code_of(pid), limits[i].refused);
		if (!strstr(board->text, limits[i].word))
			fail_msg("'%s' does not say '%s'", board->text, limits[i].word);
	}
}

static void it_is_left_out_of_core_dumps(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	FILE *file = fopen("/proc/self/smaps", "re");
	int here = 0, found = 0;
	char line[1000];

	while (fgets(line, sizeof line, file)) {
		unsigned long begin, end;

		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2 && strchr(line, '-') < strchr(line, ' '))
			here = begin <= (unsigned long)arena->base && (unsigned long)arena->base < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	fclose(file);
	assert_int_equal(found, 1);
	arena_free(arena);
}

/* ---- several threads and processes ---------------------------------------------------------------------- */

struct user {
	struct arena *arena;
	uint32_t heap;
	pthread_t thread;
	int bad;
};

static size_t some_size(unsigned *seed)
{
	unsigned kind = (unsigned)rand_r(seed) % 4;

	return kind == 0 ? (size_t)rand_r(seed) % 200 : kind == 1 ? (size_t)rand_r(seed) % 40000 :
	       (size_t)rand_r(seed) % (4 * UNIT);
}

static void *use_arena(void *arg)
{
	struct user *user = arg;
	unsigned seed = user->heap + 1;
	unsigned char *blocks[30] = { 0 };
	size_t sizes[30];

	for (int i = 0; i < 20000 / SLOWER; i++) {
		size_t k = (size_t)rand_r(&seed) % ENTRIES(blocks);

		if (blocks[k]) {
			unsigned char mark = (unsigned char)(user->heap * 30 + k);

			user->bad += sizes[k] && (blocks[k][0] != mark || blocks[k][sizes[k] - 1] != mark);
			arena_drop(user->arena, blocks[k]);
			blocks[k] = NULL;
			continue;
		}
		sizes[k] = some_size(&seed);
		blocks[k] = arena_alloc(user->arena, user->heap % 2, sizes[k]);
		if (blocks[k] && sizes[k])
			blocks[k][0] = blocks[k][sizes[k] - 1] = (unsigned char)(user->heap * 30 + k);
	}
	for (size_t k = 0; k < ENTRIES(blocks); k++)
		arena_drop(user->arena, blocks[k]);
	return NULL;
}

static void threads_share_it(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	struct user users[4];

	for (uint32_t i = 0; i < ENTRIES(users); i++) {
		users[i] = (struct user){ .arena = arena, .heap = i };
		assert_int_equal(pthread_create(&users[i].thread, NULL, use_arena, &users[i]), 0);
	}
	for (uint32_t i = 0; i < ENTRIES(users); i++) {
		assert_int_equal(pthread_join(users[i].thread, NULL), 0);
		assert_int_equal(users[i].bad, 0);
	}
	arena_free(arena);
}

/* ---- on stage ------------------------------------------------------------------------------------------- */

#define USERS 3
#define SUPERVISOR USERS
#define HELD 40
#define STAGE 64                                /* units that a play uses at most */

/* A letter a step: 1..9 allocates so many units, s and m a small and a medium block, o and n free the oldest and the newest
 * block of all, t trims. */
struct case_on_stage {
	const char *before[USERS];              /* done one after the other, undisturbed */
	const char *scripts[USERS];             /* "": nobody; "?": random ones */
	int turns, deaths;
	long at_random;
};

static struct {
	const struct case_on_stage *on;
	struct arena *arena;
	struct arena views[USERS + 1];          /* the private parts of as many processes */
	const char *at[USERS];                  /* where they are in their scripts */
	char random[USERS][12];
	struct { char *memory; size_t size; } held[HELD];
	int count;
} scene;

static struct arena *view_of(int user)
{
	return &scene.views[user];
}

static uint32_t heap_of(int user)
{
	return (uint32_t)user + 1;
}

static void hold(char *memory, size_t size)
{
	for (int i = 0; i < scene.count; i++)
		if (memory < scene.held[i].memory + scene.held[i].size && scene.held[i].memory < memory + size)
			object("two live blocks overlap");
	if (scene.count == HELD) {
		object("the script is too long");
		return;
	}
	scene.held[scene.count].memory = memory;
	scene.held[scene.count++].size = size;
}

/* Nobody dies between getting a block and telling of it, or in giving one back: that would be the test's own loss. */
static void step(int user, char letter)
{
	size_t size = letter == 's' ? 100 : letter == 'm' ? 30000 : (size_t)(letter - '0') * UNIT;
	struct actor *actor = &play.actors[user];
	char *memory;

	if (letter == 't') {
		actor->mortal = 0;              /* it is the supervisor that trims, and everything ends with that */
		arena_trim(view_of(user));
	} else if (letter == 'o' || letter == 'n') {
		int i = letter == 'n' ? scene.count - 1 : 0;

		if (!scene.count)
			return;
		memory = scene.held[i].memory;
		scene.count--;
		memmove(&scene.held[i], &scene.held[i + 1], (size_t)(scene.count - i) * sizeof *scene.held);
		actor->mortal = 0;
		arena_drop(view_of(user), memory);
	} else {
		memory = arena_alloc_pending(view_of(user), heap_of(user), size);
		actor->mortal = 0;
		if (!memory)
			object("there is no memory");
		else
			hold(memory, size);
		arena_publish(view_of(user), heap_of(user));
	}
	actor->mortal = 1;
}

static void be_user(int actor)
{
	while (*scene.at[actor])
		step(actor, *scene.at[actor]++);
}

static void renew_view(int user)
{
	forget_slabs(view_of(user));
	scene.views[user] = *scene.arena;
	scene.views[user].owned = NULL;
	scene.views[user].rover = 0;
	pthread_mutex_init(&scene.views[user].lock, NULL);
}

static void be_supervisor(int actor)
{
	for (uint32_t seen = 0;; seen++) {
		play_wait(&obituaries, seen);
		for (int i = 0; i < USERS; i++) {
			if (play.actors[i].state != DEAD)
				continue;
			play.actors[i].state = OFF_STAGE;
			arena_recover(view_of(actor), heap_of(i));
			renew_view(i);
			enter_stage(i, be_user, 1);
		}
	}
}

static void write_random_script(int user)
{
	static const char letters[] = "1112233sssmoooonnnt";
	size_t length = draw() % (sizeof scene.random[user] - 1);

	for (size_t i = 0; i < length; i++)
		scene.random[user][i] = letters[draw() % (sizeof letters - 1)];
	scene.random[user][length] = 0;
	scene.at[user] = scene.random[user];
}

static void set_scene(void)
{
	struct arena *arena = scene.arena;
	uint64_t first = arena->header->first;

	memset((void *)arena->heaps, 0, (USERS + 2) * sizeof *arena->heaps);
	memset((void *)&arena->words[first], 0, STAGE * sizeof *arena->words);
	memset((void *)arena->maps[first], 0, STAGE * sizeof *arena->maps);
	arena->header->top = first;
	scene.count = 0;
	for (int i = 0; i <= USERS; i++)
		renew_view(i);
	for (int i = 0; i < USERS; i++)
		for (const char *letter = scene.on->before[i]; letter && *letter; letter++)
			step(i, *letter);
	for (int i = 0; i < USERS; i++) {
		scene.at[i] = scene.on->scripts[i] ? scene.on->scripts[i] : "";
		if (*scene.at[i] == '?')
			write_random_script(i);
		enter_stage(i, be_user, 1);
	}
	enter_stage(SUPERVISOR, be_supervisor, 0);
	play.actors[SUPERVISOR].patient = 1;
}

static int is_held(const char *memory)
{
	for (int i = 0; i < scene.count; i++)
		if (scene.held[i].memory == memory)
			return 1;
	return 0;
}

static int bits_in(const _Atomic uint64_t *map)
{
	int n = 0;

	for (size_t i = 0; i < MAP_WORDS; i++)
		n += __builtin_popcountll(map[i]);
	return n;
}

/* From the first unit to the last, what is in use is what is held. */
static void check_scene(void)
{
	struct arena *arena = scene.arena;
	uint64_t unit = arena->header->first, top = arena->header->top;
	int used = 0;

	while (unit < top && !play.wrong) {
		uint64_t word = arena->words[unit];

		if (TYPE(word) == LARGE) {
			used++;
			if (!is_held(unit_address(arena, unit)))
				object("a large block is lost");
		} else if (TYPE(word) == SLAB) {
			used += bits_in(arena->maps[unit]);
		} else if (TYPE(word) != FREE) {
			object("a run is neither free nor in use");
		}
		if (!LENGTH(word))
			object("a run has no length");
		unit += LENGTH(word);
	}
	if (!play.wrong && unit != top)
		object("the runs do not end where they should");
	if (!play.wrong && used != scene.count)
		object(used > scene.count ? "a small block is lost" : "a live block is free");
}

static const struct case_on_stage cases[] = {
	{ { "" }, { "1", "1" }, 2, 1, 0 },
	{ { "" }, { "s", "s" }, 2, 1, 0 },
	{ { "11oo", "2o" }, { "1", "1", "2" }, 1, 1, 0 },       /* user 0 knows a unit that became part of a larger run */
	{ { "111ooo" }, { "2o", "1" }, 2, 1, 0 },
	{ { "111ooo" }, { "3", "1n1" }, 1, 1, 0 },
	{ { "2s2oo" }, { "1", "2o", "s" }, 1, 1, 0 },
	{ { "ssoo" }, { "so", "1" }, 2, 1, 0 },
	{ { "" }, { "?", "?", "?" }, 100, 0, 60000 },
	{ { "" }, { "?", "?", "?" }, 100, 3, 120000 },
	{ { "1111oooo", "21oo", "sm" }, { "?", "?", "?" }, 100, 2, 120000 },
};

static void every_order_of_events_ends_well(void **state RP_UNUSED)
{
	uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	if (UNDER_TSAN) {
		print_message("# left out: the thread sanitizer does not know contexts that are switched by hand\n");
		return;
	}
	scene.arena = open_small_arena();
	for (size_t c = 0; c < ENTRIES(cases); c++) {
		struct theatre theatre = { set_scene, check_scene, cases[c].turns, cases[c].deaths };
		const char *wrong;
		long plays;

		scene.on = &cases[c];
		if (cases[c].at_random)
			plays = play_some(&theatre, cases[c].at_random / SLOWER, seed, &wrong);
		else
			plays = play_all(&theatre, &wrong);
		if (wrong)
			fail_msg("case %zu, play %ld of seed %llu: %s; '%s' '%s' '%s'", c, plays, (unsigned long long)seed,
			         wrong, scene.random[0], scene.random[1], scene.random[2]);
	}
	for (int i = 0; i <= USERS; i++)
		forget_slabs(view_of(i));
	arena_free(scene.arena);
	close_theatre();
}

/* ---- in earnest ----------------------------------------------------------------------------------------- */

#define CHILDREN 3
#define BLOCKS 40

/* In memory that the children share with the test, not in the arena. */
struct ledger {
	struct { unsigned char *volatile memory; volatile size_t size; } block[CHILDREN][BLOCKS];
	unsigned char *volatile leaving[CHILDREN];      /* taken out of the ledger, perhaps not yet dropped */
	volatile int bad;
};

static void live_dangerously(struct arena *arena, struct ledger *ledger, uint32_t heap, int me, unsigned seed)
{
	for (;;) {
		int k = rand_r(&seed) % BLOCKS;
		unsigned char *memory = ledger->block[me][k].memory;
		size_t size = memory ? ledger->block[me][k].size : some_size(&seed) + 1;

		if (memory) {
			ledger->bad += memory[0] != (unsigned char)(me * BLOCKS + k) || memory[size - 1] != memory[0];
			ledger->leaving[me] = memory;
			ledger->block[me][k].memory = NULL;
			arena_drop(arena, memory);
			ledger->leaving[me] = NULL;
		} else {
			memory = arena_alloc_pending(arena, heap, size);
			if (!memory)
				continue;
			memory[0] = memory[size - 1] = (unsigned char)(me * BLOCKS + k);
			ledger->block[me][k].size = size;
			ledger->block[me][k].memory = memory;
			arena_publish(arena, heap);
		}
	}
}

static pid_t fork_user(struct arena *arena, struct ledger *ledger, uint32_t heap, int me, unsigned seed)
{
	pid_t pid = fork_program();

	if (pid == 0) {
		(void)!nice(5);                 /* or the killer would have to wait for its turn */
		arena_forked(arena);
		live_dangerously(arena, ledger, heap, me, seed);
	}
	return pid;
}

/* As the supervisor does.  A block that was in the ledger and not yet published is not its owner's. */
static int kill_user(struct arena *arena, struct ledger *ledger, pid_t pid, uint32_t heap, int me)
{
	void *pending;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pending = arena->heaps[heap].pending;
	for (int k = 0; pending && k < BLOCKS; k++)
		if (ledger->block[me][k].memory == pending)
			ledger->block[me][k].memory = NULL;
	arena_recover(arena, heap);
	return ledger->leaving[me] != NULL;
}

/* With everybody gone: what is in use is what the ledger says, but for what may have been on its way out. */
static void check_ledger(struct arena *arena, struct ledger *ledger, int leaving)
{
	uint64_t unit = arena->header->first, top = arena->header->top;
	int used = 0, held = 0;

	for (; unit < top; unit += LENGTH(arena->words[unit])) {
		uint64_t word = arena->words[unit];

		assert_true(TYPE(word) == LARGE || TYPE(word) == SLAB || TYPE(word) == FREE);
		assert_true(LENGTH(word) > 0);
		used += TYPE(word) == LARGE ? 1 : TYPE(word) == SLAB ? bits_in(arena->maps[unit]) : 0;
	}
	assert_int_equal(unit, top);
	for (int i = 0; i < CHILDREN; i++)
		for (int k = 0; k < BLOCKS; k++) {
			unsigned char *memory = ledger->block[i][k].memory;

			held += memory != NULL;
			if (memory)
				assert_int_equal(memory[0], (unsigned char)(i * BLOCKS + k));
		}
	assert_in_range(used, held, held + leaving);
	assert_int_equal(ledger->bad, 0);
}

static void killed_users_lose_nothing(void **state RP_UNUSED)
{
	struct arena *arena = open_arena();
	struct ledger *ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t heap = (uint32_t)arena_lend_heaps(arena, CHILDREN);
	unsigned seed = (unsigned)time(NULL);
	pid_t pids[CHILDREN];
	int leaving = 0;

	print_message("# seed %u\n", seed);
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = fork_user(arena, ledger, heap + (uint32_t)i, i, seed + (unsigned)i);
	for (int kills = 0; kills < 2000 / SLOWER; kills++) {
		int i = rand_r(&seed) % CHILDREN;

		nanosleep(&(struct timespec){ .tv_nsec = rand_r(&seed) % 600000 }, NULL);
		leaving += kill_user(arena, ledger, pids[i], heap + (uint32_t)i, i);
		ledger->leaving[i] = NULL;
		pids[i] = fork_user(arena, ledger, heap + (uint32_t)i, i, (unsigned)rand_r(&seed));
		if (kills % 100 == 0)
			arena_trim(arena);
	}
	for (int i = 0; i < CHILDREN; i++)
		leaving += kill_user(arena, ledger, pids[i], heap + (uint32_t)i, i);
	check_ledger(arena, ledger, leaving);
	munmap(ledger, sizeof *ledger);
	arena_free(arena);
}

static int make_board(void **state RP_UNUSED)
{
	board = board_new();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(blocks_of_any_size_do_not_overlap),
		cmocka_unit_test(what_is_dropped_is_used_again),
		cmocka_unit_test(free_memory_grows_together_again),
		cmocka_unit_test(random_use_loses_nothing),
		cmocka_unit_test(strange_blocks_are_left_alone),
		cmocka_unit_test(an_ancestors_memory_is_found),
		cmocka_unit_test(heaps_are_lent_in_rows),
		cmocka_unit_test(pending_blocks_belong_to_nobody_yet),
		cmocka_unit_test(too_much_is_refused_and_costs_nothing),
		cmocka_unit_test(large_blocks_are_given_back),
		cmocka_unit_test(joined_runs_are_given_back),
		cmocka_unit_test(it_is_left_out_of_core_dumps),
		cmocka_unit_test(threads_share_it),
		cmocka_unit_test(every_order_of_events_ends_well),
		cmocka_unit_test(killed_users_lose_nothing),
	};

	return cmocka_run_group_tests_name("arena", tests, make_board, NULL);
}
