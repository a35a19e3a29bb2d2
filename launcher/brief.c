/* SPDX-License-Identifier: BSD-3-Clause */
/* brief.c - what every worker has to know about the run, as bytes and back.
 *
 * Numbers are 8 bytes; a text is its length without the 0 that ends it, then both; a list is the number of its texts, then
 * those.  Both sides are the same program, so nothing is converted; the version tells a brief from other bytes. */
#include "brief.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BRIEF_VERSION UINT64_C(0x6665697262707201)    /* "\1rpbrief" */

/* ---- writing ------------------------------------------------------------------------------------------ */

static void put_number(struct buffer *buffer, uint64_t number)
{
	buffer_add(buffer, &number, sizeof number);
}

static void put_text(struct buffer *buffer, const char *text)
{
	put_number(buffer, strlen(text));
	buffer_add(buffer, text, strlen(text) + 1);
}

static void put_list(struct buffer *buffer, const char *const *texts, size_t count)
{
	put_number(buffer, count);
	for (size_t i = 0; i < count; i++)
		put_text(buffer, texts[i]);
}

void brief_pack(const struct brief *brief, struct buffer *ret)
{
	put_number(ret, BRIEF_VERSION);
	put_text(ret, brief->name);
	put_list(ret, brief->words, brief->word_count);
	put_text(ret, brief->shell);
	put_number(ret, brief->dialect);
	put_list(ret, brief->environment, brief->variable_count);
	put_text(ret, brief->directory);
	put_text(ret, brief->output_directory);
	put_number(ret, brief->mask);
	buffer_add(ret, &brief->ignored, sizeof brief->ignored);
	put_number(ret, (uint64_t)brief->timeout);
	put_number(ret, brief->workers);
	put_number(ret, (uint64_t)brief->manager);
	put_number(ret, (uint64_t)brief->way);
	put_number(ret, (uint64_t)brief->launched);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct reader {
	const char *at;
	size_t left;
	int bad;                                /* it has ended too early, or holds what no brief does */
};

/* The next `size` bytes; NULL: there are not so many. */
static const char *take(struct reader *reader, size_t size)
{
	const char *bytes = reader->at;

	reader->bad |= size > reader->left;
	if (reader->bad)
		return NULL;
	reader->at += size;
	reader->left -= size;
	return bytes;
}

static uint64_t take_number(struct reader *reader)
{
	const char *bytes = take(reader, sizeof(uint64_t));
	uint64_t number = 0;

	if (bytes)
		memcpy(&number, bytes, sizeof number);
	return number;
}

static const char *take_text(struct reader *reader)
{
	uint64_t length = take_number(reader);
	const char *text = length < SIZE_MAX ? take(reader, length + 1) : NULL;

	if (text && strnlen(text, length + 1) == length)
		return text;
	reader->bad = 1;
	return "";
}

static const char **take_list(struct reader *reader, size_t *ret_count)
{
	uint64_t count = take_number(reader);
	const char **texts;

	/* Each has a number in front: what has more than fit is not believed, and no room is made for it. */
	reader->bad |= count > reader->left / sizeof count;
	*ret_count = reader->bad ? 0 : count;
	texts = resized(NULL, *ret_count + 1, sizeof *texts);
	for (size_t i = 0; i < *ret_count; i++)
		texts[i] = take_text(reader);
	texts[*ret_count] = NULL;
	return texts;
}

int brief_unpack(const void *data, size_t size, struct brief *ret)
{
	struct reader reader = { .at = data, .left = size };
	const char *ignored;

	*ret = (struct brief){ 0 };
	if (take_number(&reader) != BRIEF_VERSION)
		return -EBADMSG;
	ret->name = take_text(&reader);
	ret->words = take_list(&reader, &ret->word_count);
	ret->shell = take_text(&reader);
	ret->dialect = (enum quote_dialect)take_number(&reader);
	ret->environment = take_list(&reader, &ret->variable_count);
	ret->directory = take_text(&reader);
	ret->output_directory = take_text(&reader);
	ret->mask = (mode_t)take_number(&reader);
	ignored = take(&reader, sizeof ret->ignored);
	if (ignored)
		memcpy(&ret->ignored, ignored, sizeof ret->ignored);
	ret->timeout = (int64_t)take_number(&reader);
	ret->workers = (unsigned)take_number(&reader);
	ret->manager = (pid_t)take_number(&reader);
	ret->way = (int)take_number(&reader);
	ret->launched = (int)take_number(&reader);
	if (!reader.bad && !reader.left)
		return 0;
	brief_done(ret);
	return -EBADMSG;
}

void brief_done(struct brief *brief)
{
	free(brief->words);
	free(brief->environment);
	*brief = (struct brief){ 0 };
}
