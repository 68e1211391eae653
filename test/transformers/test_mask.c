/* mask: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define MASK(config) "{type: mask, config: " config "}"
#define A MASK("{fields: [a]}")
#define KEEP MASK("{fields: [a], keepLength: true}")

static void masks_with_three_characters(void **state)
{
	static const struct transform_case cases[] = {
		{ A, "{\"a\":\"secret\"}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":\"\"}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":-1.50}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":true}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":false}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":{\"b\":1}}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":[1,2,3,4]}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{\"a\":{}}", .want = { "{\"a\":\"***\"}" } },
		{ A, "{ \"a\" : null }", .want = { "{ \"a\" : null }" } },
		{ MASK("{fields: [a], keepLength: false}"), "{\"a\":\"secret\"}", .want = { "{\"a\":\"***\"}" } },
		{ MASK("{fields: [a], keepLength: null, maskChar: null}"), "{\"a\":\"secret\"}",
		  .want = { "{\"a\":\"***\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void keeps_the_length(void **state)
{
	static const struct transform_case cases[] = {
		{ KEEP, "{\"a\":\"secret\"}", .want = { "{\"a\":\"******\"}" } },
		{ KEEP, "{ \"a\" : \"\" }", .want = { "{ \"a\" : \"\" }" } },
		/* code points, not bytes, whatever escapes the source used */
		{ KEEP, "{\"a\":\"\xc3\xa9\xd0\x96\xe5\x90\x8d\xf0\x9f\x98\x80\"}", .want = { "{\"a\":\"****\"}" } },
		{ KEEP, "{\"a\":\"\\u00e9\\n\\\"x\"}", .want = { "{\"a\":\"****\"}" } },
		{ KEEP, "{\"a\":\"\\ud83d\\ude00\"}", .want = { "{\"a\":\"*\"}" } },
		{ KEEP, "{\"a\":\"\\ud83dx\"}", .want = { "{\"a\":\"**\"}" } },
		{ KEEP, "{\"a\":-1.50}", .want = { "{\"a\":\"*****\"}" } },
		{ KEEP, "{\"a\":1e400}", .want = { "{\"a\":\"*****\"}" } },
		{ KEEP, "{\"a\":true}", .want = { "{\"a\":\"****\"}" } },
		{ KEEP, "{\"a\":false}", .want = { "{\"a\":\"*****\"}" } },
		{ KEEP, "{\"a\":{\"bcdef\":12345}}", .want = { "{\"a\":\"***\"}" } },
		{ KEEP, "{\"a\":[1,2,3,4,5]}", .want = { "{\"a\":\"***\"}" } },
		{ KEEP, "{ \"a\" : null }", .want = { "{ \"a\" : null }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void takes_another_character(void **state)
{
	static const struct transform_case cases[] = {
		{ MASK("{fields: [a], maskChar: '#'}"), "{\"a\":\"secret\"}", .want = { "{\"a\":\"###\"}" } },
		{ MASK("{fields: [a], maskChar: \xe2\x80\xa2, keepLength: true}"), "{\"a\":\"ab\"}",
		  .want = { "{\"a\":\"\xe2\x80\xa2\xe2\x80\xa2\"}" } },
		{ MASK("{fields: [a], maskChar: \xf0\x9f\x98\x80}"), "{\"a\":\"ab\"}",
		  .want = { "{\"a\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}" } },
		{ MASK("{fields: [a], maskChar: '\"'}"), "{\"a\":1}", .want = { "{\"a\":\"\\\"\\\"\\\"\"}" } },
		{ MASK("{fields: [a], maskChar: ''}"), "{\"a\":1}", .want = { "{\"a\":\"***\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void follows_location_paths(void **state)
{
	static const struct transform_case cases[] = {
		{ MASK("{fields: [u.p, x]}"), "{\"u\":{\"p\":\"s\",\"q\":1},\"x\":2}",
		  .want = { "{\"u\":{\"p\":\"***\",\"q\":1},\"x\":\"***\"}" } },
		{ MASK("{fields: ['$.a']}"), "{\"a\":1}", .want = { "{\"a\":\"***\"}" } },
		{ MASK("{fields: ['c[*].n']}"), "{\"c\":[{\"n\":1},{\"m\":2},{\"n\":null},{\"n\":[3]}]}",
		  .want = { "{\"c\":[{\"n\":\"***\"},{\"m\":2},{\"n\":null},{\"n\":\"***\"}]}" } },
		{ MASK("{fields: ['c[*]']}"), "{\"c\":[1,\"b\"]}", .want = { "{\"c\":[\"***\",\"***\"]}" } },
		{ MASK("{fields: ['c.#.n']}"), "{\"c\":[{\"n\":1},{\"n\":2}]}",
		  .want = { "{\"c\":[{\"n\":\"***\"},{\"n\":\"***\"}]}" } },
		{ MASK("{fields: ['*_secret']}"), "{\"a_secret\":1,\"b\":2,\"c_secret\":3}",
		  .want = { "{\"a_secret\":\"***\",\"b\":2,\"c_secret\":\"***\"}" } },
		{ MASK("{fields: ['c.#(k==\"x\").v']}"), "{\"c\":[{\"k\":\"x\",\"v\":1},{\"k\":\"x\",\"v\":2}]}",
		  .want = { "{\"c\":[{\"k\":\"x\",\"v\":\"***\"},{\"k\":\"x\",\"v\":2}]}" } },
		{ MASK("{fields: ['c.#(k==\"x\")#.v']}"),
		  "{\"c\":[{\"k\":\"x\",\"v\":1},{\"k\":\"y\",\"v\":2},{\"k\":\"x\",\"v\":3}]}",
		  .want = { "{\"c\":[{\"k\":\"x\",\"v\":\"***\"},{\"k\":\"y\",\"v\":2},{\"k\":\"x\",\"v\":\"***\"}]"
			    "}" } },
		/* in list order, each on the result of the one before */
		{ MASK("{fields: [a, a.b]}"), "{\"a\":{\"b\":1}}", .want = { "{\"a\":\"***\"}" } },
		{ MASK("{fields: [a.b, a], keepLength: true}"), "{\"a\":{\"b\":12345}}",
		  .want = { "{\"a\":\"***\"}" } },
		{ MASK("{fields: ['c[*].k', 'c.#(k==\"x\").v']}"), "{\"c\":[{\"k\":\"x\",\"v\":1}]}",
		  .want = { "{\"c\":[{\"k\":\"***\",\"v\":1}]}" } },
		{ MASK("{fields: [a, a], keepLength: true}"), "{\"a\":\"abcd\"}", .want = { "{\"a\":\"****\"}" } },
		/* missing places are skipped; order and digits stay */
		{ MASK("{fields: [x, a.b.c, 'l[7]', b]}"), "{ \"z\" : 1.10, \"a\" : 5, \"l\":[1] }",
		  .want = { "{ \"z\" : 1.10, \"a\" : 5, \"l\":[1] }" } },
		{ MASK("{fields: [b]}"), "{ \"z\" : 1.10, \"b\" : 5, \"y\" : 1e400 }",
		  .want = { "{\"z\":1.10,\"b\":\"***\",\"y\":1e400}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ A, NULL, .want = { "" } },
		{ A, " not json", .want = { " not json" } },
		{ A, " ", .want = { " " } },
		{ A, "[ {\"a\":1} ]", .want = { "[ {\"a\":1} ]" } },
		{ MASK("{fields: ['[*].a']}"), "[{\"a\":1},{\"a\":2}]",
		  .want = { "[{\"a\":\"***\"},{\"a\":\"***\"}]" } },
		{ MASK("{fields: ['#.a']}"), "[{\"a\":1}]", .want = { "[{\"a\":\"***\"}]" } },
		{ MASK("{fields: ['1']}"), "[1,2]", .want = { "[1,\"***\"]" } },
		{ A, " \"a\"", .want = { " \"a\"" } },
		{ A, " 12", .want = { " 12" } },
		{ A, " true", .want = { " true" } },
		{ A, " null", .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void keeps_metadata(void **state)
{
	static const struct transform_case cases[] = {
		{ A, "{\"a\":1}", "{\"a\":1,\"topic\":\"t\"}", .want = { "{\"a\":\"***\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* A typed document, as database sources build it. */
static void masks_values_that_are_no_text(void **state)
{
	struct transform_test t;

	(void)state;
	transform_test_open(&t, MASK("{fields: [i, f, b], keepLength: true}"));
	struct df_batch *batch = df_batch_new(t.pool);
	struct df_message *m = transform_test_add(batch, NULL, NULL);
	struct df_value *root = df_value_new(&batch->arena, DF_OBJECT);
	const struct df_chain_events events = { 0 };
	struct df_str text;

	df_object_append(root, DF_STR("i"), df_value_int64(&batch->arena, -123));
	df_object_append(root, DF_STR("f"), df_value_float64(&batch->arena, 0.25));
	df_object_append(root, DF_STR("b"), df_value_bytes(&batch->arena, DF_STR("abc")));
	df_message_set_document(m, root);
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_int_equal(df_message_payload(&batch->messages[0], &batch->arena, &text), 0);
	assert_true(df_str_equal_c(text, "{\"i\":\"****\",\"f\":\"****\",\"b\":\"****\"}"));
	df_batch_free(batch);
	transform_test_close(&t);
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: mask}", "spec.transformations[0].config: " },
		{ "{type: mask, config: null}", "spec.transformations[0].config: " },
		{ MASK("{}"), "spec.transformations[0].config.fields: " },
		{ MASK("{fields: null}"), "spec.transformations[0].config.fields: " },
		{ MASK("{fields: []}"), "spec.transformations[0].config.fields: " },
		{ MASK("{fields: a}"), "spec.transformations[0].config.fields: " },
		{ MASK("{fields: ['']}"), "spec.transformations[0].config.fields[0]: " },
		{ MASK("{fields: [a, 5]}"), "spec.transformations[0].config.fields[1]: " },
		{ MASK("{fields: [a, b..c]}"), "spec.transformations[0].config.fields[1]: " },
		{ MASK("{fields: ['$']}"), "spec.transformations[0].config.fields[0]: " },
		{ MASK("{fields: ['a.#']}"), "spec.transformations[0].config.fields[0]: " },
		{ MASK("{fields: ['a.@reverse']}"), "spec.transformations[0].config.fields[0]: " },
		{ MASK("{fields: ['*|a']}"), "spec.transformations[0].config.fields[0]: " },
		{ MASK("{fields: [a], maskChar: '**'}"), "spec.transformations[0].config.maskChar: " },
		{ MASK("{fields: [a], maskChar: \"e\\u0301\"}"), "spec.transformations[0].config.maskChar: " },
		{ MASK("{fields: [a], maskChar: 7}"), "spec.transformations[0].config.maskChar: " },
		{ MASK("{fields: [a], keepLength: 'true'}"), "spec.transformations[0].config.keepLength: " },
		{ MASK("{fields: [a], length: 3}"), "spec.transformations[0].config.length: " },
		{ "{type: mask, mask: {fields: ['$']}}", "spec.transformations[0].mask.fields[0]: " },
		{ "{type: mask, mask: {fields: [a]}}", NULL },
		{ "{type: mask, mask: {fields: [a]}, config: {fields: [a]}}", "spec.transformations[0].mask: " },
		{ MASK("{fields: ['#(x==1)#.y', 'a[0][*]', '\\@keys']}"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("mask");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_with_three_characters),
		cmocka_unit_test(keeps_the_length),
		cmocka_unit_test(takes_another_character),
		cmocka_unit_test(follows_location_paths),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(keeps_metadata),
		cmocka_unit_test(masks_values_that_are_no_text),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
