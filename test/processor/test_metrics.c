/* What the processor says about itself: each metric of the reference, its labels, and that the numbers add up. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "processor/metrics.h"
#include "processor/processor.h"

/* ---- a sink that refuses on demand ----------------------------------------------------------------------- */

struct script {
	unsigned transient_first; /* writes that fail as a whole */
	const char *poison;	  /* a payload with this in it is refused */
	size_t unchanged;	  /* of each write */
};

struct scripted_sink {
	struct df_sink sink;
	struct script *script;
};

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	(void)sink;
	(void)ctx;
	(void)err;
	return 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct script *s = ((struct scripted_sink *)sink)->script;
	struct df_error why = DF_ERROR_INIT;
	struct df_str payload;

	(void)ctx;
	if (s->transient_first > 0) {
		s->transient_first--;
		return df_error_set(err, DF_ERR_TRANSIENT, "try later");
	}
	w->unchanged = s->unchanged;
	df_error_set(&why, DF_ERR_CONSTRAINT, "refused");
	for (size_t i = 0; i < w->count; i++) {
		assert_int_equal(df_message_payload(w->messages[i], w->arena, &payload), 0);
		if (s->poison && memmem(payload.ptr, payload.len, s->poison, strlen(s->poison)))
			df_write_fail(w, i, &why);
	}
	return 0;
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
	.connect = sink_connect, .write = sink_write, .close = sink_close, .free = sink_free
};

/* `discard` follows the script; any other type (the error sink is `stdout`) takes everything. */
static int make_sink(void *arg, const struct df_component *component, const struct df_connector_env *env,
		     struct df_sink **ret, struct df_error *err)
{
	static struct script calm;
	struct scripted_sink *s = calloc(1, sizeof(*s));

	(void)env;
	(void)err;
	s->sink.ops = &scripted_ops;
	s->script = strcmp(component->type->name, "discard") == 0 ? arg : &calm;
	*ret = &s->sink;
	return 0;
}

/* ---- a flow and its text --------------------------------------------------------------------------------- */

struct fixture {
	struct script script;
	struct df_dataflow_spec spec;
	struct df_processor *processor;
	struct df_processor_stats stats;
	struct df_buf text;
};

static struct fixture *new_fixture(const char *yaml, bool metrics, bool once)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct df_processor_options options = {
		.spec = &f->spec,
		.namespace = "ns",
		.name = "test",
		.metrics = metrics,
		.once = once,
		.make_sink = make_sink,
		.make_sink_arg = &f->script,
	};
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	struct df_error err;

	df_yaml_parse(df_str_c(yaml), "test", &arena, &documents, &diags);
	df_settings_parse(&df_dataflow_table, documents.items[0],
			  &(struct df_parse_options){ .file = "test", .path = "spec", .registry = df_registry() },
			  &f->spec, &diags);
	if (!diags.errors && df_processor_new(&options, &f->processor, &diags, &err) == 0 && !diags.errors) {
		df_diags_done(&diags);
		return f;
	}
	df_diags_print(&diags, &buf);
	fail_msg("%s", df_buf_c(&buf));
	return NULL;
}

static void scrape(struct fixture *f)
{
	f->text.len = 0;
	df_processor_metrics(f->processor, &f->text);
	df_buf_c(&f->text);
	assert_false(f->text.failed);
	df_processor_get_stats(f->processor, &f->stats);
}

static void run(struct fixture *f)
{
	struct df_error err = DF_ERROR_INIT;

	if (df_processor_run(f->processor, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	scrape(f);
}

static void free_fixture(struct fixture *f)
{
	df_processor_free(f->processor);
	df_settings_done(&df_dataflow_table, &f->spec);
	df_buf_done(&f->text);
	free(f);
}

/* The value of `dataflow_<name>{namespace="ns",name="test"<labels>}`, or -1 when there is no such sample. */
static double value(const struct fixture *f, const char *name, const char *labels)
{
	char key[512];
	const char *line;
	int n = snprintf(key, sizeof(key), "\ndataflow_%s{namespace=\"ns\",name=\"test\"%s} ", name, labels);

	assert_in_range(n, 1, sizeof(key) - 1);
	line = strstr(f->text.data, key);
	if (line && strstr(line + 1, key))
		fail_msg("%s stands there twice", key);
	return line ? strtod(line + strlen(key), NULL) : -1;
}

static void expect(const struct fixture *f, const char *name, const char *labels, double expected)
{
	double found = value(f, name, labels);

	if (found < expected || found > expected)
		fail_msg("%s{%s} is %g, not %g", name, labels, found, expected);
}

static size_t occurrences(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return n;
}

#define GENERATE(n, template) "source: {type: generate, config: {count: " #n ", template: '" template "'}}\n"
#define SINK "sink: {type: discard, config: {}}\n"
#define ERRORS "errors: {type: stdout, config: {}}\n"

/* ---- the text -------------------------------------------------------------------------------------------- */

/* The reference, section 3, without the operator's. */
static const struct {
	const char *name, *kind;
} families[] = {
	{ "messages_received_total", "counter" },
	{ "messages_sent_total", "counter" },
	{ "processing_duration_seconds", "histogram" },
	{ "status", "gauge" },
	{ "connector_messages_read_total", "counter" },
	{ "connector_messages_written_total", "counter" },
	{ "connector_errors_total", "counter" },
	{ "connector_connection_status", "gauge" },
	{ "transformer_executions_total", "counter" },
	{ "transformer_messages_in_total", "counter" },
	{ "transformer_messages_out_total", "counter" },
	{ "transformer_errors_total", "counter" },
	{ "transformer_duration_seconds", "histogram" },
	{ "task_stage_duration_seconds", "histogram" },
	{ "task_message_size_bytes", "histogram" },
	{ "task_stage_latency_seconds", "histogram" },
	{ "task_throughput_messages_per_second", "gauge" },
	{ "task_success_rate", "gauge" },
	{ "task_end_to_end_latency_seconds", "histogram" },
	{ "task_active_messages", "gauge" },
	{ "task_blocked_positions", "gauge" },
	{ "task_queue_size", "gauge" },
	{ "task_queue_wait_time_seconds", "histogram" },
	{ "task_operations_total", "counter" },
	{ "task_stage_errors_total", "counter" },
	{ "messages_total", "counter" },
	{ "rows_conflict_skipped_total", "counter" },
	{ "sink_unknown_fields_total", "counter" },
	{ "sink_parts_total", "counter" },
	{ "sink_uncertain_rows_total", "counter" },
	{ "sink_retries_total", "counter" },
	{ "source_lag_messages", "gauge" },
	{ "checkpoint_saves_total", "counter" },
	{ "source_position_age_seconds", "gauge" },
	{ "memory_bytes", "gauge" },
	{ "build_info", "gauge" },
	{ "last_processed_timestamp_seconds", "gauge" },
};

static void every_family_has_one_head(void **state)
{
	struct fixture *f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK ERRORS, true, true);
	char head[160];

	(void)state;
	run(f);
	for (size_t i = 0; i < DF_ARRAY_SIZE(families); i++) {
		snprintf(head, sizeof(head), "# TYPE dataflow_%s %s\n", families[i].name, families[i].kind);
		if (occurrences(f->text.data, head) != 1)
			fail_msg("not once there: %s", head);
		snprintf(head, sizeof(head), "# HELP dataflow_%s ", families[i].name);
		if (occurrences(f->text.data, head) != 1)
			fail_msg("not once there: %s", head);
	}
	assert_int_equal(occurrences(f->text.data, "# TYPE "), DF_ARRAY_SIZE(families));
	assert_int_equal(occurrences(f->text.data, "# HELP "), DF_ARRAY_SIZE(families));
	free_fixture(f);
}

/* Every line is a head, or a sample of the family whose head came last, with namespace and name. */
static void samples_stand_below_their_head(void **state)
{
	struct fixture *f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK ERRORS
					"transformations: [{type: snakeCase, config: {}}]\n",
					true, true);
	char name[128] = "";
	char *line, *rest;

	(void)state;
	run(f);
	for (line = strtok_r(f->text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t len = strlen(name);

		if (sscanf(line, "# TYPE %127s", name) == 1 || strncmp(line, "# HELP ", 7) == 0)
			continue;
		if (strncmp(line, name, len) != 0 || !strstr(line, "{namespace=\"ns\",name=\"test\""))
			fail_msg("below %s: %s", name, line);
		line += len;
		if (line[0] != '{' && strncmp(line, "_bucket{", 8) != 0 && strncmp(line, "_sum{", 5) != 0 &&
		    strncmp(line, "_count{", 7) != 0)
			fail_msg("below %s: %s", name, line);
	}
	free_fixture(f);
}

static void label_values_are_escaped_and_cut(void **state)
{
	char yaml[2048], cut[201 + 16], labels[300];
	struct fixture *f;

	(void)state;
	/* 201 bytes, the 200th and 201st are one letter. */
	snprintf(cut, sizeof(cut), "id == '%.*s\u00e4'", 192,
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	snprintf(yaml, sizeof(yaml),
		 GENERATE(10, "{\"id\": ${counter}}") SINK
		 "transformations:\n  - type: router\n    config:\n      routes:\n"
		 "      - {condition: \"id == 1 ||\\nid == \\\"a\\\\\\\\b\\\"\", sink: {type: stdout, config: {}}}\n"
		 "      - {condition: \"error\", sink: {type: stdout, config: {}}}\n"
		 "      - {condition: \"id == 2\", sink: {type: stdout, config: {}}}\n"
		 "      - {condition: \"id == 2\", sink: {type: stdout, config: {}}}\n"
		 "      - {condition: \"%s\", sink: {type: stdout, config: {}}}\n",
		 cut);
	f = new_fixture(yaml, true, true);
	run(f);
	expect(f, "messages_sent_total", ",sink_type=\"stdout\",route=\"id == 1 ||\\nid == \\\"a\\\\\\\\b\\\"\"", 1);
	expect(f, "messages_sent_total", ",sink_type=\"stdout\",route=\"(error)\"", 0);
	expect(f, "messages_sent_total", ",sink_type=\"stdout\",route=\"id == 2\"", 1);
	expect(f, "messages_sent_total", ",sink_type=\"stdout\",route=\"id == 2 #2\"", 0);
	expect(f, "messages_sent_total", ",sink_type=\"discard\",route=\"default\"", 8);
	snprintf(labels, sizeof(labels), ",sink_type=\"stdout\",route=\"%.199s\"", cut);
	expect(f, "messages_sent_total", labels, 0);
	expect(f, "connector_messages_written_total",
	       ",connector_type=\"stdout\",connector_name=\"route_2\",route=\"id == 2\"", 1);
	expect(f, "task_queue_size", ",queue_type=\"(error)\"", 0);
	free_fixture(f);
}

/* ---- the numbers ----------------------------------------------------------------------------------------- */

/* Per message three: one goes to the error sink at the transformer or the sink, one is filtered, others are written. */
static void every_message_has_one_outcome(void **state)
{
	struct fixture *f = new_fixture(
		GENERATE(
			1000,
			"{\"items\": [{\"id\": ${counter}, \"n\": \"1\"}, {\"id\": 0, \"n\": \"x\"}, {\"id\": -1, \"n\": \"2\"}]}")
			SINK ERRORS "transformations:\n  - {type: flatten, config: {field: items}}\n"
				    "  - {type: filter, config: {condition: id >= 0}}\n"
				    "  - {type: cast, config: {spec: {n: int64}}}\n",
		true, true);
	double ended = 0;

	(void)state;
	f->script.poison = "\"id\":77,";
	f->script.unchanged = 1;
	run(f);
	expect(f, "messages_received_total", ",source_type=\"generate\"", 1000);
	expect(f, "messages_total", ",outcome=\"written\"", 999);
	expect(f, "messages_total", ",outcome=\"filtered\"", 1000);
	expect(f, "messages_total", ",outcome=\"error_sinked\"", 1001);
	expect(f, "messages_total", ",outcome=\"dropped\"", 0);
	static const char *const outcomes[] = { "written", "filtered", "error_sinked", "dropped" };
	for (size_t i = 0; i < DF_ARRAY_SIZE(outcomes); i++) {
		char label[64];

		snprintf(label, sizeof(label), ",outcome=\"%s\"", outcomes[i]);
		ended += value(f, "messages_total", label);
	}
	assert_int_equal((uint64_t)ended, f->stats.read + f->stats.made);
	expect(f, "task_active_messages", "", 0);
	/* The summary reads the same counts. */
	assert_int_equal(f->stats.written, 999);
	assert_int_equal(f->stats.error_sinked, 1001);
	expect(f, "rows_conflict_skipped_total", ",connector_name=\"sink\"", (double)f->stats.unchanged);
	assert_true(f->stats.unchanged > 0);
	expect(f, "transformer_messages_in_total", ",transformer_type=\"filter\",transformer_index=\"1\"", 3000);
	expect(f, "transformer_messages_out_total", ",transformer_type=\"filter\",transformer_index=\"1\"", 2000);
	expect(f, "transformer_errors_total",
	       ",transformer_type=\"cast\",transformer_index=\"2\",error_type=\"invalid_data\"", 1000);
	expect(f, "task_stage_errors_total", ",stage=\"transformer_2\",error_type=\"invalid_data\"", 1000);
	expect(f, "task_stage_errors_total", ",stage=\"sink_write\",error_type=\"constraint_violation\"", 1);
	expect(f, "connector_errors_total",
	       ",connector_type=\"discard\",connector_name=\"sink\",operation=\"write\",error_type=\"constraint_"
	       "violation\"",
	       1);
	expect(f, "task_operations_total", ",operation=\"write\",status=\"success\"", 999);
	expect(f, "task_operations_total", ",operation=\"write\",status=\"error\"", 1);
	expect(f, "task_operations_total", ",operation=\"error_sink_write\",status=\"success\"", 1001);
	expect(f, "task_success_rate", "", 0.4995);
	/* Also those that were written beside the one that was refused. */
	expect(f, "task_end_to_end_latency_seconds_count", "", 999);
	expect(f, "task_queue_size", ",queue_type=\"output\"", 0);
	assert_true(value(f, "task_throughput_messages_per_second", "") > 0);
	assert_true(value(f, "last_processed_timestamp_seconds", "") > 1700000000);
	free_fixture(f);
}

static void retries_are_counted_by_type(void **state)
{
	struct fixture *f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK, true, true);

	(void)state;
	f->script.transient_first = 1;
	run(f);
	expect(f, "sink_retries_total", ",connector_name=\"sink\",error_type=\"transient\"", 1);
	expect(f, "sink_retries_total", ",connector_name=\"sink\",error_type=\"timeout\"", -1);
	assert_int_equal(f->stats.retries, 1);
	expect(f, "task_operations_total", ",operation=\"write\",status=\"success\"", 10);
	expect(f, "task_operations_total", ",operation=\"write\",status=\"error\"", 0);
	assert_true(value(f, "task_operations_total", ",operation=\"sink_write\",status=\"error\"") >= 1);
	free_fixture(f);
}

/* le values ascend by the reference's buckets, counts never fall, and the last is the count. */
static void check_histogram(const struct fixture *f, const char *name, const char *labels, double start, size_t bounds)
{
	char bucket[128], with_le[256], count[128];
	double last = 0, bound = start;

	snprintf(bucket, sizeof(bucket), "%s_bucket", name);
	snprintf(count, sizeof(count), "%s_count", name);
	for (size_t i = 0; i < bounds; i++, bound *= 2) {
		double n;

		snprintf(with_le, sizeof(with_le), "%s,le=\"%.10g\"", labels, bound);
		n = value(f, bucket, with_le);
		if (n < last)
			fail_msg("%s %s is %g after %g", bucket, with_le, n, last);
		last = n;
	}
	snprintf(with_le, sizeof(with_le), "%s,le=\"%.10g\"", labels, bound);
	if (bound < 4) /* H5 goes on with 10 s */
		expect(f, bucket, with_le, -1);
	snprintf(with_le, sizeof(with_le), "%s,le=\"+Inf\"", labels);
	expect(f, bucket, with_le, value(f, count, labels));
	assert_true(value(f, bucket, with_le) >= last);
	assert_true(value(f, count, labels) > 0);
}

static void histograms_add_up(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000, "{\"id\": ${counter}, \"text\": \"0123456789\"}") SINK
					"transformations:\n  - {type: snakeCase, config: {}}\n"
					"  - {type: insertField, config: {fields: {a: b}}}\n",
					true, true);
	const char *two = ",transformer_type=\"snakeCase\",transformer_index=\"0\"";

	(void)state;
	run(f);
	check_histogram(f, "processing_duration_seconds", "", 0.001, 10);
	check_histogram(f, "transformer_duration_seconds", two, 0.0001, 12);
	check_histogram(f, "task_stage_duration_seconds", ",stage=\"read\"", 0.0001, 14);
	check_histogram(f, "task_stage_duration_seconds", ",stage=\"transformation\"", 0.0001, 14);
	check_histogram(f, "task_stage_duration_seconds", ",stage=\"transformer_1\"", 0.0001, 14);
	check_histogram(f, "task_stage_duration_seconds", ",stage=\"write\"", 0.0001, 14);
	check_histogram(f, "task_stage_duration_seconds", ",stage=\"sink_write\"", 0.0001, 14);
	check_histogram(f, "task_message_size_bytes", ",stage=\"input\"", 64, 16);
	check_histogram(f, "task_message_size_bytes", ",stage=\"output\"", 64, 16);
	check_histogram(f, "task_message_size_bytes", ",stage=\"transformer_0_input\"", 64, 16);
	check_histogram(f, "task_message_size_bytes", ",stage=\"transformer_1_output\"", 64, 16);
	check_histogram(f, "task_stage_latency_seconds", ",from_stage=\"transformer_0\",to_stage=\"transformer_1\"",
			0.0001, 12);
	check_histogram(f, "task_stage_latency_seconds", ",from_stage=\"transformation\",to_stage=\"write\"", 0.0001,
			12);
	check_histogram(f, "task_end_to_end_latency_seconds", "", 0.001, 12);
	check_histogram(f, "task_queue_wait_time_seconds", ",queue_type=\"routing\"", 0.0001, 12);
	check_histogram(f, "task_queue_wait_time_seconds", ",queue_type=\"default\"", 0.0001, 12);
	check_histogram(f, "task_queue_wait_time_seconds", ",queue_type=\"output\"", 0.0001, 12);
	expect(f, "task_end_to_end_latency_seconds_bucket", ",le=\"600\"", 1000);
	expect(f, "task_end_to_end_latency_seconds_count", "", 1000);
	expect(f, "processing_duration_seconds_count", "", 1000);
	expect(f, "task_queue_wait_time_seconds_count", ",queue_type=\"routing\"", 1000);
	expect(f, "task_queue_wait_time_seconds_count", ",queue_type=\"default\"", 1000);
	expect(f, "transformer_duration_seconds_count", two, 1000);
	expect(f, "task_message_size_bytes_count", ",stage=\"input\"", 1000);
	expect(f, "task_message_size_bytes_sum", ",stage=\"input\"", (double)f->stats.read_bytes);
	/* The second transformer adds `,"a":"b"`. */
	assert_true(value(f, "task_message_size_bytes_sum", ",stage=\"transformer_1_output\"") >
		    value(f, "task_message_size_bytes_sum", ",stage=\"transformer_1_input\""));
	free_fixture(f);
}

static void histograms_are_empty_when_nobody_asks(void **state)
{
	struct fixture *f = new_fixture(GENERATE(1000, "{\"id\": ${counter}}") SINK, false, true);

	(void)state;
	run(f);
	expect(f, "messages_total", ",outcome=\"written\"", 1000);
	expect(f, "processing_duration_seconds_count", "", 0);
	expect(f, "task_end_to_end_latency_seconds_count", "", 0);
	expect(f, "task_message_size_bytes_count", ",stage=\"input\"", 0);
	free_fixture(f);
}

static void status_has_one_phase(void **state)
{
	struct fixture *f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK, true, true);
	struct df_error err;

	(void)state;
	scrape(f);
	expect(f, "status", ",phase=\"Pending\"", 1);
	expect(f, "connector_connection_status", ",connector_type=\"discard\",connector_name=\"sink\"", 0);
	expect(f, "task_success_rate", "", 1);
	run(f);
	expect(f, "status", ",phase=\"Pending\"", 0);
	expect(f, "status", ",phase=\"Running\"", 0);
	expect(f, "status", ",phase=\"Error\"", 0);
	expect(f, "status", ",phase=\"Stopped\"", 1);
	free_fixture(f);

	f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK, true, true);
	f->script.poison = "id";
	assert_int_equal(df_processor_run(f->processor, NULL, NULL, &err), DF_ERR_CONSTRAINT);
	scrape(f);
	expect(f, "status", ",phase=\"Error\"", 1);
	expect(f, "status", ",phase=\"Stopped\"", 0);
	free_fixture(f);
}

/* ---- while it runs --------------------------------------------------------------------------------------- */

static void *run_until_stopped(void *arg)
{
	struct df_context *const *contexts = ((void **)arg)[1];
	struct fixture *f = ((void **)arg)[0];
	struct df_error err;

	assert_int_equal(df_processor_run(f->processor, contexts[0], NULL, &err), 0);
	return NULL;
}

/* Scraped while everything moves: nothing ends before it began. */
static void scraping_a_running_pipeline(void **state)
{
	struct fixture *f = new_fixture("source: {type: generate, config: {template: '{\"id\": ${counter}}'}}\n" SINK
					"transformations:\n  - {type: filter, config: {condition: id != 5}}\n"
					"transformWorkers: 2\n",
					true, false);
	struct df_context *stop = df_context_new(NULL);
	pthread_t thread;

	(void)state;
	assert_false(df_processor_ready(f->processor));
	assert_false(df_processor_alive(f->processor, 0));
	pthread_create(&thread, NULL, run_until_stopped, (void *[]){ f, &stop });
	do {
		scrape(f);
		assert_true(f->stats.written <= f->stats.read);
	} while (f->stats.written < 100000);
	assert_true(df_processor_ready(f->processor));
	assert_true(df_processor_alive(f->processor, 60 * DF_NS_PER_S));
	assert_false(df_processor_alive(f->processor, 1)); /* a nanosecond */
	expect(f, "status", ",phase=\"Running\"", 1);
	expect(f, "connector_connection_status", ",connector_type=\"discard\",connector_name=\"sink\"", 1);
	expect(f, "connector_connection_status", ",connector_type=\"generate\",connector_name=\"source\"", 1);
	df_context_cancel(stop);
	pthread_join(thread, NULL);
	scrape(f);
	assert_int_equal(f->stats.written + f->stats.filtered, f->stats.read);
	expect(f, "task_end_to_end_latency_seconds_count", "", (double)f->stats.written);
	free_fixture(f);
	df_context_free(stop);
}

static void not_ready_is_alive_in_a_run_with_an_end(void **state)
{
	struct fixture *f = new_fixture(GENERATE(10, "{\"id\": ${counter}}") SINK, true, true);

	(void)state;
	assert_false(df_processor_ready(f->processor));
	assert_true(df_processor_alive(f->processor, 1));
	free_fixture(f);
}

/* ---- parts ----------------------------------------------------------------------------------------------- */

static uint64_t bucket(const struct df_histogram *h, size_t i)
{
	return df_count_get(&h->buckets[i]);
}

static void values_fall_into_their_buckets(void **state)
{
	struct df_histogram h = { 0 };
	uint64_t low, span;

	(void)state;
	assert_int_equal(df_histogram_bounds(&df_shape_size), 16);
	assert_int_equal(df_histogram_bound(&df_shape_size, 15), 2 << 20);
	assert_int_equal(df_histogram_bounds(&df_shape_end_to_end), 15);
	assert_int_equal(df_histogram_bound(&df_shape_end_to_end, 14), 600 * DF_NS_PER_S);
	df_histogram_add(&h, &df_shape_size, -5, 1);
	df_histogram_add(&h, &df_shape_size, 64, 2);
	df_histogram_add(&h, &df_shape_size, 65, 4);
	df_histogram_add(&h, &df_shape_size, 2 << 20, 8);
	df_histogram_add(&h, &df_shape_size, (2 << 20) + 1, 16);
	assert_int_equal(bucket(&h, 0), 3);
	assert_int_equal(bucket(&h, 1), 4);
	assert_int_equal(bucket(&h, 15), 8);
	assert_int_equal(bucket(&h, 16), 16);
	assert_int_equal(df_count_get(&h.sum), 2 * 64 + 4 * 65 + 24 * (2 << 20) + 16);
	df_histogram_class(&df_shape_size, 65, &low, &span);
	assert_int_equal(low, 65);
	assert_int_equal(span, 128 - 65);
	df_histogram_class(&df_shape_size, 0, &low, &span);
	assert_int_equal(low, 0);
	assert_int_equal(span, 64);
	df_histogram_class(&df_shape_size, UINT64_MAX, &low, &span);
	assert_int_equal(low, (2 << 20) + 1);
	assert_true(low + span == UINT64_MAX);
}

static void recent_messages_are_forgotten(void **state)
{
	struct df_recent r = { 0 };

	(void)state;
	df_recent_add(&r, 100 * DF_NS_PER_S, 3);
	df_recent_add(&r, 105 * DF_NS_PER_S, 4);
	assert_int_equal(df_recent_get(&r, 105 * DF_NS_PER_S), 7);
	assert_int_equal(df_recent_get(&r, 109 * DF_NS_PER_S), 7);
	assert_int_equal(df_recent_get(&r, 110 * DF_NS_PER_S), 4);
	assert_int_equal(df_recent_get(&r, 115 * DF_NS_PER_S), 0);
	df_recent_add(&r, 116 * DF_NS_PER_S, 1); /* the slot of second 100 */
	assert_int_equal(df_recent_get(&r, 116 * DF_NS_PER_S), 1);
}

static void error_types_have_the_names_of_the_codes(void **state)
{
	struct df_error_counts c = { 0 };

	(void)state;
	for (int code = DF_ERR_CONNECTION; code >= DF_ERR_DENIED; code--)
		df_errors_add(&c, code, 1);
	assert_int_equal(df_errors_total(&c), 12);
	for (size_t i = 0; i < DF_ERROR_TYPES; i++)
		assert_int_equal(df_count_get(&c.by_type[i]), strcmp(df_errors_type(i), "unknown") == 0	     ? 4
							      : strcmp(df_errors_type(i), "auth_error") == 0 ? 2
													     : 1);
}

/* ---- one that goes on for another ------------------------------------------------------------------------- */

/* Every sample of a counter or a histogram of one text stands in the other as it is. */
static size_t expect_same_counts(const struct fixture *f, const struct fixture *other)
{
	char *text = strdup(f->text.data), *rest;
	bool counts = false;
	size_t n = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "# TYPE ", 7) == 0)
			counts = strstr(line, " counter") || strstr(line, " histogram");
		if (line[0] == '#' || !counts)
			continue;
		if (!strstr(other->text.data, line))
			fail_msg("not there, or another number: %s", line);
		n++;
	}
	free(text);
	return n;
}

static void counts_go_on(void **state)
{
	static const char yaml[] = GENERATE(
		1000,
		"{\"items\": [{\"id\": ${counter}, \"n\": \"1\"}, {\"id\": 0, \"n\": \"x\"}, {\"id\": -1, \"n\": \"2\"}]}")
		SINK ERRORS "retry: {initial: 1ms}\ntransformations:\n  - {type: flatten, config: {field: items}}\n"
			    "  - {type: filter, config: {condition: id >= 0}}\n"
			    "  - {type: cast, config: {spec: {n: int64}}}\n";
	struct fixture *first = new_fixture(yaml, true, true), *second = new_fixture(yaml, true, true);

	(void)state;
	first->script = (struct script){ .transient_first = 2, .poison = "17", .unchanged = 1 };
	run(first);
	assert_int_not_equal(first->stats.retries, 0);
	df_processor_inherit(second->processor, first->processor);
	scrape(second);
	assert_in_range(expect_same_counts(first, second), 200, 2000);
	assert_true(df_processor_ready(second->processor));
	assert_int_equal(second->stats.last_processed, first->stats.last_processed);
	expect(second, "task_active_messages", "", 0);
	run(second);
	assert_int_equal(second->stats.read, 2000);
	assert_int_equal(second->stats.filtered, 2 * first->stats.filtered);
	assert_int_equal(second->stats.written + second->stats.error_sinked,
			 2 * (first->stats.written + first->stats.error_sinked));
	free_fixture(first);
	free_fixture(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_family_has_one_head),
		cmocka_unit_test(samples_stand_below_their_head),
		cmocka_unit_test(label_values_are_escaped_and_cut),
		cmocka_unit_test(every_message_has_one_outcome),
		cmocka_unit_test(retries_are_counted_by_type),
		cmocka_unit_test(histograms_add_up),
		cmocka_unit_test(histograms_are_empty_when_nobody_asks),
		cmocka_unit_test(status_has_one_phase),
		cmocka_unit_test(scraping_a_running_pipeline),
		cmocka_unit_test(counts_go_on),
		cmocka_unit_test(not_ready_is_alive_in_a_run_with_an_end),
		cmocka_unit_test(values_fall_into_their_buckets),
		cmocka_unit_test(recent_messages_are_forgotten),
		cmocka_unit_test(error_types_have_the_names_of_the_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
