/*
 * The polling source of row-shaped stores: what SQLite, PostgreSQL, ClickHouse and Trino share of the connectors
 * reference, section 3. The store opens a statement and hands out rows; everything else is here: the parts of a poll,
 * tie groups, limits, overlap, positions, the checkpoint, batches, the fixed rate, the end of batch use.
 *
 * A store's source struct begins with struct df_polling_source. Its ops table uses df_polling_restore and
 * df_polling_commit, df_polling_describe, and its `read` calls df_polling_read.
 */
#ifndef DF_CONNECTORS_POLLING_H
#define DF_CONNECTORS_POLLING_H

#include "connectors/base.h"
#include "connectors/settings.h"
#include "table/cursor.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_polling_source;

/* The values that the cursor looks at, of the current row; good until the next row. */
struct df_polling_key {
	struct df_cursor_value t, k; /* kind NONE: the result has no such column */
};

enum { DF_POLLING_CHANGED = 1 }; /* open: nothing was run; `table` has changed, ask again with its SQL */

/* What a store provides. One thread: the one in df_polling_read. */
struct df_polling_ops {
	/* Runs one SELECT; rows are then asked for. params: of the cursor, for stores that bind them; none for a legacy
	 * query. sql is good until end. 0, DF_POLLING_CHANGED, or a code. */
	int (*open)(struct df_polling_source *s, struct df_context *ctx, struct df_str sql,
		    const struct df_cursor_params *params, struct df_error *err);
	/* The next row. *ret_row false: the statement has ended well. */
	int (*next)(struct df_polling_source *s, struct df_context *ctx, bool *ret_row, struct df_error *err);
	/* The current row's cursor values; not asked of a legacy query. DF_ERR_UNKNOWN: a value that cannot be a
	 * position. */
	int (*key)(struct df_polling_source *s, struct df_polling_key *ret, struct df_error *err);
	/* A new batch is filled, between open and end: keys that its messages share go into its arena. NULL: nothing to
	 * do. DF_ERR_NO_MEMORY. */
	int (*begin)(struct df_polling_source *s, struct df_arena *arena, struct df_error *err);
	/* The current row as document and metadata (or `failure`); adds its size to *bytes. */
	int (*row)(struct df_polling_source *s, struct df_message *m, struct df_arena *arena, size_t *bytes,
		   struct df_error *err);
	/* Downstream is full, and has been for some seconds: called again and again until it is not, for servers that
	 * give up a statement whose rows nobody asks for. Errors are found by `next`. NULL: nothing to do. */
	void (*keep)(struct df_polling_source *s);
	/* The statement is over, or given up. Accepts one that is not open. */
	void (*end)(struct df_polling_source *s);
};

struct df_polling_source {
	struct df_base_connector base;
	const struct df_polling_ops *store;
	const struct df_polling_settings *settings;
	/* Filled in by the store's connect, before the first read. */
	struct df_cursor_table table; /* F, T, K, their SQL. Its `limit` NULL: the reader stops a statement itself;
					 df_cursor_limit: the tie group that it cuts is read again */
	struct df_str legacy_sql;     /* what a legacy query runs; empty: the query as it is written */

	/* Private. */
	struct df_cursor *cursor;
	struct df_cursor_source identity;
	struct df_poll poll;
	struct df_partition *partition;
	int64_t row_number;
	bool null_k_read; /* the part DF_CURSOR_NULL_K was read */
};

/* For create and free. change_column: the store's default when neither changeTrackingColumn nor a query is written.
 * store and settings are borrowed. done accepts a zeroed source. DF_ERR_NO_MEMORY. */
int df_polling_init(struct df_polling_source *s, const struct df_polling_ops *store,
		    const struct df_polling_settings *settings, const char *change_column,
		    struct df_error *err) df_must_check;
void df_polling_done(struct df_polling_source *s);

/* The tracking column: as written, or the store's default; NULL: a query that is run whole. */
const char *df_polling_change_column(const struct df_polling_source *s);

/* `query` without changeTrackingColumn: it runs whole at every poll, without a position. */
bool df_polling_is_legacy(const struct df_polling_settings *settings);

/*
 * What the store found of T (change_column) and K. Of a table one is enough, and what is missing is told in the log; a
 * query must give both. where: what stands behind a table's name, " in FILE", or "". DF_ERR_CONFIG.
 */
int df_polling_check_columns(const struct df_polling_settings *settings, const char *change_column,
			     const struct df_logger *logger, const char *where, bool has_t, bool has_k,
			     struct df_error *err) df_must_check;

/* The ops `restore`, `commit` and `describe` of the source. */
int df_polling_restore(struct df_source *s, const struct df_value *checkpoint, struct df_error *err);
int df_polling_commit(struct df_source *s, const struct df_commit *commits, size_t count, struct df_value *checkpoint,
		      struct df_arena *arena, struct df_error *err);
int df_polling_describe(struct df_source *s, const struct df_commit *commits, size_t count, struct df_value *checkpoint,
			struct df_arena *arena, struct df_error *err);

/* Polls until the end (batch use), cancellation or an error. The caller holds what the store needs to run statements.
 */
int df_polling_read(struct df_polling_source *s, struct df_context *ctx, struct df_emitter *out,
		    struct df_error *err) df_must_check;

#pragma GCC visibility pop

#endif
