#!/usr/bin/env bats
# What is lost in the middle of a map over three nodes: a worker, an agent, the manager, mpirun, a cable, a node.  A worker
# costs the item that it was at; all else ends the program with an error, and leaves nothing on any node.  Where a rank or a
# node is gone it is mpirun who says so.
#
# Bounds are five times what is promised: 15 s for the end, and for nodes that have lost contact.

load lib
load cluster/lib

bats_require_minimum_version 1.5.0

program=$top_builddir/tests/losses

setup()
{
	local reason

	test_begin
	reason=$(cluster_missing) || skip "$reason"
	[[ $MPI_NAME == openmpi ]] || skip "MPICH's MPI_Finalize hangs now and then when UCX uses TCP"
	cluster_up 3
}

teardown()
{
	cluster_down
	test_end
}

nodes_are_quiet()
{
	local node

	for node in n0 n1 n2; do
		[[ -z $(cluster_processes $node) ]] || return
	done
}

# What still runs where.
show()
{
	local node pid

	for node in n0 n1 n2; do
		for pid in $(cluster_processes $node); do
			echo "$node: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
		done
	done
}

# start MODE: in the background, until all nodes are at work; the status comes into the file `status`.
start()
{
	(
		status=0
		CLUSTER_TIMEOUT=200 cluster_mpirun -n 3 "$program" "$1" >out 2>err || status=$?
		echo $status >status.new
		mv status.new status
	) 3>&- &
}

# lost WORDS...: the program ends with an error that has all of these words, and nothing runs any more.
lost()
{
	local word

	until_true 75 test -e status || { show; cat out err; return 1; }
	cat out err
	(($(<status) != 0))
	for word; do
		grep -qF "$word" err || { echo "it does not say: $word"; return 1; }
	done
	until_true 75 nodes_are_quiet || { echo "still there:"; show; return 1; }
}

all_at_work()
{
	[[ -e begun.0 && -e begun.1 && -e begun.2 ]]
}

# The first process of the program on a node, which all others of it there descend from.
rank_on()
{
	cluster_on "$1" pgrep -o -x losses
}

@test "a worker of another node is killed, another one crashes" {
	local host pid item other

	start deaths
	until_true 60 test -e victim
	read -r host pid item <victim
	[[ $host == n[12] ]]
	until_true 60 test -e crashed
	cluster_on "$host" kill -KILL "$pid"
	until_true 60 test -e status
	cat out err
	[[ $(<status) == 0 ]]
	[[ -z $(cluster_own_words <err) ]]
	[[ $(grep -c '^item ' out) == 2 ]]
	[[ $(grep "^item $item: died, code -9, node ${host#n}: " out) == *"$host"* ]]
	read -r host pid other <crashed
	[[ $(grep "^item $other: died, code -11, node ${host#n}: " out) == *"$host"* ]]
	[[ $(tail -n 1 out) == "99998 good, No child processes" ]]
	until_true 10 nodes_are_quiet
}

@test "an agent is killed" {
	start endless
	until_true 60 all_at_work
	cluster_on n1 kill -KILL "$(rank_on n1)"
	lost "on node n1 exited on signal 9"
}

@test "the manager is killed" {
	start endless
	until_true 60 all_at_work
	cluster_on n0 kill -KILL "$(rank_on n0)"
	lost "on node n0 exited on signal 9"
}

@test "mpirun is killed" {
	start endless
	until_true 60 all_at_work
	cluster_on n0 pkill -KILL -x "$(basename "$MPIRUN")|mpirun|orterun|mpirun.openmpi"
	lost
}

@test "a node is cut off" {
	start endless
	until_true 60 all_at_work
	cluster_cut n2
	lost "node 2 (n2) is lost: nothing was heard of it for "
}

@test "a node's power goes" {
	start endless
	until_true 60 all_at_work
	cluster_kill n2
	lost "on node n2"
}
