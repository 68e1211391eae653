/* Values into and out of SQLite. */
#include <math.h>
#include <stdio.h>

#include "connectors/sqlite/db.h"
#include "table/convert.h"

/* ---- binding --------------------------------------------------------------------------------------------- */

/* An SQLite result of a bind: only a value that is too large, or no memory, can go wrong. */
static int bound(int result, struct df_error *err)
{
	if (result == SQLITE_OK)
		return 0;
	if (result == SQLITE_TOOBIG)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the value is larger than SQLite can hold");
	return df_error_no_memory(err);
}

static int bind_text(sqlite3_stmt *stmt, int parameter, struct df_str text, struct df_error *err)
{
	return bound(
		sqlite3_bind_text64(stmt, parameter, text.len ? text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8),
		err);
}

static int bind_as_text(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			struct df_error *err)
{
	struct df_str text;
	int code = df_convert_text(v, arena, &text, err);

	return code == 0 ? bind_text(stmt, parameter, text, err) : code;
}

static int bind_as_bytes(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			 struct df_error *err)
{
	struct df_str bytes;
	int code = df_convert_bytes(v, arena, &bytes, err);

	if (code != 0)
		return code;
	return bound(sqlite3_bind_blob64(stmt, parameter, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC), err);
}

static int bind_as_int64(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			 struct df_error *err)
{
	int64_t whole = 0;
	int code = df_convert_int64(v, arena, &whole, err);

	return code == 0 ? bound(sqlite3_bind_int64(stmt, parameter, whole), err) : code;
}

static int bind_as_double(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			  struct df_error *err)
{
	double d = 0;
	int code = df_convert_double(v, arena, &d, err);

	if (code != 0)
		return code;
	/* SQLite would store NULL. */
	if (isnan(d))
		return df_error_set(err, DF_ERR_INVALID_DATA, "SQLite cannot hold NaN as a number; use a TEXT column");
	return bound(sqlite3_bind_double(stmt, parameter, d), err);
}

/* An integer or a double, whichever keeps the digits. NUMERIC affinity turns a whole double into an integer. */
static int bind_as_number(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			  struct df_error *err)
{
	int64_t whole;

	if (df_convert_plain_int64(v, &whole))
		return bound(sqlite3_bind_int64(stmt, parameter, whole), err);
	int code = bind_as_double(stmt, parameter, v, arena, err);
	if (code == DF_ERR_INVALID_DATA && df_convert_int64(v, arena, &whole, NULL) == 0)
		return bound(sqlite3_bind_int64(stmt, parameter, whole), err);
	return code;
}

static int bind_as_bool(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			struct df_error *err)
{
	bool yes = false;
	int code = df_convert_bool(v, arena, &yes, err);

	return code == 0 ? bound(sqlite3_bind_int(stmt, parameter, yes), err) : code;
}

#define TIME_TEXT_MAX 48

/* ".123456789" without trailing zeros, or nothing. */
static int print_fraction(char *out, size_t size, int nanosecond)
{
	if (nanosecond == 0)
		return 0;
	int len = snprintf(out, size, ".%09d", nanosecond);
	while (out[len - 1] == '0')
		len--;
	return len;
}

static int bind_as_time(sqlite3_stmt *stmt, int parameter, enum df_sqlite_kind kind, struct df_value *v,
			struct df_arena *arena, struct df_error *err)
{
	char text[TIME_TEXT_MAX];
	struct df_civil t = { 0 };
	int len;

	/* Seconds since 1970 and Julian days are SQLite's other forms of a time. */
	if (v->kind == DF_NUMBER)
		return bind_as_number(stmt, parameter, v, arena, err);
	int code = df_convert_timestamp(v, arena, &t, err);
	if (code != 0)
		return code;
	if (kind == DF_SQLITE_DATE) {
		if (t.hour || t.minute || t.second || t.nanosecond)
			return df_error_set(err, DF_ERR_INVALID_DATA, "the time of day does not fit a column of dates");
		len = snprintf(text, sizeof(text), "%04d-%02d-%02d", (int)t.year, t.month, t.day);
	} else {
		bool zone = kind == DF_SQLITE_TIMESTAMPTZ;
		len = snprintf(text, sizeof(text), "%04d-%02d-%02d%c%02d:%02d:%02d", (int)t.year, t.month, t.day,
			       zone ? 'T' : ' ', t.hour, t.minute, t.second);
		len += print_fraction(text + len, sizeof(text) - (size_t)len, t.nanosecond);
		if (zone)
			text[len++] = 'Z';
	}
	struct df_str copy = df_arena_dup(arena, df_str(text, (size_t)len));
	return copy.ptr ? bind_text(stmt, parameter, copy, err) : df_error_no_memory(err);
}

/* The text is JSON already when its logical type says so (raw mode's data), else the value is written as JSON. */
static int bind_as_json(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
			struct df_error *err)
{
	if (v->kind == DF_STRING && v->logical == DF_LOGICAL_JSON)
		return bind_as_text(stmt, parameter, v, arena, err);
	struct df_str text = df_value_to_arena(v, arena);
	return text.ptr ? bind_text(stmt, parameter, text, err) : df_error_no_memory(err);
}

/* Without a declared type: the storage class that fits the value. */
static int bind_as_is(sqlite3_stmt *stmt, int parameter, struct df_value *v, struct df_arena *arena,
		      struct df_error *err)
{
	if (v->repr == DF_REPR_BYTES && v->kind == DF_STRING)
		return bind_as_bytes(stmt, parameter, v, arena, err);
	if (v->kind == DF_TRUE || v->kind == DF_FALSE)
		return bind_as_int64(stmt, parameter, v, arena, err);
	if (v->kind == DF_NUMBER && bind_as_number(stmt, parameter, v, arena, NULL) == 0)
		return 0;
	return bind_as_text(stmt, parameter, v, arena, err);
}

static int bind_by_kind(sqlite3_stmt *stmt, int parameter, enum df_sqlite_kind kind, struct df_value *v,
			struct df_arena *arena, struct df_error *err)
{
	switch (kind) {
	case DF_SQLITE_ANY:
		return bind_as_is(stmt, parameter, v, arena, err);
	case DF_SQLITE_INTEGER:
		return bind_as_int64(stmt, parameter, v, arena, err);
	case DF_SQLITE_REAL:
		return bind_as_double(stmt, parameter, v, arena, err);
	case DF_SQLITE_NUMERIC:
		return bind_as_number(stmt, parameter, v, arena, err);
	case DF_SQLITE_BOOLEAN:
		return bind_as_bool(stmt, parameter, v, arena, err);
	case DF_SQLITE_BLOB:
		return bind_as_bytes(stmt, parameter, v, arena, err);
	case DF_SQLITE_DATE:
	case DF_SQLITE_TIMESTAMP:
	case DF_SQLITE_TIMESTAMPTZ:
		return bind_as_time(stmt, parameter, kind, v, arena, err);
	case DF_SQLITE_JSON:
		return bind_as_json(stmt, parameter, v, arena, err);
	case DF_SQLITE_TIME:
	case DF_SQLITE_TEXT:
		break;
	}
	return bind_as_text(stmt, parameter, v, arena, err);
}

int df_sqlite_bind(sqlite3_stmt *stmt, int parameter, const struct df_column *column, struct df_value *v,
		   struct df_arena *arena, struct df_error *err)
{
	if (v->kind == DF_NULL)
		return bound(sqlite3_bind_null(stmt, parameter), err);

	int code = bind_by_kind(stmt, parameter, (enum df_sqlite_kind)column->kind, v, arena, err);
	if (code == 0)
		return 0;
	df_error_prefix(err, "column \"%s\"%s%s", column->name, *column->type ? " " : "", column->type);
	return code;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* A declared time whose text is one: RFC 3339, as messages carry it. NULL: it stays the text it is. */
static struct df_value *read_timestamp(struct df_str text, struct df_arena *arena)
{
	char out[DF_RFC3339_MAX];
	struct df_civil civil;
	bool has_offset;
	int32_t offset = 0;

	if (!df_time_parse(text, &civil, &has_offset, &offset))
		return NULL;
	struct df_instant t = df_civil_to_unix(&civil);
	t.seconds -= offset;
	size_t len = df_rfc3339_format(t, 0, DF_FRACTION_SHORT, out);
	struct df_value *v = df_value_string_copy(arena, df_str(out, len));
	if (v)
		v->logical = has_offset ? DF_LOGICAL_TIMESTAMPTZ : DF_LOGICAL_TIMESTAMP;
	return v;
}

/* Does `text` stand in the form that the suffix or prefix completes to a time? */
static bool completes(const char *before, struct df_str text, const char *after)
{
	char whole[TIME_TEXT_MAX];
	struct df_civil civil;
	bool has_offset;
	int32_t offset;
	int len = snprintf(whole, sizeof(whole), "%s" DF_STR_FMT "%s", before, DF_STR_ARG(text), after);

	return len > 0 && (size_t)len < sizeof(whole) &&
	       df_time_parse(df_str(whole, (size_t)len), &civil, &has_offset, &offset) && !has_offset;
}

static struct df_value *read_text(struct df_str text, enum df_sqlite_kind kind, struct df_arena *arena)
{
	struct df_value *v = NULL;

	if (kind == DF_SQLITE_TIMESTAMP || kind == DF_SQLITE_TIMESTAMPTZ)
		v = read_timestamp(text, arena);
	else if (kind == DF_SQLITE_JSON && df_value_parse(text, arena, &v, NULL) != DF_PARSE_OK)
		v = NULL;
	if (v)
		return v;

	v = df_value_string(arena, text);
	if (v && kind == DF_SQLITE_DATE && completes("", text, "T00:00:00"))
		v->logical = DF_LOGICAL_DATE;
	else if (v && kind == DF_SQLITE_TIME && completes("2000-01-01T", text, ""))
		v->logical = DF_LOGICAL_TIME;
	else if (v)
		v->logical = DF_LOGICAL_TEXT;
	return v;
}

struct df_value *df_sqlite_read(sqlite3_stmt *stmt, int i, enum df_sqlite_kind kind, struct df_arena *arena,
				bool *ret_not_utf8)
{
	struct df_str data;
	int64_t whole;

	*ret_not_utf8 = false;
	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		whole = sqlite3_column_int64(stmt, i);
		if (kind == DF_SQLITE_BOOLEAN && (whole == 0 || whole == 1))
			return df_value_new(arena, whole ? DF_TRUE : DF_FALSE);
		return df_value_int64(arena, whole);
	case SQLITE_FLOAT:
		return df_value_float64(arena, sqlite3_column_double(stmt, i));
	case SQLITE_TEXT:
		data.ptr = (const char *)sqlite3_column_text(stmt, i);
		data.len = (size_t)sqlite3_column_bytes(stmt, i);
		data = data.ptr ? df_arena_dup(arena, data) : data;
		if (!data.ptr)
			return NULL;
		*ret_not_utf8 = !df_utf8_valid(data, NULL);
		return *ret_not_utf8 ? df_value_bytes(arena, data) : read_text(data, kind, arena);
	case SQLITE_BLOB:
		data = df_str(sqlite3_column_blob(stmt, i), (size_t)sqlite3_column_bytes(stmt, i));
		data = df_arena_dup(arena, data);
		return data.ptr ? df_value_bytes(arena, data) : NULL;
	default:
		return df_value_new(arena, DF_NULL);
	}
}
