/* SPDX-License-Identifier: BSD-3-Clause */
/* template.c - replacement strings: {} {.} {/} {//} {/.} {#} {%}, and {n} {n.} {n/} ... for the value of one source.
 *
 * A template is a list of pieces: text, and things to be replaced.  Both ways of running a command walk the same list. */
#include "template.h"
#include "part.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, VALUE, SEQ, SLOT };

struct piece {
	enum kind kind;
	enum part part;
	int source;                             /* of a VALUE: 1 the first, -1 the last, 0 all of them */
	int place;                              /* where in the shell line's quoting it stands */
	struct slice text;                      /* of a TEXT: in template->text, once that has its final place */
	size_t start;
};

struct template {
	struct buffer text;
	struct piece *pieces;
	size_t count, replacements;
	enum quote_dialect dialect;
	char *program;                          /* set when no shell is needed */
};

/* ---- reading ----------------------------------------------------------------------------------------- */

struct reader {
	struct template *template;
	struct quote_scanner scanner;
	int begun;                              /* a blank or = was read: what follows is no longer the command's name */
	const char *brace;                      /* the first { outside of quotes that has not been closed */
	char *why;
};

static char *wrong(struct reader *reader, const char *what, size_t length, const char *why)
{
	if (!reader->why && asprintf(&reader->why, "replacement string %.*s %s", (int)length, what, why) < 0)
		reader->why = NULL;
	return reader->why;
}

static struct piece *add_piece(struct template *template, enum kind kind)
{
	template->pieces = resized(template->pieces, template->count + 1, sizeof *template->pieces);
	template->pieces[template->count] = (struct piece){ .kind = kind, .start = template->text.size };
	return &template->pieces[template->count++];
}

static void read_text(struct reader *reader, const char *text)
{
	struct template *template = reader->template;
	int braces = reader->scanner.braces;
	char c = *text;

	if (!template->count || template->pieces[template->count - 1].kind != TEXT)
		add_piece(template, TEXT);
	buffer_byte(&template->text, c);
	template->pieces[template->count - 1].text.size++;
	quote_scan(&reader->scanner, c);
	if (!braces && reader->scanner.braces)
		reader->brace = text;
	reader->begun |= strchr(" \t\n=", c) != NULL;
}

/* The length of the replacement string that begins at *text, a '{', 0: it is text. */
static size_t parse(const char *text, struct piece *ret)
{
	static const struct { const char *name; enum kind kind; enum part part; } names[] = {
		{ "/.}", VALUE, PART_BASE_STEM }, { "//}", VALUE, PART_DIRECTORY }, { "/}", VALUE, PART_BASE },
		{ ".}", VALUE, PART_STEM },       { "}", VALUE, PART_ALL },         { "#}", SEQ, PART_ALL },
		{ "%}", SLOT, PART_ALL },
	};
	const char *at = text + 1;
	char *end;
	long source = 0;

	if (at[*at == '-'] >= '0' && at[*at == '-'] <= '9') {
		source = strtol(at, &end, 10);
		/* No source has the number -0: unlike {0}, which is {}, that is the empty string, as a number too large
		 * is. */
		if (source > INT16_MAX || source < -INT16_MAX || (!source && *at == '-'))
			source = INT16_MAX;
		for (at = end; *at == ' ' || *at == '\t' || *at == '\n'; at++)
			;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(at, names[i].name, strlen(names[i].name)) == 0) {
			ret->kind = names[i].kind;
			ret->part = names[i].part;
			ret->source = (int)source;
			return (size_t)(at - text) + strlen(names[i].name);
		}
	return 0;
}

/* A backslash right before a value would quote its first character: outside of quotes that is what the value's own quotes
 * do anyway, inside of them the backslash itself is meant. */
static void settle_backslash(struct reader *reader)
{
	struct template *template = reader->template;

	if (!reader->scanner.escaped)
		return;
	if (reader->scanner.depth && strchr("\"$", reader->scanner.open[reader->scanner.depth - 1])) {
		buffer_byte(&template->text, '\\');
		template->pieces[template->count - 1].text.size++;
	} else {
		template->text.size--;
		template->pieces[template->count - 1].text.size--;
	}
}

static void read_replacement(struct reader *reader, const char *text, size_t length, struct piece piece)
{
	struct piece *added;
	const char *why;
	int place;

	settle_backslash(reader);
	place = quote_scan_value(&reader->scanner, &why);
	if (place < 0) {
		wrong(reader, text, length, why);
		return;
	}
	added = add_piece(reader->template, piece.kind);
	piece.start = added->start;
	piece.place = reader->begun ? place : QUOTE_RAW;
	*added = piece;
	reader->template->replacements++;
}

static void read_word(struct reader *reader, const char *word)
{
	struct piece piece = { 0 };
	size_t length;

	for (; *word && !reader->why; word += length) {
		length = *word == '{' ? parse(word, &piece) : 0;
		if (length) {
			read_replacement(reader, word, length, piece);
		} else if (word[0] == '{' && word[1] == '=') {
			wrong(reader, "{=", 2, "begins a Perl expression, which rankpool does not run");
		} else {
			read_text(reader, word);
			length = 1;
		}
	}
}

/* ---- does it need a shell? --------------------------------------------------------------------------- */

static int means_nothing(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(" \t_./:,@%+-#", c));
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Copies the first word when everything is plain text and replacements, no word begins with # (a comment to a shell),
 * and the first word is the same for every record. */
static char *find_program(const struct template *template)
{
	size_t length = 0, skip = 0;
	char before = ' ';

	for (size_t i = 0; i < template->count; i++) {
		const struct piece *piece = &template->pieces[i];

		if (piece->kind != TEXT && piece->place != QUOTE_PLAIN)
			return NULL;
		for (size_t k = 0; k < piece->text.size; k++) {
			if (!means_nothing(piece->text.data[k]) || (piece->text.data[k] == '#' && is_blank(before)))
				return NULL;
			before = piece->text.data[k];
		}
		if (piece->kind != TEXT)
			before = 'x';
	}
	if (!template->count || template->pieces[0].kind != TEXT)
		return NULL;
	while (skip < template->pieces[0].text.size && is_blank(template->pieces[0].text.data[skip]))
		skip++;
	while (skip + length < template->pieces[0].text.size && !is_blank(template->pieces[0].text.data[skip + length]))
		length++;
	if (!length || (skip + length == template->pieces[0].text.size && template->count > 1))
		return NULL;
	return strndup(template->pieces[0].text.data + skip, length);
}

/* ---- making one ---------------------------------------------------------------------------------------- */

static void check_balance(struct reader *reader)
{
	if (reader->scanner.braces > 0)
		wrong(reader, reader->brace, strcspn(reader->brace, " \t\n"),
		      "is not closed by a } (a brace that is meant literally goes in quotes)");
	else if (reader->scanner.braces < 0)
		wrong(reader, "}", 1, "has no { before it (a brace that is meant literally goes in quotes)");
}

struct template *template_new(const char *const *words, size_t count, enum quote_dialect dialect, char **ret_why)
{
	struct template *template = resized(NULL, 1, sizeof *template);
	struct reader reader = { .template = template };

	*template = (struct template){ .dialect = dialect };
	for (size_t i = 0; i < count; i++) {
		if (i)
			read_text(&reader, " ");
		read_word(&reader, words[i]);
	}
	if (!reader.why && !template->replacements) {
		if (count)
			read_text(&reader, " ");
		read_word(&reader, "{}");
	}
	check_balance(&reader);
	if (reader.why) {
		*ret_why = reader.why;
		return template_free(template);
	}
	for (size_t i = 0; i < template->count; i++)
		if (template->pieces[i].kind == TEXT)
			template->pieces[i].text.data = template->text.data + template->pieces[i].start;
	template->program = find_program(template);
	return template;
}

struct template *template_free(struct template *template)
{
	if (template) {
		buffer_free(&template->text);
		free(template->pieces);
		free(template->program);
		free(template);
	}
	return NULL;
}

const char *template_program(const struct template *template)
{
	return template->program;
}

/* ---- filling one in ---------------------------------------------------------------------------------- */

/* The sources that a VALUE takes: *ret_first and how many. */
static size_t chosen(const struct piece *piece, const struct record *record, size_t *ret_first)
{
	long source = piece->source < 0 ? (long)record->count + piece->source : piece->source - 1L;

	*ret_first = 0;
	if (!piece->source)
		return record->count;
	if (source < 0 || source >= (long)record->count)
		return 0;
	*ret_first = (size_t)source;
	return 1;
}

void template_line(const struct template *template, const struct record *record, unsigned slot, struct buffer *ret)
{
	for (size_t i = 0; i < template->count; i++) {
		const struct piece *piece = &template->pieces[i];
		size_t first, count;

		switch (piece->kind) {
		case TEXT:
			buffer_add(ret, piece->text.data, piece->text.size);
			break;
		case SEQ:
			buffer_number(ret, record->seq);
			break;
		case SLOT:
			buffer_number(ret, slot);
			break;
		case VALUE:
			count = chosen(piece, record, &first);
			for (size_t k = first; k < first + count; k++) {
				if (k > first)
					buffer_byte(ret, ' ');
				quote_add(ret, template->dialect, piece->place,
				          part_of(record->values[k], piece->part));
			}
			break;
		}
	}
}

/* One word after another into a buffer. */
struct words {
	struct buffer *ret;
	size_t count;
	int open;                               /* the last word may still grow */
};

static void end_word(struct words *words)
{
	if (words->open) {
		buffer_byte(words->ret, 0);
		words->count++;
	}
	words->open = 0;
}

static void add_text(struct words *words, struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (is_blank(text.data[i])) {
			end_word(words);
		} else {
			buffer_byte(words->ret, text.data[i]);
			words->open = 1;
		}
	}
}

static void add_values(struct words *words, const struct piece *piece, const struct record *record)
{
	size_t first, count = chosen(piece, record, &first);

	for (size_t k = first; k < first + count; k++) {
		struct slice part = part_of(record->values[k], piece->part);

		if (k > first)
			end_word(words);
		buffer_add(words->ret, part.data, part.size);
		words->open = 1;
	}
}

size_t template_words(const struct template *template, const struct record *record, unsigned slot, struct buffer *ret)
{
	struct words words = { .ret = ret };

	for (size_t i = 0; i < template->count; i++) {
		const struct piece *piece = &template->pieces[i];

		if (piece->kind == TEXT) {
			add_text(&words, piece->text);
		} else if (piece->kind == VALUE) {
			add_values(&words, piece, record);
		} else {
			buffer_number(ret, piece->kind == SEQ ? record->seq : slot);
			words.open = 1;
		}
	}
	end_word(&words);
	return words.count;
}
