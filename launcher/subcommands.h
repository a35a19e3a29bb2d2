/* SPDX-License-Identifier: BSD-3-Clause */
/* subcommands.h - what main.c calls: each returns the exit status. */
#ifndef RP_LAUNCHER_SUBCOMMANDS_H
#define RP_LAUNCHER_SUBCOMMANDS_H

int map_main(int argc, char **argv);
int run_main(int argc, char **argv);
int topo_main(int argc, char **argv);

#endif
