#!/usr/bin/env bash
# keeper.sh OWNER NODE... - the first process of a cluster's namespace, and its machine "head": lays the network, starts the
# nodes, and ends when the process OWNER has ended; see lib.bash.  It looks five times a second, as a shell cannot wait for a
# process that is not its child.

set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cluster/machine.bash
source "$scripts/machine.bash"
# Held open in both directions, to be there when it is read, and not to wait for a reader who may have died.
exec 6<>"$CLUSTER/said"
trap '(($? == 0)) || echo failed >&6' EXIT
exec 7<"/proc/$1" 8<> <(:)      # this directory is that process's for ever, whoever gets its number next
shift

owner_lives()
{
	local stat

	{ read -r stat </proc/self/fd/7/stat; } 2>/dev/null && [[ ${stat##*) } != [ZX]* ]]
}

mount --bind /proc "$CLUSTER/proc"
furnish head
mv "$CLUSTER/head.init" "$CLUSTER/keeper"
ln -s keeper "$CLUSTER/head.init"
ip link add lan type bridge
ip addr add 10.77.0.254/24 dev lan
ip link set lan up
for name; do
	unshare --pid --fork --kill-child --mount --uts --ipc --net bash "$scripts/node.sh" "$name" 7<&- 8<&- &
done
echo up >&6
while owner_lives; do
	read -r -t 0.2 -u 8 || true
done
