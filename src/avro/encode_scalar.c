/* Scalars of a document to Avro binary. */
#include <float.h>
#include <math.h>

#include "avro/binary.h"
#include "avro/decimal.h"
#include "avro/encode_internal.h"
#include "base/time.h"

#define DAY INT64_C(86400)

int df_avro_misfit(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v, const char *why)
{
	return df_error_set(o->err, DF_ERR_INVALID_DATA, "%s does not fit `" DF_STR_FMT "`%s",
			    df_kind_words((enum df_kind)v->kind), DF_STR_ARG(node->name), why);
}

/* The text of a string. DF_ERR_INVALID_DATA for any other kind. */
static int text_of(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v, struct df_str *ret)
{
	if (v->kind != DF_STRING)
		return df_avro_misfit(o, node, v, "");
	*ret = df_value_text(v, o->arena);
	return ret->ptr ? 0 : df_error_no_memory(o->err);
}

/* ---- primitives ------------------------------------------------------------------------------------------ */

static int encode_integer(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	int64_t number;

	if (!df_value_to_int64(v, &number) || (node->type == DF_AVRO_INT && number != (int32_t)number))
		return df_avro_misfit(o, node, v, v->kind == DF_NUMBER ? ": it is not whole, or out of range" : "");
	df_avro_put_long(o->buf, number);
	return 0;
}

static bool loses_digits(int64_t whole, bool is_float)
{
	double real = is_float ? (double)(float)whole : (double)whole;

	return real >= 0x1p63 || (int64_t)real != whole;
}

/* Any fraction is taken as the nearest float; a whole number must keep its digits. */
static int encode_real(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	bool is_float = node->type == DF_AVRO_FLOAT;
	double real;
	int64_t whole;

	if (v->kind == DF_STRING && v->repr == DF_REPR_FLOAT64)
		real = v->float64;
	else if (df_value_string_equal(v, DF_STR("NaN")))
		real = NAN;
	else if (df_value_string_equal(v, DF_STR("Infinity")))
		real = INFINITY;
	else if (df_value_string_equal(v, DF_STR("-Infinity")))
		real = -INFINITY;
	else if (v->kind != DF_NUMBER)
		return df_avro_misfit(o, node, v, "");
	else if (!df_value_to_double(v, &real) || (is_float && fabs(real) > (double)FLT_MAX))
		return df_avro_misfit(o, node, v, ": it is out of range");
	else if (df_value_to_int64(v, &whole) && loses_digits(whole, is_float))
		return df_avro_misfit(o, node, v, ": it would lose digits");
	if (is_float)
		df_avro_put_float(o->buf, (float)real);
	else
		df_avro_put_double(o->buf, real);
	return 0;
}

static int encode_binary(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	df_cleanup(df_buf_done) struct df_buf decoded = { 0 };
	struct df_str bytes;
	int code = 0;

	if (v->kind == DF_STRING && v->repr == DF_REPR_BYTES) {
		bytes = df_str(v->text, v->len);
	} else {
		code = text_of(o, node, v, &bytes);
		if (code < 0)
			return code;
		if (!df_buf_add_base64_decoded(&decoded, bytes))
			return decoded.failed ? df_error_no_memory(o->err)
					      : df_avro_misfit(o, node, v, ": it is not base64");
		bytes = df_buf_str(&decoded);
	}
	if (node->type == DF_AVRO_BYTES)
		df_avro_put_bytes(o->buf, bytes);
	else if (bytes.len != node->size)
		code = df_avro_misfit(o, node, v, ": its length is another");
	else
		df_buf_add_str(o->buf, bytes);
	return code;
}

static int encode_string(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_str text;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (!df_utf8_valid(text, NULL)) /* a lone surrogate */
		return df_avro_misfit(o, node, v, ": it is not valid Unicode");
	df_avro_put_bytes(o->buf, text);
	return 0;
}

static int encode_enum(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_str text;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	for (size_t i = 0; i < node->count; i++)
		if (df_str_equal(node->symbols[i], text)) {
			df_avro_put_long(o->buf, (int64_t)i);
			return 0;
		}
	return df_avro_misfit(o, node, v, ": it is no symbol of it");
}

/* ---- logical types --------------------------------------------------------------------------------------- */

static int encode_decimal(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	uint8_t bytes[DF_AVRO_DECIMAL_BYTES];
	struct df_str text;
	size_t len;

	if (v->kind != DF_NUMBER && v->kind != DF_STRING)
		return df_avro_misfit(o, node, v, "");
	text = df_value_text(v, o->arena);
	if (!text.ptr)
		return df_error_no_memory(o->err);
	if (!df_avro_decimal_from_text(text, node->precision, node->scale, bytes, &len))
		return df_avro_misfit(o, node, v, ": it is no number, or one with more digits");
	if (node->type == DF_AVRO_BYTES) {
		df_avro_put_bytes(o->buf, df_str((const char *)bytes, len));
		return 0;
	}
	if (len > node->size)
		return df_avro_misfit(o, node, v, ": it has more digits");
	for (size_t i = len; i < node->size; i++)
		df_buf_add_char(o->buf, bytes[0] >= 0x80 ? (char)0xFF : 0);
	df_buf_add(o->buf, bytes, len);
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = memchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c, 16);

	return at ? (int)(at - digits) : -1;
}

static int encode_uuid(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	uint8_t bytes[16] = { 0 };
	char lower[36];
	struct df_str text;
	size_t n = 0;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (text.len != sizeof(lower))
		return df_avro_misfit(o, node, v, ": it is no uuid");
	for (size_t i = 0; i < sizeof(lower); i++) {
		int digit = hex_digit(text.ptr[i]);
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? text.ptr[i] != '-' : digit < 0)
			return df_avro_misfit(o, node, v, ": it is no uuid");
		lower[i] = hyphen ? '-' : "0123456789abcdef"[digit];
		if (hyphen)
			continue;
		bytes[n / 2] = (uint8_t)(bytes[n / 2] << 4 | digit);
		n++;
	}
	if (node->type == DF_AVRO_FIXED)
		df_buf_add(o->buf, bytes, sizeof(bytes));
	else
		df_avro_put_bytes(o->buf, df_str(lower, sizeof(lower)));
	return 0;
}

/* `before` and `after` make a date, or a time of day, a timestamp, whose parser is the only one. */
static bool parse_part(const char *before, struct df_str text, const char *after, struct df_civil *ret)
{
	char whole[DF_RFC3339_MAX];
	int32_t offset;
	bool has_offset;
	size_t len = strlen(before) + text.len + strlen(after);

	if (len >= sizeof(whole))
		return false;
	snprintf(whole, sizeof(whole), "%s" DF_STR_FMT "%s", before, DF_STR_ARG(text), after);
	return df_time_parse(df_str(whole, len), ret, &has_offset, &offset) && !has_offset;
}

static int encode_date(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_civil civil;
	struct df_str text;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (text.len != strlen("YYYY-MM-DD") || !parse_part("", text, "T00:00:00", &civil))
		return df_avro_misfit(o, node, v, ": it is no date like 2024-12-31");
	df_avro_put_long(o->buf, df_civil_to_unix(&civil).seconds / DAY);
	return 0;
}

/* A second in the units of the logical type, and how it may be written. */
static int64_t unit_of(enum df_avro_logical logical)
{
	switch (logical) {
	case DF_AVRO_TIME_MILLIS:
	case DF_AVRO_TIMESTAMP_MILLIS:
	case DF_AVRO_LOCAL_MILLIS:
		return 1000;
	case DF_AVRO_TIMESTAMP_NANOS:
	case DF_AVRO_LOCAL_NANOS:
		return 1000000000;
	default:
		return 1000000;
	}
}

/* Digits finer than the unit are cut. */
static int put_instant(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v,
		       struct df_instant t)
{
	int64_t unit = unit_of(node->logical), number;

	if (__builtin_mul_overflow(t.seconds, unit, &number) ||
	    __builtin_add_overflow(number, t.nanoseconds / (1000000000 / unit), &number))
		return df_avro_misfit(o, node, v, ": it is out of range");
	df_avro_put_long(o->buf, number);
	return 0;
}

static int encode_time(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_civil civil;
	struct df_str text;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (!parse_part("1970-01-01T", text, "", &civil))
		return df_avro_misfit(o, node, v, ": it is no time like 23:59:59.999");
	return put_instant(o, node, v, df_civil_to_unix(&civil));
}

/* Without an offset only where the type is a wall clock; with one it is the clock of UTC. */
static int encode_timestamp(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	bool local = node->logical >= DF_AVRO_LOCAL_MILLIS, has_offset;
	struct df_civil civil;
	struct df_instant t;
	struct df_str text;
	int32_t offset;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (!df_time_parse(text, &civil, &has_offset, &offset) || (!has_offset && !local))
		return df_avro_misfit(o, node, v, ": it is no time like 2024-12-31T23:59:59Z");
	t = df_civil_to_unix(&civil);
	t.seconds -= has_offset ? offset : 0;
	return put_instant(o, node, v, t);
}

/* ISO 8601 to months, days and milliseconds. false: not of the form, negative, or more than 32 bits hold. */
static bool parse_duration(struct df_str text, uint64_t parts[3])
{
	static const struct {
		char unit;
		int part;
		int64_t factor;
	} dates[] = { { 'Y', 0, 12 }, { 'M', 0, 1 }, { 'W', 1, 7 }, { 'D', 1, 1 } },
	  times[] = { { 'H', 2, 3600000 }, { 'M', 2, 60000 }, { 'S', 2, 1000 } };
	bool in_time = false, any = false;
	size_t i = 1, from = 0;

	if (text.len < 3 || text.ptr[0] != 'P')
		return false;
	while (i < text.len) {
		uint64_t number = 0, thousandths = 0;
		size_t digits = 0, fraction = 0, u;

		if (text.ptr[i] == 'T' && !in_time) {
			in_time = true;
			from = 0;
			i++;
		}
		for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && digits < 11; i++, digits++)
			number = number * 10 + (uint64_t)(text.ptr[i] - '0');
		if (i < text.len && text.ptr[i] == '.')
			for (i++; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, fraction++)
				if (fraction < 3)
					thousandths = thousandths * 10 + (uint64_t)(text.ptr[i] - '0');
		for (; fraction && fraction < 3; fraction++)
			thousandths *= 10;
		size_t units = in_time ? DF_ARRAY_SIZE(times) : DF_ARRAY_SIZE(dates);
		for (u = from; u < units && i < text.len; u++)
			if (text.ptr[i] == (in_time ? times[u].unit : dates[u].unit))
				break;
		if (digits == 0 || i >= text.len || u == units || (fraction && !(in_time && u == 2)))
			return false;
		parts[in_time ? times[u].part : dates[u].part] +=
			number * (uint64_t)(in_time ? times[u].factor : dates[u].factor) + thousandths;
		from = u + 1;
		any = true;
		i++;
	}
	return any && parts[0] <= UINT32_MAX && parts[1] <= UINT32_MAX && parts[2] <= UINT32_MAX;
}

static int encode_duration(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	uint64_t parts[3] = { 0 };
	struct df_str text;
	int code = text_of(o, node, v, &text);

	if (code < 0)
		return code;
	if (!parse_duration(text, parts))
		return df_avro_misfit(o, node, v, ": it is no duration like P1Y2M3DT4H5M6.789S, or a negative one");
	for (size_t i = 0; i < 3; i++)
		df_avro_put_bits(o->buf, parts[i], 4);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int encode_null(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	return v->kind == DF_NULL ? 0 : df_avro_misfit(o, node, v, "");
}

static int encode_boolean(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	if (v->kind != DF_TRUE && v->kind != DF_FALSE)
		return df_avro_misfit(o, node, v, "");
	df_buf_add_char(o->buf, v->kind == DF_TRUE);
	return 0;
}

typedef int (*scalar_encoder)(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v);

static const scalar_encoder by_type[] = {
	[DF_AVRO_NULL] = encode_null,	 [DF_AVRO_BOOLEAN] = encode_boolean, [DF_AVRO_INT] = encode_integer,
	[DF_AVRO_LONG] = encode_integer, [DF_AVRO_FLOAT] = encode_real,	     [DF_AVRO_DOUBLE] = encode_real,
	[DF_AVRO_BYTES] = encode_binary, [DF_AVRO_STRING] = encode_string,   [DF_AVRO_ENUM] = encode_enum,
	[DF_AVRO_FIXED] = encode_binary,
};

static const scalar_encoder by_logical[] = {
	[DF_AVRO_DECIMAL] = encode_decimal,
	[DF_AVRO_UUID] = encode_uuid,
	[DF_AVRO_DATE] = encode_date,
	[DF_AVRO_TIME_MILLIS] = encode_time,
	[DF_AVRO_TIME_MICROS] = encode_time,
	[DF_AVRO_TIMESTAMP_MILLIS] = encode_timestamp,
	[DF_AVRO_TIMESTAMP_MICROS] = encode_timestamp,
	[DF_AVRO_TIMESTAMP_NANOS] = encode_timestamp,
	[DF_AVRO_LOCAL_MILLIS] = encode_timestamp,
	[DF_AVRO_LOCAL_MICROS] = encode_timestamp,
	[DF_AVRO_LOCAL_NANOS] = encode_timestamp,
	[DF_AVRO_DURATION] = encode_duration,
};

int df_avro_encode_scalar(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	return (node->logical ? by_logical[node->logical] : by_type[node->type])(o, node, v);
}
