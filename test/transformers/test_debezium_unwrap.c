/* debeziumUnwrap: the transformations reference, sections 1, 4 and 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "transform_test.h"

#define PLAIN "{type: debeziumUnwrap}"
#define UNWRAP(config) "{type: debeziumUnwrap, config: " config "}"

static void takes_the_row(void **state)
{
	static const struct transform_case cases[] = {
		{ PLAIN, "{\"payload\":{\"op\":\"c\",\"before\":null,\"after\":{\"id\" : 1.10}}}",
		  .want = { "{\"id\":1.10}" }, .want_meta = "{\"operation\":\"insert\"}" },
		{ PLAIN, "{\"schema\":{},\"payload\":{\"after\":{\"id\":1},\"op\":\"u\",\"source\":{\"a\":1}}}",
		  .want = { "{\"id\":1}" }, .want_meta = "{\"operation\":\"update\"}" },
		{ PLAIN, "{\"payload\":{\"op\":\"r\",\"after\":{\"id\":1}}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{snapshotOperation: update}"), "{\"payload\":{\"op\":\"r\",\"after\":{\"id\":1}}}",
		  .want = { "{\"id\":1}" }, .want_meta = "{\"operation\":\"update\"}" },
		{ UNWRAP("{snapshotOperation: update}"), "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1}}}",
		  .want = { "{\"id\":1}" }, .want_meta = "{\"operation\":\"insert\"}" },
		{ PLAIN, "{\"payload\":{\"op\":\"d\",\"before\":{\"id\":1},\"after\":null}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"delete\"}" },
		{ PLAIN, "{\"payload\":{\"op\":\"c\",\"after\":{}}}", .want = { "{}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ PLAIN, "{\"payload\":{\"op\":\"\\u0063\",\"\\u0061fter\":{\"id\":1}}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		/* what is there of the metadata stays */
		{ PLAIN, "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1}}}",
		  "{\"topic\":\"t\",\"operation\":\"x\",\"key\":\"k\"}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"topic\":\"t\",\"operation\":\"insert\",\"key\":\"k\"}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void knows_truncate_and_message(void **state)
{
	static const struct transform_case cases[] = {
		{ PLAIN, "{\"payload\":{\"op\":\"t\",\"source\":{}}}", .drop = true },
		{ PLAIN, "{\"payload\":{\"op\":\"t\",\"after\":{\"id\":1}}}", .drop = true },
		{ UNWRAP("{addOperationFields: true, includeSourceInMetadata: true}"),
		  "{ \"payload\":{\"op\":\"m\",\"source\":{\"a\":1},\"message\":{}} }", "{\"operation\":\"x\"}",
		  .want = { "{ \"payload\":{\"op\":\"m\",\"source\":{\"a\":1},\"message\":{}} }" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void passes_what_is_no_envelope(void **state)
{
	static const char *const same[] = {
		"{ }",
		"{ \"a\":1 }",
		/* without the payload around it */
		"{ \"op\":\"c\",\"after\":{\"id\":1} }",
		"{ \"payload\":null }",
		"{ \"payload\":\"x\" }",
		"{ \"payload\":[{\"op\":\"c\",\"after\":{}}] }",
		"{ \"payload\":{\"after\":{\"id\":1}} }",
		"{ \"payload\":{\"op\":null,\"after\":{\"id\":1}} }",
		"{ \"payload\":{\"op\":1,\"after\":{\"id\":1}} }",
		"{ \"payload\":{\"op\":[\"c\"],\"after\":{\"id\":1}} }",
		"{ \"payload\":{\"op\":\"c\"} }",
		"{ \"payload\":{\"op\":\"zz\",\"row\":{\"id\":1}} }",
		"{ \"Payload\":{\"op\":\"c\",\"after\":{\"id\":1}} }",
		/* not an object */
		"[ {\"payload\":{\"op\":\"c\",\"after\":{\"id\":1}}} ]",
		" \"s\"",
		" 1",
		" true",
		" null",
		/* not JSON */
		"{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1}}",
		" ",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(same); i++) {
		const struct transform_case cases[] = {
			{ PLAIN, same[i], "{\"key\":\"{\\\"id\\\":1}\"}", .want = { same[i] } },
			{ UNWRAP("{inferDeleteFromTombstone: true}"), same[i], "{\"key\":\"{\\\"id\\\":1}\"}",
			  .want = { same[i] } },
		};
		transform_check(cases, DF_ARRAY_SIZE(cases));
	}
}

static void can_be_wrapped_before(void **state)
{
	static const struct transform_case cases[] = {
		{ "[{type: hoistField, config: {field: payload}}, {type: debeziumUnwrap}]",
		  "{\"op\":\"c\",\"after\":{\"id\":1}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_without_a_row(void **state)
{
	static const struct transform_case cases[] = {
		{ PLAIN, "{ \"payload\":{\"op\":\"c\",\"after\":null} }", "{\"a\":1}",
		  .error = "payload.after is null, expected an object" },
		{ PLAIN, "{ \"payload\":{\"op\":\"u\",\"before\":{\"id\":1}} }", .error = "payload.after is missing" },
		{ PLAIN, "{ \"payload\":{\"op\":\"r\",\"after\":\"x\"} }", .error = "payload.after is a string" },
		{ PLAIN, "{ \"payload\":{\"op\":\"c\",\"after\":[{\"id\":1}]} }",
		  .error = "payload.after is an array" },
		{ PLAIN, "{ \"payload\":{\"op\":\"c\",\"after\":5} }", .error = "payload.after is a number" },
		{ PLAIN, "{ \"payload\":{\"op\":\"c\",\"after\":true} }", .error = "payload.after is a bool" },
		{ PLAIN, "{ \"payload\":{\"op\":\"d\",\"before\":null,\"after\":{\"id\":1}} }",
		  .error = "payload.before is null" },
		{ PLAIN, "{ \"payload\":{\"op\":\"d\",\"source\":{}} }", .error = "payload.before is missing" },
		{ PLAIN, "{ \"payload\":{\"op\":\"x\",\"after\":{\"id\":1}} }", .error = "payload.op is not one of" },
		{ PLAIN, "{ \"payload\":{\"op\":\"C\",\"after\":{\"id\":1}} }", .error = "payload.op is not one of" },
		{ PLAIN, "{ \"payload\":{\"op\":\"\",\"after\":{\"id\":1}} }", .error = "payload.op is not one of" },
		{ PLAIN, "{ \"payload\":{\"op\":\"cu\",\"after\":{\"id\":1}} }", .error = "payload.op is not one of" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

#define EVENT(op, after)                                                          \
	"{ \"payload\":{\"op\":\"" op "\",\"before\":{\"id\":0},\"after\":" after \
	",\"source\":{\"ts\":12.0,\"table\":\"t\",\"n\":null,\"o\":{\"x\":[1]},\"\":1,\"a.b\":2}} }"

static void appends_operation_fields(void **state)
{
	static const struct transform_case cases[] = {
		{ UNWRAP("{addOperationFields: true}"), EVENT("c", "{\"id\":1}"),
		  .want = { "{\"id\":1,\"__op\":\"c\",\"__deleted\":\"false\"}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{addOperationFields: true}"), EVENT("u", "{}"),
		  .want = { "{\"__op\":\"u\",\"__deleted\":\"false\"}" }, .want_meta = "{\"operation\":\"update\"}" },
		{ UNWRAP("{addOperationFields: true}"), EVENT("r", "{\"id\":1}"),
		  .want = { "{\"id\":1,\"__op\":\"r\",\"__deleted\":\"false\"}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{addOperationFields: true}"), EVENT("d", "null"),
		  .want = { "{\"id\":0,\"__op\":\"d\",\"__deleted\":\"true\"}" },
		  .want_meta = "{\"operation\":\"delete\"}" },
		{ UNWRAP("{addOperationFields: true}"), EVENT("c", "{\"__op\":null}"), "{\"a\":1}",
		  .error = "cannot add the field __op: payload.after has one of that name" },
		{ UNWRAP("{addOperationFields: true}"), EVENT("c", "{\"id\":1,\"__deleted\":1}"),
		  .error = "cannot add the field __deleted" },
		{ PLAIN, EVENT("c", "{\"__op\":1,\"__deleted\":2}"), .want = { "{\"__op\":1,\"__deleted\":2}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void appends_source_fields(void **state)
{
	static const struct transform_case cases[] = {
		{ UNWRAP("{addSourceFields: [table, ts]}"), EVENT("c", "{\"id\":1}"),
		  .want = { "{\"id\":1,\"source_table\":\"t\",\"source_ts\":12.0}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{addSourceFields: [n, o, n, missing, a.b], addOperationFields: true}"),
		  EVENT("c", "{\"id\":1}"),
		  .want = { "{\"id\":1,\"__op\":\"c\",\"__deleted\":\"false\",\"source_n\":null,\"source_o\":{\"x\":[1]"
			    "},"
			    "\"source_a.b\":2}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{addSourceFields: []}"), EVENT("c", "{\"id\":1}"), .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
		/* a name that the row has: only when something is to be added there */
		{ UNWRAP("{addSourceFields: [ts]}"), EVENT("c", "{\"source_ts\":1}"),
		  .error = "cannot add the field source_ts" },
		{ UNWRAP("{addSourceFields: [table, ts], addOperationFields: true}"),
		  EVENT("c", "{\"id\":1,\"source_ts\":null}"), .error = "cannot add the field source_ts" },
		{ UNWRAP("{addSourceFields: [missing]}"), EVENT("c", "{\"source_missing\":1}"),
		  .want = { "{\"source_missing\":1}" }, .want_meta = "{\"operation\":\"insert\"}" },
		/* no source, or none that has members */
		{ UNWRAP("{addSourceFields: [ts]}"), "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1}}}",
		  .want = { "{\"id\":1}" }, .want_meta = "{\"operation\":\"insert\"}" },
		{ UNWRAP("{addSourceFields: [ts], includeSourceInMetadata: true}"),
		  "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1},\"source\":\"ts\"}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"operation\":\"insert\"}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void puts_the_source_into_the_metadata(void **state)
{
	static const struct transform_case cases[] = {
		{ UNWRAP("{includeSourceInMetadata: true}"), EVENT("c", "{\"id\":1}"),
		  "{\"topic\":\"t\",\"source_ts\":\"old\"}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"topic\":\"t\",\"source_ts\":12.0,\"operation\":\"insert\",\"source_table\":\"t\","
			       "\"source_n\":null,\"source_o\":{\"x\":[1]},\"source_\":1,\"source_a.b\":2}" },
		/* row and metadata have values of their own */
		{ "[{type: debeziumUnwrap, config: {includeSourceInMetadata: true, addSourceFields: [o]}},"
		  " {type: mask, config: {fields: [source_o.x, 'source_o.x[0]']}}]",
		  "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":1},\"source\":{\"o\":{\"x\":[1]}}}}",
		  .want = { "{\"id\":1,\"source_o\":{\"x\":\"***\"}}" },
		  .want_meta = "{\"operation\":\"insert\",\"source_o\":{\"x\":[1]}}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

#define INFER UNWRAP("{inferDeleteFromTombstone: true}")

static void drops_tombstones(void **state)
{
	static const struct transform_case cases[] = {
		{ PLAIN, NULL, .drop = true },
		{ PLAIN, NULL, "{\"key\":\"{\\\"id\\\":1}\"}", .drop = true },
		{ INFER, NULL, .drop = true },
		{ INFER, NULL, "{}", .drop = true },
		{ INFER, NULL, "{\"topic\":\"t\"}", .drop = true },
		{ INFER, NULL, "{\"key\":null}", .drop = true },
		{ INFER, NULL, "{\"key\":\"\"}", .drop = true },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void infers_deletes(void **state)
{
	static const struct transform_case cases[] = {
		{ INFER, NULL, "{\"key\":\"{\\\"id\\\" : 1.10}\"}", .want = { "{\"id\":1.10}" },
		  .want_meta = "{\"key\":\"{\\\"id\\\" : 1.10}\",\"operation\":\"delete\"}" },
		{ INFER, NULL, "{\"key\":{\"id\":1}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"key\":{\"id\":1},\"operation\":\"delete\"}" },
		{ INFER, NULL, "{\"key\":\"{\\\"payload\\\":{\\\"id\\\":1}}\"}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"key\":\"{\\\"payload\\\":{\\\"id\\\":1}}\",\"operation\":\"delete\"}" },
		{ INFER, NULL, "{\"key\":{\"payload\":{\"id\":1},\"schema\":{\"type\":\"struct\"}}}",
		  .want = { "{\"id\":1}" },
		  .want_meta = "{\"key\":{\"payload\":{\"id\":1},\"schema\":{\"type\":\"struct\"}},\"operation\":"
			       "\"delete\"}" },
		{ INFER, NULL, "{\"key\":{\"schema\":null,\"payload\":{\"id\":1}}}", .want = { "{\"id\":1}" },
		  .want_meta = "{\"key\":{\"schema\":null,\"payload\":{\"id\":1}},\"operation\":\"delete\"}" },
		/* other members: the row itself */
		{ INFER, NULL, "{\"key\":{\"payload\":{\"id\":1},\"x\":2}}",
		  .want = { "{\"payload\":{\"id\":1},\"x\":2}" },
		  .want_meta = "{\"key\":{\"payload\":{\"id\":1},\"x\":2},\"operation\":\"delete\"}" },
		{ INFER, NULL, "{\"key\":{\"schema\":1}}", .want = { "{\"schema\":1}" },
		  .want_meta = "{\"key\":{\"schema\":1},\"operation\":\"delete\"}" },
		{ INFER, NULL, "{\"key\":{\"schema\":1,\"payload\":{\"a\":1},\"z\":2}}",
		  .want = { "{\"schema\":1,\"payload\":{\"a\":1},\"z\":2}" },
		  .want_meta = "{\"key\":{\"schema\":1,\"payload\":{\"a\":1},\"z\":2},\"operation\":\"delete\"}" },
		/* operation fields, but none of the source; the key stays as it is when the row changes */
		{ UNWRAP("{inferDeleteFromTombstone: true, addOperationFields: true, addSourceFields: [ts],"
			 " includeSourceInMetadata: true}"),
		  NULL, "{\"topic\":\"t\",\"key\":{\"id\":1}}",
		  .want = { "{\"id\":1,\"__op\":\"d\",\"__deleted\":\"true\"}" },
		  .want_meta = "{\"topic\":\"t\",\"key\":{\"id\":1},\"operation\":\"delete\"}" },
		{ "[" INFER ", {type: mask, config: {fields: [id]}}]", NULL, "{\"key\":{\"id\":1}}",
		  .want = { "{\"id\":\"***\"}" }, .want_meta = "{\"key\":{\"id\":1},\"operation\":\"delete\"}" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void fails_without_a_deleted_row(void **state)
{
	static const struct transform_case cases[] = {
		{ INFER, NULL, "{\"key\":\"abc\"}", .error = "key is not JSON" },
		{ INFER, NULL, "{\"key\":\" \"}", .error = "key is not JSON" },
		{ INFER, NULL, "{\"key\":\"5\"}", .error = "key is a number" },
		{ INFER, NULL, "{\"key\":\"null\"}", .error = "key is null" },
		{ INFER, NULL, "{\"key\":\"\\\"x\\\"\"}", .error = "key is a string" },
		{ INFER, NULL, "{\"key\":\"[1]\"}", .error = "key is an array" },
		{ INFER, NULL, "{\"key\":\"{}\"}", .error = "key is an empty object" },
		{ INFER, NULL, "{\"key\":5}", .error = "key is a number" },
		{ INFER, NULL, "{\"key\":true}", .error = "key is a bool" },
		{ INFER, NULL, "{\"key\":[{\"id\":1}]}", .error = "key is an array" },
		{ INFER, NULL, "{\"key\":{}}", .error = "key is an empty object" },
		{ INFER, NULL, "{\"key\":{\"payload\":null}}", .error = "key is null" },
		{ INFER, NULL, "{\"key\":{\"schema\":{},\"payload\":{}}}", .error = "key is an empty object" },
		{ INFER, NULL, "{\"key\":{\"payload\":7}}", .error = "key is a number" },
		{ UNWRAP("{inferDeleteFromTombstone: true, addOperationFields: true}"), NULL, "{\"key\":{\"__op\":1}}",
		  .error = "cannot add the field __op: the key has one of that name" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* Messages of one batch may share their metadata: none sees what another one made of it. */
static void leaves_shared_metadata_alone(void **state)
{
	static const char *const payloads[] = { NULL, "{\"payload\":{\"op\":\"c\",\"after\":{\"id\":2}}}", NULL };
	struct transform_test t;
	const struct df_chain_events events = { 0 };

	(void)state;
	transform_test_open(&t, "[{type: debeziumUnwrap, config: {inferDeleteFromTombstone: true,"
				" addOperationFields: true}}, {type: mask, config: {fields: [id]}}]");
	struct df_batch *batch = df_batch_new(t.pool);
	for (size_t i = 0; i < DF_ARRAY_SIZE(payloads); i++)
		transform_test_add(batch, payloads[i], i == 0 ? "{\"key\":{\"id\":1}}" : NULL);
	struct df_value *shared = batch->messages[0].metadata;
	for (size_t i = 1; i < DF_ARRAY_SIZE(payloads); i++)
		batch->messages[i].metadata = shared;
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_int_equal(batch->count, DF_ARRAY_SIZE(payloads));
	for (size_t i = 0; i < batch->count; i++) {
		const struct df_message *m = &batch->messages[i];
		struct df_str text = df_value_to_arena(m->metadata, &batch->arena);
		assert_true(df_str_equal_c(text, i == 1 ? "{\"key\":{\"id\":1},\"operation\":\"insert\"}"
							: "{\"key\":{\"id\":1},\"operation\":\"delete\"}"));
		assert_int_equal(df_message_payload(m, &batch->arena, &text), 0);
		assert_true(df_str_equal_c(text, i == 1 ? "{\"id\":\"***\",\"__op\":\"c\",\"__deleted\":\"false\"}"
							: "{\"id\":\"***\",\"__op\":\"d\",\"__deleted\":\"true\"}"));
	}
	assert_true(df_str_equal_c(df_value_to_arena(shared, &batch->arena), "{\"key\":{\"id\":1}}"));
	df_batch_free(batch);
	transform_test_close(&t);
}

static void refuses_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ PLAIN, NULL },
		{ UNWRAP("null"), NULL },
		{ UNWRAP("{}"), NULL },
		{ UNWRAP("{snapshotOperation: null, addSourceFields: null, addOperationFields: null}"), NULL },
		{ UNWRAP("{snapshotOperation: ''}"), NULL },
		{ UNWRAP("{snapshotOperation: read}"), "spec.transformations[0].config.snapshotOperation: " },
		{ UNWRAP("{snapshotOperation: Insert}"), "spec.transformations[0].config.snapshotOperation: " },
		{ UNWRAP("{inferDeleteFromTombstone: 'true'}"),
		  "spec.transformations[0].config.inferDeleteFromTombstone: " },
		{ UNWRAP("{includeSourceInMetadata: 1}"), "spec.transformations[0].config.includeSourceInMetadata: " },
		{ UNWRAP("{addOperationFields: [op]}"), "spec.transformations[0].config.addOperationFields: " },
		{ UNWRAP("{addSourceFields: ts}"), "spec.transformations[0].config.addSourceFields: " },
		{ UNWRAP("{addSourceFields: [ts, '']}"), "spec.transformations[0].config.addSourceFields[1]: " },
		{ UNWRAP("{addSourceFields: [ts, 5]}"), "spec.transformations[0].config.addSourceFields[1]: " },
		{ UNWRAP("{addFields: [op]}"), "spec.transformations[0].config.addFields: " },
		{ UNWRAP("[]"), "spec.transformations[0].config: " },
		{ "{type: debeziumUnwrap, debeziumUnwrap: {addFields: []}}",
		  "spec.transformations[0].debeziumUnwrap.addFields: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("debeziumUnwrap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_row),
		cmocka_unit_test(knows_truncate_and_message),
		cmocka_unit_test(passes_what_is_no_envelope),
		cmocka_unit_test(can_be_wrapped_before),
		cmocka_unit_test(fails_without_a_row),
		cmocka_unit_test(appends_operation_fields),
		cmocka_unit_test(appends_source_fields),
		cmocka_unit_test(puts_the_source_into_the_metadata),
		cmocka_unit_test(drops_tombstones),
		cmocka_unit_test(infers_deletes),
		cmocka_unit_test(fails_without_a_deleted_row),
		cmocka_unit_test(leaves_shared_metadata_alone),
		cmocka_unit_test(refuses_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
