/* The chain: order, outcomes, events, counts, what enters the first transformer and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transform_test.h"

#include "transformers/factory.h"

struct log {
	char text[512];
	int answer; /* of `failed` */
};

static void say(struct log *log, const char *fmt, ...) df_printf(2, 3);
static void say(struct log *log, const char *fmt, ...)
{
	size_t len = strlen(log->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(log->text + len, sizeof(log->text) - len, fmt, args);
	va_end(args);
}

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	say(arg, "drop %u at %zu; ", m->index, transformer);
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct log *log = arg;

	if (transformer == SIZE_MAX)
		say(log, "undecoded %u: %s; ", m->index, err->text);
	else
		say(log, "fail %u at %zu; ", m->index, transformer);
	return log->answer;
}

static void on_split(void *arg, const struct df_message *m, size_t n)
{
	say(arg, "split %u to %zu; ", m->index, n);
}

static void on_step(void *arg, const struct df_message *m, size_t transformer)
{
	say(arg, "step %u at %zu; ", m->index, transformer);
}

static const char chain[] = "[{type: filter, config: {condition: '!drop'}}, {type: flatten, config: {field: i}},"
			    " {type: timestamp, config: {fieldName: a.t}}]";

static struct df_batch *fill(struct transform_test *t, const char *const *docs, size_t n)
{
	struct df_batch *batch = df_batch_new(t->pool);

	for (size_t i = 0; i < n; i++)
		transform_test_add(batch, docs[i], NULL)->index = (uint32_t)i;
	return batch;
}

static void check_payloads(struct df_batch *batch, const char *const *want, size_t n)
{
	assert_int_equal(batch->count, n);
	for (size_t i = 0; i < n; i++) {
		struct df_str out;

		assert_int_equal(df_message_payload(&batch->messages[i], &batch->arena, &out), 0);
		if (!df_str_equal_c(out, want[i]))
			fail_msg("%zu: %.*s, wanted %s", i, (int)out.len, out.ptr, want[i]);
	}
}

#define T "\"2024-01-15T09:50:00Z\""

static const char *const docs[] = {
	"{\"n\":0}",	     "{\"drop\":true}", "{\"n\":2,\"i\":[{\"x\":1},{\"a\":5},{\"x\":3}]}",
	"{\"n\":3,\"a\":1}", "plain",		"{\"n\":5,\"i\":[7]}",
};
static const char *const wanted[] = {
	"{\"n\":0,\"a\":{\"t\":" T "}}",
	"{\"n\":2,\"x\":1,\"a\":{\"t\":" T "}}",
	"{\"n\":2,\"x\":3,\"a\":{\"t\":" T "}}",
	"{\"n\":5,\"i\":7,\"a\":{\"t\":" T "}}",
};

static void keeps_the_order_and_tells_what_happens(void **state)
{
	struct transform_test t;

	(void)state;
	transform_test_open(&t, chain);
	for (int round = 0; round < 2; round++) {
		struct log log = { 0 };
		const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, NULL };
		struct df_batch *batch = fill(&t, docs, DF_ARRAY_SIZE(docs));

		assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
		check_payloads(batch, wanted, DF_ARRAY_SIZE(wanted));
		assert_string_equal(log.text,
				    "drop 1 at 0; drop 4 at 0; split 2 to 3; split 5 to 1; fail 2 at 2; fail 3 at 2; ");
		df_batch_free(batch);
	}
	transform_test_close(&t);
}

static void counts(void **state)
{
	static const struct df_transformer_stats want[] = {
		{ .executions = 6, .in = 6, .out = 4, .dropped = 2 },
		{ .executions = 4, .in = 4, .out = 6 },
		{ .executions = 6, .in = 6, .out = 4, .errors = 2 },
	};
	struct transform_test t;

	(void)state;
	transform_test_open(&t, chain);
	for (uint64_t round = 1; round <= 2; round++) {
		struct df_batch *batch = fill(&t, docs, DF_ARRAY_SIZE(docs));

		transform_test_run(&t, batch, 2);
		df_batch_free(batch);
		for (size_t i = 0; i < 3; i++) {
			const struct df_transformer_stats *got = df_chain_stats(t.chain, i);

			assert_int_equal(got->executions, round * want[i].executions);
			assert_int_equal(got->in, round * want[i].in);
			assert_int_equal(got->out, round * want[i].out);
			assert_int_equal(got->dropped, round * want[i].dropped);
			assert_int_equal(got->errors, round * want[i].errors);
			assert_true(got->duration_ns > 0);
		}
	}
	assert_int_equal(df_chain_length(t.chain), 3);
	assert_string_equal(df_chain_type_name(t.chain, 1), "flatten");
	transform_test_close(&t);
}

static void shows_every_step(void **state)
{
	static const char *const some[] = { "{\"i\":[1,2]}", "{\"drop\":1}" };
	struct log log = { 0 };
	const struct df_chain_events events = { &log, on_dropped, on_failed, NULL, on_step };
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	transform_test_open(&t, chain);
	batch = fill(&t, some, 2);
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_string_equal(log.text, "drop 1 at 0; step 0 at 0; step 0 at 1; step 0 at 1; step 0 at 2; step 0 at 2; ");
	df_batch_free(batch);
	transform_test_close(&t);
}

static void gives_undecoded_messages_away(void **state)
{
	static const char *const some[] = { "{\"n\":0}", "{\"n\":1}", "{\"n\":2}" };
	static const char *const want[] = { "{\"n\":0,\"a\":{\"t\":" T "}}", "{\"n\":2,\"a\":{\"t\":" T "}}" };
	struct log log = { 0 };
	const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, NULL };
	struct df_error why = DF_ERROR_INIT;
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	df_error_set(&why, DF_ERR_INVALID_DATA, "bad Avro");
	transform_test_open(&t, chain);
	batch = fill(&t, some, 3);
	batch->messages[1].failure = &why;
	assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
	assert_string_equal(log.text, "undecoded 1: bad Avro; ");
	check_payloads(batch, want, 2);
	df_batch_free(batch);
	transform_test_close(&t);
}

/* Also without any transformer. */
static void works_when_it_is_empty(void **state)
{
	struct df_components none = { 0 };
	struct df_diags diags = { 0 };
	df_cleanup(df_chain_freep) struct df_chain *empty = NULL;
	static const char *const some[] = { "{ }", "x" };
	struct log log = { 0 };
	const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, on_step };
	struct df_error why = DF_ERROR_INIT;
	const struct df_route *routes;
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	assert_int_equal(df_chain_new(&none, NULL, &empty, &diags), 0);
	assert_int_equal(df_chain_length(empty), 0);
	assert_int_equal(df_chain_routes(empty, &routes), 0);
	transform_test_open(&t, chain);
	batch = fill(&t, some, 2);
	df_error_set(&why, DF_ERR_INVALID_DATA, "bad");
	batch->messages[0].failure = &why;
	assert_int_equal(df_chain_run(empty, batch, &events, NULL), 0);
	check_payloads(batch, some + 1, 1);
	assert_string_equal(log.text, "undecoded 0: bad; ");
	df_batch_free(batch);
	transform_test_close(&t);
}

static void ends_when_nobody_takes_the_poison(void **state)
{
	static const char *const some[] = { "{\"a\":1}", "{\"n\":1}" };
	struct log log = { .answer = DF_ERR_UNKNOWN };
	const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, NULL };
	struct df_error err = DF_ERROR_INIT;
	struct df_error why = DF_ERROR_INIT;
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	transform_test_open(&t, chain);
	batch = fill(&t, some, 2);
	assert_int_equal(df_chain_run(t.chain, batch, &events, &err), DF_ERR_UNKNOWN);
	assert_string_equal(log.text, "fail 0 at 2; ");
	assert_non_null(strstr(err.text, "a.t"));
	df_batch_free(batch);

	batch = fill(&t, some, 2);
	df_error_set(&why, DF_ERR_INVALID_DATA, "bad Avro");
	batch->messages[0].failure = &why;
	assert_int_equal(df_chain_run(t.chain, batch, &events, &err), DF_ERR_UNKNOWN);
	assert_string_equal(err.text, "bad Avro");
	df_batch_free(batch);
	transform_test_close(&t);
}

/* Whatever the first transformation is: nobody may dodge it with something that is too deep to be looked at. */
static void refuses_what_is_too_deep(void **state)
{
	static const char *const first[] = {
		"{type: timestamp}",
		"{type: snakeCase}",
		"{type: flatten, config: {field: i}}",
		"{type: filter, config: {condition: a}}",
		"{type: mask, config: {fields: [a]}}",
		"{type: headersToPayload, config: {mappings: ['a:b']}}",
		"{type: debeziumUnwrap}",
		"{type: hoistField, config: {field: a}}",
		"{type: select, config: {fields: [a]}}",
	};
	struct df_buf deep = { 0 };
	struct df_buf fine = { 0 };

	(void)state;
	for (int i = 0; i < 1001; i++)
		df_buf_add_char(&deep, '[');
	for (int i = 0; i < 1000; i++)
		df_buf_add_char(&fine, '[');
	for (int i = 0; i < 1000; i++)
		df_buf_add_char(&fine, ']');
	for (size_t i = 0; i < DF_ARRAY_SIZE(first); i++) {
		struct log log = { 0 };
		const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, NULL };
		struct transform_test t;
		struct df_batch *batch;

		transform_test_open(&t, first[i]);
		batch = df_batch_new(t.pool);
		transform_test_add(batch, df_buf_c(&deep), NULL);
		assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
		assert_string_equal(log.text, "fail 0 at 0; ");
		log.text[0] = '\0';
		transform_test_add(batch, df_buf_c(&fine), NULL);
		assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
		assert_null(strstr(log.text, "fail"));
		df_batch_free(batch);
		transform_test_close(&t);
	}
	df_buf_done(&deep);
	df_buf_done(&fine);
}

/* Metadata, key, headers and position are the parent's; the payload is not. */
static void copies_what_outputs_share(void **state)
{
	struct df_header header = { DF_STR("h"), DF_STR("v") };
	struct transform_test t;
	struct df_batch *batch;
	struct df_message *m;

	(void)state;
	transform_test_open(&t, chain);
	batch = df_batch_new(t.pool);
	m = transform_test_add(batch, "{\"i\":[{},{}]}", "{\"k\":1}");
	m->key = DF_STR("key");
	m->headers = &header;
	m->header_count = 1;
	m->sequence = 7;
	m->position.number = 8;
	m->timestamp_ns = 9;
	transform_test_run(&t, batch, 0);
	assert_int_equal(batch->count, 2);
	for (size_t i = 0; i < 2; i++) {
		m = &batch->messages[i];
		assert_true(df_str_equal_c(m->key, "key"));
		assert_ptr_equal(m->headers, &header);
		assert_int_equal(m->sequence, 7);
		assert_int_equal(m->position.number, 8);
		assert_int_equal(m->timestamp_ns, 9);
		assert_non_null(df_message_meta(m, "k"));
		assert_int_equal(m->payload.len, 0);
		assert_true(m->changed);
	}
	df_batch_free(batch);
	transform_test_close(&t);
}

static void tells_all_problems(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "[{type: filter, config: {condition: 'a =='}}, {type: nope}, {type: timezone, config: {fields: [a], "
		  "timezone: x}}]",
		  "spec.transformations[0].config.condition: " },
		{ "[{type: filter, config: {condition: 'a =='}}, {type: nope}]", "spec.transformations[1].type: " },
		{ "[{type: filter, config: {condition: 'a =='}}, {type: timezone, config: {fields: [a], timezone: x}}]",
		  "spec.transformations[1].config.timezone: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

/* The table checks conditions and paths too; a component that nobody checked is refused all the same. */
static void refuses_what_the_table_let_through(void **state)
{
	struct df_component component = { .kind = DF_TRANSFORMATION, .path = (char *)"spec.transformations[0]" };
	struct df_components list = { &component, 1 };
	struct df_diags diags = { 0 };
	struct df_chain *made = NULL;
	char *condition = (char *)"a ==";
	size_t count;
	const struct df_type *const *types = df_transformer_types(&count);

	(void)state;
	assert_int_equal(df_chain_new(&list, NULL, &made, &diags), DF_ERR_CONFIG);
	assert_string_equal(diags.items[0].path, "spec.transformations[0].type");
	assert_non_null(strstr(diags.items[0].text, "unknown transformation type"));
	df_diags_done(&diags);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(types[i]->name, "filter") == 0)
			component.type = types[i];
	}
	component.settings = &condition;
	component.settings_path = (char *)"spec.transformations[0].filter";
	assert_int_equal(df_chain_new(&list, NULL, &made, &diags), DF_ERR_CONFIG);
	assert_null(made);
	assert_string_equal(diags.items[0].path, "spec.transformations[0].filter.condition");
	df_diags_done(&diags);
	assert_int_equal(count, 19);
	df_chain_free(NULL);
	df_transformer_free(NULL);
}

/* A transformer that never looks at the payload: two outputs, or a failure after the first of them. */
static int make_two(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
		    struct df_error *err)
{
	(void)t;
	for (size_t i = 0; i < 2; i++) {
		struct df_message *out = df_transform_output(call, m);

		assert_non_null(out);
		df_message_set_document(out, df_value_int64(call->arena, m->index));
		if (m->index % 2 == 1)
			return df_error_set(err, DF_ERR_INVALID_DATA, "odd");
	}
	return DF_SPLIT;
}

static int create_plain(const void *settings, const struct df_place *place, struct df_transformer **ret,
			struct df_diags *diags)
{
	(void)settings;
	(void)place;
	(void)diags;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : DF_ERR_NO_MEMORY;
}

static void free_plain(struct df_transformer *t)
{
	free(t);
}

static void keeps_nothing_of_what_failed(void **state)
{
	static const struct df_transformer_type type = {
		.type = { .name = "two" }, .create = create_plain, .apply = make_two, .free = free_plain
	};
	struct df_component component = { .kind = DF_TRANSFORMATION, .type = &type.type };
	struct df_components list = { &component, 1 };
	static const char *const some[] = { "{}", "{}", "{}", "{}", "{}" };
	static const char *const want[] = { "0", "0", "2", "2" };
	struct df_chain *made = NULL;
	struct df_buf deep = { 0 };
	struct log log = { 0 };
	const struct df_chain_events events = { &log, on_dropped, on_failed, on_split, NULL };
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	for (int i = 0; i < 1001; i++)
		df_buf_add_char(&deep, '[');
	transform_test_open(&t, chain);
	assert_int_equal(df_chain_new(&list, NULL, &made, &t.diags), 0);
	batch = fill(&t, some, 5);
	batch->messages[4].payload = df_buf_str(&deep);
	assert_int_equal(df_chain_run(made, batch, &events, NULL), 0);
	assert_string_equal(log.text, "split 0 to 2; fail 1 at 0; split 2 to 2; fail 3 at 0; fail 4 at 0; ");
	check_payloads(batch, want, 4);
	df_batch_free(batch);
	df_chain_free(made);
	transform_test_close(&t);
	df_buf_done(&deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_order_and_tells_what_happens),
		cmocka_unit_test(counts),
		cmocka_unit_test(shows_every_step),
		cmocka_unit_test(gives_undecoded_messages_away),
		cmocka_unit_test(works_when_it_is_empty),
		cmocka_unit_test(ends_when_nobody_takes_the_poison),
		cmocka_unit_test(refuses_what_is_too_deep),
		cmocka_unit_test(copies_what_outputs_share),
		cmocka_unit_test(keeps_nothing_of_what_failed),
		cmocka_unit_test(tells_all_problems),
		cmocka_unit_test(refuses_what_the_table_let_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
