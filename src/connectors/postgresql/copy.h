/*
 * COPY ... FROM STDIN (FORMAT binary): a stream of rows to the server (PostgreSQL manual, COPY, "Binary Format").
 *
 *   df_pg_copy_begin(pg, ctx, "BEGIN; COPY ...", ...)    statements before the COPY are run first
 *   df_pg_copy_send(pg, ctx, rows)*                      whole rows: a field count, then fields
 *   df_pg_copy_end(pg, ctx, ...)
 *
 * After an error nothing is under way any more, unless the connection is broken; a transaction is still to be rolled
 * back.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_COPY_H
#define DF_CONNECTORS_POSTGRESQL_COPY_H

#include "connectors/postgresql/connection.h"

/* What the server says of the row that made it fail. */
struct df_pg_culprit {
	uint64_t row; /* of the COPY, from 1; 0: it does not say */
};

int df_pg_copy_begin(struct df_pg *pg, struct df_context *ctx, const char *sql, struct df_error *err) df_must_check;

/* Returns as soon as the rest fits into libpq's buffer; errors of the server come with df_pg_copy_end. */
int df_pg_copy_send(struct df_pg *pg, struct df_context *ctx, struct df_str rows, struct df_error *err) df_must_check;

/* table: the name that the server's texts call it by, without its schema. */
int df_pg_copy_end(struct df_pg *pg, struct df_context *ctx, const char *table, struct df_pg_culprit *ret_culprit,
		   struct df_error *err) df_must_check;
/* Makes the server forget the COPY: it fails. */
int df_pg_copy_abort(struct df_pg *pg, struct df_context *ctx) df_must_check;

/* Runs a statement and counts the rows it touched (of the last one, when there are several). */
int df_pg_exec_count(struct df_pg *pg, struct df_context *ctx, const char *sql, uint64_t *ret_rows,
		     struct df_error *err) df_must_check;

/* "COPY orders, line 3, column qty: ..." of table orders: 3. 0: it does not say. */
uint64_t df_pg_copy_line(const char *context, const char *table);

#endif
