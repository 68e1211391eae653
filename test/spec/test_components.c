/* Connectors and transformations in both forms of the manifest, nested ones, and the rules across fields. */
#include "support.h"

#include "spec/spec.h"

/* ---- a small world --------------------------------------------------------------------------------------- */

struct kafka {
	char *topic;
	struct df_secret password;
};

static const struct df_field kafka_fields[] = {
	DF_FIELD(struct kafka, topic, "topic", DF_REQUIRED),
	DF_FIELD(struct kafka, password, "password", DF_SENSITIVE),
};
static const struct df_table kafka_table = DF_TABLE(struct kafka, kafka_fields);

struct stamp {
	char *field_name;
};

static const struct df_field stamp_fields[] = {
	DF_FIELD(struct stamp, field_name, "fieldName", 0, .def = "created_at"),
};
static const struct df_table stamp_table = DF_TABLE(struct stamp, stamp_fields);

struct route {
	char *condition;
	struct df_component sink;
};
struct router {
	struct df_objects routes;
};

static const struct df_field route_fields[] = {
	DF_FIELD(struct route, condition, "condition", DF_REQUIRED),
	DF_FIELD(struct route, sink, "sink", DF_REQUIRED, .component = DF_SINK),
};
static const struct df_table route_table = DF_TABLE(struct route, route_fields);
static const struct df_field router_fields[] = {
	DF_FIELD(struct router, routes, "routes", DF_REQUIRED, .table = &route_table),
};
static const struct df_table router_table = DF_TABLE(struct router, router_fields);

static const struct df_type kafka = { .name = "kafka", .settings = &kafka_table };
static const struct df_type postgresql = { .name = "postgresql", .settings = &kafka_table };
static const struct df_type generate = { .name = "generate", .settings = &stamp_table, .settings_optional = true };
static const struct df_type discard = { .name = "discard", .settings_optional = true };
static const struct df_type timestamp = { .name = "timestamp", .settings = &stamp_table, .settings_optional = true };
static const struct df_type router = { .name = "router", .settings = &router_table };

static const struct df_type *const sources[] = { &kafka, &postgresql, &generate };
static const struct df_type *const sinks[] = { &kafka, &postgresql, &discard };
static const struct df_type *const transformations[] = { &timestamp, &router };
static const struct df_registry registry = { { sources, sinks, transformations }, { 3, 3, 2 } };

struct extra {
	char *ack_policy;
};
static const char *const policies[] = { "afterWrite", "never", NULL };
static const struct df_field extra_fields[] = {
	DF_FIELD(struct extra, ack_policy, "ackPolicy", 0, .def = "afterWrite", .values = policies),
};
static const struct df_table extra_table = DF_TABLE(struct extra, extra_fields);

struct spec {
	struct df_component source, sink, errors;
	struct df_components transformations;
};

static const struct df_field spec_fields[] = {
	DF_FIELD(struct spec, source, "source", DF_REQUIRED, .component = DF_SOURCE),
	DF_FIELD(struct spec, transformations, "transformations", 0, .component = DF_TRANSFORMATION),
	DF_FIELD(struct spec, sink, "sink", 0, .component = DF_SINK),
	DF_FIELD(struct spec, errors, "errors", 0, .component = DF_SINK, .table = &extra_table),
};
static const struct df_table spec_table = DF_TABLE(struct spec, spec_fields);

static void collect(void *arg, const char *path, const struct df_secret_ref *ref)
{
	df_buf_printf(arg, "%s=%s\n", path, ref->name);
}

/* The problems, then the written settings and the references when there is no error. */
static char *outcome(const struct df_table *table, const char *text, bool warn)
{
	struct df_parse_options options = {
		.file = "flow.yaml", .path = "spec", .registry = &registry, .unknown_keys_warn = warn
	};
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	void *settings = malloc(table->size);

	assert_non_null(settings);
	df_arena_init(&arena, NULL);
	df_settings_parse(table, read_one(text, &arena), &options, settings, &diags);
	df_diags_print(&diags, &buf);
	if (diags.errors == 0) {
		df_settings_write(table, settings, &buf);
		df_buf_add_char(&buf, '\n');
		df_settings_secret_refs(table, settings, collect, &buf);
	}
	df_settings_done(table, settings);
	free(settings);
	df_diags_done(&diags);
	df_arena_done(&arena);
	char *ret = strdup(df_buf_c(&buf));
	df_buf_done(&buf);
	assert_non_null(ret);
	return ret;
}

struct example {
	const char *text;
	const char *want;
};

static void check_all(const struct df_table *table, const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		df_cleanup(df_freep) char *got = outcome(table, examples[i].text, false);
		assert_string_equal(got, examples[i].want);
	}
}

/* ---- components
 * --------------------------------------------------------------------------------------------------------- */

#define GENERATE "\"source\":{\"type\":\"generate\",\"config\":{\"fieldName\":\"created_at\"}}"

static void test_forms(void **state)
{
	static const struct example examples[] = {
		{ "source: {type: kafka, config: {topic: t}}",
		  "{\"source\":{\"type\":\"kafka\",\"config\":{\"topic\":\"t\"}}}\n" },
		{ "source: {type: kafka, kafka: {topic: t}}",
		  "{\"source\":{\"type\":\"kafka\",\"config\":{\"topic\":\"t\"}}}\n" },
		{ "source: {type: kafka, config: null, kafka: {topic: t}, postgresql: null}",
		  "{\"source\":{\"type\":\"kafka\",\"config\":{\"topic\":\"t\"}}}\n" },
		{ "source: {type: generate}", "{" GENERATE "}\n" },
		{ "source: {type: generate, config: {fieldName: x}}",
		  "{\"source\":{\"type\":\"generate\",\"config\":{\"fieldName\":\"x\"}}}\n" },
		{ "source: {type: generate}\nsink: {type: discard}\ntransformations: []\n",
		  "{" GENERATE ",\"sink\":{\"type\":\"discard\",\"config\":{}}}\n" },
		{ "source: {type: generate}\n"
		  "errors: {type: kafka, config: {topic: e, passwordSecretRef: {name: s, key: k}}, ackPolicy: never}\n"
		  "transformations:\n"
		  "- type: timestamp\n"
		  "- {type: timestamp, timestamp: {fieldName: t}}\n"
		  "- type: router\n"
		  "  router:\n"
		  "    routes:\n"
		  "    - condition: a\n"
		  "      sink: {type: kafka, kafka: {topic: r, passwordSecretRef: {name: q, key: k}}}\n",
		  "{" GENERATE ",\"transformations\":["
		  "{\"type\":\"timestamp\",\"config\":{\"fieldName\":\"created_at\"}},"
		  "{\"type\":\"timestamp\",\"config\":{\"fieldName\":\"t\"}},"
		  "{\"type\":\"router\",\"config\":{\"routes\":[{\"condition\":\"a\",\"sink\":{\"type\":\"kafka\","
		  "\"config\":"
		  "{\"topic\":\"r\",\"passwordSecretRef\":{\"name\":\"q\",\"key\":\"k\"}}}}]}}],"
		  "\"errors\":{\"type\":\"kafka\",\"ackPolicy\":\"never\",\"config\":"
		  "{\"topic\":\"e\",\"passwordSecretRef\":{\"name\":\"s\",\"key\":\"k\"}}}}\n"
		  "spec.transformations[2].router.routes[0].sink.kafka.passwordSecretRef=q\n"
		  "spec.errors.config.passwordSecretRef=s\n" },
		{ "source: {type: generate}\nsink: {type: discard, generate: {}}\n",
		  "flow.yaml:2: spec.sink.generate: warning: has no effect because the type is \"discard\"; remove it, "
		  "or correct "
		  "`type`\n"
		  "{" GENERATE ",\"sink\":{\"type\":\"discard\",\"config\":{}}}\n" },
		{ "source: {type: generate}\nerrors: {type: discard}\n",
		  "{" GENERATE ",\"errors\":{\"type\":\"discard\",\"ackPolicy\":\"afterWrite\",\"config\":{}}}\n" },
		/* the key of another type */
		{ "source:\n  type: generate\n  kafka: {topic: t}\n  discard: {}\n",
		  "flow.yaml:3: spec.source.kafka: warning: has no effect because the type is \"generate\"; remove it, "
		  "or correct "
		  "`type`\n"
		  "flow.yaml:4: spec.source.discard: warning: has no effect because the type is \"generate\"; remove "
		  "it, or "
		  "correct `type`\n"
		  "{" GENERATE "}\n" },
	};

	(void)state;
	check_all(&spec_table, examples, DF_ARRAY_SIZE(examples));
}

#define AT "flow.yaml:1: spec.source"
#define SOURCES "source types are: kafka, postgresql, generate\n"

static void test_components_refused(void **state)
{
	static const struct example examples[] = {
		{ "{}", "flow.yaml:1: spec.source: required\n" },
		{ "source: kafka", AT ": expected an object with `type` and `config`, found the text \"kafka\"\n" },
		{ "source: {}", AT ".type: required; the " SOURCES },
		{ "source: {kafka: {topic: t}}", AT ".type: required; add `type: kafka`; the " SOURCES },
		{ "source: {type: ''}", AT ".type: required; the " SOURCES },
		{ "source: {type: 5}", AT ".type: expected the name of a type, found the number 5\n" },
		{ "source:\n  type: kafak\n  config: {}\n", "flow.yaml:2: spec.source.type: unknown source type "
							    "\"kafak\"; did you mean \"kafka\"? The " SOURCES },
		{ "source: {type: Kafka}",
		  AT ".type: unknown source type \"Kafka\"; did you mean \"kafka\"? The " SOURCES },
		{ "source: {type: discard}", AT ".type: unknown source type \"discard\"; the " SOURCES },
		{ "source: {type: kafka}", AT ".config: required: the settings of the source type \"kafka\"\n" },
		{ "source: {type: kafka, config: {}}", AT ".config.topic: required\n" },
		{ "source: {type: kafka, kafka: {}}", AT ".kafka.topic: required\n" },
		{ "source: {type: kafka, config: []}", AT ".config: expected an object, found a list\n" },
		{ "source: {type: kafka, kafka: 5}", AT ".kafka: expected an object, found the number 5\n" },
		{ "source:\n  type: kafka\n  config: {topic: t}\n  kafka: {topic: t}\n",
		  "flow.yaml:4: spec.source.kafka: `config` is set as well; keep one of them, best `config`\n" },
		{ "source:\n  type: kafka\n  topic: t\n  config: {topic: t}\n",
		  "flow.yaml:3: spec.source.topic: unknown field; it belongs into `config`\n" },
		{ "source:\n  type: kafka\n  confg: {topic: t}\n",
		  "flow.yaml:3: spec.source.confg: unknown field; did you mean \"config\"?\n"
		  "flow.yaml:1: spec.source.config: required: the settings of the source type \"kafka\"\n" },
		{ "source:\n  type: generate\n  ackPolicy: never\n",
		  "flow.yaml:3: spec.source.ackPolicy: unknown field; known are type, config\n" },
		{ "source: {type: generate}\nerrors:\n  type: discard\n  ackPolicy: nevr\n  ackPolcy: x\n",
		  "flow.yaml:5: spec.errors.ackPolcy: unknown field; did you mean \"ackPolicy\"?\n"
		  "flow.yaml:4: spec.errors.ackPolicy: unknown value \"nevr\"; did you mean \"never\"? Possible are: "
		  "afterWrite, "
		  "never\n" },
		{ "source: {type: generate}\ntransformations: {type: timestamp}\n",
		  "flow.yaml:2: spec.transformations: expected a list, found an object\n" },
		{ "source: {type: generate}\ntransformations:\n- type: timestamp\n- 5\n- type: router\n  config:\n    "
		  "routes:\n"
		  "    - {condition: a}\n    - condition: b\n      sink: {type: kafak}\n    - condition: c\n      "
		  "sink:\n"
		  "        type: kafka\n        config:\n          topic: 5\n",
		  "flow.yaml:4: spec.transformations[1]: expected an object with `type` and `config`, found the number "
		  "5\n"
		  "flow.yaml:8: spec.transformations[2].config.routes[0].sink: required\n"
		  "flow.yaml:10: spec.transformations[2].config.routes[1].sink.type: unknown sink type \"kafak\"; did "
		  "you mean "
		  "\"kafka\"? The sink types are: kafka, postgresql, discard\n"
		  "flow.yaml:15: spec.transformations[2].config.routes[2].sink.config.topic: expected a text, found "
		  "the number 5; "
		  "put it in quotes: \"5\"\n" },
	};

	(void)state;
	check_all(&spec_table, examples, DF_ARRAY_SIZE(examples));
}

static void test_stored_objects_warn(void **state)
{
	df_cleanup(df_freep) char *got = outcome(&spec_table, "source: {type: generate, x: 1, config: {y: 1}}", true);

	(void)state;
	assert_string_equal(got, AT ".x: warning: unknown field; known are type, config\n" AT
				    ".config.y: warning: unknown field; known are fieldName\n{" GENERATE "}\n");
}

static void test_alone(void **state)
{
	struct df_parse_options options = { .file = "flow.yaml", .path = "transformations[0]", .registry = &registry };
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct df_component c;

	(void)state;
	df_arena_init(&arena, NULL);
	df_component_parse(DF_TRANSFORMATION, read_one("\ntype: timestamp\ntimestamp: {fieldName: x}\n", &arena), NULL,
			   &options, &c, &diags);
	assert_printed(&diags, "");
	assert_ptr_equal(c.type, &timestamp);
	assert_int_equal(c.kind, DF_TRANSFORMATION);
	assert_int_equal(c.line, 2);
	assert_string_equal(c.path, "transformations[0]");
	assert_string_equal(c.settings_path, "transformations[0].timestamp");
	assert_string_equal(((struct stamp *)c.settings)->field_name, "x");
	assert_null(c.extra);
	df_component_done(&c);
	df_component_done(&c);
	df_component_done(NULL);
	df_arena_done(&arena);
}

static void test_registry(void **state)
{
	(void)state;
	assert_ptr_equal(df_registry_find(&registry, DF_SINK, DF_STR("discard")), &discard);
	assert_null(df_registry_find(&registry, DF_SOURCE, DF_STR("discard")));
	assert_null(df_registry_find(NULL, DF_SOURCE, DF_STR("kafka")));
	assert_string_equal(df_registry_nearest(&registry, DF_SOURCE, DF_STR("postgres")), "postgresql");
	assert_null(df_registry_nearest(&registry, DF_SOURCE, DF_STR("zzz")));
	assert_string_equal(df_component_kind_name(DF_SINK), "sink");
}

/* ---- rules
 * ------------------------------------------------------------------------------------------------------------------ */

struct ruled {
	char *query, *table, *format, *strategy, *version;
	struct df_secret user, password;
	bool raw, upsert;
	int32_t number;
};

static const struct df_field ruled_fields[] = {
	DF_FIELD(struct ruled, query, "query", 0),
	DF_FIELD(struct ruled, table, "table", 0),
	DF_FIELD(struct ruled, format, "format", 0, .def = "json"),
	DF_FIELD(struct ruled, strategy, "strategy", 0, .def = "always"),
	DF_FIELD(struct ruled, version, "version", 0),
	DF_FIELD(struct ruled, user, "user", 0),
	DF_FIELD(struct ruled, password, "password", 0),
	DF_FIELD(struct ruled, raw, "raw", 0),
	DF_FIELD(struct ruled, upsert, "upsert", 0),
	DF_FIELD(struct ruled, number, "number", 0, .def = "3"),
};

static void check_number(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct ruled *r = settings;

	if (r->number == 13)
		df_diag_error(diags, place, "number", "13 brings bad luck");
}

static const struct df_rule ruled_rules[] = {
	{ DF_RULE_ONE_OF, { "query", "table", "user" } },
	{ DF_RULE_EXCLUSIVE, { "query", "table" } },
	{ DF_RULE_TOGETHER, { "user", "password" } },
	{ DF_RULE_REQUIRES, { "strategy", "version" }, .value = "ifNewer" },
	{ DF_RULE_REQUIRES, { "number", "upsert" }, .value = "7", .text = "seven needs `upsert`" },
	{ DF_RULE_FORBIDS, { "raw", "upsert" } },
	{ DF_RULE_FORBIDS, { "format", "version" }, .value = "avro", .warning = true },
	{ DF_RULE_POINTLESS, { "strategy", "upsert" } },
	{ DF_RULE_POINTLESS, { "version", "strategy" }, .value = "ifNewer" },
	{ DF_RULE_CHECK, .fn = check_number },
};
static const struct df_table ruled_table = DF_TABLE_RULES(struct ruled, ruled_fields, ruled_rules);

#define S "flow.yaml:1: spec"
#define REST "\"raw\":false,\"upsert\":false,\"number\":3}\n"

static void test_rules(void **state)
{
	static const struct example examples[] = {
		{ "table: t", "{\"table\":\"t\",\"format\":\"json\",\"strategy\":\"always\"," REST },
		/* a default that is written changes nothing */
		{ "{table: t, strategy: always}",
		  "{\"table\":\"t\",\"format\":\"json\",\"strategy\":\"always\"," REST },
		{ "{}", S ": set `query`, `table` or `user`\n" },
		{ "table: t\nquery: q\n",
		  "flow.yaml:1: spec.table: only one of `query` and `table` may be set; remove the others\n" },
		{ "user: u", S ".password: required together with `user`; set `password` or `passwordSecretRef`\n" },
		{ "{userSecretRef: {name: a, key: b}, password: p}",
		  "{\"format\":\"json\",\"strategy\":\"always\",\"userSecretRef\":{\"name\":\"a\",\"key\":\"b\"},"
		  "\"password\":\"p\"," REST "userSecretRef=a\n" },
		{ "{table: t, strategy: ifNewer, upsert: true}",
		  S ".version: required when `strategy` is `ifNewer`\n" },
		{ "{table: t, number: 7}", S ".upsert: seven needs `upsert`\n" },
		{ "table: t\nraw: true\nupsert: true\n",
		  "flow.yaml:3: spec.upsert: not possible when `raw` is true; remove one of them\n" },
		{ "{table: t, raw: true, upsert: false}", "{\"table\":\"t\",\"format\":\"json\",\"strategy\":"
							  "\"always\",\"raw\":true,\"upsert\":false,\"number\":3}\n" },
		{ "{table: t, format: avro, version: v}",
		  S ".version: warning: not possible when `format` is `avro`; remove one of them\n" S
		    ".version: warning: has no effect unless `strategy` is `ifNewer`\n"
		    "{\"table\":\"t\",\"format\":\"avro\",\"strategy\":\"always\",\"version\":\"v\"," REST },
		{ "{table: t, strategy: other}",
		  S ".strategy: warning: has no effect without `upsert`\n"
		    "{\"table\":\"t\",\"format\":\"json\",\"strategy\":\"other\"," REST },
		{ "table: t\nnumber: 13\n", "flow.yaml:2: spec.number: 13 brings bad luck\n" },
		/* a field with a problem causes no second one, and functions see only whole settings */
		{ "table: 5\n", S ".table: expected a text, found the number 5; put it in quotes: \"5\"\n" },
		{ "{table: t, number: 13, raw: 1}", S ".raw: expected true or false, found the number 1\n" },
	};

	(void)state;
	check_all(&ruled_table, examples, DF_ARRAY_SIZE(examples));
}

/* ---- checks
 * ------------------------------------------------------------------------------------------------------------------ */

static void test_checks(void **state)
{
	static const struct {
		df_field_check check;
		const char *good[8];
		const char *bad[12];
	} examples[] = {
		{ df_check_identifier, { "a", "_", "A9_" }, { "", "9a", "a-b", "a b", "é" } },
		{ df_check_identifier_list, { "a", "a,b", " a , b " }, { "", ",", "a,", "a,,b", "a;b" } },
		{ df_check_host_port,
		  { "localhost:9092", "10.0.0.1:1", "[::1]:65535", "a-b.c_d:80" },
		  { "", "localhost", "localhost:", ":9092", "a:0", "a:65536", "a:+1", "a b:1", "::1:80", "[::1]",
		    "a:1:" } },
		{ df_check_http_url,
		  { "http://a", "https://a:8080/x?y#z", "http://u:p@h:1/", "https://[::1]:1" },
		  { "", "ftp://a", "a", "http://", "http://a:x", "http://a b", "http:///x", "http://a:/",
		    "HTTP://a" } },
		{ df_check_path_reading, { "a.b", "a[0]", "$" }, { "" } },
		{ df_check_path_location, { "a.b", "a[*]" }, { "" } },
		{ df_check_path_plain, { "a.b", "a[0]" }, { "", "$", "a[*]" } },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(examples); i++) {
		for (size_t k = 0; k < 8 && examples[i].good[k]; k++)
			assert_int_equal(examples[i].check(df_str_c(examples[i].good[k]), NULL), 0);
		for (size_t k = 0; k < 12 && examples[i].bad[k]; k++) {
			struct df_error err = DF_ERROR_INIT;
			assert_int_equal(examples[i].check(df_str_c(examples[i].bad[k]), &err), DF_ERR_CONFIG);
			assert_true(err.text[0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_components_refused),
		cmocka_unit_test(test_stored_objects_warn),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
