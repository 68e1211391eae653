/* URLs: encoding, splitting, origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "net/url.h"

static void encodes_everything_but_the_unreserved(void **state)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };

	(void)state;
	df_url_encode(&out, DF_STR("aZ09-._~ /?&=+%\xc3\xa9"));
	assert_string_equal(df_buf_c(&out), "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9");
}

static void decodes(void **state)
{
	static const struct {
		const char *text;
		bool plus;
		const char *expected;
	} cases[] = {
		{ "", false, "" },	     { "p%40ss%2fword%C3%a9", false, "p@ss/word\xc3\xa9" },
		{ "a+b", false, "a+b" },     { "a+b", true, "a b" },
		{ "100%", false, "100%" },   { "%4", false, "%4" },
		{ "%zz%41", false, "%zzA" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		df_cleanup(df_freep) char *out = df_url_decode(df_str_c(cases[i].text), cases[i].plus);

		assert_string_equal(out, cases[i].expected);
	}
	assert_null(df_url_decode(DF_STR("a%00b"), false));
}

static void splits(void **state)
{
	static const struct {
		const char *url, *scheme, *user, *authority, *rest;
	} cases[] = {
		{ "http://h", "http", NULL, "h", "" },
		{ "https://u:p@h:8443/a?b#c", "https", "u:p", "h:8443", "/a?b#c" },
		{ "http://[::1]:80?x", "http", NULL, "[::1]:80", "?x" },
		{ "http://u:p@w@h/@", "http", "u:p@w", "h", "/@" },
		{ "http://@h", "http", "", "h", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_url url;

		assert_true(df_url_split(df_str_c(cases[i].url), &url));
		assert_true(df_str_equal_c(url.scheme, cases[i].scheme));
		assert_true(df_str_equal_c(url.user, cases[i].user));
		assert_int_equal(url.user.ptr != NULL, cases[i].user != NULL);
		assert_true(df_str_equal_c(url.authority, cases[i].authority));
		assert_true(df_str_equal_c(url.rest, cases[i].rest));
	}
	struct df_url url;
	assert_false(df_url_split(DF_STR("/path"), &url));
	assert_false(df_url_split(DF_STR("://h"), &url));
	assert_false(df_url_split(DF_STR("http://"), &url));
	assert_false(df_url_split(DF_STR("http://u@/x"), &url));
}

static void compares_origins(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "http://h/x", "http://h:80/y", true },     { "https://H:443", "HTTPS://h", true },
		{ "http://h", "https://h", false },	     { "http://h:8080", "http://h", false },
		{ "http://h.evil.test", "http://h", false }, { "http://h@evil.test/", "http://h", false },
		{ "https://h:80", "http://h", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_url a, b;

		assert_true(df_url_split(df_str_c(cases[i].a), &a));
		assert_true(df_url_split(df_str_c(cases[i].b), &b));
		assert_int_equal(df_url_same_origin(&a, &b), cases[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodes_everything_but_the_unreserved),
		cmocka_unit_test(decodes),
		cmocka_unit_test(splits),
		cmocka_unit_test(compares_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
