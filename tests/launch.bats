#!/usr/bin/env bats
# What becomes of mpirun's binding in a program that it has started, shown by the real mpirun.

load lib

setup()
{
	test_begin
	command -v mpirun >/dev/null || skip "no mpirun"
	(($(nproc) > 1)) || skip "one CPU can only be bound to"
	if ((EUID == 0)); then
		export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	fi
	mpirun --version | grep -q 'Open MPI' && bind=--bind-to || bind=-bind-to
	cat >look.c <<'END'
#include <rankpool.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* look FLAGS: how many CPUs this process has after rp_start, and a pool workers. */
int main(int argc, char **argv)
{
	struct rp_pool *pool;
	cpu_set_t mask;

	rp_start(RP_START(.flags = argc > 1 ? (uint32_t)atoi(argv[1]) : 0), RP_FATAL);
	sched_getaffinity(0, sizeof mask, &mask);
	rp_pool_new(&pool, RP_POOL(.bind = "pu"), RP_FATAL);
	printf("%d %d\n", CPU_COUNT(&mask), rp_pool_workers(pool));
	rp_pool_free(pool);
	return rp_finalize();
}
END
	$CC ${CFLAGS-} -std=gnu17 -D_GNU_SOURCE -I"$top_srcdir/lib" -o look look.c -L"$top_builddir/lib/.libs" -lrankpool
	all=$(./look)
	cpus=$(nproc)
	first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
	unset RANKPOOL_WORKERS
}

@test "what mpirun has bound gets all that mpirun may use" {
	[[ $all == "$cpus "* ]]
	run -0 mpirun -n 1 "$bind" core ./look
	[[ $output == "$all" ]]
	run -0 mpirun -n 1 "$bind" none ./look
	[[ $output == "$all" ]]
	run -0 mpirun -n 1 ./look
	[[ $output == "$all" ]]
}

@test "and not more than that" {
	run -0 taskset -c "$first" mpirun -n 1 "$bind" core ./look
	[[ $output == "1 1" ]]
	run -0 taskset -c "$first" mpirun -n 1 "$bind" none ./look
	[[ $output == "1 1" ]]
}

@test "mpirun's binding is kept with RP_INHERIT_BINDING, and with RP_LOCAL" {
	local bound

	bound=$(mpirun -n 1 "$bind" core nproc)
	run -0 mpirun -n 1 "$bind" core ./look "$(flag RP_INHERIT_BINDING)"
	[[ $output == "$bound "* ]]
	run -0 mpirun -n 1 "$bind" core ./look "$(flag RP_LOCAL)"
	[[ $output == "$bound "* ]]
}

# The value of one of enum rp_flag.
flag()
{
	sed -nE "s/^\s*$1\s*= 1 << ([0-9]+),.*/\1/p" "$top_srcdir/lib/rankpool.h" | awk '{ print 2 ^ $1 }'
}

@test "a script between mpirun and the program does not matter, a binding in it does" {
	printf '#!/bin/sh\n"$@"\nexit $?\n' >script
	chmod +x script
	run -0 mpirun -n 1 "$bind" core ./script ./look
	[[ $output == "$all" ]]
	run -0 mpirun -n 1 "$bind" none ./script taskset -c "$first" ./look
	[[ $output == "1 1" ]]
	run -0 mpirun -n 1 "$bind" none taskset -c "$first" ./look
	[[ $output == "1 1" ]]
}
