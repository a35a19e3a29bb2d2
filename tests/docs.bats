#!/usr/bin/env bats
# The pages, --help, the list of symbols and the README say the same as the programs do.

load lib

# Options that a command's --help lists: the names at the beginning of a line, before the words about them.
options_of_help()
{
	"$RANKPOOL" "$1" --help | awk '
		/^ *-/ {
			line = $0
			sub(/^ */, "", line)
			while (match(line, /^--?[A-Za-z0-9][A-Za-z0-9-]*/)) {
				print substr(line, 1, RLENGTH)
				line = substr(line, RLENGTH + 1)
				if (!sub(/^, */, "", line))
					break
			}
		}' | sort
}

# Options that have a paragraph of their own in its page.
options_of_page()
{
	sed -nE 's/^\.It Fl //p' "$top_srcdir/man/rankpool-$1.1" | sed 's/ , Fl /\n/g' | sed -E 's/^([^ =]+).*/-\1/' | sort
}

@test "rankpool map --help and rankpool-map(1) have the same options" {
	run -0 diff <(options_of_help map) <(options_of_page map)
	[[ $(options_of_help map) == *--keep-order* ]]
}

@test "rankpool run --help and rankpool-run(1) have the same options" {
	run -0 diff <(options_of_help run) <(options_of_page run)
	[[ $(options_of_help run) == *--keep-going* ]]
}

@test "rankpool topo --help and rankpool-topo(1) have the same options" {
	run -0 diff <(options_of_help topo) <(options_of_page topo)
	[[ $(options_of_help topo) == *--topology* ]]
}

@test "rankpool --help and rankpool(1) have the same subcommands" {
	run -0 diff <("$RANKPOOL" --help | sed -nE '/^Subcommands/,/^$/ s/^  ([a-z]+) .*/\1/p' | sort) \
		<(sed -nE 's/^\.It Cm ([a-z]+).*/\1/p' "$top_srcdir/man/rankpool.1" | sort)
	[[ $("$RANKPOOL" --help) == *" map "* ]]
}

@test "rankpool(3) has every exported name, in its synopsis and in its words" {
	local name page=$top_srcdir/man/rankpool.3

	while read -r name; do
		[[ $name == rp_fatal ]] || sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep -qE "^\.F[no] $name\>" ||
			{ echo "$name: not in the synopsis"; return 1; }
		sed -n '/^\.Sh DESCRIPTION/,$p' "$page" | grep -qE "^\.(Fn|Va) $name\>" ||
			{ echo "$name: not in the description"; return 1; }
	done <"$top_srcdir/lib/rankpool.sym"
}

@test "rankpool(3) names nothing that the library does not have" {
	local name

	for name in $(sed -nE 's/^\.F[no] (rp_[a-z0-9_]+).*/\1/p' "$top_srcdir/man/rankpool.3" | sort -u); do
		grep -qE "\<$name\>" "$top_srcdir/lib/rankpool.h" || { echo "$name: not in rankpool.h"; return 1; }
	done
}

@test "the pages are clean mdoc" {
	command -v mandoc >/dev/null || skip "mandoc is not installed"
	run mandoc -T lint -W warning "$top_srcdir"/man/*.[13]
	echo "$output"
	((status == 0))
	[[ -z $output ]]
}

@test "no word of an example is taken for punctuation, which would stick to the word before" {
	run -1 grep -nE '^\.Dl .* [].,:;!?()[] ' "$top_srcdir"/man/*.[13]
}

@test "the example of rankpool(3) compiles and runs" {
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh ERRORS/p' "$top_srcdir/man/rankpool.3" | sed -n '/^\.Bd/,/^\.Ed/p' |
		sed '/^\./d; s/\\e/\\/g' >example.c
	# shellcheck disable=SC2086
	$CC ${CFLAGS-} -Wall -Wextra -Werror -I"$top_srcdir/lib" example.c -o example -L"$top_builddir/lib/.libs" -lrankpool
	run -0 ./example
	[[ $output == $'1\n4\n9\n16' ]]
}

# block LANGUAGE NUMBER: the inside of that fenced block of the README.
block()
{
	awk -v open="\`\`\`$1" -v number="$2" '
		/^```/ && inside { inside = 0; next }
		$0 == open { inside = 1; seen++; next }
		inside && seen == number { print }' "$top_srcdir/README.md"
}

@test "the program in the README compiles and prints what stands there" {
	block c 1 >example.c
	[[ -s example.c ]]
	# shellcheck disable=SC2086
	$CC ${CFLAGS-} -Wall -Wextra -Werror -I"$top_srcdir/lib" example.c -o example -L"$top_builddir/lib/.libs" -lrankpool
	run -0 ./example
	[[ $output == "$(block text 1)" ]]
}

# Each block is commands behind "$ " and what they print; a line of three dots is anything.
@test "the commands in the README print what stands there" {
	local number=0 commands=0 line command expected

	mkdir bin && ln -s "$RANKPOOL" bin/rankpool
	export PATH=$PWD/bin:$PATH
	while block console $((number += 1)) >session && [[ -s session ]]; do
		command='' expected=''
		while IFS= read -r line; do
			if [[ $line == '$ '* ]]; then
				[[ -z $command ]] || check_command "$command" "$expected"
				command=${line#'$ '} expected='' commands=$((commands + 1))
			else
				expected+=$line$'\n'
			fi
		done <session
		check_command "$command" "$expected"
	done
	((commands >= 6))
}

check_command()
{
	local pattern=$2

	pattern=${pattern%$'\n'}
	run bash -c "$1"
	echo "$ $1"
	echo "$output"
	# Quoted, so that only the dots are a pattern.
	case $pattern in
	*...*) [[ $output == "${pattern%%...*}"*"${pattern##*...}" ]] ;;
	*) [[ $output == "$pattern" ]] ;;
	esac
}
