/* headersToPayload: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define HEADERS(list) "{type: headersToPayload, config: {mappings: " list "}}"
#define META                                                                            \
	"{\"topic\":\"t\",\"headers\":{\"h\":\"v\",\"X-Id\":\"\\u00e9\",\"none\":null," \
	"\"a:b\":\"colon\",\"a\\\\\":\"slash\",\"a\\\\x\":\"other\",\"e\":\"\"}}"

static void sets_headers(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['h:p']"), "{ \"a\" : 1.10 }", META, .want = { "{\"a\":1.10,\"p\":\"v\"}" } },
		{ HEADERS("['h:a']"), "{\"a\":1,\"b\":2}", META, .want = { "{\"a\":\"v\",\"b\":2}" } },
		{ HEADERS("['h:m.t', 'X-Id:m.i']"), "{}", META,
		  .want = { "{\"m\":{\"t\":\"v\",\"i\":\"\xc3\xa9\"}}" } },
		{ HEADERS("['h:l.0.x']"), "{\"l\":null}", META, .want = { "{\"l\":[{\"x\":\"v\"}]}" } },
		{ HEADERS("['h:l[1]']"), "{\"l\":[1]}", META, .want = { "{\"l\":[1,\"v\"]}" } },
		{ HEADERS("['none:p']"), "{}", META, .want = { "{\"p\":null}" } },
		{ HEADERS("['e:p']"), "{}", META, .want = { "{\"p\":\"\"}" } },
		/* in order */
		{ HEADERS("['h:p', 'X-Id:p']"), "{}", META, .want = { "{\"p\":\"\xc3\xa9\"}" } },
		{ HEADERS("['h:p', 'h:q']"), "{}", META, .want = { "{\"p\":\"v\",\"q\":\"v\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void cuts_at_the_free_colon(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['a\\:b:p']"), "{}", META, .want = { "{\"p\":\"colon\"}" } },
		{ HEADERS("['a\\\\:p']"), "{}", META, .want = { "{\"p\":\"slash\"}" } },
		{ HEADERS("['a\\x:p']"), "{}", META, .want = { "{\"p\":\"other\"}" } },
		{ HEADERS("['a\\\\x:p']"), "{}", META, .want = { "{\"p\":\"other\"}" } },
		{ HEADERS("['h:x\\:y']"), "{}", META, .want = { "{\"x:y\":\"v\"}" } },
		{ HEADERS("['h:x\\.y']"), "{}", META, .want = { "{\"x.y\":\"v\"}" } },
		/* sides are as written, blanks too */
		{ HEADERS("['h : p']"), "{ }", META, .want = { "{ }" } },
		{ HEADERS("['h: p']"), "{}", META, .want = { "{\" p\":\"v\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void skips_what_is_missing(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['x:p']"), "{ }", META, .want = { "{ }" } },
		{ HEADERS("['H:p', 'x-id:q']"), "{ }", META, .want = { "{ }" } },
		{ HEADERS("['topic:p']"), "{ }", META, .want = { "{ }" } },
		{ HEADERS("['h:p']"), "{ }", NULL, .want = { "{ }" } },
		{ HEADERS("['h:p']"), "{ }", "{}", .want = { "{ }" } },
		{ HEADERS("['h:p']"), "{ }", "{\"headers\":null}", .want = { "{ }" } },
		{ HEADERS("['h:p']"), "{ }", "{\"headers\":\"h\"}", .want = { "{ }" } },
		{ HEADERS("['0:p']"), "{ }", "{\"headers\":[\"h\"]}", .want = { "{ }" } },
		{ HEADERS("['h:p']"), "{ }", "{\"headers\":{}}", .want = { "{ }" } },
		{ HEADERS("['x:p', 'h:q']"), "{}", META, .want = { "{\"q\":\"v\"}" } },
		/* a missing header's path is not looked at */
		{ HEADERS("['x:a.b']"), "{ \"a\":1 }", META, .want = { "{ \"a\":1 }" } },
		/* set already: every byte stays */
		{ HEADERS("['h:p']"), "{ \"p\" : \"v\" }", META, .want = { "{ \"p\" : \"v\" }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void makes_texts(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['n:n', 'b:b', 'o:o']"), "{}", "{\"headers\":{\"n\":1.50,\"b\":true,\"o\":{\"x\": 1}}}",
		  .want = { "{\"n\":\"1.50\",\"b\":\"true\",\"o\":\"{\\\"x\\\":1}\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* What is set belongs to the message alone: editing it does not reach the metadata. */
static void leaves_the_metadata_alone(void **state)
{
	static const struct transform_case cases[] = {
		{ "[{type: headersToPayload, config: {mappings: ['h:p']}}, {type: mask, config: {fields: [p]}}]", "{}",
		  META, .want = { "{\"p\":\"***\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_whole(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['h:p', 'h:a.b']"), "{ \"a\" : \"s\" }", META, .error = "cannot set a.b: a is a string" },
		{ HEADERS("['h:n.x', 'h:o.new', 'h:l[0]', 'h:l[2]', 'h:a.b']"),
		  "{ \"n\" : null, \"o\":{}, \"l\":[1], \"a\" : 1 }", META, .error = "cannot set l[2]: " },
		{ HEADERS("['h:p', 'h:p.q']"), "{ \"a\" : 1 }", META, .error = "cannot set p.q: p is a string" },
		{ HEADERS("['h:l.x']"), "{ \"l\" : [] }", META, .error = "cannot set l.x: " },
		{ HEADERS("['h:a', 'h:b.c', 'h:b.d', 'h:b.c.e']"), "{ \"a\" : {\"x\":[1,2]} }", META,
		  .error = "cannot set b.c.e: " },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ HEADERS("['h:p']"), NULL, META, .want = { "" } },
		{ HEADERS("['h:p']"), "{'a'}", META, .want = { "{'a'}" } },
		{ HEADERS("['h:0']"), "[ 1 ]", META, .want = { "[ 1 ]" } },
		{ HEADERS("['h:p']"), " \"s\"", META, .want = { " \"s\"" } },
		{ HEADERS("['h:p']"), " 1", META, .want = { " 1" } },
		{ HEADERS("['h:p']"), " false", META, .want = { " false" } },
		{ HEADERS("['h:p']"), " null", META, .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: headersToPayload}", "spec.transformations[0].config: " },
		{ "{type: headersToPayload, config: {}}", "spec.transformations[0].config.mappings: " },
		{ HEADERS("[]"), "spec.transformations[0].config.mappings: " },
		{ HEADERS("'h:p'"), "spec.transformations[0].config.mappings: " },
		{ HEADERS("{h: p}"), "spec.transformations[0].config.mappings: " },
		{ HEADERS("['']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['a:b', h]"), "spec.transformations[0].config.mappings[1]: " },
		{ HEADERS("['a:b:c']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['a\\:b']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("[':p']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['  :p']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("[\"h: \\t\"]"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:$']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:a.*']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:a[*]']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:@this']"), "spec.transformations[0].config.mappings[0]: " },
		{ HEADERS("['h:a..b']"), "spec.transformations[0].config.mappings[0]: " },
		{ "{type: headersToPayload, headersToPayload: {mappings: [h]}}",
		  "spec.transformations[0].headersToPayload.mappings[0]: " },
		{ HEADERS("['h:$.a[0].b']"), NULL },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("headersToPayload");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_headers),
		cmocka_unit_test(cuts_at_the_free_colon),
		cmocka_unit_test(skips_what_is_missing),
		cmocka_unit_test(makes_texts),
		cmocka_unit_test(leaves_the_metadata_alone),
		cmocka_unit_test(fails_whole),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
