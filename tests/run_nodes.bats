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

# Copies that say who they are.
# shellcheck disable=SC2016
who='echo $RANKPOOL_RANK/$RANKPOOL_SIZE node $RANKPOOL_NODE local $RANKPOOL_LOCAL_RANK on $(hostname)'

@test "copies of any program, ranked over all nodes" {
	run -0 on n0 --host n0:2,n1:2 sh -c "$who"
	[[ $(sort <<<"$output") == "0/4 node 0 local 0 on n0
1/4 node 0 local 1 on n0
2/4 node 1 local 0 on n1
3/4 node 1 local 1 on n1" ]]
	run -0 on n0 --host n0:1,n1:3 --tag sh -c "$who"
	[[ $(sort <<<"$output") == "[0] 0/4 node 0 local 0 on n0
[1] 1/4 node 1 local 0 on n1
[2] 2/4 node 1 local 1 on n1
[3] 3/4 node 1 local 2 on n1" ]]
	run -0 on n0 --host n0:2,n1:2,n2:2 -n 3 sh -c "$who"
	[[ $(sort <<<"$output") == *"2/3 node 1 local 0 on n1" ]]
}

@test "lines of copies on different nodes do not mix, and all bytes come through" {
	# shellcheck disable=SC2016
	on n0 --host n0:2,n1:2,n2:2 bash -c 'for i in {1..1500}; do printf %060d- 0; echo $RANKPOOL_RANK; done' >out
	(($(wc -l <out) == 9000))
	! grep -qvxE '0{60}-[0-5]' out || return
	# shellcheck disable=SC2016
	on n0 --host n0,n1 bash -c 'head -c 300000 /dev/zero | tr "\0" $RANKPOOL_RANK; echo' >out
	[[ $(tr -s 01 <out | sort) == $'0\n1' ]]
	head -c 2000000 /dev/urandom >bytes
	# shellcheck disable=SC2016
	on n0 --host n0,n1 sh -c '[ $RANKPOOL_RANK = 0 ] || cat bytes' >out
	cmp bytes out
}

@test "this machine only manages when it is not named" {
	run -0 on n0 --host n1:1,n2:2 sh -c "$who"
	[[ $(sort <<<"$output" | sed 's/ node .//') == "0/3 local 0 on n1
1/3 local 0 on n2
2/3 local 1 on n2" ]]
	run -0 on n0 --host n0:2,n1:1 --map-by :NOLOCAL sh -c "$who"
	[[ $output == "0/1 node "*" on n1" ]]
}

@test "copies see nothing of mpirun, and may be started by it again" {
	run -0 on n0 --host n0,n1 sh -c 'env | grep -E "^(OMPI_COMM|PMIX|PMI_|RANKPOOL_(FRONT|RUN))" || true'
	[[ $output == "" ]]
	run -0 on n0 --host n0,n1 mpirun --host localhost -n 1 hostname
	[[ $(sort <<<"$output") == $'n0\nn1' ]]
}

@test "standard input is rank 0's, where that is here" {
	# shellcheck disable=SC2016
	run -0 on n0 --host n0,n1 sh -c 'echo "$RANKPOOL_RANK: $(cat)"' <<<"a line"
	[[ $(sort <<<"$output") == $'0: a line\n1: ' ]]
}

@test "a copy that fails on another node ends all, and is named" {
	# shellcheck disable=SC2016
	run -7 --separate-stderr on n0 --host n0,n1 sh -c '[ $RANKPOOL_RANK = 0 ] || exit 7; sleep 60'
	[[ $stderr == "rankpool run: rank 1 on n1 exited with status 7; the others are ended" ]]
	# shellcheck disable=SC2016
	run -137 --separate-stderr on n0 --host n0,n1 sh -c '[ $RANKPOOL_RANK = 0 ] || kill -9 $$; sleep 60'
	[[ $stderr == "rankpool run: rank 1 on n1 was ended by signal 9 (Killed); the others are ended" ]]
	run -124 --separate-stderr on n0 --host n0,n1 --time-limit 1 sleep 60
	[[ $stderr == *"2 running copies are ended" ]]
	until_true 5 nobody_on n1
}

@test "a program that uses librankpool has one pool over all nodes" {
	cat >pool.c <<-'END'
		#include <rankpool.h>
		#include <stdio.h>

		int main(int argc, char **argv)
		{
			struct rp_worker_info worker;
			struct rp_pool *pool;

			rp_init(&argc, &argv, RP_FATAL);
			rp_pool_new(&pool, NULL, RP_FATAL);
			for (int i = 0; i < rp_pool_workers(pool); i++) {
				rp_pool_worker(pool, i, &worker);
				printf("%d on %s\n", worker.rank, worker.host);
			}
			rp_pool_free(pool);
			rp_finalize();
			return 4;
		}
	END
	# shellcheck disable=SC2086
	$CC ${CFLAGS-} -I"$top_srcdir/lib" pool.c -o pool -L"$top_builddir/lib/.libs" -lrankpool
	run -4 on n0 --host n0:2,n1:2 ./pool
	[[ $output == $'0 on n0\n1 on n0\n2 on n1\n3 on n1' ]]
	run -4 on n0 --host n1:2 ./pool
	[[ $output == $'0 on n1\n1 on n1' ]]
	refused "does not call rp_init" n0 --host n0,n1 "$top_builddir/examples/pool_workers"
}

@test "nothing is left on any node when the front, mpirun or the manager is killed" {
	local victim

	for victim in front mpirun manager; do
		rm -f up.*
		# shellcheck disable=SC2016
		on n0 --host n0,n1 sh -c 'touch up.$RANKPOOL_RANK; sleep 60' >out 2>&1 3>&- &
		until_true 20 eval '[[ -e up.0 && -e up.1 ]]'
		kill -KILL "$(find_"$victim")"
		! wait $! || return
		until_true 15 nobody_on n0
		until_true 15 nobody_on n1
	done
}

# On the node n0, as seen from here.
find_mpirun()
{
	process_named mpirun
}

# process_named NAME: the one on n0 of which the program has this name.
process_named()
{
	local pid

	for pid in $(cluster_processes n0); do
		if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]]; then
			echo "$pid"
			return
		fi
	done
}

find_front()
{
	local pid parent

	pid=$(process_named mpirun)
	read -r _ _ _ parent _ <"/proc/$pid/stat"
	echo "$parent"
}

find_manager()
{
	pgrep -P "$(process_named mpirun)" -x rankpool
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
