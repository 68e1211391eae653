/* cast: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define CAST(spec) "{type: cast, config: {spec: " spec "}}"

/* One value cast to one type: the value that comes out, or NULL when it fails with what is said to be found. */
struct row {
	const char *value, *type, *want, *found;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char config[256], in[256], want[256], error[256];
		struct transform_case c = { .config = config, .in = in };

		snprintf(config, sizeof(config), CAST("{a: %s}"), rows[i].type);
		snprintf(in, sizeof(in), "{ \"z\" : 1.10, \"a\":%s}", rows[i].value);
		snprintf(want, sizeof(want), "{\"z\":1.10,\"a\":%s}", rows[i].want ? rows[i].want : "");
		snprintf(error, sizeof(error), "cannot cast a to %s: found %s", rows[i].type,
			 rows[i].found ? rows[i].found : "");
		if (!rows[i].want)
			c.error = error;
		else
			/* the same text: every byte stays */
			c.want[0] = strcmp(rows[i].want, "=") == 0 ? in : want;
		transform_check(&c, 1);
	}
}

static void casts_to_string(void **state)
{
	static const struct row rows[] = {
		{ "1.10", "string", "\"1.10\"" },
		{ "-0", "string", "\"-0\"" },
		{ "1e400", "string", "\"1e400\"" },
		{ "9007199254740993", "string", "\"9007199254740993\"" },
		{ "\"x\"", "string", "=" },
		{ "\"\"", "string", "=" },
		{ "\"12\"", "string", "=" },
		{ "\"\\u0041\\n\"", "string", "=" },
		{ "true", "string", "\"true\"" },
		{ "false", "string", "\"false\"" },
		{ "null", "string", NULL, "null" },
		{ "{}", "string", NULL, "an object" },
		{ "{\"b\":1}", "string", NULL, "an object" },
		{ "[]", "string", NULL, "an array" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void casts_to_int64(void **state)
{
	static const char *const number = "a number that is not whole or not in the range of int64";
	static const char *const text = "a string whose number is not whole or not in the range of int64";
	static const char *const none = "a string that is not a number";
	const struct row rows[] = {
		{ "5", "int64", "=" },
		{ "-5", "int64", "=" },
		{ "0", "int64", "=" },
		{ "5.0", "int64", "5" },
		{ "5.000", "int64", "5" },
		{ "1e3", "int64", "1000" },
		{ "1E+3", "int64", "1000" },
		{ "1500e-2", "int64", "15" },
		{ "-0", "int64", "0" },
		{ "0.0", "int64", "0" },
		{ "-0e99", "int64", "0" },
		{ "9223372036854775807", "int64", "=" },
		{ "-9223372036854775808", "int64", "=" },
		{ "9223372036854775807.0", "int64", "9223372036854775807" },
		{ "9007199254740993.0", "int64", "9007199254740993" },
		{ "9223372036854775808", "int64", NULL, number },
		{ "-9223372036854775809", "int64", NULL, number },
		{ "1.5", "int64", NULL, number },
		{ "0.1", "int64", NULL, number },
		{ "1e-400", "int64", NULL, number },
		{ "1e400", "int64", NULL, number },
		{ "\"5\"", "int64", "5" },
		{ "\"5.0\"", "int64", "5" },
		{ "\"+5\"", "int64", "5" },
		{ "\"-5\"", "int64", "-5" },
		{ "\"-0\"", "int64", "0" },
		{ "\"007\"", "int64", "7" },
		{ "\"5.\"", "int64", "5" },
		{ "\"5.e1\"", "int64", "50" },
		{ "\".5e1\"", "int64", "5" },
		{ "\"+.50E+1\"", "int64", "5" },
		{ "\"\\u0035\"", "int64", "5" },
		{ "\"9223372036854775807\"", "int64", "9223372036854775807" },
		{ "\"9223372036854775808\"", "int64", NULL, text },
		{ "\"1.5\"", "int64", NULL, text },
		{ "\".5\"", "int64", NULL, text },
		{ "\"1e400\"", "int64", NULL, text },
		{ "\"\"", "int64", NULL, none },
		{ "\"abc\"", "int64", NULL, none },
		{ "true", "int64", NULL, "a bool" },
		{ "false", "int64", NULL, "a bool" },
		{ "null", "int64", NULL, "null" },
		{ "{}", "int64", NULL, "an object" },
		{ "[1]", "int64", NULL, "an array" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void knows_numeric_strings(void **state)
{
	static const char *const none = "a string that is not a number";
	static const char *const bad[] = {
		"\"\"",
		"\" 5\"",
		"\"5 \"",
		"\"5\\n\"",
		"\"0x10\"",
		"\"inf\"",
		"\"Infinity\"",
		"\"nan\"",
		"\"+\"",
		"\"-\"",
		"\".\"",
		"\"+.\"",
		"\"--5\"",
		"\"+-5\"",
		"\"5e\"",
		"\"5e+\"",
		"\"e5\"",
		"\".e5\"",
		"\"5e5.0\"",
		"\"5e5e5\"",
		"\"1.2.3\"",
		"\"1_000\"",
		"\"1,5\"",
		"\"5f\"",
		"\"5L\"",
		"\"0b1\"",
		"\"\xd9\xa5\"",
		"\"\xef\xbc\x95\"",
		"\"5\\u0000\"",
		"\"\\u00005\"",
		"\"\xe2\x88\x92\\u0035\"",
	};
	static const struct row rows[] = {
		{ "\"5\"", "float64", "5" },
		{ "\"1.10\"", "float64", "1.10" },
		{ "\"+1.10\"", "float64", "1.10" },
		{ "\"-1.10\"", "float64", "-1.10" },
		{ "\".5\"", "float64", "0.5" },
		{ "\"-.5\"", "float64", "-0.5" },
		{ "\".1234567\"", "float64", "0.1234567" },
		{ "\"5.\"", "float64", "5" },
		{ "\"-5.\"", "float64", "-5" },
		{ "\"+5.e3\"", "float64", "5e3" },
		{ "\".5E-3\"", "float64", "0.5E-3" },
		{ "\"1e+05\"", "float64", "1e+05" },
		{ "\"007\"", "float64", "7" },
		{ "\"-007.50\"", "float64", "-7.50" },
		{ "\"000\"", "float64", "0" },
		{ "\"00.0\"", "float64", "0.0" },
		{ "\"00.\"", "float64", "0" },
		{ "\"0.5\"", "float64", "0.5" },
		{ "\"-0\"", "float64", "-0" },
		{ "\"9007199254740993\"", "float64", "9007199254740993" },
		{ "\"0.1234567890123456789012345\"", "float64", "0.1234567890123456789012345" },
		{ "\"\\u0035\\u002e\"", "float64", "5" },
		{ "\"1e-400\"", "float64", "1e-400" },
		{ "\"1e308\"", "float64", "1e308" },
		{ "\"1e400\"", "float64", NULL, "a string whose number is too large for float64" },
		{ "\"-1e309\"", "float64", NULL, "a string whose number is too large for float64" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		struct row row = { bad[i], "float64", NULL, none };
		check(&row, 1);
		row.type = "int64";
		check(&row, 1);
	}
}

static void casts_to_float64(void **state)
{
	static const struct row rows[] = {
		{ "5", "float64", "=" },
		{ "1.10", "float64", "=" },
		{ "-0", "float64", "=" },
		{ "9007199254740993", "float64", "=" },
		{ "1e-400", "float64", "=" },
		{ "1.7976931348623157e308", "float64", "=" },
		{ "1e400", "float64", NULL, "a number that is too large for float64" },
		{ "-1.8e308", "float64", NULL, "a number that is too large for float64" },
		{ "\"abc\"", "float64", NULL, "a string that is not a number" },
		{ "true", "float64", NULL, "a bool" },
		{ "false", "float64", NULL, "a bool" },
		{ "null", "float64", NULL, "null" },
		{ "{}", "float64", NULL, "an object" },
		{ "[]", "float64", NULL, "an array" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void casts_to_bool(void **state)
{
	static const struct row rows[] = {
		{ "0", "bool", "false" },
		{ "1", "bool", "true" },
		{ "1.0", "bool", "true" },
		{ "10e-1", "bool", "true" },
		{ "-0", "bool", "false" },
		{ "0e5", "bool", "false" },
		{ "2", "bool", NULL, "a number that is neither 0 nor 1" },
		{ "-1", "bool", NULL, "a number that is neither 0 nor 1" },
		{ "0.5", "bool", NULL, "a number that is neither 0 nor 1" },
		{ "1e-400", "bool", NULL, "a number that is neither 0 nor 1" },
		{ "\"true\"", "bool", "true" },
		{ "\"TRUE\"", "bool", "true" },
		{ "\"False\"", "bool", "false" },
		{ "\"\\u0074rue\"", "bool", "true" },
		{ "\"1\"", "bool", NULL, "a string that is neither true nor false" },
		{ "\"0\"", "bool", NULL, "a string that is neither true nor false" },
		{ "\"yes\"", "bool", NULL, "a string that is neither true nor false" },
		{ "\"\"", "bool", NULL, "a string that is neither true nor false" },
		{ "\" true\"", "bool", NULL, "a string that is neither true nor false" },
		{ "\"t\"", "bool", NULL, "a string that is neither true nor false" },
		{ "true", "bool", "=" },
		{ "false", "bool", "=" },
		{ "null", "bool", NULL, "null" },
		{ "{}", "bool", NULL, "an object" },
		{ "[]", "bool", NULL, "an array" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void casts_to_null(void **state)
{
	static const struct row rows[] = {
		{ "1.5", "'null'", "null" },  { "\"1\"", "'null'", "null" },	 { "\"x\"", "'null'", "null" },
		{ "true", "'null'", "null" }, { "{\"b\":1}", "'null'", "null" }, { "[1,2]", "'null'", "null" },
		{ "null", "'null'", "=" },    { "1.5", "null", "null" },	 { "1.5", "~", "null" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void follows_paths_in_order(void **state)
{
	static const struct transform_case cases[] = {
		{ CAST("{'i[*].n': string, b: bool}"), "{\"i\":[{\"n\":1},{},{\"n\":2.0}],\"b\":1}",
		  .want = { "{\"i\":[{\"n\":\"1\"},{},{\"n\":\"2.0\"}],\"b\":true}" } },
		{ CAST("{'a_*': int64}"), "{\"a_x\":\"1\",\"b\":\"2\",\"a_y\":\"3\"}",
		  .want = { "{\"a_x\":1,\"b\":\"2\",\"a_y\":3}" } },
		{ CAST("{'i.#(k==1)#.v': string}"), "{\"i\":[{\"k\":1,\"v\":2},{\"k\":2,\"v\":2}]}",
		  .want = { "{\"i\":[{\"k\":1,\"v\":\"2\"},{\"k\":2,\"v\":2}]}" } },
		/* each on the result of the one before */
		{ CAST("{a: int64, '$.a': string}"), "{\"a\":5.0}", .want = { "{\"a\":\"5\"}" } },
		{ CAST("{'$.a': string, a: int64}"), "{\"a\":5.0}", .want = { "{\"a\":5}" } },
		{ CAST("{a: 'null', a.b: int64}"), "{\"a\":{\"b\":\"x\"}}", .want = { "{\"a\":null}" } },
		{ CAST("{'i.#.k': string, 'i.#(k==\"1\").v': 'null'}"), "{\"i\":[{\"k\":1,\"v\":2}]}",
		  .want = { "{\"i\":[{\"k\":\"1\",\"v\":null}]}" } },
		/* missing places are skipped */
		{ CAST("{x: int64, a.b: int64, 'l[5]': bool}"), "{ \"a\":1, \"l\":[] }",
		  .want = { "{ \"a\":1, \"l\":[] }" } },
		{ CAST("{\"a\\\\.b\": string}"), "{\"a.b\":1}", .want = { "{\"a.b\":\"1\"}" } },
		{ CAST("{a: string}"), "{\"a\":1}", "{\"topic\":\"t\"}", .want = { "{\"a\":\"1\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_whole(void **state)
{
	static const struct transform_case cases[] = {
		{ CAST("{a: string, b.c: int64}"), "{ \"a\" : 1.10, \"b\":{\"c\":\"x\"} }",
		  .error = "cannot cast b.c to int64: found a string that is not a number" },
		{ CAST("{'$.l[*]': int64}"), "{ \"l\":[\"1\",2.0,\"3\",null,\"4\"] }",
		  .error = "cannot cast $.l[*] to int64: found null" },
		{ CAST("{o: 'null', a: string, '$.a': int64, '$.$.a': string, b: bool}"),
		  "{ \"o\":{\"x\":[1,{\"y\":2}],\"z\":3}, \"a\":7.0, \"b\":2, \"c\":null }", "{\"key\":\"k\"}",
		  .error = "cannot cast b to bool: " },
		{ CAST("{a: int64, '$.a': bool}"), "{\"a\":5}", .error = "cannot cast $.a to bool: found a number" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ CAST("{a: string}"), NULL, .want = { "" } },
		{ CAST("{a: string}"), "{\"a\":1,}", .want = { "{\"a\":1,}" } },
		{ CAST("{a: string}"), "[ 1 ]", .want = { "[ 1 ]" } },
		{ CAST("{'0': string}"), "[ 1 ]", .want = { "[\"1\"]" } },
		{ CAST("{'[*].a': string}"), "[{\"a\":1},2]", .want = { "[{\"a\":\"1\"},2]" } },
		{ CAST("{a: string}"), " \"x\"", .want = { " \"x\"" } },
		{ CAST("{a: string}"), " 1", .want = { " 1" } },
		{ CAST("{a: string}"), " true", .want = { " true" } },
		{ CAST("{a: string}"), " null", .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static struct df_value *member(struct df_arena *arena, struct df_value *root, const char *key, struct df_value *v,
			       enum df_logical logical)
{
	assert_non_null(v);
	v->logical = (uint8_t)logical;
	df_object_append(root, df_str_c(key), v);
	(void)arena;
	return v;
}

/* Typed documents, as database sources build them: the text stays, and sinks learn the type. */
static void gives_logical_types(void **state)
{
	struct transform_test t;

	(void)state;
	transform_test_open(
		&t, CAST("{when: string, raw: string, nan: string, f32: float64, big: int64, i: int64, s: int64,"
			 " n: float64, b: bool, x: 'null'}"));
	struct df_batch *batch = df_batch_new(t.pool);
	struct df_arena *arena = &batch->arena;
	struct df_message *m = transform_test_add(batch, NULL, NULL);
	struct df_value *root = df_value_new(arena, DF_OBJECT);
	const struct df_chain_events events = { 0 };
	struct df_str text;

	member(arena, root, "when", df_value_string(arena, DF_STR("2024-01-15T09:50:00Z")), DF_LOGICAL_TIMESTAMP);
	member(arena, root, "raw", df_value_bytes(arena, DF_STR("abc")), DF_LOGICAL_BYTES);
	member(arena, root, "nan", df_value_float64(arena, __builtin_nan("")), DF_LOGICAL_FLOAT64);
	member(arena, root, "f32", df_value_float64(arena, (double)0.1f), DF_LOGICAL_FLOAT32);
	member(arena, root, "big", df_value_float64(arena, (double)9007199254740992.0f), DF_LOGICAL_FLOAT32);
	member(arena, root, "i", df_value_int64(arena, 7), DF_LOGICAL_INT32);
	member(arena, root, "s", df_value_string(arena, DF_STR("8")), DF_LOGICAL_DECIMAL);
	member(arena, root, "n", df_value_number(arena, DF_STR("1.10")), DF_LOGICAL_DECIMAL);
	member(arena, root, "b", df_value_int64(arena, 1), DF_LOGICAL_INT32);
	member(arena, root, "x", df_value_int64(arena, 1), DF_LOGICAL_INT32);
	df_message_set_document(m, root);
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_int_equal(df_message_payload(&batch->messages[0], arena, &text), 0);
	assert_true(df_str_equal_c(text,
				   "{\"when\":\"2024-01-15T09:50:00Z\",\"raw\":\"YWJj\",\"nan\":\"NaN\",\"f32\":0.1,"
				   "\"big\":9007199000000000,\"i\":7,\"s\":8,\"n\":1.10,\"b\":true,\"x\":null}"));
	static const uint8_t want[] = { DF_LOGICAL_TEXT,  DF_LOGICAL_TEXT,  DF_LOGICAL_TEXT,  DF_LOGICAL_FLOAT64,
					DF_LOGICAL_INT64, DF_LOGICAL_INT64, DF_LOGICAL_INT64, DF_LOGICAL_FLOAT64,
					DF_LOGICAL_NONE,  DF_LOGICAL_NONE };
	size_t i = 0;
	df_for_each (v, root)
		assert_int_equal(v->logical, want[i++]);
	df_batch_free(batch);
	transform_test_close(&t);
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: cast}", "spec.transformations[0].config: " },
		{ "{type: cast, config: {}}", "spec.transformations[0].config.spec: " },
		{ CAST("{}"), "spec.transformations[0].config.spec: " },
		{ CAST("[a]"), "spec.transformations[0].config.spec: " },
		{ CAST("int64"), "spec.transformations[0].config.spec: " },
		{ CAST("{a: integer}"), "spec.transformations[0].config.spec.a: unknown value \"integer\"" },
		{ CAST("{a: Int64}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a: ''}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a: string, 'b.c[*]': text}"), "spec.transformations[0].config.spec.b.c[*]: " },
		{ CAST("{a: 64}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a: true}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a: [int64]}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a: {b: int64}}"), "spec.transformations[0].config.spec.a: " },
		{ CAST("{a..b: int64}"), "spec.transformations[0].config.spec.a..b: " },
		{ CAST("{$: int64}"), "spec.transformations[0].config.spec.$: " },
		{ CAST("{a.@keys: int64}"), "spec.transformations[0].config.spec.a.@keys: " },
		{ CAST("{'a.#': int64}"), "spec.transformations[0].config.spec.a.#: " },
		{ "{type: cast, cast: {spec: {a: x}}}", "spec.transformations[0].cast.spec.a: " },
		{ "{type: cast, config: {spec: {a: int64}, strict: true}}", "spec.transformations[0].config.strict: " },
		{ CAST("{a: null, b: 'null', c: string, d: int64, e: float64, f: bool}"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("cast");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(casts_to_string),
		cmocka_unit_test(casts_to_int64),
		cmocka_unit_test(knows_numeric_strings),
		cmocka_unit_test(casts_to_float64),
		cmocka_unit_test(casts_to_bool),
		cmocka_unit_test(casts_to_null),
		cmocka_unit_test(follows_paths_in_order),
		cmocka_unit_test(fails_whole),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(gives_logical_types),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
