#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"

static void assert_layout(const char *layout, struct df_instant t, const char *want)
{
	struct df_error err = DF_ERROR_INIT;
	df_cleanup(df_layout_freep) struct df_layout *compiled = NULL;
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	if (df_layout_compile(df_str_c(layout), &compiled, &err) < 0)
		fail_msg("%s: %s", layout, err.text);
	df_buf_add_c(&buf, ">"); /* it appends */
	df_layout_format(compiled, t, &buf);
	assert_int_equal(df_buf_c(&buf)[0], '>');
	if (strcmp(df_buf_c(&buf) + 1, want) != 0)
		fail_msg("%s gives %s, not %s", layout, df_buf_c(&buf) + 1, want);
}

/* 2024-01-05T15:04:09.12Z, a Friday; what Go 1.26 writes. */
static const struct df_instant friday = { 1704467049, 120000000 };

static void test_names(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "RFC3339", "2024-01-05T15:04:09Z" },
		{ "RFC3339Nano", "2024-01-05T15:04:09.12Z" },
		{ "RFC1123", "Fri, 05 Jan 2024 15:04:09 UTC" },
		{ "RFC1123Z", "Fri, 05 Jan 2024 15:04:09 +0000" },
		{ "RFC822", "05 Jan 24 15:04 UTC" },
		{ "RFC822Z", "05 Jan 24 15:04 +0000" },
		{ "RFC850", "Friday, 05-Jan-24 15:04:09 UTC" },
		{ "ANSIC", "Fri Jan  5 15:04:09 2024" },
		{ "UnixDate", "Fri Jan  5 15:04:09 UTC 2024" },
		{ "RubyDate", "Fri Jan 05 15:04:09 +0000 2024" },
		{ "Stamp", "Jan  5 15:04:09" },
		{ "StampMilli", "Jan  5 15:04:09.120" },
		{ "StampMicro", "Jan  5 15:04:09.120000" },
		{ "StampNano", "Jan  5 15:04:09.120000000" },
		{ "DateTime", "2024-01-05 15:04:09" },
		{ "DateOnly", "2024-01-05" },
		{ "TimeOnly", "15:04:09" },
		{ "Kitchen", "3:04PM" },
		{ "Layout", "01/05 03:04:09PM '24 +0000" },
		{ "Unix", "1704467049" },
		{ "UnixMilli", "1704467049120" },
		{ "UnixMicro", "1704467049120000" },
		{ "UnixNano", "1704467049120000000" },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		assert_layout(rows[i][0], friday, rows[i][1]);
}

static void test_tokens(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "_2006", "_2024" },
		{ "_2 __2 002", " 5   5 005" },
		{ "Jan Janx January", "Jan Janx January" },
		{ "Mon Month Monday", "Fri Month Friday" },
		{ ".000 .999 .9999999999 ,00", ".120 .12 .12 ,12" },
		{ ".00x", ".12x" },
		{ ".0001", ".0001" },
		{ "1 15 2 3 4 5 7 PM pm", "1 15 5 3 4 9 7 PM pm" },
		{ "Z07:00:00 -07:00:00 Z070000 -070000 Z07:00 -07:00 Z0700 -0700 Z07 -07 MST",
		  "Z +00:00:00 Z +000000 Z +00:00 Z +0000 Z +00 UTC" },
		{ "06/01/02", "24/01/05" },
		{ "20060102150405", "20240105150409" },
		{ "0002", "0005" },
		{ "day=2006-01-02/hour=15", "day=2024-01-05/hour=15" },
		{ "\xc3\xa9 2006", "\xc3\xa9 2024" },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		assert_layout(rows[i][0], friday, rows[i][1]);
}

static void test_hours(void **state)
{
	(void)state;
	static const char *const want[] = { "00 12 12AM am", "11 11 11AM am", "12 12 12PM pm", "13 1 01PM pm",
					    "23 11 11PM pm" };
	static const int hours[] = { 0, 11, 12, 13, 23 };
	for (size_t i = 0; i < DF_ARRAY_SIZE(hours); i++)
		assert_layout("15 3 03PM pm", (struct df_instant){ hours[i] * 3600, 0 }, want[i]);
}

static void test_dates(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *want;
	} rows[] = {
		{ 1709164800, "2024 02 29  60 060 Thursday February" }, /* leap day */
		{ 1735603200, "2024 12 31 366 366 Tuesday December" },
		{ 951782400, "2000 02 29  60 060 Tuesday February" },
		{ -2203891200, "1900 03 01  60 060 Thursday March" },
		{ -62135596800, "0001 01 01   1 001 Monday January" },
		{ 253402300799, "9999 12 31 365 365 Friday December" },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		assert_layout("2006 01 02 __2 002 Monday January", (struct df_instant){ rows[i].seconds, 0 },
			      rows[i].want);
}

static void test_fractions(void **state)
{
	(void)state;
	assert_layout("5.000", (struct df_instant){ 7, 999999999 }, "7.999"); /* cut, not rounded */
	assert_layout("5.999", (struct df_instant){ 7, 1000 }, "7");
	assert_layout("5.999", (struct df_instant){ 7, 0 }, "7");
	assert_layout("5.999999", (struct df_instant){ 7, 1000 }, "7.000001");
	assert_layout("5,000000000", (struct df_instant){ 7, 1 }, "7,000000001");
	assert_layout("5.000000000000", (struct df_instant){ 7, 1 }, "7.000000001");
}

static void test_counts(void **state)
{
	(void)state;
	assert_layout("Unix", (struct df_instant){ -1, 750000000 }, "-1");
	assert_layout("UnixMilli", (struct df_instant){ -1, 750000000 }, "-250");
	assert_layout("UnixMilli", (struct df_instant){ -2, 750000000 }, "-1250");
	assert_layout("UnixMicro", (struct df_instant){ 0, 1999 }, "1");
	assert_layout("UnixNano", (struct df_instant){ 0, 0 }, "0");
	assert_layout("UnixNano", (struct df_instant){ 253402300799, 999999999 }, "253402300799999999999");
	assert_layout("UnixNano", (struct df_instant){ -62135596800, 1 }, "-62135596799999999999");
}

static void test_errors(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	struct df_layout *layout = NULL;
	static const char *const bad[] = { "", "unix", "hello", "Z", "YYYY-MM-DD", "Janx", ".x" };
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		assert_int_equal(df_layout_compile(df_str_c(bad[i]), &layout, &err), DF_ERR_CONFIG);
		assert_null(layout);
	}
	assert_int_equal(df_layout_compile(DF_STR("unixmili"), &layout, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "did you mean UnixMilli?"));
	char text[2000];
	memset(text, '2', sizeof(text));
	assert_int_equal(df_layout_compile(df_str(text, sizeof(text)), &layout, &err), DF_ERR_CONFIG);
	assert_int_equal(df_layout_compile(df_str(text, 1024), &layout, &err), 0); /* one op a byte */
	df_layout_free(layout);
	df_layout_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),  cmocka_unit_test(test_tokens),	 cmocka_unit_test(test_hours),
		cmocka_unit_test(test_dates),  cmocka_unit_test(test_fractions), cmocka_unit_test(test_counts),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
