/* insertField: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define INSERT(fields) "{type: insertField, config: {fields: " fields "}}"
#define META                                                                                          \
	"{\"topic\":\"t\\u00e9\",\"partition\":7,\"n\":1.50,\"yes\":true,\"no\":false,\"null\":null," \
	"\"headers\":{\"h\": \"v\"},\"list\":[1, 2],\"a.b\":\"dotted\",\"headers.h\":\"own\",\"e\":\"\"}"

static void sets_texts(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{x: hello}"), "{ \"a\" : 1.10 }", .want = { "{\"a\":1.10,\"x\":\"hello\"}" } },
		{ INSERT("{a: hello}"), "{\"a\":{\"b\":1},\"c\":2}", .want = { "{\"a\":\"hello\",\"c\":2}" } },
		{ INSERT("{x: ''}"), "{}", .want = { "{\"x\":\"\"}" } },
		{ INSERT("{x: '5'}"), "{}", .want = { "{\"x\":\"5\"}" } },
		{ INSERT("{x: \"q\\\"\\n\xc3\xa9\"}"), "{}", .want = { "{\"x\":\"q\\\"\\n\xc3\xa9\"}" } },
		/* a placeholder is the whole text or none */
		{ INSERT("{x: 'a ${now}'}"), "{}", .want = { "{\"x\":\"a ${now}\"}" } },
		{ INSERT("{x: '${now} '}"), "{}", .want = { "{\"x\":\"${now} \"}" } },
		{ INSERT("{x: '${x}'}"), "{}", .want = { "{\"x\":\"${x}\"}" } },
		{ INSERT("{x: '${Now}'}"), "{}", .want = { "{\"x\":\"${Now}\"}" } },
		{ INSERT("{x: '${metadata.}'}"), "{}", META, .want = { "{\"x\":\"${metadata.}\"}" } },
		{ INSERT("{x: '${metadata}'}"), "{}", META, .want = { "{\"x\":\"${metadata}\"}" } },
		{ INSERT("{x: '${metadata.topic'}"), "{}", META, .want = { "{\"x\":\"${metadata.topic\"}" } },
		{ INSERT("{x: 'a${metadata.topic}'}"), "{}", META, .want = { "{\"x\":\"a${metadata.topic}\"}" } },
		{ INSERT("{x: '${metadata.topic}b'}"), "{}", META, .want = { "{\"x\":\"${metadata.topic}b\"}" } },
		{ INSERT("{x: '${metadata.topic}}'}"), "{}", META, .want = { "{\"x\":\"${metadata.topic}}\"}" } },
		{ INSERT("{x: '${metadata.topic}${metadata.n}'}"), "{}", META,
		  .want = { "{\"x\":\"${metadata.topic}${metadata.n}\"}" } },
		{ INSERT("{x: 'JSON:1', y: ' json:1'}"), "{}", .want = { "{\"x\":\"JSON:1\",\"y\":\" json:1\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void sets_metadata(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{x: '${metadata.topic}'}"), "{}", META, .want = { "{\"x\":\"t\xc3\xa9\"}" } },
		{ INSERT("{x: '${metadata.partition}', y: '${metadata.n}'}"), "{}", META,
		  .want = { "{\"x\":\"7\",\"y\":\"1.50\"}" } },
		{ INSERT("{x: '${metadata.yes}', y: '${metadata.no}'}"), "{}", META,
		  .want = { "{\"x\":\"true\",\"y\":\"false\"}" } },
		{ INSERT("{x: '${metadata.headers}', y: '${metadata.list}'}"), "{}", META,
		  .want = { "{\"x\":\"{\\\"h\\\":\\\"v\\\"}\",\"y\":\"[1,2]\"}" } },
		{ INSERT("{x: '${metadata.null}', y: '${metadata.missing}', z: '${metadata.e}'}"), "{}", META,
		  .want = { "{\"x\":\"\",\"y\":\"\",\"z\":\"\"}" } },
		{ INSERT("{x: '${metadata.topic}'}"), "{}", NULL, .want = { "{\"x\":\"\"}" } },
		/* a key, no path */
		{ INSERT("{x: '${metadata.a.b}', y: '${metadata.headers.h}', z: '${metadata.list.0}'}"), "{}", META,
		  .want = { "{\"x\":\"dotted\",\"y\":\"own\",\"z\":\"\"}" } },
		{ INSERT("{x: '${metadata.Topic}', y: '${metadata. topic}'}"), "{}", META,
		  .want = { "{\"x\":\"\",\"y\":\"\"}" } },
		{ INSERT("{x: '${metadata.a{$b}'}"), "{}", "{\"a{$b\":\"odd\"}", .want = { "{\"x\":\"odd\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void sets_the_time(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{x: '${now}', y: '${now}'}"), "{\"y\":1}",
		  .want = { "{\"y\":\"2024-01-15T09:50:00Z\",\"x\":\"2024-01-15T09:50:00Z\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));

	/* Before 1970 as well: the second that the time is in. */
	struct transform_test t;
	const struct df_chain_events events = { 0 };
	struct df_str text;
	transform_test_clock.fixed_ns = -1;
	transform_test_open(&t, INSERT("{x: '${now}'}"));
	struct df_batch *batch = df_batch_new(t.pool);
	transform_test_add(batch, "{}", NULL);
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_int_equal(df_message_payload(&batch->messages[0], &batch->arena, &text), 0);
	assert_true(df_str_equal_c(text, "{\"x\":\"1969-12-31T23:59:59Z\"}"));
	df_batch_free(batch);
	transform_test_close(&t);
	transform_test_clock.fixed_ns = TRANSFORM_TEST_NOW;
}

static void sets_json(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{x: 'json:1.10'}"), "{}", .want = { "{\"x\":1.10}" } },
		{ INSERT("{x: 'json:1e400', y: 'json:-0', z: 'json:9007199254740993'}"), "{}",
		  .want = { "{\"x\":1e400,\"y\":-0,\"z\":9007199254740993}" } },
		{ INSERT("{x: 'json: { \"b\" : [ 1, null ], \"a\":true } '}"), "{}",
		  .want = { "{\"x\":{\"b\":[1,null],\"a\":true}}" } },
		{ INSERT("{x: 'json:\"${now}\"'}"), "{}", .want = { "{\"x\":\"${now}\"}" } },
		{ INSERT("{x: 'json:\"\\u00e9\\\"\"'}"), "{}", .want = { "{\"x\":\"\xc3\xa9\\\"\"}" } },
		{ INSERT("{x: 'json:null', y: 'json:false', z: 'json:\"\"', o: 'json:{}', l: 'json:[]'}"), "{}",
		  .want = { "{\"x\":null,\"y\":false,\"z\":\"\",\"o\":{},\"l\":[]}" } },
		{ INSERT("{x: 'json:{\"a\":1,\"b\":2,\"a\":3}'}"), "{}", .want = { "{\"x\":{\"a\":3,\"b\":2}}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* Each message gets a value of its own: what edits one does not reach the next. */
static void gives_each_message_its_own(void **state)
{
	static const struct transform_case cases[] = {
		{ "[{type: insertField, config: {fields: {x: 'json:{\"a\":[1,\"\\u00e9\"]}'}}},"
		  " {type: insertField, config: {fields: {x.b: c, 'x.a[2]': d}}},"
		  " {type: mask, config: {fields: ['x.a[1]'], keepLength: true}}]",
		  "{}", .want = { "{\"x\":{\"a\":[1,\"*\",\"d\"],\"b\":\"c\"}}" } },
		{ "[{type: insertField, config: {fields: {x: '${metadata.topic}'}}},"
		  " {type: mask, config: {fields: [x]}}]",
		  "{}", META, .want = { "{\"x\":\"***\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void follows_paths_in_order(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{a.b.c: x}"), "{}", .want = { "{\"a\":{\"b\":{\"c\":\"x\"}}}" } },
		{ INSERT("{a.b: x}"), "{\"a\":null}", .want = { "{\"a\":{\"b\":\"x\"}}" } },
		{ INSERT("{a.b: x}"), "{\"a\":{\"b\":1,\"c\":2}}", .want = { "{\"a\":{\"b\":\"x\",\"c\":2}}" } },
		{ INSERT("{a.0.b: x}"), "{}", .want = { "{\"a\":[{\"b\":\"x\"}]}" } },
		{ INSERT("{'a[0]': x}"), "{\"a\":[1,2]}", .want = { "{\"a\":[\"x\",2]}" } },
		{ INSERT("{'a[2]': x}"), "{\"a\":[1,2]}", .want = { "{\"a\":[1,2,\"x\"]}" } },
		{ INSERT("{'$.a': x}"), "{}", .want = { "{\"a\":\"x\"}" } },
		{ INSERT("{\"a\\\\.b\": x}"), "{}", .want = { "{\"a.b\":\"x\"}" } },
		{ INSERT("{'0': x}"), "{}", .want = { "{\"0\":\"x\"}" } },
		/* map order */
		{ INSERT("{z: '1', y: '2', x: '3'}"), "{}", .want = { "{\"z\":\"1\",\"y\":\"2\",\"x\":\"3\"}" } },
		{ INSERT("{a: '1', '$.a': '2'}"), "{}", .want = { "{\"a\":\"2\"}" } },
		{ INSERT("{l: 'json:[]', 'l[0]': a, 'l[1]': b}"), "{}", .want = { "{\"l\":[\"a\",\"b\"]}" } },
		{ INSERT("{l: 'json:[]', l.0: a, l.1.x: b}"), "{}", .want = { "{\"l\":[\"a\",{\"x\":\"b\"}]}" } },
		{ INSERT("{x: y}"), "{\"a\":1}", "{\"topic\":\"t\"}", .want = { "{\"a\":1,\"x\":\"y\"}" } },
		/* set already: every byte stays; a number only with the same digits */
		{ INSERT("{x: y, n: 'json:1.0', b: 'json:true'}"), "{ \"x\":\"\\u0079\", \"n\":1.0,\"b\":true }",
		  .want = { "{ \"x\":\"\\u0079\", \"n\":1.0,\"b\":true }" } },
		{ INSERT("{n: 'json:1.0'}"), "{ \"n\":1 }", .want = { "{\"n\":1.0}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_whole(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{x: y, a.b: z}"), "{ \"a\" : \"s\" }", .error = "cannot set a.b: a is a string" },
		{ INSERT("{a: y, a.b: z}"), "{ \"a\" : {\"c\":[1,2]} }", .error = "cannot set a.b: a is a string" },
		{ INSERT("{a.b: y}"), "{ \"a\" : 5 }", .error = "cannot set a.b: a is a number" },
		{ INSERT("{a.b: y}"), "{ \"a\" : true }", .error = "cannot set a.b: a is a bool" },
		{ INSERT("{a.b: y}"), "{ \"a\" : [] }", .error = "cannot set a.b: " },
		{ INSERT("{'a[2]': y}"), "{ \"a\" : [1] }", .error = "cannot set a[2]: " },
		{ INSERT("{'a[1]': y}"), "{ \"b\" : 1 }", .error = "cannot set a[1]: " },
		{ INSERT("{n.x: a, o.new: b, 'l[1]': c, 'l[0]': 'json:{}', l.0.d: e, p.q.r: s, p.q.t: u, b.c: d}"),
		  "{ \"n\" : null, \"o\":{\"k\":{}}, \"l\":[1], \"b\" : 1, \"z\":[] }", META,
		  .error = "cannot set b.c: b is a number" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ INSERT("{'0': x}"), NULL, .want = { "" } },
		{ INSERT("{'0': x}"), "{\"a\"}", .want = { "{\"a\"}" } },
		{ INSERT("{'0': x}"), "[ 1 ]", .want = { "[ 1 ]" } },
		{ INSERT("{'0': x}"), " \"s\"", .want = { " \"s\"" } },
		{ INSERT("{'0': x}"), " 1", .want = { " 1" } },
		{ INSERT("{'0': x}"), " true", .want = { " true" } },
		{ INSERT("{'0': x}"), " null", .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: insertField}", "spec.transformations[0].config: " },
		{ "{type: insertField, config: {}}", "spec.transformations[0].config.fields: " },
		{ INSERT("{}"), "spec.transformations[0].config.fields: " },
		{ INSERT("[a]"), "spec.transformations[0].config.fields: " },
		{ INSERT("a"), "spec.transformations[0].config.fields: " },
		{ INSERT("{a: 5}"), "spec.transformations[0].config.fields.a: expected a text, found a number" },
		{ INSERT("{a: true}"), "spec.transformations[0].config.fields.a: expected a text, found a bool" },
		{ INSERT("{a: null}"), "spec.transformations[0].config.fields.a: expected a text, found null" },
		{ INSERT("{a: {b: c}}"), "spec.transformations[0].config.fields.a: expected a text, found an object" },
		{ INSERT("{a: [b]}"), "spec.transformations[0].config.fields.a: expected a text, found an array" },
		{ INSERT("{a: 'json:'}"), "spec.transformations[0].config.fields.a: " },
		{ INSERT("{a: 'json: '}"), "spec.transformations[0].config.fields.a: " },
		{ INSERT("{a: x, 'b.c[0]': 'json:{a:1}'}"), "spec.transformations[0].config.fields.b.c[0]: " },
		{ INSERT("{a: 'json:1 2'}"), "spec.transformations[0].config.fields.a: " },
		{ INSERT("{a: 'json:01'}"), "spec.transformations[0].config.fields.a: " },
		{ INSERT("{a: 'json:${now}'}"), "spec.transformations[0].config.fields.a: " },
		{ INSERT("{$: x}"), "spec.transformations[0].config.fields.$: " },
		{ INSERT("{a..b: x}"), "spec.transformations[0].config.fields.a..b: " },
		{ INSERT("{'a.*': x}"), "spec.transformations[0].config.fields.a.*: " },
		{ INSERT("{'a[*]': x}"), "spec.transformations[0].config.fields.a[*]: " },
		{ INSERT("{'a.#': x}"), "spec.transformations[0].config.fields.a.#: " },
		{ INSERT("{'@this': x}"), "spec.transformations[0].config.fields.@this: " },
		{ "{type: insertField, insertField: {fields: {a: 'json:'}}}",
		  "spec.transformations[0].insertField.fields.a: " },
		{ "{type: insertField, config: {fields: {a: b}, field: c}}", "spec.transformations[0].config.field: " },
		{ INSERT("{'@timestamp': '${now}'}"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("insertField");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_texts),
		cmocka_unit_test(sets_metadata),
		cmocka_unit_test(sets_the_time),
		cmocka_unit_test(sets_json),
		cmocka_unit_test(gives_each_message_its_own),
		cmocka_unit_test(follows_paths_in_order),
		cmocka_unit_test(fails_whole),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
