/*
 * Writing the messages of a flight until each has ended: one attempt, what became of each message (written, retried,
 * stored in the error sink, or the pipeline stops), and what comes between two attempts.
 */
#include <string.h>

#include "processor/internal.h"

/* ---- what became of the messages of one attempt ---------------------------------------------------------- */

/* errors.ackPolicy never, afterMainSinkSuccess: told at the first message and then once a minute. */
static void warn_blocked(struct df_output *o)
{
	int64_t now = df_clock_monotonic();

	if (o->warned_ns && now - o->warned_ns < DF_BLOCKED_WARNING)
		return;
	o->warned_ns = now;
	df_warn(&o->p->logger,
		"messages in the error sink keep the position back (errors.ackPolicy: %s): they and what follows are "
		"read again at the next start",
		o->p->ack_policy);
}

/* f->done[0..n) are written (or stored in the error sink): done, unless the error sink's ackPolicy keeps the position
 * back. */
static void settle_written(struct df_flight *f, size_t n)
{
	struct df_output *o = f->output;
	struct df_output_metrics *m = &o->metrics;
	const struct df_write *w = &f->write;

	if (n == 0)
		return;
	df_trouble_over(&m->connector.trouble, DF_OP_WRITE);
	df_measure_written(f, n);
	if (o->is_error)
		atomic_fetch_sub(&o->p->errors_open, n);
	if (!o->is_error || strcmp(o->p->ack_policy, "afterWrite") == 0)
		df_ledger_done(f->done, n);
	else
		warn_blocked(o);
	f->ended += n;
	df_count_add(&m->written, n);
	if (w->unchanged) /* whatever a sink counts, of those that were written */
		df_count_add(&m->unchanged, w->unchanged < n ? w->unchanged : n);
	if (w->unknown_fields)
		df_count_add(&m->unknown_fields, w->unknown_fields);
	if (w->parts)
		df_count_add(&m->parts, w->parts);
	if (w->uncertain)
		df_count_add(&m->uncertain, w->uncertain);
}

static int give_up(struct df_flight *f, struct df_message *m, const struct df_error *why)
{
	struct df_output *o = f->output;
	struct df_error err = *why;

	f->ended++;
	df_count_add(&o->metrics.writes[DF_OUTCOME_ERROR], 1);
	if (!o->is_error)
		return df_processor_poison(o->p, m,
					   &(struct df_poison){ .stage = "sink_write",
								.original_sink = o->component->type->name,
								.attempts = f->attempt.number },
					   why);
	df_error_prefix(&err, "the error sink %s cannot store a record", o->component->type->name);
	df_processor_fail(o->p, &err);
	return err.code;
}

enum fate { FATE_WRITTEN, FATE_AGAIN, FATE_POISON, FATE_RETRY, FATE_SPLIT, FATE_STOP };

/* Decided by code. A data error of a whole write says nothing about a single message unless it stood alone. */
static enum fate fate_of(const struct df_error *result, bool whole, size_t n)
{
	if (!result)
		return FATE_WRITTEN;
	if (df_code_poison(result->code))
		return whole && n > 1 ? FATE_SPLIT : FATE_POISON;
	return df_code_retryable(result->code) ? FATE_RETRY : FATE_STOP;
}

/* A transaction is undone when a message of it was refused, and only then. */
static bool is_breach(const struct df_output *o, bool undone, bool refused)
{
	return o->p->transaction.on && !o->is_error ? undone != refused : undone;
}

int df_attempt_settle(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	struct df_output *o = f->output;
	struct df_attempt *a = &f->attempt;
	size_t n = a->left, written = 0, left = 0;
	const struct df_error *first_failure = NULL;
	int64_t took = a->started_ns ? df_clock_monotonic() - a->started_ns : -1;
	bool whole = a->code < 0, undone = a->code == DF_WRITE_UNDONE, later = false;
	int r = 0;

	a->split = false;
	for (size_t i = 0; i < n; i++) {
		const struct df_error *result = df_write_result(&f->write, i);
		enum fate fate = undone && !result ? FATE_AGAIN : fate_of(result, whole, n);

		if (result && result->code != DF_ERR_CANCELED)
			df_errors_add(&o->metrics.failed, result->code, 1);
		if (!first_failure)
			first_failure = result;
		if (fate == FATE_WRITTEN)
			f->done[written++] = messages[i];
		if (fate == FATE_WRITTEN || r < 0)
			continue; /* what was written counts, also behind the one that stops the pipeline */
		if (fate == FATE_AGAIN) {
			messages[left++] = messages[i];
		} else if (fate == FATE_POISON || fate == FATE_STOP) {
			*err = *result;
			r = fate == FATE_STOP ? result->code : give_up(f, messages[i], result);
		} else {
			a->split = fate == FATE_SPLIT;
			later |= fate == FATE_RETRY;
			a->last = *result;
			messages[left++] = messages[i];
		}
	}
	if (r == 0 && !whole && is_breach(o, undone, first_failure != NULL))
		r = df_error_set(err, DF_ERR_UNKNOWN,
				 "the connector %s does not keep the contract of transactions: all or nothing",
				 o->component->type->name);
	atomic_store_explicit(&o->metrics.writing_ns, 0, memory_order_relaxed);
	df_measure_attempt(o, n, written, first_failure, took);
	settle_written(f, written);
	if (f->write.larger)
		df_output_grow(o);
	df_write_destroy(&f->write);
	a->again = undone && !later;
	a->left = left;
	return r;
}

/* ---- one attempt ----------------------------------------------------------------------------------------- */

/* The last result of a pending write, on the sink's thread, under the write's lock. */
static void on_settled(struct df_write *w, void *arg)
{
	struct df_flight *f = arg;
	struct df_output *o = f->output;

	(void)w;
	atomic_store(&f->landed, true);
	if (atomic_load(&f->launching))
		return;
	pthread_mutex_lock(&o->landed_lock);
	pthread_cond_signal(&o->landed);
	pthread_mutex_unlock(&o->landed_lock);
	df_channel_wake(o->channel);
}

int df_attempt_launch(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	struct df_output *o = f->output;
	struct df_attempt *a = &f->attempt;
	bool transaction = o->p->transaction.on && !o->is_error;
	int64_t now;
	int r = transaction ? df_transaction_begin(f, messages, err) : 0;

	if (r == 0)
		r = df_write_init(&f->write, messages, a->left, &f->arena, err);
	a->code = 0;
	if (r < 0 || a->left == 0)
		return r;
	if (transaction)
		f->write.checkpoint = f->checkpoint;
	a->number++;
	f->write.again = a->token_count == a->left; /* the very same messages */
	if (a->token_count != a->left) {
		a->token = df_random_next(&o->tokens);
		a->token_count = a->left;
	}
	f->write.token = a->token;
	f->write.on_settled = on_settled;
	f->write.arg = f;
	atomic_store(&f->landed, false);
	atomic_store(&f->launching, true);
	now = df_clock_monotonic();
	a->started_ns = o->p->options.metrics ? now : 0;
	atomic_store_explicit(&o->metrics.writing_ns, now, memory_order_relaxed);
	df_output_begin_call(o);
	a->instance = o->instance;
	a->code = df_write_start(o->sink, o->p->work_ctx, &f->write, &a->last);
	df_output_end_call(o);
	atomic_store(&f->launching, false);
	return 0;
}

void df_attempt_count_written(struct df_flight *f)
{
	size_t written = 0;

	for (size_t i = 0; i < f->write.count; i++)
		if (!df_write_result(&f->write, i))
			f->done[written++] = f->write.messages[i];
	settle_written(f, written);
}

/* The same, and waits for the results. */
static int attempt(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	int r = df_attempt_launch(f, messages, err);

	if (r < 0)
		return r;
	if (f->attempt.code == DF_WRITE_PENDING) {
		r = df_write_finish(&f->write, f->output->p->work_ctx, err);
		if (r < 0) {
			df_attempt_count_written(f); /* and the write stays until the sink is closed */
			return r;
		}
	}
	return df_attempt_settle(f, messages, err);
}

/* ---- again and again ------------------------------------------------------------------------------------- */

/* Of one flush, or of a part of it. */
struct patience {
	struct df_retry retry;	   /* attempts on a live connection */
	struct df_retry reconnect; /* lost connections without a success in between */
	bool reconnected;
	int64_t until_ns; /* monotonic: the end of spec.retry.total; 0: none */
	int64_t told_ns;
};

/* A trouble that lasts is not told about at every attempt. */
static void tell(const struct df_flight *f, struct patience *p, const char *what, int64_t delay)
{
	int64_t now = df_clock_monotonic();

	if (p->told_ns && now - p->told_ns < DF_SAY_AGAIN)
		return;
	p->told_ns = now;
	df_log_error(&f->output->logger, DF_LOG_WARN, &f->attempt.last, "%s, %zu messages are written again in %.1f s",
		     what, f->attempt.left, (double)delay / (double)DF_NS_PER_S);
}

/* The first time at once; a connection that is lost again and again waits longer and longer. Uses no attempts up. */
static int reconnect(struct df_flight *f, struct patience *p, struct df_error *err)
{
	struct df_output *o = f->output;
	struct df_attempt *a = &f->attempt;
	int64_t delay, start = df_clock_monotonic();
	int r;

	a->number--;
	if (a->instance != o->instance) /* a flush before this one has found out */
		return 0;
	delay = p->reconnected ? df_retry_next(&p->reconnect) : 0;
	tell(f, p, "connection lost", delay);
	p->reconnected = true;
	atomic_store(&o->p->waiting, "the sink's connection is lost");
	if (df_context_sleep(o->p->work_ctx, delay) < 0)
		return df_error_set(err, DF_ERR_CANCELED, "stopped while waiting to connect again");
	r = df_output_reconnect(o, o->p->work_ctx, err);
	if (p->until_ns) /* time without a connection does not count */
		p->until_ns += df_clock_monotonic() - start;
	return r;
}

static int give_up_all(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	struct df_attempt *a = &f->attempt;
	size_t n = a->left;
	int r = 0;

	a->left = 0;
	*err = a->last;
	for (size_t i = 0; i < n && r == 0; i++)
		r = give_up(f, messages[i], &a->last);
	return r;
}

/* The connection broke before the answer came, but the sink holds what the write was to store. */
static void settle_happened(struct df_flight *f, struct df_message **messages)
{
	size_t n = f->attempt.left;

	df_info(&f->output->logger, "the write of %zu messages whose answer was lost had happened", n);
	memcpy(f->done, messages, n * sizeof(struct df_message *));
	f->attempt.left = 0;
	settle_written(f, n);
}

/* What comes between two attempts: a wait, a new connection, or the end of patience. */
static int before_retry(struct df_flight *f, struct df_message **messages, struct patience *p, struct df_error *err)
{
	struct df_output *o = f->output;
	struct df_attempt *a = &f->attempt;
	int64_t delay;
	int r;

	df_errors_add(&o->metrics.retries, a->last.code, 1);
	df_trouble_add(&o->metrics.connector.trouble, DF_OP_WRITE, &a->last);
	if (a->last.code == DF_ERR_CONNECTION || a->last.code == DF_ERR_DENIED) {
		r = reconnect(f, p, err);
		if (r == 0 && df_transaction_happened(f))
			settle_happened(f, messages);
		return r;
	}
	delay = df_retry_next(&p->retry);
	if (delay < 0 || (p->until_ns && df_clock_monotonic() + delay > p->until_ns))
		return give_up_all(f, messages, err);
	tell(f, p, "write failed", delay);
	atomic_store(&o->p->waiting, "the sink refuses writes");
	r = df_context_sleep(o->p->work_ctx, delay);
	atomic_store(&o->p->waiting, NULL);
	return r < 0 ? df_error_set(err, DF_ERR_CANCELED, "stopped while waiting to write again") : 0;
}

/* Splits a write that failed as a whole until the poison stands alone: log2(n) deep. */
static int deliver_part(struct df_flight *f, struct df_message **messages, size_t n, struct df_error *err)
{
	int r;

	f->attempt = (struct df_attempt){ .left = n };
	r = attempt(f, messages, err);
	return r < 0 ? r : df_flight_deliver(f, messages, err);
}

int df_flight_deliver(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	struct df_output *o = f->output;
	struct df_attempt *a = &f->attempt;
	bool transaction = o->p->transaction.on && !o->is_error;
	int64_t now = df_clock_monotonic();
	struct patience p = { .until_ns = o->p->write_total_ns ? now + o->p->write_total_ns : 0 };
	int r = 0;

	df_retry_init(&p.retry, &o->p->write_policy, (uint64_t)now);
	df_retry_init(&p.reconnect, &o->p->connect_policy, (uint64_t)now);
	while (r == 0 && a->left > 0) {
		size_t n = a->left, half = n / 2;

		if (a->split && transaction)
			half = df_transaction_half(messages, n);
		if (a->split && half == 0)
			return give_up_all(f, messages, err);
		if (a->split) {
			r = deliver_part(f, messages, half, err);
			return r < 0 ? r : deliver_part(f, messages + half, n - half, err);
		}
		if (a->again)
			a->number--;
		else
			r = before_retry(f, messages, &p, err);
		if (r == 0 && a->left > 0)
			r = attempt(f, messages, err);
	}
	return r;
}
