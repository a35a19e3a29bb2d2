# shellcheck shell=bash
# lib.bash - loaded by every bats file: where things are, and a look for what a test has left behind.
#
#	load lib
#	@test "..." { run "$RANKPOOL" ...; }
#
# `make check` sets the paths; without it the tree is taken that this file is in, with its build/.

if type -t bats_require_minimum_version >/dev/null; then
	bats_require_minimum_version 1.5.0      # for run -N
fi

# What configure found for a variable of the Makefile.
config_value()
{
	sed -n "s/^S\[\"$1\"\]=\"\(.*\)\"$/\1/p" "$top_builddir/config.status"
}

: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${top_builddir:=$top_srcdir/build}"
: "${RANKPOOL:=$top_builddir/launcher/.libs/rankpool}"
: "${CC:=gcc}"
: "${MPIRUN:=$(config_value MPIRUN)}"
: "${MPI_NAME:=$(config_value MPI_NAME)}"
export top_srcdir top_builddir RANKPOOL CC MPIRUN MPI_NAME
case :${LD_LIBRARY_PATH-}: in
*":$top_builddir/lib/.libs:"*) ;;
*) export LD_LIBRARY_PATH=$top_builddir/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
esac

# Open MPI keeps memory until its process ends, so that with the address sanitizer every rank would fail for what is not ours.
case ${BATS_TEST_FILENAME##*/} in
cluster.bats | everywhere.bats | launch.bats | losses.bats | map_hosts.bats | map_nodes.bats | *slurm.bats | run.bats | run_nodes.bats | \
	start.bats)
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 ;;
esac

own_shm()
{
	find /dev/shm -mindepth 1 -maxdepth 1 -user "$(id -u)" 2>/dev/null
	echo end
}

# Pids of the processes that this test has started and that still run, wherever in the process tree they are now: they have
# the mark in the environment that they were started with.  Commands run in a cleared environment escape.
test_processes()
{
	local environ

	for environ in $(mark=$TEST_MARK; unset TEST_MARK; grep -lszxF "TEST_MARK=$mark" /proc/[0-9]*/environ); do
		environ=${environ#/proc/}
		echo "${environ%/environ}"
	done
}

# until_true SECONDS COMMAND...: runs the command until it succeeds; 1 when it never did.
until_true()
{
	local end=$((SECONDS + $1 + 1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

# mpi RANKS COMMAND...: so many ranks of a program, or more programs after a word ":" each, by the mpirun of the MPI that was
# built with; for a minute at most, as a rank that hangs should cost this test only.  MPI_TCP=1: they speak over TCP, as nodes do.
# MPI_BIND=core: bound so; MPI_INPUT=FILE: what the first rank reads.
mpi()
{
	local options=(-n)

	[[ -n $MPIRUN ]] || { echo "configure found no mpirun of the MPI that this is built with"; return 1; }
	case $MPI_NAME in
	openmpi)
		options=(--oversubscribe --bind-to "${MPI_BIND:-none}")
		# Its own directories: what it keeps in /tmp is shared by all that runs, and in /dev/shm it leaves what was
		# killed with -9, which would count as left by the test.
		options+=(--mca orte_tmpdir_base "$BATS_TEST_TMPDIR" --mca btl_vader_backing_directory "$BATS_TEST_TMPDIR")
		[[ -z ${MPI_TCP-} ]] || options+=(--mca btl "tcp,self")
		((EUID)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
		options+=(-n) ;;
	mpich)
		[[ -z ${MPI_BIND-} ]] || options=(-bind-to "$MPI_BIND" -n)
		[[ -z ${MPI_TCP-} ]] || export UCX_TLS=tcp,self MPIR_CVAR_NOLOCAL=1 ;;
	esac
	# MPI itself gives back little at its end, in modules that are no longer loaded when the sanitizer looks.
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	timeout -k 5 "${MPI_TIMEOUT:-60}" "$MPIRUN" "${options[@]}" "$@" <"${MPI_INPUT:-/dev/null}"
}

# What the test has left: "process PID" and "file NAME", one a line.  A file that a process has mapped is not left but in use:
# by one of the test's, which is here then, or by something else that runs on this machine, as another test's mpirun.
# Nothing else is run while processes are looked for: it would have the test's mark, and be found.
leftovers()
{
	local file pid processes

	processes=$(test_processes)
	for pid in $processes; do
		echo "process $pid"
	done
	for file in $(own_shm | grep -vxF "$test_shm"); do
		grep -qsF " $file" /proc/[0-9]*/maps || echo "file $file"
	done
}

nothing_left()
{
	[[ -z $(leftovers) ]]
}

# A file with a setup or teardown of its own calls these two in them.
test_begin()
{
	export TEST_MARK=$$.$BATS_TEST_NUMBER.$RANDOM$RANDOM
	test_shm=$(own_shm)
	cd "$BATS_TEST_TMPDIR" || return
}

# Processes may outlive their parent by the second that rankpool promises.
test_end()
{
	local kind name

	export -n TEST_MARK     # the processes started from here on are not the test's
	until_true 2 nothing_left && return
	while read -r kind name; do
		echo "left behind: $kind $name"
		if [[ $kind == process ]]; then
			echo "its command: $(tr '\0' ' ' <"/proc/$name/cmdline")"
			kill -KILL "$name"
		fi
	done < <(leftovers)
	return 1
}

setup()
{
	test_begin
}

teardown()
{
	test_end
}
