#!/usr/bin/env bats
# rankpool run over the nodes of a cluster: what mpirun is told, what of its words the user sees, and whose standard input,
# output and signals they are.

load lib
load cluster/lib

bats_require_minimum_version 1.5.0

setup_file()
{
	local reason

	reason=$(cluster_missing) || { export NO_CLUSTER=$reason; return 0; }
	command -v mpicc >/dev/null || { export NO_CLUSTER="no mpicc"; return 0; }
	cd "$BATS_FILE_TMPDIR" || return
	cat >place.c <<-'END'
		#include <mpi.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>

		/* place [MODE]: says where each rank is; then one of them does what MODE says. */
		int main(int argc, char **argv)
		{
			const char *mode = argc > 1 ? argv[1] : "";
			int rank, size, sum;
			char host[64];

			MPI_Init(&argc, &argv);
			MPI_Comm_rank(MPI_COMM_WORLD, &rank);
			MPI_Comm_size(MPI_COMM_WORLD, &size);
			MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
			gethostname(host, sizeof host);
			printf("%d/%d on %s node %s local %s sum %d\n", rank, size, host, getenv("RANKPOOL_NODE"),
			       getenv("RANKPOOL_LOCAL_RANK"), sum);
			fflush(stdout);
			if (rank == size - 1 && strcmp(mode, "abort") == 0)
				abort();
			if (rank == 0 && strcmp(mode, "wait") == 0) {
				FILE *up = fopen("up", "w");

				if (up)
					fclose(up);
				sleep(60);
			}
			return MPI_Finalize();
		}
	END
	mpicc -o place place.c
	CLUSTER_OWNER=$BATS_ROOT_PID cluster_up 3
}

teardown_file()
{
	cluster_down
}

setup()
{
	[[ -z ${NO_CLUSTER-} ]] || skip "$NO_CLUSTER"
	test_begin
	ln -s "$BATS_FILE_TMPDIR/place" place
}

# on NODE ARGUMENTS...: rankpool run there.
on()
{
	local node=$1

	shift
	cluster_on "$node" timeout -k 5 60 "$RANKPOOL" run "$@"
}

# Exactly one line on standard error that holds $1, status 255, no output.
refused()
{
	local said=$1

	shift
	run -255 --separate-stderr on "$@"
	echo "$stderr"
	[[ $output == "" && $stderr == "rankpool run: "*"$said"* ]]
	((${#stderr_lines[@]} == 1))
}

@test "an MPI program runs on all nodes, filled in their order" {
	run -0 on n0 --host n0:2,n1,n2:2 ./place
	[[ $(sort <<<"$output") == "0/5 on n0 node 0 local 0 sum 10
1/5 on n0 node 0 local 1 sum 10
2/5 on n1 node 1 local 0 sum 10
3/5 on n2 node 2 local 0 sum 10
4/5 on n2 node 2 local 1 sum 10" ]]
	run -0 on n0 --host n0:2,n1:2,n2:2 -n 3 ./place
	[[ $(sort <<<"$output") == "0/3 on n0 "*"1/3 on n0 "*"2/3 on n1 "* ]]
	run -0 on n0 --host n0:2,n1:2,n2:2 -N 1 ./place
	[[ $(sort <<<"$output") == "0/3 on n0 "*"1/3 on n1 "*"2/3 on n2 "* ]]
	run -0 on n0 --host n0:2,n1:2,n2:2 -n 3 --map-by node ./place
	[[ $(sort <<<"$output") == "0/3 on n0 "*"1/3 on n1 "*"2/3 on n2 "* ]]
}

@test "hosts may be in files, and leave this machine out" {
	printf '# nodes\nn1 slots=2 max_slots=4\nn2:1\n' >hosts
	run -0 on n0 --hostfile hosts ./place
	[[ $(sort <<<"$output") == "0/3 on n1 "*"1/3 on n1 "*"2/3 on n2 "* ]]
}

@test "standard input and output are those of the front, to the byte" {
	head -c 1000000 /dev/urandom >bytes
	on n0 --mpi yes --host n0,n1 sh -c '[ "$OMPI_COMM_WORLD_RANK$PMI_RANK" != 0 ] || cat' <bytes >out
	cmp bytes out
}

@test "variables of the user are there on all nodes" {
	# shellcheck disable=SC2016
	COLOR=$'red, "green"; blue' run -0 on n0 --mpi yes --host n0,n1 sh -c 'echo "$COLOR"'
	[[ $output == $'red, "green"; blue\nred, "green"; blue' ]]
}

@test "a host that is not known is named" {
	refused "host n9 cannot be reached: " n0 --host n0,n9 ./place
	refused "host n9 cannot be reached: " n0 --host n9 ./place
}

@test "a host that does not answer is named, within seconds" {
	local start=$SECONDS

	refused "host 10.77.0.99 cannot be reached: " n0 --host n0,10.77.0.99 ./place
	((SECONDS - start < 15))
}

@test "a program that is not there is named, with the host" {
	run -127 --separate-stderr on n0 --host n0,n1 ./no-such-program
	[[ $stderr == "rankpool run: ./no-such-program: no such file" ]]
}

@test "a rank's end is told with its host" {
	run -134 --separate-stderr on n0 --host n0,n1 ./place abort
	[[ ${stderr_lines[-1]} == "rankpool run: rank 1 on n1 was ended by signal 6 (Aborted)" ]]
}

@test "a signal ends it everywhere" {
	local status=0

	on n0 --host n0,n1,n2 ./place wait >out 2>&1 3>&- &
	until_true 20 test -e up
	pkill -TERM -f "^$RANKPOOL run --host n0,n1,n2 ./place wait" -n -P "$(pgrep -f "^timeout -k 5 60 $RANKPOOL run --host n0,n1,n2 ./place wait" -o)"
	wait $! || status=$?
	((status == 143))
	until_true 5 nobody_on n1
	until_true 5 nobody_on n2
}

nobody_on()
{
	[[ -z $(cluster_processes "$1") ]]
}
