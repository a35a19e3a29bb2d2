/* SPDX-License-Identifier: BSD-3-Clause */
/* buffer.h - bytes that grow. */
#ifndef RP_LAUNCHER_BUFFER_H
#define RP_LAUNCHER_BUFFER_H

#include <stddef.h>

/* A piece of somebody else's memory. */
struct slice {
	const char *data;
	size_t size;
};

struct buffer {                                 /* { 0 } is empty */
	char *data;
	size_t size, capacity;
};

/* Both end the program with one line when memory is used up: a command has nothing better to do then. */
char *buffer_space(struct buffer *buffer, size_t size);         /* room behind the end; `size` stays */
void *resized(void *memory, size_t count, size_t size);         /* realloc of count items */

void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_byte(struct buffer *buffer, char byte);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_number(struct buffer *buffer, unsigned long long number);
void buffer_free(struct buffer *buffer);

#endif
