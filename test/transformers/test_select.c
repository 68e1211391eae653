/* select: the transformations reference, section 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define SELECT(fields) "{type: select, config: {fields: [" fields "]}}"

static void builds_a_flat_object(void **state)
{
	static const struct transform_case cases[] = {
		/* In list order, named like the last step. */
		{ .config = SELECT("b, a"),
		  .in = "{ \"a\": 1.10, \"b\": \"x\", \"c\": 3 }",
		  .want = { "{\"b\":\"x\",\"a\":1.10}" } },
		{ .config = SELECT("user.name, id"),
		  .in = "{\"id\":1,\"user\":{\"name\":\"n\"}}",
		  .want = { "{\"name\":\"n\",\"id\":1}" } },
		{ .config = SELECT("'a.1', 'b[0].c'"),
		  .in = "{\"a\":[1,2],\"b\":[{\"c\":3}]}",
		  .want = { "{\"1\":2,\"c\":3}" } },
		{ .config = SELECT("x.y, z"), .in = "{\"a\":1}", .want = { "{}" } },
		{ .config = SELECT("z"), .in = "{}", .want = { "{}" } },
		{ .config = SELECT("z, a"), .in = "{\"a\":null}", .want = { "{\"a\":null}" } },
		{ .config = SELECT("'a\\.b'"), .in = "{\"a.b\":1}", .want = { "{\"a.b\":1}" } },
		{ .config = SELECT("'a\\\"b'"), .in = "{\"a\\\"b\":1}", .want = { "{\"a\\\"b\":1}" } },
		{ .config = SELECT("a"), .in = "{\"a\":1,\"b\":2,\"a\":3}", .want = { "{\"a\":3}" } },
		{ .config = SELECT("a"), .in = "{\"b\":2,\"\\u0061\":\"\\u00e9\"}", .want = { "{\"a\":\"é\"}" } },
		/* Of one length, and different at one end only: `!` and `D` by what the key set does not see. */
		{ .config = SELECT("abcdefghijkl, abcdd, abcdefghijklmnopqr"),
		  .in = "{\"abcdefghijkX\":1,\"Xbcdefghijkl\":2,\"!bcdd\":3,\"abcdD\":4,\"abcdefghijklmnopqR\":5,"
			"\"abcdefghijkl\":6}",
		  .want = { "{\"abcdefghijkl\":6}" } },
		/* What comes next can be appended to it. */
		{ .config = "[" SELECT("b, a") ", {type: timestamp, config: {fieldName: t, format: DateOnly}}]",
		  .in = "{\"a\":1,\"b\":2}",
		  .want = { "{\"b\":2,\"a\":1,\"t\":\"2024-01-15\"}" } },
		/* `#`, [*], queries and modifiers give no name. */
		{ .config = SELECT("'items.#'"), .in = "{\"items\":[1,2,3]}", .want = { "{\"items\":3}" } },
		{ .config = SELECT("'items.#.id'"),
		  .in = "{\"items\":[{\"id\":1},{},{\"id\":2}]}",
		  .want = { "{\"id\":[1,2]}" } },
		{ .config = SELECT("'items[*]'"), .in = "{\"items\":[1]}", .want = { "{\"items\":[1]}" } },
		{ .config = SELECT("'items.#(a==1)'"),
		  .in = "{\"items\":[{\"a\":1}]}",
		  .want = { "{\"items\":{\"a\":1}}" } },
		{ .config = SELECT("'o.@keys'"), .in = "{\"o\":{\"k\":1}}", .want = { "{\"o\":[\"k\"]}" } },
		{ .config = SELECT("'$.a', '$.b'"), .in = "{\"a\":1,\"b\":2}", .want = { "{\"a\":1,\"b\":2}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void gives_every_match_of_a_wildcard(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SELECT("'a*'"), .in = "{\"a1\":1,\"b\":2,\"a2\":3}", .want = { "{\"a1\":1,\"a2\":3}" } },
		{ .config = SELECT("'x.a?'"), .in = "{\"x\":{\"a1\":1,\"a22\":2}}", .want = { "{\"a1\":1}" } },
		/* The last naming step is no wildcard: under its name. */
		{ .config = SELECT("'*.id'"), .in = "{\"a\":{\"id\":1},\"b\":{\"x\":2}}", .want = { "{\"id\":1}" } },
		{ .config = SELECT("'*.id'"), .in = "{\"a\":{\"id\":1},\"b\":{\"id\":2}}", .error = "*.id: " },
		{ .config = SELECT("'*.#'"), .in = "{\"a\":[1],\"b\":[]}", .want = { "{\"a\":1,\"b\":0}" } },
		/* The same place twice under one name is one match. */
		{ .config = SELECT("'a*', ab"), .in = "{\"ab\":{\"x\":1}}", .want = { "{\"ab\":{\"x\":1}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_two_matches_with_one_name(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SELECT("user.id, order.id"),
		  .in = "{ \"user\":{\"id\":1},\"order\":{\"id\":2} }",
		  .error = "order.id: " },
		{ .config = SELECT("user.id, order.id"),
		  .in = "{\"user\":{\"id\":1},\"order\":{}}",
		  .want = { "{\"id\":1}" } },
		{ .config = SELECT("id, user.id"),
		  .in = "{\"id\":\"same\",\"user\":{\"id\":\"same\"}}",
		  .error = "user.id: " },
		/* Not the content. */
		{ .config = SELECT("a.x, b.x"),
		  .in = "{\"a\":{\"x\":\"secret\"},\"b\":{\"x\":1}}",
		  .error = "same last name" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void ignores_a_path_listed_again(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SELECT("a, $.a, a"), .in = "{\"a\":{\"x\":1}}", .want = { "{\"a\":{\"x\":1}}" } },
		{ .config = SELECT("'a[0]', 'a.0'"), .in = "{\"a\":[7]}", .want = { "{\"0\":7}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* What is read twice is in the result twice, and later changes of one do not show in the other. */
static void reads_around_and_inside(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = "[" SELECT("user, user.address") ", {type: remove, config: {fields: [user.address.zip]}}]",
		  .in = "{\"user\":{\"address\":{\"zip\":1,\"city\":2}}}",
		  .want = { "{\"user\":{\"address\":{\"city\":2}},\"address\":{\"zip\":1,\"city\":2}}" } },
		{ .config = "[" SELECT("user.address, user") ", {type: remove, config: {fields: [address.zip]}}]",
		  .in = "{\"user\":{\"address\":{\"zip\":1,\"city\":2}}}",
		  .want = { "{\"address\":{\"city\":2},\"user\":{\"address\":{\"zip\":1,\"city\":2}}}" } },
		{ .config = "[" SELECT("'items', 'items.#.o'") ", {type: remove, config: {fields: ['o.#.x']}}]",
		  .in = "{\"items\":[{\"o\":{\"x\":1}}]}",
		  .want = { "{\"items\":[{\"o\":{\"x\":1}}],\"o\":[{}]}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* What it remembers of one message must not show in the next. */
static void finds_members_in_any_order(void **state)
{
	static const char *const docs[][2] = {
		{ "{\"aa\":1,\"bb\":2,\"cc\":3,\"x\":0}", "{\"cc\":3,\"aa\":1,\"bb\":2}" },
		{ "{\"aa\":1,\"bb\":2,\"cc\":3,\"x\":0}", "{\"cc\":3,\"aa\":1,\"bb\":2}" },
		{ "{\"cc\":3,\"x\":0,\"bb\":2,\"aa\":1}", "{\"cc\":3,\"aa\":1,\"bb\":2}" },
		{ "{\"bb\":2,\"aa\":1}", "{\"aa\":1,\"bb\":2}" },
		{ "{\"cc\":3,\"bb\":2,\"aa\":1}", "{\"cc\":3,\"aa\":1,\"bb\":2}" },
		{ "{\"bb\":2,\"aa\":1,\"cc\":3}", "{\"cc\":3,\"aa\":1,\"bb\":2}" },
		{ "{\"ab\":2}", "{}" },
		{ "{\"cc\":3}", "{\"cc\":3}" },
		{ "{}", "{}" },
		{ "{\"aa\":1,\"cc\":3}", "{\"cc\":3,\"aa\":1}" },
	};
	struct transform_test t;

	(void)state;
	transform_test_open(&t, SELECT("cc, aa, bb"));
	for (size_t i = 0; i < DF_ARRAY_SIZE(docs); i++) {
		const struct df_chain_events none = { 0 };
		struct df_batch *batch = df_batch_new(t.pool);
		struct df_str out;

		transform_test_add(batch, docs[i][0], NULL);
		assert_int_equal(df_chain_run(t.chain, batch, &none, NULL), 0);
		assert_int_equal(df_message_payload(&batch->messages[0], &batch->arena, &out), 0);
		if (!df_str_equal_c(out, docs[i][1]))
			fail_msg("%zu: %.*s", i, (int)out.len, out.ptr);
		df_batch_free(batch);
	}
	transform_test_close(&t);
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SELECT("a"), .in = NULL, .want = { "" } },
		{ .config = SELECT("a"), .in = "not json", .want = { "not json" } },
		{ .config = SELECT("a"), .in = " [ 1 ] ", .want = { " [ 1 ] " } },
		{ .config = SELECT("a"), .in = " 1 ", .want = { " 1 " } },
		{ .config = SELECT("a"), .in = "null", .want = { "null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: select}", "spec.transformations[0].config: required" },
		{ SELECT(""), "spec.transformations[0].config.fields: " },
		{ SELECT("a, ''"), "spec.transformations[0].config.fields[1]: " },
		{ SELECT("a, 1"), "spec.transformations[0].config.fields[1]: expected a text" },
		{ SELECT("a..b"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("$"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'#'"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'@keys'"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'a.#.b*'"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'a[*].b*'"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'a.#(b==1).c*'"), "spec.transformations[0].config.fields[0]: " },
		{ SELECT("'a*|b'"), "spec.transformations[0].config.fields[0]: " },
		{ "{type: select, config: {fields: a}}", "spec.transformations[0].config.fields: expected a list" },
		{ "{type: select, config: {field: [a]}}", "spec.transformations[0].config.field: unknown field" },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("select");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_a_flat_object),
		cmocka_unit_test(gives_every_match_of_a_wildcard),
		cmocka_unit_test(fails_for_two_matches_with_one_name),
		cmocka_unit_test(ignores_a_path_listed_again),
		cmocka_unit_test(reads_around_and_inside),
		cmocka_unit_test(finds_members_in_any_order),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
