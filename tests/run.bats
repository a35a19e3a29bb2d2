#!/usr/bin/env bats
# rankpool run on this machine: copies of any program, MPI programs, programs that use librankpool.

load lib

bats_require_minimum_version 1.5.0

setup()
{
	test_begin
	unset OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM RANKPOOL_WORKERS
}

rankpool_run()
{
	PATH=${only_path:-$PATH} "$RANKPOOL" run "$@"
}

# Runs it with something wrong: exactly one line on stderr, which holds $2, the status $1, and no copy started.
refused()
{
	local status_wanted=$1 said=$2

	shift 2
	rm -f started
	run "-$status_wanted" --separate-stderr rankpool_run "$@" </dev/null
	echo "$stderr"
	[[ $output == "" && $stderr == "rankpool run: "*"$said"* ]]
	((${#stderr_lines[@]} == 1))
	[[ ! -e started ]]
}

# ---- ranks and places -----------------------------------------------------------------------------------------

@test "copies are ranked, and know how many they are" {
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 3 sh -c 'echo $RANKPOOL_RANK $RANKPOOL_SIZE $RANKPOOL_LOCAL_RANK $RANKPOOL_NODE'
	[[ $(sort <<<"$output") == $'0 3 0 0\n1 3 1 0\n2 3 2 0' ]]
}

@test "each is bound to what RANKPOOL_CPUS says, and has as many threads" {
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 4 sh -c 'echo "$RANKPOOL_CPUS=$(taskset -cp $$ | sed "s/.*: //")=$OMP_NUM_THREADS=$(nproc)"'
	((${#lines[@]} == 4))
	for line in "${lines[@]}"; do
		[[ $line =~ ^([0-9,-]+)=([0-9,-]+)=[0-9]+=[0-9]+$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
	done
}

@test "without -n there is one for each core, as topo shows them" {
	run -0 rankpool_run echo here
	((${#lines[@]} == $("$RANKPOOL" topo --json | grep -c '"rank"')))
}

@test "a number of threads that the user has set stays" {
	# shellcheck disable=SC2016
	OMP_NUM_THREADS=7 run -0 rankpool_run -n 1 sh -c 'echo $OMP_NUM_THREADS'
	[[ $output == 7 ]]
}

@test "--bind-to none binds nothing, --cpus takes some" {
	local all first

	all=$(taskset -cp $$ | sed 's/.*: //')
	first=${all%%[,-]*}
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 2 --bind-to none sh -c 'taskset -cp $$ | sed "s/.*: //"'
	[[ $output == "$all"$'\n'"$all" ]]
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 2 --cpus "$first" sh -c 'taskset -cp $$ | sed "s/.*: //"'
	[[ $output == "$first"$'\n'"$first" ]]
}

@test "mpirun's words for places" {
	local word

	for word in core hwthread slot node numa socket package core:PE=1 core:SPAN :OVERSUBSCRIBE numa:NOOVERSUBSCRIBE; do
		run -0 rankpool_run -n 2 --map-by "$word" echo here
		[[ $output == $'here\nhere' ]]
	done
	for word in none core hwthread numa package core:overload-allowed numa:if-supported; do
		run -0 rankpool_run -n 2 --bind-to "$word" echo here
		[[ $output == $'here\nhere' ]]
	done
	run -0 rankpool_run --map-by ppr:3:node echo here
	((${#lines[@]} == 3))
	run -0 rankpool_run --map-by ppr:2:core echo here
	((${#lines[@]} == 2 * $("$RANKPOOL" topo --json | grep -c '"rank"')))
}

@test "places that make no sense, or contradict each other" {
	refused 255 "--map-by moon" --map-by moon touch started
	refused 255 "--map-by ppr:x:node" --map-by ppr:x:node touch started
	refused 255 "--map-by core:PE=" --map-by core:PE= touch started
	refused 255 "--bind-to moon" --bind-to moon touch started
	refused 255 "--bind-to node" --bind-to node touch started
	refused 255 "--bind-to none: it contradicts --cpus" --bind-to none --cpus 0 touch started
	refused 255 "--bind-to none: it contradicts the PE=" --bind-to none --map-by core:PE=2 touch started
	refused 255 "-N says the same" -N 2 --map-by ppr:2:node touch started
	refused 255 "--map-by says otherwise" --map-by numa --bind-to core:compact touch started
	refused 255 "-n 0" -n 0 touch started
	refused 255 "-n x" -n x touch started
	refused 255 "-N 70000" -N 70000 touch started
	refused 255 "has room for" -n 999 --map-by ppr:1:package touch started
	refused 255 "core:999999" --cpus core:999999 touch started
	refused 255 "--time-limit soon" --time-limit soon touch started
	refused 255 "--mpi maybe" --mpi maybe touch started
	refused 255 "which program" -n 2
	refused 255 "--cores" --cores 2 touch started
}

@test "mpirun's options with one dash" {
	run -0 rankpool_run -np 2 -host localhost:2 -bind-to none echo -np
	[[ $output == $'-np\n-np' ]]
}

@test "--report-bindings says where each is" {
	run -0 --separate-stderr rankpool_run -n 2 --report-bindings true
	[[ ${#stderr_lines[@]} == 2 && ${stderr_lines[0]} == "rankpool run: rank 0 on $(hostname): cpus "[0-9]* ]]
}

@test "variables of a launcher around it are not theirs, unless kept" {
	# shellcheck disable=SC2016
	SLURM_PROCID=3 SLURM_STEP_ID=1 KEPT=yes RANKPOOL_SEQ=9 run -0 rankpool_run -n 1 sh -c \
		'echo "$KEPT-$SLURM_PROCID-$SLURM_STEP_ID-$RANKPOOL_SEQ-$RANKPOOL_FRONT"'
	[[ $output == "yes----" ]]
	# shellcheck disable=SC2016
	SLURM_PROCID=3 run -0 rankpool_run -n 1 --mpi-env keep sh -c 'echo "$SLURM_PROCID"'
	[[ $output == 3 ]]
}

# ---- input and output -----------------------------------------------------------------------------------------

@test "lines of copies do not mix" {
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 4 bash -c 'for i in {1..500}; do printf %s begin-; echo $RANKPOOL_RANK-end; done'
	((${#lines[@]} == 2000))
	! grep -vxE 'begin-[0-3]-end' <<<"$output"
}

@test "a line that is longer than any pipe does not mix, either" {
	# shellcheck disable=SC2016
	rankpool_run -n 3 bash -c 'head -c 300000 /dev/zero | tr "\0" $RANKPOOL_RANK; echo' >out
	(($(wc -l <out) == 3))
	! grep -qvxE '0{300000}|1{300000}|2{300000}' out
}

@test "all bytes come through, also without a last newline" {
	head -c 3000000 /dev/urandom >bytes
	rankpool_run -n 1 cat <bytes >out
	cmp bytes out
}

@test "standard error stays apart" {
	run -0 --separate-stderr rankpool_run -n 1 sh -c 'echo out; echo err >&2'
	[[ $output == out && $stderr == err ]]
}

@test "standard input is rank 0's" {
	# shellcheck disable=SC2016
	run -0 rankpool_run -n 3 sh -c 'echo "$RANKPOOL_RANK: $(cat)"' <<<"one line"
	[[ $(sort <<<"$output") == $'0: one line\n1: \n2: ' ]]
}

@test "--tag names the rank at the beginning of each line" {
	# shellcheck disable=SC2016
	run -0 --separate-stderr rankpool_run -n 2 --tag sh -c 'echo a; printf b; echo c >&2'
	[[ $(sort <<<"$output") == $'[0] a\n[0] b\n[1] a\n[1] b' ]]
	[[ $(sort <<<"$stderr") == $'[0] c\n[1] c' ]]
}

@test "what is typed reaches rank 0, and Ctrl-D ends it" {
	command -v script >/dev/null || skip "no script(1)"
	run -0 bash -c '{ until [[ -e up ]]; do sleep 0.02; done; echo typed; printf "\004"; until [[ -e got ]]; do sleep 0.02; done; } |
		timeout 20 script -qec '\''"$RANKPOOL" run -n 2 sh -c "touch up; cat; touch got"'\'' /dev/null'
	[[ $output == *typed*typed* ]]
}

@test "a reader that goes away ends it" {
	run bash -c '"$RANKPOOL" run -n 2 yes | head -1; echo "${PIPESTATUS[0]}"'
	[[ $output == $'y\n141' ]]
}

# ---- ends -----------------------------------------------------------------------------------------------------

@test "the first that fails ends the others, and says who it was" {
	# shellcheck disable=SC2016
	run -7 --separate-stderr rankpool_run -n 3 sh -c '[ $RANKPOOL_RANK != 1 ] || exit 7; sleep 60'
	[[ $stderr == "rankpool run: rank 1 on $(hostname) exited with status 7; the others are ended" ]]
}

@test "a signal is 128 and its number" {
	# shellcheck disable=SC2016
	run -139 --separate-stderr rankpool_run -n 2 sh -c '[ $RANKPOOL_RANK = 1 ] || sleep 60; kill -SEGV $$'
	[[ $stderr == "rankpool run: rank 1 on "*" was ended by signal 11 "* ]]
}

@test "--keep-going lets the others finish" {
	# shellcheck disable=SC2016
	run -7 --separate-stderr rankpool_run -n 3 --keep-going sh -c '[ $RANKPOOL_RANK != 1 ] || exit 7
		until [ -e go ]; do sleep 0.02; [ $RANKPOOL_RANK = 0 ] && touch go; done; echo done'
	[[ $output == $'done\ndone' ]]
	[[ $stderr == "rankpool run: rank 1 on "*" exited with status 7" ]]
}

@test "nothing is left of a copy, wherever it has gone" {
	# shellcheck disable=SC2016
	run -3 rankpool_run -n 2 sh -c 'setsid sleep 60 & trap "" TERM; [ $RANKPOOL_RANK = 0 ] || exit 3; sleep 60'
	(export -n TEST_MARK; nothing_left)
}

@test "nothing is left when it is killed itself" {
	# shellcheck disable=SC2016
	"$RANKPOOL" run -n 2 sh -c 'setsid sleep 60 & touch up$RANKPOOL_RANK; sleep 60' 3>&- &
	until_true 10 eval '[[ -e up0 && -e up1 ]]'
	kill -KILL $!
	wait $! || true
	(export -n TEST_MARK; until_true 3 nothing_left)
}

@test "programs that are not there, or no programs" {
	refused 127 "no-such-command: no such command in PATH" no-such-command
	refused 127 "./nowhere: no such file" ./nowhere
	refused 126 "cannot execute /etc/passwd: Permission denied" /etc/passwd
	refused 126 "cannot execute $BATS_TEST_TMPDIR: Is a directory" "$BATS_TEST_TMPDIR"
	printf 'echo a script without a first line\n' >script && chmod +x script
	run -126 rankpool_run -n 1 ./script
	[[ $output == *"cannot execute ./script: Exec format error"* ]]
}

@test "a time limit ends everything with 124" {
	run -124 --separate-stderr rankpool_run -n 2 --time-limit 0.3 sleep 60
	[[ $stderr == "rankpool run: the time limit of 0.3 s is over; 2 running copies are ended" ]]
	run -0 rankpool_run -n 2 --time-limit 60 true
}

# Starts copies that note the signals that they get, and waits until they run.
start_listeners()
{
	cat >listener <<-'END'
		#!/bin/bash
		for s in INT HUP USR1 USR2 CONT; do trap "echo $s >>got.$RANKPOOL_RANK" $s; done
		trap 'echo TERM >>got.$RANKPOOL_RANK; exit 0' TERM
		touch up.$RANKPOOL_RANK
		while :; do read -t 0.05 <><(:) || :; done
	END
	chmod +x listener
	"$RANKPOOL" run -n 2 ./listener 3>&- &
	until_true 10 eval '[[ -e up.0 && -e up.1 ]]'
}

both_got()
{
	grep -qx "$1" got.0 && grep -qx "$1" got.1
}

@test "signals are passed on" {
	local s

	start_listeners
	for s in USR1 USR2 CONT HUP; do
		kill -$s $!
		until_true 10 both_got $s
	done
	kill -TERM $!
	wait $!
	both_got TERM
}

@test "Ctrl-C is passed on; twice ends what does not listen" {
	local status=0

	start_listeners
	kill -INT $!
	until_true 10 both_got INT
	kill -INT $!
	until_true 10 both_got TERM
	wait $!
	"$RANKPOOL" run -n 2 bash -c 'trap "" TERM; touch deaf.$RANKPOOL_RANK; while :; do sleep 0.1; done' 3>&- &
	until_true 10 eval '[[ -e deaf.0 && -e deaf.1 ]]'
	kill -TERM $!
	wait $! || status=$?
	((status == 137))
	"$RANKPOOL" run -n 2 sh -c 'touch calm.$RANKPOOL_RANK; sleep 60' 3>&- &
	until_true 10 eval '[[ -e calm.0 && -e calm.1 ]]'
	kill -INT $!
	status=0
	wait $! || status=$?
	((status == 130))
}

# ---- programs that use librankpool ------------------------------------------------------------------------------

@test "a program that uses librankpool is one process with -n workers" {
	run -0 rankpool_run -n 3 "$top_builddir/examples/pool_workers"
	[[ $output == *"rank 2 on"* && $output != *"rank 3 on"* ]]
	(($(grep -c "primes" <<<"$output") == 1))
	run -0 rankpool_run -n 3 --time-limit 60 "$top_builddir/examples/pool_workers"
	[[ $output == *"rank 2 on"* && $output != *"rank 3 on"* ]]
	refused 255 "uses librankpool" --tag "$top_builddir/examples/pool_workers"
}

# ---- MPI programs ---------------------------------------------------------------------------------------------

need_mpi()
{
	command -v mpirun >/dev/null || skip "no mpirun"
	command -v mpicc >/dev/null || skip "no mpicc"
	as_root=()
	((EUID)) || as_root=(--allow-run-as-root)
	cat >sum.c <<-'END'
		#include <mpi.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>

		/* sum [MODE]: says its rank, its size and the sum of all ranks; then rank 1 leaves as MODE says. */
		int main(int argc, char **argv)
		{
			const char *mode = argc > 1 ? argv[1] : "";
			int rank, size, sum;
			char line[64];

			MPI_Init(&argc, &argv);
			MPI_Comm_rank(MPI_COMM_WORLD, &rank);
			MPI_Comm_size(MPI_COMM_WORLD, &size);
			MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
			printf("rank %d of %d sum %d env %s/%s cpus %s\n", rank, size, sum, getenv("RANKPOOL_RANK"),
			       getenv("RANKPOOL_SIZE"), getenv("RANKPOOL_CPUS"));
			fflush(stdout);
			if (rank == 0 && strcmp(mode, "read") == 0 && fgets(line, sizeof line, stdin))
				printf("read %s", line);
			if (rank == 1 && strcmp(mode, "exit") == 0)
				exit(5);
			if (rank == 1 && strcmp(mode, "abort") == 0)
				abort();
			if (strcmp(mode, "affinity") == 0 && system("taskset -cp $PPID | sed 's/.*: /bound /'"))
				exit(9);
			return MPI_Finalize();
		}
	END
	mpicc -o sum sum.c
}

@test "an MPI program is started through mpirun, each rank at its place" {
	need_mpi
	run -0 rankpool_run "${as_root[@]}" -n 2 ./sum
	[[ $output == *"rank 0 of 2 sum 1 env 0/2 cpus "* && $output == *"rank 1 of 2 sum 1 env 1/2 cpus "* ]]
	# The same places as those of any other program.
	# shellcheck disable=SC2016
	diff <(sed 's/.*cpus //' <<<"$output" | sort) <(rankpool_run -n 2 sh -c 'echo $RANKPOOL_CPUS' | sort)
	run -0 rankpool_run "${as_root[@]}" -n 1 ./sum affinity
	[[ $output =~ cpus\ ([0-9,-]+).*bound\ ([0-9,-]+) && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
}

@test "an MPI program reads what is rank 0's, and may be tagged" {
	need_mpi
	run -0 rankpool_run "${as_root[@]}" -n 2 ./sum read <<<"a line"
	[[ $output == *"read a line"* ]]
	run -0 rankpool_run "${as_root[@]}" -n 3 --tag ./sum
	[[ $output == *"[0] rank 0 of 3 sum 3"* && $output == *"[2] rank 2 of 3 sum 3"* ]]
}

@test "an MPI program's end is told in one line" {
	need_mpi
	run -5 --separate-stderr rankpool_run "${as_root[@]}" -n 2 ./sum exit
	[[ $stderr == "rankpool run: rank 1 exited with status 5" ]]
	run -134 --separate-stderr rankpool_run "${as_root[@]}" -n 2 ./sum abort
	[[ ${stderr_lines[-1]} == "rankpool run: rank 1 on "*" was ended by signal 6 (Aborted)" ]]
	run -124 --separate-stderr rankpool_run "${as_root[@]}" -n 2 --mpi yes --time-limit 0.5 sleep 60
	[[ $stderr == "rankpool run: the time limit of 0.5 s is over; everything is ended" ]]
}

@test "--mpi says whether it is one" {
	need_mpi
	run -0 rankpool_run --mpi no -n 2 ./sum
	[[ $output == *"rank 0 of 1 sum 0 env 0/2"* && $output == *"rank 0 of 1 sum 0 env 1/2"* ]]
	run -0 rankpool_run "${as_root[@]}" --mpi yes -n 2 sh -c 'echo ${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}'
	[[ $output == $'2\n2' ]]
}

@test "MPI programs: what is refused before anything starts" {
	need_mpi
	refused 255 "more than the 2 slots of localhost:2" "${as_root[@]}" --host localhost:2 -n 3 ./sum
	refused 255 "--keep-going" --keep-going ./sum
	if ((EUID == 0)) && mpirun --version | grep -q 'Open MPI'; then
		refused 255 "refuses to run as root; --allow-run-as-root permits it" ./sum
	fi
	# Whose mpirun it is follows from what it says.
	mkdir bin
	printf '#!/bin/sh\necho "HYDRA build details:"\n' >bin/mpirun
	printf '#!/bin/sh\necho "mpirun (Open MPI) 4.1.4"\n' >bin/mpirun-open
	ldd sum | grep -q 'libmpi.so.40' || mv bin/mpirun-open bin/mpirun
	chmod +x bin/mpirun
	cp bin/mpirun bin/mpiexec
	only_path=$PWD/bin refused 255 "but" ./sum
	rm bin/*
	only_path=$PWD/bin refused 255 "mpirun is not in PATH: install Open MPI or MPICH, or load its module" ./sum
}

# ---- started by the user's mpirun -----------------------------------------------------------------------------

@test "mpirun rankpool run: its ranks are the nodes" {
	command -v mpirun >/dev/null || skip "no mpirun"
	# shellcheck disable=SC2016
	RANKPOOL_NODES=rank run -0 --separate-stderr mpi 3 "$RANKPOOL" run -N 2 --tag sh -c 'echo $RANKPOOL_RANK/$RANKPOOL_SIZE on $RANKPOOL_NODE'
	[[ $(sort <<<"$output") == "[0] 0/6 on 0
[1] 1/6 on 0
[2] 2/6 on 1
[3] 3/6 on 1
[4] 4/6 on 2
[5] 5/6 on 2" ]]
	# shellcheck disable=SC2016
	RANKPOOL_NODES=rank run --separate-stderr mpi 2 "$RANKPOOL" run -n 2 sh -c '[ $RANKPOOL_RANK = 0 ] || exit 9; sleep 60'
	((status == 9))
	[[ $stderr == *"rankpool run: rank 1 on "*" exited with status 9; the others are ended"* ]]
}

# ---- nodes: what is wrong with them ---------------------------------------------------------------------------

@test "lists and files of hosts that make no sense" {
	refused 255 "--host a:: " --host a: touch started
	refused 255 "--host a,,b" --host a,,b touch started
	refused 255 "--host a:0" --host a:0 touch started
	printf 'a slots=2\nb slots=many\n' >hosts
	refused 255 "hostfile hosts:2: " --hostfile hosts touch started
	refused 255 "hostfile nowhere: No such file" --hostfile nowhere touch started
	refused 255 "host no-such-host.invalid: no machine of that name" --host no-such-host.invalid touch started
	refused 255 "3 copies are more than the 2 slots of localhost:2" -n 3 --host localhost:2 touch started
	refused 255 "-N 3: host localhost has 2 slots" -N 3 --host localhost:2 touch started
	refused 255 "-n 3: with -N 2 there is room for 2 on 1 node" -n 3 -N 2 touch started
	SLURM_JOB_ID=1 SLURM_JOB_NODELIST='n[1-' refused 255 "SLURM_JOB_NODELIST=n[1-" touch started
	SLURM_JOB_ID=1 SLURM_JOB_NODELIST=$(hostname) refused 255 "host 127.1.1.1.invalid is not in the allocation" \
		--host 127.1.1.1.invalid touch started
	OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 refused 255 "has started this already" --host localhost touch started
}

@test "this machine by any of its names needs no mpirun" {
	local host

	mkdir bin
	for host in localhost 127.0.0.1 "[::1]" "$(hostname)"; do
		run -0 rankpool_run --host "$host:2" echo here
		[[ $output == $'here\nhere' ]]
		run -0 rankpool_run --host "$host:2" -n 1 echo here
		[[ $output == here ]]
	done
	printf 'localhost slots=3\n' >hosts
	run -0 rankpool_run --hostfile hosts echo here
	((${#lines[@]} == 3))
	run -0 rankpool_run --host localhost:2 --map-by :OVERSUBSCRIBE -n 3 echo here
	((${#lines[@]} == 3))
}
