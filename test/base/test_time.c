#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"

static void test_civil(void **state)
{
	(void)state;
	/* Day by day through years 1..2400: an independent count of months and leap years. */
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t day = -719162; /* 0001-01-01, a Monday */
	for (int year = 1; year <= 2400; year++) {
		bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
		int yearday = 0;
		for (int month = 1; month <= 12; month++) {
			int length = lengths[month - 1] + (month == 2 && leap);
			for (int d = 1; d <= length; d++, day++) {
				struct df_civil c =
					df_civil_from_unix((struct df_instant){ day * 86400 + 86399, 5 }, 0);
				assert_int_equal(c.year, year);
				assert_int_equal(c.month, month);
				assert_int_equal(c.day, d);
				assert_int_equal(c.yearday, ++yearday);
				assert_int_equal(c.weekday, ((day + 719162) % 7 + 1) % 7);
				assert_true(df_civil_valid(&c));
				assert_true(df_civil_to_unix(&c).seconds == day * 86400 + 86399);
			}
			struct df_civil over = { .year = year, .month = month, .day = length + 1 };
			assert_false(df_civil_valid(&over));
		}
	}
	struct df_civil c = df_civil_from_unix((struct df_instant){ -1, 999999999 }, 0);
	assert_int_equal(c.year, 1969);
	assert_int_equal(c.hour, 23);
	assert_int_equal(c.second, 59);
	assert_int_equal(c.nanosecond, 999999999);
	c = df_civil_from_unix((struct df_instant){ 0, 0 }, -3600 * 5 - 1800);
	assert_int_equal(c.day, 31);
	assert_int_equal(c.hour, 18);
	assert_int_equal(c.minute, 30);
}

static void test_civil_extremes(void **state)
{
	(void)state;
	struct df_instant ends[] = { { INT64_MAX, 0 }, { INT64_MIN, 0 } };
	for (int i = 0; i < 2; i++) {
		struct df_civil c = df_civil_from_unix(ends[i], i ? INT32_MIN : INT32_MAX);
		assert_true(df_civil_valid(&c));
		assert_true(i ? c.year < -292000000000 : c.year > 292000000000);
		c.year = i ? INT64_MIN : INT64_MAX;
		struct df_instant t = df_civil_to_unix(&c); /* clamped, and no overflow on the way */
		assert_true(i ? t.seconds < 0 : t.seconds > 0);
	}
}

static void test_valid(void **state)
{
	(void)state;
	static const struct df_civil bad[] = {
		{ 2024, 0, 1, 0, 0, 0, 0 },	     { 2024, 13, 1, 0, 0, 0, 0 }, { 2024, 1, 0, 0, 0, 0, 0 },
		{ 2023, 2, 29, 0, 0, 0, 0 },	     { 1900, 2, 29, 0, 0, 0, 0 }, { 2024, 1, 1, 24, 0, 0, 0 },
		{ 2024, 1, 1, -1, 0, 0, 0 },	     { 2024, 1, 1, 0, 60, 0, 0 }, { 2024, 1, 1, 0, -1, 0, 0 },
		{ 2024, 1, 1, 0, 0, 60, 0 },	     { 2024, 1, 1, 0, 0, -1, 0 }, { 2024, 1, 1, 0, 0, 0, -1 },
		{ 2024, 1, 1, 0, 0, 0, 1000000000 },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++)
		assert_false(df_civil_valid(&bad[i]));
	const struct df_civil good = { 2024, 2, 29, 23, 59, 59, 999999999, 99, 999 };
	assert_true(df_civil_valid(&good));
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
		int32_t ns;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2024-01-05t15:04:09z", 1704467049, 0 },
		{ "2024-01-05 15:04:09.12+00:00", 1704467049, 120000000 },
		{ "2024-01-05T18:34:09.000000001+03:30", 1704467049, 1 },
		{ "2024-01-04T15:05:09-23:59", 1704467049, 0 },
		{ "1969-12-31T23:59:59.5Z", -1, 500000000 },
		{ "0001-01-01T00:00:00Z", -62135596800, 0 },
		{ "9999-12-31T23:59:59.999999999Z", 253402300799, 999999999 },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_instant t = { 0 };
		assert_true(df_rfc3339_parse(df_str_c(rows[i].text), &t));
		assert_true(t.seconds == rows[i].seconds);
		assert_int_equal(t.nanoseconds, rows[i].ns);
	}
	static const char *const bad[] = {
		"",
		"2024-01-05",
		"2024-01-05T15:04Z",
		"2024-01-05T15:04:09.Z",
		"2024-01-05T15:04:09.1234567890Z",
		"2024-01-05T24:00:00Z",
		"2024-01-05T15:04:60Z",
		"2024-02-30T15:04:09Z",
		"2024-01-05T15:04:09+0300",
		"2024-01-05T15:04:09+24:00",
		"2024-01-05T15:04:09+03:60",
		"2024-01-05T15:04:09+03",
		"2024-01-05T15:04:09ZZ",
		"2024-01-05T15:04:09Z ",
		" 2024-01-05T15:04:09Z",
		"2024-01-05  15:04:09Z",
		"24-01-05T15:04:09Z",
		"+2024-01-05T15:04:09Z",
		"2024/01/05T15:04:09Z",
		"2024-1-5T15:04:09Z",
		"2024-01-05T15:04:09,5Z",
		("2024-01-05T15:04:09\xe2\x88\x92"
		 "03:00"),
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		struct df_civil c;
		bool has;
		int32_t offset;
		if (df_time_parse(df_str_c(bad[i]), &c, &has, &offset))
			fail_msg("accepted %s", bad[i]);
	}
	struct df_civil c;
	bool has = true;
	int32_t offset = 7;
	struct df_instant t;
	assert_true(df_time_parse(DF_STR("2024-01-05 15:04:09.5"), &c, &has, &offset));
	assert_false(has);
	assert_int_equal(offset, 0);
	assert_int_equal(c.nanosecond, 500000000);
	assert_true(df_time_parse(DF_STR("2024-01-05 15:04:09-01:30"), &c, &has, &offset));
	assert_true(has);
	assert_int_equal(offset, -5400);
	assert_int_equal(c.hour, 15); /* the wall clock, not the instant */
	assert_false(df_rfc3339_parse(DF_STR("2024-01-05 15:04:09.5"), &t));
	assert_false(df_time_parse(df_str("2024-01-05T15:04:09\0", 20), &c, &has, &offset));
}

static void assert_format(struct df_instant t, int32_t offset, enum df_fraction fraction, const char *want)
{
	char out[DF_RFC3339_MAX];
	size_t n = df_rfc3339_format(t, offset, fraction, out);
	assert_true(n < sizeof(out));
	out[n] = '\0';
	assert_string_equal(out, want);
}

static void test_format(void **state)
{
	(void)state;
	struct df_instant t = { 1704467049, 120000999 };
	assert_format(t, 0, DF_FRACTION_NONE, "2024-01-05T15:04:09Z");
	assert_format(t, 0, DF_FRACTION_SHORT, "2024-01-05T15:04:09.120000999Z");
	assert_format(t, 0, DF_FRACTION_3, "2024-01-05T15:04:09.120Z");
	assert_format(t, 0, DF_FRACTION_6, "2024-01-05T15:04:09.120000Z");
	assert_format(t, 0, DF_FRACTION_9, "2024-01-05T15:04:09.120000999Z");
	t.nanoseconds = 120000000;
	assert_format(t, 12600, DF_FRACTION_SHORT, "2024-01-05T18:34:09.12+03:30");
	assert_format(t, -60, DF_FRACTION_NONE, "2024-01-05T15:03:09-00:01");
	assert_format(t, -1521, DF_FRACTION_NONE, "2024-01-05T14:38:48-00:25:21");
	t.nanoseconds = 0;
	assert_format(t, 0, DF_FRACTION_SHORT, "2024-01-05T15:04:09Z");
	assert_format(t, 0, DF_FRACTION_3, "2024-01-05T15:04:09.000Z");
	assert_format((struct df_instant){ -62135596800, 0 }, 0, DF_FRACTION_NONE, "0001-01-01T00:00:00Z");
	assert_format((struct df_instant){ 253402300800, 0 }, 0, DF_FRACTION_NONE, "10000-01-01T00:00:00Z");
	char out[DF_RFC3339_MAX];
	assert_in_range(df_rfc3339_format((struct df_instant){ INT64_MIN, 999999999 }, INT32_MIN, DF_FRACTION_9, out),
			30, DF_RFC3339_MAX);
}

static void test_duration_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "+5s", 5000000000 },
		{ "1h30m", 5400000000000 },
		{ "1.5h", 5400000000000 },
		{ "-.5s", -500000000 },
		{ "5.s", 5000000000 },
		{ "1us1\xc2\xb5s1\xce\xbcs1ns", 3001 },
		{ "100ms", 100000000 },
		{ "0.3s", 300000000 },
		{ "0.100000000000000000000h", 360000000000 },
		{ "9007199254.740993ms", 9007199254740993 },
		{ "1.9ns", 1 },
		{ "9223372036854775807ns", INT64_MAX },
		{ "-9223372036854775808ns", INT64_MIN },
		{ "2562047h47m16.854775807s", INT64_MAX },
		{ "0s0ms", 0 },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		int64_t ns = 77;
		if (!df_duration_parse(df_str_c(rows[i].text), &ns) || ns != rows[i].ns)
			fail_msg("%s gives %lld", rows[i].text, (long long)ns);
	}
	static const char *const bad[] = { "",
					   "5",
					   "-",
					   "+",
					   ".",
					   ".s",
					   "s",
					   "1 s",
					   "1d",
					   "1S",
					   "1.2.3s",
					   "1e3s",
					   "--1s",
					   "1s-1s",
					   " 1s",
					   "1s ",
					   "00",
					   "0.0",
					   "9223372036854775808ns",
					   "-9223372036854775809ns",
					   "2562047h47m16.854775808s",
					   "3000000h",
					   "99999999999999999999ns",
					   "18446744073709551616ns",
					   "1\xc2s",
					   "1\xb5s" };
	int64_t ns = 77;
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		if (df_duration_parse(df_str_c(bad[i]), &ns))
			fail_msg("accepted %s", bad[i]);
	}
	assert_int_equal(ns, 77);
}

static void test_duration_format(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "1ns" },
		{ 999, "999ns" },
		{ 1100, "1.1\xc2\xb5s" },
		{ 999999, "999.999\xc2\xb5s" },
		{ 500000000, "500ms" },
		{ 2200000, "2.2ms" },
		{ 1000000000, "1s" },
		{ 1500000000, "1.5s" },
		{ 90000000000, "1m30s" },
		{ 60000000000, "1m0s" },
		{ 7200000000000, "2h0m0s" },
		{ 3600000000001, "1h0m0.000000001s" },
		{ -90500000000, "-1m30.5s" },
		{ INT64_MAX, "2562047h47m16.854775807s" },
		{ INT64_MIN, "-2562047h47m16.854775808s" },
	};
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		char out[32];
		size_t n = df_duration_format(rows[i].ns, out);
		assert_true(n < sizeof(out));
		out[n] = '\0';
		assert_string_equal(out, rows[i].text);
		int64_t back = 77;
		assert_true(df_duration_parse(df_str(out, n), &back));
		assert_true(back == rows[i].ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_civil),		cmocka_unit_test(test_civil_extremes),
		cmocka_unit_test(test_valid),		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),		cmocka_unit_test(test_duration_parse),
		cmocka_unit_test(test_duration_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
