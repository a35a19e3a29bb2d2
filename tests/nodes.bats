#!/usr/bin/env bats
# Pools over several nodes, by real ranks that are each a node of their own: tests/nodes_peer.c has what they do and see to it
# that all is as it should be.

load lib

peer=$top_builddir/tests/nodes_peer

setup()
{
	test_begin
	export RANKPOOL_NODES=rank
}

# part NAME RANKS...: runs one part of the program with so many ranks.
part()
{
	local name=$1 ranks

	shift
	for ranks; do
		run -0 mpi "$ranks" "$peer" "$name"
		[[ $output == *done* ]]
	done
}

@test "workers of all nodes are numbered, placed and told" { part places 2 3 5; }

@test "maps of fixed items, from the arena and from plain memory, with any chunk" { part map 2 3; }

@test "each node does a part of the work" { part spread 2 3 5; }

@test "items and results of any size" { part bytes 3; }

@test "items that fail or kill their worker are told with code, text, rank and node" { part bad 2 3 5; }

@test "arguments and seeds are the same on every node" {
	local first

	run -0 mpi 2 "$peer" arguments
	first=$output
	[[ $first == seeds*done ]]
	run -0 mpi 4 "$peer" arguments
	[[ $output == "$first" ]]
}

@test "single tasks go to all nodes, and come back in any order" { part futures 2 4; }

@test "single tasks with large inputs and results" { part large_tasks 3; }

@test "a task is cancelled before it runs, and sees that nobody waits for it" { part cancel 2 3; }

@test "an initializer that fails on another node breaks the pool, with its words" { part init_fails 2 3; }

@test "workers of all nodes leave in order" { part leaving 2 3; }

@test "a terminated pool ends everywhere" { part terminate 2 3; }

@test "several pools and threads at a time" { part threads 3; }

@test "workers killed on other nodes cost the items that they were at" { part deaths 2 3; }

@test "processes on other nodes" { part processes 2 3; }

@test "results of a megabyte each" { part large_items 2 3; }

# Under the sanitizers memory costs several times as much.
long_and_large()
{
	local available

	[[ -n ${RANKPOOL_LONG-} ]] || skip "takes 16 GiB and minutes: set RANKPOOL_LONG=1"
	available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
	((available >= 16 << 20)) || skip "needs 16 GiB of memory; $((available >> 20)) are available"
	export RANKPOOL_MANAGER_ONLY=1 MPI_TIMEOUT=300
}

@test "5 GiB of results through one map, to the last byte" {
	long_and_large
	part five_gib 3
}

@test "a result of 5 GiB" {
	long_and_large
	part item_of_five_gib 2
}

@test "the example says the same on three nodes, and which of them did what" {
	local node done=0

	run -0 mpi 3 "$top_builddir/examples/across_nodes"
	[[ ${lines[0]} == "the longest chain below 2000000 begins with 1723519 and has 556 steps" ]]
	for node in 0 1 2; do
		[[ ${lines[node + 1]} =~ ^"node $node ("[^\ ]+") did "([0-9]+)" of 200 ranges"$ ]]
		((done += BASH_REMATCH[1])) || true
	done
	((done == 200))
}

@test "ranks of one machine are one node, with a worker each" {
	unset RANKPOOL_NODES
	for ranks in 1 2 5; do
		run -0 mpi "$ranks" "$peer" workers
		((ranks == 1)) || [[ $output == "1 node, $ranks workers"$'\n'done ]]
	done
}

@test "a manager whose node has no workers" {
	export RANKPOOL_MANAGER_ONLY=1
	part spread 2 3
	part map 3
	part bytes 2
	part bad 3
	part futures 3
	part leaving 2
	part terminate 2
}

@test "a manager that returns early, exits or dies ends all ranks, and mpirun says so" {
	part return_early 3
	run -7 mpi 3 "$peer" exit_7
	run mpi 3 "$peer" killed
	((status > 0))
	until_true 5 nothing_left
}
