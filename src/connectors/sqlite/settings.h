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
	bool exactly_once;
};

/* Are rows upserted? Raw rows have a key only among flattened metadata. */
static inline bool df_sqlite_upserts(const struct df_sqlite_sink_settings *settings)
{
	const struct df_table_sink_settings *t = &settings->table_sink;

	return t->upsert_mode && (!t->raw_mode || (t->flatten_metadata.columns && t->conflict_key));
}

/* Does a message with `operation: delete` remove (or mark) a row, or is it written like any other? */
static inline bool df_sqlite_removes(const struct df_sqlite_sink_settings *settings)
{
	return df_sqlite_upserts(settings) || (settings->soft_delete_column && !settings->table_sink.raw_mode);
}

/* Rows that already wait travel together up to this many when batchSize is absent: one transaction. */
#define DF_SQLITE_TOGETHER 1000

/* The driver: source.c and sink.c. */
extern const struct df_source_ops df_sqlite_source_ops;
extern const struct df_sink_ops df_sqlite_sink_ops;

#endif
