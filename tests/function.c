/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/function.c - functions named in one process and found in another: of programs and of what they load. */
#include "function.h"

#include "children.h"
#include "tree.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/auxv.h>

#include <cmocka.h>

typedef long number_fn(long x);

struct answer {
	int result;
	long value;                             /* what the function made of -5 */
	char text[sizeof((struct rp_error *)0)->text];
};

static long number = 1;

static long negate(long x)
{
	return -x;
}

/* ---- the two ends --------------------------------------------------------------------------------------- */

/* Of what is built beside this test; plugins are where libtool puts them. */
static const char *built(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	must(n > 0 && n < PATH_MAX);
	path[n] = 0;
	n = strrchr(path, '/') + 1 - path;
	snprintf(path + n, PATH_MAX - (size_t)n, "%s", name);
	return path;
}

#define ONE built(".libs/function_one.so")
#define TWO built(".libs/function_two.so")
#define BARE_ONE built(".libs/function_bare_one.so")
#define BARE_TWO built(".libs/function_bare_two.so")
#define TWIN_ONE built(".libs/function_twin_one.so")
#define TWIN_TWO built(".libs/function_twin_two.so")

/* Runs a program with these words, gives it `in`, and returns how much of its stdout went to out[size]. */
static size_t run(const char *const *words, const void *in, size_t in_size, void *out, size_t size)
{
	int to[2], from[2];
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
	must(write(to[1], in, in_size) == (ssize_t)in_size);    /* less than a pipe holds */
	pid = fork_program();
	if (pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	close(to[0]);
	close(to[1]);
	close(from[1]);
	while (have < size && (n = read(from[0], (char *)out + have, size - have)) > 0)
		have += (size_t)n;
	close(from[0]);
	assert_int_equal(code_of(pid), 0);
	return have;
}

#define IDENTIFY(ret, program, ...) identify(ret, (const char *const[]){ program, "identify", __VA_ARGS__, NULL })
#define RESOLVE(id, ...) resolve(id, (const char *const[]){ __VA_ARGS__, NULL })
#define PIE built("function_pie")

static void identify(struct function_id *ret, const char *const *words)
{
	assert_int_equal(run(words, NULL, 0, ret, sizeof *ret), sizeof *ret);
}

static struct answer resolve(const struct function_id *id, const char *const *words)
{
	struct answer answer = { .result = 1 };
	char said[1024];
	size_t n = run(words, id, sizeof *id, said, sizeof said - 1);
	int at = 0;

	said[n] = 0;
	assert_int_equal(sscanf(said, "%d %ld %n", &answer.result, &answer.value, &at), 2);
	said[strcspn(said, "\n")] = 0;
	assert_in_range(strlen(said + at), 0, sizeof answer.text - 1);
	strcpy(answer.text, said + at);
	return answer;
}

static void assert_found(struct answer answer, long value)
{
	if (answer.result)
		fail_msg("%d: %s", answer.result, answer.text);
	assert_int_equal(answer.value, value);
}

static void assert_says(struct answer answer, int result, const char *words)
{
	if (answer.result != result || !strstr(answer.text, words))
		fail_msg("expected %d and \"%s\", is %d \"%s\"", result, words, answer.result, answer.text);
}

/* The beginning of a hash as messages show it. */
static const char *shown(const struct function_id *id)
{
	static char texts[4][17];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	for (int i = 0; i < 8; i++)
		sprintf(text + 2 * i, "%02x", id->hash[i]);
	return text;
}

static void assert_other_build(struct answer answer, const struct function_id *here, const struct function_id *there)
{
	assert_says(answer, -ENOEXEC, "is another build on this node");
	assert_non_null(strstr(answer.text, shown(here)));
	assert_non_null(strstr(answer.text, shown(there)));
	assert_string_not_equal(shown(here), shown(there));
}

/* A file of the test's own tree, copied from another. */
static const char *copy(const char *name, const char *from)
{
	static char paths[4][PATH_MAX];
	static unsigned turn;
	char *path = paths[turn++ % 4], new[PATH_MAX], block[4096];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	snprintf(path, PATH_MAX, "%s/%s", tree, name);
	snprintf(new, sizeof new, "%s/new", tree);
	out = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	must(in >= 0 && out >= 0);
	while ((n = read(in, block, sizeof block)) > 0)
		must(write(out, block, (size_t)n) == n);
	close(in);
	close(out);
	must(n == 0 && rename(new, path) == 0);         /* another file, whoever has the one before loaded */
	return path;
}

/* ---- programs ------------------------------------------------------------------------------------------- */

static void here_and_back(void **state RP_UNUSED)
{
	struct function_id id;
	struct rp_error err;
	char path[PATH_MAX];
	void *found;

	assert_int_equal(function_identify((const void *)(uintptr_t)negate, &id, &err), 0);
	assert_int_equal(id.is_program, 1);
	must(realpath("/proc/self/exe", path) != NULL);
	assert_string_equal(id.path, path);
	assert_int_equal(function_resolve(&id, &found, &err), 0);
	assert_ptr_equal(found, (void *)(uintptr_t)negate);
	assert_int_equal(function_identify((const void *)(uintptr_t)labs, &id, NULL), 0);
	assert_int_equal(function_resolve(&id, &found, NULL), 0);
	assert_int_equal(((number_fn *)(uintptr_t)found)(-5), 5);
}

/* Whatever it looks like, nothing but code of a program or a library is a function that another process has. */
static void no_function(void **state RP_UNUSED)
{
	long on_stack = 0, *on_heap = malloc(sizeof *on_heap);
	void *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	const void *const pointers[] = { NULL,       (void *)1, (void *)UINTPTR_MAX, &number,   &on_stack, on_heap, made,
		                         (void *)vdso, &stdout,   environ,             "a text" };

	must(made != MAP_FAILED && mprotect(made, 4096, PROT_READ | PROT_EXEC) == 0);
	for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
		struct rp_error err = { .text = "" };
		struct function_id id;
		int r = function_identify(pointers[i], &id, &err);

		if (r != -EFAULT || err.code != r || !strstr(err.text, "is no function of this program"))
			fail_msg("pointer %zu is %d \"%s\"", i, r, err.text);
		assert_int_equal(function_identify(pointers[i], &id, NULL), -EFAULT);
	}
	munmap(made, 4096);
	free(on_heap);
}

/* Named in one process, found in the next of the same program, which lies elsewhere in its memory. */
static void check_program(const char *name, unsigned kind)
{
	const char *program = built(name);
	struct function_id id, again;

	IDENTIFY(&id, program, "own");
	assert_int_equal(id.is_program, 1);
	assert_int_equal(id.hash_kind, kind);
	assert_string_equal(id.path, program);
	IDENTIFY(&again, program, "own");
	assert_memory_equal(&id, &again, sizeof id);
	assert_found(RESOLVE(&id, program, "resolve"), 2 * -5 + 1);
	IDENTIFY(&id, program, "linked");
	assert_found(RESOLVE(&id, program, "resolve"), 5);
}

static void position_independent(void **state RP_UNUSED)
{
	struct function_id id;

	check_program("function_pie", FUNCTION_BUILD_ID);
	IDENTIFY(&id, PIE, "linked");
	assert_int_equal(id.is_program, 0);
	assert_int_equal(id.path[0], '/');
}

/* Its pointer to a function of the C library leads to a linkage table of its own. */
static void fixed_address(void **state RP_UNUSED)
{
	check_program("function_fixed", FUNCTION_BUILD_ID);
}

static void without_build_id(void **state RP_UNUSED)
{
	check_program("function_bare", FUNCTION_CODE);
}

static void linked_statically(void **state RP_UNUSED)
{
	if (access(built("function_static"), X_OK) < 0 || access(built("function_static_pie"), X_OK) < 0) {
		print_message("# no static programs here: the C library has no libc.a, or a sanitizer is linked in\n");
		skip();
	}
	check_program("function_static", FUNCTION_BUILD_ID);
	check_program("function_static_pie", FUNCTION_BUILD_ID);
}

/* The same program under another name is the same; another build under the same name is not. */
static void program_elsewhere(void **state RP_UNUSED)
{
	const char *same = copy("same", PIE), *other;
	struct function_id id, there;

	IDENTIFY(&id, PIE, "own");
	assert_found(RESOLVE(&id, same, "resolve"), 2 * -5 + 1);
	other = copy("function_pie", built("function_other"));
	IDENTIFY(&there, other, "own");
	assert_other_build(RESOLVE(&id, other, "resolve"), &there, &id);
	assert_says(RESOLVE(&id, other, "resolve"), -ENOEXEC, other);
	assert_says(RESOLVE(&id, other, "resolve"), -ENOEXEC, "function_pie is another build");
	/* Without a build-id here, without one there. */
	IDENTIFY(&there, built("function_bare"), "own");
	assert_other_build(RESOLVE(&id, built("function_bare"), "resolve"), &there, &id);
	assert_says(RESOLVE(&there, PIE, "resolve"), -ENOEXEC, shown(&there));
}

/* With the dynamic linker as the command, /proc/self/exe and the kernel's auxiliary vector tell of that. */
static void run_by_the_linker(void **state RP_UNUSED)
{
	struct function_id id, direct;
	Dl_info linker = { .dli_fname = NULL };
	void *symbol = dlsym(RTLD_DEFAULT, "_r_debug");

	if (!symbol || !dladdr(symbol, &linker) || access(linker.dli_fname, X_OK) < 0) {
		print_message("# the dynamic linker is not to be found, or cannot be run\n");
		skip();
	}
	IDENTIFY(&direct, PIE, "own");
	identify(&id, (const char *const[]){ linker.dli_fname, PIE, "identify", "own", NULL });
	assert_memory_equal(&id, &direct, sizeof id);
	assert_found(RESOLVE(&direct, linker.dli_fname, PIE, "resolve"), 2 * -5 + 1);
}

static void program_in_words(void **state RP_UNUSED)
{
	char text[64], hex[64] = "", small[6] = "xxxxx";
	struct function_id id;

	assert_int_equal(function_identify((const void *)(uintptr_t)negate, &id, NULL), 0);
	for (int i = 0; i < FUNCTION_HASH; i++)
		sprintf(hex + 2 * i, "%02x", id.hash[i]);
	function_program(text, sizeof text);
	assert_string_equal(text + (id.hash_kind == FUNCTION_CODE ? strlen("code ") : 0), hex);
	function_program(small, sizeof small - 1);
	assert_int_equal(strncmp(small, text, strlen(small)), 0);
	assert_in_range(strlen(small), 1, 4);
	assert_int_equal(small[5], 0);
}

/* ---- plugins -------------------------------------------------------------------------------------------- */

static void check_plugin(const char *one, const char *two, unsigned kind)
{
	const char *path = copy("plugin.so", one), *elsewhere = copy("elsewhere.so", one);
	struct function_id id, other;

	IDENTIFY(&id, PIE, "plugin", path);
	assert_int_equal(id.is_program, 0);
	assert_int_equal(id.hash_kind, kind);
	assert_string_equal(id.path, path);
	assert_found(RESOLVE(&id, PIE, "resolve"), 3 * -5 + 1);
	assert_found(RESOLVE(&id, PIE, "resolve", path), 3 * -5 + 1);
	assert_found(RESOLVE(&id, PIE, "resolve", elsewhere), 3 * -5 + 1);
	assert_found(RESOLVE(&id, built("function_fixed"), "resolve", two), 3 * -5 + 1);

	IDENTIFY(&other, PIE, "plugin", two);
	path = copy("plugin.so", two);
	assert_other_build(RESOLVE(&id, PIE, "resolve"), &other, &id);
	assert_other_build(RESOLVE(&id, PIE, "resolve", path), &other, &id);
	assert_found(RESOLVE(&id, PIE, "resolve", path, elsewhere), 3 * -5 + 1);
	must(unlink(path) == 0);
	assert_found(RESOLVE(&id, PIE, "resolve", elsewhere), 3 * -5 + 1);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, "plugin.so");
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, shown(&id));
}

static void plugin_with_build_id(void **state RP_UNUSED)
{
	check_plugin(ONE, TWO, FUNCTION_BUILD_ID);
}

static void plugin_without(void **state RP_UNUSED)
{
	check_plugin(BARE_ONE, BARE_TWO, FUNCTION_CODE);
}

/* The path of one node may not exist on the other, which has loaded another build of it from elsewhere. */
static void other_build_elsewhere(void **state RP_UNUSED)
{
	struct function_id id, other;
	const char *path;

	IDENTIFY(&id, PIE, "plugin", copy("plugin.so", ONE));
	must(chdir(tree) == 0 && mkdir("folder", 0700) == 0 && unlink("plugin.so") == 0 && chdir("/") == 0);
	path = copy("folder/plugin.so", TWO);
	IDENTIFY(&other, PIE, "plugin", path);
	assert_other_build(RESOLVE(&id, PIE, "resolve", path), &other, &id);
	/* But two plugins of one name are no two builds of one: the right one is loaded. */
	path = copy("folder/plugin.so", BARE_TWO);
	copy("plugin.so", ONE);
	assert_found(RESOLVE(&id, PIE, "resolve", path), 3 * -5 + 1);
}

/* Found where it is, not where its name was relative to, also when the file has gone since. */
static void relative_and_deleted(void **state RP_UNUSED)
{
	const char *path = copy("plugin.so", ONE), *again;
	struct function_id id, whole;

	IDENTIFY(&whole, PIE, "plugin", path);
	must(chdir(tree) == 0);
	IDENTIFY(&id, PIE, "plugin", "./plugin.so");
	assert_memory_equal(&id, &whole, sizeof id);
	assert_found(RESOLVE(&id, PIE, "resolve", "./plugin.so"), 3 * -5 + 1);
	IDENTIFY(&id, PIE, "deleted", "./plugin.so");
	must(chdir("/") == 0);
	assert_memory_equal(&id, &whole, sizeof id);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, path);
	again = copy("plugin.so", ONE);
	assert_found(RESOLVE(&id, PIE, "resolve", again), 3 * -5 + 1);
}

/* Loaded from two files, each of which has its own data. */
static void same_plugin_twice(void **state RP_UNUSED)
{
	const char *paths[] = { copy("plugin.so", ONE), copy("copy.so", ONE) };
	struct function_id id[2];
	void *plugins[2], *found;

	for (int i = 0; i < 2; i++)
		must((plugins[i] = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL)) != NULL);
	for (int i = 0; i < 2; i++) {
		void *fn = *(void **)dlsym(plugins[i], "function_plugin");

		assert_int_equal(function_identify(fn, &id[i], NULL), 0);
		assert_string_equal(id[i].path, paths[i]);
		assert_int_equal(function_resolve(&id[i], &found, NULL), 0);
		assert_ptr_equal(found, fn);
	}
	/* Where only one of them is, it will do for the other. */
	unlink(paths[0]);
	assert_found(RESOLVE(&id[0], PIE, "resolve", paths[1]), 3 * -5 + 1);
	for (int i = 0; i < 2; i++)
		dlclose(plugins[i]);
}

/* A linker can be told to give everything the same build-id. */
static void twins(void **state RP_UNUSED)
{
	struct function_id id;

	IDENTIFY(&id, PIE, "plugin", TWIN_ONE);
	assert_int_equal(id.hash_kind, FUNCTION_BUILD_ID);
	assert_memory_equal(id.hash, "\x01\x23\x45\x67\x89\xab\xcd\xef\0\0\0\0\0\0\0\0\0\0\0", FUNCTION_HASH);
	assert_found(RESOLVE(&id, PIE, "resolve", TWIN_TWO, TWIN_ONE), 3 * -5 + 3);
	IDENTIFY(&id, PIE, "plugin", TWIN_TWO, TWIN_ONE);
	assert_int_equal(id.hash_kind, FUNCTION_CODE);
	assert_found(RESOLVE(&id, PIE, "resolve", TWIN_ONE, TWIN_TWO), 3 * -5 + 4);
	assert_found(RESOLVE(&id, PIE, "resolve", TWIN_ONE), 3 * -5 + 4);
	assert_found(RESOLVE(&id, PIE, "resolve"), 3 * -5 + 4);
}

/* Changes a plugin's file: its code segments get these flags, its build-id becomes zeros. */
static void doctor(const char *path, ElfW(Word) flags)
{
	const struct {
		ElfW(Nhdr) head;
		char name[4];
	} note = { { 4, FUNCTION_HASH, NT_GNU_BUILD_ID }, "GNU" };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t size = (size_t)lseek(fd, 0, SEEK_END);
	char *file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *id;
	const ElfW(Ehdr) *elf = (const void *)file;
	ElfW(Phdr) *p = (void *)(file + elf->e_phoff);

	must(fd >= 0 && file != MAP_FAILED);
	for (int i = 0; i < elf->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_flags & PF_X)
			p[i].p_flags = flags;
	id = memmem(file, size, &note, sizeof note);
	if (id)
		memset(id + sizeof note, 0, FUNCTION_HASH);
	munmap(file, size);
	close(fd);
}

/* A build-id of zeros, which is what some builds leave when they fill it in later, is none. */
static void build_id_of_zeros(void **state RP_UNUSED)
{
	const char *path = copy("plugin.so", ONE);
	struct function_id id;

	IDENTIFY(&id, PIE, "plugin", path);
	assert_int_equal(id.hash_kind, FUNCTION_BUILD_ID);
	doctor(path, PF_R | PF_X);
	IDENTIFY(&id, PIE, "plugin", path);
	assert_int_equal(id.hash_kind, FUNCTION_CODE);
	assert_found(RESOLVE(&id, PIE, "resolve"), 3 * -5 + 1);
}

/* With nothing to be known by, it is told how to change that. */
static void nothing_to_know_it_by(void **state RP_UNUSED)
{
	const char *path = copy("plugin.so", BARE_ONE);
	struct rp_error err = { .text = "" };
	struct function_id id;
	void *plugin;

	doctor(path, PF_X);
	must((plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL)) != NULL);
	assert_int_equal(function_identify(*(void **)dlsym(plugin, "function_plugin"), &id, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "link it with -Wl,--build-id"));
	dlclose(plugin);
}

/* ---- what may come over the wire ------------------------------------------------------------------------- */

/* Of a plugin's file: what is there instead of it, and what is said then. */
static void not_a_plugin(void **state RP_UNUSED)
{
	const char *path = copy("plugin.so", ONE);
	struct function_id id, damaged;

	IDENTIFY(&id, PIE, "plugin", path);
	tree_write("/plugin.so", "#!/bin/sh\n");
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOEXEC, "plugin.so cannot be loaded on this node");
	must(truncate(path, 0) == 0);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOEXEC, "plugin.so cannot be loaded on this node");
	must(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, path);
	must(unlink(path) == 0 && mkdir(path, 0700) == 0);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, path);
	must(rmdir(path) == 0);
	/* Where the dynamic linker would look for a bare name is nobody's business. */
	damaged = id;
	strcpy(damaged.path, "function_one.so");
	setenv("LD_LIBRARY_PATH", built(".libs"), 1);
	assert_says(RESOLVE(&damaged, PIE, "resolve"), -ENOENT, "function_one.so");
	unsetenv("LD_LIBRARY_PATH");
}

static void no_id(void **state RP_UNUSED)
{
	struct function_id id, damaged;
	struct answer answer;

	IDENTIFY(&id, PIE, "own");
	for (uint32_t kind = 0; kind < 5; kind++) {
		damaged = id;
		damaged.hash_kind = kind == 4 ? UINT32_MAX : kind;
		answer = RESOLVE(&damaged, PIE, "resolve");
		assert_int_equal(answer.result, kind == FUNCTION_BUILD_ID ? 0 : kind == FUNCTION_CODE ? -ENOEXEC : -EINVAL);
		assert_int_equal(!answer.text[0], kind == FUNCTION_BUILD_ID);
	}
	damaged = id;
	memset(damaged.path, 'a', sizeof damaged.path);
	assert_int_equal(RESOLVE(&damaged, PIE, "resolve").result, -EINVAL);
	damaged = id;
	damaged.is_program = 2;
	assert_int_equal(RESOLVE(&damaged, PIE, "resolve").result, -EINVAL);
	for (int i = 0; i < 4; i++) {
		damaged = id;
		damaged.offset = ((const uint64_t[]){ 0, UINT64_MAX, 1 << 20, UINT64_C(1) << 62 })[i];
		assert_says(RESOLVE(&damaged, PIE, "resolve"), -EFAULT, "is not in the code of function_pie");
	}
	for (int i = 0; i < FUNCTION_HASH; i++) {
		damaged = id;
		damaged.hash[i] ^= 1;
		assert_int_equal(RESOLVE(&damaged, PIE, "resolve").result, -ENOEXEC);
	}
}

/* A path that fits neither an id nor a message: its end is kept, the plugin is found by its hash. */
static void long_paths(void **state RP_UNUSED)
{
	char step[201], path[PATH_MAX], name[PATH_MAX];
	struct function_id id, other;
	struct answer answer;

	memset(step, 'd', 200);
	step[200] = 0;
	must(chdir(tree) == 0);
	for (int i = 0; i < 6; i++)
		must(mkdir(step, 0700) == 0 && chdir(step) == 0);
	must(getcwd(path, sizeof path - 16) && chdir("/") == 0);
	snprintf(name, sizeof name, "%s/plugin.so", path + strlen(tree) + 1);
	snprintf(path, sizeof path, "%s", copy(name, ONE));
	IDENTIFY(&id, PIE, "plugin", path);
	assert_int_equal(strlen(id.path), sizeof id.path - 1);
	assert_string_equal(id.path + strlen(id.path) - 12, "dd/plugin.so");
	assert_int_not_equal(id.path[0], '/');
	assert_found(RESOLVE(&id, PIE, "resolve", path), 3 * -5 + 1);
	copy(name, TWO);
	IDENTIFY(&other, PIE, "plugin", path);
	answer = RESOLVE(&id, PIE, "resolve", path);
	assert_other_build(answer, &other, &id);
	assert_string_equal(answer.text + strlen(answer.text) - 11, "/plugin.so)");
	must(unlink(path) == 0);
	assert_says(RESOLVE(&id, PIE, "resolve"), -ENOENT, "No such file");
}

/* Neither success nor failure leaves a descriptor. */
static void no_descriptor_left(void **state RP_UNUSED)
{
	int before = count_fds();
	struct function_id id;
	void *found;

	assert_int_equal(function_identify(&number, &id, NULL), -EFAULT);
	assert_int_equal(function_identify((const void *)(uintptr_t)negate, &id, NULL), 0);
	id.hash[0] ^= 1;
	assert_int_equal(function_resolve(&id, &found, NULL), -ENOEXEC);
	assert_null(found);
	id.is_program = 0;
	assert_true(function_resolve(&id, &found, NULL) < 0);
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(here_and_back),
		cmocka_unit_test(no_function),
		cmocka_unit_test(position_independent),
		cmocka_unit_test(fixed_address),
		cmocka_unit_test(without_build_id),
		cmocka_unit_test(linked_statically),
		cmocka_unit_test_setup_teardown(program_elsewhere, tree_new, tree_free),
		cmocka_unit_test(run_by_the_linker),
		cmocka_unit_test(program_in_words),
		cmocka_unit_test_setup_teardown(plugin_with_build_id, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(plugin_without, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(other_build_elsewhere, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(relative_and_deleted, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(same_plugin_twice, tree_new, tree_free),
		cmocka_unit_test(twins),
		cmocka_unit_test_setup_teardown(build_id_of_zeros, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(nothing_to_know_it_by, tree_new, tree_free),
		cmocka_unit_test_setup_teardown(not_a_plugin, tree_new, tree_free),
		cmocka_unit_test(no_id),
		cmocka_unit_test_setup_teardown(long_paths, tree_new, tree_free),
		cmocka_unit_test(no_descriptor_left),
	};

	return cmocka_run_group_tests_name("function", tests, NULL, NULL);
}
