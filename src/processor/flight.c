/*
 * Flushes on their way. The first attempts of several may be pending at once (df_sink_ops.max_in_flight). What fails
 * with a code that is worth another try waits until nothing is pending, and is then written again, flush by flush, one
 * attempt at a time: so nothing overtakes it, and the order of a key stays what the sink promises.
 */
#include "processor/internal.h"

/* ---- taking off and landing ------------------------------------------------------------------------------ */

static struct df_flight *flight_new(struct df_output *o, size_t n)
{
	struct df_flight *f = o->free_flights;

	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return NULL;
		f->output = o;
		df_arena_init(&f->arena, df_batch_pool_arenas(o->p->batches_pool));
		o->free_flights = f;
	}
	if (n > f->cap) {
		struct df_message **grown = realloc(f->messages, n * sizeof(struct df_message *));

		if (!grown)
			return NULL;
		f->messages = grown;
		grown = realloc(f->done, n * sizeof(struct df_message *));
		if (!grown)
			return NULL;
		f->done = grown;
		f->cap = n;
	}
	o->free_flights = f->next;
	f->next = NULL;
	return f;
}

int df_flight_start(struct df_output *o, size_t n, struct df_error *err)
{
	struct df_flight *f = flight_new(o, n), **end = &o->flights;
	int r;

	if (!f)
		return df_error_no_memory(err);
	while (*end)
		end = &(*end)->next;
	*end = f;
	f->batch = o->queue.next;
	f->at = o->queue.at;
	f->count = n;
	f->ended = 0;
	f->started_ns = 0;
	f->checkpoint = df_str(NULL, 0);
	df_queue_take(&o->queue, f->messages, n);
	atomic_store_explicit(&o->metrics.waiting, o->queue.count, memory_order_relaxed);
	if (o->p->options.metrics) {
		f->started_ns = df_clock_monotonic();
		df_measure_wait(f, f->started_ns);
	}
	f->attempt = (struct df_attempt){ .left = n };
	r = df_attempt_launch(f, f->messages, err);
	f->pending = r == 0 && f->attempt.code == DF_WRITE_PENDING;
	o->pending_count += f->pending;
	return r < 0 || f->pending ? r : df_attempt_settle(f, f->messages, err);
}

/* The oldest flights that have ended leave the queue. */
static void end_flights(struct df_output *o)
{
	bool moved = false;

	while (o->flights && !o->flights->pending && o->flights->attempt.left == 0) {
		struct df_flight *f = o->flights;

		if (f->started_ns && !o->is_error)
			df_histogram_add(&o->p->metrics.write, &df_shape_stage, df_clock_monotonic() - f->started_ns,
					 1);
		o->flights = f->next;
		df_arena_reset(&f->arena);
		df_queue_end(&o->queue, f->count);
		f->next = o->free_flights;
		o->free_flights = f;
		moved = true;
	}
	if (moved)
		df_processor_progressed(o->p);
}

int df_flights_land(struct df_output *o, struct df_error *err)
{
	bool left = false;
	int r = 0;

	for (struct df_flight *f = o->flights; f && r == 0; f = f->next) {
		if (f->pending && atomic_load(&f->landed)) {
			f->pending = false;
			o->pending_count--;
			r = df_attempt_settle(f, f->messages, err);
		}
		left |= !f->pending && f->attempt.left > 0;
	}
	o->grounded = left;
	if (left && o->pending_count == 0) {
		for (struct df_flight *f = o->flights; f && r == 0; f = f->next)
			r = df_flight_deliver(f, f->messages, err);
		o->grounded = false;
	}
	if (r == 0)
		end_flights(o);
	return r;
}

static bool any_landed(const struct df_output *o)
{
	for (const struct df_flight *f = o->flights; f; f = f->next)
		if (f->pending && atomic_load(&f->landed))
			return true;
	return false;
}

static void wake(void *arg)
{
	struct df_output *o = arg;

	DF_LOCK_SCOPE(&o->landed_lock);
	pthread_cond_signal(&o->landed);
}

int df_flights_wait(struct df_output *o, struct df_error *err)
{
	struct df_context_callback callback = { .fn = wake, .arg = o };
	int r = 0;

	df_context_on_cancel(o->p->work_ctx, &callback);
	pthread_mutex_lock(&o->landed_lock);
	while (r == 0 && !any_landed(o)) {
		r = df_context_check(o->p->work_ctx, err);
		if (r == 0)
			pthread_cond_wait(&o->landed, &o->landed_lock);
	}
	pthread_mutex_unlock(&o->landed_lock);
	df_context_off_cancel(o->p->work_ctx, &callback);
	return r;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

void df_flights_abandon(struct df_output *o)
{
	for (struct df_flight *f = o->flights; f; f = f->next) {
		struct df_error ignored = DF_ERROR_INIT;

		if (f->pending) {
			int r = df_write_finish(&f->write, o->p->work_ctx, &ignored);

			df_attempt_count_written(f);
			f->pending = false;
			if (r == 0)
				df_write_destroy(&f->write);
		}
		df_count_add(&o->metrics.writes[DF_OUTCOME_CANCELED], f->count - f->ended);
	}
	df_processor_progressed(o->p);
}

static void flights_free(struct df_flight *f)
{
	while (f) {
		struct df_flight *next = f->next;

		df_write_destroy(&f->write);
		df_arena_done(&f->arena);
		free(f->messages);
		free(f->done);
		free(f);
		f = next;
	}
}

void df_flights_done(struct df_output *o)
{
	flights_free(o->flights);
	flights_free(o->free_flights);
	o->flights = o->free_flights = NULL;
}
