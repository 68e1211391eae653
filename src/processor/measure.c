/* What is counted around the writes of an output. */
#include "processor/internal.h"

void df_measure_wait(struct df_flight *f, int64_t now)
{
	struct df_output *o = f->output;
	struct df_metrics *m = &o->p->metrics;
	size_t before = 0, end = f->at + f->count;

	/* The batches that begin in this flush. */
	for (const struct df_batch *batch = f->batch; batch && before < end; batch = batch->next) {
		if (before >= f->at)
			df_histogram_add(&o->metrics.queue_wait, &df_shape_short, now - batch->queued_ns, batch->count);
		before += batch->count;
	}
	if (o->is_error)
		return;
	df_histogram_add(&m->to_write, &df_shape_short, now - f->batch->queued_ns, 1);
	if (df_size_sample_begin(&o->sizes, f->count))
		df_size_sample_add(&o->sizes, &m->output, f->messages[0]);
}

/* From reading to now. Messages of one batch were read at one time, and mostly stand together. */
static void measure_end_to_end(struct df_flight *f, size_t n, int64_t now)
{
	struct df_histogram *h = &f->output->p->metrics.end_to_end;
	const struct df_batch *batch = f->batch;
	size_t at = f->at, run;
	bool whole = n == f->count;

	/* A whole flush, the usual case: batch by batch, so that not every message is looked at. */
	for (size_t left = n; whole && left > 0; left -= run, at = 0, batch = batch->next) {
		run = batch->count - at < left ? batch->count - at : left;
		if (run > 0)
			df_histogram_add(h, &df_shape_end_to_end, now - batch->messages[at].read_ns, run);
	}
	for (size_t i = 0; !whole && i < n; i += run) {
		for (run = 1; i + run < n && f->done[i + run]->read_ns == f->done[i]->read_ns;)
			run++;
		df_histogram_add(h, &df_shape_end_to_end, now - f->done[i]->read_ns, run);
	}
}

void df_measure_written(struct df_flight *f, size_t n)
{
	struct df_output *o = f->output;
	struct df_metrics *m = &o->p->metrics;
	int64_t now = df_clock_monotonic();

	atomic_store_explicit(&m->progress_ns, now, memory_order_relaxed);
	atomic_store_explicit(&m->last_processed, df_clock_now(o->p->options.clock), memory_order_relaxed);
	if (o->is_error)
		return;
	df_recent_add(&o->metrics.recent, now, n);
	if (o->p->options.metrics)
		measure_end_to_end(f, n, now);
}

void df_measure_attempt(struct df_output *o, size_t n, size_t written, const struct df_error *why, int64_t took_ns)
{
	struct df_metrics *m = &o->p->metrics;
	bool canceled = why && why->code == DF_ERR_CANCELED;

	df_count_add(&o->metrics.attempts[DF_OUTCOME_SUCCESS], written);
	if (n > written)
		df_count_add(&o->metrics.attempts[canceled ? DF_OUTCOME_CANCELED : DF_OUTCOME_ERROR], n - written);
	if (why && !canceled)
		df_errors_add(&o->metrics.connector.errors[DF_OP_WRITE], why->code, 1);
	if (took_ns >= 0)
		df_histogram_add(o->is_error ? &m->error_sink_write : &m->sink_write, &df_shape_stage, took_ns, 1);
}
