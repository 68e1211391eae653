/* Rows, columns and conversions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "table/convert.h"
#include "table/rows.h"

static struct df_arena arena;

static struct df_value *json(const char *text)
{
	struct df_value *v = NULL;

	if (df_value_parse(df_arena_dup(&arena, df_str_c(text)), &arena, &v, NULL) != DF_PARSE_OK)
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

static struct df_columns columns_abc(void)
{
	struct df_columns columns = { 0 };

	assert_non_null(df_columns_add(&columns, DF_STR("a"), DF_STR("")));
	assert_non_null(df_columns_add(&columns, DF_STR("b"), DF_STR("")));
	assert_non_null(df_columns_add(&columns, DF_STR("c"), DF_STR("")));
	return columns;
}

/* "a=1 c=3" */
static const char *map(struct df_rows *rows, const struct df_columns *columns, const char *text, struct df_row *row)
{
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_error err = DF_ERROR_INIT;

	if (df_rows_map(rows, json(text), NULL, row, &err) != 0)
		return df_arena_dup(&arena, df_str_c(err.text)).ptr;
	for (size_t i = 0; i < row->set->count; i++) {
		df_buf_printf(&out, "%s%s=", i ? " " : "", columns->items[row->set->columns[i]].name);
		df_value_write(row->values[i], &out);
	}
	return df_arena_dup(&arena, df_buf_str(&out)).ptr;
}

/* ---- mapping --------------------------------------------------------------------------------------------- */

static void maps_by_name(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	df_cleanup(df_rows_freep) struct df_rows *rows = df_rows_new(&columns, false, NULL, NULL);
	struct df_row first, row;

	(void)state;
	assert_string_equal(map(rows, &columns, "{\"c\":3,\"a\":1}", &first), "a=1 c=3");
	assert_string_equal(map(rows, &columns, "{\"c\":4,\"a\":2}", &row), "a=2 c=4");
	assert_string_equal(map(rows, &columns, "{\"a\":5,\"c\":6}", &row), "a=5 c=6");
	assert_ptr_equal(row.set, first.set);
	assert_string_equal(map(rows, &columns, "{\"b\":{\"x\":1}}", &row), "b={\"x\":1}");
	assert_ptr_not_equal(row.set, first.set);
	assert_string_equal(map(rows, &columns, "{}", &row), "");
	assert_non_null(strstr(map(rows, &columns, "{\"a\":1,\"A\":2}", &row), "\"A\""));
	columns.items[1].read_only = true;
	df_rows_forget(rows);
	assert_non_null(strstr(map(rows, &columns, "{\"b\":1}", &row), "computed"));
}

static void ignores_and_counts_unknown_keys(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	df_cleanup(df_rows_freep) struct df_rows *rows = df_rows_new(&columns, true, NULL, NULL);
	struct df_row row;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_string_equal(map(rows, &columns, "{\"x\":0,\"c\":3,\"y\":1}", &row), "c=3");
		assert_int_equal(row.unknown, 2);
	}
}

/* Documents that transformers built may hold a key twice: the last counts, as in a JSON text. */
static void the_last_of_equal_keys(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	df_cleanup(df_rows_freep) struct df_rows *rows = df_rows_new(&columns, false, NULL, NULL);
	struct df_value *v = json("{\"a\":1,\"b\":2}");
	struct df_row row;

	(void)state;
	df_object_append(v, DF_STR("a"), df_value_int64(&arena, 3));
	assert_int_equal(df_rows_map(rows, v, &arena, &row, NULL), 0);
	assert_int_equal(row.set->count, 2);
	assert_int_equal(row.values[0]->int64, 3);
}

/* The same address can hold another key once the documents are gone. */
static void addresses_are_forgotten(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	df_cleanup(df_rows_freep) struct df_rows *rows = df_rows_new(&columns, false, NULL, NULL);
	char text[] = "{\"a\":1}";
	struct df_value *v = NULL;
	struct df_row row;

	(void)state;
	assert_int_equal(df_value_parse(df_str_c(text), &arena, &v, NULL), DF_PARSE_OK);
	assert_int_equal(df_rows_map(rows, v, NULL, &row, NULL), 0);
	assert_int_equal(row.set->columns[0], 0);
	df_rows_begin(rows);
	text[2] = 'b';
	assert_int_equal(df_value_parse(df_str_c(text), &arena, &v, NULL), DF_PARSE_OK);
	assert_int_equal(df_rows_map(rows, v, NULL, &row, NULL), 0);
	assert_int_equal(row.set->columns[0], 1);
}

static void count_release(void *arg, void *user)
{
	assert_ptr_equal(arg, user);
	++*(int *)arg;
}

static void many_shapes_are_forgotten(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = { 0 };
	int released = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_non_null(df_columns_add(&columns, df_str_c(name), DF_STR("")));
	}
	struct df_rows *rows = df_rows_new(&columns, false, count_release, &released);
	for (int i = 0; i < 300; i++) {
		struct df_row row;
		char text[32];

		snprintf(text, sizeof(text), "{\"c%d\":%d}", i, i);
		snprintf(name, sizeof(name), "c%d=%d", i, i);
		assert_string_equal(map(rows, &columns, text, &row), name);
		row.set->user = &released;
	}
	assert_int_equal(released, 0);
	df_rows_begin(rows);
	assert_int_equal(released, 300);
	df_rows_free(rows);
}

static void bodies(void **state)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	static const struct {
		const char *payload, *row; /* row NULL: refused */
	} rows[] = {
		{ "{\"a\":1}", "{\"a\":1}" },
		{ "{\"value\":{\"a\":1},\"_metadata\":{}}", "{\"a\":1}" },
		{ "{\"value\":{\"a\":1}}", "{\"value\":{\"a\":1}}" },
		{ "{\"value\":1,\"_metadata\":{}}", "{\"value\":1,\"_metadata\":{}}" },
		{ "{\"value\":{},\"_metadata\":{},\"x\":1}", "{\"value\":{},\"_metadata\":{},\"x\":1}" },
		{ "[1]", NULL },
		{ "nope", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_message m = { .payload = df_str_c(rows[i].payload) };
		struct df_value *row;
		int code = df_row_body(&m, &arena, &columns, &row, NULL);

		assert_int_equal(code, rows[i].row ? 0 : DF_ERR_INVALID_DATA);
		if (rows[i].row)
			assert_true(df_value_equal(row, json(rows[i].row)));
	}
	assert_non_null(df_columns_add(&columns, DF_STR("value"), DF_STR("")));
	struct df_message m = { .payload = DF_STR("{\"value\":{\"a\":1},\"_metadata\":{}}") };
	struct df_value *row;
	assert_int_equal(df_row_body(&m, &arena, &columns, &row, NULL), 0);
	assert_int_equal(row->len, 2);
}

/* ---- grouping -------------------------------------------------------------------------------------------- */

/* "ac:0,2 b:1": the groups' columns and the rows in them. */
static const char *group(const char *const *texts, size_t count, bool unique)
{
	df_cleanup(df_columns_done) struct df_columns columns = columns_abc();
	df_cleanup(df_rows_freep) struct df_rows *rows = df_rows_new(&columns, false, NULL, NULL);
	df_cleanup(df_buf_done) struct df_buf out = { 0 };
	struct df_group_row list[16] = { 0 };
	struct df_group *groups;
	size_t key = 0, group_count;

	for (size_t i = 0; i < count; i++) {
		list[i].index = i;
		assert_int_equal(df_rows_map(rows, json(texts[i]), &arena, &list[i].row, NULL), 0);
		list[i].key = df_row_key_hash(&list[i].row, &key, 1, &arena);
	}
	assert_int_equal(df_rows_group(list, count, unique, &arena, &groups, &group_count), 0);
	for (size_t g = 0; g < group_count; g++) {
		df_buf_add_c(&out, g ? " " : "");
		for (size_t i = 0; i < groups[g].set->count; i++)
			df_buf_add_c(&out, columns.items[groups[g].set->columns[i]].name);
		for (size_t i = 0; i < groups[g].count; i++)
			df_buf_printf(&out, "%c%zu", i ? ',' : ':', groups[g].rows[i]->index);
	}
	return df_arena_dup(&arena, df_buf_str(&out)).ptr;
}

static void groups_keep_the_order_of_a_key(void **state)
{
	static const char *const mixed[] = { "{\"a\":1}", "{\"a\":2,\"b\":0}", "{\"a\":3}", "{\"a\":4,\"b\":0}" };
	static const char *const same[] = { "{\"a\":1}", "{\"a\":1.0,\"b\":0}", "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" };
	static const char *const none[] = { "{\"b\":1}", "{\"c\":1}", "{\"b\":1}", "{\"a\":null,\"b\":1}" };

	(void)state;
	assert_string_equal(group(mixed, 4, true), "a:0,2 ab:1,3");
	assert_string_equal(group(same, 5, false), "a:0 ab:1 a:2,3,4");
	assert_string_equal(group(same, 5, true), "a:0 ab:1 a:2,3 a:4");
	assert_string_equal(group(none, 4, true), "b:0,2 c:1 ab:3");
	assert_string_equal(group(none, 0, true), "");
}

/* ---- inference ------------------------------------------------------------------------------------------- */

static void infers_the_widest(void **state)
{
	static const struct {
		const char *values; /* JSON array: one value a row */
		enum df_class class;
		bool int64, exact, rfc3339;
		unsigned integer, fraction;
	} rows[] = {
		{ "[null,null]", DF_CLASS_NULL, true, true, false, 0, 0 },
		{ "[true,null,false]", DF_CLASS_BOOL, true, true, false, 0, 0 },
		{ "[1,-22]", DF_CLASS_NUMBER, true, true, false, 2, 0 },
		{ "[1,2.50]", DF_CLASS_NUMBER, false, true, false, 1, 1 },
		{ "[1e3,0.001]", DF_CLASS_NUMBER, false, true, false, 4, 3 },
		{ "[9007199254740993,0.5]", DF_CLASS_NUMBER, false, true, false, 16, 1 },
		{ "[12345678901234567890]", DF_CLASS_NUMBER, false, false, false, 20, 0 },
		{ "[1,true]", DF_CLASS_TEXT, true, true, false, 1, 0 },
		{ "[\"a\",1]", DF_CLASS_TEXT, true, true, false, 1, 0 },
		{ "[\"a\",{}]", DF_CLASS_JSON, true, true, false, 0, 0 },
		{ "[\"2024-01-01T00:00:00Z\",null,\"2024-01-01T00:00:00.5+01:00\"]", DF_CLASS_TEXT, true, true, true, 0,
		  0 },
		{ "[\"2024-01-01T00:00:00Z\",\"x\"]", DF_CLASS_TEXT, true, true, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_inference_done) struct df_inference in = { 0 };

		df_for_each (v, json(rows[i].values)) {
			struct df_value *row = df_value_new(&arena, DF_OBJECT);
			df_object_append(row, DF_STR("k"), df_value_clone(v, &arena));
			assert_int_equal(df_inference_add(&in, row, NULL), 0);
		}
		const struct df_inferred *k = df_inference_find(&in, DF_STR("k"));
		if (k->class != rows[i].class || k->int64 != rows[i].int64 || k->exact != rows[i].exact ||
		    k->rfc3339 != rows[i].rfc3339)
			fail_msg("%s: class %d, int64 %d, exact %d, rfc3339 %d", rows[i].values, (int)k->class,
				 k->int64, k->exact, k->rfc3339);
		assert_int_equal(k->integer_digits, rows[i].integer);
		assert_int_equal(k->fraction_digits, rows[i].fraction);
	}
}

static void logical_types_come_first(void **state)
{
	static const struct {
		enum df_logical a, b;
		enum df_class class;
	} rows[] = {
		{ DF_LOGICAL_INT32, DF_LOGICAL_INT64, DF_CLASS_INT64 },
		{ DF_LOGICAL_INT64, DF_LOGICAL_DECIMAL, DF_CLASS_DECIMAL },
		{ DF_LOGICAL_INT32, DF_LOGICAL_FLOAT32, DF_CLASS_FLOAT64 },
		{ DF_LOGICAL_FLOAT32, DF_LOGICAL_FLOAT64, DF_CLASS_FLOAT64 },
		{ DF_LOGICAL_INT64, DF_LOGICAL_FLOAT64, DF_CLASS_NUMBER },
		{ DF_LOGICAL_INT64, DF_LOGICAL_NONE, DF_CLASS_NUMBER },
		{ DF_LOGICAL_DATE, DF_LOGICAL_TIMESTAMP, DF_CLASS_TIMESTAMP },
		{ DF_LOGICAL_TIMESTAMPTZ, DF_LOGICAL_DATE, DF_CLASS_TIMESTAMPTZ },
		{ DF_LOGICAL_DATE, DF_LOGICAL_TIME, DF_CLASS_TEXT },
		{ DF_LOGICAL_UUID, DF_LOGICAL_UUID, DF_CLASS_UUID },
		{ DF_LOGICAL_UUID, DF_LOGICAL_TEXT, DF_CLASS_TEXT },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_inference_done) struct df_inference in = { 0 };
		struct df_value *a = json("{\"k\":1}");
		struct df_value *b = json("{\"k\":2}");

		a->first->logical = (uint8_t)rows[i].a;
		b->first->logical = (uint8_t)rows[i].b;
		assert_int_equal(df_inference_add(&in, a, NULL), 0);
		assert_int_equal(df_inference_add(&in, b, NULL), 0);
		if (in.items[0].class != rows[i].class)
			fail_msg("row %zu: class %d", i, (int)in.items[0].class);
	}
}

static void keys_of_all_rows(void **state)
{
	df_cleanup(df_inference_done) struct df_inference in = { 0 };

	(void)state;
	assert_int_equal(df_inference_add(&in, json("{\"b\":1,\"a\":2}"), NULL), 0);
	assert_int_equal(df_inference_add(&in, json("{\"a\":null,\"c\":3,\"b\":4}"), NULL), 0);
	assert_int_equal(in.count, 3);
	assert_true(df_inferred_always(&in, df_inference_find(&in, DF_STR("b"))));
	assert_false(df_inferred_always(&in, df_inference_find(&in, DF_STR("a"))));
	assert_false(df_inferred_always(&in, df_inference_find(&in, DF_STR("c"))));
	df_inference_sort(&in);
	assert_true(df_str_equal_c(in.items[0].name, "a"));
	assert_int_equal(df_inference_add(&in, json("{\"\":1}"), NULL), DF_ERR_INVALID_DATA);
}

/* ---- conversions ----------------------------------------------------------------------------------------- */

static void conversions(void **state)
{
	struct df_civil t;
	struct df_str s;
	int64_t i;
	double d;
	bool b;

	(void)state;
	assert_int_equal(df_convert_int64(json("-5.0"), &arena, &i, NULL), 0);
	assert_int_equal(i, -5);
	assert_int_equal(df_convert_int64(json("\"12\""), &arena, &i, NULL), 0);
	assert_int_equal(df_convert_int64(json("\"+12\""), &arena, &i, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_int64(json("0.1"), &arena, &i, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_int64(json("{}"), &arena, &i, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_double(json("123456789.123456789"), &arena, &d, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_double(json("123456789.12345678"), &arena, &d, NULL), 0);
	assert_int_equal(df_convert_double(json("\"-Infinity\""), &arena, &d, NULL), 0);
	assert_true(d < -1e308);
	assert_int_equal(df_convert_bool(json("\"true\""), &arena, &b, NULL), 0);
	assert_true(b);
	assert_int_equal(df_convert_bool(json("\"0\""), &arena, &b, NULL), 0);
	assert_false(b);
	assert_int_equal(df_convert_bool(json("\"yes\""), &arena, &b, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_bytes(json("\"\\\\x0g\""), &arena, &s, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_convert_bytes(json("\"\\\\x\""), &arena, &s, NULL), 0);
	assert_int_equal(s.len, 0);
	assert_int_equal(df_convert_timestamp(json("\"2024-01-01T00:30:00+01:00\""), &arena, &t, NULL), 0);
	assert_int_equal(t.year, 2023);
	assert_int_equal(t.hour, 23);
	assert_int_equal(df_convert_timestamp(json("\"2024-01-01T25:00:00\""), &arena, &t, NULL), DF_ERR_INVALID_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(maps_by_name),
		TEST(ignores_and_counts_unknown_keys),
		TEST(the_last_of_equal_keys),
		TEST(addresses_are_forgotten),
		TEST(many_shapes_are_forgotten),
		TEST(bodies),
		TEST(groups_keep_the_order_of_a_key),
		TEST(infers_the_widest),
		TEST(logical_types_come_first),
		TEST(keys_of_all_rows),
		TEST(conversions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
