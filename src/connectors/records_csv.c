/* CSV among the records: header, columns, rows. How a row is split is csv.c's. */
#include <stdlib.h>

#include "connectors/records_internal.h"

static void forget_columns(struct df_records *r)
{
	for (size_t i = 0; i < r->column_count; i++)
		free(r->columns[i]);
	free(DF_TAKE(r->columns));
	r->column_count = 0;
}

static int check_columns(struct df_records *r, struct df_error *err)
{
	for (size_t i = 0; i < r->column_count; i++) {
		if (!r->columns[i][0])
			return df_error_set(err, DF_ERR_CONFIG,
					    "%s: column %zu has no name in the header: set %scolumns to name them all",
					    PLACE(r), i + 1, r->options.limit_path);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(r->columns[i], r->columns[k]) == 0)
				return df_error_set(
					err, DF_ERR_CONFIG,
					"%s: columns %zu and %zu are both called \"%s\": set %scolumns to tell them "
					"apart",
					PLACE(r), k + 1, i + 1, r->columns[i], r->options.limit_path);
		}
	}
	return 0;
}

int df_records_csv_columns(struct df_records *r, size_t count, struct df_error *err)
{
	const struct df_strings *given = &r->options.settings->columns;

	r->columns = calloc(count, sizeof(*r->columns));
	if (!r->columns)
		return df_error_no_memory(err);
	r->column_count = count;
	for (size_t i = 0; i < count; i++) {
		struct df_str name = given->count ? df_str_c(given->items[i]) : r->row.fields[i].text;

		r->columns[i] = df_str_dup(name);
		if (!r->columns[i])
			return df_error_no_memory(err);
	}
	return check_columns(r, err);
}

static int read_header(struct df_records *r, struct df_arena *arena, struct df_error *err)
{
	size_t given = r->options.settings->columns.count;
	int code;

	if (r->row.bad || !df_utf8_valid(df_str(r->window.start, r->row.len), NULL))
		return df_error_set(err, DF_ERR_CONFIG, "%s: the header cannot be read: %s", PLACE(r),
				    r->row.bad ? r->row.bad : "invalid UTF-8");
	if (given && given != r->row.count)
		return df_error_set(err, DF_ERR_CONFIG, "%s: the header has %zu columns, %scolumns names %zu", PLACE(r),
				    r->row.count, r->options.limit_path, given);
	for (size_t i = 0; i < r->row.count; i++) {
		const struct df_csv_field *field = &r->row.fields[i];

		if (!field->quoted && field->text.len && memchr(field->text.ptr, '\r', field->text.len))
			return df_error_set(err, DF_ERR_CONFIG,
					    "%s: a carriage return stands in the header: if lines end with it alone, "
					    "convert them, for example with tr '\\r' '\\n'",
					    PLACE(r));
		r->row.fields[i].text = df_csv_text(&r->row.fields[i], arena);
		if (!r->row.fields[i].text.ptr)
			return df_error_no_memory(err);
	}
	code = df_records_csv_columns(r, r->row.count, err);
	if (code < 0)
		forget_columns(r);
	return code;
}

/* The columns' names, once in each batch's arena. */
static const struct df_str *batch_names(struct fill *f)
{
	struct df_records *r = f->r;

	if (r->names_of == f->batch && r->names)
		return r->names;
	r->names = df_arena_alloc(&f->batch->arena, r->column_count * sizeof(*r->names));
	r->names_of = f->batch;
	for (size_t i = 0; r->names && i < r->column_count; i++) {
		r->names[i] = df_arena_dup(&f->batch->arena, df_str_c(r->columns[i]));
		if (!r->names[i].ptr)
			r->names = NULL;
	}
	return r->names;
}

static struct df_value *field_value(struct fill *f, const struct df_csv_field *field)
{
	struct df_arena *arena = &f->batch->arena;
	struct df_str text;

	if (f->r->options.settings->empty_as_null && field->text.len == 0 && !field->quoted)
		return df_value_new(arena, DF_NULL);
	text = df_csv_text(field, arena);
	return text.ptr ? df_value_string(arena, text) : NULL;
}

static int build_row(struct fill *f, struct df_message *m, struct df_error *err)
{
	const struct df_csv_row *row = &f->r->row;
	const struct df_str *names = batch_names(f);
	struct df_value *object = df_value_new(&f->batch->arena, DF_OBJECT);

	if (!names || !object)
		return df_error_no_memory(err);
	for (size_t i = 0; i < row->count; i++) {
		struct df_value *value = field_value(f, &row->fields[i]);

		if (!value)
			return df_error_no_memory(err);
		df_object_append(object, names[i], value);
	}
	m->payload = df_str(NULL, 0);
	df_message_set_document(m, object);
	return 0;
}

/* The row that was split becomes a message. */
static int add_row(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;
	struct df_str text = df_records_text(&r->window, r->row.len);
	struct df_message *m;
	size_t bad;
	int code = df_records_add(f, text, r->row.len, &m, err);

	if (code < 0)
		return code;
	if (r->row.bad)
		return df_records_fail(f, m, err, "%s", r->row.bad);
	if (r->row.count != r->column_count)
		return df_records_fail(f, m, err, "the row has %zu fields, there are %zu columns", r->row.count,
				       r->column_count);
	if (!df_utf8_valid(text, &bad))
		return df_records_fail(f, m, err, "invalid UTF-8 at byte %zu of the row (0x%02x)", bad + 1,
				       (unsigned char)text.ptr[bad]);
	return build_row(f, m, err);
}

/* Splits the row that begins the window. 1: there is one; 0: it is not complete. `ended`: nothing comes behind the
 * window. */
static int split_row(struct df_records *r, bool ended, struct df_error *err)
{
	struct window *w = &r->window;
	struct df_str text = df_str(w->start, window_len(w));
	size_t mark = w->offset == 0 && df_str_starts(text, byte_order_mark) ? byte_order_mark.len : 0;

	if (w->seen == w->end || mark == text.len)
		return 0;
	switch (df_csv_read(df_str(text.ptr + mark, text.len - mark), r->options.delimiter, ended, &r->row)) {
	case DF_CSV_NO_MEMORY:
		return df_error_no_memory(err);
	case DF_CSV_MORE:
		w->seen = w->end;
		return 0;
	case DF_CSV_ROW:
		break;
	}
	r->row.len += mark;
	return r->row.len > (size_t)r->options.settings->max_line_bytes ? df_records_too_long(r, err) : 1;
}

/* The complete rows of the window. The first one is the header while there are no columns. */
int df_records_csv_rows(struct fill *f, bool ended, struct df_error *err)
{
	struct df_records *r = f->r;
	int code = 0;

	while (code == 0 && !batch_full(f)) {
		int found = split_row(r, ended, err);

		if (found <= 0)
			return found;
		if (!df_csv_row_blank(&r->row))
			code = r->columns ? add_row(f, err) : read_header(r, &f->batch->arena, err);
		if (code < 0)
			return code;
		window_take(&r->window, r->row.len);
		r->line += (int64_t)r->row.lines;
	}
	return code;
}

int df_records_csv_finish(struct fill *f, struct df_error *err)
{
	struct window *w = &f->r->window;
	int r;

	w->seen = w->start;
	r = df_records_csv_rows(f, true, err);
	if (r == 0 && !batch_full(f))
		window_take(w, window_len(w)); /* a lone byte order mark */
	return r;
}

/* Reads on until the header is known; END when the stream is empty so far. */
int df_records_csv_header(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;

	while (!r->columns) {
		int found = split_row(r, false, err);

		if (found < 0)
			return found;
		if (found == 0) {
			int code = df_records_read(f, err);

			if (code < 0 || r->window.ended)
				return code;
			continue;
		}
		if (!df_csv_row_blank(&r->row)) {
			int code = read_header(r, &f->batch->arena, err);

			if (code < 0)
				return code;
		}
		window_take(&r->window, r->row.len);
		r->line += (int64_t)r->row.lines;
	}
	return 0;
}

void df_records_csv_done(struct df_records *r)
{
	forget_columns(r);
	df_csv_row_done(&r->row);
}
