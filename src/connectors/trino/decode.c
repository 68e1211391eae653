#include "connectors/trino/decode.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"

/* What one call works with. */
struct decoding {
	struct df_arena *arena;
	struct df_error *err;
};

typedef int decode_fn(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret);

static int decode(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		  struct df_value **ret);

static int no_such(const struct df_trino_type *type, const struct df_value *from, const struct decoding *d)
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
static int text_of(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		   struct df_str *ret)
{
	if (from->kind != DF_STRING)
		return no_such(type, from, d);
	*ret = df_value_text(from, d->arena);
	return ret->ptr ? 0 : df_error_no_memory(d->err);
}

/* A string of that logical type with a copy of the text. */
static int give_text(struct df_str text, enum df_logical logical, const struct decoding *d, struct df_value **ret)
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
		return no_such(type, from, d);
	return give(df_value_new(d->arena, from->kind), d, ret);
}

static int decode_int(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		      struct df_value **ret)
{
	int64_t n;

	if (!df_value_to_int64(from, &n))
		return no_such(type, from, d);
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
			return no_such(type, from, d);
		memcpy(text, s.ptr, s.len);
		text[s.len] = '\0';
		n = strtod(text, &end); /* NaN, Infinity, -Infinity: no locale in them */
		if (*end || end == text)
			return no_such(type, from, d);
	} else if (!df_value_to_double(from, &n)) {
		return no_such(type, from, d);
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
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!df_number_valid(text))
		return no_such(type, from, d);
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
	int code = text_of(type, from, d, &text);

	return code == 0 ? give_text(text, type->kind == DF_TRINO_UUID ? DF_LOGICAL_UUID : DF_LOGICAL_TEXT, d, ret)
			 : code;
}

static int decode_bytes(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf raw = { 0 };
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!df_buf_add_base64_decoded(&raw, text))
		return raw.failed ? df_error_no_memory(d->err) : no_such(type, from, d);
	struct df_str bytes = df_arena_dup(d->arena, df_buf_str(&raw));
	return give(bytes.ptr ? df_value_bytes(d->arena, bytes) : NULL, d, ret);
}

static int decode_json(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	struct df_str text;
	int code = text_of(type, from, d, &text);

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

/* ---- times ----------------------------------------------------------------------------------------------- */

/* Length of a time text without the zeros at the end of its fraction. */
static struct df_str trim_fraction(struct df_str text)
{
	if (!memchr(text.ptr, '.', text.len))
		return text;
	while (text.len && text.ptr[text.len - 1] == '0')
		text.len--;
	if (text.len && text.ptr[text.len - 1] == '.')
		text.len--;
	return text;
}

/* Appends a year as ISO 8601 has it: four digits, else with a sign. `text` begins with the digits of the year. */
static struct df_str add_date(struct df_buf *out, struct df_str text)
{
	bool negative = text.len && text.ptr[0] == '-';
	size_t start = text.len && (negative || text.ptr[0] == '+');
	const char *dash = text.len > start ? memchr(text.ptr + start, '-', text.len - start) : NULL;
	size_t digits = dash ? (size_t)(dash - text.ptr) - start : 0;

	if (negative || digits > 4)
		df_buf_add_char(out, negative ? '-' : '+');
	for (size_t i = digits; digits && i < 4; i++)
		df_buf_add_char(out, '0');
	return df_str(text.ptr + start, text.len - start);
}

static int decode_date(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	df_buf_add_str(&out, add_date(&out, text));
	return out.failed ? df_error_no_memory(d->err) : give_text(df_buf_str(&out), DF_LOGICAL_DATE, d, ret);
}

/* `01:02:03.000000`, `01:02:03.000+02:00` */
static int decode_time(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
		       struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	size_t clock = 0;
	while (clock < text.len && text.ptr[clock] != '+' && text.ptr[clock] != '-')
		clock++;
	df_buf_add_str(&out, trim_fraction(df_str(text.ptr, clock)));
	df_buf_add(&out, text.ptr + clock, text.len - clock);
	if (out.failed)
		return df_error_no_memory(d->err);
	return give_text(df_buf_str(&out), type->kind == DF_TRINO_TIME ? DF_LOGICAL_TIME : DF_LOGICAL_TIMETZ, d, ret);
}

/* `2020-01-02 03:04:05.678` as RFC 3339, with Z: the logical type tells that it is a wall clock. */
static int decode_timestamp(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			    struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	struct df_str rest = trim_fraction(add_date(&out, text));
	for (size_t i = 0; i < rest.len; i++)
		df_buf_add_char(&out, rest.ptr[i] == ' ' ? 'T' : rest.ptr[i]);
	df_buf_add_char(&out, 'Z');
	return out.failed ? df_error_no_memory(d->err) : give_text(df_buf_str(&out), DF_LOGICAL_TIMESTAMP, d, ret);
}

/* Digits of [text], up to n; moves on. -1: none. */
static int64_t take_number(struct df_str *text, size_t n)
{
	int64_t value = -1;

	for (; n && text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9'; n--) {
		value = (value < 0 ? 0 : value * 10) + (text->ptr[0] - '0');
		text->ptr++;
		text->len--;
	}
	return value;
}

static bool take_char(struct df_str *text, char c)
{
	if (!text->len || text->ptr[0] != c)
		return false;
	text->ptr++;
	text->len--;
	return true;
}

/* Reads `[-+]Y-MM-DD HH:MM:SS[.fraction]` and leaves what follows; *ret_fraction is its digits. */
static bool take_wall(struct df_str *text, struct df_civil *ret, struct df_str *ret_fraction)
{
	bool negative = take_char(text, '-');

	if (!negative)
		(void)take_char(text, '+');
	int64_t parts[6];
	static const char between[] = { '-', '-', ' ', ':', ':', '\0' };
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++) {
		parts[i] = take_number(text, i ? 2 : 9);
		if (parts[i] < 0 || (between[i] && !take_char(text, between[i])))
			return false;
	}
	*ret = (struct df_civil){ .year = negative ? -parts[0] : parts[0],
				  .month = (int)parts[1],
				  .day = (int)parts[2],
				  .hour = (int)parts[3],
				  .minute = (int)parts[4],
				  .second = (int)parts[5] };
	*ret_fraction = df_str(NULL, 0);
	if (take_char(text, '.')) {
		const char *begin = text->ptr;
		while (text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9')
			(void)take_char(text, text->ptr[0]);
		*ret_fraction = df_str(begin, (size_t)(text->ptr - begin));
	}
	return df_civil_valid(ret);
}

/* The offset that the zone at the end of a timestamp stands for at that wall clock. A region's hour that a clock change
 * repeats is the first of the two: the text does not tell which. */
static int zone_offset(struct df_str name, const struct df_civil *wall, int64_t *ret, struct df_error *err)
{
	df_cleanup(df_zone_freep) struct df_zone *zone = NULL;

	if (df_str_equal_c(name, "UTC") || df_str_equal_c(name, "Z")) {
		*ret = 0;
		return 0;
	}
	int code = df_zone_load(name, &zone, err);
	if (code != 0)
		return code;
	*ret = df_civil_to_unix(wall).seconds - df_zone_to_unix(zone, wall).seconds;
	return 0;
}

/* `2020-01-02 03:04:05.678 Europe/Berlin`, `... +02:00`, `... UTC`: the instant, in UTC. */
static int decode_instant(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			  struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_civil wall;
	struct df_str text, fraction;
	int64_t offset = 0;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	if (!take_wall(&text, &wall, &fraction) || !take_char(&text, ' '))
		return no_such(type, from, d);
	code = zone_offset(text, &wall, &offset, d->err);
	if (code != 0)
		return df_error_prefix(d->err, "a timestamp's time zone");

	struct df_instant at = df_civil_to_unix(&wall);
	at.seconds -= offset;
	struct df_civil utc = df_civil_from_unix(at, 0);
	if (utc.year < 0 || utc.year > 9999)
		df_buf_add_char(&out, utc.year < 0 ? '-' : '+');
	df_buf_printf(&out, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)(utc.year < 0 ? -utc.year : utc.year),
		      utc.month, utc.day, utc.hour, utc.minute, utc.second);
	while (fraction.len && fraction.ptr[fraction.len - 1] == '0')
		fraction.len--;
	if (fraction.len)
		df_buf_printf(&out, "." DF_STR_FMT, DF_STR_ARG(fraction));
	df_buf_add_char(&out, 'Z');
	return out.failed ? df_error_no_memory(d->err) : give_text(df_buf_str(&out), DF_LOGICAL_TIMESTAMPTZ, d, ret);
}

/* ---- intervals ------------------------------------------------------------------------------------------- */

/* `[-]Y-M` as P1Y2M */
static int decode_months(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			 struct df_value **ret)
{
	char out[64];
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	const char *sign = take_char(&text, '-') ? "-" : "";
	int64_t years = take_number(&text, 18);
	int64_t months = take_char(&text, '-') ? take_number(&text, 2) : -1;
	if (years < 0 || months < 0 || text.len)
		return no_such(type, from, d);
	int n = snprintf(out, sizeof(out), "P");
	if (years)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%lldY", sign, (long long)years);
	if (months || !years)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%lldM", months ? sign : "", (long long)months);
	return give_text(df_str(out, (size_t)n), DF_LOGICAL_INTERVAL, d, ret);
}

/* `[-]D HH:MM:SS.fff` as P3DT4H5M6.789S */
static int decode_seconds(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			  struct df_value **ret)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	static const char units[] = { 'D', 'H', 'M' };
	static const char after[] = { ' ', ':', ':' };
	struct df_str text;
	int code = text_of(type, from, d, &text);

	if (code != 0)
		return code;
	const char *sign = take_char(&text, '-') ? "-" : "";
	df_buf_add_char(&out, 'P');
	for (size_t i = 0; i < DF_ARRAY_SIZE(units); i++) {
		int64_t n = take_number(&text, 18);
		if (n < 0 || !take_char(&text, after[i]))
			return no_such(type, from, d);
		if (i == 1)
			df_buf_add_char(&out, 'T');
		if (n)
			df_buf_printf(&out, "%s%lld%c", sign, (long long)n, units[i]);
	}
	struct df_str seconds = trim_fraction(text);
	while (seconds.len > 1 && seconds.ptr[0] == '0' && seconds.ptr[1] != '.') {
		seconds.ptr++;
		seconds.len--;
	}
	bool zero = df_str_equal_c(seconds, "0");
	if (!df_number_valid(seconds))
		return no_such(type, from, d);
	if (!zero)
		df_buf_printf(&out, "%s" DF_STR_FMT "S", sign, DF_STR_ARG(seconds));
	/* Nothing behind the T: it goes, and nothing at all is zero seconds. */
	if (!out.failed && out.data[out.len - 1] == 'T') {
		out.len--;
		if (out.len == 1)
			df_buf_add_c(&out, "T0S");
	}
	return out.failed ? df_error_no_memory(d->err) : give_text(df_buf_str(&out), DF_LOGICAL_INTERVAL, d, ret);
}

/* ---- containers ------------------------------------------------------------------------------------------ */

static int decode_array(const struct df_trino_type *type, struct df_value *from, const struct decoding *d,
			struct df_value **ret)
{
	if (from->kind != DF_ARRAY)
		return no_such(type, from, d);
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
		return no_such(type, from, d);
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
		return no_such(type, from, d);
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
	[DF_TRINO_DATE] = decode_date,
	[DF_TRINO_TIME] = decode_time,
	[DF_TRINO_TIME_TZ] = decode_time,
	[DF_TRINO_TIMESTAMP] = decode_timestamp,
	[DF_TRINO_TIMESTAMP_TZ] = decode_instant,
	[DF_TRINO_INTERVAL_MONTH] = decode_months,
	[DF_TRINO_INTERVAL_SECOND] = decode_seconds,
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
		    struct df_value **ret, struct df_error *err)
{
	const struct decoding d = { .arena = arena, .err = err };

	return decode(type, from, &d, ret);
}
