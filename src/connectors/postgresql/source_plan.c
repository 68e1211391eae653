#include "connectors/postgresql/source_plan.h"

#include <stdlib.h>

#include "connectors/polling.h"

#define FETCH_TIES_VERSION 130000

/* The table or query in every statement, so that a column is never taken for one of the select list. */
#define SOURCE "dataflow_src"

static void columns_done(struct df_pg_source_plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->columns[i].name);
	free(DF_TAKE(p->columns));
	p->count = p->hidden = 0;
}

void df_pg_source_plan_done(struct df_pg_source_plan *p)
{
	struct df_buf *const texts[] = { &p->select, &p->from, &p->t_sql, &p->k_sql, &p->probe, &p->legacy };

	columns_done(p);
	df_pg_types_done(&p->types);
	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
		df_buf_done(texts[i]);
}

/* ---- columns --------------------------------------------------------------------------------------------- */

static size_t find_column(const struct df_pg_source_plan *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->columns[i].name, name) == 0)
			return i;
	return DF_PG_NO_COLUMN;
}

static int add_columns(struct df_pg_source_plan *p, const PGresult *result, struct df_error *err)
{
	size_t count = (size_t)PQnfields(result);

	p->columns = calloc(count + 1, sizeof(*p->columns));
	if (!p->columns)
		return df_error_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		const char *name = PQfname(result, (int)i);
		int code = df_name_check_key(df_str_c(name), err);

		if (code != 0)
			return code;
		if (find_column(p, name) != DF_PG_NO_COLUMN)
			return df_error_set(err, DF_ERR_CONFIG,
					    "the query gives two columns with the name \"%s\"; rename one with AS",
					    name);
		p->columns[i] = (struct df_pg_column){ .name = strdup(name), .oid = PQftype(result, (int)i) };
		if (!p->columns[i].name)
			return df_error_no_memory(err);
		p->count++;
	}
	return 0;
}

/* How each column is read. */
static int learn_types(struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_freep) uint32_t *oids = calloc(p->count + 2, sizeof(*oids));

	if (!oids)
		return df_error_no_memory(err);
	for (size_t i = 0; i < p->count; i++)
		oids[i] = p->columns[i].oid;
	oids[p->count] = DF_PG_OID_TEXT;
	oids[p->count + 1] = DF_PG_OID_TEXT_ARRAY;
	int code = df_pg_types_learn(&p->types, pg, ctx, oids, p->count + 2, err);
	if (code != 0)
		return code;
	for (size_t i = 0; i < p->count; i++) {
		struct df_pg_column *c = &p->columns[i];
		const struct df_pg_type *type = df_pg_types_get(&p->types, c->oid);
		bool array = type && type->element;

		c->type = type && type->decoder
				  ? type
				  : df_pg_types_get(&p->types, array ? DF_PG_OID_TEXT_ARRAY : DF_PG_OID_TEXT);
	}
	return 0;
}

bool df_pg_source_plan_holds(const struct df_pg_source_plan *p, const PGresult *probe)
{
	if ((size_t)PQnfields(probe) != p->count)
		return false;
	for (size_t i = 0; i < p->count; i++)
		if (PQftype(probe, (int)i) != p->columns[i].oid ||
		    strcmp(PQfname(probe, (int)i), p->columns[i].name) != 0)
			return false;
	return true;
}

/* ---- the table ------------------------------------------------------------------------------------------- */

/* F, and the statement that tells its columns. */
static int write_from(struct df_pg_source_plan *p, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	struct df_table_name name = { 0 };
	int code = 0;

	p->from.len = p->probe.len = 0;
	if (polling->query) {
		df_cursor_wrap(&p->from, df_query_trim(df_str_c(polling->query)));
	} else {
		code = df_table_name_split(df_str_c(polling->table.value), &name, err);
		if (code == 0)
			df_table_name_quote(&p->from, DF_QUOTE_DOUBLE, &name);
		df_table_name_done(&name);
		df_buf_add_c(&p->from, " AS " SOURCE);
	}
	df_buf_add_c(&p->probe, "SELECT * FROM ");
	df_buf_add_str(&p->probe, df_buf_str(&p->from));
	df_buf_add_c(&p->probe, " LIMIT 0");
	return code == 0 && (p->from.failed || p->probe.failed) ? df_error_no_memory(err) : code;
}

/* autoCreateTable: an empty table to wait on. */
static int create_table(const struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx,
			struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	struct df_table_name name = { 0 };
	int code = df_table_name_split(df_str_c(p->settings->polling.table.value), &name, err);

	/* Transactions of this connection only read unless they say so. */
	df_buf_add_c(&sql, "BEGIN READ WRITE; CREATE TABLE IF NOT EXISTS ");
	if (code == 0)
		df_table_name_quote(&sql, DF_QUOTE_DOUBLE, &name);
	df_table_name_done(&name);
	df_buf_add_c(&sql,
		     " (id SERIAL PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP "
		     "DEFAULT CURRENT_TIMESTAMP); COMMIT");
	return code == 0 ? df_pg_exec_buf(pg, ctx, &sql, err) : code;
}

static int ask_columns(struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx, PGresult **ret,
		       struct df_error *err)
{
	const char *sql = df_buf_c(&p->probe);

	return df_pg_query(pg, ctx, sql, NULL, 0, ret, err);
}

/* The columns of the table, which is made when it is missing and that is asked for, or of the query. */
static int find_columns(struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(PQclearp) PGresult *result = NULL;
	struct df_error why = { 0 };
	int code = ask_columns(p, pg, ctx, &result, &why);
	bool missing = code != 0 && !p->settings->polling.query && strcmp(why.remote, "42P01") == 0;

	if (missing && p->settings->auto_create_table) {
		code = create_table(p, pg, ctx, err);
		if (code == 0)
			code = ask_columns(p, pg, ctx, &result, err);
	} else if (code != 0) {
		df_error_set(err, code, "%s%s", why.text, missing ? "; create it or set autoCreateTable: true" : "");
		df_error_remote(err, why.remote);
	}
	if (code != 0)
		return code;
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return df_error_set(err, DF_ERR_CONFIG, "the query must be a SELECT");
	code = add_columns(p, result, err);
	return code == 0 ? learn_types(p, pg, ctx, err) : code;
}

/* Columns that cannot be NULL, as far as the catalog tells; of a view it tells nothing. */
static int find_not_null(const struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx, PGresult **ret,
			 struct df_error *err)
{
	static const char sql[] =
		"SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = $1::pg_catalog.regclass AND attnum > 0 "
		"AND NOT attisdropped AND attnotnull";
	df_cleanup(df_buf_done) struct df_buf table = { 0 };

	df_buf_add_str(&table, df_str(p->from.data, p->from.len - strlen(" AS " SOURCE)));
	const char *name = df_buf_c(&table);
	return table.failed ? df_error_no_memory(err) : df_pg_query(pg, ctx, sql, &name, 1, ret, err);
}

static bool is_nullable(const PGresult *not_null, const char *name)
{
	for (int i = 0; i < PQntuples(not_null); i++)
		if (strcmp(PQgetvalue(not_null, i, 0), name) == 0)
			return false;
	return true;
}

/* ---- T and K --------------------------------------------------------------------------------------------- */

/* May updated_at and created_at stand in one COALESCE, with one order? */
static bool is_moment(uint32_t oid)
{
	return oid == DF_PG_OID_TIMESTAMP || oid == DF_PG_OID_TIMESTAMPTZ || oid == DF_PG_OID_DATE;
}

/* T and K of a table: what is not there is done without. */
static int choose_columns(struct df_pg_source_plan *p, const PGresult *not_null, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	const char *t = p->change_column, *k = polling->order_by_column;
	size_t fallback = find_column(p, DF_PG_CHANGE_FALLBACK);

	p->t.column = find_column(p, t);
	p->k.column = find_column(p, k);
	int code = df_polling_check_columns(polling, t, p->logger, "", p->t.column != DF_PG_NO_COLUMN,
					    p->k.column != DF_PG_NO_COLUMN, err);
	if (code != 0)
		return code;
	if (p->t.column == p->k.column)
		p->t.column = DF_PG_NO_COLUMN;
	if (p->t.column != DF_PG_NO_COLUMN && !polling->change_tracking_column && fallback != DF_PG_NO_COLUMN &&
	    is_nullable(not_null, t) && is_moment(p->columns[p->t.column].oid) && is_moment(p->columns[fallback].oid))
		p->t_fallback.column = fallback;
	return 0;
}

/* T and K of a query must be in its result. */
static int check_query(struct df_pg_source_plan *p, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	p->t.column = find_column(p, polling->change_tracking_column);
	p->k.column = find_column(p, polling->order_by_column);
	int code = df_polling_check_columns(polling, polling->change_tracking_column, p->logger, "",
					    p->t.column != DF_PG_NO_COLUMN, p->k.column != DF_PG_NO_COLUMN, err);
	if (code != 0)
		return code;
	if (p->t.column == p->k.column)
		p->t.column = DF_PG_NO_COLUMN;
	return 0;
}

/* ---- SQL ------------------------------------------------------------------------------------------------- */

static void add_name(struct df_buf *sql, const struct df_pg_source_plan *p, size_t column)
{
	df_buf_add_c(sql, SOURCE ".");
	df_name_quote(sql, DF_QUOTE_DOUBLE, df_str_c(p->columns[column].name));
}

/* The text that PostgreSQL prints. A cast to text would not do: for inet it is a function with a mind of its own. */
static void add_text(struct df_buf *sql, const struct df_pg_source_plan *p, size_t column)
{
	const struct df_pg_type *type = df_pg_types_get(&p->types, p->columns[column].oid);

	if (!type || !type->output || type->element) {
		add_name(sql, p, column);
		df_buf_add_c(sql, type && type->element ? "::pg_catalog.text[]" : "::pg_catalog.text");
		return;
	}
	df_buf_add_c(sql, "pg_catalog.textin(");
	df_buf_add_c(sql, type->output);
	df_buf_add_char(sql, '(');
	add_name(sql, p, column);
	df_buf_add_c(sql, "))");
}

/* Lists and documents are no positions, their texts are; and so on for what has no single literal form. */
static void add_hidden(struct df_pg_source_plan *p, struct df_pg_key_column *key)
{
	if (key->column == DF_PG_NO_COLUMN)
		return;
	const struct df_pg_type *type = p->columns[key->column].type;
	if (type->decoder->logical != DF_LOGICAL_JSON && type->decoder != &df_pg_decoder_array)
		return;
	df_buf_add_c(&p->select, ", ");
	add_name(&p->select, p, key->column);
	df_buf_add_c(&p->select, "::pg_catalog.text");
	key->text = p->count + p->hidden++;
}

static void write_select(struct df_pg_source_plan *p)
{
	p->select.len = 0;
	for (size_t i = 0; i < p->count; i++) {
		df_buf_add_c(&p->select, i ? ", " : "");
		if (p->columns[i].type->oid != p->columns[i].oid)
			add_text(&p->select, p, i);
		else
			add_name(&p->select, p, i);
	}
	add_hidden(p, &p->t);
	add_hidden(p, &p->k);
	p->legacy.len = 0;
	df_buf_add_c(&p->legacy, "SELECT ");
	df_buf_add_str(&p->legacy, df_buf_str(&p->select));
	df_buf_add_c(&p->legacy, " FROM ");
	df_buf_add_str(&p->legacy, df_buf_str(&p->from));
}

static void write_cursor(struct df_pg_source_plan *p, const PGresult *not_null, int version)
{
	bool fallback = p->t_fallback.column != DF_PG_NO_COLUMN;

	p->t_sql.len = p->k_sql.len = 0;
	if (p->k.column != DF_PG_NO_COLUMN)
		add_name(&p->k_sql, p, p->k.column);
	if (p->t.column != DF_PG_NO_COLUMN) {
		df_buf_add_c(&p->t_sql, fallback ? "COALESCE(" : "");
		add_name(&p->t_sql, p, p->t.column);
		if (fallback) {
			df_buf_add_c(&p->t_sql, ", ");
			add_name(&p->t_sql, p, p->t_fallback.column);
			df_buf_add_char(&p->t_sql, ')');
		}
	}
	p->table = (struct df_cursor_table){
		.columns = df_buf_str(&p->select),
		.from = df_buf_str(&p->from),
		.t = df_buf_str(&p->t_sql),
		.k = df_buf_str(&p->k_sql),
		.t_nullable = p->t.column != DF_PG_NO_COLUMN && is_nullable(not_null, p->columns[p->t.column].name) &&
			      (!fallback || is_nullable(not_null, p->columns[p->t_fallback.column].name)),
		.k_nullable = p->k.column != DF_PG_NO_COLUMN && is_nullable(not_null, p->columns[p->k.column].name),
		.row_values = true,
		.limit = version >= FETCH_TIES_VERSION ? df_cursor_fetch_ties : df_cursor_limit,
	};
}

void df_pg_source_plan_literal(const struct df_pg_source_plan *p, struct df_buf *sql, bool of_t,
			       const struct df_cursor_value *v)
{
	static const char digits[] = "0123456789abcdef";
	size_t column = of_t ? p->t.column : p->k.column;
	const struct df_pg_type *type = df_pg_types_get(&p->types, p->columns[column].oid);

	df_buf_add_char(sql, '\'');
	if (v->kind == DF_CURSOR_BYTES)
		df_buf_add_c(sql, "\\x");
	for (size_t i = 0; i < v->text.len; i++) {
		unsigned char c = (unsigned char)v->text.ptr[i];

		if (v->kind == DF_CURSOR_BYTES) {
			df_buf_add_char(sql, digits[c >> 4]);
			df_buf_add_char(sql, digits[c & 15]);
			continue;
		}
		if (c == '\'') /* a backslash is one: standard_conforming_strings is on */
			df_buf_add_char(sql, '\'');
		df_buf_add_char(sql, (char)c);
	}
	df_buf_add_char(sql, '\'');
	if (type && type->name) {
		df_buf_add_c(sql, "::");
		df_buf_add_c(sql, type->name);
	}
}

/* A column that holds a moment, for the metadata `operation`. */
static size_t find_moment(const struct df_pg_source_plan *p, const char *name)
{
	size_t i = find_column(p, name);
	uint32_t oid = i == DF_PG_NO_COLUMN ? 0 : p->columns[i].oid;

	return oid == DF_PG_OID_TIMESTAMP || oid == DF_PG_OID_TIMESTAMPTZ ? i : DF_PG_NO_COLUMN;
}

int df_pg_source_plan_make(struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	const struct df_polling_settings *polling = &p->settings->polling;
	df_cleanup(PQclearp) PGresult *not_null = NULL;
	const struct df_pg_key_column none = { DF_PG_NO_COLUMN, DF_PG_NO_COLUMN };
	int code = write_from(p, err);

	columns_done(p);
	p->t = p->t_fallback = p->k = none;
	if (code == 0)
		code = find_columns(p, pg, ctx, err);
	if (code == 0 && !polling->query)
		code = find_not_null(p, pg, ctx, &not_null, err);
	if (code != 0)
		return code;
	if (df_polling_is_legacy(polling))
		p->k.column = find_column(p, polling->order_by_column);
	else
		code = polling->query ? check_query(p, err) : choose_columns(p, not_null, err);
	if (code != 0)
		return code;
	p->created_at = find_moment(p, DF_PG_CHANGE_FALLBACK);
	p->updated_at = find_moment(p, DF_PG_CHANGE_COLUMN);
	write_select(p);
	write_cursor(p, not_null, df_pg_version(pg));
	bool failed = p->select.failed || p->t_sql.failed || p->k_sql.failed || p->legacy.failed;
	return failed ? df_error_no_memory(err) : 0;
}
