/* Trino's types, the values of its pages, and the texts that we send, case by case. The types' own matrix goes through
 * a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "connectors/trino/cell.h"
#include "connectors/trino/decode.h"
#include "connectors/trino/replaced.h"
#include "connectors/trino/text.h"

static struct df_arena arena;

static int setup(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	df_arena_done(&arena);
	return 0;
}

static struct df_value *parse(const char *json)
{
	struct df_value *v;
	struct df_str copy = df_arena_dup(&arena, df_str_c(json));

	assert_int_equal(df_value_parse(copy, &arena, &v, NULL), DF_PARSE_OK);
	return v;
}

/* ---- types ----------------------------------------------------------------------------------------------- */

#define T(name) "{\"rawType\":\"" name "\",\"arguments\":[]}"
#define N(name, numbers) "{\"rawType\":\"" name "\",\"arguments\":[" numbers "]}"
#define LONG(n) "{\"kind\":\"LONG\",\"value\":" #n "}"
#define TYPE(t) "{\"kind\":\"TYPE\",\"value\":" t "}"
#define FIELD(name, t) \
	"{\"kind\":\"NAMED_TYPE\",\"value\":{\"fieldName\":{\"name\":\"" name "\"},\"typeSignature\":" t "}}"
#define UNNAMED(t) "{\"kind\":\"NAMED_TYPE\",\"value\":{\"typeSignature\":" t "}}"

static struct df_trino_type *type_of(const char *signature)
{
	struct df_trino_type *type;

	assert_int_equal(df_trino_type_from_signature(parse(signature), &arena, &type, NULL), 0);
	return type;
}

static void test_signatures_become_sql(void **state)
{
	static const struct {
		const char *signature, *sql;
	} cases[] = {
		{ T("bigint"), "bigint" },
		{ N("decimal", LONG(38) "," LONG(10)), "decimal(38, 10)" },
		{ N("varchar", LONG(2147483647)), "varchar" },
		{ N("varchar", LONG(5)), "varchar(5)" },
		{ N("char", LONG(4)), "char(4)" },
		{ N("time", LONG(12)), "time(12)" },
		{ N("time with time zone", LONG(3)), "time(3) with time zone" },
		{ N("timestamp", LONG(6)), "timestamp(6)" },
		{ N("timestamp with time zone", LONG(12)), "timestamp(12) with time zone" },
		{ T("interval day to second"), "interval day to second" },
		{ T("HyperLogLog"), "HyperLogLog" },
		{ T("something newer"), "something newer" },
		{ N("array", TYPE(N("decimal", LONG(5) "," LONG(2)))), "array(decimal(5, 2))" },
		{ N("map", TYPE(T("bigint")) "," TYPE(T("varbinary"))), "map(bigint, varbinary)" },
		{ N("row", FIELD("a", T("bigint")) "," FIELD("B \\\"q", T("json"))),
		  "row(\"a\" bigint, \"B \"\"q\" json)" },
		{ N("row", UNNAMED(T("bigint"))), "row(bigint)" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		const struct df_trino_type *type = type_of(cases[i].signature);
		char text[128];

		(void)snprintf(text, sizeof(text), DF_STR_FMT, DF_STR_ARG(type->text));
		assert_string_equal(text, cases[i].sql);
		const struct df_trino_type *copy = df_trino_type_copy(type, &arena);
		assert_non_null(copy);
		assert_true(df_str_equal(copy->text, type->text));
		assert_int_equal(copy->count, type->count);
	}
}

static void test_signatures_that_lie(void **state)
{
	static const char *const cases[] = { "{}",
					     "[]",
					     "null",
					     "{\"rawType\":5}",
					     T("array"),
					     T("row"),
					     N("map", TYPE(T("bigint"))),
					     N("array", TYPE("{\"rawType\":null}")),
					     N("array", TYPE(T("bigint")) "," TYPE(T("bigint"))) };
	struct df_trino_type *type;
	df_cleanup(df_buf_done) struct df_buf deep = { 0 };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++)
		assert_int_equal(df_trino_type_from_signature(parse(cases[i]), &arena, &type, NULL), DF_ERR_UNKNOWN);
	for (size_t i = 0; i < 100; i++)
		df_buf_add_c(&deep, "{\"rawType\":\"array\",\"arguments\":[{\"value\":");
	df_buf_add_c(&deep, T("bigint"));
	for (size_t i = 0; i < 100; i++)
		df_buf_add_c(&deep, "}]}");
	assert_int_equal(df_trino_type_from_signature(parse(df_buf_c(&deep)), &arena, &type, NULL), DF_ERR_UNKNOWN);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* What a page's JSON becomes, as JSON; "bad" when it is refused. */
static const char *decode(struct df_trino_zones *zones, const char *signature, const char *json)
{
	static char out[256];
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v;
	int code = df_trino_decode(type_of(signature), parse(json), &arena, zones, &v, &err);

	if (code == DF_ERR_INVALID_DATA || code == DF_ERR_CONFIG)
		return "bad";
	assert_int_equal(code, 0);
	df_value_write(v, &text);
	(void)snprintf(out, sizeof(out), "%s", df_buf_c(&text));
	return out;
}

static const struct {
	const char *signature, *json, *value;
} reads[] = {
	{ T("bigint"), "-9223372036854775808", "-9223372036854775808" },
	{ T("bigint"), "\"1\"", "bad" },
	{ T("bigint"), "1.5", "bad" },
	{ T("bigint"), "null", "null" },
	{ T("boolean"), "true", "true" },
	{ T("boolean"), "1", "bad" },
	{ T("double"), "1.0E-7", "1e-7" },
	{ T("double"), "\"NaN\"", "\"NaN\"" },
	{ T("double"), "\"-Infinity\"", "\"-Infinity\"" },
	{ T("double"), "\"1x\"", "bad" },
	{ T("double"), "\"\"", "bad" },
	{ T("real"), "0.1", "0.1" },
	{ T("real"), "3.4028235E38", "3.4028235e+38" },
	{ N("decimal", LONG(5) "," LONG(2)), "\"10.50\"", "10.50" },
	{ N("decimal", LONG(5) "," LONG(2)), "\"1e\"", "bad" },
	{ T("varchar"), "\"a\\n\\u00e9\"", "\"a\\n\xc3\xa9\"" },
	{ T("varchar"), "[]", "bad" },
	{ T("varbinary"), "\"AP8=\"", "\"AP8=\"" },
	{ T("varbinary"), "\"!\"", "bad" },
	{ T("json"), "\"{\\\"a\\\":1.50}\"", "{\"a\":1.50}" },
	{ T("json"), "\"{\"", "bad" },
	{ T("date"), "\"0001-01-01\"", "\"0001-01-01\"" },
	{ T("date"), "\"10000-01-01\"", "\"+10000-01-01\"" },
	{ T("date"), "\"-0043-03-15\"", "\"-0043-03-15\"" },
	{ T("time"), "\"01:02:03.100\"", "\"01:02:03.1\"" },
	{ T("time"), "\"01:02:00.000\"", "\"01:02:00\"" },
	{ T("time with time zone"), "\"01:02:03.000+05:30\"", "\"01:02:03+05:30\"" },
	{ T("timestamp"), "\"2020-02-29 12:00:00.123456789012\"", "\"2020-02-29T12:00:00.123456789012Z\"" },
	{ T("timestamp"), "\"2020-01-01 00:00:00.000\"", "\"2020-01-01T00:00:00Z\"" },
	{ T("timestamp with time zone"), "\"2020-07-01 12:00:00.100 Europe/Berlin\"", "\"2020-07-01T10:00:00.1Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 12:00:00 Europe/Berlin\"", "\"2020-01-01T11:00:00Z\"" },
	/* An hour that happens twice: the text does not tell which, the first is taken. */
	{ T("timestamp with time zone"), "\"2020-10-25 02:30:00 Europe/Berlin\"", "\"2020-10-25T00:30:00Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 America/New_York\"", "\"2020-01-01T05:00:00Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 +05:30\"", "\"2019-12-31T18:30:00Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 -00:30\"", "\"2020-01-01T00:30:00Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 UTC\"", "\"2020-01-01T00:00:00Z\"" },
	{ T("timestamp with time zone"), "\"9999-12-31 23:59:59 -01:00\"", "\"+10000-01-01T00:59:59Z\"" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00\"", "bad" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 Nowhere/Land\"", "bad" },
	{ T("timestamp with time zone"), "\"2020-01-01 00:00:00 ../../etc/passwd\"", "bad" },
	{ T("timestamp with time zone"), "\"2020-13-01 00:00:00 UTC\"", "bad" },
	{ T("interval year to month"), "\"1-2\"", "\"P1Y2M\"" },
	{ T("interval year to month"), "\"-1-0\"", "\"P-1Y\"" },
	{ T("interval year to month"), "\"0-0\"", "\"P0M\"" },
	{ T("interval year to month"), "\"1\"", "bad" },
	{ T("interval day to second"), "\"3 04:05:06.789\"", "\"P3DT4H5M6.789S\"" },
	{ T("interval day to second"), "\"-0 00:00:01.500\"", "\"PT-1.5S\"" },
	{ T("interval day to second"), "\"0 00:00:00.000\"", "\"PT0S\"" },
	{ T("interval day to second"), "\"2 00:00:00.000\"", "\"P2D\"" },
	{ T("interval day to second"), "\"1:2\"", "bad" },
	{ T("uuid"), "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"", "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"" },
	{ T("HyperLogLog"), "\"AA==\"", "\"AA==\"" },
	{ T("something newer"), "{\"x\":[1.50]}", "{\"x\":[1.50]}" },
	{ T("unknown"), "null", "null" },
	{ N("array", TYPE(T("bigint"))), "[1,null]", "[1,null]" },
	{ N("array", TYPE(T("bigint"))), "{}", "bad" },
	{ N("array", TYPE(T("bigint"))), "[\"x\"]", "bad" },
	{ N("map", TYPE(T("bigint")) "," TYPE(T("double"))), "{\"5\":\"NaN\"}", "{\"5\":\"NaN\"}" },
	{ N("row", FIELD("a", T("bigint")) "," FIELD("b", T("varchar"))), "[1,\"x\"]", "{\"a\":1,\"b\":\"x\"}" },
	{ N("row", FIELD("a", T("bigint")) "," UNNAMED(T("varchar"))), "[1,\"x\"]", "[1,\"x\"]" },
	{ N("row", FIELD("a", T("bigint"))), "[1,2]", "bad" },
};

static void test_values_of_pages(void **state)
{
	struct df_trino_zones zones = { 0 };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(reads); i++) {
		const char *got = decode(&zones, reads[i].signature, reads[i].json);

		if (strcmp(got, reads[i].value) != 0)
			fail_msg("%s %s: %s, not %s", reads[i].signature, reads[i].json, got, reads[i].value);
	}
	df_trino_zones_done(&zones);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static const struct {
	const char *signature, *json, *cell; /* cell NULL: refused */
} writes[] = {
	{ T("bigint"), "5", "\"5\"" },
	{ T("bigint"), "5.0", "\"5\"" },
	{ T("bigint"), "\"7\"", "\"7\"" },
	{ T("bigint"), "null", "null" },
	{ T("bigint"), "9223372036854775808", NULL },
	{ T("tinyint"), "-128", "\"-128\"" },
	{ T("tinyint"), "128", NULL },
	{ T("integer"), "1.5", NULL },
	{ T("boolean"), "true", "\"true\"" },
	{ T("boolean"), "\"maybe\"", NULL },
	{ T("double"), "1e400", NULL },
	{ T("double"), "\"NaN\"", "\"NaN\"" },
	{ T("real"), "0.1", "\"0.1\"" },
	{ T("real"), "16777217", NULL },
	{ N("decimal", LONG(5) "," LONG(2)), "1.5", "\"1.50\"" },
	{ N("decimal", LONG(5) "," LONG(2)), "-0.01", "\"-0.01\"" },
	{ N("decimal", LONG(5) "," LONG(2)), "0", "\"0.00\"" },
	{ N("decimal", LONG(5) "," LONG(2)), "1e2", "\"100.00\"" },
	{ N("decimal", LONG(5) "," LONG(2)), "12345e-2", "\"123.45\"" },
	{ N("decimal", LONG(5) "," LONG(2)), "1000", NULL },
	{ N("decimal", LONG(5) "," LONG(2)), "0.001", NULL },
	{ N("decimal", LONG(5) "," LONG(2)), "1e999999999999", NULL },
	{ N("varchar", LONG(2147483647)), "\"it's \\\"\\u0000\\n\"", "\"it's \\\"\\u0000\\n\"" },
	{ N("varchar", LONG(3)), "\"\xc3\xa4\xc3\xb6\xc3\xbc\"", "\"\xc3\xa4\xc3\xb6\xc3\xbc\"" },
	{ N("varchar", LONG(3)), "\"abcd\"", NULL },
	{ N("varchar", LONG(3)), "12", "\"12\"" },
	{ T("varbinary"), "\"\\\\xff00\"", "\"/wA=\"" },
	{ T("varbinary"), "\"!\"", NULL },
	{ T("json"), "{\"a\":[1,\"x\"]}", "\"{\\\"a\\\":[1,\\\"x\\\"]}\"" },
	{ T("json"), "0.12345678901234567891", NULL },
	{ T("date"), "\"2020-02-29T23:59:59Z\"", "\"2020-02-29\"" },
	{ T("date"), "\"2020-02-30\"", NULL },
	{ N("time", LONG(3)), "\"01:02:03.456789\"", "\"01:02:03.456\"" },
	{ N("time", LONG(3)), "\"25:00:00\"", NULL },
	{ N("time", LONG(3)), "\"01:02:03+01:00\"", NULL },
	{ N("time with time zone", LONG(0)), "\"01:02:03+01:00\"", "\"01:02:03+01:00\"" },
	{ N("time with time zone", LONG(0)), "\"01:02:03Z\"", "\"01:02:03+00:00\"" },
	{ N("timestamp", LONG(3)), "\"2020-01-01T00:00:00.123456+02:00\"", "\"2019-12-31 22:00:00.123\"" },
	{ N("timestamp", LONG(12)), "\"2020-01-01T00:00:00.123456789012Z\"", "\"2020-01-01 00:00:00.123456789012\"" },
	{ N("timestamp", LONG(0)), "1600000000", "\"2020-09-13 12:26:40\"" },
	{ N("timestamp", LONG(3)), "1600000000123", "\"2020-09-13 12:26:40.123\"" },
	{ N("timestamp", LONG(1)), "-0.5", "\"1969-12-31 23:59:59.5\"" },
	{ N("timestamp", LONG(3)), "\"noon\"", NULL },
	{ N("timestamp with time zone", LONG(3)), "\"2020-01-01T00:00:00Z\"", "\"2020-01-01 00:00:00.000 UTC\"" },
	{ T("uuid"), "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"", "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"" },
	{ T("uuid"), "\"12151fd2-7586-11e9-8f9e-2a86e4085a5\"", NULL },
	{ T("ipaddress"), "\"2001:db8::1\"", "\"2001:db8::1\"" },
	{ T("ipaddress"), "\"1.2.3\"", NULL },
	{ T("HyperLogLog"), "\"AA==\"", NULL },
	{ N("array", TYPE(T("bigint"))), "[1,null,\"2\"]", "[\"1\",null,\"2\"]" },
	{ N("array", TYPE(T("bigint"))), "[]", "[]" },
	{ N("array", TYPE(T("bigint"))), "{}", NULL },
	{ N("map", TYPE(T("bigint")) "," TYPE(T("varbinary"))), "{\"5\":\"AA==\"}", "{\"5\":\"AA==\"}" },
	{ N("map", TYPE(T("bigint")) "," TYPE(T("bigint"))), "{\"x\":1}", NULL },
	{ N("row", FIELD("a", T("bigint")) "," FIELD("b", T("varchar"))), "{\"b\":\"x\"}", "[null,\"x\"]" },
	{ N("row", FIELD("a", T("bigint"))), "[1]", "[\"1\"]" },
	{ N("row", FIELD("a", T("bigint"))), "{\"c\":1}", NULL },
	{ N("row", FIELD("a", T("bigint"))), "[]", NULL },
};

static void test_cells(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(writes); i++) {
		df_cleanup(df_buf_done) struct df_buf out = { 0 };
		struct df_error err = DF_ERROR_INIT;
		int code = df_trino_cell(type_of(writes[i].signature), parse(writes[i].json), &arena, &out, &err);

		assert_true(code == 0 || code == DF_ERR_INVALID_DATA);
		if ((code == 0) != (writes[i].cell != NULL) ||
		    (code == 0 && strcmp(df_buf_c(&out), writes[i].cell) != 0))
			fail_msg("%s %s: %s", writes[i].signature, writes[i].json, code ? err.text : df_buf_c(&out));
	}
}

static void test_shapes(void **state)
{
	static const struct {
		const char *signature, *shape, *sql;
	} cases[] = {
		{ T("bigint"), "varchar", "CAST(c0 AS bigint)" },
		{ T("varbinary"), "varchar", "from_base64(c0)" },
		{ T("json"), "varchar", "json_parse(c0)" },
		{ N("array", TYPE(T("bigint"))), "array(varchar)", "CAST(c0 AS array(bigint))" },
		{ N("array", TYPE(T("varbinary"))), "array(varchar)", "transform(c0, x0 -> from_base64(x0))" },
		{ N("map", TYPE(T("bigint")) "," TYPE(T("json"))), "map(varchar, varchar)",
		  "transform_values(transform_keys(c0, (k0, v0) -> CAST(k0 AS bigint)), (k0, v0) -> json_parse(v0))" },
		{ N("row", FIELD("a", T("bigint")) "," FIELD("b", T("json"))), "row(f0 varchar, f1 varchar)",
		  "IF(c0 IS NOT NULL, CAST(ROW(CAST(c0.f0 AS bigint), json_parse(c0.f1)) AS row(\"a\" bigint, \"b\" json)))" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		df_cleanup(df_buf_done) struct df_buf shape = { 0 }, sql = { 0 };

		df_trino_shape(type_of(cases[i].signature), &shape);
		df_trino_from_shape(type_of(cases[i].signature), DF_STR("c0"), &sql);
		assert_string_equal(df_buf_c(&shape), cases[i].shape);
		assert_string_equal(df_buf_c(&sql), cases[i].sql);
	}
}

static void test_literals(void **state)
{
	static const struct {
		const char *signature, *json, *sql;
	} cases[] = {
		{ T("bigint"), "-1", "bigint '-1'" },
		{ N("decimal", LONG(5) "," LONG(2)), "1.5", "DECIMAL '1.50'" },
		{ N("varchar", LONG(2147483647)), "\"it's\"", " 'it''s'" },
		{ N("varchar", LONG(2147483647)), "\"\\\\\\n'\"", " U&'\\\\\\000A'''" },
		{ T("varbinary"), "\"\\\\xff\"", "from_base64('/w==')" },
		{ N("timestamp", LONG(3)), "\"2020-01-01T00:00:00Z\"", "TIMESTAMP '2020-01-01 00:00:00.000'" },
		{ T("uuid"), "\"12151fd2-7586-11e9-8f9e-2a86e4085a59\"",
		  "uuid '12151fd2-7586-11e9-8f9e-2a86e4085a59'" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		df_cleanup(df_buf_done) struct df_buf sql = { 0 };

		assert_int_equal(
			df_trino_literal(type_of(cases[i].signature), parse(cases[i].json), &arena, &sql, NULL), 0);
		assert_string_equal(df_buf_c(&sql), cases[i].sql);
	}
}

/* ---- keys that stand twice ------------------------------------------------------------------------------- */

static void test_rows_that_replace_earlier_ones(void **state)
{
	/* key, columns (a: both, b: the key alone), d: removes; and which are left */
	static const struct {
		const char *rows, *left;
	} cases[] = {
		{ "1a 2a 3a", "012" }, { "1a 1a 1a", "2" }, { "1a 2a 1a", "12" }, { "1a 1b", "01" },
		{ "1a 1b 1a", "012" }, { "1a 1d", "1" },    { "1a 1b 1d", "02" }, { "1d 1a", "01" },
		{ "1d 1d 2a", "12" },  { "0a 0a", "01" },   { "1a 1d 1a", "12" },
	};
	static struct df_column_set *sets[2];
	const size_t key_column = 0;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		sets[i] = df_arena_zalloc(&arena, sizeof(*sets[i]) + 2 * sizeof(uint32_t));
		sets[i]->count = 2 - i;
		sets[i]->columns[0] = 0;
		sets[i]->columns[1] = 1;
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct df_group_row rows[4];
		bool removes[4] = { false };
		const struct df_group_row *earlier[4] = { NULL };
		size_t count = 0, chained = 0;
		char left[8] = "";

		for (const char *p = cases[i].rows; *p; p += p[2] ? 3 : 2, count++) {
			struct df_value **values = df_arena_alloc(&arena, 2 * sizeof(struct df_value *));

			values[0] = df_value_string_copy(&arena, df_str(p, 1));
			values[1] = df_value_new(&arena, DF_NULL);
			removes[count] = p[1] == 'd';
			rows[count] = (struct df_group_row){ .index = count,
							     .row = { .set = sets[p[1] != 'a'], .values = values },
							     .key = *p == '0' ? 0 : 77 + (*p == '2') };
		}
		size_t all = count;
		assert_int_equal(df_trino_drop_replaced(rows, &count, &key_column, 1, removes, earlier, &arena), 0);
		for (size_t k = 0; k < count; k++) {
			left[k] = (char)('0' + rows[k].index);
			for (const struct df_group_row *e = earlier[rows[k].index]; e; e = earlier[e->index])
				chained++;
		}
		assert_string_equal(left, cases[i].left);
		assert_int_equal(count + chained, all); /* everyone has somebody that speaks for it */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signatures_become_sql, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signatures_that_lie, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values_of_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cells, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_literals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_that_replace_earlier_ones, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
