/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/image.c - functions of modules that a program loads after its supervisor was forked. */
#include "image.h"
#include "rankpool.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "children.h"

/* What tests/image_plugin.c has. */
struct plugin {
	void *handle;
	rp_task_fn *init, *count, *fail;
	rp_target *target;
};

static char plugin_path[4096];

/* Beside this test, where libtool puts it. */
static void find_plugin(void)
{
	static const char name[] = ".libs/image_plugin.so";
	ssize_t n = readlink("/proc/self/exe", plugin_path, sizeof plugin_path - sizeof name);

	must(n > 0 && n < (ssize_t)(sizeof plugin_path - sizeof name));
	while (plugin_path[n - 1] != '/')
		n--;
	memcpy(plugin_path + n, name, sizeof name);
}

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	must(found != NULL);
	return found;
}

static struct plugin load(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		dprintf(STDERR_FILENO, "# %s\n", dlerror());
	must(handle != NULL);
	return (struct plugin){
		.handle = handle,
		.init = (rp_task_fn *)(uintptr_t)symbol(handle, "plugin_init"),
		.count = (rp_task_fn *)(uintptr_t)symbol(handle, "plugin_count"),
		.fail = (rp_task_fn *)(uintptr_t)symbol(handle, "plugin_fail"),
		.target = (rp_target *)(uintptr_t)symbol(handle, "plugin_target"),
	};
}

static int increment(struct rp_task *task RP_UNUSED, const void *in, void *out)
{
	*(int *)out = *(const int *)in + 1;
	return 0;
}

static void map(struct rp_pool *pool, rp_task_fn *fn, int expected)
{
	struct rp_error err;
	int in[100], out[100];

	for (int i = 0; i < 100; i++)
		in[i] = i;
	if (rp_pool_map(pool, fn, in, out, 100, NULL, &err) < 0)
		dprintf(STDERR_FILENO, "# %s\n", err.text);
	for (int i = 0; i < 100; i++)
		must(out[i] == i + expected);
}

/* ---- a pool of a run time, which was started first ------------------------------------------------------- */

static void loaded_later(void)
{
	struct rp_process *process;
	struct rp_future *future;
	struct rp_pool *pool;
	struct rp_error err;
	struct plugin plugin;
	int in = 3, out;

	must(rp_init(NULL, NULL, NULL) == 0);
	plugin = load(plugin_path);
	must(rp_pool_new(&pool, RP_POOL(.workers = 2, .init = plugin.init), NULL) == 0);
	map(pool, plugin.count, 1000);
	map(pool, increment, 1);
	map(pool, plugin.count, 1000);
	must(rp_pool_apply(pool, plugin.count, &in, sizeof in, &out, sizeof out, NULL) == 0 && out == 1003);
	must(rp_pool_submit(&future, pool, plugin.fail, &in, sizeof in, sizeof out, NULL, NULL) == 0);
	must(rp_future_get(future, &out, sizeof out, RP_FOREVER, &err) == -EREMOTEIO &&
	     strstr(err.text, "the task returned 5"));
	rp_future_free(future);
	rp_pool_free(pool);
	must(rp_process_new(&process, RP_PROCESS(.target = plugin.target), NULL) == 0);
	must(rp_process_start(process, NULL) == 0 && rp_process_join(process, RP_FOREVER) == 0);
	must(rp_process_exitcode(process) == 9);
	rp_process_free(process);
	must(rp_finalize() == 0);
}

/* ---- a pool that forks its own ---------------------------------------------------------------------------- */

/* Loaded after one pool was opened and before another was. */
static void two_pools(void)
{
	struct rp_pool *before, *after;
	struct plugin plugin;

	must(rp_pool_new(&before, RP_POOL(.workers = 1), NULL) == 0);
	plugin = load(plugin_path);
	must(rp_pool_new(&after, RP_POOL(.workers = 1), NULL) == 0);
	map(before, plugin.count, 0);
	map(after, plugin.count, 0);
	map(before, plugin.count, 0);
	rp_pool_free(after);
	map(before, plugin.count, 0);
	rp_pool_free(before);
}

static void threads(void)
{
	struct plugin plugin;
	struct rp_pool *pool;

	must(rp_pool_new(&pool, RP_POOL(.workers = 1, .kind = RP_THREADS), NULL) == 0);
	plugin = load(plugin_path);
	map(pool, plugin.count, 0);
	rp_pool_free(pool);
}

/* ---- what cannot be had ----------------------------------------------------------------------------------- */

static void gone(void)
{
	struct rp_process *process;
	struct rp_pool *pool;
	struct rp_error err;
	struct plugin plugin;
	char path[64] = "/tmp/image_XXXXXX.so", command[sizeof plugin_path + sizeof path + 8];
	int in[3] = { 0 }, out[3];

	must(close(mkstemps(path, 3)) == 0);
	snprintf(command, sizeof command, "cp '%s' %s", plugin_path, path);
	must(system(command) == 0);
	must(rp_init(NULL, NULL, NULL) == 0);
	plugin = load(path);
	must(unlink(path) == 0);
	must(rp_pool_new(&pool, RP_POOL(.workers = 1), NULL) == 0);
	must(rp_pool_map(pool, plugin.count, in, out, 3, NULL, &err) == -EREMOTEIO);
	must(strstr(err.text, "3 of 3 items failed") && strstr(err.text, path));
	/* Nothing else is harmed. */
	map(pool, increment, 1);
	rp_pool_free(pool);
	must(rp_pool_new(&pool, RP_POOL(.workers = 1, .init = plugin.init), NULL) == 0);
	must(rp_pool_map(pool, increment, in, out, 3, NULL, &err) == -EPIPE && strstr(err.text, path));
	rp_pool_free(pool);
	must(rp_process_new(&process, RP_PROCESS(.target = plugin.target), NULL) == 0);
	must(rp_process_start(process, NULL) == 0 && rp_process_join(process, RP_FOREVER) == 0);
	must(rp_process_exitcode(process) == 127);
	rp_process_free(process);
}

static void no_function(void)
{
	static int number;
	int in[3] = { 0 }, out[3] = { 7, 7, 7 };
	struct rp_pool *pool;
	struct rp_error err;

	must(rp_pool_new(&pool, RP_POOL(.workers = 1), NULL) == 0);
	for (int i = 0; i < 2; i++) {
		must(rp_pool_map(pool, (rp_task_fn *)(uintptr_t)&number, in, out, 3, NULL, &err) == -EFAULT);
		must(strstr(err.text, "is no function") && out[0] == 7);
	}
	must(rp_pool_apply(pool, (rp_task_fn *)(uintptr_t)in, NULL, 0, NULL, 0, &err) == -EFAULT);
	map(pool, increment, 1);
	rp_pool_free(pool);
}

/* Code of no module, which the program has made before, is a copy in its children as all else is. */
static void made_by_hand(void)
{
#if defined __x86_64__
	static const unsigned char nothing[] = { 0x31, 0xc0, 0xc3 };    /* xor %eax, %eax; ret */
	void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rp_pool *pool;

	must(code != MAP_FAILED);
	memcpy(code, nothing, sizeof nothing);
	must(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
	must(rp_pool_new(&pool, RP_POOL(.workers = 1), NULL) == 0);
	must(rp_pool_map(pool, (rp_task_fn *)(uintptr_t)code, NULL, NULL, 10, NULL, NULL) == 0);
	rp_pool_free(pool);
#endif
}

static char text[4096];

static void runs(void (*body)(void))
{
	assert_int_equal(said(body, text, sizeof text), 0);
}

static void functions_of_what_is_loaded_later(void **state RP_UNUSED)
{
	runs(loaded_later);
}

static void two_pools_know_different_ones(void **state RP_UNUSED)
{
	runs(two_pools);
	runs(threads);
}

static void a_module_that_is_gone(void **state RP_UNUSED)
{
	runs(gone);
}

static void a_pointer_that_is_no_function(void **state RP_UNUSED)
{
	runs(no_function);
	runs(made_by_hand);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_what_is_loaded_later),
		cmocka_unit_test(two_pools_know_different_ones),
		cmocka_unit_test(a_module_that_is_gone),
		cmocka_unit_test(a_pointer_that_is_no_function),
	};

	find_plugin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
