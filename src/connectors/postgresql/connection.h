/*
 * One connection to a PostgreSQL server: opening it, statements, errors, cancelling. Shared by the source and the sink.
 *
 * Everything blocks and ends when the context is cancelled or its deadline passes; what runs on the server is then
 * cancelled there, and the connection is of no use any more. A connection belongs to the thread that holds the
 * connector's lock; nothing here may be called by two threads at once.
 *
 * libpq's own functions may be used on `pg->conn` between these (PQsend..., PQputCopyData ...); waiting for the socket
 * is done here.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_CONNECTION_H
#define DF_CONNECTORS_POSTGRESQL_CONNECTION_H

#include "base/cleanup.h"
#include "base/context.h"
#include "base/log.h"
#include "base/str.h"
#include "connectors/interface.h"
#include "connectors/postgresql/libpq.h"

struct df_pg {
	PGconn *conn; /* NULL: closed */
	const struct df_logger *logger;
	char *server; /* "PostgreSQL at HOST:PORT", for texts; NULL before the first connection */
	bool broken;  /* given up in mid-statement: only closing helps */
};

struct df_pg_options {
	const char *connection_string; /* a URL or key=value pairs; never in a text */
	int32_t timeout_seconds;       /* for opening, of each host */
	const struct df_connector_env *env;
	bool read_only; /* transactions cannot write unless they say so */
};

/* ---- life ------------------------------------------------------------------------------------------------ */

/*
 * Connects to the first host that will do. Zero-initialised pg is valid and closed. Session settings are those of the
 * connectors reference, section 6 (UTF8, UTC, ISO texts). DF_ERR_CONFIG: the connection string; DF_ERR_AUTH: password,
 * certificate; DF_ERR_CONNECTION, DF_ERR_TIMEOUT, DF_ERR_TRANSIENT (too many connections), DF_ERR_CANCELED.
 */
int df_pg_connect(struct df_pg *pg, const struct df_pg_options *options, struct df_context *ctx,
		  struct df_error *err) df_must_check;
/* Does not wait for anything. Accepts a closed one. */
void df_pg_close(struct df_pg *pg);

/* 150004 for 15.4. */
static inline int df_pg_version(const struct df_pg *pg)
{
	return PQserverVersion(pg->conn);
}

/* ---- statements ------------------------------------------------------------------------------------------ */

DF_DEFINE_CLEANUP(PGresult *, PQclear)

/* Runs statements without parameters, several with `;` between them; rows are dropped. */
int df_pg_exec(struct df_pg *pg, struct df_context *ctx, const char *sql, struct df_error *err) df_must_check;
/* As exec, from a buffer that may have failed. */
int df_pg_exec_buf(struct df_pg *pg, struct df_context *ctx, struct df_buf *sql, struct df_error *err) df_must_check;

/* Runs one statement with text parameters (NULL: null) and gives its result, in text. The caller clears it. */
int df_pg_query(struct df_pg *pg, struct df_context *ctx, const char *sql, const char *const *params, int count,
		PGresult **ret, struct df_error *err) df_must_check;

/* Sends statements without parameters; their results are then read with df_pg_result. */
int df_pg_send(struct df_pg *pg, const char *sql, struct df_error *err) df_must_check;

/*
 * The next result of what PQsend... sent; *ret NULL: there are no more. A result of an error is cleared and becomes
 * err; then the rest must be read (df_pg_drain) before the connection is used again. PGRES_COPY_IN, COPY_OUT and
 * PIPELINE_SYNC are results too.
 */
int df_pg_result(struct df_pg *pg, struct df_context *ctx, PGresult **ret, struct df_error *err) df_must_check;
/* Reads and drops results until there are no more. Returns the first error among them. */
int df_pg_drain(struct df_pg *pg, struct df_context *ctx, struct df_error *err) df_must_check;

/* Sends what libpq holds back, reading meanwhile, so that neither side waits for the other. */
int df_pg_flush(struct df_pg *pg, struct df_context *ctx, struct df_error *err) df_must_check;
/* Waits until there is something to read, and gives it to libpq. */
int df_pg_receive(struct df_pg *pg, struct df_context *ctx, struct df_error *err) df_must_check;

/* Asks the server to cancel what runs, without waiting long; its error is still to be read (df_pg_drain). */
void df_pg_cancel(struct df_pg *pg);
/* The same, and the connection is of no use any more. */
void df_pg_give_up(struct df_pg *pg);

/* ---- errors ---------------------------------------------------------------------------------------------- */

/* The code of a SQLSTATE (connectors reference, section 6). DF_ERR_UNKNOWN: one that the table does not know. */
int df_pg_code(const char *sqlstate);

/* Sets err from a result of an error: its primary text, hint, and the table, column and constraint it names, never its
 * detail, which shows data. err->remote is the SQLSTATE. Returns the code. */
int df_pg_result_error(const struct df_pg *pg, const PGresult *result, struct df_error *err);

/* Sets err when there is no result: the connection failed, or could not be opened. Returns the code. */
int df_pg_connection_error(const struct df_pg *pg, struct df_error *err);

#endif
