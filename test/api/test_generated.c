/* The CRDs, the reference page and the JSON Schema: well-formed, structural, complete. */
#include "support.h"

#include "base/cleanup.h"

static const struct df_value *at(const struct df_value *v, const char *const *keys)
{
	for (; v && *keys; keys++)
		v = **keys == '#' ? df_array_get(v, (size_t)atoi(*keys + 1)) : df_object_get_c(v, *keys);
	return v;
}
#define AT(v, ...) at((v), (const char *const[]){ __VA_ARGS__, NULL })

static bool is(const struct df_value *v, const char *text)
{
	return v && df_value_string_equal(v, df_str_c(text));
}

static const struct df_value *crd(enum df_manifest_kind kind, struct df_arena *arena)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_str copy;

	df_generate_crd(kind, &registry, &text);
	assert_false(text.failed);
	copy = df_arena_dup(arena, df_buf_str(&text));
	df_yaml_parse(copy, "crd", arena, &documents, &diags);
	assert_int_equal(diags.count, 0);
	assert_int_equal(documents.count, 1);
	df_diags_done(&diags);
	return documents.items[0];
}

/* What the API server asks of a structural schema. */
static void assert_structural(const struct df_value *schema)
{
	static const char *const known[] = { "type",
					     "description",
					     "properties",
					     "items",
					     "required",
					     "enum",
					     "default",
					     "format",
					     "minimum",
					     "maximum",
					     "x-kubernetes-preserve-unknown-fields",
					     "x-kubernetes-list-type",
					     "x-kubernetes-list-map-keys" };
	const struct df_value *properties = df_object_get_c(schema, "properties");
	const struct df_value *required = df_object_get_c(schema, "required");

	assert_int_equal(schema->kind, DF_OBJECT);
	df_for_each (m, schema) {
		size_t i = 0;

		while (i < DF_ARRAY_SIZE(known) && !df_str_equal_c(df_value_key(m), known[i]))
			i++;
		if (i == DF_ARRAY_SIZE(known))
			fail_msg("unexpected %.*s", (int)m->key_len, m->key);
	}
	assert_true(df_object_get_c(schema, "type") || df_object_get_c(schema, "x-kubernetes-preserve-unknown-fields"));
	if (is(df_object_get_c(schema, "type"), "array"))
		assert_structural(df_object_get_c(schema, "items"));
	if (properties)
		df_for_each (p, properties)
			assert_structural(p);
	if (required)
		df_for_each (r, required) {
			bool found = false;

			df_for_each (p, properties)
				found |= df_value_string_equal(r, df_value_key(p));
			assert_true(found);
		}
}

static void assert_preserves(const struct df_value *schema)
{
	const struct df_value *flag = df_object_get_c(schema, "x-kubernetes-preserve-unknown-fields");

	assert_non_null(flag);
	assert_int_equal(flag->kind, DF_TRUE);
}

static void check_crd(enum df_manifest_kind kind, const char *plural, const char *short_name,
		      const char *const *columns)
{
	struct df_arena arena;
	const struct df_value *doc, *version, *schema, *spec;
	char name[64];

	df_arena_init(&arena, NULL);
	doc = crd(kind, &arena);
	snprintf(name, sizeof(name), "%s.dataflow.dataflow.io", plural);
	assert_true(is(AT(doc, "metadata", "name"), name));
	assert_true(is(AT(doc, "spec", "names", "plural"), plural));
	assert_true(is(AT(doc, "spec", "names", "shortNames", "#0"), short_name));
	assert_true(is(AT(doc, "spec", "scope"), "Namespaced"));
	version = AT(doc, "spec", "versions", "#0");
	assert_non_null(AT(version, "subresources", "status"));
	for (size_t i = 0; columns[i]; i++) {
		char index[24];

		snprintf(index, sizeof(index), "#%zu", i);
		assert_true(is(AT(version, "additionalPrinterColumns", index, "name"), columns[i]));
	}
	schema = AT(version, "schema", "openAPIV3Schema");
	assert_structural(schema);
	spec = AT(schema, "properties", "spec", "properties");
	for (const char *const *p = (const char *const[]){ "source", "sink", "errors", NULL }; *p; p++) {
		assert_preserves(df_object_get_c(spec, *p));
		assert_preserves(AT(spec, *p, "properties", "config"));
	}
	assert_preserves(AT(spec, "transformations", "items"));
	assert_preserves(AT(spec, "transformations", "items", "properties", "config"));
	assert_non_null(AT(spec, "errors", "properties", "ackPolicy", "default"));
	assert_null(AT(spec, "source", "properties", "ackPolicy"));
	assert_non_null(AT(schema, "properties", "status", "properties", "phase"));
	assert_non_null(AT(schema, "properties", "status", "properties", "conditions"));
	df_arena_done(&arena);
}

static void test_crds(void **state)
{
	(void)state;
	check_crd(DF_KIND_DATAFLOW, "dataflows", "df",
		  (const char *const[]){ "PHASE", "SOURCE", "SINK", "PROCESSED", "ERRORS", "AGE", NULL });
	check_crd(DF_KIND_DATAFLOWCRON, "dataflowcrons", "dfc",
		  (const char *const[]){ "SCHEDULE", "SUSPEND", "PHASE", "LAST", "AGE", NULL });
}

static void test_status(void **state)
{
	static const char *const flow[] = {
		"phase",      "message",    "lastProcessedTime",  "processedCount",    "errorCount",
		"conditions", "processors", "observedGeneration", "deliveryGuarantee", "maintenanceStatus",
		NULL
	};
	static const char *const cron[] = {
		"phase",      "message",	  "currentRunID",	"activeJobName",  "currentTriggerIndex",
		"conditions", "lastScheduleTime", "lastSuccessfulTime", "lastFailedTime", NULL
	};
	struct df_arena arena;

	(void)state;
	df_arena_init(&arena, NULL);
	for (int k = 0; k < 2; k++) {
		const struct df_value *doc = crd(k ? DF_KIND_DATAFLOWCRON : DF_KIND_DATAFLOW, &arena);
		const struct df_value *status = AT(doc, "spec", "versions", "#0", "schema", "openAPIV3Schema",
						   "properties", "status", "properties");

		for (const char *const *p = k ? cron : flow; *p; p++)
			assert_non_null(df_object_get_c(status, *p));
	}
	df_arena_done(&arena);
}

static void test_schema(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_arena arena;
	struct df_value *schema = NULL;

	(void)state;
	df_arena_init(&arena, NULL);
	df_generate_manifest_schema(&registry, &text);
	assert_int_equal(df_value_parse(df_buf_str(&text), &arena, &schema, NULL), DF_PARSE_OK);
	assert_non_null(AT(schema, "$defs", "DataFlow", "properties", "source"));
	assert_null(AT(schema, "$defs", "DataFlow", "properties", "schedule"));
	assert_non_null(AT(schema, "$defs", "DataFlowCron", "properties", "schedule"));
	assert_non_null(AT(schema, "$defs", "source.rows", "properties", "passwordSecretRef"));
	assert_non_null(AT(schema, "$defs", "sink.queue"));
	assert_non_null(AT(schema, "$defs", "transformation.router"));
	df_arena_done(&arena);
}

static void test_docs(void **state)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	static const char *const parts[] = {
		"# Manifest reference\n",
		"| `queue` | A queue. |",
		"| `checkpointSaveInterval` | duration | `30s` |",
		"### `maintenance`\n",
		"## DataFlowCron: spec",
		"### `triggers[]`",
		"## Status",
	};
	const char *all;

	(void)state;
	df_generate_manifest_docs(&registry, &text);
	all = df_buf_c(&text);
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
		if (!strstr(all, parts[i]))
			fail_msg("no \"%s\"", parts[i]);
	/* A flow's fields stand once. */
	assert_null(strstr(strstr(all, "| `channelBufferSize` |") + 1, "| `channelBufferSize` |"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crds),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_docs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
