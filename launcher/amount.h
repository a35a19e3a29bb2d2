/* SPDX-License-Identifier: BSD-3-Clause */
/* amount.h - how many, and how long, as users write it. */
#ifndef RP_LAUNCHER_AMOUNT_H
#define RP_LAUNCHER_AMOUNT_H

#include <stdint.h>

/* A number of jobs at a time: "4", "+2" and "-2" from the number of cores, "50%" of it (rounded up), "0" as many as
 * possible. */
enum amount_unit { AMOUNT_NUMBER, AMOUNT_MORE, AMOUNT_LESS, AMOUNT_PERCENT };

struct amount {
	enum amount_unit unit;
	double value;
};

/* 0, or -1: not an amount. */
int amount_parse(const char *text, struct amount *ret);

/* Whether it depends on the number of cores. */
int amount_is_relative(const struct amount *amount);

/* Rounded up, below 1 when nothing is left. */
double amount_of(const struct amount *amount, int cores);

/* "30", "1.5s", "5m", "1h30m", "2d": *ret in ns.  0, or -1: not a time.  Times beyond 200 years are that. */
int amount_duration(const char *text, int64_t *ret);

#endif
