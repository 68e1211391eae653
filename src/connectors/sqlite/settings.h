/* SQLite: what a manifest may say. The names are those of the PostgreSQL connector wherever both have the thing. */
#ifndef DF_CONNECTORS_SQLITE_SETTINGS_H
#define DF_CONNECTORS_SQLITE_SETTINGS_H

#include "connectors/settings.h"

struct df_sqlite_source_settings {
	char *path;
	struct df_polling_settings polling;
	bool auto_create_table;
};

struct df_sqlite_sink_settings {
	char *path;
	struct df_table_sink_settings table_sink;
	char *upsert_strategy;	     /* "always" or "ifNewer" */
	char *upsert_version_column; /* NULL: not written */
	char *soft_delete_column;    /* NULL: not written */
	char *journal_mode;	     /* "wal" or "keep" */
	char *synchronous;	     /* "full" or "normal" */
};

/* Rows that already wait travel together up to this many when batchSize is absent: one transaction. */
#define DF_SQLITE_TOGETHER 1000

/* The driver: source.c and sink.c. */
extern const struct df_source_ops df_sqlite_source_ops;
extern const struct df_sink_ops df_sqlite_sink_ops;

#endif
