#!/usr/bin/env bash
# cluster.sh - a cluster of namespaces on this machine, by hand; lib.bash says what it is.
#
#	cluster.sh run N [--] COMMAND...    N nodes, COMMAND on the first; takes them down and has the status of COMMAND
#	eval "$(CLUSTER_OWNER=$$ cluster.sh up N)"      N nodes until this shell ends; prints how to use them
#	cluster.sh on NODE COMMAND...       these, and more of the functions in lib.bash, want CLUSTER in the environment
#	cluster.sh mpirun ARGUMENTS...
#	cluster.sh cut|mend|kill|processes NODE
#	cluster.sh slurm                    starts Slurm on them: sbatch and srun on head and the nodes; see ../slurm/lib.bash
#	cluster.sh down
#	cluster.sh clean                    removes what is left of clusters whose makers were killed, and their removers too

set -u
cluster_scripts=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=tests/cluster/lib.bash
source "$cluster_scripts/lib.bash"
# shellcheck source=tests/slurm/lib.bash
source "$cluster_scripts/../slurm/lib.bash"

usage()
{
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
}

die()
{
	echo "cluster.sh: $*" >&2
	exit 2
}

up()
{
	local reason

	[[ ${1-} =~ ^[1-9][0-9]?$ ]] || die "how many nodes? 1 to 99"
	reason=$(cluster_missing) || die "$reason"
	cluster_up "$1"
}

run()
{
	trap 'exec 2>/dev/null; cluster_down' EXIT      # quiet about the command that this kills
	trap 'exit 130' INT
	trap 'exit 143' TERM
	up "${1-}" || exit
	shift
	[[ ${1-} != -- ]] || shift
	# Waited for, as a trap has to wait for a command in the foreground; and what a shell starts so ignores SIGINT.
	cluster_enter n0 env --default-signal "$@" <&0 &
	wait $!
	exit
}

case ${1-} in
run)
	shift
	run "$@" ;;
up)
	: "${CLUSTER_OWNER:=$PPID}"
	up "${2-}" || exit
	cat <<-end
		export CLUSTER=$CLUSTER CLUSTER_HOSTS=$CLUSTER_HOSTS
		# Set these two in your shell, then:
		#   $0 on n0 hostname
		#   $0 mpirun hostname
		#   $0 on n0 mpirun --host $CLUSTER_HOSTS PROGRAM
		#   $0 cut n0;  $0 mend n0;  $0 kill n0;  $0 processes n0
		#   $0 down
	end
	;;
clean) cluster_clean ;;
slurm)
	[[ -d ${CLUSTER-} ]] || die "CLUSTER does not name a cluster that is up"
	reason=$(slurm_missing) || die "$reason"
	slurm_up "" ;;
on | mpirun | cut | mend | kill | processes | down)
	[[ -d ${CLUSTER-} ]] || die "CLUSTER does not name a cluster that is up"
	"cluster_$1" "${@:2}" ;;
-h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
