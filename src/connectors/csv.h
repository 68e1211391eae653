/*
 * CSV as RFC 4180 has it: fields may be quoted, a quoted field may hold delimiters, newlines and doubled quotes, rows
 * end with LF or CRLF. More lenient in one point: a quote inside an unquoted field is an ordinary character (`5"
 * pipe`).
 */
#ifndef DF_CONNECTORS_CSV_H
#define DF_CONNECTORS_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#define DF_CSV_COLUMNS_MAX 65536

struct df_csv_field {
	struct df_str text; /* without the quotes around it */
	bool quoted;
	bool doubled; /* there are doubled quotes in text: see df_csv_text */
};

/* Zero-initialised is valid; the fields are reused from row to row. */
struct df_csv_row {
	struct df_csv_field *fields;
	size_t count, cap;
	size_t len;	 /* bytes of the row with its line end */
	size_t lines;	 /* newlines in it */
	const char *bad; /* NULL, or what is wrong with it: static text */
};

enum df_csv_result {
	DF_CSV_ROW,  /* one row was read, maybe a bad one */
	DF_CSV_MORE, /* the row is not complete: come again with more text */
	DF_CSV_NO_MEMORY,
};

/*
 * Reads the row at the start of text. ended: nothing follows behind text, so that the last row needs no newline and a
 * quote that is not closed makes it bad. text must not be empty. The fields are slices of text.
 */
enum df_csv_result df_csv_read(struct df_str text, char delimiter, bool ended, struct df_csv_row *row) df_must_check;
void df_csv_row_done(struct df_csv_row *row); /* frees the fields */

/* An empty line: no row. */
static inline bool df_csv_row_blank(const struct df_csv_row *row)
{
	return row->count == 1 && row->fields[0].text.len == 0 && !row->fields[0].quoted;
}

/* The content of a field: text itself, or in the arena with doubled quotes made one; ptr NULL when out of memory. */
struct df_str df_csv_text(const struct df_csv_field *field, struct df_arena *arena);

/* Appends one field, quoted when it has to be. An empty text is written as "": it differs from no value at all. */
void df_csv_write(struct df_str text, char delimiter, struct df_buf *buf);

#endif
