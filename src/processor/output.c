/*
 * An output: collects messages into flushes by the batch rules of the manifest reference (section 7), writes them, and
 * sees to it that each message ends: written, retried, stored in the error sink, or the pipeline stops.
 */
#include <string.h>

#include "processor/internal.h"

/* ---- what waits ------------------------------------------------------------------------------------------ */

static void enqueue(struct df_output *o, struct df_batch *batch)
{
	batch->next = NULL;
	if (o->last)
		o->last->next = batch;
	else
		o->first = batch;
	o->last = batch;
	o->waiting += batch->count;
	o->waiting_bytes += batch->bytes;
	atomic_store_explicit(&o->metrics.waiting, o->waiting, memory_order_relaxed);
}

/* The next n waiting messages as o->flush. They stay in their batches until `consume`. */
static int gather(struct df_output *o, size_t n, struct df_error *err)
{
	const struct df_batch *batch = o->first;
	size_t at = o->cursor;

	if (n > o->flush_cap) {
		struct df_message **flush = realloc(o->flush, n * sizeof(struct df_message *));
		struct df_message **done;

		if (!flush)
			return df_error_no_memory(err);
		o->flush = flush;
		done = realloc(o->done, n * sizeof(struct df_message *));
		if (!done)
			return df_error_no_memory(err);
		o->done = done;
		o->flush_cap = n;
	}
	for (size_t i = 0; i < n; i++) {
		while (at == batch->count) {
			batch = batch->next;
			at = 0;
		}
		o->flush[i] = &batch->messages[at++];
	}
	return 0;
}

/* n messages from the front have ended: gives back the batches that are through. */
static void consume(struct df_output *o, size_t n)
{
	o->waiting -= n;
	atomic_store_explicit(&o->metrics.waiting, o->waiting, memory_order_relaxed);
	o->cursor += n;
	while (o->first && o->cursor >= o->first->count) {
		struct df_batch *batch = o->first;

		o->cursor -= batch->count;
		o->waiting_bytes -= batch->bytes;
		o->first = batch->next;
		if (!o->first)
			o->last = NULL;
		df_batch_release(batch);
	}
}

/* When the oldest waiting row must go out; INT64_MAX: no timer runs. */
static int64_t timer(const struct df_output *o)
{
	if (o->waiting == 0 || o->interval_ns == 0)
		return INT64_MAX;
	return o->first->messages[o->cursor].read_ns + o->interval_ns;
}

/* ---- measuring ------------------------------------------------------------------------------------------- */

/* The batches that begin in a flush of n messages have waited until now. */
static void measure_wait(struct df_output *o, size_t n, int64_t now)
{
	struct df_metrics *m = &o->p->metrics;
	size_t before = 0;

	for (const struct df_batch *batch = o->first; batch && before < o->cursor + n; batch = batch->next) {
		if (before >= o->cursor)
			df_histogram_add(&o->metrics.queue_wait, &df_shape_short, now - batch->queued_ns, batch->count);
		before += batch->count;
	}
	if (!o->is_error)
		df_histogram_add(&m->to_write, &df_shape_short, now - o->first->queued_ns, 1);
	if (!o->is_error && df_size_sample_begin(&o->sizes, n))
		df_size_sample_add(&o->sizes, &m->output, &o->first->messages[o->cursor]);
}

/* From reading to now. Messages of one batch were read at one time, and mostly stand together. */
static void measure_end_to_end(struct df_output *o, struct df_message *const *messages, size_t n, int64_t now)
{
	struct df_histogram *h = &o->p->metrics.end_to_end;
	const struct df_batch *batch = o->first;
	size_t at = o->cursor, run;

	/* A whole flush, the usual case: batch by batch, so that not every message is looked at. */
	for (size_t left = n; messages == o->flush && left > 0; left -= run, at = 0, batch = batch->next) {
		run = batch->count - at < left ? batch->count - at : left;
		if (run > 0)
			df_histogram_add(h, &df_shape_end_to_end, now - batch->messages[at].read_ns, run);
	}
	for (size_t i = 0; messages != o->flush && i < n; i += run) {
		for (run = 1; i + run < n && messages[i + run]->read_ns == messages[i]->read_ns;)
			run++;
		df_histogram_add(h, &df_shape_end_to_end, now - messages[i]->read_ns, run);
	}
}

/* What a confirmed write moves. */
static void measure_written(struct df_output *o, struct df_message *const *messages, size_t n)
{
	struct df_metrics *m = &o->p->metrics;
	int64_t now = df_clock_monotonic();

	atomic_store_explicit(&m->progress_ns, now, memory_order_relaxed);
	atomic_store_explicit(&m->last_processed, df_clock_now(o->p->options.clock), memory_order_relaxed);
	if (o->is_error)
		return;
	df_recent_add(&o->metrics.recent, now, n);
	if (o->p->options.metrics)
		measure_end_to_end(o, messages, n, now);
}

/* One call of the sink's write: n messages, of which so many were written. took_ns: -1 when it was not measured. */
static void count_attempt(struct df_output *o, size_t n, size_t written, const struct df_error *why, int64_t took_ns)
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

/* ---- what became of the messages of one write ------------------------------------------------------------ */

/* errors.ackPolicy never, afterMainSinkSuccess: told at the first message and then once a minute. */
static void warn_blocked(struct df_output *o)
{
	int64_t now = df_clock_monotonic();

	if (o->warned_ns && now - o->warned_ns < DF_BLOCKED_WARNING)
		return;
	o->warned_ns = now;
	df_warn(&o->p->logger,
		"messages in the error sink keep the position back (errors.ackPolicy: %s): they and what follows are "
		"read "
		"again at the next start",
		o->p->ack_policy);
}

/* Written (or stored in the error sink): done, unless the error sink's ackPolicy keeps the position back. */
static void settle_written(struct df_output *o, size_t n, const struct df_write *w)
{
	struct df_output_metrics *m = &o->metrics;
	bool whole = n == w->count && w->messages == o->flush && n == o->flushing;

	if (n == 0)
		return;
	measure_written(o, whole ? o->flush : o->done, n);
	if (!o->is_error || strcmp(o->p->ack_policy, "afterWrite") == 0)
		df_ledger_done(o->done, n);
	else
		warn_blocked(o);
	df_count_add(&m->written, n);
	if (w->unchanged) /* whatever a sink counts, of those that were written */
		df_count_add(&m->unchanged, w->unchanged < n ? w->unchanged : n);
	if (w->unknown_fields)
		df_count_add(&m->unknown_fields, w->unknown_fields);
}

static int give_up(struct df_output *o, struct df_message *m, int attempts, const struct df_error *why)
{
	struct df_error err = *why;

	df_count_add(&o->metrics.writes[DF_OUTCOME_ERROR], 1);
	if (!o->is_error)
		return df_processor_poison(o->p, m,
					   &(struct df_poison){ .stage = "sink_write",
								.original_sink = o->component->type->name,
								.attempts = attempts },
					   why);
	df_error_prefix(&err, "the error sink %s cannot store a record", o->component->type->name);
	df_processor_fail(o->p, &err);
	return err.code;
}

enum fate { FATE_WRITTEN, FATE_POISON, FATE_RETRY, FATE_SPLIT, FATE_STOP };

/* Decided by code. A data error of a whole write says nothing about a single message unless it stood alone. */
static enum fate fate_of(const struct df_error *result, bool whole, size_t n)
{
	if (!result)
		return FATE_WRITTEN;
	if (df_code_poison(result->code))
		return whole && n > 1 ? FATE_SPLIT : FATE_POISON;
	return df_code_retryable(result->code) ? FATE_RETRY : FATE_STOP;
}

struct delivery {
	struct df_retry retry;	   /* attempts on a live connection */
	struct df_retry reconnect; /* lost connections without a success in between */
	int attempts;
	bool reconnected;
};

/*
 * One attempt. On return messages[0..*n) are those that remain, in order: to be tried again, or, with *split, to be
 * written in two halves. 0, or the code that stops the pipeline; *last is why the remaining ones failed.
 */
static int attempt(struct df_output *o, struct df_message **messages, size_t *n, struct delivery *d, bool *split,
		   struct df_error *last)
{
	struct df_write w;
	const struct df_error *first_failure = NULL;
	size_t written = 0, left = 0;
	int64_t start, took;
	int whole, r;

	r = df_write_init(&w, messages, *n, &o->arena, last);
	if (r < 0)
		return r;
	start = o->p->options.metrics ? df_clock_monotonic() : 0;
	pthread_mutex_lock(&o->sink_lock);
	whole = df_write_run(o->sink, o->p->work_ctx, &w, last);
	pthread_mutex_unlock(&o->sink_lock);
	took = start ? df_clock_monotonic() - start : -1;
	r = 0;
	for (size_t i = 0; i < *n; i++) {
		const struct df_error *result = df_write_result(&w, i);
		enum fate fate = fate_of(result, whole < 0, *n);

		if (result && result->code != DF_ERR_CANCELED)
			df_errors_add(&o->metrics.failed, result->code, 1);
		if (!first_failure)
			first_failure = result;
		if (fate == FATE_WRITTEN)
			o->done[written++] = messages[i];
		if (fate == FATE_WRITTEN || r < 0)
			continue; /* what was written counts, also behind the one that stops the pipeline */
		if (fate == FATE_POISON) {
			r = give_up(o, messages[i], d->attempts, result);
		} else if (fate == FATE_STOP) {
			*last = *result;
			r = result->code;
		} else {
			*split = fate == FATE_SPLIT;
			*last = *result;
			messages[left++] = messages[i];
		}
	}
	count_attempt(o, w.count, written, first_failure, took);
	settle_written(o, written, &w);
	df_write_destroy(&w);
	*n = left;
	return r;
}

/* The first time at once; a connection that is lost again and again waits longer and longer. Uses no attempts up. */
static int reconnect(struct df_output *o, size_t n, struct delivery *d, struct df_error *last)
{
	int64_t delay = d->reconnected ? df_retry_next(&d->reconnect) : 0;

	df_log_error(&o->logger, DF_LOG_WARN, last,
		     "connection lost with %zu messages in flight, opening it again in %.1f s", n,
		     (double)delay / (double)DF_NS_PER_S);
	d->attempts--;
	d->reconnected = true;
	atomic_store(&o->p->waiting, "the sink's connection is lost");
	if (df_context_sleep(o->p->work_ctx, delay) < 0)
		return df_error_set(last, DF_ERR_CANCELED, "stopped while waiting to connect again");
	return df_output_reconnect(o, o->p->work_ctx, last);
}

/* Waits before the next attempt on the same connection. 1: the messages were given up. */
static int before_retry(struct df_output *o, struct df_message **messages, size_t n, struct delivery *d,
			struct df_error *last)
{
	int64_t delay;
	int r;

	df_errors_add(&o->metrics.retries, last->code, 1);
	if (last->code == DF_ERR_CONNECTION)
		return reconnect(o, n, d, last);
	delay = df_retry_next(&d->retry);
	if (delay < 0) {
		for (size_t i = 0; i < n; i++) {
			r = give_up(o, messages[i], d->attempts, last);
			if (r < 0)
				return r;
		}
		return 1;
	}
	df_log_error(&o->logger, DF_LOG_WARN, last, "write of %zu messages failed, attempt %d, again in %.1f s", n,
		     d->attempts, (double)delay / (double)DF_NS_PER_S);
	atomic_store(&o->p->waiting, "the sink refuses writes");
	r = df_context_sleep(o->p->work_ctx, delay);
	atomic_store(&o->p->waiting, NULL);
	return r < 0 ? df_error_set(last, DF_ERR_CANCELED, "stopped while waiting to write again") : 0;
}

/* Writes messages[0..n) until each has ended. Splits a write that failed as a whole until the poison stands alone:
 * log2(n) deep. The array is used up. */
static int deliver(struct df_output *o, struct df_message **messages, size_t n, struct df_error *err)
{
	struct delivery d = { .attempts = 0 };

	df_retry_init(&d.retry, &df_retry_write, (uint64_t)df_clock_monotonic());
	df_retry_init(&d.reconnect, &df_retry_connect, (uint64_t)df_clock_monotonic());
	while (n > 0) {
		bool split = false;
		int r;

		d.attempts++;
		r = attempt(o, messages, &n, &d, &split, err);
		if (r < 0)
			return r;
		if (split) {
			r = deliver(o, messages, n / 2, err);
			return r < 0 ? r : deliver(o, messages + n / 2, n - n / 2, err);
		}
		if (n == 0)
			return 0;
		r = before_retry(o, messages, n, &d, err);
		if (r)
			return r < 0 ? r : 0;
	}
	return 0;
}

/* ---- flushing -------------------------------------------------------------------------------------------- */

static int flush(struct df_output *o, size_t n, struct df_error *err)
{
	struct df_output_metrics *m = &o->metrics;
	uint64_t ended = m->written + m->writes[DF_OUTCOME_ERROR];
	int64_t start = 0;
	int r = gather(o, n, err);

	if (o->p->options.metrics) {
		start = df_clock_monotonic();
		measure_wait(o, n, start);
	}
	o->flushing = n;
	if (r == 0)
		r = deliver(o, o->flush, n, err);
	if (start && !o->is_error)
		df_histogram_add(&o->p->metrics.write, &df_shape_stage, df_clock_monotonic() - start, 1);
	if (r < 0) {
		df_count_add(&m->writes[DF_OUTCOME_CANCELED], n - (m->written + m->writes[DF_OUTCOME_ERROR] - ended));
		return r;
	}
	df_arena_reset(&o->arena);
	consume(o, n);
	df_processor_progressed(o->p);
	return 0;
}

static int flush_ready(struct df_output *o, bool all, struct df_error *err)
{
	while (o->waiting > 0 && (all || o->waiting >= o->wait_for || o->waiting_bytes >= DF_FLUSH_BYTES)) {
		int r = flush(o, o->waiting < o->together ? o->waiting : o->together, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Rows that already wait travel together. *closed when the channel has nothing more. */
static int take_waiting(struct df_output *o, bool *closed, struct df_error *err)
{
	while (o->waiting < o->together && o->waiting_bytes < DF_FLUSH_BYTES) {
		struct df_batch *batch = NULL;
		int r = df_channel_receive(o->channel, o->p->work_ctx, 0, &batch, err);

		if (r == DF_ERR_TIMEOUT)
			return 0;
		if (r < 0)
			return r;
		if (!batch) {
			*closed = true;
			return 0;
		}
		enqueue(o, batch);
	}
	return 0;
}

static int run(struct df_output *o, struct df_error *err)
{
	bool closed = false;
	int r = 0;

	while (!closed && r == 0) {
		struct df_batch *batch = NULL;

		r = df_channel_receive(o->channel, o->p->work_ctx, timer(o), &batch, err);
		if (r == DF_ERR_TIMEOUT) {
			r = flush_ready(o, true, err);
			continue;
		}
		if (r < 0)
			break;
		closed = !batch;
		if (batch) {
			enqueue(o, batch);
			r = take_waiting(o, &closed, err);
		}
		if (r == 0)
			r = flush_ready(o, closed, err);
	}
	return r;
}

static void *output_main(void *arg)
{
	struct df_output *o = arg;
	struct df_error err = DF_ERROR_INIT;
	int r = run(o, &err);

	if (r < 0) {
		if (r != DF_ERR_CANCELED && r != DF_ERR_CLOSED) {
			df_error_prefix(&err, "%s %s", o->is_error ? "error sink" : "sink", o->component->type->name);
			df_processor_fail(o->p, &err);
		}
		df_channel_close(o->channel); /* whoever sends must not wait for us */
	}
	df_processor_output_ended(o);
	return NULL;
}

int df_output_start(struct df_output *o, struct df_error *err)
{
	int r = pthread_create(&o->thread, NULL, output_main, o);

	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start an output thread");
	o->started = true;
	return 0;
}
