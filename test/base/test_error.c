#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

static void test_set(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	df_error_remote(&err, "old");
	assert_int_equal(df_error_set(&err, DF_ERR_AUTH, "user %s: %d", "bob", 7), DF_ERR_AUTH);
	assert_int_equal(err.code, DF_ERR_AUTH);
	assert_string_equal(err.text, "user bob: 7");
	assert_string_equal(err.remote, "");
	assert_int_equal(df_error_set(NULL, DF_ERR_CONFIG, "x"), DF_ERR_CONFIG);
}

static void test_own_text_as_argument(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	df_error_set(&err, DF_ERR_CONFIG, "inner");
	df_error_set(&err, DF_ERR_UNKNOWN, "outer(%s)", err.text);
	assert_string_equal(err.text, "outer(inner)");
}

static void test_one_line_of_utf8(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	df_error_set(&err, DF_ERR_UNKNOWN,
		     "a\nb\tc\x7f"
		     "d \r\n");
	assert_string_equal(err.text, "a b c d");
	df_error_set(&err, DF_ERR_UNKNOWN, "a\xff\xc3z\xc3\xa9");
	assert_string_equal(err.text, "a??z\xc3\xa9");
}

static void test_cut_at_a_code_point(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	char text[DF_ERROR_TEXT_MAX + 32];
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		df_error_set(&err, DF_ERR_UNKNOWN, "%s", text);
		size_t len = strlen(err.text);
		assert_in_range(len, DF_ERROR_TEXT_MAX - 3, DF_ERROR_TEXT_MAX - 1);
		assert_int_equal((len - shift) % 3, 0);
		assert_true(df_utf8_valid(df_str_c(err.text), NULL));
		assert_null(strchr(err.text, '?'));
	}
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	df_error_set(&err, DF_ERR_UNKNOWN, "%s", text);
	assert_int_equal(strlen(err.text), DF_ERROR_TEXT_MAX - 1);
	df_error_remote(&err, text);
	assert_int_equal(strlen(err.remote), DF_ERROR_REMOTE_MAX - 1);
}

static void test_errno(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	assert_int_equal(df_error_errno(&err, DF_ERR_UNKNOWN, ENOSPC, "write %s", "/x"), DF_ERR_UNKNOWN);
	assert_string_equal(err.text, "write /x: No space left on device");
	assert_string_equal(err.remote, "ENOSPC");
	df_error_errno(&err, DF_ERR_UNKNOWN, 99999, "odd");
	assert_string_equal(err.text, "odd: errno 99999");
	assert_string_equal(err.remote, "");
	assert_int_equal(df_error_errno(NULL, DF_ERR_AUTH, EACCES, "x"), DF_ERR_AUTH);
}

static void test_prefix(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	df_error_set(&err, DF_ERR_CONSTRAINT, "duplicate key");
	df_error_remote(&err, "23505");
	assert_int_equal(df_error_prefix(&err, "table %s", "t"), DF_ERR_CONSTRAINT);
	assert_string_equal(err.text, "table t: duplicate key");
	assert_string_equal(err.remote, "23505");
	assert_int_equal(df_error_prefix(NULL, "x"), DF_ERR_UNKNOWN);
}

static void test_classes(void **state)
{
	(void)state;
	static const struct {
		int code;
		const char *name;
		bool retryable, poison;
	} rows[] = {
		{ DF_ERR_CONNECTION, "connection_error", true, false },
		{ DF_ERR_TIMEOUT, "timeout", true, false },
		{ DF_ERR_AUTH, "auth_error", false, false },
		{ DF_ERR_CONSTRAINT, "constraint_violation", false, true },
		{ DF_ERR_INVALID_DATA, "invalid_data", false, true },
		{ DF_ERR_TRANSIENT, "transient", true, false },
		{ DF_ERR_CANCELED, "context_canceled", false, false },
		{ DF_ERR_UNKNOWN, "unknown", false, false },
		{ DF_ERR_CONFIG, "unknown", false, false },
		{ DF_ERR_NO_MEMORY, "unknown", false, false },
		{ DF_ERR_CLOSED, "unknown", false, false },
		{ DF_ERR_DENIED, "auth_error", true, false },
		{ -99, "unknown", false, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(df_code_name(rows[i].code), rows[i].name);
		assert_int_equal(df_code_retryable(rows[i].code), rows[i].retryable);
		assert_int_equal(df_code_poison(rows[i].code), rows[i].poison);
	}
	struct df_error err = DF_ERROR_INIT;
	assert_int_equal(df_error_no_memory(&err), DF_ERR_NO_MEMORY);
	assert_string_equal(err.text, "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_own_text_as_argument),
		cmocka_unit_test(test_one_line_of_utf8),
		cmocka_unit_test(test_cut_at_a_code_point),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
