/*
 * An output: collects messages into flushes by the batch rules of the manifest reference (section 7) and sends them on
 * their way; flight.c sees to it that each message ends.
 */
#include <string.h>
#include <sys/random.h>

#include "processor/internal.h"

/* ---- the flush rule -------------------------------------------------------------------------------------- */

static size_t at_least_one(int64_t n)
{
	return n < 1 ? 1 : (size_t)n;
}

void df_output_set_rule(struct df_output *o, const struct df_sink_ops *ops)
{
	const struct df_dataflow_spec *spec = o->p->spec;
	struct df_batching b = { .default_size = 1, .default_together = DF_BATCH_MESSAGES_MAX };

	if (ops && ops->batching)
		ops->batching(o->component->settings, &b);
	o->interval_ns = (int64_t)b.interval_seconds * DF_NS_PER_S;
	if (strcmp(spec->ack_granularity, "message") == 0 && spec->collapse_batch_on_message_ack) {
		o->wait_for = o->together = 1;
	} else if (!b.size.set) {
		o->wait_for = at_least_one(b.default_size);
		o->together = at_least_one(b.default_together);
	} else if (b.size.value > 0) {
		o->wait_for = o->together = (size_t)b.size.value;
	} else {
		o->wait_for = o->together = DF_FLUSH_MESSAGES_MAX;
	}
	if (o->together < o->wait_for)
		o->together = o->wait_for;
	o->flush_bytes = b.flush_bytes ? b.flush_bytes : DF_FLUSH_BYTES;
}

void df_output_grow(struct df_output *o)
{
	const struct df_dataflow_spec *spec = o->p->spec;
	bool one_by_one = strcmp(spec->ack_granularity, "message") == 0 && spec->collapse_batch_on_message_ack;

	if (o->is_error || one_by_one || o->together >= DF_GROWN_MESSAGES_MAX)
		return;
	o->together = o->together < DF_GROWN_MESSAGES_MAX / 2 ? o->together * 2 : DF_GROWN_MESSAGES_MAX;
	if (o->interval_ns)
		o->wait_for = o->together;
	df_warn(&o->logger, "there are too many small writes: flushes are of up to %zu rows from now on", o->together);
}

/* When the oldest waiting row must go out; INT64_MAX: no timer runs. */
static int64_t timer(const struct df_output *o)
{
	if (o->queue.count == 0 || o->interval_ns == 0)
		return INT64_MAX;
	return df_queue_oldest(&o->queue)->read_ns + o->interval_ns;
}

/* How many messages the next flush has; 0: it is not due. */
static size_t due(const struct df_output *o, bool closed)
{
	const struct df_queue *q = &o->queue;
	size_t n;

	if (q->count == 0)
		return 0;
	if (!closed && q->count < o->wait_for && q->bytes < o->flush_bytes && df_clock_monotonic() < timer(o) &&
	    !o->barrier && !atomic_load_explicit(&o->p->pressed, memory_order_relaxed))
		return 0;
	n = q->count < o->together ? q->count : o->together;
	return o->p->transaction.on && !o->is_error ? df_transaction_cut(o, n) : n;
}

/* May another flush be under way? One more than the bytes of one flush may be. */
static bool has_room(const struct df_output *o)
{
	return o->pending_count == 0 ||
	       (o->pending_count < o->max_flights && o->queue.away_bytes < o->flush_bytes && !o->grounded);
}

/* ---- what waits ------------------------------------------------------------------------------------------ */

static void enqueue(struct df_output *o, struct df_batch *batch)
{
	if (batch->barrier) {
		o->barrier = true;
		df_batch_release(batch);
		return;
	}
	df_queue_add(&o->queue, batch);
	atomic_store_explicit(&o->metrics.waiting, o->queue.count, memory_order_relaxed);
}

/* Rows that already wait travel together. *closed when the channel has nothing more. */
static int take_waiting(struct df_output *o, bool *closed, struct df_error *err)
{
	while (o->queue.count < o->together && o->queue.bytes < o->flush_bytes) {
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

/* Waits for messages, for the timer, or for a flight that is back. */
static int receive(struct df_output *o, bool *closed, struct df_error *err)
{
	struct df_batch *batch = NULL;
	int r;

	atomic_store_explicit(&o->stuck, o->queue.count > 0 && !o->flights, memory_order_relaxed);
	r = df_channel_receive(o->channel, o->p->work_ctx, timer(o), &batch, err);

	if (r < 0)
		return r == DF_ERR_TIMEOUT ? 0 : r;
	atomic_store_explicit(&o->stuck, false, memory_order_relaxed);
	*closed = !batch;
	if (!batch)
		return 0;
	enqueue(o, batch);
	return take_waiting(o, closed, err);
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

/* Rows that wait because others with their position are on the way to the error sink. Rare, and short. */
static int wait_for_errors(const struct df_output *o, struct df_error *err)
{
	while (o->queue.count > 0 && atomic_load(&o->p->errors_open) > 0)
		if (df_context_sleep(o->p->settle_ctx, DF_NS_PER_MS) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "stopped while waiting for the error sink");
	return 0;
}

/* What could be written is written; the rest belongs to positions of which the source reads more again. */
static int pass_barrier(struct df_output *o, struct df_error *err)
{
	int r = wait_for_errors(o, err);

	if (r < 0 || due(o, true) > 0)
		return r;
	o->barrier = false;
	return o->queue.count > 0 ? df_transaction_withdraw(o, err) : 0;
}

static int run(struct df_output *o, struct df_error *err)
{
	bool closed = false;

	for (;;) {
		int r = df_flights_land(o, err);
		size_t n = due(o, closed);

		if (r == 0 && closed && n == 0 && !o->flights) {
			r = wait_for_errors(o, err);
			n = due(o, closed);
			if (n == 0)
				return r;
		}
		if (r == 0 && n > 0 && has_room(o))
			r = df_flight_start(o, n, err);
		else if (r == 0 && o->barrier && !o->flights)
			r = pass_barrier(o, err);
		else if (r == 0 && (n > 0 || closed))
			r = df_flights_wait(o, err);
		else if (r == 0)
			r = receive(o, &closed, err);
		if (r < 0)
			return r;
	}
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
		df_flights_abandon(o);
	}
	df_processor_output_ended(o);
	return NULL;
}

int df_output_start(struct df_output *o, struct df_error *err)
{
	int r;

	if (getrandom(&o->tokens, sizeof(o->tokens), 0) != (ssize_t)sizeof(o->tokens) || o->tokens == 0)
		o->tokens = (uint64_t)df_clock_now(NULL) | 1;
	if (o->sink->ops->batching) /* of another sink than the manifest's */
		df_output_set_rule(o, o->sink->ops);
	o->max_flights = o->sink->ops->max_in_flight > 1 ? (size_t)o->sink->ops->max_in_flight : 1;
	if (o->p->transaction.on && !o->is_error)
		o->max_flights = 1;
	if (o->p->transaction.on && o->is_error)
		o->wait_for = 1; /* the main sink waits for it */
	r = pthread_create(&o->thread, NULL, output_main, o);

	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start an output thread");
	o->started = true;
	return 0;
}
