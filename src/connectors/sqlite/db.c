#include "connectors/sqlite/db.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"

/* ---- errors ---------------------------------------------------------------------------------------------- */

/* How an SQLite result is seen from outside. */
struct result {
	int result; /* primary */
	int code;
	const char *name;
	const char *advice; /* NULL: SQLite's own text says it all */
};

static const struct result results[] = {
	{ SQLITE_ERROR, DF_ERR_CONFIG, "SQLITE_ERROR", NULL },
	{ SQLITE_PERM, DF_ERR_CONFIG, "SQLITE_PERM", "give the process access to the file" },
	{ SQLITE_ABORT, DF_ERR_UNKNOWN, "SQLITE_ABORT", NULL },
	{ SQLITE_BUSY, DF_ERR_TRANSIENT, "SQLITE_BUSY", "another process holds a lock on the database" },
	{ SQLITE_LOCKED, DF_ERR_TRANSIENT, "SQLITE_LOCKED", "another statement holds a lock on the table" },
	{ SQLITE_NOMEM, DF_ERR_NO_MEMORY, "SQLITE_NOMEM", NULL },
	{ SQLITE_READONLY, DF_ERR_CONFIG, "SQLITE_READONLY",
	  "the database is read-only; give the process write permission on the file and on its directory" },
	{ SQLITE_IOERR, DF_ERR_TRANSIENT, "SQLITE_IOERR",
	  "the disk is full, a quota or a file size limit is reached, or the disk fails" },
	{ SQLITE_CORRUPT, DF_ERR_UNKNOWN, "SQLITE_CORRUPT",
	  "the database is damaged; restore a backup, or try `.recover` of the sqlite3 shell" },
	{ SQLITE_FULL, DF_ERR_TRANSIENT, "SQLITE_FULL",
	  "there is no room for more: the disk is full, or the database has reached its max_page_count" },
	{ SQLITE_CANTOPEN, DF_ERR_CONFIG, "SQLITE_CANTOPEN",
	  "check that the file and its directory exist and that the process may open them" },
	{ SQLITE_PROTOCOL, DF_ERR_TRANSIENT, "SQLITE_PROTOCOL", "another process holds a lock on the database" },
	{ SQLITE_SCHEMA, DF_ERR_TRANSIENT, "SQLITE_SCHEMA", "the schema changed meanwhile" },
	{ SQLITE_TOOBIG, DF_ERR_INVALID_DATA, "SQLITE_TOOBIG", "the value is larger than SQLite can hold" },
	{ SQLITE_CONSTRAINT, DF_ERR_CONSTRAINT, "SQLITE_CONSTRAINT", NULL },
	{ SQLITE_MISMATCH, DF_ERR_INVALID_DATA, "SQLITE_MISMATCH", NULL },
	{ SQLITE_AUTH, DF_ERR_CONFIG, "SQLITE_AUTH", NULL },
	{ SQLITE_NOTADB, DF_ERR_CONFIG, "SQLITE_NOTADB",
	  "the file is no SQLite database, or an encrypted one; check `path`" },
};

static const struct result *find_result(int primary)
{
	static const struct result other = { 0, DF_ERR_UNKNOWN, "SQLITE", NULL };

	for (size_t i = 0; i < DF_ARRAY_SIZE(results); i++)
		if (results[i].result == primary)
			return &results[i];
	return &other;
}

int df_sqlite_error(const struct df_sqlite *db, int result, struct df_error *err)
{
	const struct result *known = find_result(result & 0xff);
	/* Without a connection, or when its last call was another one, only the result itself is sure. */
	bool same = db->handle && (sqlite3_errcode(db->handle) & 0xff) == (result & 0xff);

	if (known->code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	/* A cancel also ends the wait for a lock. */
	bool interrupted = (result & 0xff) == SQLITE_INTERRUPT;
	if (interrupted || (known->result == SQLITE_BUSY && df_context_canceled(db->scope.ctx))) {
		int code = df_context_check(db->scope.ctx, err);
		return code != 0 ? code : df_error_set(err, DF_ERR_CANCELED, "cancelled");
	}

	df_error_set(err, known->code, "database %s: %s%s%s", db->path,
		     same ? sqlite3_errmsg(db->handle) : sqlite3_errstr(result), known->advice ? "; " : "",
		     known->advice ? known->advice : "");
	df_error_remote(err, known->name);
	return known->code;
}

/* ---- cancelling ------------------------------------------------------------------------------------------ */

/* Asked at every 10000th step of the virtual machine, which is where sqlite3_interrupt would end a statement too; but
 * that one is forgotten when it comes just before a statement begins. */
static int on_progress(void *arg)
{
	const struct df_sqlite *db = arg;

	return df_context_canceled(db->scope.ctx);
}

/* Waits for another connection's lock, longer and longer, but not after a cancel. 0: give up. */
static int on_busy(void *arg, int tries)
{
	static const int64_t delays_ms[] = { 1, 2, 5, 10, 15, 20, 25, 50, 50, 100 };
	const struct df_sqlite *db = arg;
	int64_t waited = 0;
	int64_t delay = 0;

	for (int i = 0; i <= tries; i++) {
		waited += delay;
		delay = delays_ms[(size_t)i < DF_ARRAY_SIZE(delays_ms) ? (size_t)i : DF_ARRAY_SIZE(delays_ms) - 1];
	}
	if (waited >= DF_SQLITE_BUSY_MS)
		return 0;
	return df_context_sleep(db->scope.ctx, delay * DF_NS_PER_MS) == 0;
}

int df_sqlite_enter(struct df_sqlite *db, struct df_base_state *state, struct df_context *caller, struct df_error *err)
{
	return df_base_scope_begin(state, caller, &db->scope, err);
}

void df_sqlite_leave(struct df_sqlite *db)
{
	df_base_scope_end(&db->scope);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* What SQLite would only call "unable to open database file". */
static int check_path(const char *path, enum df_sqlite_access access, struct df_error *err)
{
	struct stat st;

	/* SQLite has an own meaning for these, and what is written would be gone at the end. */
	if (path[0] == ':' || strncmp(path, "file:", 5) == 0)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"%s is no file to SQLite; `path` must name the database file (./%s if that is its name)", path,
			path);
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return df_error_set(err, DF_ERR_CONFIG, "%s is a directory; `path` must name the database file",
					    path);
		if (!S_ISREG(st.st_mode))
			return df_error_set(err, DF_ERR_CONFIG,
					    "%s is not a regular file; `path` must name the database file", path);
		return 0;
	}
	if (errno != ENOENT)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open the database %s", path);
	if (access != DF_SQLITE_CREATE)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the database %s does not exist; create it, check `path`, or set autoCreateTable: true", path);
	return 0;
}

int df_sqlite_open(struct df_sqlite *db, const char *path, enum df_sqlite_access access, struct df_error *err)
{
	static const int flags[] = {
		/* Not READONLY, which could not remove the -wal and -shm files that it makes beside a WAL database.
		 * query_only forbids writing; where the file forbids it, SQLite opens for reading by itself. */
		[DF_SQLITE_READ] = SQLITE_OPEN_READWRITE,
		[DF_SQLITE_WRITE] = SQLITE_OPEN_READWRITE,
		[DF_SQLITE_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	};
	int code = check_path(path, access, err);
	if (code != 0)
		return code;

	db->path = path;
	/* No mutex of SQLite's: the connector's lock is enough. */
	int result =
		sqlite3_open_v2(path, &db->handle, flags[access] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (result != SQLITE_OK) {
		code = df_sqlite_error(db, result, err);
		df_sqlite_close(db);
		return code;
	}
	/* "name" is a name: SQLite would else take one that no column has for a text. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_busy_handler(db->handle, on_busy, db);
	sqlite3_progress_handler(db->handle, 10000, on_progress, db);

	code = df_sqlite_exec(db, "PRAGMA schema_version", err);
	if (code == 0 && access == DF_SQLITE_READ)
		code = df_sqlite_exec(db, "PRAGMA query_only = ON", err);
	/* Without the permission to write, SQLite opens for reading and says nothing. */
	if (code == 0 && access != DF_SQLITE_READ && sqlite3_db_readonly(db->handle, "main") == 1)
		code = df_sqlite_error(db, SQLITE_READONLY, err);
	if (code != 0)
		df_sqlite_close(db);
	return code;
}

void df_sqlite_close(struct df_sqlite *db)
{
	sqlite3_close(DF_TAKE(db->handle));
}

/* ---- statements ------------------------------------------------------------------------------------------ */

int df_sqlite_prepare(struct df_sqlite *db, struct df_str sql, sqlite3_stmt **ret, struct df_error *err)
{
	const char *tail = NULL;
	int result = sqlite3_prepare_v3(db->handle, sql.ptr, (int)sql.len, SQLITE_PREPARE_PERSISTENT, ret, &tail);

	if (result != SQLITE_OK)
		return df_sqlite_error(db, result, err);
	if (!*ret)
		return df_error_set(err, DF_ERR_CONFIG, "database %s: the SQL is empty", db->path);
	return 0;
}

int df_sqlite_prepare_buf(struct df_sqlite *db, const struct df_buf *sql, sqlite3_stmt **ret, struct df_error *err)
{
	return sql->failed ? df_error_no_memory(err) : df_sqlite_prepare(db, df_buf_str(sql), ret, err);
}

int df_sqlite_exec(struct df_sqlite *db, const char *sql, struct df_error *err)
{
	int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : df_sqlite_error(db, result, err);
}

/* ---- catalog --------------------------------------------------------------------------------------------- */

enum df_sqlite_kind df_sqlite_kind_of(const char *declared_type)
{
	static const struct {
		const char *part;
		enum df_sqlite_kind kind;
	} parts[] = {
		{ "JSON", DF_SQLITE_JSON }, /* whatever its affinity: a table that we create has JSON TEXT */
		/* SQLite's own rules, in their order */
		{ "INT", DF_SQLITE_INTEGER },
		{ "CHAR", DF_SQLITE_TEXT },
		{ "CLOB", DF_SQLITE_TEXT },
		{ "TEXT", DF_SQLITE_TEXT },
		{ "BLOB", DF_SQLITE_BLOB },
		{ "REAL", DF_SQLITE_REAL },
		{ "FLOA", DF_SQLITE_REAL },
		{ "DOUB", DF_SQLITE_REAL },
		/* what is left has NUMERIC affinity, which leaves a text that is no number alone */
		{ "BOOL", DF_SQLITE_BOOLEAN },
		{ "TIMESTAMPTZ", DF_SQLITE_TIMESTAMPTZ },
		{ "WITH TIME ZONE", DF_SQLITE_TIMESTAMPTZ },
		{ "TIMESTAMP", DF_SQLITE_TIMESTAMP },
		{ "DATETIME", DF_SQLITE_TIMESTAMP },
		{ "DATE", DF_SQLITE_DATE },
		{ "TIME", DF_SQLITE_TIME },
	};

	if (!*declared_type || sqlite3_stricmp(declared_type, "ANY") == 0)
		return DF_SQLITE_ANY;
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
		if (strcasestr(declared_type, parts[i].part))
			return parts[i].kind;
	return DF_SQLITE_NUMERIC;
}

int df_sqlite_columns(struct df_sqlite *db, const char *table, struct df_columns *ret, struct df_error *err)
{
	df_cleanup(df_columns_done) struct df_columns columns = { 0 };
	df_cleanup(sqlite3_finalizep) sqlite3_stmt *stmt = NULL;
	int result;
	int code = df_sqlite_prepare(db,
				     DF_STR("SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM "
					    "pragma_table_xinfo(?1) WHERE hidden <> 1"),
				     &stmt, err);
	if (code != 0)
		return code;

	sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
	while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct df_column *column =
			df_columns_add(&columns, df_str_c((const char *)sqlite3_column_text(stmt, 0)),
				       df_str_c((const char *)sqlite3_column_text(stmt, 1)));
		if (!column)
			return df_error_no_memory(err);
		column->kind = df_sqlite_kind_of(column->type);
		column->not_null = sqlite3_column_int(stmt, 2);
		column->has_default = sqlite3_column_int(stmt, 3);
		column->key = (unsigned)sqlite3_column_int(stmt, 4);
		column->read_only = sqlite3_column_int(stmt, 5) != 0;
	}
	if (result != SQLITE_DONE)
		return df_sqlite_error(db, result, err);
	df_columns_done(ret);
	*ret = columns;
	columns = (struct df_columns){ 0 };
	return 0;
}
