/* autoCreateTable: the table that the first batch asks for. */
#include "connectors/sqlite/target.h"
#include "table/identifier.h"

/* A CREATE TABLE in the making. SQLite does not tell names apart by the case of ASCII letters. */
struct ddl {
	struct df_buf sql;
	struct df_strings names; /* of the columns so far */
	bool failed;
};

static void ddl_done(struct ddl *ddl)
{
	df_buf_done(&ddl->sql);
	df_names_done(&ddl->names);
}

static bool has_column(const struct ddl *ddl, struct df_str name)
{
	for (size_t i = 0; i < ddl->names.count; i++) {
		const char *other = ddl->names.items[i];
		if (strlen(other) == name.len && sqlite3_strnicmp(other, name.ptr, (int)name.len) == 0)
			return true;
	}
	return false;
}

/* Nothing when there is such a column already. */
static void add_column(struct ddl *ddl, struct df_str name, const char *type)
{
	if (has_column(ddl, name))
		return;
	if (df_names_add(&ddl->names, name) != 0) {
		ddl->failed = true;
		return;
	}
	df_buf_add_c(&ddl->sql, ddl->names.count == 1 ? " (\n  " : ",\n  ");
	df_name_quote(&ddl->sql, DF_QUOTE_DOUBLE, name);
	df_buf_add_char(&ddl->sql, ' ');
	df_buf_add_c(&ddl->sql, type);
}

/* The declared type for a class. Its affinity must keep every value that was seen, and text apart from numbers. */
static const char *type_of(enum df_class class, bool exact)
{
	switch (class) {
	case DF_CLASS_BOOL:
		return "BOOLEAN";
	case DF_CLASS_INT32:
	case DF_CLASS_INT64:
		return "INTEGER";
	case DF_CLASS_DECIMAL:
	case DF_CLASS_NUMBER:
		return exact ? "NUMERIC" : "TEXT";
	case DF_CLASS_FLOAT32:
	case DF_CLASS_FLOAT64:
		return "REAL";
	case DF_CLASS_DATE:
		return "DATE";
	case DF_CLASS_TIME:
		return "TIME";
	case DF_CLASS_TIMESTAMP:
		return "TIMESTAMP";
	case DF_CLASS_TIMESTAMPTZ:
		return "TIMESTAMPTZ";
	case DF_CLASS_BYTES:
		return "BLOB";
	case DF_CLASS_JSON:
		return "JSON TEXT";
	default:
		return "TEXT";
	}
}

/* A single whole-number key is the row's own number (rowid): no index beside the table. */
static bool is_rowid(const struct df_strings *key, const struct df_inferred *column)
{
	return key->count == 1 && df_str_equal_c(column->name, key->items[0]) && column->int64 &&
	       column->class >= DF_CLASS_INT32 && column->class <= DF_CLASS_NUMBER;
}

static void add_time_columns(struct ddl *ddl, const char *soft_delete_column)
{
	add_column(ddl, DF_STR("created_at"), "TIMESTAMP DEFAULT CURRENT_TIMESTAMP");
	add_column(ddl, DF_STR("updated_at"), "TIMESTAMP DEFAULT CURRENT_TIMESTAMP");
	if (soft_delete_column)
		add_column(ddl, df_str_c(soft_delete_column), "TIMESTAMP");
}

static void write_raw(struct ddl *ddl, const struct df_sqlite_target *target, const struct df_inference *rows,
		      const struct df_strings *key)
{
	/* A number of its own, unless metadata brings an `id`. */
	if (!rows || !df_inference_find(rows, DF_STR("id")))
		add_column(ddl, DF_STR("id"), key->count ? "INTEGER" : "INTEGER PRIMARY KEY");
	add_column(ddl, DF_STR("data"), "TEXT NOT NULL");
	if (!target->settings->table_sink.flatten_metadata.columns)
		add_column(ddl, DF_STR("_metadata"), "TEXT");
	for (size_t i = 0; rows && i < rows->count; i++)
		add_column(ddl, rows->items[i].name, type_of(df_raw_class(target->raw, &rows->items[i]), true));
	add_time_columns(ddl, "deleted_at");
}

static void write_columns(struct ddl *ddl, const struct df_sqlite_target *target, const struct df_inference *rows,
			  const struct df_strings *key)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct df_inferred *column = &rows->items[i];
		if (is_rowid(key, column))
			add_column(ddl, column->name, "INTEGER PRIMARY KEY");
		else
			add_column(ddl, column->name, type_of(column->class, column->exact));
	}
	add_time_columns(ddl, target->settings->soft_delete_column);
}

/* conflictKey with upsertMode, else `id` when every row has it. */
static int choose_key(const struct df_sqlite_target *target, const struct df_inference *rows, struct df_strings *ret,
		      struct df_error *err)
{
	const struct df_table_sink_settings *sink = &target->settings->table_sink;

	if (df_sqlite_upserts(target->settings) && sink->conflict_key)
		return df_names_parse(sink->conflict_key, ret, err);
	const struct df_inferred *id = rows && !target->raw ? df_inference_find(rows, DF_STR("id")) : NULL;
	if (id && df_inferred_always(rows, id) && df_names_add(ret, DF_STR("id")) != 0)
		return df_error_no_memory(err);
	return 0;
}

int df_sqlite_target_create(struct df_sqlite_target *target, const struct df_inference *rows, struct df_error *err)
{
	df_cleanup(ddl_done) struct ddl ddl = { 0 };
	df_cleanup(df_names_done) struct df_strings key = { 0 };
	int code = choose_key(target, rows, &key, err);

	if (code != 0)
		return code;
	for (size_t i = 0; i < key.count; i++)
		if (!rows || !df_inference_find(rows, df_str_c(key.items[i])))
			return df_error_set(
				err, DF_ERR_CONFIG,
				"table %s cannot be created in %s: no row of the first batch has the conflictKey "
				"column %s",
				target->table, target->db->path, key.items[i]);

	df_buf_add_c(&ddl.sql, "CREATE TABLE ");
	df_name_quote(&ddl.sql, DF_QUOTE_DOUBLE, df_str_c(target->table));
	if (target->raw)
		write_raw(&ddl, target, rows, &key);
	else
		write_columns(&ddl, target, rows, &key);
	const struct df_inferred *only = key.count == 1 ? df_inference_find(rows, df_str_c(key.items[0])) : NULL;
	if (key.count && (target->raw || !only || !is_rowid(&key, only))) {
		df_buf_add_c(&ddl.sql, ",\n  PRIMARY KEY (");
		df_names_quote(&ddl.sql, DF_QUOTE_DOUBLE, &key);
		df_buf_add_char(&ddl.sql, ')');
	}
	df_buf_add_c(&ddl.sql, "\n)");

	const char *sql = df_buf_c(&ddl.sql);
	if (ddl.failed || ddl.sql.failed)
		return df_error_no_memory(err);
	code = df_sqlite_exec(target->db, sql, err);
	return code == 0 ? 0 : df_error_prefix(err, "cannot create the table %s", target->table);
}
