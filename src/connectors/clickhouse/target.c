#include "connectors/clickhouse/target.h"

#include "connectors/clickhouse/errors.h"

int df_ch_target_init(struct df_ch_target *t, struct df_error *err)
{
	const struct df_table_sink_settings *sink = &t->settings->table_sink;
	int code = df_table_name_split(df_str_c(sink->table.value), &t->name, err);

	t->deleted = DF_NO_COLUMN;
	if (code == 0)
		code = df_names_parse(sink->conflict_key, &t->key, err);
	if (code == 0 && t->key.count > DF_ARRAY_SIZE(t->key_columns))
		code = df_error_set(err, DF_ERR_CONFIG, "conflictKey: more than %zu columns",
				    DF_ARRAY_SIZE(t->key_columns));
	if (code == 0 && sink->raw_mode) {
		t->raw = df_raw_new(DF_RAW_JSON, sink->flatten_metadata.columns, sink->flatten_metadata.prefix);
		code = t->raw ? 0 : df_error_no_memory(err);
	}
	return code;
}

void df_ch_target_done(struct df_ch_target *t)
{
	df_table_name_done(&t->name);
	df_names_done(&t->key);
	df_raw_free(DF_TAKE(t->raw));
	df_ch_description_done(&t->description);
	df_columns_done(&t->columns);
}

/* ---- columns --------------------------------------------------------------------------------------------- */

/* MATERIALIZED and ALIAS columns are computed. */
static bool is_computed(const struct df_ch_described *c)
{
	return df_str_equal(c->default_kind, DF_STR("MATERIALIZED")) || df_str_equal(c->default_kind, DF_STR("ALIAS"));
}

static int take_columns(struct df_ch_target *t, struct df_error *err)
{
	df_columns_done(&t->columns);
	t->columns = (struct df_columns){ 0 };
	for (size_t i = 0; i < t->description.count; i++) {
		const struct df_ch_described *d = &t->description.columns[i];
		struct df_column *c = df_columns_add(&t->columns, d->name, d->type->name);
		bool nullable;

		if (!c)
			return df_error_no_memory(err);
		(void)df_ch_type_inner(d->type, &nullable);
		c->not_null = !nullable;
		c->has_default = df_str_equal(d->default_kind, DF_STR("DEFAULT"));
		c->read_only = is_computed(d);
	}
	return 0;
}

static int need_column(const struct df_ch_target *t, const char *name, const char *why, struct df_error *err)
{
	if (df_columns_find(&t->columns, df_str_c(name)) != DF_NO_COLUMN)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "table %s has no column %s, which %s needs; add it",
			    t->settings->table_sink.table.value, name, why);
}

static int check_raw(struct df_ch_target *t, struct df_error *err)
{
	bool flatten = t->settings->table_sink.flatten_metadata.columns;

	t->raw_apart = df_columns_find(&t->columns, DF_STR("_metadata")) != DF_NO_COLUMN;
	if (flatten && t->raw_apart)
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s has a column _metadata, which flattenMetadataColumns does not fill; drop "
				    "the column or the setting",
				    t->settings->table_sink.table.value);
	return need_column(t, "data", "rawMode", err);
}

static int check_key(struct df_ch_target *t, struct df_error *err)
{
	t->key_count = 0;
	for (size_t i = 0; i < t->key.count; i++) {
		int code = need_column(t, t->key.items[i], "conflictKey", err);
		if (code != 0)
			return code;
		t->key_columns[t->key_count++] = df_columns_find(&t->columns, df_str_c(t->key.items[i]));
	}
	return 0;
}

/* ---- the engine ------------------------------------------------------------------------------------------ */

/* Argument n (from 0) of the engine that is a column's name: `ReplicatedReplacingMergeTree('/path', 'r', ver, del)`. */
static struct df_str engine_column(struct df_str engine, size_t n)
{
	const char *at = memchr(engine.ptr, '(', engine.len);
	const char *end = engine.ptr + engine.len;

	while (at && at < end && *at != ')') {
		const char *start = ++at;
		bool text = false;

		for (bool quoted = false; at < end && (quoted || (*at != ',' && *at != ')')); at++) {
			quoted ^= *at == '\'';
			text |= *at == '\'';
		}
		struct df_str argument = df_str_trim(df_str(start, (size_t)(at - start)));
		if (argument.len && !text && n-- == 0)
			return argument;
	}
	return df_str(NULL, 0);
}

static void note_engine(struct df_ch_target *t, struct df_str name, struct df_str full)
{
	const struct df_table_sink_settings *sink = &t->settings->table_sink;
	bool replacing = memmem(name.ptr, name.len, "Replacing", strlen("Replacing")) != NULL;
	const char *window = memmem(full.ptr, full.len, "non_replicated_deduplication_window = ", 38);
	struct df_str deleted = replacing ? engine_column(full, 1) : df_str(NULL, 0);

	t->deduplicates = df_str_starts(name, DF_STR("Replicated")) ||
			  (window && window + 38 < full.ptr + full.len && window[38] != '0');
	t->deleted = deleted.len ? df_columns_find(&t->columns, deleted) : DF_NO_COLUMN;
	if (sink->upsert_mode && !replacing)
		df_warn(t->logger,
			"table %s has the engine " DF_STR_FMT ", which never replaces rows: upsertMode has no effect",
			sink->table.value, DF_STR_ARG(name));
	if (!t->deduplicates && !sink->upsert_mode)
		df_info(t->logger,
			"table %s does not drop a block that is inserted twice: rows whose confirmation was lost can stand "
			"there twice (Replicated engines and non_replicated_deduplication_window do)",
			sink->table.value);
}

/* Who may not read system.tables writes without knowing. */
static int load_engine(struct df_ch_target *t, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_ch_client *c = t->client;
	struct df_error why = DF_ERROR_INIT;
	bool more = true;

	t->deduplicates = false;
	t->deleted = DF_NO_COLUMN;
	df_buf_add_c(&sql, c->version < 19000
				   ? "SELECT engine, engine AS engine_full FROM system.tables WHERE database = "
				   : "SELECT engine, engine_full FROM system.tables WHERE database = ");
	df_ch_quote(&sql, df_str_c(t->name.qualifier ? t->name.qualifier : c->dsn->database));
	df_buf_add_c(&sql, " AND name = ");
	df_ch_quote(&sql, df_str_c(t->name.name));
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_ch_query(c, ctx, &(struct df_ch_statement){ .sql = df_buf_str(&sql) }, &why);
	while (code == 0) {
		code = df_ch_next(c, &more, &why);
		if (code != 0 || !more)
			break;
		if (c->block.rows == 1 && c->block.count == 2 && c->block.fields[0].type->kind == DF_CH_STRING &&
		    c->block.fields[1].type->kind == DF_CH_STRING)
			note_engine(t, df_ch_string(&c->block.fields[0].column, 0),
				    df_ch_string(&c->block.fields[1].column, 0));
	}
	if (code == 0 || df_ch_error_code(&why) != 0)
		return 0;
	if (err)
		*err = why;
	return code;
}

/* ---- loading --------------------------------------------------------------------------------------------- */

int df_ch_target_load(struct df_ch_target *t, struct df_context *ctx, bool *ret_exists, struct df_error *err)
{
	const struct df_table_sink_settings *sink = &t->settings->table_sink;
	df_cleanup(df_buf_done) struct df_buf name = { 0 };
	struct df_error why = DF_ERROR_INIT;

	*ret_exists = true;
	df_table_name_quote(&name, DF_QUOTE_BACKTICK, &t->name);
	int code = name.failed ? df_error_no_memory(err)
			       : df_ch_describe(t->client, ctx, df_buf_str(&name), &t->description, &why);
	if (df_ch_error_code(&why) == DF_CH_UNKNOWN_TABLE) {
		*ret_exists = false;
		if (sink->auto_create_table)
			return 0;
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s does not exist; create it or set autoCreateTable: true",
				    sink->table.value);
	}
	if (code != 0) {
		if (why.code)
			df_error_prefix(&why, "table %s", sink->table.value);
		if (err && why.code)
			*err = why;
		return code;
	}
	code = take_columns(t, err);
	if (code == 0 && t->raw)
		code = check_raw(t, err);
	if (code == 0)
		code = check_key(t, err);
	return code == 0 ? load_engine(t, ctx, err) : code;
}

void df_ch_target_insert(const struct df_ch_target *t, const struct df_column_set *set, struct df_buf *sql)
{
	df_buf_add_c(sql, "INSERT INTO ");
	df_table_name_quote(sql, DF_QUOTE_BACKTICK, &t->name);
	df_buf_add_c(sql, " (");
	for (size_t i = 0; i < set->count; i++) {
		df_buf_add_c(sql, i ? ", " : "");
		df_name_quote(sql, DF_QUOTE_BACKTICK, df_str_c(t->columns.items[set->columns[i]].name));
	}
	df_buf_add_c(sql, ") FORMAT Native");
}
