/* snakeCase: the transformations reference, sections 1, 5 and 6; test_words.c has the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define SNAKE "{type: snakeCase}"
#define DEEP "{type: snakeCase, config: {deep: true}}"

static void renames_keys(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SNAKE,
		  .in = "{ \"firstName\": 1.0, \"b\": \"someText\", \"XMLHttp\": null }",
		  .want = { "{\"first_name\":1.0,\"b\":\"someText\",\"xml_http\":null}" } },
		{ .config = SNAKE,
		  .in = "{\"userID\":{\"innerKey\":1}}",
		  .want = { "{\"user_id\":{\"innerKey\":1}}" } },
		{ .config = "{type: snakeCase, snakeCase: {deep: false}}",
		  .in = "{\"aB\":{\"cD\":1}}",
		  .want = { "{\"a_b\":{\"cD\":1}}" } },
		{ .config = DEEP,
		  .in = "{\"aB\":{\"cD\":[{\"eF\":[[{\"gH\":1}]]},2]}}",
		  .want = { "{\"a_b\":{\"c_d\":[{\"e_f\":[[{\"g_h\":1}]]},2]}}" } },
		{ .config = DEEP, .in = "{\"a\":{\"bC\":1}}", .want = { "{\"a\":{\"b_c\":1}}" } },
		{ .config = SNAKE,
		  .in = "{\"\\u0041b\":1,\"a\\\"B\":2,\"ÉtéFin\":3,\"\":4}",
		  .want = { "{\"ab\":1,\"a\\\"b\":2,\"été_fin\":3,\"\":4}" } },
		/* Longer than what is remembered. */
		{ .config = SNAKE,
		  .in = "{\"aVeryLongKeyThatIsLongerThanAnyKeyThatATransformerWouldLikeToRememberForLater\":1}",
		  .want = { "{\"a_very_long_key_that_is_longer_than_any_key_that_a_transformer_would_like_to_remember_"
			    "for_later\":1}" } },
		{ .config = "[" SNAKE ", {type: remove, config: {fields: [a_b]}}]",
		  .in = "{\"aB\":1,\"c\":2}",
		  .want = { "{\"c\":2}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void leaves_snakes_alone(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SNAKE,
		  .in = "{ \"a_b\" : 1, \"first-name\":2, \"名前\":3, \"é\":4, \"\":5, \"a1_@[`{z\":6 }",
		  .want = { "{ \"a_b\" : 1, \"first-name\":2, \"名前\":3, \"é\":4, \"\":5, \"a1_@[`{z\":6 }" } },
		{ .config = DEEP, .in = "{ \"a\":{\"b\":[{\"c\":1}]} }", .want = { "{ \"a\":{\"b\":[{\"c\":1}]} }" } },
		{ .config = SNAKE, .in = "{ }", .want = { "{ }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void looks_at_every_kind_of_payload(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = DEEP, .in = NULL, .want = { "" } },
		{ .config = DEEP, .in = "{aB", .want = { "{aB" } },
		{ .config = DEEP, .in = " \"aB\"", .want = { " \"aB\"" } },
		{ .config = SNAKE, .in = " [{\"aB\":1}]", .want = { " [{\"aB\":1}]" } },
		{ .config = DEEP, .in = " [{\"aB\":1},[{\"cD\":2}]]", .want = { "[{\"a_b\":1},[{\"c_d\":2}]]" } },
		{ .config = DEEP, .in = "[ 1 ]", .want = { "[ 1 ]" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_keys_that_become_the_same(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = SNAKE, .in = "{ \"firstName\":1, \"first_name\":2 }", .error = "two keys of one object" },
		{ .config = SNAKE, .in = "{\"first_name\":2,\"firstName\":1}", .error = "two keys of one object" },
		{ .config = SNAKE, .in = "{\"userID\":1,\"userId\":2}", .error = "two keys of one object" },
		/* Nothing of the rest is renamed either. */
		{ .config = DEEP, .in = "{\"aB\":1,\"cD\":{\"eF\":1,\"e_f\":2}}", .error = "two keys of one object" },
		{ .config = DEEP, .in = "[{\"aB\":1},{\"aB\":1,\"a_b\":2}]", .error = "two keys of one object" },
		{ .config = SNAKE,
		  .in = "{\"cD\":{\"eF\":1,\"e_f\":2}}",
		  .want = { "{\"c_d\":{\"eF\":1,\"e_f\":2}}" } },
		{ .config = DEEP,
		  .in = "{\"aB\":1,\"c\":{\"aB\":2,\"c\":{\"a_b\":3}}}",
		  .want = { "{\"a_b\":1,\"c\":{\"a_b\":2,\"c\":{\"a_b\":3}}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* One message after the other through one chain: what is remembered must fit what comes. */
static void remembers_right(void **state)
{
	static const char *const docs[][2] = {
		{ "{\"aB\":1,\"cD\":2}", "{\"a_b\":1,\"c_d\":2}" },
		{ "{\"aB\":1,\"cD\":2}", "{\"a_b\":1,\"c_d\":2}" },
		{ "{\"cD\":1,\"aB\":2}", "{\"c_d\":1,\"a_b\":2}" },
		{ "{\"aB\":1,\"cD\":2,\"eF\":3}", "{\"a_b\":1,\"c_d\":2,\"e_f\":3}" },
		{ "{\"aB\":1}", "{\"a_b\":1}" },
		{ "{\"aB\":1,\"cX\":2}", "{\"a_b\":1,\"c_x\":2}" },
		{ "{\"aB\":1,\"a_b\":2}", NULL },
		{ "{\"aB\":1,\"cD\":2}", "{\"a_b\":1,\"c_d\":2}" },
		{ "{\"aB\":1,\"a_b\":2}", NULL },
		{ "{\"x\":{\"aB\":1,\"cD\":2},\"y\":{\"aB\":1}}", "{\"x\":{\"a_b\":1,\"c_d\":2},\"y\":{\"a_b\":1}}" },
		{ "{\"x\":{\"aB\":1,\"cD\":2},\"y\":{\"aB\":1}}", "{\"x\":{\"a_b\":1,\"c_d\":2},\"y\":{\"a_b\":1}}" },
		{ "{\"x\":{\"aB\":1,\"cD\":2},\"y\":{\"a_b\":1,\"aB\":1}}", NULL },
		{ "{\"x\":{\"aB\":1,\"cD\":2},\"y\":{\"a_b\":1}}", "{\"x\":{\"a_b\":1,\"c_d\":2},\"y\":{\"a_b\":1}}" },
		{ "{}", "{}" },
	};
	struct transform_test t;

	(void)state;
	transform_test_open(&t, DEEP);
	for (size_t i = 0; i < DF_ARRAY_SIZE(docs); i++) {
		struct df_batch *batch = df_batch_new(t.pool);
		struct df_str out;

		transform_test_add(batch, docs[i][0], NULL);
		transform_test_run(&t, batch, !docs[i][1]);
		if (docs[i][1]) {
			assert_int_equal(df_message_payload(&batch->messages[0], &batch->arena, &out), 0);
			if (!df_str_equal_c(out, docs[i][1]))
				fail_msg("%zu: %.*s", i, (int)out.len, out.ptr);
		}
		df_batch_free(batch);
	}
	transform_test_close(&t);
}

/* More keys than are remembered, more members than are compared one by one, more objects than shapes. */
static void copes_with_many_keys(void **state)
{
	struct transform_test t;

	(void)state;
	transform_test_open(&t, DEEP);
	for (int round = 0; round < 3; round++) {
		struct df_batch *batch = df_batch_new(t.pool);
		struct df_buf in = { 0 };
		struct df_buf want = { 0 };
		struct df_str out;

		for (int i = 0; i < 1000; i++) {
			df_buf_printf(&in, "%s\"theKey%dX\":{\"a%dB\":1,\"cD\":%d}", i ? "," : "{", i, i, i);
			df_buf_printf(&want, "%s\"the_key%d_x\":{\"a%d_b\":1,\"c_d\":%d}", i ? "," : "{", i, i, i);
		}
		df_buf_add_char(&in, '}');
		df_buf_add_char(&want, '}');
		transform_test_add(batch, df_buf_c(&in), NULL);
		transform_test_run(&t, batch, 0);
		assert_int_equal(df_message_payload(&batch->messages[0], &batch->arena, &out), 0);
		assert_true(df_str_equal(out, df_buf_str(&want)));
		/* The first and the last become the same. */
		in.len--;
		df_buf_add_c(&in, ",\"the_key0_x\":1}");
		batch->count = 0;
		transform_test_add(batch, df_buf_c(&in), NULL);
		transform_test_run(&t, batch, 1);
		df_batch_free(batch);
		df_buf_done(&in);
		df_buf_done(&want);
	}
	transform_test_close(&t);
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: snakeCase, config: {deep: 'yes'}}", "spec.transformations[0].config.deep: " },
		{ "{type: snakeCase, config: {deeper: true}}", "spec.transformations[0].config.deeper: unknown field" },
		{ "{type: snakeCase, config: {deep: null}}", NULL },
		{ "{type: snakeCase, config: null}", NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("snakeCase");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renames_keys),
		cmocka_unit_test(leaves_snakes_alone),
		cmocka_unit_test(looks_at_every_kind_of_payload),
		cmocka_unit_test(fails_for_keys_that_become_the_same),
		cmocka_unit_test(remembers_right),
		cmocka_unit_test(copes_with_many_keys),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
