/* structFlatten: the transformations reference, section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define FLAT "{type: structFlatten}"
#define WITH(delimiter) "{type: structFlatten, config: {delimiter: '" delimiter "'}}"

static void joins_keys(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLAT,
		  .in = "{ \"a\": {\"b\": 1.0, \"c\": {\"d\": \"\\u00e9\"}}, \"e\": null }",
		  .want = { "{\"a.b\":1.0,\"a.c.d\":\"é\",\"e\":null}" } },
		{ .config = WITH("_"), .in = "{\"a\":{\"b\":1}}", .want = { "{\"a_b\":1}" } },
		{ .config = WITH("::"), .in = "{\"a\":{\"b\":{\"c\":1}}}", .want = { "{\"a::b::c\":1}" } },
		{ .config = WITH("\""), .in = "{\"a\":{\"b\":1}}", .want = { "{\"a\\\"b\":1}" } },
		{ .config = "{type: structFlatten, structFlatten: {}}",
		  .in = "{\"a\":{\"b\":1}}",
		  .want = { "{\"a.b\":1}" } },
		{ .config = "{type: structFlatten, config: {delimiter: null}}",
		  .in = "{\"a\":{\"b\":1}}",
		  .want = { "{\"a.b\":1}" } },
		/* Keys as they are, empty ones too. */
		{ .config = FLAT,
		  .in = "{\"\":{\"\":1,\"x\":2},\"a.b\":{\"c\":3}}",
		  .want = { "{\".\":1,\".x\":2,\"a.b.c\":3}" } },
		{ .config = FLAT, .in = "{\"a\\\"\":{\"\\n\":1}}", .want = { "{\"a\\\".\\n\":1}" } },
		/* Arrays are values; empty objects give nothing. */
		{ .config = FLAT,
		  .in = "{\"a\":{\"b\":[{\"c\":{\"d\":1}}],\"x\":{}},\"y\":{}}",
		  .want = { "{\"a.b\":[{\"c\":{\"d\":1}}]}" } },
		{ .config = FLAT, .in = "{\"a\":{}}", .want = { "{}" } },
		{ .config = "[" FLAT
			    ", {type: remove, config: {fields: ['a\\.b']}}, {type: timestamp, config: {fieldName: t}}]",
		  .in = "{\"c\":0,\"a\":{\"b\":1}}",
		  .want = { "{\"c\":0,\"t\":\"2024-01-15T09:50:00Z\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void leaves_flat_payloads_alone(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLAT, .in = "{ \"a\" : 1 , \"b\":[{}] }", .want = { "{ \"a\" : 1 , \"b\":[{}] }" } },
		{ .config = FLAT, .in = "{ }", .want = { "{ }" } },
		{ .config = FLAT, .in = NULL, .want = { "" } },
		{ .config = FLAT, .in = "{a", .want = { "{a" } },
		{ .config = FLAT, .in = " [{\"a\":{\"b\":1}}]", .want = { " [{\"a\":{\"b\":1}}]" } },
		{ .config = FLAT, .in = " \"x\"", .want = { " \"x\"" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_equal_keys(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLAT, .in = "{ \"a\":{\"b\":1},\"a.b\":2 }", .error = "two joined keys are equal" },
		{ .config = FLAT, .in = "{\"a.b\":{\"c\":1},\"a\":{\"b.c\":2}}", .error = "two joined keys are equal" },
		{ .config = WITH("__"),
		  .in = "{\"a_\":{\"b\":1},\"a\":{\"_b\":2}}",
		  .error = "two joined keys are equal" },
		{ .config = WITH("_"), .in = "{\"a\":{\"b\":1},\"a.b\":2}", .want = { "{\"a_b\":1,\"a.b\":2}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* The root is level 1. */
static void nested(struct df_buf *buf, int levels, const char *inside)
{
	for (int i = 1; i < levels; i++)
		df_buf_add_c(buf, "{\"a\":");
	df_buf_add_c(buf, inside);
	for (int i = 1; i < levels; i++)
		df_buf_add_c(buf, "}");
}

static void fails_at_level_65(void **state)
{
	struct df_buf good = { 0 };
	struct df_buf bad = { 0 };
	struct df_buf key = { 0 };

	(void)state;
	nested(&good, 64, "{\"z\":[[{}]]}");
	nested(&bad, 65, "{}");
	df_buf_add_c(&key, "{\"");
	for (int i = 0; i < 63; i++)
		df_buf_add_c(&key, "a.");
	df_buf_add_c(&key, "z\":[[{}]]}");
	const struct transform_case cases[] = {
		{ .config = FLAT, .in = df_buf_c(&good), .want = { df_buf_c(&key) } },
		{ .config = FLAT, .in = df_buf_c(&bad), .error = "deeper than 64 levels" },
	};
	transform_check(cases, DF_ARRAY_SIZE(cases));
	df_buf_done(&good);
	df_buf_done(&bad);
	df_buf_done(&key);
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ WITH(""), "spec.transformations[0].config.delimiter: " },
		{ "{type: structFlatten, config: {delimiter: 1}}",
		  "spec.transformations[0].config.delimiter: expected a text" },
		{ "{type: structFlatten, structFlatten: {x: 1}}",
		  "spec.transformations[0].structFlatten.x: unknown field" },
		{ "{type: structFlatten, config: null}", NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("structFlatten");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_keys),		cmocka_unit_test(leaves_flat_payloads_alone),
		cmocka_unit_test(fails_for_equal_keys), cmocka_unit_test(fails_at_level_65),
		cmocka_unit_test(refuses_bad_settings), cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
