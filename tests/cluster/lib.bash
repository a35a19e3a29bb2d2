# shellcheck shell=bash
# cluster/lib.bash - a cluster on this machine: N nodes n0, n1, ... made of namespaces, with real TCP between them.
#
#	source tests/cluster/lib.bash
#	reason=$(cluster_missing) || skip "$reason"
#	cluster_up 3
#	cluster_on n1 hostname
#	cluster_mpirun -n 3 ./program           # on n0, over all nodes, one slot each
#	cluster_cut n2; cluster_kill n1
#	cluster_down
#
# A node has its own network, host name, processes, /proc, /dev/shm, /tmp and SysV objects, and the same files otherwise.
# Directories that all nodes see although they lie in /tmp: the current one at cluster_up, the trees of the source and the
# build, what bats made for its run, and those in CLUSTER_SHARE (separated by colons).
#
# How it is made so that nothing can be left behind: all of it lives in one process namespace, with a network of its own that
# the host has no way to.  Its first process, the keeper (keeper.sh), ends when the process that made the cluster has ended,
# however that was; then the kernel kills all that is in it, and networks and mounts go with their last process.  So
# addresses and names are the same in every cluster, and any number of them may be up at once.  On the host there is one
# directory, $CLUSTER, removed when the keeper has gone; where the process that does this was killed too, `cluster.sh clean`
# does it.
#
# Processes on a node do not descend from those that start them from another node: like sshd, the node's first process
# (node.sh) starts them, and agent.sh asks it to, as ssh would.

: "${cluster_scripts:=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}"

# Whether a cluster can be made here; prints why not.
cluster_missing()
{
	local command message

	for command in ip mount nsenter setsid timeout unshare; do
		command -v "$command" >/dev/null || { echo "no command $command"; return 1; }
	done
	message=$(unshare --pid --fork --mount --uts --ipc --net sh -ec '
		hostname n0
		mount -t tmpfs tmpfs /dev/shm
		mount -t proc proc /proc
		ip link add lan type bridge
		ip link add n0 type veth peer name eth0' 2>&1) || { echo "no namespaces here: ${message//$'\n'/; }"; return 1; }
}

# identity PID: what tells this process from a later one with the same number; nothing when there is none.
identity()
{
	local stat

	read -r stat 2>/dev/null <"/proc/$1/stat" || return
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- "$1" $stat
	[[ $2 != [ZX] ]] && echo "$1 ${21}"
}

# Directories of clusters whose maker has gone, and whose keeper or remover was killed too.
cluster_clean()
{
	local directory owner keeper

	for directory in "${TMPDIR:-/tmp}"/rankpool-cluster.*.*; do
		[[ -d $directory && -O $directory ]] || continue
		owner=${directory#*/rankpool-cluster.}
		owner=$(identity "${owner%.*}") || owner=""
		# Without a file, it was killed early, or is about to write it.
		[[ -z $owner || $owner != "$(cat "$directory/owner" 2>/dev/null || echo "$owner")" ]] || continue
		keeper=$(cat "$directory/keeper" 2>/dev/null) || keeper=""
		[[ -z $keeper || $(identity "${keeper% *}") != "$keeper" ]] || kill -KILL "${keeper% *}"
		rm -rf "$directory"
	done
}

# wait_until SECONDS COMMAND...: 1 when the command never succeeded.
wait_until()
{
	local end=$((SECONDS + $1 + 1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# cluster_wait_ready COUNT: until as many machines have said that they are up.
cluster_wait_ready()
{
	local said log word="" count=$1 end=$((SECONDS + 20))

	exec {said}<>"$CLUSTER/said" {log}<"$CLUSTER/log"      # to be read also when it has been removed
	while ((count > 0 && SECONDS < end)) && [[ $word != failed ]]; do
		read -r -t 1 -u "$said" word || continue
		((count--))
	done
	[[ $word != failed ]] || count=-1
	((count == 0)) || { echo "the cluster did not come up:"; cat <&"$log"; }
	exec {said}>&- {log}<&-
	return $((count != 0))
}

# What programs on the nodes find in their environment, for Open MPI 4, Open MPI 5 (PRRTE) and MPICH (hydra).
cluster_environment()
{
	local name

	echo "export CLUSTER='$CLUSTER' TMPDIR=/tmp"
	for name in ASAN_OPTIONS UBSAN_OPTIONS; do
		[[ -z ${!name-} ]] || echo "export $name='${!name}'"
	done
	echo "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
	echo "export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1"
	echo "export OMPI_MCA_plm_rsh_agent='$CLUSTER/agent' PRTE_MCA_plm_ssh_agent='$CLUSTER/agent'"
	for name in OMPI_MCA_plm_rsh_no_tree_spawn PRTE_MCA_plm_ssh_no_tree_spawn; do
		echo "export $name=1"
	done
	for name in OMPI_MCA_oob_tcp_if_include OMPI_MCA_btl_tcp_if_include PRTE_MCA_prte_if_include; do
		echo "export $name=10.77.0.0/24"
	done
	# Every node thinks that it has all CPUs: bound, the first ranks of all nodes would be on CPU 0.
	echo "export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none"
	echo "export HYDRA_LAUNCHER=ssh HYDRA_LAUNCHER_EXEC='$CLUSTER/agent' HYDRA_IFACE=eth0"
	# MPICH's UCX sees one machine, and would try its shared memory and its lo between nodes.
	echo "export UCX_TLS=tcp,self UCX_NET_DEVICES=eth0"
}

# cluster_up N: n0 ... n(N-1) and head, the machine at whose ports their cables end.  It is up until cluster_down, or until
# the process CLUSTER_OWNER (this one, unless said) ends.  Sets CLUSTER and CLUSTER_HOSTS.
cluster_up()
{
	local i hosts=() owner=${CLUSTER_OWNER:-$$}

	cluster_clean
	CLUSTER=$(mktemp -d "${TMPDIR:-/tmp}/rankpool-cluster.$owner.XXXXXX") || return
	chmod 711 "$CLUSTER"                    # munge wants its socket to be reachable by all
	identity "$owner" >"$CLUSTER/owner"
	{
		echo "127.0.0.1 localhost"
		echo "10.77.0.254 head"
		for ((i = 0; i < $1; i++)); do
			echo "10.77.0.$((i + 1)) n$i"
			hosts+=("n$i")
		done
	} >"$CLUSTER/hosts"
	CLUSTER_HOSTS=$(IFS=,; echo "${hosts[*]}")
	export CLUSTER CLUSTER_HOSTS
	cluster_environment >"$CLUSTER/environment"
	printf '#!/bin/sh\nCLUSTER=%q exec %q "$@"\n' "$CLUSTER" "$cluster_scripts/agent.sh" >"$CLUSTER/agent"
	chmod +x "$CLUSTER/agent"
	mkfifo "$CLUSTER/said"
	mkdir "$CLUSTER/mnt" "$CLUSTER/proc" "$CLUSTER/requests"
	: >"$CLUSTER/log"
	# Not in this session, so that a Ctrl-C does not get there before what it interrupts.  It says "3>&-" as bats waits for
	# all who hold its descriptor 3.
	CLUSTER_SHARE=${CLUSTER_SHARE-}:$CLUSTER:$PWD:${top_srcdir-}:${top_builddir-}:${BATS_RUN_TMPDIR-} \
		setsid bash "$cluster_scripts/start.sh" "$owner" "${hosts[@]}" </dev/null >>"$CLUSTER/log" 2>&1 3>&- 4>&- &
	disown
	cluster_wait_ready $(($1 + 1)) || { cluster_down; return 1; }
}

cluster_gone()
{
	[[ ! -d $CLUSTER ]]
}

# After it nothing of the cluster runs: the kernel lets the first process of a namespace go only after all others.
cluster_down()
{
	local keeper

	[[ -d ${CLUSTER-} ]] || return 0
	keeper=$(cat "$CLUSTER/keeper" 2>/dev/null) || keeper=""
	if [[ -n $keeper && $(identity "${keeper% *}") == "$keeper" ]]; then
		kill -KILL "${keeper% *}"
	elif [[ -z $keeper ]]; then
		rm -rf "$CLUSTER"       # a keeper that comes now ends, as it has nowhere to begin
	fi
	wait_until 10 cluster_gone || { echo "the cluster in $CLUSTER is still there"; return 1; }
	unset CLUSTER CLUSTER_HOSTS
}

# cluster_init NODE: the pid of its first process; fails when it was killed.
cluster_init()
{
	local init

	init=$(cat "$CLUSTER/$1.init") && [[ $(identity "${init% *}") == "$init" ]] && echo "${init% *}"
}

# cluster_enter NODE COMMAND...: instead of this shell.
cluster_enter()
{
	local init

	init=$(cluster_init "$1") || { echo "cluster: no node $1 is up" >&2; exit 255; }
	shift
	# shellcheck disable=SC2016
	exec nsenter -t "$init" -m -u -i -n -p \
		sh -c 'cd "$1" && . "$0" && shift && exec "$@"' "$CLUSTER/environment" "$PWD" "$@"
}

# cluster_on NODE COMMAND...: from this machine.  The status is that of the command.
cluster_on()
{
	(cluster_enter "$@")
}

# cluster_mpirun ARGUMENTS...: mpirun, or MPIRUN, which is that of MPICH when MPI_NAME says so, on n0, over all nodes with
# one slot each; ended after CLUSTER_TIMEOUT seconds (60).
# What somebody else has said, without what Open MPI's mpirun sometimes says about its own fork: it sets the process group of a
# child that may have done exec already.
cluster_own_words()
{
	grep -v 'plm:rsh: Warning: setpgid(.*) failed in parent' || true
}

cluster_mpirun()
{
	local hosts=--host

	[[ ${MPI_NAME-} != mpich ]] || hosts=-hosts
	cluster_on n0 timeout -k 5 "${CLUSTER_TIMEOUT:-60}" "${MPIRUN:-mpirun}" $hosts "$CLUSTER_HOSTS" "$@"
}

# cluster_cut NODE: its cable is pulled out.  Nothing tells the programs at either end.
cluster_cut()
{
	nsenter -t "$(cluster_init head)" -n ip link set "$1" down
}

cluster_mend()
{
	nsenter -t "$(cluster_init head)" -n ip link set "$1" up
}

# cluster_processes NODE: pids, as seen from here, of all its processes but the first.
cluster_processes()
{
	local init namespace pid

	init=$(cluster_init "$1") || return 0
	namespace=$(readlink "/proc/$init/ns/pid")
	# A process that ends meanwhile is none.
	find /proc/[0-9]*/ns/pid -maxdepth 0 -lname "${namespace//[][]/?}" 2>/dev/null |
		while IFS=/ read -r _ _ pid _; do
			[[ $pid == "$init" ]] || echo "$pid"
		done
}

cluster_dead()
{
	! cluster_init "$1" >/dev/null
}

# cluster_kill NODE: its power goes; it stays off.
cluster_kill()
{
	local init

	init=$(cluster_init "$1") || return 0
	kill -KILL "$init"
	wait_until 10 cluster_dead "$1"
}
