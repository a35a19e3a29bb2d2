#!/usr/bin/env bats
# The link between nodes, tried by real ranks: tests/link_peer.c has what they do, and says what is wrong.

load lib

peer=$top_builddir/tests/link_peer

# Of what mpirun itself says when a rank fails nothing counts.
ranks_say()
{
	grep -vE '^(mpi|lent) ' <<<"$output" | sort
}

setup()
{
	test_begin
	export RANKPOOL_NODES=rank
}

@test "each rank is a node with RANKPOOL_NODES=rank" {
	run -0 mpi 3 "$peer" who
	[[ $(ranks_say) == "node 0 agent 0 ranks 1 host $(uname -n)
node 1 agent 1 ranks 1 host $(uname -n)
node 2 agent 2 ranks 1 host $(uname -n)" ]]
	[[ $output == *"mpi "* ]]
}

@test "one rank is one node" {
	run -0 mpi 1 "$peer" who
	[[ $(ranks_say) == "node 0 agent 0 ranks 1 host $(uname -n)" ]]
}

@test "ranks of one machine are one node" {
	unset RANKPOOL_NODES
	run -0 mpi 4 "$peer" who
	[[ $(ranks_say) == "node 0 agent 0 ranks 4 host $(uname -n)" ]]
}

@test "ranks with another host name are another node, in the order of their lowest ranks" {
	unset RANKPOOL_NODES
	unshare -u true 2>/dev/null || skip "host names cannot be changed here"
	on='hostname $0; exec "$@"'
	run -0 mpi 1 unshare -u sh -c "$on" beta "$peer" who : -n 1 unshare -u sh -c "$on" alpha "$peer" who : \
		-n 1 unshare -u sh -c "$on" alpha "$peer" who : -n 2 unshare -u sh -c "$on" beta "$peer" who
	[[ $(ranks_say) == "node 0 agent 0 ranks 3 host beta
node 1 agent 1 ranks 2 host alpha" ]]
	# Five ranks, two of them agents.
	[[ $(grep -c '^lent ' <<<"$output") == 3 ]]
}

@test "another value of RANKPOOL_NODES is refused on every rank" {
	RANKPOOL_NODES=2 run -0 mpi 3 "$peer" who
	[[ $(grep -c '^link_open: Invalid argument: RANKPOOL_NODES=2: only "rank" is known$' <<<"$output") == 3 ]]
}

@test "two versions of the library refuse each other, naming both, on every rank" {
	run -0 mpi 2 "$peer" who : -n 1 "$top_builddir/tests/link_stranger" who
	echo "$output"
	pattern='^link_open: Protocol error: rankpool [0-9.]+ \(protocol [0-9]+\) on [^ ]+ and rankpool 0\.0\.0 \(protocol'
	[[ $(grep -cE "$pattern" <<<"$output") == 3 ]]
}

@test "one rank where the launcher says more is refused" {
	LINK_EXPECTED=4 run -0 mpi 1 "$peer" who
	grep -qx 'link_open: Protocol error' <<<"$output"
}

@test "parts of all sizes arrive as they were, there and back" {
	run -0 mpi 2 "$peer" sizes
	run -0 mpi 3 "$peer" sizes
}

@test "messages of each of four nodes arrive in order, many under way" {
	run -0 mpi 5 "$peer" flood
}

@test "the same over TCP" {
	# A program of nothing but MPI_Init, MPI_Allgather and MPI_Finalize does so as well.
	[[ $MPI_NAME != mpich ]] || skip "MPICH's MPI_Finalize hangs now and then when UCX uses TCP"
	MPI_TCP=1 run -0 mpi 2 "$peer" sizes
	MPI_TCP=1 run -0 mpi 3 "$peer" flood
}

@test "the same in a second thread" {
	LINK_THREAD=1 run -0 mpi 3 "$peer" flood
}

@test "300 MiB in one part" {
	run -0 mpi 2 "$peer" huge
}

@test "parts that the receiver does not want are dropped" {
	run -0 mpi 2 "$peer" unwanted
}

@test "a node that does not listen holds up no other" {
	run -0 mpi 3 "$peer" deaf "$BATS_TEST_TMPDIR/listen"
}

@test "messages and bytes are counted, signs of life are not" {
	run -0 mpi 2 "$peer" count
}

@test "idle nodes are heard of" {
	run -0 mpi 3 "$peer" beat
}

@test "lenders sleep until their node's agent closes its link" {
	unset RANKPOOL_NODES
	run -0 mpi 4 "$peer" lend
	[[ $(grep -c '^lent ' <<<"$output") == 3 ]]
	# A tenth of what spinning would take: no measure of speed.
	awk '/^lent / && ($2 < 1900 || $5 > 200) { print; bad = 1 } END { exit bad }' <<<"$output"
}

@test "a lender whose agent is silent ends the job" {
	unset RANKPOOL_NODES
	run mpi 2 "$peer" silent
	echo "$output"
	((status != 0))
	[[ $output == *"not heard of"* ]]
}

@test "a lost node gives back what was lent to it, the others go on, and closing aborts the job" {
	run mpi 3 "$peer" lose
	((status != 0))
	grep -qx lost <<<"$output"
}
