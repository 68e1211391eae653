/* mydb: what a manifest may say, and the connector's descriptor. */
#ifndef MYDB_SETTINGS_H
#define MYDB_SETTINGS_H

#include <dataflow/connector.h>

struct mydb_source_settings {
	struct df_secret connection_string;
	char *stream;
	char *start_id;
	int32_t read_batch_size;
	int32_t poll_interval; /* seconds */
};

struct mydb_sink_settings {
	struct df_secret connection_string;
	char *stream, *hash; /* one of them */
	char *conflict_key;
	bool upsert_mode, raw_mode;
	struct df_batch_settings batch;
};

extern const struct df_source_ops mydb_source_ops; /* source.c */
extern const struct df_sink_ops mydb_sink_ops;	   /* sink.c */
extern const struct df_connector df_connector_mydb;

#endif
