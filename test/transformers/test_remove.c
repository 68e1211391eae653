/* remove: the transformations reference, section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define REMOVE(fields) "{type: remove, config: {fields: [" fields "]}}"

static void removes_places(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = REMOVE("a"), .in = "{ \"a\": 1, \"b\": 2 }", .want = { "{\"b\":2}" } },
		{ .config = REMOVE("b, a"), .in = "{\"a\":1,\"b\":2,\"c\":3}", .want = { "{\"c\":3}" } },
		{ .config = REMOVE("c, a, c"), .in = "{\"a\":1,\"b\":2,\"c\":3}", .want = { "{\"b\":2}" } },
		{ .config = "[" REMOVE("c") ", {type: timestamp, config: {fieldName: d}}]",
		  .in = "{\"a\":1,\"c\":3}",
		  .want = { "{\"a\":1,\"d\":\"2024-01-15T09:50:00Z\"}" } },
		/* Emptied parents stay. */
		{ .config = REMOVE("a.b"), .in = "{\"a\":{\"b\":1}}", .want = { "{\"a\":{}}" } },
		{ .config = REMOVE("a"), .in = "{\"a\":1}", .want = { "{}" } },
		{ .config = REMOVE("'a[*]'"), .in = "{\"a\":[1,2]}", .want = { "{\"a\":[]}" } },
		/* Elements close up; all places of one path are found before any is removed. */
		{ .config = REMOVE("a.0"), .in = "{\"a\":[1,2,3]}", .want = { "{\"a\":[2,3]}" } },
		{ .config = REMOVE("a.0, a.0"), .in = "{\"a\":[1,2,3]}", .want = { "{\"a\":[3]}" } },
		{ .config = REMOVE("'a.#(>1)#'"), .in = "{\"a\":[1,2,3]}", .want = { "{\"a\":[1]}" } },
		{ .config = REMOVE("'a.#(>1)'"), .in = "{\"a\":[1,2,3]}", .want = { "{\"a\":[1,3]}" } },
		{ .config = REMOVE("'a.#.x'"),
		  .in = "{\"a\":[{\"x\":1,\"y\":2},{\"x\":3}]}",
		  .want = { "{\"a\":[{\"y\":2},{}]}" } },
		{ .config = REMOVE("'i*'"), .in = "{\"i1\":1,\"b\":2,\"i2\":3}", .want = { "{\"b\":2}" } },
		/* On an array the path begins with an index or #. */
		{ .config = REMOVE("'0'"), .in = "[1,2]", .want = { "[2]" } },
		{ .config = REMOVE("'#.x'"), .in = "[{\"x\":1},{\"y\":2}]", .want = { "[{},{\"y\":2}]" } },
		{ .config = REMOVE("'0'"), .in = "{\"0\":1,\"a\":2}", .want = { "{\"a\":2}" } },
		{ .config = REMOVE("'\\@keys'"), .in = "{\"@keys\":1}", .want = { "{}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void leaves_bytes_alone_when_nothing_is_found(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = REMOVE("x, y"), .in = "{ \"a\" : 1.0 }", .want = { "{ \"a\" : 1.0 }" } },
		{ .config = REMOVE("x.y, 'b.#.c'"),
		  .in = "{ \"a\" : \"\\u00e9\", \"b\":1 }",
		  .want = { "{ \"a\" : \"\\u00e9\", \"b\":1 }" } },
		{ .config = REMOVE("a"), .in = "[ 1 ]", .want = { "[ 1 ]" } },
		{ .config = REMOVE("a"), .in = NULL, .want = { "" } },
		{ .config = REMOVE("a"), .in = "text", .want = { "text" } },
		{ .config = REMOVE("a"), .in = " \"s\"", .want = { " \"s\"" } },
		{ .config = REMOVE("a"), .in = "null", .want = { "null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: remove}", "spec.transformations[0].config: required" },
		{ REMOVE(""), "spec.transformations[0].config.fields: " },
		{ REMOVE("a, ''"), "spec.transformations[0].config.fields[1]: " },
		{ REMOVE("$"), "spec.transformations[0].config.fields[0]: " },
		{ REMOVE("'a.#'"), "spec.transformations[0].config.fields[0]: " },
		{ REMOVE("'a.@keys'"), "spec.transformations[0].config.fields[0]: " },
		{ REMOVE("'a.#|b'"), "spec.transformations[0].config.fields[0]: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("remove");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removes_places),
		cmocka_unit_test(leaves_bytes_alone_when_nothing_is_found),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
