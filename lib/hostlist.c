/* SPDX-License-Identifier: BSD-3-Clause */
/* hostlist.c - names of hosts, and Slurm's lists of them.
 *
 * A list is elements with commas between; an element is text with any number of groups "[01-16,20]", each of which stands
 * for its numbers in turn, the last group's first.  So each of an element's names has an index, and is made from it. */
#include "hostlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_SIZE 256
#define HOSTS_MOST (1ul << 20)                  /* a list that is no list must not take for ever */

int hostlist_same(const char *a, const char *b)
{
	size_t n = strcspn(a, "."), m = strcspn(b, ".");

	/* Where both have a domain it counts. */
	return n && n == m && strncasecmp(a, b, n) == 0 && (!a[n] || !b[m] || strcasecmp(a + n, b + m) == 0);
}

struct range {
	unsigned long low, high;
	int width;                              /* digits, with leading zeros */
};

/* Reads "01-16" or "20" at *text, and the comma behind it.  0, or -1. */
static int parse_range(const char **text, struct range *ret)
{
	char *end;

	if (**text < '0' || **text > '9')
		return -1;
	ret->low = ret->high = strtoul(*text, &end, 10);
	ret->width = (int)(end - *text);
	if (*end == '-') {
		const char *high = end + 1;

		if (*high < '0' || *high > '9')
			return -1;
		ret->high = strtoul(high, &end, 10);
	}
	if ((*end != ',' && *end != ']') || ret->width >= 20 || ret->low > ret->high || ret->high >= HOSTS_MOST * HOSTS_MOST)
		return -1;
	*text = end + (*end == ',');
	return 0;
}

/* How many numbers the group at `text`, behind its bracket, stands for; 0: it is malformed. */
static unsigned long count_group(const char *text)
{
	unsigned long count = 0;
	struct range range;

	while (*text != ']') {
		if (parse_range(&text, &range) < 0 || range.high - range.low >= HOSTS_MOST)
			return 0;
		count += range.high - range.low + 1;
		if (count > HOSTS_MOST)
			return 0;
	}
	return count;
}

/* How many names the element stands for; 0: it is malformed. */
static unsigned long count_element(const char *text, const char *end)
{
	unsigned long count = text < end;

	for (; text < end && count && count <= HOSTS_MOST; text++)
		if (*text == '[')
			count *= count_group(text + 1);
	return count <= HOSTS_MOST ? count : 0;
}

/* The number at `index` of a group, as it is in a name. */
static int print_number(char *ret, size_t size, const char *group, unsigned long index)
{
	struct range range = { 0 };

	while (parse_range(&group, &range) == 0 && index > range.high - range.low)
		index -= range.high - range.low + 1;
	return snprintf(ret, size, "%0*lu", range.width, range.low + index);
}

/* The name at `index` of an element that stands for `count`. */
static void print_name(char *ret, const char *text, const char *end, unsigned long index, unsigned long count)
{
	size_t used = 0;

	for (; text < end && used + 24 < NAME_SIZE; text++) {
		if (*text != '[') {
			ret[used++] = *text;
			continue;
		}
		count /= count_group(text + 1);
		used += (size_t)print_number(ret + used, NAME_SIZE - used, text + 1, index / count);
		index %= count;
		text = strchr(text, ']');
	}
	ret[used] = 0;
}

/* The end of the first element: commas in brackets are not the list's. */
static const char *element_end(const char *list)
{
	int inside = 0;

	for (; *list && (inside || *list != ','); list++)
		inside = *list == '[' ? 1 : *list == ']' ? 0 : inside;
	return list;
}

long hostlist_find(const char *list, const char *host)
{
	unsigned long before = 0;
	char name[NAME_SIZE];

	while (*list && before < HOSTS_MOST) {
		const char *end = element_end(list);
		unsigned long count = count_element(list, end);

		if (!count)
			return -1;
		for (unsigned long i = 0; i < count; i++) {
			print_name(name, list, end, i, count);
			if (hostlist_same(name, host))
				return (long)(before + i);
		}
		before += count;
		list = end + (*end == ',');
	}
	return -1;
}
