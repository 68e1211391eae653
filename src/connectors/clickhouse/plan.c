#include "connectors/clickhouse/plan.h"

#include <math.h>
#include <stdio.h>

#include "base/time.h"
#include "connectors/clickhouse/wide.h"
#include "connectors/polling.h"

#define WITH_TIES 20001 /* the version that learned LIMIT n WITH TIES */

void df_ch_plan_done(struct df_ch_plan *p)
{
	df_ch_description_done(&p->columns);
	df_buf_done(&p->from);
	df_buf_done(&p->t_sql);
	df_buf_done(&p->k_sql);
	df_buf_done(&p->list);
	df_buf_done(&p->legacy);
}

/* ---- the source's SQL ------------------------------------------------------------------------------------ */

static int write_from(struct df_ch_plan *p, struct df_error *err)
{
	df_cleanup(df_table_name_done) struct df_table_name table = { 0 };

	p->from.len = 0;
	if (p->settings->query) {
		df_cursor_wrap(&p->from, df_query_trim(df_str_c(p->settings->query)));
		return 0;
	}
	int code = df_table_name_split(df_str_c(p->settings->table.value), &table, err);
	if (code == 0)
		df_table_name_quote(&p->from, DF_QUOTE_BACKTICK, &table);
	return code;
}

/* The query in brackets, as DESCRIBE TABLE takes it: without a name. */
static void write_described(const struct df_ch_plan *p, struct df_buf *sql)
{
	if (!p->settings->query) {
		df_buf_add_str(sql, df_buf_str(&p->from));
		return;
	}
	df_buf_add_char(sql, '(');
	df_buf_add_str(sql, df_query_trim(df_str_c(p->settings->query)));
	df_buf_add_c(sql, "\n)");
}

/* Is it in `SELECT *`? */
static bool is_selected(const struct df_ch_described *c)
{
	return c->default_kind.len == 0 || df_str_equal(c->default_kind, DF_STR("DEFAULT"));
}

static bool needs_text(const struct df_ch_described *c)
{
	return is_selected(c) && df_ch_type_unreadable(c->type);
}

/* Aggregate states have no text that means something. */
static bool has_aggregate(const struct df_ch_type *t)
{
	if (t->kind == DF_CH_OPAQUE && df_str_starts(t->name, DF_STR("AggregateFunction")))
		return true;
	for (size_t i = 0; t->children && i < t->count; i++)
		if (has_aggregate(t->children[i]))
			return true;
	return false;
}

/* `*`, or the columns by name when some are to come as JSON text. */
static int write_list(struct df_ch_plan *p, struct df_error *err)
{
	bool any = false;

	p->list.len = 0;
	for (size_t i = 0; i < p->columns.count; i++) {
		const struct df_ch_described *c = &p->columns.columns[i];

		for (size_t k = 0; k < i; k++)
			if (df_str_equal(p->columns.columns[k].name, c->name))
				return df_error_set(err, DF_ERR_CONFIG,
						    "the query gives two columns with the name \"" DF_STR_FMT
						    "\"; rename one with AS",
						    DF_STR_ARG(c->name));
		if (is_selected(c) && has_aggregate(c->type))
			return df_error_set(err, DF_ERR_CONFIG,
					    "column \"" DF_STR_FMT "\" has the type " DF_STR_FMT
					    ", whose states cannot be read; use a query with finalizeAggregation",
					    DF_STR_ARG(c->name), DF_STR_ARG(c->type->name));
		any |= needs_text(c);
	}
	for (size_t i = 0; i < p->columns.count && any; i++) {
		const struct df_ch_described *c = &p->columns.columns[i];

		if (!is_selected(c))
			continue;
		df_buf_add_c(&p->list, p->list.len ? ", " : "");
		if (needs_text(c))
			df_buf_add_c(&p->list, "toJSONString(");
		df_name_quote(&p->list, DF_QUOTE_BACKTICK, c->name);
		if (needs_text(c)) {
			df_buf_add_c(&p->list, ") AS ");
			df_name_quote(&p->list, DF_QUOTE_BACKTICK, c->name);
		}
	}
	return p->list.failed ? df_error_no_memory(err) : 0;
}

/* ---- columns of the cursor ------------------------------------------------------------------------------- */

static const struct df_ch_described *find(const struct df_ch_plan *p, const char *name)
{
	const struct df_ch_described *c = df_ch_described_find(&p->columns, df_str_c(name));

	return c && is_selected(c) ? c : NULL;
}

static int check_orderable(const struct df_ch_described *c, const char *setting, struct df_error *err)
{
	if (!c)
		return 0;
	const struct df_ch_type *t = df_ch_type_inner(c->type, NULL);
	if (t->kind <= DF_CH_FIXED_STRING || t->kind == DF_CH_STRING)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG,
			    "column \"" DF_STR_FMT "\", which %s names, has the type " DF_STR_FMT
			    "; rows are read in its order, so it must be a number, a text or a time",
			    DF_STR_ARG(c->name), setting, DF_STR_ARG(c->type->name));
}

static bool is_nullable(const struct df_ch_described *c)
{
	bool nullable = false;

	if (c)
		(void)df_ch_type_inner(c->type, &nullable);
	return nullable;
}

static void write_legacy(struct df_ch_plan *p)
{
	const struct df_ch_described *t = find(p, DF_CH_CHANGE_COLUMN);
	const struct df_ch_described *k = find(p, p->settings->order_by_column);

	p->legacy.len = 0;
	df_buf_add_c(&p->legacy, "SELECT ");
	df_buf_add_str(&p->legacy, p->list.len ? df_buf_str(&p->list) : DF_STR("*"));
	df_buf_add_c(&p->legacy, " FROM ");
	df_buf_add_str(&p->legacy, df_buf_str(&p->from));
	if (!t || !k) {
		df_warn(p->logger,
			"the query gives no column %s: its rows come in the order in which the server has them",
			t ? p->settings->order_by_column : DF_CH_CHANGE_COLUMN);
		return;
	}
	df_buf_add_c(&p->legacy, " ORDER BY ");
	df_name_quote(&p->legacy, DF_QUOTE_BACKTICK, t->name);
	df_buf_add_c(&p->legacy, ", ");
	df_name_quote(&p->legacy, DF_QUOTE_BACKTICK, k->name);
}

static int write_cursor(struct df_ch_plan *p, const struct df_ch_client *client, struct df_error *err)
{
	p->t_sql.len = p->k_sql.len = 0;
	if (p->t && p->t != p->k)
		df_name_quote(&p->t_sql, DF_QUOTE_BACKTICK, p->t->name);
	if (p->k)
		df_name_quote(&p->k_sql, DF_QUOTE_BACKTICK, p->k->name);
	if (p->from.failed || p->t_sql.failed || p->k_sql.failed || p->legacy.failed)
		return df_error_no_memory(err);
	*p->table = (struct df_cursor_table){
		.from = df_buf_str(&p->from),
		.t = df_buf_str(&p->t_sql),
		.k = df_buf_str(&p->k_sql),
		.t_nullable = is_nullable(p->t),
		.k_nullable = is_nullable(p->k),
		.limit = client->version >= WITH_TIES ? df_cursor_limit_ties : df_cursor_limit,
	};
	if (p->t == p->k)
		p->t = NULL;
	p->legacy_sql = df_buf_str(&p->legacy);
	return 0;
}

int df_ch_plan_make(struct df_ch_plan *p, struct df_ch_client *client, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf described = { 0 };
	const struct df_polling_settings *settings = p->settings;
	bool legacy = df_polling_is_legacy(settings);
	int code = write_from(p, err);

	if (code == 0) {
		write_described(p, &described);
		code = df_ch_describe(client, ctx, df_buf_str(&described), &p->columns, err);
	}
	if (code == 0)
		code = write_list(p, err);
	if (code != 0)
		return code;
	p->t = legacy ? NULL : find(p, p->change_column);
	p->k = find(p, settings->order_by_column);
	if (legacy) {
		write_legacy(p);
		p->k = NULL;
		return write_cursor(p, client, err);
	}
	code = df_polling_check_columns(settings, p->change_column, p->logger, "", p->t, p->k, err);
	if (code == 0)
		code = check_orderable(p->t, "changeTrackingColumn", err);
	if (code == 0)
		code = check_orderable(p->k, "orderByColumn", err);
	return code == 0 ? write_cursor(p, client, err) : code;
}

/* ---- values of positions --------------------------------------------------------------------------------- */

static void add_cast(struct df_buf *sql, struct df_str text, struct df_str type)
{
	df_buf_add_c(sql, "CAST(");
	df_ch_quote(sql, text);
	df_buf_add_c(sql, ", ");
	df_ch_quote(sql, type);
	df_buf_add_char(sql, ')');
}

static void add_time(struct df_buf *sql, const struct df_ch_type *type, struct df_str rfc3339)
{
	struct df_instant at;
	char text[64];
	char name[32];

	if (!df_rfc3339_parse(rfc3339, &at) || type->kind < DF_CH_DATE || type->kind > DF_CH_DATETIME64) {
		add_cast(sql, rfc3339, type->name);
		return;
	}
	struct df_civil c = df_civil_from_unix(at, 0);
	int len = snprintf(text, sizeof(text), "%04d-%02d-%02d", (int)c.year, c.month, c.day);
	if (type->kind == DF_CH_DATE) {
		add_cast(sql, df_str(text, (size_t)len), type->name);
		return;
	}
	len += snprintf(text + len, sizeof(text) - (size_t)len, " %02d:%02d:%02d.%09d", c.hour, c.minute, c.second,
			c.nanosecond);
	len -= type->scale ? 9 - type->scale : 10;
	if (type->kind == DF_CH_DATETIME)
		snprintf(name, sizeof(name), "DateTime('UTC')");
	else
		snprintf(name, sizeof(name), "DateTime64(%u, 'UTC')", type->scale);
	add_cast(sql, df_str(text, (size_t)len), df_str_c(name));
}

void df_ch_literal(struct df_buf *sql, const struct df_ch_type *type, const struct df_cursor_value *v)
{
	switch (v->kind) {
	case DF_CURSOR_NUMBER:
		/* Cast from text: a number would be a double when it is large, and is the column `1` of a table that
		 * has one. */
		if (type->kind == DF_CH_BOOL)
			df_buf_add_str(sql, v->text);
		else if (type->kind == DF_CH_FLOAT && memchr(v->text.ptr, 'e', v->text.len) &&
			 df_str_ends(v->text, DF_STR("9e999")))
			df_buf_add_c(sql, v->text.ptr[0] == '-' ? "-inf" : "inf");
		else
			add_cast(sql, v->text, type->name);
		return;
	case DF_CURSOR_TIME:
		add_time(sql, type, v->text);
		return;
	case DF_CURSOR_BYTES:
		df_buf_add_c(sql, "unhex('");
		for (size_t i = 0; i < v->text.len; i++)
			df_buf_printf(sql, "%02X", (unsigned char)v->text.ptr[i]);
		df_buf_add_c(sql, "')");
		return;
	default:
		if (type->kind == DF_CH_STRING || type->kind == DF_CH_FIXED_STRING)
			df_ch_quote(sql, v->text);
		else
			add_cast(sql, v->text, type->name);
		return;
	}
}

static int64_t load(const uint8_t *p, size_t size, bool is_signed)
{
	uint64_t n = 0;

	memcpy(&n, p, size);
	unsigned unused = (unsigned)(64 - 8 * size);
	return is_signed ? (int64_t)(n << unused) >> unused : (int64_t)n;
}

/* The instant of a DATE, DATETIME or DATETIME64. */
static struct df_instant instant_of(const struct df_ch_type *t, const uint8_t *p)
{
	int64_t second = 1;

	if (t->kind == DF_CH_DATE)
		return (struct df_instant){ .seconds = load(p, t->size, t->size == 4) * 86400 };
	if (t->kind == DF_CH_DATETIME)
		return (struct df_instant){ .seconds = load(p, 4, false) };
	for (unsigned i = 0; i < t->scale; i++)
		second *= 10;
	int64_t ticks = load(p, 8, true);
	int64_t rest = ticks % second;
	struct df_instant at = { .seconds = ticks / second };
	if (rest < 0) {
		rest += second;
		at.seconds--;
	}
	at.nanoseconds = (int32_t)(rest * (1000000000 / second));
	return at;
}

static int text_key(struct df_str s, struct df_cursor_value *ret)
{
	ret->kind = df_utf8_valid(s, NULL) ? DF_CURSOR_TEXT : DF_CURSOR_BYTES;
	ret->text = s;
	return 0;
}

static int float_key(const struct df_ch_type *t, const uint8_t *p, char *text, struct df_cursor_value *ret,
		     struct df_error *err)
{
	uint32_t bits = t->size == 2 ? (uint32_t)load(p, 2, false) << 16 : (uint32_t)load(p, 4, false);
	double d;
	float f;

	memcpy(&f, &bits, sizeof(f));
	d = f;
	if (t->size == 8)
		memcpy(&d, p, sizeof(d));
	ret->kind = DF_CURSOR_NUMBER;
	if (isnan(d))
		return df_error_set(err, DF_ERR_UNKNOWN,
				    "the column that rows are ordered by holds NaN, which no position can keep");
	if (!isfinite(d))
		ret->text = d > 0 ? DF_STR("9e999") : DF_STR("-9e999");
	else
		ret->text = df_str(text, t->size == 8 ? df_number_from_double(d, text) : df_number_from_float(f, text));
	return 0;
}

int df_ch_cursor_value(const struct df_ch_column *c, size_t row, char text[DF_CH_KEY_TEXT], struct df_cursor_value *ret,
		       struct df_error *err)
{
	*ret = (struct df_cursor_value){ .kind = DF_CURSOR_NULL };
	if (!df_ch_resolve(&c, &row))
		return 0;
	const struct df_ch_type *t = c->type;
	if (t->kind == DF_CH_STRING)
		return text_key(df_ch_string(c, row), ret);

	const uint8_t *p = df_ch_fixed(c, row);
	switch (t->kind) {
	case DF_CH_INT:
	case DF_CH_UINT:
	case DF_CH_BOOL:
	case DF_CH_DECIMAL:
		ret->kind = DF_CURSOR_NUMBER;
		ret->text =
			df_str(text, t->size <= 4 ? df_number_from_int64(load(p, t->size, t->kind == DF_CH_INT), text)
						  : df_ch_wide_text(p, t->size, t->kind == DF_CH_INT, 0, text));
		if (t->kind == DF_CH_DECIMAL)
			ret->text.len = df_ch_wide_text(p, t->size, true, t->scale, text);
		return 0;
	case DF_CH_FLOAT:
		return float_key(t, p, text, ret, err);
	case DF_CH_DATE:
	case DF_CH_DATETIME:
	case DF_CH_DATETIME64:
		ret->kind = DF_CURSOR_TIME;
		ret->text = df_str(text, df_rfc3339_format(instant_of(t, p), 0, DF_FRACTION_SHORT, text));
		return 0;
	case DF_CH_FIXED_STRING:
		return text_key(df_str((const char *)p, t->size), ret);
	case DF_CH_NOTHING:
		return 0;
	default:
		break;
	}
	/* The others as they are written in a document: enum labels, UUIDs, addresses, times. */
	df_cleanup(df_arena_done) struct df_arena arena;
	struct df_value *v;
	bool not_utf8 = false;
	df_arena_init(&arena, NULL);
	int code = df_ch_value(c, row, &arena, &v, &not_utf8, err);
	if (code != 0)
		return code;
	struct df_str s = v->repr == DF_REPR_BYTES ? df_str(v->text, v->len) : df_value_text(v, &arena);
	if (s.len >= DF_CH_KEY_TEXT)
		return df_error_set(err, DF_ERR_UNKNOWN,
				    "the column that rows are ordered by holds a text that is too "
				    "long for a position");
	memcpy(text, s.ptr, s.len);
	return text_key(df_str(text, s.len), ret);
}
