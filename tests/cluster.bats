#!/usr/bin/env bats
# The clusters that tests run on: their nodes are as separate as machines, mpirun works over them, cables can be pulled and
# nodes killed, and nothing of them outlives the process that made them, however that ended.
#
# RANKPOOL_LONG=1: more nodes, more clusters at once, interrupted at more moments.

load lib
load cluster/lib

bats_require_minimum_version 1.5.0

script=$cluster_scripts/cluster.sh
hello=$top_builddir/tests/cluster/hello

setup()
{
	local reason

	test_begin
	reason=$(cluster_missing) || skip "$reason"
	export TMPDIR=$BATS_TEST_TMPDIR         # where clusters have their directories
}

teardown()
{
	cluster_down
	test_end
}

# nodes N: n0 to n(N-1), one a line.
nodes()
{
	seq -f n%.0f 0 $(($1 - 1))
}

# The namespaces of all machines of a cluster, as /proc shows them, one a line.
namespaces()
{
	local node kind

	for node in head ${CLUSTER_HOSTS//,/ }; do
		for kind in ipc mnt net pid uts; do
			readlink "/proc/$(cluster_init "$node")/ns/$kind"
		done
	done
}

# inhabited FILE: the processes in any of the namespaces that the file lists.
inhabited()
{
	find /proc/[0-9]*/ns -type l -printf '%l %p\n' 2>/dev/null | grep -F -f "$1"
}

# What is left of clusters: directories, processes of this test, mounts.
remains()
{
	find "$TMPDIR" -maxdepth 1 -name 'rankpool-cluster.*'
	test_processes | sed 's/^/process /'
	grep -F "$TMPDIR/rankpool-cluster" /proc/self/mountinfo
}

no_remains()
{
	[[ -z $(export -n TEST_MARK; remains) ]]
}

# reaches NODE NODE: no node listens there, so that to be refused is to have got there.
reaches()
{
	[[ $(cluster_on "$1" env LC_ALL=C timeout 2 bash -c ": <>/dev/tcp/$2/22" 2>&1) == *"Connection refused"* ]]
}

@test "nodes are separate machines" {
	local n=${RANKPOOL_LONG:+8} node kind

	: "${n:=3}"
	cluster_up $n
	for node in $(nodes $n); do
		[[ $(cluster_on "$node" hostname) == "$node" ]]
		cluster_on "$node" sh -c 'hostname >/dev/shm/mark; hostname >/tmp/mark; hostname >>marks'
	done
	for node in $(nodes $n); do
		[[ $(cluster_on "$node" cat /dev/shm/mark /tmp/mark) == "$node"$'\n'"$node" ]]
		[[ $(cluster_on "$node" sh -c 'ls -d /proc/[0-9]* | wc -l') -le 4 ]]    # itself, its first, wc and sh
		reaches n0 "$node"
		reaches "$node" n0
	done
	[[ ! -e /dev/shm/mark && ! -e /tmp/mark ]]
	[[ $(<marks) == "$(nodes $n)" ]]        # while other files are those of all
	for kind in ipc mnt net pid uts; do
		for node in head $(nodes $n); do
			readlink "/proc/$(cluster_init "$node")/ns/$kind"
		done
		readlink "/proc/self/ns/$kind"
	done >kinds
	[[ $(sort -u kinds | wc -l) == "$(wc -l <kinds)" ]]
}

@test "an MPI program over all nodes, by TCP" {
	local n=${RANKPOOL_LONG:+6} bytes i

	: "${n:=3}"
	# Debian's MPICH 4.0 with UCX over TCP does not always come out of its MPI_Finalize when it has more than two ranks.
	[[ $MPI_NAME != mpich ]] || n=2
	cluster_up $n
	cluster_mpirun -n $n "$hello" >out
	[[ $(sort out) == "$(for ((i = 0; i < n; i++)); do echo "$i of $n on n$i: right"; done)" ]]
	bytes=$(cluster_on head sed -n 's/^ *n1: *\([0-9]*\) .*/\1/p' /proc/net/dev)
	((bytes > 1000000))
	[[ $MPI_NAME != mpich ]] || return 0
	cluster_mpirun --oversubscribe -n $((3 * n)) "$hello" >out
	[[ $(grep -c "of $((3 * n)) on n1: right" out) == 3 ]]
}

@test "the agent does what ssh does" {
	cluster_up 2
	run --separate-stderr -7 cluster_on n0 "$CLUSTER/agent" -x -o A=b n1 'hostname; echo "$0" >&2;' exit 7
	[[ $output == n1 ]]
	[[ $stderr == sh ]]
	run -255 cluster_on n0 "$CLUSTER/agent" nowhere hostname
	[[ $output == "ssh: Could not resolve hostname nowhere: Name or service not known" ]]
	head -c 300000 /dev/urandom >data
	cluster_on n0 "$CLUSTER/agent" n1 "cat $PWD/data" >copy
	cmp data copy
	# What it started goes on when it is killed.
	cluster_on n0 sh -c '"$CLUSTER/agent" n1 sleep 1234 & echo $!; wait' >agent &
	until_true 10 cluster_on n1 pgrep -x sleep
	cluster_on n0 kill -KILL "$(<agent)"
	wait $!
	[[ $(cluster_on n1 pgrep -a sleep) == *" sleep 1234" ]]
}

@test "a node is cut off, and is back again" {
	cluster_up 3
	reaches n0 n2
	cluster_cut n2
	run ! reaches n0 n2
	run ! reaches n2 n1
	reaches n0 n1
	run -255 cluster_on n0 "$CLUSTER/agent" n2 hostname
	[[ $output == *"n2 port 22: No route to host" ]]
	[[ $(cluster_on n2 hostname) == n2 ]]
	cluster_mend n2
	until_true 10 reaches n0 n2
	[[ $(cluster_on n0 "$CLUSTER/agent" n2 hostname) == n2 ]]
}

@test "a node is killed" {
	local pids

	cluster_up 3
	[[ -z $(cluster_processes n1) ]]
	cluster_on n1 sh -c 'setsid sleep 1234 & setsid sh -c "sleep 1234 & sleep 1234 & wait" &' >/dev/null
	until_true 10 eval '[[ $(cluster_processes n1 | wc -l) == 4 ]]'
	mapfile -t pids < <(cluster_processes n1)
	cluster_kill n1
	for pid in "${pids[@]}"; do
		[[ ! -e /proc/$pid ]]
	done
	[[ -z $(cluster_processes n1) ]]
	run -255 cluster_on n1 hostname
	[[ $output == "cluster: no node n1 is up" ]]
	run -255 cluster_on n0 "$CLUSTER/agent" n1 hostname
	[[ $(cluster_on n0 "$CLUSTER/agent" n2 hostname) == n2 ]]
}

@test "after down nothing is left" {
	local n=${RANKPOOL_LONG:+10} node

	cluster_up ${n:-2}
	for node in ${CLUSTER_HOSTS//,/ }; do
		cluster_on "$node" sh -c 'setsid sleep 1234 & echo 1 >/dev/shm/a; echo 1 >/tmp/a' >/dev/null
	done
	namespaces >spaces
	[[ $(wc -l <spaces) == $(((${n:-2} + 1) * 5)) ]]
	inhabited spaces >/dev/null
	[[ $(readlink /proc/self/ns/net) != "$(readlink "/proc/$(cluster_init head)/ns/net")" ]]
	run ! grep -F "$CLUSTER" /proc/self/mountinfo
	cluster_down
	[[ -z ${CLUSTER-} ]]
	run ! inhabited spaces
	run ! remains
}

@test "the status and output of a command" {
	run -7 "$script" run 2 -- sh -c 'hostname; exit 7'
	[[ $output == n0 ]]
	[[ $(echo input | "$script" run 1 cat) == input ]]
	run -2 "$script" run 0 hostname
	[[ $output == "cluster.sh: how many nodes? 1 to 99" ]]
	no_remains
}

@test "several at once" {
	local n=${RANKPOOL_LONG:+8} i

	for ((i = 0; i < ${n:-3}; i++)); do
		"$script" run 2 -- sh -c 'hostname; "$CLUSTER/agent" n1 hostname' >"out.$i" 2>&1 &
	done
	wait
	for ((i = 0; i < ${n:-3}; i++)); do
		[[ $(<"out.$i") == n0$'\n'n1 ]]
	done
	no_remains
}

# interrupted SIGNAL EVENT...: cluster.sh gets the signal when the event has happened.
interrupted()
{
	local signal=$1 status=0

	shift
	rm -f running
	# A shell has what it starts so ignore SIGINT.
	env --default-signal "$script" run 2 -- sh -c 'setsid sleep 1234 & : >running; sleep 1234' >out 2>&1 &
	until_true 10 "$@"
	kill -"$signal" $!
	wait $! || status=$?
	((status == 128 + $(kill -l "$signal"))) || { echo "status $status after SIG$signal"; return 1; }
	until_true 5 no_processes || { echo "after SIG$signal on $*"; remains; return 1; }
}

no_processes()
{
	[[ -z $(export -n TEST_MARK; test_processes) ]]
}

there_is()
{
	compgen -G "$TMPDIR/$1" >/dev/null
}

@test "interrupted while a command runs" {
	for signal in INT TERM KILL; do
		interrupted $signal test -e running
		no_remains
	done
}

@test "interrupted while it comes up" {
	local event i

	for event in 'rankpool-cluster.*' 'rankpool-cluster.*/keeper' 'rankpool-cluster.*/n0.init'; do
		for signal in INT TERM; do
			interrupted $signal there_is "$event"
			no_remains
		done
		interrupted KILL there_is "$event"
		cluster_clean           # there may not have been anybody yet to remove the directory
		no_remains
	done
	for ((i = RANKPOOL_LONG ? 60 : 0; i > 0; i--)); do
		interrupted KILL sleep "$(printf 0.%03d $((RANDOM % 400)))"
		cluster_clean
		no_remains
	done
}

@test "who would remove it is killed too" {
	"$script" run 2 -- sh -c ': >running; exec sleep 1234' >out 2>&1 &
	until_true 10 test -e running
	keeper=$(cut -d' ' -f1 rankpool-cluster.*/keeper)
	unshare=$(ps -o ppid= -p "$keeper")
	kill -KILL "$(ps -o ppid= -p $unshare | tr -d " ")" $!
	until_true 5 no_processes
	there_is 'rankpool-cluster.*'
	"$script" clean
	run ! there_is 'rankpool-cluster.*'
}

@test "why there is none" {
	local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups) bin=$BATS_TEST_TMPDIR/bin

	mkdir bin
	ln -s "$(command -v bash)" "$(command -v dirname)" bin
	run -1 env PATH="$bin" bash -c "source '$cluster_scripts/lib.bash'; cluster_missing"
	[[ $output == "no command ip" ]]
	((EUID == 0)) || skip "not root"
	run -1 "${nobody[@]}" bash -c "source '$cluster_scripts/lib.bash'; cluster_missing"
	[[ $output == "no namespaces here: "* ]]
	run -2 "${nobody[@]}" "$script" run 1 hostname
	[[ $output == "cluster.sh: no namespaces here: "* ]]
}
