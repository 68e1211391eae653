#include "connectors/subprocess/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_AT_LEAST ((size_t)64 * 1024)

void df_lines_done(struct df_lines *lines)
{
	if (lines->data)
		explicit_bzero(lines->data, lines->cap);
	free(lines->data);
	*lines = (struct df_lines){ .fd = -1 };
}

/* Room for one more read: what was handed out is given up first, then the buffer doubles. */
static bool make_room(struct df_lines *lines)
{
	size_t cap;

	if (lines->begin > 0 && lines->cap - lines->end < READ_AT_LEAST) {
		memmove(lines->data, lines->data + lines->begin, lines->end - lines->begin);
		lines->end -= lines->begin;
		lines->looked -= lines->begin;
		lines->begin = 0;
	}
	if (lines->cap - lines->end >= READ_AT_LEAST)
		return true;
	cap = lines->cap ? lines->cap * 2 : READ_AT_LEAST * 2;
	char *data = realloc(lines->data, cap);
	if (!data)
		return false;
	lines->data = data;
	lines->cap = cap;
	return true;
}

enum df_lines_result df_lines_fill(struct df_lines *lines)
{
	ssize_t n;

	if (lines->begin == lines->end)
		lines->begin = lines->end = lines->looked = 0;
	if (lines->end - lines->begin > lines->max)
		return DF_LINES_TOO_LONG;
	if (!make_room(lines))
		return DF_LINES_NO_MEMORY;
	do {
		n = read(lines->fd, lines->data + lines->end, lines->cap - lines->end);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		lines->end += (size_t)n;
	if (n < 0)
		return errno == EAGAIN ? DF_LINES_NONE : DF_LINES_END;
	return n > 0 ? DF_LINES_SOME : DF_LINES_END;
}

bool df_lines_next(struct df_lines *lines, struct df_str *ret)
{
	char *newline = NULL;

	if (lines->looked < lines->end)
		newline = memchr(lines->data + lines->looked, '\n', lines->end - lines->looked);
	if (!newline) {
		lines->looked = lines->end;
		return false;
	}
	*ret = df_str(lines->data + lines->begin, (size_t)(newline - lines->data) - lines->begin);
	lines->begin = lines->looked = (size_t)(newline - lines->data) + 1;
	return true;
}

struct df_str df_lines_rest(const struct df_lines *lines)
{
	return lines->data ? df_str(lines->data + lines->begin, lines->end - lines->begin) : df_str(NULL, 0);
}
