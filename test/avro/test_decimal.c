/* Decimals between bytes and text. */
#include "avro_test.h"

#include <stdlib.h>
#include <string.h>

#include "avro/decimal.h"

static void assert_both(const char *text, uint32_t scale, const char *bytes, size_t len)
{
	uint8_t out[DF_AVRO_DECIMAL_BYTES];
	char back[DF_AVRO_DECIMAL_TEXT];
	size_t n;

	n = df_avro_decimal_to_text(df_str(bytes, len), scale, back);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(back, text, n);
	assert_true(df_avro_decimal_from_text(df_str_c(text), 2000, scale, out, &n));
	assert_int_equal(n, len);
	assert_memory_equal(out, bytes, len);
}

static void test_values(void **state)
{
	char back[DF_AVRO_DECIMAL_TEXT];

	(void)state;
	assert_both("0", 0, "\x00", 1);
	assert_both("0.00", 2, "\x00", 1);
	assert_both("127", 0, "\x7f", 1);
	assert_both("128", 0, "\x00\x80", 2);
	assert_both("-128", 0, "\x80", 1);
	assert_both("-129", 0, "\xff\x7f", 2);
	assert_both("-0.001", 3, "\xff", 1);
	assert_both("9223372036854775807", 0, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8);
	assert_both("-9223372036854775808", 0, "\x80\0\0\0\0\0\0\0", 8);
	assert_both("9223372036854775808", 0, "\0\x80\0\0\0\0\0\0\0", 9);
	assert_both("-9223372036854775809", 0, "\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
	assert_both("18446744073709551616", 0, "\x01\0\0\0\0\0\0\0\0", 9);
	assert_both("340282366920938463463374607431768211455", 0,
		    "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 17);
	assert_both("1000000000.000000000", 9, "\x0d\xe0\xb6\xb3\xa7\x64\0\0", 8);
	/* Empty is zero; signs that repeat do not count. */
	assert_int_equal(df_avro_decimal_to_text(df_str("", 0), 1, back), 3);
	assert_memory_equal(back, "0.0", 3);
	assert_int_equal(df_avro_decimal_to_text(df_str("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 11), 0, back),
			 2);
	assert_memory_equal(back, "-2", 2);
}

/* Every length up to the longest, both signs, there and back. */
static void test_lengths(void **state)
{
	uint8_t bytes[DF_AVRO_DECIMAL_BYTES + 1], out[DF_AVRO_DECIMAL_BYTES];
	char text[DF_AVRO_DECIMAL_TEXT];

	(void)state;
	srand(1);
	for (size_t len = 1; len <= 990; len++) {
		size_t n, m;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rand();
		bytes[0] = len % 2 ? 0x80 : 0x40;
		n = df_avro_decimal_to_text(df_str((char *)bytes, len), (uint32_t)(len % 7), text);
		assert_true(
			df_avro_decimal_from_text(df_str(text, n), DF_AVRO_SCALE_MAX, (uint32_t)(len % 7), out, &m));
		assert_int_equal(m, len);
		assert_memory_equal(out, bytes, len);
	}
	bytes[0] = 1;
	assert_int_equal(df_avro_decimal_to_text(df_str((char *)bytes, sizeof(bytes)), 0, text), 0);
}

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		uint32_t precision, scale;
		bool fits;
	} rows[] = {
		{ "1.50", 3, 1, true },	       { "1.55", 3, 1, false },	     { "99.9", 3, 1, true },
		{ "100", 3, 1, false },	       { "1e2", 3, 0, true },	     { "1E+2", 3, 0, true },
		{ "1e3", 3, 0, false },	       { "100e-2", 1, 0, true },     { "-0.0", 1, 0, true },
		{ "0e999999999", 1, 0, true }, { "1e-100000", 3, 1, false }, { "01", 3, 1, false },
		{ "", 3, 1, false },	       { "1.", 3, 1, false },	     { "NaN", 3, 1, false },
	};
	uint8_t out[DF_AVRO_DECIMAL_BYTES];
	size_t len;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		if (df_avro_decimal_from_text(df_str_c(rows[i].text), rows[i].precision, rows[i].scale, out, &len) !=
		    rows[i].fits)
			fail_msg("%s", rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
