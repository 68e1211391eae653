#include "connectors/trino/text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "table/convert.h"

/* What one call works with. */
struct writing {
	struct df_arena *arena;
	struct df_buf *out; /* the text */
	struct df_error *err;
};

/* Appends the plain text of a scalar. */
typedef int text_fn(const struct df_trino_type *type, struct df_value *v, const struct writing *w);

static int refuse(const struct df_trino_type *type, const struct df_value *v, const struct writing *w)
{
	return df_error_set(w->err, DF_ERR_INVALID_DATA, "%s does not fit the type " DF_STR_FMT, df_convert_kind(v),
			    DF_STR_ARG(type->text));
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

void df_trino_quote_text(struct df_buf *sql, struct df_str text)
{
	bool escapes = false;

	for (size_t i = 0; i < text.len && !escapes; i++)
		escapes = is_control((unsigned char)text.ptr[i]);
	df_buf_add_c(sql, escapes ? "U&'" : "'");
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\'')
			df_buf_add_c(sql, "''");
		else if (escapes && c == '\\')
			df_buf_add_c(sql, "\\\\");
		else if (is_control(c))
			df_buf_printf(sql, "\\%04X", c);
		else
			df_buf_add_char(sql, (char)c);
	}
	df_buf_add_char(sql, '\'');
}

static size_t characters(struct df_str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static int text_text(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct df_str text;
	int code = df_convert_text(v, w->arena, &text, w->err);

	if (code != 0)
		return code;
	if (type->precision != DF_TRINO_UNBOUNDED && characters(text) > (size_t)type->precision)
		return df_error_set(w->err, DF_ERR_INVALID_DATA,
				    "the text has %zu characters, the column takes %" PRId64, characters(text),
				    type->precision);
	df_buf_add_str(w->out, text);
	return 0;
}

/* Trino keeps the digits of whole numbers in a json value; every other number becomes a double. */
static bool json_keeps(const struct df_value *v)
{
	double d;

	if (v->kind == DF_NUMBER && v->repr == DF_REPR_TEXT && v->len > 15 &&
	    (memchr(v->text, '.', v->len) || memchr(v->text, 'e', v->len) || memchr(v->text, 'E', v->len)))
		return df_convert_double(v, NULL, &d, NULL) == 0;
	if (df_value_is_container(v) && v->len)
		df_for_each (child, v)
			if (!json_keeps(child))
				return false;
	return true;
}

static int text_json(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	(void)type;
	if (!json_keeps(v))
		return df_error_set(
			w->err, DF_ERR_INVALID_DATA,
			"a number in the document has more digits than Trino's json keeps; use a varchar column");
	df_value_write(v, w->out);
	return 0;
}

static int text_bytes(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct df_str bytes;
	int code = df_convert_bytes(v, w->arena, &bytes, w->err);

	(void)type;
	if (code == 0)
		df_buf_add_base64(w->out, bytes);
	return code;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct df_str text)
{
	if (text.len != 36)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? c != '-' : !((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')))
			return false;
	}
	return true;
}

static bool is_address(struct df_str text)
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return inet_pton(AF_INET, copy, address) == 1 || inet_pton(AF_INET6, copy, address) == 1;
}

static int text_checked(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	bool uuid = type->kind == DF_TRINO_UUID;
	struct df_str text;
	int code = v->kind == DF_STRING ? df_convert_text(v, w->arena, &text, w->err) : refuse(type, v, w);

	if (code != 0)
		return code;
	if (uuid ? !is_uuid(text) : !is_address(text))
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the string is no %s", uuid ? "UUID" : "IP address");
	df_buf_add_str(w->out, text);
	return 0;
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

static int text_bool(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	bool b;
	int code = df_convert_bool(v, w->arena, &b, w->err);

	(void)type;
	if (code == 0)
		df_buf_add_c(w->out, b ? "true" : "false");
	return code;
}

static int text_int(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	static const struct {
		int64_t min, max;
	} ranges[] = {
		[DF_TRINO_TINYINT] = { INT8_MIN, INT8_MAX },
		[DF_TRINO_SMALLINT] = { INT16_MIN, INT16_MAX },
		[DF_TRINO_INTEGER] = { INT32_MIN, INT32_MAX },
		[DF_TRINO_BIGINT] = { INT64_MIN, INT64_MAX },
	};
	int64_t n;
	char digits[DF_NUMBER_MAX];
	int code = df_convert_int64(v, w->arena, &n, w->err);

	if (code != 0)
		return code;
	if (n < ranges[type->kind].min || n > ranges[type->kind].max)
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the number is outside the range of " DF_STR_FMT,
				    DF_STR_ARG(type->text));
	df_buf_add(w->out, digits, df_number_from_int64(n, digits));
	return 0;
}

static int text_float(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	bool real = type->kind == DF_TRINO_REAL;
	char digits[DF_NUMBER_MAX];
	double n;
	int code = df_convert_double(v, w->arena, &n, w->err);

	if (code != 0)
		return code;
	if (isnan(n) || isinf(n)) {
		df_buf_add_c(w->out, isnan(n) ? "NaN" : n > 0 ? "Infinity" : "-Infinity");
		return 0;
	}
	if (!real) {
		df_buf_add(w->out, digits, df_number_from_double(n, digits));
		return 0;
	}
	/* What the column holds must be the number that was given: as the digits of a float, or exactly. */
	float f = (float)n;
	size_t len = df_number_from_float(f, digits);
	double back;
	if (isinf(f) || ((double)f != n && (!df_number_to_double(df_str(digits, len), &back) || back != n)))
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the number has more digits than a real holds");
	df_buf_add(w->out, digits, len);
	return 0;
}

/* The digits of a JSON number, and where its point stands among them. */
struct decimal {
	bool negative;
	struct df_str digits; /* without leading zeros */
	int64_t point;	      /* digits before it; may be negative or behind the end */
};

static bool read_decimal(struct df_str text, struct df_arena *arena, struct decimal *ret)
{
	char *digits = df_arena_alloc(arena, text.len);
	size_t n = 0, i = 0;
	int64_t exponent = 0;
	bool seen_point = false;

	if (!digits)
		return false;
	*ret = (struct decimal){ .negative = text.ptr[0] == '-' };
	for (i = ret->negative; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++) {
		if (text.ptr[i] == '.') {
			seen_point = true;
			continue;
		}
		if (n || text.ptr[i] != '0') {
			digits[n++] = text.ptr[i];
			ret->point += !seen_point;
		} else {
			ret->point -= seen_point;
		}
	}
	if (i < text.len) {
		bool plus = text.ptr[i + 1] == '+';
		if (!df_str_to_int64(df_str(text.ptr + i + 1 + plus, text.len - i - 1 - plus), &exponent) ||
		    exponent > 1000000 || exponent < -1000000)
			exponent = n ? 1000000 : 0;
	}
	ret->point += exponent;
	ret->digits = df_str(digits, n);
	return true;
}

/* With as many fraction digits as the column has. */
static int text_decimal(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct df_str text =
		v->kind == DF_NUMBER || v->kind == DF_STRING ? df_value_text(v, w->arena) : df_str(NULL, 0);
	struct decimal d;

	if (!text.ptr || !df_number_valid(text))
		return refuse(type, v, w);
	if (!read_decimal(text, w->arena, &d))
		return df_error_no_memory(w->err);
	while (d.digits.len && d.digits.ptr[d.digits.len - 1] == '0')
		d.digits.len--;
	int64_t fraction = (int64_t)d.digits.len - d.point;
	if (d.digits.len && (d.point > type->precision - type->scale || fraction > type->scale))
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the number does not fit " DF_STR_FMT " exactly",
				    DF_STR_ARG(type->text));
	if (d.negative && d.digits.len)
		df_buf_add_char(w->out, '-');
	int64_t begin = d.digits.len && d.point > 0 ? 0 : d.digits.len ? d.point : 0;
	int64_t point = d.digits.len ? d.point : 0;
	if (point <= 0)
		df_buf_add_char(w->out, '0');
	for (int64_t i = begin < 0 ? 0 : begin; i < point; i++)
		df_buf_add_char(w->out, i < (int64_t)d.digits.len ? d.digits.ptr[i] : '0');
	if (type->scale)
		df_buf_add_char(w->out, '.');
	for (int64_t i = point; i < point + type->scale; i++)
		df_buf_add_char(w->out, i >= 0 && i < (int64_t)d.digits.len ? d.digits.ptr[i] : '0');
	return 0;
}

/* ---- times ----------------------------------------------------------------------------------------------- */

#define EPOCH_MILLISECONDS 10000000000 /* numbers from here on are milliseconds */
#define FRACTION_MAX 12

/* A time of day or an instant with picoseconds. */
struct moment {
	struct df_civil civil;
	char fraction[FRACTION_MAX + 1];
};

static void set_fraction(struct moment *m, struct df_str digits)
{
	memset(m->fraction, '0', FRACTION_MAX);
	m->fraction[FRACTION_MAX] = '\0';
	memcpy(m->fraction, digits.ptr, digits.len < FRACTION_MAX ? digits.len : FRACTION_MAX);
}

/* Epoch seconds, or milliseconds when they are large; fractions count. */
static int moment_of_number(const struct df_value *v, const struct writing *w, struct moment *ret)
{
	struct df_str text = df_value_text(v, w->arena);
	struct decimal d;
	int64_t whole = 0;
	char digits[24 + FRACTION_MAX];

	if (!text.ptr || !read_decimal(text, w->arena, &d))
		return df_error_no_memory(w->err);
	if (d.point > 15)
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the number is too large for a time");
	int64_t point = d.digits.len ? d.point : 0;
	for (int64_t i = 0; i < point; i++)
		whole = whole * 10 + (i < (int64_t)d.digits.len ? d.digits.ptr[i] - '0' : 0);
	point -= whole >= EPOCH_MILLISECONDS ? 3 : 0;

	/* The digits around the point, as seconds. */
	int64_t seconds = 0, nanoseconds = 0;
	for (int64_t i = point - 15; i < point + FRACTION_MAX; i++)
		digits[i - point + 15] = i >= 0 && i < (int64_t)d.digits.len ? d.digits.ptr[i] : '0';
	for (size_t i = 0; i < 15; i++)
		seconds = seconds * 10 + (digits[i] - '0');
	for (size_t i = 15; i < 24; i++)
		nanoseconds = nanoseconds * 10 + (digits[i] - '0');
	if (d.negative) {
		seconds = -seconds - (nanoseconds != 0);
		nanoseconds = nanoseconds ? 1000000000 - nanoseconds : 0;
	}
	ret->civil = df_civil_from_unix((struct df_instant){ seconds, (int32_t)nanoseconds }, 0);
	(void)snprintf(digits, sizeof(digits), "%09" PRId64, nanoseconds);
	set_fraction(ret, df_str(digits, 9));
	return 0;
}

/* Finds the fraction of `...:SS.ffffffffffff`. */
static struct df_str fraction_of(struct df_str text)
{
	const char *point = memchr(text.ptr, '.', text.len);
	size_t n = 0, start = point ? (size_t)(point - text.ptr) + 1 : text.len;

	while (start + n < text.len && text.ptr[start + n] >= '0' && text.ptr[start + n] <= '9')
		n++;
	return df_str(text.ptr + start, n);
}

static int moment_of(const struct df_trino_type *type, struct df_value *v, const struct writing *w, struct moment *ret)
{
	if (v->kind == DF_NUMBER)
		return moment_of_number(v, w, ret);
	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES)
		return refuse(type, v, w);

	struct df_str text = df_value_text(v, w->arena);
	if (!text.ptr)
		return df_error_no_memory(w->err);
	struct df_str fraction = fraction_of(text);
	struct df_value cut = *v;
	if (fraction.len > 9) { /* the parser knows nanoseconds */
		size_t head = (size_t)(fraction.ptr - text.ptr) + 9;
		size_t tail = text.len - head - (fraction.len - 9);
		char *copy = df_arena_alloc(w->arena, head + tail);
		if (!copy)
			return df_error_no_memory(w->err);
		memcpy(copy, text.ptr, head);
		memcpy(copy + head, fraction.ptr + fraction.len, tail);
		cut = (struct df_value){ .kind = DF_STRING, .text = copy, .len = (uint32_t)(head + tail) };
	}
	set_fraction(ret, fraction);
	return df_convert_timestamp(&cut, w->arena, &ret->civil, w->err);
}

static int text_date(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct moment m;
	int code = moment_of(type, v, w, &m);

	if (code == 0)
		df_buf_printf(w->out, "%04" PRId64 "-%02d-%02d", m.civil.year, m.civil.month, m.civil.day);
	return code;
}

static void add_fraction(const struct df_trino_type *type, const struct moment *m, const struct writing *w)
{
	int64_t digits = type->precision < FRACTION_MAX ? type->precision : FRACTION_MAX;

	if (digits > 0)
		df_buf_printf(w->out, ".%.*s", (int)digits, m->fraction);
}

/* Offsets are applied: the clock is UTC's, or the wall clock of a timestamp without zone. */
static int text_timestamp(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	struct moment m;
	int code = moment_of(type, v, w, &m);

	if (code != 0)
		return code;
	df_buf_printf(w->out, "%04" PRId64 "-%02d-%02d %02d:%02d:%02d", m.civil.year, m.civil.month, m.civil.day,
		      m.civil.hour, m.civil.minute, m.civil.second);
	add_fraction(type, &m, w);
	if (type->kind == DF_TRINO_TIMESTAMP_TZ)
		df_buf_add_c(w->out, " UTC");
	return 0;
}

/* `HH:MM:SS[.f]`, with zone `±HH[:MM]` or `Z` behind it. */
static int text_time(const struct df_trino_type *type, struct df_value *v, const struct writing *w)
{
	bool with_zone = type->kind == DF_TRINO_TIME_TZ;
	struct moment m = { 0 };
	int hour, minute, second, offset_hour = 0, offset_minute = 0, used = 0;
	char copy[64], sign = '+';

	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES)
		return refuse(type, v, w);
	struct df_str text = df_value_text(v, w->arena);
	if (!text.ptr)
		return df_error_no_memory(w->err);
	if (text.len >= sizeof(copy))
		return refuse(type, v, w);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (text.len < 8 || sscanf(copy, "%2d:%2d:%2d%n", &hour, &minute, &second, &used) != 3 || used != 8 ||
	    strspn(copy, "0123456789:") < 8 || hour > 23 || minute > 59 || second > 59)
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "the string is not a time of day; expected 15:04:05");
	struct df_str fraction = fraction_of(df_str(copy, text.len));
	set_fraction(&m, fraction);
	const char *zone = copy + 8 + (copy[8] == '.' ? 1 + fraction.len : 0);
	if (*zone && strcmp(zone, "Z") != 0) {
		sign = *zone;
		if ((sign != '+' && sign != '-') || sscanf(zone + 1, "%2d:%2d", &offset_hour, &offset_minute) < 1 ||
		    strspn(zone + 1, "0123456789:") != strlen(zone + 1) || offset_hour > 14 || offset_minute > 59)
			return df_error_set(w->err, DF_ERR_INVALID_DATA,
					    "the string is not a time of day; expected 15:04:05+02:00");
	}
	if (*zone && !with_zone)
		return df_error_set(w->err, DF_ERR_INVALID_DATA,
				    "a time with an offset does not fit a time without zone");
	df_buf_printf(w->out, "%.8s", copy);
	add_fraction(type, &m, w);
	if (with_zone)
		df_buf_printf(w->out, "%c%02d:%02d", sign, offset_hour, offset_minute);
	return 0;
}

/* ---- scalars --------------------------------------------------------------------------------------------- */

/* NULL: cannot be written, or a container. `literal`: what a typed literal begins with; NULL: the type's own text. */
static const struct {
	text_fn *text;
	const char *literal;
} scalars[] = {
	[DF_TRINO_BOOLEAN] = { text_bool, NULL },
	[DF_TRINO_TINYINT] = { text_int, NULL },
	[DF_TRINO_SMALLINT] = { text_int, NULL },
	[DF_TRINO_INTEGER] = { text_int, NULL },
	[DF_TRINO_BIGINT] = { text_int, NULL },
	[DF_TRINO_REAL] = { text_float, NULL },
	[DF_TRINO_DOUBLE] = { text_float, NULL },
	[DF_TRINO_DECIMAL] = { text_decimal, "DECIMAL" },
	[DF_TRINO_VARCHAR] = { text_text, "" },
	[DF_TRINO_CHAR] = { text_text, "" },
	[DF_TRINO_VARBINARY] = { text_bytes, "from_base64" },
	[DF_TRINO_JSON] = { text_json, "json_parse" },
	[DF_TRINO_DATE] = { text_date, NULL },
	[DF_TRINO_TIME] = { text_time, "TIME" },
	[DF_TRINO_TIME_TZ] = { text_time, "TIME" },
	[DF_TRINO_TIMESTAMP] = { text_timestamp, "TIMESTAMP" },
	[DF_TRINO_TIMESTAMP_TZ] = { text_timestamp, "TIMESTAMP" },
	[DF_TRINO_UUID] = { text_checked, NULL },
	[DF_TRINO_IPADDRESS] = { text_checked, NULL },
};

static text_fn *text_of_type(const struct df_trino_type *type)
{
	return type->kind < DF_ARRAY_SIZE(scalars) ? scalars[type->kind].text : NULL;
}

const char *df_trino_function(const struct df_trino_type *type)
{
	bool made = type->kind == DF_TRINO_VARBINARY || type->kind == DF_TRINO_JSON;

	return made ? scalars[type->kind].literal : NULL;
}

int df_trino_scalar(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *out,
		    struct df_error *err)
{
	const struct writing w = { .arena = arena, .out = out, .err = err };
	text_fn *write = text_of_type(type);

	if (!write)
		return df_error_set(err, DF_ERR_INVALID_DATA, "values of the type " DF_STR_FMT " cannot be written",
				    DF_STR_ARG(type->text));
	int code = write(type, v, &w);
	return code == 0 && out->failed ? df_error_no_memory(err) : code;
}

int df_trino_writable(const struct df_trino_type *type, struct df_error *err)
{
	if (!text_of_type(type) && !df_trino_is_container(type))
		return df_error_set(err, DF_ERR_CONFIG, "values of the type " DF_STR_FMT " cannot be written",
				    DF_STR_ARG(type->text));
	for (size_t i = 0; i < type->count; i++) {
		int code = df_trino_writable(type->parts[i], err);
		if (code != 0)
			return code;
	}
	return 0;
}

int df_trino_literal(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *sql,
		     struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	int code = df_trino_scalar(type, v, arena, &text, err);
	bool function = df_trino_function(type);

	if (code != 0)
		return code;
	const char *literal = scalars[type->kind].literal;
	if (literal)
		df_buf_add_c(sql, literal);
	else
		df_buf_add_str(sql, type->text);
	df_buf_add_char(sql, function ? '(' : ' ');
	df_trino_quote_text(sql, df_buf_str(&text));
	if (function)
		df_buf_add_char(sql, ')');
	return sql->failed ? df_error_no_memory(err) : 0;
}
