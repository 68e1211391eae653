/*
 * One statement of the source, and its rows as messages: COPY (SELECT ...) TO STDOUT (FORMAT BINARY), behind a SELECT
 * without rows that tells the columns in the same transaction. Beside a result in single-row mode, a row costs no
 * PGresult and no allocation. Private to the source.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_SOURCE_ROWS_H
#define DF_CONNECTORS_POSTGRESQL_SOURCE_ROWS_H

#include "connectors/postgresql/source_plan.h"

/* A field of the current row; ptr NULL: null. */
struct df_pg_rows {
	struct df_pg *pg;
	const struct df_pg_source_plan *plan;
	struct df_context *ctx; /* of the read that opened the statement */
	bool open;		/* the server may still have something to say */
	bool begun;		/* the header was read */

	char *data; /* what came and is not used up: whole rows */
	size_t len, cap, at;
	size_t row_start; /* of the current row, in data */
	struct df_str *fields;
	size_t field_count, field_cap;

	char t_text[DF_PG_TIME_MAX], k_text[DF_PG_TIME_MAX];
	struct df_arena scratch; /* of the key's values */

	struct df_value *template; /* in the batch's arena: the columns' keys, then those of the metadata */
};

/* Runs the statement. 1: the columns have changed, and nothing is open; the plan must be made again. */
int df_pg_rows_open(struct df_pg_rows *r, struct df_pg *pg, const struct df_pg_source_plan *plan,
		    struct df_context *ctx, struct df_str sql, struct df_error *err) df_must_check;
/* Ends the statement, also in the middle. Accepts one that is not open. */
void df_pg_rows_end(struct df_pg_rows *r);
void df_pg_rows_done(struct df_pg_rows *r);

/* As the polling source asks. */
int df_pg_rows_next(struct df_pg_rows *r, bool *ret_row, struct df_error *err) df_must_check;
int df_pg_rows_key(struct df_pg_rows *r, struct df_polling_key *ret, struct df_error *err) df_must_check;
int df_pg_rows_begin(struct df_pg_rows *r, struct df_arena *arena, struct df_error *err) df_must_check;
int df_pg_rows_message(struct df_pg_rows *r, struct df_message *m, struct df_arena *arena, size_t *bytes,
		       struct df_error *err) df_must_check;

#endif
