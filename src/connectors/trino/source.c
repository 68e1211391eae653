/*
 * The Trino source: a statement's pages become messages row by row. Polls, positions and the checkpoint are the polling
 * source's; T and K go into SQL as literals of their columns' types.
 */
#include <strings.h>

#include "base/time.h"
#include "connectors/polling.h"
#include "connectors/trino/connection.h"
#include "connectors/trino/decode.h"
#include "connectors/trino/text.h"
#include "table/identifier.h"

#define CHANGE_COLUMN "updated_at"

struct source {
	struct df_polling_source polling;
	const struct df_trino_source_settings *settings;
	struct df_trino_client *client;

	/* T and K: their SQL, and the types that their literals have */
	struct df_buf from, t_sql, k_sql, legacy_sql;
	struct df_arena plan; /* the types */
	const char *t_name, *k_name;
	const struct df_trino_type *t_type, *k_type;
	bool foreign_position; /* the checkpoint's does not fit the columns */

	/* the statement that is read */
	struct df_trino_query query;
	struct df_value *row;
	struct df_str *keys; /* of the columns, in the batch's arena */
	size_t t, k;	     /* their columns; SIZE_MAX: not in the result */
	struct df_arena scratch;
	struct df_trino_zones zones;
};

extern const struct df_source_ops df_trino_source_ops;

static struct source *source_of(struct df_source *s)
{
	return (struct source *)s;
}

static struct source *source_of_polling(struct df_polling_source *s)
{
	return (struct source *)s;
}

static const struct df_logger *logger_of(const struct source *s)
{
	return s->polling.base.state.env.logger;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static const struct df_polling_ops polling_ops;
static void source_free(struct df_source *s);

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	const struct df_trino_source_settings *config = settings;
	struct source *s = df_base_source_new(sizeof(*s), &df_trino_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	int code = df_polling_init(&s->polling, &polling_ops, &config->polling, CHANGE_COLUMN, err);
	if (code == 0)
		code = df_trino_client_new(&config->connection, env->logger, &s->client, err);
	if (code != 0) {
		source_free(&s->polling.base.state.source);
		return code;
	}
	*ret = &s->polling.base.state.source;
	return 0;
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->polling.base))
		return 0;
	df_trino_query_done(&s->query);
	df_base_unlock(&s->polling.base);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct source *s = source_of(source);

	if (!s)
		return;
	(void)!source_close(source, NULL);
	df_trino_client_free(s->client);
	df_polling_done(&s->polling);
	df_buf_done(&s->from);
	df_buf_done(&s->t_sql);
	df_buf_done(&s->k_sql);
	df_buf_done(&s->legacy_sql);
	df_arena_done(&s->plan);
	df_arena_done(&s->scratch);
	df_trino_zones_done(&s->zones);
	df_base_connector_free(&s->polling.base);
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

/* Index of a column of the query's result; names are compared as Trino does, without case. */
static size_t find_column(const struct df_trino_query *q, const char *name)
{
	for (size_t i = 0; name && i < q->column_count; i++)
		if (q->columns[i].name.len == strlen(name) &&
		    strncasecmp(q->columns[i].name.ptr, name, q->columns[i].name.len) == 0)
			return i;
	return SIZE_MAX;
}

static int check_names(const struct df_trino_query *q, struct df_error *err)
{
	for (size_t i = 0; i < q->column_count; i++)
		for (size_t j = 0; j < i; j++)
			if (df_str_equal(q->columns[i].name, q->columns[j].name))
				return df_error_set(err, DF_ERR_CONFIG,
						    "two columns of the result are called \"" DF_STR_FMT
						    "\"; give one of them another name (AS)",
						    DF_STR_ARG(q->columns[i].name));
	return 0;
}

/* The type of T or K, which their literals have. */
static int keep_type(struct source *s, const struct df_trino_type *type, const struct df_trino_type **ret,
		     struct df_error *err)
{
	if (type->count)
		return df_error_set(err, DF_ERR_CONFIG, "a column of the type " DF_STR_FMT " cannot order rows",
				    DF_STR_ARG(type->text));
	*ret = df_trino_type_copy(type, &s->plan);
	return *ret ? 0 : df_error_no_memory(err);
}

/* T and K as the result has them. A query must give both that are named; of a table one is enough. */
static int choose_columns(struct source *s, const struct df_trino_query *q, struct df_error *err)
{
	const struct df_polling_settings *polling = &s->settings->polling;
	const char *t = df_polling_change_column(&s->polling);
	const char *k = polling->order_by_column;
	size_t at_t = find_column(q, t), at_k = find_column(q, k);
	int code = df_polling_check_columns(polling, t, logger_of(s), "", at_t != SIZE_MAX, at_k != SIZE_MAX, err);
	if (code != 0)
		return code;
	if (at_k != SIZE_MAX) {
		s->k_name = k;
		code = keep_type(s, q->columns[at_k].type, &s->k_type, err);
		df_name_quote(&s->k_sql, DF_QUOTE_DOUBLE, df_str_c(k));
	}
	if (code == 0 && at_t != SIZE_MAX && at_t != at_k) {
		s->t_name = t;
		code = keep_type(s, q->columns[at_t].type, &s->t_type, err);
		df_name_quote(&s->t_sql, DF_QUOTE_DOUBLE, df_str_c(t));
	}
	return code;
}

/* A query that is read whole comes in the order of K, when it has K. */
static void order_legacy(struct source *s, const struct df_trino_query *q)
{
	const char *k = s->settings->polling.order_by_column;

	df_buf_add_c(&s->legacy_sql, "SELECT * FROM ");
	df_buf_add_str(&s->legacy_sql, df_buf_str(&s->from));
	if (find_column(q, k) == SIZE_MAX) {
		df_warn(logger_of(s), "the query gives no column %s (orderByColumn): its rows come in no certain order",
			k);
		return;
	}
	df_buf_add_c(&s->legacy_sql, " ORDER BY ");
	df_name_quote(&s->legacy_sql, DF_QUOTE_DOUBLE, df_str_c(k));
}

/* The columns without rows: what the table or query gives, and of which types. */
static int look_at_result(struct source *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_trino_query_done) struct df_trino_query q = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };

	df_buf_add_c(&sql, "SELECT * FROM ");
	df_buf_add_str(&sql, df_buf_str(&s->from));
	df_buf_add_c(&sql, " WHERE 1 = 0");
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_trino_query_start(s->client, ctx, df_buf_str(&sql), &q, err);
	if (code == 0)
		code = df_trino_query_finish(&q, err);
	if (code == 0)
		code = check_names(&q, err);
	if (code != 0)
		return code;
	if (!df_polling_is_legacy(&s->settings->polling))
		return choose_columns(s, &q, err);
	order_legacy(s, &q);
	return 0;
}

/* Which of T and K are declared NOT NULL: saves the statements that look for NULL. */
static int look_for_nulls(struct source *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_trino_query_done) struct df_trino_query q = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_value *row = NULL;

	df_buf_add_c(&sql, "SELECT column_name");
	df_trino_from_columns(&sql, &s->settings->connection, s->settings->polling.table.value);
	df_buf_add_c(&sql, " AND is_nullable = 'NO'");
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_trino_query_start(s->client, ctx, df_buf_str(&sql), &q, err);
	while (code == 0 && (code = df_trino_query_row(&q, &row, err)) == 0 && row) {
		struct df_str name = df_trino_text(row->first, &q.arena);

		if (s->t_name && name.len == strlen(s->t_name) && strncasecmp(name.ptr, s->t_name, name.len) == 0)
			s->polling.table.t_nullable = false;
		if (s->k_name && name.len == strlen(s->k_name) && strncasecmp(name.ptr, s->k_name, name.len) == 0)
			s->polling.table.k_nullable = false;
	}
	return code;
}

/* T or K as a literal of its column's type. */
static void write_parameter(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			    const struct df_cursor_value *v)
{
	struct source *s =
		DF_CONTAINER_OF(DF_CONTAINER_OF(table, struct df_polling_source, table), struct source, polling);
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value value = { .kind = v->kind == DF_CURSOR_NUMBER ? DF_NUMBER : DF_STRING,
				  .repr = v->kind == DF_CURSOR_BYTES ? DF_REPR_BYTES : DF_REPR_TEXT,
				  .text = v->text.ptr,
				  .len = (uint32_t)v->text.len };

	(void)n;
	/* A value that was read from the column fits it; one from a foreign checkpoint may not, and then the statement
	 * is not run. */
	if (df_trino_literal(of_t ? s->t_type : s->k_type, &value, &arena, sql, NULL) != 0)
		s->foreign_position = true;
}

static int make_plan(struct source *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_polling_settings *polling = &s->settings->polling;

	s->from.len = s->t_sql.len = s->k_sql.len = s->legacy_sql.len = 0;
	df_arena_done(&s->plan);
	if (polling->query)
		df_cursor_wrap(&s->from, df_query_trim(df_str_c(polling->query)));
	else
		df_trino_quote_table(&s->from, &s->settings->connection, polling->table.value);
	s->polling.table = (struct df_cursor_table){
		.t_nullable = true, .k_nullable = true, .parameter = write_parameter, .limit = df_cursor_fetch_ties
	};
	int code = look_at_result(s, ctx, err);
	if (code == 0 && !polling->query)
		code = look_for_nulls(s, ctx, err);
	if (code == 0 && (s->from.failed || s->t_sql.failed || s->k_sql.failed || s->legacy_sql.failed))
		return df_error_no_memory(err);
	s->polling.table.from = df_buf_str(&s->from);
	s->polling.table.t = df_buf_str(&s->t_sql);
	s->polling.table.k = df_buf_str(&s->k_sql);
	s->polling.legacy_sql = df_buf_str(&s->legacy_sql);
	return code;
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->polling.base, ctx, &call, err);

	if (code != 0 || s->polling.base.state.connected)
		return code;
	code = make_plan(s, call.ctx, err);
	s->polling.base.state.connected = code == 0;
	return code;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static int poll_open(struct df_polling_source *polling, struct df_context *ctx, struct df_str sql,
		     const struct df_cursor_params *params, struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	(void)params;
	if (s->foreign_position)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the position in the checkpoint does not fit the types of the columns %s and %s; set "
			"checkpointReset: true to start over",
			s->t_name ? s->t_name : "-", s->k_name ? s->k_name : "-");
	int code = df_trino_query_start(s->client, ctx, sql, &s->query, err);
	if (code == 0)
		code = check_names(&s->query, err);
	s->t = find_column(&s->query, s->t_name);
	s->k = find_column(&s->query, s->k_name ? s->k_name : s->settings->polling.order_by_column);
	return code;
}

static int poll_next(struct df_polling_source *polling, struct df_context *ctx, bool *ret_row, struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	(void)ctx; /* the query was started with it */
	int code = df_trino_query_row(&s->query, &s->row, err);
	*ret_row = code == 0 && s->row;
	return code;
}

static void poll_keep(struct df_polling_source *polling)
{
	df_trino_query_keep(&source_of_polling(polling)->query);
}

static void poll_end(struct df_polling_source *polling)
{
	struct source *s = source_of_polling(polling);

	df_trino_query_done(&s->query);
	s->row = NULL;
	s->keys = NULL;
}

static int poll_begin(struct df_polling_source *polling, struct df_arena *arena, struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	s->keys = df_arena_alloc(arena, (s->query.column_count + 1) * sizeof(*s->keys));
	for (size_t i = 0; s->keys && i < s->query.column_count; i++) {
		s->keys[i] = df_arena_dup(arena, s->query.columns[i].name);
		if (!s->keys[i].ptr)
			return df_error_no_memory(err);
	}
	return s->keys ? 0 : df_error_no_memory(err);
}

/* A time as the cursor keeps it: RFC 3339 with up to 9 fraction digits. What is finer or outside the years 1 to 9999
 * stays text. */
static bool is_cursor_time(const struct df_trino_type *type, struct df_str text)
{
	struct df_instant instant;

	return (type->kind == DF_TRINO_TIMESTAMP || type->kind == DF_TRINO_TIMESTAMP_TZ) &&
	       df_rfc3339_parse(text, &instant);
}

static int cursor_value(struct source *s, size_t column, struct df_cursor_value *ret, struct df_error *err)
{
	const struct df_trino_type *type;
	struct df_value *v;

	*ret = (struct df_cursor_value){ .kind = DF_CURSOR_NONE };
	if (column == SIZE_MAX)
		return 0;
	type = s->query.columns[column].type;
	int code = df_trino_decode(type, df_array_get(s->row, column), &s->scratch, &s->zones, &v, err);
	if (code != 0)
		return code;
	if (v->kind == DF_NULL) {
		ret->kind = DF_CURSOR_NULL;
		return 0;
	}
	if (v->kind != DF_NUMBER && v->kind != DF_STRING)
		return df_error_set(err, DF_ERR_UNKNOWN,
				    "column \"" DF_STR_FMT "\" holds %s, which cannot be a position",
				    DF_STR_ARG(s->query.columns[column].name), df_kind_words(v->kind));
	bool bytes = v->repr == DF_REPR_BYTES;
	ret->text = bytes ? df_str(v->text, v->len) : df_value_text(v, &s->scratch);
	if (!ret->text.ptr)
		return df_error_no_memory(err);
	ret->kind = bytes			      ? DF_CURSOR_BYTES
		    : v->kind == DF_NUMBER	      ? DF_CURSOR_NUMBER
		    : is_cursor_time(type, ret->text) ? DF_CURSOR_TIME
						      : DF_CURSOR_TEXT;
	return 0;
}

static int poll_key(struct df_polling_source *polling, struct df_polling_key *ret, struct df_error *err)
{
	struct source *s = source_of_polling(polling);

	df_arena_reset(&s->scratch);
	int code = cursor_value(s, s->t, &ret->t, err);
	return code == 0 ? cursor_value(s, s->k, &ret->k, err) : code;
}

static bool add_text(struct df_value *object, const char *key, const char *text, struct df_arena *arena)
{
	struct df_value *v = text ? df_value_string_copy(arena, df_str_c(text)) : NULL;

	if (v)
		df_object_append(object, df_str_c(key), v);
	return v || !text;
}

static int add_metadata(struct source *s, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	const struct df_trino_connection *c = &s->settings->connection;
	struct df_value *metadata = df_value_new(arena, DF_OBJECT);
	const struct df_value *k = s->k == SIZE_MAX ? NULL : df_object_get(m->document, s->keys[s->k]);

	if (!metadata || !add_text(metadata, "catalog", c->catalog.value, arena) ||
	    !add_text(metadata, "schema", c->schema.value, arena) ||
	    !add_text(metadata, "table", s->settings->polling.table.value, arena))
		return df_error_no_memory(err);
	if (k) {
		struct df_value *id = df_value_clone(k, arena);
		if (!id)
			return df_error_no_memory(err);
		df_object_append(metadata, DF_STR("id"), id);
	}
	m->metadata = metadata;
	return 0;
}

/* Not an error of the pipeline but of this row: it goes the way of what cannot be decoded. */
static int fail_row(struct df_message *m, const struct df_error *why, struct df_arena *arena, struct df_error *err)
{
	struct df_error *copy = df_arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return df_error_no_memory(err);
	*copy = *why;
	m->failure = copy;
	return 0;
}

static int poll_row(struct df_polling_source *polling, struct df_message *m, struct df_arena *arena, size_t *bytes,
		    struct df_error *err)
{
	struct source *s = source_of_polling(polling);
	struct df_value *object = df_value_new(arena, DF_OBJECT);
	struct df_error why = DF_ERROR_INIT;
	size_t i = 0, size = 0;

	if (!object)
		return df_error_no_memory(err);
	df_for_each (from, s->row) {
		struct df_value *v;
		const struct df_trino_column *column = &s->query.columns[i];
		int code = df_trino_decode(column->type, from, arena, &s->zones, &v, &why);

		if (code != 0 && !df_code_poison(code)) {
			*err = why;
			return code;
		}
		if (code != 0) {
			(void)df_error_prefix(&why, "column \"" DF_STR_FMT "\"", DF_STR_ARG(column->name));
			v = df_value_new(arena, DF_NULL);
			if (!v || fail_row(m, &why, arena, err) != 0)
				return df_error_no_memory(err);
		}
		df_object_append(object, s->keys[i++], v);
		size += from->len + 8;
	}
	m->document = object;
	m->state = DF_PAYLOAD_JSON;
	m->changed = true;
	*bytes += size;
	return add_metadata(s, m, arena, err);
}

static const struct df_polling_ops polling_ops = {
	.open = poll_open,
	.next = poll_next,
	.key = poll_key,
	.begin = poll_begin,
	.row = poll_row,
	.keep = poll_keep,
	.end = poll_end,
};

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_use(&s->polling.base, ctx, &call, err);

	if (code != 0)
		return code;
	code = df_polling_read(&s->polling, call.ctx, out, err);
	df_trino_query_done(&s->query);
	return code;
}

const struct df_source_ops df_trino_source_ops = {
	.create = source_create,
	.restore = df_polling_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = df_polling_commit,
	.describe = df_polling_describe,
	.close = source_close,
	.free = source_free,
};
