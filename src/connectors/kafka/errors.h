/* Kafka's error codes, sorted into ours: the connectors reference, section 5, last table. Private to the connector. */
#ifndef DF_CONNECTORS_KAFKA_ERRORS_H
#define DF_CONNECTORS_KAFKA_ERRORS_H

#include <librdkafka/rdkafka.h>

#include "base/error.h"

/* What a code of the broker's or of librdkafka's means for the message or the connection: an enum df_code. */
int df_kafka_code(rd_kafka_resp_err_t code);

/* Sets code, text "<fmt>: <Kafka's words>" and Kafka's name of the code as `remote`. */
int df_kafka_error(struct df_error *err, rd_kafka_resp_err_t code, const char *fmt, ...) df_printf(3, 4);

#endif
