#include "connectors/polling.h"

#define KEEP_INTERVAL (4 * DF_NS_PER_S)

/* ---- life ------------------------------------------------------------------------------------------------ */

bool df_polling_is_legacy(const struct df_polling_settings *settings)
{
	return settings->query && !settings->change_tracking_column;
}

int df_polling_init(struct df_polling_source *s, const struct df_polling_ops *store,
		    const struct df_polling_settings *settings, const char *change_column, struct df_error *err)
{
	s->store = store;
	s->settings = settings;
	s->poll.interval_ns = settings->poll_interval * DF_NS_PER_S;
	s->identity = (struct df_cursor_source){
		.table = settings->table.value,
		.change_column = settings->change_tracking_column,
		.order_column = settings->order_by_column,
		.query = settings->query,
	};
	if (!settings->change_tracking_column && !settings->query)
		s->identity.change_column = change_column;
	s->cursor = df_cursor_new(&s->table);
	if (!s->cursor)
		return df_error_no_memory(err);
	df_cursor_set_overlap(s->cursor, settings->tracking_overlap_seconds);
	return 0;
}

void df_polling_done(struct df_polling_source *s)
{
	df_cursor_free(DF_TAKE(s->cursor));
}

const char *df_polling_change_column(const struct df_polling_source *s)
{
	return s->identity.change_column;
}

int df_polling_check_columns(const struct df_polling_settings *settings, const char *change_column,
			     const struct df_logger *logger, const char *where, bool has_t, bool has_k,
			     struct df_error *err)
{
	const char *t = change_column, *k = settings->order_by_column, *table = settings->table.value;

	if (has_t && has_k)
		return 0;
	if (settings->query)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the query gives no column %s, which %s names; add it to the SELECT list",
				    has_t ? k : t, has_t ? "orderByColumn" : "changeTrackingColumn");
	if (!has_t && !has_k)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"table %s%s has neither the column %s nor %s; set changeTrackingColumn or orderByColumn", table,
			where, t, k);
	if (!has_t)
		df_warn(logger, "table %s has no column %s: new rows are found by %s alone, changed rows are not",
			table, t, k);
	if (!has_k)
		df_warn(logger, "table %s has no column %s: rows are ordered by %s alone", table, k, t);
	return 0;
}

/* ---- the checkpoint -------------------------------------------------------------------------------------- */

static struct df_polling_source *source_of(struct df_source *s)
{
	return (struct df_polling_source *)s;
}

int df_polling_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct df_polling_source *s = source_of(source);
	bool query_changed;

	if (df_polling_is_legacy(s->settings))
		return 0;
	int code = df_cursor_restore(s->cursor, &s->identity, checkpoint, &query_changed, err);
	if (code == 0 && query_changed)
		df_warn(s->base.state.env.logger,
			"the query changed since the checkpoint was written; reading goes on from the position of "
			"the old one");
	return code;
}

int df_polling_commit(struct df_source *source, const struct df_commit *commits, size_t count,
		      struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	const struct df_polling_source *s = source_of(source);

	if (df_polling_is_legacy(s->settings))
		return 0;
	for (size_t i = 0; i < count; i++) {
		int code = df_cursor_commit(&s->identity, commits[i].position.data, checkpoint, arena, err);
		if (code != 0)
			return code;
	}
	return 0;
}

int df_polling_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	const struct df_polling_source *s = source_of(source);

	if (df_polling_is_legacy(s->settings))
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce needs a position, and a query has one only with an explicit "
				    "changeTrackingColumn: set it");
	if (s->settings->tracking_overlap_seconds)
		return df_error_set(err, DF_ERR_CONFIG,
				    "exactlyOnce does not go with trackingOverlapSeconds, which is read again after "
				    "every start: remove one of them");
	return df_polling_commit(source, commits, count, checkpoint, arena, err);
}

/* ---- one statement --------------------------------------------------------------------------------------- */

/* How a statement ends at its limit. */
enum stop {
	STOP_NEVER,  /* no limit */
	STOP_READER, /* no limit in the SQL: the reader stops at the end of a tie group */
	STOP_TIES,   /* the statement ends at the end of a tie group */
	STOP_CUT,    /* the statement ends anywhere: its last tie group may be a part of one, and is read again */
};

/* One statement of a poll on its way to messages. */
struct run {
	struct df_polling_source *source;
	struct df_emitter *out;
	struct df_context *ctx;
	enum df_cursor_part part;
	enum stop stop;
	size_t limit;
	bool legacy;
	bool first;   /* the first statement of its part: what the overlap asks for is read again */
	bool goes_on; /* the statement before ended at its limit, behind rows that were read */

	struct df_polling_key key; /* of the current row */
	size_t fetched;		   /* rows that the store gave */
	size_t rows;		   /* of them, not seen before */
	struct df_batch *batch;
	struct df_str position; /* in the batch's arena; shared by the rows of a tie group */
	size_t group_start;	/* in the batch: the tie group that is being read, */
	size_t group_bytes;	/* and what was before it */

	/* Where an overlapping read goes on that ended at its limit before it was through. */
	bool overlaps;
	struct df_cursor_place again;
	struct df_buf again_t, again_k;
};

static void run_done(struct run *run)
{
	run->source->store->end(run->source);
	df_batch_free(run->batch);
	df_buf_done(&run->again_t);
	df_buf_done(&run->again_k);
}

static int keep_value(struct df_buf *buf, struct df_cursor_value *to, const struct df_cursor_value *from,
		      struct df_error *err)
{
	buf->len = 0;
	df_buf_add_str(buf, from->text);
	*to = (struct df_cursor_value){ from->kind, df_buf_str(buf) };
	return buf->failed ? df_error_no_memory(err) : 0;
}

/* The current row was looked at: an overlapping read need not come back before it. */
static int keep_again(struct run *run, struct df_error *err)
{
	if (!run->overlaps || run->stop == STOP_NEVER)
		return 0;
	int code = keep_value(&run->again_t, &run->again.t, &run->key.t, err);
	return code == 0 ? keep_value(&run->again_k, &run->again.k, &run->key.k, err) : code;
}

/* The next row and its key; rows that an overlapping read has seen before are passed over. *ret_row: there is one. */
static int next_row(struct run *run, bool *ret_row, struct df_error *err)
{
	struct df_polling_source *s = run->source;

	for (;;) {
		int code = s->store->next(s, run->ctx, ret_row, err);

		if (code != 0 || !*ret_row)
			return code;
		run->fetched++;
		if (run->legacy)
			return 0;
		code = s->store->key(s, &run->key, err);
		if (code != 0 || run->part != DF_CURSOR_ROWS || !df_cursor_seen(s->cursor, &run->key.t, &run->key.k))
			return code;
		/* Where the reader stops, it may be within the tie group of a row that was passed over. */
		code = run->stop == STOP_TIES ? keep_again(run, err) : 0;
		if (code != 0)
			return code;
	}
}

static int add_message(struct run *run, struct df_message **ret, struct df_error *err)
{
	struct df_polling_source *s = run->source;
	int code = 0;

	if (!run->batch) {
		run->batch = df_emitter_batch(run->out);
		run->position = df_str(NULL, 0);
		run->group_start = run->group_bytes = 0;
		if (!run->batch)
			return df_error_no_memory(err);
		if (s->store->begin)
			code = s->store->begin(s, &run->batch->arena, err);
	}
	struct df_message *m = df_batch_add(run->batch);
	if (!m)
		return df_error_no_memory(err);
	if (code == 0)
		code = s->store->row(s, m, &run->batch->arena, &run->batch->bytes, err);
	m->partition = s->partition;
	m->position.number = ++s->row_number;
	*ret = m;
	return code;
}

/* The place that is complete once this message is done. */
static int set_position(struct run *run, struct df_message *m, bool moved, struct df_error *err)
{
	struct df_str now = df_cursor_position(run->source->cursor);

	if ((moved || !run->position.ptr) && now.len) {
		run->position = df_arena_dup(&run->batch->arena, now);
		if (!run->position.ptr)
			return df_error_no_memory(err);
	}
	m->position.data = run->position;
	m->joined = !moved;
	return 0;
}

static int emit(struct run *run, struct df_error *err)
{
	struct df_polling_source *s = run->source;
	int code;

	if (!run->batch)
		return 0;
	if (!s->store->keep)
		return df_emitter_emit(run->out, run->ctx, &run->batch, err);
	do {
		df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(run->ctx);
		if (!ctx)
			return df_error_no_memory(err);
		df_context_deadline(ctx, df_clock_monotonic() + KEEP_INTERVAL);
		code = df_emitter_emit(run->out, ctx, &run->batch, err);
		if (code != DF_ERR_TIMEOUT || df_context_check(run->ctx, NULL) != 0)
			return code;
		s->store->keep(s);
	} while (true);
}

static bool at_sql_limit(const struct run *run)
{
	return (run->stop == STOP_TIES || run->stop == STOP_CUT) && run->fetched >= run->limit;
}

/* The current row becomes a message, and the row behind it the current one. *ret_row: there is one; *ret_complete: it
 * is of another tie group. */
static int take_row(struct run *run, bool *ret_row, bool *ret_complete, struct df_error *err)
{
	struct df_cursor *cursor = run->source->cursor;
	struct df_message *m = NULL;
	int code = add_message(run, &m, err);

	if (code == 0 && !run->legacy && df_cursor_read(cursor, run->part, &run->key.t, &run->key.k) != 0)
		code = df_error_no_memory(err);
	if (code == 0 && !run->legacy)
		code = keep_again(run, err);
	if (code == 0)
		code = next_row(run, ret_row, err);
	if (code != 0)
		return code;

	run->rows++;
	*ret_complete = true;
	if (run->legacy)
		return 0;
	*ret_complete = *ret_row ? !df_cursor_ties(cursor, &run->key.t, &run->key.k)
				 : run->stop != STOP_CUT || !at_sql_limit(run);
	if (*ret_complete && df_cursor_advance(cursor, !*ret_row && !at_sql_limit(run)) != 0)
		return df_error_no_memory(err);
	return set_position(run, m, *ret_complete, err);
}

/* The limit fell into a tie group: it is taken back, to be read again from its beginning. */
static void take_back_group(struct run *run)
{
	size_t back = run->batch ? run->batch->count - run->group_start : 0;

	if (back == 0)
		return;
	run->batch->count = run->group_start;
	run->batch->bytes = run->group_bytes;
	run->source->row_number -= (int64_t)back;
	run->rows -= back;
	/* Nothing but one group: the next statement must see its end. */
	if (run->rows == 0)
		run->limit = run->limit > UINT32_MAX / 2 ? UINT32_MAX : run->limit * 2;
}

/* Reads rows until the statement ends, or its limit is reached at the end of a tie group. *ret_more: it was the limit.
 */
static int read_rows(struct run *run, bool *ret_more, struct df_error *err)
{
	bool row, complete = true;
	int code = next_row(run, &row, err);

	*ret_more = false;
	/* The statement before seemed to have more behind its limit, and had not. */
	if (code == 0 && !row && run->fetched == 0 && run->goes_on && df_cursor_advance(run->source->cursor, true) != 0)
		return df_error_no_memory(err);
	while (code == 0 && row && !*ret_more) {
		code = take_row(run, &row, &complete, err);
		if (code != 0)
			return code;
		if (complete) {
			run->group_start = run->batch->count;
			run->group_bytes = run->batch->bytes;
		}
		*ret_more = complete && row && run->stop == STOP_READER && run->rows >= run->limit;
		/* What was emitted cannot be taken back. */
		if ((complete || run->stop != STOP_CUT) &&
		    (run->batch->count >= run->out->batch_messages || run->batch->bytes >= run->out->batch_bytes))
			code = emit(run, err);
	}
	if (code == 0 && at_sql_limit(run)) {
		*ret_more = true;
		if (run->stop == STOP_CUT)
			take_back_group(run);
	}
	return code;
}

static enum stop how_it_stops(const struct run *run)
{
	const struct df_polling_source *s = run->source;

	if (run->legacy || run->limit == 0 || run->part == DF_CURSOR_NULL_K)
		return STOP_NEVER;
	if (!s->table.limit)
		return STOP_READER;
	if (s->table.limit != df_cursor_limit)
		return STOP_TIES;
	/* Rows that were seen cannot be forgotten: an overlapping read does not take a group back. */
	return s->settings->tracking_overlap_seconds ? STOP_READER : STOP_CUT;
}

/* Where the statement goes on from. before is the caller's storage. */
static const struct df_cursor_place *place_of(struct run *run, struct df_cursor_place *before,
					      char text[DF_CURSOR_BEFORE_MAX])
{
	const struct df_cursor *cursor = run->source->cursor;

	if (run->first) {
		run->overlaps = run->part == DF_CURSOR_ROWS && df_cursor_before(cursor, before, text);
		return run->overlaps ? before : df_cursor_at(cursor);
	}
	return run->overlaps ? &run->again : df_cursor_at(cursor);
}

/* Opens the statement that goes on from a place; again when the store finds that it must be another one. */
static int open_statement(struct run *run, const struct df_cursor_place *place, struct df_buf *sql,
			  struct df_error *err)
{
	struct df_polling_source *s = run->source;
	struct df_cursor_params params;
	int code;

	do {
		sql->len = 0;
		params.count = 0;
		run->stop = how_it_stops(run);
		unsigned limit = run->stop == STOP_TIES || run->stop == STOP_CUT ? (unsigned)run->limit : 0;

		if (run->legacy)
			df_buf_add_str(sql,
				       s->legacy_sql.len ? s->legacy_sql : df_query_trim(df_str_c(s->settings->query)));
		else
			df_cursor_select(&s->table, place, run->part, limit, sql, &params);
		if (sql->failed)
			return df_error_no_memory(err);
		code = s->store->open(s, run->ctx, df_buf_str(sql), &params, err);
	} while (code == DF_POLLING_CHANGED);
	return code;
}

/* One statement, and its rows emitted. Adds to *rows. */
static int read_statement(struct run *run, size_t *rows, bool *ret_more, struct df_error *err)
{
	struct df_polling_source *s = run->source;
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	char before_text[DF_CURSOR_BEFORE_MAX];
	struct df_cursor_place before;

	*ret_more = false;
	run->rows = run->fetched = 0;
	const struct df_cursor_place *place = place_of(run, &before, before_text);
	if (run->part == DF_CURSOR_ROWS)
		df_cursor_begin(s->cursor);
	int code = open_statement(run, place, &sql, err);
	if (code == 0)
		code = read_rows(run, ret_more, err);
	/* The statement ends before a full pipeline makes us wait. */
	s->store->end(s);
	if (code == 0)
		code = emit(run, err);
	run->goes_on = *ret_more && run->rows && run->stop != STOP_CUT;
	run->first = false;
	*rows += run->rows;
	return code;
}

/* ---- a poll ---------------------------------------------------------------------------------------------- */

/* Rows that have no place in any order. */
static int read_without_place(struct run *run, size_t *rows, struct df_error *err)
{
	struct df_polling_source *s = run->source;
	size_t found = 0;
	bool more;

	run->part = DF_CURSOR_NULL_K;
	if (s->null_k_read || !df_cursor_has(&s->table, run->part))
		return 0;
	int code = read_statement(run, &found, &more, err);
	if (code == 0 && found)
		df_warn(s->base.state.env.logger,
			"%zu rows of %s have NULL where they would be ordered by: they are read once at every start",
			found, s->settings->table.value ? s->settings->table.value : "the query");
	s->null_k_read = code == 0;
	*rows += found;
	return code;
}

/* Everything that is new. */
static int poll_once(struct df_polling_source *s, struct df_context *ctx, struct df_emitter *out, size_t *rows,
		     struct df_error *err)
{
	df_cleanup(run_done) struct run run = {
		.source = s, .out = out, .ctx = ctx, .legacy = df_polling_is_legacy(s->settings)
	};
	bool more;
	int code = 0;

	if (run.legacy)
		return read_statement(&run, rows, &more, err);
	for (run.part = DF_CURSOR_ROWS; run.part <= DF_CURSOR_NULL_T; run.part++) {
		run.limit = (size_t)s->settings->read_batch_size;
		run.first = true;
		run.goes_on = false;
		more = df_cursor_has(&s->table, run.part);
		while (code == 0 && more)
			code = read_statement(&run, rows, &more, err);
	}
	return code == 0 ? read_without_place(&run, rows, err) : code;
}

int df_polling_read(struct df_polling_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	bool once = s->base.state.env.once;
	const char *table = s->settings->table.value;
	size_t rows = 0;
	int code = df_emitter_partition(out, df_str_c(table ? table : "query"), &s->partition, err);

	while (code == 0) {
		int64_t delay = df_poll_delay(&s->poll, df_clock_monotonic());
		/* A read with an end goes on at once while there are rows. */
		if (delay && !once && df_context_sleep(ctx, delay) != 0)
			return df_context_check(ctx, err);
		rows = 0;
		code = poll_once(s, ctx, out, &rows, err);
		if (code == 0 && rows == 0)
			df_emitter_idle(out);
		if (code == 0 && once && (rows == 0 || df_polling_is_legacy(s->settings)))
			return 0;
		if (code == 0)
			code = df_context_check(ctx, err);
	}
	return code;
}
