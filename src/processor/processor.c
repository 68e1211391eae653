#include "processor/processor.h"

#include <string.h>

#include "processor/internal.h"

/* ---- shared by the threads ------------------------------------------------------------------------------- */

void df_processor_fail(struct df_processor *p, const struct df_error *err)
{
	pthread_mutex_lock(&p->state_lock);
	if (p->failure.code == 0)
		p->failure = *err;
	atomic_store(&p->failed, true);
	p->metrics.failed = true;
	pthread_cond_broadcast(&p->state_changed);
	pthread_mutex_unlock(&p->state_lock);
	df_context_cancel(p->read_ctx);
	df_context_cancel(p->settle_ctx);
}

void df_processor_progressed(struct df_processor *p)
{
	pthread_mutex_lock(&p->state_lock);
	/* Only the first since the last commit: from then on the committer waits for its interval. */
	if (p->progress++ == p->committed) {
		p->moved_ns = df_clock_monotonic();
		pthread_cond_signal(&p->state_changed);
	}
	pthread_mutex_unlock(&p->state_lock);
	if (p->transaction.on) /* rows may wait for what became of others with their position */
		df_channel_wake(p->outputs[0].channel);
}

void df_processor_worker_ended(struct df_processor *p)
{
	bool last;

	pthread_mutex_lock(&p->state_lock);
	last = --p->workers_running == 0;
	pthread_mutex_unlock(&p->state_lock);
	if (!last)
		return;
	/* Workers that failed leave batches behind; the reader must not wait for room. */
	df_context_cancel(p->read_ctx);
	for (size_t i = 0; i < p->output_count; i++)
		if (!p->outputs[i].is_error)
			df_channel_close(p->outputs[i].channel);
}

void df_processor_output_ended(struct df_output *o)
{
	struct df_processor *p = o->p;
	bool close_errors;

	pthread_mutex_lock(&p->state_lock);
	if (o->is_error)
		p->error_output_running = false;
	else
		p->outputs_running--;
	close_errors = p->outputs_running == 0 && p->error_output;
	pthread_cond_broadcast(&p->state_changed);
	pthread_mutex_unlock(&p->state_lock);
	if (close_errors)
		df_channel_close(p->error_output->channel);
}

/* ---- running --------------------------------------------------------------------------------------------- */

static int open_everything(struct df_processor *p, struct df_error *err)
{
	int r = df_processor_load_checkpoint(p, err);

	if (r == 0)
		r = df_processor_create_source(p, err);
	for (size_t i = 0; i < p->output_count && r == 0; i++) {
		p->outputs[i].env.resumed = p->resumed;
		r = df_output_connect(&p->outputs[i], p->read_ctx, err);
	}
	if (r == 0)
		r = df_transaction_open(p, err);
	return r < 0 ? r : df_processor_connect_source(p, p->read_ctx, err);
}

/* Counts first, so that a thread that ends at once finds them right. */
static int start_threads(struct df_processor *p, struct df_error *err)
{
	int r = 0;

	p->metrics.started_ns = p->metrics.behind_ns = df_clock_monotonic();
	df_processor_moved(p);
	p->workers_running = p->worker_count;
	p->outputs_running = p->output_count - (p->error_output ? 1 : 0);
	p->error_output_running = p->error_output != NULL;
	for (size_t i = 0; i < p->output_count && r == 0; i++)
		r = df_output_start(&p->outputs[i], err);
	for (size_t i = 0; i < p->worker_count && r == 0; i++)
		r = df_worker_start(&p->workers[i], err);
	return r < 0 ? r : df_reader_start(p, err);
}

static void join_threads(struct df_processor *p)
{
	if (p->reader_started)
		pthread_join(p->reader, NULL);
	for (size_t i = 0; i < p->worker_count; i++)
		if (p->workers[i].started)
			pthread_join(p->workers[i].thread, NULL);
	for (size_t i = 0; i < p->output_count; i++)
		if (p->outputs[i].started)
			pthread_join(p->outputs[i].thread, NULL);
}

/* How long finished work may wait until its positions are committed. */
static int64_t commit_interval(const struct df_processor *p)
{
	if (df_processor_saves(p))
		return p->spec->checkpoint_save_interval.ns;
	return strcmp(p->spec->ack_granularity, "message") == 0 ? 0 : DF_COMMIT_INTERVAL;
}

/* When what moved since the last commit is committed. A saved position waits for the interval, so that one save stands
 * for many; with checkpointSyncOnAck it goes out at once, but no sooner than that behind the last one. */
static int64_t commit_time(const struct df_processor *p, int64_t last, int64_t interval)
{
	if (df_processor_saves(p) && !p->spec->checkpoint_sync_on_ack && p->moved_ns > last)
		return p->moved_ns + interval;
	return last + interval;
}

/* A disk that is full now may have room at the next commit; the position only stays behind. */
static int commit_or_wait(struct df_processor *p, bool *ret_again, struct df_error *err)
{
	int r = df_processor_commit(p, false, err);

	*ret_again = r < 0 && df_code_retryable(r);
	if (!*ret_again)
		return r;
	df_log_error(&p->logger, DF_LOG_WARN, err, "committing failed, tried again at the next interval");
	return 0;
}

static bool wait_state(struct df_processor *p, int64_t until)
{
	struct timespec at = { until / DF_NS_PER_S, until % DF_NS_PER_S };

	if (until == INT64_MAX)
		return pthread_cond_wait(&p->state_changed, &p->state_lock) == 0;
	return pthread_cond_timedwait(&p->state_changed, &p->state_lock, &at) == 0;
}

/* Commits while the threads work; returns when all outputs have ended. Sleeps without a timer while nothing moves. */
static int supervise(struct df_processor *p, struct df_context *stop, struct df_error *err)
{
	int64_t interval = commit_interval(p), grace_end = INT64_MAX;
	int64_t last = df_clock_monotonic() - (p->spec->checkpoint_sync_on_ack ? interval : 0);
	int64_t grace = p->options.grace_ns ? p->options.grace_ns : DF_GRACE_DEFAULT;
	bool again;
	int r = 0;

	pthread_mutex_lock(&p->state_lock);
	while (p->outputs_running > 0 || p->error_output_running) {
		int64_t now = df_clock_monotonic();
		bool moved = p->progress != p->committed;

		if (df_context_canceled(stop) && grace_end == INT64_MAX) {
			atomic_store(&p->phase, DF_PHASE_STOPPING);
			grace_end = now + grace;
		}
		if (now >= grace_end) {
			df_error_set(&p->failure, DF_ERR_TIMEOUT,
				     "what was in flight could not be flushed within the "
				     "grace period; it will be read again");
			atomic_store(&p->failed, true);
			df_context_cancel(p->work_ctx);
			grace_end = INT64_MAX - 1;
		}
		if (((moved && now >= commit_time(p, last, interval)) || p->commit_served < p->commit_asked) &&
		    r == 0) {
			uint64_t serving = p->commit_asked;

			p->committed = p->progress;
			pthread_mutex_unlock(&p->state_lock);
			r = commit_or_wait(p, &again, err);
			if (r < 0)
				df_processor_fail(p, err);
			last = df_clock_monotonic();
			pthread_mutex_lock(&p->state_lock);
			p->commit_served = serving;
			if (again) { /* also when nothing moves, but not without a pause */
				p->committed--;
				last += interval < DF_COMMIT_INTERVAL ? DF_COMMIT_INTERVAL - interval : 0;
			}
			continue;
		}
		now = moved && r == 0 ? commit_time(p, last, interval) : INT64_MAX;
		wait_state(p, now < grace_end ? now : grace_end);
	}
	pthread_mutex_unlock(&p->state_lock);
	return r;
}

static void on_stop(void *arg)
{
	struct df_processor *p = arg;

	df_context_cancel(p->read_ctx);
	pthread_mutex_lock(&p->state_lock);
	pthread_cond_broadcast(&p->state_changed);
	pthread_mutex_unlock(&p->state_lock);
}

static void on_kill(void *arg)
{
	struct df_processor *p = arg;

	df_context_cancel(p->read_ctx);
	df_context_cancel(p->work_ctx);
}

static void count_close(struct df_connector_metrics *m, int result)
{
	m->connected = false;
	if (result < 0)
		df_errors_add(&m->errors[DF_OP_CLOSE], result, 1);
}

/* Both ends are told; the first error is what counts. */
static int close_everything(struct df_processor *p, struct df_error *err)
{
	struct df_error ignored = DF_ERROR_INIT;
	int r = 0, closed;

	for (size_t i = 0; i < p->output_count; i++) {
		struct df_output *o = &p->outputs[i];

		if (!o->sink)
			continue;
		closed = o->sink->ops->close(o->sink, r ? &ignored : err);
		count_close(&o->metrics.connector, closed);
		if (closed < 0 && r == 0)
			r = df_error_prefix(err, "sink %s, close", o->component->type->name);
	}
	if (!p->source)
		return r;
	closed = p->source_ops->close(p->source, r ? &ignored : err);
	count_close(&p->metrics.source, closed);
	if (closed < 0 && r == 0)
		r = df_error_prefix(err, "source %s, close", p->source_type);
	return r;
}

/* From the first thread to the last commit. */
static int run_opened(struct df_processor *p, struct df_context *stop, struct df_context *kill, struct df_error *err)
{
	bool killed;
	int r;

	atomic_store(&p->phase, DF_PHASE_RUNNING);
	r = start_threads(p, err);
	if (r < 0) {
		on_kill(p);
		df_channel_close(p->input);
		join_threads(p);
		return r;
	}
	r = supervise(p, stop, err);
	atomic_store(&p->phase, DF_PHASE_STOPPING);
	join_threads(p);
	killed = df_context_canceled(kill);
	if (!killed && r == 0)
		r = df_processor_commit(p, !p->failure.code, err);
	if (p->failure.code) {
		*err = p->failure;
		return p->failure.code;
	}
	return killed ? df_error_set(err, DF_ERR_CANCELED, "stopped at once, what was in flight will be read again")
		      : r;
}

int df_processor_run(struct df_processor *p, struct df_context *stop, struct df_context *kill, struct df_error *err)
{
	struct df_context_callback stopped = { .fn = on_stop, .arg = p }, killed = { .fn = on_kill, .arg = p };
	struct df_error ignored = DF_ERROR_INIT;
	int r, closed;

	if (stop)
		df_context_on_cancel(stop, &stopped);
	if (kill)
		df_context_on_cancel(kill, &killed);
	r = open_everything(p, err);
	if (r == 0)
		r = run_opened(p, stop, kill, err);
	else if (r == DF_ERR_CANCELED && df_context_canceled(stop) && !df_context_canceled(kill))
		r = 0; /* stopped before anything was read */
	closed = close_everything(p, r < 0 ? &ignored : err);
	if (stop)
		df_context_off_cancel(stop, &stopped);
	if (kill)
		df_context_off_cancel(kill, &killed);
	if ((r < 0 && r != DF_ERR_CANCELED) || closed < 0)
		p->metrics.failed = true;
	atomic_store(&p->phase, DF_PHASE_DONE);
	return r < 0 ? r : closed;
}

/* ---- looking in ------------------------------------------------------------------------------------------ */

static void add_outputs(const struct df_processor *p, struct df_processor_stats *s)
{
	for (size_t i = 0; i < p->output_count; i++) {
		const struct df_output *o = &p->outputs[i];

		*(o->is_error ? &s->error_sinked : &s->written) += o->metrics.written;
		s->unchanged += o->is_error ? 0 : o->metrics.unchanged;
		s->unknown_fields += o->metrics.unknown_fields;
		s->retries += df_errors_total(&o->metrics.retries);
	}
}

void df_processor_get_stats(const struct df_processor *p, struct df_processor_stats *ret)
{
	const struct df_counters *c = &p->counters;
	uint64_t ended;

	/* What ended comes first: nothing may have ended that was not read. */
	*ret = (struct df_processor_stats){
		.phase = (enum df_phase)atomic_load(&p->phase),
		.filtered = c->filtered,
		.dropped = c->dropped,
		.failed = c->failed,
	};
	add_outputs(p, ret);
	ended = ret->written + ret->filtered + ret->error_sinked + ret->dropped + ret->failed;
	ret->made = c->made;
	ret->read = c->read - c->withdrawn;
	/* The reader counts a batch when it was handed over; by then it may be through. */
	if (ended > ret->read + ret->made)
		ret->read = ended - ret->made;
	ret->read_bytes = c->read_bytes;
	ret->reconnects = c->reconnects;
	ret->checkpoint_saves = c->checkpoint_saves;
	ret->last_processed = p->metrics.last_processed;
	ret->in_flight_bytes = df_batch_pool_used(p->batches_pool);
	ret->waiting = atomic_load(&p->waiting);
	ret->resumed = p->resumed;
}

size_t df_processor_transformers(const struct df_processor *p)
{
	return df_chain_length(p->workers[0].chain);
}

void df_processor_transformer_stats(const struct df_processor *p, size_t i, const char **ret_type,
				    struct df_transformer_stats *ret)
{
	*ret_type = df_chain_type_name(p->workers[0].chain, i);
	*ret = (struct df_transformer_stats){ 0 };
	for (size_t w = 0; w < p->worker_count; w++) {
		const struct df_transformer_stats *s = df_chain_stats(p->workers[w].chain, i);

		ret->executions += __atomic_load_n(&s->executions, __ATOMIC_RELAXED);
		ret->in += __atomic_load_n(&s->in, __ATOMIC_RELAXED);
		ret->out += __atomic_load_n(&s->out, __ATOMIC_RELAXED);
		ret->dropped += __atomic_load_n(&s->dropped, __ATOMIC_RELAXED);
		ret->errors += __atomic_load_n(&s->errors, __ATOMIC_RELAXED);
		ret->duration_ns += __atomic_load_n(&s->duration_ns, __ATOMIC_RELAXED);
	}
}
