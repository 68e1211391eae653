#include "connectors/sqlite/plan.h"

#include "connectors/polling.h"
#include "connectors/sqlite/reading.h"
#include "table/identifier.h"

void df_sqlite_plan_done(struct df_sqlite_plan *p)
{
	df_buf_done(&p->from);
	df_buf_done(&p->t);
	df_buf_done(&p->k);
}

/* autoCreateTable: an empty table to wait on. Nothing is opened for writing when it is there. */
static int create_table(struct df_sqlite_plan *p, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	int code = df_sqlite_open(p->db, p->settings->path, DF_SQLITE_CREATE, err);

	if (code != 0)
		return code;
	df_buf_add_c(&sql, "CREATE TABLE IF NOT EXISTS ");
	df_name_quote(&sql, DF_QUOTE_DOUBLE, df_str_c(p->settings->polling.table.value));
	df_buf_add_c(&sql, " (id INTEGER PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at "
			   "TIMESTAMP DEFAULT CURRENT_TIMESTAMP)");
	const char *text = df_buf_c(&sql);
	code = sql.failed ? df_error_no_memory(err) : df_sqlite_exec(p->db, text, err);
	df_sqlite_close(p->db);
	return code;
}

static int open_to_read(struct df_sqlite_plan *p, struct df_columns *columns, struct df_error *err)
{
	const char *table = p->settings->polling.table.value;
	int code = df_sqlite_open(p->db, p->settings->path, DF_SQLITE_READ, err);

	return code == 0 && table ? df_sqlite_columns(p->db, table, columns, err) : code;
}

static int open_database(struct df_sqlite_plan *p, struct df_columns *columns, struct df_error *err)
{
	bool create = p->settings->auto_create_table;
	int code;

	if (!create || access(p->settings->path, F_OK) == 0) {
		code = open_to_read(p, columns, err);
		if (code != 0 || !create || columns->count)
			return code;
		df_sqlite_close(p->db);
	}
	code = create_table(p, err);
	return code == 0 ? open_to_read(p, columns, err) : code;
}

/* A column that can hold NULL, as far as the catalog tells. SQLite lets a primary key be NULL, unless it is the rowid.
 */
static bool is_nullable(const struct df_columns *columns, const char *name)
{
	size_t i = df_columns_find(columns, df_str_c(name));
	unsigned keys = 0;

	if (i == DF_NO_COLUMN)
		return true;
	for (size_t c = 0; c < columns->count; c++)
		keys += columns->items[c].key != 0;
	bool rowid = keys == 1 && columns->items[i].key && sqlite3_stricmp(columns->items[i].type, "INTEGER") == 0;
	return !columns->items[i].not_null && !rowid;
}

/* T and K of a table: what is not there is done without. */
static int choose_columns(struct df_sqlite_plan *p, const struct df_columns *columns, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	const char *explicit_t = polling->change_tracking_column;
	const char *t = p->change_column;
	const char *k = polling->order_by_column;
	bool has_t = df_columns_find(columns, df_str_c(t)) != DF_NO_COLUMN;
	bool has_k = df_columns_find(columns, df_str_c(k)) != DF_NO_COLUMN;
	bool has_fallback = df_columns_find(columns, DF_STR(DF_SQLITE_CHANGE_FALLBACK)) != DF_NO_COLUMN;
	df_cleanup(df_buf_done) struct df_buf where = { 0 };

	df_buf_printf(&where, " in %s", p->db->path);
	int code = df_polling_check_columns(polling, t, p->logger, df_buf_c(&where), has_t, has_k, err);
	if (code != 0)
		return code;
	p->k_name = has_k ? k : NULL;
	p->t_name = has_t && strcmp(t, k) != 0 ? t : NULL;
	if (p->t_name && !explicit_t && has_fallback && is_nullable(columns, t))
		p->t_fallback_name = DF_SQLITE_CHANGE_FALLBACK;
	return 0;
}

/* T and K of a query must be in its result. */
static int check_query(struct df_sqlite_plan *p, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	df_cleanup(df_sqlite_reading_done) struct df_sqlite_reading r = { 0 };
	const char *names[] = { polling->change_tracking_column, polling->order_by_column };
	int code = df_sqlite_reading_open(&r, p->db, df_query_trim(df_str_c(polling->query)), err);

	if (code == 0 && sqlite3_bind_parameter_count(r.stmt) > 0)
		code = df_error_set(err, DF_ERR_CONFIG, "the query has parameters (?, :name), which nothing fills");
	if (code != 0 || df_polling_is_legacy(polling))
		return code;
	code = df_polling_check_columns(polling, names[0], p->logger, "",
					df_sqlite_reading_find(&r, names[0]) != DF_SQLITE_NO_FIELD,
					df_sqlite_reading_find(&r, names[1]) != DF_SQLITE_NO_FIELD, err);
	if (code != 0)
		return code;
	p->t_name = strcmp(names[0], names[1]) != 0 ? names[0] : NULL;
	p->k_name = names[1];
	return 0;
}

/* Everything that a statement is made of. */
static int write_parts(struct df_sqlite_plan *p, const struct df_columns *columns, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;

	p->from.len = p->t.len = p->k.len = 0;
	if (polling->query)
		df_cursor_wrap(&p->from, df_query_trim(df_str_c(polling->query)));
	else
		df_name_quote(&p->from, DF_QUOTE_DOUBLE, df_str_c(polling->table.value));
	if (p->k_name)
		df_name_quote(&p->k, DF_QUOTE_DOUBLE, df_str_c(p->k_name));
	if (p->t_fallback_name)
		df_buf_add_c(&p->t, "COALESCE(");
	if (p->t_name)
		df_name_quote(&p->t, DF_QUOTE_DOUBLE, df_str_c(p->t_name));
	if (p->t_fallback_name) {
		df_buf_add_c(&p->t, ", ");
		df_name_quote(&p->t, DF_QUOTE_DOUBLE, df_str_c(p->t_fallback_name));
		df_buf_add_char(&p->t, ')');
	}
	if (p->from.failed || p->t.failed || p->k.failed)
		return df_error_no_memory(err);
	p->table = (struct df_cursor_table){
		.from = df_buf_str(&p->from),
		.t = df_buf_str(&p->t),
		.k = df_buf_str(&p->k),
		.t_nullable = polling->query || (p->t_name && is_nullable(columns, p->t_name) &&
						 (!p->t_fallback_name || is_nullable(columns, p->t_fallback_name))),
		.k_nullable = polling->query || (p->k_name && is_nullable(columns, p->k_name)),
		.parameter = df_cursor_question,
	};
	return 0;
}

int df_sqlite_plan_make(struct df_sqlite_plan *p, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	df_cleanup(df_columns_done) struct df_columns columns = { 0 };
	int code = open_database(p, &columns, err);

	if (code == 0 && polling->query)
		code = check_query(p, err);
	else if (code == 0 && columns.count == 0)
		code = df_error_set(err, DF_ERR_CONFIG,
				    "table %s does not exist in %s; create it or set autoCreateTable: true",
				    polling->table.value, p->db->path);
	else if (code == 0)
		code = choose_columns(p, &columns, err);
	return code == 0 ? write_parts(p, &columns, err) : code;
}
