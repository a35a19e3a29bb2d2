/* SPDX-License-Identifier: BSD-3-Clause */
/* buffer.c - bytes that grow. */
#include "buffer.h"
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *resized(void *memory, size_t count, size_t size)
{
	void *grown = reallocarray(memory, count ? count : 1, size);

	if (!grown)
		exit(cli_fail("rankpool", "out of memory (%zu times %zu bytes wanted)", count, size));
	return grown;
}

char *buffer_space(struct buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity ? buffer->capacity : 64;

	while (capacity - buffer->size < size)
		capacity *= 2;
	if (capacity != buffer->capacity) {
		buffer->data = resized(buffer->data, capacity, 1);
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->size;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
	if (!size)
		return;
	memcpy(buffer_space(buffer, size), data, size);
	buffer->size += size;
}

void buffer_byte(struct buffer *buffer, char byte)
{
	*buffer_space(buffer, 1) = byte;
	buffer->size++;
}

void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text, strlen(text));
}

void buffer_number(struct buffer *buffer, unsigned long long number)
{
	char digits[24];

	buffer_add(buffer, digits, (size_t)snprintf(digits, sizeof digits, "%llu", number));
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){ 0 };
}
