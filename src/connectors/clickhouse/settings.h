/* Settings of the clickhouse connector: the manifest reference, section 7. */
#ifndef DF_CONNECTORS_CLICKHOUSE_SETTINGS_H
#define DF_CONNECTORS_CLICKHOUSE_SETTINGS_H

#include "connectors/settings.h"

struct df_clickhouse_source_settings {
	struct df_secret connection_string;
	struct df_polling_settings polling;
	bool ignored_raw_mode;
};

struct df_clickhouse_sink_settings {
	struct df_secret connection_string;
	struct df_table_sink_settings table_sink;
	char *table_engine; /* MergeTree, ReplacingMergeTree; NULL: by upsertMode */
	char *replacing_version_column;
};

/* Does the table that the sink creates replace rows of one key? */
bool df_clickhouse_replacing(const struct df_clickhouse_sink_settings *settings);

/* Rows that already wait travel together up to this many when batchSize is absent. */
#define DF_CLICKHOUSE_TOGETHER 500
/* A part per flush is dear: large batches may go out whole. */
#define DF_CLICKHOUSE_FLUSH_BYTES ((size_t)32 << 20)

/* The driver: source.c and sink.c. */
extern const struct df_source_ops df_clickhouse_source_ops;
extern const struct df_sink_ops df_clickhouse_sink_ops;

#endif
