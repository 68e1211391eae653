/* Values to binary fields: exact bytes, and the SQLSTATE of what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "connectors/postgresql/encode.h"

/* Encodes the JSON text for a type; hexadecimal content, "null", or the SQLSTATE of the refusal. */
static const char *encode_as(struct df_pg_field field, const char *json)
{
	static char out[4096];
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_arena arena;
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v = NULL;

	df_arena_init(&arena, NULL);
	df_buf_add_c(&buf, "before");
	assert_int_equal(df_value_parse(df_str_c(json), &arena, &v, NULL), DF_PARSE_OK);
	int code = df_pg_encode(&field, v, &arena, &buf, &err);
	if (code != 0) {
		assert_int_equal(code, DF_ERR_INVALID_DATA);
		assert_int_equal(buf.len, 6);
		snprintf(out, sizeof(out), "%s", err.remote);
	} else if (memcmp(buf.data + 6, "\xff\xff\xff\xff", 4) == 0) {
		snprintf(out, sizeof(out), "null");
	} else {
		out[0] = '\0';
		for (size_t i = 10; i < buf.len; i++)
			snprintf(out + 2 * (i - 10), 3, "%02x", (unsigned char)buf.data[i]);
		uint32_t len;
		memcpy(&len, buf.data + 6, 4);
		assert_int_equal(__builtin_bswap32(len), buf.len - 10);
	}
	df_arena_done(&arena);
	return out;
}

static const char *encode(const char *receive, int32_t modifier, const char *json)
{
	const struct df_pg_encoder *encoder = df_pg_encoder_find(df_str_c(receive));

	assert_non_null(encoder);
	return encode_as((struct df_pg_field){ .encoder = encoder, .modifier = modifier }, json);
}

static const char *encode_array(const char *receive, uint32_t oid, const char *json)
{
	return encode_as((struct df_pg_field){ .encoder = &df_pg_encoder_array,
					       .modifier = -1,
					       .element_oid = oid,
					       .element = df_pg_encoder_find(df_str_c(receive)) },
			 json);
}

struct sample {
	const char *receive;
	int32_t modifier;
	const char *json, *expected;
};

#define NUMERIC(precision, scale) ((precision) << 16 | ((scale)&0x7ff)) + 4

static const struct sample samples[] = {
	{ "int2recv", -1, "-2", "fffe" },
	{ "int2recv", -1, "32768", "22003" },
	{ "int4recv", -1, "5.0", "00000005" },
	{ "int4recv", -1, "5.5", "22P02" },
	{ "int4recv", -1, "\"12\"", "0000000c" },
	{ "int4recv", -1, "\"x\"", "22P02" },
	{ "int4recv", -1, "[1]", "22P02" },
	{ "int4recv", -1, "null", "null" },
	{ "int8recv", -1, "-9223372036854775808", "8000000000000000" },
	{ "int8recv", -1, "9223372036854775808", "22P02" },
	{ "oidrecv", -1, "4294967295", "ffffffff" },
	{ "oidrecv", -1, "-1", "22003" },
	{ "float8recv", -1, "0.1", "3fb999999999999a" },
	{ "float8recv", -1, "\"-Infinity\"", "fff0000000000000" },
	{ "float8recv", -1, "0.12345678901234567890", "22P02" },
	{ "float4recv", -1, "0.1", "3dcccccd" },
	{ "float4recv", -1, "0.123456789", "22003" },
	{ "float4recv", -1, "1e39", "22003" },
	{ "float4recv", -1, "\"Infinity\"", "7f800000" },
	{ "boolrecv", -1, "true", "01" },
	{ "boolrecv", -1, "0", "00" },
	{ "boolrecv", -1, "\"yes\"", "22P02" },
	{ "textrecv", -1, "\"a\\u00e9\"", "61c3a9" },
	{ "textrecv", -1, "\"a\\u0000\"", "22021" },
	{ "textrecv", -1, "1.50", "312e3530" },
	{ "textrecv", -1, "{\"a\": [1]}", "7b2261223a5b315d7d" },
	{ "varcharrecv", 4 + 2, "\"\xc3\xa9\xc3\xa9\"", "c3a9c3a9" },
	{ "varcharrecv", 4 + 2, "\"abc\"", "22001" },
	{ "bpcharrecv", 4 + 2, "\"ab  \"", "61622020" },
	{ "bytearecv", -1, "\"AQI=\"", "0102" },
	{ "bytearecv", -1, "\"\\\\x0aFF\"", "0aff" },
	{ "bytearecv", -1, "\"AQI\"", "22P02" },
	{ "uuid_recv", -1, "\"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "a0eebc999c0b4ef8bb6d6bb9bd380a11" },
	{ "uuid_recv", -1, "\"a0eebc999c0b4ef8bb6d6bb9bd380a11\"", "a0eebc999c0b4ef8bb6d6bb9bd380a11" },
	{ "uuid_recv", -1, "\"a0eebc999-c0b-4ef8-bb6d-6bb9bd380a11\"", "22P02" },
	{ "uuid_recv", -1, "\"\"", "22P02" },
	{ "json_recv", -1, "\"x\"", "227822" },
	{ "json_recv", -1, "{\"b\": 1.0, \"a\": 2}", "7b2262223a312e302c2261223a327d" },
	{ "jsonb_recv", -1, "[1e400]", "015b31653430305d" },
	{ "jsonb_recv", -1, "\"\\u0000\"", "22P05" },
	{ "jsonb_recv", -1, "\"\\\\u0000\"", "01225c5c753030303022" },
	{ "enum_recv", -1, "\"red\"", "726564" },
	{ "enum_recv", -1, "1", "22P02" },
	/* ndigits, weight, sign, dscale, digits */
	{ "numeric_recv", -1, "0", "0000000000000000" },
	{ "numeric_recv", -1, "0.00", "0000000000000002" },
	{ "numeric_recv", -1, "1", "00010000000000000001" },
	{ "numeric_recv", -1, "-12345.60",
	  "000300014000000200010929"
	  "1770" },
	{ "numeric_recv", -1, "0.0001", "0001ffff000000040001" },
	{ "numeric_recv", -1, "0.00001", "0001fffe0000000503e8" },
	{ "numeric_recv", -1, "1e3", "000100000000000003e8" },
	{ "numeric_recv", -1, "1e4", "00010001000000000001" },
	{ "numeric_recv", -1, "12e-1", "0002000000000001000107d0" },
	{ "numeric_recv", -1, "10000.0001",
	  "00030001000000040001"
	  "0000"
	  "0001" },
	{ "numeric_recv", -1, "\"NaN\"", "00000000c0000000" },
	{ "numeric_recv", -1, "\"-Infinity\"", "00000000f0000000" },
	{ "numeric_recv", -1, "1e131072", "22003" },
	{ "numeric_recv", -1, "1e-16384", "22003" },
	{ "numeric_recv", -1, "1e99999999999999999999", "22003" },
	{ "numeric_recv", -1, "\"1_0\"", "22P02" },
	{ "numeric_recv", NUMERIC(5, 2), "123.4", "0002000000000002007b0fa0" },
	{ "numeric_recv", NUMERIC(5, 2), "123.400", "0002000000000002007b0fa0" },
	{ "numeric_recv", NUMERIC(5, 2), "123.456", "22003" },
	{ "numeric_recv", NUMERIC(5, 2), "1234", "22003" },
	{ "numeric_recv", NUMERIC(3, -2), "12300",
	  "00020001000000000001"
	  "08fc" },
	{ "numeric_recv", NUMERIC(3, -2), "12345", "22003" },
	{ "numeric_recv", NUMERIC(5, 2), "\"Infinity\"", "22003" },
	{ "date_recv", -1, "\"2000-01-01\"", "00000000" },
	{ "date_recv", -1, "\"1999-12-31\"", "ffffffff" },
	{ "date_recv", -1, "\"2000-01-02T00:00:00Z\"", "00000001" },
	{ "date_recv", -1, "\"2000-01-02T01:00:00Z\"", "22007" },
	{ "date_recv", -1, "\"2001-02-29\"", "22007" },
	{ "date_recv", -1, "\"infinity\"", "7fffffff" },
	{ "date_recv", -1, "\"-4713-11-24\"", "ffda97a7" },
	{ "date_recv", -1, "\"-4713-11-23\"", "22008" },
	{ "date_recv", -1, "\"+5874897-12-31\"", "7fda970c" },
	{ "time_recv", -1, "\"24:00:00\"", "000000141dd76000" },
	{ "time_recv", -1, "\"24:00:01\"", "22007" },
	{ "time_recv", -1, "\"00:00:00.0000019\"", "0000000000000001" },
	{ "time_recv", 2, "\"00:00:00.129\"", "000000000001d4c0" },
	{ "timetz_recv", -1, "\"01:00:00+02:30\"",
	  "00000000d693a400"
	  "ffffdcd8" },
	{ "timestamptz_recv", -1, "\"2000-01-01T00:00:00.000001Z\"", "0000000000000001" },
	{ "timestamptz_recv", -1, "\"2000-01-01T02:00:00+02:00\"", "0000000000000000" },
	{ "timestamptz_recv", 3, "\"2000-01-01T00:00:00.0019999Z\"", "00000000000003e8" },
	{ "timestamptz_recv", -1, "1700000000", "22P02" },
	{ "timestamp_recv", -1, "\"-infinity\"", "8000000000000000" },
	{ "timestamp_recv", -1, "\"2000-01-01 00:00:01\"", "00000000000f4240" },
	{ "timestamp_recv", -1, "\"2000-01-02\"", "000000141dd76000" },
	{ "timestamp_recv", -1, "\"+294277-01-01T00:00:00Z\"", "22008" },
	{ "timestamp_recv", -1, "\"2000-01-01T00:00:00Zx\"", "22007" },
	{ "interval_recv", -1, "\"P1Y2M3DT4H5M6.789S\"",
	  "000000036c97ca88"
	  "00000003"
	  "0000000e" },
	{ "interval_recv", -1, "\"PT-1S\"",
	  "fffffffffff0bdc0"
	  "00000000"
	  "00000000" },
	{ "interval_recv", -1, "\"P\"", "22007" },
	{ "interval_recv", -1, "\"P1D2Y\"", "22007" },
	{ "interval_recv", -1, "\"P9999999999D\"", "22015" },
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		const char *got = encode(s->receive, s->modifier, s->json);
		if (strcmp(got, s->expected) != 0)
			fail_msg("%s(%d) of %s: %s, expected %s", s->receive, (int)s->modifier, s->json, got,
				 s->expected);
	}
}

static void test_arrays(void **state)
{
	(void)state;
	assert_string_equal(encode_array("int4recv", 23, "[]"), "000000000000000000000017");
	assert_string_equal(encode_array("int4recv", 23, "[1, null]"), "000000010000000100000017"
								       "0000000200000001"
								       "0000000400000001"
								       "ffffffff");
	assert_string_equal(encode_array("boolrecv", 16, "[[true], [false]]"), "000000020000000000000010"
									       "00000002000000010000000100000001"
									       "0000000101"
									       "0000000100");
	assert_string_equal(encode_array("int4recv", 23, "[[1], [2, 3]]"), "2202E");
	assert_string_equal(encode_array("int4recv", 23, "[1, [2]]"), "2202E");
	assert_string_equal(encode_array("int4recv", 23, "[[[[[[[1]]]]]]]"), "2202E");
	assert_string_equal(encode_array("int4recv", 23, "[1, \"x\"]"), "22P02");
	assert_string_equal(encode_array("int4recv", 23, "{}"), "22P02");
	/* Arrays in an array of documents are documents. */
	assert_string_equal(encode_array("json_recv", 114, "[[1, 2]]"), "000000010000000000000072"
									"0000000100000001"
									"000000055b312c325d");
}

/* Computed representations, which no parser makes. */
static void test_representations(void **state)
{
	struct df_arena arena;
	struct df_error err = DF_ERROR_INIT;
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_pg_field field = { .encoder = df_pg_encoder_find(DF_STR("numeric_recv")), .modifier = -1 };

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_pg_encode(&field, df_value_int64(&arena, -10), &arena, &buf, &err), 0);
	assert_memory_equal(buf.data, "\0\0\0\x0a\0\1\0\0\x40\0\0\0\0\x0a", 14);
	buf.len = 0;
	assert_int_equal(df_pg_encode(&field, df_value_float64(&arena, 0.5), &arena, &buf, &err), 0);
	assert_memory_equal(buf.data, "\0\0\0\x0a\0\1\xff\xff\0\0\0\1\x13\x88", 14);
	buf.len = 0;
	field.encoder = df_pg_encoder_find(DF_STR("bytearecv"));
	assert_int_equal(df_pg_encode(&field, df_value_bytes(&arena, DF_STR("\0\xff")), &arena, &buf, &err), 0);
	assert_memory_equal(buf.data, "\0\0\0\2\0\xff", 6);
	buf.len = 0;
	field.encoder = df_pg_encoder_find(DF_STR("jsonb_recv"));
	struct df_value *raw = df_value_string(&arena, DF_STR("{\"a\" : 1}"));
	raw->logical = DF_LOGICAL_JSON;
	assert_int_equal(df_pg_encode(&field, raw, &arena, &buf, &err), 0);
	assert_memory_equal(buf.data, "\0\0\0\x0a\1{\"a\" : 1}", 14);
	df_arena_done(&arena);
}

static void test_unknown_type(void **state)
{
	(void)state;
	assert_null(df_pg_encoder_find(DF_STR("inet_recv")));
	assert_null(df_pg_encoder_find(DF_STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_representations),
		cmocka_unit_test(test_unknown_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
