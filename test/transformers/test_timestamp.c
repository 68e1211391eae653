/* timestamp: the transformations reference, sections 5 and 7; test_layout.c has the layouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define AT(path) "{type: timestamp, config: {fieldName: '" path "'}}"
#define FORMAT(format) "{type: timestamp, config: {fieldName: t, format: '" format "'}}"
#define NOW "\"2024-01-15T09:50:00Z\""

static void sets_the_time(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = "{type: timestamp}",
		  .in = "{ \"a\": 1.0 }",
		  .want = { "{\"a\":1.0,\"created_at\":" NOW "}" } },
		{ .config = "{type: timestamp, config: {fieldName: '', format: ''}}",
		  .in = "{}",
		  .want = { "{\"created_at\":" NOW "}" } },
		{ .config = "{type: timestamp, timestamp: {fieldName: x}}", .in = "{}", .want = { "{\"x\":" NOW "}" } },
		/* An existing field is overwritten where it stands. */
		{ .config = AT("t"),
		  .in = "{\"a\":1,\"t\":{\"x\":1},\"b\":2}",
		  .want = { "{\"a\":1,\"t\":" NOW ",\"b\":2}" } },
		{ .config = AT("t"), .in = "{\"a\":1,\"t\":0}", .want = { "{\"a\":1,\"t\":" NOW "}" } },
		{ .config = "[" AT("t") "," AT("u") "]",
		  .in = "{\"t\":0}",
		  .want = { "{\"t\":" NOW ",\"u\":" NOW "}" } },
		{ .config = AT("$.a\\\"b"), .in = "{\"c\":1}", .want = { "{\"c\":1,\"a\\\"b\":" NOW "}" } },
		{ .config = AT("a.b.0"), .in = "{}", .want = { "{\"a\":{\"b\":[" NOW "]}}" } },
		{ .config = AT("a.b"), .in = "{\"a\":null}", .want = { "{\"a\":{\"b\":" NOW "}}" } },
		{ .config = AT("a[1]"), .in = "{\"a\":[0]}", .want = { "{\"a\":[0," NOW "]}" } },
		{ .config = AT("a[0]"), .in = "{\"a\":[0]}", .want = { "{\"a\":[" NOW "]}" } },
		{ .config = AT("0"), .in = "{}", .want = { "{\"0\":" NOW "}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_where_the_path_cannot_be_set(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = AT("a.b"), .in = "{ \"a\":1 }", .error = "a.b: a is a number" },
		{ .config = AT("a.b"), .in = "{\"a\":\"secret\"}", .error = "a.b: a is a string" },
		{ .config = AT("a.b"), .in = "{\"a\":[]}", .error = "a.b" },
		{ .config = AT("a[2]"), .in = "{\"a\":[0]}", .error = "a[2]" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* Every name of the table, and always a string. */
static void knows_the_formats(void **state)
{
	static const struct {
		const char *format, *text;
	} formats[] = {
		{ "RFC3339", "2024-01-15T09:50:00Z" },
		{ "RFC3339Nano", "2024-01-15T09:50:00.123456789Z" },
		{ "RFC1123", "Mon, 15 Jan 2024 09:50:00 UTC" },
		{ "RFC1123Z", "Mon, 15 Jan 2024 09:50:00 +0000" },
		{ "RFC822", "15 Jan 24 09:50 UTC" },
		{ "RFC822Z", "15 Jan 24 09:50 +0000" },
		{ "RFC850", "Monday, 15-Jan-24 09:50:00 UTC" },
		{ "ANSIC", "Mon Jan 15 09:50:00 2024" },
		{ "UnixDate", "Mon Jan 15 09:50:00 UTC 2024" },
		{ "RubyDate", "Mon Jan 15 09:50:00 +0000 2024" },
		{ "Stamp", "Jan 15 09:50:00" },
		{ "StampMilli", "Jan 15 09:50:00.123" },
		{ "StampMicro", "Jan 15 09:50:00.123456" },
		{ "StampNano", "Jan 15 09:50:00.123456789" },
		{ "DateTime", "2024-01-15 09:50:00" },
		{ "DateOnly", "2024-01-15" },
		{ "TimeOnly", "09:50:00" },
		{ "Kitchen", "9:50AM" },
		{ "Layout", "01/15 09:50:00AM '24 +0000" },
		{ "Unix", "1705312200" },
		{ "UnixMilli", "1705312200123" },
		{ "UnixMicro", "1705312200123456" },
		{ "UnixNano", "1705312200123456789" },
		{ "2006/01/02", "2024/01/15" },
		{ "15h \"04\"", "09h \\\"50\\\"" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(formats); i++) {
		char config[128];
		char want[128];

		snprintf(config, sizeof(config), "{type: timestamp, config: {fieldName: t, format: '%s'}}",
			 formats[i].format);
		snprintf(want, sizeof(want), "{\"t\":\"%s\"}", formats[i].text);
		const struct transform_case c = { .config = config, .in = "{}", .want = { want } };
		transform_check(&c, 1);
	}
}

/* What is remembered of the last message must not show when the clock goes on, or back. */
static void follows_the_clock(void **state)
{
	static const struct {
		const char *config;
		int64_t now;
		const char *want;
	} steps[] = {
		{ FORMAT("RFC3339"), 0, "1970-01-01T00:00:00Z" },
		{ FORMAT("RFC3339"), 999999999, "1970-01-01T00:00:00Z" },
		{ FORMAT("RFC3339"), 1000000000, "1970-01-01T00:00:01Z" },
		{ FORMAT("RFC3339"), -1, "1969-12-31T23:59:59Z" },
		{ FORMAT("RFC3339"), 0, "1970-01-01T00:00:00Z" },
		{ FORMAT("05.000"), 0, "00.000" },
		{ FORMAT("05.000"), 1000000, "00.001" },
		{ FORMAT("05.999"), 0, "00" },
		{ FORMAT("05.999"), 1000000, "00.001" },
		{ FORMAT("UnixMilli"), -1, "-1" },
		{ FORMAT("UnixMilli"), 0, "0" },
	};
	struct transform_test t = { 0 };
	const char *config = NULL;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(steps); i++) {
		struct df_batch *batch;

		if (config && strcmp(config, steps[i].config) != 0)
			transform_test_close(&t);
		if (!config || strcmp(config, steps[i].config) != 0)
			transform_test_open(&t, steps[i].config);
		config = steps[i].config;
		transform_test_clock.fixed_ns = steps[i].now;
		batch = df_batch_new(t.pool);
		transform_test_add(batch, "{}", NULL);
		transform_test_run(&t, batch, 0);
		if (!df_value_string_equal(df_object_get_c(batch->messages[0].document, "t"), df_str_c(steps[i].want)))
			fail_msg("%zu: not %s", i, steps[i].want);
		df_batch_free(batch);
	}
	transform_test_clock.fixed_ns = TRANSFORM_TEST_NOW;
	transform_test_close(&t);
}

static void passes_what_is_no_object(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = AT("t"), .in = NULL, .want = { "" } },
		{ .config = AT("t"), .in = "x", .want = { "x" } },
		{ .config = AT("0"), .in = " [1]", .want = { " [1]" } },
		{ .config = AT("t"), .in = " null", .want = { " null" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: timestamp, config: null}", NULL },
		{ AT("a.*"), "spec.transformations[0].config.fieldName: " },
		{ AT("$"), "spec.transformations[0].config.fieldName: " },
		{ AT("a..b"), "spec.transformations[0].config.fieldName: " },
		{ FORMAT("RFCxxxx"), "spec.transformations[0].config.format: " },
		{ FORMAT("yyyy"), "spec.transformations[0].config.format: " },
		{ "{type: timestamp, timestamp: {format: 5}}",
		  "spec.transformations[0].timestamp.format: expected a text" },
		{ "{type: timestamp, config: {fieldname: x}}",
		  "spec.transformations[0].config.fieldname: unknown field" },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("timestamp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_the_time),
		cmocka_unit_test(fails_where_the_path_cannot_be_set),
		cmocka_unit_test(knows_the_formats),
		cmocka_unit_test(follows_the_clock),
		cmocka_unit_test(passes_what_is_no_object),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
