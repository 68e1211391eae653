#include "connectors/postgresql/target.h"

#include <stdlib.h>

/* ---- life ------------------------------------------------------------------------------------------------ */

/* No schema is `public`. */
static int split_name(struct df_pg_target *target, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf quoted = { 0 };
	int code = df_table_name_split(df_str_c(target->settings->table_sink.table.value), &target->name, err);

	if (code != 0)
		return code;
	if (!target->name.qualifier)
		target->name.qualifier = strdup("public");
	if (target->name.qualifier)
		df_table_name_quote(&quoted, DF_QUOTE_DOUBLE, &target->name);
	target->quoted = target->name.qualifier ? df_buf_take(&quoted) : NULL;
	return target->quoted ? 0 : df_error_no_memory(err);
}

int df_pg_target_init(struct df_pg_target *target, const struct df_postgresql_sink_settings *settings, struct df_pg *pg,
		      struct df_error *err)
{
	*target = (struct df_pg_target){ .settings = settings, .pg = pg };
	return split_name(target, err);
}

static void forget_columns(struct df_pg_target *target)
{
	for (size_t i = 0; i < target->columns.count; i++) {
		free(target->details[i].carrier);
		free(target->details[i].cast);
	}
	free(DF_TAKE(target->details));
	df_columns_done(&target->columns);
	target->columns = (struct df_columns){ 0 };
}

void df_pg_target_done(struct df_pg_target *target)
{
	forget_columns(target);
	df_names_done(&target->key);
	df_table_name_done(&target->name);
	df_raw_free(DF_TAKE(target->raw));
	free(DF_TAKE(target->quoted));
}

/* ---- the catalog ----------------------------------------------------------------------------------------- */

/*
 * What may be done with the table, one row; none when there is no such table. Partitions count with their parent. The
 * lists of columns are those of the primary key and of a constraint-free row.
 */
static const char table_sql[] =
	"WITH t AS (SELECT c.oid, c.relkind, c.relhasrules FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
	" ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'f')),"
	" parts AS (SELECT oid FROM t UNION SELECT p.relid FROM t, pg_catalog.pg_partition_tree(t.oid) p)"
	" SELECT t.oid,"
	" EXISTS (SELECT FROM parts JOIN pg_catalog.pg_index i ON i.indrelid = parts.oid"
	"   WHERE i.indisunique OR i.indisexclusion) AS conflicts,"
	" t.relkind <> 'v' AND NOT t.relhasrules AND NOT pg_catalog.row_security_active(t.oid) AS copies,"
	" NOT t.relhasrules OR t.relkind = 'v' AS resolves,"
	/* tgtype: 1 row, 2 before, 4 insert, 64 instead of */
	" t.relkind = 'v' OR EXISTS (SELECT FROM parts JOIN pg_catalog.pg_trigger g ON g.tgrelid = parts.oid"
	"   WHERE g.tgtype & 7 = 7 AND NOT g.tgisinternal) AS fills"
	" FROM t";

/*
 * Its columns. A domain is followed to its base type, whose binary form it has; an array to its elements. Of types
 * without an encoder the text is sent and cast: format_type with the modifier -1 names a type without one, so that the
 * cast cuts nothing.
 */
static const char columns_sql[] =
	"WITH RECURSIVE base AS ("
	" SELECT a.attnum, t.oid, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory, t.typreceive,"
	"   a.atttypmod AS modifier, t.typnotnull AS not_null"
	"  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
	"  WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" UNION ALL"
	" SELECT b.attnum, t.oid, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory, t.typreceive,"
	"   CASE WHEN b.modifier >= 0 THEN b.modifier ELSE b.typtypmod END, b.not_null OR t.typnotnull"
	"  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')"
	" SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull OR b.not_null,"
	"  a.atthasdef OR a.attidentity <> '' OR d.typdefault IS NOT NULL, a.attgenerated <> '', a.attidentity = 'a',"
	"  COALESCE(k.place, 0), b.oid, pg_catalog.format_type(b.oid, -1), b.modifier, r.proname,"
	"  b.typcategory = 'A' AND r.proname = 'array_recv', b.typelem, er.proname, eb.oid IS NOT NULL,"
	"  COALESCE(c.collisdeterministic, true)"
	" FROM base b"
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::pg_catalog.oid AND a.attnum = b.attnum"
	" JOIN pg_catalog.pg_type d ON d.oid = a.atttypid"
	" JOIN pg_catalog.pg_proc r ON r.oid = b.typreceive"
	" LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
	" LEFT JOIN pg_catalog.pg_type e ON e.oid = b.typelem"
	" LEFT JOIN pg_catalog.pg_type eb ON e.typtype = 'd' AND eb.oid = e.typbasetype AND eb.typtype <> 'd'"
	" LEFT JOIN pg_catalog.pg_proc er ON er.oid = COALESCE(eb.typreceive, e.typreceive)"
	" LEFT JOIN LATERAL (SELECT pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum) + 1 AS place"
	"   FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary) k ON true"
	" WHERE b.typtype <> 'd' ORDER BY a.attnum";

enum {
	COLUMN_NAME,
	COLUMN_TYPE,
	COLUMN_NOT_NULL,
	COLUMN_HAS_DEFAULT,
	COLUMN_GENERATED,
	COLUMN_ALWAYS,
	COLUMN_KEY,
	COLUMN_OID,
	COLUMN_CARRIER,
	COLUMN_MODIFIER,
	COLUMN_RECEIVE,
	COLUMN_IS_ARRAY,
	COLUMN_ELEMENT,
	COLUMN_ELEMENT_RECEIVE,
	COLUMN_ELEMENT_IS_DOMAIN,
	COLUMN_DETERMINISTIC,
};

static const char *text_at(const PGresult *result, int row, int field)
{
	return PQgetvalue(result, row, field);
}

static bool is_true(const PGresult *result, int row, int field)
{
	return *text_at(result, row, field) == 't';
}

static unsigned number_at(const PGresult *result, int row, int field)
{
	return (unsigned)strtoul(text_at(result, row, field), NULL, 10);
}

#define OID_TEXT 25
#define OID_TEXT_ARRAY 1009

/* How values enter the column: by their own binary form, or as text that is cast. */
static bool choose_field(const PGresult *result, int row, struct df_pg_column *ret)
{
	bool array = is_true(result, row, COLUMN_IS_ARRAY);
	const struct df_pg_encoder *encoder =
		df_pg_encoder_find(df_str_c(text_at(result, row, array ? COLUMN_ELEMENT_RECEIVE : COLUMN_RECEIVE)));
	const char *type = text_at(result, row, COLUMN_CARRIER);
	const char *carrier = encoder ? type : array ? "text[]" : "text";

	*ret = (struct df_pg_column){
		.oid = encoder ? number_at(result, row, COLUMN_OID)
		       : array ? OID_TEXT_ARRAY
			       : OID_TEXT,
		.carrier = strdup(carrier),
		.cast = encoder ? NULL : strdup(type),
		.always = is_true(result, row, COLUMN_ALWAYS),
	};
	ret->field = (struct df_pg_field){
		.encoder = array     ? &df_pg_encoder_array
			   : encoder ? encoder
				     : &df_pg_encoder_text,
		.modifier = encoder ? (int32_t)strtol(text_at(result, row, COLUMN_MODIFIER), NULL, 10) : -1,
		.element = encoder ? encoder : &df_pg_encoder_text,
		.element_oid = encoder ? number_at(result, row, COLUMN_ELEMENT) : OID_TEXT,
	};
	if (encoder && !array && is_true(result, row, COLUMN_DETERMINISTIC))
		ret->equality = encoder->equality;
	return ret->carrier && (encoder || ret->cast);
}

static int add_column(struct df_pg_target *target, const PGresult *result, int row, struct df_error *err)
{
	struct df_pg_column detail = { 0 };
	struct df_column *column = NULL;

	if (choose_field(result, row, &detail))
		column = df_columns_add(&target->columns, df_str_c(text_at(result, row, COLUMN_NAME)),
					df_str_c(text_at(result, row, COLUMN_TYPE)));
	if (!column) {
		free(detail.carrier);
		free(detail.cast);
		return df_error_no_memory(err);
	}
	column->key = number_at(result, row, COLUMN_KEY);
	column->not_null = is_true(result, row, COLUMN_NOT_NULL);
	column->has_default = is_true(result, row, COLUMN_HAS_DEFAULT);
	column->read_only = is_true(result, row, COLUMN_GENERATED);
	target->details[row] = detail;
	return 0;
}

static int load_columns(struct df_pg_target *target, struct df_context *ctx, const char *oid, struct df_error *err)
{
	df_cleanup(PQclearp) PGresult *result = NULL;
	int code = df_pg_query(target->pg, ctx, columns_sql, &oid, 1, &result, err);

	if (code != 0)
		return code;
	target->details = calloc((size_t)PQntuples(result) + 1, sizeof(*target->details));
	if (!target->details)
		return df_error_no_memory(err);
	for (int row = 0; row < PQntuples(result) && code == 0; row++)
		code = add_column(target, result, row, err);
	return code;
}

static int load_table(struct df_pg_target *target, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(PQclearp) PGresult *result = NULL;
	const char *params[] = { target->name.qualifier, target->name.name };
	int code = df_pg_query(target->pg, ctx, table_sql, params, 2, &result, err);

	if (code != 0 || PQntuples(result) == 0)
		return code;
	target->conflicts = is_true(result, 0, 1);
	target->copies = is_true(result, 0, 2);
	target->resolves = is_true(result, 0, 3);
	target->fills = is_true(result, 0, 4);
	return load_columns(target, ctx, text_at(result, 0, 0), err);
}

/* ---- checks ---------------------------------------------------------------------------------------------- */

static int need_column(const struct df_pg_target *target, const char *name, const char *why, struct df_error *err)
{
	if (!name || df_columns_find(&target->columns, df_str_c(name)) != DF_NO_COLUMN)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "table %s has no column %s, which %s needs; add it", target->quoted,
			    name, why);
}

static bool is_json(const struct df_pg_target *target, const char *name)
{
	size_t i = df_columns_find(&target->columns, df_str_c(name));

	return i != DF_NO_COLUMN && strncmp(target->columns.items[i].type, "json", 4) == 0;
}

/* Raw mode: JSON goes into a JSON column, any text into another. */
static int check_raw(struct df_pg_target *target, struct df_error *err)
{
	const struct df_flatten_metadata_settings *flatten = &target->settings->table_sink.flatten_metadata;
	bool has_metadata = df_columns_find(&target->columns, DF_STR("_metadata")) != DF_NO_COLUMN;

	if (flatten->columns && has_metadata)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"table %s has a column _metadata, which flattenMetadataColumns does not fill; drop the column "
			"or the setting",
			target->quoted);
	int code = need_column(target, "data", "rawMode", err);
	if (code == 0 && !flatten->columns)
		code = need_column(target, "_metadata", "rawMode", err);
	if (code != 0 || is_json(target, "data"))
		return code;
	df_raw_free(DF_TAKE(target->raw));
	target->raw = df_raw_new(DF_RAW_TEXT, flatten->columns, flatten->prefix);
	return target->raw ? 0 : df_error_no_memory(err);
}

/* The planner itself knows best whether the columns are a key. */
static int check_unique(struct df_pg_target *target, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	df_cleanup(df_buf_done) struct df_buf key = { 0 };

	df_names_quote(&key, DF_QUOTE_DOUBLE, &target->key);
	const char *columns = df_buf_c(&key);
	df_buf_printf(
		&sql,
		"EXPLAIN INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE false ON CONFLICT (%s) DO NOTHING",
		target->quoted, columns, columns, target->quoted, columns);
	if (key.failed)
		return df_error_no_memory(err);
	int code = df_pg_exec_buf(target->pg, ctx, &sql, err);
	if (code == 0 || !err || strcmp(err->remote, "42P10") != 0)
		return code;
	code = df_error_set(
		err, DF_ERR_CONFIG,
		"table %s has no unique index on (%s) for upsertMode; run CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s), "
		"or change conflictKey",
		target->quoted, columns, target->quoted, columns);
	df_error_remote(err, "42P10");
	return code;
}

/* conflictKey, or else the primary key. */
static int load_key(struct df_pg_target *target, struct df_error *err)
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

static int check_key(struct df_pg_target *target, struct df_context *ctx, struct df_error *err)
{
	if (!df_pg_removes(target->settings))
		return 0;
	if (target->key.count == 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "table %s has no primary key, and upserts and deletes need a key; set conflictKey",
				    target->quoted);
	for (size_t i = 0; i < target->key.count; i++) {
		int code = need_column(target, target->key.items[i], "conflictKey", err);
		if (code != 0)
			return code;
	}
	return df_pg_upserts(target->settings) ? check_unique(target, ctx, err) : 0;
}

/* Only columns that the first versions of a sink made, data among them as jsonb. */
static bool is_old_table(const struct df_pg_target *target)
{
	static const char *const names[] = { "id", "data", "_metadata", "created_at", "updated_at", "deleted_at" };
	const struct df_columns *columns = &target->columns;
	size_t data = df_columns_find(columns, DF_STR("data"));

	if (data == DF_NO_COLUMN || strcmp(columns->items[data].type, "jsonb") != 0)
		return false;
	for (size_t i = 0; i < columns->count; i++) {
		bool known = false;
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			known |= strcmp(columns->items[i].name, names[k]) == 0;
		if (!known)
			return false;
	}
	return true;
}

static int check(struct df_pg_target *target, struct df_context *ctx, struct df_error *err)
{
	const struct df_postgresql_sink_settings *settings = target->settings;
	int code = target->raw ? check_raw(target, err) : 0;

	if (code == 0)
		code = check_key(target, ctx, err);
	if (code == 0 && !target->raw)
		code = need_column(target, settings->soft_delete_column, "softDeleteColumn", err);
	if (code == 0 && df_pg_if_newer(settings))
		code = need_column(target, settings->upsert_version_column, "upsertVersionColumn", err);
	return code;
}

int df_pg_target_load(struct df_pg_target *target, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *settings = &target->settings->table_sink;

	forget_columns(target);
	df_raw_free(DF_TAKE(target->raw));
	if (settings->raw_mode) {
		target->raw =
			df_raw_new(DF_RAW_JSON, settings->flatten_metadata.columns, settings->flatten_metadata.prefix);
		if (!target->raw)
			return df_error_no_memory(err);
	}
	int code = load_table(target, ctx, err);
	if (code == 0)
		code = load_key(target, err);
	if (code != 0)
		return code;
	if (target->columns.count == 0 && !settings->auto_create_table) {
		code = df_error_set(err, DF_ERR_CONFIG,
				    "table %s does not exist; create it or set autoCreateTable: true", target->quoted);
		df_error_remote(err, "42P01");
		return code;
	}
	target->whole_payload = !target->raw && is_old_table(target);
	return target->columns.count ? check(target, ctx, err) : 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* An old table: {"data": the payload}. */
static int wrap_payload(struct df_arena *arena, struct df_value **object, struct df_error *err)
{
	struct df_value *row = df_value_new(arena, DF_OBJECT);
	struct df_value *copy = df_value_clone(*object, arena);

	if (!row || !copy)
		return df_error_no_memory(err);
	df_object_append(row, DF_STR("data"), copy);
	*object = row;
	return 0;
}

int df_pg_target_row(struct df_pg_target *target, struct df_message *m, struct df_arena *arena, struct df_value **ret,
		     struct df_error *err)
{
	int code;

	if (target->raw)
		return df_raw_row(target->raw, m, arena, ret, err);
	code = df_row_body(m, arena, &target->columns, ret, err);
	if (code == 0 && target->whole_payload && !df_object_get_c(*ret, "data"))
		code = wrap_payload(arena, ret, err);
	return code;
}
