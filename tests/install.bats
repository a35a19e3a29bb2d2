#!/usr/bin/env bats
# What make install puts where, and that a stranger's program builds against it with pkg-config.

load lib

setup()
{
	test_begin
	# The make that runs this test must not lend its jobs or its command line to the one started here.
	unset MAKEFLAGS MFLAGS MAKELEVEL
	make=${MAKE:-make}
	cat >use.c <<-'END'
		#include <rankpool.h>
		#include <stdio.h>
		int main(void)
		{
			return puts(rp_state_name(RP_OK)) < 0;
		}
	END
}

@test "a program builds against the installed library and runs" {
	local flags at

	$make -s -C "$top_builddir" install DESTDIR="$PWD/stage" >install.log 2>&1 || { cat install.log; return 1; }
	pc=$(find stage -name rankpool.pc)
	at=$PWD/stage
	flags=$(PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$at pkg-config --cflags --libs rankpool)
	[[ $flags == *"-I$at/"* && $flags == *"-L$at/"* && $flags == *-lrankpool* ]]
	# The sanitizers of a build have to be in the program, too.
	# shellcheck disable=SC2086
	$CC ${CFLAGS-} use.c -o use $flags
	libdir=$(dirname "$(find "$at" -name librankpool.so)")
	LD_LIBRARY_PATH=$libdir run -0 ./use
	[[ $output == ok ]]
}

@test "what is installed is no more than the library, the command and their pages" {
	$make -s -C "$top_builddir" install DESTDIR="$PWD/stage" >install.log 2>&1 || { cat install.log; return 1; }
	run -0 find stage ! -type d ! -name 'librankpool.so*' ! -name librankpool.la ! -path '*/bin/rankpool' \
		! -path '*/include/rankpool.h' ! -path '*/pkgconfig/rankpool.pc' ! -path '*/man/man[13]/rankpool*.[13]'
	[[ -z $output ]]
	$make -s -C "$top_builddir" uninstall DESTDIR="$PWD/stage" >uninstall.log 2>&1 || { cat uninstall.log; return 1; }
	run -0 find stage ! -type d
	[[ -z $output ]]
}
