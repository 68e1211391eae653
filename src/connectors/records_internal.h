/* What records.c and records_csv.c share. Nothing else includes this. */
#ifndef DF_CONNECTORS_RECORDS_INTERNAL_H
#define DF_CONNECTORS_RECORDS_INTERNAL_H

#include "connectors/csv.h"
#include "connectors/records.h"

static const struct df_str byte_order_mark = { "\xef\xbb\xbf", 3 };

/* One read, and one block of the batch's arena. */
#define CHUNK ((size_t)DF_ARENA_BLOCK - 64)

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

static inline size_t window_len(const struct window *w)
{
	return (size_t)(w->end - w->start);
}

static inline void window_take(struct window *w, size_t n)
{
	w->start += n;
	w->seen = w->start;
	w->offset += (int64_t)n;
}

static inline bool batch_full(const struct fill *f)
{
	return f->batch->count >= f->messages || f->batch->bytes >= f->bytes;
}

/* ---- records.c ------------------------------------------------------------------------------------------- */

/* Reads on behind what there is. At the end of the stream `ended` is set. */
int df_records_read(struct fill *f, struct df_error *err) df_must_check;

/* The record that begins the window, without its line end and without a byte order mark at the stream's beginning. */
struct df_str df_records_text(const struct window *w, size_t len);

/* A message made of the next `len` bytes of the window (line end included); `text` is its payload. */
int df_records_add(struct fill *f, struct df_str text, size_t len, struct df_message **ret,
		   struct df_error *err) df_must_check;
/* Makes it poison; the text gets "FILE:LINE: " of where the window stands before it. */
int df_records_fail(struct fill *f, struct df_message *m, struct df_error *err, const char *fmt, ...) df_printf(4, 5);

/* "NAME:70000", or "NAME, byte 4711" when the line is not known; returns out. */
const char *df_records_place(struct df_records *r, char *out, size_t size);
#define PLACE_MAX 512
#define PLACE(r) df_records_place((r), (char[PLACE_MAX]){ 0 }, PLACE_MAX)

int df_records_too_long(struct df_records *r, struct df_error *err);

/* ---- records_csv.c --------------------------------------------------------------------------------------- */

/* The columns of a file without a header. */
int df_records_csv_columns(struct df_records *r, size_t count, struct df_error *err) df_must_check;
/* Reads on until the header is known, or the end. */
int df_records_csv_header(struct fill *f, struct df_error *err) df_must_check;
/* The complete rows of the window. The first one is the header while there are no columns. */
int df_records_csv_rows(struct fill *f, bool ended, struct df_error *err) df_must_check;
/* At the end of the stream: what is left is the last row. */
int df_records_csv_finish(struct fill *f, struct df_error *err) df_must_check;
void df_records_csv_done(struct df_records *r);

#endif
