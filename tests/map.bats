#!/usr/bin/env bats
# rankpool map: what it promises to users of the shell.  Where GNU parallel has the same feature, tests/parallel.bats
# compares the two.

load lib

bats_require_minimum_version 1.5.0

setup()
{
	test_begin
	export PARALLEL_SHELL=/bin/sh
	unset SHELL
}

map()
{
	"$RANKPOOL" map "$@"
}

# Whatever shell it is used as, it fails.
failing_shell()
{
	ln -sf "$(type -P false)" ksh
	echo "$PWD/ksh"
}

# Looks without being found: what is started for it has the test's mark, too.
all_gone()
{
	(export -n TEST_MARK; nothing_left)
}

# Runs map with something wrong in its command line: exactly one line on stderr, which holds $1, nothing on stdout, a
# status that is not zero, and no command started.
refused()
{
	local said=$1

	shift
	rm -f started
	run --separate-stderr map "$@" </dev/null
	echo "$stderr"
	((status == 255))
	[[ $output == "" && $stderr == "rankpool map: "*"$said"* ]]
	((${#stderr_lines[@]} == 1))
	[[ ! -e started ]]
}

# ---- inputs ---------------------------------------------------------------------------------------------------

@test "a thousand lines of standard input come back in order" {
	seq 1000 >expected
	seq 1000 | map -k echo {} >got
	cmp expected got
}

@test "without -k every output comes once, in some order" {
	seq 200 | map -j 3 echo | sort -n | cmp - <(seq 200)
}

@test "a result is printed while standard input is silent" {
	mkfifo in
	"$RANKPOOL" map -k echo got <in >out &
	exec 7>in
	echo one >&7
	until_true 10 grep -qx "got one" out
	echo two >&7
	until_true 10 grep -qx "got two" out
	exec 7>&-
	wait $!
}

@test "endless standard input is read as workers need it" {
	# The 200th command says how large the manager has grown; then nobody reads any more.
	run -0 bash -c 'yes | "$RANKPOOL" map -k -j 2 '\''grep VmHWM /proc/$PARALLEL_PID/status; :'\'' | sed -n "200p;200q"'
	[[ $output == VmHWM:* ]]
	(($(tr -dc 0-9 <<<"$output") < 65536))
}

@test "a reader that stops ends it quietly" {
	run --separate-stderr bash -c 'yes | "$RANKPOOL" map -k echo | head -3; echo "${PIPESTATUS[1]}"'
	[[ $output == $'y\ny\ny\n141' && $stderr == "" ]]
}

@test "no input is no job" {
	run -0 --separate-stderr map echo </dev/null
	[[ $output$stderr == "" ]]
	run -0 map echo :::
	[[ $output == "" ]]
}

@test "inputs in files: empty lines, blanks, no newline at the end, CR LF" {
	printf 'a\n\n b  c \nd' >f
	run -0 map -k "printf '<%s>'" :::: f
	[[ $output == "<a><>< b  c ><d>" ]]
	printf 'a\r\nb\r\nc\r\n' >f
	run -0 --separate-stderr map -k "printf '<%s>'" :::: f
	[[ $output == $'<a\r><b\r><c\r>' ]]
	[[ $stderr == *"CR LF"* ]]
	((${#stderr_lines[@]} == 1))
}

@test "NUL in inputs, with and without -0" {
	printf 'a b\0c\nd\0' >f
	run -0 map -k -0 "printf '<%s>'" :::: f
	[[ $output == $'<a b><c\nd>' ]]
	printf 'a\0b\n' >f
	run -0 --separate-stderr map -k "printf '<%s>'" :::: f
	[[ $output == '<a\0b>' && $stderr == *"NUL"*"--null"* ]]
}

@test "a line of 10 MB is too long for a command, which is said; the others run" {
	{ echo a; head -c 10000000 /dev/zero | tr '\0' x; echo; echo b; } >f
	local command

	# Through the shell and without it.
	for command in echo /bin/echo; do
		run -1 --separate-stderr map -k $command :::: f
		[[ $output == $'a\nb' ]]
		((${#stderr_lines[@]} == 1 && ${#stderr} < 1000))
		[[ $stderr == "rankpool map: job 2: the command is too long (100000"* ]]
	done
	run -0 map -k echo {#} :::: f
	[[ $output == $'1\n2\n3' ]]
}

@test "a file without line ends is no list of inputs" {
	head -c 70000000 /dev/zero | tr '\0' x >f
	run -255 --separate-stderr map echo :::: f
	[[ $stderr == "rankpool map: f has a line of more than 64 MiB"* ]]
}

# ---- commands -------------------------------------------------------------------------------------------------

@test "inputs are data and never shell text" {
	local frame
	local evil=('$(touch pwned)' '`touch pwned`' '; touch pwned' "'; touch pwned; '" '"; touch pwned; "' '| touch pwned' '${x?}'
		$'\ntouch pwned' "'\$(touch pwned)'" '} $(touch pwned)' '& touch pwned' '\$(touch pwned)' "\\'; touch pwned; '")

	for frame in 'echo {}' 'echo "{}"' "echo '{}'" 'echo "$(echo {})"' 'echo "$(echo "{}")"' 'echo `echo {}`' 'v={}; echo' \
		'echo # {}' 'echo \{}' 'echo "\{}"' 'echo ${x:-{}}' 'echo "${x:-{}}"' '/bin/echo {}' 'cat /dev/null; : {.} {/}'; do
		run map -k "$frame" ::: "${evil[@]}"
		[[ ! -e pwned ]] || { echo "$frame: $output"; return 1; }
		((status == 0)) || { echo "$frame: $output"; return 1; }
	done
}

@test "without a command each input is a shell line" {
	printf '%s\n' 'echo a; echo b' '' 'exit 3' '# nothing' 'echo "c  d" | tr c C' >f
	run -1 map -k <f
	[[ $output == $'a\nb\nC  d' ]]
}

@test "plain commands go through no shell" {
	PARALLEL_SHELL=$(failing_shell) run -0 map -k /bin/echo x {}y ::: 'a  b' '$HOME'
	[[ $output == $'x a  by\nx $HOMEy' ]]
	mkdir bin
	printf '#!/bin/sh\necho "$0 $*"\n' >bin/tool
	chmod +x bin/tool
	PATH=$PWD/bin:$PATH PARALLEL_SHELL=$(failing_shell) run -0 map -k tool -x {} ::: a
	[[ $output == "$PWD/bin/tool -x a" ]]
}

@test "what means something to the shell goes through it" {
	run -0 map -k 'echo $((1 + {}))' ::: 1 2
	[[ $output == $'2\n3' ]]
	# A builtin, a keyword, a function, a script that does not say what runs it.
	PARALLEL_SHELL=$(failing_shell) run -1 map echo ::: a
	PARALLEL_SHELL=$(failing_shell) run -1 map time ::: a
	printf 'echo "script $1"\n' >script
	chmod +x script
	run -0 map ./script ::: a
	[[ $output == "script a" ]]
}

@test "exported functions of bash are found" {
	command -v bash >/dev/null || skip "no bash"
	mkdir bin
	printf '#!/bin/sh\necho program\n' >bin/tool
	chmod +x bin/tool
	tool() { echo "function $1"; }
	export -f tool
	PATH=$PWD/bin:$PATH PARALLEL_SHELL=$(command -v bash) run -0 map tool ::: a
	[[ $output == "function a" ]]
}

@test "the shell is \$PARALLEL_SHELL, \$SHELL or /bin/sh, one whose quoting is known" {
	ln -s /bin/sh ksh
	PARALLEL_SHELL=$PWD/ksh run -0 map 'echo $0;:' ::: a
	[[ $output == "$PWD/ksh" ]]
	PARALLEL_SHELL= SHELL=$PWD/ksh run -0 map 'echo $0;:' ::: a
	[[ $output == "$PWD/ksh" ]]
	PARALLEL_SHELL= run -0 map 'echo $0;:' ::: a
	[[ $output == /bin/sh ]]
	PARALLEL_SHELL=ksh PATH=$PWD:$PATH run -0 map 'echo $0;:' ::: a
	[[ $output == "$PWD/ksh" ]]
	PARALLEL_SHELL=/usr/bin/python3 refused "PARALLEL_SHELL" echo ::: a
	PARALLEL_SHELL=$PWD/none/sh refused "cannot execute the shell $PWD/none/sh: No such file" 'touch started;' ::: a
	PARALLEL_SHELL=$PWD/none/sh run -0 map "$(type -P echo)" ::: a
	[[ $output == a ]]
}

@test "a command that does not exist fails each job and is said once for each" {
	run -2 --separate-stderr map no-such-command ::: a b
	[[ $output == "" ]]
	((${#stderr_lines[@]} == 2))
	[[ $stderr == *"no-such-command"*"not found"* ]]
}

@test "--dry-run prints the commands and runs none" {
	run -0 map -k --dry-run touch {} {#} ::: a 'b c' "it's"
	[[ $output == $'touch a 1\ntouch \'b c\' 2\ntouch \'it\'"\'"\'s\' 3' ]]
	[[ ! -e a ]]
}

@test "commands find their place in the environment" {
	OMPI_COMM_WORLD_RANK=3 PMIX_NAMESPACE=x PMI_ID=3 SLURM_PROCID=3 SLURM_STEP_ID=1 SLURM_LOCALID=0 SLURM_JOB_ID=77 KEPT=yes \
		RANKPOOL_WORKERS=2 MPI_LOCALRANKID=3 HYDI_CONTROL_FD=7 PRTE_LAUNCHED=1 \
		run -0 map -k -j 2 'env; :' ::: a
	[[ $output =~ (^|$'\n')RANKPOOL_RANK=[01]($'\n'|$) ]]
	grep -qx RANKPOOL_SIZE=2 <<<"$output"
	[[ $output =~ (^|$'\n')RANKPOOL_LOCAL_RANK=[01]($'\n'|$) ]]
	grep -qx RANKPOOL_NODE=0 <<<"$output"
	grep -qx RANKPOOL_SEQ=1 <<<"$output"
	grep -qE '^RANKPOOL_CPUS=[0-9,-]+$' <<<"$output"
	grep -qx PARALLEL_SEQ=1 <<<"$output"
	grep -qE '^PARALLEL_JOBSLOT=[12]$' <<<"$output"
	grep -qE '^PARALLEL_PID=[0-9]+$' <<<"$output"
	grep -qx KEPT=yes <<<"$output"
	grep -qx SLURM_JOB_ID=77 <<<"$output"
	! grep -E '^(OMPI_|PMIX_|PMI_|SLURM_STEP|SLURM_PROCID|SLURM_LOCALID)' <<<"$output" || return
	! grep -E '^(RANKPOOL_WORKERS|MPI_LOCAL|HYDI|PRTE)' <<<"$output"
}

@test "RANKPOOL_WORKERS is the number of workers when there is no -j" {
	export RANKPOOL_WORKERS=3
	run -0 map 'echo $RANKPOOL_SIZE;:' ::: a
	[[ $output == 3 ]]
	run -0 map -j 2 'echo $RANKPOOL_SIZE;:' ::: a
	[[ $output == 2 ]]
	run -0 map -j 100% 'echo $RANKPOOL_SIZE;:' ::: a
	[[ $output == $(env -u RANKPOOL_WORKERS "$RANKPOOL" map 'echo $RANKPOOL_SIZE;:' ::: a) ]]
	RANKPOOL_WORKERS=x run -255 map echo ::: a
	[[ $output == *"RANKPOOL_WORKERS=x is no number of workers" ]]
}

@test "ranks are 0 and up, slots one more" {
	run -0 map -j 2 'echo $RANKPOOL_RANK $(({%} - 1)) $((PARALLEL_JOBSLOT - 1)) {#} $RANKPOOL_SEQ {}' ::: a b c d
	((${#lines[@]} == 4))
	local line rank slot jobslot number seq

	for line in "${lines[@]}"; do
		read -r rank slot jobslot number seq _ <<<"$line"
		((rank == slot && rank == jobslot && number == seq))
		[[ $rank == [01] ]]
	done
}

@test "commands run on the CPUs of their worker" {
	run -0 map -k -j 2 'echo $RANKPOOL_CPUS $(taskset -cp $$ | sed "s/.* //") # {}' ::: a b c d
	local line

	for line in "${lines[@]}"; do
		[[ ${line% *} == "${line#* }" ]] || { echo "$line"; return 1; }
	done
	run -0 --separate-stderr map --report-bindings --cpus pu:0 -j 1 true ::: a
	[[ $stderr == "rankpool map: rank 0 on "*": cpus "* ]]
	local first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')

	run -0 taskset -c "$first" "$RANKPOOL" map 'echo $RANKPOOL_SIZE $RANKPOOL_CPUS;:' ::: a
	[[ $output == "1 $first" ]]
}

@test "commands have signals, standard input and files as they should" {
	local files='for f in /proc/$$/fd/*; do printf "%s " "${f##*/}"; done; :'

	# bats starts things with SIGINT ignored at times; a terminal does not.
	run -0 env --default-signal=INT,HUP "$RANKPOOL" map "grep ^Sig /proc/self/status; readlink /proc/self/fd/0; $files" ::: a
	echo "$output"
	# Nothing is blocked; SIGHUP, SIGINT, SIGPIPE, SIGTERM and SIGCHLD are not ignored.
	[[ $(awk '/^SigBlk/ { print $2 }' <<<"$output") == 0000000000000000 ]]
	(((0x$(awk '/^SigIgn/ { print $2 }' <<<"$output") & 0x15003) == 0))
	[[ $output == *$'\n/dev/null\n'* ]]
	# No descriptor of rankpool's own: the same as without it.
	local own=${lines[-1]}
	run -0 sh -c "$files a"
	echo "$output"
	[[ $own == "$output" ]]
}

@test "signals that rankpool was started with as ignored stay ignored in commands" {
	run -0 env --ignore-signal=INT,HUP "$RANKPOOL" map 'grep ^SigIgn /proc/self/status; :' ::: a
	(((0x${output##*$'\t'} & 3) == 3))
}

# ---- output ---------------------------------------------------------------------------------------------------

@test "output is grouped by command, stdout and stderr apart" {
	map -k -j 2 'for i in 1 2 3; do echo out{}$i; echo err{}$i >&2; done' ::: a b >out 2>err
	[[ $(tr '\n' ' ' <out) == "outa1 outa2 outa3 outb1 outb2 outb3 " ]]
	[[ $(tr '\n' ' ' <err) == "erra1 erra2 erra3 errb1 errb2 errb3 " ]]
}

@test "--tag begins each line with the inputs" {
	run -0 --separate-stderr map -k --tag 'echo x{1}; echo y; echo z >&2; :' ::: a b ::: c
	[[ $output == $'a c\txa\na c\ty\nb c\txb\nb c\ty' ]]
	[[ $stderr == $'a c\tz\nb c\tz' ]]
}

@test "a flood of output takes no memory and arrives whole" {
	# The last command waits until all else has been printed, and then says how large manager and worker have grown.
	map -k -j 1 'case {} in
		peak) tries=0
			until [ "$(stat -c %s out)" -ge 400000000 ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.05; done
			grep VmHWM "/proc/$PARALLEL_PID/status" "/proc/$PPID/status" >peaks ;;
		*) head -c 200000000 /dev/zero | tr "\0" {} ;;
		esac' ::: a b peak >out
	awk '{ print; if ($2 > 65536) bad = 1 } END { exit bad || NR != 2 }' peaks
	[[ $(cksum <out) == "$({ head -c 200000000 /dev/zero | tr '\0' a; head -c 200000000 /dev/zero | tr '\0' b; } | cksum)" ]]
}

@test "results that wait for an earlier one take little memory" {
	map -k -j 2 'case {} in
		1) tries=0; until [ -e peak ] || [ $((tries += 1)) -gt 1000 ]; do sleep 0.05; done; echo first ;;
		1000) grep VmHWM "/proc/$PARALLEL_PID/status" >peak ;;
		*) head -c 60000 /dev/zero | tr "\0" x; echo {} ;;
		esac' < <(seq 1000) >out
	awk '{ exit $2 > 65536 }' peak
	[[ $(head -1 out) == first ]]
	sed 1d out | tr -d x | cmp - <(seq 2 999)
	(($(stat -c %s out) > 998 * 60000))
}

@test "many large outputs wait as files" {
	ulimit -n 64
	mkdir began
	map -k -j 2 'case {} in
		1) tries=0; until [ "$(ls began | wc -l)" -ge 30 ] || [ $((tries += 1)) -gt 1000 ]; do sleep 0.02; done ;;
		*) : >began/{}; head -c 70000 /dev/zero | tr "\0" x ;;
		esac' ::: $(seq 60) >out
	(($(stat -c %s out) == 59 * 70000))
}

@test "a file that is open for appending is appended to" {
	echo before >out
	map -k 'head -c 100000 /dev/zero | tr "\0" {}' ::: a b >>out
	[[ $(cksum <out) == "$({ echo before; head -c 100000 /dev/zero | tr '\0' a; head -c 100000 /dev/zero | tr '\0' b; } |
		cksum)" ]]
}

@test "a command that goes on writing after its end disturbs no other" {
	run -0 map -k -j 1 'if [ {} = a ]; then (until [ -e b ]; do sleep 0.02; done; echo late; : >late) & fi
		echo {}; : >{}; if [ {} = b ]; then until [ -e late ]; do sleep 0.02; done; fi' ::: a b c
	[[ $output == $'a\nb\nc' ]]
}

# ---- ends -----------------------------------------------------------------------------------------------------

@test "the exit status counts failed jobs" {
	run -0 map true ::: 1 2
	seq 3 >three
	run -3 map false <three
	run -2 map 'exit {}' ::: 0 1 7
	seq 100 >f
	run -100 map false <f
	seq 101 >f
	run -101 map false <f
	run -1 map 'kill -9 $$; :' ::: a
}

@test "a time limit ends a command with all its descendants" {
	run -1 --separate-stderr map --timeout 0.5 'echo before; trap "" TERM; setsid sleep 1000 & (sleep 1000; :) &
		while :; do sleep 1000; done; :' ::: a
	[[ $output == before ]]
	[[ $stderr == "rankpool map: job 1 (a): ended, its time limit of 0.5 s was over" ]]
	[[ $(pgrep -x sleep -a | grep -c 'sleep 1000$') == 0 ]]
	run -0 map --timeout 100 echo ::: a
	[[ $output == a ]]
}

@test "a time limit for all ends everything" {
	run -255 --separate-stderr map -k -j 2 --time-limit 1 'echo {}; if [ {} -gt 2 ]; then setsid sleep 1000 & sleep 1000; fi' \
		::: 1 2 3 4 5 6
	[[ $output == $'1\n2' ]]
	[[ $stderr == "rankpool map: the time limit of 1 s is over: 2 jobs done, 0 of them failed, 2 ended, 2 not started" ]]
	run -0 --separate-stderr map --time-limit 100 echo ::: a
	[[ $output == a && $stderr == "" ]]
	# Also while nothing runs and nothing comes.
	mkfifo in
	exec 7<>in
	run -255 --separate-stderr map --time-limit 0.3 echo <in
	exec 7>&-
	[[ $stderr == *"is over: 0 jobs done, 0 of them failed, 0 ended, the rest not started" ]]
}

@test "a command ended by its time limit gets SIGTERM first" {
	run -1 map --timeout 0.3 'trap "echo term; exit" TERM; while :; do sleep 0.05; done; :' ::: a
	[[ $output == term* ]]
}

@test "descendants that commands leave behind end with rankpool" {
	run -0 map 'sleep 1000 >/dev/null 2>&1 & setsid sleep 1000 & echo' ::: a b
	until_true 2 all_gone
}

@test "a worker that is killed costs its job, and the others run" {
	run -1 --separate-stderr map -k -j 1 'if [ {} = b ]; then kill -9 $PPID; sleep 1000; fi; echo {}' ::: a b c
	[[ $output == $'a\nc' ]]
	[[ $stderr == "rankpool map: job 2 (b): "*"signal 9"* ]]
	((${#stderr_lines[@]} == 1))
}

@test "killed with SIGKILL it leaves no process" {
	"$RANKPOOL" map -j 2 'echo x >>began; setsid sleep 1000 & sleep 1000; :' ::: a b c &
	local manager=$!

	until_true 10 eval '(($(wc -l <began) == 2)) 2>/dev/null'
	kill -KILL $manager
	wait $manager || true
	until_true 5 all_gone
}

@test "a supervisor that is killed is said, and is no success" {
	run -255 --separate-stderr map -k -j 1 'if [ {} = b ]; then
			setsid sleep 1000 & kill -9 $(ps -o ppid= -p $PPID); sleep 1000
		fi; echo {}' ::: a b c d
	[[ $output == a ]]
	((${#stderr_lines[@]} == 1))
	[[ $stderr == "rankpool map: the supervisor, which minds the workers, was killed: "* ]]
	until_true 5 all_gone
}

# interrupted SIGNAL TIMES: starts four jobs, two at a time, and sends the signal once both run.
interrupted()
{
	env --default-signal=INT,HUP "$RANKPOOL" map -k -j 2 'echo >>began; trap "echo ended >>log; exit 1" TERM
		(trap "" TERM; exec setsid sleep 100 >/dev/null 2>&1) &
		tries=0; until [ -e go ] || [ $((tries += 1)) -gt 500 ]; do sleep 0.02; done; echo {}' ::: a b c d >out 2>err &
	manager=$!
	until_true 10 eval '(($(wc -l <began) == 2)) 2>/dev/null'
	kill "-$1" $manager
	until_true 10 grep -q "starting nothing more" err
}

@test "a first signal lets the running jobs finish, and says what was not done" {
	local signal number

	for signal in INT TERM HUP; do
		rm -f began go
		interrupted $signal
		: >go
		number=0
		wait $manager || number=$?
		((number == 128 + $(kill -l $signal)))
		[[ $(<out) == $'a\nb' ]]
		[[ $(tail -1 err) == "rankpool map: 2 jobs done, 0 of them failed, 0 ended, 2 not started" ]]
		(($(wc -l <began) == 2))
	done
}

@test "a second signal ends them" {
	local signal number

	for signal in INT TERM; do
		rm -f began log
		interrupted $signal
		kill -$signal $manager
		number=0
		wait $manager || number=$?
		((number == 128 + $(kill -l $signal)))
		[[ $(tail -1 err) == "rankpool map: 0 jobs done, 0 of them failed, 2 ended, 2 not started" ]]
		(($(wc -l <log) == 2))
		until_true 2 all_gone
	done
}

# ---- what is refused ------------------------------------------------------------------------------------------

@test "unknown options, with the nearest" {
	refused "unknown option --keep-ordr; the nearest is --keep-order" --keep-ordr touch started ::: a
	refused "unknown option --jbos" --jbos 3 touch started ::: a
	refused "unknown option -z" -kz touch started ::: a
}

@test "numbers of jobs" {
	local jobs

	for jobs in 0x x -5 -5000 +x 1.5 % -1000% 99999999 0%; do
		refused "-j $jobs" -j "$jobs" 'touch started;:' ::: a
	done
	run -0 map -j 0 echo ::: a
	run -0 map -j +1 echo ::: a
	run -0 map -j 50% echo ::: a
}

@test "places" {
	refused "object" --bind-to sofa 'touch started;:' ::: a
	refused "core:9999" --cpus core:9999 'touch started;:' ::: a
	refused "nowhere" --cpus nowhere 'touch started;:' ::: a
	refused "--cpus-per-worker 0" --cpus-per-worker 0 'touch started;:' ::: a
	refused "contradict" --cpus core:0 --bind-to none 'touch started;:' ::: a
	refused "contradict" --cpus-per-worker 1 --bind-to none 'touch started;:' ::: a
	refused "--map-by sofa" --map-by sofa 'touch started;:' ::: a
	refused "contradict" --map-by ppr:2:node -j 3 'touch started;:' ::: a
	refused "contradict" --map-by core:PE=2 --cpus-per-worker 1 'touch started;:' ::: a
	refused "--bind-to" --map-by core --bind-to core:spread 'touch started;:' ::: a
	[[ $(map --map-by ppr:3:node 'echo $RANKPOOL_SIZE;:' ::: a) == 3 ]]
	[[ $(map --map-by ppr:3:package 'echo $RANKPOOL_SIZE;:' ::: a) == \
		$((3 * $(map --bind-to package 'echo $RANKPOOL_SIZE;:' ::: a))) ]]
	[[ $(map --map-by hwthread --bind-to none -j 2 'echo $RANKPOOL_SIZE;:' ::: a) == 2 ]]
}

@test "nodes" {
	refused "host no-such-host.invalid" --host no-such-host.invalid 'touch started;:' ::: a
	refused "--host a:x" --host a:x 'touch started;:' ::: a
	refused "hostfile missing: No such file" --hostfile missing 'touch started;:' ::: a
	refused "--nodes x" --nodes x 'touch started;:' ::: a
	refused "this machine is the only one" --nodes 2 'touch started;:' ::: a
	refused "there are fewer: localhost" --nodes 2 --host localhost 'touch started;:' ::: a
	refused "--mpi-env drop is not known" --mpi-env drop 'touch started;:' ::: a
	run -0 map --host localhost:3 --nodes 1 'echo $RANKPOOL_SIZE;:' ::: a
	[[ $output == 3 ]]
	run -0 map --host localhost:3 -j 2 'echo $RANKPOOL_SIZE;:' ::: a
	[[ $output == 2 ]]
}

@test "times" {
	local time

	for time in x 1x -1 '' 5ms; do
		refused "--timeout $time is not a time" --timeout "$time" 'touch started;:' ::: a
		refused "--time-limit $time is not a time" --time-limit "$time" 'touch started;:' ::: a
	done
	refused "median" --timeout 200% 'touch started;:' ::: a
}

@test "replacement strings" {
	refused "{ is not closed" 'touch started; echo {' ::: a
	refused "{1 is not closed" 'touch started; echo {1 {2}' ::: a
	refused "} has no {" 'touch started; echo {}}' ::: a
	refused "Perl" 'touch started; echo {= s/a/b/ =}' ::: a
	refused "here-document" $'touch started; cat <<E\n{}\nE' ::: a
}

@test "input files that are missing or cannot be read" {
	refused "cannot read missing: No such file" -a missing 'touch started;:'
	refused "cannot read missing: No such file" 'touch started;:' ::: a :::: missing
	refused "is a directory" -a . 'touch started;:'
	refused "two sources" -a - 'touch started;:' :::: -
	touch secret
	chmod 000 secret
	if (($(id -u) == 0)); then
		# Root may read everything: as somebody else, who has to get here; else without root's right to it.
		run setpriv --reuid 65534 --clear-groups test -x "$RANKPOOL"
		local as=(--bounding-set -dac_override,-dac_read_search)
		((status != 0)) || as=(--reuid 65534 --clear-groups)
		run -255 setpriv "${as[@]}" "$RANKPOOL" map -a "$PWD/secret" echo
	else
		run -255 map -a secret echo
	fi
	[[ $output == *"secret: Permission denied" ]]
}

@test "standard input and output that are closed" {
	run -255 --separate-stderr bash -c '"$RANKPOOL" map echo <&-'
	[[ $stderr == "rankpool map: cannot read standard input"* ]]
	run -0 bash -c '"$RANKPOOL" map echo ::: a <&-'
	[[ $output == a ]]
	run -255 --separate-stderr bash -c '"$RANKPOOL" map touch started ::: a >&-'
	[[ $stderr == "rankpool map: standard output is closed"* && ! -e a ]]
	run -0 bash -c '"$RANKPOOL" map "echo lost >&2; echo" ::: a 2>&-'
	[[ $output == a ]]
}

@test "a full disk behind standard output" {
	[[ -c /dev/full ]] || skip "no /dev/full"
	local arguments

	for arguments in "-k echo" "echo" "--dry-run echo" "--tag echo"; do
		# shellcheck disable=SC2086
		run -255 --separate-stderr bash -c '"$RANKPOOL" map '"$arguments"' ::: a b >/dev/full'
		[[ $stderr == "rankpool map: cannot write output: No space left on device" ]]
	done
	run -255 bash -c '"$RANKPOOL" map --help >/dev/full'
	run -255 bash -c '"$RANKPOOL" --version >/dev/full'
}

@test "no space where output is kept is said" {
	(($(id -u) == 0)) || skip "only root can make a small file system"
	mkdir small
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	run -255 --separate-stderr unshare -m bash -c 'mount -t tmpfs -o size=1m none small && TMPDIR=$PWD/small "$RANKPOOL" map \
		-k -j 1 "head -c {} /dev/zero; :" ::: 10 4000000 10 | wc -c; exit ${PIPESTATUS[0]}'
	echo "$output $stderr"
	((output >= 1000000))
	[[ $stderr == *"job 2 (4000000): no space is left in $PWD/small"* ]]
}

@test "nowhere to keep output" {
	TMPDIR=/nonexistent refused "/nonexistent" 'touch started;:' ::: a
}

@test "help and version, also by their letters" {
	run -0 map -h
	[[ $output == "$(map --help)" && $output == Usage:* ]]
	run -0 map -kV
	[[ $output == "$("$RANKPOOL" --version)" && $output == "rankpool "* ]]
	run -0 "$RANKPOOL" -h
	[[ $output == "$("$RANKPOOL" --help)" ]]
}

@test "subcommands" {
	run -255 --separate-stderr "$RANKPOOL" mpa
	[[ $stderr == "rankpool: unknown subcommand mpa; the nearest is map "* ]]
	run -255 --separate-stderr "$RANKPOOL"
	((${#stderr_lines[@]} == 1))
	run -0 "$RANKPOOL" --version
	[[ $output == "rankpool "[0-9]* ]]
	run -0 "$RANKPOOL" map --version
	[[ $output == "rankpool "[0-9]* ]]
	run -0 "$RANKPOOL" --help
	[[ $output == *"  map "* ]]
	run -0 "$RANKPOOL" map --help
	[[ $output == *"--keep-order"* ]]
}
