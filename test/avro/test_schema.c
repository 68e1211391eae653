/* Schemas from JSON. */
#include "avro_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_bad(const char *json, const char *piece)
{
	char *text = strdup(json);
	struct df_error err = DF_ERROR_INIT;
	struct df_avro_schema *schema;
	struct df_str s = df_str_c(text);
	int code;

	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	code = df_avro_schema_parse(&s, 1, &schema, &err);
	if (code != DF_ERR_CONFIG || !strstr(err.text, piece))
		fail_msg("%s: %d (%s), wanted `%s`", json, code, err.text, piece);
	df_avro_schema_free(schema);
	free(text);
}

static void test_names(void **state)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *s = schema_of(
		"{'type':'record','name':'R','namespace':'a.b','fields':["
		"{'name':'x','type':{'type':'fixed','name':'F','size':1}},"
		"{'name':'y','type':{'type':'enum','name':'c.E','symbols':['S'],'aliases':['Old','d.Old']}},"
		"{'name':'z','type':['a.b.F','c.E','R']},"
		"{'name':'w','type':{'type':'record','name':'Q','namespace':'','fields':[{'name':'v','type':'Q'}]}}]}");
	const struct df_avro_node *r = df_avro_schema_root(s);

	(void)state;
	assert_true(df_str_equal_c(r->name, "a.b.R"));
	assert_true(df_str_equal_c(r->fields[0].node->name, "a.b.F"));
	assert_true(df_str_equal_c(r->fields[1].node->name, "c.E"));
	assert_true(df_str_equal_c(r->fields[1].node->aliases[0], "c.Old"));
	assert_true(df_str_equal_c(r->fields[1].node->aliases[1], "d.Old"));
	assert_ptr_equal(r->fields[2].node->branches[0], r->fields[0].node);
	assert_ptr_equal(r->fields[2].node->branches[2], r);
	assert_true(df_str_equal_c(r->fields[3].node->name, "Q"));
	assert_ptr_equal(r->fields[3].node->fields[0].node, r->fields[3].node);
}

/* A registry's references define what the schema names. */
static void test_references(void **state)
{
	const struct df_str texts[] = {
		DF_STR("{\"type\":\"record\",\"name\":\"a.A\",\"fields\":[]}"),
		DF_STR("{\"type\":\"record\",\"name\":\"a.B\",\"fields\":[{\"name\":\"x\",\"type\":\"A\"}]}"),
		DF_STR("[\"null\",\"a.B\",\"a.A\"]")
	};
	struct df_avro_schema *schema;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(df_avro_schema_parse(texts, 3, &schema, &err), 0);
	assert_int_equal(df_avro_schema_root(schema)->count, 3);
	df_avro_schema_free(schema);
	assert_int_equal(df_avro_schema_parse(texts + 1, 2, &schema, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "unknown type `a.A`"));
}

static void test_lenient(void **state)
{
	(void)state;
	df_avro_schema_free(schema_of("{'type':{'type':'string','avro.java.string':'String'}}"));
	df_avro_schema_free(schema_of("{'type':'error','name':'with-hyphen','fields':[],'doc':'d','x':[1]}"));
	df_avro_schema_free(schema_of("{'type':'array','items':{'type':'array','items':['null','int']}}"));
}

static void test_wrong(void **state)
{
	(void)state;
	assert_bad("{", "not JSON");
	assert_bad("1", "a schema must be");
	assert_bad("{}", "needs a `type`");
	assert_bad("'strng'", "unknown type `strng`");
	assert_bad("{'type':'record','name':'R','fields':[{'name':'a','type':'strng'}]}",
		   "record `R`: field `a`: unknown type `strng`");
	assert_bad("{'type':'record','name':'n.R','fields':[{'name':'a','type':'strng'}]}", "unknown type `n.strng`");
	assert_bad("{'type':'record','fields':[]}", "needs a `name`");
	assert_bad("{'type':'record','name':'R'}", "list `fields`");
	assert_bad("{'type':'record','name':'R','fields':[1]}", "a field must be an object");
	assert_bad("{'type':'record','name':'R','fields':[{'type':'int'}]}", "a field needs a `name`");
	assert_bad("{'type':'record','name':'R','fields':[{'name':'a'}]}", "field `a`: it has no `type`");
	assert_bad("{'type':'record','name':'R','fields':[{'name':'a','type':'int'},{'name':'a','type':'int'}]}",
		   "`a` stands twice");
	assert_bad("{'type':'record','name':'int','fields':[]}", "primitive type");
	assert_bad("['null',{'type':'fixed','name':'F','size':1},{'type':'fixed','name':'F','size':1}]",
		   "defined twice");
	assert_bad("{'type':'fixed','name':'F','size':-1}", "needs a `size`");
	assert_bad("{'type':'enum','name':'E'}", "list `symbols`");
	assert_bad("{'type':'enum','name':'E','symbols':[1]}", "list of texts");
	assert_bad("{'type':'array'}", "needs `items`");
	assert_bad("{'type':'map'}", "needs `values`");
	assert_bad("[]", "a union needs");
	assert_bad("['int',['null']]", "directly in a union");
	assert_bad("['int','int']", "two branches `int`");
	assert_bad("[{'type':'map','values':'int'},{'type':'map','values':'long'}]", "two branches `map`");
}

/* Depth is bounded, by nesting and by names. */
static void test_deep(void **state)
{
	struct df_buf text = { 0 };
	struct df_avro_decoder *decoder;
	struct df_avro_schema *schema = NULL;
	struct df_error err = DF_ERROR_INIT;
	struct df_str s;

	(void)state;
	for (int i = 0; i < 600; i++)
		df_buf_add_c(&text, "{\"type\":\"array\",\"items\":");
	df_buf_add_c(&text, "\"int\"");
	for (int i = 0; i < 600; i++)
		df_buf_add_c(&text, "}");
	s = df_buf_str(&text);
	assert_int_equal(df_avro_schema_parse(&s, 1, &schema, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "nested more than"));
	df_buf_done(&text);

	df_buf_add_c(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
	for (int i = 1; i < 20000; i++)
		df_buf_printf(&text,
			      ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"f\",\"type\":\"R%d\"}]}",
			      i, i - 1);
	df_buf_add_c(&text, "]");
	s = df_buf_str(&text);
	assert_int_equal(df_avro_schema_parse(&s, 1, &schema, &err), 0);
	/* From R0 on each is known when the next one is resolved ... */
	assert_int_equal(df_avro_decoder_new(schema, NULL, &decoder, &err), 0);
	df_avro_decoder_free(decoder);
	df_avro_schema_free(schema);
	/* ... the other way round none is. */
	df_buf_add_c(&text, "\n");
	struct df_str both[] = { df_buf_str(&text), DF_STR("\"R19999\"") };
	assert_int_equal(df_avro_schema_parse(both, 2, &schema, &err), 0);
	assert_int_equal(df_avro_decoder_new(schema, NULL, &decoder, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "nest more than"));
	df_avro_schema_free(schema);
	df_buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_references), cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_wrong), cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
