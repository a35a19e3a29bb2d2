#!/usr/bin/env bash
# node.sh NAME - the first process of a node: makes its surroundings, then is its sshd.  A request is a directory that
# agent.sh has filled, its name comes through the node's door.

set -eu
name=$1
# shellcheck source=tests/cluster/machine.bash
source "$(dirname "$0")/machine.bash"
trap '(($? == 0)) || echo failed >&6' EXIT

# /proc is still the keeper's, who is 1 there.
ip link add eth0 type veth peer name "$name" netns /proc/1/ns/net
nsenter --net=/proc/1/ns/net ip link set "$name" master lan up
furnish "$name"
umount "$CLUSTER/proc"
ip addr add "$(awk -v name="$name" '$2 == name { print $1 }' /etc/hosts)/24" dev eth0
ip link set eth0 up
mkfifo "$CLUSTER/$name.door"
exec 8<>"$CLUSTER/$name.door"
echo up >&6
trap - EXIT
exec 6<&-

serve()
{
	local status=0

	exec >"$1/out" 2>"$1/err" </dev/null 8<&-
	# What a shell starts in the background ignores SIGINT.
	setsid -w env --default-signal sh -c "$(<"$1/command")" || status=$?
	echo $status 1<>"$1/status"
}

while true; do
	read -r -u 8 request || continue
	serve "$request" &
done
