/* Settings of the postgresql connector: the manifest reference, section 7. */
#ifndef DF_CONNECTORS_POSTGRESQL_SETTINGS_H
#define DF_CONNECTORS_POSTGRESQL_SETTINGS_H

#include "connectors/settings.h"

struct df_postgresql_source_settings {
	struct df_secret connection_string;
	int32_t connection_timeout; /* seconds */
	struct df_polling_settings polling;
	bool auto_create_table;
	bool ignored_raw_mode;
};

struct df_postgresql_sink_settings {
	struct df_secret connection_string;
	int32_t connection_timeout; /* seconds */
	struct df_table_sink_settings table_sink;
	char *upsert_strategy; /* always, ifNewer */
	char *upsert_version_column;
	char *soft_delete_column;
	bool exactly_once;
};

#define DF_POSTGRESQL_NAME_BYTES 63 /* NAMEDATALEN - 1: the server cuts a longer name */

/* Rows that already wait travel together up to this many when batchSize is absent. */
#define DF_POSTGRESQL_TOGETHER 100

/* The driver's: sink.c. */
extern const struct df_sink_ops df_postgresql_sink_ops;

/* The driver: source.c and sink.c. */
extern const struct df_source_ops df_postgresql_source_ops;

#endif
