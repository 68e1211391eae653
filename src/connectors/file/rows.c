/* CSV for the file sink: which columns there are, and how a message becomes a row of them. */
#include <stdlib.h>

#include "connectors/csv.h"
#include "connectors/file/file.h"

/* ---- columns --------------------------------------------------------------------------------------------- */

void df_file_rows_forget(struct file_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->columns[i]);
	free(DF_TAKE(rows->columns));
	rows->count = 0;
}

static int add_column(struct file_rows *rows, struct df_str name, struct df_error *err)
{
	char **columns = realloc(rows->columns, (rows->count + 1) * sizeof(*columns));
	char *copy = df_str_dup(name);

	if (columns)
		rows->columns = columns;
	if (!columns || !copy) {
		free(copy);
		return df_error_no_memory(err);
	}
	rows->columns[rows->count++] = copy;
	return 0;
}

int df_file_rows_given(struct file_rows *rows, const struct df_strings *columns, struct df_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < columns->count; i++)
		r = add_column(rows, df_str_c(columns->items[i]), err);
	return r;
}

static int columns_from_row(struct file_rows *rows, const struct df_csv_row *row, struct df_error *err)
{
	struct df_arena arena;
	int r = 0;

	df_arena_init(&arena, NULL);
	for (size_t i = 0; r == 0 && i < row->count; i++) {
		struct df_str name = df_csv_text(&row->fields[i], &arena);

		r = name.ptr ? add_column(rows, name, err) : df_error_no_memory(err);
	}
	df_arena_done(&arena);
	return r;
}

/* The columns must be those of the file that is appended to. */
static int check_columns(const struct file_rows *rows, const struct df_csv_row *row, struct df_error *err)
{
	bool same = row->count == rows->count && !row->bad;

	for (size_t i = 0; same && i < row->count; i++)
		same = df_str_equal_c(row->fields[i].text, rows->columns[i]);
	return same ? 0
		    : df_error_set(
			      err, DF_ERR_CONFIG,
			      "%s has other columns in its header than `columns` says: change the setting, or move the "
			      "file away",
			      rows->path);
}

/* Reads the header of the file that is appended to. */
int df_file_rows_from_file(struct file_rows *rows, int fd, enum df_compression compression, struct df_error *err)
{
	df_cleanup(df_bytes_freep) struct df_bytes *bytes = NULL;
	df_cleanup(df_buf_done) struct df_buf head = { .max = 1 << 20 };
	df_cleanup(df_csv_row_done) struct df_csv_row row = { 0 };
	enum df_csv_result result = DF_CSV_MORE;
	int r = df_bytes_new(fd, rows->path, compression, &bytes, err);

	while (r == 0 && result == DF_CSV_MORE) {
		char *room = df_buf_reserve(&head, 4096);
		size_t n;

		if (!room && head.len + 4096 > head.max)
			return df_error_set(err, DF_ERR_CONFIG, "%s: the header is longer than 1 MiB, is it CSV?",
					    rows->path);
		if (!room)
			return df_error_no_memory(err);
		r = df_bytes_read(bytes, NULL, room, 4096, &n, err);
		if (r < 0 || (n == 0 && head.len == 0))
			return r;
		head.len += n;
		result = df_csv_read(df_buf_str(&head), rows->delimiter, n == 0, &row);
	}
	if (r == 0 && result == DF_CSV_NO_MEMORY)
		r = df_error_no_memory(err);
	if (r < 0)
		return r;
	return rows->columns ? check_columns(rows, &row, err) : columns_from_row(rows, &row, err);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* Only what can be read again is written as a column's name. */
static int check_name(struct df_str name, struct df_error *err)
{
	if (name.len == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "a key is empty, and no column can be called so: rename it with the renameKeys "
				    "transformation, or remove it");
	if (memchr(name.ptr, '\0', name.len) || !df_utf8_valid(name, NULL))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "a key has a NUL character or half a surrogate pair, and no column can be called "
				    "so: rename it with the renameKeys transformation, or remove it");
	return 0;
}

static int columns_from_message(struct file_rows *rows, const struct df_value *object, struct df_error *err)
{
	int r = 0;

	df_for_each (member, object) {
		if (r == 0)
			r = check_name(df_value_key(member), err);
		if (r == 0)
			r = add_column(rows, df_value_key(member), err);
	}
	if (r < 0)
		df_file_rows_forget(rows);
	return r;
}

static void add_header(struct file_rows *rows, struct df_buf *buf)
{
	for (size_t i = 0; i < rows->count; i++) {
		if (i > 0)
			df_buf_add_char(buf, rows->delimiter);
		df_csv_write(df_str_c(rows->columns[i]), rows->delimiter, buf);
	}
	df_buf_add_char(buf, '\n');
	rows->header_due = false;
}

/* A row of one column without a value would be a blank line, which is no row: it is written as "". */
static int add_field(const struct file_rows *rows, const struct df_value *value, struct df_arena *arena,
		     struct df_buf *buf, struct df_error *err)
{
	struct df_str text;

	if (!value || value->kind == DF_NULL) {
		if (rows->count == 1)
			df_csv_write(df_str(NULL, 0), rows->delimiter, buf);
		return 0;
	}
	text = df_value_text(value, arena);
	if (!text.ptr && text.len == 0 && value->kind != DF_STRING)
		buf->failed = true;
	if (!df_utf8_valid(text, NULL))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "key \"" DF_STR_FMT "\": the string contains half a surrogate pair (\\ud800 ... "
				    "\\udfff), which CSV cannot hold",
				    DF_STR_ARG(df_value_key(value)));
	df_csv_write(text, rows->delimiter, buf);
	return 0;
}

static int unknown_key(const struct file_rows *rows, const struct df_value *object, struct df_error *err)
{
	df_for_each (member, object) {
		bool known = false;

		for (size_t i = 0; !known && i < rows->count; i++)
			known = df_str_equal_c(df_value_key(member), rows->columns[i]);
		if (!known)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "the key \"" DF_STR_FMT
					    "\" is no column of %s: name it in `columns`, or remove it with the "
					    "select transformation",
					    DF_STR_ARG(df_value_key(member)), rows->path);
	}
	return df_error_set(err, DF_ERR_INVALID_DATA, "a key stands twice");
}

static int add_fields(struct file_rows *rows, struct df_buf *buf, const struct df_value *object, struct df_arena *arena,
		      struct df_error *err)
{
	const struct df_value *next = object->len ? object->first : NULL;
	uint32_t found = 0;

	for (size_t i = 0; i < rows->count; i++) {
		/* Keys mostly come in the order of the columns. */
		const struct df_value *value = next && df_str_equal_c(df_value_key(next), rows->columns[i])
						       ? next
						       : df_object_get_c(object, rows->columns[i]);
		int r;

		next = value ? value->next : next;
		found += value != NULL;
		if (i > 0)
			df_buf_add_char(buf, rows->delimiter);
		r = add_field(rows, value, arena, buf, err);
		if (r < 0)
			return r;
	}
	df_buf_add_char(buf, '\n');
	return found == object->len ? 0 : unknown_key(rows, object, err);
}

int df_file_rows_add(struct file_rows *rows, struct df_buf *buf, struct df_message *m, struct df_arena *arena,
		     struct df_error *err)
{
	bool first = rows->count == 0;
	struct df_value *object = NULL;
	int r = df_message_document(m, arena, &object, err);

	if (r < 0)
		return r;
	if (!object || object->kind != DF_OBJECT)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the payload is not a JSON object, so that it cannot be a CSV row");
	if (first)
		r = columns_from_message(rows, object, err);
	if (r < 0)
		return r;
	if (rows->header_due)
		add_header(rows, buf);
	r = add_fields(rows, buf, object, arena, err);
	/* A message that is refused says nothing about those that come. */
	if (r < 0 && first)
		df_file_rows_forget(rows);
	return r;
}
