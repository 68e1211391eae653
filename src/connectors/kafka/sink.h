/* The sink's files: sink.c the producer and its reports, sink_message.c messages into records, sink_topic.c topics and
 * their creation, sink_transaction.c exactly-once. Private to the connector. */
#ifndef DF_CONNECTORS_KAFKA_SINK_H
#define DF_CONNECTORS_KAFKA_SINK_H

#include <stdatomic.h>

#include "connectors/base.h"
#include "connectors/kafka/avro.h"
#include "connectors/kafka/connection.h"
#include "value/path.h"

/* A topic that was written to. */
struct df_kafka_topic {
	rd_kafka_topic_t *handle;
	size_t name_len;
	const char *name;  /* the handle's */
	int32_t max_bytes; /* of a batch, so of a record too; 0: not known */
	bool compacted;	   /* it takes no record without a key */
};

struct df_kafka_sink {
	struct df_base_connector base;
	const struct df_kafka_sink_settings *settings;
	struct df_kafka_client client;
	struct df_path *key_path;	   /* keyField; NULL: none */
	struct df_kafka_avro_writer *avro; /* format avro; else NULL */
	struct df_buf value;		   /* where a value is encoded */
	rd_kafka_t *rk;
	rd_kafka_queue_t *reports; /* librdkafka's main queue */
	pthread_t poller;
	bool polling;
	atomic_bool stop;
	atomic_bool broken; /* a message failed that can succeed with another producer */

	struct df_kafka_topic topic;   /* `topic` */
	struct df_kafka_topic *others; /* topicFrom */
	size_t other_count, other_cap;

	/* exactlyOnce: of the write under way */
	pthread_mutex_t lock;
	size_t refused;		/* messages that were given a failure of their own */
	struct df_error failed; /* why the transaction cannot be committed; code 0: it can */
};

/* A record on its way: its opaque. In the write's arena. */
struct df_kafka_slot {
	struct df_write *write;
	size_t index;
};

/* What is sent of a message; points into the message or the write's arena. */
struct df_kafka_record {
	const struct df_kafka_topic *topic;
	struct df_str key, value; /* ptr NULL: null */
};

/* Hands the messages of a write to librdkafka, which reports each to its slot. A message that cannot even be handed
 * over is reported at once. A code: as for those from there on, which were told so too. */
int df_kafka_sink_produce(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err);
/* One message has a result; err NULL: it was written. */
void df_kafka_sink_report(struct df_kafka_sink *s, struct df_write *w, size_t index, const struct df_error *err);

/* ---- sink_message.c -------------------------------------------------------------------------------------- */

int df_kafka_sink_record(struct df_kafka_sink *s, struct df_context *ctx, struct df_message *m, struct df_arena *arena,
			 struct df_kafka_record *ret, struct df_error *err) df_must_check;
/* The message's headers, in order; NULL when it has none, or with *failed. */
rd_kafka_headers_t *df_kafka_sink_headers(const struct df_message *m, bool *failed);

/* ---- sink_topic.c ---------------------------------------------------------------------------------------- */

/* For connect: sees to it that `topic` is there, or makes it. */
int df_kafka_sink_find_topic(struct df_kafka_sink *s, struct df_context *ctx, struct df_error *err) df_must_check;
/* Whether the topic takes this record: what the broker would refuse takes all of its request along. */
int df_kafka_sink_check(const struct df_kafka_record *record, struct df_error *err) df_must_check;
/* The topic of that name, made when autoCreateTopic says so. */
int df_kafka_sink_other_topic(struct df_kafka_sink *s, struct df_context *ctx, struct df_str name,
			      const struct df_kafka_topic **ret, struct df_error *err) df_must_check;
void df_kafka_sink_topics_done(struct df_kafka_sink *s);

/* ---- sink_transaction.c ---------------------------------------------------------------------------------- */

void df_kafka_sink_set_transactional(struct df_kafka_sink *s, struct df_kafka_conf *c);
/* For connect: shuts out whoever had the transactional id before. */
int df_kafka_sink_begin_transactional(struct df_kafka_sink *s, struct df_context *ctx,
				      struct df_error *err) df_must_check;
int df_kafka_sink_transaction(struct df_kafka_sink *s, struct df_context *ctx, struct df_write *w,
			      struct df_error *err) df_must_check;

#endif
