/* What the source reads: the table or query, its columns, and the SQL of its cursor. Found at connect, and again when
 * the columns have changed. Private to the source. */
#ifndef DF_CONNECTORS_POSTGRESQL_SOURCE_PLAN_H
#define DF_CONNECTORS_POSTGRESQL_SOURCE_PLAN_H

#include "connectors/polling.h"
#include "connectors/postgresql/settings.h"
#include "connectors/postgresql/types.h"
#include "table/identifier.h"

/* changeTrackingColumn when it is not written, and what stands in for its NULL. */
#define DF_PG_CHANGE_COLUMN "updated_at"
#define DF_PG_CHANGE_FALLBACK "created_at"

#define DF_PG_NO_COLUMN SIZE_MAX

/* A column of the rows. */
struct df_pg_column {
	char *name;
	uint32_t oid;		       /* as the query gives it */
	const struct df_pg_type *type; /* as it is read: of the text when oid is of a type without a decoder */
	struct df_str key;	       /* the name in the arena of the batch that is being filled */
};

/* How the cursor reads T or K from a row. */
struct df_pg_key_column {
	size_t column; /* DF_PG_NO_COLUMN: none */
	size_t text;   /* a hidden column with its text, when the value itself cannot be a position */
};

struct df_pg_source_plan {
	const struct df_postgresql_source_settings *settings;
	const struct df_logger *logger;
	const char *change_column; /* as written, or the default; NULL: a query that is run whole */

	struct df_pg_types types;
	struct df_pg_column *columns;
	size_t count;  /* of the query's columns */
	size_t hidden; /* fields of a row behind them */
	struct df_pg_key_column t, t_fallback, k;
	size_t created_at, updated_at; /* of the metadata `operation`; DF_PG_NO_COLUMN: there is no such timestamp */

	struct df_cursor_table table; /* without `parameter`; texts are in the buffers below */
	struct df_buf select, from, t_sql, k_sql;
	struct df_buf probe;  /* a SELECT of the same columns without rows */
	struct df_buf legacy; /* the statement of a legacy query */
};

/* Looks at the table or query. DF_ERR_CONFIG with the fix when there is nothing to read or to order by. */
int df_pg_source_plan_make(struct df_pg_source_plan *p, struct df_pg *pg, struct df_context *ctx,
			   struct df_error *err) df_must_check;
/* Does the result of the probe have the columns that the plan knows? */
bool df_pg_source_plan_holds(const struct df_pg_source_plan *p, const PGresult *probe);
/* Appends a value of T (else K) as a literal. It takes the type of the column that it is compared with; only of a type
 * that is not built in that is said, because a row would else be one of no type. */
void df_pg_source_plan_literal(const struct df_pg_source_plan *p, struct df_buf *sql, bool of_t,
			       const struct df_cursor_value *v);
void df_pg_source_plan_done(struct df_pg_source_plan *p);

#endif
