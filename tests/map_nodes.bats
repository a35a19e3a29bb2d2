#!/usr/bin/env bats
# rankpool map on several nodes: the same command lines as on one, with the same results.  Every rank of mpirun is taken for a
# node of its own (RANKPOOL_NODES=rank), or all are ranks of one node.

load lib

bats_require_minimum_version 1.5.0

setup()
{
	test_begin
	export PARALLEL_SHELL=/bin/sh
	unset SHELL
	if (($(id -u) == 0)); then
		export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	fi
	# Where a status is not 0 mpirun would wait for what has long ended.
	export OMPI_MCA_odls_base_sigkill_timeout=0
}

# ranks N ARGUMENT...: map on N ranks of this node.
ranks()
{
	local n=$1

	shift
	timeout 60 mpirun --oversubscribe -n "$n" "$RANKPOOL" map "$@"
}

# nodes N ARGUMENT...: map on N nodes, as far as it knows.
nodes()
{
	RANKPOOL_NODES=rank ranks "$@"
}

# What rankpool itself and its commands said, without mpirun's words about a status that is not 0.
without_mpirun()
{
	sed '/^-----/,/^-----/d'
}

# same ARGUMENT...: standard input goes to each of them, as does the command line.  Standard output and standard error are the
# same to the byte, and so is the status.
same()
{
	local world status expected=0

	cat >input
	"$RANKPOOL" map "$@" <input >expected 2>expected.err || expected=$?
	for world in "ranks 1" "ranks 3" "nodes 2" "nodes 3"; do
		status=0
		# shellcheck disable=SC2086
		$world "$@" <input >got 2>got.err || status=$?
		without_mpirun <got.err >got.own
		if ((status != expected)) || ! cmp expected got || ! cmp expected.err got.own; then
			echo "$world: $*: status $status, expected $expected"
			head -c 1000 got.err
			return 1
		fi
	done
}

all_gone()
{
	(export -n TEST_MARK; nothing_left)
}

# ---- the same results -----------------------------------------------------------------------------------------

@test "inputs of every kind" {
	seq 200 | same -k echo
	printf 'a b\0c\nd\0' | same -k -0 "printf '<%s>'"
	printf 'x\ny\n' | same -k --tag 'echo {#} {1} {2}; echo err {2} >&2; :' ::: a.b/c.d 'b  c' :::: -
	same -k echo {2} {1/.} {#} ::: a/b.c d :::+ 'it'\''s' '$(touch pwned)' </dev/null
	printf '%s\n' 'echo a; echo b' '' 'echo "c  d" | tr c C' | same -k
	[[ ! -e pwned ]]
}

@test "statuses" {
	same -k 'echo {}; exit {}' ::: 0 1 7 0 3 </dev/null
	same -k 'kill -9 $$; :' ::: a </dev/null
	seq 101 | same false
	same no-such-command ::: a </dev/null
	same -k --timeout 0.5 'if [ {} = b ]; then sleep 1000; fi; echo {}' ::: a b c </dev/null
}

@test "outputs of every size" {
	same -k 'head -c {} /dev/zero | tr "\0" x; echo {}; head -c {} /dev/zero | tr "\0" y >&2; :' \
		::: 0 1 65535 65536 65537 200000 3000000 1 </dev/null
}

@test "--dry-run, and options that are wrong" {
	same -k --dry-run touch {} {#} ::: a 'b c' "it's" </dev/null
	[[ ! -e a ]]
	same --jbos 3 touch started ::: a </dev/null
	same -j x touch started ::: a </dev/null
	same --cpus core:9999 touch started ::: a </dev/null
	same 'touch started; echo {' ::: a </dev/null
	same -a missing touch started </dev/null
	[[ ! -e started ]]
	same --help </dev/null
	same --version </dev/null
}

# ---- what commands find ---------------------------------------------------------------------------------------

@test "commands have the manager's environment, directory, umask and signals on every node" {
	mkdir 'a b' bin
	printf '#!/bin/sh\necho "tool $1 in $PWD, umask $(umask), $WORD, $(grep SigIgn /proc/self/status)"\n' >bin/tool
	chmod +x bin/tool
	cd 'a b'
	umask 027
	WORD='x  y' PATH=$PWD/../bin:$PATH nodes 3 -k -j 1 --report-bindings 'tool {}; :' ::: $(seq 9) >out 2>err
	cat out err
	(($(grep -c "in $PWD, umask 0027, x  y, SigIgn:" out) == 9))
	(($(grep -o 'SigIgn:.*' out | sort -u | wc -l) == 1))
	(($(grep -c '^rankpool map: rank [012] on .*: cpus ' err) == 3))
}

# workers_meet WORLD ARGUMENT...: runs as many jobs as there are workers, each of which waits for all the others, and prints
# what they know about their place.
workers_meet()
{
	local count=$1

	shift
	"$@" 'echo >began.{}; tries=0
		until [ "$(ls | grep -c ^began)" -ge '"$count"' ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.02; done
		echo $RANKPOOL_RANK $RANKPOOL_SIZE $RANKPOOL_NODE $RANKPOOL_LOCAL_RANK $PARALLEL_JOBSLOT {%} # {}' ::: $(seq "$count") |
		sort -n
	rm -f began.*
}

@test "ranks and slots are unique over all nodes, -j is per node" {
	[[ $(workers_meet 6 nodes 3 -j 2) == $'0 6 0 0 1 1\n1 6 0 1 2 2\n2 6 1 0 3 3\n3 6 1 1 4 4\n4 6 2 0 5 5\n5 6 2 1 6 6' ]]
	[[ $(workers_meet 2 ranks 2 -j 2) == $'0 2 0 0 1 1\n1 2 0 1 2 2' ]]
	[[ $(workers_meet 3 nodes 3 -j 1) == $'0 3 0 0 1 1\n1 3 1 0 2 2\n2 3 2 0 3 3' ]]
}

@test "relative numbers of jobs are seen from the cores of each node" {
	local each more

	each=$(nodes 2 'echo $RANKPOOL_SIZE;:' ::: a)
	more=$(nodes 2 -j +1 'echo $RANKPOOL_SIZE;:' ::: a)
	((more == each + 2))
	[[ $(nodes 2 -j 200% 'echo $RANKPOOL_SIZE;:' ::: a) == $((2 * each)) ]]
	[[ $(nodes 2 -j 0 'echo $RANKPOOL_SIZE;:' ::: a b c d e | sort -u) == 6 ]]
	run nodes 2 -j -5000 'touch started;:' ::: a
	((status == 255))
	[[ $output == *"rankpool map: -j -5000 leaves no worker"* && ! -e started ]]
}

@test "commands see nothing of mpirun, and may be MPI programs themselves" {
	command -v mpicc >/dev/null || skip "no mpicc"
	local list='env | grep -E "^(OMPI_|PMIX_|PMI_|PRTE_|HYDI_|RANKPOOL_NODES)" | grep -v ^OMPI_ALLOW_RUN_AS_ROOT; :'

	printf '%s\n' '#include <mpi.h>' '#include <stdio.h>' 'int main(void) { int n; MPI_Init(NULL, NULL);' \
		'MPI_Comm_size(MPI_COMM_WORLD, &n); printf("one of %d\n", n); return MPI_Finalize(); }' >hello.c
	mpicc -o hello hello.c
	run -0 --separate-stderr nodes 2 "$list" ::: a b c
	[[ $output == "" ]]
	run -0 --separate-stderr nodes 2 -k -j 1 './hello; mpirun --oversubscribe -n 2 ./hello; : {}' ::: a b c
	[[ $output == $'one of 1\none of 2\none of 2\none of 1\none of 2\none of 2\none of 1\none of 2\none of 2' ]]
	run -0 --separate-stderr nodes 2 --mpi-env keep 'echo $OMPI_COMM_WORLD_SIZE; :' ::: a
	[[ $output == 2 ]]
}

# ---- ends -----------------------------------------------------------------------------------------------------

@test "results that wait for an earlier one take little memory, from any node" {
	nodes 2 -k -j 1 'case {} in
		1) tries=0; until [ -e peak ] || [ $((tries += 1)) -gt 1000 ]; do sleep 0.05; done; echo first ;;
		600) grep VmRSS "/proc/$PARALLEL_PID/status" >before; : >peak ;;
		*) head -c 200000 /dev/zero | tr "\0" x; echo {} ;;
		esac' < <(seq 600) >out
	[[ $(head -1 out) == first ]]
	sed 1d out | tr -d x | cmp - <(seq 2 599)
	cat before
	awk '{ exit $2 > 131072 }' before
}

@test "a worker that is killed costs its job, on any node" {
	run -1 --separate-stderr nodes 3 -k -j 1 'if [ {} = 5 ]; then kill -9 $PPID; sleep 1000; fi; echo {}' ::: $(seq 20)
	[[ $output == "$(seq 20 | grep -vx 5)" ]]
	[[ $(without_mpirun <<<"$stderr") == "rankpool map: job 5 (5): "*"signal 9"* ]]
}

@test "a supervisor that is killed on another node is said, is no success, and leaves nothing" {
	# The last of two, whichever of the inputs it gets.
	run --separate-stderr nodes 2 -j 1 'if [ $RANKPOOL_NODE = 1 ]; then
			setsid sleep 1000 & kill -9 $(ps -o ppid= -p $PPID); sleep 1000
		fi; echo {}' ::: a b c d
	echo "$status $stderr"
	((status != 0))
	[[ $stderr == *"rankpool map: "*"supervisor"*"killed"* ]]
	until_true 5 all_gone
}

@test "time limits end a command with all its descendants, on any node" {
	run -3 --separate-stderr nodes 3 -j 1 --timeout 0.5 'trap "" TERM; setsid sleep 1000 & (sleep 1000; :) &
		while :; do sleep 1000; done; : {}' ::: a b c
	(($(grep -c "its time limit of 0.5 s was over" <<<"$stderr") == 3))
	until_true 5 all_gone
	run -255 --separate-stderr nodes 3 -j 1 --time-limit 1 'setsid sleep 1000 & sleep 1000; : {}' ::: a b c d
	[[ $stderr == *"the time limit of 1 s is over: 0 jobs done, 0 of them failed, 3 ended, 1 not started"* ]]
	until_true 5 all_gone
}

# interrupted: starts jobs on three nodes, one at a time on each, and interrupts the manager once all run.
interrupted()
{
	nodes 3 -k -j 1 'echo $PARALLEL_PID >>began; trap "echo ended >>log; exit 1" TERM
		(trap "" TERM; exec setsid sleep 100 >/dev/null 2>&1) &
		tries=0; until [ -e go ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.02; done; echo {}' ::: a b c d e >out 2>err &
	launcher=$!
	until_true 10 eval '(($(wc -l <began) == 3)) 2>/dev/null'
	manager=$(head -1 began)
	kill -INT "$manager"
	until_true 10 grep -q "starting nothing more" err
}

@test "a first signal lets the running jobs finish, a second one ends them, on every node" {
	interrupted
	: >go
	! wait $launcher
	[[ $(<out) == $'a\nb\nc' ]]
	grep -q "rankpool map: 3 jobs done, 0 of them failed, 0 ended, 2 not started" err
	(($(wc -l <began) == 3))
	until_true 5 all_gone
	rm -f began go
	interrupted
	kill -INT "$manager"
	! wait $launcher
	grep -q "rankpool map: 0 jobs done, 0 of them failed, 3 ended, 2 not started" err
	(($(wc -l <log) == 3))
	until_true 5 all_gone
}

@test "killed with SIGKILL it leaves no process on any node" {
	nodes 3 -j 1 'echo $PARALLEL_PID >>began; setsid sleep 1000 & sleep 1000; : {}' ::: a b c >out 2>err &
	local launcher=$!

	until_true 10 eval '(($(wc -l <began) == 3)) 2>/dev/null'
	kill -KILL "$(head -1 began)"
	! wait $launcher
	until_true 15 all_gone
}
