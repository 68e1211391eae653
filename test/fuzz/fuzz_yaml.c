/* Manifests: whatever bytes the file holds are read or refused, parsed into settings of every type, written, and freed.
 */
#include <stdlib.h>

#include "spec/secrets.h"
#include "spec/spec.h"
#include "spec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
	char *text;
	struct df_secret_ref *ref;
};

static const struct df_field inner_fields[] = {
	DF_FIELD(struct inner, text, "text", DF_REQUIRED, .check = df_check_path_reading),
	DF_FIELD(struct inner, ref, "keySecretRef", 0),
};
static const struct df_table inner_table = DF_TABLE(struct inner, inner_fields);
static const struct df_type inner_type = { .name = "inner", .settings = &inner_table, .settings_optional = true };

struct all {
	char *text, *format;
	struct df_secret secret;
	bool flag;
	int32_t number;
	int64_t big;
	struct df_opt_bool opt_flag;
	struct df_opt_int opt_number;
	struct df_opt_int64 opt_big;
	struct df_duration wait;
	struct df_strings list;
	struct df_secret_strings brokers;
	struct df_secret_ref *ca;
	struct df_pairs pairs;
	struct df_object object;
	struct df_objects objects;
	struct df_raw raw;
	struct df_component component;
	struct df_components components;
};

static const char *const formats[] = { "json", "avro", NULL };

static const struct df_field all_fields[] = {
	DF_FIELD(struct all, text, "text", DF_NO_BLANK, .def = "abc"),
	DF_FIELD(struct all, text, "alias", 0, .alias_of = "text"),
	DF_FIELD(struct all, format, "format", DF_ANY_CASE, .def = "json", .values = formats),
	DF_FIELD(struct all, secret, "secret", DF_SENSITIVE, .check = df_check_http_url),
	DF_FIELD(struct all, flag, "flag", 0, .def = "true"),
	DF_FIELD(struct all, number, "number", 0, .def = "5", .min = 1, .max = 100),
	DF_FIELD(struct all, big, "big", DF_DEPRECATED),
	DF_FIELD(struct all, opt_flag, "optFlag", 0),
	DF_FIELD(struct all, opt_number, "optNumber", 0, .max = INT32_MAX),
	DF_FIELD(struct all, opt_big, "optBig", 0),
	DF_FIELD(struct all, wait, "wait", 0, .def = "30s", .min = 1, .max = INT64_MAX),
	DF_FIELD(struct all, list, "list", DF_NO_BLANK, .check = df_check_identifier_list),
	DF_FIELD(struct all, brokers, "brokers", 0, .check = df_check_host_port),
	DF_FIELD(struct all, ca, "caSecretRef", 0),
	DF_FIELD(struct all, pairs, "pairs", 0, .check = df_check_path_location),
	DF_FIELD(struct all, object, "object", 0, .table = &inner_table),
	DF_FIELD(struct all, objects, "objects", 0, .table = &inner_table),
	DF_FIELD(struct all, raw, "raw", 0),
	DF_FIELD(struct all, component, "component", 0, .component = DF_SOURCE, .table = &inner_table),
	DF_FIELD(struct all, components, "components", 0, .component = DF_TRANSFORMATION),
};

static const struct df_rule all_rules[] = {
	{ DF_RULE_EXCLUSIVE, { "secret", "brokers" } },
	{ DF_RULE_TOGETHER, { "text", "raw" } },
	{ DF_RULE_REQUIRES, { "format", "object" }, .value = "avro" },
	{ DF_RULE_FORBIDS, { "flag", "list" } },
	{ DF_RULE_POINTLESS, { "wait", "number" } },
};
static const struct df_table all_table = DF_TABLE_RULES(struct all, all_fields, all_rules);
static const struct df_type all_type = { .name = "all", .settings = &all_table };

static const struct df_type *const types[] = { &inner_type, &all_type };
static const struct df_registry registry = { { types, types, types }, { 2, 2, 2 } };

static void ignore_ref(void *arg, const char *path, const struct df_secret_ref *ref)
{
	(void)arg;
	(void)ref;
	if (!path)
		abort();
}

static void settings(const struct df_value *document, const struct df_secrets *secrets, struct df_diags *diags)
{
	struct df_parse_options options = {
		.file = "flow.yaml", .path = "spec", .registry = &registry, .secrets = secrets
	};
	struct df_arena arena;
	struct df_value *written;
	struct df_buf buf = { 0 };
	struct all all;

	size_t errors = diags->errors;
	df_settings_parse(&all_table, document, &options, &all, diags);
	df_settings_write(&all_table, &all, &buf);
	df_settings_secret_refs(&all_table, &all, ignore_ref, NULL);
	/* What was good is written as good JSON. */
	df_arena_init(&arena, NULL);
	if (diags->errors == errors && !buf.failed &&
	    df_value_parse(df_buf_str(&buf), &arena, &written, NULL) == DF_PARSE_NOT_JSON)
		abort();
	df_arena_done(&arena);
	df_buf_done(&buf);
	df_settings_done(&all_table, &all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_buf printed = { 0 };
	struct df_secret_store *store = df_secret_store_new(NULL, NULL);

	if (!store)
		abort();
	df_arena_init(&arena, NULL);
	df_yaml_parse(df_str((const char *)data, size), "flow.yaml", &arena, &documents, &diags);
	for (size_t i = 0; i < documents.count; i++)
		df_secret_store_add(store, documents.items[i], "flow.yaml", &diags);
	for (size_t i = 0; i < documents.count; i++)
		settings(documents.items[i], df_secret_store_get(store), &diags);
	df_diags_print(&diags, &printed);
	if (printed.len && !df_utf8_valid(df_buf_str(&printed), NULL) &&
	    df_utf8_valid(df_str((const char *)data, size), NULL))
		abort();
	df_buf_done(&printed);
	df_diags_done(&diags);
	df_arena_done(&arena);
	df_secret_store_free(store);
	return 0;
}
