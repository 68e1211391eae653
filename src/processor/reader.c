/* The reader thread: runs the source's read, opens positions in the ledger, hands batches to the workers. */
#include <string.h>

#include "processor/internal.h"

#define COMMIT_LOOK (2 * DF_NS_PER_MS)

static struct df_processor *processor_of(struct df_emitter *e)
{
	return DF_CONTAINER_OF(e, struct df_processor, emitter);
}

static struct df_batch *emitter_batch(struct df_emitter *e)
{
	struct df_processor *p = processor_of(e);
	struct df_batch *batch = df_batch_new(p->batches_pool);

	if (p->options.metrics)
		p->metrics.batch_asked_ns = df_clock_monotonic();
	if (batch) {
		batch->parent = NULL;
		batch->sequence = UINT64_MAX; /* not in the ledger yet */
		atomic_store_explicit(&batch->open, 1, memory_order_relaxed);
	}
	return batch;
}

/* Cuts the batch at --limit. True when nothing more may be read after it. */
static bool apply_limit(struct df_processor *p, struct df_batch *batch)
{
	uint64_t left;

	if (p->options.limit == 0)
		return false;
	left = p->options.limit - p->emitted;
	if (batch->count > left)
		batch->count = left;
	return batch->count == left;
}

/* How many of the first messages have a size of this class, the very first not looked at. */
static size_t run_of(const struct df_message *messages, size_t n, uint64_t low, uint64_t span)
{
	size_t i = 1;

	while (i < n && messages[i].payload.len - low <= span)
		i++;
	return i;
}

/* Once a batch. Neighbours are mostly of one class, so that most messages cost one comparison. */
static void measure(struct df_processor *p, const struct df_batch *batch, int64_t now)
{
	struct df_metrics *m = &p->metrics;
	size_t run;

	df_histogram_add(&m->read, &df_shape_stage, now - m->batch_asked_ns, 1);
	df_count_add(&m->input.sum, batch->bytes);
	for (size_t i = 0; i < batch->count; i += run) {
		uint64_t size = batch->messages[i].payload.len, low, span;

		df_histogram_class(&df_shape_size, size, &low, &span);
		run = run_of(&batch->messages[i], batch->count - i, low, span);
		df_histogram_add_class(&m->input, &df_shape_size, size, run);
	}
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

#define MEMORY_LOOK (2 * DF_NS_PER_MS)
#define CUT_BYTES 1024

/* Is there something in flight whose end would free memory? Rows that wait for others of their position do not end
 * before those are read. */
static bool memory_may_come(const struct df_processor *p)
{
	uint64_t active = df_processor_active(p);

	if (p->transaction.on && atomic_load(&p->outputs[0].stuck) &&
	    df_count_get(&p->outputs[0].metrics.waiting) >= active)
		return false;
	return active > 0;
}

static bool must_wait(struct df_processor *p)
{
	return df_batch_pool_used(p->batches_pool) > p->memory_limit && memory_may_come(p);
}

/* Sinks that wait for more messages get no more: they write what they have. */
static void press(struct df_processor *p)
{
	if (atomic_exchange(&p->pressed, true))
		return;
	for (size_t i = 0; i < p->output_count; i++)
		df_channel_wake(p->outputs[i].channel);
}

/* Rare, and every batch that ends may help, so it looks again and again. */
static int wait_for_memory(struct df_processor *p, struct df_context *ctx, struct df_error *err)
{
	int r = 0;

	if (!must_wait(p))
		return 0;
	atomic_store(&p->waiting, "the memory limit is reached, the sink must catch up");
	while (r == 0 && must_wait(p)) {
		press(p);
		r = df_context_sleep(ctx, MEMORY_LOOK);
	}
	atomic_store(&p->pressed, false);
	atomic_store(&p->waiting, NULL);
	return r < 0 ? df_context_check(ctx, err) : 0;
}

/* A message that is too large is poison, and what goes to the error sink is its beginning. */
static int refuse_too_large(const struct df_processor *p, struct df_batch *batch, struct df_message *m, size_t size,
			    struct df_error *err)
{
	struct df_error *why = df_arena_zalloc(&batch->arena, sizeof(*why));

	if (!why)
		return df_error_no_memory(err);
	df_error_set(why, DF_ERR_INVALID_DATA,
		     "the message of %zu bytes is larger than %zu bytes: raise maxMessageBytes (and memoryLimit)", size,
		     p->message_limit);
	m->failure = why;
	m->document = NULL;
	m->changed = false;
	m->state = DF_PAYLOAD_OTHER;
	if (m->payload.len > CUT_BYTES)
		m->payload.len = CUT_BYTES;
	return 0;
}

/* ---- emitting -------------------------------------------------------------------------------------------- */

/* Opens the positions, once, also when a full channel makes the source offer the batch again. */
static int prepare(struct df_processor *p, struct df_batch *batch, struct df_error *err)
{
	int64_t now = df_clock_monotonic();
	int r;

	if (batch->sequence != UINT64_MAX)
		return 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct df_message *m = &batch->messages[i];
		/* Of a document only the whole batch's size is known. */
		size_t size = batch->count == 1 && batch->bytes > m->payload.len ? batch->bytes : m->payload.len;

		m->read_ns = now;
		r = size > p->message_limit ? refuse_too_large(p, batch, m, size, err) : 0;
		if (r < 0)
			return r;
	}
	batch->queued_ns = now;
	batch->sequence = p->batches;
	r = df_ledger_open(batch, err);
	if (r < 0)
		batch->sequence = UINT64_MAX;
	else if (p->options.metrics)
		measure(p, batch, now);
	return r;
}

/* The source got on: whatever it was in trouble with is over. */
static void get_well(struct df_processor *p)
{
	if (!atomic_load_explicit(&p->metrics.source.connected, memory_order_relaxed))
		p->metrics.source.connected = true;
	df_trouble_over(&p->metrics.source.trouble, DF_OP_READ);
}

static void count(struct df_processor *p, size_t messages, size_t bytes)
{
	if (df_processor_active(p) == 0)
		atomic_store_explicit(&p->metrics.behind_ns, df_clock_monotonic(), memory_order_relaxed);
	p->emitted += messages;
	get_well(p);
	p->batches++;
	atomic_fetch_add_explicit(&p->counters.read, messages, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->counters.read_bytes, bytes, memory_order_relaxed);
}

static int emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err, bool block)
{
	struct df_processor *p = processor_of(e);
	bool last = apply_limit(p, *batch);
	size_t messages = (*batch)->count, bytes = (*batch)->bytes;
	int r;

	if (messages == 0) {
		df_batch_free(*batch);
		*batch = NULL;
		return last ? df_error_set(err, DF_ERR_CANCELED, "limit reached") : 0;
	}
	r = prepare(p, *batch, err);
	if (r == 0 && block)
		r = wait_for_memory(p, ctx, err);
	if (r == 0 && !block && must_wait(p)) {
		press(p);
		return DF_ERR_TRANSIENT;
	}
	if (r < 0)
		return r;
	if (!block && atomic_load(&p->pressed))
		atomic_store(&p->pressed, false);
	r = block ? df_channel_send(p->input, ctx, batch, err) : df_channel_try_send(p->input, batch);
	if (r < 0)
		return r;
	count(p, messages, bytes);
	if (last)
		df_context_cancel(p->read_ctx);
	return 0;
}

static int emitter_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	return emit(e, ctx, batch, err, true);
}

static int emitter_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	return emit(e, NULL, batch, err, false);
}

static int emitter_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	return df_ledger_partition(processor_of(e)->ledger, key, ret, err);
}

static void emitter_idle(struct df_emitter *e)
{
	get_well(processor_of(e));
	df_processor_moved(processor_of(e));
}

/* Waits until the committer has told the source what is done by now. Rare, so it looks again and again. */
static int await_commit(struct df_processor *p, struct df_context *ctx, struct df_error *err)
{
	bool served = false;
	uint64_t mine;

	pthread_mutex_lock(&p->state_lock);
	mine = ++p->commit_asked;
	pthread_cond_broadcast(&p->state_changed);
	pthread_mutex_unlock(&p->state_lock);
	while (!served) {
		int r = df_context_sleep(ctx, COMMIT_LOOK);

		if (r < 0)
			return df_error_set(err, r, "what is done could not be committed in time");
		pthread_mutex_lock(&p->state_lock);
		served = p->commit_served >= mine;
		pthread_mutex_unlock(&p->state_lock);
		if (!served && atomic_load(&p->failed))
			return df_error_set(err, DF_ERR_CANCELED, "the pipeline stops");
	}
	return 0;
}

static int emitter_drain(struct df_emitter *e, struct df_partition *partition, struct df_context *ctx,
			 struct df_error *err)
{
	struct df_processor *p = processor_of(e);
	int r = df_ledger_drain(p->ledger, partition, ctx, err);

	return r < 0 ? r : await_commit(p, ctx, err);
}

static void emitter_lag(struct df_emitter *e, struct df_partition *partition, int64_t messages)
{
	(void)e;
	df_partition_set_lag(partition, messages);
}

static void emitter_trouble(struct df_emitter *e, const struct df_error *why)
{
	struct df_processor *p = processor_of(e);

	if (!why) {
		get_well(p);
		return;
	}
	df_errors_add(&p->metrics.source.errors[DF_OP_READ], why->code, 1);
	df_errors_add(&p->metrics.read_errors, why->code, 1);
	if (why->code == DF_ERR_CONNECTION || why->code == DF_ERR_TIMEOUT || why->code == DF_ERR_AUTH ||
	    why->code == DF_ERR_DENIED) {
		p->metrics.source.connected = false;
		df_trouble_add(&p->metrics.source.trouble, DF_OP_READ, why);
	}
}

/* Messages in the error sink stay open for ever with these ackPolicies; all others must have ended. */
static int wait_idle(struct df_processor *p, struct df_error *err)
{
	while (df_processor_active(p) > 0)
		if (df_context_sleep(p->settle_ctx, 10 * DF_NS_PER_MS) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "stopped while waiting for what is in flight");
	return 0;
}

/* Rows that wait for more of the same position will not get them: they are taken back. */
static int send_barrier(struct df_processor *p, struct df_error *err)
{
	struct df_batch *batch = df_emitter_batch(&p->emitter);
	int r;

	if (!batch)
		return df_error_no_memory(err);
	batch->barrier = true;
	batch->sequence = p->batches;
	r = df_channel_send(p->input, p->work_ctx, &batch, err);
	df_batch_free(batch);
	if (r == 0)
		p->batches++;
	return r;
}

/* A source that lost its connection: what is in flight is finished and committed first, so that the new instance goes
 * on exactly behind it and nothing is read twice. */
static int reopen(struct df_processor *p, struct df_error *err)
{
	int r = p->transaction.on ? send_barrier(p, err) : 0;

	if (r == 0 && p->error_output && strcmp(p->ack_policy, "afterWrite") != 0)
		r = wait_idle(p, err);
	else if (r == 0)
		r = df_ledger_drain(p->ledger, NULL, p->settle_ctx, err);
	if (r == 0)
		r = df_processor_commit(p, false, err);
	if (r < 0)
		return r;
	atomic_fetch_add(&p->counters.reconnects, 1);
	pthread_mutex_lock(&p->commit_lock); /* the checkpoint is read */
	r = df_processor_create_source(p, err);
	pthread_mutex_unlock(&p->commit_lock);
	return r < 0 ? r : df_processor_connect_source(p, p->read_ctx, err);
}

static int read_until_end(struct df_processor *p, struct df_error *err)
{
	struct df_retry retry;
	int64_t told = 0;
	int r;

	df_retry_init(&retry, &p->connect_policy, (uint64_t)df_clock_monotonic());
	for (;;) {
		uint64_t before = p->emitted;

		r = p->source_ops->read(p->source, p->read_ctx, &p->emitter, err);
		if (r < 0 && !df_context_canceled(p->read_ctx)) {
			df_errors_add(&p->metrics.source.errors[DF_OP_READ], r, 1);
			df_errors_add(&p->metrics.read_errors, r, 1);
		}
		if (r == 0 || df_context_canceled(p->read_ctx) || !df_code_retryable(r))
			return r;
		p->metrics.source.connected = false;
		df_trouble_add(&p->metrics.source.trouble, DF_OP_READ, err);
		if (p->emitted != before || told == 0 || df_clock_monotonic() - told >= DF_SAY_AGAIN) {
			df_log_error(&p->source_logger, DF_LOG_WARN, err, "reading failed, the source is opened again");
			told = df_clock_monotonic();
		}
		atomic_store(&p->waiting, "the source's connection is lost");
		if (p->emitted != before)
			df_retry_reset(&retry);
		r = df_context_sleep(p->read_ctx, df_retry_next(&retry));
		if (r == 0)
			r = reopen(p, err);
		atomic_store(&p->waiting, NULL);
		if (r < 0)
			return r;
	}
}

/* The source failed: what was read before is delivered all the same, and then this is why the pipeline ended. Unlike
 * df_processor_fail, which drops what workers still hold, because it stands behind what failed. */
static void fail_behind_what_was_read(struct df_processor *p, const struct df_error *err)
{
	DF_LOCK_SCOPE(&p->state_lock);
	if (p->failure.code == 0)
		p->failure = *err;
	p->metrics.failed = true;
}

static void *reader_main(void *arg)
{
	struct df_processor *p = arg;
	struct df_error err = DF_ERROR_INIT;
	int r;

	p->metrics.ready = true;
	r = read_until_end(p, &err);

	if (r < 0 && !(r == DF_ERR_CANCELED || df_context_canceled(p->read_ctx))) {
		df_error_prefix(&err, "source %s", p->source_type);
		fail_behind_what_was_read(p, &err);
	}
	df_channel_close(p->input);
	return NULL;
}

int df_reader_start(struct df_processor *p, struct df_error *err)
{
	size_t messages = (size_t)p->spec->channel_buffer_size;
	int r;

	p->emitter = (struct df_emitter){
		.batch_messages = messages < DF_BATCH_MESSAGES_MAX ? messages : DF_BATCH_MESSAGES_MAX,
		.batch_bytes = p->memory_limit / 16 < DF_BATCH_BYTES ? p->memory_limit / 16 + 1 : DF_BATCH_BYTES,
		.message_bytes = p->message_limit,
		.batch = emitter_batch,
		.emit = emitter_emit,
		.try_emit = emitter_try_emit,
		.partition = emitter_partition,
		.idle = emitter_idle,
		.drain = emitter_drain,
		.lag = emitter_lag,
		.trouble = emitter_trouble,
	};
	r = pthread_create(&p->reader, NULL, reader_main, p);
	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start the reader thread");
	p->reader_started = true;
	return 0;
}
