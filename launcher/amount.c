/* SPDX-License-Identifier: BSD-3-Clause */
/* amount.c - how many, and how long, as users write it. */
#include "amount.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX (200.0 * 365 * 86400)      /* seconds */

/* Digits with at most one point among them: *ret, and what follows.  NULL: no number. */
static const char *number(const char *text, double *ret)
{
	size_t length = strspn(text, "0123456789.");
	char *end;

	if (!length || length > 40 || (!isdigit((unsigned char)text[0]) && !isdigit((unsigned char)text[1])))
		return NULL;
	*ret = strtod(text, &end);
	return end == text + length && *ret < 1e15 ? end : NULL;
}

int amount_parse(const char *text, struct amount *ret)
{
	const char *digits = text + (*text == '+' || *text == '-');
	const char *end = number(digits, &ret->value);

	if (!end)
		return -1;
	if (digits == text && strcmp(end, "%") == 0) {
		ret->unit = AMOUNT_PERCENT;
		return 0;
	}
	if (*end || memchr(digits, '.', (size_t)(end - digits)))
		return -1;
	ret->unit = *text == '+' ? AMOUNT_MORE : *text == '-' ? AMOUNT_LESS : AMOUNT_NUMBER;
	return 0;
}

int amount_is_relative(const struct amount *amount)
{
	return amount->unit != AMOUNT_NUMBER;
}

static double rounded_up(double value)
{
	double whole = (double)(int64_t)value;

	return whole < value ? whole + 1 : whole;
}

double amount_of(const struct amount *amount, int cores)
{
	switch (amount->unit) {
	case AMOUNT_MORE:
		return cores + amount->value;
	case AMOUNT_LESS:
		return cores - amount->value;
	case AMOUNT_PERCENT:
		return rounded_up(cores * amount->value / 100);
	case AMOUNT_NUMBER:
		break;
	}
	return amount->value;
}

static double unit_seconds(char unit)
{
	switch (tolower((unsigned char)unit)) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

int amount_duration(const char *text, int64_t *ret)
{
	double seconds = 0, value;

	do {
		text = number(text, &value);
		if (!text)
			return -1;
		if (*text) {
			value *= unit_seconds(*text);
			if (!unit_seconds(*text++))
				return -1;
		}
		seconds += value;
	} while (*text);
	*ret = (int64_t)((seconds < DURATION_MAX ? seconds : DURATION_MAX) * 1e9);
	return 0;
}
