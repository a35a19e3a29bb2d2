#!/usr/bin/env bats
# rankpool.h by itself, in the languages that it is for.

load lib

strict="-Wall -Wextra -Wshadow -Wpedantic -Werror"

setup()
{
	test_begin
	cat >use.c <<-'END'
		#include <rankpool.h>
		struct point { double x, y; };
		int task(struct rp_task *task, const void *in, void *out);
		int each(struct rp_pool *pool, const struct point *in, double *out, struct rp_error *err);
		int each(struct rp_pool *pool, const struct point *in, double *out, struct rp_error *err)
		{
			int n = 3;
			int r = rp_pool_map(pool, task, in, out, 10, RP_MAP(.chunk = 4, RP_ARG(n)), err);

			return r < 0 ? r : rp_pool_map(pool, task, in, out, 10);
		}
		int open_pool(struct rp_pool **pool);
		int open_pool(struct rp_pool **pool)
		{
			return rp_pool_new(pool, RP_POOL(.workers = 4, .bind = "core"), RP_FATAL);
		}
		size_t sizes(const struct point *a, const void *b, const char **c);
		size_t sizes(const struct point *a, const void *b, const char **c)
		{
			return RP_ITEM_SIZE(a) + RP_ITEM_SIZE(b) + RP_ITEM_SIZE(c) + RP_ITEM_SIZE(NULL);
		}
	END
	cp use.c use.cc
}

@test "as C17" {
	# shellcheck disable=SC2086
	$CC -std=c17 $strict -Wstrict-prototypes -Wmissing-prototypes -I"$top_srcdir/lib" -c use.c
}

@test "as C17, with clang" {
	command -v clang >/dev/null || skip "clang is not installed"
	# shellcheck disable=SC2086
	clang -std=c17 $strict -I"$top_srcdir/lib" -c use.c
}

@test "as C++17" {
	[[ -n ${CXX-} ]] || skip "no C++ compiler was found by configure"
	# Designated initialisers, which the macros for options are made of, are an extension before C++20, and g++ has words about
	# the fields that are not named.
	# shellcheck disable=SC2086
	$CXX -std=c++17 ${strict/-Wpedantic/} -Wno-missing-field-initializers -I"$top_srcdir/lib" -c use.cc
}

@test "as C++20" {
	[[ -n ${CXX-} ]] || skip "no C++ compiler was found by configure"
	# shellcheck disable=SC2086
	$CXX -std=c++20 ${strict/-Wpedantic/} -Wno-missing-field-initializers -I"$top_srcdir/lib" -c use.cc
}

@test "as C++17, with clang" {
	command -v clang++ >/dev/null || skip "clang is not installed"
	# shellcheck disable=SC2086
	clang++ -std=c++17 ${strict/-Wpedantic/} -Wno-missing-field-initializers -Wno-c++20-designator -I"$top_srcdir/lib" -c use.cc
}
