/* Numbers as decimal text. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "value/value.h"

static void test_valid(void **state)
{
	static const char *const good[] = { "0",    "-0",   "1",   "10",	"-123",
					    "0.0",  "0.10", "1.5", "1e5",	"1E5",
					    "1e+5", "1e-5", "0e0", "1.25E-007", "9007199254740993" };
	static const char *const bad[] = { "",	  "-",	 "+1",	  "01",	  "-01", "1.",	 ".5",	"1.e5",
					   "1e",  "1e+", "1e5.5", " 1",	  "1 ",	 "0x1",	 "NaN", "inf",
					   "1,5", "--1", "1e",	  "1ee5", "1-",	 "1.2.3" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(df_number_valid(df_str_c(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(df_number_valid(df_str_c(bad[i])));
	assert_false(df_number_valid(DF_STR("1\0")));
}

/* ---- comparing ------------------------------------------------------------------------------------------- */

static int sign(int i)
{
	return (i > 0) - (i < 0);
}

static void test_compare_groups(void **state)
{
	/* Groups of equal numbers, ascending. */
	static const char *const groups[][6] = {
		{ "-1e99999999999999999999999999999999999999", "-10e99999999999999999999999999999999999998" },
		{ "-1e401", "-0.1e402" },
		{ "-1e400", "-1000e397" },
		{ "-9007199254740993", "-9007199254740993.0" },
		{ "-9007199254740992", "-9007199254740992e0" },
		{ "-2", "-2.0", "-20e-1", "-0.2e1" },
		{ "-1.5", "-15e-1" },
		{ "-1", "-1.000" },
		{ "-0.001", "-1e-3" },
		{ "-1e-400" },
		{ "-1e-99999999999999999999999999999999" },
		{ "0", "-0", "0.000", "0e999", "-0.0e-999", "0e99999999999999999999999999999999999999" },
		{ "1e-99999999999999999999999999999999", "10e-100000000000000000000000000000000",
		  "0.1e-99999999999999999999999999999998" },
		{ "1e-1000000000000000000", "0.1e-999999999999999999" },
		{ "1e-999999999999999999", "1e-000000999999999999999999" },
		{ "1e-400", "0.01e-398" },
		{ "0.1", "0.10", "1e-1", "0.01e1", "100e-3" },
		{ "0.11" },
		{ "1", "1.0", "1e0", "10e-1", "0.1e1", "0.001E+3" },
		{ "1.1", "1.10", "11e-1" },
		{ "1.11" },
		{ "9", "0.9e1" },
		{ "10", "1e1", "1E+01" },
		{ "99.999" },
		{ "100", "1e2", "100.0" },
		{ "9007199254740992", "9.007199254740992e15" },
		{ "9007199254740993", "9007199254740.993e3" },
		{ "123456789012345678901234567890" },
		{ "123456789012345678901234567891" },
		{ "1e399", "10e398" },
		{ "1e400", "0.1e401", "100e398" },
		{ "1e999999999999999999", "10e999999999999999998" },
		{ "1e1000000000000000000", "10e999999999999999999" },
		{ "1e99999999999999999999999999999999999999", "0.01e100000000000000000000000000000000000001" },
		{ "2e99999999999999999999999999999999999999" },
		{ "1e100000000000000000000000000000000000001" },
	};
	size_t n = sizeof(groups) / sizeof(groups[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			for (size_t x = 0; x < 6 && groups[i][x]; x++) {
				for (size_t y = 0; y < 6 && groups[j][y]; y++) {
					int got = df_number_compare(df_str_c(groups[i][x]), df_str_c(groups[j][y]));
					if (sign(got) != sign((int)i - (int)j))
						fail_msg("%s <=> %s: %d", groups[i][x], groups[j][y], got);
				}
			}
		}
		for (size_t x = 0; x < 6 && groups[i][x]; x++)
			assert_int_equal(df_number_is_zero(df_str_c(groups[i][x])), groups[i][0][0] == '0' && i == 11);
	}
}

static void test_compare_random(void **state)
{
	(void)state;
	srand(7);
	for (int i = 0; i < 200000; i++) {
		/* Both are small multiples of 10^-6, written in various ways. */
		long a = rand() % 2000001 - 1000000;
		long b = rand() % 4 ? a + rand() % 3 - 1 : rand() % 2000001 - 1000000;
		char x[64], y[64];
		int shift = rand() % 30;
		snprintf(x, sizeof(x), "%lde%d", a, shift);
		snprintf(y, sizeof(y), "%s%ld.%06lde%d", b < 0 ? "-" : "", labs(b) / 1000000, labs(b) % 1000000,
			 shift + 6);
		int want = (a > b) - (a < b);
		assert_int_equal(sign(df_number_compare(df_str_c(x), df_str_c(y))), want);
		assert_int_equal(sign(df_number_compare(df_str_c(y), df_str_c(x))), -want);
	}
}

static char *filled(const char *head, char c, size_t n, const char *tail)
{
	size_t len = strlen(head);
	char *text = malloc(len + n + strlen(tail) + 1);

	assert_non_null(text);
	memcpy(text, head, len);
	memset(text + len, c, n);
	strcpy(text + len + n, tail);
	return text;
}

/* Long mantissas and long exponents; were anything quadratic, this would not end. */
static void test_compare_long(void **state)
{
	size_t n = 1000000;
	char *a = filled("1", '0', n, "");
	char *b = filled("1", '0', n, ".0");
	char *c = filled("1", '0', n, ".1");
	char *d = filled("0.", '0', n, "1");
	char *e = filled("1e1", '0', n, "");
	char *f = filled("10e", '9', n, "");
	char *g = filled("1e", '9', n, "");
	int64_t i;
	double x;

	(void)state;
	assert_int_equal(df_number_compare(df_str_c(a), df_str_c(b)), 0);
	assert_int_equal(df_number_compare(df_str_c(a), DF_STR("1e1000000")), 0);
	assert_true(df_number_compare(df_str_c(b), df_str_c(c)) < 0);
	assert_int_equal(df_number_compare(df_str_c(d), DF_STR("1e-1000001")), 0);
	assert_int_equal(df_number_compare(df_str_c(e), df_str_c(f)), 0); /* 10^n == 9...9 + 1 */
	assert_true(df_number_compare(df_str_c(g), df_str_c(e)) < 0);
	assert_false(df_number_to_int64(df_str_c(a), &i));
	assert_false(df_number_to_int64(df_str_c(e), &i));
	assert_false(df_number_to_double(df_str_c(e), &x));
	assert_true(df_number_to_double(df_str_c(d), &x));
	assert_true(x == 0);
	free(a);
	/* The exponent takes back what the mantissa gives. */
	a = filled("1", '0', n, "e-999999");
	assert_true(df_number_to_int64(df_str_c(a), &i));
	assert_int_equal(i, 10);
	assert_true(df_number_to_double(df_str_c(a), &x));
	assert_true(x == 10);
	free(a);
	a = filled("-0.", '0', n, "25e1000002");
	assert_true(df_number_to_int64(df_str_c(a), &i));
	assert_int_equal(i, -25);
	free(a);
	free(b);
	free(c);
	free(d);
	free(e);
	free(f);
	free(g);
}

/* ---- to int64 -------------------------------------------------------------------------------------------- */

static void test_to_int64(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "0.000", 0 },
		{ "0e999999999999999999999999", 0 },
		{ "7", 7 },
		{ "-7", -7 },
		{ "5.0", 5 },
		{ "1e3", 1000 },
		{ "1.5e1", 15 },
		{ "120e-1", 12 },
		{ "0.001e5", 100 },
		{ "1000000000000000000000e-20", 10 },
		{ "9007199254740993", 9007199254740993 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "9223372036854775807.000", INT64_MAX },
		{ "922337203685477580.7e1", INT64_MAX },
		{ "-9.223372036854775808e18", INT64_MIN },
		{ "1e18", 1000000000000000000 },
		{ "9e18", 9000000000000000000 },
	};
	static const char *const bad[] = { "0.5",
					   "1.5",
					   "1e-1",
					   "15e-1",
					   "9223372036854775808",
					   "-9223372036854775809",
					   "9223372036854775807.1",
					   "1e19",
					   "9999999999999999999",
					   "18446744073709551616",
					   "18446744073709551617",
					   "1e400",
					   "1e-400",
					   "1e99999999999999999999999999",
					   "1e-99999999999999999999999999",
					   "123.0000000000000000000000000001" };
	int64_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!df_number_to_int64(df_str_c(good[i].text), &got) || got != good[i].value)
			fail_msg("%s", good[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (df_number_to_int64(df_str_c(bad[i]), &got))
			fail_msg("%s", bad[i]);
	}
}

/* ---- doubles --------------------------------------------------------------------------------------------- */

static void test_to_double(void **state)
{
	static const char *const texts[] = {
		"0",
		"1",
		"0.1",
		"-0.1",
		"123456789012345",
		"1.7976931348623157e308",
		"4.9e-324",
		"2.4703282292062327e-324",
		"2.4703282292062328e-324",
		"2.2250738585072011e-308",
		"2.2250738585072014e-308",
		"9007199254740993",
		"9007199254740993.0000000000000000000000000000000000000001",
		"9007199254740992.9999999999999999999999999999999999999999",
		"1e22",
		"1e23",
		"8.5e22",
		"123456789012345678",
		"12345678901234567.8",
		"0.000001",
		"1e-400",
		"1.7976931348623158e308",
		"17976931348623157e292",
		"0.0000000000000000000000000000000000000000000000000123e50",
		"3.14159265358979323846264338327950288419716939937510582097494459230781640628620899"
	};
	double got;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		double want = strtod(texts[i], NULL);
		assert_true(df_number_to_double(df_str_c(texts[i]), &got));
		if (got != want)
			fail_msg("%s: %a, not %a", texts[i], got, want);
	}
	assert_true(df_number_to_double(DF_STR("-0"), &got));
	assert_true(got == 0 && signbit(got));
	assert_true(df_number_to_double(DF_STR("-0.0e5"), &got));
	assert_true(got == 0 && signbit(got));
	assert_true(df_number_to_double(DF_STR("-1e-999"), &got));
	assert_true(got == 0 && signbit(got));
	assert_false(df_number_to_double(DF_STR("1e309"), &got));
	assert_false(df_number_to_double(DF_STR("-1e309"), &got));
	assert_false(df_number_to_double(DF_STR("1.7976931348623159e308"), &got));
	assert_false(df_number_to_double(DF_STR("1e99999999999999999999"), &got));
	/* A slice: what stands behind it does not count. */
	assert_true(df_number_to_double(df_str("12345678901234567890123", 22), &got));
	assert_true(got == 1234567890123456789012.0);
}

/* Halfway between two doubles with a digit far behind that decides. */
static void test_to_double_long(void **state)
{
	char *text = filled("9007199254740993.", '0', 5000, "1");
	double got;

	(void)state;
	assert_true(df_number_to_double(df_str_c(text), &got));
	assert_true(got == 9007199254740994.0);
	text[strlen(text) - 1] = '0';
	assert_true(df_number_to_double(df_str_c(text), &got));
	assert_true(got == 9007199254740992.0);
	free(text);
}

static void check_double(double d)
{
	char out[DF_NUMBER_MAX];
	size_t len = df_number_from_double(d, out);
	double back;

	assert_in_range(len, 1, DF_NUMBER_MAX);
	assert_true(df_number_valid(df_str(out, len)));
	assert_true(df_number_to_double(df_str(out, len), &back));
	if (memcmp(&d, &back, sizeof(d)) != 0)
		fail_msg("%a written as %.*s", d, (int)len, out);
}

static void assert_from_double(double d, const char *want)
{
	char out[DF_NUMBER_MAX];
	size_t len = df_number_from_double(d, out);

	if (!df_str_equal_c(df_str(out, len), want))
		fail_msg("%.*s, not %s", (int)len, out, want);
}

static void test_from_double(void **state)
{
	(void)state;
	assert_from_double(0.0, "0");
	assert_from_double(-0.0, "-0");
	assert_from_double(1, "1");
	assert_from_double(-17, "-17");
	assert_from_double(0.1, "0.1");
	assert_from_double(0.1 + 0.2, "0.30000000000000004");
	assert_from_double(1.5, "1.5");
	assert_from_double(-123.456, "-123.456");
	assert_from_double(1e20, "100000000000000000000");
	assert_from_double(1.5e20, "150000000000000000000");
	assert_from_double(1e21, "1e+21");
	assert_from_double(1e22, "1e+22");
	assert_from_double(1.25e22, "1.25e+22");
	assert_from_double(1e-6, "0.000001");
	assert_from_double(1.5e-6, "0.0000015");
	assert_from_double(1e-7, "1e-7");
	assert_from_double(1.5e-7, "1.5e-7");
	assert_from_double(5e-324, "5e-324");
	assert_from_double(DBL_MAX, "1.7976931348623157e+308");
	assert_from_double(DBL_MIN, "2.2250738585072014e-308");
	assert_from_double(9007199254740991.0, "9007199254740991");
	assert_from_double(9007199254740992.0, "9007199254740992");
	assert_from_double(1152921504606846976.0, "1152921504606847000");
	assert_from_double(123456.789e3, "123456789");
	assert_from_double(0.5, "0.5");
	srand(3);
	for (int i = 0; i < 100000; i++) {
		uint64_t bits = (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
		double d;
		memcpy(&d, &bits, sizeof(d));
		if (isfinite(d))
			check_double(d);
		check_double((rand() % 2000000 - 1000000) / 1000.0);
	}
}

static void test_from_float(void **state)
{
	static const struct {
		float f;
		const char *text;
	} cases[] = {
		{ 0.0f, "0" },
		{ -0.0f, "-0" },
		{ 0.1f, "0.1" },
		{ 16777216.0f, "16777216" },
		{ 3.4028235e38f, "3.4028235e+38" },
		{ 1e-45f, "1e-45" },
		{ 1.5f, "1.5" },
		{ 1e10f, "10000000000" },
		{ -2.7182817f, "-2.7182817" },
	};
	char out[DF_NUMBER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = df_number_from_float(cases[i].f, out);
		if (!df_str_equal_c(df_str(out, len), cases[i].text))
			fail_msg("%.*s, not %s", (int)len, out, cases[i].text);
	}
	srand(5);
	for (int i = 0; i < 100000; i++) {
		uint32_t bits = (uint32_t)rand() << 16 ^ (uint32_t)rand();
		float f;
		memcpy(&f, &bits, sizeof(f));
		if (!isfinite(f))
			continue;
		size_t len = df_number_from_float(f, out);
		assert_true(df_number_valid(df_str(out, len)));
		out[len] = '\0';
		assert_true(strtof(out, NULL) == f);
	}
}

static void test_from_int64(void **state)
{
	static const struct {
		int64_t i;
		const char *text;
	} cases[] = { { 0, "0" },
		      { 7, "7" },
		      { -1, "-1" },
		      { 10, "10" },
		      { 1234567890123, "1234567890123" },
		      { INT64_MAX, "9223372036854775807" },
		      { INT64_MIN, "-9223372036854775808" } };
	char out[DF_NUMBER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = df_number_from_int64(cases[i].i, out);
		assert_true(df_str_equal_c(df_str(out, len), cases[i].text));
	}
}

/* A locale with a decimal comma, made here because a minimal system has none. */
static bool use_comma_locale(void)
{
	static char dir[] = "/tmp/df-locale-XXXXXX";
	char command[256];
	bool made;

	if (!mkdtemp(dir))
		return false;
	snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", dir);
	made = system(command) >= 0 && setenv("LOCPATH", dir, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) == 0 && made;
}

static void test_locale(void **state)
{
	double d;

	(void)state;
	if (!use_comma_locale()) {
		print_message("SKIPPED: localedef cannot make de_DE.UTF-8 (Debian package locales)\n");
		skip();
	}
	assert_string_equal(localeconv()->decimal_point, ",");
	assert_from_double(0.1 + 0.2, "0.30000000000000004");
	assert_true(df_number_to_double(DF_STR("123456789.123456789123"), &d));
	assert_true(d == 123456789.123456789123);
	setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),	       cmocka_unit_test(test_compare_groups),
		cmocka_unit_test(test_compare_random), cmocka_unit_test(test_compare_long),
		cmocka_unit_test(test_to_int64),       cmocka_unit_test(test_to_double),
		cmocka_unit_test(test_to_double_long), cmocka_unit_test(test_from_double),
		cmocka_unit_test(test_from_float),     cmocka_unit_test(test_from_int64),
		cmocka_unit_test(test_locale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
