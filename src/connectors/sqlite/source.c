/*
 * The SQLite source: polls a table or query with the cursor of src/table. What it emits, and where it goes on, are the
 * connectors reference, sections 2 and 3, with PostgreSQL's rules.
 */

#include "connectors/sqlite/plan.h"
#include "connectors/sqlite/reading.h"

struct source {
	struct df_base_connector base;
	const struct df_sqlite_source_settings *settings;
	struct df_sqlite db;
	struct df_cursor_source identity;
	struct df_sqlite_plan plan;
	struct df_cursor *cursor;
	struct df_poll poll;
	struct df_partition *partition;
	int64_t row_number;
	bool null_k_read; /* the part DF_CURSOR_NULL_K was read */
};

static struct source *source_of(struct df_source *s)
{
	return (struct source *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void source_free(struct df_source *s);

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	const struct df_sqlite_source_settings *config = settings;
	const struct df_polling_settings *polling = &config->polling;
	struct source *s = df_base_source_new(sizeof(*s), &df_sqlite_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	s->poll.interval_ns = polling->poll_interval * DF_NS_PER_S;
	s->plan = (struct df_sqlite_plan){ .settings = config,
					   .logger = env->logger,
					   .db = &s->db,
					   .change_column = polling->change_tracking_column };
	if (!polling->change_tracking_column && !polling->query)
		s->plan.change_column = DF_SQLITE_CHANGE_COLUMN;
	s->identity = (struct df_cursor_source){ .table = polling->table.value,
						 .change_column = s->plan.change_column,
						 .order_column = polling->order_by_column,
						 .query = polling->query };
	s->cursor = df_cursor_new(&s->plan.table);
	if (!s->cursor) {
		source_free(&s->base.state.source);
		return df_error_no_memory(err);
	}
	df_cursor_set_overlap(s->cursor, polling->tracking_overlap_seconds);
	*ret = &s->base.state.source;
	return 0;
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	df_sqlite_close(&s->db);
	s->base.state.connected = false;
	df_base_unlock(&s->base);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct source *s = source_of(source);

	if (!s)
		return;
	(void)!source_close(source, NULL);
	df_cursor_free(s->cursor);
	df_sqlite_plan_done(&s->plan);
	df_base_connector_free(&s->base);
}

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct source *s = source_of(source);
	bool query_changed;

	if (df_sqlite_is_legacy(&s->settings->polling))
		return 0;
	int code = df_cursor_restore(s->cursor, &s->identity, checkpoint, &query_changed, err);
	if (code != 0)
		return code;
	if (df_cursor_at(s->cursor)->t.kind == DF_CURSOR_TIME)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the checkpoint holds lastReadChangeTime, but a position in SQLite is the column's own value "
			"(lastReadChangeValue); set checkpointReset: true to start over");
	if (query_changed)
		df_warn(s->base.state.env.logger,
			"the query changed since the checkpoint was written; reading goes on from the position of "
			"the old one");
	return 0;
}

static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct source *s = source_of(source);

	if (df_sqlite_is_legacy(&s->settings->polling))
		return 0;
	for (size_t i = 0; i < count; i++) {
		int code = df_cursor_commit(&s->identity, commits[i].position.data, checkpoint, arena, err);
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);

	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->base.state.connected)
		return 0;
	int code = df_sqlite_enter(&s->db, &s->base.state, ctx, err);
	if (code != 0)
		return code;
	code = df_sqlite_plan_make(&s->plan, err);
	df_sqlite_leave(&s->db);
	if (code != 0)
		df_sqlite_close(&s->db);
	else
		s->base.state.connected = true;
	return code;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* One statement on its way to messages. */
struct run {
	struct source *source;
	struct df_emitter *out;
	struct df_context *ctx;
	enum df_cursor_part part;
	bool first; /* the poll's first statement: what the overlap asks for is read again */
	bool legacy;
	struct df_sqlite_reading reading;
	struct df_sqlite_row_key key; /* of the current row */
	struct df_batch *batch;
	struct df_str position; /* in the batch's arena; shared by the rows of a tie group */
	size_t rows;
};

static void run_done(struct run *run)
{
	df_batch_free(run->batch);
	df_sqlite_reading_done(&run->reading);
}

/* Steps to the next row and looks at its key; rows that an overlapping read has seen before are passed over. *ret_row:
 * there is one. */
static int next_row(struct run *run, bool *ret_row, struct df_error *err)
{
	struct source *s = run->source;
	bool seen = false;

	do {
		int result = sqlite3_step(run->reading.stmt);

		*ret_row = result == SQLITE_ROW;
		if (result != SQLITE_ROW && result != SQLITE_DONE)
			return df_sqlite_error(&s->db, result, err);
		if (!*ret_row || run->legacy)
			return 0;
		int code = df_sqlite_row_key(&run->reading, &run->key, err);
		if (code != 0)
			return code;
		if (run->part == DF_CURSOR_ROWS && df_cursor_seen(s->cursor, &run->key.t, &run->key.k, &seen) != 0)
			return df_error_no_memory(err);
	} while (seen);
	return 0;
}

static int add_message(struct run *run, struct df_message **ret, struct df_error *err)
{
	if (!run->batch) {
		run->batch = df_emitter_batch(run->out);
		run->position = df_str(NULL, 0);
		if (!run->batch || df_sqlite_reading_begin(&run->reading, &run->batch->arena) != 0)
			return df_error_no_memory(err);
	}
	struct df_message *m = df_batch_add(run->batch);
	if (!m || df_sqlite_row_message(&run->reading, m, &run->batch->arena, &run->batch->bytes) != 0)
		return df_error_no_memory(err);
	m->partition = run->source->partition;
	m->position.number = ++run->source->row_number;
	*ret = m;
	return 0;
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
	return 0;
}

static int emit(struct run *run, struct df_error *err)
{
	if (!run->batch)
		return 0;
	return df_emitter_emit(run->out, run->ctx, &run->batch, err);
}

/* Reads rows until the statement ends, or a limit is reached at the end of a tie group. *ret_more: it was the limit. */
static int read_rows(struct run *run, bool *ret_more, struct df_error *err)
{
	struct df_cursor *cursor = run->source->cursor;
	size_t limit = (size_t)run->source->settings->polling.read_batch_size;
	bool row;
	int code = next_row(run, &row, err);

	*ret_more = false;
	while (code == 0 && row && !*ret_more) {
		struct df_message *m = NULL;

		code = add_message(run, &m, err);
		if (code == 0 && !run->legacy && df_cursor_read(cursor, run->part, &run->key.t, &run->key.k) != 0)
			code = df_error_no_memory(err);
		if (code == 0)
			code = next_row(run, &row, err);
		if (code != 0)
			return code;

		run->rows++;
		if (!run->legacy) {
			bool complete = !row || !df_cursor_ties(cursor, &run->key.t, &run->key.k);
			if (complete && df_cursor_advance(cursor, !row) != 0)
				return df_error_no_memory(err);
			code = set_position(run, m, complete, err);
			*ret_more = complete && row && limit && run->rows >= limit;
		}
		if (code == 0 &&
		    (run->batch->count >= run->out->batch_messages || run->batch->bytes >= run->out->batch_bytes))
			code = emit(run, err);
	}
	return code;
}

static int open_statement(struct run *run, struct df_error *err)
{
	struct source *s = run->source;
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_cursor_params params = { .count = 0 };
	const struct df_cursor_place *place = df_cursor_at(s->cursor);
	struct df_cursor_place before;
	char before_text[DF_CURSOR_BEFORE_MAX];
	struct df_sqlite_reading *r = &run->reading;

	if (run->first && df_cursor_before(s->cursor, &before, before_text))
		place = &before;
	df_cursor_begin(s->cursor);

	if (run->legacy)
		df_buf_add_str(&sql, df_query_trim(df_str_c(s->settings->polling.query)));
	else
		df_cursor_select(&s->plan.table, place, run->part, 0, &sql, &params);
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_sqlite_reading_open(r, &s->db, df_buf_str(&sql), err);
	if (code != 0)
		return code;
	r->table = s->settings->polling.table.value;
	r->t = s->plan.t_name ? df_sqlite_reading_find(r, s->plan.t_name) : DF_SQLITE_NO_FIELD;
	r->t_fallback =
		s->plan.t_fallback_name ? df_sqlite_reading_find(r, s->plan.t_fallback_name) : DF_SQLITE_NO_FIELD;
	r->k = df_sqlite_reading_find(r, s->plan.k_name ? s->plan.k_name : s->settings->polling.order_by_column);
	return df_sqlite_bind_cursor(r, &params, err);
}

/* One statement, and its rows emitted. Adds to *rows. */
static int read_statement(struct run *run, size_t *rows, bool *ret_more, struct df_error *err)
{
	int code = open_statement(run, err);

	run->rows = 0;
	if (code == 0)
		code = read_rows(run, ret_more, err);
	/* The read transaction ends before a full pipeline makes us wait. */
	df_sqlite_reading_done(&run->reading);
	if (code == 0)
		code = emit(run, err);
	*rows += run->rows;
	return code;
}

/* Everything that is new. */
static int poll_once(struct source *s, struct df_context *ctx, struct df_emitter *out, size_t *rows,
		     struct df_error *err)
{
	df_cleanup(run_done) struct run run = {
		.source = s, .out = out, .ctx = ctx, .legacy = df_sqlite_is_legacy(&s->settings->polling)
	};
	bool more;
	int code = 0;

	if (run.legacy)
		return read_statement(&run, rows, &more, err);
	for (run.part = DF_CURSOR_ROWS; run.part <= DF_CURSOR_NULL_T; run.part++) {
		run.first = run.part == DF_CURSOR_ROWS;
		more = df_cursor_has(&s->plan.table, run.part);
		while (code == 0 && more) {
			code = read_statement(&run, rows, &more, err);
			run.first = false;
		}
	}
	run.part = DF_CURSOR_NULL_K;
	if (code != 0 || s->null_k_read || !df_cursor_has(&s->plan.table, run.part))
		return code;

	size_t without_place = 0;
	code = read_statement(&run, &without_place, &more, err);
	if (code == 0 && without_place)
		df_warn(s->base.state.env.logger,
			"%zu rows of %s have NULL where they would be ordered by: they are read once at every start",
			without_place, s->settings->path);
	s->null_k_read = code == 0;
	*rows += without_place;
	return code;
}

static int read_all(struct source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	const struct df_polling_settings *polling = &s->settings->polling;
	bool once = s->base.state.env.once;
	size_t rows = 0;
	int code = df_emitter_partition(out, df_str_c(polling->table.value ? polling->table.value : "query"),
					&s->partition, err);

	while (code == 0) {
		int64_t delay = df_poll_delay(&s->poll, df_clock_monotonic());
		/* A read with an end goes on at once while there are rows. */
		if (delay && !once && df_context_sleep(ctx, delay) != 0)
			return df_context_check(ctx, err);
		rows = 0;
		code = poll_once(s, ctx, out, &rows, err);
		if (code == 0 && rows == 0)
			df_emitter_idle(out);
		if (code == 0 && once && (rows == 0 || df_sqlite_is_legacy(polling)))
			return 0;
		if (code == 0)
			code = df_context_check(ctx, err);
	}
	return code;
}

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	int code = df_sqlite_enter(&s->db, &s->base.state, ctx, err);
	if (code != 0)
		return code;
	code = read_all(s, s->db.scope.ctx, out, err);
	df_sqlite_leave(&s->db);
	return code;
}

const struct df_source_ops df_sqlite_source_ops = {
	.create = source_create,
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = source_commit,
	.close = source_close,
	.free = source_free,
};
