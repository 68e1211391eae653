#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spec/yaml.h"
#include "transform_test.h"
#include "transformers/factory.h"

struct df_clock transform_test_clock = { .fixed = true, .fixed_ns = TRANSFORM_TEST_NOW };

/* ---- settings -------------------------------------------------------------------------------------------- */

struct sink_settings {
	char *target;
	struct df_secret password;
};

static const struct df_field sink_fields[] = {
	DF_FIELD(struct sink_settings, target, "target", DF_REQUIRED, .doc = "Where to."),
	DF_FIELD(struct sink_settings, password, "password", 0, .doc = "A secret."),
};
static const struct df_table sink_table = DF_TABLE(struct sink_settings, sink_fields);
static const struct df_type sink_type = { .name = "test", .title = "Test", .doc = "Test.", .settings = &sink_table };

const struct df_registry *transform_test_registry(void)
{
	static const struct df_type *const sinks[] = { &sink_type };
	static struct df_registry registry = { .types[DF_SINK] = sinks, .count[DF_SINK] = 1 };

	registry.types[DF_TRANSFORMATION] = df_transformer_types(&registry.count[DF_TRANSFORMATION]);
	return &registry;
}

static void parse_component(struct transform_test *t, const struct df_value *object)
{
	char path[64];
	struct df_parse_options options = { .path = path, .registry = transform_test_registry() };

	snprintf(path, sizeof(path), "spec.transformations[%zu]", t->list.count);
	t->list.items = reallocarray(t->list.items, t->list.count + 1, sizeof(*t->list.items));
	assert_non_null(t->list.items);
	df_component_parse(DF_TRANSFORMATION, object, NULL, &options, &t->list.items[t->list.count++], &t->diags);
}

/* False when the settings were refused; the reasons are in t->diags. */
static bool try_open(struct transform_test *t, const char *config)
{
	struct df_yaml_documents documents = { 0 };
	int r;

	*t = (struct transform_test){ 0 };
	df_arena_init(&t->arena, NULL);
	df_yaml_parse(df_str_c(config), NULL, &t->arena, &documents, &t->diags);
	if (t->diags.errors > 0 || documents.count != 1)
		fail_msg("bad YAML in a test: %s", config);
	if (documents.items[0]->kind == DF_ARRAY) {
		df_for_each (item, documents.items[0])
			parse_component(t, item);
	} else {
		parse_component(t, documents.items[0]);
	}
	t->pool = df_batch_pool_new(1024 * 1024);
	assert_non_null(t->pool);
	if (t->diags.errors > 0)
		return false;
	r = df_chain_new(&t->list, &transform_test_clock, &t->chain, &t->diags);
	assert_int_not_equal(r, DF_ERR_NO_MEMORY);
	assert_int_equal(r == 0, t->diags.errors == 0);
	assert_int_equal(r == 0, t->chain != NULL);
	return r == 0;
}

void transform_test_open(struct transform_test *t, const char *config)
{
	if (!try_open(t, config))
		fail_msg("%s: %s: %s", config, t->diags.items[0].path, t->diags.items[0].text);
}

void transform_test_close(struct transform_test *t)
{
	df_chain_free(t->chain);
	for (size_t i = 0; i < t->list.count; i++)
		df_component_done(&t->list.items[i]);
	free(t->list.items);
	df_diags_done(&t->diags);
	df_batch_pool_free(t->pool);
	df_arena_done(&t->arena);
	*t = (struct transform_test){ 0 };
}

void transform_check_config(const struct transform_config_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct transform_test t;
		df_cleanup(df_buf_done) struct df_buf text = { 0 };
		bool ok = try_open(&t, cases[i].config);

		df_diags_print(&t.diags, &text);
		if (!cases[i].error && !ok)
			fail_msg("%s\nwas refused: %s", cases[i].config, df_buf_c(&text));
		if (cases[i].error && ok)
			fail_msg("%s\nwas accepted, wanted: %s", cases[i].config, cases[i].error);
		if (cases[i].error && !strstr(df_buf_c(&text), cases[i].error))
			fail_msg("%s\nwanted: %s\ngot: %s", cases[i].config, cases[i].error, df_buf_c(&text));
		transform_test_close(&t);
	}
}

static void check_config(const char *type, const struct df_example *example)
{
	struct transform_test t;
	bool found = false;

	/* Sinks of other floors are not known here. */
	if (strstr(example->config, "sink:"))
		return;
	transform_test_open(&t, example->config);
	for (size_t i = 0; i < t.list.count; i++)
		found = found || strcmp(df_chain_type_name(t.chain, i), type) == 0;
	if (!found)
		fail_msg("the example '%s' has no %s", example->title, type);
	transform_test_close(&t);
}

void transform_check_example(const char *type)
{
	const struct df_type *found = df_registry_find(transform_test_registry(), DF_TRANSFORMATION, df_str_c(type));

	if (!found)
		fail_msg("%s is not in the list", type);
	assert_non_null(found->title);
	assert_non_null(found->doc);
	assert_true(found->example_count > 0);
	for (size_t i = 0; found->settings && i < found->settings->field_count; i++) {
		const struct df_field *field = &found->settings->fields[i];
		if (!field->doc || (!field->example && field->type != DF_TYPE_COMPONENT && !field->table))
			fail_msg("%s.%s has no doc or no example", type, field->name);
	}
	/* What they give is for test/rules/test_doc_examples.py. */
	for (size_t i = 0; i < found->example_count; i++)
		check_config(type, &found->examples[i]);
}

/* ---- messages -------------------------------------------------------------------------------------------- */

struct df_message *transform_test_add(struct df_batch *batch, const char *payload, const char *meta)
{
	struct df_message *m = df_batch_add(batch);
	struct df_error err = DF_ERROR_INIT;

	assert_non_null(m);
	/* Without a NUL behind it, so that a read past the end is seen. */
	if (payload && *payload) {
		m->payload.len = strlen(payload);
		m->payload.ptr = memcpy(df_arena_alloc(&batch->arena, m->payload.len), payload, m->payload.len);
	}
	if (meta) {
		struct df_str copy = df_arena_dup(&batch->arena, df_str_c(meta));
		if (df_value_parse_text(copy, &batch->arena, &m->metadata, &err))
			fail_msg("bad metadata in a test: %s: %s", meta, err.text);
	}
	return m;
}

static int count_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	(void)m;
	(void)transformer;
	assert_int_equal(err->code, DF_ERR_INVALID_DATA);
	++*(size_t *)arg;
	return 0;
}

static void ignore_dropped(void *arg, struct df_message *m, size_t transformer)
{
	(void)arg;
	(void)m;
	(void)transformer;
}

void transform_test_run(struct transform_test *t, struct df_batch *batch, size_t failed)
{
	size_t count = 0;
	const struct df_chain_events events = { .arg = &count, .dropped = ignore_dropped, .failed = count_failed };
	struct df_error err = DF_ERROR_INIT;

	if (df_chain_run(t->chain, batch, &events, &err))
		fail_msg("the run ended: %s", err.text);
	assert_int_equal(count, failed);
}

static struct df_str meta_text(const struct df_message *m, struct df_arena *arena)
{
	return m->metadata ? df_value_to_arena(m->metadata, arena) : DF_STR("{}");
}

static struct df_str compact(const char *json, struct df_arena *arena)
{
	struct df_value *root = NULL;

	if (!json || df_value_parse(df_str_c(json), arena, &root, NULL) != DF_PARSE_OK)
		return df_str_c(json ? json : "");
	return df_value_to_arena(root, arena);
}

struct run {
	const struct transform_case *c;
	struct df_batch *batch;
	size_t count; /* messages put in */
	size_t dropped, failed;
	size_t made; /* by splitting */
};

#define SHOW(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static void same(const struct run *run, const char *what, struct df_str got, struct df_str want)
{
	if (!df_str_equal(got, want))
		fail_msg("%s\non %s\n%s, wanted: %.*s\n%s, got:    %.*s", run->c->config,
			 run->c->in ? run->c->in : "an empty payload", what, SHOW(want), what, SHOW(got));
}

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	struct run *run = arg;

	(void)m;
	(void)transformer;
	run->dropped++;
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct run *run = arg;
	struct df_arena *arena = &run->batch->arena;
	struct df_str payload;

	(void)transformer;
	run->failed++;
	if (!run->c->error)
		fail_msg("%s\non %s\nfailed: %s", run->c->config, run->c->in ? run->c->in : "an empty payload",
			 err->text);
	if (err->code != DF_ERR_INVALID_DATA || !strstr(err->text, run->c->error))
		fail_msg("%s\non %s\nwanted error: %s\ngot %d: %s", run->c->config, run->c->in ? run->c->in : "",
			 run->c->error, err->code, err->text);
	/* Nothing of a half-done change: neither in the payload nor in the document. */
	assert_int_equal(df_message_payload(m, arena, &payload), 0);
	same(run, "failed payload", payload, df_str_c(run->c->in));
	if (m->document)
		same(run, "failed document", df_value_to_arena(m->document, arena), compact(run->c->in, arena));
	same(run, "failed metadata", meta_text(m, arena), compact(run->c->meta ? run->c->meta : "{}", arena));
	assert_int_equal(m->route, 0);
	return 0;
}

static void on_split(void *arg, const struct df_message *m, size_t n)
{
	struct run *run = arg;

	(void)m;
	assert_true(n >= 1);
	run->made += n - 1;
}

static void check_outputs(const struct run *run, size_t wanted)
{
	struct df_arena *arena = &run->batch->arena;
	const struct transform_case *c = run->c;
	const char *meta = c->want_meta ? c->want_meta : c->meta ? c->meta : "{}";

	for (size_t i = 0; i < run->batch->count; i++) {
		const struct df_message *m = &run->batch->messages[i];
		struct df_str payload;

		assert_int_equal(df_message_payload(m, arena, &payload), 0);
		if (i >= run->count * wanted)
			fail_msg("%s\non %s\none output too many: %.*s", c->config, c->in ? c->in : "", SHOW(payload));
		same(run, "payload", payload, df_str_c(c->want[i % wanted]));
		same(run, "metadata", meta_text(m, arena), compact(meta, arena));
		if (m->route != c->route)
			fail_msg("%s\non %s\nroute %d", c->config, c->in ? c->in : "", m->route);
	}
	if (run->batch->count < run->count * wanted)
		fail_msg("%s\non %s\n%zu outputs, wanted %zu", c->config, c->in ? c->in : "",
			 run->batch->count / run->count, wanted);
}

static void run_batch(struct transform_test *t, const struct transform_case *c, size_t copies)
{
	struct run run = { .c = c, .batch = df_batch_new(t->pool), .count = copies };
	const struct df_chain_events events = {
		.arg = &run, .dropped = on_dropped, .failed = on_failed, .split = on_split
	};
	struct df_error err = DF_ERROR_INIT;
	size_t wanted = 0;

	while (wanted < TRANSFORM_TEST_OUTPUTS && c->want[wanted])
		wanted++;
	for (size_t i = 0; i < copies; i++)
		transform_test_add(run.batch, c->in, c->meta);
	if (df_chain_run(t->chain, run.batch, &events, &err))
		fail_msg("%s\non %s\nthe run ended: %s", c->config, c->in ? c->in : "", err.text);
	if (c->error && run.failed == 0)
		fail_msg("%s\non %s\ndid not fail, wanted: %s", c->config, c->in ? c->in : "", c->error);
	if (c->drop && run.dropped == 0)
		fail_msg("%s\non %s\nwas not dropped", c->config, c->in ? c->in : "");
	check_outputs(&run, wanted);
	assert_int_equal(run.batch->count + run.failed + run.dropped, copies + run.made);
	df_batch_free(run.batch);
}

void transform_check(const struct transform_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct transform_test t;

		transform_test_open(&t, cases[i].config);
		run_batch(&t, &cases[i], 3);
		run_batch(&t, &cases[i], 1);
		transform_test_close(&t);
	}
}
