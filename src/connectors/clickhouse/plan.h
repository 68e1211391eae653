/* What the source reads: the table or query, its select list, and the columns of its cursor. Found at connect. */
#ifndef DF_CONNECTORS_CLICKHOUSE_PLAN_H
#define DF_CONNECTORS_CLICKHOUSE_PLAN_H

#include "connectors/clickhouse/client.h"
#include "connectors/clickhouse/settings.h"
#include "table/cursor.h"
#include "table/identifier.h"

/* changeTrackingColumn when it is not written. */
#define DF_CH_CHANGE_COLUMN "created_at"

/* A column as DESCRIBE TABLE gives it. */
struct df_ch_described {
	struct df_str name, default_kind; /* DEFAULT, MATERIALIZED, ALIAS, EPHEMERAL or empty */
	struct df_ch_type *type;
};

/* Texts and types are in the arena. Zero-initialised is valid and empty. */
struct df_ch_description {
	struct df_arena arena;
	struct df_ch_described *columns;
	size_t count;
};
/* DESCRIBE TABLE `from` (a quoted name or a query in brackets). Replaces what was there. */
int df_ch_describe(struct df_ch_client *client, struct df_context *ctx, struct df_str from,
		   struct df_ch_description *ret, struct df_error *err) df_must_check;
void df_ch_description_done(struct df_ch_description *description);
const struct df_ch_described *df_ch_described_find(const struct df_ch_description *description, struct df_str name);

struct df_ch_plan {
	const struct df_polling_settings *settings;
	const struct df_logger *logger;
	const char *change_column; /* as written, or the default; NULL: a query that is run whole */
	struct df_ch_description columns;
	struct df_cursor_table *table;	     /* the source's, but for `parameter`; texts are in the buffers below */
	struct df_str legacy_sql;	     /* likewise */
	const struct df_ch_described *t, *k; /* of the cursor; NULL: none. T that is K: only K */
	struct df_buf from, t_sql, k_sql, list, legacy;
};

/* Looks at the table or query and fills the plan. DF_ERR_CONFIG with the fix when there is nothing to read or to order
 * by. */
int df_ch_plan_make(struct df_ch_plan *plan, struct df_ch_client *client, struct df_context *ctx,
		    struct df_error *err) df_must_check;
void df_ch_plan_done(struct df_ch_plan *plan);

/* A position's value as a literal that compares with a column of the type, at full precision. */
void df_ch_literal(struct df_buf *sql, const struct df_ch_type *type, const struct df_cursor_value *v);

/* The value of a row that a cursor looks at. `text` is storage for it. DF_ERR_UNKNOWN: it cannot be a position. */
#define DF_CH_KEY_TEXT 128
int df_ch_cursor_value(const struct df_ch_column *column, size_t row, char text[DF_CH_KEY_TEXT],
		       struct df_cursor_value *ret, struct df_error *err) df_must_check;

#endif
