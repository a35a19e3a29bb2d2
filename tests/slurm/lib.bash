# shellcheck shell=bash
# slurm/lib.bash - Slurm on the nodes of a cluster: munged and slurmctld on head, a slurmd on each node.
#
#	source tests/cluster/lib.bash
#	source tests/slurm/lib.bash
#	reason=$(slurm_missing) || skip "$reason"
#	slurm_up 2
#	slurm_sbatch_wait job.sh                # a real batch script; its output and status
#	slurm_srun -N 2 --mpi=pmix ./program
#	slurm_down
#
# What they write is in $CLUSTER/munge and $CLUSTER/slurm; nothing in /etc, /run or /var is read or written.  They end with
# the cluster.  Debian's and Ubuntu's packages slurmctld, slurmd, slurm-client and munge are enough, without those they
# recommend.  In a container, where nothing has started an init, installing them starts nothing; elsewhere munge starts a
# munged of the machine's own, and the other two do nothing without an /etc/slurm/slurm.conf.  None of these is touched.

# Whether Slurm can be had here; prints why not.
slurm_missing()
{
	local command

	cluster_missing || return
	((EUID == 0)) || { echo "slurmd wants to be root"; return 1; }
	for command in munged slurmctld slurmd sbatch srun; do
		command -v "$command" >/dev/null || { echo "no command $command"; return 1; }
	done
}

# Nodes have two CPUs, whatever the machine has.  slurmd looks for cgroups although no plugin here uses them, and gives up
# without systemd where there is only version 2: version 1 in an empty directory contents it.  KillWait and SlurmdTimeout are
# short so that tests need not wait.
slurm_configure()
{
	cat >"$CLUSTER/slurm/cgroup.conf" <<-end
		CgroupPlugin=cgroup/v1
		CgroupMountpoint=$CLUSTER/slurm/cgroup
		IgnoreSystemd=yes
	end
	cat >"$CLUSTER/slurm/slurm.conf" <<-end
		ClusterName=test
		SlurmctldHost=head
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		AuthInfo=socket=$CLUSTER/munge/socket
		StateSaveLocation=$CLUSTER/slurm/state
		SlurmdSpoolDir=$CLUSTER/slurm/spool.%n
		SlurmctldPidFile=$CLUSTER/slurm/slurmctld.pid
		SlurmdPidFile=$CLUSTER/slurm/%n.pid
		SlurmctldLogFile=$CLUSTER/slurm/slurmctld.log
		SlurmdLogFile=$CLUSTER/slurm/%n.log
		MailProg=/bin/true
		TmpFS=/tmp
		ProctrackType=proctrack/pgid
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core
		SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
		SlurmdParameters=config_overrides
		MpiDefault=none
		ReturnToService=2
		KillWait=2
		SlurmdTimeout=10
		NodeName=$CLUSTER_HOSTS Sockets=1 CoresPerSocket=2 ThreadsPerCore=1
		PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
	end
}

# Before slurm_up: every file that munged reads is made here, so that it never looks at those in /etc/munge.
slurm_start_munge()
{
	local directory=$CLUSTER/munge

	mkdir "$directory" &&
		(umask 077 && head -c 128 /dev/urandom >"$directory/key") &&
		cluster_on head munged --key-file="$directory/key" --socket="$directory/socket" --pid-file="$directory/pid" \
			--log-file="$directory/log" --seed-file="$directory/seed" --num-threads=2
}

slurm_is_idle()
{
	[[ $(cluster_on head timeout 5 sinfo -h -o '%T %D' 2>/dev/null) == "idle $1" ]]
}

slurm_start()
{
	local node count=0

	slurm_start_munge || return
	mkdir -p "$CLUSTER/slurm/state" && slurm_configure || return
	echo "export SLURM_CONF='$CLUSTER/slurm/slurm.conf'" >>"$CLUSTER/environment"
	cluster_on head slurmctld -c || return
	for node in ${CLUSTER_HOSTS//,/ }; do
		mkdir "$CLUSTER/slurm/spool.$node" && cluster_on "$node" slurmd -N "$node" || return
		((count++))
	done
	wait_until 20 slurm_is_idle $count
}

# slurm_up N: on N nodes, or on those of the cluster that is up.
slurm_up()
{
	[[ -d ${CLUSTER-} ]] || cluster_up "$1" || return
	slurm_start </dev/null >>"$CLUSTER/log" 2>&1 && return
	echo "Slurm did not come up:"
	tail -n 20 "$CLUSTER/log" "$CLUSTER"/munge/log "$CLUSTER"/slurm/*.log
	cluster_down
	return 1
}

slurm_down()
{
	cluster_down
}

slurm_srun()
{
	cluster_on head timeout -k 5 "${CLUSTER_TIMEOUT:-60}" srun "$@"
}

# slurm_job_ended JOB: and leaves what is known of it in slurm_job.
slurm_job_ended()
{
	slurm_job=$(cluster_on head timeout 5 scontrol -o show job "$1") &&
		[[ $slurm_job =~ JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|BOOT_FAIL|OUT_OF_MEMORY) ]]
}

# slurm_sbatch_wait [OPTION...] SCRIPT [ARGUMENT...]: submits it, prints its output when it has ended, and has its status,
# also 128 + signal; it is cancelled after CLUSTER_TIMEOUT seconds (60) with status 124.  Not `sbatch --wait`, which looks
# after 2 s, and then less and less often.
slurm_sbatch_wait()
{
	local slurm_job job output

	output=$(mktemp "$CLUSTER/slurm/output.XXXXXX") || return
	job=$(cluster_on head timeout 20 sbatch --parsable -o "$output" "$@") || return
	if ! wait_until "${CLUSTER_TIMEOUT:-60}" slurm_job_ended "$job"; then
		cluster_on head scancel "$job"
		cat "$output"
		echo "job $job was ended after ${CLUSTER_TIMEOUT:-60} s"
		return 124
	fi
	cat "$output"
	[[ $slurm_job =~ ExitCode=([0-9]+):([0-9]+) ]] || return
	((BASH_REMATCH[2] == 0)) || return $((128 + BASH_REMATCH[2]))
	return "${BASH_REMATCH[1]}"
}
