/* The factory: exact texts, near misses, and that every listed type keeps its word. */
#include "harness.h"

static const struct df_logger logger = { .name = "test" };
static const struct df_connector_env env = { .logger = &logger };

static const char *source_error(const char *type, const void *settings, struct df_error *err)
{
	struct df_source *s = NULL;

	*err = DF_ERROR_INIT;
	assert_int_equal(df_source_create(df_str_c(type), settings, &env, &s, err), DF_ERR_CONFIG);
	assert_null(s);
	return err->text;
}

static const char *sink_error(const char *type, const void *settings, struct df_error *err)
{
	struct df_sink *s = NULL;

	*err = DF_ERROR_INIT;
	assert_int_equal(df_sink_create(df_str_c(type), settings, &env, &s, err), DF_ERR_CONFIG);
	assert_null(s);
	return err->text;
}

static void test_unknown_type(void **state)
{
	struct df_error err;

	(void)state;
	assert_string_equal(source_error("zzzzzz", "", &err), "unknown source type: zzzzzz");
	assert_string_equal(sink_error("zzzzzz", "", &err), "unknown sink type: zzzzzz");
	assert_string_equal(source_error("kafak", "", &err), "unknown source type: kafak (did you mean `kafka`?)");
	assert_string_equal(sink_error("clickhose", "", &err),
			    "unknown sink type: clickhose (did you mean `clickhouse`?)");
	/* Type names are exact. */
	assert_string_equal(source_error("Kafka", "", &err), "unknown source type: Kafka (did you mean `kafka`?)");
	/* A sink is no source. */
	assert_memory_equal(source_error("discard", "", &err), "unknown source type: discard", 28);
}

static void test_missing_settings(void **state)
{
	struct df_error err;

	(void)state;
	assert_string_equal(source_error("kafka", NULL, &err), "kafka source configuration is required");
	assert_string_equal(sink_error("postgresql", NULL, &err), "postgresql sink configuration is required");
	assert_string_equal(sink_error("file", NULL, &err), "file sink configuration is required");
}

static void test_not_built(void **state)
{
	size_t sources, sinks, missing = 0;
	const struct df_type *const *types = df_source_types(&sources);

	(void)state;
	for (size_t i = 0; i < sources; i++) {
		char text[128];
		struct df_error err;

		if (df_connector_built(DF_SOURCE, types[i]))
			continue;
		missing++;
		snprintf(text, sizeof(text), "this build has no %s source (", types[i]->name);
		assert_memory_equal(source_error(types[i]->name, "", &err), text, strlen(text));
	}
	types = df_sink_types(&sinks);
	for (size_t i = 0; i < sinks; i++) {
		char text[128];
		struct df_error err;

		if (df_connector_built(DF_SINK, types[i]))
			continue;
		missing++;
		snprintf(text, sizeof(text), "this build has no %s sink (", types[i]->name);
		assert_memory_equal(sink_error(types[i]->name, "", &err), text, strlen(text));
	}
	if (missing == 0)
		skip();
}

static void test_embedded_are_built(void **state)
{
	static const char *const sources[] = { "file", "stdin", "generate" };
	static const char *const sinks[] = { "file", "stdout", "discard" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(sources); i++)
		assert_non_null(df_connector_find(DF_SOURCE, df_str_c(sources[i]))->source_ops);
	for (size_t i = 0; i < DF_ARRAY_SIZE(sinks); i++)
		assert_non_null(df_connector_find(DF_SINK, df_str_c(sinks[i]))->sink_ops);
	assert_null(df_connector_find(DF_SINK, DF_STR("stdin")));
}

static void check_type(const struct df_type *type)
{
	assert_non_null(type->name);
	assert_non_null(type->title);
	assert_non_null(type->doc);
	assert_non_null(type->settings);
	assert_non_null(type->example);
	for (size_t i = 0; i < type->settings->field_count; i++) {
		const struct df_field *field = &type->settings->fields[i];

		if (!field->doc && !field->alias_of)
			fail_msg("%s.%s has no .doc", type->name, field->name);
	}
}

static void test_every_type_is_described(void **state)
{
	const struct df_registry *registry = df_registry();

	(void)state;
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++) {
		assert_true(registry->count[kind] > 0);
		for (size_t i = 0; i < registry->count[kind]; i++) {
			const struct df_type *type = registry->types[kind][i];

			check_type(type);
			assert_non_null(df_connector_find((enum df_component_kind)kind, df_str_c(type->name)));
		}
	}
}

static void test_create_and_free(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_sink *sink;
	struct df_source *source;

	(void)state;
	harness_init(&h);
	sink = harness_sink(&h, "{'type': 'discard'}");
	assert_int_equal(sink->ops->close(sink, &err), 0);
	assert_int_equal(sink->ops->close(sink, &err), 0);
	assert_int_equal(sink->ops->connect(sink, NULL, &err), DF_ERR_CLOSED);
	assert_non_null(strstr(err.text, "closed"));
	df_sink_free(sink);
	source = harness_source(&h, "{'type': 'generate'}");
	df_source_free(source);
	df_source_free(NULL);
	df_sink_free(NULL);
	harness_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_missing_settings),
		cmocka_unit_test(test_not_built),
		cmocka_unit_test(test_embedded_are_built),
		cmocka_unit_test(test_every_type_is_described),
		cmocka_unit_test(test_create_and_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
