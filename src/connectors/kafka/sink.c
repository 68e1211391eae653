/*
 * The Kafka sink: a producer, and a thread that takes its delivery reports. Writes are pending until each message has
 * its report; several are on their way at once. Payloads are not copied: they live in their batches until the report.
 *
 * Order: librdkafka keeps the order of a partition across its own retries (idempotent producer), retries without an
 * end, and so fails a message only for good: as poison, or because the producer is broken, and then everything behind
 * it fails too. The processor writes that again in order, with a new producer.
 */
#include "connectors/kafka/sink.h"

#include <stdlib.h>

#define WRITES_IN_FLIGHT 32 /* as many small flushes as fill a round trip to the broker; each holds its batch */
#define REPORTS_MS 60000    /* a report, or the end, wakes the poller before */
#define QUEUE_FULL_WAIT (2 * DF_NS_PER_MS)
#define CLOSE_TIMEOUT (5 * DF_NS_PER_S)
#define BATCH_BYTES 1000000	    /* librdkafka's default of batch.size */
#define MAX_BYTES 1000000	    /* and of message.max.bytes, which suits a topic up to */
#define MAX_BYTES_OF_BROKER 1048588 /* the broker's default of max.message.bytes */
#define TOGETHER 10000		    /* messages of one transaction at most */

static struct df_kafka_sink *sink_of(struct df_sink *s)
{
	return (struct df_kafka_sink *)s;
}

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	struct df_kafka_sink *s = df_base_sink_new(sizeof(*s), &df_kafka_sink_ops, env, err);
	int r = 0;

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	pthread_mutex_init(&s->lock, NULL);
	df_kafka_client_init(&s->client, env->logger);
	if (s->settings->key_field)
		r = df_path_compile(df_str_c(s->settings->key_field), DF_PATH_READING, &s->key_path, err);
	*ret = &s->base.state.sink;
	if (r < 0) {
		df_kafka_sink_ops.free(*ret);
		*ret = NULL;
	}
	return r;
}

/* ---- reports --------------------------------------------------------------------------------------------- */

/* In a transaction a message counts only with the commit; what is purged by an abort was not refused. */
static void report_in_transaction(struct df_kafka_sink *s, struct df_write *w, size_t index, const struct df_error *err)
{
	if (!err)
		return;
	DF_LOCK_SCOPE(&s->lock);
	if (df_code_poison(err->code)) {
		s->refused++;
		df_write_fail(w, index, err);
	} else if (!s->failed.code) {
		s->failed = *err;
	}
}

void df_kafka_sink_report(struct df_kafka_sink *s, struct df_write *w, size_t index, const struct df_error *err)
{
	if (s->settings->exactly_once)
		report_in_transaction(s, w, index, err);
	else if (err)
		df_write_fail(w, index, err);
	else
		df_write_done(w, index);
}

/* A message that failed and can succeed later: what was handed over behind it must not overtake it. What waits is taken
 * back, what is on its way the broker refuses (the sequence numbers have a gap), and a new producer begins. */
static void give_up(struct df_kafka_sink *s, struct df_error *err)
{
	if (err->code != DF_ERR_DENIED)
		err->code = DF_ERR_CONNECTION;
	if (!atomic_exchange(&s->broken, true))
		(void)rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct df_kafka_sink *s = DF_CONTAINER_OF((struct df_kafka_client *)opaque, struct df_kafka_sink, client);
	const struct df_kafka_slot *slot = m->_private;
	rd_kafka_resp_err_t code = m->err;
	struct df_error err;
	char words[256];

	if (!code) {
		df_kafka_client_working(&s->client);
		df_kafka_sink_report(s, slot->write, slot->index, NULL);
		return;
	}
	/* What the producer broke on says more than that it is broken. */
	if (rd_kafka_fatal_error(rk, words, sizeof(words)))
		df_error_set(&err, DF_ERR_CONNECTION, "the producer is broken and made anew: %s", words);
	else
		df_kafka_error(&err, code, "topic `%s`", rd_kafka_topic_name(m->rkt));
	df_error_remote(&err, rd_kafka_err2name(code));
	if (df_code_retryable(err.code))
		give_up(s, &err);
	df_kafka_sink_report(s, slot->write, slot->index, &err);
}

static void *poll_reports(void *arg)
{
	struct df_kafka_sink *s = arg;

	while (!atomic_load(&s->stop))
		(void)rd_kafka_poll(s->rk, REPORTS_MS);
	return NULL;
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

static void set_delivery(struct df_kafka_conf *c, const struct df_kafka_sink_settings *s)
{
	struct df_str acks = df_str_c(s->required_acks);

	df_kafka_set(c, "acks", df_str_equal_c(acks, "none") ? "0" : df_str_equal_c(acks, "local") ? "1" : "-1");
	df_kafka_set(c, "enable.idempotence", s->idempotent ? "true" : "false");
	df_kafka_set_int(c, "max.in.flight.requests.per.connection", s->max_open_requests);
	df_kafka_set(c, "compression.type", s->compression);
	df_kafka_set(c, "partitioner", s->partitioner);
	df_kafka_set_ms(c, "linger.ms", s->flush_frequency);
	if (s->flush_messages.value > 0)
		df_kafka_set_opt(c, "batch.num.messages", s->flush_messages);
	if (s->flush_bytes.value > 0)
		df_kafka_set_opt(c, "batch.size", s->flush_bytes);
	/* An outage of any length loses nothing and reorders nothing; a topic that is missing is waited for, not for
	 * ever. */
	if (!s->exactly_once)
		df_kafka_set(c, "message.timeout.ms", "0");
	df_kafka_set_int(c, "topic.metadata.propagation.max.ms", 60000);
}

static void drop_producer(struct df_kafka_sink *s)
{
	df_kafka_sink_topics_done(s);
	df_kafka_oauth_cancel(s->client.oauth);
	if (s->rk)
		rd_kafka_destroy(DF_TAKE(s->rk));
	df_kafka_oauth_free(DF_TAKE(s->client.oauth));
}

/* One request holds no more than the topic takes at once. */
static void set_limit(struct df_kafka_conf *c, const struct df_kafka_sink_settings *s, int32_t max_bytes)
{
	int32_t batch = s->flush_bytes.value > 0 ? s->flush_bytes.value : BATCH_BYTES;

	df_kafka_set_int(c, "message.max.bytes", max_bytes < 1000 ? 1000 : max_bytes);
	df_kafka_set_int(c, "batch.size", batch < max_bytes ? batch : max_bytes);
}

/* max_bytes: what the topic takes; 0: librdkafka's default fits. */
static int make_producer(struct df_kafka_sink *s, int32_t max_bytes, struct df_error *err)
{
	struct df_kafka_conf c;

	df_kafka_conf_begin(&c, &s->settings->connection, &s->client, err);
	rd_kafka_conf_set_dr_msg_cb(c.conf, on_report);
	set_delivery(&c, s->settings);
	if (max_bytes > 0)
		set_limit(&c, s->settings, max_bytes);
	if (s->settings->exactly_once)
		df_kafka_sink_set_transactional(s, &c);
	return df_kafka_conf_finish(&c, &s->settings->connection, RD_KAFKA_PRODUCER, &s->rk);
}

/* A schema that cannot be had is told before the first message. */
static int find_schema(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_kafka_sink_settings *settings = s->settings;
	const struct df_kafka_avro_options options = {
		.registry = settings->avro.registry.settings,
		.schema = settings->avro.schema.value,
		.schema_file = settings->avro.schema_file,
		.subject = settings->subject,
		.auto_register = settings->auto_register,
	};
	int r;

	if (!df_str_equal_c(df_str_c(settings->format), "avro"))
		return 0;
	r = df_kafka_avro_writer_new(&options, &s->avro, err);
	return r < 0 ? r : df_kafka_avro_writer_prepare(s->avro, ctx, df_str_c(settings->connection.topic.value), err);
}

static int connect_locked(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err)
{
	int r = make_producer(s, 0, err);
	int32_t max_bytes;

	if (r == 0)
		r = df_kafka_sink_find_topic(s, ctx, err);
	max_bytes = s->topic.max_bytes;
	if (r == 0 && max_bytes > 0 && (max_bytes < MAX_BYTES || max_bytes > MAX_BYTES_OF_BROKER)) {
		drop_producer(s);
		r = make_producer(s, max_bytes, err);
		if (r == 0)
			r = df_kafka_sink_find_topic(s, ctx, err);
	}
	if (r == 0)
		r = find_schema(s, ctx, err);
	if (r < 0)
		return r;
	s->reports = rd_kafka_queue_get_main(s->rk);
	r = pthread_create(&s->poller, NULL, poll_reports, s);
	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start the thread of delivery reports");
	s->polling = true;
	r = s->settings->exactly_once ? df_kafka_sink_begin_transactional(s, ctx, err) : 0;
	s->base.state.connected = r == 0;
	return r;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct df_kafka_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_connect(&s->base, ctx, &call, err);

	if (r < 0 || s->base.state.connected)
		return r;
	return connect_locked(s, call.ctx, err);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Without headers the short way, which is librdkafka's fastest. */
static rd_kafka_resp_err_t hand_to(struct df_kafka_sink *s, const struct df_message *m,
				   const struct df_kafka_record *record, struct df_kafka_slot *slot)
{
	rd_kafka_headers_t *headers = NULL;
	bool failed = false;

	if (m->header_count == 0) {
		if (rd_kafka_produce(record->topic->handle, RD_KAFKA_PARTITION_UA, 0, (void *)record->value.ptr,
				     record->value.len, record->key.ptr, record->key.len, slot) == 0)
			return RD_KAFKA_RESP_ERR_NO_ERROR;
		return rd_kafka_last_error();
	}
	headers = df_kafka_sink_headers(m, &failed);
	if (failed)
		return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
	{
		const rd_kafka_vu_t parts[] = {
			{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = record->topic->handle },
			{ .vtype = RD_KAFKA_VTYPE_VALUE,
			  .u.mem = { .ptr = (void *)record->value.ptr, .size = record->value.len } },
			{ .vtype = RD_KAFKA_VTYPE_KEY,
			  .u.mem = { .ptr = (void *)record->key.ptr, .size = record->key.len } },
			{ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
			{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = slot },
		};
		df_cleanup(df_kafka_error_freep) rd_kafka_error_t *error =
			rd_kafka_produceva(s->rk, parts, DF_ARRAY_SIZE(parts));

		if (error)
			rd_kafka_headers_destroy(headers);
		return error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
	}
}

static int produce_one(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, struct df_kafka_slot *slot,
		       struct df_error *err)
{
	struct df_message *m = w->messages[slot->index];
	struct df_kafka_record record;
	rd_kafka_resp_err_t code;
	int r;

	if (atomic_load_explicit(&s->broken, memory_order_relaxed))
		return df_error_set(err, DF_ERR_CONNECTION, "the producer is made anew");
	r = df_kafka_sink_record(s, ctx, m, w->arena, &record, err);
	if (r == 0)
		r = df_kafka_sink_check(&record, err);
	if (r < 0)
		return r;
	while ((code = hand_to(s, m, &record, slot)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
		if (df_context_sleep(ctx, QUEUE_FULL_WAIT) < 0)
			return df_error_set(err, DF_ERR_CANCELED, "cancelled");
	}
	return code ? df_kafka_error(err, code, "topic `%s`", record.topic->name) : 0;
}

int df_kafka_sink_produce(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	size_t count = w->count; /* behind the last result w is gone */
	struct df_kafka_slot *slots = df_arena_alloc(w->arena, count * sizeof(*slots));
	int broken = 0;

	if (!slots)
		return df_error_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		struct df_error why = DF_ERROR_INIT;
		int r = broken;

		slots[i] = (struct df_kafka_slot){ .write = w, .index = i };
		if (r == 0)
			r = produce_one(s, ctx, w, &slots[i], &why);
		else
			why = *err;
		if (r == 0)
			continue;
		/* Nothing may overtake what can succeed later. */
		if (!df_code_poison(r) && !broken) {
			broken = r;
			*err = why;
		}
		df_kafka_sink_report(s, w, i, &why);
	}
	return broken;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_kafka_sink *s = sink_of(sink);
	struct df_base_scope scope;
	int r;

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	df_base_unlock(&s->base);
	if (!df_base_borrow(&s->base.state))
		return df_error_set(err, DF_ERR_CLOSED, "connector is closed");
	r = df_base_scope_begin(&s->base.state, ctx, &scope, err);
	if (r == 0 && s->settings->exactly_once) {
		r = df_kafka_sink_transaction(s, scope.ctx, w, err);
	} else if (r == 0) {
		/* No memory for the slots: no message was told. */
		r = df_kafka_sink_produce(s, scope.ctx, w, err) == DF_ERR_NO_MEMORY ? DF_ERR_NO_MEMORY
										    : DF_WRITE_PENDING;
	}
	df_base_scope_end(&scope);
	df_base_return(&s->base.state);
	return r;
}

static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_kafka_sink_settings *s = settings;

	if (s->exactly_once)
		ret->default_together = TOGETHER;
}

static bool sink_transactional(const void *settings)
{
	return ((const struct df_kafka_sink_settings *)settings)->exactly_once;
}

/* ---- closing --------------------------------------------------------------------------------------------- */

/* Every message that is still on its way gets a result: it may have been written or not. */
static void release(struct df_kafka_sink *s)
{
	int64_t end = df_clock_monotonic() + CLOSE_TIMEOUT;

	if (!s->rk)
		return;
	if (s->polling) {
		atomic_store(&s->stop, true);
		rd_kafka_queue_yield(s->reports);
		pthread_join(s->poller, NULL);
		s->polling = false;
	}
	while (rd_kafka_outq_len(s->rk) > 0 && df_clock_monotonic() < end) {
		(void)rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		(void)rd_kafka_poll(s->rk, 10);
	}
	if (s->reports)
		rd_kafka_queue_destroy(DF_TAKE(s->reports));
	drop_producer(s);
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct df_kafka_sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	df_base_unlock(&s->base);
	release(s);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct df_kafka_sink *s = sink_of(sink);

	if (!s)
		return;
	(void)!sink_close(sink, NULL);
	df_kafka_client_done(&s->client);
	df_path_free(s->key_path);
	df_kafka_avro_writer_free(s->avro);
	df_buf_done(&s->value);
	free(s->others);
	pthread_mutex_destroy(&s->lock);
	df_base_connector_free(&s->base);
}

const struct df_sink_ops df_kafka_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
	.max_in_flight = WRITES_IN_FLIGHT,
	.transactional = sink_transactional, /* nothing is held: the position is the group's, where the source looks */
};
