/*
 * The ClickHouse sink: the rows of a write become Native blocks, one INSERT per set of columns (insert.c). A row that
 * does not fit its columns fails alone, before anything of it is sent; whatever the server refuses fails the write.
 */
#include "connectors/base.h"
#include "connectors/clickhouse/errors.h"
#include "connectors/clickhouse/insert.h"

/* Rows for which decoded documents are kept; then their memory is used again. */
#define SCRATCH_BYTES ((size_t)256 << 10)
#define SCRATCH_KEEP ((size_t)1 << 20)

struct sink {
	struct df_base_connector base;
	const struct df_clickhouse_sink_settings *settings;
	struct df_ch_dsn dsn;
	struct df_ch_client client;
	struct df_ch_target target;
	struct df_ch_inserts inserts;
	struct df_rows *rows; /* NULL while the table does not exist */
	struct df_arena_pool *pool;
	struct df_arena scratch; /* documents that were parsed here, and texts that had to be decoded */
	bool stale;		 /* the table must be looked at again */
	bool reloaded;		 /* it was, and nothing was written since */
	bool warned_delete;
};

static struct sink *sink_of(struct df_sink *s)
{
	return (struct sink *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void sink_free(struct df_sink *s);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	const struct df_clickhouse_sink_settings *config = settings;
	struct sink *s = df_base_sink_new(sizeof(*s), &df_clickhouse_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	s->target = (struct df_ch_target){ .settings = config, .logger = env->logger, .client = &s->client };
	s->inserts = (struct df_ch_inserts){ .target = &s->target, .client = &s->client };
	s->pool = df_arena_pool_new(SCRATCH_KEEP);
	df_arena_init(&s->scratch, s->pool);
	int code = s->pool ? df_ch_dsn_parse(df_str_c(config->connection_string.value), &s->dsn, err)
			   : df_error_no_memory(err);
	if (code == 0)
		code = df_ch_target_init(&s->target, err);
	if (code != 0) {
		sink_free(&s->base.state.sink);
		return code;
	}
	df_ch_client_init(&s->client, &s->dsn, env->logger);
	*ret = &s->base.state.sink;
	return 0;
}

static void release_insert(void *arg, void *user)
{
	(void)arg;
	df_ch_insert_free(user);
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	const struct df_ch_inserts *n = &s->inserts;

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	df_ch_inserts_drop(&s->inserts);
	df_rows_free(DF_TAKE(s->rows));
	df_ch_client_done(&s->client);
	if (n->statements && n->parts_known)
		df_info(s->base.state.env.logger, "%llu rows in %llu INSERTs, which made %llu parts",
			(unsigned long long)n->rows, (unsigned long long)n->statements, (unsigned long long)n->parts);
	df_base_unlock(&s->base);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct sink *s = sink_of(sink);

	if (!s)
		return;
	(void)!sink_close(sink, NULL);
	df_ch_inserts_done(&s->inserts);
	df_ch_target_done(&s->target);
	df_ch_dsn_done(&s->dsn);
	df_arena_done(&s->scratch);
	df_arena_pool_free(s->pool);
	df_base_connector_free(&s->base);
}

/* ---- the table ------------------------------------------------------------------------------------------- */

/* Looks at the table and makes the plans that depend on it. */
static int load_table(struct sink *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *sink = &s->settings->table_sink;
	bool ignore_unknown = strcmp(sink->unknown_fields, "ignore") == 0 || sink->flatten_metadata.columns;
	bool exists;

	df_rows_free(DF_TAKE(s->rows));
	int code = df_ch_target_load(&s->target, ctx, &exists, err);
	if (code != 0 || !exists)
		return code;
	s->rows = df_rows_new(&s->target.columns, ignore_unknown, release_insert, NULL);
	return s->rows ? 0 : df_error_no_memory(err);
}

static int create_table(struct sink *s, struct df_context *ctx, const struct df_inference *rows, struct df_error *err)
{
	int code = df_ch_target_create(&s->target, ctx, rows, err);

	if (code == 0)
		code = load_table(s, ctx, err);
	if (code == 0 && !s->rows)
		code = df_error_set(err, DF_ERR_UNKNOWN, "table %s was created and is not there",
				    s->settings->table_sink.table.value);
	return code;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	code = load_table(s, call.ctx, err);
	/* Raw mode's table does not depend on the rows, unless metadata is flattened. */
	if (code == 0 && !s->rows && s->target.raw && !s->settings->table_sink.flatten_metadata.columns)
		code = create_table(s, call.ctx, NULL, err);
	s->base.state.connected = code == 0;
	return code;
}

/* ---- one row --------------------------------------------------------------------------------------------- */

/* Raw mode without a column _metadata: `data` is {"value": ..., "_metadata": {...}}. */
static int join_raw(struct df_value *row, struct df_arena *arena, struct df_error *err)
{
	struct df_value *data = df_object_get_c(row, "data");
	struct df_value *metadata = df_object_get_c(row, "_metadata");
	static const char head[] = "{\"value\":";
	static const char middle[] = ",\"_metadata\":";

	struct df_str value = df_value_text(data, arena);
	struct df_str meta = df_value_text(metadata, arena);
	size_t len = strlen(head) + value.len + strlen(middle) + meta.len + 1;
	char *text = value.ptr && meta.ptr && len <= UINT32_MAX ? df_arena_alloc(arena, len) : NULL;
	if (!text)
		return df_error_no_memory(err);
	char *at = mempcpy(text, head, strlen(head));
	at = mempcpy(at, value.ptr, value.len);
	at = mempcpy(at, middle, strlen(middle));
	at = mempcpy(at, meta.ptr, meta.len);
	*at = '}';
	struct df_value *joined = df_value_string(arena, df_str(text, len));
	if (!joined)
		return df_error_no_memory(err);
	joined->logical = DF_LOGICAL_JSON;
	df_container_remove(row, data, metadata);
	df_object_set(row, DF_STR("data"), joined);
	return 0;
}

/* The row is deleted: the column that the engine knows it by. */
static int mark_deleted(struct sink *s, struct df_value **row, struct df_error *err)
{
	const struct df_column *column = &s->target.columns.items[s->target.deleted];
	struct df_value *copy = df_value_clone(*row, &s->scratch);
	struct df_value *one = df_value_int64(&s->scratch, 1);

	if (!copy || !one)
		return df_error_no_memory(err);
	df_object_set(copy, df_str_c(column->name), one);
	*row = copy;
	return 0;
}

/* The object that is the message's row. */
static int find_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_value **ret,
		    struct df_error *err)
{
	const struct df_table_sink_settings *sink = &s->settings->table_sink;
	int code;

	if (s->target.raw) {
		code = df_raw_row(s->target.raw, m, arena, ret, err);
		if (code == 0 && !sink->flatten_metadata.columns && !s->target.raw_apart)
			code = join_raw(*ret, arena, err);
		return code;
	}
	code = df_row_body(m, arena, &s->target.columns, ret, err);
	if (code != 0 || df_row_operation(m) != DF_OP_DELETE)
		return code;
	if (s->target.deleted != DF_NO_COLUMN)
		return mark_deleted(s, ret, err);
	if (!s->warned_delete)
		df_warn(s->base.state.env.logger,
			"table %s cannot delete rows: a message with operation delete is written like any other; "
			"ReplacingMergeTree(version, is_deleted) can",
			sink->table.value);
	s->warned_delete = true;
	return 0;
}

/* Null for a column that takes none but has a DEFAULT: as if the key were not there. */
static int drop_nulls(struct sink *s, const struct df_ch_insert *insert, const struct df_value *object,
		      struct df_row *row, struct df_error *err)
{
	bool any = false;

	for (size_t i = 0; i < insert->null_slot_count && !any; i++)
		any = row->values[insert->null_slots[i]]->kind == DF_NULL;
	if (!any)
		return 0;
	struct df_value *copy = df_value_new(&s->scratch, DF_OBJECT);
	if (!copy)
		return df_error_no_memory(err);
	df_for_each (member, object) {
		bool dropped = false;
		for (size_t i = 0; i < insert->null_slot_count && member->kind == DF_NULL; i++)
			dropped |= row->values[insert->null_slots[i]] == member;
		if (dropped)
			continue;
		struct df_value *v = df_value_clone(member, &s->scratch);
		if (!v)
			return df_error_no_memory(err);
		df_object_append(copy, df_value_key(member), v);
	}
	return df_rows_map(s->rows, copy, NULL, row, err);
}

static int insert_of(struct sink *s, const struct df_row *row, struct df_ch_insert **ret, struct df_error *err)
{
	int code = 0;

	if (!row->set->user) {
		code = df_ch_insert_new(&s->target, row->set, ret, err);
		if (code == 0)
			row->set->user = *ret;
	}
	*ret = row->set->user;
	return code;
}

static int add_row(struct sink *s, struct df_write *w, size_t i, struct df_error *err)
{
	struct df_ch_insert *insert = NULL;
	struct df_value *object;
	struct df_row row;
	int code = find_row(s, w->messages[i], &s->scratch, &object, err);

	if (code == 0)
		code = df_rows_map(s->rows, object, NULL, &row, err);
	if (code == 0)
		code = insert_of(s, &row, &insert, err);
	if (code == 0 && insert->null_slot_count) {
		code = drop_nulls(s, insert, object, &row, err);
		if (code == 0)
			code = insert_of(s, &row, &insert, err);
	}
	if (code == 0)
		code = df_ch_inserts_add(&s->inserts, insert, &row, i, &s->scratch, err);
	if (code == 0)
		w->unknown_fields += row.unknown;
	return code;
}

/* ---- one write ------------------------------------------------------------------------------------------- */

/* A document that was parsed in the scratch arena goes with it; the message's payload is still the truth. */
static void forget_document(struct df_message *m, bool was_parsed)
{
	if (was_parsed || !m->document || m->changed)
		return;
	m->document = NULL;
	m->state = DF_PAYLOAD_UNKNOWN;
}

/* Infers the table from all rows of the batch. Rows that are none fail later, by themselves. */
static int infer_table(struct sink *s, struct df_context *ctx, const struct df_write *w, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference rows = { 0 };

	for (size_t i = 0; i < w->count; i++) {
		struct df_value *object;
		int code = find_row(s, w->messages[i], w->arena, &object, err);
		if (code == 0)
			code = df_inference_add(&rows, object, err);
		if (code != 0 && !df_code_poison(code))
			return code;
	}
	if (rows.rows == 0)
		return 0;
	df_inference_sort(&rows);
	return create_table(s, ctx, &rows, err);
}

/* Why no table could be made of this message: it is no object, or a key of it cannot be a column's name. */
static int why_no_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference alone = { 0 };
	struct df_value *object;
	int code = find_row(s, m, arena, &object, err);

	if (code == 0)
		code = df_inference_add(&alone, object, err);
	return code == 0 ? df_error_set(err, DF_ERR_INVALID_DATA, "no table can be made of this row") : code;
}

static int ensure_table(struct sink *s, struct df_context *ctx, const struct df_write *w, struct df_error *err)
{
	int code = 0;

	if (s->stale || !s->rows) {
		code = load_table(s, ctx, err);
		s->reloaded = s->stale;
		s->stale = code != 0;
	}
	return code == 0 && !s->rows ? infer_table(s, ctx, w, err) : code;
}

static int add_rows(struct sink *s, struct df_write *w, struct df_error *err)
{
	df_rows_begin(s->rows);
	for (size_t i = 0; i < w->count; i++) {
		struct df_message *m = w->messages[i];
		struct df_error reason = DF_ERROR_INIT;
		bool was_parsed = m->document != NULL;
		int code = add_row(s, w, i, &reason);

		forget_document(m, was_parsed);
		if (s->scratch.allocated > SCRATCH_BYTES) {
			df_arena_reset(&s->scratch);
			df_rows_begin(s->rows);
		}
		if (code == 0)
			continue;
		if (!df_code_poison(code) || df_ch_error_code(&reason) != 0) {
			if (err)
				*err = reason;
			return code;
		}
		df_write_fail(w, i, &reason);
	}
	return 0;
}

/* The table is not what it was: it is looked at again, once, before that is believed. */
static int note_schema(struct sink *s, int code, struct df_error *err)
{
	switch (code == 0 ? 0 : df_ch_error_code(err)) {
	case DF_CH_NO_SUCH_COLUMN_IN_TABLE:
	case DF_CH_UNKNOWN_IDENTIFIER:
	case DF_CH_TYPE_MISMATCH:
	case DF_CH_UNKNOWN_TABLE:
		break;
	default:
		s->reloaded &= code != 0;
		return code;
	}
	if (s->reloaded)
		return code;
	s->stale = true;
	err->code = DF_ERR_TRANSIENT;
	return DF_ERR_TRANSIENT;
}

static int write_all(struct sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	int code = ensure_table(s, ctx, w, err);

	if (code != 0)
		return code;
	if (!s->rows) {
		/* No row of the batch is one, so there is no table. */
		for (size_t i = 0; i < w->count; i++) {
			struct df_error reason = DF_ERROR_INIT;
			(void)!why_no_row(s, w->messages[i], w->arena, &reason);
			df_write_fail(w, i, &reason);
		}
		return 0;
	}
	code = df_ch_inserts_begin(&s->inserts, ctx, w, err);
	if (code == 0)
		code = add_rows(s, w, err);
	return code == 0 ? df_ch_inserts_flush(&s->inserts, true, err) : code;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_error reason = DF_ERROR_INIT;
	int code = df_base_use(&s->base, ctx, &call, err);

	if (code != 0)
		return code;
	code = write_all(s, call.ctx, w, &reason);
	if (code != 0)
		df_ch_inserts_drop(&s->inserts);
	df_arena_reset(&s->scratch);
	w->larger = code != 0 && df_ch_error_code(&reason) == DF_CH_TOO_MANY_PARTS;
	code = note_schema(s, code, &reason);
	if (code != 0 && err)
		*err = reason;
	return code;
}

static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_clickhouse_sink_settings *config = settings;

	*ret = df_table_sink_batching(&config->table_sink, 100, DF_CLICKHOUSE_TOGETHER);
	ret->flush_bytes = DF_CLICKHOUSE_FLUSH_BYTES;
}

const struct df_sink_ops df_clickhouse_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
};
