#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "table/raw.h"

static struct df_arena arena;

static struct df_value *json(const char *text)
{
	struct df_value *v = NULL;

	if (df_value_parse(df_str_c(text), &arena, &v, NULL) != DF_PARSE_OK)
		fail_msg("not JSON: %s", text);
	return v;
}

static int setup(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	df_arena_done(&arena);
	return 0;
}

static struct df_value *row_of(struct df_raw *raw, struct df_str payload, const char *metadata)
{
	struct df_message m = { .payload = payload, .metadata = metadata ? json(metadata) : NULL };
	struct df_value *row = NULL;

	assert_int_equal(df_raw_row(raw, &m, &arena, &row, NULL), 0);
	return row;
}

static void assert_member(struct df_value *row, const char *key, const char *text)
{
	struct df_value *v = df_object_get_c(row, key);

	assert_non_null(v);
	struct df_str found = df_value_text(v, &arena);
	if (!df_str_equal_c(found, text))
		fail_msg("%s: " DF_STR_FMT, key, DF_STR_ARG(found));
}

static void two_columns(void **state)
{
	static const struct {
		struct df_str payload;
		const char *metadata, *json, *text, *expected;
	} rows[] = {
		{ DF_STR("{\"a\": 1.0}"), "{\"k\":1}", "{\"a\": 1.0}", "{\"a\": 1.0}", "{\"k\":1}" },
		{ DF_STR("[1]"), NULL, "[1]", "[1]", "{}" },
		{ DF_STR("{\"value\":[1, 2]}"), "{\"k\":1}", "[1,2]", "[1,2]", "{}" },
		{ DF_STR("{\"_metadata\":{\"m\":2},\"value\":null}"), "{\"k\":1}", "null", "null", "{\"m\":2}" },
		{ DF_STR("{\"value\":1,\"x\":2}"), NULL, "{\"value\":1,\"x\":2}", "{\"value\":1,\"x\":2}", "{}" },
		{ DF_STR("a\"b"), "{}", "\"a\\\"b\"", "a\"b", "{}" },
		{ DF_STR(""), NULL, "\"\"", "", "{}" },
		{ DF_STR("\xff"), "{\"k\":1}", "\"/w==\"", "/w==", "{\"k\":1,\"data_encoding\":\"base64\"}" },
		{ DF_STR("\xff"), NULL, "\"/w==\"", "/w==", "{\"data_encoding\":\"base64\"}" },
	};
	df_cleanup(df_raw_freep) struct df_raw *as_json = df_raw_new(DF_RAW_JSON, false, NULL);
	df_cleanup(df_raw_freep) struct df_raw *as_text = df_raw_new(DF_RAW_TEXT, false, NULL);

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		assert_member(row_of(as_json, rows[i].payload, rows[i].metadata), "data", rows[i].json);
		assert_member(row_of(as_text, rows[i].payload, rows[i].metadata), "data", rows[i].text);
		assert_member(row_of(as_text, rows[i].payload, rows[i].metadata), "_metadata", rows[i].expected);
	}
}

static void flattened(void **state)
{
	df_cleanup(df_raw_freep) struct df_raw *raw = df_raw_new(DF_RAW_TEXT, true, "m_");
	struct df_value *row = row_of(raw, DF_STR("x"), "{\"offset\":5,\"headers\":{\"a\":\"1\"}}");

	(void)state;
	assert_int_equal(row->len, 3);
	assert_member(row, "m_offset", "5");
	assert_member(row, "m_headers", "{\"a\":\"1\"}");
	row = row_of(raw, DF_STR("{\"value\":1,\"_metadata\":{\"inner\":true}}"), "{\"offset\":5}");
	assert_int_equal(row->len, 2);
	assert_member(row, "m_inner", "true");
	/* Column names stay where they are, so that rows compare keys by address. */
	assert_ptr_equal(row_of(raw, DF_STR("x"), "{\"offset\":1}")->first->next->key,
			 row_of(raw, DF_STR("x"), "{\"offset\":2}")->first->next->key);
}

static void types_of_flattened_columns(void **state)
{
	static const struct {
		const char *key;
		enum df_class class;
	} expected[] = {
		{ "p_partition", DF_CLASS_INT32 }, { "p_offset", DF_CLASS_INT64 },
		{ "p_n", DF_CLASS_INT64 },	   { "p_ok", DF_CLASS_BOOL },
		{ "p_f", DF_CLASS_FLOAT64 },	   { "p_timestamp", DF_CLASS_TIMESTAMPTZ },
		{ "p_topic", DF_CLASS_TEXT },	   { "p_headers", DF_CLASS_TEXT },
		{ "p_mixed", DF_CLASS_TEXT },
	};
	df_cleanup(df_raw_freep) struct df_raw *raw = df_raw_new(DF_RAW_TEXT, true, "p_");
	df_cleanup(df_inference_done) struct df_inference in = { 0 };

	(void)state;
	assert_int_equal(
		df_inference_add(
			&in,
			row_of(raw, DF_STR("x"),
			       "{\"partition\":3,\"offset\":1,\"n\":1,\"ok\":true,\"f\":1,\"timestamp\":"
			       "\"2024-01-01T00:00:00.000Z\",\"topic\":\"2024-01-01T00:00:00Z\",\"headers\":{},"
			       "\"mixed\":1}"),
			NULL),
		0);
	assert_int_equal(df_inference_add(&in, row_of(raw, DF_STR("x"), "{\"f\":1.5,\"mixed\":\"a\"}"), NULL), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(expected); i++) {
		const struct df_inferred *column = df_inference_find(&in, df_str_c(expected[i].key));
		assert_non_null(column);
		if (df_raw_class(raw, column) != expected[i].class)
			fail_msg("%s: %d", expected[i].key, (int)df_raw_class(raw, column));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_columns, setup, teardown),
		cmocka_unit_test_setup_teardown(flattened, setup, teardown),
		cmocka_unit_test_setup_teardown(types_of_flattened_columns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
