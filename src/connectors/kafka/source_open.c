/* The consumer that the Kafka source makes: its properties, and the topic that must be there. */
#include "connectors/kafka/source.h"

/* librdkafka's own defaults would hold 64 MiB and 100,000 records of some 400 bytes beside them, and what it fetches at
 * once is several times as large when it is unpacked. */
#define QUEUE_RECORDS 5000
#define QUEUE_KBYTES 4096
#define FETCH_BYTES 262144 /* of a partition; a larger record comes all the same */
#define QUEUE_BACKOFF_MS 5 /* how soon a partition that had enough is asked for more */

static void set_timeouts(struct df_kafka_conf *c, const struct df_kafka_source_settings *s)
{
	struct df_duration longer = s->net_read_timeout;

	if (!longer.set || (s->net_write_timeout.set && s->net_write_timeout.ns > longer.ns))
		longer = s->net_write_timeout;
	df_kafka_set_ms(c, "socket.timeout.ms", longer);
	df_kafka_set_ms(c, "fetch.wait.max.ms", s->consumer_max_wait);
	df_kafka_set_int(c, "session.timeout.ms", (int64_t)s->session_timeout_seconds * 1000);
	df_kafka_set_int(c, "heartbeat.interval.ms", (int64_t)s->heartbeat_interval_seconds * 1000);
}

static void set_fetching(struct df_kafka_conf *c, const struct df_kafka_source_settings *s)
{
	struct df_opt_int min = s->fetch_min_bytes;

	if (min.set && min.value == 0)
		min.value = 1;
	df_kafka_set_opt(c, "fetch.min.bytes", min);
	df_kafka_set_opt(c, "fetch.max.bytes", s->fetch_max_bytes);
	df_kafka_set_int(c, "max.partition.fetch.bytes",
			 s->max_partition_fetch_bytes.set ? s->max_partition_fetch_bytes.value : FETCH_BYTES);
	if (s->fetch_max_bytes.set) /* librdkafka wants what it receives at least 512 bytes longer */
		df_kafka_set_int(c, "receive.message.max.bytes",
				 s->fetch_max_bytes.value > 99000000 ? s->fetch_max_bytes.value + INT64_C(1024)
								     : 100000000);
	df_kafka_set_int(c, "queued.min.messages", QUEUE_RECORDS);
	df_kafka_set_int(c, "queued.max.messages.kbytes", QUEUE_KBYTES);
	df_kafka_set_int(c, "fetch.queue.backoff.ms", QUEUE_BACKOFF_MS);
}

static int make_client(struct df_kafka_source *s, struct df_error *err)
{
	const struct df_kafka_source_settings *settings = s->settings;
	struct df_kafka_conf c;

	df_kafka_conf_begin(&c, &settings->connection, &s->client, err);
	rd_kafka_conf_set_rebalance_cb(c.conf, df_kafka_source_rebalance);
	df_kafka_set(&c, "group.id", settings->consumer_group.value);
	if (settings->group_instance_id) {
		df_cleanup(df_freep) char *id = df_kafka_expand_pod(settings->group_instance_id);

		df_kafka_set(&c, "group.instance.id", id ? id : "");
	}
	/* What has no position or lost it is looked after here: an error tells which. */
	df_kafka_set(&c, "auto.offset.reset", "error");
	df_kafka_set(&c, "enable.auto.commit", "false");
	df_kafka_set(&c, "enable.auto.offset.store", "false");
	df_kafka_set(&c, "isolation.level", "read_committed");
	df_kafka_set(&c, "partition.assignment.strategy", settings->assignment_strategy);
	df_kafka_set(&c, "enable.partition.eof", s->base.state.env.once ? "true" : "false");
	set_timeouts(&c, settings);
	set_fetching(&c, settings);
	return df_kafka_conf_finish(&c, &settings->connection, RD_KAFKA_CONSUMER, &s->rk);
}

static int make_reader(struct df_kafka_source *s, struct df_error *err)
{
	const struct df_kafka_source_settings *settings = s->settings;
	const struct df_kafka_avro_options options = {
		.registry = settings->avro.registry.settings,
		.schema = settings->avro.schema.value,
		.schema_file = settings->avro.schema_file,
		.reader_schema = settings->reader_schema.value,
	};

	if (!df_str_equal_c(df_str_c(settings->format), "avro"))
		return 0;
	return df_kafka_avro_reader_new(&options, &s->avro, err);
}

int df_kafka_source_open(struct df_kafka_source *s, struct df_context *ctx, struct df_error *err)
{
	int partitions, r = make_reader(s, err);

	if (r == 0)
		r = make_client(s, err);
	if (r == 0)
		r = df_kafka_await_topic(&s->client, s->rk, ctx, df_kafka_source_topic(s), 0, &partitions, err);
	if (r < 0)
		return r;
	if (partitions == 0) {
		/* It may come: retried like any connect. */
		df_error_set(err, DF_ERR_TRANSIENT, "the topic `%s` does not exist (yet)", df_kafka_source_topic(s));
		df_error_remote(err, rd_kafka_err2name(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
		return DF_ERR_TRANSIENT;
	}
	rd_kafka_poll_set_consumer(s->rk);
	s->queue = rd_kafka_queue_get_consumer(s->rk);
	s->commits = rd_kafka_queue_new(s->rk);
	s->base.state.connected = true;
	return 0;
}
