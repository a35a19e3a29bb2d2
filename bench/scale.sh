#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# scale.sh - what many nodes cost the manager, as tables in Markdown: docs/scale.md has what follows from it.
#
# First before real agents, each a rank on this machine that counts as a node of its own, $SCALE_AGENTS (2 4 8 16 32) of them;
# then before $SCALE_CROWD (100 1000 10000) calculated ones, whose messages do not pass through MPI.  `make scale` sets the
# paths.  CPU times are those of the thread that owns MPI: they say something on a busy machine too.
set -eu

: "${top_builddir:=build}"
: "${SCALE_AGENTS:=2 4 8 16 32}"
: "${SCALE_CROWD:=100 1000 10000}"
bench=$top_builddir/bench

# row KIND: makes of a line of bench/scale a row.
row()
{
	awk -v kind="$1" '{
		messages = $5 + $6
		printf "| %s | %d | %d | %d | %.0f | %d + %d | %.4f | %.1f | %.0f | %.3f | %.1f |\n", kind, $1, $2, $3, $4, $5, $6,
			messages / $3, ($7 + $8) / $3, $9 / 1000, $9 / $3, $9 / messages
	}'
}

heading()
{
	echo
	echo "| work | nodes | workers | items | ms | messages out + in | per item | bytes per item | CPU ms | µs per item | µs per message |"
	echo "|---|---|---|---|---|---|---|---|---|---|---|"
}

# agents NODES KIND WORKERS ITEMS
agents()
{
	set -- $(($1 + 1)) "$bench/scale" "$2" "$3" "$4"
	[ "${MPI_NAME-}" != openmpi ] || set -- "$1" --oversubscribe --bind-to none "$2" "$3" "$4" "$5"
	[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	RANKPOOL_NODES=rank RANKPOOL_MANAGER_ONLY=1 timeout -k 5 300 "$MPIRUN" -n "$@" </dev/null
}

# crowd NODES NANOSECONDS KIND WORKERS ITEMS
crowd()
{
	OMPI_COMM_WORLD_SIZE=$(($1 + 1)) OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_LOCAL_RANK=0 RANKPOOL_MANAGER_ONLY=1 \
		CROWD_NODES=$1 CROWD_ITEM=$2 timeout -k 5 300 "$bench/crowd" "$3" "$4" "$5"
}

echo "Real agents, 2 workers each"
heading
for n in $SCALE_AGENTS; do agents "$n" cheap 2 1000000 | row "cheap items"; done
for n in $SCALE_AGENTS; do agents "$n" sleep 2 $((n * 100)) | row "items of 1 ms"; done
for n in $SCALE_AGENTS; do agents "$n" submit 2 5000 | row "single tasks"; done

echo
echo "Calculated nodes, 64 workers each"
heading
for n in $SCALE_CROWD; do crowd "$n" 10000 cheap 64 $((n * 6400)) | row "items of 10 µs"; done
for n in $SCALE_CROWD; do crowd "$n" 100000000 sleep 64 $((n * 640)) | row "items of 100 ms"; done
for n in $SCALE_CROWD; do crowd "$n" 10000000 submit 64 100000 | row "single tasks of 10 ms"; done
