/*
 * Trino's client protocol (https://trino.io/docs/current/develop/client-protocol.html): a statement is POSTed, and each
 * answer names the URI of the next one until the query has ended.
 *
 * A client is one session with one coordinator and belongs to one thread at a time.
 */
#ifndef DF_CONNECTORS_TRINO_CLIENT_H
#define DF_CONNECTORS_TRINO_CLIENT_H

#include "connectors/interface.h"
#include "connectors/trino/settings.h"
#include "connectors/trino/types.h"

struct df_trino_client;

/* settings and logger are borrowed. Opens nothing. */
int df_trino_client_new(const struct df_trino_connection *settings, const struct df_logger *logger,
			struct df_trino_client **ret, struct df_error *err) df_must_check;
void df_trino_client_free(struct df_trino_client *client); /* accepts NULL */

struct df_trino_column {
	struct df_str name;
	struct df_trino_type *type;
};

/* One statement and its result. Zero-initialised is valid: none. */
struct df_trino_query {
	struct df_trino_client *client;
	struct df_context *ctx; /* the caller's, with the query's deadline */
	int64_t started_ns;	/* df_clock_monotonic */
	struct df_arena life;	/* what lives as long as the query */
	char *id;
	char *next;			 /* the URI to ask next; NULL: the query has ended */
	char *current;			 /* the URI of the page; NULL: none was asked for yet */
	struct df_trino_column *columns; /* NULL: not known yet */
	size_t column_count;
	int64_t updated; /* rows written, as the server says */
	bool finished;	 /* it ended well */

	/* the page */
	struct df_buf body;
	struct df_arena arena;
	struct df_value *row;	      /* the next row, an array; NULL: the page is used up */
	struct df_trino_spool *spool; /* segments that are still to be fetched; NULL: none */
};

/*
 * Posts the statement and follows it until its columns are known or it has ended. The query must be given to
 * df_trino_query_done in any case, before the client is freed. Errors: what the query failed with (df_trino_error), or
 * the way to the server. The statement does not run before its first answer was asked for, so a POST whose answer was
 * lost has done nothing and is repeated.
 */
int df_trino_query_start(struct df_trino_client *client, struct df_context *ctx, struct df_str sql,
			 struct df_trino_query *query, struct df_error *err) df_must_check;

/* The next row of the result, an array of column_count values, or NULL: the query ended well. The row is good until the
 * next call. Memory holds one page. */
int df_trino_query_row(struct df_trino_query *query, struct df_value **ret, struct df_error *err) df_must_check;

/* Tells the server that its rows are still wanted, as it gives a query up whose client is silent for longer than its
 * query.client.timeout. Failures are found by the next row. */
void df_trino_query_keep(struct df_trino_query *query);

/* Its rows are used up: frees the page before the next one comes, so that only one is there. */
void df_trino_drop_page(struct df_trino_query *query);
/* Runs to the end and drops rows. */
int df_trino_query_finish(struct df_trino_query *query, struct df_error *err) df_must_check;

/* Frees it; a query that has not ended is cancelled first (DELETE). Accepts a zeroed one. */
void df_trino_query_done(struct df_trino_query *query);

/* One statement whose result nobody needs. */
int df_trino_execute(struct df_trino_client *client, struct df_context *ctx, struct df_str sql,
		     struct df_error *err) df_must_check;

/* Sets err from an answer's `error` object; the code by errorType and errorName (connectors reference, section 8). */
int df_trino_error(const struct df_value *error, struct df_arena *arena, struct df_error *err);

#define DF_TRINO_LOST "QUERY_LOST" /* err->remote: the server no longer knows the query; how it ended is unknown */

#endif
