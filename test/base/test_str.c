#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"

/* A request that no machine fulfils must give NULL under a sanitizer too. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#define assert_str(s, text)                                              \
	do {                                                             \
		struct df_str s_ = (s);                                  \
		assert_int_equal(s_.len, strlen(text));                  \
		assert_memory_equal(s_.len ? s_.ptr : "", text, s_.len); \
	} while (0)

static void test_compare_trim_dup(void **state)
{
	(void)state;
	assert_true(df_str_compare(DF_STR("a"), DF_STR("b")) < 0);
	assert_true(df_str_compare(DF_STR("ab"), DF_STR("a")) > 0);
	assert_true(df_str_compare(DF_STR("a"), DF_STR("ab")) < 0);
	assert_true(df_str_compare(DF_STR("\xff"), DF_STR("a")) > 0);
	assert_int_equal(df_str_compare(df_str(NULL, 0), DF_STR("")), 0);
	assert_str(df_str_trim(DF_STR(" \t\r\nx y\n ")), "x y");
	assert_str(df_str_trim(DF_STR("  ")), "");
	assert_str(df_str_trim(DF_STR("\vx")), "\vx");
	df_cleanup(df_freep) char *copy = df_str_dup(df_str("hello", 4));
	assert_string_equal(copy, "hell");
	df_cleanup(df_freep) char *empty = df_str_dup(df_str(NULL, 0));
	assert_string_equal(empty, "");
}

/* The definition, byte by byte, from the decoding side. */
static bool slow_valid(const unsigned char *p, size_t n, size_t *bad)
{
	for (size_t i = 0; i < n;) {
		size_t len = p[i] < 0x80   ? 1
			     : p[i] < 0xc0 ? 0
			     : p[i] < 0xe0 ? 2
			     : p[i] < 0xf0 ? 3
			     : p[i] < 0xf8 ? 4
					   : 0;
		uint32_t c = len == 1 ? p[i] : p[i] & (0xff >> (len + 1));
		bool ok = len > 0 && i + len <= n;
		for (size_t k = 1; ok && k < len; k++) {
			ok = (p[i + k] & 0xc0) == 0x80;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
		if (!ok || c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
			*bad = i;
			return false;
		}
		i += len;
	}
	return true;
}

static void test_utf8_valid(void **state)
{
	(void)state;
	static const char *const bad[] = { "\x80",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xed\xbf\xbf",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xc3",
					   "\xe2\x82",
					   "\xf0\x9f\x98",
					   "\xff",
					   "\xe2\x28\xa1",
					   "\xe2\x82\x28",
					   "\xf0\x9f\x98\x28" };
	static const char *const good[] = { "",
					    "a",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf" };
	char text[64];
	/* At every distance from the start, so that every step width meets every case. */
	for (size_t shift = 0; shift < 40; shift++) {
		memset(text, 'a', sizeof(text));
		for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
			size_t at = SIZE_MAX;
			memcpy(text + shift, bad[i], strlen(bad[i]));
			assert_false(df_utf8_valid(df_str(text, shift + strlen(bad[i])), &at));
			assert_int_equal(at, shift);
			assert_false(df_utf8_valid(df_str(text, sizeof(text)), NULL));
			memset(text, 'a', sizeof(text));
		}
		for (size_t i = 0; i < DF_ARRAY_SIZE(good); i++) {
			memcpy(text + shift, good[i], strlen(good[i]));
			assert_true(df_utf8_valid(df_str(text, sizeof(text)), NULL));
			memset(text, 'a', sizeof(text));
		}
	}
	assert_true(df_utf8_valid(df_str(NULL, 0), NULL));
}

static void test_utf8_valid_random(void **state)
{
	(void)state;
	static const unsigned char alphabet[] = { 'a',	0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2,
						  0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5 };
	uint32_t seed = 1;
	for (int round = 0; round < 200000; round++) {
		unsigned char text[24];
		size_t n = 0, want = 0, got = 0;
		seed = seed * 1664525 + 1013904223;
		size_t len = seed >> 16 & 15;
		for (; n < len; n++) {
			seed = seed * 1664525 + 1013904223;
			text[n] = alphabet[(seed >> 16) % sizeof(alphabet)];
		}
		bool expected = slow_valid(text, n, &want);
		assert_int_equal(df_utf8_valid(df_str((char *)text, n), &got), expected);
		if (!expected)
			assert_int_equal(got, want);
	}
}

static void test_utf8_code_points(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x11000 ? 1 : 97) {
		char out[4];
		uint32_t back = 0;
		size_t n = df_utf8_encode(c, out);
		assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
		assert_int_equal(df_utf8_decode(df_str(out, n), &back), n);
		assert_int_equal(back, c);
		assert_int_equal(df_utf8_valid(df_str(out, n), NULL), c < 0xd800 || c > 0xdfff);
	}
	uint32_t c = 0;
	assert_int_equal(df_utf8_decode(DF_STR(""), &c), 0);
	assert_int_equal(df_utf8_decode(DF_STR("\xe2\x82"), &c), 1); /* cut short: no reading behind the end */
	assert_int_equal(c, 0xfffd);
	char out[4];
	assert_int_equal(df_utf8_encode(0x110000, out), 3);
	assert_memory_equal(out, "\xef\xbf\xbd", 3);
}

static void test_int64(void **state)
{
	(void)state;
	int64_t v = 5;
	assert_true(df_str_to_int64(DF_STR("9223372036854775807"), &v));
	assert_true(v == INT64_MAX);
	assert_true(df_str_to_int64(DF_STR("-9223372036854775808"), &v));
	assert_true(v == INT64_MIN);
	assert_true(df_str_to_int64(DF_STR("-0"), &v));
	assert_int_equal(v, 0);
	assert_true(df_str_to_int64(DF_STR("007"), &v));
	assert_int_equal(v, 7);
	static const char *const bad[] = { "",
					   "-",
					   "+1",
					   " 1",
					   "1 ",
					   "1.0",
					   "0x1",
					   "9223372036854775808",
					   "-9223372036854775809",
					   "92233720368547758070",
					   "1-" };
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++)
		assert_false(df_str_to_int64(df_str_c(bad[i]), &v));
	assert_int_equal(v, 7);
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const names[] = { "bootstrapServers", NULL, "topic", "groupID", "type", "url" };
	size_t n = DF_ARRAY_SIZE(names);
	assert_string_equal(df_nearest(DF_STR("tpoic"), names, n), "topic"); /* a swap is one step */
	assert_string_equal(df_nearest(DF_STR("TOPIC"), names, n), "topic");
	assert_string_equal(df_nearest(DF_STR("bootstrap_servers"), names, n), "bootstrapServers");
	assert_string_equal(df_nearest(DF_STR("groupId"), names, n), "groupID");
	assert_string_equal(df_nearest(DF_STR("tyep"), names, n), "type");
	assert_string_equal(df_nearest(DF_STR("ur"), names, n), "url");
	assert_null(df_nearest(DF_STR("xxxxx"), names, n));
	assert_null(df_nearest(DF_STR("topxx"), names, n)); /* 2 of 5 letters */
	assert_null(df_nearest(DF_STR("tox"), names, n));   /* 3 of 5 letters */
	assert_null(df_nearest(DF_STR(""), names, n));
	assert_null(df_nearest(DF_STR("topic"), NULL, 0));
	char longest[200];
	memset(longest, 'a', sizeof(longest));
	assert_null(df_nearest(df_str(longest, sizeof(longest)), names, n));
}

static void test_buf(void **state)
{
	(void)state;
	struct df_buf buf = { 0 };
	assert_string_equal(df_buf_c(&buf), "");
	assert_non_null(df_buf_reserve(&buf, 0));
	df_buf_add(&buf, NULL, 0);
	for (int i = 0; i < 1000; i++)
		df_buf_printf(&buf, "%d,", i);
	assert_int_equal(buf.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_memory_equal(buf.data + buf.len - 8, "998,999,", 8);
	df_buf_done(&buf);
	assert_null(buf.data);
	df_buf_add_c(&buf, "ab");
	df_buf_add_char(&buf, 'c');
	df_buf_add_str(&buf, DF_STR("de"));
	assert_string_equal(df_buf_c(&buf), "abcde");
	assert_int_equal(buf.len, 5);
	df_cleanup(df_freep) char *taken = df_buf_take(&buf);
	assert_string_equal(taken, "abcde");
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	df_cleanup(df_freep) char *empty = df_buf_take(&buf);
	assert_string_equal(empty, "");
	df_buf_done(NULL);
}

static void test_buf_maximum(void **state)
{
	(void)state;
	char zeros[100] = { 0 };
	/* On both sides of the first capacity; the NUL of df_buf_c never counts. */
	for (size_t max = 60; max < 70; max++) {
		struct df_buf buf = { .max = max };
		df_buf_add(&buf, zeros, max);
		assert_false(buf.failed);
		df_buf_c(&buf);
		assert_false(buf.failed);
		df_buf_add_char(&buf, 'x');
		assert_true(buf.failed);
		assert_int_equal(buf.len, max);
		assert_null(df_buf_reserve(&buf, 0));
		assert_string_equal(df_buf_c(&buf), "");
		assert_null(df_buf_take(&buf));

		struct df_buf printed = { .max = max };
		df_buf_printf(&printed, "%*s", (int)max, "");
		assert_false(printed.failed);
		assert_int_equal(printed.len, max);
		df_buf_printf(&printed, "%s", "");
		assert_false(printed.failed);
		df_buf_printf(&printed, "x");
		assert_true(printed.failed);
		df_buf_done(&printed);
	}
	struct df_buf buf = { 0 };
	assert_null(df_buf_reserve(&buf, SIZE_MAX));
	assert_true(buf.failed);
	df_buf_done(&buf);
	assert_false(buf.failed);
	buf.max = SIZE_MAX / 2; /* the heap itself refuses */
	assert_null(df_buf_reserve(&buf, SIZE_MAX / 2 - 1));
	assert_true(buf.failed);
	df_buf_done(&buf);
}

static void test_base64(void **state)
{
	(void)state;
	/* RFC 4648, section 10. */
	static const char *const rows[][2] = { { "", "" },
					       { "f", "Zg==" },
					       { "fo", "Zm8=" },
					       { "foo", "Zm9v" },
					       { "foob", "Zm9vYg==" },
					       { "fooba", "Zm9vYmE=" },
					       { "foobar", "Zm9vYmFy" },
					       { "\xfb\xff\xfe", "+//+" } };
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_buf buf = { 0 };
		df_buf_add_base64(&buf, df_str_c(rows[i][0]));
		assert_str(df_buf_str(&buf), rows[i][1]);
		buf.len = 0;
		assert_true(df_buf_add_base64_decoded(&buf, df_str_c(rows[i][1])));
		assert_str(df_buf_str(&buf), rows[i][0]);
		df_buf_done(&buf);
	}
	static const char *const bad[] = { "Z",	   "Zg",   "Zg=",  "Zg===",    "Zm9v Zm8=", "Zm8\n", "Z===",
					   "====", "Zh==", "Zm9=", "Zg==Zg==", "Z-_v",	    "=Zg=" };
	struct df_buf buf = { 0 };
	df_buf_add_c(&buf, "keep");
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		assert_false(df_buf_add_base64_decoded(&buf, df_str_c(bad[i])));
		assert_str(df_buf_str(&buf), "keep");
		assert_false(buf.failed);
	}
	df_buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare_trim_dup),
		cmocka_unit_test(test_utf8_valid),
		cmocka_unit_test(test_utf8_valid_random),
		cmocka_unit_test(test_utf8_code_points),
		cmocka_unit_test(test_int64),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_maximum),
		cmocka_unit_test(test_base64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
