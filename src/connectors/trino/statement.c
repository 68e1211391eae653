#include "connectors/trino/statement.h"

#include "connectors/trino/literal.h"
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

void df_trino_statement_begin(struct df_trino_statement *st, const char *comment)
{
	st->rows = 0;
	st->sql.len = 0;
	df_buf_add_c(&st->sql, comment);
	df_buf_add_c(&st->sql, st->upsert ? "MERGE INTO " : "INSERT INTO ");
	df_buf_add_str(&st->sql, df_buf_str(&st->target->name));
	if (st->upsert) {
		df_buf_add_c(&st->sql, " AS target USING (VALUES ");
	} else {
		df_buf_add_c(&st->sql, " (");
		add_columns(st, "");
		df_buf_add_c(&st->sql, ") VALUES ");
	}
}

int df_trino_statement_add(struct df_trino_statement *st, const struct df_row *row, bool removes,
			   struct df_arena *arena, bool *ret_full, struct df_error *err)
{
	size_t before = st->sql.len;
	int code = 0;

	*ret_full = st->rows >= DF_TRINO_STATEMENT_ROWS;
	if (*ret_full)
		return 0;
	df_buf_add_c(&st->sql, st->rows ? ", (" : "(");
	for (size_t i = 0; code == 0 && i < st->set->count; i++) {
		struct df_str name = column_name(st, i);

		df_buf_add_c(&st->sql, i ? ", " : "");
		if (st->upsert && row->values[i]->kind == DF_NULL && is_key(st, name))
			code = df_error_set(err, DF_ERR_INVALID_DATA, "is null, and conflictKey needs it");
		else
			code = df_trino_literal(df_trino_target_type(st->target, st->set->columns[i]), row->values[i],
						arena, &st->sql, err);
		if (code == DF_ERR_INVALID_DATA)
			(void)df_error_prefix(err, "column \"" DF_STR_FMT "\"", DF_STR_ARG(name));
	}
	if (st->upsert)
		df_buf_add_c(&st->sql, removes ? ", 'd'" : ", 'w'");
	df_buf_add_char(&st->sql, ')');
	if (st->sql.failed)
		return df_error_no_memory(err);
	*ret_full = code == 0 && st->rows && st->sql.len > DF_TRINO_STATEMENT_BYTES;
	if (code != 0 || *ret_full)
		st->sql.len = before;
	else
		st->rows++;
	return code;
}

/* Deletes never insert; a row of nothing but its key has nothing to update. */
static void add_merge_tail(struct df_trino_statement *st)
{
	const struct df_strings *key = &st->target->key;
	bool first = true;

	df_buf_add_c(&st->sql, ") AS source (");
	add_columns(st, "");
	df_buf_add_c(&st->sql, ", " OPERATION ") ON ");
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
	if (st->upsert)
		add_merge_tail(st);
	return st->sql.failed ? df_error_no_memory(err) : 0;
}
