#!/usr/bin/env bats
# How programs begin and end under mpirun, well and badly: tests/start_peer.c has what they do.

load lib

peer=$top_builddir/tests/start_peer

setup()
{
	test_begin
	unset RANKPOOL_NODES RANKPOOL_WORKERS
}

# Lines of the output that begin so; mpirun has its own words about programs that fail.
lines_with()
{
	grep -cE -- "^$1" <<<"$output" || true
}

over="MPI has ended in this process and cannot begin again: call rp_init once, and rp_finalize at the end; or rp_start with \
RP_LOCAL"

# ---- beginning

@test "rp_init after MPI_Init is refused, and the program goes on" {
	run -0 mpi 2 "$peer" after_mpi
	[[ $(lines_with '-114 MPI is initialised already: call rp_init first, or rp_start with RP_LOCAL$') == 4 ]]
	run -0 mpi 2 "$peer" after_mpi_ended
	[[ $(lines_with "-114 $over\$") == 2 ]]
}

@test "each rank of a program that uses MPI itself may have a pool of its own" {
	run -0 mpi 2 "$peer" local
	[[ $(lines_with "$(nproc) of $(nproc)\$") == 2 ]]
	run -0 mpi 2 "$peer" local first
	[[ $(lines_with "$(nproc) of $(nproc)\$") == 2 ]]
	run -0 mpi 2 "$peer" threads
	echo "$output"
	[[ $(lines_with 'done$') == 2 ]]
}

@test "of the CPUs that mpirun has bound it to" {
	(($(nproc) > 1)) || skip "one CPU can only be bound to"
	MPI_BIND=core run -0 mpi 2 "$peer" local
	[[ $(grep -cE '^([0-9]+) of \1$' <<<"$output") == 2 ]]
	[[ $(lines_with "$(nproc) of") == 0 || $(lscpu -p=core | grep -v '#' | sort -u | wc -l) == 1 ]]
}

@test "calls are counted, with one rank, several, and none" {
	run -0 "$peer" counted
	all=$output
	run -0 mpi 1 "$peer" counted
	[[ $output == "$all" ]]
	run -0 mpi 3 "$peer" counted
	[[ $output == "3 workers" ]]
	RANKPOOL_NODES=rank run -0 mpi 2 "$peer" counted
	[[ $output == "$((2 * ${all% *})) workers" ]]
}

@test "a rank that has served by rp_start goes on by itself" {
	for nodes in rank ''; do
		RANKPOOL_NODES=$nodes run mpi 3 "$peer" serves
		echo "$output"
		((status == 3))
		[[ $(lines_with 'manager of') == 1 && $(lines_with "-114 $over\$") -ge 1 && $(lines_with 'served$') -ge 1 ]]
	done
}

@test "MPI begins once" {
	run -0 mpi 2 "$peer" again
	[[ $output == "-114 $over"$'\n'"-114 $over" ]]
	run -0 "$peer" again
	[[ $output == $'0 \n0 ' ]]
}

@test "a program without a launcher may begin MPI itself after rp_init" {
	run -0 "$peer" alone
	[[ $output == done ]]
}

@test "without a launcher MPI is not touched, in a batch script neither" {
	run -0 "$peer" plain
	[[ $output == never ]]
	SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_PROCID=0 SLURM_NODEID=0 SLURM_LOCALID=0 run -0 "$peer" plain
	[[ $output == never ]]
	SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 run -0 "$peer" plain
	[[ $output == never ]]
}

@test "srun without MPI is refused" {
	SLURM_JOB_ID=7 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=1 run -1 "$peer" refused
	[[ $output == "-71 srun started 4 tasks without MPI (--mpi=none), each of which would be alone; use srun --mpi="* ]]
	[[ ${#lines[@]} == 1 ]]
}

@test "variables that another program left behind are refused" {
	case $MPI_NAME in
	openmpi)
		OMPI_COMM_WORLD_SIZE=4 run -1 "$peer" refused
		[[ ${#lines[@]} == 1 && $output == "-71 mpirun of Open MPI started 4 ranks, but Open MPI "*" finds 1: "*unset* ]]
		OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_LOCAL_RANK=2 run -1 "$peer" refused
		[[ ${#lines[@]} == 1 && $output == "-71 mpirun of Open MPI started 4 ranks"* ]] ;;
	mpich)
		for fd in 99 abc 0; do
			PMI_FD=$fd PMI_RANK=1 PMI_SIZE=4 run -1 "$peer" refused </dev/null
			[[ ${#lines[@]} == 1 && $output == "-71 PMI_FD=$fd says that an MPI launcher has started this program"* ]]
		done ;;
	*) skip "an MPI that is not known" ;;
	esac
}

@test "the launcher of the other MPI is refused by each rank, naming both" {
	case $MPI_NAME in
	openmpi) other=(mpiexec.mpich) use="mpiexec of MPICH started 2 ranks, but Open MPI .*: use the mpirun of Open MPI" ;;
	mpich) other=(mpirun.openmpi --oversubscribe --mca orte_tmpdir_base "$BATS_TEST_TMPDIR") \
		use="mpirun of Open MPI started 2 ranks, but MPICH .*: use the mpiexec of MPICH" ;;
	*) skip "an MPI that is not known" ;;
	esac
	command -v "${other[0]}" >/dev/null || skip "no ${other[0]}"
	((EUID)) || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	run timeout 60 "${other[@]}" -n 2 "$peer" refused </dev/null
	echo "$output"
	((status > 0))
	# Where one that fails first ends the other, that one says nothing.
	[[ $(lines_with "-71 $use\$") -ge 1 && $(lines_with "-71 $use\$") == $(lines_with -71) ]]
}

# ---- ending

# What the test has left after the time that even the last node may take, with its states.
must_be_gone()
{
	until_true 15 nothing_left && return
	leftovers
	ps -o pid,ppid,stat,etimes,wchan:20,args -p "$(test_processes | paste -sd,)"
	return 1
}

# ends HOW STATUS: so ends the manager, and so should mpirun; "bad" stands for any but 0, "any" for any at all.
ends()
{
	local nodes

	for nodes in rank ''; do
		RANKPOOL_NODES=$nodes run mpi 3 "$peer" ends "$1"
		echo "$1: $status, $output"
		case $2 in
		any) ((status != 124)) ;;
		bad) ((status > 0 && status != 124)) ;;
		*) ((status == $2)) ;;
		esac || return 1
		must_be_gone
	done
}

@test "a manager that returns or exits, with tasks that run, ends all" {
	ends return 6
	ends exit 7
}

@test "a manager that leaves without a word ends all" {
	ends _exit bad          # MPICH's mpiexec adds that of the ranks that it kills
	ends _exit_0 any        # and may take this for a good end
}

@test "a manager that is killed ends all" {
	ends abort bad
	ends 9 bad
	ends 15 bad
}

@test "a manager that calls MPI_Abort ends all" {
	ends MPI_Abort 9
}

@test "a task that calls MPI_Abort costs one item" {
	for nodes in rank ''; do
		RANKPOOL_NODES=$nodes run -0 mpi 3 "$peer" task_aborts
		[[ $(lines_with 'done$') == 1 ]]
	done
}

# rank_of PID: the rank that a process of the test was started as; nothing for mpirun, workers and supervisors.
rank_of()
{
	local parent

	read -r _ _ _ parent _ < <(sed 's/(.*)/x/' "/proc/$1/stat" 2>/dev/null) || return 0
	[[ $(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null) == "$peer ends wait "* ]] || return 0
	[[ $(tr '\0' ' ' <"/proc/$parent/cmdline" 2>/dev/null) != "$peer ends wait "* ]] || return 0
	tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | sed -nE 's/^(OMPI_COMM_WORLD_RANK|PMI_RANK)=//p'
}

# hit SIGNAL WHOM: begins a job of three, and kills mpirun or a rank of it.  Its status is in $job_status.
hit()
{
	local pid job

	rm -f said
	MPI_TIMEOUT=60 mpi 3 "$peer" ends wait >said 2>&1 3>&- &
	job=$!
	until_true 30 grep -q ready said
	for pid in $(test_processes); do
		case $2 in
		mpirun) [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == "$MPIRUN "* ]] && kill "-$1" "$pid" ;;
		*) [[ $(rank_of "$pid") == "$2" ]] && kill "-$1" "$pid" ;;
		esac
	done
	job_status=0
	wait "$job" || job_status=$?
	echo "$1 $2: $job_status"
	((job_status > 0 && job_status != 124))
	must_be_gone
}

@test "a rank that is killed, agent or lender, ends all" {
	hit KILL 1
	hit TERM 2
	RANKPOOL_NODES=rank hit KILL 1
	RANKPOOL_NODES=rank hit TERM 2
}

@test "mpirun killed or interrupted ends all" {
	RANKPOOL_NODES=rank hit INT mpirun
	hit TERM mpirun
	hit KILL mpirun
}

# ---- lenders

@test "ranks that lend their slots have no children and use no CPU" {
	run -0 mpi 5 "$peer" lend
	echo "$output"
	[[ $(lines_with '4 lenders, 5 workers with ranks 0-4$') == 1 ]]
}

# ---- functions

@test "static functions, those of libraries, and of libraries that only the manager has opened" {
	for nodes in rank ''; do
		RANKPOOL_NODES=$nodes run -0 mpi 3 "$peer" functions "$top_builddir/tests/.libs/image_plugin.so"
		[[ $output == done ]]
	done
}

@test "another build on another node is refused with both ids, and nothing of it is run" {
	export RANKPOOL_NODES=rank
	run -0 mpi 1 "$peer" builds : -n 1 "${peer}_other" builds
	echo "$output"
	pattern='node 1 \([^)]*\): start_peer is another build on this node: [0-9a-f]{16} here \(.*\), [0-9a-f]{16} there \('
	for call in init exit map apply submit process; do
		[[ $(grep -cE "^$call -8 .*$pattern" <<<"$output") == 1 ]]
	done
	[[ $(lines_with 'run ') == 0 && ${lines[-1]} == done ]]
}

# ---- what tasks find

@test "a task may start an MPI program, and be one" {
	cat >inner <<-END
		#!/bin/sh
		env | grep -v '^RANKPOOL_TEST_MARK=' | grep -cE '^(OMPI_C|PMIX_|PMI_|HYDI|MPI_LOCAL|RANKPOOL_)' | sed 's/^/variables /'
		exec "$peer" hello
	END
	chmod +x inner
	RANKPOOL_NODES=rank run -0 mpi 2 "$peer" starts "$PWD/inner"
	echo "$output"
	[[ $(lines_with 'variables 0$') == 4 && $(lines_with '0 of 1$') == 4 ]]
	cat >inner <<-END
		#!/bin/bash
		export top_srcdir=$top_srcdir top_builddir=$top_builddir MPIRUN=$MPIRUN MPI_NAME=$MPI_NAME
		. $top_srcdir/tests/lib.bash
		BATS_TEST_TMPDIR=$PWD mpi 2 "$peer" hello
	END
	run -0 mpi 2 "$peer" starts "$PWD/inner"
	echo "$output"
	[[ $(lines_with '0 of 2$') == 4 && $(lines_with '1 of 2$') == 4 ]]
	run -0 mpi 2 "$peer" singleton
	[[ $(lines_with 'alone$') == 4 ]]
}

@test "standard input is the manager's alone" {
	seq 1000 >numbers
	RANKPOOL_NODES=rank MPI_INPUT=$PWD/numbers run -0 mpi 3 "$peer" input
	echo "$output"
	[[ $output == "manager read 3893, workers 0" ]]
}

@test "what tasks print is out before the map returns" {
	RANKPOOL_NODES=rank run -0 mpi 2 "$peer" prints
	[[ $(lines_with 'task [0-9]+$') == 100 ]]
	run -0 mpi 3 "$peer" prints
	[[ ${#lines[@]} == 101 && ${lines[-1]} == returned ]]
}
