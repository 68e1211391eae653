/*
 * The SQL for rows of one column set, or for deletes: made once, and forgotten when the table is read again. Private to
 * the sink.
 *
 * A row's bytes are those of COPY BINARY, its fields in the order of `slots`. There are three ways to the table:
 *   copy_sql                       straight into it, where nothing can conflict
 *   stage_sql, fill_sql, merge_sql a temporary table, made once a connection, and one statement from there; its first
 *                                  field is the row's place in the flush
 *   row_sql                        one prepared statement a row, the fields as its parameters
 */
#ifndef DF_CONNECTORS_POSTGRESQL_TARGET_PLAN_H
#define DF_CONNECTORS_POSTGRESQL_TARGET_PLAN_H

#include "connectors/postgresql/target.h"

/* One field of a row. */
struct df_pg_slot {
	const struct df_column *column;
	const struct df_pg_column *detail;
	bool required; /* null is refused here: a key or version, or a column that is NOT NULL whatever happens */
	bool key;
};

struct df_pg_plan {
	bool removes;	 /* deletes (or marks) rows by their keys; else inserts or upserts */
	bool counts_old; /* rows that merge_sql or row_sql did not touch stood there already */
	bool staged;	 /* stage_sql was run on this connection */
	bool prepared;	 /* row_sql was prepared on this connection */
	unsigned number; /* of this connection: in the names of the temporary table and the statement */
	char name[32];	 /* of the prepared statement */
	char *copy_sql;	 /* NULL: not possible */
	char *stage_sql, *unstage_sql, *fill_sql, *empty_sql;
	char *merge_sql;      /* no key twice */
	char *merge_last_sql; /* keys may stand twice; NULL: that does not matter */
	char *row_sql;
	uint32_t *types; /* of the parameters */
	char *lacks;	 /* every row of this set fails: why; NULL: they do not */
	size_t count;
	struct df_pg_slot slots[];
};

/* For rows of the set; set NULL: for deletes. number must not repeat on a connection. DF_ERR_NO_MEMORY. */
int df_pg_plan_new(const struct df_pg_target *target, const struct df_column_set *set, unsigned number,
		   struct df_pg_plan **ret, struct df_error *err) df_must_check;
void df_pg_plan_free(struct df_pg_plan *plan);

#endif
