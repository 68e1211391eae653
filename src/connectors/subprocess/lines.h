/* Lines out of a descriptor that does not block, each bounded. Nothing is allocated for what a program only claims to
 * send: the buffer grows with what has arrived. */
#ifndef DF_CONNECTORS_SUBPROCESS_LINES_H
#define DF_CONNECTORS_SUBPROCESS_LINES_H

#include "base/str.h"

struct df_lines {
	int fd;
	size_t max; /* the longest line */
	char *data;
	size_t cap;
	size_t begin, end; /* what was read and not handed out */
	size_t looked;	   /* no newline before it */
};

enum df_lines_result {
	DF_LINES_NONE,	   /* nothing more at the moment */
	DF_LINES_SOME,	   /* something was read */
	DF_LINES_END,	   /* the other side has closed */
	DF_LINES_TOO_LONG, /* more than max without a newline */
	DF_LINES_NO_MEMORY,
};

void df_lines_done(struct df_lines *lines); /* accepts a zeroed one; the descriptor stays open */

/* One read(2). */
enum df_lines_result df_lines_fill(struct df_lines *lines);

/* The next whole line, without its newline; it lives until the next fill. False: there is none yet. */
bool df_lines_next(struct df_lines *lines, struct df_str *ret);

/* What stands behind the last newline, for the end of the input. */
struct df_str df_lines_rest(const struct df_lines *lines);

#endif
