/* Settings that the table-catalog connectors (nessie, iceberg) share: the manifest reference, section 9. */
#ifndef DF_CONNECTORS_CATALOG_SETTINGS_H
#define DF_CONNECTORS_CATALOG_SETTINGS_H

#include "connectors/settings.h"

struct df_catalog_settings {
	char *warehouse;
	struct df_secret namespace, table;
	char *authentication_type; /* AUTO, BEARER, BASIC, NONE */
	struct df_secret bearer_token;
	struct df_object basic_auth; /* struct df_basic_auth_settings */
};

struct df_catalog_source_settings {
	int32_t poll_interval; /* seconds */
	char *query;	       /* row filter */
	bool incremental_by_snapshot;
	bool snapshot_checkpoints;
	char *start_snapshot_id;
	bool ignored_raw_mode;
};

struct df_catalog_sink_settings {
	struct df_batch_settings batch;
	bool auto_create_table, raw_mode;
	struct df_flatten_metadata_settings flatten_metadata;
	char *s3_endpoint, *s3_region;
	struct df_secret_ref *access_key, *secret_access_key;
};

extern const char *const df_catalog_authentication_values[];
int df_check_snapshot_id(struct df_str text, struct df_error *err); /* unsigned decimal below 2^63 */

/* Rows for a struct S with a member `struct df_catalog_settings catalog`. */
#define DF_CATALOG_FIELDS(S)                                                                                         \
	DF_FIELD(S, catalog.warehouse, "warehouse", 0, .example = "s3://lake/warehouse", .doc = "The warehouse."),   \
		DF_FIELD(S, catalog.namespace, "namespace", DF_REQUIRED | DF_NO_BLANK, .example = "sales",           \
			 .doc = "The namespace of the table."),                                                      \
		DF_FIELD(S, catalog.table, "table", DF_REQUIRED | DF_NO_BLANK, .example = "orders",                  \
			 .doc = "The table."),                                                                       \
		DF_FIELD(S, catalog.authentication_type, "authenticationType", DF_ANY_CASE, .def = "AUTO",           \
			 .values = df_catalog_authentication_values,                                                 \
			 .doc = "How to authenticate. `AUTO`: by the token when there is one, else by `basicAuth`, " \
				"else not "                                                                          \
				"at all."),                                                                          \
		DF_FIELD(S, catalog.bearer_token, "bearerToken", DF_SENSITIVE, .ref = "tokenSecretRef",              \
			 .doc = "A fixed token."),                                                                   \
		DF_FIELD(S, catalog.basic_auth, "basicAuth", 0, .table = &df_basic_auth_table,                       \
			 .doc = "User and password.")

/* Rows for a struct S with a member `struct df_catalog_source_settings source`. */
#define DF_CATALOG_SOURCE_FIELDS(S)                                                                                  \
	DF_FIELD(S, source.poll_interval, "pollInterval", 0, .def = "10", .min = 1, .max = INT32_MAX,                \
		 .doc = "Seconds from the start of one poll to the start of the next."),                             \
		DF_FIELD(S, source.query, "query", 0, .example = "amount > 100",                                     \
			 .doc = "A condition that rows must meet. Not with `incrementalBySnapshot`."),               \
		DF_FIELD(S, source.incremental_by_snapshot, "incrementalBySnapshot", 0,                              \
			 .doc = "Read only what was added since the last snapshot read, instead of the whole table " \
				"every poll."),                                                                      \
		DF_FIELD(S, source.snapshot_checkpoints, "snapshotCheckpoints", 0, .def = "true",                    \
			 .doc = "Keep the last snapshot read in the checkpoint."),                                   \
		DF_FIELD(S, source.start_snapshot_id, "startSnapshotID", 0, .check = df_check_snapshot_id,           \
			 .example = "\"6241134983475\"",                                                             \
			 .doc = "The snapshot to begin after when there is no checkpoint, as a quoted number."),     \
		DF_FIELD(S, source.ignored_raw_mode, "rawMode", DF_IGNORED, .doc = "`rawMode` belongs to the sink.")

#define DF_CATALOG_SOURCE_RULES                          \
	{                                                \
		DF_RULE_FORBIDS,                         \
		{                                        \
			"incrementalBySnapshot", "query" \
		}                                        \
	}

/* Rows for a struct S with a member `struct df_catalog_sink_settings sink`. */
#define DF_CATALOG_SINK_FIELDS(S)                                                                                      \
	DF_BATCH_FIELDS_AT(S, sink.batch, "100"),                                                                      \
		DF_FIELD(S, sink.auto_create_table, "autoCreateTable", 0,                                              \
			 .doc = "Create the table when it is missing, with columns inferred from the first batch."),   \
		DF_FIELD(S, sink.raw_mode, "rawMode", 0,                                                               \
			 .doc = "Store the whole message in the columns `data` and `_metadata` instead of one column " \
				"per key."),                                                                           \
		DF_FLATTEN_METADATA_FIELDS_AT(S, sink.flatten_metadata),                                               \
		DF_FIELD(S, sink.s3_endpoint, "s3Endpoint", 0, .check = df_check_http_url,                             \
			 .example = "https://minio.example:9000", .doc = "The S3 service that holds the data files."), \
		DF_FIELD(S, sink.s3_region, "s3Region", 0, .example = "eu-central-1", .doc = "Its region."),           \
		DF_FIELD(S, sink.access_key, "accessKeySecretRef", 0,                                                  \
			 .doc = "The Secret that holds the S3 access key id."),                                        \
		DF_FIELD(S, sink.secret_access_key, "secretAccessKeySecretRef", 0,                                     \
			 .doc = "The Secret that holds the S3 secret access key.")

#define DF_CATALOG_SINK_RULES                                            \
	DF_FLATTEN_METADATA_RULES,                                       \
	{                                                                \
		DF_RULE_TOGETHER,                                        \
		{                                                        \
			"accessKeySecretRef", "secretAccessKeySecretRef" \
		}                                                        \
	}

/* BEARER needs a token, BASIC needs a complete basicAuth. */
void df_catalog_check(const struct df_catalog_settings *catalog, const struct df_place *place, struct df_diags *diags);

#endif
