#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "table/identifier.h"

static void quotes(void **state)
{
	static const struct {
		struct df_str name;
		const char *sql, *backticks;
	} rows[] = {
		{ DF_STR("a"), "\"a\"", "`a`" },
		{ DF_STR("A b.c"), "\"A b.c\"", "`A b.c`" },
		{ DF_STR("x\"y"), "\"x\"\"y\"", "`x\"y`" },
		{ DF_STR("`\\"), "\"`\\\"", "`\\`\\\\`" },
		{ DF_STR("\xc3\xa9; DROP"), "\"\xc3\xa9; DROP\"", "`\xc3\xa9; DROP`" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_buf_done) struct df_buf a = { 0 };
		df_cleanup(df_buf_done) struct df_buf b = { 0 };

		df_name_quote(&a, DF_QUOTE_DOUBLE, rows[i].name);
		df_name_quote(&b, DF_QUOTE_BACKTICK, rows[i].name);
		assert_string_equal(df_buf_c(&a), rows[i].sql);
		assert_string_equal(df_buf_c(&b), rows[i].backticks);
	}
}

static void what_can_be_a_name(void **state)
{
	struct df_error err;

	(void)state;
	assert_int_equal(df_name_check(DF_STR("a"), "name", &err), 0);
	assert_int_equal(df_name_check(DF_STR(""), "name", &err), DF_ERR_INVALID_DATA);
	assert_string_equal(err.text, "name is empty");
	assert_int_equal(df_name_check(DF_STR("a\0b"), "name", &err), DF_ERR_INVALID_DATA);
	assert_int_equal(df_name_check(DF_STR("\xff"), "name", &err), DF_ERR_INVALID_DATA);

	assert_int_equal(df_name_check_key(DF_STR(""), &err), 0);
	assert_int_equal(df_name_check_key(DF_STR("\xc3\xa9"), &err), 0);
	assert_int_equal(df_name_check_key(DF_STR("a\xe9"), &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "column \"a?\" is not valid UTF-8"));
}

static void splits_table_names(void **state)
{
	static const struct {
		const char *text, *qualifier, *name; /* name NULL: refused */
	} rows[] = {
		{ "t", NULL, "t" },
		{ "s.t", "s", "t" },
		{ "S.T t", "S", "T t" },
		{ "\"a.b\".c", "a.b", "c" },
		{ "\"a\"\"b\"", NULL, "a\"b" },
		{ "s.\"x\"", "s", "x" },
		{ "a\"b", NULL, "a\"b" },
		{ "", NULL, NULL },
		{ ".t", NULL, NULL },
		{ "s.", NULL, NULL },
		{ "a.b.c", NULL, NULL },
		{ "\"a", NULL, NULL },
		{ "\"a\"b", NULL, NULL },
		{ "\"\"", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_table_name_done) struct df_table_name name = { 0 };
		df_cleanup(df_buf_done) struct df_buf sql = { 0 };
		struct df_error err = DF_ERROR_INIT;
		int code = df_table_name_split(df_str_c(rows[i].text), &name, &err);

		if (!rows[i].name) {
			assert_int_equal(code, DF_ERR_CONFIG);
			assert_int_not_equal(err.text[0], '\0');
			continue;
		}
		assert_int_equal(code, 0);
		assert_string_equal(name.name, rows[i].name);
		assert_string_equal(name.qualifier ? name.qualifier : "-", rows[i].qualifier ? rows[i].qualifier : "-");
		df_table_name_quote(&sql, DF_QUOTE_DOUBLE, &name);
		assert_int_equal(sql.data[0], '"');
	}
}

static void key_lists(void **state)
{
	struct df_strings names = { 0 };
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	static const char *const refused[] = { ",", "a,", ",a", "a,,b", "a, a" };

	(void)state;
	assert_int_equal(df_names_parse(" a ,b", &names, NULL), 0);
	assert_int_equal(names.count, 2);
	df_names_quote(&sql, DF_QUOTE_DOUBLE, &names);
	assert_string_equal(df_buf_c(&sql), "\"a\", \"b\"");
	df_names_done(&names);
	assert_int_equal(df_names_parse(NULL, &names, NULL), 0);
	assert_int_equal(names.count, 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(refused); i++)
		assert_int_equal(df_names_parse(refused[i], &names, NULL), DF_ERR_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes),
		cmocka_unit_test(what_can_be_a_name),
		cmocka_unit_test(splits_table_names),
		cmocka_unit_test(key_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
