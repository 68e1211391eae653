/* A client of a schema registry with Confluent's REST API. Stateless: what is worth keeping is kept by the callers. */
#ifndef DF_CONNECTORS_KAFKA_REGISTRY_H
#define DF_CONNECTORS_KAFKA_REGISTRY_H

#include "avro/schema.h"
#include "base/context.h"
#include "connectors/kafka/settings.h"

struct df_kafka_registry; /* for one thread at a time */

/* settings: borrowed for the client's life. Opens nothing. */
int df_kafka_registry_new(const struct df_schema_registry_settings *settings, struct df_kafka_registry **ret,
			  struct df_error *err) df_must_check;
void df_kafka_registry_free(struct df_kafka_registry *registry); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_kafka_registry *, df_kafka_registry_free)

/*
 * All of them: DF_ERR_CONNECTION, DF_ERR_TIMEOUT, DF_ERR_TRANSIENT (5xx, 429): later perhaps. DF_ERR_AUTH.
 * DF_ERR_CONFIG: what answers is no registry, or refuses what it was asked. Each asks at most 30 s, within ctx.
 */

/* The schema of this id with the schemas that it refers to; the caller frees it. DF_ERR_INVALID_DATA: the registry does
 * not know the id, or it is that of a schema of another kind, or of one that is none. */
int df_kafka_registry_schema(struct df_kafka_registry *registry, struct df_context *ctx, uint32_t id,
			     struct df_avro_schema **ret, struct df_error *err) df_must_check;

/* The newest schema of a subject and its id; the caller frees it. DF_ERR_CONFIG: the subject has none. */
int df_kafka_registry_latest(struct df_kafka_registry *registry, struct df_context *ctx, const char *subject,
			     uint32_t *ret_id, struct df_avro_schema **ret, struct df_error *err) df_must_check;

/* The id of this schema (JSON text) under a subject, registered if it is not there yet and `registers`. DF_ERR_CONFIG:
 * it is not there, or is incompatible with those that are. */
int df_kafka_registry_id(struct df_kafka_registry *registry, struct df_context *ctx, const char *subject,
			 const char *schema, bool registers, uint32_t *ret_id, struct df_error *err) df_must_check;

#endif
