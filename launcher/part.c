/* SPDX-License-Identifier: BSD-3-Clause */
/* part.c - parts of a value that is taken for a file name. */
#include "part.h"

#include <string.h>

static const char *last_slash(struct slice value)
{
	return value.size ? memrchr(value.data, '/', value.size) : NULL;
}

static struct slice base(struct slice value)
{
	const char *slash = last_slash(value);
	size_t skip = slash ? (size_t)(slash + 1 - value.data) : 0;

	return (struct slice){ value.data + skip, value.size - skip };
}

static struct slice stem(struct slice value)
{
	struct slice name = base(value);
	const char *dot = name.size ? memrchr(name.data, '.', name.size) : NULL;

	return (struct slice){ value.data, dot ? (size_t)(dot - value.data) : value.size };
}

static struct slice directory(struct slice value)
{
	const char *slash;

	while (value.size > 1 && value.data[value.size - 1] == '/')
		value.size--;
	slash = last_slash(value);
	if (!slash)
		return (struct slice){ ".", 1 };
	value.size = (size_t)(slash - value.data);
	while (value.size > 1 && value.data[value.size - 1] == '/')
		value.size--;
	return value.size ? value : (struct slice){ "/", 1 };
}

struct slice part_of(struct slice value, enum part part)
{
	switch (part) {
	case PART_STEM:
		return stem(value);
	case PART_BASE:
		return base(value);
	case PART_DIRECTORY:
		return directory(value);
	case PART_BASE_STEM:
		return stem(base(value));
	case PART_ALL:
		break;
	}
	return value;
}
