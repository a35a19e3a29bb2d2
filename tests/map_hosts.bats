#!/usr/bin/env bats
# rankpool map on named hosts: a cluster of nodes that have nothing in common but files and a network (tests/cluster).

load lib
source "$BATS_TEST_DIRNAME/cluster/lib.bash"

bats_require_minimum_version 1.5.0

setup_file()
{
	export CLUSTER_MISSING
	CLUSTER_MISSING=$(cluster_missing) && CLUSTER_OWNER=$$ cluster_up 3
}

teardown_file()
{
	cluster_down
}

setup()
{
	test_begin
	[[ ! $CLUSTER_MISSING ]] || skip "$CLUSTER_MISSING"
	export PARALLEL_SHELL=/bin/sh
}

# on NODE COMMAND...: never for longer than a minute.
on()
{
	cluster_on "$1" timeout -k 5 60 "${@:2}"
}

# map ARGUMENT...: on n0.
map()
{
	on n0 "$RANKPOOL" map "$@"
}

# Standard error that `run` has kept, or a file's, without a word that Open MPI's mpirun says when a child of its own is
# quick.
own_words()
{
	if (($#)); then cat "$1"; else echo "$stderr"; fi | sed '/plm:rsh: Warning: setpgid(/d'
}

# Whether nothing is left on any node.
nodes_are_quiet()
{
	local node

	for node in n0 n1 n2; do
		[[ -z $(cluster_processes $node) ]] || return
	done
}

@test "named hosts: one run over all of them, the first rank here" {
	run -0 --separate-stderr map --host n0,n1,n2 -j 1 -k 'echo {} $RANKPOOL_RANK/$RANKPOOL_SIZE $RANKPOOL_NODE $(hostname)
		until [ "$(ls began | wc -l)" -ge 3 ]; do : >began/{}; sleep 0.02; done' ::: a b c < <(mkdir began)
	[[ $(own_words) == "" ]]
	[[ $(sort -k 2 <<<"$output" | cut -d ' ' -f 2-) == $'0/3 0 n0\n1/3 1 n1\n2/3 2 n2' ]]
	printf '# three\nn0 slots=1\nn1 slots=1 # second\nn2 slots=1\n' >hosts
	[[ $(map --hostfile hosts 'echo $RANKPOOL_SIZE;:' ::: a) == 3 ]]
	[[ $(map --hostfile hosts --nodes 2 'echo $RANKPOOL_SIZE;:' ::: a) == 2 ]]
	[[ $(map --host n0:2,n1:2 'echo $RANKPOOL_SIZE;:' ::: a) == 4 ]]
	until_true 5 nodes_are_quiet
}

@test "a manager that does no work itself" {
	run -0 --separate-stderr map --host n1,n2 -j 1 -k --report-bindings 'echo {} $RANKPOOL_SIZE $(hostname)' ::: $(seq 20)
	[[ $(own_words) == $'rankpool map: rank 0 on n1: cpus '*$'\nrankpool map: rank 1 on n2: cpus '* ]]
	[[ $(cut -d ' ' -f 1 <<<"$output") == "$(seq 20)" ]]
	! grep -v ' 2 n[12]$' <<<"$output"
}

@test "input, output and status are as on one machine" {
	seq 300 | map --host n0,n1,n2 -k 'echo out {}; echo err {} >&2' >out 2>err
	diff out <(seq 300 | sed 's/^/out /')
	diff <(own_words err) <(seq 300 | sed 's/^/err /')
	map --host n0,n1 -k -j 1 'head -c 200000 /dev/zero | tr "\0" {}' ::: a b c d | cmp - <(for c in a b c d; do
		head -c 200000 /dev/zero | tr '\0' $c; done)
	run -3 --separate-stderr map --host n0,n1 -k 'echo {}; exit {}' ::: 0 1 2 0 3
	[[ $output == $'0\n1\n2\n0\n3' && $(own_words) == "" ]]
	yes | map --host n0,n1 -k echo 2>err | head -3 >out
	[[ $(<out) == $'y\ny\ny' ]]
	[[ $(own_words err) == "" ]]
	run -0 --separate-stderr on n0 bash -c '"$1" map --host n0,n1 -k echo {1}{2} :::: <(seq 2) <(seq 3)' - "$RANKPOOL"
	[[ $output == $'11\n12\n13\n21\n22\n23' ]]
}

@test "what is missing on a node fails the jobs there, or all" {
	on n0 sh -c 'echo "#!/bin/sh" >/tmp/tool; chmod +x /tmp/tool; mkdir -p /tmp/only'
	run --separate-stderr map --host n0,n1 -k -j 1 /tmp/tool ::: $(seq 10)
	((status > 0 && status < 10))
	[[ $stderr == *"/tmp/tool: not found"* && $output == "" ]]
	run -255 --separate-stderr on n0 sh -c 'cd /tmp/only && exec "$1" map --host n0,n1 -j 1 echo ::: 1 2 3 4' - "$RANKPOOL"
	[[ $stderr == *"cannot enter /tmp/only: No such file or directory"*"host n1"* ]]
	(($(own_words | wc -l) == 1))
	until_true 5 nodes_are_quiet
}

@test "hosts that are not there are named within seconds" {
	local began=$SECONDS

	run -255 --separate-stderr map --host n0,n7 'touch started;:' ::: a
	(($(own_words | wc -l) == 1))
	[[ $(own_words) == "rankpool map: "*n7* && ! -e started ]]
	((SECONDS - began < 20))
	until_true 5 nodes_are_quiet
}

# What nsenter, which enters a node's process namespace by a child, has as that.
set_program()
{
	until_true 10 pgrep -P "$1" >/dev/null
	program=$(pgrep -P "$1")
}

# interrupted: starts jobs on three nodes, one at a time on each, and interrupts the front once all run.
interrupted()
{
	local pid

	mkdir -p run
	rm -f run/*
	(cluster_enter n0 env --default-signal=INT "$RANKPOOL" map --host n0,n1,n2 -k -j 1 '
		trap "echo ended >>run/log.{}; exit 1" TERM
		(trap "" TERM; exec setsid sleep 100 >/dev/null 2>&1) & : >run/began.{}
		tries=0; until [ -e run/go ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.02; done; echo {}' \
		::: a b c d e) >out 2>err </dev/null &
	front=$!
	until_true 20 eval '(($(ls run | grep -c began) == 3))'
	set_program $front
	kill -INT "$program"
	until_true 10 grep -q "starting nothing more" err
}

@test "a first signal lets the running jobs finish, a second one ends them, on every node" {
	local number=0

	interrupted
	: >run/go
	wait $front || number=$?
	((number == 130))
	[[ $(<out) == $'a\nb\nc' ]]
	[[ $(tail -1 err) == "rankpool map: 3 jobs done, 0 of them failed, 0 ended, 2 not started" ]]
	until_true 5 nodes_are_quiet
	interrupted
	kill -INT "$program"
	number=0
	wait $front || number=$?
	((number == 130))
	[[ $(tail -1 err) == "rankpool map: 0 jobs done, 0 of them failed, 3 ended, 2 not started" ]]
	(($(ls run | grep -c log) == 3))
	until_true 5 nodes_are_quiet
}

@test "killed with SIGKILL the front leaves no process on any node" {
	(cluster_enter n0 "$RANKPOOL" map --host n0,n1,n2 -j 1 ': >began.{}; setsid sleep 1000 & sleep 1000' ::: a b c) \
		>out 2>err </dev/null &
	local front=$!

	until_true 20 eval '(($(ls | grep -c ^began) == 3))'
	set_program $front
	kill -KILL "$program"
	wait $front || true
	until_true 15 nodes_are_quiet
}
