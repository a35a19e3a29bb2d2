#!/usr/bin/env bats
# rankpool map in batch jobs of Slurm: it finds its allocation and uses all of it.

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
}

teardown_file()
{
	slurm_down
}

# batch OPTION... <<END: a batch job with these lines of shell, which find the command as $MAP.
batch()
{
	{
		printf '#!/bin/sh\n#SBATCH %s\n' "$*"
		printf 'export LD_LIBRARY_PATH=%q PARALLEL_SHELL=/bin/sh\nMAP="%s map"\n' "$LD_LIBRARY_PATH" "$RANKPOOL"
		cat
	} >job
	slurm_sbatch_wait job
}

@test "a batch job runs on all its nodes, with input, order and status as on one" {
	run batch --nodes=2 --ntasks-per-node=1 <<-'end'
		seq 4 | $MAP -k -j 1 --report-bindings 'echo {} $(hostname) $RANKPOOL_RANK/$RANKPOOL_SIZE $SLURM_JOB_ID; exit {}'
		echo "status $?"
		$MAP -k -j 1 'env | grep -E "^(SLURM_(STEP|PROCID|LOCALID|OVERLAP)|PMI|PMIX|OMPI_(COMM|MCA))"; :' ::: a b c d
		echo "status $?"
		$MAP --nodes 1 -j 1 'echo $RANKPOOL_SIZE; :' ::: a
	end
	echo "$output"
	grep -qx "rankpool map: rank 0 on n0: cpus .*" <<<"$output"
	grep -qx "rankpool map: rank 1 on n1: cpus .*" <<<"$output"
	[[ $(grep -cE '^[1-4] n0 0/2 [0-9]+$' <<<"$output") -ge 1 && $(grep -cE '^[1-4] n1 1/2 [0-9]+$' <<<"$output") -ge 1 ]]
	[[ $(grep -oE '^[1-4] ' <<<"$output" | tr -d '\n') == "1 2 3 4 " ]]
	[[ $(grep -v '^rankpool\|^[1-4] n' <<<"$output") == $'status 4\nstatus 0\n1' ]]
}

@test "commands may start steps of their own" {
	run batch --nodes=2 --ntasks-per-node=1 <<-'end'
		$MAP -k -j 1 'timeout 20 srun -n 1 -N 1 hostname; timeout 20 mpirun --oversubscribe -n 1 hostname; echo {}' ::: a b
		echo "status $?"
	end
	echo "$output"
	[[ $(grep -cx 'n[01]' <<<"$output") == 4 ]]
	[[ $(grep -vx 'n[01]' <<<"$output") == $'a\nb\nstatus 0' ]]
}

@test "it may be started by srun or mpirun, and srun without MPI is refused" {
	run batch --nodes=2 --ntasks-per-node=1 <<-'end'
		srun --mpi=pmix -n 2 $MAP -k -j 1 'echo {} $RANKPOOL_SIZE' ::: a b
		echo "status $?"
		mpirun $MAP -k -j 1 'echo {} $RANKPOOL_SIZE' ::: a b
		echo "status $?"
		srun --mpi=none -n 2 $MAP -k -j 1 'touch started; :' ::: a 2>err
		echo "status $?"
		grep -c "rankpool map: srun started 2 tasks without MPI" err
	end
	echo "$output"
	[[ $output == $'a 2\nb 2\nstatus 0\na 2\nb 2\nstatus 0\nstatus 255\n2' ]]
	[[ ! -e started ]]
}
