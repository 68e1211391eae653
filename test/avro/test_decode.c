/* Decoding: bytes from the specification and by hand, schema resolution, and everything that is no Avro. */
#include "avro_test.h"

#include <math.h>
#include <string.h>

#define REC(fields) "{'type':'record','name':'R','fields':[" fields "]}"

static void test_primitives(void **state)
{
	(void)state;
	assert_codec("'null'", "null", "");
	assert_codec("'boolean'", "true", "01");
	assert_codec("'boolean'", "false", "00");
	/* The specification's table. */
	assert_codec("'int'", "0", "00");
	assert_codec("'int'", "-1", "01");
	assert_codec("'int'", "1", "02");
	assert_codec("'int'", "-2", "03");
	assert_codec("'int'", "2", "04");
	assert_codec("'int'", "-64", "7f");
	assert_codec("'int'", "64", "8001");
	assert_codec("'int'", "2147483647", "feffffff0f");
	assert_codec("'int'", "-2147483648", "ffffffff0f");
	assert_codec("'long'", "9223372036854775807", "feffffffffffffffff01");
	assert_codec("'long'", "-9223372036854775808", "ffffffffffffffffff01");
	assert_codec("'float'", "1.5", "0000c03f");
	assert_codec("'float'", "0.1", "cdcccc3d");
	assert_codec("'double'", "0.1", "9a9999999999b93f");
	assert_codec("'double'", "-1.5e+300", "355800662deb41fe");
	assert_codec("'double'", "'NaN'", "000000000000f87f");
	assert_codec("'float'", "'-Infinity'", "000080ff");
	assert_codec("'string'", "'foo'", "06666f6f");
	assert_codec("'string'", "''", "00");
	assert_codec("'string'", "'\xc3\xa9\\n'", "06c3a90a");
	assert_codec("'bytes'", "'AAH/'", "060001ff");
	assert_codec("{'type':'fixed','name':'F','size':3}", "'AAH/'", "0001ff");
	assert_codec("{'type':'enum','name':'E','symbols':['A','B','C','D']}", "'D'", "06");
	assert_int_equal(logical_of("'int'", "02"), DF_LOGICAL_INT32);
	assert_int_equal(logical_of("'long'", "02"), DF_LOGICAL_INT64);
	assert_int_equal(logical_of("'float'", "0000c03f"), DF_LOGICAL_FLOAT32);
	assert_int_equal(logical_of("'double'", "9a9999999999b93f"), DF_LOGICAL_FLOAT64);
	assert_int_equal(logical_of("'string'", "06666f6f"), DF_LOGICAL_TEXT);
	assert_int_equal(logical_of("'bytes'", "060001ff"), DF_LOGICAL_BYTES);
}

static void test_containers(void **state)
{
	(void)state;
	/* The specification's examples. */
	assert_codec(REC("{'name':'a','type':'long'},{'name':'b','type':'string'}"), "{'a':27,'b':'foo'}",
		     "3606666f6f");
	assert_codec("{'type':'array','items':'long'}", "[3,27]", "04063600");
	assert_codec("{'type':'array','items':'long'}", "[]", "00");
	assert_codec("{'type':'map','values':'int'}", "{'x':1,'y':-1}", "04 0278 02 0279 01 00");
	assert_codec("['null','string']", "null", "00");
	assert_codec("['null','string']", "'a'", "020261");
	assert_codec(REC(""), "{}", "");
	/* Several blocks, and blocks with their size. */
	assert_decodes("{'type':'array','items':'long'}", "02 06 02 36 00", "[3,27]");
	assert_decodes("{'type':'array','items':'long'}", "03 04 06 36 00", "[3,27]");
	assert_decodes("{'type':'map','values':'int'}", "01 06 0278 02 00", "{'x':1}");
	/* A list of trees: recursion. */
	assert_codec(
		"{'type':'record','name':'T','fields':[{'name':'v','type':'int'},{'name':'next','type':['null','T']}]}",
		"{'v':1,'next':{'v':2,'next':null}}", "02 02 04 00");
	assert_codec("{'type':'record','name':'a.T','fields':[{'name':'c','type':{'type':'array','items':'T'}}]}",
		     "{'c':[{'c':[]},{'c':[]}]}", "04 00 00 00");
}

static void test_unions(void **state)
{
	static const char records[] =
		"['null','int',{'type':'record','name':'n.R','fields':[{'name':'a','type':'int'}]},"
		"{'type':'map','values':'int'},{'type':'array','items':'int'}]";

	(void)state;
	assert_codec(records, "null", "00");
	assert_codec(records, "5", "02 0a");
	assert_codec(records, "{'n.R':{'a':1}}", "04 02");
	assert_codec(records, "{'map':{'k':1}}", "06 02 026b 02 00");
	assert_codec(records, "[1]", "08 02 02 00");
	/* One branch beside null needs no name. */
	assert_codec("[{'type':'record','name':'n.R','fields':[{'name':'a','type':'int'}]},'null']", "{'a':1}",
		     "00 02");
	assert_codec("[{'type':'map','values':'int'}]", "{'k':1}", "00 02 026b 02 00");
}

static void test_logical(void **state)
{
	(void)state;
#define LOGICAL(type, name) "{'type':'" type "','logicalType':'" name "'}"
	assert_codec(LOGICAL("int", "date"), "'1970-01-01'", "00");
	assert_codec(LOGICAL("int", "date"), "'2024-02-29'", "8cb502");
	assert_codec(LOGICAL("int", "date"), "'0001-01-01'", "f3e457");
	assert_codec(LOGICAL("int", "time-millis"), "'01:02:03.004'", "f8bbc603");
	assert_codec(LOGICAL("int", "time-millis"), "'23:59:59'", "b0e0b252");
	assert_codec(LOGICAL("long", "time-micros"), "'00:00:00.000001'", "02");
	assert_codec(LOGICAL("long", "timestamp-millis"), "'1970-01-01T00:00:00Z'", "00");
	assert_codec(LOGICAL("long", "timestamp-millis"), "'1969-12-31T23:59:59.999Z'", "01");
	assert_codec(LOGICAL("long", "timestamp-millis"), "'2024-12-31T23:59:59.5Z'", "98e8cbf28365");
	assert_codec(LOGICAL("long", "timestamp-micros"), "'1970-01-01T00:00:00.000001Z'", "02");
	assert_codec(LOGICAL("long", "timestamp-nanos"), "'1970-01-01T00:00:00.000000001Z'", "02");
	assert_codec(LOGICAL("long", "local-timestamp-millis"), "'1970-01-01T00:00:01Z'", "d00f");
	assert_codec(LOGICAL("string", "uuid"), "'00010203-0405-0607-0809-0a0b0c0d0e0f'",
		     "48 30303031303230332d303430352d303630372d303830392d306130623063306430653066");
	assert_codec("{'type':'fixed','name':'U','size':16,'logicalType':'uuid'}",
		     "'00010203-0405-0607-0809-0a0b0c0d0e0f'", "000102030405060708090a0b0c0d0e0f");
	assert_codec("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "'P1Y2M3DT4H5M6.789S'",
		     "0e000000 03000000 6568e000");
	assert_codec("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "'PT0S'",
		     "00000000 00000000 00000000");
	assert_codec("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "'P4294967295D'",
		     "00000000 ffffffff 00000000");
	assert_codec("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "10.50", "04041a");
	assert_codec("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}", "-0.01", "02ff");
	assert_codec("{'type':'fixed','name':'D','size':4,'logicalType':'decimal','precision':6,'scale':0}", "-123456",
		     "fffe1dc0");
	/* Years that RFC 3339 does not have. */
	assert_decodes(LOGICAL("int", "date"), "f884e602", "'+10000-06-04'");
	assert_decodes(LOGICAL("long", "timestamp-millis"), "ffffffffffffffffff01", "'-292275055-05-16T16:47:04.192Z'");
	assert_decodes(LOGICAL("long", "timestamp-micros"), "feffffffffffffffff01", "'+294247-01-10T04:00:54.775807Z'");
	/* A text that is no uuid stays what it is. */
	assert_decodes(LOGICAL("string", "uuid"), "0478 79", "'xy'");
	/* A logical type that does not fit is none. */
	assert_decodes(LOGICAL("string", "date"), "0278", "'x'");
	assert_decodes("{'type':'bytes','logicalType':'decimal','precision':2,'scale':3}", "0201", "'AQ=='");
	assert_decodes("{'type':'fixed','name':'D','size':1,'logicalType':'decimal','precision':3}", "01", "'AQ=='");
	assert_int_equal(logical_of(LOGICAL("int", "date"), "00"), DF_LOGICAL_DATE);
	assert_int_equal(logical_of(LOGICAL("long", "timestamp-micros"), "00"), DF_LOGICAL_TIMESTAMPTZ);
	assert_int_equal(logical_of(LOGICAL("long", "local-timestamp-micros"), "00"), DF_LOGICAL_TIMESTAMP);
	assert_int_equal(logical_of("{'type':'bytes','logicalType':'decimal','precision':4}", "0201"),
			 DF_LOGICAL_DECIMAL);
	assert_int_equal(logical_of("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}",
				    "000000000000000000000000"),
			 DF_LOGICAL_INTERVAL);
}

static void test_damage(void **state)
{
	static const char list[] = "{'type':'record','name':'T','fields':[{'name':'n','type':['null','T']}]}";

	(void)state;
	assert_no_decode("'int'", "", "Avro: byte 0: a number is cut off");
	assert_no_decode("'int'", "80", "cut off");
	assert_no_decode("'int'", "feffffff1f", "longer than 32 bits");
	assert_no_decode("'long'", "ffffffffffffffffff02", "64 bits");
	assert_no_decode("'long'", "ffffffffffffffffffff01", "64 bits");
	assert_no_decode("'boolean'", "02", "neither 0 nor 1");
	assert_no_decode("'double'", "0000", "cut off");
	assert_no_decode("'string'", "0461", "a length is larger");
	assert_no_decode("'string'", "01", "a length is larger");
	assert_no_decode("'string'", "feffffffffffffffff01", "a length is larger");
	assert_no_decode("'int'", "0200", "1 bytes are left over");
	assert_no_decode("'null'", "00", "1 bytes are left over");
	assert_no_decode("{'type':'enum','name':'E','symbols':['A']}", "02", "no such symbol");
	assert_no_decode("{'type':'enum','name':'E','symbols':['A']}", "01", "no such symbol");
	assert_no_decode("['null','int']", "04", "no such branch");
	assert_no_decode("['null','int']", "01", "no such branch");
	assert_no_decode("{'type':'array','items':'int'}", "0402", "more items than what is left");
	assert_no_decode("{'type':'array','items':'int'}", "020a", "cut off");
	assert_no_decode("{'type':'array','items':'int'}", "ffffffffffffffffff01", "out of range");
	assert_no_decode("{'type':'array','items':'int'}", "0302", "a block is larger");
	/* Values without bytes cannot be had by the million for nothing. */
	assert_no_decode("{'type':'array','items':'null'}", "feffffffff1f00", "too many values");
	assert_no_decode("{'type':'map','values':'int'}", "02 02ff 02 00", "not UTF-8");
	assert_no_decode("{'type':'fixed','name':'D','size':12,'logicalType':'duration'}", "00", "cut off");
	assert_no_decode(LOGICAL("int", "time-millis"), "01", "outside the day");
	assert_no_decode(LOGICAL("int", "time-millis"), "80f0b252", "outside the day");
	/* Endless, with and without bytes. */
	char deep[4002];
	memset(deep, '0', sizeof(deep));
	for (size_t i = 1; i < 4000; i += 2)
		deep[i] = '2';
	deep[4000] = 0;
	assert_no_decode(list, deep, "nested too deep");
	assert_no_decode("{'type':'record','name':'T','fields':[{'name':'n','type':'T'}]}", "", "nested too deep");
	/* The place, and nothing of the content. */
	assert_no_decode(REC("{'name':'a','type':{'type':'array','items':{'type':'map','values':'boolean'}}}"),
			 "02 02 026b 05 00", "field `a[0][0]`: a boolean");
	/* Text that is none becomes bytes. */
	assert_decodes("'string'", "04c328", "'wyg='");
}

static void test_resolution(void **state)
{
	static const char writer[] =
		REC("{'name':'a','type':'int'},{'name':'gone','type':{'type':'array','items':'string'}},"
		    "{'name':'b','type':'string'}");

	(void)state;
	/* Fields: order, left out, added, renamed. */
	assert_decodes_with(writer, REC("{'name':'b','type':'string'},{'name':'a','type':'int'}"), "02 02 0278 00 0279",
			    "{'b':'y','a':1}");
	assert_decodes_with(writer, REC("{'name':'a','type':'int'}"), "02 0304 0278 00 0279", "{'a':1}");
	assert_decodes_with(
		writer,
		REC("{'name':'a','type':'int'},{'name':'n','type':['null','int'],'default':null},"
		    "{'name':'d','type':{'type':'bytes','logicalType':'decimal','precision':4,'scale':2},'default':'\\u0004\\u001a'},"
		    "{'name':'m','type':{'type':'map','values':'int'},'default':{'k':1}}"),
		"02 00 0279", "{'a':1,'n':null,'d':10.50,'m':{'k':1}}");
	assert_decodes_with(writer, REC("{'name':'x','aliases':['b'],'type':'string'}"), "02 00 0279", "{'x':'y'}");
	assert_no_decode_with(writer, REC("{'name':'c','type':'int'}"), "02 00 0279", "its field `c` has no default");
	assert_no_decode_with(writer, REC("{'name':'c','type':'int','default':'x'}"), "02 00 0279", "field `c`");
	/* Names of types. */
	assert_decodes_with("{'type':'record','name':'n.R','fields':[]}", "{'type':'record','name':'m.R','fields':[]}",
			    "", "{}");
	assert_decodes_with("{'type':'record','name':'n.Q','fields':[]}",
			    "{'type':'record','name':'m.R','aliases':['n.Q'],'fields':[]}", "", "{}");
	assert_no_decode_with("{'type':'record','name':'n.Q','fields':[]}",
			      "{'type':'record','name':'m.R','fields':[]}", "", "cannot be read as `m.R`");
	assert_no_decode_with("{'type':'fixed','name':'F','size':1}", "{'type':'fixed','name':'F','size':2}", "00",
			      "cannot be read");
	/* Promotions, and none the other way. */
	assert_decodes_with("'int'", "'long'", "02", "1");
	assert_decodes_with("'int'", "'float'", "02", "1");
	assert_decodes_with("'long'", "'double'", "02", "1");
	assert_decodes_with("'float'", "'double'", "cdcccc3d", "0.10000000149011612");
	assert_decodes_with("'string'", "'bytes'", "0261", "'YQ=='");
	assert_decodes_with("'bytes'", "'string'", "0261", "'a'");
	assert_no_decode_with("'long'", "'int'", "02", "`long` of the writer's schema cannot be read as `int`");
	assert_no_decode_with("'double'", "'float'", "0000000000000000", "cannot be read");
	assert_no_decode_with("'string'", "'int'", "00", "cannot be read");
	/* Enums. */
	assert_decodes_with("{'type':'enum','name':'E','symbols':['A','B']}",
			    "{'type':'enum','name':'E','symbols':['B','A']}", "02", "'B'");
	assert_decodes_with("{'type':'enum','name':'E','symbols':['A','B']}",
			    "{'type':'enum','name':'E','symbols':['A'],'default':'A'}", "02", "'A'");
	assert_no_decode_with("{'type':'enum','name':'E','symbols':['A','B']}",
			      "{'type':'enum','name':'E','symbols':['A']}", "02", "unknown to the reader");
	/* Unions on either side. */
	assert_decodes_with("'int'", "['null','int']", "02", "1");
	assert_decodes_with("'int'", "['null','string','long']", "02", "1");
	assert_decodes_with("['null','int']", "'int'", "02 02", "1");
	assert_no_decode_with("['null','int']", "'int'", "00", "`null` of the writer's schema cannot be read as `int`");
	assert_decodes_with("['int','string']", "['string','long']", "00 02", "1");
	assert_decodes_with(REC(""), "['int'," REC("") ",'null']", "", "{'R':{}}");
	/* Decimals must agree; times only in what they mean. */
	assert_no_decode_with("{'type':'bytes','logicalType':'decimal','precision':4,'scale':2}",
			      "{'type':'bytes','logicalType':'decimal','precision':4,'scale':1}", "0201",
			      "cannot be read");
	assert_decodes_with(LOGICAL("long", "timestamp-millis"), LOGICAL("long", "timestamp-micros"), "02",
			    "'1970-01-01T00:00:00.001Z'");
	assert_decodes_with(LOGICAL("int", "date"), "'int'", "02", "1");
	assert_decodes_with("'int'", LOGICAL("int", "date"), "02", "'1970-01-02'");
	/* Recursion through different schemas. */
	assert_decodes_with(
		"{'type':'record','name':'T','fields':[{'name':'v','type':'int'},{'name':'next','type':['null','T']}]}",
		"{'type':'record','name':'T','fields':[{'name':'next','type':['null','T']},{'name':'v','type':'long'}]}",
		"02 02 04 00", "{'next':{'next':null,'v':2},'v':1}");
}

/* Documents of one batch share their keys; of the next they do not. */
static void test_keys(void **state)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *s = schema_of(REC("{'name':'a','type':'int'}"));
	df_cleanup(df_avro_decoder_freep) struct df_avro_decoder *decoder = NULL;
	struct df_arena arena = { 0 }, other = { 0 };
	struct df_value *first, *second, *third;

	(void)state;
	assert_int_equal(df_avro_decoder_new(s, NULL, &decoder, NULL), 0);
	assert_int_equal(df_avro_decode(decoder, &(struct df_avro_batch){ &arena, 1 }, DF_STR("\x02"), &first, NULL),
			 0);
	assert_int_equal(df_avro_decode(decoder, &(struct df_avro_batch){ &arena, 1 }, DF_STR("\x04"), &second, NULL),
			 0);
	assert_int_equal(df_avro_decode(decoder, &(struct df_avro_batch){ &other, 2 }, DF_STR("\x06"), &third, NULL),
			 0);
	assert_ptr_equal(first->first->key, second->first->key);
	assert_ptr_not_equal(first->first->key, third->first->key);
	assert_ptr_equal(first->last, first->first);
	df_arena_done(&arena);
	df_arena_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_primitives), cmocka_unit_test(test_containers), cmocka_unit_test(test_unions),
		cmocka_unit_test(test_logical),	   cmocka_unit_test(test_damage),     cmocka_unit_test(test_resolution),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
