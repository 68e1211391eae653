/* Programs as connectors, in parts: the walk over JSON text, what an error's code is, lines of a standard error,
 * secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/retry.h"
#include "connectors/subprocess/errors.h"
#include "connectors/subprocess/log_lines.h"
#include "connectors/subprocess/scan.h"

/* ---- walking --------------------------------------------------------------------------------------------- */

/* Some JSON value: strings with quotes, brackets and escapes in them, so that every block boundary falls everywhere. */
static void make_value(struct df_buf *buf, uint64_t *random, int depth)
{
	static const char *const texts[] = { "\"\"",
					     "\"a\"",
					     "\"{[\"",
					     "\"]}\"",
					     "\"\\\\\"",
					     "\"\\\"\"",
					     "\"\\\\\\\"}\"",
					     "123",
					     "-1.5e3",
					     "true",
					     "null",
					     "\"\\u00e9\"",
					     "\"a longer text without anything in it, so that blocks are skipped\"" };
	uint64_t n = df_random_next(random) % 20;

	if (depth == 0 || n < DF_ARRAY_SIZE(texts)) {
		df_buf_add_c(buf, texts[n % DF_ARRAY_SIZE(texts)]);
		return;
	}
	bool object = n % 2;
	uint64_t count = df_random_next(random) % 6;
	df_buf_add_char(buf, object ? '{' : '[');
	for (uint64_t i = 0; i < count; i++) {
		df_buf_add_c(buf, i ? (n % 3 ? ", " : ",") : "");
		if (object)
			df_buf_printf(buf, "\"k%d\\\"\":", (int)i);
		make_value(buf, random, depth - 1);
	}
	df_buf_add_char(buf, object ? '}' : ']');
}

static void test_elements_end_where_they_end(void **state)
{
	uint64_t random = 42;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		df_cleanup(df_buf_done) struct df_buf list = { 0 }, again = { 0 };
		struct df_str element;
		struct df_scan scan;
		size_t want = df_random_next(&random) % 8, n = 0;

		df_buf_add_char(&list, '[');
		for (size_t i = 0; i < want; i++) {
			df_buf_add_c(&list, i ? "," : "");
			make_value(&list, &random, 5);
		}
		df_buf_add_c(&list, "]  ");
		assert_true(df_scan_array(&scan, df_buf_str(&list)));
		df_buf_add_char(&again, '[');
		for (; df_scan_element(&scan, &element); n++) {
			assert_int_equal(df_value_check(element), DF_PARSE_OK);
			df_buf_add_c(&again, n ? "," : "");
			df_buf_add_str(&again, element);
		}
		df_buf_add_c(&again, "]  ");
		assert_int_equal(n, want);
		assert_string_equal(df_buf_c(&again), df_buf_c(&list));
	}
}

static void test_members(void **state)
{
	struct df_members members;

	(void)state;
	assert_true(df_members_parse(
		DF_STR(" { \"type\" : \"done\" , \"batch\":7,\"end\":null,\"json\":null,\"x\":{\"type\":1}}"),
		&members));
	assert_true(df_str_equal(members.type, DF_STR("\"done\"")));
	assert_true(df_str_equal(members.batch, DF_STR("7")));
	assert_null(members.end.ptr); /* null is absent, but for a payload */
	assert_true(df_str_equal(members.json, DF_STR("null")));
	assert_false(df_members_parse(DF_STR("[1]"), &members));
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

static void assert_code(const char *object, int code, const char *text, const char *remote)
{
	char *secrets[] = { (char *)"hush hush", (char *)"hush" };
	const struct df_hidden hidden = { .values = secrets, .count = 2 };
	struct df_members members;
	struct df_error err = DF_ERROR_INIT;

	assert_true(df_members_parse(df_str_c(object), &members));
	assert_int_equal(df_program_error(&members, &hidden, &err), code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
	assert_string_equal(err.remote, remote);
}

static void test_errors(void **state)
{
	(void)state;
	assert_code("{\"message\":\"x\",\"code\":\"invalid_data\"}", DF_ERR_INVALID_DATA, "x", "");
	assert_code("{\"message\":\"x\",\"code\":\"auth_error\",\"retryable\":true}", DF_ERR_AUTH, "x", "");
	assert_code("{\"message\":\"x\",\"code\":\"config\"}", DF_ERR_CONFIG, "x", "");
	assert_code("{\"message\":\"x\",\"code\":\"23505\"}", DF_ERR_UNKNOWN, "x", "23505");
	assert_code("{\"message\":\"x\",\"code\":\"E\",\"retryable\":true}", DF_ERR_TRANSIENT, "x", "E");
	assert_code("{\"message\":\"Timeout\",\"code\":\"E\",\"retryable\":false}", DF_ERR_UNKNOWN, "Timeout", "E");
	assert_code("{\"message\":\"i/o TIMEOUT while parsing\"}", DF_ERR_TIMEOUT, "i/o TIMEOUT while parsing", "");
	assert_code("{\"message\":\"invalid credentials\"}", DF_ERR_AUTH, "invalid credentials", "");
	assert_code("{\"message\":\"Unique violation\"}", DF_ERR_CONSTRAINT, "Unique violation", "");
	assert_code("{\"message\":\"connection refused\"}", DF_ERR_CONNECTION, "connection refused", "");
	assert_code("{\"message\":\"something\"}", DF_ERR_UNKNOWN, "something", "");
	assert_code("{\"message\":\"two\\nlines: hush hush, hushed\"}", DF_ERR_UNKNOWN, "two lines: ***, ***ed", "");
	assert_code("{}", DF_ERR_UNKNOWN, "the program gave no reason", "");
	assert_code("{\"message\":{\"a\":1}}", DF_ERR_UNKNOWN, "{\"a\":1}", "");
}

/* ---- standard error -------------------------------------------------------------------------------------- */

static void assert_line(const char *line, enum df_log_level level, const char *text)
{
	struct df_arena arena;
	struct df_str got;

	df_arena_init(&arena, NULL);
	assert_int_equal(df_log_line_take_apart(df_str_c(line), &arena, &got), level);
	assert_int_equal(got.len, strlen(text));
	assert_memory_equal(got.ptr, text, got.len);
	df_arena_done(&arena);
}

static void test_log_lines(void **state)
{
	(void)state;
	assert_line("plain text", DF_LOG_INFO, "plain text");
	assert_line("error: gone", DF_LOG_ERROR, "gone");
	assert_line("[WARN] careful", DF_LOG_WARN, "careful");
	assert_line("[warning]: careful", DF_LOG_WARN, "careful");
	assert_line("INFO started", DF_LOG_INFO, "started");
	assert_line("debug\tx", DF_LOG_DEBUG, "x");
	assert_line("errors were found", DF_LOG_INFO, "errors were found");
	assert_line("information, please", DF_LOG_INFO, "information, please");
	assert_line("{\"level\":\"Error\",\"msg\":\"a\\tb\"}", DF_LOG_ERROR, "a\tb");
	assert_line("{\"message\":\"m\"}", DF_LOG_INFO, "m");
	assert_line("{\"level\":\"error\"}", DF_LOG_INFO, "{\"level\":\"error\"}");
	assert_line("{broken", DF_LOG_INFO, "{broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements_end_where_they_end),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_log_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
