/* The JSON writer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "value/value.h"

#define S(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

/* Writes in every way there is and compares: into an empty buffer, behind text, into an arena. */
static void assert_written(const struct df_value *v, const char *want, size_t want_len)
{
	struct df_buf buf = { 0 };
	struct df_arena arena;

	df_value_write(v, &buf);
	assert_false(buf.failed);
	if (buf.len != want_len || memcmp(buf.data, want, want_len) != 0)
		fail_msg("%s, not %s", df_buf_c(&buf), want);
	df_value_write(v, &buf);
	assert_int_equal(buf.len, 2 * want_len);
	assert_memory_equal(buf.data + want_len, want, want_len);
	df_buf_done(&buf);

	df_arena_init(&arena, NULL);
	for (int i = 0; i < 3; i++) {
		struct df_str text = df_value_to_arena(v, &arena);
		assert_int_equal(text.len, want_len);
		assert_memory_equal(text.ptr, want, want_len);
		assert_int_equal((uintptr_t)df_arena_alloc(&arena, 1) % DF_ARENA_ALIGN, 0);
	}
	df_arena_done(&arena);
}

#define assert_json(v, literal) assert_written(v, literal, sizeof(literal) - 1)

static void test_scalars(void **state)
{
	struct df_arena a;

	(void)state;
	df_arena_init(&a, NULL);
	assert_json(df_value_new(&a, DF_NULL), "null");
	assert_json(df_value_new(&a, DF_TRUE), "true");
	assert_json(df_value_new(&a, DF_FALSE), "false");
	assert_json(df_value_new(&a, DF_ARRAY), "[]");
	assert_json(df_value_new(&a, DF_OBJECT), "{}");
	assert_json(df_value_number(&a, DF_STR("1.10")), "1.10");
	assert_json(df_value_int64(&a, INT64_MIN), "-9223372036854775808");
	assert_json(df_value_float64(&a, 0.1), "0.1");
	assert_json(df_value_float64(&a, 1e300), "1e+300");
	assert_json(df_value_float64(&a, (double)NAN), "\"NaN\"");
	assert_json(df_value_float64(&a, (double)INFINITY), "\"Infinity\"");
	assert_json(df_value_float64(&a, -(double)INFINITY), "\"-Infinity\"");
	struct df_value *single = df_value_float64(&a, (double)0.1f);
	assert_json(single, "0.10000000149011612");
	single->logical = DF_LOGICAL_FLOAT32;
	assert_json(single, "0.1");
	assert_json(df_value_bytes(&a, DF_STR("")), "\"\"");
	assert_json(df_value_bytes(&a, DF_STR("f")), "\"Zg==\"");
	assert_json(df_value_bytes(&a, DF_STR("fo")), "\"Zm8=\"");
	assert_json(df_value_bytes(&a, DF_STR("foo")), "\"Zm9v\"");
	assert_json(df_value_bytes(&a, DF_STR("\0\xFF\xFE\x10")), "\"AP/+EA==\"");
	assert_json(df_value_string(&a, DF_STR("")), "\"\"");
	assert_json(df_value_string(&a, df_str(NULL, 0)), "\"\"");
	df_arena_done(&a);
}

static const struct {
	struct df_str text;
	struct df_str json;
} strings[] = {
	{ S(""), S("\"\"") },
	{ S("a"), S("\"a\"") },
	{ S("\""), S("\"\\\"\"") },
	{ S("\\"), S("\"\\\\\"") },
	{ S("/"), S("\"/\"") },
	{ S("\b\f\n\r\t"), S("\"\\b\\f\\n\\r\\t\"") },
	{ S("\0\x01\x0b\x1f"), S("\"\\u0000\\u0001\\u000b\\u001f\"") },
	{ S("\x7f"), S("\"\x7f\"") },
	{ S("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), S("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"") },
	{ S("\xED\x9F\xBF\xEE\x80\x80"), S("\"\xED\x9F\xBF\xEE\x80\x80\"") },
	{ S("sixteen bytes ok and then a \" quote, and more of it"),
	  S("\"sixteen bytes ok and then a \\\" quote, and more of it\"") },
	{ S("15 bytes, then\x02 16 or more"), S("\"15 bytes, then\\u0002 16 or more\"") },
	/* WTF-8: lone surrogates, and halves that were put side by side */
	{ S("\xED\xA0\x80"), S("\"\\ud800\"") },
	{ S("a\xED\xBF\xBFz"), S("\"a\\udfffz\"") },
	{ S("\xED\xB0\x80\xED\xA0\x80"), S("\"\\udc00\\ud800\"") },
	{ S("\xED\xA0\xBD\xED\xB8\x80"), S("\"\xF0\x9F\x98\x80\"") },
	{ S("\xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80"), S("\"\\ud83d\xF0\x9F\x98\x80\"") },
	{ S("\xED\xA0\xBDx\xED\xB8\x80"), S("\"\\ud83dx\\ude00\"") },
};

static void test_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct df_arena a;
		struct df_buf buf = { 0 };
		df_arena_init(&a, NULL);
		/* A heap copy of exactly the size: no byte may be read behind it. */
		char *copy = malloc(strings[i].text.len ? strings[i].text.len : 1);
		assert_non_null(copy);
		memcpy(copy, strings[i].text.ptr, strings[i].text.len);
		struct df_str text = df_str(copy, strings[i].text.len);
		assert_written(df_value_string(&a, text), strings[i].json.ptr, strings[i].json.len);
		df_json_write_string(text, &buf);
		assert_true(df_str_equal(df_buf_str(&buf), strings[i].json));

		/* As a key. */
		struct df_value *object = df_value_new(&a, DF_OBJECT);
		df_object_append(object, text, df_value_new(&a, DF_NULL));
		struct df_buf want = { 0 };
		df_buf_add_char(&want, '{');
		df_buf_add_str(&want, strings[i].json);
		df_buf_add_c(&want, ":null}");
		assert_written(object, df_buf_c(&want), want.len);
		df_buf_done(&want);
		df_buf_done(&buf);
		df_arena_done(&a);
		free(copy);
	}
}

/* Copies of all lengths around those where the way of copying changes, from sources of exactly that size. */
static void test_lengths(void **state)
{
	(void)state;
	for (size_t len = 0; len < 300; len++) {
		struct df_arena a;
		struct df_value *root;
		struct df_buf text = { 0 };
		df_arena_init(&a, NULL);
		df_buf_add_c(&text, "{\"");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('a' + i % 26));
		df_buf_add_c(&text, "\":[\"");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('A' + i % 26));
		df_buf_add_c(&text, "\",1");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('0' + i % 10));
		df_buf_add_c(&text, "]}");
		char *exact = malloc(text.len);
		assert_non_null(exact);
		memcpy(exact, text.data, text.len);
		assert_int_equal(df_value_parse(df_str(exact, text.len), &a, &root, NULL), DF_PARSE_OK);
		assert_written(root, text.data, text.len);

		char *all_controls = calloc(1, len ? len : 1);
		assert_non_null(all_controls);
		struct df_buf buf = { 0 };
		df_json_write_string(df_str(all_controls, len), &buf);
		assert_int_equal(buf.len, 6 * len + 2);
		df_buf_done(&buf);
		free(all_controls);
		free(exact);
		df_buf_done(&text);
		df_arena_done(&a);
	}
}

/* Deeper than any parsed document, and closing all at once. */
static void test_deep(void **state)
{
	struct df_arena a;
	struct df_buf want = { 0 };

	(void)state;
	df_arena_init(&a, NULL);
	struct df_value *v = df_value_new(&a, DF_ARRAY);
	for (int i = 0; i < 1200; i++) {
		struct df_value *outer = df_value_new(&a, i % 2 ? DF_ARRAY : DF_OBJECT);
		if (i % 2)
			df_array_append(outer, v);
		else
			df_object_append(outer, DF_STR("k"), v);
		v = outer;
	}
	for (int i = 1200; i-- > 0;)
		df_buf_add_c(&want, i % 2 ? "[" : "{\"k\":");
	df_buf_add_c(&want, "[]");
	for (int i = 0; i < 1200; i++)
		df_buf_add_char(&want, i % 2 ? ']' : '}');
	assert_written(v, df_buf_c(&want), want.len);
	df_buf_done(&want);
	df_arena_done(&a);
}

/* A part of a document is written without its siblings and without its key. */
static void test_part(void **state)
{
	struct df_arena a;
	struct df_value *root;

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(df_value_parse(DF_STR("{\"a\":[1,{\"b\":2},3],\"c\":4}"), &a, &root, NULL), DF_PARSE_OK);
	assert_json(df_object_get_c(root, "a"), "[1,{\"b\":2},3]");
	assert_json(df_array_get(df_object_get_c(root, "a"), 1), "{\"b\":2}");
	assert_json(df_array_get(df_object_get_c(root, "a"), 0), "1");
	df_arena_done(&a);
}

static void test_escaped_source(void **state)
{
	struct df_arena a;
	struct df_value *root;

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(
		df_value_parse(DF_STR("[\"\\/\\u002f\\u0009\\uD800\\uD83d\\uDe00\\uDFFF!\"]"), &a, &root, NULL),
		DF_PARSE_OK);
	assert_json(root, "[\"//\\t\\uD800\xF0\x9F\x98\x80\\uDFFF!\"]");
	/* Once decoded, the digits of a lone surrogate are ours. */
	assert_int_equal(df_value_unescape(root->first, &a), 0);
	assert_json(root, "[\"//\\t\\ud800\xF0\x9F\x98\x80\\udfff!\"]");
	df_arena_done(&a);
}

/* A buffer that is too small fails, keeps what it had, and stays failed. */
static void test_buffer_full(void **state)
{
	struct df_arena a;
	struct df_value *root;
	struct df_buf buf = { .max = 64 };

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(df_value_parse(DF_STR("[\"0123456789\",\"0123456789\",\"0123456789\",\"0123456789\","
					       "\"0123456789\",\"0123456789\"]"),
					&a, &root, NULL),
			 DF_PARSE_OK);
	df_buf_add_c(&buf, "before");
	df_value_write(root, &buf);
	assert_true(buf.failed);
	assert_int_equal(buf.len, 6);
	df_value_write(root, &buf);
	df_json_write_string(DF_STR("x"), &buf);
	assert_true(buf.failed);
	df_buf_done(&buf);
	df_arena_done(&a);
}

/* Larger than a block of the arena. */
static void test_large(void **state)
{
	struct df_arena a;
	struct df_buf want = { 0 };

	(void)state;
	df_arena_init(&a, NULL);
	struct df_value *array = df_value_new(&a, DF_ARRAY);
	df_buf_add_char(&want, '[');
	for (int i = 0; i < 20000; i++) {
		df_array_append(array, df_value_int64(&a, i));
		df_array_append(array, df_value_string(&a, DF_STR("with \"escapes\"\n")));
		df_buf_printf(&want, "%s%d,\"with \\\"escapes\\\"\\n\"", i ? "," : "", i);
	}
	df_buf_add_char(&want, ']');
	assert_written(array, df_buf_c(&want), want.len);
	df_buf_done(&want);
	df_arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_part),	cmocka_unit_test(test_escaped_source),
		cmocka_unit_test(test_large),	cmocka_unit_test(test_buffer_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
