#include "connectors/postgresql/sink.h"

#include <stdlib.h>

#include "base/clock.h"

#define RELOAD_NS DF_NS_PER_S /* not more often than that because of refused messages */
#define VERSION_MIN 120000    /* what the catalog is asked came with 12 */
#define ATTEMPTS_MAX (DF_PG_CULPRITS_MAX + 8)

static struct df_pg_sink *sink_of(struct df_sink *s)
{
	return (struct df_pg_sink *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void sink_free(struct df_sink *s);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	struct df_pg_sink *s = df_base_sink_new(sizeof(*s), &df_postgresql_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	int code = df_pg_target_init(&s->target, settings, &s->pg, err);
	if (code != 0) {
		sink_free(&s->base.state.sink);
		return code;
	}
	*ret = &s->base.state.sink;
	return 0;
}

/* A plan that is forgotten leaves its temporary table and statement on the connection. */
static void release_plan(void *arg, void *user)
{
	struct df_pg_sink *s = arg;
	struct df_pg_plan *plan = user;

	if (plan->staged)
		df_buf_printf(&s->leftovers, "%s; ", plan->unstage_sql);
	if (plan->prepared)
		df_buf_printf(&s->leftovers, "DEALLOCATE %s; ", plan->name);
	df_pg_plan_free(plan);
}

static void forget_table(struct df_pg_sink *s)
{
	df_rows_free(DF_TAKE(s->rows));
	if (s->remove)
		release_plan(s, DF_TAKE(s->remove));
}

static void disconnect(struct df_pg_sink *s)
{
	forget_table(s);
	s->leftovers.len = 0;
	df_pg_close(&s->pg);
	s->base.state.connected = false;
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct df_pg_sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	disconnect(s);
	df_base_unlock(&s->base);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct df_pg_sink *s = sink_of(sink);

	if (!s)
		return;
	(void)!sink_close(sink, NULL);
	for (size_t i = 0; i < DF_PG_LANES_MAX; i++) {
		df_buf_done(&s->flush.lanes[i].rows);
		free(s->flush.lanes[i].messages);
	}
	free(s->flush.met);
	free(s->done);
	free(s->positions);
	free(s->flow);
	free(s->held);
	df_buf_done(&s->leftovers);
	df_buf_done(&s->row);
	df_buf_done(&s->position_sql);
	df_pg_target_done(&s->target);
	df_base_connector_free(&s->base);
}

/* ---- the table ------------------------------------------------------------------------------------------- */

int df_pg_sink_load(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *settings = &s->settings->table_sink;
	bool ignore_unknown = strcmp(settings->unknown_fields, "error") != 0 || settings->flatten_metadata.columns;

	forget_table(s);
	s->loaded_ns = df_clock_monotonic();
	int code = df_pg_target_load(&s->target, ctx, err);
	if (code != 0 || s->target.columns.count == 0)
		return code;
	s->rows = df_rows_new(&s->target.columns, ignore_unknown, release_plan, s);
	return s->rows ? 0 : df_error_no_memory(err);
}

/* The columns that all rows of the batch have together. Rows that are none fail later, by themselves. */
static int infer(struct df_pg_job *job, struct df_inference *rows, struct df_error *err)
{
	for (size_t i = 0; i < job->w->count; i++) {
		struct df_value *object;
		int code = df_pg_target_row(&job->s->target, job->w->messages[i], job->w->arena, &object, err);
		if (code == 0)
			code = df_inference_add(rows, object, err);
		if (code != 0 && !df_code_poison(code))
			return code;
	}
	return 0;
}

static int create_table(struct df_pg_job *job, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference rows = { 0 };
	int code = infer(job, &rows, err);

	if (code != 0 || rows.rows == 0)
		return code;
	code = df_pg_target_create(&job->s->target, job->ctx, &rows, err);
	return code == 0 ? df_pg_sink_load(job->s, job->ctx, err) : code;
}

static int add_columns(struct df_pg_job *job, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference rows = { 0 };
	int code = infer(job, &rows, err);

	if (code == 0)
		code = df_pg_target_add_columns(&job->s->target, job->ctx, &rows, err);
	return code == 0 ? df_pg_sink_load(job->s, job->ctx, err) : code;
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

static int open_table(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *settings = &s->settings->table_sink;
	struct df_pg_options options = {
		.connection_string = s->settings->connection_string.value,
		.timeout_seconds = s->settings->connection_timeout,
		.env = &s->base.state.env,
	};
	int code = df_pg_connect(&s->pg, &options, ctx, err);

	s->plans = 0;
	s->no_stage = false;
	if (code == 0 && df_pg_version(&s->pg) < VERSION_MIN)
		code = df_error_set(err, DF_ERR_CONFIG, "%s is older than PostgreSQL %d", s->pg.server,
				    VERSION_MIN / 10000);
	if (code == 0)
		code = df_pg_sink_load(s, ctx, err);
	/* Raw mode's table does not depend on the rows, unless metadata is flattened. */
	if (code == 0 && !s->rows && settings->raw_mode && !settings->flatten_metadata.columns) {
		code = df_pg_target_create(&s->target, ctx, NULL, err);
		if (code == 0)
			code = df_pg_sink_load(s, ctx, err);
	}
	if (code == 0 && s->settings->exactly_once)
		code = df_pg_position_open(s, ctx, err);
	return code;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct df_pg_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	code = open_table(s, call.ctx, err);
	if (code != 0)
		disconnect(s);
	else
		s->base.state.connected = true;
	return code;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Why no table could be made of this message: it is no object, or a key of it cannot be a column's name. */
static int why_no_row(struct df_pg_job *job, size_t i, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference alone = { 0 };
	struct df_value *object;
	int code = df_pg_target_row(&job->s->target, job->w->messages[i], job->w->arena, &object, err);

	if (code == 0)
		code = df_inference_add(&alone, object, err);
	return code == 0 ? df_error_set(err, DF_ERR_INVALID_DATA, "no table can be made of this row") : code;
}

/* No row of the batch is one, so there is no table: a delete has nothing to do. */
static int refuse_all(struct df_pg_job *job, struct df_error *err)
{
	for (size_t i = 0; i < job->w->count; i++) {
		struct df_error reason = DF_ERROR_INIT;
		bool removes = df_pg_removes(job->s->settings) && df_row_operation(job->w->messages[i]) == DF_OP_DELETE;
		int code = removes ? 0 : why_no_row(job, i, &reason);
		if (code != 0 && !df_code_poison(code)) {
			if (err)
				*err = reason;
			return code;
		}
		if (code != 0)
			df_pg_refuse_message(job, i, &reason);
	}
	return 0;
}

/* SQLSTATEs that say: the table, or what we prepared for it, is not what it was. */
static bool is_stale(const char *state)
{
	static const char *const states[] = {
		"42703",	  /* undefined column */
		"42P01",	  /* undefined table: dropped and made again, or our temporary one */
		"42804",	  /* datatype mismatch */
		"42P10",	  /* no unique index for ON CONFLICT */
		"0A000",	  /* cached plan must not change result type; COPY to what is now a view */
		"22P03",	  /* incorrect binary data format: the type changed */
		"42P18", "26000", /* the prepared statement is gone (a pooler) */
		"22P04",	  /* bad COPY file format: a wrong count of columns */
		"428C9",	  /* generated always */
		"42704",	  /* a type was made again */
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(states); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

static bool is_conflict(const char *state)
{
	return strcmp(state, "23505") == 0 || strcmp(state, "23P01") == 0;
}

/* A write may have the catalog read again once, if that was not done a moment ago. */
static bool may_look(struct df_pg_job *job)
{
	if (job->looked || df_clock_monotonic() - job->s->loaded_ns < RELOAD_NS)
		return false;
	job->looked = true;
	return true;
}

int df_pg_refuse_row(struct df_pg_job *job, size_t message, const struct df_error *why)
{
	/* What does not fit the table as it was read may fit the table as it is now. */
	if (may_look(job)) {
		job->s->flush.doubtful = true;
		return why->code;
	}
	df_pg_refuse_message(job, message, why);
	return 0;
}

/* What to do about a failed attempt. 0: try again; else the code that the write fails with. */
static int after_failure(struct df_pg_job *job, int code, struct df_error *why)
{
	struct df_pg_sink *s = job->s;
	struct df_pg_flush *f = &s->flush;

	if (f->overflowed && !s->row_by_row) {
		s->row_by_row = true;
		return 0;
	}
	if (f->new_columns) {
		job->columns_added = true;
		return add_columns(job, why);
	}
	if (f->doubtful)
		return df_pg_sink_load(s, job->ctx, why);
	if (f->moving && strcmp(why->remote, "22012") == 0)
		return df_pg_position_error(s, why);
	if (is_conflict(why->remote) && s->target.resolves && !s->target.raw && s->careful == 0 &&
	    !df_pg_upserts(s->settings) && !s->row_by_row) {
		s->careful = DF_PG_CAREFUL_WRITES;
		return 0;
	}
	if (strcmp(why->remote, "21000") == 0 && !s->merge_last) {
		s->merge_last = true;
		return 0;
	}
	if (is_stale(why->remote) && may_look(job))
		return df_pg_sink_load(s, job->ctx, why);
	if (f->culprit && df_code_poison(code) && job->refused < DF_PG_CULPRITS_MAX) {
		df_pg_refuse_message(job, f->message, why);
		return 0;
	}
	return code;
}

/* Ends the transaction of a failed attempt, so that the connection can go on. */
static void roll_back(struct df_pg_job *job)
{
	struct df_pg *pg = &job->s->pg;

	if (pg->broken || PQstatus(pg->conn) == CONNECTION_BAD || PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
		return;
	if (df_pg_exec(pg, job->ctx, "ROLLBACK", NULL) != 0)
		pg->broken = true;
}

/* What forgotten plans left behind. */
static int drop_leftovers(struct df_pg_job *job, struct df_error *err)
{
	struct df_buf *sql = &job->s->leftovers;

	if (sql->len == 0)
		return 0;
	int code = df_pg_exec_buf(&job->s->pg, job->ctx, sql, err);
	sql->len = 0;
	return code;
}

/* Is the flush so small that prepared statements are faster than COPY? */
static bool is_small(const struct df_pg_job *job)
{
	const struct df_pg_sink *s = job->s;
	bool staged = df_pg_upserts(s->settings) || !s->target.copies || s->careful > 0;

	return job->w->count <= (staged ? DF_PG_ROWS_MAX_STAGED : DF_PG_ROWS_MAX);
}

static int attempt(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	int code = drop_leftovers(job, err);

	if (code != 0)
		return code;
	df_rows_begin(s->rows);
	return s->row_by_row || is_small(job) ? df_pg_flush_rows(job, err) : df_pg_flush_bulk(job, err);
}

static int write_all(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	int code = 0;

	if (!s->rows) {
		code = df_pg_sink_load(s, job->ctx, err);
		if (code == 0 && !s->rows)
			code = create_table(job, err);
		if (code != 0)
			return code;
		job->looked = true;
	}
	if (!s->rows)
		return refuse_all(job, err);
	for (int i = 0; i < ATTEMPTS_MAX; i++) {
		struct df_error why = DF_ERROR_INIT;

		code = attempt(job, &why);
		if (code != 0 || df_pg_is_undone(job))
			roll_back(job);
		if (code == 0)
			return 0;
		if (!s->pg.broken && PQstatus(s->pg.conn) != CONNECTION_BAD)
			code = after_failure(job, code, &why);
		if (code != 0) {
			if (err)
				*err = why;
			return code;
		}
		if (df_pg_is_undone(job))
			return 0;
	}
	return df_error_set(err, DF_ERR_UNKNOWN, "table %s changes faster than it can be written", s->target.quoted);
}

static int prepare_job(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	size_t words = job->w->count / 64 + 1;

	if (words > s->done_cap) {
		free(s->done);
		s->done = calloc(words, sizeof(*s->done));
		s->done_cap = s->done ? words : 0;
		if (!s->done)
			return df_error_no_memory(err);
	}
	memset(s->done, 0, words * sizeof(*s->done));
	s->row_by_row = s->merge_last = false;
	return 0;
}

static int write_job(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	int code = prepare_job(job, err);

	if (code == 0)
		code = write_all(job, err);
	if (code != 0)
		return code;
	if (df_pg_is_undone(job))
		return DF_WRITE_UNDONE;
	s->careful -= s->careful > 0;
	job->w->unchanged += s->flush.unchanged;
	job->w->unknown_fields += s->flush.unknown_fields;
	return 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_pg_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_use(&s->base, ctx, &call, err);

	if (code != 0 || w->count == 0)
		return code;
	return write_job(&(struct df_pg_job){ .s = s, .ctx = call.ctx, .w = w }, err);
}

/* ---- positions, batches ---------------------------------------------------------------------------------- */

static bool sink_transactional(const void *settings)
{
	return ((const struct df_postgresql_sink_settings *)settings)->exactly_once;
}

static int sink_held(struct df_sink *sink, struct df_context *ctx, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	struct df_pg_sink *s = sink_of(sink);

	(void)ctx;
	*ret = df_str(NULL, 0);
	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (!s->held)
		return 0;
	*ret = df_arena_dup(arena, df_str_c(s->held));
	return ret->ptr ? 0 : df_error_no_memory(err);
}

static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_postgresql_sink_settings *config = settings;

	*ret = df_table_sink_batching(&config->table_sink, 1, DF_POSTGRESQL_TOGETHER);
}

const struct df_sink_ops df_postgresql_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
	.transactional = sink_transactional,
	.held = sink_held,
};
