#include "connectors/trino/statement.h"

#include <stdio.h>
#include <strings.h>

#include "connectors/trino/cell.h"
#include "table/identifier.h"

#define OPERATION "__op" /* of a MERGE's source: 'd' removes the row of that key */

static struct df_str column_name(const struct df_trino_statement *st, size_t i)
{
	return df_str_c(st->target->columns.items[st->set->columns[i]].name);
}

static bool is_key(const struct df_trino_statement *st, struct df_str name)
{
	const struct df_strings *key = &st->target->key;

	for (size_t i = 0; i < key->count; i++)
		if (key->items[i] && strlen(key->items[i]) == name.len &&
		    strncasecmp(key->items[i], name.ptr, name.len) == 0)
			return true;
	return false;
}

/* `prefix"a", prefix"b"` of the set's columns. */
static void add_columns(struct df_trino_statement *st, const char *prefix)
{
	for (size_t i = 0; i < st->set->count; i++) {
		df_buf_add_c(&st->sql, i ? ", " : "");
		df_buf_add_c(&st->sql, prefix);
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, column_name(st, i));
	}
}

/*
 * `SELECT CAST(c0 AS bigint) AS "id", ... FROM UNNEST(CAST(JSON '[`: all rows are one string, which the server takes
 * apart in one cast. A VALUES list of 1000 rows costs the planner eight times as much (docs/trino.md has the
 * table).
 */
static void add_select(struct df_trino_statement *st)
{
	char name[24];

	df_buf_add_c(&st->sql, "SELECT ");
	for (size_t i = 0; i < st->set->count; i++) {
		size_t len = (size_t)snprintf(name, sizeof(name), "c%zu", i);

		df_buf_add_c(&st->sql, i ? ", " : "");
		df_trino_from_shape(df_trino_target_type(st->target, st->set->columns[i]), df_str(name, len), &st->sql);
		df_buf_add_c(&st->sql, " AS ");
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, column_name(st, i));
	}
	if (st->upsert)
		df_buf_add_c(&st->sql, ", " OPERATION);
	df_buf_add_c(&st->sql, " FROM UNNEST(CAST(JSON '[");
}

/* `]' AS array(row(c0 varchar, ...)))) AS rows (c0, ...)` */
static void add_shape(struct df_trino_statement *st)
{
	df_buf_add_c(&st->sql, "]' AS array(row(");
	for (size_t i = 0; i < st->set->count; i++) {
		df_buf_printf(&st->sql, i ? ", c%zu " : "c%zu ", i);
		df_trino_shape(df_trino_target_type(st->target, st->set->columns[i]), &st->sql);
	}
	df_buf_add_c(&st->sql, st->upsert ? ", " OPERATION " varchar)))) AS rows (" : ")))) AS rows (");
	for (size_t i = 0; i < st->set->count; i++)
		df_buf_printf(&st->sql, i ? ", c%zu" : "c%zu", i);
	df_buf_add_c(&st->sql, st->upsert ? ", " OPERATION ")" : ")");
}

void df_trino_statement_begin(struct df_trino_statement *st, const char *comment)
{
	st->rows = 0;
	st->sql.len = 0;
	df_buf_add_c(&st->sql, comment);
	df_buf_add_c(&st->sql, st->upsert ? "MERGE INTO " : "INSERT INTO ");
	df_buf_add_str(&st->sql, df_buf_str(&st->target->name));
	if (st->upsert) {
		df_buf_add_c(&st->sql, " AS target USING (");
	} else {
		df_buf_add_c(&st->sql, " (");
		add_columns(st, "");
		df_buf_add_c(&st->sql, ") ");
	}
	add_select(st);
}

/* JSON has no control characters left; only quotes are special within '...'. */
static void add_quoted(struct df_buf *sql, struct df_str json)
{
	while (json.len) {
		const char *quote = memchr(json.ptr, '\'', json.len);
		size_t n = quote ? (size_t)(quote - json.ptr) + 1 : json.len;

		df_buf_add(sql, json.ptr, n);
		if (quote)
			df_buf_add_char(sql, '\'');
		json.ptr += n;
		json.len -= n;
	}
}

int df_trino_statement_add(struct df_trino_statement *st, const struct df_row *row, bool removes,
			   struct df_arena *arena, bool *ret_full, struct df_error *err)
{
	size_t before = st->sql.len;
	int code = 0;

	*ret_full = st->rows >= st->row_limit;
	if (*ret_full)
		return 0;
	st->row.len = 0;
	for (size_t i = 0; code == 0 && i < st->set->count; i++) {
		struct df_str name = column_name(st, i);

		df_buf_add_char(&st->row, i ? ',' : '[');
		if (st->upsert && row->values[i]->kind == DF_NULL && is_key(st, name))
			code = df_error_set(err, DF_ERR_INVALID_DATA, "is null, and conflictKey needs it");
		else
			code = df_trino_cell(df_trino_target_type(st->target, st->set->columns[i]), row->values[i],
					     arena, &st->row, err);
		if (code == DF_ERR_INVALID_DATA)
			(void)df_error_prefix(err, "column \"" DF_STR_FMT "\"", DF_STR_ARG(name));
	}
	df_buf_add_c(&st->row, !st->upsert ? "]" : removes ? ",\"d\"]" : ",\"w\"]");
	if (code != 0)
		return code;
	if (st->rows)
		df_buf_add_char(&st->sql, ',');
	add_quoted(&st->sql, df_buf_str(&st->row));
	if (st->sql.failed || st->row.failed)
		return df_error_no_memory(err);
	*ret_full = st->rows && st->sql.len > DF_TRINO_STATEMENT_BYTES;
	if (*ret_full)
		st->sql.len = before;
	else
		st->rows++;
	return 0;
}

/* Deletes never insert; a row of nothing but its key has nothing to update. */
static void add_merge_tail(struct df_trino_statement *st)
{
	const struct df_strings *key = &st->target->key;
	bool first = true;

	df_buf_add_c(&st->sql, ") AS source ON ");
	for (size_t i = 0; i < key->count; i++) {
		df_buf_add_c(&st->sql, i ? " AND target." : "target.");
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, df_str_c(key->items[i]));
		df_buf_add_c(&st->sql, " = source.");
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, df_str_c(key->items[i]));
	}
	df_buf_add_c(&st->sql, " WHEN MATCHED AND source." OPERATION " = 'd' THEN DELETE");
	for (size_t i = 0; i < st->set->count; i++) {
		struct df_str name = column_name(st, i);

		if (is_key(st, name))
			continue;
		df_buf_add_c(&st->sql, first ? " WHEN MATCHED THEN UPDATE SET " : ", ");
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, name);
		df_buf_add_c(&st->sql, " = source.");
		df_name_quote(&st->sql, DF_QUOTE_DOUBLE, name);
		first = false;
	}
	df_buf_add_c(&st->sql, " WHEN NOT MATCHED AND source." OPERATION " <> 'd' THEN INSERT (");
	add_columns(st, "");
	df_buf_add_c(&st->sql, ") VALUES (");
	add_columns(st, "source.");
	df_buf_add_char(&st->sql, ')');
}

int df_trino_statement_finish(struct df_trino_statement *st, struct df_error *err)
{
	add_shape(st);
	if (st->upsert)
		add_merge_tail(st);
	return st->sql.failed ? df_error_no_memory(err) : 0;
}
