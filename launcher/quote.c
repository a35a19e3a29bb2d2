/* SPDX-License-Identifier: BSD-3-Clause */
/* quote.c - reading a shell line's quoting, and writing values into it.
 *
 * The words that quote_add makes outside of quotes and inside "..." are those of GNU parallel, byte for byte.  What
 * differs is safety: parallel writes 'it' inside the template's own quotes too, where $(...) and a single quote then
 * act. */
#include "quote.h"

#include <ctype.h>
#include <string.h>

/* ---- dialects ---------------------------------------------------------------------------------------- */

int quote_dialect(const char *shell)
{
	static const struct { const char *name; enum quote_dialect dialect; } shells[] = {
		{ "sh", QUOTE_BOURNE },   { "bash", QUOTE_BOURNE },  { "dash", QUOTE_BOURNE },    { "ash", QUOTE_BOURNE },
		{ "ksh", QUOTE_BOURNE },  { "ksh93", QUOTE_BOURNE }, { "mksh", QUOTE_BOURNE },    { "zsh", QUOTE_BOURNE },
		{ "yash", QUOTE_BOURNE }, { "posh", QUOTE_BOURNE },  { "busybox", QUOTE_BOURNE }, { "rbash", QUOTE_BOURNE },
		{ "csh", QUOTE_CSH },     { "tcsh", QUOTE_CSH },     { "fish", QUOTE_FISH },
	};
	const char *slash = strrchr(shell, '/');
	const char *name = slash ? slash + 1 : shell;

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (strcmp(name, shells[i].name) == 0)
			return (int)shells[i].dialect;
	return -1;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

/* What can be open: " ' $ (for $'...') ( { (for ${...}) ` # */

static char innermost(const struct quote_scanner *s)
{
	return s->depth ? s->open[s->depth - 1] : 0;
}

static int has_open(const struct quote_scanner *s, char what)
{
	return s->depth && memchr(s->open, what, (size_t)s->depth) != NULL;
}

static void open_one(struct quote_scanner *s, char what)
{
	if (s->depth == (int)sizeof s->open)
		s->lost = 1;
	else
		s->open[s->depth++] = what;
}

/* A backquote ends everything up to its partner. */
static void backquote(struct quote_scanner *s)
{
	if (!has_open(s, '`')) {
		open_one(s, '`');
		return;
	}
	while (innermost(s) != '`')
		s->depth--;
	s->depth--;
}

static void count_brace(struct quote_scanner *s, char c)
{
	if (s->braces >= 0)
		s->braces += c == '{' ? 1 : -1;
}

static void shift_in(struct quote_scanner *s, char c)
{
	memmove(s->last + 1, s->last, sizeof s->last - 1);
	s->last[0] = c;
}

static int begins_word(const struct quote_scanner *s)
{
	return !s->last[0] || strchr(" \t\n;&|()`", s->last[0]) != NULL;
}

/* Outside of quotes, also inside $(...), (...), `...` and ${...}. */
static void scan_plain(struct quote_scanner *s, char c)
{
	char in = innermost(s);

	if (c == '\\')
		s->escaped = 1;
	else if (c == '\'')
		open_one(s, s->last[0] == '$' ? '$' : '\'');
	else if (c == '"' || c == '(')
		open_one(s, c);
	else if (c == '`')
		backquote(s);
	else if (c == '{' && s->last[0] == '$')
		open_one(s, '{');
	else if ((c == ')' && in == '(') || (c == '}' && in == '{'))
		s->depth--;
	else if (c == '{' || c == '}')
		count_brace(s, c);
	else if (c == '#' && in != '{' && begins_word(s))
		open_one(s, '#');
	else if (c == '<' && s->last[0] == '<' && s->last[1] != '<')
		s->here = s->here ? s->here : 1;
	else if (c == '<' && s->last[0] == '<' && s->here == 1)
		s->here = 0;                    /* <<< is one word, not a document */
	else if (c == '\n' && s->here)
		s->here = 2;
}

static void scan_double(struct quote_scanner *s, char c)
{
	if (c == '\\')
		s->escaped = 1;
	else if (c == '"')
		s->depth--;
	else if (c == '`')
		backquote(s);
	else if ((c == '(' || c == '{') && s->last[0] == '$')
		open_one(s, c);
}

void quote_scan(struct quote_scanner *s, char c)
{
	char in = innermost(s);

	if (s->escaped)
		s->escaped = 0;
	else if (in == '#')
		s->depth -= c == '\n';
	else if (in == '\'')
		s->depth -= c == '\'';
	else if (in == '$' && c == '\\')
		s->escaped = 1;
	else if (in == '$')
		s->depth -= c == '\'';
	else if (in == '"')
		scan_double(s, c);
	else
		scan_plain(s, c);
	if (in == '#' && c == '\n' && s->here)
		s->here = 2;
	/* The patterns of a case close parentheses that were never opened. */
	if (has_open(s, '(') && (c == ' ' || c == '\t' || c == '\n') && memcmp(s->last, "esac", 4) == 0)
		s->lost = 1;
	shift_in(s, c);
}

int quote_scan_value(struct quote_scanner *s, const char **ret_why)
{
	int backquoted = has_open(s, '`') ? QUOTE_BACKQUOTED : 0;
	char in = innermost(s);

	*ret_why = NULL;
	if (s->lost)
		*ret_why = "stands in quoting that is too intricate to be followed";
	else if (s->here == 2)
		*ret_why = "inside a here-document cannot be quoted safely";
	else if (backquoted && s->escaped)
		*ret_why = "behind a backslash inside `...` cannot be quoted safely; use $(...)";
	if (*ret_why)
		return -1;
	shift_in(s, 'x');
	s->escaped = 0;
	switch (in) {
	case '"':
		return QUOTE_DOUBLE | backquoted;
	case '\'':
		return QUOTE_SINGLE | backquoted;
	case '$':
		return QUOTE_ANSI | backquoted;
	case '#':
		return QUOTE_COMMENT | backquoted;
	case '{':
		/* "${x:-HERE}" follows the rules of the quotes around it. */
		return (has_open(s, '"') ? QUOTE_DOUBLE : QUOTE_PLAIN) | backquoted;
	default:
		return QUOTE_PLAIN | backquoted;
	}
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static int is_safe(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-_.+/", c));
}

static int all_safe(struct slice value)
{
	for (size_t i = 0; i < value.size; i++)
		if ((unsigned char)value.data[i] >= 128 || !is_safe(value.data[i]))
			return 0;
	return 1;
}

static void add_escaped(struct buffer *buffer, struct slice value, const char *special)
{
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] && strchr(special, value.data[i]))
			buffer_byte(buffer, '\\');
		buffer_byte(buffer, value.data[i]);
	}
}

/* Inside '...': each single quote leaves it, stands in double quotes, and comes back. */
static void add_single(struct buffer *buffer, struct slice value)
{
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] == '\'')
			buffer_text(buffer, "'\"'\"'");
		else
			buffer_byte(buffer, value.data[i]);
	}
}

/* 'value', without the empty '' that a single quote at either end would leave behind. */
static void add_bourne_word(struct buffer *buffer, struct slice value)
{
	size_t start = buffer->size;

	buffer_byte(buffer, '\'');
	add_single(buffer, value);
	buffer_byte(buffer, '\'');
	if (buffer->size - start >= 4 && memcmp(buffer->data + start, "''", 2) == 0) {
		buffer->size -= 2;
		memmove(buffer->data + start, buffer->data + start + 2, buffer->size - start);
	}
	if (buffer->size - start >= 4 && memcmp(buffer->data + buffer->size - 2, "''", 2) == 0)
		buffer->size -= 2;
}

static void add_csh_word(struct buffer *buffer, struct slice value)
{
	for (size_t i = 0; i < value.size; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c == '\n') {
			buffer_text(buffer, "\"\\\n\"");
			continue;
		}
		if (c < ' ' || c >= 130 || strchr("\\#?`(){}[]^*<=>~|; \"!$&'", c))
			buffer_byte(buffer, '\\');
		buffer_byte(buffer, (char)c);
	}
}

static void add_word(struct buffer *buffer, enum quote_dialect dialect, struct slice value)
{
	if (!value.size) {
		buffer_text(buffer, "''");
	} else if (dialect == QUOTE_CSH) {
		add_csh_word(buffer, value);
	} else if (all_safe(value)) {
		buffer_add(buffer, value.data, value.size);
	} else if (dialect == QUOTE_FISH) {
		buffer_byte(buffer, '\'');
		add_escaped(buffer, value, "\\'");
		buffer_byte(buffer, '\'');
	} else {
		add_bourne_word(buffer, value);
	}
}

/* csh has no escapes inside of quotes: they are closed, and opened again behind the value. */
static void add_between(struct buffer *buffer, const char *quote, struct slice value)
{
	buffer_text(buffer, quote);
	add_word(buffer, QUOTE_CSH, value);
	buffer_text(buffer, quote);
}

static void add_in_double(struct buffer *buffer, enum quote_dialect dialect, struct slice value)
{
	struct buffer word = { 0 };

	if (dialect == QUOTE_CSH) {
		add_between(buffer, "\"", value);
		return;
	}
	add_word(&word, dialect, value);
	add_escaped(buffer, (struct slice){ word.data, word.size }, dialect == QUOTE_FISH ? "\\$\"" : "\\$\"`");
	buffer_free(&word);
}

static void add_in_single(struct buffer *buffer, enum quote_dialect dialect, struct slice value)
{
	if (dialect == QUOTE_CSH)
		add_between(buffer, "'", value);
	else if (dialect == QUOTE_FISH)
		add_escaped(buffer, value, "\\'");
	else
		add_single(buffer, value);
}

/* A comment ends at a newline, and so must not hold one. */
static void add_in_comment(struct buffer *buffer, struct slice value)
{
	for (size_t i = 0; i < value.size; i++)
		buffer_byte(buffer, value.data[i] == '\n' ? ' ' : value.data[i]);
}

void quote_add(struct buffer *buffer, enum quote_dialect dialect, int place, struct slice value)
{
	if (place & QUOTE_BACKQUOTED) {
		struct buffer inner = { 0 };

		/* The shell takes one level of backslashes off before it reads what stands inside `...`. */
		quote_add(&inner, dialect, place & ~QUOTE_BACKQUOTED, value);
		add_escaped(buffer, (struct slice){ inner.data, inner.size }, "\\`$");
		buffer_free(&inner);
		return;
	}
	switch ((enum quote_place)place) {
	case QUOTE_PLAIN:
		add_word(buffer, dialect, value);
		break;
	case QUOTE_DOUBLE:
		add_in_double(buffer, dialect, value);
		break;
	case QUOTE_SINGLE:
		add_in_single(buffer, dialect, value);
		break;
	case QUOTE_ANSI:
		add_escaped(buffer, value, "\\'");
		break;
	case QUOTE_COMMENT:
		add_in_comment(buffer, value);
		break;
	case QUOTE_RAW:
	case QUOTE_BACKQUOTED:
		buffer_add(buffer, value.data, value.size);
		break;
	}
}
