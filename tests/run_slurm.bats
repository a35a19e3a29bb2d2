#!/usr/bin/env bats
# rankpool run in batch jobs of Slurm: the nodes are those of the allocation, started by mpirun or, without one, by srun.

load lib
load cluster/lib
load slurm/lib

bats_require_minimum_version 1.5.0

setup_file()
{
	local reason

	cd "$BATS_FILE_TMPDIR" || return
	if reason=$(slurm_missing); then
		slurm_up 2
	else
		echo "$reason" >reason
	fi
}

setup()
{
	test_begin
	[[ ! -e $BATS_FILE_TMPDIR/reason ]] || skip "$(<"$BATS_FILE_TMPDIR/reason")"
	command -v mpirun >/dev/null || skip "no mpirun"
	# shellcheck disable=SC2016
	echo 'echo $RANKPOOL_RANK/$RANKPOOL_SIZE node $RANKPOOL_NODE on $(hostname) ${OMPI_COMM_WORLD_RANK-no} ${SLURM_PROCID-no}' >who
}

teardown_file()
{
	slurm_down
}

# job OPTIONS LINE...: a batch script of these lines, run to its end.
job()
{
	{
		echo '#!/bin/sh'
		echo "#SBATCH $1"
		shift
		printf '%s\n' "$@"
	} >script
	slurm_sbatch_wait script
}

four="0/4 node 0 on n0 no no
1/4 node 0 on n0 no no
2/4 node 1 on n1 no no
3/4 node 1 on n1 no no"

@test "copies of a program on all nodes of the allocation" {
	job "--nodes=2 --ntasks-per-node=2" "$RANKPOOL run sh ./who" >out
	cat out
	[[ $(sort out) == "$four" ]]
}

@test "without tasks that were asked for there is one for each core" {
	job "--nodes=2 --cpus-per-task=2" "$RANKPOOL run sh ./who" >out
	cat out
	[[ $(sort out) == "$four" ]]
}

@test "through srun where there is no mpirun" {
	slurm_srun --mpi=list 2>&1 | grep -q pmix || skip "this Slurm has no PMIx"
	mpirun --version | grep -q "Open MPI" || skip "another MPI than Open MPI"
	mkdir bin
	for command in bash sh hostname srun; do
		ln -s "$(type -P $command)" bin
	done
	job "--nodes=2 --ntasks-per-node=2" "PATH=$PWD/bin $RANKPOOL run sh ./who" "echo status \$?" >out
	cat out
	[[ $(grep -v status out | sort) == "$four" ]]
	grep -qx "status 0" out
	job "--nodes=2 --ntasks-per-node=2" "PATH=$PWD/bin $RANKPOOL run sh -c 'exit 7'" "echo status \$?" >out 2>&1
	cat out
	grep -qx "status 7" out
}

@test "some of its nodes, and none that is not among them" {
	job "--nodes=2 --ntasks-per-node=2" "$RANKPOOL run --host n1 -N 1 sh ./who" "$RANKPOOL run --host n0,n7 sh ./who" \
		"echo status \$?" >out 2>&1
	cat out
	grep -qx "0/1 node . on n1 no no" out
	grep -q "rankpool run: host n7 is not in the allocation, in which Slurm has given us n0, n1" out
	grep -qx "status 255" out
}

@test "more copies than the job has slots" {
	job "--nodes=2 --ntasks-per-node=2" "$RANKPOOL run -n 5 sh ./who" "echo status \$?" >out 2>&1
	cat out
	grep -q "rankpool run: 5 copies are more than the 4 slots of n0:2, n1:2" out
	grep -qx "status 255" out
}

@test "an MPI program" {
	command -v mpicc >/dev/null || skip "no mpicc"
	mpicc -o hello "$top_srcdir/tests/cluster/hello.c"
	job "--nodes=2 --ntasks-per-node=2" "$RANKPOOL run --allow-run-as-root ./hello" >out
	cat out
	[[ $(sort out) == $'0 of 4 on n0: right\n1 of 4 on n0: right\n2 of 4 on n1: right\n3 of 4 on n1: right' ]]
}
