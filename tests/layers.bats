#!/usr/bin/env bats
# What the tree's architecture promises and the text of the sources can show: floors that point downwards, foreign headers in one
# place, sizes, and one list of exported names that agrees with the header.

load lib

# Floors of lib/, lowest first.  A file NAME_more.c is part of module NAME.
floors=(
	"context error options clock descriptor"
	"arena memory copy wait spawn message topology cgroup cpulimit hostlist launch grant location place slots source function image variables"
	"process sync channel"
	"crew job ticket supervise supervisor worker"
	"agent link wire hub hub_function share"
	"runtime station start far_process spread outcome pool plan wave map dispatch future results"
)

# The modules that know what a machine looks like, and those of the command that draw one.
machine="topology cpulimit location place slots source"
drawer="topo|machine|drawing"

setup()
{
	test_begin
	cd "$top_srcdir" || return
	shopt -s nullglob       # a directory may have no sources
}

# "FILE HEADER" for each #include "HEADER" of the given files.
own_includes()
{
	sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]+"([^"]+)".*/\1/p;' "$1" | sed "s|^|$1 |"
}

# "FILE HEADER" for each #include <HEADER>.
foreign_includes()
{
	sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]+<([^>]+)>.*/\1/p;' "$1" | sed "s|^|$1 |"
}

# The listed module that a file of lib/ belongs to; nothing when there is none.
module_of()
{
	local name=${1##*/} module

	name=${name%.[ch]}
	for module in ${floors[*]}; do
		if [[ $name == "$module" || $name == "${module}"_* ]]; then
			echo "$module"
			return
		fi
	done
}

floor_of()
{
	local floor

	for floor in "${!floors[@]}"; do
		if [[ " ${floors[floor]} " == *" $1 "* ]]; then
			echo "$floor"
			return
		fi
	done
}

# Prints all that is wrong, not the first only.
nothing_wrong()
{
	[[ -z $1 ]] || { echo "$1"; return 1; }
}

@test "every file of lib/ belongs to a floor" {
	local file wrong=

	for file in lib/*.[ch]; do
		[[ $file == lib/rankpool.h || -n $(module_of "$file") ]] ||
			wrong+="$file: not in the floors of tests/layers.bats; say there which floor it is on"$'\n'
	done
	nothing_wrong "$wrong"
}

@test "includes in lib/ point downwards" {
	local file header from to wrong=

	while read -r file header; do
		from=$(module_of "$file") to=$(module_of "$header")
		if [[ ! -f lib/$header ]]; then
			wrong+="$file: includes $header, which is not in lib/"$'\n'
		elif [[ -n $from && -n $to ]] && (($(floor_of "$to") > $(floor_of "$from"))); then
			wrong+="$file (floor $(floor_of "$from")) includes $header (floor $(floor_of "$to"))"$'\n'
		fi
	done < <(for file in lib/*.[ch]; do own_includes "$file"; done)
	nothing_wrong "$wrong"
}

# "MODULE MODULE" for each include of another module.
module_includes()
{
	local file header from to

	for file in lib/*.[ch]; do own_includes "$file"; done | while read -r file header; do
		from=$(module_of "$file") to=$(module_of "$header")
		[[ -z $from || -z $to || $from == "$to" ]] || echo "$from $to"
	done
}

@test "modules of one floor do not include each other in a circle" {
	run tsort < <(module_includes)
	echo "$output"
	((status == 0))
	[[ $output == *context* ]]
}

@test "only the link includes mpi.h, only the modules about machines include hwloc" {
	local file header wrong=

	while read -r file header; do
		case $header in
		mpi.h) [[ $file == lib/link_inner.h ]] ;;
		hwloc.h | hwloc/*)
			[[ $file == lib/* && " $machine " == *" $(module_of "$file") "* || $file =~ ^launcher/($drawer)[_.] ]] ;;
		esac || wrong+="$file includes $header"$'\n'
	done < <(for file in lib/*.[ch] launcher/*.[ch] examples/*.[ch]; do foreign_includes "$file"; done)
	nothing_wrong "$wrong"
}

@test "launcher/ and examples/ know nothing of lib/ but rankpool.h" {
	local file header wrong=

	# <spawn.h> is the system's: lib/ is searched for names in quotes only.
	while read -r file header; do
		header=${header##*/}
		[[ $header == rankpool.h || ! -f lib/$header || -f ${file%/*}/$header ]] ||
			wrong+="$file includes $header of lib/"$'\n'
	done < <(for file in launcher/*.[ch] examples/*.[ch]; do own_includes "$file"; done)
	nothing_wrong "$wrong"
}

@test "no function has more than 80 lines" {
	# In the house style a function is what lies between lines that are a brace and nothing else.
	run awk '
		/^\{$/ { start = FNR }
		/^\}$/ && start { if (FNR - start - 1 > 80) print FILENAME ":" start ": " FNR - start - 1 " lines"; start = 0 }
	' lib/*.c launcher/*.c examples/*.c tests/*.c
	echo "$output"
	[[ -z $output ]]
}

@test "no file of lib/ and launcher/ has more than 600 lines" {
	local file lines wrong=

	for file in lib/*.[ch] launcher/*.[ch]; do
		lines=$(wc -l <"$file")
		[[ $file == lib/rankpool.h ]] || ((lines <= 600)) || wrong+="$file has $lines lines"$'\n'
	done
	nothing_wrong "$wrong"
}

@test "lines are at most 125 columns, with tabs of 8" {
	local file

	run -0 bash -c 'for file; do expand -t 8 "$file" | awk "length > 125 { print \"$file:\" NR }"; done' - \
		lib/*.[ch] launcher/*.[ch] examples/*.[ch] bench/*.[ch] tests/*.[ch]
	echo "$output"
	[[ -z $output ]]
}

# Names that rankpool.h declares for the linker.
declared_names()
{
	# Definitions of macros go, then line ends; what is left are declarations that end in a semicolon outside of braces.
	$CC -E -P -Ilib -x c - <<<'#include "rankpool.h"' | tr '\n\t' '  ' | awk '
		{
			depth = 0; statement = ""
			for (i = 1; i <= length; i++) {
				c = substr($0, i, 1)
				if (c == "{") depth++
				if (depth == 0 && c != ";") statement = statement c
				if (c == "}") depth--
				if (c == ";" && depth == 0) { print statement; statement = "" }
			}
		}' | grep -v '^ *typedef' | sed 's/__attribute__.*//' |
		sed -nE 's/^[^(]*[ *](rp_[a-z0-9_]+) *\(.*/\1/p; s/^ *extern [^(]*[ *](rp_[a-z0-9_]+) *$/\1/p' | sort
}

@test "lib/rankpool.sym and rankpool.h name the same things" {
	run diff <(declared_names) <(sort lib/rankpool.sym)
	echo "< declared in lib/rankpool.h, > listed in lib/rankpool.sym:"
	echo "$output"
	((status == 0))
	# Were nothing found in the header, an empty list would agree with it.
	[[ $(declared_names) == *rp_fatal*rp_state_name* ]]
}

@test "the library exports what lib/rankpool.sym lists and nothing else" {
	run diff <(nm -D --defined-only "$top_builddir/lib/.libs/librankpool.so" | awk '{ print $3 }' | sort) <(sort lib/rankpool.sym)
	echo "< exported by the library, > listed in lib/rankpool.sym:"
	echo "$output"
	((status == 0))
}

# The command knows nothing of the library's inside, so each has them: what a launcher has set is hidden from workers by
# one and from commands by the other.
@test "library and command have the same lists of launchers' variables" {
	local list

	for list in launchers permissions settings; do
		sed -n "/^static const char \*const $list\[\] = {/,/};/p" lib/variables.c >"$BATS_TEST_TMPDIR/lib"
		sed -n "/^static const char \*const $list\[\] = {/,/};/p" launcher/environment.c >"$BATS_TEST_TMPDIR/launcher"
		[[ -s $BATS_TEST_TMPDIR/lib ]]
		diff "$BATS_TEST_TMPDIR/lib" "$BATS_TEST_TMPDIR/launcher"
	done
}
