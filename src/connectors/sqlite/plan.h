/* What the source reads: the table or query, and the columns of its cursor. Found at connect. Private to the source. */
#ifndef DF_CONNECTORS_SQLITE_PLAN_H
#define DF_CONNECTORS_SQLITE_PLAN_H

#include "connectors/sqlite/db.h"
#include "connectors/sqlite/settings.h"
#include "table/cursor.h"

/* changeTrackingColumn when it is not written; with the second one as PostgreSQL's source has it. */
#define DF_SQLITE_CHANGE_COLUMN "updated_at"
#define DF_SQLITE_CHANGE_FALLBACK "created_at"

struct df_sqlite_plan {
	const struct df_sqlite_source_settings *settings;
	const struct df_logger *logger;
	struct df_sqlite *db;
	const char *change_column;		       /* as written, or the default; NULL: a query that is run whole */
	const char *t_name, *t_fallback_name, *k_name; /* columns of the cursor; NULL: none */
	struct df_cursor_table table;		       /* texts are in the buffers below */
	struct df_buf from, t, k;
};

/* Opens the database (creating the table if asked to), looks at the table or query, and fills the plan. DF_ERR_CONFIG
 * with the fix when there is nothing to read or to order by. */
int df_sqlite_plan_make(struct df_sqlite_plan *plan, struct df_error *err) df_must_check;
void df_sqlite_plan_done(struct df_sqlite_plan *plan);

#endif
