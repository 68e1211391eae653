/* snake_case and CamelCase: every row of the transformations reference, section 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transformers/words.h"

struct row {
	const char *word, *want;
};

static void check(const struct row *rows, size_t n, size_t (*convert)(struct df_str word, char *out))
{
	for (size_t i = 0; i < n; i++) {
		/* Exactly as large as promised, so that the sanitizer sees a byte too many. */
		struct df_str word = df_str_c(rows[i].word);
		char *copy = malloc(word.len + 1);
		char *out = malloc(DF_WORD_MAX(word.len) + 1);
		size_t len;

		assert_non_null(out);
		memcpy(copy, word.ptr, word.len);
		len = convert(df_str(copy, word.len), out);
		if (!df_str_equal_c(df_str(out, len), rows[i].want))
			fail_msg("%s: %.*s, wanted %s", rows[i].word, (int)len, out, rows[i].want);
		free(copy);
		free(out);
	}
}

static void knows_the_snake_table(void **state)
{
	static const struct row rows[] = {
		{ "firstName", "first_name" },
		{ "user_ID", "user_id" },
		{ "_privateKey", "_private_key" },
		{ "FirstName", "first_name" },
		{ "address2Line", "address2_line" },
		{ "__Op", "__op" },
		{ "userID", "user_id" },
		{ "line2", "line2" },
		{ "first-Name", "first-name" },
		{ "userID123", "user_id123" },
		{ "v2API", "v2_api" },
		{ "First Name", "first name" },
		{ "XMLHttpRequest", "xml_http_request" },
		{ "HTTP2Server", "http2_server" },
		{ "user.firstName", "user.first_name" },
		{ "HTMLParser", "html_parser" },
		{ "sha256Sum", "sha256_sum" },
		{ "$OID", "$oid" },
		{ "getHTTPResponseCode", "get_http_response_code" },
		{ "iOSVersion", "i_os_version" },
		{ "имяПользователя", "имя_пользователя" },
		{ "USERNAME", "username" },
		{ "aB", "a_b" },
		{ "ÉtéFin", "été_fin" },
		{ "name", "name" },
		{ "AB", "ab" },
		{ "名前ID", "名前id" },
		{ "first_name", "first_name" },
		{ "ABc", "a_bc" },
		{ "", "" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows), df_word_snake);
}

static void knows_the_camel_table(void **state)
{
	static const struct row rows[] = {
		{ "first_name", "FirstName" },
		{ "USER_NAME", "USERNAME" },
		{ "first-name", "First-name" },
		{ "name", "Name" },
		{ "user_ID", "UserID" },
		{ "first name", "First name" },
		{ "user_name_id", "UserNameId" },
		{ "a_b_c", "ABC" },
		{ "user.first_name", "User.firstName" },
		{ "FirstName", "FirstName" },
		{ "x1_y2", "X1Y2" },
		{ "$oid", "$oid" },
		{ "firstName", "FirstName" },
		{ "1st_place", "1stPlace" },
		{ "__op", "Op" },
		{ "user_id_123", "UserId123" },
		{ "address_2_line", "Address2Line" },
		{ "__deleted", "Deleted" },
		{ "name_", "Name" },
		{ "_", "_" },
		{ "été_fin", "ÉtéFin" },
		{ "_name", "Name" },
		{ "___", "___" },
		{ "имя_поля", "ИмяПоля" },
		{ "user__name", "UserName" },
		{ "", "" },
		{ "名前_id", "名前Id" },
		{ "username", "Username" },
		{ "a", "A" },
		{ "html_URL", "HtmlURL" },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows), df_word_camel);
}

/* Letters of other kinds, and case mappings that change the length in UTF-8. */
static void knows_other_letters(void **state)
{
	static const struct row snakes[] = {
		{ "a\u023Ab", "a_\u2C65b" },	 /* two bytes become three */
		{ "\u0130stanbul", "istanbul" }, /* the simple mapping is one code point */
		{ "a\u01C5b", "a\u01C5b" },	 /* title case is neither upper nor lower */
		{ "x\u0661Y", "x\u0661_y" },	 /* Arabic digit */
		{ "a\u2160B", "a\u2160b" },	 /* Roman numeral: a number of another kind */
		{ "\U00010400\U00010428X", "\U00010428\U00010428_x" },
		{ "a\U0001D400b", "a_\U0001D400b" }, /* an upper-case letter without a lower case */
		{ "\u00DFX", "\u00DF_x" },
		{ "\xED\xA0\x80X", "\xED\xA0\x80x" }, /* a lone surrogate */
		{ "aB\u00CDc", "a_b_\u00EDc" },
	};
	static const struct row camels[] = {
		{ "\u00DFa_\u00DFb", "\u00DFa\u00DFb" }, /* no simple upper case */
		{ "a\u0250_\u0250", "A\u0250\u2C6F" },	 /* two bytes become three */
		{ "\u1F80x", "\u1F88x" },
		{ "\u0149x", "\u0149x" },
		{ "\u01C6_\u01C5", "\u01C4\u01C4" },
		{ "\u2170_x", "\u2160X" },
		{ "\u017Fx", "Sx" },
		{ "_\xED\xA0\x80", "\xED\xA0\x80" },
	};

	(void)state;
	check(snakes, DF_ARRAY_SIZE(snakes), df_word_snake);
	check(camels, DF_ARRAY_SIZE(camels), df_word_camel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_snake_table),
		cmocka_unit_test(knows_the_camel_table),
		cmocka_unit_test(knows_other_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
