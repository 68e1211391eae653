/* Kafka's error codes, sorted into ours: the connectors reference, section 5, last table. Private to the connector. */
#ifndef DF_CONNECTORS_KAFKA_ERRORS_H
#define DF_CONNECTORS_KAFKA_ERRORS_H

#include <librdkafka/rdkafka.h>

#include "base/error.h"

/* What a code of the broker's or of librdkafka's means for the message or the connection: an enum df_code. */
int df_kafka_code(rd_kafka_resp_err_t code);

/* Only a new producer can go on: its sequence numbers are not what the broker has. */
bool df_kafka_rebuild(rd_kafka_resp_err_t code);

/* The consumer group gave this member's partitions to others, so the offsets it wanted to commit are not its own. */
bool df_kafka_group_left(rd_kafka_resp_err_t code);

/* Sets code, text "<fmt>: <Kafka's words>" and Kafka's name of the code as `remote`. */
int df_kafka_error(struct df_error *err, rd_kafka_resp_err_t code, const char *fmt, ...) df_printf(3, 4);

#endif
