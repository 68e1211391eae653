#include "connectors/trino/decode_internal.h"

#include <stdlib.h>

#include "base/cleanup.h"

static int decode(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		  struct df_value **ret);

int df_trino_no_such(const struct df_trino_type *type, const struct df_value *from, const struct decoding *d)
{
	return df_error_set(d->err, DF_ERR_INVALID_DATA, "the server sent %s as a value of the type " DF_STR_FMT,
			    df_kind_words(from->kind), DF_STR_ARG(type->text));
}

static int give(struct df_value *v, const struct decoding *d, struct df_value **ret)
{
	*ret = v;
	return v ? 0 : df_error_no_memory(d->err);
}

/* The content of a string, still in the page's memory. */
int df_trino_text_of(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		     struct df_str *ret)
{
	if (from->kind != DF_STRING)
		return df_trino_no_such(type, from, d);
	*ret = df_value_text(from, d->arena);
	return ret->ptr ? 0 : df_error_no_memory(d->err);
}

/* A string of that logical type with a copy of the text. */
int df_trino_give_text(struct df_str text, enum df_logical logical, const struct decoding *d, struct df_value **ret)
{
	struct df_value *v = df_value_string_copy(d->arena, text);

	if (v)
		v->logical = (uint8_t)logical;
	return give(v, d, ret);
}

/* ---- scalars --------------------------------------------------------------------------------------------- */

static int decode_bool(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	if (from->kind != DF_TRUE && from->kind != DF_FALSE)
		return df_trino_no_such(type, from, d);
	return give(df_value_new(d->arena, from->kind), d, ret);
}

static int decode_int(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret)
{
	int64_t n;

	if (!df_value_to_int64(from, &n))
		return df_trino_no_such(type, from, d);
	struct df_value *v = df_value_int64(d->arena, n);
	if (v)
		v->logical = type->kind == DF_TRINO_BIGINT ? DF_LOGICAL_INT64 : DF_LOGICAL_INT32;
	return give(v, d, ret);
}

static int decode_double(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			 struct df_value **ret)
{
	char digits[DF_NUMBER_MAX];
	double n;

	if (from->kind == DF_STRING) {
		char text[16];
		char *end;
		struct df_str s = df_value_text(from, d->arena);

		if (!s.ptr || s.len >= sizeof(text))
			return df_trino_no_such(type, from, d);
		memcpy(text, s.ptr, s.len);
		text[s.len] = '\0';
		n = strtod(text, &end); /* NaN, Infinity, -Infinity: no locale in them */
		if (*end || end == text)
			return df_trino_no_such(type, from, d);
	} else if (!df_value_to_double(from, &n)) {
		return df_trino_no_such(type, from, d);
	}
	if (type->kind == DF_TRINO_DOUBLE || n - n != 0)
		return give(df_value_float64(d->arena, n), d, ret);

	/* A real is written by its own shortest digits. */
	struct df_str text = df_arena_dup(d->arena, df_str(digits, df_number_from_float((float)n, digits)));
	struct df_value *v = text.ptr ? df_value_number(d->arena, text) : NULL;
	if (v)
		v->logical = DF_LOGICAL_FLOAT32;
	return give(v, d, ret);
}

static int decode_decimal(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			  struct df_value **ret)
{
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!df_number_valid(text))
		return df_trino_no_such(type, from, d);
	text = df_arena_dup(d->arena, text);
	struct df_value *v = text.ptr ? df_value_number(d->arena, text) : NULL;
	if (v)
		v->logical = DF_LOGICAL_DECIMAL;
	return give(v, d, ret);
}

static int decode_text(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	return code == 0 ? df_trino_give_text(text, type->kind == DF_TRINO_UUID ? DF_LOGICAL_UUID : DF_LOGICAL_TEXT, d,
					      ret)
			 : code;
}

static int decode_bytes(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf raw = { 0 };
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!df_buf_add_base64_decoded(&raw, text))
		return raw.failed ? df_error_no_memory(d->err) : df_trino_no_such(type, from, d);
	struct df_str bytes = df_arena_dup(d->arena, df_buf_str(&raw));
	return give(bytes.ptr ? df_value_bytes(d->arena, bytes) : NULL, d, ret);
}

static int decode_json(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	struct df_str text;
	int code = df_trino_text_of(type, from, d, &text);

	if (code != 0)
		return code;
	text = df_arena_dup(d->arena, text);
	if (!text.ptr)
		return df_error_no_memory(d->err);
	code = df_value_parse_text(text, d->arena, ret, d->err);
	if (code == 0 && !df_value_is_container(*ret))
		(*ret)->logical = DF_LOGICAL_JSON;
	return code;
}

/* ---- containers ------------------------------------------------------------------------------------------ */

static int decode_array(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			struct df_value **ret)
{
	if (from->kind != DF_ARRAY)
		return df_trino_no_such(type, from, d);
	struct df_value *array = df_value_new(d->arena, DF_ARRAY);
	if (!array)
		return df_error_no_memory(d->err);
	df_for_each (item, from) {
		struct df_value *v;
		int code = decode(type->parts[0], item, d, &v);
		if (code != 0)
			return code;
		df_array_append(array, v);
	}
	*ret = array;
	return 0;
}

/* Keys come as text whatever their type. */
static int decode_map(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret)
{
	if (from->kind != DF_OBJECT)
		return df_trino_no_such(type, from, d);
	struct df_value *object = df_value_new(d->arena, DF_OBJECT);
	if (!object)
		return df_error_no_memory(d->err);
	df_for_each (member, from) {
		struct df_str key = df_arena_dup(d->arena, df_value_key(member));
		struct df_value *v;
		int code = decode(type->parts[1], member, d, &v);
		if (code != 0)
			return code;
		if (!key.ptr)
			return df_error_no_memory(d->err);
		df_object_append(object, key, v);
	}
	*ret = object;
	return 0;
}

/* An array of the fields' values: an object when all fields have names. */
static int decode_row(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret)
{
	bool named = true;
	size_t i = 0;

	if (from->kind != DF_ARRAY || from->len != type->count)
		return df_trino_no_such(type, from, d);
	for (i = 0; i < type->count; i++)
		named = named && type->names[i].len;
	struct df_value *row = df_value_new(d->arena, named ? DF_OBJECT : DF_ARRAY);
	if (!row)
		return df_error_no_memory(d->err);
	i = 0;
	df_for_each (item, from) {
		struct df_value *v;
		int code = decode(type->parts[i], item, d, &v);
		if (code != 0)
			return code;
		if (!named) {
			df_array_append(row, v);
		} else {
			struct df_str key = df_arena_dup(d->arena, type->names[i]);
			if (!key.ptr)
				return df_error_no_memory(d->err);
			df_object_set(row, key, v);
		}
		i++;
	}
	*ret = row;
	return 0;
}

/* A type without a form of its own: its text, or the JSON it came as. */
static int decode_other(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			struct df_value **ret)
{
	(void)type;
	return give(df_value_clone_deep(from, d->arena), d, ret);
}

/* ---- */

static decode_fn *const decoders[] = {
	[DF_TRINO_OTHER] = decode_other,
	[DF_TRINO_BOOLEAN] = decode_bool,
	[DF_TRINO_TINYINT] = decode_int,
	[DF_TRINO_SMALLINT] = decode_int,
	[DF_TRINO_INTEGER] = decode_int,
	[DF_TRINO_BIGINT] = decode_int,
	[DF_TRINO_REAL] = decode_double,
	[DF_TRINO_DOUBLE] = decode_double,
	[DF_TRINO_DECIMAL] = decode_decimal,
	[DF_TRINO_VARCHAR] = decode_text,
	[DF_TRINO_CHAR] = decode_text,
	[DF_TRINO_VARBINARY] = decode_bytes,
	[DF_TRINO_DIGEST] = decode_bytes,
	[DF_TRINO_JSON] = decode_json,
	[DF_TRINO_DATE] = df_trino_decode_date,
	[DF_TRINO_TIME] = df_trino_decode_time,
	[DF_TRINO_TIME_TZ] = df_trino_decode_time,
	[DF_TRINO_TIMESTAMP] = df_trino_decode_timestamp,
	[DF_TRINO_TIMESTAMP_TZ] = df_trino_decode_instant,
	[DF_TRINO_INTERVAL_MONTH] = df_trino_decode_months,
	[DF_TRINO_INTERVAL_SECOND] = df_trino_decode_seconds,
	[DF_TRINO_UUID] = decode_text,
	[DF_TRINO_IPADDRESS] = decode_text,
	[DF_TRINO_UNKNOWN] = decode_other,
	[DF_TRINO_ARRAY] = decode_array,
	[DF_TRINO_MAP] = decode_map,
	[DF_TRINO_ROW] = decode_row,
};

static int decode(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		  struct df_value **ret)
{
	if (from->kind == DF_NULL)
		return give(df_value_new(d->arena, DF_NULL), d, ret);
	return decoders[type->kind](type, from, d, ret);
}

int df_trino_decode(const struct df_trino_type *type, struct df_value *from, struct df_arena *arena,
		    struct df_trino_zones *zones, struct df_value **ret, struct df_error *err)
{
	const struct decoding d = { .arena = arena, .zones = zones, .err = err };

	return decode(type, from, &d, ret);
}
