/* Settings of the kafka connector: the manifest reference, section 7. */
#ifndef DF_CONNECTORS_KAFKA_SETTINGS_H
#define DF_CONNECTORS_KAFKA_SETTINGS_H

#include "connectors/settings.h"

/* What source and sink share. */
struct df_kafka_connection {
	struct df_secret_strings brokers;
	struct df_secret topic;
	char *security_protocol; /* as written; NULL: inferred. See df_kafka_security */
	struct df_object tls;	 /* struct df_tls_settings; also present when written as {} */
	struct df_object sasl;	 /* struct df_sasl_settings */
	struct df_pairs extra;	 /* properties of librdkafka; none of them denied (df_kafka_denied) */
};

struct df_schema_registry_settings {
	struct df_secret url;
	struct df_object basic_auth; /* struct df_basic_auth_settings */
	struct df_secret bearer_token;
	struct df_object tls; /* struct df_tls_settings */
};

/* Where Avro schemas come from. */
struct df_kafka_avro_settings {
	struct df_secret schema; /* JSON text */
	char *schema_file;
	struct df_object registry; /* struct df_schema_registry_settings */
};

struct df_kafka_source_settings {
	struct df_kafka_connection connection;
	struct df_secret consumer_group;
	char *initial_offset, *offset_out_of_range; /* earliest, latest, error */
	char *assignment_strategy;		    /* librdkafka's name */
	char *group_instance_id;		    /* NULL: none. See df_kafka_expand_pod */
	char *format;				    /* json, avro, raw */
	char *raw_encoding;			    /* text, base64 */
	struct df_kafka_avro_settings avro;
	struct df_secret reader_schema; /* JSON text */
	struct df_duration consumer_max_wait, net_read_timeout, net_write_timeout;
	struct df_opt_int fetch_min_bytes, fetch_max_bytes, max_partition_fetch_bytes;
	int32_t session_timeout_seconds, heartbeat_interval_seconds;
};

struct df_kafka_sink_settings {
	struct df_kafka_connection connection;
	bool async, idempotent;
	char *required_acks; /* all, local, none */
	int32_t max_open_requests;
	char *compression; /* none, gzip, snappy, lz4, zstd */
	struct df_opt_int flush_messages, flush_bytes;
	struct df_duration flush_frequency;
	char *partitioner; /* librdkafka's name */
	char *key_field;   /* a reading path; NULL: the key is the record's, or that of the metadata */
	char *topic_from;  /* a metadata key; NULL: always `topic` */
	bool auto_create_topic;
	struct df_opt_int topic_partitions, topic_replication;
	char *format; /* json, avro */
	struct df_kafka_avro_settings avro;
	char *subject; /* NULL: <topic>-value */
	bool auto_register;
	bool exactly_once;
	char *transactional_id; /* NULL: made of the flow's and the pod's names */
};

enum df_kafka_security {
	DF_KAFKA_PLAINTEXT,
	DF_KAFKA_SSL,
	DF_KAFKA_SASL_PLAINTEXT,
	DF_KAFKA_SASL_SSL,
};

/* Why a property of librdkafka may not be in `extra`: what to use instead; NULL: it may. */
const char *df_kafka_denied(struct df_str property);

/* The protocol in effect: as written (any case, `-` and blanks as `_`), else inferred from tls and sasl. */
enum df_kafka_security df_kafka_security(const struct df_kafka_connection *connection);

extern const struct df_source_ops df_kafka_source_ops;
extern const struct df_sink_ops df_kafka_sink_ops;

#endif
