#include "connectors/postgresql/types.h"

#include <stdlib.h>

#include "table/identifier.h"

static void type_free(struct df_pg_type *type)
{
	if (!type)
		return;
	free(type->output);
	free(type->name);
	free(type);
}

void df_pg_types_done(struct df_pg_types *types)
{
	for (size_t i = 0; i < types->count; i++)
		type_free(types->items[i]);
	free(types->items);
	*types = (struct df_pg_types){ 0 };
}

const struct df_pg_type *df_pg_types_get(const struct df_pg_types *types, uint32_t oid)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->items[i]->oid == oid)
			return types->items[i];
	return NULL;
}

/* The type of this OID, new or as it is; NULL when out of memory. */
static struct df_pg_type *add(struct df_pg_types *types, uint32_t oid)
{
	struct df_pg_type *type = (struct df_pg_type *)df_pg_types_get(types, oid);

	if (type)
		return type;
	if (types->count == types->cap) {
		size_t cap = types->cap ? types->cap * 2 : 32;
		struct df_pg_type **items = realloc(types->items, cap * sizeof(*items));

		if (!items)
			return NULL;
		types->items = items;
		types->cap = cap;
	}
	type = calloc(1, sizeof(*type));
	if (!type)
		return NULL;
	type->oid = oid;
	types->items[types->count++] = type;
	return type;
}

/* ---- built-in types -------------------------------------------------------------------------------------- */

/* False: it is none of them. */
static int learn_built_in(struct df_pg_types *types, uint32_t oid, bool *ret_known)
{
	const struct df_pg_decoder *decoder = df_pg_decoder_find(oid);
	const struct df_pg_decoder *element = df_pg_decoder_of_array(oid);
	struct df_pg_type *type;

	*ret_known = decoder || element;
	if (!*ret_known)
		return 0;
	type = add(types, oid);
	if (!type)
		return DF_ERR_NO_MEMORY;
	type->decoder = decoder ? decoder : &df_pg_decoder_array;
	if (!element)
		return 0;
	struct df_pg_type *of = add(types, element->oid);
	if (!of)
		return DF_ERR_NO_MEMORY;
	of->decoder = element;
	type->element = of;
	return 0;
}

/* ---- the catalog ----------------------------------------------------------------------------------------- */

/* The types and, of arrays, their elements, which come first. A domain has the send function of what it is made from.
 */
static const char catalog_sql[] =
	"SELECT t.oid, s.proname, (s.pronamespace = 11)::pg_catalog.int4, t.typelem, n.nspname, o.proname, "
	"tn.nspname, t.typname "
	"FROM pg_catalog.pg_type t "
	"JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace "
	"JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput "
	"JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace "
	"LEFT JOIN pg_catalog.pg_proc s ON s.oid = t.typsend "
	"WHERE t.oid = ANY ($1::pg_catalog.oid[]) OR t.oid IN "
	"(SELECT a.typelem FROM pg_catalog.pg_type a WHERE a.oid = ANY ($1::pg_catalog.oid[])) "
	"ORDER BY s.proname IS NOT DISTINCT FROM 'array_send'"; /* 11: pg_catalog */
enum {
	COLUMN_OID,
	COLUMN_SEND,
	COLUMN_BUILT_IN,
	COLUMN_ELEMENT,
	COLUMN_SCHEMA,
	COLUMN_OUTPUT,
	COLUMN_TYPE_SCHEMA,
	COLUMN_TYPE
};

static int set_quoted(char **to, const PGresult *result, int row, int schema, int name)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_name_quote_in(&text, DF_QUOTE_DOUBLE, df_str_c(PQgetvalue(result, row, schema)),
			 df_str_c(PQgetvalue(result, row, name)));
	free(*to);
	*to = df_buf_take(&text);
	return *to ? 0 : DF_ERR_NO_MEMORY;
}

static int learn_row(struct df_pg_types *types, const PGresult *result, int row)
{
	uint32_t oid = (uint32_t)strtoul(PQgetvalue(result, row, COLUMN_OID), NULL, 10);
	uint32_t element = (uint32_t)strtoul(PQgetvalue(result, row, COLUMN_ELEMENT), NULL, 10);
	bool built_in = *PQgetvalue(result, row, COLUMN_BUILT_IN) == '1';
	struct df_str send = df_str_c(PQgetvalue(result, row, COLUMN_SEND));
	struct df_pg_type *type = add(types, oid);

	if (!type || set_quoted(&type->output, result, row, COLUMN_SCHEMA, COLUMN_OUTPUT) != 0 ||
	    set_quoted(&type->name, result, row, COLUMN_TYPE_SCHEMA, COLUMN_TYPE) != 0)
		return DF_ERR_NO_MEMORY;
	type->decoder = built_in ? df_pg_decoder_of_send(send) : NULL;
	type->element = NULL;
	if (!built_in || !df_str_equal_c(send, df_pg_decoder_array.send))
		return 0;
	type->element = df_pg_types_get(types, element);
	type->decoder = type->element && type->element->decoder ? &df_pg_decoder_array : NULL;
	return 0;
}

static int learn_from_catalog(struct df_pg_types *types, struct df_pg *pg, struct df_context *ctx, struct df_buf *list,
			      struct df_error *err)
{
	df_cleanup(PQclearp) PGresult *result = NULL;
	const char *param = df_buf_c(list);

	if (list->failed)
		return df_error_no_memory(err);
	int code = df_pg_query(pg, ctx, catalog_sql, &param, 1, &result, err);
	if (code != 0)
		return code;
	for (int row = 0; row < PQntuples(result); row++)
		if (learn_row(types, result, row) != 0)
			return df_error_no_memory(err);
	return 0;
}

int df_pg_types_learn(struct df_pg_types *types, struct df_pg *pg, struct df_context *ctx, const uint32_t *oids,
		      size_t count, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf unknown = { 0 };

	for (size_t i = 0; i < count; i++) {
		bool known = df_pg_types_get(types, oids[i]);

		if (!known && learn_built_in(types, oids[i], &known) != 0)
			return df_error_no_memory(err);
		if (!known)
			df_buf_printf(&unknown, "%s%u", unknown.len ? "," : "{", (unsigned)oids[i]);
	}
	if (!unknown.len)
		return unknown.failed ? df_error_no_memory(err) : 0;
	df_buf_add_char(&unknown, '}');
	return learn_from_catalog(types, pg, ctx, &unknown, err);
}
