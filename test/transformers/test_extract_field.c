/* extractField: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define EXTRACT(path) "{type: extractField, config: {field: " path "}}"

static void takes_any_value(void **state)
{
	static const struct transform_case cases[] = {
		{ EXTRACT("a"), "{\"a\":{\"b\" : 1.10},\"c\":2}", .want = { "{\"b\":1.10}" } },
		{ EXTRACT("a"), "{\"a\":{},\"c\":2}", .want = { "{}" } },
		{ EXTRACT("a"), "{\"a\":[1, 2],\"c\":2}", .want = { "[1,2]" } },
		{ EXTRACT("a"), "{\"a\":\"x\\u00e9\",\"c\":2}", .want = { "\"x\xc3\xa9\"" } },
		{ EXTRACT("a"), "{\"a\":\"\",\"c\":2}", .want = { "\"\"" } },
		{ EXTRACT("a"), "{\"a\":9007199254740993,\"c\":2}", .want = { "9007199254740993" } },
		{ EXTRACT("a"), "{\"a\":false,\"c\":2}", .want = { "false" } },
		/* the JSON text null, not a tombstone */
		{ EXTRACT("a"), "{\"a\":null,\"c\":2}", .want = { "null" } },
		{ EXTRACT("a.b"), "{\"a\":{\"b\":{\"c\":1},\"d\":2}}", .want = { "{\"c\":1}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void reads_paths(void **state)
{
	static const struct transform_case cases[] = {
		{ EXTRACT("'$.a'"), "{\"a\":1}", .want = { "1" } },
		{ EXTRACT("'a[1]'"), "{\"a\":[1,2,3]}", .want = { "2" } },
		{ EXTRACT("'a.#'"), "{\"a\":[1,2,3]}", .want = { "3" } },
		{ EXTRACT("'a.#.b'"), "{\"a\":[{\"b\":1},{},{\"b\":{\"c\":2}}]}", .want = { "[1,{\"c\":2}]" } },
		{ EXTRACT("'a.#(b==2).c'"), "{\"a\":[{\"b\":1,\"c\":1},{\"b\":2,\"c\":3}]}", .want = { "3" } },
		{ EXTRACT("'a.#(b==9)#'"), "{\"a\":[{\"b\":1}]}", .want = { "[]" } },
		{ EXTRACT("'a.*.x'"), "{\"a\":{\"k\":{},\"l\":{\"x\":5}}}", .want = { "5" } },
		{ EXTRACT("'a.@keys'"), "{\"a\":{\"k\":1,\"l\":2}}", .want = { "[\"k\",\"l\"]" } },
		{ EXTRACT("'a.@fromstr'"), "{\"a\":\"{\\\"b\\\": 1.0}\"}", .want = { "{\"b\":1.0}" } },
		{ EXTRACT("'@tostr'"), "{\"a\": 1}", .want = { "\"{\\\"a\\\":1}\"" } },
		/* nothing but the root itself */
		{ EXTRACT("'@this'"), "{ \"a\" : 1 }", .want = { "{ \"a\" : 1 }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* What was taken can be changed by the transformations behind it. */
static void gives_a_whole_document(void **state)
{
	static const struct transform_case cases[] = {
		{ "[{type: extractField, config: {field: a}}, {type: insertField, config: {fields: {n: x}}},"
		  " {type: hoistField, config: {field: h}}]",
		  "{\"z\":0,\"a\":{\"b\":1},\"c\":2}", "{\"topic\":\"t\"}",
		  .want = { "{\"h\":{\"b\":1,\"n\":\"x\"}}" } },
		{ "[{type: extractField, config: {field: a}}, {type: extractField, config: {field: b}}]",
		  "{\"a\":{\"b\":[1]}}", .want = { "[1]" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_it_cannot_read(void **state)
{
	static const struct transform_case cases[] = {
		{ EXTRACT("x"), "{ \"a\" : 1 }", .want = { "{ \"a\" : 1 }" } },
		{ EXTRACT("a.b"), "{ \"a\" : 1 }", .want = { "{ \"a\" : 1 }" } },
		{ EXTRACT("a"), NULL, .want = { "" } },
		{ EXTRACT("a"), "{\"a\":1", .want = { "{\"a\":1" } },
		{ EXTRACT("a"), "[ 1 ]", .want = { "[ 1 ]" } },
		{ EXTRACT("'[0].a'"), "[{\"a\":7}]", .want = { "7" } },
		{ EXTRACT("'#'"), "[1,2]", .want = { "2" } },
		{ EXTRACT("a"), " \"a\"", .want = { " \"a\"" } },
		{ EXTRACT("'@tostr'"), "5", .want = { "\"5\"" } },
		{ EXTRACT("a"), " 5", .want = { " 5" } },
		{ EXTRACT("a"), " true", .want = { " true" } },
		{ EXTRACT("a"), " null", .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: extractField}", "spec.transformations[0].config: " },
		{ "{type: extractField, config: {}}", "spec.transformations[0].config.field: " },
		{ EXTRACT("''"), "spec.transformations[0].config.field: " },
		{ EXTRACT("5"), "spec.transformations[0].config.field: " },
		{ EXTRACT("[a]"), "spec.transformations[0].config.field: " },
		{ EXTRACT("$"), "spec.transformations[0].config.field: $ is the payload itself" },
		{ EXTRACT("a..b"), "spec.transformations[0].config.field: " },
		{ EXTRACT("'{a,b}'"), "spec.transformations[0].config.field: " },
		{ "{type: extractField, config: {fields: a}}", "spec.transformations[0].config.fields: " },
		{ "{type: extractField, extractField: {field: $}}", "spec.transformations[0].extractField.field: " },
		{ EXTRACT("'$oid'"), NULL },
		{ EXTRACT("'\\$'"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("extractField");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_any_value),	  cmocka_unit_test(reads_paths),
		cmocka_unit_test(gives_a_whole_document), cmocka_unit_test(passes_what_it_cannot_read),
		cmocka_unit_test(refuses_settings),	  cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
