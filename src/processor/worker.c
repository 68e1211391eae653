/* Transform workers: run the chain over batches and hand the results to the outputs, in the order of reading. */
#include "processor/internal.h"

void df_batch_release(struct df_batch *batch)
{
	struct df_batch *parent = batch->parent;

	df_batch_free(batch);
	if (parent && atomic_fetch_sub_explicit(&parent->open, 1, memory_order_acq_rel) == 1)
		df_batch_free(parent);
}

/* ---- what happens to messages in the chain --------------------------------------------------------------- */

static void on_dropped(void *arg, struct df_message *m, size_t transformer)
{
	struct df_worker *w = arg;

	(void)transformer;
	df_ledger_done_one(m);
	atomic_fetch_add_explicit(&w->p->counters.filtered, 1, memory_order_relaxed);
}

static int on_failed(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	struct df_worker *w = arg;
	struct df_metrics *metrics = &w->p->metrics;
	char stage[40];

	w->poisoned++;
	df_errors_add(transformer == SIZE_MAX ? &metrics->decode_errors : &metrics->transformers[transformer].errors,
		      err->code, 1);

	if (transformer == SIZE_MAX)
		snprintf(stage, sizeof(stage), "decode");
	else
		snprintf(stage, sizeof(stage), "transformer_%zu", transformer);
	return df_processor_poison(
		w->p, m,
		&(struct df_poison){ .stage = stage, .original_sink = w->p->spec->sink.type->name, .attempts = 1 },
		err);
}

static void on_split(void *arg, const struct df_message *m, size_t n)
{
	struct df_worker *w = arg;

	df_ledger_split(m, n);
	atomic_fetch_add_explicit(&w->p->counters.made, n - 1, memory_order_relaxed);
}

static void on_passed(void *arg, const struct df_batch *batch, size_t transformer, const struct df_chain_pass *pass)
{
	struct df_worker *w = arg;
	struct df_transformer_metrics *m = &w->p->metrics.transformers[transformer];

	if (transformer > 0) {
		df_histogram_add(&m->latency, &df_shape_short, pass->start_ns - w->passed_ns, 1);
		if (w->sizes.measured)
			df_histogram_add(&m->input, &df_shape_size, (int64_t)w->sizes.last, 1);
	}
	w->passed_ns = pass->end_ns;
	df_histogram_add(&m->stage, &df_shape_stage, pass->end_ns - pass->start_ns, 1);
	if (pass->in > 0)
		df_histogram_add(&m->duration, &df_shape_short, (pass->end_ns - pass->start_ns) / (int64_t)pass->in,
				 pass->in);
	if (batch->count > 0)
		df_size_sample_add(&w->sizes, &m->output, &batch->messages[0]);
}

static void measure_chain(struct df_worker *w, int64_t read_ns, size_t messages, int64_t start, int64_t end)
{
	struct df_metrics *m = &w->p->metrics;

	df_histogram_add(&m->transformation, &df_shape_stage, end - start, 1);
	df_histogram_add(&m->processing, &df_shape_processing, end - read_ns, messages);
}

/* Chain and what there is to count about it. */
static int transform(struct df_worker *w, struct df_batch *batch, struct df_error *err)
{
	struct df_processor *p = w->p;
	struct df_chain_events events = { w, on_dropped, on_failed, on_split, NULL, NULL };
	size_t messages = batch->count;
	int64_t read_ns, start, end;
	int r;

	if (batch->barrier)
		return 0;
	read_ns = batch->messages[0].read_ns;
	w->poisoned = 0;
	start = df_clock_monotonic();
	if (p->options.metrics) {
		events.passed = on_passed;
		df_histogram_add(&p->metrics.queue_wait, &df_shape_short, start - batch->queued_ns, messages);
		if (df_size_sample_begin(&w->sizes, messages) && p->metrics.transformer_count > 0)
			df_size_sample_add(&w->sizes, &p->metrics.transformers[0].input, &batch->messages[0]);
	}
	r = df_chain_run(w->chain, batch, &events, err);
	end = df_clock_monotonic();
	if (p->options.metrics)
		measure_chain(w, read_ns, messages, start, end);
	df_count_add(&p->metrics.transforms[DF_OUTCOME_ERROR], w->poisoned);
	df_count_add(&p->metrics.transforms[r < 0 ? DF_OUTCOME_CANCELED : DF_OUTCOME_SUCCESS], messages - w->poisoned);
	batch->queued_ns = end;
	return r;
}

/* ---- dispatch -------------------------------------------------------------------------------------------- */

static int send(struct df_processor *p, struct df_output *o, struct df_batch *batch, struct df_error *err)
{
	int r = df_channel_send(o->channel, p->work_ctx, &batch, err);

	if (r < 0)
		df_batch_release(batch);
	return r;
}

/* The messages of one route in a batch of their own; their text stays in the parent. */
static int send_route(struct df_processor *p, struct df_batch *parent, size_t route, struct df_error *err)
{
	struct df_batch *child = df_batch_new(p->batches_pool);

	if (!child)
		return df_error_no_memory(err);
	child->parent = parent;
	child->sequence = parent->sequence;
	child->queued_ns = parent->queued_ns;
	atomic_store_explicit(&child->open, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&parent->open, 1, memory_order_relaxed);
	for (size_t i = 0; i < parent->count; i++) {
		struct df_message *m;

		if (parent->messages[i].route != route)
			continue;
		m = df_batch_add(child);
		if (!m) {
			df_batch_release(child);
			return df_error_no_memory(err);
		}
		*m = parent->messages[i];
		child->bytes += m->payload.len;
	}
	if (child->count == 0) {
		df_batch_release(child);
		return 0;
	}
	return send(p, &p->outputs[route], child, err);
}

static int dispatch(struct df_processor *p, struct df_batch *batch, struct df_error *err)
{
	uint16_t first;
	bool mixed = false;
	int r = 0;

	if (batch->barrier)
		return send(p, &p->outputs[0], batch, err);
	if (batch->count == 0) {
		df_batch_free(batch);
		df_processor_moved(p);
		atomic_store_explicit(&p->metrics.last_processed, df_clock_now(p->options.clock), memory_order_relaxed);
		df_processor_progressed(p);
		return 0;
	}
	for (size_t i = 0; i < batch->count; i++)
		if (batch->messages[i].route)
			df_message_drop_meta(&batch->messages[i], DF_ROUTE_MARK);
	first = batch->messages[0].route;
	for (size_t i = 1; i < batch->count && !mixed; i++)
		mixed = batch->messages[i].route != first;
	if (!mixed)
		return send(p, &p->outputs[first], batch, err);
	for (size_t route = 0; route < p->output_count && r == 0; route++)
		r = send_route(p, batch, route, err);
	if (atomic_fetch_sub_explicit(&batch->open, 1, memory_order_acq_rel) == 1)
		df_batch_free(batch);
	return r;
}

/* ---- order ----------------------------------------------------------------------------------------------- */

static void wait_turn(struct df_processor *p, uint64_t sequence)
{
	pthread_mutex_lock(&p->turn_lock);
	while (p->next_turn != sequence)
		pthread_cond_wait(&p->turn, &p->turn_lock);
	pthread_mutex_unlock(&p->turn_lock);
}

static void pass_turn(struct df_processor *p)
{
	pthread_mutex_lock(&p->turn_lock);
	p->next_turn++;
	pthread_cond_broadcast(&p->turn);
	pthread_mutex_unlock(&p->turn_lock);
}

/* One batch through chain and dispatch. The turn is passed on whatever happens, so that no worker waits for ever. */
static int work(struct df_worker *w, struct df_batch *batch, struct df_error *err)
{
	struct df_processor *p = w->p;
	uint64_t sequence = batch->sequence;
	bool ordered = p->worker_count > 1;
	int r;

	r = transform(w, batch, err);
	if (ordered)
		wait_turn(p, sequence);
	if (r == 0 && atomic_load(&p->failed))
		r = df_error_set(err, DF_ERR_CANCELED, "an earlier batch failed");
	if (r < 0)
		df_batch_free(batch);
	else
		r = dispatch(p, batch, err);
	if (ordered)
		pass_turn(p);
	return r;
}

static void *worker_main(void *arg)
{
	struct df_worker *w = arg;
	struct df_error err = DF_ERROR_INIT;
	int r;

	for (;;) {
		struct df_batch *batch = NULL;

		r = df_channel_receive(w->p->input, w->p->work_ctx, INT64_MAX, &batch, &err);
		if (r < 0 || !batch)
			break;
		r = work(w, batch, &err);
		if (r < 0)
			break;
	}
	/* DF_ERR_CLOSED: the output failed and has said why. */
	if (r < 0 && r != DF_ERR_CANCELED && r != DF_ERR_CLOSED)
		df_processor_fail(w->p, &err);
	df_processor_worker_ended(w->p);
	return NULL;
}

int df_worker_start(struct df_worker *w, struct df_error *err)
{
	int r = pthread_create(&w->thread, NULL, worker_main, w);

	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start a transform thread");
	w->started = true;
	return 0;
}
