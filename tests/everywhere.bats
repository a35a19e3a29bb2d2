#!/usr/bin/env bats
# One program that uses one of everything (tests/everywhere.c) prints the same, byte for byte, wherever it is started.

load lib
load cluster/lib
load slurm/lib

bats_require_minimum_version 1.5.0

program=$top_builddir/tests/everywhere

# The hashes are those of one worker.
expected="map: 5759583.25 16404493.25 4243947768.25, all 4b6257099ffae9f4
map_bytes: '' 'text 757;text 757;text 757;', 1073807 bytes, all 908381fd455ba458
map with bad items: No child processes, the first is 7
item 7: failed, code 1, try 1: item 7 does not want to
item 23: died, code -11, try 1: ...
item 31: failed, code -5, try 1: the task returned -5
apply: -5
apply of a bad item: refused
map: 5759583.25 16404493.25 4243947768.25, all 4b6257099ffae9f4"

teardown()
{
	cluster_down
	test_end
}

# same COMMAND...: prints that and nothing else, and succeeds.
same()
{
	run -0 --separate-stderr "$@"
	diff - <(echo "$output") <<<"$expected"
	stderr=$(cluster_own_words <<<"$stderr")
	[[ -z $stderr ]] || { echo "stderr: $stderr"; return 1; }
}

nodes_are_quiet()
{
	local node

	for node in ${CLUSTER_HOSTS//,/ }; do
		[[ -z $(cluster_processes "$node") ]] || return
	done
}

@test "a plain process, with any number of workers" {
	local workers

	for workers in 1 2 7; do
		RANKPOOL_WORKERS=$workers same "$program"
	done
	same "$program"
}

@test "the ranks of one machine" {
	same mpi 1 "$program"
	same mpi 2 "$program"
	same mpi 5 "$program"
}

@test "ranks that are a node each" {
	export RANKPOOL_NODES=rank
	same mpi 3 "$program"
	RANKPOOL_WORKERS=4 same mpi 2 "$program"
	RANKPOOL_MANAGER_ONLY=1 same mpi 2 "$program"
}

@test "three nodes" {
	local reason

	reason=$(cluster_missing) || skip "$reason"
	[[ $MPI_NAME == openmpi ]] || skip "MPICH's MPI_Finalize hangs now and then when UCX uses TCP"
	cluster_up 3
	same cluster_mpirun -n 3 "$program"
	same cluster_mpirun --oversubscribe -n 6 "$program"
	until_true 5 nodes_are_quiet
}

@test "a batch script on two nodes of Slurm, by mpirun and by srun" {
	local reason

	reason=$(slurm_missing) || skip "$reason"
	[[ $MPI_NAME == openmpi ]] || skip "MPICH's MPI_Finalize hangs now and then when UCX uses TCP"
	slurm_up 2
	printf '#!/bin/sh\n#SBATCH --nodes=2 --ntasks-per-node=%d\n%s\n' 1 "$MPIRUN $program" >one
	printf '#!/bin/sh\n#SBATCH --nodes=2 --ntasks-per-node=%d\n%s\n' 2 "$MPIRUN $program" >two
	same slurm_sbatch_wait one
	same slurm_sbatch_wait two
	slurm_srun --mpi=list 2>&1 | grep -q pmix || skip "this Slurm has no PMIx"
	printf '#!/bin/sh\n#SBATCH --nodes=2 --ntasks-per-node=%d\n%s\n' 1 "srun --mpi=pmix $program" >three
	printf '#!/bin/sh\n#SBATCH --nodes=2 --ntasks-per-node=%d\n%s\n' 2 "srun --mpi=pmix $program" >four
	same slurm_sbatch_wait three
	same slurm_sbatch_wait four
	same slurm_srun -N 2 --mpi=pmix "$program"
}
