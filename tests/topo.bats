#!/usr/bin/env bats
# rankpool topo: the plan in words, in a drawing and for programs; what is refused.

load lib

# Every expectation of a machine is about one that is not here, but for what says "here".
small="package:2 [numa] l3:2 core:2 pu:2"

setup()
{
	test_begin
	unset HWLOC_XMLFILE HWLOC_SYNTHETIC HWLOC_FSROOT
}

topo()
{
	"$RANKPOOL" topo "$@"
}

# Of the JSON, which has a fact and a worker a line:
# fact NAME ARGUMENTS..., place RANK NAME ARGUMENTS..., workers ARGUMENTS...
fact()
{
	local name=$1

	shift
	topo --json "$@" | sed -nE "s/^  \"$name\": (.*[^,]),?\$/\1/p"
}

place()
{
	local rank=$1 name=$2

	shift 2
	topo --json "$@" | sed -nE "s/^    \{\"rank\": $rank,.*\"$name\": (\"[^\"]*\"|\[[^]]*\]|[^,}]*).*/\1/p"
}

workers()
{
	topo --json "$@" | grep -c '^    {"rank": [0-9]'
}

# refused TEXT ARGUMENTS...: status 255, nothing on stdout, one line on stderr that has the text.
refused()
{
	local text=$1

	shift
	run --separate-stderr -255 topo "$@"
	echo "stdout: $output"
	# shellcheck disable=SC2154
	echo "stderr: $stderr"
	[[ -z $output && $stderr == "rankpool topo: "*"$text"* && $stderr != *$'\n'* ]]
}

@test "a table has a line for each worker" {
	run -0 topo --topology "$small" -j 3
	[[ ${lines[0]} == "$small: 2 packages, 2 NUMA nodes, 4 L3 caches, 8 cores, 16 CPUs" ]]
	[[ ${lines[1]} == "3 workers, bound to core" ]]
	[[ ${lines[2]} =~ ^rank\ +cpus\ +core\ +numa\ +package$ ]]
	[[ ${lines[3]} =~ ^0\ +0-1\ +0\ +0\ +0$ ]]
	[[ ${lines[4]} =~ ^1\ +4-5\ +2\ +0\ +0$ ]]
	[[ ${lines[5]} =~ ^2\ +8-9\ +4\ +1\ +1$ ]]
}

@test "a drawing has the workers in their cores" {
	run -0 topo --topology "$small" -j 3
	[[ ${lines[6]} == "Machine" ]]
	[[ ${lines[7]} == "  Package 0 + NUMA node 0"* ]]
	[[ ${lines[8]} =~ ^\ {4}"L3 0" ]]
	[[ ${lines[9]} =~ ^\ {6}core\ 0-1\ +\[0\]\ \[\.\]$ ]]
	[[ ${lines[11]} =~ ^\ {6}core\ 2-3\ +\[1\]\ \[\.\]$ ]]
	[[ ${lines[14]} =~ ^\ {6}core\ 4-5\ +\[2\]\ \[\.\]$ ]]
	[[ ${lines[16]} =~ ^\ {6}core\ 6-7\ +\[\.\]\ \[\.\]$ ]]
	[[ ${lines[17]} == "Each [ ] is a core with the ranks of its workers; . has no worker." ]]
}

@test "hardware threads of a core can have workers of their own" {
	run -0 topo --topology "core:2 pu:2" --bind-to pu --cpus 0-2
	[[ $output == *"[0|1] [2|.]"* ]]
	[[ $output == *"given by --cpus: CPUs 0-2"* ]]
}

@test "the one machine with one core" {
	run -0 topo --topology "package:1 core:1 pu:1"
	[[ ${lines[1]} == "1 worker, bound to core" ]]
	[[ ${lines[3]} =~ ^0\ +0\ +0\ +0\ +0$ ]]
	[[ $output == *"core 0 "*"[0]"* ]]
	[[ $output != *oversubscribed* ]]
}

@test "384 hardware threads fit a screen" {
	run -0 topo --topology "package:4 [numa] core:48 pu:2"
	((${#lines[@]} <= 40))
	for line in "${lines[@]}"; do
		((${#line} <= 100)) || { echo "${#line} columns: $line"; return 1; }
	done
	[[ ${lines[3]} =~ ^0-47\ +"0-1 2-3 ... 94-95"\ +0-47\ +0\ +0$ ]]
	[[ ${lines[6]} =~ ^144-191\ +"288-289 290-291 ... 382-383"\ +144-191\ +3\ +3$ ]]
	[[ $output == *"[191]"* ]]
	run -0 topo --topology "package:4 [numa] core:48 pu:2" --cpus pu:odd -j 1000
	((${#lines[@]} <= 70))
	[[ ${lines[5]} =~ ^0-249\ +"1 3 ... 95"\ +0-47\ +0\ +0$ ]]
	for line in "${lines[@]}"; do
		((${#line} <= 120)) || { echo "${#line} columns: $line"; return 1; }
	done
}

@test "thousands of hardware threads fit a few" {
	run -0 topo --topology "package:32 core:32 pu:4"
	((${#lines[@]} <= 120))
	[[ $output == *"... 24 more like these ..."* ]]
	[[ $output == *"[1023]"* ]]
}

@test "oversubscription is said, and is even" {
	run -0 topo --topology "$small" -j 20
	[[ $output == *$'\n'"oversubscribed: 20 workers on 8 cores"* ]]
	[[ $(fact oversubscribed --topology "$small" -j 20) == true ]]
	[[ $(fact oversubscribed --topology "$small" -j 8) == false ]]
	[[ $(fact oversubscribed --topology "$small" -j 16 --bind-to pu) == false ]]
	[[ $(fact oversubscribed --topology "$small" -j 17 --bind-to pu) == true ]]
	run -0 topo --topology "$small" --cpus-per-worker 3 -j 3
	[[ $output == *"3 workers, bound to core, of 3 cores"* ]]
	[[ $output == *"oversubscribed: 3 workers of 3 cores on 8 cores"* ]]
	[[ $(topo --json --topology "$small" -j 20 | grep -c '"cpus": "0-1"') == 3 ]]
	[[ $(topo --json --topology "$small" -j 20 | grep -c '"cpus": "14-15"') == 2 ]]
}

@test "--json is an object with one entry per worker" {
	[[ $(workers --topology "$small") == 8 ]]
	run -0 topo --json --topology "$small"
	[[ $output == *'
    {"rank": 5, "node": 0, "local_rank": 5, "host": "", "cpus": "10-11", "cores": [5], "numa_nodes": [1], "packages": [1]},
'* ]]
	[[ $(fact topology --topology "$small") == "\"$small\"" ]]
	[[ $(fact packages --topology "$small") == 2 && $(fact numa_nodes --topology "$small") == 2 ]]
	[[ $(fact l3_caches --topology "$small") == 4 && $(fact cores --topology "$small") == 8 ]]
	[[ $(fact cpus --topology "$small") == 16 && $(fact allowed --topology "$small") == '"0-15"' ]]
	[[ $(fact not_allowed --topology "$small") == '""' && $(fact quota --topology "$small") == null ]]
	[[ $(fact given --topology "$small" --cpus package:1) == '"8-15"' ]]
	[[ $(fact bind --topology "$small" --bind-to l3) == '"l3"' ]]
	[[ $(fact cpus_per_worker --topology "$small" --cpus-per-worker 2) == 2 ]]
}

@test "--json is what JSON readers take" {
	local reader

	if command -v jq >/dev/null; then
		reader=(jq -r '.workers[2].cpus, .topology')
	elif command -v python3 >/dev/null; then
		reader=(python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["workers"][2]["cpus"], d["topology"], sep="\n")')
	else
		skip "neither jq nor python3 is installed"
	fi
	command -v lstopo-no-graphics >/dev/null || skip "no lstopo-no-graphics"
	mkdir 'a"b'
	lstopo-no-graphics -i "core:3 pu:1" --of xml 2>/dev/null >'a"b/machine.xml'
	run -0 "${reader[@]}" < <(topo --json --topology 'a"b/machine.xml')
	[[ $output == $'2\na"b/machine.xml' ]]
}

@test "--json has long lists whole" {
	local list

	list=$(place 0 cpus --topology "core:250 pu:2" --cpus core:all.pu:0 --cpus-per-worker 250)
	[[ $list == '"0,2,4,'*',496,498"' ]]
	[[ $(tr -cd , <<<"$list" | wc -c) == 249 ]]
}

@test "objects to bind to, spread and compact" {
	[[ $(workers --topology "$small" --bind-to pu) == 16 ]]
	[[ $(workers --topology "$small" --bind-to l3) == 4 ]]
	[[ $(workers --topology "$small" --bind-to numa) == 2 ]]
	[[ $(workers --topology "$small" --bind-to package) == 2 ]]
	[[ $(place 7 cpus --topology "$small" --bind-to none) == '"0-15"' ]]
	[[ $(place 1 cpus --topology "$small" -j 2) == '"8-9"' ]]
	[[ $(place 1 cpus --topology "$small" -j 2 --bind-to core:compact) == '"2-3"' ]]
	run -0 topo --topology "$small" --bind-to none -j 2
	[[ $output == *"2 workers, not bound"* && $output == *"[0-1] [0-1]"* ]]
}

@test "a machine from an XML file" {
	topo --topology "$small" >synthetic
	lstopo-no-graphics -i "$small" --of xml >machine.xml 2>/dev/null || skip "no lstopo-no-graphics"
	topo --topology machine.xml >xml
	run -0 diff <(tail -n +2 synthetic) <(tail -n +2 xml)
	# One that can be read only once.
	topo --topology <(cat machine.xml) >piped
	run -0 diff <(tail -n +2 synthetic) <(tail -n +2 piped)
}

@test "here: a worker for each core that the affinity mask has" {
	local cpu

	cpu=$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')
	run -0 taskset -c "$cpu" "$RANKPOOL" topo
	[[ $output == *$'\n'"1 worker, bound to core"* ]]
	[[ $output =~ $'\n'0\ +"$cpu"\ +[0-9] ]]
	[[ $(taskset -c "$cpu" "$RANKPOOL" topo --json | grep -c '"rank": ') == 1 ]]
	if (($(nproc) > 1)); then
		[[ $output == *"allowed: CPUs $cpu; not allowed: "* && $output == *"[x]"*"x may not be used"* ]]
	fi
}

@test "here: what is given is the machine's, by its name" {
	[[ $(fact host) == "\"$(uname -n | cut -c1-63)\"" ]]
	[[ $(fact topology) == null ]]
	(($(workers) >= 1 && $(workers) <= $(fact cpus)))
}

# An empty control group of our own that can have a quota; its path is in $group.
make_group()
{
	local point type options

	while read -r point type options; do
		case $type in
		cgroup2) [[ -e $point/cpu.max || " $(cat "$point/cgroup.subtree_control") " == *" cpu "* ]] ;;
		cgroup) [[ ,$options, == *,cpu,* ]] ;;
		*) false ;;
		esac || continue
		mkdir "$point/rankpool-test-$$" 2>/dev/null || continue
		group=$point/rankpool-test-$$
		if [[ $type == cgroup2 ]]; then
			echo "50000 100000" >"$group/cpu.max"
		else
			echo 50000 >"$group/cpu.cfs_quota_us"
		fi 2>/dev/null && mkdir "$group/inner" && return
		remove_group
	done < <(sed -E 's/^([^ ]+ ){4}([^ ]+) .* - ([^ ]+) [^ ]+ ([^ ]+)$/\2 \3 \4/' /proc/self/mountinfo)
	return 1
}

# topo, run in it.
topo_in_group()
{
	# shellcheck disable=SC2016
	bash -c 'echo $$ >"$1/inner/cgroup.procs" && shift && exec "$@"' - "$group" "$RANKPOOL" topo "$@"
}

remove_group()
{
	[[ -z ${group-} ]] || rmdir "$group/inner" "$group" 2>/dev/null || true
	group=
}

teardown()
{
	remove_group
	test_end
}

@test "here: the quota of a control group bounds the workers, also of the one above" {
	make_group || skip "no control groups can be made here (tests/cpulimit.c has recorded ones)"
	run -0 topo_in_group
	[[ $output == *$'\n'"quota: cgroups grant 0.5 CPUs' worth of time"* ]]
	[[ $output == *$'\n'"1 worker, bound to core"* ]]
	run -0 topo_in_group -j 3
	[[ $output == *"0.5 CPUs' worth of time, which the workers share"* ]]
	run -0 topo_in_group --json
	[[ $output == *'"quota": 0.5'* ]]
}

@test "here: the CPUs that a scheduler has given bound the workers" {
	(($(nproc) > 1)) || skip "one CPU cannot be given in part"
	export SLURM_JOB_ID=7 SLURMD_NODENAME SLURM_CPUS_ON_NODE=1
	SLURMD_NODENAME=$(uname -n)
	run -0 topo
	[[ $output == *$'\n'"grant: Slurm has given 1 CPU of this node to the job"$'\n'"1 worker, bound to core"* ]]
	run -0 topo -j 3
	[[ $output == *"grant: Slurm has given 1 CPU of this node to the job, which the workers share"* ]]
	[[ $(fact grant) == 1 && $(fact grant --topology "$small") == null ]]
	run -0 topo --topology "$small"
	[[ $output != *grant* ]]
	SLURMD_NODENAME=elsewhere
	[[ $(fact grant) == null ]]
}

@test "RANKPOOL_WORKERS says how many when nothing else does" {
	[[ $(RANKPOOL_WORKERS=3 workers --topology "$small") == 3 ]]
	[[ $(RANKPOOL_WORKERS=3 workers --topology "$small" -j 2) == 2 ]]
	export RANKPOOL_WORKERS=many
	refused "RANKPOOL_WORKERS=many is no number of workers"
}

@test "bad options are refused in one line" {
	refused "unknown option --bindto; the nearest is --bind-to" --bindto core
	refused "-j 0x is not a number from 1 to 65535" -j 0x
	refused "-j -5 is not a number" -j -5
	refused "-j 0 is not a number" -j 0
	refused "-j 65536 is not a number" -j 65536
	refused "-j 18446744073709551617 is not a number" -j 18446744073709551617
	refused "-j  is not a number" -j ""
	refused "--cpus-per-worker 1.5 is not a number" --cpus-per-worker 1.5
	refused "unknown object \"corr\" to bind to; known are core, pu, l3, numa, package, none" --bind-to corr
	refused "\"spread\" or \"compact\", not \"tight\"" --bind-to core:tight
	refused "--topology needs a value" --topology
	refused "word is no option" word
	refused "contradict each other" --bind-to none --cpus 0
	refused "contradict each other" --bind-to none --cpus-per-worker 2
}

@test "what the machine does not have is refused in one line" {
	refused "this machine has core:0-7 only" --topology "$small" --cpus core:8
	refused "Package 1 has core:0-3 only" --topology "$small" --cpus package:1.core:4
	refused "names CPUs 16, and only CPUs 0-15 may be used" --topology "$small" --cpus 16
	refused "no \"l3\" to bind to on the CPUs that may be used; the machine has 2 core, 2 pu, 1 numa" \
		--topology "core:2 pu:1" --bind-to l3
	refused "no object type \"cors\"" --cpus cors:0
	refused "not by devices" --cpus gpu:0
	refused "leaves no CPU" --cpus "all ~all"
}

@test "bad descriptions are refused in one line" {
	refused "unknown object type at 'foo:3'" --topology foo:3
	refused "topology \"\" is neither an XML file" --topology ""
	refused "more than 8192 hardware threads" --topology pu:1000000000
	refused "nothere.xml: No such file or directory" --topology nothere.xml
	refused "/: Is a directory" --topology /
	: >empty.xml
	refused "empty.xml is not a machine that hwloc wrote as XML: line 1" --topology empty.xml
	echo "no XML" >text.xml
	refused "text.xml is not a machine that hwloc wrote as XML: line 1" --topology text.xml
	head -c 300 /dev/urandom >random.xml
	refused "random.xml is not a machine" --topology random.xml
	# hwloc 2.9 itself crashes with this.
	echo '<topology version="2.0"><object type="Machine" os_index="0" cpuset="0x3">' \
		'<object type="PU" os_index="0" cpuset="0x1"/></object></topology>' >crash.xml
	refused "crash.xml is not a machine" --topology crash.xml
	HWLOC_SYNTHETIC=pu:3 refused "HWLOC_SYNTHETIC"
}

@test "a file that may not be read is refused in one line" {
	local other=(setpriv --reuid 65534 --regid 65534 --clear-groups)

	((EUID == 0)) || skip "needs root to become somebody else"
	"${other[@]}" "$RANKPOOL" --version || skip "others cannot reach the command"
	echo secret >machine.xml
	chmod 600 machine.xml
	# Through the descriptor, as others may not come to this folder; the file itself is asked for permission again.
	run -255 "${other[@]}" "$RANKPOOL" topo --topology /proc/self/fd/5 5<machine.xml
	[[ $output == "rankpool topo: topology /proc/self/fd/5: Permission denied" ]]
}

topo_to()
{
	local to=$1

	shift
	topo "$@" >"$to"
}

topo_closed()
{
	topo >&-
}

@test "output that cannot be written changes the status" {
	run --separate-stderr -255 topo_closed
	[[ $stderr == "rankpool topo: "*"standard output"* && $stderr != *$'\n'* ]]
	for option in -j1 --json --help; do
		run --separate-stderr -255 topo_to /dev/full $option
		[[ $stderr == "rankpool topo: cannot write standard output: No space left on device" ]]
	done
}

@test "--help and --version" {
	run -0 topo --help
	[[ ${lines[0]} == "Usage: rankpool topo [options]" && $output == *--cpus-per-worker* ]]
	run -0 topo --version
	[[ $output == "rankpool "* ]]
}
