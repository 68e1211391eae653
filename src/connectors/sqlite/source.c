/*
 * The SQLite source: the polling source over one connection. What it emits, and where it goes on, are the connectors
 * reference, sections 2 and 3, with PostgreSQL's rules.
 */

#include "connectors/polling.h"
#include "connectors/sqlite/plan.h"
#include "connectors/sqlite/reading.h"

struct source {
	struct df_polling_source polling;
	const struct df_sqlite_source_settings *settings;
	struct df_sqlite db;
	struct df_sqlite_plan plan;
	struct df_sqlite_reading reading; /* the statement that is being read */
	struct df_sqlite_row_key key;	  /* of its current row */
};

static struct source *source_of(struct df_source *s)
{
	return (struct source *)s;
}

static struct source *source_of_polling(struct df_polling_source *s)
{
	return (struct source *)s;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static int rows_open(struct df_polling_source *polling, struct df_context *ctx, struct df_str sql,
		     const struct df_cursor_params *params, struct df_error *err)
{
	struct source *s = source_of_polling(polling);
	struct df_sqlite_reading *r = &s->reading;
	const struct df_sqlite_plan *plan = &s->plan;
	const char *k = plan->k_name ? plan->k_name : polling->settings->order_by_column;
	int code = df_sqlite_reading_open(r, &s->db, sql, err);

	(void)ctx; /* df_sqlite_enter knows it */
	if (code != 0)
		return code;
	r->table = polling->settings->table.value;
	r->t = plan->t_name ? df_sqlite_reading_find(r, plan->t_name) : DF_SQLITE_NO_FIELD;
	r->t_fallback = plan->t_fallback_name ? df_sqlite_reading_find(r, plan->t_fallback_name) : DF_SQLITE_NO_FIELD;
	r->k = df_sqlite_reading_find(r, k);
	return df_sqlite_bind_cursor(r, params, err);
}

static int rows_next(struct df_polling_source *polling, struct df_context *ctx, bool *ret_row, struct df_error *err)
{
	struct source *s = source_of_polling(polling);
	int result = sqlite3_step(s->reading.stmt);

	(void)ctx;
	*ret_row = result == SQLITE_ROW;
	return *ret_row || result == SQLITE_DONE ? 0 : df_sqlite_error(&s->db, result, err);
}

static int rows_key(struct df_polling_source *polling, struct df_polling_key *ret, struct df_error *err)
{
	struct source *s = source_of_polling(polling);
	int code = df_sqlite_row_key(&s->reading, &s->key, err);

	*ret = (struct df_polling_key){ s->key.t, s->key.k };
	return code;
}

static int rows_begin(struct df_polling_source *polling, struct df_arena *arena, struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	return df_sqlite_reading_begin(&s->reading, arena) == 0 ? 0 : df_error_no_memory(err);
}

static int rows_row(struct df_polling_source *polling, struct df_message *m, struct df_arena *arena, size_t *bytes,
		    struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	return df_sqlite_row_message(&s->reading, m, arena, bytes) == 0 ? 0 : df_error_no_memory(err);
}

static void rows_end(struct df_polling_source *polling)
{
	df_sqlite_reading_done(&source_of_polling(polling)->reading);
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
	const struct df_sqlite_source_settings *config = settings;
	struct source *s = df_base_source_new(sizeof(*s), &df_sqlite_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	int code = df_polling_init(&s->polling, &rows_ops, &config->polling, DF_SQLITE_CHANGE_COLUMN, err);
	if (code != 0) {
		source_free(&s->polling.base.state.source);
		return code;
	}
	s->plan = (struct df_sqlite_plan){ .settings = config,
					   .logger = env->logger,
					   .db = &s->db,
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
	df_sqlite_close(&s->db);
	df_base_unlock(&s->polling.base);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct source *s = source_of(source);

	if (!s)
		return;
	(void)!source_close(source, NULL);
	df_polling_done(&s->polling);
	df_sqlite_plan_done(&s->plan);
	df_base_connector_free(&s->polling.base);
}

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct df_polling_source *s = &source_of(source)->polling;
	int code = df_polling_restore(source, checkpoint, err);

	if (code == 0 && df_cursor_at(s->cursor)->t.kind == DF_CURSOR_TIME)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the checkpoint holds lastReadChangeTime, but a position in SQLite is the column's own value "
			"(lastReadChangeValue); set checkpointReset: true to start over");
	return code;
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);
	struct df_base_connector *base = &s->polling.base;

	if (!df_base_guard_connect(base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(base);
	if (base->state.connected)
		return 0;
	int code = df_sqlite_enter(&s->db, &base->state, ctx, err);
	if (code != 0)
		return code;
	code = df_sqlite_plan_make(&s->plan, err);
	df_sqlite_leave(&s->db);
	s->polling.table = s->plan.table;
	if (code != 0)
		df_sqlite_close(&s->db);
	else
		base->state.connected = true;
	return code;
}

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);
	struct df_base_connector *base = &s->polling.base;

	if (!df_base_guard_use(base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(base);
	int code = df_sqlite_enter(&s->db, &base->state, ctx, err);
	if (code != 0)
		return code;
	code = df_polling_read(&s->polling, s->db.scope.ctx, out, err);
	df_sqlite_leave(&s->db);
	return code;
}

const struct df_source_ops df_sqlite_source_ops = {
	.create = source_create,
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = df_polling_commit,
	.describe = df_polling_describe,
	.close = source_close,
	.free = source_free,
};
