#include <stdarg.h>
#include <stdio.h>

#include "connectors/postgresql/encode_internal.h"
#include "table/convert.h"

/* ---- errors ---------------------------------------------------------------------------------------------- */

int df_pg_refuse(struct df_error *err, const char *state, const char *fmt, ...)
{
	char text[DF_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	int code = df_error_set(err, DF_ERR_INVALID_DATA, "%s", text);
	df_error_remote(err, state);
	return code;
}

int df_pg_refuse_kind(struct df_error *err, const struct df_value *v, const char *wanted)
{
	return df_pg_refuse(err, DF_PG_BAD_TEXT, "%s does not fit %s", df_convert_kind(v), wanted);
}

struct df_str df_pg_string(const struct df_value *v, struct df_arena *arena)
{
	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES)
		return df_str(NULL, 0);
	return df_value_text(v, arena);
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

static int encode_integer(struct df_value *v, struct df_arena *arena, int64_t min, int64_t max, int64_t *ret,
			  struct df_error *err)
{
	int code = df_convert_int64(v, arena, ret, err);

	if (code != 0)
		return code;
	if (*ret < min || *ret > max)
		return df_pg_refuse(err, DF_PG_RANGE, "the number is outside the type's range");
	return 0;
}

static int encode_int2(DF_PG_ENCODE_ARGS)
{
	int64_t n = 0;
	int code = encode_integer(v, arena, INT16_MIN, INT16_MAX, &n, err);

	(void)f;
	if (code == 0)
		df_pg_add16(out, (uint16_t)n);
	return code;
}

static int encode_int4(DF_PG_ENCODE_ARGS)
{
	int64_t n = 0;
	int code = encode_integer(v, arena, INT32_MIN, INT32_MAX, &n, err);

	(void)f;
	if (code == 0)
		df_pg_add32(out, (uint32_t)n);
	return code;
}

static int encode_int8(DF_PG_ENCODE_ARGS)
{
	int64_t n = 0;
	int code = encode_integer(v, arena, INT64_MIN, INT64_MAX, &n, err);

	(void)f;
	if (code == 0)
		df_pg_add64(out, (uint64_t)n);
	return code;
}

static int encode_oid(DF_PG_ENCODE_ARGS)
{
	int64_t n = 0;
	int code = encode_integer(v, arena, 0, UINT32_MAX, &n, err);

	(void)f;
	if (code == 0)
		df_pg_add32(out, (uint32_t)n);
	return code;
}

static int encode_float8(DF_PG_ENCODE_ARGS)
{
	double d = 0;
	uint64_t bits;
	int code = df_convert_double(v, arena, &d, err);

	(void)f;
	if (code != 0)
		return code;
	memcpy(&bits, &d, sizeof(bits));
	df_pg_add64(out, bits);
	return 0;
}

/* The float must be the value: bit for bit, or by its shortest text (0.1). */
static bool float_holds(double d, float single)
{
	char shortest[DF_NUMBER_MAX], text[DF_NUMBER_MAX];

	if ((double)single == d || d != d)
		return true;
	if ((double)single - (double)single != 0) /* it overflowed */
		return false;
	return df_number_compare(df_str(shortest, df_number_from_float(single, shortest)),
				 df_str(text, df_number_from_double(d, text))) == 0;
}

static int encode_float4(DF_PG_ENCODE_ARGS)
{
	double d = 0;
	uint32_t bits;
	int code = df_convert_double(v, arena, &d, err);

	(void)f;
	if (code != 0)
		return code;
	float single = (float)d;
	if (!float_holds(d, single))
		return df_pg_refuse(err, DF_PG_RANGE, "the number has more digits than a real holds");
	memcpy(&bits, &single, sizeof(bits));
	df_pg_add32(out, bits);
	return 0;
}

static int encode_bool(DF_PG_ENCODE_ARGS)
{
	bool yes = false;
	int code = df_convert_bool(v, arena, &yes, err);

	(void)f;
	if (code == 0)
		df_buf_add_char(out, yes ? 1 : 0);
	return code;
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static int add_text(struct df_str text, struct df_buf *out, struct df_error *err)
{
	if (text.len && memchr(text.ptr, 0, text.len))
		return df_pg_refuse(err, DF_PG_BAD_CHARACTER,
				    "the string contains a NUL character, which PostgreSQL's text cannot hold");
	df_buf_add_str(out, text);
	return 0;
}

static int encode_text(DF_PG_ENCODE_ARGS)
{
	struct df_str text;
	int code = df_convert_text(v, arena, &text, err);

	(void)f;
	return code == 0 ? add_text(text, out, err) : code;
}

/* varchar(n), char(n): n counts characters; blanks beyond it are cut, as the server does. */
static int check_length(struct df_str text, int32_t limit, struct df_error *err)
{
	size_t characters = 0;

	if (text.len <= (size_t)limit)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (((uint8_t)text.ptr[i] & 0xc0) == 0x80)
			continue;
		if (++characters > (size_t)limit && text.ptr[i] != ' ')
			return df_pg_refuse(err, DF_PG_TRUNCATION, "the string is longer than %d characters",
					    (int)limit);
	}
	return 0;
}

#define LENGTH_MODIFIER 4 /* VARHDRSZ: the modifier of varchar(n) is n + 4 */

static int encode_varchar(DF_PG_ENCODE_ARGS)
{
	struct df_str text;
	int code = df_convert_text(v, arena, &text, err);

	if (code == 0 && f->modifier >= LENGTH_MODIFIER)
		code = check_length(text, f->modifier - LENGTH_MODIFIER, err);
	return code == 0 ? add_text(text, out, err) : code;
}

static int encode_enum(DF_PG_ENCODE_ARGS)
{
	if (v->kind != DF_STRING)
		return df_pg_refuse_kind(err, v, "a column of an enum type, which takes a label");
	return encode_text(f, v, arena, out, err);
}

/* ---- bytes, uuid ----------------------------------------------------------------------------------------- */

static int encode_bytea(DF_PG_ENCODE_ARGS)
{
	struct df_str bytes;
	int code = df_convert_bytes(v, arena, &bytes, err);

	(void)f;
	if (code == 0)
		df_buf_add_str(out, bytes);
	return code;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 digits, or 32 in one run. */
static int encode_uuid(DF_PG_ENCODE_ARGS)
{
	struct df_str text = df_pg_string(v, arena);
	char bytes[16];
	size_t n = 0;

	(void)f;
	if (!text.ptr)
		return df_pg_refuse_kind(err, v, "a column of UUIDs");
	bool hyphens = text.len == 36;
	for (size_t i = 0; i < text.len && n < 16 && (hyphens || text.len == 32); n++) {
		if (hyphens && (n == 4 || n == 6 || n == 8 || n == 10) && text.ptr[i++] != '-')
			break;
		int high = hex_digit(text.ptr[i]);
		int low = hex_digit(text.ptr[i + 1]);
		if (high < 0 || low < 0)
			break;
		bytes[n] = (char)(high << 4 | low);
		i += 2;
	}
	if (n < 16)
		return df_pg_refuse(err, DF_PG_BAD_TEXT, "the string is not a UUID");
	df_pg_add(out, bytes, sizeof(bytes));
	return 0;
}

/* ---- json ------------------------------------------------------------------------------------------------ */

/* Does the JSON text contain the escape \u0000 (and not an escaped backslash before u0000)? */
static bool has_nul_escape(struct df_str json)
{
	const char *p = json.ptr, *end = json.ptr + json.len;

	while ((p = memmem(p, (size_t)(end - p), "\\u0000", 6)) != NULL) {
		const char *before = p;
		while (before > json.ptr && before[-1] == '\\')
			before--;
		if ((p - before) % 2 == 0)
			return true;
		p += 2;
	}
	return false;
}

/* The text is JSON already when its logical type says so (raw mode's data), else the value is written as JSON. */
static void add_json(const struct df_value *v, struct df_arena *arena, struct df_buf *out)
{
	if (v->kind == DF_STRING && v->logical == DF_LOGICAL_JSON)
		df_buf_add_str(out, df_value_text(v, arena));
	else
		df_value_write(v, out);
}

static int encode_json(DF_PG_ENCODE_ARGS)
{
	(void)f;
	(void)err;
	add_json(v, arena, out);
	return 0;
}

static int encode_jsonb(DF_PG_ENCODE_ARGS)
{
	size_t start = out->len;

	(void)f;
	df_buf_add_char(out, 1); /* the version of jsonb's binary form */
	add_json(v, arena, out);
	if (!out->failed && has_nul_escape(df_str(out->data + start, out->len - start)))
		return df_pg_refuse(err, DF_PG_BAD_UNICODE,
				    "a string in the document contains a NUL character, which jsonb cannot hold");
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------------------- */

const struct df_pg_encoder df_pg_encoder_text = { "textrecv", DF_PG_EQUAL_BYTES, encode_text };
const struct df_pg_encoder df_pg_encoder_array = { "array_recv", DF_PG_EQUAL_UNKNOWN, df_pg_encode_array };

static const struct df_pg_encoder encoders[] = {
	{ "textrecv", DF_PG_EQUAL_BYTES, encode_text },
	{ "int8recv", DF_PG_EQUAL_BYTES, encode_int8 },
	{ "int4recv", DF_PG_EQUAL_BYTES, encode_int4 },
	{ "int2recv", DF_PG_EQUAL_BYTES, encode_int2 },
	{ "numeric_recv", DF_PG_EQUAL_NUMERIC, df_pg_encode_numeric },
	{ "timestamptz_recv", DF_PG_EQUAL_BYTES, df_pg_encode_timestamp },
	{ "timestamp_recv", DF_PG_EQUAL_BYTES, df_pg_encode_timestamp },
	{ "date_recv", DF_PG_EQUAL_BYTES, df_pg_encode_date },
	{ "boolrecv", DF_PG_EQUAL_BYTES, encode_bool },
	{ "float8recv", DF_PG_EQUAL_UNKNOWN, encode_float8 },
	{ "float4recv", DF_PG_EQUAL_UNKNOWN, encode_float4 },
	{ "varcharrecv", DF_PG_EQUAL_BYTES, encode_varchar },
	{ "bpcharrecv", DF_PG_EQUAL_UNKNOWN, encode_varchar },
	{ "uuid_recv", DF_PG_EQUAL_BYTES, encode_uuid },
	{ "jsonb_recv", DF_PG_EQUAL_UNKNOWN, encode_jsonb },
	{ "json_recv", DF_PG_EQUAL_UNKNOWN, encode_json },
	{ "bytearecv", DF_PG_EQUAL_BYTES, encode_bytea },
	{ "time_recv", DF_PG_EQUAL_BYTES, df_pg_encode_time },
	{ "timetz_recv", DF_PG_EQUAL_UNKNOWN, df_pg_encode_timetz },
	{ "interval_recv", DF_PG_EQUAL_UNKNOWN, df_pg_encode_interval },
	{ "enum_recv", DF_PG_EQUAL_BYTES, encode_enum },
	{ "oidrecv", DF_PG_EQUAL_BYTES, encode_oid },
	{ "namerecv", DF_PG_EQUAL_BYTES, encode_text },
	{ "xml_recv", DF_PG_EQUAL_UNKNOWN, encode_text },
	{ "citextrecv", DF_PG_EQUAL_UNKNOWN, encode_text },
};

const struct df_pg_encoder *df_pg_encoder_find(struct df_str receive)
{
	for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++)
		if (df_str_equal_c(receive, encoders[i].receive))
			return &encoders[i];
	return NULL;
}

bool df_pg_is_null(const struct df_pg_field *f, const struct df_value *v)
{
	if (v->kind != DF_NULL)
		return false;
	return v->logical != DF_LOGICAL_JSON ||
	       (f->encoder->encode != encode_json && f->encoder->encode != encode_jsonb);
}

int df_pg_encode(const struct df_pg_field *f, struct df_value *v, struct df_arena *arena, struct df_buf *out,
		 struct df_error *err)
{
	size_t start = out->len;

	if (df_pg_is_null(f, v)) {
		df_pg_add32(out, UINT32_MAX);
		return out->failed ? df_error_no_memory(err) : 0;
	}
	df_pg_add32(out, 0);
	int code = f->encoder->encode(f, v, arena, out, err);
	if (code == 0 && out->failed)
		return df_error_no_memory(err);
	if (code != 0) {
		out->len = start;
		if (err && code == DF_ERR_INVALID_DATA && !err->remote[0])
			df_error_remote(err, DF_PG_BAD_TEXT);
		return code;
	}
	df_pg_put32(out->data + start, (uint32_t)(out->len - start - 4));
	return 0;
}
