/* What is derived from tables: every member type in the OpenAPI schema, the JSON Schema, the pages and the help. */
#include "support.h"

#include "spec/generate.h"

struct inner {
	char *a;
};

struct pick {
	char *note;
};

struct all {
	char *text, *choice, *any_case, *kept, *strict;
	struct df_secret secret, key;
	bool flag;
	int32_t small, bounded;
	int64_t large;
	struct df_opt_bool opt_flag;
	struct df_opt_int opt_small;
	struct df_opt_int64 opt_large;
	struct df_duration wait;
	struct df_strings list;
	struct df_secret_strings secret_list;
	struct df_secret_ref *ref;
	struct df_pairs pairs;
	struct df_object object, object_again;
	struct df_objects objects;
	struct df_raw raw, raw_list;
	struct df_component sink, picked;
	struct df_components chain;
	char *old;
	bool dead;
};

static const char *const choices[] = { "a", "b", NULL };

static const struct df_field inner_fields[] = {
	DF_FIELD(struct inner, a, "a", DF_REQUIRED, .doc = "An a."),
};
static const struct df_table inner_table = DF_TABLE(struct inner, inner_fields);

static const struct df_field pick_fields[] = {
	DF_FIELD(struct pick, note, "note", 0, .doc = "A note."),
};
static const struct df_table pick_table = DF_TABLE(struct pick, pick_fields);

#define S struct all
static const struct df_field all_fields[] = {
	DF_FIELD(S, text, "text", 0, .def = "x: \"y\"", .doc = "Text with | and \"quotes\".", .example = "e"),
	DF_FIELD(S, choice, "choice", 0, .def = "a", .values = choices, .doc = "One."),
	DF_FIELD(S, strict, "strict", DF_REQUIRED, .values = choices, .doc = "One."),
	DF_FIELD(S, any_case, "anyCase", DF_ANY_CASE, .values = choices, .doc = "One."),
	DF_FIELD(S, kept, "kept", DF_CRD_NO_DEFAULT, .def = "id", .doc = "Kept."),
	DF_FIELD(S, secret, "secret", DF_REQUIRED, .doc = "A secret."),
	DF_FIELD(S, key, "keyFile", 0, .ref = "keySecretRef", .doc = "A key."),
	DF_FIELD(S, flag, "flag", 0, .def = "true", .doc = "A flag."),
	DF_FIELD(S, small, "small", 0, .min = 1, .max = INT32_MAX, .def = "5", .doc = "Small."),
	DF_FIELD(S, bounded, "bounded", 0, .min = 1, .max = 9, .doc = "Bounded."),
	DF_FIELD(S, large, "large", 0, .doc = "Large."),
	DF_FIELD(S, opt_flag, "optFlag", 0, .doc = "Maybe."),
	DF_FIELD(S, opt_small, "optSmall", 0, .def_doc = "the server's", .doc = "Maybe."),
	DF_FIELD(S, opt_large, "optLarge", DF_OURS, .min = 0, .max = INT64_MAX, .doc = "Maybe."),
	DF_FIELD(S, wait, "wait", 0, .min = 1, .max = INT64_MAX, .def = "5s", .doc = "A wait."),
	DF_FIELD(S, list, "list", DF_REQUIRED, .doc = "A list."),
	DF_FIELD(S, secret_list, "secretList", 0, .doc = "A list."),
	DF_FIELD(S, ref, "plainSecretRef", 0, .doc = "A reference."),
	DF_FIELD(S, pairs, "pairs", 0, .doc = "A map."),
	DF_FIELD(S, object, "object", 0, .table = &inner_table, .doc = "An object."),
	DF_FIELD(S, object_again, "objectAgain", 0, .table = &inner_table, .doc = "An object."),
	DF_FIELD(S, objects, "objects", 0, .table = &inner_table, .doc = "Objects."),
	DF_FIELD(S, raw, "raw", 0, .doc = "Anything."),
	DF_FIELD(S, raw_list, "rawList", 0, .json = DF_ARRAY, .doc = "A list."),
	DF_FIELD(S, sink, "sink", DF_REQUIRED, .component = DF_SINK, .doc = "A sink."),
	DF_FIELD(S, picked, "picked", 0, .component = DF_SINK, .table = &pick_table, .doc = "A sink."),
	DF_FIELD(S, chain, "chain", 0, .component = DF_TRANSFORMATION, .doc = "Transformations."),
	DF_FIELD(S, text, "oldText", 0, .alias_of = "text", .doc = "The same."),
	DF_FIELD(S, old, "old", DF_DEPRECATED, .doc = "Old."),
	DF_FIELD(S, dead, "dead", DF_IGNORED, .doc = "Dead."),
};
#undef S

static void check_nothing(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	(void)settings;
	(void)place;
	(void)diags;
}

static const struct df_rule all_rules[] = {
	{ DF_RULE_ONE_OF, { "text", "secretList" } },
	{ DF_RULE_EXCLUSIVE, { "text", "list", "flag" } },
	{ DF_RULE_TOGETHER, { "text", "list" } },
	{ DF_RULE_REQUIRES, { "choice", "list", "flag" }, .value = "b" },
	{ DF_RULE_FORBIDS, { "flag", "list" } },
	{ DF_RULE_POINTLESS, { "list", "choice" }, .value = "a" },
	{ DF_RULE_CHECK, .fn = check_nothing, .text = "Told by hand" },
	{ DF_RULE_CHECK, .fn = check_nothing },
};
static const struct df_table all_table = DF_TABLE_RULES(struct all, all_fields, all_rules);

static const struct df_type sink_type = {
	.name = "one",
	.title = "The one.",
	.doc = "First paragraph.\n\nSecond paragraph.",
	.settings = &inner_table,
	.example = "type: one\nconfig:\n  a: b\n",
};
static const struct df_type later_type = {
	.name = "two-b", .title = "The other.", .settings = &all_table, .later = true
};
static const struct df_example step_examples[] = {
	{ .title = "First",
	  .doc = "It \\ teaches.",
	  .config = "type: step\nconfig: {note: n}\n",
	  .in = "1\n2\n",
	  .out = "3\n" },
	{ .title = "Second",
	  .config = "- type: step\n- type: bare\n",
	  .in = "{}\n",
	  .out = "",
	  .errors = "{\"e\":1}\n",
	  .envelope = true },
};
static const struct df_type step_type = {
	.name = "step",
	.title = "A step.",
	.settings = &pick_table,
	.settings_optional = true,
	.examples = step_examples,
	.example_count = DF_ARRAY_SIZE(step_examples),
};
static const struct df_type bare_type = { .name = "bare", .title = "Nothing to set." };
static const struct df_type *const sinks[] = { &sink_type, &later_type };
static const struct df_type *const steps[] = { &step_type, &bare_type };
static const struct df_registry registry = { { [DF_SINK] = sinks, [DF_TRANSFORMATION] = steps },
					     { [DF_SINK] = 2, [DF_TRANSFORMATION] = 2 } };

static const struct df_value *at(const struct df_value *v, const char *const *keys)
{
	for (; v && *keys; keys++)
		v = **keys == '#' ? df_array_get(v, (size_t)atoi(*keys + 1)) : df_object_get_c(v, *keys);
	return v;
}
#define AT(v, ...) at((v), (const char *const[]){ __VA_ARGS__, NULL })

/* The compact JSON at a place; "" when nothing is there. */
static const char *json(const struct df_value *v, struct df_arena *arena)
{
	return v ? df_arena_dup(arena, df_value_to_arena(v, arena)).ptr : "";
}

static void assert_in(const char *all, const char *part)
{
	if (!all || !strstr(all, part))
		fail_msg("expected \"%s\" in:\n%s", part, all ? all : "");
}

/* ---- OpenAPI --------------------------------------------------------------------------------------------- */

static void test_openapi(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_arena arena;
	const struct df_value *root, *p;

	(void)state;
	df_arena_init(&arena, NULL);
	df_buf_add_c(&text, "root:\n");
	df_generate_openapi(&all_table, &registry, 2, &text);
	root = df_object_get_c(read_one(df_buf_c(&text), &arena), "root");
	assert_string_equal(json(AT(root, "type"), &arena), "\"object\"");
	/* A secret may come by its twin: never required here. */
	assert_string_equal(json(AT(root, "required"), &arena), "[\"strict\",\"list\",\"sink\"]");
	p = df_object_get_c(root, "properties");
	assert_string_equal(json(AT(p, "text"), &arena),
			    "{\"description\":\"Text with | and \\\"quotes\\\".\",\"type\":"
			    "\"string\",\"default\":\"x: \\\"y\\\"\"}");
	assert_string_equal(json(AT(p, "choice", "enum"), &arena), "[\"a\",\"b\",\"\"]");
	assert_string_equal(json(AT(p, "choice", "default"), &arena), "\"a\"");
	assert_string_equal(json(AT(p, "strict", "enum"), &arena), "[\"a\",\"b\"]");
	assert_null(AT(p, "anyCase", "enum"));
	assert_null(AT(p, "kept", "default"));
	assert_string_equal(json(AT(p, "secret", "type"), &arena), "\"string\"");
	assert_string_equal(json(AT(p, "secretSecretRef", "required"), &arena), "[\"name\",\"key\"]");
	assert_non_null(AT(p, "secretSecretRef", "properties", "namespace"));
	assert_non_null(AT(p, "keySecretRef", "properties", "key"));
	assert_null(AT(p, "keyFileSecretRef"));
	assert_string_equal(json(AT(p, "flag"), &arena),
			    "{\"description\":\"A flag.\",\"type\":\"boolean\",\"default\":true}");
	assert_string_equal(json(AT(p, "small"), &arena), "{\"description\":\"Small.\",\"type\":\"integer\",\"format\":"
							  "\"int32\",\"minimum\":1,\"default\":5}");
	assert_string_equal(json(AT(p, "bounded", "maximum"), &arena), "9");
	assert_string_equal(json(AT(p, "large"), &arena),
			    "{\"description\":\"Large.\",\"type\":\"integer\",\"format\":\"int64\"}");
	assert_string_equal(json(AT(p, "optFlag", "type"), &arena), "\"boolean\"");
	assert_string_equal(json(AT(p, "optSmall", "description"), &arena), "\"Maybe. Default: the server's.\"");
	assert_string_equal(json(AT(p, "optLarge", "minimum"), &arena), "0");
	assert_null(AT(p, "optLarge", "maximum"));
	assert_string_equal(json(AT(p, "wait", "default"), &arena), "\"5s\"");
	assert_null(AT(p, "wait", "minimum"));
	assert_string_equal(json(AT(p, "list", "items"), &arena), "{\"type\":\"string\"}");
	assert_string_equal(json(AT(p, "secretList", "type"), &arena), "\"array\"");
	assert_non_null(AT(p, "secretListSecretRef", "properties"));
	assert_non_null(AT(p, "plainSecretRef", "properties", "name"));
	assert_string_equal(json(AT(p, "pairs", "x-kubernetes-preserve-unknown-fields"), &arena), "true");
	assert_string_equal(json(AT(p, "object", "required"), &arena), "[\"a\"]");
	assert_non_null(AT(p, "objects", "items", "properties", "a"));
	assert_string_equal(json(AT(p, "raw"), &arena),
			    "{\"description\":\"Anything.\",\"x-kubernetes-preserve-unknown-fields\":true}");
	assert_string_equal(json(AT(p, "rawList", "type"), &arena), "\"array\"");
	assert_string_equal(json(AT(p, "sink", "x-kubernetes-preserve-unknown-fields"), &arena), "true");
	assert_string_equal(json(AT(p, "sink", "properties", "config", "x-kubernetes-preserve-unknown-fields"), &arena),
			    "true");
	assert_string_equal(json(AT(p, "sink", "properties", "type", "description"), &arena), "\"One of one, two-b.\"");
	assert_null(AT(p, "sink", "properties", "note"));
	assert_non_null(AT(p, "picked", "properties", "note"));
	assert_string_equal(json(AT(p, "chain", "items", "properties", "type", "description"), &arena),
			    "\"One of step, bare.\"");
	assert_string_equal(json(AT(p, "oldText", "description"), &arena), "\"Deprecated, use text. The same.\"");
	assert_string_equal(json(AT(p, "old", "description"), &arena), "\"Deprecated. Old.\"");
	assert_string_equal(json(AT(p, "dead", "description"), &arena), "\"Ignored. Dead.\"");
	df_arena_done(&arena);
}

/* ---- JSON Schema ----------------------------------------------------------------------------------------- */

static void test_json_schema(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_arena arena;
	struct df_value *root = NULL;
	const struct df_value *p, *branch;

	(void)state;
	df_arena_init(&arena, NULL);
	df_generate_json_schema(&all_table, &registry, &text);
	assert_int_equal(df_value_parse(df_buf_str(&text), &arena, &root, NULL), DF_PARSE_OK);
	assert_string_equal(json(AT(root, "$schema"), &arena), "\"https://json-schema.org/draft/2020-12/schema\"");
	assert_string_equal(json(AT(root, "additionalProperties"), &arena), "false");
	assert_string_equal(json(AT(root, "required"), &arena), "[\"strict\",\"list\",\"sink\"]");
	/* The secret directly or by its twin; then the rule, with the alias. */
	assert_string_equal(
		json(AT(root, "allOf"), &arena),
		"[{\"anyOf\":[{\"required\":[\"secret\"]},{\"required\":[\"secretSecretRef\"]}]},"
		"{\"anyOf\":[{\"required\":[\"text\"]},{\"required\":[\"oldText\"]},{\"required\":[\"secretList\"]},"
		"{\"required\":[\"secretListSecretRef\"]}]}]");
	p = df_object_get_c(root, "properties");
	assert_string_equal(json(AT(p, "choice", "enum"), &arena), "[\"a\",\"b\"]");
	assert_string_equal(json(AT(p, "anyCase", "examples"), &arena), "[\"a\",\"b\"]");
	assert_string_equal(json(AT(p, "kept", "default"), &arena), "\"id\"");
	assert_string_equal(json(AT(p, "small", "maximum"), &arena), "2147483647");
	assert_string_equal(json(AT(p, "large", "minimum"), &arena), "-9223372036854775808");
	assert_string_equal(json(AT(p, "flag", "default"), &arena), "true");
	assert_string_equal(json(AT(p, "list", "minItems"), &arena), "1");
	assert_null(AT(p, "secretList", "minItems"));
	assert_non_null(AT(p, "wait", "pattern"));
	assert_string_equal(json(AT(p, "object", "additionalProperties"), &arena), "false");
	assert_string_equal(json(AT(p, "rawList", "type"), &arena), "\"array\"");
	assert_null(AT(p, "raw", "type"));
	assert_string_equal(json(AT(p, "old", "deprecated"), &arena), "true");
	assert_string_equal(json(AT(p, "sink", "$ref"), &arena), "\"#/$defs/sink\"");
	assert_string_equal(json(AT(p, "chain", "items", "$ref"), &arena), "\"#/$defs/transformation\"");
	assert_non_null(AT(p, "picked", "properties", "note"));
	assert_string_equal(json(AT(root, "$defs", "sink", "properties", "type", "enum"), &arena),
			    "[\"one\",\"two-b\"]");
	branch = AT(root, "$defs", "sink", "allOf", "#0");
	assert_string_equal(json(AT(branch, "if"), &arena),
			    "{\"required\":[\"type\"],\"properties\":{\"type\":{\"const\":\"one\"}}}");
	assert_string_equal(
		json(AT(branch, "then"), &arena),
		"{\"properties\":{\"config\":{\"$ref\":\"#/$defs/sink.one\"},\"one\":{\"$ref\":\"#/$defs/sink.one\"}},"
		"\"oneOf\":[{\"required\":[\"config\"]},{\"required\":[\"one\"]}]}");
	assert_string_equal(json(AT(root, "$defs", "transformation", "allOf", "#0", "then", "not"), &arena),
			    "{\"required\":[\"config\",\"step\"]}");
	assert_string_equal(json(AT(root, "$defs", "transformation.bare", "properties"), &arena), "{}");
	assert_non_null(AT(root, "$defs", "sink.two-b", "properties", "oldText"));
	df_arena_done(&arena);
}

static void test_indent(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	(void)state;
	df_generate_json_indent(DF_STR("{\"a\":[1,{}],\"b{,\\\"\":[],\"c\":{\"d\":\"e:f\"}}"), &text);
	assert_string_equal(df_buf_c(&text), "{\n"
					     "  \"a\": [\n"
					     "    1,\n"
					     "    {}\n"
					     "  ],\n"
					     "  \"b{,\\\"\": [],\n"
					     "  \"c\": {\n"
					     "    \"d\": \"e:f\"\n"
					     "  }\n"
					     "}\n");
}

/* ---- pages and help -------------------------------------------------------------------------------------- */

static void test_field_docs(void **state)
{
	static const char *const parts[] = {
		"| Field | Type | Default | Description |\n",
		"| `text` | text | `x: \"y\"` | Text with \\| and \"quotes\". Example: `e`. |\n",
		"| `choice` | text | `a` | One. One of `a` or `b`. |\n",
		"| `anyCase` | text |  | One. One of `a` or `b`, in any case. |\n",
		"| `secret`, `secretSecretRef` | text | required | A secret. |\n",
		"| `keyFile`, `keySecretRef` | text |  | A key. |\n",
		"| `flag` | bool | `true` | A flag. |\n",
		"| `small` | int | `5` | Small. At least 1. |\n",
		"| `bounded` | int |  | Bounded. 1 to 9. |\n",
		"| `optSmall` | int | the server's | Maybe. |\n",
		"| `optLarge` | int |  | Maybe. At least 0. An extension of ours. |\n",
		"| `wait` | duration | `5s` | A wait. Greater than 0. |\n",
		"| `secretList`, `secretListSecretRef` | list of text |  | A list. |\n",
		"| `plainSecretRef` | Secret reference |  | A reference. |\n",
		"| `objects` | list of objects |  | Objects. |\n",
		"| `chain` | list of transformations |  | Transformations. |\n",
		"| `oldText` | text |  | Deprecated, use `text`. The same. |\n",
		"| `dead` | bool | `false` | Ignored with a warning. Dead. |\n",
		"- At least one of `text` and `secretList` is needed.\n",
		"- At most one of `text`, `list` and `flag`.\n",
		"- `text` and `list` only together.\n",
		"- `choice: b` needs `list` and `flag`.\n",
		"- `flag` excludes `list`.\n",
		"- `list` has no effect without `choice: a`.\n",
		"- Told by hand.\n",
		"\n### `object`\n\n| Field",
		"\n### `objectAgain`\n\nAs `object` above.\n",
		"\n### `objects[]`\n\nAs `object` above.\n",
		"\n### `picked`\n\nA sink, with these keys beside `type`:\n\n",
	};
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	(void)state;
	df_generate_field_docs(&all_table, 3, &text);
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
		assert_in(df_buf_c(&text), parts[i]);
}

static void test_pages(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	(void)state;
	df_generate_type_docs(NULL, &sink_type, &text);
	assert_in(df_buf_c(&text), "# one\n\n<!--");
	assert_in(df_buf_c(&text), "\n## Sink\n\nThe one.\n\nFirst paragraph.\n\nSecond paragraph.\n\n"
				   "```yaml\nsink:\n  type: one\n  config:\n    a: b\n```\n\n### Settings\n\n| Field");
	assert_null(strstr(df_buf_c(&text), "## Source"));
	text.len = 0;
	df_generate_type_docs(&later_type, &later_type, &text);
	assert_in(df_buf_c(&text), "\n## Source\n\nThe other.\n\n> ");
	text.len = 0;
	df_generate_transformation_docs(&step_type, &text);
	assert_in(df_buf_c(&text), "# step\n\n<!--");
	assert_in(df_buf_c(&text), "-->\n\nA step.\n\n## Settings\n");
	assert_in(df_buf_c(&text), "\n## Examples\n\n");
	assert_in(df_buf_c(&text), "\n\n### First\n\nIt \\ teaches.\n\n"
				   "```yaml config\n- type: step\n  config: {note: n}\n```\n\n"
				   "```json in\n1\n2\n```\n\n```json out\n3\n```\n\n"
				   "### Second\n\n```yaml config\n- type: step\n- type: bare\n```\n\n"
				   "```json in envelope\n{}\n```\n\n```json out\n```\n\n"
				   "```json errors\n{\"e\":1}\n```\n");
	text.len = 0;
	df_generate_transformation_docs(&bare_type, &text);
	assert_in(df_buf_c(&text), "## Settings\n\nNo settings.\n");
}

static void test_help(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	const char *all;

	(void)state;
	df_generate_type_help(DF_SINK, &sink_type, &text);
	assert_string_equal(df_buf_c(&text),
			    "one (sink)\nThe one.\n\nFirst paragraph.\n\nSecond paragraph.\n\nSettings:\n"
			    "  a  (text, required)\n      An a.\n"
			    "\nExample:\n  type: one\n  config:\n    a: b\n");
	text.len = 0;
	df_generate_type_help(DF_SINK, &later_type, &text);
	all = df_buf_c(&text);
	assert_in(all, "  keyFile, keySecretRef  (text)\n      A key.\n");
	assert_in(all, "  optSmall  (int, default the server's)\n");
	assert_in(all, "  object.a  (text, required)\n");
	assert_in(all, "  objects[].a  (text, required)\n");
	assert_in(all, "the driver comes later");
	text.len = 0;
	df_generate_type_help(DF_TRANSFORMATION, &bare_type, &text);
	assert_string_equal(df_buf_c(&text), "bare (transformation)\nNothing to set.\n\nSettings:\n  none\n");
	text.len = 0;
	df_generate_type_help(DF_TRANSFORMATION, &step_type, &text);
	assert_in(df_buf_c(&text),
		  "\nExample: First\n  type: step\n  config: {note: n}\n\nIn:\n  1\n  2\n\nOut:\n  3\n");
	assert_null(strstr(df_buf_c(&text), "Second"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openapi),	   cmocka_unit_test(test_json_schema), cmocka_unit_test(test_indent),
		cmocka_unit_test(test_field_docs), cmocka_unit_test(test_pages),       cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
