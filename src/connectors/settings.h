/* Settings blocks that several connectors share: the manifest reference, section 7, "Shared blocks". */
#ifndef DF_CONNECTORS_SETTINGS_H
#define DF_CONNECTORS_SETTINGS_H

#include "connectors/interface.h"

/* ---- batch fields ---------------------------------------------------------------------------------------------- */

struct df_batch_settings {
	struct df_opt_int size;
	int32_t interval_seconds;
};

/* Two rows for a struct S with a member `struct df_batch_settings batch`. */
#define DF_BATCH_FIELDS(S)                                                                                             \
	DF_FIELD(S, batch.size, "batchSize", 0, .min = 0, .max = INT32_MAX, .example = "500",                          \
		 .doc = "Rows a flush waits for. Absent: the type's default, and rows that already wait travel together. " \
			"0: only the timer and the limits flush."),                                                    \
	DF_FIELD(S, batch.interval_seconds, "batchFlushIntervalSeconds", 0, .def = "10", .min = 0, .max = INT32_MAX,    \
		 .doc = "Seconds after the first waiting row when a flush happens even if `batchSize` was not reached. " \
			"0: no timer.")

/* ---- flatten metadata -------------------------------------------------------------------------------------------- */

struct df_flatten_metadata_settings {
	bool columns;
	char *prefix;
};

#define DF_FLATTEN_METADATA_FIELDS(S)                                                                                  \
	DF_FIELD(S, flatten_metadata.columns, "flattenMetadataColumns", 0,                                             \
		 .doc = "With `rawMode`: one column per metadata key instead of one `_metadata` column."),             \
	DF_FIELD(S, flatten_metadata.prefix, "flattenMetadataColumnsPrefix", 0, .def = "",                             \
		 .check = df_check_identifier, .doc = "Prefix of those columns.")

/* ---- tls, sasl, basic auth ------------------------------------------------------------------------------------------ */

struct df_tls_settings {
	bool insecure_skip_verify;
	char *ca_file, *cert_file, *key_file;
	struct df_secret_ref *ca_ref, *cert_ref, *key_ref;
};
extern const struct df_table df_tls_table;

struct df_sasl_settings {
	char *mechanism;
	struct df_secret username, password;
};
extern const struct df_table df_sasl_table;

struct df_basic_auth_settings {
	struct df_secret username, password;
};
extern const struct df_table df_basic_auth_table;

#endif
