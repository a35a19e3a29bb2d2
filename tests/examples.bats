#!/usr/bin/env bats
# The programs in examples/ do what their first lines say, compile as they stand, and are clean under valgrind.

load lib

bats_require_minimum_version 1.5.0

names=(hello_processes processes_and_threads one_process pool_workers pool_map four_numbers monte_carlo_pi word_count
	across_nodes)
hello=$'Hello, Alice!\nHello, Bob!\nHello, Charlie!'

# example NAME [ARGUMENT]...: runs one, with whatever $wrapper is in front.
example()
{
	# shellcheck disable=SC2086
	run -0 --separate-stderr ${wrapper-} "$top_builddir/examples/$1" "${@:2}"
	[[ -z $stderr ]] || { echo "stderr: $stderr"; return 1; }
}

sorted()
{
	sort <<<"$1"
}

check_hello_processes()
{
	example hello_processes
	[[ $(sorted "$output") == "$hello" ]]
}

check_processes_and_threads()
{
	example processes_and_threads
	[[ ${#lines[@]} == 6 ]]
	[[ $(sorted "$(head -n 3 <<<"$output")") == "$hello" ]]
	[[ $(sorted "$(tail -n 3 <<<"$output")") == "$hello" ]]
}

check_one_process()
{
	example one_process
	[[ $output == "This is a new process." ]]
}

check_pool_workers()
{
	local i done=0

	example pool_workers
	[[ ${lines[0]} == "41538 primes below 500000" ]]
	[[ ${#lines[@]} -ge 2 ]]
	for ((i = 1; i < ${#lines[@]}; i++)); do
		[[ ${lines[i]} =~ ^"rank $((i - 1)) on CPUs "[0-9,-]+" counted "([0-9]+)" ranges"$ ]]
		((done += BASH_REMATCH[1])) || true
	done
	((done == 50))
}

check_across_nodes()
{
	example across_nodes
	[[ $output == "the longest chain below 2000000 begins with 1723519 and has 556 steps
node 0 ($(uname -n)) did 200 of 200 ranges" ]]
}

check_pool_map()
{
	example pool_map
	[[ $output == $'1\n4\n9\n16\n25' ]]
}

check_four_numbers()
{
	example four_numbers
	[[ $(sorted "$(head -n 4 <<<"$output")") == $'1\n2\n3\n4' ]]
	[[ $(tail -n +5 <<<"$output") == $'1\n2\n3\n4' ]]
}

check_monte_carlo_pi()
{
	local default

	example monte_carlo_pi
	default=$output
	[[ $default =~ ^"pi is about "(3\.[0-9]{9})$ ]]
	# Six standard deviations: the seed is fixed, so this is either always true or never.
	awk -v pi="${BASH_REMATCH[1]}" 'BEGIN { d = pi - 3.141592654; exit !(d < 0.0031 && d > -0.0031) }'
	for workers in 1 3; do
		example monte_carlo_pi "$workers"
		[[ $output == "$default" ]]
	done
}

count_words()
{
	cat "$@" | LC_ALL=C tr -s '[:space:][:punct:]' '\n' | grep . | LC_ALL=C sort | LC_ALL=C uniq -c | sed 's/^ *//'
}

check_word_count()
{
	local files=("$top_srcdir"/lib/*.[ch] "$top_srcdir/LICENSE" empty)

	: >empty
	example word_count "${files[@]}"
	[[ $output == "$(count_words "${files[@]}")" ]]
}

@test "hello_processes" {
	check_hello_processes
}

@test "processes_and_threads" {
	check_processes_and_threads
}

@test "one_process" {
	check_one_process
}

@test "pool_workers" {
	check_pool_workers
}

@test "pool_map" {
	check_pool_map
}

@test "four_numbers" {
	check_four_numbers
}

@test "monte_carlo_pi, with the same digits for any number of workers" {
	check_monte_carlo_pi
}

@test "word_count" {
	check_word_count
}

@test "word_count of a large file beside small ones" {
	seq 300000 >large
	echo "one two one" >small
	example word_count small large small
	[[ $output == "$(count_words small large small)" ]]
}

@test "word_count of nothing" {
	example word_count
	[[ -z $output ]]
}

@test "word_count names what it cannot read and counts the rest" {
	echo "one two" >there
	run -1 --separate-stderr "$top_builddir/examples/word_count" missing there "$PWD"
	[[ $output == $'1 one\n1 two' ]]
	[[ $stderr == "word_count: missing: No such file or directory"$'\n'"word_count: $PWD: Is a directory" ]]
}

@test "word_count tells that its output was lost" {
	[[ -c /dev/full ]] || skip "/dev/full is not there"
	# shellcheck disable=SC2016
	run -1 sh -c '"$1" "$2" >/dev/full' sh "$top_builddir/examples/word_count" "$top_srcdir/LICENSE"
}

@test "every example has a test, and none is left out of the build" {
	local name

	run -0 find "$top_srcdir/examples" -name '*.c' -printf '%f\n'
	[[ $(sorted "$output") == "$(sorted "$(printf '%s.c\n' "${names[@]}")")" ]]
	for name in "${names[@]}"; do
		[[ -x $top_builddir/examples/$name ]]
	done
}

@test "the examples are strict C17, with every compiler that is here" {
	local cc name found=0

	for cc in gcc clang; do
		command -v $cc >/dev/null || continue
		found=1
		for name in "${names[@]}"; do
			$cc -std=c17 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
				-Werror -fsyntax-only -I"$top_srcdir/lib" "$top_srcdir/examples/$name.c"
		done
	done
	((found)) || skip "neither gcc nor clang is installed"
}

@test "the examples are clean under valgrind, workers too" {
	local name

	command -v valgrind >/dev/null || skip "valgrind is not installed"
	[[ ${CFLAGS-} != *-fsanitize=* ]] || skip "a build with sanitizers does not run under valgrind"
	export HWLOC_COMPONENTS=-x86    # hwloc would say that it cannot ask the CPU itself here
	wrapper="valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --log-file=log.%p"
	for name in "${names[@]}"; do
		echo "$name"
		"check_$name"
		# A worker's errors are in its own log, in lines that begin with ==PID==.  What begins with --PID-- is about
		# system calls that this valgrind does not know, such as pidfd_open.
		run -1 grep -h '^==' log.*
		rm log.*
	done
}
