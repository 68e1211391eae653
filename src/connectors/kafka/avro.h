/*
 * Avro values of Kafka records (connectors reference, section 5): the reader for sources, the writer for sinks. Both
 * take schemas from a registry with Confluent's API or from the manifest. Each belongs to one thread at a time.
 *
 * With a registry, values are framed: a zero byte, the schema's id (4 bytes, big endian), Avro binary. Without, they
 * are bare Avro binary; the reader then accepts a frame too, when the value decodes only without it.
 */
#ifndef DF_CONNECTORS_KAFKA_AVRO_H
#define DF_CONNECTORS_KAFKA_AVRO_H

#include "base/cleanup.h"
#include "base/context.h"
#include "base/error.h"
#include "base/str.h"
#include "connectors/kafka/settings.h"
#include "value/value.h"

/* What the settings say; all borrowed for the life of the reader or writer. NULL: absent. */
struct df_kafka_avro_options {
	const struct df_schema_registry_settings *registry;
	const char *schema;	   /* JSON text */
	const char *schema_file;   /* path of one, read by _new */
	const char *reader_schema; /* reader: what documents shall look like, whatever the writer's schema; JSON text */
	const char *subject;	   /* writer: NULL: <topic>-value */
	bool auto_register;	   /* writer: register the schema when the subject does not have it */
};

/* ---- reader ---------------------------------------------------------------------------------------------- */

struct df_kafka_avro_reader;

/* For connect: reads and parses static schemas, asks the registry nothing. DF_ERR_CONFIG. */
int df_kafka_avro_reader_new(const struct df_kafka_avro_options *options, struct df_kafka_avro_reader **ret,
			     struct df_error *err) df_must_check;
void df_kafka_avro_reader_free(struct df_kafka_avro_reader *reader); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_kafka_avro_reader *, df_kafka_avro_reader_free)

/* A new batch: what is decoded from now on goes into this arena (documents of one batch share their keys). */
void df_kafka_avro_reader_batch(struct df_kafka_avro_reader *reader, struct df_arena *arena);

/*
 * One value, not empty, to a document in the batch's arena. Texts of the document point into `payload`, which must live
 * as long as the arena. Asks the registry when the schema is new, within ctx.
 *
 * DF_ERR_INVALID_DATA: this record is poison (no frame, unknown schema id, bytes that do not fit the schema, left-over
 * bytes). DF_ERR_CONNECTION, _TIMEOUT, _TRANSIENT: the registry does not answer now, this record is to be tried again.
 * DF_ERR_AUTH: the registry refuses us. DF_ERR_CANCELED, DF_ERR_NO_MEMORY.
 */
int df_kafka_avro_reader_decode(struct df_kafka_avro_reader *reader, struct df_context *ctx, struct df_str payload,
				struct df_value **ret, struct df_error *err) df_must_check;

/* ---- writer ---------------------------------------------------------------------------------------------- */

struct df_kafka_avro_writer;

/* For connect: reads and parses a static schema, asks the registry nothing. DF_ERR_CONFIG. */
int df_kafka_avro_writer_new(const struct df_kafka_avro_options *options, struct df_kafka_avro_writer **ret,
			     struct df_error *err) df_must_check;
void df_kafka_avro_writer_free(struct df_kafka_avro_writer *writer); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_kafka_avro_writer *, df_kafka_avro_writer_free)

/*
 * Makes sure that the schema for this topic is known: looks it up, or registers it, or takes the subject's latest.
 * Encode does so too; for connect, so that a wrong subject is told before the first message. Errors as for encode, and
 * DF_ERR_CONFIG: the registry has no such subject, or refuses the schema as incompatible.
 */
int df_kafka_avro_writer_prepare(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct df_str topic,
				 struct df_error *err) df_must_check;

/*
 * Appends the document's value to buf, framed when there is a registry. `arena` is for what is needed on the way. On an
 * error buf is as it was.
 * DF_ERR_INVALID_DATA, naming the field: the document does not fit the schema. Others as for the reader.
 */
int df_kafka_avro_writer_encode(struct df_kafka_avro_writer *writer, struct df_context *ctx, struct df_str topic,
				struct df_value *document, struct df_arena *arena, struct df_buf *buf,
				struct df_error *err) df_must_check;

#endif
