/* A growing run of bytes. Out of memory ends the program, which the pipeline starts again. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>

struct buffer {
	char *data;
	size_t len, cap;
};

char *buffer_reserve(struct buffer *b, size_t n); /* room for n more bytes behind len */
void buffer_add(struct buffer *b, const char *data, size_t n);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_string(struct buffer *b, const char *text); /* as a JSON string */
void buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
