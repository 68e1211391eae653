#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "connectors/postgresql/decode_internal.h"

/* ---- numbers --------------------------------------------------------------------------------------------- */

static int set_int(struct df_value *v, enum df_logical logical, int64_t n)
{
	v->kind = DF_NUMBER;
	v->logical = (uint8_t)logical;
	v->repr = DF_REPR_INT64;
	v->len = 0;
	v->int64 = n;
	return 0;
}

static int decode_int2(DF_PG_DECODE_ARGS)
{
	return data.len == 2 ? set_int(v, DF_LOGICAL_INT32, (int16_t)df_pg_get16(data.ptr)) : DF_ERR_INVALID_DATA;
}

static int decode_int4(DF_PG_DECODE_ARGS)
{
	return data.len == 4 ? set_int(v, DF_LOGICAL_INT32, (int32_t)df_pg_get32(data.ptr)) : DF_ERR_INVALID_DATA;
}

static int decode_int8(DF_PG_DECODE_ARGS)
{
	return data.len == 8 ? set_int(v, DF_LOGICAL_INT64, (int64_t)df_pg_get64(data.ptr)) : DF_ERR_INVALID_DATA;
}

static int decode_oid(DF_PG_DECODE_ARGS)
{
	return data.len == 4 ? set_int(v, DF_LOGICAL_INT64, df_pg_get32(data.ptr)) : DF_ERR_INVALID_DATA;
}

/* Unsigned: above int64 it keeps its digits. */
static int decode_xid8(DF_PG_DECODE_ARGS)
{
	uint64_t n;

	if (data.len != 8)
		return DF_ERR_INVALID_DATA;
	n = df_pg_get64(data.ptr);
	if (n <= INT64_MAX)
		return set_int(v, DF_LOGICAL_INT64, (int64_t)n);
	char *digits = df_arena_alloc(arena, DF_NUMBER_MAX);
	if (!digits)
		return DF_ERR_NO_MEMORY;
	return df_pg_set_text(v, DF_NUMBER, DF_LOGICAL_DECIMAL, DF_REPR_TEXT,
			      df_str(digits, (size_t)(df_pg_put_digits(digits, n, 1) - digits)));
}

static int set_double(struct df_value *v, enum df_logical logical, double d)
{
	v->kind = isfinite(d) ? DF_NUMBER : DF_STRING;
	v->logical = (uint8_t)logical;
	v->repr = DF_REPR_FLOAT64;
	v->len = 0;
	v->float64 = d;
	return 0;
}

static int decode_float8(DF_PG_DECODE_ARGS)
{
	uint64_t bits;
	double d;

	if (data.len != 8)
		return DF_ERR_INVALID_DATA;
	bits = df_pg_get64(data.ptr);
	memcpy(&d, &bits, sizeof(d));
	return set_double(v, DF_LOGICAL_FLOAT64, d);
}

/* Its own shortest digits: those of the double would be longer. */
static int decode_float4(DF_PG_DECODE_ARGS)
{
	uint32_t bits;
	float f;

	if (data.len != 4)
		return DF_ERR_INVALID_DATA;
	bits = df_pg_get32(data.ptr);
	memcpy(&f, &bits, sizeof(f));
	if (!isfinite(f))
		return set_double(v, DF_LOGICAL_FLOAT32, (double)f);
	char *digits = df_arena_alloc(arena, DF_NUMBER_MAX);
	if (!digits)
		return DF_ERR_NO_MEMORY;
	return df_pg_set_text(v, DF_NUMBER, DF_LOGICAL_FLOAT32, DF_REPR_TEXT,
			      df_str(digits, df_number_from_float(f, digits)));
}

static int decode_bool(DF_PG_DECODE_ARGS)
{
	if (data.len != 1)
		return DF_ERR_INVALID_DATA;
	return df_pg_set_text(v, data.ptr[0] ? DF_TRUE : DF_FALSE, DF_LOGICAL_NONE, DF_REPR_TEXT, df_str(NULL, 0));
}

/* ---- texts and bytes ------------------------------------------------------------------------------------- */

static int decode_bytea(DF_PG_DECODE_ARGS)
{
	return df_pg_set_text(v, DF_STRING, DF_LOGICAL_BYTES, DF_REPR_BYTES, data);
}

/* A database in SQL_ASCII holds texts that are no UTF-8: they are bytes. */
static int decode_text(DF_PG_DECODE_ARGS)
{
	if (!df_utf8_valid(data, NULL))
		return df_pg_set_text(v, DF_STRING, DF_LOGICAL_BYTES, DF_REPR_BYTES, data);
	return df_pg_set_text(v, DF_STRING, DF_LOGICAL_TEXT, DF_REPR_TEXT, data);
}

/* "char", one byte: as charout of PostgreSQL 15 and later prints it. */
static int decode_char(DF_PG_DECODE_ARGS)
{
	char text[4];
	unsigned char c;

	if (data.len != 1)
		return DF_ERR_INVALID_DATA;
	c = (unsigned char)data.ptr[0];
	if (c < 0x80)
		return df_pg_set_text(v, DF_STRING, DF_LOGICAL_TEXT, DF_REPR_TEXT, df_str(data.ptr, c != 0));
	text[0] = '\\';
	text[1] = (char)('0' + (c >> 6));
	text[2] = (char)('0' + (c >> 3 & 7));
	text[3] = (char)('0' + (c & 7));
	char *copy = df_arena_alloc(arena, sizeof(text));
	if (!copy)
		return DF_ERR_NO_MEMORY;
	memcpy(copy, text, sizeof(text));
	return df_pg_set_text(v, DF_STRING, DF_LOGICAL_TEXT, DF_REPR_TEXT, df_str(copy, sizeof(text)));
}

static int set_json(struct df_str text, struct df_arena *arena, struct df_value *v)
{
	struct df_value *root = NULL;

	switch (df_value_parse(text, arena, &root, NULL)) {
	case DF_PARSE_OK:
		df_value_replace(v, root);
		/* Of a string it would say that the string's content is JSON text. */
		v->logical = v->kind == DF_STRING ? DF_LOGICAL_NONE : DF_LOGICAL_JSON;
		return 0;
	case DF_PARSE_NO_MEMORY:
		return DF_ERR_NO_MEMORY;
	default:
		return DF_ERR_INVALID_DATA;
	}
}

static int decode_json(DF_PG_DECODE_ARGS)
{
	return set_json(data, arena, v);
}

/* A version and the text. */
static int decode_jsonb(DF_PG_DECODE_ARGS)
{
	if (data.len == 0 || data.ptr[0] != 1)
		return DF_ERR_INVALID_DATA;
	return set_json(df_str(data.ptr + 1, data.len - 1), arena, v);
}

static const char hex_digits[] = "0123456789abcdef";

/* Bytes as pairs of digits; a separator before those whose bit in `mask` is set. */
static int set_hex(struct df_value *v, enum df_logical logical, struct df_arena *arena, struct df_str data,
		   uint32_t mask, char separator)
{
	char text[64];
	size_t len = 0;

	for (size_t i = 0; i < data.len; i++) {
		unsigned char c = (unsigned char)data.ptr[i];

		if (mask & (UINT32_C(1) << i))
			text[len++] = separator;
		text[len++] = hex_digits[c >> 4];
		text[len++] = hex_digits[c & 15];
	}
	return df_pg_set_plain(v, logical, arena, text, len);
}

static int decode_uuid(DF_PG_DECODE_ARGS)
{
	return data.len == 16 ? set_hex(v, DF_LOGICAL_UUID, arena, data, 0x0550, '-') : DF_ERR_INVALID_DATA;
}

static int decode_macaddr(DF_PG_DECODE_ARGS)
{
	return data.len == 6 ? set_hex(v, DF_LOGICAL_TEXT, arena, data, 0x3e, ':') : DF_ERR_INVALID_DATA;
}

static int decode_macaddr8(DF_PG_DECODE_ARGS)
{
	return data.len == 8 ? set_hex(v, DF_LOGICAL_TEXT, arena, data, 0xfe, ':') : DF_ERR_INVALID_DATA;
}

/* The number of bits, and the bits from the highest of the first byte. */
static int decode_bit(DF_PG_DECODE_ARGS)
{
	if (data.len < 4)
		return DF_ERR_INVALID_DATA;
	uint32_t bits = df_pg_get32(data.ptr);
	if (bits > INT32_MAX || data.len - 4 != (bits + 7) / 8)
		return DF_ERR_INVALID_DATA;
	char *text = df_arena_alloc(arena, bits);
	if (!text)
		return DF_ERR_NO_MEMORY;
	for (uint32_t i = 0; i < bits; i++)
		text[i] = data.ptr[4 + i / 8] & (0x80 >> i % 8) ? '1' : '0';
	return df_pg_set_text(v, DF_STRING, DF_LOGICAL_TEXT, DF_REPR_PLAIN, df_str(text, bits));
}

/* ---- the types ------------------------------------------------------------------------------------------- */

/* A type without a row has no binary form that tells what its text does, or prints by settings of the server: money,
 * xml, ranges, rows, geometry, text search, and whatever extensions bring. */
static const struct df_pg_decoder decoders[] = {
	{ 23, 1007, "int4send", DF_LOGICAL_INT32, decode_int4 },
	{ 20, 1016, "int8send", DF_LOGICAL_INT64, decode_int8 },
	{ 25, 1009, "textsend", DF_LOGICAL_TEXT, decode_text },
	{ 1043, 1015, "varcharsend", DF_LOGICAL_TEXT, decode_text },
	{ 1184, 1185, "timestamptz_send", DF_LOGICAL_TIMESTAMPTZ, df_pg_decode_timestamptz },
	{ 1114, 1115, "timestamp_send", DF_LOGICAL_TIMESTAMP, df_pg_decode_timestamp },
	{ 1700, 1231, "numeric_send", DF_LOGICAL_DECIMAL, df_pg_decode_numeric },
	{ 701, 1022, "float8send", DF_LOGICAL_FLOAT64, decode_float8 },
	{ 16, 1000, "boolsend", DF_LOGICAL_NONE, decode_bool },
	{ 2950, 2951, "uuid_send", DF_LOGICAL_UUID, decode_uuid },
	{ 3802, 3807, "jsonb_send", DF_LOGICAL_JSON, decode_jsonb },
	{ 114, 199, "json_send", DF_LOGICAL_JSON, decode_json },
	{ 21, 1005, "int2send", DF_LOGICAL_INT32, decode_int2 },
	{ 700, 1021, "float4send", DF_LOGICAL_FLOAT32, decode_float4 },
	{ 17, 1001, "byteasend", DF_LOGICAL_BYTES, decode_bytea },
	{ 1042, 1014, "bpcharsend", DF_LOGICAL_TEXT, decode_text },
	{ 1082, 1182, "date_send", DF_LOGICAL_DATE, df_pg_decode_date },
	{ 1083, 1183, "time_send", DF_LOGICAL_TIME, df_pg_decode_time },
	{ 1266, 1270, "timetz_send", DF_LOGICAL_TIMETZ, df_pg_decode_timetz },
	{ 1186, 1187, "interval_send", DF_LOGICAL_INTERVAL, df_pg_decode_interval },
	{ 0, 0, "enum_send", DF_LOGICAL_TEXT, decode_text },
	{ 18, 1002, "charsend", DF_LOGICAL_TEXT, decode_char },
	{ 19, 1003, "namesend", DF_LOGICAL_TEXT, decode_text },
	{ 26, 1028, "oidsend", DF_LOGICAL_INT64, decode_oid },
	{ 28, 1011, "xidsend", DF_LOGICAL_INT64, decode_oid },
	{ 29, 1012, "cidsend", DF_LOGICAL_INT64, decode_oid },
	{ 5069, 271, "xid8send", DF_LOGICAL_INT64, decode_xid8 },
	{ 869, 1041, "inet_send", DF_LOGICAL_TEXT, df_pg_decode_inet },
	{ 650, 651, "cidr_send", DF_LOGICAL_TEXT, df_pg_decode_inet },
	{ 829, 1040, "macaddr_send", DF_LOGICAL_TEXT, decode_macaddr },
	{ 774, 775, "macaddr8_send", DF_LOGICAL_TEXT, decode_macaddr8 },
	{ 1560, 1561, "bit_send", DF_LOGICAL_TEXT, decode_bit },
	{ 1562, 1563, "varbit_send", DF_LOGICAL_TEXT, decode_bit },
};

const struct df_pg_decoder *df_pg_decoder_find(uint32_t oid)
{
	for (size_t i = 0; oid && i < DF_ARRAY_SIZE(decoders); i++)
		if (decoders[i].oid == oid)
			return &decoders[i];
	return NULL;
}

const struct df_pg_decoder *df_pg_decoder_of_array(uint32_t array_oid)
{
	for (size_t i = 0; array_oid && i < DF_ARRAY_SIZE(decoders); i++)
		if (decoders[i].array == array_oid)
			return &decoders[i];
	return NULL;
}

const struct df_pg_decoder *df_pg_decoder_of_send(struct df_str send)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(decoders); i++)
		if (df_str_equal_c(send, decoders[i].send))
			return &decoders[i];
	return NULL;
}

int df_pg_decode(const struct df_pg_type *type, struct df_str data, struct df_arena *arena, struct df_value *v,
		 struct df_error *err)
{
	int code = type->decoder->decode(type, data, arena, v);

	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (code != 0)
		return df_error_set(err, code, "a value of the type with OID %u (%s) cannot be decoded",
				    (unsigned)type->oid, type->decoder->send);
	return 0;
}
