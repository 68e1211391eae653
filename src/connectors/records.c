#include "connectors/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/csv.h"

/* One read, and one block of the batch's arena. */
#define CHUNK ((size_t)DF_ARENA_BLOCK - 64)

static const struct df_str byte_order_mark = { "\xef\xbb\xbf", 3 };

/*
 * [start, end) was read and not handed out yet. It lies in the arena of the batch that is being filled, with room up to
 * `limit`; all NULL when there is nothing.
 */
struct window {
	char *start, *end, *limit;
	char *seen;	/* no newline before it */
	int64_t offset; /* of start in the stream */
	bool ended;
};

struct df_records {
	struct df_bytes *bytes;
	struct df_records_options options;
	struct window window;
	int64_t line; /* of window.start, from 1; relative while !line_known */
	bool line_known;

	/* csv */
	char **columns; /* NULL: the header was not read yet */
	size_t column_count;
	struct df_csv_row row;
	/* The columns' names in the arena of `names_of`; made anew for each batch. */
	struct df_str *names;
	const struct df_batch *names_of;
	bool done;  /* json: the document was handed out */
	bool begun; /* the stream stands where start said */
	int64_t start;
};

/* What one fill works on. */
struct fill {
	struct df_records *r;
	struct df_context *ctx;
	struct df_batch *batch;
	struct df_partition *partition;
	size_t messages, bytes; /* limits of the batch */
	bool final;
};

/* ---- settings ---- */

const char *const df_format_values[] = { "jsonl", "json", "csv", NULL };
const char *const df_compression_values[] = { "auto", "none", "gzip", "zstd", NULL };

int df_check_delimiter(struct df_str text, struct df_error *err)
{
	if (text.len == 1 && (*text.ptr == '\t' || (*text.ptr >= ' ' && *text.ptr < 0x7f)) && *text.ptr != '"')
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "must be one ASCII character, and not the quote");
}

enum df_format df_format_of(const char *text)
{
	for (size_t i = 0; df_format_values[i]; i++) {
		if (strcmp(text, df_format_values[i]) == 0)
			return (enum df_format)i;
	}
	return DF_FORMAT_JSONL;
}

enum df_format df_format_by_name(struct df_str name)
{
	df_compression_by_name(name, &name);
	if (df_str_ends(name, DF_STR(".json")) || df_str_ends(name, DF_STR(".geojson")))
		return DF_FORMAT_JSON;
	if (df_str_ends(name, DF_STR(".csv")) || df_str_ends(name, DF_STR(".tsv")))
		return DF_FORMAT_CSV;
	return DF_FORMAT_JSONL;
}

/* ---- the window ---- */

static size_t window_len(const struct window *w)
{
	return (size_t)(w->end - w->start);
}

/* Moves what there is to a place with room for `cap` bytes. */
static int window_move(struct window *w, struct df_arena *arena, size_t cap, struct df_error *err)
{
	size_t len = window_len(w), seen = (size_t)(w->seen - w->start);
	char *place = df_arena_alloc(arena, cap);

	if (!place)
		return df_error_no_memory(err);
	if (len)
		memcpy(place, w->start, len);
	w->start = place;
	w->end = place + len;
	w->seen = place + seen;
	w->limit = place + cap;
	return 0;
}

static void window_take(struct window *w, size_t n)
{
	w->start += n;
	w->seen = w->start;
	w->offset += (int64_t)n;
}

static void window_clear(struct window *w)
{
	w->start = w->end = w->limit = w->seen = NULL;
}

/* Reads on behind what there is. At the end of the stream `ended` is set. */
static int window_read(struct fill *f, struct df_error *err)
{
	struct window *w = &f->r->window;
	size_t n;
	int r = 0;

	if (w->end == w->limit) {
		size_t len = window_len(w);

		/* A record that fills more than half of a chunk grows geometrically. */
		r = window_move(w, &f->batch->arena, len < CHUNK / 2 ? CHUNK : len * 2, err);
	}
	if (r == 0)
		r = df_bytes_read(f->r->bytes, f->ctx, w->end, (size_t)(w->limit - w->end), &n, err);
	if (r < 0)
		return r;
	w->end += n;
	w->ended = n == 0;
	return 0;
}

/* ---- where we are, for people ---- */

/* The line at window.start. After a restart in the middle of a file the lines before it are counted only when asked. */
static int64_t current_line(struct df_records *r)
{
	if (!r->line_known) {
		int64_t before = df_bytes_count_lines(r->bytes, r->start);

		if (before < 0)
			return -1;
		r->line += before;
		r->line_known = true;
	}
	return r->line;
}

/* "NAME:70000", or "NAME, byte 4711" when the line is not known. */
static const char *place(struct df_records *r, char *out, size_t size)
{
	int64_t line = current_line(r);

	if (line > 0)
		snprintf(out, size, "%s:%" PRId64, r->options.name, line);
	else
		snprintf(out, size, "%s, byte %" PRId64, r->options.name, r->window.offset);
	return out;
}

#define PLACE_MAX 512
#define PLACE(r) place((r), (char[PLACE_MAX]){ 0 }, PLACE_MAX)

static int too_long(struct df_records *r, struct df_error *err)
{
	bool csv = r->options.format == DF_FORMAT_CSV;

	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s: the %s is longer than %" PRId64 " bytes%s: raise %smaxLineBytes or repair the file",
			    PLACE(r), csv ? "row" : "line", r->options.settings->max_line_bytes,
			    csv ? " (maybe a quote is not closed)" : "", r->options.limit_path);
}

/* ---- messages ---- */

static bool batch_full(const struct fill *f)
{
	return f->batch->count >= f->messages || f->batch->bytes >= f->bytes;
}

/* Would another chunk exceed the batch's bytes? Then the next batch gets it, so that no chunk is copied from one to
 * another. */
static bool batch_nearly_full(const struct fill *f)
{
	return f->batch->count > 0 && f->batch->bytes + CHUNK / 2 > f->bytes;
}

static int add_metadata(struct fill *f, struct df_message *m, struct df_error *err)
{
	struct df_arena *arena = &f->batch->arena;
	struct df_value *object = df_value_new(arena, DF_OBJECT);
	struct df_value *file = df_value_string_copy(arena, df_str_c(f->r->options.name));
	struct df_value *line = df_value_int64(arena, current_line(f->r));

	if (!object || !file || !line)
		return df_error_no_memory(err);
	df_object_append(object, DF_STR("file"), file);
	df_object_append(object, DF_STR("line"), line);
	m->metadata = object;
	return 0;
}

/* A message made of the next `len` bytes of the window (line end included); `text` is its payload. */
static int add_message(struct fill *f, struct df_str text, size_t len, struct df_message **ret, struct df_error *err)
{
	struct df_message *m = df_batch_add(f->batch);
	int r = 0;

	if (!m)
		return df_error_no_memory(err);
	m->payload = text;
	m->partition = f->partition;
	m->position.number = f->r->window.offset + (int64_t)len;
	if (f->r->options.metadata)
		r = add_metadata(f, m, err);
	if (r < 0) {
		f->batch->count--;
		return r;
	}
	f->batch->bytes += text.len;
	*ret = m;
	return 0;
}

/* Poison, at the place where the window stands. */
static int fail_message(struct fill *f, struct df_message *m, struct df_error *err, const char *fmt, ...)
	df_printf(4, 5);

static int fail_message(struct fill *f, struct df_message *m, struct df_error *err, const char *fmt, ...)
{
	struct df_error *failure = df_arena_zalloc(&f->batch->arena, sizeof(*failure));
	va_list args;

	if (!failure)
		return df_error_no_memory(err);
	va_start(args, fmt);
	df_error_setv(failure, DF_ERR_INVALID_DATA, fmt, args);
	va_end(args);
	df_error_prefix(failure, "%s", PLACE(f->r));
	m->failure = failure;
	return 0;
}

/* ---- jsonl ---- */

/* Without line end, without a byte order mark at the beginning of the stream. */
static struct df_str line_text(const struct window *w, size_t len)
{
	struct df_str text = df_str(w->start, len);

	if (text.len && text.ptr[text.len - 1] == '\n')
		text.len--;
	if (text.len && text.ptr[text.len - 1] == '\r')
		text.len--;
	if (w->offset == 0 && df_str_starts(text, byte_order_mark))
		text = df_str(text.ptr + byte_order_mark.len, text.len - byte_order_mark.len);
	return text;
}

static bool blank(struct df_str text)
{
	size_t i = 0;

	while (i < text.len && (text.ptr[i] == ' ' || text.ptr[i] == '\t' || text.ptr[i] == '\r'))
		i++;
	return i == text.len;
}

static int add_line(struct fill *f, size_t len, struct df_error *err)
{
	struct df_records *r = f->r;
	struct df_str text = line_text(&r->window, len);
	struct df_message *m;
	size_t bad;
	int code = 0;

	if (text.len > (size_t)r->options.settings->max_line_bytes)
		return too_long(r, err);
	if (!blank(text)) {
		code = add_message(f, text, len, &m, err);
		if (code == 0 && !df_utf8_valid(text, &bad))
			code = fail_message(f, m, err, "invalid UTF-8 at byte %zu of the line (0x%02x)", bad + 1,
					    (unsigned char)text.ptr[bad]);
	}
	if (code < 0)
		return code;
	window_take(&r->window, len);
	r->line++;
	return 0;
}

/* The complete lines of the window. */
static int add_lines(struct fill *f, struct df_error *err)
{
	struct window *w = &f->r->window;
	int r = 0;

	while (r == 0 && w->seen < w->end && !batch_full(f)) {
		char *newline = memchr(w->seen, '\n', (size_t)(w->end - w->seen));

		if (newline)
			r = add_line(f, (size_t)(newline - w->start) + 1, err);
		else
			w->seen = w->end;
	}
	return r;
}

static int finish_lines(struct fill *f, struct df_error *err)
{
	return window_len(&f->r->window) ? add_line(f, window_len(&f->r->window), err) : 0;
}

/* ---- csv ---- */

static void forget_columns(struct df_records *r)
{
	for (size_t i = 0; i < r->column_count; i++)
		free(r->columns[i]);
	free(DF_TAKE(r->columns));
	r->column_count = 0;
}

static int set_columns(struct df_records *r, size_t count, struct df_error *err)
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
	return 0;
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
					"%s: columns %zu and %zu are both called \"%s\": set %scolumns to tell "
					"them apart",
					PLACE(r), k + 1, i + 1, r->columns[i], r->options.limit_path);
		}
	}
	return 0;
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
		r->row.fields[i].text = df_csv_text(&r->row.fields[i], arena);
		if (!r->row.fields[i].text.ptr)
			return df_error_no_memory(err);
	}
	code = set_columns(r, r->row.count, err);
	if (code == 0)
		code = check_columns(r, err);
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
	struct df_str text = line_text(&r->window, r->row.len);
	struct df_message *m;
	size_t bad;
	int code = add_message(f, text, r->row.len, &m, err);

	if (code < 0)
		return code;
	if (r->row.bad)
		return fail_message(f, m, err, "%s", r->row.bad);
	if (r->row.count != r->column_count)
		return fail_message(f, m, err, "the row has %zu fields, there are %zu columns", r->row.count,
				    r->column_count);
	if (!df_utf8_valid(text, &bad))
		return fail_message(f, m, err, "invalid UTF-8 at byte %zu of the row (0x%02x)", bad + 1,
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
	return r->row.len > (size_t)r->options.settings->max_line_bytes ? too_long(r, err) : 1;
}

/* The complete rows of the window. The first one is the header while there are no columns. */
static int add_rows(struct fill *f, bool ended, struct df_error *err)
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

static int finish_rows(struct fill *f, struct df_error *err)
{
	struct window *w = &f->r->window;
	int r;

	w->seen = w->start;
	r = add_rows(f, true, err);
	if (r == 0 && !batch_full(f))
		window_take(w, window_len(w)); /* a lone byte order mark */
	return r;
}

/* ---- json ---- */

/* Room for the whole file at once, when its size is known. */
static int prepare_document(struct fill *f, struct df_error *err)
{
	size_t hint = df_bytes_size_hint(f->r->bytes);

	if (f->r->window.start || hint < CHUNK || hint > (size_t)f->r->options.settings->max_document_bytes)
		return 0;
	return window_move(&f->r->window, &f->batch->arena, hint + 1, err);
}

static int add_document(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;
	size_t len = window_len(&r->window);
	struct df_str text = line_text(&r->window, len);
	struct df_parse_error why;
	struct df_message *m;
	struct df_value *root = NULL;
	int code = 0;

	r->done = true;
	if (text.len == 0) {
		window_take(&r->window, len);
		return 0;
	}
	code = add_message(f, text, len, &m, err);
	if (code < 0)
		return code;
	enum df_parse_result result = df_value_parse(text, &f->batch->arena, &root, &why);
	if (result == DF_PARSE_NO_MEMORY)
		return df_error_no_memory(err);
	if (result == DF_PARSE_OK) {
		m->document = root;
		m->state = DF_PAYLOAD_JSON;
	} else {
		code = fail_message(
			f, m, err,
			"not one JSON document: line %zu, column %zu: %s; for one document a line set %sformat: "
			"jsonl",
			why.line, why.column, why.what, r->options.limit_path);
	}
	window_take(&r->window, len);
	return code;
}

/* ---- filling ---- */

static int add_complete(struct fill *f, struct df_error *err)
{
	switch (f->r->options.format) {
	case DF_FORMAT_JSONL:
		return add_lines(f, err);
	case DF_FORMAT_CSV:
		return add_rows(f, false, err);
	case DF_FORMAT_JSON:
		break;
	}
	return 0;
}

static int add_last(struct fill *f, struct df_error *err)
{
	switch (f->r->options.format) {
	case DF_FORMAT_JSONL:
		return finish_lines(f, err);
	case DF_FORMAT_CSV:
		return finish_rows(f, err);
	case DF_FORMAT_JSON:
		return f->r->done ? 0 : add_document(f, err);
	}
	return 0;
}

/* May the record that begins the window still grow? */
static int check_limit(struct df_records *r, struct df_error *err)
{
	const struct df_records_settings *s = r->options.settings;
	size_t len = window_len(&r->window);

	if (r->options.format != DF_FORMAT_JSON)
		return len > (size_t)s->max_line_bytes + 2 ? too_long(r, err) : 0;
	if (len <= (size_t)s->max_document_bytes)
		return 0;
	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s: the document is larger than %" PRId64
			    " bytes: raise %smaxDocumentBytes, or split it into one "
			    "document a line (format: jsonl)",
			    r->options.name, s->max_document_bytes, r->options.limit_path);
}

/* Reads on until the header is known; END when the stream is empty so far. */
static int begin_header(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;

	while (!r->columns) {
		int found = split_row(r, false, err);

		if (found < 0)
			return found;
		if (found == 0) {
			int code = window_read(f, err);

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

/* Reads compressed data up to the start and drops it; each chunk over the one before. */
static int begin_skip(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;
	struct window *w = &r->window;
	char *chunk = df_arena_alloc(&f->batch->arena, CHUNK);
	int code = chunk ? 0 : df_error_no_memory(err);

	while (code == 0 && w->offset < r->start) {
		int64_t left = r->start - w->offset;
		size_t n = left < (int64_t)window_len(w) ? (size_t)left : window_len(w);

		for (size_t i = 0; i < n; i++)
			r->line += w->start[i] == '\n';
		window_take(w, n);
		if (w->offset == r->start)
			break;
		*w = (struct window){
			.start = chunk, .end = chunk, .seen = chunk, .limit = chunk + CHUNK, .offset = w->offset
		};
		code = window_read(f, err);
		if (code == 0 && w->ended)
			return df_error_set(
				err, DF_ERR_INVALID_DATA,
				"%s ends at byte %" PRId64 ", but the checkpoint says that %" PRId64
				" bytes of it were read: it was replaced. Set spec.checkpointReset to read it again",
				r->options.name, w->offset, r->start);
	}
	return code;
}

/* Goes to the start. The header of a CSV stands before it and is read first. */
static int begin(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;
	int code = df_bytes_detect(r->bytes, f->ctx, err);

	if (code == 0 && r->options.format == DF_FORMAT_CSV && !r->options.settings->header && !r->columns)
		code = set_columns(r, r->options.settings->columns.count, err);
	if (code == 0 && r->options.format == DF_FORMAT_CSV && r->start > 0)
		code = begin_header(f, err);
	if (code == 0 && r->start > r->window.offset) {
		if (!df_bytes_seekable(r->bytes)) {
			code = begin_skip(f, err);
		} else {
			window_clear(&r->window);
			code = df_bytes_seek(r->bytes, r->start, err);
			r->window.offset = r->start;
			r->line = 1;
			r->line_known = false;
		}
	}
	r->begun = code == 0;
	return code;
}

static int fill(struct fill *f, struct df_error *err)
{
	struct df_records *r = f->r;
	int code = r->begun ? 0 : begin(f, err);

	if (code == 0 && r->options.format == DF_FORMAT_JSON)
		code = prepare_document(f, err);
	while (code == 0) {
		code = add_complete(f, err);
		if (code == 0)
			code = check_limit(r, err);
		if (code < 0)
			break;
		if (batch_full(f) || batch_nearly_full(f) || (f->batch->count && !df_bytes_ready(r->bytes)))
			return DF_RECORDS_FULL;
		code = window_read(f, err);
		if (code == 0 && r->window.ended) {
			if (f->final)
				code = add_last(f, err);
			return code < 0 ? code : f->final && window_len(&r->window) ? DF_RECORDS_FULL : DF_RECORDS_END;
		}
	}
	return code;
}

static void leave_batch(struct df_records *r)
{
	if (!r)
		return;
	window_clear(&r->window);
	r->names = NULL;
	r->names_of = NULL;
}

int df_records_fill(struct df_records *r, struct df_context *ctx, struct df_emitter *out,
		    struct df_partition *partition, bool final, struct df_batch **batch, struct df_error *err)
{
	if (!*batch)
		*batch = df_emitter_batch(out);
	if (!*batch)
		return df_error_no_memory(err);
	return fill(&(struct fill){ .r = r,
				    .ctx = ctx,
				    .batch = *batch,
				    .partition = partition,
				    .messages = out->batch_messages,
				    .bytes = out->batch_bytes,
				    .final = final },
		    err);
}

int df_records_emit(struct df_records *r, struct df_context *ctx, struct df_emitter *out, struct df_batch **batch,
		    struct df_error *err)
{
	struct df_batch *next = NULL;
	struct window *w = r ? &r->window : NULL;
	int code = 0;

	if (!*batch)
		return 0;
	if (w && window_len(w)) {
		next = df_emitter_batch(out);
		if (!next)
			return df_error_no_memory(err);
		size_t room = window_len(w) + CHUNK / 2;
		code = window_move(w, &next->arena, room < CHUNK ? CHUNK : room, err);
		r->names = NULL;
	} else {
		leave_batch(r);
	}
	if (code == 0)
		code = df_emitter_emit(out, ctx, batch, err);
	if (code == 0) {
		*batch = next;
		return 0;
	}
	leave_batch(r);
	df_batch_free(next);
	return code;
}

/* ---- making, starting, parking ---- */

int df_records_new(struct df_bytes *bytes, const struct df_records_options *options, struct df_records **ret,
		   struct df_error *err)
{
	df_cleanup(df_records_freep) struct df_records *r = calloc(1, sizeof(*r));

	*ret = NULL;
	if (!r)
		return df_error_no_memory(err);
	r->bytes = bytes;
	r->options = *options;
	r->line = 1;
	r->line_known = true;
	*ret = DF_TAKE(r);
	return 0;
}

void df_records_free(struct df_records *r)
{
	if (!r)
		return;
	forget_columns(r);
	df_csv_row_done(&r->row);
	free(r);
}

void df_records_start(struct df_records *r, int64_t offset)
{
	r->start = offset;
}

int df_records_park(struct df_records *r, struct df_error *err)
{
	bool ahead = window_len(&r->window) > 0;

	leave_batch(r);
	return ahead ? df_bytes_seek(r->bytes, r->window.offset, err) : 0;
}

int64_t df_records_offset(const struct df_records *r)
{
	return r->window.offset;
}
