#include "connectors/csv.h"

#include <stdlib.h>

void df_csv_row_done(struct df_csv_row *row)
{
	if (row)
		free(row->fields);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* A place in the text that is being split. */
struct csv_cursor {
	const char *at, *end;
	char delimiter;
	bool ended;
};

static struct df_csv_field *csv_add(struct df_csv_row *row)
{
	if (row->count == row->cap) {
		size_t cap = row->cap ? row->cap * 2 : 32;
		struct df_csv_field *fields = realloc(row->fields, cap * sizeof(*fields));

		if (!fields)
			return NULL;
		row->fields = fields;
		row->cap = cap;
	}
	row->fields[row->count] = (struct df_csv_field){ 0 };
	return &row->fields[row->count++];
}

/* The length of a row's end at `at`: 1 for LF, 2 for CRLF, else 0. */
static size_t csv_line_end(const struct csv_cursor *c)
{
	if (c->at < c->end && *c->at == '\n')
		return 1;
	return c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n' ? 2 : 0;
}

static void csv_unquoted(struct csv_cursor *c, struct df_csv_field *field)
{
	const char *start = c->at;

	while (c->at < c->end && *c->at != c->delimiter && *c->at != '\n')
		c->at++;
	field->text = df_str(start, (size_t)(c->at - start));
	/* The CR of a CRLF, or of the last line, belongs to the line's end. */
	bool last = c->at < c->end ? *c->at == '\n' : c->ended;
	if (last && field->text.len && start[field->text.len - 1] == '\r') {
		field->text.len--;
		if (c->at < c->end)
			c->at--;
	}
}

/* at stands behind the opening quote. False: the text ends before the closing one. */
static bool csv_quoted(struct csv_cursor *c, struct df_csv_row *row, struct df_csv_field *field)
{
	const char *start = c->at;

	field->quoted = true;
	while (c->at < c->end) {
		const char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));

		if (!quote)
			break;
		if (quote + 1 == c->end && !c->ended)
			return false; /* closing or the first of two? */
		field->text = df_str(start, (size_t)(quote - start));
		c->at = quote + 1;
		if (c->at == c->end || *c->at != '"')
			return true;
		field->doubled = true;
		c->at++;
	}
	c->at = c->end;
	field->text = df_str(start, (size_t)(c->end - start));
	row->bad = "a quoted field is not closed with \"";
	return c->ended;
}

/* Behind a closing quote only a delimiter or the row's end may stand; the rest of a bad field is skipped. */
static void csv_behind_quoted(struct csv_cursor *c, struct df_csv_row *row)
{
	struct df_csv_field rest;

	if (c->at == c->end || *c->at == c->delimiter || csv_line_end(c))
		return;
	if (*c->at == '\r' && c->at + 1 == c->end) {
		c->at += c->ended;
		return;
	}
	if (!row->bad)
		row->bad = "text behind the closing quote of a field; a quote inside a quoted field is written twice "
			   "(\"\")";
	csv_unquoted(c, &rest);
}

static size_t csv_count_lines(const char *at, const char *end)
{
	size_t lines = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		lines++;
		at++;
	}
	return lines;
}

enum df_csv_result df_csv_read(struct df_str text, char delimiter, bool ended, struct df_csv_row *row)
{
	struct csv_cursor c = { text.ptr, text.ptr + text.len, delimiter, ended };
	size_t line_end = 0;

	row->count = 0;
	row->bad = NULL;
	for (;;) {
		struct df_csv_field spare = { 0 };
		struct df_csv_field *field = row->count < DF_CSV_COLUMNS_MAX ? csv_add(row) : &spare;

		if (!field)
			return DF_CSV_NO_MEMORY;
		if (field == &spare)
			row->bad = "more than 65536 fields";
		if (c.at < c.end && *c.at == '"') {
			c.at++;
			if (!csv_quoted(&c, row, field))
				return DF_CSV_MORE;
			csv_behind_quoted(&c, row);
		} else {
			csv_unquoted(&c, field);
		}
		if (c.at < c.end && *c.at == delimiter) {
			c.at++;
			continue;
		}
		line_end = csv_line_end(&c);
		if (line_end || c.ended)
			break;
		return DF_CSV_MORE;
	}
	row->len = (size_t)(c.at - text.ptr) + line_end;
	row->lines = csv_count_lines(text.ptr, text.ptr + row->len);
	return DF_CSV_ROW;
}

struct df_str df_csv_text(const struct df_csv_field *field, struct df_arena *arena)
{
	const char *from = field->text.ptr, *end = from + field->text.len;

	if (!field->doubled)
		return field->text.ptr ? field->text : DF_STR("");
	char *copy = df_arena_alloc(arena, field->text.len);
	char *to = copy;
	while (copy && from < end) {
		if (*from == '"' && from + 1 < end && from[1] == '"')
			from++;
		*to++ = *from++;
	}
	return df_str(copy, (size_t)(to - copy));
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static bool csv_needs_quotes(struct df_str text, char delimiter)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == delimiter || c == '"' || c == '\n' || c == '\r')
			return true;
	}
	return text.len == 0;
}

void df_csv_write(struct df_str text, char delimiter, struct df_buf *buf)
{
	if (!csv_needs_quotes(text, delimiter)) {
		df_buf_add_str(buf, text);
		return;
	}
	df_buf_add_char(buf, '"');
	for (size_t at = 0; at < text.len;) {
		const char *quote = memchr(text.ptr + at, '"', text.len - at);
		size_t n = quote ? (size_t)(quote - text.ptr) - at + 1 : text.len - at;

		df_buf_add(buf, text.ptr + at, n);
		if (quote)
			df_buf_add_char(buf, '"');
		at += n;
	}
	df_buf_add_char(buf, '"');
}
