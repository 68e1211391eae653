/*
 * A processor that goes on for another of the same process: what the metrics have counted so far stays in them, so that
 * no counter goes back and who adds up differences (the operator, Prometheus) loses and repeats nothing.
 */
#include "processor/internal.h"

static void add_count(df_count *to, const df_count *from)
{
	df_count_add(to, df_count_get(from));
}

static void add_counts(df_count *to, const df_count *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_count(&to[i], &from[i]);
}

static void add_errors(struct df_error_counts *to, const struct df_error_counts *from)
{
	add_counts(to->by_type, from->by_type, DF_ERROR_TYPES);
}

static void add_histogram(struct df_histogram *to, const struct df_histogram *from)
{
	add_counts(to->buckets, from->buckets, DF_HISTOGRAM_BUCKETS);
	add_count(&to->sum, &from->sum);
}

static void add_connector(struct df_connector_metrics *to, const struct df_connector_metrics *from)
{
	for (size_t op = 0; op < DF_OPS; op++)
		add_errors(&to->errors[op], &from->errors[op]);
}

static void add_output(struct df_output_metrics *to, const struct df_output_metrics *from)
{
	add_connector(&to->connector, &from->connector);
	add_count(&to->written, &from->written);
	add_count(&to->unchanged, &from->unchanged);
	add_count(&to->unknown_fields, &from->unknown_fields);
	add_count(&to->parts, &from->parts);
	add_count(&to->uncertain, &from->uncertain);
	add_errors(&to->retries, &from->retries);
	add_errors(&to->failed, &from->failed);
	add_counts(to->attempts, from->attempts, DF_OUTCOMES);
	add_counts(to->writes, from->writes, DF_OUTCOMES);
	add_histogram(&to->queue_wait, &from->queue_wait);
}

static void add_transformer(struct df_transformer_metrics *to, const struct df_transformer_metrics *from)
{
	add_errors(&to->errors, &from->errors);
	add_histogram(&to->duration, &from->duration);
	add_histogram(&to->stage, &from->stage);
	add_histogram(&to->latency, &from->latency);
	add_histogram(&to->input, &from->input);
	add_histogram(&to->output, &from->output);
}

static void add_metrics(struct df_metrics *to, const struct df_metrics *from)
{
	add_connector(&to->source, &from->source);
	add_errors(&to->read_errors, &from->read_errors);
	add_errors(&to->decode_errors, &from->decode_errors);
	add_counts(to->transforms, from->transforms, DF_OUTCOMES);
	add_count(&to->checkpoint_save_errors, &from->checkpoint_save_errors);
	add_histogram(&to->read, &from->read);
	add_histogram(&to->transformation, &from->transformation);
	add_histogram(&to->write, &from->write);
	add_histogram(&to->sink_write, &from->sink_write);
	add_histogram(&to->error_sink_write, &from->error_sink_write);
	add_histogram(&to->processing, &from->processing);
	add_histogram(&to->end_to_end, &from->end_to_end);
	add_histogram(&to->queue_wait, &from->queue_wait);
	add_histogram(&to->to_write, &from->to_write);
	add_histogram(&to->input, &from->input);
	add_histogram(&to->output, &from->output);
	for (size_t i = 0; i < to->transformer_count && i < from->transformer_count; i++)
		add_transformer(&to->transformers[i], &from->transformers[i]);
}

static void add_counters(struct df_counters *to, const struct df_counters *from)
{
	add_count(&to->read, &from->read);
	add_count(&to->read_bytes, &from->read_bytes);
	add_count(&to->made, &from->made);
	add_count(&to->filtered, &from->filtered);
	add_count(&to->dropped, &from->dropped);
	add_count(&to->failed, &from->failed);
	add_count(&to->reconnects, &from->reconnects);
	add_count(&to->checkpoint_saves, &from->checkpoint_saves);
	add_count(&to->withdrawn, &from->withdrawn);
}

void df_processor_inherit(struct df_processor *p, const struct df_processor *ended)
{
	const char *type;

	add_counters(&p->counters, &ended->counters);
	/* What had not ended is read again, and counted again then. */
	df_count_add(&p->counters.withdrawn, df_processor_active(ended));
	add_metrics(&p->metrics, &ended->metrics);
	for (size_t i = 0; i < p->output_count && i < ended->output_count; i++)
		add_output(&p->outputs[i].metrics, &ended->outputs[i].metrics);
	for (size_t i = 0; i < p->metrics.transformer_count && i < ended->metrics.transformer_count; i++) {
		struct df_transformer_stats stats;

		df_processor_transformer_stats(ended, i, &type, &stats);
		df_chain_add_stats(p->workers[0].chain, i, &stats);
	}
	p->metrics.last_processed = ended->metrics.last_processed;
	p->metrics.received = ended->metrics.received;
	/* A process that was ready stays so: its startup is over, and from now on it is judged by its progress. */
	p->metrics.ready = ended->metrics.ready;
	df_processor_moved(p);
}
