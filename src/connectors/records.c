#include "connectors/records_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- settings -------------------------------------------------------------------------------------------- */

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

/* ---- the window ------------------------------------------------------------------------------------------ */

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

static void window_clear(struct window *w)
{
	w->start = w->end = w->limit = w->seen = NULL;
}

/* Reads on behind what there is. At the end of the stream `ended` is set. */
int df_records_read(struct fill *f, struct df_error *err)
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

/* ---- where we are, for people ---------------------------------------------------------------------------- */

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
const char *df_records_place(struct df_records *r, char *out, size_t size)
{
	int64_t line = current_line(r);

	if (line > 0)
		snprintf(out, size, "%s:%" PRId64, r->options.name, line);
	else
		snprintf(out, size, "%s, byte %" PRId64, r->options.name, r->window.offset);
	return out;
}

int df_records_too_long(struct df_records *r, struct df_error *err)
{
	bool csv = r->options.format == DF_FORMAT_CSV;

	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s: the %s is longer than %" PRId64 " bytes%s: raise %smaxLineBytes or repair the file",
			    PLACE(r), csv ? "row" : "line", r->options.settings->max_line_bytes,
			    csv ? " (maybe a quote is not closed)" : "", r->options.limit_path);
}

/* ---- messages -------------------------------------------------------------------------------------------- */

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
int df_records_add(struct fill *f, struct df_str text, size_t len, struct df_message **ret, struct df_error *err)
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

int df_records_fail(struct fill *f, struct df_message *m, struct df_error *err, const char *fmt, ...)
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

/* ---- jsonl ----------------------------------------------------------------------------------------------- */

/* Without line end, without a byte order mark at the beginning of the stream. */
struct df_str df_records_text(const struct window *w, size_t len)
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
	struct df_str text = df_records_text(&r->window, len);
	struct df_message *m;
	size_t bad;
	int code = 0;

	if (text.len > (size_t)r->options.settings->max_line_bytes)
		return df_records_too_long(r, err);
	if (!blank(text)) {
		code = df_records_add(f, text, len, &m, err);
		if (code == 0 && !df_utf8_valid(text, &bad))
			code = df_records_fail(f, m, err, "invalid UTF-8 at byte %zu of the line (0x%02x)", bad + 1,
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

/* ---- json ------------------------------------------------------------------------------------------------ */

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
	struct df_str text = df_records_text(&r->window, len);
	struct df_parse_error why;
	struct df_message *m;
	struct df_value *root = NULL;
	int code = 0;

	r->done = true;
	if (text.len == 0) {
		window_take(&r->window, len);
		return 0;
	}
	code = df_records_add(f, text, len, &m, err);
	if (code < 0)
		return code;
	enum df_parse_result result = df_value_parse(text, &f->batch->arena, &root, &why);
	if (result == DF_PARSE_NO_MEMORY)
		return df_error_no_memory(err);
	if (result == DF_PARSE_OK) {
		m->document = root;
		m->state = DF_PAYLOAD_JSON;
	} else {
		code = df_records_fail(
			f, m, err,
			"not one JSON document: line %zu, column %zu: %s; for one document a line set %sformat: "
			"jsonl",
			why.line, why.column, why.what, r->options.limit_path);
	}
	window_take(&r->window, len);
	return code;
}

/* ---- filling --------------------------------------------------------------------------------------------- */

static int add_complete(struct fill *f, struct df_error *err)
{
	switch (f->r->options.format) {
	case DF_FORMAT_JSONL:
		return add_lines(f, err);
	case DF_FORMAT_CSV:
		return df_records_csv_rows(f, false, err);
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
		return df_records_csv_finish(f, err);
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
		return len > (size_t)s->max_line_bytes + 2 ? df_records_too_long(r, err) : 0;
	if (len <= (size_t)s->max_document_bytes)
		return 0;
	return df_error_set(err, DF_ERR_INVALID_DATA,
			    "%s: the document is larger than %" PRId64
			    " bytes: raise %smaxDocumentBytes, or split it into one document a line (format: jsonl)",
			    r->options.name, s->max_document_bytes, r->options.limit_path);
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
		code = df_records_read(f, err);
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
		code = df_records_csv_columns(r, r->options.settings->columns.count, err);
	if (code == 0 && r->options.format == DF_FORMAT_CSV && r->start > 0)
		code = df_records_csv_header(f, err);
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
		code = df_records_read(f, err);
		if (code == 0 && r->window.ended) {
			if (f->final && window_len(&r->window))
				code = df_bytes_check_end(r->bytes, err);
			if (code == 0 && f->final)
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

/* ---- making, starting, parking --------------------------------------------------------------------------- */

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
	df_records_csv_done(r);
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
