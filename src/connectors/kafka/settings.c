#include "connectors/kafka/settings.h"

#include <ctype.h>

/* ---- security protocol ----------------------------------------------------------------------------------- */

static const char *const security_names[] = { "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL" };

/* The protocol of that spelling, or -1. */
static int security_find(struct df_str text)
{
	text = df_str_trim(text);
	for (size_t n = 0; n < DF_ARRAY_SIZE(security_names); n++) {
		size_t i = 0;

		while (i < text.len && security_names[n][i]) {
			char c = text.ptr[i] == '-' || text.ptr[i] == ' ' ? '_'
									  : (char)toupper((unsigned char)text.ptr[i]);

			if (c != security_names[n][i])
				break;
			i++;
		}
		if (i == text.len && !security_names[n][i])
			return (int)n;
	}
	return -1;
}

static int check_security(struct df_str text, struct df_error *err)
{
	if (security_find(text) < 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL, not `" DF_STR_FMT "`",
				    DF_STR_ARG(text));
	return 0;
}

enum df_kafka_security df_kafka_security(const struct df_kafka_connection *connection)
{
	int written = connection->security_protocol ? security_find(df_str_c(connection->security_protocol)) : -1;

	if (written >= 0)
		return (enum df_kafka_security)written;
	if (connection->sasl.settings)
		return connection->tls.settings ? DF_KAFKA_SASL_SSL : DF_KAFKA_SASL_PLAINTEXT;
	return connection->tls.settings ? DF_KAFKA_SSL : DF_KAFKA_PLAINTEXT;
}

static void check_block(const char *key, bool given, bool wanted, const char *protocol, const struct df_place *place,
			struct df_diags *diags)
{
	if (given && !wanted)
		df_diag_error(diags, place, key, "must be absent with securityProtocol %s", protocol);
	else if (!given && wanted)
		df_diag_error(diags, place, "securityProtocol", "%s needs the block `%s`", protocol, key);
}

static void check_connection(const struct df_kafka_connection *c, const struct df_place *place, struct df_diags *diags)
{
	int security = c->security_protocol ? security_find(df_str_c(c->security_protocol)) : -1;

	if (security < 0)
		return;
	check_block("tls", c->tls.settings, security == DF_KAFKA_SSL || security == DF_KAFKA_SASL_SSL,
		    security_names[security], place, diags);
	check_block("sasl", c->sasl.settings, security == DF_KAFKA_SASL_PLAINTEXT || security == DF_KAFKA_SASL_SSL,
		    security_names[security], place, diags);
}

/* Rows of a struct S with a member `struct df_kafka_connection connection`. */
#define CONNECTION_FIELDS(S, topic_doc)                                                                                \
	DF_FIELD(S, connection.brokers, "brokers", DF_REQUIRED | DF_NO_BLANK, .check = df_check_host_port,             \
		 .example = "[broker-0:9092, broker-1:9092]",                                                          \
		 .doc = "Brokers to ask for the cluster, each `host:port`. A Secret holds them separated by commas."), \
		DF_FIELD(S, connection.topic, "topic", DF_REQUIRED | DF_NO_BLANK, .example = "orders",                 \
			 .doc = topic_doc),                                                                            \
		DF_FIELD(S, connection.security_protocol, "securityProtocol", 0, .check = check_security,              \
			 .def_doc = "from `tls` and `sasl`", .example = "SASL_SSL",                                    \
			 .doc = "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`, in any case, with `-` for `_` "   \
				"if you like. "                                                                        \
				"Absent: what the presence of `tls` and `sasl` says. Written: it must agree with "     \
				"them."),                                                                              \
		DF_FIELD(S, connection.tls, "tls", 0, .table = &df_tls_table,                                          \
			 .doc = "Encrypt the connection. An empty object verifies with the system's CAs."),            \
		DF_FIELD(S, connection.sasl, "sasl", 0, .table = &df_sasl_table,                                       \
			 .doc = "Log in with user and password.")

/* ---- source ---------------------------------------------------------------------------------------------- */

#define DEFAULT_GROUP "dataflow-operator"

static const char *const formats[] = { "json", "avro", NULL };

static int check_json(struct df_str text, struct df_error *err)
{
	if (df_value_check(text) != DF_PARSE_OK)
		return df_error_set(err, DF_ERR_CONFIG, "must be an Avro schema as JSON text");
	return 0;
}

static const struct df_field registry_fields[] = {
	DF_FIELD(struct df_schema_registry_settings, url, "url", DF_REQUIRED, .check = df_check_http_url,
		 .example = "https://registry.example:8081", .doc = "Where the registry answers."),
	DF_FIELD(struct df_schema_registry_settings, basic_auth, "basicAuth", 0, .table = &df_basic_auth_table,
		 .doc = "User and password for the registry."),
	DF_FIELD(struct df_schema_registry_settings, tls, "tls", 0, .table = &df_tls_table,
		 .doc = "CA and client certificate for an https registry. Absent: verified with the system's CAs."),
};

static const struct df_table registry_table = DF_TABLE(struct df_schema_registry_settings, registry_fields);

#define S struct df_kafka_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(S, "The topic to read."),
	DF_FIELD(
		S, consumer_group, "consumerGroup", DF_NO_BLANK, .def = DEFAULT_GROUP, .example = "orders-to-postgres",
		.doc = "The consumer group, which keeps the position. Give every flow its own: two flows that read one "
		       "topic with one group share the messages between them."),
	DF_FIELD(S, format, "format", 0, .def = "json", .values = formats,
		 .doc = "`json` leaves the bytes untouched, JSON or not. `avro` decodes them."),
	DF_FIELD(S, avro_schema, "avroSchema", 0, .check = check_json, .doc = "With `avro`: the schema as JSON text."),
	DF_FIELD(S, avro_schema_file, "avroSchemaFile", 0, .example = "/etc/dataflow/orders.avsc",
		 .doc = "With `avro`: the path of a file with the schema."),
	DF_FIELD(S, schema_registry, "schemaRegistry", 0, .table = &registry_table,
		 .doc = "With `avro`: a Confluent-compatible registry to take schemas from."),
	DF_FIELD(S, consumer_max_wait, "consumerMaxWait", 0, .min = 1, .max = INT64_MAX, .def_doc = "500ms",
		 .example = "250ms", .doc = "How long a broker waits for `fetchMinBytes` before it answers."),
	DF_FIELD(S, fetch_min_bytes, "fetchMinBytes", 0, .min = 0, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Bytes a broker collects before it answers."),
	DF_FIELD(S, fetch_max_bytes, "fetchMaxBytes", 0, .min = 1, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Bytes one answer has at most."),
	DF_FIELD(S, max_partition_fetch_bytes, "maxPartitionFetchBytes", 0, .min = 1, .max = INT32_MAX,
		 .def_doc = "the client's", .doc = "Bytes of one partition that one answer has at most."),
	DF_FIELD(S, net_read_timeout, "netReadTimeout", 0, .min = 1, .max = INT64_MAX, .def_doc = "the client's",
		 .example = "30s", .doc = "How long to wait for an answer. Greater than `consumerMaxWait`."),
	DF_FIELD(S, net_write_timeout, "netWriteTimeout", 0, .min = 1, .max = INT64_MAX, .def_doc = "the client's",
		 .example = "30s",
		 .doc = "How long sending a request may take. The larger of the two timeouts counts."),
	DF_FIELD(S, session_timeout_seconds, "sessionTimeoutSeconds", 0, .def = "45", .min = 1, .max = INT32_MAX,
		 .doc = "Seconds without a heartbeat after which the group gives this consumer's partitions away."),
	DF_FIELD(S, heartbeat_interval_seconds, "heartbeatIntervalSeconds", 0, .def = "3", .min = 1, .max = INT32_MAX,
		 .doc = "Seconds between heartbeats; at most a third of `sessionTimeoutSeconds`."),
};

#undef S

static void check_source(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_kafka_source_settings *s = settings;

	check_connection(&s->connection, place, diags);
	if (!s->consumer_group.ref && df_str_equal_c(df_str_c(s->consumer_group.value), DEFAULT_GROUP))
		df_diag_warning(diags, place, "consumerGroup",
				"the default group `" DEFAULT_GROUP
				"`: two flows on one topic would share its messages; name a group per flow");
	if (df_str_equal_c(df_str_c(s->format), "avro") && !df_secret_given(&s->avro_schema) && !s->avro_schema_file &&
	    !s->schema_registry.settings)
		df_diag_error(diags, place, "format",
			      "avro needs avroSchema, avroSchemaSecretRef, avroSchemaFile or schemaRegistry");
	if (s->net_read_timeout.set && s->consumer_max_wait.set && s->net_read_timeout.ns <= s->consumer_max_wait.ns)
		df_diag_error(diags, place, "netReadTimeout", "must be greater than consumerMaxWait");
	if (s->session_timeout_seconds > 0 &&
	    (int64_t)s->heartbeat_interval_seconds * 3 > (int64_t)s->session_timeout_seconds)
		df_diag_error(diags, place, "heartbeatIntervalSeconds",
			      "%d is more than a third of sessionTimeoutSeconds (%d)",
			      (int)s->heartbeat_interval_seconds, (int)s->session_timeout_seconds);
}

static const struct df_rule source_rules[] = {
	{ DF_RULE_EXCLUSIVE, { "avroSchema", "avroSchemaFile" } },
	{ DF_RULE_POINTLESS, { "avroSchema", "format" }, .value = "avro" },
	{ DF_RULE_POINTLESS, { "avroSchemaFile", "format" }, .value = "avro" },
	{ DF_RULE_POINTLESS, { "schemaRegistry", "format" }, .value = "avro" },
	{ DF_RULE_CHECK, .fn = check_source,
	  .text = "`format: avro` needs one of `avroSchema`, `avroSchemaSecretRef`, `avroSchemaFile`, "
		  "`schemaRegistry`." },
};

static const struct df_table source_table =
	DF_TABLE_RULES(struct df_kafka_source_settings, source_fields, source_rules);

static const struct df_type source_type = {
	.name = "kafka",
	.title = "Reads one Kafka topic as a member of a consumer group.",
	.doc = "Offsets are committed to the group only below messages that are completely done: written, filtered, "
	       "stored in the error sink. A full pipeline pauses partitions and goes on polling, so a slow sink "
	       "never loses the membership. Several replicas of one flow share the partitions.\n\n"
	       "Every message carries the metadata `topic`, `partition`, `offset`, `key`, `timestamp` and `headers`. "
	       "An empty value is a tombstone.",
	.settings = &source_table,
	.example = "type: kafka\n"
		   "config:\n"
		   "  brokers:\n"
		   "    - broker-0:9092\n"
		   "    - broker-1:9092\n"
		   "  topic: orders\n"
		   "  consumerGroup: orders-to-postgres\n"
		   "  securityProtocol: SASL_SSL\n"
		   "  tls: {}\n"
		   "  sasl:\n"
		   "    mechanism: scram-sha-512\n"
		   "    username: dataflow\n"
		   "    passwordSecretRef:\n"
		   "      name: kafka\n"
		   "      key: password\n",
	.scales_out = true,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

static const char *const acks[] = { "all", "local", "none", NULL };
static const char *const compressions[] = { "none", "gzip", "snappy", "lz4", "zstd", NULL };
static const char *const partitioners[] = { "fnv1a_random", "murmur2_random", "consistent_random", "random", NULL };

#define S struct df_kafka_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELDS(S, "The topic to write."),
	DF_FIELD(S, async, "async", 0, .def = "true", .doc = "Has no effect: messages are always sent in a pipeline."),
	DF_FIELD(S, idempotent, "idempotent", 0, .def = "true",
		 .doc = "The producer's own retries neither double nor reorder messages. Needs `requiredAcks: all`."),
	DF_FIELD(S, required_acks, "requiredAcks", 0, .def = "all", .values = acks,
		 .doc = "Who confirms a message: all in-sync replicas, the leader alone, or nobody (messages can be "
			"lost)."),
	DF_FIELD(S, max_open_requests, "maxOpenRequests", 0, .def = "5", .min = 1, .max = 1000000,
		 .doc = "Requests to one broker that may be unanswered; at most 5 with `idempotent`."),
	DF_FIELD(S, compression, "compression", 0, .def = "snappy", .values = compressions,
		 .doc = "How batches are packed."),
	DF_FIELD(S, flush_messages, "flushMessages", 0, .min = 0, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Messages that one request holds at most."),
	DF_FIELD(S, flush_bytes, "flushBytes", 0, .min = 0, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Bytes that one request holds at most."),
	DF_FIELD(S, flush_frequency, "flushFrequency", 0, .min = 0, .max = INT64_MAX, .def_doc = "the client's",
		 .example = "10ms", .doc = "How long the producer waits for more messages before it sends."),
	DF_FIELD(S, partitioner, "partitioner", DF_OURS, .def = "fnv1a_random", .values = partitioners,
		 .doc = "How a key chooses its partition. The default agrees with the Go project's client, "
			"`murmur2_random` with Java's."),
};

#undef S

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_kafka_sink_settings *s = settings;
	struct df_str wanted = df_str_c(s->required_acks);

	check_connection(&s->connection, place, diags);
	if (s->idempotent && wanted.len && !df_str_equal_c(wanted, "all"))
		df_diag_error(diags, place, "requiredAcks",
			      "`" DF_STR_FMT "` needs `idempotent: false` (an idempotent producer waits for all)",
			      DF_STR_ARG(wanted));
	if (df_str_equal_c(wanted, "none"))
		df_diag_warning(diags, place, "requiredAcks", "none: messages can be lost without anybody noticing");
	if (s->idempotent && s->max_open_requests > 5)
		df_diag_error(diags, place, "maxOpenRequests", "%d is more than 5, the most that idempotent allows",
			      (int)s->max_open_requests);
}

static const struct df_rule sink_rules[] = {
	{ DF_RULE_CHECK, .fn = check_sink,
	  .text = "`idempotent` needs `requiredAcks: all` and at most 5 `maxOpenRequests`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_kafka_sink_settings, sink_fields, sink_rules);

static const struct df_type sink_type = {
	.name = "kafka",
	.title = "Writes messages to one Kafka topic.",
	.doc = "The payload is the value, byte for byte; a tombstone becomes a null value. The key is that of the "
	       "Kafka record the message came from, else the metadata `key`, else the metadata `id`. Headers are "
	       "kept. Every message is confirmed by its own delivery report.",
	.settings = &sink_table,
	.example = "type: kafka\n"
		   "config:\n"
		   "  brokers: [broker-0:9092]\n"
		   "  topic: orders-clean\n"
		   "  compression: zstd\n",
};

const struct df_connector df_connector_kafka = {
	.source = &source_type,
	.sink = &sink_type,
};
