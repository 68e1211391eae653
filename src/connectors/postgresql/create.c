/* autoCreateTable and addColumn: the table, or the columns, that a batch asks for. */
#include <stdlib.h>

#include "connectors/postgresql/target.h"

/* Every table has them already. */
static bool is_system_column(struct df_str name)
{
	static const char *const names[] = { "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		if (df_str_equal_c(name, names[i]))
			return true;
	return false;
}

static int check_name(struct df_str name, struct df_error *err)
{
	int code = df_name_check(name, "column name", err);

	if (code == 0 && is_system_column(name))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "column name \"" DF_STR_FMT "\" is that of a column of PostgreSQL's own; rename it",
				    DF_STR_ARG(name));

	if (code == 0 && name.len > DF_POSTGRESQL_NAME_BYTES)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "column name \"" DF_STR_FMT "\" is longer than PostgreSQL's %d bytes",
				    DF_STR_ARG(name), DF_POSTGRESQL_NAME_BYTES);
	return code;
}

/* Bare numbers get NUMERIC, so that a later fraction fits. */
static const char *type_of(enum df_class class)
{
	static const char *const types[] = {
		[DF_CLASS_NULL] = "TEXT",
		[DF_CLASS_BOOL] = "BOOLEAN",
		[DF_CLASS_INT32] = "INTEGER",
		[DF_CLASS_INT64] = "BIGINT",
		[DF_CLASS_DECIMAL] = "NUMERIC",
		[DF_CLASS_FLOAT32] = "DOUBLE PRECISION",
		[DF_CLASS_FLOAT64] = "DOUBLE PRECISION",
		[DF_CLASS_NUMBER] = "NUMERIC",
		[DF_CLASS_DATE] = "DATE",
		[DF_CLASS_TIME] = "TIME",
		[DF_CLASS_TIMETZ] = "TIMETZ",
		[DF_CLASS_TIMESTAMP] = "TIMESTAMP",
		[DF_CLASS_TIMESTAMPTZ] = "TIMESTAMPTZ",
		[DF_CLASS_INTERVAL] = "INTERVAL",
		[DF_CLASS_UUID] = "UUID",
		[DF_CLASS_BYTES] = "BYTEA",
		[DF_CLASS_TEXT] = "TEXT",
		[DF_CLASS_JSON] = "JSONB",
	};

	return types[class];
}

/* ---- CREATE TABLE ---------------------------------------------------------------------------------------- */

struct ddl {
	struct df_buf sql;
	struct df_strings names; /* of the columns so far */
	struct df_error *err;
	int code;
};

static void ddl_done(struct ddl *ddl)
{
	df_buf_done(&ddl->sql);
	df_names_done(&ddl->names);
}

/* Nothing when there is such a column already. */
static void add_column(struct ddl *ddl, struct df_str name, const char *type)
{
	for (size_t i = 0; i < ddl->names.count; i++)
		if (df_str_equal_c(name, ddl->names.items[i]))
			return;
	if (ddl->code == 0)
		ddl->code = check_name(name, ddl->err);
	if (ddl->code == 0 && df_names_add(&ddl->names, name) != 0)
		ddl->code = df_error_no_memory(ddl->err);
	if (ddl->code != 0)
		return;
	df_buf_add_c(&ddl->sql, ddl->names.count == 1 ? " (\n  " : ",\n  ");
	df_name_quote(&ddl->sql, DF_QUOTE_DOUBLE, name);
	df_buf_add_char(&ddl->sql, ' ');
	df_buf_add_c(&ddl->sql, type);
}

static void add_time_columns(struct ddl *ddl, const char *soft_delete_column)
{
	add_column(ddl, DF_STR("created_at"), "TIMESTAMP DEFAULT CURRENT_TIMESTAMP");
	add_column(ddl, DF_STR("updated_at"), "TIMESTAMP DEFAULT CURRENT_TIMESTAMP");
	if (soft_delete_column)
		add_column(ddl, df_str_c(soft_delete_column), "TIMESTAMP");
}

static void write_raw(struct ddl *ddl, const struct df_pg_target *target, const struct df_inference *rows,
		      const struct df_strings *key)
{
	/* A number of its own, unless metadata brings an `id`. */
	if (!rows || !df_inference_find(rows, DF_STR("id")))
		add_column(ddl, DF_STR("id"), key->count ? "BIGSERIAL" : "BIGSERIAL PRIMARY KEY");
	add_column(ddl, DF_STR("data"), "JSONB NOT NULL");
	if (!target->settings->table_sink.flatten_metadata.columns)
		add_column(ddl, DF_STR("_metadata"), "JSONB");
	for (size_t i = 0; rows && i < rows->count; i++)
		add_column(ddl, rows->items[i].name, type_of(df_raw_class(target->raw, &rows->items[i])));
	add_time_columns(ddl, "deleted_at");
}

static void write_columns(struct ddl *ddl, const struct df_pg_target *target, const struct df_inference *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		add_column(ddl, rows->items[i].name, type_of(rows->items[i].class));
	add_time_columns(ddl, target->settings->soft_delete_column);
}

/* conflictKey with upsertMode, else `id` when every row has it. */
static int choose_key(const struct df_pg_target *target, const struct df_inference *rows, struct df_strings *ret,
		      struct df_error *err)
{
	const struct df_table_sink_settings *sink = &target->settings->table_sink;

	if (df_pg_upserts(target->settings) && sink->conflict_key)
		return df_names_parse(sink->conflict_key, ret, err);
	const struct df_inferred *id = rows && !target->raw ? df_inference_find(rows, DF_STR("id")) : NULL;
	if (id && df_inferred_always(rows, id) && id->class != DF_CLASS_JSON && df_names_add(ret, DF_STR("id")) != 0)
		return df_error_no_memory(err);
	return 0;
}

static int check_key(const struct df_pg_target *target, const struct df_inference *rows, const struct df_strings *key,
		     struct df_error *err)
{
	for (size_t i = 0; i < key->count; i++)
		if (!rows || !df_inference_find(rows, df_str_c(key->items[i])))
			return df_error_set(
				err, DF_ERR_CONFIG,
				"table %s cannot be created: no row of the first batch has the conflictKey column %s",
				target->quoted, key->items[i]);
	return 0;
}

/* The table, or the column, was made by somebody else at the same moment: that is fine. */
static bool exists_already(const struct df_error *err)
{
	return strcmp(err->remote, "42P07") == 0 || strcmp(err->remote, "42701") == 0 ||
	       strcmp(err->remote, "23505") == 0;
}

/* The index on raw documents; without it everything works, only slower to search. */
static void create_index(struct df_pg_target *target, struct df_context *ctx)
{
	df_cleanup(df_buf_done) struct df_buf name = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_error err = DF_ERROR_INIT;

	df_buf_printf(&name, "idx_%s_data", target->name.name);
	df_buf_add_c(&sql, "CREATE INDEX IF NOT EXISTS ");
	df_name_quote(&sql, DF_QUOTE_DOUBLE, df_buf_str(&name));
	df_buf_printf(&sql, " ON %s USING gin (data)", target->quoted);
	if (df_pg_exec_buf(target->pg, ctx, &sql, &err) != 0)
		df_log_error(target->pg->logger, DF_LOG_WARN, &err, "no index on the column data of %s",
			     target->quoted);
}

int df_pg_target_create(struct df_pg_target *target, struct df_context *ctx, struct df_inference *rows,
			struct df_error *err)
{
	df_cleanup(ddl_done) struct ddl ddl = { .err = err };
	df_cleanup(df_names_done) struct df_strings key = { 0 };
	struct df_error reason = DF_ERROR_INIT;
	int code = choose_key(target, rows, &key, err);

	if (code == 0)
		code = check_key(target, rows, &key, err);
	if (code != 0)
		return code;
	if (rows)
		df_inference_sort(rows);
	df_buf_printf(&ddl.sql, "CREATE TABLE IF NOT EXISTS %s", target->quoted);
	if (target->raw)
		write_raw(&ddl, target, rows, &key);
	else
		write_columns(&ddl, target, rows);
	if (ddl.code != 0)
		return ddl.code;
	if (key.count) {
		df_buf_add_c(&ddl.sql, ",\n  PRIMARY KEY (");
		df_names_quote(&ddl.sql, DF_QUOTE_DOUBLE, &key);
		df_buf_add_char(&ddl.sql, ')');
	}
	df_buf_add_c(&ddl.sql, "\n)");

	code = df_pg_exec_buf(target->pg, ctx, &ddl.sql, &reason);
	if (code != 0 && !exists_already(&reason)) {
		df_error_prefix(&reason, "cannot create the table %s", target->quoted);
		if (err)
			*err = reason;
		return code;
	}
	if (target->raw && code == 0)
		create_index(target, ctx);
	return 0;
}

/* ---- ALTER TABLE ----------------------------------------------------------------------------------------- */

int df_pg_target_add_columns(struct df_pg_target *target, struct df_context *ctx, const struct df_inference *rows,
			     struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_error reason = DF_ERROR_INIT;
	size_t count = 0;

	df_buf_printf(&sql, "ALTER TABLE %s", target->quoted);
	for (size_t i = 0; i < rows->count; i++) {
		const struct df_inferred *column = &rows->items[i];
		if (df_columns_find(&target->columns, column->name) != DF_NO_COLUMN ||
		    check_name(column->name, NULL) != 0)
			continue;
		df_buf_add_c(&sql, count++ ? ", ADD COLUMN IF NOT EXISTS " : " ADD COLUMN IF NOT EXISTS ");
		df_name_quote(&sql, DF_QUOTE_DOUBLE, column->name);
		df_buf_printf(&sql, " %s", type_of(column->class));
	}
	if (count == 0)
		return 0;
	int code = df_pg_exec_buf(target->pg, ctx, &sql, &reason);
	if (code == 0 || exists_already(&reason)) {
		df_info(target->pg->logger, "table %s: %zu columns added (unknownFields: addColumn)", target->quoted,
			count);
		return 0;
	}
	df_error_prefix(&reason, "cannot add columns to the table %s", target->quoted);
	if (err)
		*err = reason;
	return code;
}
