#!/usr/bin/env bash
# keeper.sh OWNER NODE... - the first process of a cluster's namespace, and its machine "head": lays the network, starts the
# nodes, and ends when the process OWNER has ended; see lib.bash.  It looks five times a second, as a shell cannot wait for a
# process that is not its child.

set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cluster/machine.bash
source "$scripts/machine.bash"
trap '(($? == 0)) || echo failed >"$CLUSTER/said"' EXIT
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
echo up >"$CLUSTER/said"
while owner_lives; do
	read -r -t 0.2 -u 8 || true
done
