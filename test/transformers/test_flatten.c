/* flatten: the transformations reference, sections 1 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define FLATTEN(field) "{type: flatten, config: {field: '" field "'}}"

static void gives_a_message_for_each_element(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLATTEN("items"),
		  .in = "{ \"id\": 1.0, \"items\": [ {\"a\":1}, {\"b\":2} ] }",
		  .want = { "{\"id\":1.0,\"a\":1}", "{\"id\":1.0,\"b\":2}" } },
		{ .config = FLATTEN("items[*]"), .in = "{\"items\":[{\"a\":1}]}", .want = { "{\"a\":1}" } },
		{ .config = FLATTEN("$.items"), .in = "{\"items\":[{\"a\":1}]}", .want = { "{\"a\":1}" } },
		/* A key that exists is overwritten where it stands, a new one appended. */
		{ .config = FLATTEN("items"),
		  .in = "{\"id\":1,\"items\":[{\"z\":0,\"id\":2},{\"x\":3}],\"x\":1}",
		  .want = { "{\"id\":2,\"x\":1,\"z\":0}", "{\"id\":1,\"x\":3}" } },
		{ .config = FLATTEN("items"),
		  .in = "{\"items\":[{\"items\":5}],\"a\":1}",
		  .want = { "{\"a\":1,\"items\":5}" } },
		/* Parents stay. */
		{ .config = FLATTEN("orders.items"),
		  .in = "{\"orders\":{\"items\":[{\"a\":1},{\"a\":2}]}}",
		  .want = { "{\"orders\":{},\"a\":1}", "{\"orders\":{},\"a\":2}" } },
		{ .config = FLATTEN("o.items"),
		  .in = "{\"o\":{\"items\":[{\"o\":1},{\"p\":2}],\"k\":3}}",
		  .want = { "{\"o\":1}", "{\"o\":{\"k\":3},\"p\":2}" } },
		/* Any other element takes the place of the array. */
		{ .config = FLATTEN("a"),
		  .in = "{\"x\":0,\"a\":[1,null,\"s\",[2],{}],\"y\":9}",
		  .want = { "{\"x\":0,\"a\":1,\"y\":9}", "{\"x\":0,\"a\":null,\"y\":9}",
			    "{\"x\":0,\"a\":\"s\",\"y\":9}", "{\"x\":0,\"a\":[2],\"y\":9}", "{\"x\":0,\"y\":9}" } },
		{ .config = FLATTEN("o.p.a"),
		  .in = "{\"o\":{\"p\":{\"a\":[1,2]}}}",
		  .want = { "{\"o\":{\"p\":{\"a\":1}}}", "{\"o\":{\"p\":{\"a\":2}}}" } },
		{ .config = FLATTEN("a"), .in = "{\"a\":[1]}", .want = { "{\"a\":1}" } },
		{ .config = FLATTEN("m.1"),
		  .in = "{\"m\":[0,[7,8],9]}",
		  .want = { "{\"m\":[0,7,9]}", "{\"m\":[0,8,9]}" } },
		{ .config = FLATTEN("m.1"), .in = "{\"m\":[0,[{\"a\":1}]]}", .want = { "{\"m\":[0],\"a\":1}" } },
		/* Escapes, and keys that need them. */
		{ .config = FLATTEN("a\\.b"),
		  .in = "{\"a.b\":[\"\\u00e9\\n\"],\"\\\"\":1}",
		  .want = { "{\"a.b\":\"é\\n\",\"\\\"\":1}" } },
		{ .config = FLATTEN("i"), .in = "{\"i\":[{\"\\\"\":1}]}", .want = { "{\"\\\"\":1}" } },
		/* The metadata is the parent's. */
		{ .config = FLATTEN("i"),
		  .in = "{\"i\":[1,2]}",
		  .meta = "{\"topic\":\"t\"}",
		  .want = { "{\"i\":1}", "{\"i\":2}" } },
		/* Again. */
		{ .config = "[" FLATTEN("a") "," FLATTEN("b") "]",
		  .in = "{\"a\":[{\"b\":[1,2]},{\"b\":[3]}]}",
		  .want = { "{\"b\":1}", "{\"b\":2}", "{\"b\":3}" } },
		{ .config = "[{type: remove, config: {fields: [x]}}," FLATTEN(
			  "a") ",{type: timestamp, config: {fieldName: t}}]",
		  .in = "{\"x\":1,\"a\":[{\"b\":1},{\"b\":2}]}",
		  .want = { "{\"b\":1,\"t\":\"2024-01-15T09:50:00Z\"}", "{\"b\":2,\"t\":\"2024-01-15T09:50:00Z\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void knows_avros_wrapper(void **state)
{
	static const struct transform_case cases[] = {
		/* Without other members all of it is the array. */
		{ .config = FLATTEN("i"),
		  .in = "{\"k\":0,\"i\":{\"array\":[{\"a\":1},2]}}",
		  .want = { "{\"k\":0,\"a\":1}", "{\"k\":0,\"i\":2}" } },
		/* Else only its member. */
		{ .config = FLATTEN("i"),
		  .in = "{\"i\":{\"x\":1,\"array\":[{\"a\":1},2]}}",
		  .want = { "{\"i\":{\"x\":1},\"a\":1}", "{\"i\":{\"x\":1,\"array\":2}}" } },
		{ .config = FLATTEN("i"), .in = "{\"i\":{\"array\":[]},\"k\":1}", .want = { "{\"k\":1}" } },
		{ .config = FLATTEN("i"), .in = "{\"i\":{\"array\":[],\"x\":1}}", .want = { "{\"i\":{\"x\":1}}" } },
		{ .config = FLATTEN("i"), .in = "{ \"i\":{\"array\":1} }", .want = { "{ \"i\":{\"array\":1} }" } },
		{ .config = FLATTEN("i"), .in = "{ \"i\":{\"Array\":[1]} }", .want = { "{ \"i\":{\"Array\":[1]} }" } },
		{ .config = FLATTEN("i.array"), .in = "{\"i\":{\"array\":[1]}}", .want = { "{\"i\":{\"array\":1}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_array(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLATTEN("i"), .in = "{ \"a\":1 }", .want = { "{ \"a\":1 }" } },
		{ .config = FLATTEN("i"), .in = "{ \"i\":null }", .want = { "{ \"i\":null }" } },
		{ .config = FLATTEN("i"), .in = "{ \"i\":{} }", .want = { "{ \"i\":{} }" } },
		{ .config = FLATTEN("i"), .in = "{ \"i\":\"x\" }", .want = { "{ \"i\":\"x\" }" } },
		{ .config = FLATTEN("i.j"), .in = "{ \"i\":[{\"j\":[1]}] }", .want = { "{ \"i\":[{\"j\":[1]}] }" } },
		/* An empty array: one output without it. */
		{ .config = FLATTEN("i"), .in = "{ \"a\":1, \"i\":[] }", .want = { "{\"a\":1}" } },
		{ .config = FLATTEN("o.i"), .in = "{\"o\":{\"i\":[]}}", .want = { "{\"o\":{}}" } },
		/* Kinds of payload. */
		{ .config = FLATTEN("i"), .in = NULL, .want = { "" } },
		{ .config = FLATTEN("i"), .in = "x", .want = { "x" } },
		{ .config = FLATTEN("0"), .in = " [[1]]", .want = { " [[1]]" } },
		{ .config = FLATTEN("i"), .in = " 1", .want = { " 1" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void splits_the_root(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = FLATTEN("$"),
		  .in = "[ {\"a\":1}, 2 , null,[3]]",
		  .want = { "{\"a\":1}", "2", "null", "[3]" } },
		{ .config = FLATTEN("$[*]"), .in = "[1.0]", .want = { "1.0" } },
		{ .config = FLATTEN("$"), .in = " [] ", .want = { " [] " } },
		{ .config = FLATTEN("$"), .in = " {\"array\":[1]} ", .want = { " {\"array\":[1]} " } },
		{ .config = FLATTEN("$"), .in = "1 ", .want = { "1 " } },
		{ .config = FLATTEN("$"), .in = NULL, .want = { "" } },
		{ .config = FLATTEN("$"), .in = "[1", .want = { "[1" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static int count_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct df_value *root;

	assert_int_equal(transformer, 1);
	assert_int_equal(err->code, DF_ERR_INVALID_DATA);
	assert_int_equal(df_message_document(m, NULL, &root, NULL), 0);
	assert_int_equal(df_object_get_c(root, "a")->kind, DF_NUMBER);
	++*(size_t *)arg;
	return 0;
}

static void leaves_siblings_alone_when_one_fails(void **state)
{
	struct transform_test t;
	struct df_batch *batch;
	struct df_str out;
	size_t failed = 0;
	const struct df_chain_events events = { .arg = &failed, .failed = count_failed };

	(void)state;
	transform_test_open(&t, "[" FLATTEN("i") ", {type: timestamp, config: {fieldName: a.b}}]");
	batch = df_batch_new(t.pool);
	transform_test_add(batch, "{\"i\":[{\"a\":{}},{\"a\":1},{\"c\":2}]}", NULL);
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_int_equal(failed, 1);
	assert_int_equal(batch->count, 2);
	assert_int_equal(df_message_payload(&batch->messages[1], &batch->arena, &out), 0);
	assert_true(df_str_equal_c(out, "{\"c\":2,\"a\":{\"b\":\"2024-01-15T09:50:00Z\"}}"));
	df_batch_free(batch);
	transform_test_close(&t);
}

/* Elements and root with many members, and an array as in the example of the earthquakes; with n members each. */
static void merges_large_objects(void **state)
{
	struct df_buf in = { 0 };
	struct transform_test t;
	struct df_batch *batch;
	const struct df_chain_events none = { 0 };

	(void)state;
	df_buf_add_c(&in, "{\"items\":[");
	for (int e = 0; e < 1707; e++) {
		df_buf_printf(&in, "%s{", e ? "," : "");
		for (int i = 0; i < 40; i++)
			df_buf_printf(&in, "%s\"k%d\":%d", i ? "," : "", i + 10, e);
		df_buf_add_c(&in, "}");
	}
	df_buf_add_c(&in, "]");
	for (int i = 0; i < 40; i++)
		df_buf_printf(&in, ",\"k%d\":\"root\"", i);
	df_buf_add_c(&in, "}");
	transform_test_open(&t, FLATTEN("items"));
	batch = df_batch_new(t.pool);
	transform_test_add(batch, df_buf_c(&in), NULL);
	assert_int_equal(df_chain_run(t.chain, batch, &none, NULL), 0);
	assert_int_equal(batch->count, 1707);
	for (size_t e = 0; e < batch->count; e += 853) {
		struct df_value *root = batch->messages[e].document;
		size_t i = 0;

		assert_int_equal(root->len, 50);
		df_for_each (member, root) {
			char key[16];
			int64_t n;

			snprintf(key, sizeof(key), "k%zu", i);
			assert_true(df_str_equal_c(df_value_key(member), key));
			if (i++ < 10)
				assert_true(df_value_string_equal(member, DF_STR("root")));
			else
				assert_true(df_value_to_int64(member, &n) && n == (int64_t)e);
		}
		assert_int_equal(i, 50);
	}
	df_batch_free(batch);
	transform_test_close(&t);
	df_buf_done(&in);
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: flatten}", "spec.transformations[0].config: required" },
		{ "{type: flatten, config: {field: ''}}", "spec.transformations[0].config.field: " },
		{ FLATTEN("a.*"), "spec.transformations[0].config.field: " },
		{ FLATTEN("a.#"), "spec.transformations[0].config.field: " },
		{ FLATTEN("a[*].b"), "spec.transformations[0].config.field: " },
		{ FLATTEN("a[*][*]"), "spec.transformations[0].config.field: " },
		{ FLATTEN("[*]"), "spec.transformations[0].config.field: " },
		{ FLATTEN("@keys"), "spec.transformations[0].config.field: " },
		{ "{type: flatten, flatten: {field: 'a..b'}}", "spec.transformations[0].flatten.field: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("flatten");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_message_for_each_element),
		cmocka_unit_test(knows_avros_wrapper),
		cmocka_unit_test(passes_what_is_no_array),
		cmocka_unit_test(splits_the_root),
		cmocka_unit_test(leaves_siblings_alone_when_one_fails),
		cmocka_unit_test(merges_large_objects),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
