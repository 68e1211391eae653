/* camelCase: the transformations reference, sections 1, 5 and 6; test_words.c has the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define CAMEL "{type: camelCase}"
#define DEEP "{type: camelCase, config: {deep: true}}"

static void renames_keys(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = CAMEL,
		  .in = "{ \"first_name\": 1.0, \"B\": \"some_text\", \"_\": null, \"\":2 }",
		  .want = { "{\"FirstName\":1.0,\"B\":\"some_text\",\"_\":null,\"\":2}" } },
		{ .config = CAMEL,
		  .in = "{\"user_id\":{\"inner_key\":1}}",
		  .want = { "{\"UserId\":{\"inner_key\":1}}" } },
		{ .config = DEEP,
		  .in = "{\"a_b\":{\"c\":[{\"e_f\":1},2]}}",
		  .want = { "{\"AB\":{\"C\":[{\"EF\":1},2]}}" } },
		{ .config = CAMEL, .in = "{\"été_fin\":1,\"a_\\u005fb\":2}", .want = { "{\"ÉtéFin\":1,\"AB\":2}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void leaves_camels_alone(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = DEEP,
		  .in = "{ \"FirstName\" : {\"A\":1}, \"__\":2, \"名前\":3, \"1x\":4 }",
		  .want = { "{ \"FirstName\" : {\"A\":1}, \"__\":2, \"名前\":3, \"1x\":4 }" } },
		{ .config = DEEP, .in = NULL, .want = { "" } },
		{ .config = DEEP, .in = "{a_b", .want = { "{a_b" } },
		{ .config = DEEP, .in = " \"a_b\"", .want = { " \"a_b\"" } },
		{ .config = CAMEL, .in = " [{\"a_b\":1}]", .want = { " [{\"a_b\":1}]" } },
		{ .config = DEEP, .in = " [{\"a_b\":1}]", .want = { "[{\"AB\":1}]" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_keys_that_become_the_same(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = CAMEL, .in = "{ \"a_b\":1, \"AB\":2 }", .error = "two keys of one object" },
		{ .config = CAMEL, .in = "{\"name\":1,\"_name\":2}", .error = "two keys of one object" },
		{ .config = DEEP, .in = "{\"x\":1,\"y\":[{\"a\":1,\"A\":2}]}", .error = "two keys of one object" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: camelCase, config: {deep: 1}}", "spec.transformations[0].config.deep: " },
		{ "{type: camelCase, camelCase: {x: true}}", "spec.transformations[0].camelCase.x: unknown field" },
		{ "{type: camelCase, camelCase: null}", NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("camelCase");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renames_keys),
		cmocka_unit_test(leaves_camels_alone),
		cmocka_unit_test(fails_for_keys_that_become_the_same),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
