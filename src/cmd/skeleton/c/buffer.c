#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buffer_reserve(struct buffer *b, size_t n)
{
	if (b->cap - b->len < n) {
		b->cap = (b->len + n) * 2;
		b->data = realloc(b->data, b->cap);
		if (!b->data) {
			fputs("error: out of memory\n", stderr);
			exit(1);
		}
	}
	return b->data + b->len;
}

void buffer_add(struct buffer *b, const char *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(buffer_reserve(b, n), data, n);
	b->len += n;
}

void buffer_add_text(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void buffer_add_string(struct buffer *b, const char *text)
{
	buffer_add(b, "\"", 1);
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20)
			buffer_printf(b, "\\u%04x", (unsigned char)*text);
		else if (*text == '"' || *text == '\\')
			buffer_printf(b, "\\%c", *text);
		else
			buffer_add(b, text, 1);
	}
	buffer_add(b, "\"", 1);
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buffer_add(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}
