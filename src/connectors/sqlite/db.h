/*
 * One SQLite connection: opening, errors, cancelling, the catalog, values. Shared by the source and the sink.
 *
 * A connection belongs to the thread that holds the connector's lock. The functions return 0 or a code with err set; an
 * SQLite result becomes a code in df_sqlite_error and nowhere else.
 */
#ifndef DF_CONNECTORS_SQLITE_DB_H
#define DF_CONNECTORS_SQLITE_DB_H

#include <sqlite3.h>

#include "base/context.h"
#include "connectors/base.h"
#include "table/columns.h"

struct df_sqlite {
	sqlite3 *handle; /* NULL: closed */
	const char *path;
	struct df_base_scope scope; /* of the call that is running; scope.ctx NULL between calls */
};

enum df_sqlite_access {
	DF_SQLITE_READ,
	DF_SQLITE_WRITE,
	DF_SQLITE_CREATE, /* WRITE, and the file is created when it is missing */
};

/* Waiting for the lock of another connection, in ms; then DF_ERR_TRANSIENT. */
#define DF_SQLITE_BUSY_MS 5000

/* ---- life ------------------------------------------------------------------------------------------------ */

/* Opens and reads the header. path is borrowed. Call it within df_sqlite_enter. Errors as df_sqlite_error. */
int df_sqlite_open(struct df_sqlite *db, const char *path, enum df_sqlite_access access,
		   struct df_error *err) df_must_check;
/* All statements must be finalized. Accepts a closed one. */
void df_sqlite_close(struct df_sqlite *db);

/* Between enter and leave, cancelling the caller's context or the connector's own ends the running statement. */
int df_sqlite_enter(struct df_sqlite *db, struct df_base_state *state, struct df_context *caller,
		    struct df_error *err) df_must_check;
void df_sqlite_leave(struct df_sqlite *db);

/* ---- statements ------------------------------------------------------------------------------------------ */

DF_DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize)

/* Exactly one statement. */
int df_sqlite_prepare(struct df_sqlite *db, struct df_str sql, sqlite3_stmt **ret, struct df_error *err) df_must_check;
/* As prepare, from a buffer that may have failed. */
int df_sqlite_prepare_buf(struct df_sqlite *db, const struct df_buf *sql, sqlite3_stmt **ret,
			  struct df_error *err) df_must_check;
/* Runs statements without parameters; rows are dropped. */
int df_sqlite_exec(struct df_sqlite *db, const char *sql, struct df_error *err) df_must_check;

/*
 * Sets err from an SQLite result: "database FILE: <what SQLite says>; <what to do>". Returns the code:
 * CONSTRAINT; INVALID_DATA (MISMATCH, TOOBIG); TRANSIENT (BUSY, LOCKED, FULL, IOERR, PROTOCOL); CANCELED or TIMEOUT
 * (INTERRUPT); NO_MEMORY; CONFIG (READONLY, PERM, CANTOPEN, NOTADB, AUTH, ERROR: the SQL or the schema); UNKNOWN
 * (CORRUPT and the rest). err->remote is the result's name.
 */
int df_sqlite_error(const struct df_sqlite *db, int result, struct df_error *err);

/* ---- catalog --------------------------------------------------------------------------------------------- */

/* What a declared type asks of a value; df_column.kind. */
enum df_sqlite_kind {
	DF_SQLITE_ANY, /* none declared: values stay what they are */
	DF_SQLITE_INTEGER,
	DF_SQLITE_REAL,
	DF_SQLITE_NUMERIC,
	DF_SQLITE_BOOLEAN,
	DF_SQLITE_TEXT,
	DF_SQLITE_BLOB,
	DF_SQLITE_DATE,
	DF_SQLITE_TIME,
	DF_SQLITE_TIMESTAMP,   /* held as YYYY-MM-DD HH:MM:SS[.f], UTC or a wall clock */
	DF_SQLITE_TIMESTAMPTZ, /* held as RFC 3339 in UTC */
	DF_SQLITE_JSON,
};

/* By the rules of SQLite's type affinity (sqlite.org/datatype3.html, 3.1), and our refinements of NUMERIC. */
enum df_sqlite_kind df_sqlite_kind_of(const char *declared_type);

/* The columns of a table or view, none when there is no such table. Replaces what was in *ret. */
int df_sqlite_columns(struct df_sqlite *db, const char *table, struct df_columns *ret,
		      struct df_error *err) df_must_check;

/* ---- values ---------------------------------------------------------------------------------------------- */

/* Binds a value as the column takes it. Text is borrowed until the statement was stepped. DF_ERR_INVALID_DATA naming
 * the column. */
int df_sqlite_bind(sqlite3_stmt *stmt, int parameter, const struct df_column *column, struct df_value *v,
		   struct df_arena *arena, struct df_error *err) df_must_check;

/* Value i of the current row, with everything it points to in the arena; NULL when out of memory. *ret_not_utf8 tells
 * of a text that became bytes. */
struct df_value *df_sqlite_read(sqlite3_stmt *stmt, int i, enum df_sqlite_kind kind, struct df_arena *arena,
				bool *ret_not_utf8);

#endif
