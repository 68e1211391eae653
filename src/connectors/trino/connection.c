#include "connectors/trino/connection.h"

#include "connectors/trino/text.h"
#include "table/identifier.h"

void df_trino_quote_table(struct df_buf *sql, const struct df_trino_connection *settings, const char *table)
{
	df_name_quote(sql, DF_QUOTE_DOUBLE, df_str_c(settings->catalog.value));
	df_buf_add_char(sql, '.');
	df_name_quote_in(sql, DF_QUOTE_DOUBLE, df_str_c(settings->schema.value), df_str_c(table));
}

/* As Trino does for every name: ASCII and beyond, but it is the server that decides about the latter. */
static void quote_lower(struct df_buf *sql, const char *name)
{
	df_buf_add_c(sql, "lower(");
	df_trino_quote_text(sql, df_str_c(name));
	df_buf_add_char(sql, ')');
}

void df_trino_from_columns(struct df_buf *sql, const struct df_trino_connection *settings, const char *table)
{
	df_buf_add_c(sql, " FROM ");
	df_name_quote(sql, DF_QUOTE_DOUBLE, df_str_c(settings->catalog.value));
	df_buf_add_c(sql, ".information_schema.columns WHERE table_schema = ");
	quote_lower(sql, settings->schema.value);
	df_buf_add_c(sql, " AND table_name = ");
	quote_lower(sql, table);
}

struct df_str df_trino_text(struct df_value *v, struct df_arena *arena)
{
	struct df_str text = v && v->kind == DF_STRING ? df_value_text(v, arena) : df_str(NULL, 0);

	return text.ptr ? text : df_str("", 0);
}
