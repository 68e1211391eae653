/* What the sink writes to: the table, its key, and the statements for it. Private to the sink: sink.c runs them. */
#ifndef DF_CONNECTORS_SQLITE_TARGET_H
#define DF_CONNECTORS_SQLITE_TARGET_H

#include "connectors/sqlite/db.h"
#include "connectors/sqlite/settings.h"
#include "table/raw.h"
#include "table/rows.h"

struct df_sqlite_target {
	const struct df_sqlite_sink_settings *settings;
	struct df_sqlite *db;
	const char *table;
	struct df_strings key;	   /* of upserts and deletes: conflictKey, else the primary key; may be empty */
	struct df_columns columns; /* empty while the table does not exist */
	struct df_raw *raw;	   /* NULL: column mode */
};

/*
 * Reads the table's columns again, and checks what can be checked before a row comes: that the table is there (unless
 * it is to be created), raw mode's columns, the key of an upsert, the version and soft delete columns. DF_ERR_CONFIG
 * with the fix.
 */
int df_sqlite_target_load(struct df_sqlite_target *target, struct df_error *err) df_must_check;

/* Creates the table for these rows; with NULL, raw mode's fixed one. Call df_sqlite_target_load afterwards. */
int df_sqlite_target_create(struct df_sqlite_target *target, const struct df_inference *rows,
			    struct df_error *err) df_must_check;

/* The INSERT or upsert of a column set. */
struct df_sqlite_insert {
	sqlite3_stmt *stmt;
	size_t required_count;
	size_t required[]; /* slots that must not be null: key columns and the version column of an upsert */
};

/* DF_ERR_INVALID_DATA: the set lacks a column that an upsert needs. */
int df_sqlite_insert_new(struct df_sqlite_target *target, const struct df_column_set *set,
			 struct df_sqlite_insert **ret, struct df_error *err) df_must_check;
void df_sqlite_insert_free(struct df_sqlite_insert *insert);

/* The DELETE, or the UPDATE of the soft delete column, by the key: one parameter a key column. */
int df_sqlite_remove_prepare(struct df_sqlite_target *target, sqlite3_stmt **ret, struct df_error *err) df_must_check;

#endif
