/* ClickHouse: type names, wide integers, and blocks: what is encoded is decoded again. */
#include "harness.h"

#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/encode.h"
#include "connectors/clickhouse/plan.h"
#include "connectors/clickhouse/wide.h"

/* ---- types ----------------------------------------------------------------------------------------------- */

static void test_types(void **state)
{
	df_cleanup(df_arena_done) struct df_arena arena;
	struct df_ch_type *t;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_ch_type_parse(DF_STR("Map(LowCardinality(String), Array(Nullable(Decimal(76, 20))))"),
					  &arena, &t, &err),
			 0);
	assert_int_equal(t->kind, DF_CH_MAP);
	assert_int_equal(t->children[0]->children[0]->kind, DF_CH_LOW_CARDINALITY);
	const struct df_ch_type *decimal = t->children[0]->children[1]->children[0]->children[0];
	assert_int_equal(decimal->kind, DF_CH_DECIMAL);
	assert_int_equal(decimal->size, 32);
	assert_int_equal(decimal->scale, 20);

	assert_int_equal(df_ch_type_parse(DF_STR("Tuple(\n    a Int8,\n    `b ) \\` c` Enum8('x' = -1, 'y\\'' = 2))"),
					  &arena, &t, &err),
			 0);
	assert_true(df_str_equal_c(t->names[1], "b ) ` c"));
	assert_true(df_str_equal_c(t->name, "Tuple(a Int8, `b ) \\` c` Enum8('x' = -1, 'y\\'' = 2))"));
	assert_true(df_str_equal_c(t->children[1]->labels[1].name, "y'"));
	assert_int_equal(t->children[1]->labels[0].value, -1);

	assert_int_equal(
		df_ch_type_parse(DF_STR("SimpleAggregateFunction(anyLast, DateTime64(9, 'UTC'))"), &arena, &t, &err),
		0);
	assert_int_equal(t->kind, DF_CH_DATETIME64);
	assert_int_equal(t->scale, 9);
	assert_int_equal(
		df_ch_type_parse(DF_STR("Array(AggregateFunction(quantiles(0.5, 0.9), UInt64))"), &arena, &t, &err), 0);
	assert_non_null(df_ch_type_unreadable(t));
	assert_int_equal(df_ch_type_parse(DF_STR("MultiPolygon"), &arena, &t, &err), 0);
	assert_null(df_ch_type_unreadable(t));
}

static void test_malformed_types(void **state)
{
	static const char *const bad[] = { "",
					   "Array(",
					   "Array()",
					   "Array(Int8",
					   "Enum8('a' = 1",
					   "Enum8('a')",
					   "FixedString(0)",
					   "Decimal(77, 1)",
					   "Decimal(5, 6)",
					   "Map(String)",
					   "Int8)",
					   "Tuple(a Int8 Int8)",
					   "DateTime64(10)" };
	df_cleanup(df_arena_done) struct df_arena arena;
	df_cleanup(df_buf_done) struct df_buf deep = { 0 };
	struct df_ch_type *t;

	(void)state;
	df_arena_init(&arena, NULL);
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++)
		assert_int_equal(df_ch_type_parse(df_str_c(bad[i]), &arena, &t, NULL), DF_ERR_UNKNOWN);
	for (int i = 0; i < 100; i++)
		df_buf_add_c(&deep, "Array(");
	assert_int_equal(df_ch_type_parse(df_buf_str(&deep), &arena, &t, NULL), DF_ERR_UNKNOWN);
}

/* ---- wide integers --------------------------------------------------------------------------------------- */

static void check_wide(const char *number, unsigned scale, size_t size, bool is_signed, const char *text)
{
	uint8_t bytes[DF_CH_WIDE_MAX];
	char out[DF_CH_WIDE_TEXT];

	assert_int_equal(df_ch_wide_parse(df_str_c(number), scale, 0, size, is_signed, bytes), DF_CH_WIDE_OK);
	assert_true(df_str_equal_c(df_str(out, df_ch_wide_text(bytes, size, is_signed, scale, out)), text));
}

static void refuse_wide(const char *number, unsigned scale, unsigned digits, size_t size, bool is_signed,
			enum df_ch_wide_result why)
{
	uint8_t bytes[DF_CH_WIDE_MAX];

	assert_int_equal(df_ch_wide_parse(df_str_c(number), scale, digits, size, is_signed, bytes), why);
}

static void test_wide(void **state)
{
	(void)state;
	check_wide("-128", 0, 1, true, "-128");
	check_wide("1.5e3", 0, 2, false, "1500");
	check_wide("100e-2", 0, 1, false, "1");
	check_wide("-0", 0, 8, true, "0");
	check_wide("10.50", 2, 4, true, "10.50");
	check_wide("-0.01", 2, 4, true, "-0.01");
}

static void test_wide_limits(void **state)
{
	(void)state;
	check_wide("170141183460469231731687303715884105727", 0, 16, true, "170141183460469231731687303715884105727");
	check_wide("-170141183460469231731687303715884105728", 0, 16, true, "-170141183460469231731687303715884105728");
	check_wide("115792089237316195423570985008687907853269984665640564039457584007913129639935", 0, 32, false,
		   "115792089237316195423570985008687907853269984665640564039457584007913129639935");
	check_wide("1000000000000000000", 0, 8, true, "1000000000000000000");
	check_wide("1000000000000000000000000000000000001", 0, 16, true, "1000000000000000000000000000000000001");
	refuse_wide("128", 0, 0, 1, true, DF_CH_WIDE_RANGE);
	refuse_wide("-129", 0, 0, 1, true, DF_CH_WIDE_RANGE);
	refuse_wide("-1", 0, 0, 8, false, DF_CH_WIDE_RANGE);
	refuse_wide("18446744073709551616", 0, 0, 8, false, DF_CH_WIDE_RANGE);
	refuse_wide("1e400", 0, 0, 32, true, DF_CH_WIDE_RANGE);
	refuse_wide("1.5", 0, 0, 8, true, DF_CH_WIDE_FRACTION);
	refuse_wide("1e-400", 0, 0, 8, true, DF_CH_WIDE_FRACTION);
	refuse_wide("1.234", 2, 9, 4, true, DF_CH_WIDE_FRACTION);
	refuse_wide("12345678.90", 2, 9, 4, true, DF_CH_WIDE_RANGE);
}

/* ---- blocks ---------------------------------------------------------------------------------------------- */

static int append(void *arg, struct df_str bytes, struct df_error *err)
{
	(void)err;
	df_buf_add_str(arg, bytes);
	return 0;
}

struct blocks {
	struct df_arena arena;
	struct df_ch_target_column column;
	struct df_ch_encoder *encoder;
	struct df_buf bytes;
	struct df_ch_block block;
};

static void blocks_init(struct blocks *b, const char *type)
{
	struct df_ch_type *t;
	struct df_error err = DF_ERROR_INIT;

	*b = (struct blocks){ 0 };
	df_arena_init(&b->arena, NULL);
	if (df_ch_type_parse(df_str_c(type), &b->arena, &t, &err) != 0)
		fail_msg("%s: %s", type, err.text);
	b->column = (struct df_ch_target_column){ "c", t };
	assert_int_equal(df_ch_encoder_new(&b->column, 1, &b->encoder, &err), 0);
}

static void blocks_done(struct blocks *b)
{
	df_ch_encoder_free(b->encoder);
	df_ch_block_done(&b->block);
	df_buf_done(&b->bytes);
	df_arena_done(&b->arena);
}

static int add(struct blocks *b, const char *json, struct df_error *err)
{
	struct df_value *v;

	assert_int_equal(df_value_parse(df_str_c(json), &b->arena, &v, NULL), DF_PARSE_OK);
	return df_ch_encoder_add(b->encoder, &v, &b->arena, err);
}

static void decode(struct blocks *b, uint64_t revision)
{
	const struct df_ch_sink to = { append, &b->bytes };
	struct df_error err = DF_ERROR_INIT;
	struct df_ch_input in;

	b->bytes.len = 0;
	assert_int_equal(df_ch_encoder_write(b->encoder, revision, &to, &err), 0);
	df_ch_input_init(&in, df_buf_str(&b->bytes));
	if (df_ch_block_read(&b->block, &in, revision, &err) != 0)
		fail_msg("%s: %s", b->column.type->name.ptr, err.text);
	assert_ptr_equal(in.pos, in.end);
}

static void check_row(struct blocks *b, size_t row, const char *json)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v;
	bool not_utf8 = false;

	assert_int_equal(df_ch_value(&b->block.fields[0].column, row, &b->arena, &v, &not_utf8, &err), 0);
	df_value_write(v, &text);
	assert_string_equal(df_buf_c(&text), json);
}

/* Names within types are bytes to the server: a label that is no text becomes bytes, as any such text does, but a
 * position keeps it as it is. */
static void test_a_label_that_is_no_text(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_cursor_value key;
	char key_text[DF_CH_KEY_TEXT];
	bool not_utf8 = false;
	struct df_value *v;
	struct blocks b;

	(void)state;
	blocks_init(&b, "Enum8('a' = 0, '\xe1' = 1)");
	assert_int_equal(add(&b, "0", &err), 0);
	assert_int_equal(add(&b, "1", &err), 0);
	decode(&b, 0);
	assert_int_equal(df_ch_value(&b.block.fields[0].column, 0, &b.arena, &v, &not_utf8, &err), 0);
	assert_int_equal(v->logical, DF_LOGICAL_TEXT);
	assert_false(not_utf8);
	assert_int_equal(df_ch_value(&b.block.fields[0].column, 1, &b.arena, &v, &not_utf8, &err), 0);
	assert_int_equal(v->logical, DF_LOGICAL_BYTES);
	assert_true(not_utf8);
	df_value_write(v, &text);
	assert_string_equal(df_buf_c(&text), "\"4Q==\"");

	assert_int_equal(df_ch_cursor_value(&b.block.fields[0].column, 0, key_text, &key, &err), 0);
	assert_int_equal(key.kind, DF_CURSOR_TEXT);
	assert_int_equal(df_ch_cursor_value(&b.block.fields[0].column, 1, key_text, &key, &err), 0);
	assert_int_equal(key.kind, DF_CURSOR_BYTES);
	assert_true(df_str_equal_c(key.text, "\xe1"));
	blocks_done(&b);
}

/* Type, what is written, what is read when it is not the same. */
static const struct {
	const char *type, *in, *out;
} round_trips[] = {
	{ "Int8", "-128", NULL },
	{ "UInt64", "18446744073709551615", NULL },
	{ "Int16", "\"12\"", "12" },
	{ "Int256", "-57896044618658097711785492504343953926634992332820282019728792003956564819968", NULL },
	{ "Bool", "true", NULL },
	{ "Bool", "0", "false" },
	{ "Float32", "0.1", NULL },
	{ "Float64", "\"NaN\"", NULL },
	{ "BFloat16", "1.5", NULL },
	{ "Decimal(18, 4)", "-1.5", "-1.5000" },
	{ "Decimal(76, 0)", "1e20", "100000000000000000000" },
	{ "Date", "\"2149-06-06\"", NULL },
	{ "Date32", "\"1900-01-01\"", NULL },
	{ "Date32", "\"2024-02-29\"", NULL },
	{ "DateTime", "\"2024-02-29T01:00:00+02:00\"", "\"2024-02-28T23:00:00Z\"" },
	{ "DateTime", "1700000000.5", "\"2023-11-14T22:13:20Z\"" },
	{ "DateTime64(3)", "1700000000123", "\"2023-11-14T22:13:20.123Z\"" },
	{ "DateTime64(9)", "1700000000.123456789", "\"2023-11-14T22:13:20.123456789Z\"" },
	{ "DateTime64(6)", "-0.5", "\"1969-12-31T23:59:59.5Z\"" },
	{ "DateTime64(9)", "\"1969-12-31 23:59:59.999999999\"", "\"1969-12-31T23:59:59.999999999Z\"" },
	{ "Time", "\"-12:34:56\"", NULL },
	{ "Time64(3)", "\"23:59:59.1234\"", "\"23:59:59.123\"" },
	{ "Enum16('a' = 1, 'b' = 1000)", "\"b\"", NULL },
	{ "UUID", "\"61F0C404-5cb3-11e7-907b-a6006ad3dba0\"", "\"61f0c404-5cb3-11e7-907b-a6006ad3dba0\"" },
	{ "IPv4", "\"1.2.3.4\"", NULL },
	{ "IPv6", "\"1.2.3.4\"", "\"::ffff:1.2.3.4\"" },
	{ "FixedString(4)", "\"ab\"", NULL },
	{ "String", "{\"a\":[1,2]}", "\"{\\\"a\\\":[1,2]}\"" },
	{ "String", "\"h\\u00e9\"", "\"h\xc3\xa9\"" },
	{ "Nullable(String)", "null", NULL },
	{ "Array(Array(Nullable(Int8)))", "[[1,null],[],[2]]", NULL },
	{ "Tuple(Int8, String)", "[1,\"x\"]", NULL },
	{ "Tuple(a Int8, b Nullable(String))", "{\"a\":1}", "{\"a\":1,\"b\":null}" },
	{ "Tuple()", "[]", NULL },
	{ "Tuple(`a` Int8, `\xe1` Int8)", "[1,2]", NULL }, /* a name that no key can be */
	{ "Map(UInt16, Array(String))", "{\"5\":[\"p\"],\"6\":[]}", NULL },
	{ "LowCardinality(String)", "\"low\"", NULL },
	{ "LowCardinality(Nullable(String))", "null", NULL },
	{ "LowCardinality(Nullable(String))", "\"\"", NULL },
	{ "Array(LowCardinality(UInt64))", "[5,6,5]", NULL },
	{ "Variant(Array(Int8), Float64, Int64, String)", "5", NULL },
	{ "Variant(Array(Int8), Float64, Int64, String)", "[1,2]", NULL },
	{ "Variant(Array(Int8), Float64, Int64, String)", "5.5", NULL },
	{ "Variant(Array(Int8), Float64, Int64, String)", "null", NULL },
	{ "Polygon", "[[[0,0],[1,1.5]]]", NULL },
};

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(round_trips); i++) {
		for (uint64_t revision = 0; revision <= 54464; revision += 54464) {
			struct blocks b;
			struct df_error err = DF_ERROR_INIT;
			blocks_init(&b, round_trips[i].type);
			for (int row = 0; row < 3; row++)
				if (add(&b, round_trips[i].in, &err) != 0)
					fail_msg("%s %s: %s", round_trips[i].type, round_trips[i].in, err.text);
			decode(&b, revision);
			assert_int_equal(b.block.rows, 3);
			check_row(&b, 2, round_trips[i].out ? round_trips[i].out : round_trips[i].in);
			blocks_done(&b);
		}
	}
}

static const struct {
	const char *type, *in, *says;
} refusals[] = {
	{ "Int8", "128", "out of range" },
	{ "Int8", "1.5", "fraction" },
	{ "UInt8", "-1", "out of range" },
	{ "Int8", "\"x\"", "string" },
	{ "Int8", "null", "not Nullable" },
	{ "Float32", "0.123456789", "more digits" },
	{ "Float32", "1e300", "out of range" },
	{ "Float64", "0.12345678901234567890", "more digits" },
	{ "Decimal(9, 2)", "1.234", "fraction digits" },
	{ "DateTime", "\"1969-12-31T23:59:59Z\"", "outside" },
	{ "DateTime", "\"2024-02-30T00:00:00Z\"", "not a time" },
	{ "Date", "\"2024-01-01T00:00:01Z\"", "time of day" },
	{ "Date", "\"1969-12-31\"", "outside" },
	{ "DateTime64(9)", "\"2300-01-01T00:00:00Z\"", "outside" },
	{ "Time", "\"12:60:00\"", "no time" },
	{ "Enum8('a' = 1)", "\"b\"", "none of the enum" },
	{ "UUID", "\"61f0c404-5cb3-11e7-907b-a6006ad3dba\"", "no UUID" },
	{ "IPv4", "\"::1\"", "no IPv4" },
	{ "FixedString(2)", "\"abc\"", "more than 2" },
	{ "Array(UInt8)", "[1,300]", "out of range" },
	{ "Tuple(Int8, String)", "[1]", "elements" },
	{ "Tuple(a Int8)", "{\"a\":1,\"b\":2}", "a key that the tuple has not" },
	{ "Map(UInt8, String)", "{\"x\":\"y\"}", "string" },
	{ "LowCardinality(String)", "null", "not Nullable" },
	{ "Variant(Int64, UUID)", "\"x\"", "string" },
	{ "JSON", "[1]", "only an object" },
};

/* A row that is refused leaves nothing behind. */
static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(refusals); i++) {
		struct blocks b;
		struct df_error err = DF_ERROR_INIT;
		blocks_init(&b, refusals[i].type);
		assert_int_equal(add(&b, refusals[i].in, &err), DF_ERR_INVALID_DATA);
		if (!strstr(err.text, refusals[i].says) || !df_str_starts(df_str_c(err.text), DF_STR("column \"c\"")))
			fail_msg("%s %s: %s", refusals[i].type, refusals[i].in, err.text);
		assert_int_equal(df_ch_encoder_rows(b.encoder), 0);
		assert_int_equal(df_ch_encoder_bytes(b.encoder), 0);
		blocks_done(&b);
	}
}

static void test_rows_are_taken_back(void **state)
{
	struct blocks b;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	blocks_init(&b, "Array(Tuple(String, LowCardinality(Nullable(String)), Nullable(UInt8)))");
	for (int round = 0; round < 2; round++) {
		assert_int_equal(add(&b, "[[\"a\",\"x\",1],[\"b\",null,null]]", &err), 0);
		assert_int_equal(add(&b, "[[\"c\",\"y\",2],[\"d\",\"z\",256]]", &err), DF_ERR_INVALID_DATA);
		assert_int_equal(add(&b, "[]", &err), 0);
		assert_int_equal(add(&b, "[[\"e\",\"x\",3]]", &err), 0);
		decode(&b, 0);
		assert_int_equal(b.block.rows, 3);
		check_row(&b, 0, "[[\"a\",\"x\",1],[\"b\",null,null]]");
		check_row(&b, 1, "[]");
		check_row(&b, 2, "[[\"e\",\"x\",3]]");
		df_ch_encoder_reset(b.encoder);
	}
	blocks_done(&b);
}

static void test_the_hash_is_of_the_rows(void **state)
{
	struct blocks a, b;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	blocks_init(&a, "Array(String)");
	blocks_init(&b, "Array(String)");
	assert_int_equal(add(&a, "[\"x\",\"y\"]", &err), 0);
	assert_int_equal(add(&b, "[\"x\"]", &err), 0);
	assert_int_equal(add(&b, "[\"y\"]", &err), 0);
	assert_true(df_ch_encoder_hash(a.encoder).low != df_ch_encoder_hash(b.encoder).low);
	df_ch_encoder_reset(b.encoder);
	assert_int_equal(add(&b, "[\"x\",\"y\"]", &err), 0);
	assert_int_equal(df_ch_encoder_hash(a.encoder).low, df_ch_encoder_hash(b.encoder).low);
	blocks_done(&a);
	blocks_done(&b);
}

/* A block of many dictionary values, and none of the bytes too few. */
static void test_cut_blocks(void **state)
{
	struct blocks b;
	struct df_error err = DF_ERROR_INIT;
	char text[32];

	(void)state;
	blocks_init(&b, "Array(LowCardinality(String))");
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "[\"v%d\",\"w%d\"]", i % 400, i % 3);
		assert_int_equal(add(&b, text, &err), 0);
	}
	decode(&b, 54464);
	check_row(&b, 999, "[\"v199\",\"w0\"]");
	for (size_t len = 0; len < b.bytes.len; len += 7) {
		struct df_ch_input in;
		df_ch_input_init(&in, df_str(b.bytes.data, len));
		assert_int_equal(df_ch_block_read(&b.block, &in, 54464, &err), DF_ERR_CONNECTION);
	}
	blocks_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_malformed_types),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_wide_limits),
		cmocka_unit_test(test_a_label_that_is_no_text),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_rows_are_taken_back),
		cmocka_unit_test(test_the_hash_is_of_the_rows),
		cmocka_unit_test(test_cut_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
