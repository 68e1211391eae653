/* The SQL of the sink. */
#include "connectors/sqlite/target.h"

#include <stdlib.h>

#include "table/identifier.h"

static void quote(struct df_buf *sql, const char *name)
{
	df_name_quote(sql, DF_QUOTE_DOUBLE, df_str_c(name));
}

static bool is_key(const struct df_sqlite_target *target, const char *name)
{
	for (size_t i = 0; i < target->key.count; i++)
		if (strcmp(target->key.items[i], name) == 0)
			return true;
	return false;
}

/* ---- INSERT ---------------------------------------------------------------------------------------------- */

/* ` ON CONFLICT ...` for a row of these columns. */
static void write_conflict(const struct df_sqlite_target *target, const struct df_column_set *set, struct df_buf *sql)
{
	const struct df_column *columns = target->columns.items;
	const struct df_sqlite_sink_settings *settings = target->settings;
	bool if_newer = strcmp(settings->upsert_strategy, "ifNewer") == 0;
	const char *between = " DO UPDATE SET ";

	if (!df_sqlite_upserts(settings)) {
		/* Raw rows have no key of their own. */
		df_buf_add_c(sql, target->raw ? "" : " ON CONFLICT DO NOTHING");
		return;
	}
	df_buf_add_c(sql, " ON CONFLICT (");
	df_names_quote(sql, DF_QUOTE_DOUBLE, &target->key);
	df_buf_add_c(sql, ")");

	for (size_t i = 0; i < set->count; i++) {
		const char *name = columns[set->columns[i]].name;
		if (is_key(target, name))
			continue;
		df_buf_add_c(sql, between);
		quote(sql, name);
		df_buf_add_c(sql, " = excluded.");
		quote(sql, name);
		between = ", ";
	}
	if (between[0] == ' ') {
		df_buf_add_c(sql, " DO NOTHING");
		return;
	}
	if (if_newer) {
		df_buf_add_c(sql, " WHERE stored.");
		quote(sql, settings->upsert_version_column);
		df_buf_add_c(sql, " IS NULL OR excluded.");
		quote(sql, settings->upsert_version_column);
		df_buf_add_c(sql, " > stored.");
		quote(sql, settings->upsert_version_column);
		return;
	}
	/* A row that would not change is not written, and so is not counted as a change. Compared as stored, whatever
	 * the column's collation calls equal. */
	between = " WHERE stored.";
	for (size_t i = 0; i < set->count; i++) {
		const char *name = columns[set->columns[i]].name;
		if (is_key(target, name))
			continue;
		df_buf_add_c(sql, between);
		quote(sql, name);
		df_buf_add_c(sql, " IS NOT excluded.");
		quote(sql, name);
		df_buf_add_c(sql, " COLLATE BINARY");
		between = " OR stored.";
	}
}

static void write_insert(const struct df_sqlite_target *target, const struct df_column_set *set, struct df_buf *sql)
{
	df_buf_add_c(sql, "INSERT INTO ");
	quote(sql, target->table);
	if (set->count == 0) {
		df_buf_add_c(sql, " DEFAULT VALUES");
		return;
	}
	df_buf_add_c(sql, " AS stored (");
	for (size_t i = 0; i < set->count; i++) {
		df_buf_add_c(sql, i ? ", " : "");
		quote(sql, target->columns.items[set->columns[i]].name);
	}
	df_buf_add_c(sql, ") VALUES (");
	for (size_t i = 0; i < set->count; i++)
		df_buf_add_c(sql, i ? ", ?" : "?");
	df_buf_add_c(sql, ")");
	write_conflict(target, set, sql);
}

/* The column must be in every row of the set, and not null. */
static int require(const struct df_sqlite_target *target, struct df_sqlite_insert *insert,
		   const struct df_column_set *set, const char *name, struct df_error *err)
{
	size_t slot = df_column_set_find(set, df_columns_find(&target->columns, df_str_c(name)));

	if (slot == DF_NO_COLUMN)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the row has no \"%s\", which the upsert needs", name);
	insert->required[insert->required_count++] = slot;
	return 0;
}

int df_sqlite_insert_new(struct df_sqlite_target *target, const struct df_column_set *set,
			 struct df_sqlite_insert **ret, struct df_error *err)
{
	const struct df_sqlite_sink_settings *settings = target->settings;
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_sqlite_insert *insert =
		calloc(1, sizeof(*insert) + (target->key.count + 1) * sizeof(insert->required[0]));
	int code = 0;

	if (!insert)
		return df_error_no_memory(err);
	if (df_sqlite_upserts(settings)) {
		for (size_t i = 0; i < target->key.count && code == 0; i++)
			code = require(target, insert, set, target->key.items[i], err);
		if (code == 0 && strcmp(settings->upsert_strategy, "ifNewer") == 0)
			code = require(target, insert, set, settings->upsert_version_column, err);
	}
	if (code == 0) {
		write_insert(target, set, &sql);
		code = df_sqlite_prepare_buf(target->db, &sql, &insert->stmt, err);
	}
	if (code != 0) {
		df_sqlite_insert_free(insert);
		return code;
	}
	*ret = insert;
	return 0;
}

void df_sqlite_insert_free(struct df_sqlite_insert *insert)
{
	if (!insert)
		return;
	sqlite3_finalize(insert->stmt);
	free(insert);
}

/* ---- DELETE ---------------------------------------------------------------------------------------------- */

int df_sqlite_remove_prepare(struct df_sqlite_target *target, sqlite3_stmt **ret, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	const char *mark = target->settings->soft_delete_column;

	df_buf_add_c(&sql, mark ? "UPDATE " : "DELETE FROM ");
	quote(&sql, target->table);
	if (mark) {
		df_buf_add_c(&sql, " SET ");
		quote(&sql, mark);
		df_buf_add_c(&sql, " = CURRENT_TIMESTAMP");
	}
	for (size_t i = 0; i < target->key.count; i++) {
		df_buf_add_c(&sql, i ? " AND " : " WHERE ");
		quote(&sql, target->key.items[i]);
		df_buf_add_c(&sql, " = ?");
	}
	if (mark) {
		/* The first deletion counts; a repeated message changes nothing. */
		df_buf_add_c(&sql, " AND ");
		quote(&sql, mark);
		df_buf_add_c(&sql, " IS NULL");
	}
	return df_sqlite_prepare_buf(target->db, &sql, ret, err);
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

static int need_column(const struct df_sqlite_target *target, const char *name, const char *why, struct df_error *err)
{
	if (!name || df_columns_find(&target->columns, df_str_c(name)) != DF_NO_COLUMN)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "table %s in %s has no column %s, which %s needs; add it",
			    target->table, target->db->path, name, why);
}

static int check_raw(const struct df_sqlite_target *target, struct df_error *err)
{
	bool flatten = target->settings->table_sink.flatten_metadata.columns;
	bool has_metadata = df_columns_find(&target->columns, DF_STR("_metadata")) != DF_NO_COLUMN;

	if (flatten && has_metadata)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"table %s in %s has a column _metadata, which flattenMetadataColumns does not fill; drop the "
			"column or the setting",
			target->table, target->db->path);
	int code = need_column(target, "data", "rawMode", err);
	return code == 0 && !flatten ? need_column(target, "_metadata", "rawMode", err) : code;
}

/* SQLite itself knows best whether the columns are a key: it refuses the ON CONFLICT of a statement otherwise. */
static int check_unique(struct df_sqlite_target *target, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	df_cleanup(df_buf_done) struct df_buf key = { 0 };
	df_cleanup(sqlite3_finalizep) sqlite3_stmt *stmt = NULL;

	df_names_quote(&key, DF_QUOTE_DOUBLE, &target->key);
	df_buf_add_c(&sql, "INSERT INTO ");
	quote(&sql, target->table);
	df_buf_printf(&sql, " (%s) SELECT %s FROM ", df_buf_c(&key), df_buf_c(&key));
	quote(&sql, target->table);
	df_buf_printf(&sql, " WHERE 0 ON CONFLICT (%s) DO NOTHING", df_buf_c(&key));
	if (key.failed)
		return df_error_no_memory(err);
	int code = df_sqlite_prepare_buf(target->db, &sql, &stmt, err);
	if (code != DF_ERR_CONFIG)
		return code;
	return df_error_set(
		err, DF_ERR_CONFIG,
		"table %s in %s has no unique key (%s) for upsertMode; run CREATE UNIQUE INDEX ... ON \"%s\" (%s), "
		"or change conflictKey",
		target->table, target->db->path, df_buf_c(&key), target->table, df_buf_c(&key));
}

/* conflictKey, or else the primary key. */
static int load_key(struct df_sqlite_target *target, struct df_error *err)
{
	const struct df_columns *columns = &target->columns;

	df_names_done(&target->key);
	int code = df_names_parse(target->settings->table_sink.conflict_key, &target->key, err);
	if (code != 0 || target->key.count)
		return code;
	for (unsigned place = 1; place <= columns->count; place++)
		for (size_t i = 0; i < columns->count; i++)
			if (columns->items[i].key == place &&
			    df_names_add(&target->key, df_str_c(columns->items[i].name)) != 0)
				return df_error_no_memory(err);
	return 0;
}

static int check_key(struct df_sqlite_target *target, struct df_error *err)
{
	if (!df_sqlite_removes(target->settings))
		return 0;
	if (target->key.count == 0)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"table %s in %s has no primary key, and upserts and deletes need a key; set conflictKey",
			target->table, target->db->path);
	for (size_t i = 0; i < target->key.count; i++) {
		int code = need_column(target, target->key.items[i], "conflictKey", err);
		if (code != 0)
			return code;
	}
	return df_sqlite_upserts(target->settings) ? check_unique(target, err) : 0;
}

int df_sqlite_target_load(struct df_sqlite_target *target, struct df_error *err)
{
	const struct df_sqlite_sink_settings *settings = target->settings;
	int code = df_sqlite_columns(target->db, target->table, &target->columns, err);

	if (code == 0)
		code = load_key(target, err);
	if (code != 0)
		return code;
	if (target->columns.count == 0) {
		if (settings->table_sink.auto_create_table)
			return 0;
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s does not exist in %s; create it or set autoCreateTable: true",
				    target->table, target->db->path);
	}
	if (target->raw)
		code = check_raw(target, err);
	if (code == 0)
		code = check_key(target, err);
	if (code == 0 && !target->raw)
		code = need_column(target, settings->soft_delete_column, "softDeleteColumn", err);
	if (code == 0 && df_sqlite_upserts(settings) && strcmp(settings->upsert_strategy, "ifNewer") == 0)
		code = need_column(target, settings->upsert_version_column, "upsertVersionColumn", err);
	return code;
}
