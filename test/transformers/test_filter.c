/* filter: the transformations reference, sections 1, 4 and 5; test_condition.c has what conditions mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define FILTER(condition) "{type: filter, config: {condition: \"" condition "\"}}"

static void keeps_and_drops(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FILTER("a == 1"), .in = "{ \"a\": 1 }", .want = { "{ \"a\": 1 }" } },
		{ .config = FILTER("a == 1"), .in = "{\"a\":2}", .drop = true },
		{ .config = FILTER("a"), .in = "{\"a\":false}", .drop = true },
		{ .config = FILTER("missing != 'x'"), .in = "{\"a\":2}", .drop = true },
		{ .config = FILTER("!(missing == 'x')"), .in = "{\"a\":2}", .want = { "{\"a\":2}" } },
		{ .config = FILTER("a > 1 && b =~ '^x'"),
		  .in = "{\"a\":2,\"b\":\"xy\"}",
		  .want = { "{\"a\":2,\"b\":\"xy\"}" } },
		{ .config = "{type: filter, filter: {condition: a}}", .in = "{\"a\":1}", .want = { "{\"a\":1}" } },
		/* A key that looks like another at both ends, an empty one, one in an array. */
		{ .config = FILTER("abcdefghij == 1"), .in = "{\"abcdXfghij\":1}", .drop = true },
		{ .config = FILTER("0 == 1"), .in = "[1]", .want = { "[1]" } },
		{ .config = FILTER("0 == 1"), .in = "{\"0\":1}", .want = { "{\"0\":1}" } },
		/* The metadata is the parent's. */
		{ .config = FILTER("a"), .in = "{\"a\":1}", .meta = "{\"topic\":\"t\"}", .want = { "{\"a\":1}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* Quick ways through numbers must not differ from the slow one. */
static void compares_numbers_exactly(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FILTER("a > 50"),
		  .in = "{\"a\":50.000000000000000000001}",
		  .want = { "{\"a\":50.000000000000000000001}" } },
		{ .config = FILTER("a > 50"), .in = "{\"a\":50.0}", .drop = true },
		{ .config = FILTER("a >= 50"), .in = "{\"a\":50.0}", .want = { "{\"a\":50.0}" } },
		{ .config = FILTER("a > -1"), .in = "{\"a\":-0.5}", .want = { "{\"a\":-0.5}" } },
		{ .config = FILTER("a < 0"), .in = "{\"a\":-0.5}", .want = { "{\"a\":-0.5}" } },
		{ .config = FILTER("a < 0"), .in = "{\"a\":-0}", .drop = true },
		{ .config = FILTER("a == 0"), .in = "{\"a\":-0.0}", .want = { "{\"a\":-0.0}" } },
		{ .config = FILTER("a < -5"), .in = "{\"a\":-5.3}", .want = { "{\"a\":-5.3}" } },
		{ .config = FILTER("a > -6"), .in = "{\"a\":-5.3}", .want = { "{\"a\":-5.3}" } },
		{ .config = FILTER("a > 9007199254740992"),
		  .in = "{\"a\":9007199254740993}",
		  .want = { "{\"a\":9007199254740993}" } },
		{ .config = FILTER("a > 99999999999999999999"),
		  .in = "{\"a\":100000000000000000000}",
		  .want = { "{\"a\":100000000000000000000}" } },
		{ .config = FILTER("a == 5e0"), .in = "{\"a\":5}", .want = { "{\"a\":5}" } },
		{ .config = FILTER("a == 500"), .in = "{\"a\":5e2}", .want = { "{\"a\":5e2}" } },
		{ .config = FILTER("a == 05"), .in = "{\"a\":5}", .drop = true },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void looks_at_every_kind_of_payload(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FILTER("!x"), .in = NULL, .drop = true },
		{ .config = FILTER("!x"), .in = "no json", .drop = true },
		{ .config = FILTER("!x"), .in = " ", .drop = true },
		{ .config = FILTER("#(==2)"), .in = "[1,2]", .want = { "[1,2]" } },
		{ .config = FILTER("$ == 'x'"), .in = "\"x\"", .want = { "\"x\"" } },
		{ .config = FILTER("$ == 7"), .in = " 7 ", .want = { " 7 " } },
		{ .config = FILTER("$"), .in = "null", .drop = true },
		{ .config = FILTER("$"), .in = "false", .drop = true },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_past_the_limit_of_an_expression(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = "{type: filter, config: {condition: 'a =~ \"^(a+)+$\"'}}",
		  .in = "{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}",
		  .error = "hit its limit" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: filter}", "spec.transformations[0].config: required" },
		{ "{type: filter, config: {}}", "spec.transformations[0].config.condition: required" },
		{ "{type: filter, config: {condition: ''}}", "spec.transformations[0].config.condition: " },
		{ "{type: filter, config: {condition: 1}}",
		  "spec.transformations[0].config.condition: expected a text" },
		{ FILTER("a =="), "spec.transformations[0].config.condition: column 5: " },
		{ "{type: filter, filter: {condition: 'a ='}}",
		  "spec.transformations[0].filter.condition: column 3: " },
		{ "{type: filter, config: {condition: a, x: 1}}", "spec.transformations[0].config.x: unknown field" },
		{ "{type: filter, config: {condition: a}, filter: {condition: a}}",
		  "spec.transformations[0].filter: " },
		{ "{type: Filter, config: {condition: a}}", "spec.transformations[0].type: unknown" },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("filter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_and_drops),
		cmocka_unit_test(compares_numbers_exactly),
		cmocka_unit_test(looks_at_every_kind_of_payload),
		cmocka_unit_test(fails_past_the_limit_of_an_expression),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
