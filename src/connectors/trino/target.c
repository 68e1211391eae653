#include "connectors/trino/target.h"

#include "connectors/trino/text.h"
#include "table/identifier.h"

int df_trino_target_init(struct df_trino_target *t, const struct df_trino_sink_settings *settings,
			 struct df_trino_client *client, const struct df_logger *logger, struct df_error *err)
{
	const struct df_table_sink_settings *sink = &settings->table_sink;

	*t = (struct df_trino_target){ .settings = settings, .client = client, .logger = logger };
	t->columns.any_case = true;
	df_trino_quote_table(&t->name, &settings->connection, sink->table.value);
	if (sink->raw_mode)
		t->raw = df_raw_new(DF_RAW_TEXT, sink->flatten_metadata.columns, sink->flatten_metadata.prefix);
	if (t->name.failed || (sink->raw_mode && !t->raw))
		return df_error_no_memory(err);
	return df_names_parse(sink->conflict_key, &t->key, err);
}

static void forget(struct df_trino_target *t)
{
	df_columns_done(&t->columns);
	t->columns = (struct df_columns){ .any_case = true };
	t->types = NULL;
	df_arena_done(&t->arena);
}

void df_trino_target_done(struct df_trino_target *t)
{
	forget(t);
	df_names_done(&t->key);
	df_raw_free(t->raw);
	df_buf_done(&t->name);
}

/* ---- loading --------------------------------------------------------------------------------------------- */

static int add_column(struct df_trino_target *t, const struct df_trino_column *from, struct df_error *err)
{
	size_t n = t->columns.count;
	struct df_column *column = df_columns_add(&t->columns, from->name, from->type->text);

	if (!column)
		return df_error_no_memory(err);
	column->kind = (int)n;
	column->has_default = true; /* what is left out is NULL, or the connector's business */
	column->read_only = df_trino_writable(from->type, NULL) != 0;
	t->types[n] = df_trino_type_copy(from->type, &t->arena);
	return t->types[n] ? 0 : df_error_no_memory(err);
}

/* The header of an empty result has all that counts. A table that is not there has no columns. */
static int load_columns(struct df_trino_target *t, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_trino_query_done) struct df_trino_query q = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_error why = DF_ERROR_INIT;

	forget(t);
	df_buf_add_c(&sql, "SELECT * FROM ");
	df_buf_add_str(&sql, df_buf_str(&t->name));
	df_buf_add_c(&sql, " WHERE 1 = 0");
	if (sql.failed)
		return df_error_no_memory(err);
	int code = df_trino_query_start(t->client, ctx, df_buf_str(&sql), &q, &why);
	if (code == 0)
		code = df_trino_query_finish(&q, &why);
	if (code != 0 && strcmp(why.remote, "TABLE_NOT_FOUND") == 0)
		return 0;
	if (code != 0) {
		*err = why;
		return code;
	}
	t->types = df_arena_alloc(&t->arena, q.column_count * sizeof(struct df_trino_type *));
	if (!t->types)
		return df_error_no_memory(err);
	for (size_t i = 0; code == 0 && i < q.column_count; i++)
		code = add_column(t, &q.columns[i], err);
	return code;
}

static bool has_column(const struct df_trino_target *t, const char *name)
{
	return df_columns_find(&t->columns, df_str_c(name)) != DF_NO_COLUMN;
}

/* Raw mode writes to `data` or else `value`, and metadata to `_metadata` or along with the payload. */
static int check_raw(struct df_trino_target *t, struct df_error *err)
{
	bool flatten = t->settings->table_sink.flatten_metadata.columns;

	t->raw_data = has_column(t, "data") ? "data" : has_column(t, "value") ? "value" : NULL;
	if (!t->raw_data)
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s has no column data (or value), which rawMode writes to",
				    df_buf_c(&t->name));
	if (flatten && has_column(t, "_metadata"))
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s has a column _metadata, which flattenMetadataColumns does not fill",
				    df_buf_c(&t->name));
	t->raw_wrapped = !flatten && !has_column(t, "_metadata");
	return 0;
}

static int check_key(struct df_trino_target *t, struct df_error *err)
{
	const struct df_trino_connection *c = &t->settings->connection;

	if (!t->settings->supports_merge && !strcasestr(c->catalog.value, "iceberg"))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"upsertMode needs a catalog with MERGE: one whose name contains `iceberg`; if this one has "
			"MERGE, set supportsMerge: true");
	t->key_columns = df_arena_alloc(&t->arena, t->key.count * sizeof(*t->key_columns));
	if (!t->key_columns)
		return df_error_no_memory(err);
	for (size_t i = 0; i < t->key.count; i++) {
		t->key_columns[i] = df_columns_find(&t->columns, df_str_c(t->key.items[i]));
		if (t->key_columns[i] == DF_NO_COLUMN)
			return df_error_set(err, DF_ERR_CONFIG, "table %s has no column %s, which conflictKey names",
					    df_buf_c(&t->name), t->key.items[i]);
	}
	return 0;
}

int df_trino_target_load(struct df_trino_target *t, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *sink = &t->settings->table_sink;
	int code = load_columns(t, ctx, err);

	if (code != 0)
		return code;
	if (t->columns.count == 0) {
		if (sink->auto_create_table)
			return 0;
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s does not exist; create it or set autoCreateTable: true",
				    df_buf_c(&t->name));
	}
	if (t->raw)
		code = check_raw(t, err);
	if (code == 0 && sink->upsert_mode)
		code = check_key(t, err);
	return code;
}

/* ---- creating -------------------------------------------------------------------------------------------- */

#define DECIMAL_DIGITS 38

/* Bare numbers: whole ones as BIGINT, fractions as DOUBLE while that keeps every digit, else a DECIMAL that holds all.
 */
static void add_number_type(struct df_buf *sql, const struct df_inferred *column)
{
	if (column->int64)
		df_buf_add_c(sql, "BIGINT");
	else if (column->class != DF_CLASS_DECIMAL && column->float64 && !column->whole)
		df_buf_add_c(sql, "DOUBLE");
	else if (column->integer_digits + column->fraction_digits <= DECIMAL_DIGITS)
		df_buf_printf(sql, "DECIMAL(%d, %u)", DECIMAL_DIGITS, column->fraction_digits);
	else
		df_buf_add_c(sql, column->float64 ? "DOUBLE" : "VARCHAR");
}

/* A text with more of them stays one: not every catalog has finer timestamps, and a cut text is another text. */
#define SECOND_DIGITS 6

static void add_type(struct df_buf *sql, enum df_class class, const struct df_inferred *column)
{
	static const char *const names[] = {
		[DF_CLASS_BOOL] = "BOOLEAN",
		[DF_CLASS_INT32] = "BIGINT",
		[DF_CLASS_INT64] = "BIGINT",
		[DF_CLASS_FLOAT32] = "DOUBLE",
		[DF_CLASS_FLOAT64] = "DOUBLE",
		[DF_CLASS_DATE] = "DATE",
		[DF_CLASS_TIMESTAMP] = "TIMESTAMP(6)",
		[DF_CLASS_TIMESTAMPTZ] = "TIMESTAMP(6) WITH TIME ZONE",
		[DF_CLASS_UUID] = "UUID",
		[DF_CLASS_BYTES] = "VARBINARY",
	};

	if (class == DF_CLASS_NUMBER || class == DF_CLASS_DECIMAL)
		add_number_type(sql, column);
	else if (class == DF_CLASS_TEXT && column->rfc3339 && column->second_digits <= SECOND_DIGITS)
		df_buf_add_c(sql, names[DF_CLASS_TIMESTAMPTZ]);
	else
		df_buf_add_c(sql, class < DF_ARRAY_SIZE(names) && names[class] ? names[class] : "VARCHAR");
}

/* The class of a flattened metadata column keeps its 32 bits. */
static void add_raw_type(struct df_buf *sql, const struct df_raw *raw, const struct df_inferred *column)
{
	enum df_class class = df_raw_class(raw, column);

	if (df_str_equal_c(column->name, "data"))
		df_buf_add_c(sql, "VARCHAR");
	else if (class == DF_CLASS_INT32)
		df_buf_add_c(sql, "INTEGER");
	else
		add_type(sql, class, &(struct df_inferred){ .class = class });
}

static int check_key_rows(const struct df_trino_target *t, const struct df_inference *rows, struct df_error *err)
{
	for (size_t i = 0; t->settings->table_sink.upsert_mode && rows && i < t->key.count; i++)
		if (!df_inference_find(rows, df_str_c(t->key.items[i])))
			return df_error_set(
				err, DF_ERR_CONFIG,
				"the table cannot be created: no row of the first batch has the conflictKey column %s",
				t->key.items[i]);
	return 0;
}

int df_trino_target_create(struct df_trino_target *t, struct df_context *ctx, const struct df_inference *rows,
			   struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	int code = check_key_rows(t, rows, err);

	if (code != 0)
		return code;
	df_buf_add_c(&sql, "CREATE TABLE IF NOT EXISTS ");
	df_buf_add_str(&sql, df_buf_str(&t->name));
	df_buf_add_c(&sql, " (");
	if (!rows)
		df_buf_add_c(&sql, "\"data\" VARCHAR, \"_metadata\" VARCHAR");
	for (size_t i = 0; rows && i < rows->count; i++) {
		const struct df_inferred *column = &rows->items[i];

		df_buf_add_c(&sql, i ? ", " : "");
		df_name_quote(&sql, DF_QUOTE_DOUBLE, column->name);
		df_buf_add_char(&sql, ' ');
		if (t->raw)
			add_raw_type(&sql, t->raw, column);
		else
			add_type(&sql, column->class, column);
	}
	df_buf_add_char(&sql, ')');
	if (sql.failed)
		return df_error_no_memory(err);
	code = df_trino_execute(t->client, ctx, df_buf_str(&sql), err);
	return code == 0 ? 0 : df_error_prefix(err, "cannot create the table %s", df_buf_c(&t->name));
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* {"value": data, "_metadata": {...}} as the text of the one column. */
static struct df_value *wrap(struct df_value *data, struct df_value *metadata, struct df_arena *arena)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_buf_add_c(&text, "{\"value\":");
	if (data->logical == DF_LOGICAL_JSON)
		df_buf_add_str(&text, df_value_text(data, arena));
	else
		df_value_write(data, &text);
	df_buf_add_c(&text, ",\"_metadata\":");
	df_buf_add_str(&text, df_value_text(metadata, arena));
	df_buf_add_char(&text, '}');
	return text.failed ? NULL : df_value_string_copy(arena, df_buf_str(&text));
}

int df_trino_target_row(struct df_trino_target *t, struct df_message *m, struct df_arena *arena, struct df_value **ret,
			struct df_error *err)
{
	if (!t->raw)
		return df_row_body(m, arena, &t->columns, ret, err);
	int code = df_raw_row(t->raw, m, arena, ret, err);
	if (code != 0 || t->columns.count == 0)
		return code;

	struct df_value *data = df_object_get_c(*ret, "data");
	if (t->raw_wrapped) {
		struct df_value *whole = wrap(data, df_object_get_c(*ret, "_metadata"), arena);
		struct df_value *row = df_value_new(arena, DF_OBJECT);
		if (!whole || !row)
			return df_error_no_memory(err);
		df_object_append(row, df_str_c(t->raw_data), whole);
		*ret = row;
	} else {
		df_object_rename(data, df_str_c(t->raw_data));
	}
	return 0;
}
