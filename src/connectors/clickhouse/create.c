/* autoCreateTable: the table that the first batch asks for (connectors reference, section 7). */
#include <stdio.h>

#include "connectors/clickhouse/target.h"

#define NEW_TYPES 21012 /* the version that has Bool, DateTime64, Int256, Decimal256 and Date32 without a setting */

struct ddl {
	const struct df_ch_target *target;
	struct df_buf sql;
	size_t columns;
	bool new_types;
	bool created_at; /* there is such a column */
	bool raw;	 /* times of metadata have milliseconds */
};

#define TYPE_MAX 64

/* Whole numbers: the smallest of Int64, UInt64, Int128, Int256 that holds every one that was seen. */
static void whole_type(const struct ddl *ddl, const struct df_inferred *c, char out[TYPE_MAX])
{
	if (c->int64)
		snprintf(out, TYPE_MAX, "Int64");
	else if (!c->negative && c->integer_digits < 20)
		snprintf(out, TYPE_MAX, "UInt64");
	else if (c->integer_digits <= 38)
		snprintf(out, TYPE_MAX, "%s", ddl->new_types ? "Int128" : "Decimal(38, 0)");
	else
		snprintf(out, TYPE_MAX, "%s", ddl->new_types && c->integer_digits <= 76 ? "Int256" : "String");
}

/* A decimal that holds all digits that were seen, with room for more in front. */
static void decimal_type(const struct ddl *ddl, const struct df_inferred *c, char out[TYPE_MAX])
{
	unsigned digits = c->integer_digits + c->scale;

	if (digits <= 38)
		snprintf(out, TYPE_MAX, "Decimal(38, %u)", c->scale);
	else if (ddl->new_types && digits <= 76)
		snprintf(out, TYPE_MAX, "Decimal(76, %u)", c->scale);
	else
		snprintf(out, TYPE_MAX, "String");
}

static void number_type(const struct ddl *ddl, const struct df_inferred *c, char out[TYPE_MAX])
{
	if (c->whole)
		whole_type(ddl, c, out);
	else if (c->integer_digits + c->fraction_digits <= 15)
		snprintf(out, TYPE_MAX, "Float64");
	else if (ddl->new_types && c->integer_digits + c->fraction_digits <= 76)
		snprintf(out, TYPE_MAX, "Decimal(76, %u)", c->fraction_digits);
	else
		decimal_type(ddl, c, out);
}

/* Without DateTime64 a fraction would be lost. */
static void time_type(const struct ddl *ddl, unsigned second_digits, char out[TYPE_MAX])
{
	if (ddl->new_types)
		snprintf(out, TYPE_MAX, "DateTime64(%d, 'UTC')", ddl->raw ? 3 : second_digits > 6 ? 9 : 6);
	else
		snprintf(out, TYPE_MAX, "%s", second_digits ? "String" : "DateTime('UTC')");
}

static void type_of(const struct ddl *ddl, const struct df_inferred *c, enum df_class class, char out[TYPE_MAX])
{
	static const char *const fixed[] = {
		[DF_CLASS_INT32] = "Int32",	[DF_CLASS_INT64] = "Int64", [DF_CLASS_FLOAT32] = "Float32",
		[DF_CLASS_FLOAT64] = "Float64", [DF_CLASS_UUID] = "UUID",
	};

	switch (class) {
	case DF_CLASS_BOOL:
		snprintf(out, TYPE_MAX, "%s", ddl->new_types ? "Bool" : "UInt8");
		return;
	case DF_CLASS_DECIMAL:
		decimal_type(ddl, c, out);
		return;
	case DF_CLASS_NUMBER:
		number_type(ddl, c, out);
		return;
	case DF_CLASS_DATE:
		snprintf(out, TYPE_MAX, "%s", ddl->new_types ? "Date32" : "Date");
		return;
	case DF_CLASS_TIMESTAMP:
	case DF_CLASS_TIMESTAMPTZ:
		time_type(ddl, c->second_digits, out);
		return;
	case DF_CLASS_TEXT:
		if (c->rfc3339) {
			time_type(ddl, c->second_digits, out);
			return;
		}
		break;
	default:
		break;
	}
	snprintf(out, TYPE_MAX, "%s", (size_t) class < DF_ARRAY_SIZE(fixed) && fixed[class] ? fixed[class] : "String");
}

static bool is_key(const struct df_ch_target *t, struct df_str name)
{
	for (size_t i = 0; i < t->key.count; i++)
		if (df_str_equal_c(name, t->key.items[i]))
			return true;
	return false;
}

static bool is_version(const struct df_ch_target *t, struct df_str name)
{
	return t->settings->replacing_version_column && df_clickhouse_replacing(t->settings) &&
	       df_str_equal_c(name, t->settings->replacing_version_column);
}

static void add_column(struct ddl *ddl, struct df_str name, const char *type, bool nullable)
{
	df_buf_add_c(&ddl->sql, ddl->columns++ ? ",\n  " : " (\n  ");
	df_name_quote(&ddl->sql, DF_QUOTE_BACKTICK, name);
	df_buf_printf(&ddl->sql, nullable ? " Nullable(%s)" : " %s", type);
	ddl->created_at |= df_str_equal(name, DF_STR("created_at"));
}

/* conflictKey, else `id` when every row has it, else nothing. */
static bool orders_by_id(const struct df_ch_target *t, const struct df_inference *rows)
{
	const struct df_inferred *id = rows && !t->key.count ? df_inference_find(rows, DF_STR("id")) : NULL;

	return id && df_inferred_always(rows, id);
}

static void add_columns(struct ddl *ddl, const struct df_inference *rows)
{
	const struct df_ch_target *t = ddl->target;
	bool by_id = orders_by_id(t, rows);

	if (t->raw)
		add_column(ddl, DF_STR("data"), "String", false);
	for (size_t i = 0; rows && i < rows->count; i++) {
		const struct df_inferred *c = &rows->items[i];
		char type[TYPE_MAX];
		bool key = is_key(t, c->name) || (by_id && df_str_equal(c->name, DF_STR("id")));

		if (t->raw && df_str_equal(c->name, DF_STR("data")))
			continue;
		type_of(ddl, c, t->raw ? df_raw_class(t->raw, c) : c->class, type);
		add_column(ddl, c->name, type, !key && !is_version(t, c->name));
	}
	if (!ddl->created_at)
		add_column(ddl, DF_STR("created_at"), "DateTime DEFAULT now()", false);
	df_buf_add_c(&ddl->sql, "\n)");
}

static void add_engine(struct ddl *ddl, const struct df_inference *rows)
{
	const struct df_ch_target *t = ddl->target;
	const char *version = t->settings->replacing_version_column;

	df_buf_add_c(&ddl->sql, " ENGINE = ");
	df_buf_add_c(&ddl->sql, df_clickhouse_replacing(t->settings) ? "ReplacingMergeTree(" : "MergeTree(");
	if (version && df_clickhouse_replacing(t->settings))
		df_name_quote(&ddl->sql, DF_QUOTE_BACKTICK, df_str_c(version));
	df_buf_add_c(&ddl->sql, ") ORDER BY ");
	if (t->key.count) {
		df_buf_add_char(&ddl->sql, '(');
		df_names_quote(&ddl->sql, DF_QUOTE_BACKTICK, &t->key);
		df_buf_add_char(&ddl->sql, ')');
	} else if (orders_by_id(t, rows)) {
		df_buf_add_c(&ddl->sql, "`id`");
	} else if (t->raw) {
		df_buf_add_c(&ddl->sql, "`created_at`");
	} else {
		df_buf_add_c(&ddl->sql, "tuple()");
	}
}

static int refuse(const struct df_ch_target *t, struct df_error *err, const char *why, const char *name)
{
	return df_error_set(err, DF_ERR_CONFIG, "table %s cannot be created: %s%s", t->settings->table_sink.table.value,
			    why, name ? name : "");
}

/* What must be known before a table is made that replaces rows. */
static int check(const struct df_ch_target *t, const struct df_inference *rows, struct df_error *err)
{
	const char *version = t->settings->replacing_version_column;
	bool replacing = df_clickhouse_replacing(t->settings);

	for (size_t i = 0; i < t->key.count; i++) {
		struct df_str name = df_str_c(t->key.items[i]);
		if (!(rows && df_inference_find(rows, name)) && !df_str_equal(name, DF_STR("created_at")))
			return refuse(t, err, "no row of the first batch has the conflictKey column ", t->key.items[i]);
	}
	if (!replacing)
		return 0;
	if (!t->key.count && !orders_by_id(t, rows))
		return refuse(t, err,
			      "a ReplacingMergeTree keeps one row per key, and there is no key; set conflictKey "
			      "(or give every row an id)",
			      NULL);
	if (!version)
		return 0;
	const struct df_inferred *v = rows ? df_inference_find(rows, df_str_c(version)) : NULL;
	if (!v)
		return refuse(t, err, "no row of the first batch has the replacingVersionColumn ", version);
	bool number =
		(v->class == DF_CLASS_INT32 || v->class == DF_CLASS_INT64 || v->class == DF_CLASS_NUMBER) && v->whole;
	bool time = v->class == DF_CLASS_DATE || v->class == DF_CLASS_TIMESTAMP || v->class == DF_CLASS_TIMESTAMPTZ ||
		    (v->class == DF_CLASS_TEXT && v->rfc3339);
	if (!number && !time)
		return refuse(t, err, "the engine takes an integer, a date or a time as version, not what is in ",
			      version);
	return 0;
}

int df_ch_target_create(struct df_ch_target *t, struct df_context *ctx, const struct df_inference *rows,
			struct df_error *err)
{
	struct ddl ddl = { .target = t, .raw = t->raw != NULL, .new_types = t->client->version >= NEW_TYPES };
	int code = check(t, rows, err);

	if (code != 0)
		return code;
	df_buf_add_c(&ddl.sql, "CREATE TABLE IF NOT EXISTS ");
	df_table_name_quote(&ddl.sql, DF_QUOTE_BACKTICK, &t->name);
	add_columns(&ddl, rows);
	add_engine(&ddl, rows);
	code = ddl.sql.failed ? df_error_no_memory(err) : df_ch_exec(t->client, ctx, df_buf_str(&ddl.sql), err);
	df_buf_done(&ddl.sql);
	return code == 0 ? 0 : df_error_prefix(err, "cannot create the table %s", t->settings->table_sink.table.value);
}
