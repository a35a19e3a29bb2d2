/* SPDX-License-Identifier: BSD-3-Clause */
/* word_count.c FILE... - how often each word occurs in all the files: a task for each file, results of any size.
 * Prints lines of "COUNT WORD", sorted by word.  A file that cannot be read is named on stderr and the exit status is 1; the
 * others count all the same. */
#define _GNU_SOURCE 1
#include "rankpool.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BETWEEN_WORDS " \t\n\v\f\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

struct word {
	size_t count;
	char text[];
};

/* In a task this ends the worker only: its item becomes RP_DIED. */
static void *need(void *memory)
{
	if (!memory) {
		perror("word_count");
		exit(1);
	}
	return memory;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static void add(void **tree, const char *text, size_t length, size_t count)
{
	struct word *word = need(calloc(1, sizeof *word + length + 1)), **found;

	memcpy(word->text, text, length);
	found = need(tsearch(word, tree, by_text));
	(*found)->count += count;
	if (*found != word)
		free(word);
}

static void print(const void *node, VISIT visit, void *stream)
{
	const struct word *word = *(const struct word *const *)node;

	if (visit == postorder || visit == leaf)
		fprintf(stream, "%zu %s\n", word->count, word->text);
}

static int read_words(void **tree, FILE *file)
{
	char *text = NULL;
	size_t size = 0;
	int r = 0;

	while (getdelim(&text, &size, 0, file) > 0)
		for (char *word = text, *end; *(word += strspn(word, BETWEEN_WORDS)); word = end) {
			end = word + strcspn(word, BETWEEN_WORDS);
			add(tree, word, (size_t)(end - word), 1);
		}
	if (ferror(file))
		r = -errno;
	free(text);
	return r;
}

static int reply_words(struct rp_task *task, void *tree)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = need(open_memstream(&text, &size));
	int r;

	twalk_r(tree, print, stream);
	r = fclose(stream) == 0 ? rp_task_reply(task, text, size) : -errno;
	free(text);
	return r;
}

static int count_words(struct rp_task *task, const void *path, void *out RP_UNUSED)
{
	FILE *file = fopen(path, "re");
	void *tree = NULL;
	int r = file ? read_words(&tree, file) : -errno;

	r = r < 0 ? rp_task_fail(task, "%s", strerror(-r)) : reply_words(task, tree);
	if (file)
		fclose(file);
	tdestroy(tree, free);
	return r;
}

/* Adds the lines that `print` made in a task. */
static void add_lines(void **tree, const char *line)
{
	while (*line) {
		char *word;
		size_t count = strtoull(line, &word, 10), length = strcspn(++word, "\n");

		add(tree, word, length, count);
		line = word + length + 1;
	}
}

int main(int argc, char **argv)
{
	struct rp_pool *pool;
	struct rp_error err;
	void *tree = NULL;
	int r;

	rp_init(&argc, &argv, RP_FATAL);

	size_t count = argc > 1 ? (size_t)argc - 1 : 0;
	char **files = argv + 1;
	struct rp_bytes *in = need(calloc(count + 1, sizeof *in)), *out = need(calloc(count + 1, sizeof *out));
	struct rp_outcome *outcomes = need(calloc(count + 1, sizeof *outcomes));

	for (size_t i = 0; i < count; i++)
		in[i] = rp_text(files[i]);
	rp_pool_new(&pool, NULL, RP_FATAL);
	r = rp_pool_map_bytes(pool, count_words, in, out, count, RP_MAP(.outcomes = outcomes), &err);

	for (size_t i = 0; i < count; i++)
		if (outcomes[i].state == RP_OK)
			add_lines(&tree, out[i].data);
		else
			fprintf(stderr, "word_count: %s: %s\n", files[i], outcomes[i].text ? outcomes[i].text : err.text);
	twalk_r(tree, print, stdout);

	tdestroy(tree, free);
	rp_bytes_free(out, count);
	rp_pool_free(pool);
	rp_finalize();
	free(in);
	free(out);
	free(outcomes);
	return r < 0 || fclose(stdout) != 0;
}
