#!/usr/bin/env bash
# agent.sh [OPTION...] HOST COMMAND... - to a cluster's nodes what ssh is to real ones: for plm_rsh_agent of mpirun and
# -launcher-exec of hydra.  255 and a sentence when HOST is not known or not to be reached; without standard input.

set -u
export LC_ALL=C
while [[ ${1-} == -* ]]; do
	case $1 in
	-[bceFiJLlmoOpRSwW]) shift 2 ;;
	*) shift ;;
	esac
done
host=${1-}
shift

die()
{
	echo "ssh: $*" >&2
	exit 255
}

# No node listens there: to be refused is to have reached it.
case $(timeout 5 bash -c ": <>/dev/tcp/$host/22" 2>&1; echo $?) in
*"Connection refused"*) ;;
*"No route"* | *unreachable* | 124) die "connect to host $host port 22: No route to host" ;;
*) die "Could not resolve hostname $host: Name or service not known" ;;
esac

request=$(mktemp -d "$CLUSTER/requests/XXXXXX") || exit 255
trap 'rm -rf "$request"' EXIT
mkfifo "$request"/{out,err,status}
echo "$*" >"$request/command"
exec 9<>"$request/status"
cat "$request/out" 9>&- &
cat "$request/err" >&2 9>&- &
echo "$request" 1<>"$CLUSTER/$host.door"
read -r status <&9
wait
exit "$status"
