/* Settings of the postgresql-cdc connector: the manifest reference, section 9. */
#ifndef DF_CONNECTORS_POSTGRESQL_CDC_SETTINGS_H
#define DF_CONNECTORS_POSTGRESQL_CDC_SETTINGS_H

#include "connectors/settings.h"

struct df_postgresql_cdc_settings {
	struct df_secret connection_string, slot_name, publication_name;
	struct df_strings tables; /* `schema.table` or `table` */
	char *snapshot_mode;	  /* initial, never, always */
	bool create_slot, create_publication;
	char *plugin; /* pgoutput */
	int32_t heartbeat_interval_seconds;
	char *primary_key_column;
	struct df_strings include_columns, exclude_columns;
	char *envelope_format; /* row, debezium */
};

#endif
