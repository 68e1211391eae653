/* Binary fields to values: exact texts, bytes that lie, and the way back from what the encoders write. The types' own
 * matrix is read from a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "connectors/postgresql/decode.h"
#include "connectors/postgresql/encode.h"

static const struct df_pg_type *type_of(const char *send)
{
	static struct df_pg_type type, element;
	const char *bracket = strchr(send, '[');

	element = (struct df_pg_type){ .decoder = df_pg_decoder_of_send(
					       df_str(send, bracket ? (size_t)(bracket - send) : strlen(send))) };
	assert_non_null(element.decoder);
	element.oid = element.decoder->oid;
	type = (struct df_pg_type){ .decoder = &df_pg_decoder_array, .element = &element };
	return bracket ? &type : &element;
}

static size_t from_hex(const char *hex, char *out)
{
	size_t len = 0;

	for (; *hex; hex++) {
		unsigned byte;

		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[len++] = (char)byte;
		hex++;
	}
	return len;
}

/* The JSON text of a field, or "bad". */
static const char *decode(const char *send, const char *hex)
{
	static char out[1024];
	char *bytes = malloc(strlen(hex) / 2 + 1); /* of its size, so that a sanitizer sees a read behind it */
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_value v = { .kind = DF_NULL };
	struct df_arena arena;
	struct df_error err = DF_ERROR_INIT;

	assert_non_null(bytes);
	size_t len = from_hex(hex, bytes);
	df_arena_init(&arena, NULL);
	int code = df_pg_decode(type_of(send), df_str(bytes, len), &arena, &v, &err);
	if (code == 0)
		df_value_write(&v, &text);
	else
		assert_int_equal(code, DF_ERR_INVALID_DATA);
	snprintf(out, sizeof(out), "%s", code == 0 ? df_buf_c(&text) : "bad");
	df_arena_done(&arena);
	free(bytes);
	return out;
}

struct sample {
	const char *send, *hex, *json;
};

static void check(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(decode(samples[i].send, samples[i].hex), samples[i].json) != 0)
			fail_msg("%s %s: %s, not %s", samples[i].send, samples[i].hex,
				 decode(samples[i].send, samples[i].hex), samples[i].json);
}

static void numerics(void **state)
{
	static const struct sample samples[] = {
		{ "numeric_send", "0000 0000 0000 0000", "0" },
		{ "numeric_send", "0000 0000 0000 0002", "0.00" },
		{ "numeric_send", "0001 0000 0000 0000 0001", "1" },
		{ "numeric_send", "0001 0000 4000 0002 000a", "-10.00" },
		{ "numeric_send", "0002 0000 0000 0004 000a 1388", "10.5000" },
		{ "numeric_send", "0001 0001 0000 0000 0001", "10000" },
		{ "numeric_send", "0001 ffff 0000 0004 0001", "0.0001" },
		{ "numeric_send", "0001 fffe 0000 0008 270f", "0.00009999" },
		{ "numeric_send", "0001 fffd 0000 0003 270f", "0.000" },
		{ "numeric_send", "0002 0001 0000 0000 0000 0005", "5" }, /* leading zeros, which no server sends */
		{ "numeric_send", "0000 0000 c000 0000", "\"NaN\"" },
		{ "numeric_send", "0000 0000 d000 0020", "\"Infinity\"" },
		{ "numeric_send", "0000 0000 f000 0020", "\"-Infinity\"" },
		{ "numeric_send", "0000 0000 1000 0000", "bad" },
		{ "numeric_send", "0001 0000 0000 0000 2710", "bad" }, /* a digit of 10,000 */
		{ "numeric_send", "0002 0000 0000 0000 0001", "bad" },
		{ "numeric_send", "0000 0000 0000 0000 0001", "bad" },
		{ "numeric_send", "0000 0000 0000", "bad" },
		{ "numeric_send", "", "bad" },
	};

	(void)state;
	check(samples, DF_ARRAY_SIZE(samples));
}

static void arrays(void **state)
{
	static const struct sample samples[] = {
		{ "int4send[]", "00000000 00000000 00000017", "[]" },
		{ "int4send[]", "00000001 00000000 00000017 00000002 00000001 00000004 00000001 ffffffff", "[1,null]" },
		{ "int4send[]",
		  "00000002 00000000 00000017 00000001 00000001 00000002 00000005 00000004 00000001 00000004 00000002",
		  "[[1,2]]" },
		{ "int4send[]", "00000001 00000000 00000014 00000001 00000001 00000004 00000001", "bad" }, /* int8 */
		{ "int4send[]", "00000001 00000000 00000017 00000002 00000001 00000004 00000001", "bad" },
		{ "int4send[]", "00000001 00000000 00000017 ffffffff 00000001 00000004 00000001", "bad" },
		{ "int4send[]", "00000001 00000000 00000017 00000000 00000001", "bad" },
		{ "int4send[]", "00000007 00000000 00000017", "bad" },
		{ "int4send[]",
		  "00000006 00000000 00000017 0000ffff 00000001 0000ffff 00000001 0000ffff 00000001 0000ffff 00000001 "
		  "0000ffff 00000001 0000ffff 00000001 00000000",
		  "bad" },
		{ "int4send[]", "00000001 00000000 00000017 00000001 00000001 7fffffff 00000001", "bad" },
		{ "int4send[]", "00000001 00000000 00000017 00000001 00000001 00000004 00000001 00", "bad" },
		{ "int4send[]", "00000000 00000000 00000017 00", "bad" },
		{ "int4send[]", "00000001 00000000", "bad" },
	};

	(void)state;
	check(samples, DF_ARRAY_SIZE(samples));
}

static void lengths_that_lie(void **state)
{
	static const struct sample samples[] = {
		{ "boolsend", "", "bad" },
		{ "boolsend", "0101", "bad" },
		{ "int2send", "00", "bad" },
		{ "int4send", "000000", "bad" },
		{ "int8send", "0000000000000000 00", "bad" },
		{ "float4send", "0000", "bad" },
		{ "float8send", "00000000", "bad" },
		{ "oidsend", "", "bad" },
		{ "xid8send", "00", "bad" },
		{ "uuid_send", "00", "bad" },
		{ "jsonb_send", "", "bad" },
		{ "jsonb_send", "02 31", "bad" },
		{ "jsonb_send", "01", "bad" },
		{ "json_send", "7b", "bad" },
		{ "charsend", "", "bad" },
		{ "bit_send", "00000009 ff", "bad" },
		{ "bit_send", "ffffffff ff", "bad" },
		{ "bit_send", "000000", "bad" },
		{ "inet_send", "02 20 00 04 01020304 05", "bad" },
		{ "inet_send", "02 21 00 04 01020304", "bad" },
		{ "inet_send", "03 20 00 04 01020304", "bad" },
		{ "inet_send", "07 20 00 04 01020304", "bad" },
		{ "macaddr_send", "01", "bad" },
		{ "date_send", "0000", "bad" },
		{ "time_send", "ffffffffffffffff", "bad" },
		{ "time_send", "000000141dd76001", "bad" }, /* a microsecond behind 24:00:00 */
		{ "timetz_send", "0000000000000000 7fffffff", "bad" },
		{ "timestamp_send", "00", "bad" },
		{ "interval_send", "00", "bad" },
		{ "textsend", "41ff", "\"Qf8=\"" },
		{ "charsend", "00", "\"\"" },
		{ "xid8send", "ffffffffffffffff", "18446744073709551615" },
	};

	(void)state;
	check(samples, DF_ARRAY_SIZE(samples));
}

static void times(void **state)
{
	static const struct sample samples[] = {
		{ "timestamp_send", "0000000000000000", "\"2000-01-01T00:00:00Z\"" },
		{ "timestamptz_send", "ffffffffffffffff", "\"1999-12-31T23:59:59.999999Z\"" },
		{ "timestamp_send", "7fffffffffffffff", "\"infinity\"" },
		{ "timestamp_send", "8000000000000000", "\"-infinity\"" },
		{ "timestamp_send", "8000000000000001", "\"-290278-12-22T19:59:05.224193Z\"" },
		{ "date_send", "00000000", "\"2000-01-01\"" },
		{ "date_send", "fff4dbf8", "\"+0000-12-31\"" },
		{ "date_send", "fff4dbf9", "\"0001-01-01\"" },
		{ "date_send", "7fffffff", "\"infinity\"" },
		{ "time_send", "000000141dd76000", "\"24:00:00\"" },
		{ "timetz_send", "0000000000000000 ffffb9b0", "\"00:00:00+05\"" },
		{ "interval_send", "0000000000000000 00000000 00000000", "\"PT0S\"" },
		{ "interval_send", "7fffffffffffffff 7fffffff 7fffffff", "\"infinity\"" },
		{ "interval_send", "8000000000000000 80000000 80000000", "\"-infinity\"" },
		{ "interval_send", "8000000000000000 00000000 80000001",
		  "\"P-178956970Y-7MT-2562047788H-54.775808S\"" },
	};
	char text[DF_PG_TIME_MAX];

	(void)state;
	check(samples, DF_ARRAY_SIZE(samples));
	/* 0001-01-01 and 9999-12-31 are the ends of what RFC 3339 says. */
	assert_true(df_pg_timestamp_is_plain(df_pg_date_to_timestamp(-730119)));
	assert_false(df_pg_timestamp_is_plain(df_pg_date_to_timestamp(-730119) - 1));
	assert_true(df_pg_timestamp_is_plain(df_pg_date_to_timestamp(2921940) - 1));
	assert_false(df_pg_timestamp_is_plain(df_pg_date_to_timestamp(2921940)));
	text[df_pg_timestamp_literal(df_pg_date_to_timestamp(-730120), text)] = 0;
	assert_string_equal(text, "0001-12-31 00:00:00 BC");
	assert_int_equal(df_pg_date_to_timestamp(INT32_MAX), INT64_MAX);
	assert_int_equal(df_pg_date_to_timestamp(INT32_MAX - 1), INT64_MAX);
	assert_int_equal(df_pg_date_to_timestamp(INT32_MIN), INT64_MIN);
}

/* What an encoder of the sink writes, a decoder of the source reads. */
static void round_trips(void **state)
{
	static const struct {
		const char *receive, *send, *json;
	} samples[] = {
		{ "numeric_recv", "numeric_send", "-12345678901234567890.0001000" },
		{ "numeric_recv", "numeric_send", "0.00000000000000000001" },
		{ "numeric_recv", "numeric_send", "100000000" },
		{ "timestamptz_recv", "timestamptz_send", "\"2024-02-29T23:59:59.123456Z\"" },
		{ "timestamp_recv", "timestamp_send", "\"-0043-03-15T12:00:00Z\"" },
		{ "date_recv", "date_send", "\"+10000-01-01\"" },
		{ "interval_recv", "interval_send", "\"P1Y2M-3DT4H5M6.789S\"" },
		{ "interval_recv", "interval_send", "\"PT-0.000001S\"" },
		{ "timetz_recv", "timetz_send", "\"12:34:56.789-05:30\"" },
		{ "uuid_recv", "uuid_send", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"" },
		{ "float8recv", "float8send", "5e-324" },
		{ "bytearecv", "byteasend", "\"AP8Q\"" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(samples); i++) {
		struct df_pg_field field = { .encoder = df_pg_encoder_find(df_str_c(samples[i].receive)),
					     .modifier = -1 };
		df_cleanup(df_buf_done) struct df_buf bytes = { 0 };
		df_cleanup(df_buf_done) struct df_buf text = { 0 };
		struct df_value *v = NULL, back = { .kind = DF_NULL };
		struct df_arena arena;

		assert_non_null(field.encoder);
		df_arena_init(&arena, NULL);
		assert_int_equal(df_value_parse(df_str_c(samples[i].json), &arena, &v, NULL), DF_PARSE_OK);
		assert_int_equal(df_pg_encode(&field, v, &arena, &bytes, NULL), 0);
		assert_int_equal(df_pg_decode(type_of(samples[i].send), df_str(bytes.data + 4, bytes.len - 4), &arena,
					      &back, NULL),
				 0);
		df_value_write(&back, &text);
		assert_string_equal(df_buf_c(&text), samples[i].json);
		df_arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numerics), cmocka_unit_test(arrays),	   cmocka_unit_test(lengths_that_lie),
		cmocka_unit_test(times),    cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
