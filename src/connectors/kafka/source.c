/*
 * The Kafka source: one consumer of a group. The reader's loop polls librdkafka, makes batches of one partition each,
 * and hands them over. It never stops polling for long: what does not fit downstream waits in a list while the
 * partitions are paused.
 */
#include "connectors/kafka/source.h"

#include <stdlib.h>

#define POLL_MS 1000			 /* without messages; a cancel wakes it */
#define STALLED_MS 100			 /* while something is tried again */
#define POLL_MESSAGES 1024		 /* librdkafka hands out at once */
#define BLOCKED (500 * DF_NS_PER_MS)	 /* downstream may be full that long before partitions are paused */
#define PAUSED_WAIT (100 * DF_NS_PER_MS) /* between two polls while they are */
#define ASK_MS 100			 /* a broker, whether it answers again */
#define IDLE (60 * DF_NS_PER_S)
#define CLOSE_TIMEOUT (5 * DF_NS_PER_S)

/* A registry, or a broker, that does not answer a question: for ever. */
static const struct df_retry_policy stall_policy = {
	.first_ns = DF_NS_PER_S,
	.cap_ns = 30 * DF_NS_PER_S,
	.factor = 2,
	.jitter = 0.2,
};

static struct df_kafka_source *source_of(struct df_source *s)
{
	return (struct df_kafka_source *)s;
}

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	struct df_kafka_source *s = df_base_source_new(sizeof(*s), &df_kafka_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	s->cooperative = df_str_equal_c(df_str_c(s->settings->assignment_strategy), "cooperative-sticky");
	s->raw = df_str_equal_c(df_str_c(s->settings->format), "raw");
	pthread_mutex_init(&s->lock, NULL);
	df_retry_init(&s->retries, &stall_policy, (uint64_t)df_clock_monotonic() | 1);
	df_kafka_client_init(&s->client, env->logger);
	df_kafka_source_template(s);
	*ret = &s->base.state.source;
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_connect(&s->base, ctx, &call, err);

	if (r < 0 || s->base.state.connected)
		return r;
	return df_kafka_source_open(s, call.ctx, err);
}

/* ---- handing over ---------------------------------------------------------------------------------------- */

static void pause_all(struct df_kafka_source *s, bool pause)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *list = df_kafka_source_ours(s);

	if (s->paused == pause)
		return;
	s->paused = pause;
	if (pause)
		(void)rd_kafka_pause_partitions(s->rk, list);
	else
		(void)rd_kafka_resume_partitions(s->rk, list);
	df_debug(s->client.logger, pause ? "downstream is full: reading pauses" : "reading goes on");
}

/* Blocks until a time. 1: it did not fit until then. */
static int emit_until(struct df_kafka_source *s, struct df_context *ctx, struct df_batch **batch, int64_t until,
		      struct df_error *err)
{
	df_cleanup(df_context_freep) struct df_context *limited = NULL;
	int r = df_emitter_try_emit(s->out, batch, err);

	if (r != DF_ERR_TRANSIENT || until <= df_clock_monotonic())
		return r == DF_ERR_TRANSIENT ? 1 : r;
	limited = df_context_new(ctx);
	if (!limited)
		return df_error_no_memory(err);
	df_context_deadline(limited, until);
	r = df_emitter_emit(s->out, limited, batch, err);
	return r == DF_ERR_TIMEOUT ? 1 : r;
}

int df_kafka_source_flush(struct df_kafka_source *s, struct df_context *ctx, int64_t until, struct df_error *err)
{
	while (s->first) {
		struct df_batch *batch = s->first, *next = batch->next;
		int r = emit_until(s, ctx, &batch, until, err);

		if (r)
			return r < 0 ? r : 0;
		s->first = next;
		if (!next)
			s->last = NULL;
	}
	return 0;
}

static void keep(struct df_kafka_source *s, struct df_batch *batch)
{
	batch->next = NULL;
	if (s->last)
		s->last->next = batch;
	else
		s->first = batch;
	s->last = batch;
}

/* The batch that was being filled goes downstream, or behind those that wait. */
static int hand_over(struct df_kafka_source *s, struct df_error *err)
{
	struct df_batch *batch = DF_TAKE(s->batch);
	int r = 1;

	if (!batch)
		return 0;
	if (batch->count == 0) {
		df_batch_free(batch);
		return 0;
	}
	if (!s->first)
		r = emit_until(s, s->ctx, &batch, s->paused ? 0 : df_clock_monotonic() + BLOCKED, err);
	if (r == 0)
		return 0;
	keep(s, batch);
	if (r == 1)
		pause_all(s, true);
	return r < 0 ? r : 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static int take_message(struct df_kafka_source *s, const rd_kafka_message_t *m, struct df_error *err)
{
	struct df_kafka_partition *p = df_kafka_source_partition(s, m->partition);
	int r;

	if (!p)
		return 0; /* read before the group took the partition away */
	if (s->batch && (s->of != p || s->batch->count >= s->out->batch_messages ||
			 s->batch->bytes + m->len > s->out->batch_bytes)) {
		r = hand_over(s, err);
		if (r < 0)
			return r;
	}
	if (!s->batch) {
		s->batch = df_emitter_batch(s->out);
		s->of = p;
		if (!s->batch || df_batch_reserve(s->batch, s->out->batch_messages) < 0)
			return df_error_no_memory(err);
		if (s->avro)
			df_kafka_avro_reader_batch(s->avro, &s->batch->arena);
	}
	r = df_kafka_source_add(s, s->batch, p, m, err);
	if (r < 0)
		return r;
	p->next = m->offset + 1;
	if (p->end >= 0 && p->next >= p->end)
		p->ended = true;
	return 0;
}

/* The next message, or another kind of news, cannot be dealt with now (a registry that does not answer): it is tried
 * again later, and what stands behind it waits. */
static void stall(struct df_kafka_source *s, const struct df_error *why)
{
	int64_t delay = df_retry_next(&s->retries);

	s->stalled_until = df_clock_monotonic() + delay;
	df_emitter_trouble(s->out, why);
	df_log_error(s->client.logger, DF_LOG_WARN, why, "reading waits, again in %.1f s",
		     (double)delay / (double)DF_NS_PER_S);
	pause_all(s, true);
}

static int take(struct df_kafka_source *s, struct df_error *err)
{
	int r = 0;

	if (s->stalled_until > df_clock_monotonic())
		return 0;
	while (s->polled_at < s->polled_count) {
		rd_kafka_message_t *m = s->polled[s->polled_at];

		r = !m ? 0 : m->err ? df_kafka_source_event(s, m, err) : take_message(s, m, err);
		if (df_code_retryable(r)) {
			stall(s, err);
			r = 0;
			break;
		}
		if (s->stalled_until) {
			s->stalled_until = 0;
			df_retry_reset(&s->retries);
		}
		if (m)
			rd_kafka_message_destroy(m);
		s->polled_at++;
		if (r < 0)
			break;
	}
	if (s->polled_at == s->polled_count)
		s->polled_at = s->polled_count = 0;
	if (r == 0)
		r = hand_over(s, err);
	if (r == 0 && s->moved)
		df_kafka_source_move(s);
	if (r == 0 && s->failure.code) {
		*err = s->failure;
		r = err->code;
	}
	return r;
}

static int make_room(struct df_kafka_source *s, struct df_error *err)
{
	size_t cap = s->polled_count + POLL_MESSAGES;
	rd_kafka_message_t **grown;

	if (cap <= s->polled_cap)
		return 0;
	grown = realloc(s->polled, cap * sizeof(rd_kafka_message_t *));
	if (!grown)
		return df_error_no_memory(err);
	s->polled = grown;
	s->polled_cap = cap;
	return 0;
}

/* What is there, or the first thing that comes: librdkafka would wait until all places are taken. */
static int poll_messages(struct df_kafka_source *s, bool *ret_moved, struct df_error *err)
{
	bool waiting = s->first || s->polled_count > 0;
	ssize_t n;

	if (make_room(s, err) < 0)
		return DF_ERR_NO_MEMORY;
	n = rd_kafka_consume_batch_queue(s->queue, 0, s->polled + s->polled_count, POLL_MESSAGES);
	if (n == 0 && !s->first && !s->failure.code && !df_context_canceled(s->ctx))
		n = rd_kafka_consume_batch_queue(s->queue, waiting ? STALLED_MS : POLL_MS, s->polled + s->polled_count,
						 1);
	if (n > 0)
		s->polled_count += (size_t)n;
	*ret_moved = n > 0;
	return 0;
}

/* Brokers that do not answer, in librdkafka's words. That one does again is known with the first message; where none
 * comes, it is asked. */
static void tell_trouble(struct df_kafka_source *s)
{
	struct df_error why;

	if (s->away && df_kafka_client_down(&s->client))
		df_kafka_client_ask(&s->client, s->rk, ASK_MS);
	if (df_kafka_client_trouble(&s->client, &why)) {
		s->away = true;
		df_emitter_trouble(s->out, &why);
	} else if (s->away && !df_kafka_client_down(&s->client)) {
		s->away = false;
		df_emitter_trouble(s->out, NULL);
	}
}

static void look_around(struct df_kafka_source *s, bool moved)
{
	int64_t now = df_clock_monotonic();
	bool second = now - s->lag_ns >= DF_NS_PER_S;

	df_kafka_source_look_at_commits(s, second);
	if (moved) {
		df_kafka_client_working(&s->client);
		s->moved_ns = now;
	} else if (s->assigned && !s->first && now - s->moved_ns >= IDLE) {
		df_emitter_idle(s->out);
		s->moved_ns = now;
	}
	if (second) {
		tell_trouble(s);
		df_kafka_source_tell_lag(s);
		s->lag_ns = now;
	}
}

static int read_loop(struct df_kafka_source *s, struct df_error *err)
{
	for (;;) {
		bool moved = false, all;
		int r = poll_messages(s, &moved, err);

		if (r == 0)
			r = take(s, err);
		if (r == 0 && s->first)
			r = df_kafka_source_flush(s, s->ctx, df_clock_monotonic() + PAUSED_WAIT, err);
		if (r < 0)
			return r;
		all = !s->first && s->polled_count == 0;
		if (all)
			pause_all(s, false);
		if (df_context_check(s->ctx, err) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "cancelled");
		look_around(s, moved);
		if (s->base.state.env.once && all && df_kafka_source_ended(s))
			return 0;
	}
}

static int subscribe(struct df_kafka_source *s, struct df_error *err)
{
	df_cleanup(df_kafka_topic_list_freep) rd_kafka_topic_partition_list_t *topics =
		rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add(topics, df_kafka_source_topic(s), RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(s->rk, topics);
	return code ? df_kafka_error(err, code, "subscribing to the topic `%s`", df_kafka_source_topic(s)) : 0;
}

static void wake(void *queue)
{
	rd_kafka_queue_yield(queue);
}

static void drop_waiting(struct df_kafka_source *s)
{
	df_batch_free(DF_TAKE(s->batch));
	for (size_t i = s->polled_at; i < s->polled_count; i++) {
		if (s->polled[i])
			rd_kafka_message_destroy(s->polled[i]);
	}
	s->polled_at = s->polled_count = 0;
	while (s->first) {
		struct df_batch *batch = s->first;

		s->first = batch->next;
		df_batch_free(batch);
	}
	s->last = NULL;
}

static int read_borrowed(struct df_kafka_source *s, struct df_context *ctx, struct df_emitter *out,
			 struct df_error *err)
{
	struct df_context_callback on_cancel = { .fn = wake, .arg = s->queue };
	struct df_base_scope scope;
	int r = df_base_scope_begin(&s->base.state, ctx, &scope, err);

	if (r == 0) {
		s->out = out;
		s->ctx = scope.ctx;
		s->moved_ns = df_clock_monotonic();
		df_context_on_cancel(scope.ctx, &on_cancel);
		r = subscribe(s, err);
		if (r == 0)
			r = read_loop(s, err);
		df_context_off_cancel(scope.ctx, &on_cancel);
		drop_waiting(s);
		s->out = NULL;
	}
	df_base_scope_end(&scope);
	return r;
}

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);
	int r;

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	df_base_unlock(&s->base);
	if (!df_base_borrow(&s->base.state))
		return df_error_set(err, DF_ERR_CLOSED, "connector is closed");
	r = read_borrowed(s, ctx, out, err);
	df_base_return(&s->base.state);
	return r;
}

/* ---- closing --------------------------------------------------------------------------------------------- */

/* Leaves the group, so that the others need not wait for the session to end; a static member stays. */
static void leave(rd_kafka_t *rk)
{
	rd_kafka_queue_t *closing = rd_kafka_queue_new(rk);
	int64_t end = df_clock_monotonic() + CLOSE_TIMEOUT;
	df_cleanup(df_kafka_error_freep) rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, closing);

	while (!error && !rd_kafka_consumer_closed(rk) && df_clock_monotonic() < end) {
		rd_kafka_message_t *messages[64];
		ssize_t n = rd_kafka_consume_batch_queue(closing, 20, messages, DF_ARRAY_SIZE(messages));

		while (n > 0) /* fetched, never handed out: the next owner reads them */
			rd_kafka_message_destroy(messages[--n]);
	}
	rd_kafka_queue_destroy(closing);
}

static void release(struct df_kafka_source *s)
{
	rd_kafka_t *rk;

	if (s->queue)
		df_kafka_source_commit_now(s, NULL);
	pthread_mutex_lock(&s->lock);
	rk = DF_TAKE(s->rk);
	pthread_mutex_unlock(&s->lock);
	if (!rk)
		return;
	if (s->queue) {
		leave(rk);
		rd_kafka_queue_destroy(s->queue);
		rd_kafka_queue_destroy(s->commits);
	}
	df_kafka_oauth_cancel(s->client.oauth);
	rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct df_kafka_source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	df_base_unlock(&s->base);
	release(s);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct df_kafka_source *s = source_of(source);

	if (!s)
		return;
	(void)!source_close(source, NULL);
	df_kafka_client_done(&s->client);
	df_kafka_avro_reader_free(s->avro);
	free(s->polled);
	free(s->partitions);
	pthread_mutex_destroy(&s->lock);
	df_base_connector_free(&s->base);
}

const struct df_source_ops df_kafka_source_ops = {
	.create = source_create,
	.restore = df_kafka_source_restore,
	.keeps_own_position = true,
	.connect = source_connect,
	.read = source_read,
	.commit = df_kafka_source_commit,
	.describe = df_kafka_source_describe,
	.close = source_close,
	.free = source_free,
};
