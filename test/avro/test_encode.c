/* Encoding: which branch of a union, what is missing, and everything that does not fit. What fits is in test_decode.c.
 */
#include "avro_test.h"

#define REC(fields) "{'type':'record','name':'R','fields':[" fields "]}"
#define LOGICAL(type, name) "{'type':'" type "','logicalType':'" name "'}"

static void test_forms(void **state)
{
	(void)state;
	assert_encodes("'int'", "5.0", "0a");
	assert_encodes("'long'", "1e3", "d00f");
	assert_encodes("'float'", "16777216", "0000804b");
	assert_encodes("'double'", "1", "000000000000f03f");
	assert_encodes("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "1.5", "040096");
	assert_encodes("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "1.500", "040096");
	assert_encodes("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "'1.5'", "040096");
	assert_encodes("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "0.15e1", "040096");
	assert_encodes("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "0", "0200");
	assert_encodes(LOGICAL("long", "timestamp-millis"), "'1970-01-01T01:00:00.0019+01:00'",
		       "02"); /* finer digits are cut */
	assert_encodes(LOGICAL("long", "local-timestamp-millis"), "'1970-01-01 00:00:00.001'", "02");
	assert_encodes(LOGICAL("string", "uuid"), "'00010203-0405-0607-0809-0A0B0C0D0E0F'",
		       "48 30303031303230332d303430352d303630372d303830392d306130623063306430653066");
	assert_encodes("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "'P2W'",
		       "00000000 0e000000 00000000");
	assert_encodes("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "'PT0.0019S'",
		       "00000000 00000000 01000000");
	/* Members in any order. */
	assert_encodes(REC("{'name':'a','type':'int'},{'name':'b','type':'int'},{'name':'c','type':'int'}"),
		       "{'c':3,'a':1,'b':2}", "02 04 06");
}

static void test_missing(void **state)
{
	(void)state;
	assert_encodes(REC("{'name':'a','type':'int','default':7},{'name':'b','type':['null','int']},"
			   "{'name':'c','type':['int','null']},{'name':'d','type':'null'}"),
		       "{}", "0e 00 02");
	assert_encodes(REC("{'name':'a','type':['string','null'],'default':'x'}"), "{}", "00 0278");
	assert_encodes(REC("{'name':'a','type':['null','string'],'default':'x'}"), "{}", "02 0278");
	assert_no_encode(REC("{'name':'a','type':'int'}"), "{}", "field `a`: it is missing");
	assert_no_encode(REC("{'name':'a','type':'int','default':'x'}"), "{}", "field `a`: the default is a string");
	assert_no_encode(REC("{'name':'a','type':{'type':'record','name':'Q','fields':[{'name':'b','type':'int'}]}}"),
			 "{'a':{}}", "field `a.b`: it is missing");
}

static void test_unions(void **state)
{
	static const char times[] = "['null','string'," LOGICAL("long", "timestamp-micros") "]";
	static const char numbers[] =
		"['float','double','int','long',{'type':'bytes','logicalType':'decimal','precision':30,'scale':3}]";
	static const char two[] =
		"[{'type':'record','name':'A','fields':[{'name':'x','type':'int'}]},"
		"{'type':'record','name':'B','fields':[{'name':'y','type':'int'},{'name':'z','type':'int','default':0}]}]";

	(void)state;
	assert_encodes(times, "'1970-01-01T00:00:00.000001Z'",
		       "02 36 313937302d30312d30315430303a30303a30302e3030303030315a");
	assert_encodes(numbers, "1", "04 02");
	assert_encodes(numbers, "3000000000", "06 80f882ad16");
	assert_encodes(numbers, "1.5", "08 0405dc");
	assert_encodes(numbers, "1.0005", "02 355eba490c02f03f"); /* more digits than the decimal has */
	assert_encodes(numbers, "'NaN'", "00 0000c07f");
	assert_encodes(two, "{'y':1}", "02 02 00");
	assert_encodes(two, "{'x':1}", "00 02");
	assert_encodes(two, "{'B':{'y':1,'z':2}}", "02 02 04");
	assert_no_encode(two, "{'q':1}", "none of its branches");
	assert_no_encode(two, "1", "none of its branches");
	assert_encodes("['null',{'type':'enum','name':'E','symbols':['A']},'string']", "'A'", "02 00");
	assert_encodes("['null',{'type':'enum','name':'E','symbols':['A']},'string']", "'B'", "04 0242");
	/* With one branch beside null the reason is that branch's. */
	assert_no_encode("['null','int']", "'x'", "a string does not fit `int`");
	assert_no_encode("['int']", "null", "none of its branches");
}

/* What carries a logical type finds its branch by it. */
static void test_typed(void **state)
{
	static const char json[] =
		"['string',{'type':'long','logicalType':'timestamp-micros'},'bytes','double','float']";
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *schema = NULL;
	struct df_arena arena = { 0 };
	struct df_value *v = df_value_string(&arena, DF_STR("1970-01-01T00:00:00.000001Z"));
	struct df_buf out = { 0 };

	(void)state;
	schema = schema_of(json);
	v->logical = DF_LOGICAL_TIMESTAMPTZ;
	assert_int_equal(df_avro_encode(schema, v, &arena, &out, NULL), 0);
	assert_memory_equal(out.data, "\x02\x02", 2);
	out.len = 0;
	assert_int_equal(df_avro_encode(schema, df_value_bytes(&arena, DF_STR("\xff")), &arena, &out, NULL), 0);
	assert_memory_equal(out.data, "\x04\x02\xff", 3);
	out.len = 0;
	v = df_value_float64(&arena, 1.5);
	v->logical = DF_LOGICAL_FLOAT32;
	assert_int_equal(df_avro_encode(schema, v, &arena, &out, NULL), 0);
	assert_int_equal(out.data[0], 8);
	df_buf_done(&out);
	df_arena_done(&arena);
}

static void test_misfits(void **state)
{
	static const char date[] = LOGICAL("int", "date"), stamp[] = LOGICAL("long", "timestamp-millis");
	static const char span[] = "{'type':'fixed','name':'D','size':12,'logicalType':'duration'}";
	static const char decimal[] = "{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}";

	(void)state;
	assert_no_encode("'null'", "0", "a number does not fit `null`");
	assert_no_encode("'boolean'", "0", "a number does not fit `boolean`");
	assert_no_encode("'int'", "2147483648", "out of range");
	assert_no_encode("'int'", "0.5", "not whole");
	assert_no_encode("'int'", "'1'", "a string does not fit `int`");
	assert_no_encode("'long'", "9223372036854775808", "out of range");
	assert_no_encode("'float'", "1e39", "out of range");
	assert_no_encode("'double'", "1e400", "out of range");
	assert_no_encode("'float'", "16777217", "lose digits");
	assert_no_encode("'double'", "9007199254740993", "lose digits");
	assert_no_encode("'double'", "9223372036854775807", "lose digits");
	assert_no_encode("'double'", "'1'", "a string does not fit");
	assert_no_encode("'string'", "1", "a number does not fit `string`");
	assert_no_encode("'string'", "'\\ud800'", "not valid Unicode");
	assert_no_encode("'bytes'", "'!'", "not base64");
	assert_no_encode("{'type':'fixed','name':'F','size':2}", "'AAH/'", "its length is another");
	assert_no_encode("{'type':'enum','name':'E','symbols':['A']}", "'B'", "no symbol");
	assert_no_encode("{'type':'array','items':'int'}", "{}", "an object does not fit `array`");
	assert_no_encode("{'type':'map','values':'int'}", "[]", "does not fit `map`");
	assert_no_encode(REC(""), "[]", "does not fit `R`");
	assert_no_encode(REC(""), "{'b':1}", "field `b`: the schema's `R` has no such field");
	assert_no_encode(REC("{'name':'a','type':{'type':'array','items':'int'}}"), "{'a':[1,'secret']}",
			 "field `a[1]`: a string does not fit `int`");
	assert_no_encode(date, "'2023-02-29'", "no date");
	assert_no_encode(date, "'2023-02-28T00:00:00Z'", "no date");
	assert_no_encode(date, "1", "does not fit");
	assert_no_encode(LOGICAL("int", "time-millis"), "'24:00:00'", "no time");
	assert_no_encode(LOGICAL("int", "time-millis"), "'10:00:00Z'", "no time");
	assert_no_encode(stamp, "'1970-01-01T00:00:00'", "no time like");
	assert_no_encode(LOGICAL("long", "timestamp-nanos"), "'9999-01-01T00:00:00Z'", "out of range");
	assert_no_encode(LOGICAL("string", "uuid"), "'00010203-0405-0607-0809-0a0b0c0d0e0g'", "no uuid");
	assert_no_encode(LOGICAL("string", "uuid"), "'000102030405-0607-0809-0a0b0c0d0e0f0'", "no uuid");
	assert_no_encode(decimal, "1.501", "more digits");
	assert_no_encode(decimal, "100", "more digits");
	assert_no_encode(decimal, "'x'", "no number");
	assert_no_encode(decimal, "1e100000000", "more digits");
	assert_no_encode("{'type':'fixed','name':'D','size':2,'logicalType':'decimal','precision':4,'scale':2}", "true",
			 "does not fit");
	for (size_t i = 0; i < 8; i++) {
		static const char *const bad[] = { "''",     "'P'",	"'P1'",	   "'PT'",
						   "'P-1D'", "'P1D1Y'", "'P1.5D'", "'P4294967296D'" };

		assert_no_encode(span, bad[i], "no duration");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms), cmocka_unit_test(test_missing), cmocka_unit_test(test_unions),
		cmocka_unit_test(test_typed), cmocka_unit_test(test_misfits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
