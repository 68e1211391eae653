/* replaceField: the transformations reference, section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define RENAME(renames) "{type: replaceField, config: {renames: [" renames "]}}"
#define INCLUDE(paths) "{type: replaceField, config: {include: [" paths "]}}"
#define EXCLUDE(paths) "{type: replaceField, config: {exclude: [" paths "]}}"
#define REPLACE(config) "{type: replaceField, config: {" config "}}"

static void includes(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = INCLUDE("c, a"),
		  .in = "{ \"a\": 1.0, \"b\": 2, \"c\": {\"d\": 3} }",
		  .want = { "{\"a\":1.0,\"c\":{\"d\":3}}" } },
		/* On the way: the objects and arrays, and nothing else in them. */
		{ .config = INCLUDE("u.name"),
		  .in = "{\"u\":{\"id\":1,\"name\":2},\"x\":{}}",
		  .want = { "{\"u\":{\"name\":2}}" } },
		{ .config = INCLUDE("'i.#.a'"),
		  .in = "{\"i\":[{\"a\":1,\"b\":2},{\"b\":3},4,{\"a\":null}]}",
		  .want = { "{\"i\":[{\"a\":1},{\"a\":null}]}" } },
		{ .config = INCLUDE("i.1"), .in = "{\"i\":[1,2,3]}", .want = { "{\"i\":[2]}" } },
		{ .config = INCLUDE("'i[*]'"), .in = "{\"i\":[1,{}],\"j\":2}", .want = { "{\"i\":[1,{}]}" } },
		{ .config = INCLUDE("'i.#.j.#.k'"),
		  .in = "{\"i\":[{\"j\":[{\"k\":1},{}]},{\"j\":[]}]}",
		  .want = { "{\"i\":[{\"j\":[{\"k\":1}]}]}" } },
		{ .config = INCLUDE("'a*'"),
		  .in = "{\"a1\":{},\"b\":2,\"a2\":[]}",
		  .want = { "{\"a1\":{},\"a2\":[]}" } },
		{ .config = INCLUDE("u, u.name"),
		  .in = "{\"u\":{\"id\":1,\"name\":2}, \"x\":1}",
		  .want = { "{\"u\":{\"id\":1,\"name\":2}}" } },
		/* Nothing matched. */
		{ .config = INCLUDE("x"), .in = "{\"a\":1,\"b\":{\"x\":1}}", .want = { "{}" } },
		{ .config = INCLUDE("x.y"), .in = "{\"x\":1}", .want = { "{}" } },
		/* Everything matched: not a byte changes. */
		{ .config = INCLUDE("a, b"),
		  .in = "{ \"a\":1, \"b\":{\"c\":1} }",
		  .want = { "{ \"a\":1, \"b\":{\"c\":1} }" } },
		{ .config = INCLUDE("a"), .in = "{ }", .want = { "{ }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void excludes(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = EXCLUDE("a, 'i.#.x'"),
		  .in = "{\"a\":1,\"i\":[{\"x\":1},{\"y\":2}]}",
		  .want = { "{\"i\":[{},{\"y\":2}]}" } },
		{ .config = EXCLUDE("i.0, i.0"), .in = "{\"i\":[1,2,3]}", .want = { "{\"i\":[3]}" } },
		{ .config = EXCLUDE("z"), .in = "{ \"a\":1 }", .want = { "{ \"a\":1 }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void renames_in_one_object(void **state)
{
	static const struct transform_case cases[] = {
		/* The key changes, the position stays. */
		{ .config = RENAME("'b:x'"),
		  .in = "{ \"a\": 1, \"b\": 2.0, \"c\": 3 }",
		  .want = { "{\"a\":1,\"x\":2.0,\"c\":3}" } },
		{ .config = RENAME("'o.b:o.x'"),
		  .in = "{\"o\":{\"b\":1,\"c\":2}}",
		  .want = { "{\"o\":{\"x\":1,\"c\":2}}" } },
		{ .config = RENAME("'i[0].b:i.0.x'"), .in = "{\"i\":[{\"b\":1}]}", .want = { "{\"i\":[{\"x\":1}]}" } },
		/* At once: swaps work, chains do not run on. */
		{ .config = RENAME("'a:b', 'b:a'"), .in = "{\"a\":1,\"b\":2}", .want = { "{\"b\":1,\"a\":2}" } },
		{ .config = RENAME("'a:b', 'b:c'"), .in = "{\"a\":1,\"b\":2}", .want = { "{\"b\":1,\"c\":2}" } },
		{ .config = RENAME("'b:c', 'a:b'"), .in = "{\"a\":1,\"b\":2}", .want = { "{\"b\":1,\"c\":2}" } },
		{ .config = RENAME("'a:b', 'b:c', 'c:a'"),
		  .in = "{\"a\":1,\"b\":2,\"c\":3}",
		  .want = { "{\"b\":1,\"c\":2,\"a\":3}" } },
		{ .config = RENAME("'a:b', 'b:c'"), .in = "{\"a\":1}", .want = { "{\"b\":1}" } },
		/* Missing ones and x:x are skipped. */
		{ .config = RENAME("'z:y', 'a:a'"), .in = "{ \"a\":1 }", .want = { "{ \"a\":1 }" } },
		{ .config = RENAME("'a:$.a', 'b:c'"), .in = "{\"a\":1,\"b\":2}", .want = { "{\"a\":1,\"c\":2}" } },
		/* Escapes. */
		{ .config = RENAME("'a\\:b:c\\.d'"), .in = "{\"a:b\":1}", .want = { "{\"c.d\":1}" } },
		{ .config = RENAME("'a\\.b:x'"),
		  .in = "{\"a.b\":1,\"a\":{\"b\":2}}",
		  .want = { "{\"x\":1,\"a\":{\"b\":2}}" } },
		{ .config = RENAME("'a:b\\\"'"), .in = "{\"a\":1}", .want = { "{\"b\\\"\":1}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void moves_values(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = RENAME("'u.id:user_id'"),
		  .in = "{\"u\":{\"id\":1,\"x\":2},\"b\":3}",
		  .want = { "{\"u\":{\"x\":2},\"b\":3,\"user_id\":1}" } },
		/* Objects and arrays that this emptied go, up to below the root. */
		{ .config = RENAME("'u.v.id:id'"),
		  .in = "{\"u\":{\"v\":{\"id\":1}},\"b\":3}",
		  .want = { "{\"b\":3,\"id\":1}" } },
		{ .config = RENAME("'u.v.id:id'"),
		  .in = "{\"u\":{\"v\":{\"id\":1},\"w\":{}}}",
		  .want = { "{\"u\":{\"w\":{}},\"id\":1}" } },
		{ .config = RENAME("'a.0:x'"), .in = "{\"a\":[7]}", .want = { "{\"x\":7}" } },
		{ .config = RENAME("'a.0:x'"), .in = "{\"a\":[7,8]}", .want = { "{\"a\":[8],\"x\":7}" } },
		{ .config = RENAME("'a.0.b:x'"), .in = "{\"a\":[{\"b\":1},2]}", .want = { "{\"a\":[2],\"x\":1}" } },
		{ .config = RENAME("'u.a:x', 'u.b:y'"),
		  .in = "{\"u\":{\"a\":1,\"b\":2}}",
		  .want = { "{\"x\":1,\"y\":2}" } },
		{ .config = RENAME("'u.a:x', 'w:u.a'"),
		  .in = "{\"u\":{\"a\":1},\"w\":2}",
		  .want = { "{\"u\":{\"a\":2},\"x\":1}" } },
		/* Parents are created; swaps across objects work. */
		{ .config = RENAME("'a:o.p.0'"), .in = "{\"a\":{\"z\":1}}", .want = { "{\"o\":{\"p\":[{\"z\":1}]}}" } },
		{ .config = RENAME("'a:o.p'"), .in = "{\"a\":1,\"o\":null}", .want = { "{\"o\":{\"p\":1}}" } },
		{ .config = RENAME("'a:o.b', 'o.b:a'"),
		  .in = "{\"a\":1,\"o\":{\"b\":2}}",
		  .want = { "{\"o\":{\"b\":1},\"a\":2}" } },
		{ .config = RENAME("'a:a.b'"), .in = "{\"a\":1}", .want = { "{\"a\":{\"b\":1}}" } },
		{ .config = RENAME("'a.0:a.1'"), .in = "{\"a\":[1,2]}", .want = { "{\"a\":[2,1]}" } },
		{ .config = RENAME("'a.0:b', 'a.1:c'"),
		  .in = "{\"a\":[1,2,3]}",
		  .want = { "{\"a\":[3],\"b\":1,\"c\":2}" } },
		{ .config = RENAME("'x:y', 'o.a:b'"),
		  .in = "{\"x\":1,\"o\":{\"a\":2}}",
		  .want = { "{\"y\":1,\"b\":2}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void filters_before_it_renames(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = REPLACE("exclude: [b], renames: ['a:b']"),
		  .in = "{\"a\":1,\"b\":2}",
		  .want = { "{\"b\":1}" } },
		{ .config = REPLACE("exclude: [a], renames: ['a:b']"),
		  .in = "{\"a\":1,\"c\":2}",
		  .want = { "{\"c\":2}" } },
		{ .config = REPLACE("include: [a], renames: ['a:b']"),
		  .in = "{\"a\":1,\"b\":2}",
		  .want = { "{\"b\":1}" } },
		{ .config = REPLACE("include: [b], renames: ['a:b']"),
		  .in = "{\"a\":1,\"b\":2}",
		  .want = { "{\"b\":2}" } },
		{ .config = REPLACE("include: [u.a], renames: ['u.a:x']"),
		  .in = "{\"u\":{\"a\":1,\"b\":2}}",
		  .want = { "{\"x\":1}" } },
		{ .config = REPLACE("exclude: [z], renames: ['y:x']"), .in = "{ \"a\":1 }", .want = { "{ \"a\":1 }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_a_new_name_that_exists(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = RENAME("'a:b'"), .in = "{ \"a\":1, \"b\":2 }", .error = "cannot rename a to b" },
		{ .config = RENAME("'a:b'"), .in = "{\"a\":1,\"b\":null}", .error = "cannot rename a to b" },
		{ .config = RENAME("'x:y', 'a:c', 'b:c'"),
		  .in = "{\"a\":1,\"b\":2,\"x\":3}",
		  .error = "cannot rename b to c" },
		{ .config = RENAME("'a:c', 'b:c'"), .in = "{\"b\":2}", .want = { "{\"c\":2}" } },
		{ .config = RENAME("'u.a:b'"), .in = "{\"u\":{\"a\":1},\"b\":2}", .error = "cannot rename u.a to b" },
		{ .config = RENAME("'a:x', 'u.a:b.c'"),
		  .in = "{\"a\":1,\"u\":{\"a\":1},\"b\":2}",
		  .error = "b is a number" },
		{ .config = RENAME("'u.a:x', 'v.a:x'"),
		  .in = "{\"u\":{\"a\":1},\"v\":{\"a\":2}}",
		  .error = "cannot rename v.a to x" },
		{ .config = RENAME("'a:o.0'"), .in = "{\"a\":1,\"o\":[2]}", .error = "cannot rename a to o.0" },
		{ .config = RENAME("'a:o.2'"), .in = "{\"a\":1,\"o\":[2]}", .error = "o.2" },
		{ .config = REPLACE("exclude: [z], renames: ['a:b']"),
		  .in = "{\"z\":0,\"a\":1,\"b\":2}",
		  .error = "cannot rename a to b" },
		{ .config = REPLACE("include: [a, b], renames: ['a:b']"),
		  .in = "{\"z\":0,\"a\":1,\"b\":2}",
		  .error = "cannot rename a to b" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = EXCLUDE("'0'"), .in = NULL, .want = { "" } },
		{ .config = EXCLUDE("'0'"), .in = "x", .want = { "x" } },
		{ .config = EXCLUDE("'0'"), .in = " [1]", .want = { " [1]" } },
		{ .config = INCLUDE("'0'"), .in = " [1,2]", .want = { " [1,2]" } },
		{ .config = RENAME("'0:1'"), .in = " [1]", .want = { " [1]" } },
		{ .config = RENAME("'a:b'"), .in = " true", .want = { " true" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: replaceField}", "spec.transformations[0].config: required" },
		{ REPLACE(""), "spec.transformations[0].config: " },
		{ REPLACE("renames: [], include: []"), "spec.transformations[0].config: " },
		{ REPLACE("include: [a], exclude: [b]"), "spec.transformations[0].config: only one of" },
		{ "{type: replaceField, replaceField: {include: [a], exclude: [b]}}",
		  "spec.transformations[0].replaceField: only" },
		{ RENAME("'a'"), "spec.transformations[0].config.renames[0]: " },
		{ RENAME("'a:b:c'"), "spec.transformations[0].config.renames[0]: " },
		{ RENAME("'x:y', ':b'"), "spec.transformations[0].config.renames[1]: " },
		{ RENAME("'a: '"), "spec.transformations[0].config.renames[0]: " },
		{ RENAME("'a\\:b'"), "spec.transformations[0].config.renames[0]: " },
		{ RENAME("'a.*:b'"), "spec.transformations[0].config.renames[0]: the old path" },
		{ RENAME("'a:b.#'"), "spec.transformations[0].config.renames[0]: the new path" },
		{ RENAME("''"), "spec.transformations[0].config.renames[0]: " },
		{ INCLUDE("a, $"), "spec.transformations[0].config.include[1]: " },
		{ EXCLUDE("'a.#'"), "spec.transformations[0].config.exclude[0]: " },
		/* Old paths that are equal, or one begins with the other: at the later. */
		{ RENAME("'a:b', 'a:c'"), "spec.transformations[0].config.renames[1]: " },
		{ RENAME("'a:b', 'x:y', 'a.c:d'"), "spec.transformations[0].config.renames[2]: " },
		{ RENAME("'a.c:b', '$.a:d'"), "spec.transformations[0].config.renames[1]: " },
		{ RENAME("'a[0]:b', 'a.0:d'"), "spec.transformations[0].config.renames[1]: " },
		{ RENAME("'ab:b', 'a:d'"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("replaceField");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(includes),
		cmocka_unit_test(excludes),
		cmocka_unit_test(renames_in_one_object),
		cmocka_unit_test(moves_values),
		cmocka_unit_test(filters_before_it_renames),
		cmocka_unit_test(fails_for_a_new_name_that_exists),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
