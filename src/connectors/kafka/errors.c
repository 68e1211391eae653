/* Which of our codes a code of Kafka's is. One row a code; what has no row is unknown and stops the pipeline. */
#include "connectors/kafka/errors.h"

#include "base/cleanup.h"

enum traits {
	REBUILD = 1 << 0,
	LEFT = 1 << 1,
};

#define E(name) RD_KAFKA_RESP_ERR_##name

static const struct {
	rd_kafka_resp_err_t code;
	int ours;
	unsigned traits;
} rows[] = {
	/* The broker or the group says: later. */
	{ E(UNKNOWN_TOPIC_OR_PART), DF_ERR_TRANSIENT, 0 },
	{ E(LEADER_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(NOT_LEADER_FOR_PARTITION), DF_ERR_TRANSIENT, 0 },
	{ E(REQUEST_TIMED_OUT), DF_ERR_TRANSIENT, 0 },
	{ E(BROKER_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(REPLICA_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(NETWORK_EXCEPTION), DF_ERR_TRANSIENT, 0 },
	{ E(COORDINATOR_LOAD_IN_PROGRESS), DF_ERR_TRANSIENT, 0 },
	{ E(COORDINATOR_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(NOT_COORDINATOR), DF_ERR_TRANSIENT, 0 },
	{ E(NOT_ENOUGH_REPLICAS), DF_ERR_TRANSIENT, 0 },
	{ E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), DF_ERR_TRANSIENT, 0 },
	{ E(REBALANCE_IN_PROGRESS), DF_ERR_TRANSIENT, 0 },
	{ E(NOT_CONTROLLER), DF_ERR_TRANSIENT, 0 },
	{ E(CONCURRENT_TRANSACTIONS), DF_ERR_TRANSIENT, 0 },
	{ E(KAFKA_STORAGE_ERROR), DF_ERR_TRANSIENT, 0 },
	{ E(FENCED_LEADER_EPOCH), DF_ERR_TRANSIENT, 0 },
	{ E(UNKNOWN_LEADER_EPOCH), DF_ERR_TRANSIENT, 0 },
	{ E(OFFSET_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(PREFERRED_LEADER_NOT_AVAILABLE), DF_ERR_TRANSIENT, 0 },
	{ E(UNSTABLE_OFFSET_COMMIT), DF_ERR_TRANSIENT, 0 },
	{ E(THROTTLING_QUOTA_EXCEEDED), DF_ERR_TRANSIENT, 0 },
	{ E(ILLEGAL_GENERATION), DF_ERR_TRANSIENT, LEFT },
	{ E(UNKNOWN_MEMBER_ID), DF_ERR_TRANSIENT, LEFT },
	{ E(FENCED_INSTANCE_ID), DF_ERR_CONFIG, LEFT },
	{ E(_ASSIGNMENT_LOST), DF_ERR_TRANSIENT, LEFT },
	{ E(_QUEUE_FULL), DF_ERR_TRANSIENT, 0 },
	{ E(_WAIT_COORD), DF_ERR_TRANSIENT, 0 },
	{ E(_STATE), DF_ERR_TRANSIENT, 0 },
	{ E(_INVALID_DIFFERENT_RECORD), DF_ERR_TRANSIENT, 0 }, /* one beside it in the request was refused */
	{ E(_RETRY), DF_ERR_TRANSIENT, 0 },

	/* No answer. */
	{ E(_TRANSPORT), DF_ERR_CONNECTION, 0 },
	{ E(_ALL_BROKERS_DOWN), DF_ERR_CONNECTION, 0 },
	{ E(_RESOLVE), DF_ERR_CONNECTION, 0 },
	{ E(_DESTROY), DF_ERR_CONNECTION, 0 },
	{ E(_PURGE_QUEUE), DF_ERR_CONNECTION, 0 },
	{ E(_PURGE_INFLIGHT), DF_ERR_CONNECTION, 0 },
	{ E(_TIMED_OUT), DF_ERR_TIMEOUT, 0 },
	{ E(_TIMED_OUT_QUEUE), DF_ERR_TIMEOUT, 0 },
	{ E(_MSG_TIMED_OUT), DF_ERR_TIMEOUT, 0 },

	/* Who are you, and may you? */
	{ E(TOPIC_AUTHORIZATION_FAILED), DF_ERR_AUTH, 0 },
	{ E(GROUP_AUTHORIZATION_FAILED), DF_ERR_AUTH, 0 },
	{ E(CLUSTER_AUTHORIZATION_FAILED), DF_ERR_AUTH, 0 },
	{ E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), DF_ERR_AUTH, 0 },
	{ E(UNSUPPORTED_SASL_MECHANISM), DF_ERR_AUTH, 0 },
	{ E(SASL_AUTHENTICATION_FAILED), DF_ERR_AUTH, 0 },
	{ E(_AUTHENTICATION), DF_ERR_AUTH, 0 },
	{ E(_SSL), DF_ERR_AUTH, 0 },

	/* This message. */
	{ E(MSG_SIZE_TOO_LARGE), DF_ERR_INVALID_DATA, 0 },
	{ E(INVALID_MSG_SIZE), DF_ERR_INVALID_DATA, 0 },
	{ E(RECORD_LIST_TOO_LARGE), DF_ERR_INVALID_DATA, 0 },
	{ E(INVALID_TIMESTAMP), DF_ERR_INVALID_DATA, 0 },
	{ E(POLICY_VIOLATION), DF_ERR_INVALID_DATA, 0 },
	{ E(INVALID_RECORD), DF_ERR_INVALID_DATA, 0 },
	{ E(_KEY_SERIALIZATION), DF_ERR_INVALID_DATA, 0 },
	{ E(_VALUE_SERIALIZATION), DF_ERR_INVALID_DATA, 0 },
	{ E(_BAD_MSG), DF_ERR_INVALID_DATA, 0 },
	{ E(_BAD_COMPRESSION), DF_ERR_INVALID_DATA, 0 },

	/* This manifest, or this cluster. */
	{ E(_UNKNOWN_TOPIC), DF_ERR_CONFIG, 0 },
	{ E(_UNKNOWN_PARTITION), DF_ERR_CONFIG, 0 },
	{ E(TOPIC_EXCEPTION), DF_ERR_CONFIG, 0 },
	{ E(INVALID_PARTITIONS), DF_ERR_CONFIG, 0 },
	{ E(INVALID_REPLICATION_FACTOR), DF_ERR_CONFIG, 0 },
	{ E(INVALID_CONFIG), DF_ERR_CONFIG, 0 },
	{ E(INVALID_GROUP_ID), DF_ERR_CONFIG, 0 },
	{ E(INVALID_SESSION_TIMEOUT), DF_ERR_CONFIG, 0 },
	{ E(INCONSISTENT_GROUP_PROTOCOL), DF_ERR_CONFIG, 0 },
	{ E(GROUP_MAX_SIZE_REACHED), DF_ERR_CONFIG, 0 },
	{ E(_INVALID_ARG), DF_ERR_CONFIG, 0 },
	{ E(_UNSUPPORTED_FEATURE), DF_ERR_CONFIG, 0 },

	/* A new producer, and the messages again. */
	{ E(OUT_OF_ORDER_SEQUENCE_NUMBER), DF_ERR_CONNECTION, REBUILD },
	{ E(DUPLICATE_SEQUENCE_NUMBER), DF_ERR_CONNECTION, REBUILD },
	{ E(INVALID_PRODUCER_EPOCH), DF_ERR_CONNECTION, REBUILD },
	{ E(INVALID_PRODUCER_ID_MAPPING), DF_ERR_CONNECTION, REBUILD },
	{ E(UNKNOWN_PRODUCER_ID), DF_ERR_CONNECTION, REBUILD },
	{ E(PRODUCER_FENCED), DF_ERR_CONNECTION, REBUILD },
	{ E(_FENCED), DF_ERR_CONNECTION, REBUILD },
	{ E(_FATAL), DF_ERR_CONNECTION, REBUILD },
	{ E(_INCONSISTENT), DF_ERR_CONNECTION, REBUILD },
	{ E(_GAPLESS_GUARANTEE), DF_ERR_CONNECTION, REBUILD },
};

#undef E

static size_t row_of(rd_kafka_resp_err_t code)
{
	size_t i = 0;

	while (i < DF_ARRAY_SIZE(rows) && rows[i].code != code)
		i++;
	return i;
}

int df_kafka_code(rd_kafka_resp_err_t code)
{
	size_t i = row_of(code);

	return i < DF_ARRAY_SIZE(rows) ? rows[i].ours : DF_ERR_UNKNOWN;
}

static bool has(rd_kafka_resp_err_t code, unsigned trait)
{
	size_t i = row_of(code);

	return i < DF_ARRAY_SIZE(rows) && (rows[i].traits & trait);
}

bool df_kafka_rebuild(rd_kafka_resp_err_t code)
{
	return has(code, REBUILD);
}

bool df_kafka_group_left(rd_kafka_resp_err_t code)
{
	return has(code, LEFT);
}

int df_kafka_error(struct df_error *err, rd_kafka_resp_err_t code, const char *fmt, ...)
{
	struct df_error words;
	va_list args;

	va_start(args, fmt);
	df_error_setv(&words, df_kafka_code(code), fmt, args);
	va_end(args);
	df_error_set(err, words.code, "%s: %s", words.text, rd_kafka_err2str(code));
	df_error_remote(err, rd_kafka_err2name(code));
	return words.code;
}
