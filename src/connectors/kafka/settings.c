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

/* ---- extra ----------------------------------------------------------------------------------------------- */

#define OWN_FIELD "it has a field of its own"
#define FIXED "delivery depends on it"
#define NO_CODE "it would load code or call into the program"

/* Properties that `extra` may not hold; a name with `.` or `_` at its end stands for all that begin with it. */
static const struct {
	const char *name;
	const char *why;
} denied[] = {
	{ "bootstrap.servers", OWN_FIELD ": brokers" },
	{ "metadata.broker.list", OWN_FIELD ": brokers" },
	{ "security.protocol", OWN_FIELD ": securityProtocol" },
	{ "ssl.ca.", OWN_FIELD ": tls" },
	{ "ssl.certificate.", OWN_FIELD ": tls" },
	{ "ssl.key.", OWN_FIELD ": tls" },
	{ "ssl.keystore.", OWN_FIELD ": tls" },
	{ "ssl.engine.", NO_CODE },
	{ "ssl.providers", NO_CODE },
	{ "ssl_", NO_CODE },
	{ "enable.ssl.certificate.verification", OWN_FIELD ": tls.insecureSkipVerify" },
	{ "ssl.endpoint.identification.algorithm", OWN_FIELD ": tls.insecureSkipVerify" },
	{ "sasl.", OWN_FIELD ": sasl" },
	{ "group.id", OWN_FIELD ": consumerGroup" },
	{ "group.instance.id", OWN_FIELD ": groupInstanceId" },
	{ "group.protocol", "only the classic protocol is supported" },
	{ "group.remote.assignor", "only the classic protocol is supported" },
	{ "auto.offset.reset", OWN_FIELD ": initialOffset, offsetOutOfRange" },
	{ "partition.assignment.strategy", OWN_FIELD ": assignmentStrategy" },
	{ "session.timeout.ms", OWN_FIELD ": sessionTimeoutSeconds" },
	{ "heartbeat.interval.ms", OWN_FIELD ": heartbeatIntervalSeconds" },
	{ "fetch.wait.max.ms", OWN_FIELD ": consumerMaxWait" },
	{ "fetch.min.bytes", OWN_FIELD ": fetchMinBytes" },
	{ "fetch.max.bytes", OWN_FIELD ": fetchMaxBytes" },
	{ "max.partition.fetch.bytes", OWN_FIELD ": maxPartitionFetchBytes" },
	{ "fetch.message.max.bytes", OWN_FIELD ": maxPartitionFetchBytes" },
	{ "socket.timeout.ms", OWN_FIELD ": netReadTimeout, netWriteTimeout" },
	{ "acks", OWN_FIELD ": requiredAcks" },
	{ "request.required.acks", OWN_FIELD ": requiredAcks" },
	{ "enable.idempotence", OWN_FIELD ": idempotent" },
	{ "max.in.flight", OWN_FIELD ": maxOpenRequests" },
	{ "max.in.flight.requests.per.connection", OWN_FIELD ": maxOpenRequests" },
	{ "compression.codec", OWN_FIELD ": compression" },
	{ "compression.type", OWN_FIELD ": compression" },
	{ "linger.ms", OWN_FIELD ": flushFrequency" },
	{ "queue.buffering.max.ms", OWN_FIELD ": flushFrequency" },
	{ "batch.num.messages", OWN_FIELD ": flushMessages" },
	{ "batch.size", OWN_FIELD ": flushBytes" },
	{ "partitioner", OWN_FIELD ": partitioner" },
	{ "transactional.id", OWN_FIELD ": transactionalId" },
	{ "enable.auto.commit", FIXED },
	{ "auto.commit.", FIXED },
	{ "enable.auto.offset.store", FIXED },
	{ "offset.store.", FIXED },
	{ "enable.partition.eof", FIXED },
	{ "enable.gapless.guarantee", FIXED },
	{ "delivery.report.only.error", FIXED },
	{ "delivery.timeout.ms", FIXED },
	{ "message.timeout.ms", FIXED },
	{ "queuing.strategy", FIXED },
	{ "message.send.max.retries", FIXED },
	{ "retries", FIXED },
	{ "plugin.", NO_CODE },
	{ "interceptors", NO_CODE },
	{ "enabled_events", NO_CODE },
	{ "log.queue", NO_CODE },
	{ "opaque", NO_CODE },
	{ "default_topic_conf", NO_CODE },
};

const char *df_kafka_denied(struct df_str property)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(denied); i++) {
		struct df_str name = df_str_c(denied[i].name);
		bool prefix = df_str_ends(name, DF_STR(".")) || df_str_ends(name, DF_STR("_"));

		if (prefix ? df_str_starts(property, name) : df_str_equal(property, name))
			return denied[i].why;
	}
	return df_str_ends(property, DF_STR("_cb")) ? NO_CODE : NULL;
}

static int check_extra(struct df_str text, struct df_error *err)
{
	const char *why = df_kafka_denied(text);

	return why ? df_error_set(err, DF_ERR_CONFIG, "`" DF_STR_FMT "` cannot be set here: %s", DF_STR_ARG(text), why)
		   : 0;
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
			 .doc = "Log in with user and password."),                                                     \
		DF_FIELD(S, connection.extra, "extra", DF_OURS, .check = check_extra,                                  \
			 .example = "{client.rack: zone-a}",                                                           \
			 .doc = "Properties of librdkafka by its own names, for what has no field here. Those that "   \
				"delivery depends on are refused.")

/* ---- avro ------------------------------------------------------------------------------------------------ */

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
	DF_FIELD(struct df_schema_registry_settings, bearer_token, "bearerToken", DF_OURS | DF_SENSITIVE,
		 .doc = "A token for the registry, in place of user and password."),
	DF_FIELD(struct df_schema_registry_settings, tls, "tls", 0, .table = &df_tls_table,
		 .doc = "CA and client certificate for an https registry. Absent: verified with the system's CAs."),
};

static const struct df_rule registry_rules[] = {
	{ DF_RULE_EXCLUSIVE, { "basicAuth", "bearerToken" } },
};

static const struct df_table registry_table =
	DF_TABLE_RULES(struct df_schema_registry_settings, registry_fields, registry_rules);

/* Rows of a struct S with a member `struct df_kafka_avro_settings avro`. */
#define AVRO_FIELDS(S, schema_doc, registry_doc)                                                               \
	DF_FIELD(S, avro.schema, "avroSchema", 0, .check = check_json, .doc = schema_doc),                     \
		DF_FIELD(S, avro.schema_file, "avroSchemaFile", 0, .example = "/etc/dataflow/orders.avsc",     \
			 .doc = "With `avro`: the path of a file with the schema, in place of `avroSchema`."), \
		DF_FIELD(S, avro.registry, "schemaRegistry", 0, .table = &registry_table, .doc = registry_doc)

#define AVRO_RULES                                                                      \
	{ DF_RULE_EXCLUSIVE, { "avroSchema", "avroSchemaFile" } },                      \
		{ DF_RULE_POINTLESS, { "avroSchema", "format" }, .value = "avro" },     \
		{ DF_RULE_POINTLESS, { "avroSchemaFile", "format" }, .value = "avro" }, \
	{                                                                               \
		DF_RULE_POINTLESS, { "schemaRegistry", "format" }, .value = "avro"      \
	}

#define AVRO_NEEDS                                                                            \
	"`format: avro` needs one of `avroSchema`, `avroSchemaSecretRef`, `avroSchemaFile`, " \
	"`schemaRegistry`."

static void check_avro(const char *format, const struct df_kafka_avro_settings *avro, const struct df_place *place,
		       struct df_diags *diags)
{
	if (df_str_equal_c(df_str_c(format), "avro") && !df_secret_given(&avro->schema) && !avro->schema_file &&
	    !avro->registry.settings)
		df_diag_error(diags, place, "format",
			      "avro needs avroSchema, avroSchemaSecretRef, avroSchemaFile or schemaRegistry");
}

/* ---- source ---------------------------------------------------------------------------------------------- */

#define DEFAULT_GROUP "dataflow-operator"

static const char *const formats[] = { "json", "avro", "raw", NULL };
static const char *const raw_encodings[] = { "text", "base64", NULL };
static const char *const initial_offsets[] = { "earliest", "latest", NULL };
static const char *const out_of_range[] = { "earliest", "latest", "error", NULL };
static const char *const strategies[] = { "roundrobin", "range", "cooperative-sticky", NULL };

#define S struct df_kafka_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(S, "The topic to read."),
	DF_FIELD(
		S, consumer_group, "consumerGroup", DF_NO_BLANK, .def = DEFAULT_GROUP, .example = "orders-to-postgres",
		.doc = "The consumer group, which keeps the position. Give every flow its own: two flows that read one "
		       "topic with one group share the messages between them."),
	DF_FIELD(S, initial_offset, "initialOffset", DF_OURS, .def = "earliest", .values = initial_offsets,
		 .doc = "Where a group that has no position yet begins."),
	DF_FIELD(S, offset_out_of_range, "offsetOutOfRange", DF_OURS, .def = "earliest", .values = out_of_range,
		 .doc = "Where to go on when the group's position is not in the topic any more because retention "
			"deleted it: at one of its ends, with a warning that names both offsets, or `error`: stop."),
	DF_FIELD(S, assignment_strategy, "assignmentStrategy", DF_OURS, .def = "roundrobin", .values = strategies,
		 .doc = "How the group shares the partitions. All members must agree. `cooperative-sticky` lets a "
			"member go on reading the partitions that it keeps."),
	DF_FIELD(S, group_instance_id, "groupInstanceId", DF_OURS, .example = "orders-${POD_NAME}",
		 .doc = "Static membership: a member that comes back under this name within `sessionTimeoutSeconds` "
			"gets its partitions back without a rebalance. `${POD_NAME}` stands for the name of the pod, "
			"elsewhere of the host; give every replica its own."),
	DF_FIELD(S, format, "format", 0, .def = "json", .values = formats,
		 .doc = "`json` leaves the bytes untouched and lets transformations see what is JSON. `avro` decodes "
			"them. `raw` leaves them untouched too, and they are one text, never JSON."),
	DF_FIELD(S, raw_encoding, "rawEncoding", DF_OURS, .def = "text", .values = raw_encodings,
		 .doc = "With `raw`, what transformations and tables see: `text` when the bytes are UTF-8, else their "
			"base64; or always `base64`."),
	AVRO_FIELDS(
		S,
		"With `avro`: the schema that the values were written with, as JSON text. Beside `schemaRegistry` it "
		"is not used.",
		"With `avro`: a Confluent-compatible registry to take the schemas from. Every value then begins with "
		"the id of its schema."),
	DF_FIELD(S, reader_schema, "readerSchema", DF_OURS, .check = check_json,
		 .doc = "With `avro`: what documents shall look like, whichever schema a value was written with: a "
			"schema as JSON text, to which Avro's resolution leads (fields added with their defaults, left "
			"out, renamed by aliases, types promoted). A value that cannot become it is refused."),
	DF_FIELD(S, consumer_max_wait, "consumerMaxWait", 0, .min = 1, .max = INT64_MAX, .def_doc = "500ms",
		 .example = "250ms", .doc = "How long a broker waits for `fetchMinBytes` before it answers."),
	DF_FIELD(S, fetch_min_bytes, "fetchMinBytes", 0, .min = 0, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Bytes a broker collects before it answers."),
	DF_FIELD(S, fetch_max_bytes, "fetchMaxBytes", 0, .min = 1, .max = INT32_MAX, .def_doc = "the client's",
		 .doc = "Bytes one answer has at most."),
	DF_FIELD(S, max_partition_fetch_bytes, "maxPartitionFetchBytes", 0, .min = 1, .max = INT32_MAX,
		 .def_doc = "262144",
		 .doc = "Bytes of one partition that one answer has at most, before they are "
			"unpacked; a larger message comes alone. More is faster over a slow line "
			"and takes more memory."),
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
	check_avro(s->format, &s->avro, place, diags);
	if (s->net_read_timeout.set && s->consumer_max_wait.set && s->net_read_timeout.ns <= s->consumer_max_wait.ns)
		df_diag_error(diags, place, "netReadTimeout", "must be greater than consumerMaxWait");
	if (s->session_timeout_seconds > 0 &&
	    (int64_t)s->heartbeat_interval_seconds * 3 > (int64_t)s->session_timeout_seconds)
		df_diag_error(diags, place, "heartbeatIntervalSeconds",
			      "%d is more than a third of sessionTimeoutSeconds (%d)",
			      (int)s->heartbeat_interval_seconds, (int)s->session_timeout_seconds);
}

static const struct df_rule source_rules[] = {
	AVRO_RULES,
	{ DF_RULE_POINTLESS, { "readerSchema", "format" }, .value = "avro" },
	{ DF_RULE_POINTLESS, { "rawEncoding", "format" }, .value = "raw" },
	{ DF_RULE_CHECK, .fn = check_source, .text = AVRO_NEEDS },
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
static const char *const sink_formats[] = { "json", "avro", NULL };
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
	DF_FIELD(S, key_field, "keyField", DF_OURS, .check = df_check_path_reading, .example = "customer.id",
		 .doc = "The value at this path of the document is the key: a text as it is, anything else as JSON. "
			"A message without it is refused (error sink or stop)."),
	DF_FIELD(S, topic_from, "topicFrom", DF_OURS, .example = "target_topic",
		 .doc = "The metadata key whose text is the topic. A message without it goes to `topic`."),
	DF_FIELD(S, auto_create_topic, "autoCreateTopic", DF_OURS, .def = "false",
		 .doc = "Create a topic that is missing."),
	DF_FIELD(S, topic_partitions, "topicPartitions", DF_OURS, .min = 1, .max = 1000000, .def_doc = "the broker's",
		 .doc = "With `autoCreateTopic`: its partitions."),
	DF_FIELD(S, topic_replication, "topicReplication", DF_OURS, .min = 1, .max = INT16_MAX,
		 .def_doc = "the broker's", .doc = "With `autoCreateTopic`: copies of each partition."),
	DF_FIELD(S, format, "format", DF_OURS, .def = "json", .values = sink_formats,
		 .doc = "`json` writes the payload, byte for byte. `avro` writes the document by a schema, strictly: a "
			"message that does not fit it is refused (error sink or stop)."),
	AVRO_FIELDS(S,
		    "With `avro`: the schema to write by, as JSON text. Beside `schemaRegistry`: the one to look up or "
		    "register there.",
		    "With `avro`: a Confluent-compatible registry. Every value then begins with the id of its schema, "
		    "which is the subject's latest when `avroSchema` is absent."),
	DF_FIELD(S, subject, "subject", DF_OURS | DF_NO_BLANK, .def_doc = "<topic>-value",
		 .example = "orders-clean-value", .doc = "The registry's subject that has the schema."),
	DF_FIELD(S, auto_register, "autoRegister", DF_OURS, .def = "true",
		 .doc = "Register `avroSchema` under the subject when it is not there yet. `false`: that is an error."),
	DF_FIELD(S, exactly_once, "exactlyOnce", DF_OURS, .def = "false",
		 .doc = "Behind a `kafka` source of the same cluster: messages and the group's position are written in "
			"one transaction, so a reader with `isolation.level=read_committed` sees every message once, "
			"whenever a process is killed. Needs `idempotent`, and there may be no `router`."),
	DF_FIELD(S, transactional_id, "transactionalId", DF_OURS, .def_doc = "dataflow-<namespace>-<name>-${POD_NAME}",
		 .example = "orders-${POD_NAME}",
		 .doc = "With `exactlyOnce`: the producer's name; a second process with it shuts the first one out. "
			"`${POD_NAME}` stands for the name of the pod, elsewhere of the host."),
};

#undef S

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_kafka_sink_settings *s = settings;
	struct df_str wanted = df_str_c(s->required_acks);

	check_connection(&s->connection, place, diags);
	check_avro(s->format, &s->avro, place, diags);
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
	{ DF_RULE_POINTLESS, { "topicPartitions", "autoCreateTopic" } },
	{ DF_RULE_POINTLESS, { "topicReplication", "autoCreateTopic" } },
	{ DF_RULE_POINTLESS, { "transactionalId", "exactlyOnce" } },
	{ DF_RULE_REQUIRES, { "exactlyOnce", "idempotent" } },
	AVRO_RULES,
	{ DF_RULE_POINTLESS, { "subject", "schemaRegistry" } },
	{ DF_RULE_CHECK, .fn = check_sink,
	  .text = AVRO_NEEDS " `idempotent` needs `requiredAcks: all` and at most 5 `maxOpenRequests`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_kafka_sink_settings, sink_fields, sink_rules);

static const char *sink_loses(const void *settings)
{
	const struct df_kafka_sink_settings *s = settings;

	if (df_str_equal_c(DF_STR("none"), s->required_acks))
		return "requiredAcks: none: the broker confirms nothing, and what it does not get is gone";
	if (df_str_equal_c(DF_STR("local"), s->required_acks))
		return "requiredAcks: local: what the leader of a partition confirmed is gone when it fails before "
		       "another replica has it";
	return NULL;
}

static const struct df_type sink_type = {
	.name = "kafka",
	.title = "Writes messages to one Kafka topic.",
	.doc = "The payload is the value, byte for byte, or Avro made of the document; a tombstone becomes a null value. The key is that of the "
	       "Kafka record the message came from, else the metadata `key`, else the metadata `id`. Headers are "
	       "kept. Every message is confirmed by its own delivery report.",
	.settings = &sink_table,
	.example = "type: kafka\n"
		   "config:\n"
		   "  brokers: [broker-0:9092]\n"
		   "  topic: orders-clean\n"
		   "  compression: zstd\n",
	.loses = sink_loses,
};

const struct df_connector df_connector_kafka = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_KAFKA ? &df_kafka_source_ops : NULL,
	.sink_ops = DF_WITH_KAFKA ? &df_kafka_sink_ops : NULL,
};
