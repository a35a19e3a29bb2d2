#!/usr/bin/env bats
# Slurm on a cluster: batch scripts and srun start MPI programs on both, and files of a Slurm that is this
# machine's own are not touched.

load lib
load cluster/lib
load slurm/lib

bats_require_minimum_version 1.5.0

hello=$top_builddir/tests/cluster/hello
# More than two ranks of MPICH may hang at the end: see cluster.bats.
per_node=$([[ $MPI_NAME == mpich ]] && echo 1 || echo 2)

setup_file()
{
	local reason

	cd "$BATS_FILE_TMPDIR" || return
	if reason=$(slurm_missing); then
		: >begun
		slurm_up 4
	else
		echo "$reason" >reason
	fi
}

setup()
{
	test_begin
	[[ ! -e $BATS_FILE_TMPDIR/reason ]] || skip "$(<"$BATS_FILE_TMPDIR/reason")"
}

teardown_file()
{
	slurm_down
}

# ranks N PER_NODE: what hello prints, sorted.
ranks()
{
	local i

	for ((i = 0; i < $1; i++)); do
		echo "$i of $1 on n$((i / $2)): right"
	done | sort
}

@test "mpirun in a batch script" {
	cat >job <<-end
		#!/bin/sh
		#SBATCH --nodes=2 --ntasks-per-node=$per_node
		$MPIRUN -n $((2 * per_node)) $hello
	end
	slurm_sbatch_wait job >out
	[[ $(sort out) == "$(ranks $((2 * per_node)) $per_node)" ]]
}

@test "srun in a batch script" {
	local kind

	case $MPI_NAME in
	openmpi) kind=pmix ;;
	mpich) kind=pmi2 ;;
	*) skip "not known what this MPI wants of srun" ;;
	esac
	slurm_srun --mpi=list 2>&1 | grep -q $kind || skip "this Slurm has no $kind"
	cat >job <<-end
		#!/bin/sh
		#SBATCH --nodes=2 --ntasks-per-node=$per_node
		srun --mpi=$kind $hello
	end
	slurm_sbatch_wait job >out
	[[ $(sort out) == "$(ranks $((2 * per_node)) $per_node)" ]]
}

@test "srun" {
	[[ $(slurm_srun -N 2 -n 4 --mpi=none sh -c 'echo $SLURM_PROCID $(hostname)' | sort) == $'0 n0\n1 n0\n2 n1\n3 n1' ]]
}

@test "the status of a batch script" {
	printf '#!/bin/sh\necho said $1\nexit 7\n' >job
	run -7 slurm_sbatch_wait job this
	[[ $output == "said this" ]]
	printf '#!/bin/sh\nkill -TERM $$\n' >job
	run -143 slurm_sbatch_wait job
	printf '#!/bin/sh\necho begun; sleep 1234\n' >job
	CLUSTER_TIMEOUT=2 run -124 slurm_sbatch_wait job
	[[ ${lines[0]} == begun ]]
	[[ $output == *"was ended after 2 s" ]]
	until_true 20 eval '! cluster_on n0 pgrep -x sleep'
}

@test "a node is lost" {
	printf '#!/bin/sh\nsrun --mpi=none sleep 1234\n' >job
	cluster_on head sbatch --parsable -N 2 -w n2,n3 --no-requeue -o job.out job >id
	until_true 20 cluster_on n3 pgrep -x sleep
	cluster_kill n3
	until_true 60 eval '[[ $(cluster_on head squeue -h -j "$(<id)" -o %T 2>&1) != RUNNING ]]'
	until_true 60 eval '! cluster_on n2 pgrep -x sleep'
}

@test "nothing of this machine's own Slurm is touched" {
	local directories=(/{etc,run,var/{lib,log,spool}}/{munge,slurm,slurmctld,slurmd})

	[[ -e $BATS_FILE_TMPDIR/begun ]]
	[[ -z $(find "${directories[@]}" -newer "$BATS_FILE_TMPDIR/begun" 2>/dev/null) ]]
}
