/*
 * The ClickHouse source: the polling source of src/connectors/polling.h over blocks. A block is decoded column by
 * column and becomes documents row by row, so memory is that of one block.
 */
#include "connectors/clickhouse/plan.h"
#include "connectors/polling.h"

/* A field of the result: its name in the arena of the batch that is being filled. */
struct key {
	struct df_str name;
	bool json; /* asked for as JSON text */
};

struct source {
	struct df_polling_source polling; /* first */
	const struct df_clickhouse_source_settings *settings;
	struct df_ch_dsn dsn;
	struct df_ch_client client;
	struct df_ch_plan plan;
	struct df_buf sql; /* the statement that runs, with the plan's select list */
	struct key *keys;
	size_t key_cap;
	size_t row;  /* of the block, the current one + 1; 0: none yet */
	size_t t, k; /* fields of the block; SIZE_MAX: none */
	char t_text[DF_CH_KEY_TEXT], k_text[DF_CH_KEY_TEXT];
};

static const struct df_polling_ops store;

static struct source *source_of(struct df_source *s)
{
	return (struct source *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void source_free(struct df_source *s);

/* Builds the literal of a position's value by the column's type. */
static void write_parameter(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			    const struct df_cursor_value *v)
{
	const struct source *s = DF_CONTAINER_OF(table, const struct source, polling.table);
	const struct df_ch_described *c = of_t ? s->plan.t : s->plan.k;

	(void)n;
	df_ch_literal(sql, df_ch_type_inner(c->type, NULL), v);
}

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	const struct df_clickhouse_source_settings *config = settings;
	struct source *s = df_base_source_new(sizeof(*s), &df_clickhouse_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	int code = df_polling_init(&s->polling, &store, &config->polling, DF_CH_CHANGE_COLUMN, err);
	if (code == 0)
		code = df_ch_dsn_parse(df_str_c(config->connection_string.value), &s->dsn, err);
	if (code != 0) {
		source_free(&s->polling.base.state.source);
		return code;
	}
	df_ch_client_init(&s->client, &s->dsn, env->logger);
	s->plan = (struct df_ch_plan){ .settings = &config->polling,
				       .logger = env->logger,
				       .change_column = df_polling_change_column(&s->polling),
				       .table = &s->polling.table };
	*ret = &s->polling.base.state.source;
	return 0;
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->polling.base))
		return 0;
	df_ch_client_done(&s->client);
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
	df_ch_plan_done(&s->plan);
	df_ch_dsn_done(&s->dsn);
	df_buf_done(&s->sql);
	free(s->keys);
	df_base_connector_free(&s->polling.base);
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->polling.base, ctx, &call, err);

	if (code != 0 || s->polling.base.state.connected)
		return code;
	code = df_ch_plan_make(&s->plan, &s->client, call.ctx, err);
	if (code == 0) {
		s->polling.table.parameter = write_parameter;
		s->polling.legacy_sql = s->plan.legacy_sql;
		s->polling.base.state.connected = true;
	}
	return code;
}

/* ---- statements ------------------------------------------------------------------------------------------ */

/* `SELECT *` with the plan's list for the star. */
static struct df_str with_list(struct source *s, struct df_str sql)
{
	const struct df_str star = DF_STR("SELECT * ");

	if (!s->plan.list.len || !df_str_starts(sql, star))
		return sql;
	s->sql.len = 0;
	df_buf_add_c(&s->sql, "SELECT ");
	df_buf_add_str(&s->sql, df_buf_str(&s->plan.list));
	df_buf_add_str(&s->sql, df_str(sql.ptr + star.len - 1, sql.len - star.len + 1));
	return df_buf_str(&s->sql);
}

static int store_open(struct df_polling_source *p, struct df_context *ctx, struct df_str sql,
		      const struct df_cursor_params *params, struct df_error *err)
{
	struct source *s = (struct source *)p;

	(void)params; /* they are literals in the SQL */
	s->row = 0;
	s->client.block.rows = 0;
	s->client.block.changed = true;
	sql = with_list(s, sql);
	if (s->sql.failed)
		return df_error_no_memory(err);
	return df_ch_query(&s->client, ctx, &(struct df_ch_statement){ .sql = sql }, err);
}

/* The fields of a block that is not as the one before. */
static int look_at_fields(struct source *s, struct df_error *err)
{
	const struct df_ch_block *b = &s->client.block;

	if (b->count > s->key_cap) {
		struct key *keys = reallocarray(s->keys, b->count, sizeof(*keys));
		if (!keys)
			return df_error_no_memory(err);
		memset(keys + s->key_cap, 0, (b->count - s->key_cap) * sizeof(*keys));
		s->keys = keys;
		s->key_cap = b->count;
	}
	for (size_t i = 0; i < b->count; i++) {
		int code = df_name_check_key(df_ch_field_name(&b->fields[i]), err);
		if (code != 0)
			return code;
		const struct df_ch_described *c =
			df_ch_described_find(&s->plan.columns, df_ch_field_name(&b->fields[i]));
		s->keys[i].json = c && s->plan.list.len && df_ch_type_unreadable(c->type);
	}
	s->t = s->plan.t ? df_ch_block_find(b, s->plan.t->name) : SIZE_MAX;
	s->k = df_ch_block_find(b, df_str_c(s->settings->polling.order_by_column));
	if ((s->plan.t && s->t == SIZE_MAX) || (s->plan.k && s->k == SIZE_MAX))
		return df_error_set(err, DF_ERR_CONFIG, "the result has no column %s any more; was it renamed?",
				    s->plan.t && s->t == SIZE_MAX ? s->plan.change_column
								  : s->settings->polling.order_by_column);
	return 0;
}

static int store_next(struct df_polling_source *p, struct df_context *ctx, bool *ret_row, struct df_error *err)
{
	struct source *s = (struct source *)p;
	bool first = s->row == 0;

	(void)ctx;
	*ret_row = true;
	if (s->row < s->client.block.rows) {
		s->row++;
		return 0;
	}
	do {
		int code = df_ch_next(&s->client, ret_row, err);
		if (code != 0 || !*ret_row)
			return code;
		if (first || s->client.block.changed)
			code = look_at_fields(s, err);
		if (code != 0)
			return code;
		first = false;
	} while (s->client.block.rows == 0);
	s->row = 1;
	return 0;
}

static int store_key(struct df_polling_source *p, struct df_polling_key *ret, struct df_error *err)
{
	struct source *s = (struct source *)p;
	const struct df_ch_field *fields = s->client.block.fields;
	int code = 0;

	ret->t = ret->k = (struct df_cursor_value){ .kind = DF_CURSOR_NONE };
	if (s->plan.t)
		code = df_ch_cursor_value(&fields[s->t].column, s->row - 1, s->t_text, &ret->t, err);
	if (code == 0 && s->plan.k)
		code = df_ch_cursor_value(&fields[s->k].column, s->row - 1, s->k_text, &ret->k, err);
	return code;
}

static void store_end(struct df_polling_source *p)
{
	struct source *s = (struct source *)p;

	df_ch_cancel(&s->client);
	s->row = 0;
	s->client.block.rows = 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static int store_begin(struct df_polling_source *p, struct df_arena *arena, struct df_error *err)
{
	struct source *s = (struct source *)p;

	for (size_t i = 0; i < s->client.block.count; i++) {
		s->keys[i].name = df_arena_dup(arena, df_ch_field_name(&s->client.block.fields[i]));
		if (!s->keys[i].name.ptr)
			return df_error_no_memory(err);
	}
	return 0;
}

/* {"table": ..., "id": ...}, and the columns whose text became bytes. */
static int set_metadata(const struct source *s, struct df_message *m, const struct df_value *id,
			struct df_value *base64_fields, struct df_arena *arena, struct df_error *err)
{
	const char *table = s->settings->polling.table.value;
	struct df_value *metadata = df_value_new(arena, DF_OBJECT);
	struct df_value *name = table ? df_value_string(arena, df_str_c(table)) : NULL;
	struct df_value *copy = id ? df_value_clone(id, arena) : NULL;

	if (!metadata || (table && !name) || (id && !copy))
		return df_error_no_memory(err);
	if (name)
		df_object_append(metadata, DF_STR("table"), name);
	if (copy)
		df_object_append(metadata, DF_STR("id"), copy);
	if (base64_fields)
		df_object_append(metadata, DF_STR("base64_fields"), base64_fields);
	m->metadata = metadata;
	return 0;
}

/* Text that was asked for as JSON. */
static struct df_value *parse_json(struct df_value *text, struct df_arena *arena)
{
	struct df_value *v;

	if (text->kind != DF_STRING || df_value_parse(df_str(text->text, text->len), arena, &v, NULL) != DF_PARSE_OK)
		return text;
	return v;
}

static int add_name(struct df_value **list, struct df_str name, struct df_arena *arena)
{
	struct df_value *v = df_value_string(arena, name);

	if (!*list)
		*list = df_value_new(arena, DF_ARRAY);
	if (!*list || !v)
		return DF_ERR_NO_MEMORY;
	df_array_append(*list, v);
	return 0;
}

/* A row that no document can hold fails by itself. */
static int fail_row(struct df_message *m, const struct df_error *why, struct df_arena *arena, struct df_error *err)
{
	struct df_error *copy = df_arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return df_error_no_memory(err);
	*copy = *why;
	m->failure = copy;
	return 0;
}

static int store_row(struct df_polling_source *p, struct df_message *m, struct df_arena *arena, size_t *bytes,
		     struct df_error *err)
{
	struct source *s = (struct source *)p;
	const struct df_ch_block *b = &s->client.block;
	struct df_value *document = df_value_new(arena, DF_OBJECT);
	struct df_value *base64_fields = NULL;
	struct df_error why = DF_ERROR_INIT;
	const struct df_value *id = NULL;

	if (!document)
		return df_error_no_memory(err);
	for (size_t i = 0; i < b->count; i++) {
		struct df_value *v = NULL;
		bool not_utf8 = false;
		int code = df_ch_value(&b->fields[i].column, s->row - 1, arena, &v, &not_utf8, &why);

		if (code == DF_ERR_INVALID_DATA) {
			df_error_prefix(&why, "column \"" DF_STR_FMT "\"", DF_STR_ARG(s->keys[i].name));
			code = fail_row(m, &why, arena, err);
			v = df_value_new(arena, DF_NULL);
		}
		if (code == 0 && v && s->keys[i].json)
			v = parse_json(v, arena);
		if (code != 0 || !v || (not_utf8 && add_name(&base64_fields, s->keys[i].name, arena) != 0))
			return df_error_no_memory(err);
		if (i == s->k)
			id = v;
		df_object_append(document, s->keys[i].name, v);
		*bytes += s->keys[i].name.len + (v->kind == DF_STRING || v->kind == DF_NUMBER ? 16 + v->len : 8);
	}
	df_message_set_document(m, document);
	return set_metadata(s, m, id, base64_fields, arena, err);
}

static const struct df_polling_ops store = {
	.open = store_open,
	.next = store_next,
	.key = store_key,
	.begin = store_begin,
	.row = store_row,
	.end = store_end,
};

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_use(&s->polling.base, ctx, &call, err);

	return code == 0 ? df_polling_read(&s->polling, call.ctx, out, err) : code;
}

const struct df_source_ops df_clickhouse_source_ops = {
	.create = source_create,
	.restore = df_polling_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = df_polling_commit,
	.describe = df_polling_commit,
	.close = source_close,
	.free = source_free,
};
