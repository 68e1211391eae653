/* What the Avro reader and writer share. */
#ifndef DF_CONNECTORS_KAFKA_AVRO_INTERNAL_H
#define DF_CONNECTORS_KAFKA_AVRO_INTERNAL_H

#include "avro/schema.h"
#include "connectors/kafka/avro.h"

/* The static schema's text, from the manifest or the file; NULL when there is none. The caller frees. DF_ERR_CONFIG. */
int df_kafka_avro_text(const struct df_kafka_avro_options *options, char **ret, struct df_error *err) df_must_check;

/* Parses; `field` is what the error names. */
int df_kafka_avro_parse(const char *text, const char *field, struct df_avro_schema **ret,
			struct df_error *err) df_must_check;

#endif
