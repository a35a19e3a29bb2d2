/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/memory.c - what the machine and memory cgroups still allow. */
#include "pools.h"

#include "memory.h"

#define MIB ((size_t)1 << 20)

static void small_wishes_are_not_looked_at(void **state RP_UNUSED)
{
	assert_int_equal(memory_available(0), SIZE_MAX);
	assert_int_equal(memory_available(MIB - 1), SIZE_MAX);
}

static size_t read_meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t kib = 0, length = strlen(name);
	char line[200];

	assert_non_null(file);
	while (!kib && fgets(line, sizeof line, file))
		if (strncmp(line, name, length) == 0)
			sscanf(line + length, ": %zu", &kib);
	fclose(file);
	return kib * 1024;
}

static void it_is_never_more_than_the_machine_has(void **state RP_UNUSED)
{
	size_t available = memory_available(MIB);

	assert_true(available > 0);
	assert_true(available <= read_meminfo("MemTotal"));
	assert_int_equal(available % 1024, 0);
}

/* A memory cgroup below this process's own: its directory, and the names of its limit.  0: none can be made here. */
struct group {
	char path[400];
	const char *limit;
};

static int write_text(const char *directory, const char *name, const char *text)
{
	char path[500];
	FILE *file;
	int r;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "we");
	if (!file)
		return -1;
	r = fputs(text, file) < 0;
	return fclose(file) || r ? -1 : 0;
}

static int make_group(struct group *group, size_t limit)
{
	char line[300], *path;
	FILE *file = fopen("/proc/self/cgroup", "re");
	const char *mount = NULL;
	struct stat status;

	while (!mount && file && fgets(line, sizeof line, file)) {
		path = strrchr(line, ':') + 1;
		path[strcspn(path, "\n")] = 0;
		if (strstr(line, ":memory:"))
			mount = "/sys/fs/cgroup/memory";
		else if (!strncmp(line, "0::", 3) && stat("/sys/fs/cgroup/cgroup.procs", &status) == 0)
			mount = "/sys/fs/cgroup";
	}
	if (file)
		fclose(file);
	if (!mount)
		return 0;
	group->limit = strstr(mount, "memory") ? "memory.limit_in_bytes" : "memory.max";
	snprintf(group->path, sizeof group->path, "%s%s/rankpool-%d", mount, path, (int)getpid());
	if (mkdir(group->path, 0755) < 0)
		return 0;
	snprintf(line, sizeof line, "%zu", limit);
	if (write_text(group->path, group->limit, line) == 0)
		return 1;
	rmdir(group->path);
	return 0;
}

/* In a child that lives in a group of its own below the limited one. */
static int look_within(const struct group *group)
{
	char inner[500];
	size_t available, then;
	char *memory;

	snprintf(inner, sizeof inner, "%s/inner", group->path);
	if (mkdir(inner, 0755) < 0 || write_text(inner, "cgroup.procs", "0") < 0)
		return 1;
	available = memory_available(MIB);
	if (available > 96 * MIB || available < 32 * MIB)
		return 2;
	if (rp_alloc(128 * MIB) || errno != ENOMEM)
		return 3;
	memory = rp_alloc(40 * MIB);
	if (!memory)
		return 4;
	memset(memory, 1, 40 * MIB);
	then = memory_available(MIB);
	if (then + 39 * MIB > available + 8 * MIB)
		return 5;
	return rp_alloc(64 * MIB) || errno != ENOMEM ? 6 : 0;
}

/* Refused, and nobody is killed for it. */
static void limits_of_groups_on_every_level_count(void **state RP_UNUSED)
{
	struct group group;
	char inner[500];
	pid_t pid;
	int code;

	if (!make_group(&group, 96 * MIB)) {
		print_message("# skipped: no memory cgroup can be made here\n");
		skip();
	}
	pid = fork_program();
	if (pid == 0)
		_exit(look_within(&group));
	code = code_of(pid);
	snprintf(inner, sizeof inner, "%s/inner", group.path);
	WAIT_FOR(rmdir(inner) == 0 || errno == ENOENT);
	WAIT_FOR(rmdir(group.path) == 0);
	assert_int_equal(code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_wishes_are_not_looked_at),
		cmocka_unit_test(it_is_never_more_than_the_machine_has),
		cmocka_unit_test(limits_of_groups_on_every_level_count),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
