#!/usr/bin/env bats
# rankpool map does what GNU parallel does, byte for byte, wherever both have a feature: output, exit status, and what
# commands write to standard error.

load lib

bats_require_minimum_version 1.5.0

setup()
{
	test_begin
	command -v parallel >/dev/null && parallel --version | grep -q "GNU parallel" || skip "GNU parallel is not installed"
	export PARALLEL_SHELL=/bin/sh PARALLEL_HOME=$BATS_TEST_TMPDIR/home
	unset PARALLEL
	mkdir -p "$PARALLEL_HOME"
	: >"$PARALLEL_HOME/will-cite"
	printf 'l1\nl 2\n\nl3' >lines
	printf 'x\ny\n' >short
	printf 'a\0b c\0' >nul
	compared=0 different=0
}

# same ARGUMENTS...: both, with the same arguments and standard input `lines`.
same()
{
	local parallel_status=0 status=0

	parallel "$@" <lines >parallel.out 2>parallel.err || parallel_status=$?
	"$RANKPOOL" map "$@" <lines >map.out 2>map.err || status=$?
	compared=$((compared + 1))
	if cmp -s parallel.out map.out && cmp -s parallel.err map.err && ((status == parallel_status)); then
		return
	fi
	different=$((different + 1))
	echo "differs ($parallel_status, $status): $*"
	diff parallel.out map.out || true
	diff parallel.err map.err || true
}

# At the end of each test: so many were compared, and all were the same.
all_same()
{
	((different == 0))
	((compared == $1))
}

@test "inputs" {
	same -k echo
	same -k echo ::: a b c
	same -k echo ::: ''
	same -k echo :::: lines
	same -k echo :::: -
	same -k -a lines echo
	same -k -a lines -a short echo
	same -k -a short echo ::: 1 2
	same -k --arg-file short echo
	same -k -0 -a nul echo
	same -k --null echo :::: nul
	same -k echo :::: /dev/null
	all_same 12
}

@test "several sources" {
	same -k echo ::: a b ::: x y
	same -k echo ::: a b ::: x y ::: 1 2
	same -k echo ::: a b :::+ x y
	same -k echo ::: a b c :::+ x y
	same -k echo ::: a b :::+ x y z
	same -k echo ::: a b c :::+ x y ::: 1 2
	same -k echo ::: 1 2 ::: a b :::+ x y
	same -k echo :::: lines short
	same -k echo :::: lines ::::+ short
	same -k echo ::: 1 2 :::: short
	same -k echo :::: short ::: 1 2
	same -k echo '{1}-{2}' ::: a b :::
	same -k echo '{1}-{2}' ::: a b :::+
	same -k echo :::: /dev/null ::: 1 2
	all_same 14
}

@test "replacement strings" {
	same -k echo {} {} ::: a b
	same -k echo '{.} {/} {//} {/.}' ::: a/b.c /x/y.tar.gz a/b/ / '' . .. .x a. ./ // a//b a.b/c
	same -k echo '{2} {1}' ::: a b ::: x y
	same -k echo '{2.} {1/} {1//} {2/.}' ::: a/b.x ::: x/c.d y.d
	same -k echo '{-1} {-2} {3} {0}' ::: a b ::: x y
	same -k echo '{1 /}' ::: a/b
	same -k echo {#} ::: a b c
	same -k -j1 echo {%} ::: a b c
	same -k echo x{}y ::: a b ::: c
	same -k echo '{a} {1,2} {{x}}' ::: q
	same -k 'echo {} # {}' ::: a 'b c'
	same -k 'echo ${HOME}{} $((1 + {#}))' ::: a
	all_same 12
}

@test "values in the shell" {
	local values=('a b' "it's" '$x' '' '"' "'" "''" "a''b" 'x\y' '*' '~' 'a=b' 'é' '!' 'a:b' '#' '{}' '{#}' 'a;b' '-n' 'a	b')

	same -k echo {} ::: "${values[@]}"
	same -k --dry-run echo {} ::: "${values[@]}"
	same -k --dry-run 'echo  {}  x' y ::: "${values[@]}"
	same -k --dry-run --tag echo ::: a 'b c' ::: x
	same -k 'echo "{}"' ::: a 'a b' 'x  y' '*' 'a;b'
	same -k "echo '{}'" ::: a 'a b' 'c=d'
	same -k 'echo "$(basename "{}")"' ::: a/b
	same -k 'echo `basename {}`' ::: a/b '/x/y z' "it's"
	same -k 'v={}; echo "$v"' ::: a 'b c'
	same -k 'for i in {} {}; do echo "$i"; done' ::: a 'b c'
	same -k 'sh -c "echo {}"' ::: a 'b c' 'd;e'
	same -k /bin/echo {}x{} -{} ::: 'a  b' '' '$HOME' '`x`'
	same -k printf '%s-%s\\n' {} x ::: a 'b c'
	all_same 13
}

@test "commands" {
	same -k ::: 'echo a; echo b' 'exit 3' '# x' '' 'echo "c  d"'
	same -k {} ::: 'echo a; echo b' 'exit 3'
	same -k '{} x' ::: 'echo a' 'echo b'
	same -k 'echo {} | tr a-z A-Z' ::: a b
	same -k 'echo out; echo err >&2; exit {}' ::: 0 2
	same -k cat {} '|' wc -l ::: lines short
	same -k wc -l '<' ::: lines
	same -k no-such-command ::: a b
	same -k ./no-such-command ::: a
	same -k /tmp ::: a
	same -k 'cd / && pwd; : ' ::: a
	same -k 'echo $PARALLEL_SEQ; :' ::: a b c
	same -k -j1 'echo $PARALLEL_JOBSLOT; :' ::: a b c
	all_same 13
}

@test "output" {
	same -k --tag echo ::: a b ::: c
	same -k --tag 'printf "x\r\ny\n\nz"; :' ::: a b
	same -k --tag 'echo e{} >&2; echo' ::: a b
	same -k --tag 'printf "\r\n\r\n"; :' ::: a
	same -k --tag 'head -c 200000 /dev/zero | tr "\0" "x" | fold -w 60; :' ::: a b
	same -k 'head -c 200000 /dev/zero | tr "\0" "{}"' ::: a b
	same -k -j2 'sleep 0.{}; echo {}' ::: 3 1 2 0
	same -j1 'echo {}' ::: 3 1 2 0
	all_same 8
}

@test "options" {
	same -kj2 echo ::: a b
	same -j 2 -k echo ::: a b
	same --jobs 2 --keep-order echo ::: a b
	same --jobs=2 --keep echo ::: a b
	same -P2 -k echo ::: a b
	same --max-procs 2 -k echo ::: a b
	same -j200% -k echo ::: a b
	same -j+1 -k echo ::: a b
	same -j0 -k echo ::: a b c
	same -k -- echo ::: a
	same -k echo -- ::: a
	same -k echo -k ::: a
	same -k --dryrun touch ::: a
	same --timeout 100 -k echo ::: a
	all_same 14
}

@test "exit status" {
	same false ::: 1 2 3
	same true ::: 1 2 3
	same 'exit {}' ::: 0 255 1
	same 'kill -9 $$; :' ::: a b
	same -j4 'exit 1; :' ::: {1..100}
	same -j4 'exit 1; :' ::: {1..101}
	same -j4 'exit 1; :' ::: {1..102}
	all_same 7
}
