/* The metrics as text: Prometheus exposition format 0.0.4, families in the order of the reference's section 3. */
#include <stdlib.h>

#include "processor/internal.h"

/* ---- writing --------------------------------------------------------------------------------------------- */

struct label {
	const char *name; /* NULL ends the list */
	const char *value;
};

#define LABELS(...) ((const struct label[]){ __VA_ARGS__, { NULL, NULL } })
#define NO_LABELS ((const struct label[]){ { NULL, NULL } })

struct writer {
	const struct df_processor *p;
	struct df_buf *buf;
	const char *name; /* the family's */
};

static void family(struct writer *w, const char *name, const char *type, const char *help)
{
	w->name = name;
	df_buf_printf(w->buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label(struct df_buf *buf, const char *name, const char *value)
{
	df_buf_printf(buf, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			df_buf_add_c(buf, "\\n");
		else if (*value == '\\' || *value == '"')
			df_buf_add(buf, (const char[]){ '\\', *value }, 2);
		else
			df_buf_add_char(buf, *value);
	}
	df_buf_add_char(buf, '"');
}

/* `name_suffix{namespace="ns",name="flow",...,` without the end. */
static void begin(struct writer *w, const char *suffix, const struct label *labels)
{
	df_buf_printf(w->buf, "%s%s{%s", w->name, suffix, w->p->metrics.labels);
	for (; labels->name; labels++) {
		df_buf_add_char(w->buf, ',');
		add_label(w->buf, labels->name, labels->value);
	}
}

static void sample(struct writer *w, uint64_t value, const struct label *labels)
{
	begin(w, "", labels);
	df_buf_printf(w->buf, "} %llu\n", (unsigned long long)value);
}

static void sample_real(struct writer *w, double value, const struct label *labels)
{
	begin(w, "", labels);
	df_buf_printf(w->buf, "} %.10g\n", value);
}

static void sample_ns(struct writer *w, int64_t ns, const struct label *labels)
{
	sample_real(w, (double)(ns > 0 ? ns : 0) / (double)DF_NS_PER_S, labels);
}

/* One sample for each type that happened; the labels end with room for error_type. */
static void samples_of_errors(struct writer *w, const struct df_error_counts *c, const struct label *labels, size_t n)
{
	struct label all[6] = { 0 };

	for (size_t i = 0; i < n; i++)
		all[i] = labels[i];
	for (size_t type = 0; type < DF_ERROR_TYPES; type++) {
		uint64_t count = df_count_get(&c->by_type[type]);

		if (count == 0)
			continue;
		all[n] = (struct label){ "error_type", df_errors_type(type) };
		sample(w, count, all);
	}
}

/* What several histograms of one shape hold together, as it is written: cumulative. */
struct totals {
	uint64_t buckets[DF_HISTOGRAM_BUCKETS], sum;
};

static void add_to(struct totals *t, const struct df_histogram *h)
{
	uint64_t below = 0;

	for (size_t i = 0; i < DF_HISTOGRAM_BUCKETS; i++) {
		below += df_count_get(&h->buckets[i]);
		t->buckets[i] += below;
	}
	t->sum += df_count_get(&h->sum);
}

/* Bytes stay bytes, ns become seconds, exactly. */
static void write_totals(struct writer *w, const struct totals *t, const struct df_histogram_shape *shape,
			 const struct label *labels)
{
	double unit = shape == &df_shape_size ? 1 : (double)DF_NS_PER_S;
	size_t bounds = df_histogram_bounds(shape);

	for (size_t i = 0; i <= bounds; i++) {
		begin(w, "_bucket", labels);
		if (i < bounds)
			df_buf_printf(w->buf, ",le=\"%.10g\"", (double)df_histogram_bound(shape, i) / unit);
		else
			df_buf_add_c(w->buf, ",le=\"+Inf\"");
		df_buf_printf(w->buf, "} %llu\n", (unsigned long long)t->buckets[i]);
	}
	begin(w, "_sum", labels);
	if (shape == &df_shape_size)
		df_buf_printf(w->buf, "} %llu\n", (unsigned long long)t->sum);
	else
		df_buf_printf(w->buf, "} %llu.%09llu\n", (unsigned long long)t->sum / DF_NS_PER_S,
			      (unsigned long long)t->sum % DF_NS_PER_S);
	begin(w, "_count", labels);
	df_buf_printf(w->buf, "} %llu\n", (unsigned long long)t->buckets[bounds]);
}

static void histogram(struct writer *w, const struct df_histogram *h, const struct df_histogram_shape *shape,
		      const struct label *labels)
{
	struct totals t = { 0 };

	add_to(&t, h);
	write_totals(w, &t, shape, labels);
}

/* ---- what is there --------------------------------------------------------------------------------------- */

static const char *type_of(const struct df_output *o)
{
	return o->component->type->name;
}

/* What was taken back to be read again does not count; a counter waits until it is there again, and never goes back. */
static uint64_t received(const struct df_processor *p, uint64_t read)
{
	/* Only remembers what was said. */
	df_count *most = (df_count *)&p->metrics.received;
	uint_fast64_t before = df_count_get(most);

	while (before < read && !atomic_compare_exchange_weak(most, &before, read))
		;
	return before < read ? read : before;
}

static void write_messages(struct writer *w)
{
	const struct df_processor *p = w->p;
	struct df_processor_stats s;

	df_processor_get_stats(p, &s);
	family(w, "dataflow_messages_received_total", "counter", "Messages taken from the source.");
	sample(w, received(p, s.read), LABELS({ "source_type", p->source_type }));
	family(w, "dataflow_messages_sent_total", "counter", "Messages confirmed by a sink.");
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, df_count_get(&p->outputs[i].metrics.written),
		       LABELS({ "sink_type", type_of(&p->outputs[i]) }, { "route", p->outputs[i].route }));
	family(w, "dataflow_processing_duration_seconds", "histogram", "From reading to the end of transformations.");
	histogram(w, &p->metrics.processing, &df_shape_processing, NO_LABELS);
}

static void write_outcomes(struct writer *w)
{
	struct df_processor_stats s;

	df_processor_get_stats(w->p, &s);
	family(w, "dataflow_messages_total", "counter", "Messages that ended, each exactly once.");
	sample(w, s.written, LABELS({ "outcome", "written" }));
	sample(w, s.filtered, LABELS({ "outcome", "filtered" }));
	sample(w, s.error_sinked, LABELS({ "outcome", "error_sinked" }));
	sample(w, s.dropped, LABELS({ "outcome", "dropped" }));
}

static const char *phase_of(const struct df_processor *p)
{
	enum df_phase phase = (enum df_phase)atomic_load(&p->phase);

	if (p->metrics.failed)
		return "Error";
	if (phase == DF_PHASE_DONE)
		return "Stopped";
	return phase == DF_PHASE_CONNECTING ? "Pending" : "Running";
}

static void write_status(struct writer *w)
{
	static const char *const phases[] = { "Pending", "Running", "Error", "Stopped" };
	const char *now = phase_of(w->p);

	family(w, "dataflow_status", "gauge", "1 for the current phase, 0 for the others.");
	for (size_t i = 0; i < DF_ARRAY_SIZE(phases); i++)
		sample(w, strcmp(phases[i], now) == 0, LABELS({ "phase", phases[i] }));
}

static void write_connector_errors(struct writer *w, const struct df_connector_metrics *m, const char *type,
				   const char *name)
{
	static const char *const operations[DF_OPS] = { "connect", "read", "write", "commit", "close" };

	for (size_t op = 0; op < DF_OPS; op++)
		samples_of_errors(
			w, &m->errors[op],
			LABELS({ "connector_type", type }, { "connector_name", name }, { "operation", operations[op] }),
			3);
}

static void write_connectors(struct writer *w)
{
	const struct df_processor *p = w->p;

	family(w, "dataflow_connector_messages_read_total", "counter", "Messages taken from the source.");
	sample(w, df_count_get(&p->counters.read),
	       LABELS({ "connector_type", p->source_type }, { "connector_name", "source" }));
	family(w, "dataflow_connector_messages_written_total", "counter", "Messages confirmed by a sink.");
	for (size_t i = 0; i < p->output_count; i++) {
		const struct df_output *o = &p->outputs[i];

		sample(w, df_count_get(&o->metrics.written),
		       LABELS({ "connector_type", type_of(o) }, { "connector_name", o->label }, { "route", o->route }));
	}
	family(w, "dataflow_connector_errors_total", "counter", "Failed attempts.");
	write_connector_errors(w, &p->metrics.source, p->source_type, "source");
	for (size_t i = 0; i < p->output_count; i++)
		write_connector_errors(w, &p->outputs[i].metrics.connector, type_of(&p->outputs[i]),
				       p->outputs[i].label);
	family(w, "dataflow_connector_connection_status", "gauge", "1 when connected.");
	sample(w, p->metrics.source.connected,
	       LABELS({ "connector_type", p->source_type }, { "connector_name", "source" }));
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, p->outputs[i].metrics.connector.connected,
		       LABELS({ "connector_type", type_of(&p->outputs[i]) },
			      { "connector_name", p->outputs[i].label }));
}

/* ---- transformers ---------------------------------------------------------------------------------------- */

static uint64_t executions(const struct df_transformer_stats *s)
{
	return s->executions;
}

static uint64_t messages_in(const struct df_transformer_stats *s)
{
	return s->in;
}

static uint64_t messages_out(const struct df_transformer_stats *s)
{
	return s->out;
}

/* Enough for any index. */
struct index_text {
	char text[24];
};

static const char *index_of(struct index_text *t, size_t i)
{
	snprintf(t->text, sizeof(t->text), "%zu", i);
	return t->text;
}

static void write_transformer_count(struct writer *w, const char *name, const char *help,
				    uint64_t (*get)(const struct df_transformer_stats *))
{
	struct df_transformer_stats stats;
	struct index_text index;
	const char *type;

	family(w, name, "counter", help);
	for (size_t i = 0; i < w->p->metrics.transformer_count; i++) {
		df_processor_transformer_stats(w->p, i, &type, &stats);
		sample(w, get(&stats),
		       LABELS({ "transformer_type", type }, { "transformer_index", index_of(&index, i) }));
	}
}

static void write_transformers(struct writer *w)
{
	const struct df_processor *p = w->p;
	struct index_text index;

	write_transformer_count(w, "dataflow_transformer_executions_total", "Messages that a transformer looked at.",
				executions);
	write_transformer_count(w, "dataflow_transformer_messages_in_total", "Messages that entered a transformer.",
				messages_in);
	write_transformer_count(w, "dataflow_transformer_messages_out_total", "Messages that left a transformer.",
				messages_out);
	family(w, "dataflow_transformer_errors_total", "counter", "Messages that a transformer refused.");
	for (size_t i = 0; i < p->metrics.transformer_count; i++)
		samples_of_errors(w, &p->metrics.transformers[i].errors,
				  LABELS({ "transformer_type", df_chain_type_name(p->workers[0].chain, i) },
					 { "transformer_index", index_of(&index, i) }),
				  2);
	family(w, "dataflow_transformer_duration_seconds", "histogram",
	       "Time in a transformer. Taken once a batch; each message counts with its share.");
	for (size_t i = 0; i < p->metrics.transformer_count; i++)
		histogram(w, &p->metrics.transformers[i].duration, &df_shape_short,
			  LABELS({ "transformer_type", df_chain_type_name(p->workers[0].chain, i) },
				 { "transformer_index", index_of(&index, i) }));
}

/* ---- tasks ----------------------------------------------------------------------------------------------- */

struct stage_text {
	char text[48];
};

static const char *stage_of(struct stage_text *t, size_t i, const char *end)
{
	snprintf(t->text, sizeof(t->text), "transformer_%zu%s", i, end);
	return t->text;
}

static void write_stages(struct writer *w)
{
	const struct df_metrics *m = &w->p->metrics;
	struct stage_text stage, before;

	family(w, "dataflow_task_stage_duration_seconds", "histogram", "Time of one batch or flush in a stage.");
	histogram(w, &m->read, &df_shape_stage, LABELS({ "stage", "read" }));
	histogram(w, &m->transformation, &df_shape_stage, LABELS({ "stage", "transformation" }));
	histogram(w, &m->write, &df_shape_stage, LABELS({ "stage", "write" }));
	histogram(w, &m->sink_write, &df_shape_stage, LABELS({ "stage", "sink_write" }));
	if (w->p->error_output)
		histogram(w, &m->error_sink_write, &df_shape_stage, LABELS({ "stage", "error_sink_write" }));
	for (size_t i = 0; i < m->transformer_count; i++)
		histogram(w, &m->transformers[i].stage, &df_shape_stage, LABELS({ "stage", stage_of(&stage, i, "") }));
	family(w, "dataflow_task_message_size_bytes", "histogram",
	       "Payload sizes. Every message of the stage input, one of at least 64 elsewhere.");
	histogram(w, &m->input, &df_shape_size, LABELS({ "stage", "input" }));
	histogram(w, &m->output, &df_shape_size, LABELS({ "stage", "output" }));
	for (size_t i = 0; i < m->transformer_count; i++) {
		histogram(w, &m->transformers[i].input, &df_shape_size,
			  LABELS({ "stage", stage_of(&stage, i, "_input") }));
		histogram(w, &m->transformers[i].output, &df_shape_size,
			  LABELS({ "stage", stage_of(&stage, i, "_output") }));
	}
	family(w, "dataflow_task_stage_latency_seconds", "histogram", "Time of one batch between two stages.");
	for (size_t i = 1; i < m->transformer_count; i++)
		histogram(w, &m->transformers[i].latency, &df_shape_short,
			  LABELS({ "from_stage", stage_of(&before, i - 1, "") },
				 { "to_stage", stage_of(&stage, i, "") }));
	histogram(w, &m->to_write, &df_shape_short,
		  LABELS({ "from_stage", "transformation" }, { "to_stage", "write" }));
}

static double throughput(const struct df_processor *p)
{
	int64_t now = df_clock_monotonic(), started = p->metrics.started_ns;
	/* The current second and the nine before it. */
	int64_t window = (DF_RECENT_SECONDS - 1) * DF_NS_PER_S + now % DF_NS_PER_S;
	uint64_t n = 0;

	for (size_t i = 0; i < p->output_count; i++)
		n += df_recent_get(&p->outputs[i].metrics.recent, now);
	if (now - started < window)
		window = now - started;
	return n == 0 ? 0 : (double)n / ((double)(window > DF_NS_PER_MS ? window : DF_NS_PER_MS) / (double)DF_NS_PER_S);
}

static void write_rates(struct writer *w)
{
	struct df_processor_stats s;
	uint64_t failed;

	df_processor_get_stats(w->p, &s);
	failed = s.error_sinked + s.dropped + s.failed;
	family(w, "dataflow_task_throughput_messages_per_second", "gauge", "Confirmed messages over the last 10 s.");
	sample_real(w, throughput(w->p), NO_LABELS);
	family(w, "dataflow_task_success_rate", "gauge", "Written / (written + failed) since the start.");
	sample_real(w, s.written + failed ? (double)s.written / (double)(s.written + failed) : 1, NO_LABELS);
	family(w, "dataflow_task_end_to_end_latency_seconds", "histogram", "From reading to the sink's confirmation.");
	histogram(w, &w->p->metrics.end_to_end, &df_shape_end_to_end, NO_LABELS);
	family(w, "dataflow_task_active_messages", "gauge", "Messages read and not done.");
	sample(w, df_processor_active(w->p), NO_LABELS);
	family(w, "dataflow_task_blocked_positions", "gauge",
	       "Positions that the error sink's ackPolicy keeps from being committed.");
	sample(w, w->p->error_output && strcmp(w->p->ack_policy, "afterWrite") != 0 ? s.error_sinked : 0, NO_LABELS);
}

static uint64_t queued(const struct df_output *o)
{
	struct df_channel_stats s;

	df_channel_stats(o->channel, &s);
	return s.messages + df_count_get(&o->metrics.waiting);
}

static void write_queues(struct writer *w)
{
	const struct df_processor *p = w->p;
	struct df_channel_stats input;
	struct totals outputs = { 0 };
	uint64_t all = 0;

	df_channel_stats(p->input, &input);
	family(w, "dataflow_task_queue_size", "gauge",
	       "Messages that wait: routing (read, not transformed), output (all sinks), and for each sink.");
	sample(w, input.messages, LABELS({ "queue_type", "routing" }));
	for (size_t i = 0; i < p->output_count; i++) {
		uint64_t n = queued(&p->outputs[i]);

		all += n;
		sample(w, n, LABELS({ "queue_type", p->outputs[i].route }));
	}
	sample(w, all, LABELS({ "queue_type", "output" }));
	family(w, "dataflow_task_queue_wait_time_seconds", "histogram", "How long messages waited in a queue.");
	histogram(w, &p->metrics.queue_wait, &df_shape_short, LABELS({ "queue_type", "routing" }));
	for (size_t i = 0; i < p->output_count; i++) {
		add_to(&outputs, &p->outputs[i].metrics.queue_wait);
		histogram(w, &p->outputs[i].metrics.queue_wait, &df_shape_short,
			  LABELS({ "queue_type", p->outputs[i].route }));
	}
	write_totals(w, &outputs, &df_shape_short, LABELS({ "queue_type", "output" }));
}

/* ---- operations ------------------------------------------------------------------------------------------ */

static void write_operation(struct writer *w, const char *operation, const uint64_t counts[DF_OUTCOMES])
{
	static const char *const status[DF_OUTCOMES] = { "success", "error", "cancelled" };

	for (size_t i = 0; i < DF_OUTCOMES; i++)
		sample(w, counts[i], LABELS({ "operation", operation }, { "status", status[i] }));
}

static void write_operations(struct writer *w)
{
	const struct df_processor *p = w->p;
	uint64_t transforms[DF_OUTCOMES], writes[DF_OUTCOMES] = { 0 }, attempts[2][DF_OUTCOMES] = { 0 };

	for (size_t k = 0; k < DF_OUTCOMES; k++) {
		transforms[k] = df_count_get(&p->metrics.transforms[k]);
		for (size_t i = 0; i < p->output_count; i++) {
			const struct df_output *o = &p->outputs[i];

			attempts[o->is_error][k] += df_count_get(&o->metrics.attempts[k]);
			if (o->is_error)
				continue;
			writes[k] +=
				df_count_get(k == DF_OUTCOME_SUCCESS ? &o->metrics.written : &o->metrics.writes[k]);
		}
	}
	family(w, "dataflow_task_operations_total", "counter",
	       "Messages by what became of them: write in the end, sink_write and error_sink_write at each attempt.");
	write_operation(w, "transform", transforms);
	write_operation(w, "write", writes);
	write_operation(w, "sink_write", attempts[false]);
	if (p->error_output)
		write_operation(w, "error_sink_write", attempts[true]);
}

static void write_stage_errors(struct writer *w)
{
	const struct df_processor *p = w->p;
	struct df_error_counts sinks[2] = { 0 };
	struct stage_text stage;

	for (size_t i = 0; i < p->output_count; i++)
		for (size_t type = 0; type < DF_ERROR_TYPES; type++)
			df_count_add(&sinks[p->outputs[i].is_error].by_type[type],
				     df_count_get(&p->outputs[i].metrics.failed.by_type[type]));
	family(w, "dataflow_task_stage_errors_total", "counter", "Failures of a stage: of messages, or of reading.");
	samples_of_errors(w, &p->metrics.read_errors, LABELS({ "stage", "read" }), 1);
	samples_of_errors(w, &p->metrics.decode_errors, LABELS({ "stage", "decode" }), 1);
	for (size_t i = 0; i < p->metrics.transformer_count; i++)
		samples_of_errors(w, &p->metrics.transformers[i].errors, LABELS({ "stage", stage_of(&stage, i, "") }),
				  1);
	samples_of_errors(w, &sinks[false], LABELS({ "stage", "sink_write" }), 1);
	samples_of_errors(w, &sinks[true], LABELS({ "stage", "error_sink_write" }), 1);
}

/* ---- ours ------------------------------------------------------------------------------------------------ */

static void write_sinks(struct writer *w)
{
	const struct df_processor *p = w->p;

	family(w, "dataflow_rows_conflict_skipped_total", "counter", "Confirmed rows that stood there already.");
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, df_count_get(&p->outputs[i].metrics.unchanged),
		       LABELS({ "connector_name", p->outputs[i].label }));
	family(w, "dataflow_sink_unknown_fields_total", "counter", "Keys that have no column in the table.");
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, df_count_get(&p->outputs[i].metrics.unknown_fields),
		       LABELS({ "connector_name", p->outputs[i].label }));
	family(w, "dataflow_sink_parts_total", "counter",
	       "Files that the store made of what was written, where it tells.");
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, df_count_get(&p->outputs[i].metrics.parts),
		       LABELS({ "connector_name", p->outputs[i].label }));
	family(w, "dataflow_sink_uncertain_rows_total", "counter",
	       "Rows sent again that may stand there already: nobody can tell how the try before ended.");
	for (size_t i = 0; i < p->output_count; i++)
		sample(w, df_count_get(&p->outputs[i].metrics.uncertain),
		       LABELS({ "connector_name", p->outputs[i].label }));
	family(w, "dataflow_sink_retries_total", "counter", "Writes tried again.");
	for (size_t i = 0; i < p->output_count; i++)
		samples_of_errors(w, &p->outputs[i].metrics.retries, LABELS({ "connector_name", p->outputs[i].label }),
				  1);
}

/* How long the committed position has stood while messages are open behind it. */
static int64_t position_age(const struct df_processor *p)
{
	int64_t behind = p->metrics.behind_ns;

	return behind && df_processor_active(p) > 0 ? df_clock_monotonic() - behind : 0;
}

/* A partition that is not ours any more has no sample. */
static void write_lag(struct writer *w)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_lag *lags;
	size_t n;

	family(w, "dataflow_source_lag_messages", "gauge",
	       "Messages of a partition that the other side holds and that were not read yet.");
	if (df_ledger_lags(w->p->ledger, &arena, &lags, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		sample(w, (uint64_t)lags[i].messages, LABELS({ "partition", lags[i].key.ptr }));
}

static void write_process(struct writer *w)
{
	const struct df_processor *p = w->p;
	int64_t resident = df_memory_resident();

	family(w, "dataflow_checkpoint_saves_total", "counter", "Checkpoints saved.");
	sample(w, df_count_get(&p->counters.checkpoint_saves), LABELS({ "status", "success" }));
	sample(w, df_count_get(&p->metrics.checkpoint_save_errors), LABELS({ "status", "error" }));
	family(w, "dataflow_source_position_age_seconds", "gauge",
	       "How long the committed position has stood with messages open behind it; 0 when none are.");
	sample_ns(w, position_age(p), NO_LABELS);
	family(w, "dataflow_memory_bytes", "gauge",
	       "Memory: batches (in flight), limit (for them), resident (the whole process).");
	sample(w, df_batch_pool_used(p->batches_pool), LABELS({ "area", "batches" }));
	sample(w, p->memory_limit, LABELS({ "area", "limit" }));
	sample(w, (uint64_t)resident, LABELS({ "area", "resident" }));
	family(w, "dataflow_build_info", "gauge", "1; the version is a label.");
	sample(w, 1, LABELS({ "version", DF_VERSION }));
	family(w, "dataflow_last_processed_timestamp_seconds", "gauge",
	       "When the newest confirmed flush was, in seconds since 1970; 0 before the first.");
	sample_ns(w, p->metrics.last_processed, NO_LABELS);
}

void df_processor_metrics(const struct df_processor *p, struct df_buf *buf)
{
	struct writer w = { .p = p, .buf = buf };

	write_messages(&w);
	write_outcomes(&w);
	write_status(&w);
	write_connectors(&w);
	write_transformers(&w);
	write_stages(&w);
	write_rates(&w);
	write_queues(&w);
	write_operations(&w);
	write_stage_errors(&w);
	write_sinks(&w);
	write_lag(&w);
	write_process(&w);
}

/* ---- making ---------------------------------------------------------------------------------------------- */

int df_metrics_init(struct df_processor *p, struct df_error *err)
{
	struct df_metrics *m = &p->metrics;
	struct df_buf labels = { 0 };

	m->transformer_count = df_processor_transformers(p);
	m->transformers = calloc(m->transformer_count + 1, sizeof(*m->transformers));
	add_label(&labels, "namespace", p->options.namespace ? p->options.namespace : "");
	df_buf_add_char(&labels, ',');
	add_label(&labels, "name", p->options.name ? p->options.name : "");
	m->labels = df_buf_take(&labels);
	return m->transformers && m->labels ? 0 : df_error_no_memory(err);
}

void df_metrics_done(struct df_metrics *m)
{
	free(m->transformers);
	free(m->labels);
}
