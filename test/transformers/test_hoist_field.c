/* hoistField: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define HOIST(name) "{type: hoistField, config: {field: " name "}}"

static void wraps_any_json(void **state)
{
	static const struct transform_case cases[] = {
		{ HOIST("p"), "{ \"a\" : 1.10 }", .want = { "{\"p\":{\"a\":1.10}}" } },
		{ HOIST("p"), "{}", .want = { "{\"p\":{}}" } },
		{ HOIST("p"), "[1, 2]", .want = { "{\"p\":[1,2]}" } },
		{ HOIST("p"), " \"x\" ", .want = { "{\"p\":\"x\"}" } },
		{ HOIST("p"), "1e400", .want = { "{\"p\":1e400}" } },
		{ HOIST("p"), "true", .want = { "{\"p\":true}" } },
		{ HOIST("p"), "null", .want = { "{\"p\":null}" } },
		{ HOIST("p"), NULL, .want = { "" } },
		{ HOIST("p"), "{\"a\":", .want = { "{\"a\":" } },
		{ HOIST("p"), "\t", .want = { "\t" } },
		{ HOIST("p"), "{\"a\":1}", "{\"topic\":\"t\"}", .want = { "{\"p\":{\"a\":1}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void takes_the_name_as_it_is(void **state)
{
	static const struct transform_case cases[] = {
		{ HOIST("'a*[0]|#\\:'"), "1", .want = { "{\"a*[0]|#\\\\:\":1}" } },
		{ HOIST("$"), "1", .want = { "{\"$\":1}" } },
		{ HOIST("'@this'"), "1", .want = { "{\"@this\":1}" } },
		{ HOIST("' '"), "1", .want = { "{\" \":1}" } },
		{ HOIST("'0'"), "1", .want = { "{\"0\":1}" } },
		{ HOIST("\"\xc3\xa9\\\"\""), "1", .want = { "{\"\xc3\xa9\\\"\":1}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void can_be_undone(void **state)
{
	static const struct transform_case cases[] = {
		{ "[{type: hoistField, config: {field: p}}, {type: extractField, config: {field: p}}]", "[1,2]",
		  .want = { "[1,2]" } },
		{ "[{type: hoistField, config: {field: p}}, {type: hoistField, config: {field: q}},"
		  " {type: mask, config: {fields: [q.p.a]}}]",
		  "{\"a\":1,\"b\":2}", .want = { "{\"q\":{\"p\":{\"a\":\"***\",\"b\":2}}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: hoistField}", "spec.transformations[0].config: " },
		{ "{type: hoistField, config: {}}", "spec.transformations[0].config.field: " },
		{ HOIST("''"), "spec.transformations[0].config.field: " },
		{ HOIST("5"), "spec.transformations[0].config.field: " },
		{ HOIST("a.b"), "spec.transformations[0].config.field: " },
		{ HOIST("'a\\.b'"), "spec.transformations[0].config.field: " },
		{ HOIST("."), "spec.transformations[0].config.field: " },
		{ "{type: hoistField, hoistField: {field: a.b}}", "spec.transformations[0].hoistField.field: " },
		{ HOIST("a, name: b"), "spec.transformations[0].config.name: " },
		{ HOIST("payload"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("hoistField");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps_any_json), cmocka_unit_test(takes_the_name_as_it_is),
		cmocka_unit_test(can_be_undone),  cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
