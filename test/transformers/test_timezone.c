/* timezone: the transformations reference, section 5; test_zone.c has the zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#define TZ(more) "{type: timezone, config: {fields: [t], " more "}}"
#define TO(zone) TZ("timezone: '" zone "'")
#define MILLI TZ("timezone: UTC, format: UnixMilli")
#define CUT(zone) TZ("timezone: '" zone "', format: RFC3339")
#define FROM(zone) TZ("timezone: UTC, sourceTimezone: '" zone "'")
#define BAD(value)                                                                      \
	{                                                                               \
		.config = TO("UTC"), .in = "{ \"t\": " value " }", .error = "t: found " \
	}

static void reads_texts(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = TO("Europe/Berlin"),
		  .in = "{ \"t\": \"2024-01-15T09:50:00Z\" }",
		  .want = { "{\"t\":\"2024-01-15T10:50:00+01:00\"}" } },
		{ .config = TO("+05:30"),
		  .in = "{\"t\":\"2024-07-15t09:50:00z\"}",
		  .want = { "{\"t\":\"2024-07-15T15:20:00+05:30\"}" } },
		{ .config = TO("-23:59"),
		  .in = "{\"t\":\"2024-07-15 09:50:00+02:00\"}",
		  .want = { "{\"t\":\"2024-07-14T07:51:00-23:59\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"2024-07-15T09:50:00.120\"}",
		  .want = { "{\"t\":\"2024-07-15T09:50:00.12Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"2024-07-15T09:50:00.123456789+00:00\"}",
		  .want = { "{\"t\":\"2024-07-15T09:50:00.123456789Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"2024-07-15T09:50:00.000\"}",
		  .want = { "{\"t\":\"2024-07-15T09:50:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"2024-07-15T09:50:00\\u002b02:00\"}",
		  .want = { "{\"t\":\"2024-07-15T07:50:00Z\"}" } },
		/* Without an offset: in sourceTimezone. A skipped time takes the offset before, one that is there twice
		   the first. */
		{ .config = FROM("Europe/Berlin"),
		  .in = "{\"t\":\"2024-07-15T09:50:00\"}",
		  .want = { "{\"t\":\"2024-07-15T07:50:00Z\"}" } },
		{ .config = FROM("Europe/Berlin"),
		  .in = "{\"t\":\"2024-07-15T09:50:00Z\"}",
		  .want = { "{\"t\":\"2024-07-15T09:50:00Z\"}" } },
		{ .config = FROM("Europe/Berlin"),
		  .in = "{\"t\":\"2024-03-31T02:30:00\"}",
		  .want = { "{\"t\":\"2024-03-31T01:30:00Z\"}" } },
		{ .config = FROM("Europe/Berlin"),
		  .in = "{\"t\":\"2024-10-27T02:30:00\"}",
		  .want = { "{\"t\":\"2024-10-27T00:30:00Z\"}" } },
		{ .config = FROM("-03:00"),
		  .in = "{\"t\":\"2024-10-27T02:30:00\"}",
		  .want = { "{\"t\":\"2024-10-27T05:30:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"0001-01-01T00:00:00Z\"}",
		  .want = { "{\"t\":\"0001-01-01T00:00:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"9999-12-31T23:59:59.999999999\"}",
		  .want = { "{\"t\":\"9999-12-31T23:59:59.999999999Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"2024-02-29T00:00:00\"}",
		  .want = { "{\"t\":\"2024-02-29T00:00:00Z\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void reads_numbers(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = TO("UTC"), .in = "{\"t\":1705312200}", .want = { "{\"t\":\"2024-01-15T09:50:00Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":\"1705312200\"}", .want = { "{\"t\":\"2024-01-15T09:50:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":\"+01705312200.\"}",
		  .want = { "{\"t\":\"2024-01-15T09:50:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":1705312200123}",
		  .want = { "{\"t\":\"2024-01-15T09:50:00.123Z\"}" } },
		/* Milliseconds from 10^12 on. */
		{ .config = TO("UTC"), .in = "{\"t\":1000000000000}", .want = { "{\"t\":\"2001-09-09T01:46:40Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":1e12}", .want = { "{\"t\":\"2001-09-09T01:46:40Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":-1000000000000.5}",
		  .want = { "{\"t\":\"1938-04-24T22:13:19.9995Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":253402300799}", .want = { "{\"t\":\"9999-12-31T23:59:59Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":253402300799999}",
		  .want = { "{\"t\":\"9999-12-31T23:59:59.999Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":-62135596800}", .want = { "{\"t\":\"0001-01-01T00:00:00Z\"}" } },
		/* Fractions count, exactly. */
		{ .config = TO("UTC"),
		  .in = "{\"t\":1705312200.000000001}",
		  .want = { "{\"t\":\"2024-01-15T09:50:00.000000001Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":1705312200123.000001}",
		  .want = { "{\"t\":\"2024-01-15T09:50:00.123000001Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":-0.5}", .want = { "{\"t\":\"1969-12-31T23:59:59.5Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":\".5\"}", .want = { "{\"t\":\"1970-01-01T00:00:00.5Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":1.5e-9}", .error = "finer than a nanosecond" },
		{ .config = TO("UTC"), .in = "{\"t\":1e-9}", .want = { "{\"t\":\"1970-01-01T00:00:00.000000001Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":17053122E2}", .want = { "{\"t\":\"2024-01-15T09:50:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":1.00000000000000000000000000000000000000000000}",
		  .want = { "{\"t\":\"1970-01-01T00:00:01Z\"}" } },
		{ .config = TO("UTC"), .in = "{\"t\":0}", .want = { "{\"t\":\"1970-01-01T00:00:00Z\"}" } },
		{ .config = TO("UTC"),
		  .in = "{\"t\":-0.0e99999999999999999999}",
		  .want = { "{\"t\":\"1970-01-01T00:00:00Z\"}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_for_what_is_no_time(void **state)
{
	static const struct transform_case cases[] = {
		BAD("\"\""),
		BAD("\"2024-01-15\""),
		BAD("\"2024-01-15T09:50\""),
		BAD("\"2024-01-15T24:00:00\""),
		BAD("\"2024-01-15T09:50:60\""),
		BAD("\"2024-02-30T09:50:00\""),
		BAD("\"2023-02-29T09:50:00\""),
		BAD("\"2024-01-15T09:50:00+0300\""),
		BAD("\"2024-01-15T09:50:00.Z\""),
		BAD("\"2024-01-15T09:50:00.1234567890Z\""),
		BAD("\"2024-01-15  09:50:00\""),
		BAD("\" 2024-01-15T09:50:00\""),
		BAD("\"12:00\""),
		BAD("\"0x10\""),
		BAD("\"1 \""),
		BAD("\"inf\""),
		BAD("\"now\""),
		BAD("true"),
		BAD("false"),
		BAD("{}"),
		BAD("[1]"),
		BAD("0.0000000001"),
		BAD("1705312200123.0000001"),
		BAD("253402300800"),
		BAD("253402300800000"),
		BAD("-62135596801"),
		BAD("\"0000-01-01T00:00:00Z\""),
		BAD("1e400"),
		BAD("1e-400"),
		BAD("\"1e999999999999999999999\""),
		BAD("1234567890123456789012345678901234567890"),
		BAD("1.234567890123456789012345678901234567890"),
		/* The kind and the path as written, not the content. */
		{ .config = "{type: timezone, config: {timezone: UTC, fields: [a, 'b.#.t']}}",
		  .in = "{\"a\":\"2024-01-15T09:50:00+01:00\",\"b\":[{\"t\":1},{\"t\":true}]}",
		  .error = "b.#.t: found a bool" },
		/* An offset with seconds. */
		{ .config = TO("Europe/Amsterdam"), .in = "{\"t\":\"1850-01-01T00:00:00Z\"}", .error = "seconds" },
		{ .config = TO("+01:00"), .in = "{\"t\":\"9999-12-31T23:30:00Z\"}", .error = "1 to 9999" },
		{ .config = TO("-01:00"), .in = "{\"t\":\"0001-01-01T00:30:00Z\"}", .error = "1 to 9999" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void writes_the_formats(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = CUT("UTC"),
		  .in = "{\"t\":\"2024-01-15T09:50:00.999\"}",
		  .want = { "{\"t\":\"2024-01-15T09:50:00Z\"}" } },
		{ .config = CUT("UTC"), .in = "{\"t\":-0.5}", .want = { "{\"t\":\"1969-12-31T23:59:59Z\"}" } },
		{ .config = CUT("America/New_York"),
		  .in = "{\"t\":\"2024-01-15T09:50:00Z\"}",
		  .want = { "{\"t\":\"2024-01-15T04:50:00-05:00\"}" } },
		{ .config = CUT("Europe/London"),
		  .in = "{\"t\":\"2024-01-15T09:50:00+01:00\"}",
		  .want = { "{\"t\":\"2024-01-15T08:50:00Z\"}" } },
		{ .config = TZ("timezone: UTC, format: ''"),
		  .in = "{\"t\":0.25}",
		  .want = { "{\"t\":\"1970-01-01T00:00:00.25Z\"}" } },
		{ .config = MILLI,
		  .in = "{\"t\":\"2024-01-15T09:50:00.123999Z\"}",
		  .want = { "{\"t\":1705312200123}" } },
		{ .config = MILLI, .in = "{\"t\":-0.0005}", .want = { "{\"t\":-1}" } },
		{ .config = MILLI, .in = "{\"t\":\"0001-01-01T00:00:00Z\"}", .want = { "{\"t\":-62135596800000}" } },
		{ .config = TZ("timezone: Europe/Amsterdam, format: UnixMilli"),
		  .in = "{\"t\":\"1850-01-01T00:00:00Z\"}",
		  .want = { "{\"t\":-3786825600000}" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void changes_places(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = "{type: timezone, config: {timezone: UTC, fields: ['a.#.t', b]}}",
		  .in = "{\"a\":[{\"t\":0},{},{\"t\":null},{\"t\":1}],\"b\":2}",
		  .want = { "{\"a\":[{\"t\":\"1970-01-01T00:00:00Z\"},{},{\"t\":null},{\"t\":\"1970-01-01T00:00:01Z\"}]"
			    ",\"b\":\"1970-01-01T00:00:02Z\"}" } },
		{ .config = "{type: timezone, config: {timezone: UTC, fields: ['#.t']}}",
		  .in = "[{\"t\":0}]",
		  .want = { "[{\"t\":\"1970-01-01T00:00:00Z\"}]" } },
		/* Twice the same place. */
		{ .config = "{type: timezone, config: {timezone: UTC, fields: [t, '*'], format: UnixMilli}}",
		  .in = "{\"t\":5}",
		  .want = { "{\"t\":5000}" } },
		/* Nothing to do: not a byte changes. */
		{ .config = TO("UTC"),
		  .in = "{ \"t\": \"2024-01-15T09:50:00Z\" }",
		  .want = { "{ \"t\": \"2024-01-15T09:50:00Z\" }" } },
		{ .config = MILLI, .in = "{ \"t\": 1705312200123 }", .want = { "{ \"t\": 1705312200123 }" } },
		{ .config = TO("UTC"), .in = "{ \"t\": null }", .want = { "{ \"t\": null }" } },
		{ .config = TO("UTC"), .in = "{ \"x\": true }", .want = { "{ \"x\": true }" } },
		{ .config = TO("UTC"), .in = NULL, .want = { "" } },
		{ .config = TO("UTC"), .in = "x", .want = { "x" } },
		{ .config = TO("UTC"), .in = " [1]", .want = { " [1]" } },
		{ .config = TO("UTC"), .in = " 1", .want = { " 1" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: timezone}", "spec.transformations[0].config: required" },
		{ "{type: timezone, config: {fields: [a]}}", "spec.transformations[0].config.timezone: required" },
		{ "{type: timezone, config: {timezone: UTC}}", "spec.transformations[0].config.fields: required" },
		{ TO("europe/berlin"), "spec.transformations[0].config.timezone: " },
		{ TO("../UTC"), "spec.transformations[0].config.timezone: " },
		{ TO("/UTC"), "spec.transformations[0].config.timezone: " },
		{ TO("+24:00"), "spec.transformations[0].config.timezone: " },
		{ TO("+0100"), "spec.transformations[0].config.timezone: " },
		{ FROM("Nowhere"), "spec.transformations[0].config.sourceTimezone: " },
		{ FROM(""), NULL },
		{ TZ("timezone: UTC, format: unix"), "spec.transformations[0].config.format: " },
		{ "{type: timezone, config: {timezone: UTC, fields: [a, $]}}",
		  "spec.transformations[0].config.fields[1]: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("timezone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_texts),
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(fails_for_what_is_no_time),
		cmocka_unit_test(writes_the_formats),
		cmocka_unit_test(changes_places),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
