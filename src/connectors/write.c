/* One write and what became of each of its messages. */
#include <stdlib.h>

#include "connectors/factory.h"

/* What results[i] says; from RESULT_FIRST_FAILURE on, it is failures[results[i] - RESULT_FIRST_FAILURE]. */
enum { RESULT_OPEN, RESULT_WRITTEN, RESULT_LOST /* failed, and no memory to say why */, RESULT_FIRST_FAILURE };

static const struct df_error df_write_lost = { .code = DF_ERR_NO_MEMORY,
					       .text = "out of memory while recording why the message failed" };

int df_write_init(struct df_write *w, struct df_message *const *messages, size_t count, struct df_arena *arena,
		  struct df_error *err)
{
	pthread_condattr_t attr;

	*w = (struct df_write){ .messages = messages, .count = count, .arena = arena };
	if (count > UINT32_MAX - RESULT_FIRST_FAILURE)
		return df_error_no_memory(err);
	w->results = df_arena_zalloc(arena, count * sizeof(*w->results));
	if (!w->results)
		return df_error_no_memory(err);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->all_settled, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void df_write_destroy(struct df_write *w)
{
	if (!w || !w->results)
		return;
	/* Who gave the last result may still be on its way out. */
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->all_settled);
	pthread_mutex_destroy(&w->lock);
	free(w->failures);
	*w = (struct df_write){ 0 };
}

/* ---- results --------------------------------------------------------------------------------------------- */

/* Told under the lock: who waits may destroy w as soon as the lock is free. */
static void df_write_settled(struct df_write *w)
{
	if (w->settled < w->count)
		return;
	pthread_cond_broadcast(&w->all_settled);
	if (w->on_settled)
		w->on_settled(w, w->arg);
}

static bool df_write_open(const struct df_write *w, size_t i)
{
	return i < w->count && w->results[i] == RESULT_OPEN && w->whole.code == 0;
}

static uint32_t df_write_record(struct df_write *w, size_t i, const struct df_error *err)
{
	if (w->failure_count == w->failure_cap) {
		size_t cap = w->failure_cap ? w->failure_cap * 2 : 4;
		struct df_write_failure *grown = realloc(w->failures, cap * sizeof(*grown));

		if (!grown)
			return RESULT_LOST;
		w->failures = grown;
		w->failure_cap = cap;
	}
	w->failures[w->failure_count] = (struct df_write_failure){ .index = i, .error = *err };
	return RESULT_FIRST_FAILURE + (uint32_t)w->failure_count++;
}

void df_write_done(struct df_write *w, size_t i)
{
	DF_LOCK_SCOPE(&w->lock);
	if (!df_write_open(w, i))
		return;
	w->results[i] = RESULT_WRITTEN;
	w->settled++;
	df_write_settled(w);
}

void df_write_fail(struct df_write *w, size_t i, const struct df_error *err)
{
	DF_LOCK_SCOPE(&w->lock);
	if (!df_write_open(w, i))
		return;
	w->results[i] = df_write_record(w, i, err);
	w->settled++;
	df_write_settled(w);
}

const struct df_error *df_write_result(const struct df_write *w, size_t i)
{
	switch (w->results[i]) {
	case RESULT_OPEN:
		return w->whole.code ? &w->whole : NULL;
	case RESULT_WRITTEN:
		return NULL;
	case RESULT_LOST:
		return &df_write_lost;
	default:
		return &w->failures[w->results[i] - RESULT_FIRST_FAILURE].error;
	}
}

/* ---- running --------------------------------------------------------------------------------------------- */

static int df_write_all_done(struct df_write *w)
{
	DF_LOCK_SCOPE(&w->lock);
	for (size_t i = 0; i < w->count; i++) {
		if (w->results[i] == RESULT_OPEN)
			w->results[i] = RESULT_WRITTEN;
	}
	if (w->settled < w->count || w->count == 0) {
		w->settled = w->count;
		df_write_settled(w);
	}
	return 0;
}

static int df_write_all_failed(struct df_write *w, const struct df_error *err)
{
	DF_LOCK_SCOPE(&w->lock);
	w->whole = *err;
	return err->code;
}

static void df_write_wake(void *arg)
{
	struct df_write *w = arg;

	DF_LOCK_SCOPE(&w->lock);
	pthread_cond_broadcast(&w->all_settled);
}

/* Until the broadcast, or the context's deadline. */
static void df_write_sleep(struct df_write *w, const struct df_context *ctx)
{
	int ms = df_context_remaining_ms(ctx);

	if (ms < 0) {
		pthread_cond_wait(&w->all_settled, &w->lock);
		return;
	}
	int64_t until = df_clock_monotonic() + ms * DF_NS_PER_MS;
	struct timespec at = { .tv_sec = (time_t)(until / DF_NS_PER_S), .tv_nsec = (long)(until % DF_NS_PER_S) };
	pthread_cond_timedwait(&w->all_settled, &w->lock, &at);
}

static int df_write_wait(struct df_write *w, struct df_context *ctx, struct df_error *err)
{
	DF_LOCK_SCOPE(&w->lock);
	while (w->settled < w->count) {
		int r = df_context_check(ctx, err);

		if (r < 0)
			return r;
		df_write_sleep(w, ctx);
	}
	return 0;
}

int df_write_start(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int r = sink->ops->write(sink, ctx, w, &why);

	if (r == 0)
		return df_write_all_done(w);
	if (r > 0)
		return r;
	why.code = r;
	if (err)
		*err = why;
	return df_write_all_failed(w, &why);
}

int df_write_finish(struct df_write *w, struct df_context *ctx, struct df_error *err)
{
	struct df_context_callback wake = { .fn = df_write_wake, .arg = w };
	struct df_error why = DF_ERROR_INIT;
	int r;

	df_context_on_cancel(ctx, &wake);
	r = df_write_wait(w, ctx, &why);
	df_context_off_cancel(ctx, &wake);
	if (r == 0)
		return 0;
	if (err)
		*err = why;
	return df_write_all_failed(w, &why);
}

int df_write_run(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	int r = df_write_start(sink, ctx, w, err);

	return r == DF_WRITE_PENDING ? df_write_finish(w, ctx, err) : r;
}
