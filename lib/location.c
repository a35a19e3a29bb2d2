/* SPDX-License-Identifier: BSD-3-Clause */
/* location.c - CPUs named by words: a reader for the location syntax of the hwloc tools, which libhwloc does not have. */
#include "location.h"
#include "place.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
	hwloc_topology_t machine;
	hwloc_const_bitmap_t allowed;
	const char *word;                       /* the location being read, for messages */
	char prefix;                            /* of it, ~ x or ^: what it names need not be allowed; else 0 */
	struct rp_error *err;
};

struct level {                                  /* the objects of a type that indexes count */
	hwloc_obj_t *objects;
	unsigned count;
	char type[32];
};

struct range {
	unsigned first, count, step;
	int wraps;                              /* x:n goes on at 0 behind the last */
	int meant;                              /* given by numbers, so that each object has to be usable */
};

static int refuse_forbidden(const struct reader *r, hwloc_const_bitmap_t cpus)
{
	char named[160], allowed[160];

	place_list(named, sizeof named, cpus);
	place_list(allowed, sizeof allowed, r->allowed);
	return error_set(r->err, -EINVAL, "\"%s\" names CPUs %s, and only CPUs %s may be used", r->word, named, allowed);
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Large numbers stay large: PLACE_BITS is more than any object or CPU has. */
static unsigned parse_number(const char **s)
{
	unsigned n = 0;

	for (; is_digit(**s); ++*s)
		n = n < PLACE_BITS ? n * 10 + (unsigned)(**s - '0') : PLACE_BITS;
	return n < PLACE_BITS ? n : PLACE_BITS;
}

/* "core:" and the like.  Where hwloc knows no cores, hardware threads are them, as for the slots. */
static int parse_type(const struct reader *r, const char **s, char *name, size_t size, int *ret_depth)
{
	const char *colon = strchr(*s, ':');
	size_t length = strcspn(*s, ":.");
	hwloc_obj_type_t type;

	if (!colon || length != (size_t)(colon - *s) || !length || length >= size)
		return error_set(r->err, -EINVAL, "\"%s\" is not of the form type:index, such as core:0", r->word);
	memcpy(name, *s, length);
	name[length] = 0;
	/* hwloc would overlook digits after a type that takes none. */
	if (hwloc_type_sscanf_as_depth(name, &type, r->machine, ret_depth) < 0 ||
	    (strpbrk(name, "0123456789") && !hwloc_obj_type_is_cache(type) && type != HWLOC_OBJ_GROUP))
		return error_set(r->err, -EINVAL, "\"%s\": no object type \"%s\"; known are package, numa, l3, core, pu",
		                 r->word, name);
	if (hwloc_obj_type_is_io(type) || type == HWLOC_OBJ_MISC)
		return error_set(r->err, -EINVAL, "\"%s\": places are given by processors, not by devices", r->word);
	if (*ret_depth == HWLOC_TYPE_DEPTH_UNKNOWN && type == HWLOC_OBJ_CORE)
		*ret_depth = hwloc_get_type_depth(r->machine, HWLOC_OBJ_PU);
	if (*ret_depth == HWLOC_TYPE_DEPTH_UNKNOWN || *ret_depth == HWLOC_TYPE_DEPTH_MULTIPLE)
		return error_set(r->err, -EINVAL, "\"%s\": this machine has %s of type \"%s\"", r->word,
		                 *ret_depth == HWLOC_TYPE_DEPTH_UNKNOWN ? "no object" : "several levels", name);
	*s = colon + 1;
	return 0;
}

/* Below a parent those count that lie wholly within it, as for hwloc-calc. */
static int find_objects(const struct reader *r, hwloc_obj_t parent, int depth, struct level *ret)
{
	hwloc_obj_t o = NULL;

	ret->count = 0;
	ret->objects = calloc((size_t)hwloc_get_nbobjs_by_depth(r->machine, depth) + 1, sizeof *ret->objects);
	if (!ret->objects)
		return error_set(r->err, -ENOMEM, "out of memory");
	while ((o = hwloc_get_next_obj_by_depth(r->machine, depth, o)) != NULL)
		if (!parent || (!hwloc_bitmap_iszero(o->cpuset) && hwloc_bitmap_isincluded(o->cpuset, parent->cpuset)))
			ret->objects[ret->count++] = o;
	return 0;
}

/* "3", "0-3", "4-" or "2:4". */
static int parse_numbers(const struct reader *r, const char **s, const struct level *level, struct range *ret)
{
	unsigned last;

	last = ret->first = parse_number(s);
	ret->meant = 1;
	if (**s == ':' && is_digit((*s)[1])) {
		++*s;
		ret->count = parse_number(s);
		ret->wraps = 1;
		return ret->count ? 0 : error_set(r->err, -EINVAL, "\"%s\" names no object", r->word);
	}
	if (**s == '-' && is_digit((*s)[1])) {
		++*s;
		last = parse_number(s);
	} else if (**s == '-') {
		++*s;
		ret->meant = 0;
		last = level->count > ret->first ? level->count - 1 : ret->first;
	}
	if (last < ret->first)
		return error_set(r->err, -EINVAL, "\"%s\": the range ends before it begins", r->word);
	ret->count = last - ret->first + 1;
	return 0;
}

static int parse_range(const struct reader *r, const char **s, const struct level *level, struct range *ret)
{
	const char *begin = *s;

	*ret = (struct range){ .step = 1 };
	if (is_digit(**s)) {
		int e = parse_numbers(r, s, level, ret);

		if (e < 0)
			return e;
	} else if (strncmp(*s, "all", 3) == 0) {
		ret->count = level->count;
		*s += 3;
	} else if (strncmp(*s, "odd", 3) == 0) {
		ret->first = 1;
		ret->step = 2;
		ret->count = level->count / 2;
		*s += 3;
	} else if (strncmp(*s, "even", 4) == 0) {
		ret->step = 2;
		ret->count = (level->count + 1) / 2;
		*s += 4;
	}
	if (*s == begin || (**s && **s != ',' && **s != '.'))
		return error_set(r->err, -EINVAL, "\"%s\": \"%s\" is no index; those are 3, 0-3, 4-, 2:4, all, odd, even",
		                 r->word, begin);
	return 0;
}

/* "x:n" may go around the end, but not begin behind it. */
static int fits(const struct range *range, const struct level *level)
{
	return range->first < level->count && (range->wraps || range->first + range->count <= level->count);
}

static int refuse_missing(const struct reader *r, const struct level *level, hwloc_obj_t parent)
{
	char where[64] = "this machine", type[32];

	if (parent) {
		hwloc_obj_type_snprintf(type, sizeof type, parent, 0);
		snprintf(where, sizeof where, "%s %u", type, parent->logical_index);
	}
	if (!level->count)
		return error_set(r->err, -EINVAL, "\"%s\": %s has no %s in it", r->word, where, level->type);
	return error_set(r->err, -EINVAL, "\"%s\": %s has %s:0%s%.0u only", r->word, where, level->type,
	                 level->count > 1 ? "-" : "", level->count - 1);
}

static int add_object(const struct reader *r, hwloc_obj_t object, int meant, hwloc_bitmap_t ret)
{
	if (meant && !r->prefix && !hwloc_bitmap_intersects(object->cpuset, r->allowed))
		return refuse_forbidden(r, object->cpuset);
	return hwloc_bitmap_or(ret, ret, object->cpuset) < 0 ? error_set(r->err, -ENOMEM, "out of memory") : 0;
}

/* "type:indexes" and what follows it after a dot, within `parent` (NULL: the machine).  Below an "all" or the like not every
 * parent has to have what is named, nor has that to be allowed: then it is not `meant`. */
static int add_chain(const struct reader *r, const char *s, hwloc_obj_t parent, int meant, hwloc_bitmap_t ret)
{
	struct level level = { .count = 0 };
	const char *rest;
	int depth, e;

	e = parse_type(r, &s, level.type, sizeof level.type, &depth);
	if (e < 0)
		return e;
	e = find_objects(r, parent, depth, &level);
	if (e < 0)
		return e;
	rest = strchr(s, '.');
	do {
		struct range range;

		e = parse_range(r, &s, &level, &range);
		if (e < 0)
			break;
		if (!fits(&range, &level)) {
			e = meant ? refuse_missing(r, &level, parent) : 0;
			continue;
		}
		for (unsigned i = 0; e == 0 && i < range.count && i < level.count; i++) {
			hwloc_obj_t o = level.objects[(range.first + i * range.step) % level.count];

			e = rest ? add_chain(r, rest + 1, o, meant && range.meant, ret) :
			           add_object(r, o, meant && range.meant, ret);
		}
	} while (e == 0 && *s++ == ',');
	free(level.objects);
	return e;
}

/* "0-3,8": numbers of the system. */
static int add_list(const struct reader *r, const char *s, hwloc_bitmap_t ret)
{
	for (;; s++) {
		unsigned first, last;

		if (!is_digit(*s))
			return error_set(r->err, -EINVAL, "\"%s\" is no list of CPUs, such as 0-3,8", r->word);
		first = last = parse_number(&s);
		if (*s == '-' && is_digit(s[1])) {
			s++;
			last = parse_number(&s);
		} else if (*s == '-') {
			s++;
			last = PLACE_BITS - 1;
		}
		if (*s && *s != ',')
			return error_set(r->err, -EINVAL, "\"%s\" is no list of CPUs, such as 0-3,8", r->word);
		if (last < first)
			return error_set(r->err, -EINVAL, "\"%s\": the range ends before it begins", r->word);
		if (hwloc_bitmap_set_range(ret, first, (int)last) < 0)
			return error_set(r->err, -ENOMEM, "out of memory");
		if (!*s)
			return 0;
	}
}

/* hwloc's own reader stops at what it does not know, so the form is checked first: blocks of up to 8 hexadecimal digits. */
static int add_mask(const struct reader *r, const char *text, hwloc_bitmap_t ret)
{
	const char *s = strncasecmp(text, "0xf...f", 7) == 0 ? text + 7 : text;

	for (;; s++) {
		size_t n;

		if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
			s += 2;
		n = strspn(s, "0123456789abcdefABCDEF");
		s += n;
		if (n > 8 || (*s && *s != ','))
			return error_set(r->err, -EINVAL, "\"%s\" is no mask, such as 0xff or 0xff,,0x1", r->word);
		if (!*s)
			break;
	}
	if (hwloc_bitmap_sscanf(ret, text) < 0)
		return error_set(r->err, -EINVAL, "\"%s\" is no mask, such as 0xff or 0xff,,0x1", r->word);
	return 0;
}

/* One location, into the empty *ret. */
static int read_location(const struct reader *r, const char *s, hwloc_bitmap_t ret)
{
	int e;

	if (strcasecmp(s, "all") == 0 || strcasecmp(s, "root") == 0)
		return hwloc_bitmap_copy(ret, r->allowed) < 0 ? error_set(r->err, -ENOMEM, "out of memory") : 0;
	if (!is_digit(*s))
		return add_chain(r, s, NULL, 1, ret);
	e = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? add_mask(r, s, ret) : add_list(r, s, ret);
	if (e < 0)
		return e;
	/* An open end, "4-" or "0xf...f", means whatever there is. */
	if (!r->prefix && hwloc_bitmap_weight(ret) >= 0 && !hwloc_bitmap_isset(ret, PLACE_BITS - 1) &&
	    !hwloc_bitmap_isincluded(ret, r->allowed))
		return refuse_forbidden(r, ret);
	return 0;
}

/* Does a location begin at s, after a comma?  Else the comma was within an index, a list or a mask. */
static int begins_location(const char *s, int in_mask)
{
	size_t n = strcspn(s, ", \t\n");

	if (*s == '~' || *s == '^' || *s == 'x')
		return 1;
	if (s[0] == '0' && s[1] == 'x')
		return !in_mask;
	return isalpha((unsigned char)*s) &&
	       (memchr(s, ':', n) || (n == 3 && memcmp(s, "all", n) == 0) || (n == 4 && memcmp(s, "root", n) == 0));
}

/* Cuts the next location out of *cursor; NULL at the end. */
static char *next_word(char **cursor)
{
	char *word = *cursor + strspn(*cursor, " \t\n"), *end = word;
	int in_mask = strncmp(word + (*word && strchr("~x^", *word)), "0x", 2) == 0;

	while (*end && !strchr(" \t\n", *end) && !(*end == ',' && begins_location(end + 1, in_mask)))
		end++;
	*cursor = *end ? end + 1 : end;
	*end = 0;
	return *word ? word : NULL;
}

static int combine(hwloc_bitmap_t all, hwloc_const_bitmap_t one, char prefix)
{
	switch (prefix) {
	case '~':
		return hwloc_bitmap_andnot(all, all, one);
	case 'x':
		return hwloc_bitmap_and(all, all, one);
	case '^':
		return hwloc_bitmap_xor(all, all, one);
	default:
		return hwloc_bitmap_or(all, all, one);
	}
}

int location_parse(hwloc_topology_t machine, const char *text, hwloc_const_bitmap_t allowed, hwloc_bitmap_t ret,
                   struct rp_error *err)
{
	struct reader r = { .machine = machine, .allowed = allowed, .err = err };
	hwloc_bitmap_t one = hwloc_bitmap_alloc();
	char *copy = strdup(text), *cursor = copy;
	int e = 0;

	hwloc_bitmap_zero(ret);
	if (!copy || !one)
		e = error_set(err, -ENOMEM, "out of memory");
	while (e == 0 && (r.word = next_word(&cursor)) != NULL) {
		r.prefix = strchr("~x^", *r.word) ? *r.word : 0;
		hwloc_bitmap_zero(one);
		e = read_location(&r, r.word + (r.prefix != 0), one);
		if (e == 0 && combine(ret, one, r.prefix) < 0)
			e = error_set(err, -ENOMEM, "out of memory");
	}
	if (e == 0)
		hwloc_bitmap_and(ret, ret, allowed);
	if (e == 0 && hwloc_bitmap_iszero(ret)) {
		r.word = text;
		e = error_set(err, -EINVAL, "\"%s\" leaves no CPU to run on%s", text,
		              *text == '~' ? "; to leave some out, begin with all: \"all ~core:0\"" : "");
	}
	hwloc_bitmap_free(one);
	free(copy);
	return e;
}
