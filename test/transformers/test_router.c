/* router: the transformations reference, sections 1 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define SINK "sink: {type: test, config: {target: x}}"
#define ROUTE(condition) "{condition: \"" condition "\", " SINK "}"
#define ROUTER(routes) "{type: router, config: {routes: [" routes "]}}"
#define MARK(condition) "{\"topic\":\"t\",\"routed_condition\":\"" condition "\"}"

static void marks_the_first_route_that_holds(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = ROUTER(ROUTE("a == 1") "," ROUTE("a")),
		  .in = "{ \"a\": 1 }",
		  .meta = "{\"topic\":\"t\"}",
		  .want = { "{ \"a\": 1 }" },
		  .want_meta = MARK("a == 1"),
		  .route = 1 },
		{ .config = ROUTER(ROUTE("a == 1") "," ROUTE("  a  ")),
		  .in = "{ \"a\": 2 }",
		  .meta = "{\"topic\":\"t\"}",
		  .want = { "{ \"a\": 2 }" },
		  .want_meta = MARK("  a  "),
		  .route = 2 },
		{ .config = ROUTER(ROUTE("a == 1")),
		  .in = "{ \"a\": 2 }",
		  .meta = "{\"topic\":\"t\"}",
		  .want = { "{ \"a\": 2 }" } },
		{ .config = ROUTER(ROUTE("a")),
		  .in = "{\"a\":1}",
		  .want = { "{\"a\":1}" },
		  .want_meta = "{\"routed_condition\":\"a\"}",
		  .route = 1 },
		/* It goes on through the remaining transformations, and children keep the mark. */
		{ .config = "[" ROUTER(
			  ROUTE("a")) ", {type: flatten, config: {field: i}}, {type: remove, config: {fields: [a]}}]",
		  .in = "{\"a\":1,\"i\":[1,2]}",
		  .want = { "{\"i\":1}", "{\"i\":2}" },
		  .want_meta = "{\"routed_condition\":\"a\"}",
		  .route = 1 },
		/* A later router that matches overrides, one that does not leaves the mark alone. */
		{ .config = "[" ROUTER(ROUTE("x") "," ROUTE("a")) "," ROUTER(ROUTE("x") "," ROUTE("b")) "]",
		  .in = "{\"a\":1,\"b\":1}",
		  .want = { "{\"a\":1,\"b\":1}" },
		  .want_meta = "{\"routed_condition\":\"b\"}",
		  .route = 4 },
		{ .config = "[" ROUTER(ROUTE("x") "," ROUTE("a")) "," ROUTER(ROUTE("x") "," ROUTE("b")) "]",
		  .in = "{\"a\":1}",
		  .want = { "{\"a\":1}" },
		  .want_meta = "{\"routed_condition\":\"a\"}",
		  .route = 2 },
		/* Kinds of payload. */
		{ .config = ROUTER(ROUTE("!x")), .in = NULL, .want = { "" } },
		{ .config = ROUTER(ROUTE("!x")), .in = "no json", .want = { "no json" } },
		{ .config = ROUTER(ROUTE("0 == 1")),
		  .in = " [1]",
		  .want = { " [1]" },
		  .want_meta = "{\"routed_condition\":\"0 == 1\"}",
		  .route = 1 },
		{ .config = ROUTER(ROUTE("$ == 1")),
		  .in = " 1",
		  .want = { " 1" },
		  .want_meta = "{\"routed_condition\":\"$ == 1\"}",
		  .route = 1 },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_with_the_expression(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = "{type: router, config: {routes: [{condition: 'a =~ \"^(a+)+$\"', " SINK "}]}}",
		  .in = "{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}",
		  .error = "hit its limit" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* Siblings that share their metadata: only what matches gets the mark. */
static void does_not_mark_siblings(void **state)
{
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	transform_test_open(&t, "[{type: flatten, config: {field: i}}," ROUTER(ROUTE("i == 1")) "]");
	batch = df_batch_new(t.pool);
	transform_test_add(batch, "{\"i\":[0,1,2]}", "{\"topic\":\"t\"}");
	transform_test_run(&t, batch, 0);
	assert_int_equal(batch->count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(batch->messages[i].route, i == 1);
		assert_int_equal(df_message_meta(&batch->messages[i], "routed_condition") != NULL, i == 1);
		assert_non_null(df_message_meta(&batch->messages[i], "topic"));
	}
	df_batch_free(batch);
	transform_test_close(&t);
}

static void lists_the_routes_of_all_routers(void **state)
{
	const struct df_route *routes = NULL;
	struct transform_test t;

	(void)state;
	transform_test_open(&t, "[" ROUTER(ROUTE("a") "," ROUTE("b")) ", {type: timestamp}, " ROUTER(ROUTE("a")) "]");
	assert_int_equal(df_chain_routes(t.chain, &routes), 3);
	assert_true(df_str_equal_c(routes[0].condition, "a"));
	assert_true(df_str_equal_c(routes[1].condition, "b"));
	assert_true(df_str_equal_c(routes[2].condition, "a"));
	assert_string_equal(routes[1].sink->path, "spec.transformations[0].config.routes[1].sink");
	assert_string_equal(routes[2].sink->path, "spec.transformations[2].config.routes[0].sink");
	assert_string_equal(routes[2].sink->type->name, "test");
	transform_test_close(&t);
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: router}", "spec.transformations[0].config: required" },
		{ ROUTER(""), "spec.transformations[0].config.routes: " },
		{ "{type: router, config: {routes: {}}}", "spec.transformations[0].config.routes: expected a list" },
		{ ROUTER(ROUTE("a") ", {" SINK "}"), "spec.transformations[0].config.routes[1].condition: required" },
		{ ROUTER("{condition: a}"), "spec.transformations[0].config.routes[0].sink: required" },
		{ ROUTER(ROUTE("a ==")), "spec.transformations[0].config.routes[0].condition: column 5: " },
		{ ROUTER("{condition: a, sink: {type: nope}}"),
		  "spec.transformations[0].config.routes[0].sink.type: unknown" },
		{ ROUTER("{condition: a, sink: {type: test}}"),
		  "spec.transformations[0].config.routes[0].sink.config: required" },
		{ ROUTER("{condition: a, sink: {type: test, config: {}}}"),
		  "spec.transformations[0].config.routes[0].sink.config.target: required" },
		{ "{type: router, router: {routes: [{condition: a, x: 1, " SINK "}]}}",
		  "spec.transformations[0].router.routes[0].x: unknown field" },
		{ ROUTER("{condition: a, sink: {type: test, config: {target: x, passwordSecretRef: {name: n, key: "
			 "k}}}}"),
		  NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("router");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_the_first_route_that_holds),
		cmocka_unit_test(fails_with_the_expression),
		cmocka_unit_test(does_not_mark_siblings),
		cmocka_unit_test(lists_the_routes_of_all_routers),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
