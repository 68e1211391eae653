/*
 * The PostgreSQL source: the polling source over one connection. What it emits, and where it goes on, are the
 * connectors reference, sections 2, 3 and 6.
 */
#include "connectors/postgresql/source_rows.h"

struct source {
	struct df_polling_source polling;
	const struct df_postgresql_source_settings *settings;
	struct df_pg pg;
	struct df_pg_source_plan plan;
	struct df_pg_rows rows;
};

static struct source *source_of(struct df_source *s)
{
	return (struct source *)s;
}

static struct source *source_of_polling(struct df_polling_source *s)
{
	return (struct source *)s;
}

/* There is no message yet that a refused value could be the fault of, and what only reads needs no primary: a person
 * must look at the query. */
static int source_error(int code, struct df_error *err)
{
	bool writes = code != 0 && strcmp(err->remote, "25006") == 0;

	if (!df_code_poison(code) && !writes)
		return code;
	err->code = DF_ERR_CONFIG;
	if (writes)
		df_error_prefix(err, "the query writes, which a source must not");
	return err->code;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void write_literal(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			  const struct df_cursor_value *v)
{
	const struct source *s = DF_CONTAINER_OF(table, struct source, polling.table);

	(void)n;
	df_pg_source_plan_literal(&s->plan, sql, of_t, v);
}

static int make_plan(struct source *s, struct df_context *ctx, struct df_error *err)
{
	int code = df_pg_source_plan_make(&s->plan, &s->pg, ctx, err);

	s->polling.table = s->plan.table;
	s->polling.table.parameter = write_literal;
	s->polling.legacy_sql = df_buf_str(&s->plan.legacy);
	return source_error(code, err);
}

static int rows_open(struct df_polling_source *polling, struct df_context *ctx, struct df_str sql,
		     const struct df_cursor_params *params, struct df_error *err)
{
	struct source *s = source_of_polling(polling);
	int code = df_pg_rows_open(&s->rows, &s->pg, &s->plan, ctx, sql, err);

	(void)params; /* they are literals: COPY takes none */
	if (code != DF_POLLING_CHANGED)
		return source_error(code, err);
	df_info(polling->base.state.env.logger, "the columns of %s have changed",
		polling->settings->query ? "the query" : polling->settings->table.value);
	code = make_plan(s, ctx, err);
	return code != 0 ? code : DF_POLLING_CHANGED;
}

static int rows_next(struct df_polling_source *polling, struct df_context *ctx, bool *ret_row, struct df_error *err)
{
	(void)ctx;
	return source_error(df_pg_rows_next(&source_of_polling(polling)->rows, ret_row, err), err);
}

static int rows_key(struct df_polling_source *polling, struct df_polling_key *ret, struct df_error *err)
{
	return source_error(df_pg_rows_key(&source_of_polling(polling)->rows, ret, err), err);
}

static int rows_begin(struct df_polling_source *polling, struct df_arena *arena, struct df_error *err)
{
	return df_pg_rows_begin(&source_of_polling(polling)->rows, arena, err);
}

static int rows_row(struct df_polling_source *polling, struct df_message *m, struct df_arena *arena, size_t *bytes,
		    struct df_error *err)
{
	return df_pg_rows_message(&source_of_polling(polling)->rows, m, arena, bytes, err);
}

static void rows_end(struct df_polling_source *polling)
{
	df_pg_rows_end(&source_of_polling(polling)->rows);
}

static const struct df_polling_ops rows_ops = {
	.open = rows_open,
	.next = rows_next,
	.key = rows_key,
	.begin = rows_begin,
	.row = rows_row,
	.end = rows_end,
};

/* ---- life ------------------------------------------------------------------------------------------------ */

static void source_free(struct df_source *s);

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	const struct df_postgresql_source_settings *config = settings;
	struct source *s = df_base_source_new(sizeof(*s), &df_postgresql_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	int code = df_polling_init(&s->polling, &rows_ops, &config->polling, DF_PG_CHANGE_COLUMN, err);
	if (code != 0) {
		source_free(&s->polling.base.state.source);
		return code;
	}
	s->plan = (struct df_pg_source_plan){ .settings = config,
					      .logger = env->logger,
					      .change_column = df_polling_change_column(&s->polling) };
	*ret = &s->polling.base.state.source;
	return 0;
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->polling.base))
		return 0;
	df_pg_close(&s->pg);
	df_base_unlock(&s->polling.base);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct source *s = source_of(source);

	if (!s)
		return;
	(void)!source_close(source, NULL);
	df_pg_rows_done(&s->rows);
	df_polling_done(&s->polling);
	df_pg_source_plan_done(&s->plan);
	df_base_connector_free(&s->polling.base);
}

/* A database without an encoding holds texts of any: they must come as they are, not be refused on the way. */
static int take_any_text(struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	const char *encoding = PQparameterStatus(pg->conn, "server_encoding");

	if (!encoding || strcmp(encoding, "SQL_ASCII") != 0)
		return 0;
	return df_pg_exec(pg, ctx, "SET client_encoding = 'SQL_ASCII'", err);
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);
	struct df_base_connector *base = &s->polling.base;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	const struct df_pg_options options = { .connection_string = s->settings->connection_string.value,
					       .timeout_seconds = s->settings->connection_timeout,
					       .env = &base->state.env,
					       .read_only = true };

	int code = df_base_connect(base, ctx, &call, err);

	if (code != 0 || base->state.connected)
		return code;
	code = df_pg_connect(&s->pg, &options, call.ctx, err);
	if (code == 0)
		code = take_any_text(&s->pg, call.ctx, err);
	if (code == 0)
		code = make_plan(s, call.ctx, err);
	if (code != 0)
		df_pg_close(&s->pg);
	base->state.connected = code == 0;
	return code;
}

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_use(&s->polling.base, ctx, &call, err);

	return code == 0 ? df_polling_read(&s->polling, call.ctx, out, err) : code;
}

const struct df_source_ops df_postgresql_source_ops = {
	.create = source_create,
	.restore = df_polling_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = df_polling_commit,
	.describe = df_polling_describe,
	.close = source_close,
	.free = source_free,
};
