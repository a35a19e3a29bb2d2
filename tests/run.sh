#!/bin/sh
# run.sh - runs one test, a cmocka program or a bats file, so that it speaks TAP, ends, and leaves nothing behind.
#
# A test that leaves a process or shared memory makes this exit with 1, which automake's TAP driver counts as an error.
# Processes are found by a mark in the environment they were started with, so that those which left their process group,
# and were given to init, are found too.

limit=${TEST_TIMEOUT:-300}
RANKPOOL_TEST_MARK=run.$$.$(date +%s)

marked()
{
	# Without the mark in its own environment, or grep would find itself.
	(mark=$RANKPOOL_TEST_MARK; unset RANKPOOL_TEST_MARK; grep -lszxF "RANKPOOL_TEST_MARK=$mark" /proc/[0-9]*/environ)
}

own_shm()
{
	find /dev/shm -mindepth 1 -maxdepth 1 -user "$(id -u)" 2>/dev/null
}

# What a process has mapped is in use by something else that runs here, as another test's mpirun: a process of this test
# that still ran would have been found by its mark.
new_shm()
{
	for file in $(own_shm | grep -vxF "$shm"); do
		grep -qsF " $file" /proc/[0-9]*/maps || echo "$file"
	done
}

case $1 in
*.bats)
	command -v bats >/dev/null || { echo "Bail out! bats is not installed"; exit 1; }
	set -- bats --tap "$1" ;;
esac

# A crash in a test has to look like one: a sanitizer that turned it into an exit status would hide what is tested.
: "${ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0:exitcode=99:allocator_may_return_null=1}"
: "${UBSAN_OPTIONS=print_stacktrace=1:exitcode=99}"
CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS UBSAN_OPTIONS CMOCKA_MESSAGE_OUTPUT RANKPOOL_TEST_MARK

# Into a file, as a process that is left behind would keep a pipe open.
out=$(mktemp) || exit
trap 'rm -f "$out" "$out.tap"' EXIT
shm=$(own_shm; echo end)
timeout -k 10 "$limit" "$@" </dev/null >"$out" 2>&1
status=$?
# cmocka says "not ok" of a test that was skipped; why stands in the line before.
awk '
	/^not ok [0-9]+ # SKIP / { sub(/^not ok [0-9]+ # SKIP /, "ok " $3 " - "); $0 = $0 " # SKIP " why }
	{ print; why = /^# / ? substr($0, 3) : "" }
' "$out" >"$out.tap"
mv "$out.tap" "$out"
cat "$out"
[ $status -ne 124 ] || echo "# $1 was ended after $limit s"
# Both kinds of test exit with a small number when a test has failed; that is in the TAP and need not count twice.
[ $status -ge 99 ] || ! grep -q '^not ok' "$out" || status=0

# Processes may outlive their parent by the second that rankpool promises.
tries=0
while left=$(marked); new=$(new_shm); [ -n "$left$new" ] && [ $tries -lt 20 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
for environ in $left; do
	pid=${environ#/proc/}; pid=${pid%/environ}
	echo "# left behind: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
	kill -KILL "$pid" 2>/dev/null
	status=1
done
for file in $new; do
	echo "# left behind: $file"
	status=1
done
exit $status
