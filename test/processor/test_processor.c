/*
 * The processor with a real source (generate) and a sink that follows a script: what the other side does wrong on
 * demand. The sink remembers what it confirmed, so that each test can count what arrived, in which order, and how
 * often.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "processor/processor.h"

/* ---- the scripted sink ----------------------------------------------------------------------------------- */

struct script {
	/* Decides about one write: 0, DF_WRITE_PENDING or a code; may call df_write_fail for single messages. */
	int (*write)(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err);
	int sync_result;
	unsigned writes, connects, syncs, instances;
	unsigned fail_first; /* for the scripts below */
	int64_t poison;	     /* the id that no write accepts; -1: none */
	size_t largest;	     /* rows of the largest write */
	int64_t *ids;	     /* confirmed, in order */
	size_t count, cap;
	pthread_t later;
	struct df_write *pending;
};

struct scripted_sink {
	struct df_sink sink;
	struct script *script;
};

static int64_t id_of(struct df_message *m, struct df_arena *arena)
{
	struct df_error err;
	struct df_value *root = NULL, *member;
	int64_t id = -1; /* an error record has none */

	if (df_message_document(m, arena, &root, &err) == 0) {
		member = df_object_get_c(root, "id");
		if (member)
			df_value_to_int64(member, &id);
	}
	return id;
}

static void confirm(struct script *s, struct df_write *w, size_t i)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 1024;
		s->ids = realloc(s->ids, s->cap * sizeof(*s->ids));
	}
	s->ids[s->count++] = id_of(w->messages[i], w->arena);
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	(void)ctx;
	(void)err;
	((struct scripted_sink *)sink)->script->connects++;
	return 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct script *s = ((struct scripted_sink *)sink)->script;
	int r = 0;

	s->writes++;
	if (w->count > s->largest)
		s->largest = w->count;
	if (s->write)
		return s->write(s, ctx, w, err);
	for (size_t i = 0; i < w->count; i++)
		confirm(s, w, i);
	return r;
}

static int sink_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct script *s = ((struct scripted_sink *)sink)->script;

	(void)ctx;
	(void)err;
	s->syncs++;
	return final ? 0 : s->sync_result;
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	(void)sink;
	(void)err;
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	free(sink);
}

static const struct df_sink_ops scripted_ops = {
	.connect = sink_connect,
	.write = sink_write,
	.sync = sink_sync,
	.close = sink_close,
	.free = sink_free,
};

/* Outputs are told apart by their type: `discard` is the main sink, `stdout` the error sink. */
struct outputs {
	struct script main, errors;
};

static int make_sink(void *arg, const struct df_component *component, const struct df_connector_env *env,
		     struct df_sink **ret, struct df_error *err)
{
	struct outputs *outputs = arg;
	struct scripted_sink *s = calloc(1, sizeof(*s));

	(void)env;
	(void)err;
	s->sink.ops = &scripted_ops;
	s->script = strcmp(component->type->name, "stdout") == 0 ? &outputs->errors : &outputs->main;
	s->script->instances++;
	*ret = &s->sink;
	return 0;
}

/* ---- running a flow -------------------------------------------------------------------------------------- */

/* A store that keeps the newest checkpoint as text. */
struct memory_store {
	struct df_checkpoint_store store;
	char *text;
	unsigned saves;
};

static int memory_load(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
		       struct df_error *err)
{
	struct memory_store *m = (struct memory_store *)store;
	struct df_str text = df_arena_dup(arena, df_str_c(m->text ? m->text : "{}"));

	return df_value_parse_text(text, arena, ret, err);
}

static int memory_save(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err)
{
	struct memory_store *m = (struct memory_store *)store;
	struct df_buf buf = { 0 };

	(void)err;
	df_value_write(checkpoint, &buf);
	free(m->text);
	m->text = df_buf_take(&buf);
	m->saves++;
	return 0;
}

struct fixture {
	struct outputs outputs;
	struct memory_store store;
	struct df_dataflow_spec spec;
	struct df_processor *processor;
	struct df_processor_stats stats;
	struct df_error err;
};

static struct fixture *new_fixture(const char *yaml)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };

	f->outputs.main.poison = f->outputs.errors.poison = -1;
	f->store.store = (struct df_checkpoint_store){ memory_load, memory_save, NULL };
	df_yaml_parse(df_str_c(yaml), "test", &arena, &documents, &diags);
	assert_int_equal(documents.count, 1);
	df_settings_parse(&df_dataflow_table, documents.items[0],
			  &(struct df_parse_options){ .file = "test", .path = "spec", .registry = df_registry() },
			  &f->spec, &diags);
	if (diags.errors) {
		df_diags_print(&diags, &buf);
		fail_msg("%s", df_buf_c(&buf));
	}
	df_diags_done(&diags);
	return f;
}

static int run_with(struct fixture *f, struct df_context *stop, struct df_context *kill)
{
	struct df_processor_options options = {
		.spec = &f->spec,
		.namespace = "ns",
		.name = "test",
		.store = &f->store.store,
		.once = true,
		.grace_ns = DF_NS_PER_S,
		.make_sink = make_sink,
		.make_sink_arg = &f->outputs,
	};
	struct df_diags diags = { 0 };
	int r;

	f->err = DF_ERROR_INIT;
	r = df_processor_new(&options, &f->processor, &diags, &f->err);
	assert_int_equal(diags.errors, 0);
	df_diags_done(&diags);
	if (r == 0) {
		r = df_processor_run(f->processor, stop, kill, &f->err);
		df_processor_get_stats(f->processor, &f->stats);
	}
	df_processor_free(f->processor);
	f->processor = NULL;
	return r;
}

static int run(struct fixture *f)
{
	return run_with(f, NULL, NULL);
}

static void free_fixture(struct fixture *f)
{
	df_settings_done(&df_dataflow_table, &f->spec);
	free(f->outputs.main.ids);
	free(f->outputs.errors.ids);
	free(f->store.text);
	free(f);
}

/* 1, 2, ... n in order, each once, but for `missing`. */
static void assert_all_in_order(const struct script *s, int64_t n, int64_t missing)
{
	int64_t expected = 1;

	for (size_t i = 0; i < s->count; i++, expected++) {
		if (expected == missing)
			expected++;
		assert_int_equal(s->ids[i], expected);
	}
	if (expected == missing)
		expected++;
	assert_int_equal(expected, n + 1);
}

#define GENERATE(n) "source: {type: generate, config: {count: " #n ", template: '{\"id\": ${counter}}'}}\n"
#define SINK "sink: {type: discard, config: {}}\n"
#define ERRORS "errors: {type: stdout, config: {}}\n"

/* ---- tests ----------------------------------------------------------------------------------------------- */

static void every_message_arrives_once_in_order(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);

	(void)state;
	assert_int_equal(run(f), 0);
	assert_all_in_order(&f->outputs.main, 1000, -1);
	assert_int_equal(f->stats.read, 1000);
	assert_int_equal(f->stats.written, 1000);
	assert_int_equal(f->stats.phase, DF_PHASE_DONE);
	assert_int_equal(f->store.saves, 1);
	assert_true(f->outputs.main.syncs > 0);
	free_fixture(f);
}

static void a_second_run_goes_on_behind_the_position(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);

	(void)state;
	assert_int_equal(run(f), 0);
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 0);
	assert_all_in_order(&f->outputs.main, 1000, -1);
	f->spec.checkpoint_reset = true;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 1000);
	free_fixture(f);
}

static void filtered_messages_are_done(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK "transformations:\n"
							    "  - {type: filter, config: {condition: id <= 10}}\n");

	(void)state;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.filtered, 990);
	assert_int_equal(f->stats.written, 10);
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 0); /* the position is at the end, not behind the last written one */
	free_fixture(f);
}

static void split_messages_are_done_with_their_last_child(void **state)
{
	struct fixture *f = new_fixture("source: {type: generate, config: {count: 10, template: '{\"items\": [{\"id\": "
					"1}, {\"id\": 2}, {\"id\": 3}]}'}}\n" SINK
					"transformations:\n  - {type: flatten, config: {field: items}}\n"
					"  - {type: filter, config: {condition: id != 2}}\n");

	(void)state;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 10);
	assert_int_equal(f->stats.made, 20);
	assert_int_equal(f->stats.written, 20);
	assert_int_equal(f->stats.filtered, 10);
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 0);
	free_fixture(f);
}

/* The first writes fail as a whole and are worth another try. */
static int transient_first(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	if (s->writes <= s->fail_first)
		return df_error_set(err, DF_ERR_TRANSIENT, "try later");
	for (size_t i = 0; i < w->count; i++)
		confirm(s, w, i);
	return 0;
}

static void a_transient_failure_is_tried_again(void **state)
{
	struct fixture *f = new_fixture(GENERATE(50) SINK);

	(void)state;
	f->outputs.main.write = transient_first;
	f->outputs.main.fail_first = 1;
	assert_int_equal(run(f), 0);
	assert_all_in_order(&f->outputs.main, 50, -1);
	assert_true(f->stats.retries >= 1);
	assert_int_equal(f->outputs.main.instances, 1);
	free_fixture(f);
}

static int connection_first(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	int r = transient_first(s, ctx, w, err);

	if (r < 0)
		err->code = DF_ERR_CONNECTION;
	return r < 0 ? DF_ERR_CONNECTION : r;
}

static void a_lost_connection_is_opened_again(void **state)
{
	struct fixture *f = new_fixture(GENERATE(50) SINK);

	(void)state;
	f->outputs.main.write = connection_first;
	f->outputs.main.fail_first = 2; /* the first is opened again at once, the second after a second */
	assert_int_equal(run(f), 0);
	assert_all_in_order(&f->outputs.main, 50, -1);
	assert_int_equal(f->outputs.main.instances, 3);
	assert_int_equal(f->stats.reconnects, 2);
	free_fixture(f);
}

/* The store refuses one message and says which. */
static int refuse_one(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;

	(void)ctx;
	(void)err;
	df_error_set(&why, DF_ERR_CONSTRAINT, "duplicate key");
	for (size_t i = 0; i < w->count; i++) {
		if (id_of(w->messages[i], w->arena) == s->poison)
			df_write_fail(w, i, &why);
		else
			confirm(s, w, i);
	}
	return 0;
}

/* The store refuses the whole write and does not say why. */
static int refuse_all(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	for (size_t i = 0; i < w->count; i++)
		if (id_of(w->messages[i], w->arena) == s->poison)
			return df_error_set(err, DF_ERR_INVALID_DATA, "bad row somewhere");
	for (size_t i = 0; i < w->count; i++)
		confirm(s, w, i);
	return 0;
}

static void poison_goes_to_the_error_sink(void **state)
{
	static int (*const refuse[])(struct script *, struct df_context *, struct df_write *,
				     struct df_error *) = { refuse_one, refuse_all };
	static const int64_t poison[] = { 1, 500, 1000 };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < 3; i++) {
			struct fixture *f = new_fixture(GENERATE(1000) SINK ERRORS);

			f->outputs.main.write = refuse[k];
			f->outputs.main.poison = poison[i];
			assert_int_equal(run(f), 0);
			assert_all_in_order(&f->outputs.main, 1000, poison[i]);
			assert_int_equal(f->outputs.errors.count, 1);
			assert_int_equal(f->stats.written, 999);
			assert_int_equal(f->stats.error_sinked, 1);
			assert_int_equal(run(f), 0);
			assert_int_equal(f->stats.read, 0);
			free_fixture(f);
		}
	}
}

static void poison_without_an_error_sink_stops_with_the_position_kept(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);

	(void)state;
	f->outputs.main.write = refuse_one;
	f->outputs.main.poison = 640;
	assert_int_equal(run(f), DF_ERR_CONSTRAINT);
	assert_non_null(strstr(f->err.text, "sink_write"));
	assert_non_null(strstr(f->err.text, "duplicate key"));
	assert_int_equal(f->stats.failed, 1);
	f->outputs.main.write = NULL;
	f->outputs.main.count = 0;
	assert_int_equal(run(f), 0);
	assert_true(f->outputs.main.count >= 360 && f->outputs.main.count < 1000);
	assert_true(f->outputs.main.ids[0] <= 640 && f->outputs.main.ids[0] > 0);
	free_fixture(f);
}

static void a_transform_error_is_poison_too(void **state)
{
	struct fixture *f = new_fixture(GENERATE(300) SINK ERRORS
					"transformations:\n  - {type: insertField, config: {fields: {id.x: y}}}\n");

	(void)state;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.error_sinked, 300);
	assert_int_equal(f->stats.written, 0);
	free_fixture(f);
}

static void a_failing_error_sink_stops_the_pipeline(void **state)
{
	struct fixture *f = new_fixture(GENERATE(300) SINK ERRORS
					"transformations:\n  - {type: insertField, config: {fields: {id.x: y}}}\n");

	(void)state;
	f->outputs.errors.write = refuse_all;
	f->outputs.errors.poison = -1; /* a record has no id: refused */
	assert_int_equal(run(f), DF_ERR_INVALID_DATA);
	assert_non_null(strstr(f->err.text, "error sink"));
	assert_int_equal(run(f), DF_ERR_INVALID_DATA);
	assert_int_equal(f->stats.error_sinked, 0);
	free_fixture(f);
}

/* Results come later, from another thread. */
static void *answer(void *arg)
{
	struct script *s = arg;

	for (size_t i = s->pending->count; i > 0; i--)
		df_write_done(s->pending, i - 1);
	return NULL;
}

static int answer_later(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	(void)err;
	for (size_t i = 0; i < w->count; i++)
		confirm(s, w, i);
	if (s->pending)
		pthread_join(s->later, NULL);
	s->pending = w;
	pthread_create(&s->later, NULL, answer, s);
	return DF_WRITE_PENDING;
}

static void results_may_come_later(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);

	(void)state;
	f->outputs.main.write = answer_later;
	assert_int_equal(run(f), 0);
	pthread_join(f->outputs.main.later, NULL);
	assert_all_in_order(&f->outputs.main, 1000, -1);
	assert_int_equal(f->stats.written, 1000);
	free_fixture(f);
}

/* Long enough for several commits while it runs. */
static int write_slowly(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)err;
	(void)!df_context_sleep(ctx, 10 * DF_NS_PER_MS);
	for (size_t i = 0; i < w->count; i++)
		confirm(s, w, i);
	return 0;
}

static unsigned saves_with_sync_result(int sync_result)
{
	struct fixture *f = new_fixture(GENERATE(5000) SINK "checkpointSaveInterval: 1ms\n");
	unsigned saves;

	f->outputs.main.write = write_slowly;
	f->outputs.main.sync_result = sync_result;
	assert_int_equal(run(f), 0);
	assert_true(f->outputs.main.syncs > 2);
	saves = f->store.saves;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->stats.read, 0);
	free_fixture(f);
	return saves;
}

static void positions_wait_for_the_sync(void **state)
{
	(void)state;
	assert_true(saves_with_sync_result(0) > 1);
	assert_int_equal(saves_with_sync_result(DF_SYNC_LATER), 1); /* only the final sync made anything durable */
}

/* Never answers until it is cancelled. */
static int hang(struct script *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)s;
	(void)w;
	if (df_context_sleep(ctx, 60 * DF_NS_PER_S) == 0)
		return 0;
	return df_context_check(ctx, err);
}

static void *cancel_soon(void *arg)
{
	if (df_context_sleep(NULL, 100 * DF_NS_PER_MS) < 0)
		return NULL;
	df_context_cancel(arg);
	return NULL;
}

static void a_hanging_sink_cannot_hold_a_stop_longer_than_the_grace(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);
	struct df_context *stop = df_context_new(NULL);
	int64_t started = df_clock_monotonic();
	pthread_t thread;

	(void)state;
	f->outputs.main.write = hang;
	pthread_create(&thread, NULL, cancel_soon, stop);
	assert_int_equal(run_with(f, stop, NULL), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() - started < 10 * DF_NS_PER_S);
	assert_non_null(strstr(f->err.text, "grace period"));
	pthread_join(thread, NULL);
	df_context_free(stop);
	free_fixture(f);
}

static void a_kill_ends_at_once(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000) SINK);
	struct df_context *kill = df_context_new(NULL);
	int64_t started = df_clock_monotonic();
	pthread_t thread;

	(void)state;
	f->outputs.main.write = hang;
	pthread_create(&thread, NULL, cancel_soon, kill);
	assert_int_equal(run_with(f, NULL, kill), DF_ERR_CANCELED);
	assert_true(df_clock_monotonic() - started < DF_NS_PER_S);
	assert_int_equal(f->store.saves, 0);
	pthread_join(thread, NULL);
	df_context_free(kill);
	free_fixture(f);
}

static void a_stop_flushes_what_was_read(void **state)
{
	struct fixture *f =
		new_fixture("source: {type: generate, config: {rate: 5000, template: '{\"id\": ${counter}}'}}\n" SINK);
	struct df_context *stop = df_context_new(NULL);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, cancel_soon, stop);
	assert_int_equal(run_with(f, stop, NULL), 0);
	assert_true(f->stats.read > 0);
	assert_int_equal(f->stats.read, f->stats.written);
	assert_all_in_order(&f->outputs.main, (int64_t)f->stats.read, -1);
	pthread_join(thread, NULL);
	df_context_free(stop);
	free_fixture(f);
}

static void message_granularity_writes_one_by_one(void **state)
{
	struct fixture *f = new_fixture(GENERATE(100) SINK "ackGranularity: message\n");

	(void)state;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->outputs.main.largest, 1);
	assert_int_equal(f->outputs.main.writes, 100);
	free_fixture(f);
}

static void workers_keep_the_order(void **state)
{
	struct fixture *f = new_fixture(GENERATE(20000) SINK "transformWorkers: 4\n"
							     "transformations: [{type: snakeCase}]\n");

	(void)state;
	assert_int_equal(run(f), 0);
	assert_all_in_order(&f->outputs.main, 20000, -1);
	free_fixture(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_arrives_once_in_order),
		cmocka_unit_test(a_second_run_goes_on_behind_the_position),
		cmocka_unit_test(filtered_messages_are_done),
		cmocka_unit_test(split_messages_are_done_with_their_last_child),
		cmocka_unit_test(a_transient_failure_is_tried_again),
		cmocka_unit_test(a_lost_connection_is_opened_again),
		cmocka_unit_test(poison_goes_to_the_error_sink),
		cmocka_unit_test(poison_without_an_error_sink_stops_with_the_position_kept),
		cmocka_unit_test(a_transform_error_is_poison_too),
		cmocka_unit_test(a_failing_error_sink_stops_the_pipeline),
		cmocka_unit_test(results_may_come_later),
		cmocka_unit_test(positions_wait_for_the_sync),
		cmocka_unit_test(a_hanging_sink_cannot_hold_a_stop_longer_than_the_grace),
		cmocka_unit_test(a_kill_ends_at_once),
		cmocka_unit_test(a_stop_flushes_what_was_read),
		cmocka_unit_test(message_granularity_writes_one_by_one),
		cmocka_unit_test(workers_keep_the_order),
	};

	df_log_setup(DF_LOG_TEXT, "error");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
