/* What the sink writes to: the table, its columns and engine, and the SQL for it. Private to the sink. */
#ifndef DF_CONNECTORS_CLICKHOUSE_TARGET_H
#define DF_CONNECTORS_CLICKHOUSE_TARGET_H

#include "connectors/clickhouse/plan.h"
#include "connectors/clickhouse/settings.h"
#include "table/raw.h"
#include "table/rows.h"

struct df_ch_target {
	const struct df_clickhouse_sink_settings *settings;
	const struct df_logger *logger;
	struct df_ch_client *client;
	struct df_table_name name;
	struct df_strings key;		      /* conflictKey; may be empty */
	struct df_raw *raw;		      /* NULL: column mode */
	struct df_ch_description description; /* empty while the table does not exist */
	struct df_columns columns;	      /* the same, as rows are mapped to it */
	size_t key_columns[8], key_count;     /* conflictKey among the columns */
	bool raw_apart;			      /* raw mode: the table has a column _metadata */
	bool deduplicates;		      /* the engine drops a block that is inserted twice */
	size_t deleted; /* column that marks a deleted row (the engine's is_deleted), or DF_NO_COLUMN */
};

/* The table's name and key. Nothing is asked of the server. */
int df_ch_target_init(struct df_ch_target *target, struct df_error *err) df_must_check;
void df_ch_target_done(struct df_ch_target *target);

/*
 * Reads the table's columns again, and checks what can be checked before a row comes. *ret_exists false: there is no
 * such table, and autoCreateTable makes it. DF_ERR_CONFIG with the fix.
 */
int df_ch_target_load(struct df_ch_target *target, struct df_context *ctx, bool *ret_exists,
		      struct df_error *err) df_must_check;

/* Creates the table for these rows; with NULL, raw mode's fixed one. Call df_ch_target_load afterwards. */
int df_ch_target_create(struct df_ch_target *target, struct df_context *ctx, const struct df_inference *rows,
			struct df_error *err) df_must_check;

/* `INSERT INTO db.table (columns) FORMAT Native`. */
void df_ch_target_insert(const struct df_ch_target *target, const struct df_column_set *set, struct df_buf *sql);

#endif
