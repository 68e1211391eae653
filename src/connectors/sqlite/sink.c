/*
 * The SQLite sink: a write is one transaction. Rows are bound straight from their documents to a statement that is
 * prepared once per column set. A row that SQLite refuses is taken back alone (a failed statement undoes only itself)
 * and fails alone; whatever fails the transaction fails the write.
 */

#include "connectors/sqlite/position.h"
#include "connectors/sqlite/target.h"
#include "table/identifier.h"

struct sink {
	struct df_base_connector base;
	const struct df_sqlite_sink_settings *settings;
	struct df_sqlite db;
	struct df_sqlite_target target;
	struct df_rows *rows; /* NULL while the table does not exist */
	sqlite3_stmt *begin, *commit, *rollback, *version;
	sqlite3_stmt *remove;		    /* NULL until the first delete */
	struct df_sqlite_position position; /* with exactlyOnce */
	int64_t schema_version;
	bool stale;    /* the table must be looked at again */
	bool wal;      /* a commit alone does not reach the disk */
	bool unsynced; /* there are such commits */
};

/* What a write counts, once it is committed. */
struct counts {
	size_t unchanged, unknown_fields, refused;
};

static struct sink *sink_of(struct df_sink *s)
{
	return (struct sink *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void sink_free(struct df_sink *s);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	const struct df_sqlite_sink_settings *config = settings;
	const struct df_flatten_metadata_settings *flatten = &config->table_sink.flatten_metadata;
	struct sink *s = df_base_sink_new(sizeof(*s), &df_sqlite_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	s->target =
		(struct df_sqlite_target){ .settings = config, .db = &s->db, .table = config->table_sink.table.value };
	if (config->table_sink.raw_mode) {
		s->target.raw = df_raw_new(DF_RAW_TEXT, flatten->columns, flatten->prefix);
		if (!s->target.raw) {
			sink_free(&s->base.state.sink);
			return df_error_no_memory(err);
		}
	}
	*ret = &s->base.state.sink;
	return 0;
}

static void release_insert(void *arg, void *user)
{
	(void)arg;
	df_sqlite_insert_free(user);
}

static void forget_table(struct sink *s)
{
	df_rows_free(DF_TAKE(s->rows));
	sqlite3_finalize(DF_TAKE(s->remove));
}

static void disconnect(struct sink *s)
{
	forget_table(s);
	sqlite3_finalize(DF_TAKE(s->begin));
	sqlite3_finalize(DF_TAKE(s->commit));
	sqlite3_finalize(DF_TAKE(s->rollback));
	sqlite3_finalize(DF_TAKE(s->version));
	df_sqlite_position_close(&s->position);
	df_sqlite_close(&s->db);
	s->base.state.connected = false;
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	disconnect(s);
	df_base_unlock(&s->base);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct sink *s = sink_of(sink);

	if (!s)
		return;
	(void)!sink_close(sink, NULL);
	df_names_done(&s->target.key);
	df_columns_done(&s->target.columns);
	df_raw_free(s->target.raw);
	df_base_connector_free(&s->base);
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

/* One number from a statement that gives one. */
static int step_number(struct sink *s, sqlite3_stmt *stmt, int64_t *ret, struct df_error *err)
{
	int result = sqlite3_step(stmt);

	*ret = result == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return result == SQLITE_ROW ? 0 : df_sqlite_error(&s->db, result, err);
}

/* In WAL mode a commit is in the system's hands; `sync` brings it to the disk before positions move on. In the other
 * modes every commit is on the disk. */
static int set_journal_mode(struct sink *s, struct df_error *err)
{
	df_cleanup(sqlite3_finalizep) sqlite3_stmt *stmt = NULL;
	bool keep = strcmp(s->settings->journal_mode, "keep") == 0;
	int code = df_sqlite_prepare(&s->db, keep ? DF_STR("PRAGMA journal_mode") : DF_STR("PRAGMA journal_mode = wal"),
				     &stmt, err);
	if (code != 0)
		return code;

	int result = sqlite3_step(stmt);
	if (result != SQLITE_ROW)
		return df_sqlite_error(&s->db, result, err);
	s->wal = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
	return df_sqlite_exec(&s->db, s->wal ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", err);
}

/* Looks at the table and makes the plans that depend on it. */
static int load_table(struct sink *s, struct df_error *err)
{
	bool ignore_unknown = strcmp(s->settings->table_sink.unknown_fields, "ignore") == 0 ||
			      s->settings->table_sink.flatten_metadata.columns;

	forget_table(s);
	int code = df_sqlite_target_load(&s->target, err);
	if (code != 0 || s->target.columns.count == 0)
		return code;
	s->rows = df_rows_new(&s->target.columns, ignore_unknown, release_insert, NULL);
	return s->rows ? 0 : df_error_no_memory(err);
}

static int open_database(struct sink *s, struct df_error *err)
{
	const struct df_table_sink_settings *settings = &s->settings->table_sink;
	int code = df_sqlite_open(&s->db, s->settings->path,
				  settings->auto_create_table ? DF_SQLITE_CREATE : DF_SQLITE_WRITE, err);

	if (code == 0)
		code = set_journal_mode(s, err);
	if (code == 0)
		code = df_sqlite_exec(&s->db, "PRAGMA foreign_keys = ON", err);
	if (code == 0)
		code = df_sqlite_prepare(&s->db, DF_STR("BEGIN IMMEDIATE"), &s->begin, err);
	if (code == 0)
		code = df_sqlite_prepare(&s->db, DF_STR("COMMIT"), &s->commit, err);
	if (code == 0)
		code = df_sqlite_prepare(&s->db, DF_STR("ROLLBACK"), &s->rollback, err);
	if (code == 0)
		code = df_sqlite_prepare(&s->db, DF_STR("PRAGMA schema_version"), &s->version, err);
	if (code == 0)
		code = load_table(s, err);
	/* Raw mode's table does not depend on the rows, unless metadata is flattened. */
	if (code == 0 && !s->rows && s->target.raw && !settings->flatten_metadata.columns) {
		code = df_sqlite_target_create(&s->target, NULL, err);
		if (code == 0)
			code = load_table(s, err);
	}
	if (code == 0 && s->settings->exactly_once)
		code = df_sqlite_position_open(&s->position, &s->db, &s->base.state.env, err);
	return code == 0 ? step_number(s, s->version, &s->schema_version, err) : code;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct sink *s = sink_of(sink);

	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->base.state.connected)
		return 0;
	int code = df_sqlite_enter(&s->db, &s->base.state, ctx, err);
	if (code != 0)
		return code;
	code = open_database(s, err);
	df_sqlite_leave(&s->db);
	if (code != 0)
		disconnect(s);
	else
		s->base.state.connected = true;
	return code;
}

/* ---- one row --------------------------------------------------------------------------------------------- */

/* The object that is the message's row. */
static int find_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_value **ret,
		    struct df_error *err)
{
	if (s->target.raw)
		return df_raw_row(s->target.raw, m, arena, ret, err);
	return df_row_body(m, arena, &s->target.columns, ret, err);
}

/*
 * Runs a statement that gives no rows. *ret_lost: not the row failed, but all that was done since BEGIN (the disk, a
 * lock, ON CONFLICT ROLLBACK, a table that is gone).
 */
static int step_row(struct sink *s, sqlite3_stmt *stmt, struct counts *counts, bool *ret_lost, struct df_error *err)
{
	int result = sqlite3_step(stmt);

	if (result == SQLITE_DONE) {
		counts->unchanged += sqlite3_changes64(s->db.handle) == 0;
		sqlite3_reset(stmt);
		return 0;
	}
	int code = df_sqlite_error(&s->db, result, err);
	sqlite3_reset(stmt);
	if (code == DF_ERR_CONFIG && (result & 0xff) == SQLITE_ERROR) {
		/* While the statement can be prepared, the row must be the reason: a generated column, a trigger. */
		df_cleanup(sqlite3_finalizep) sqlite3_stmt *again = NULL;
		if (df_sqlite_prepare(&s->db, df_str_c(sqlite3_sql(stmt)), &again, NULL) == 0)
			code = DF_ERR_INVALID_DATA;
		if (err)
			err->code = code;
	}
	*ret_lost = !df_code_poison(code) || sqlite3_get_autocommit(s->db.handle);
	return code;
}

static int write_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct counts *counts,
		     bool *ret_lost, struct df_error *err)
{
	struct df_value *object;
	struct df_row row;
	int code = find_row(s, m, arena, &object, err);

	if (code == 0)
		code = df_rows_map(s->rows, object, NULL, &row, err);
	if (code != 0)
		return code;

	struct df_sqlite_insert *insert = row.set->user;
	if (!insert) {
		code = df_sqlite_insert_new(&s->target, row.set, &insert, err);
		if (code != 0) {
			*ret_lost = !df_code_poison(code);
			return code;
		}
		row.set->user = insert;
	}
	const struct df_column *columns = s->target.columns.items;
	for (size_t i = 0; i < insert->required_count; i++) {
		size_t slot = insert->required[i];
		if (row.values[slot]->kind == DF_NULL)
			return df_error_set(err, DF_ERR_INVALID_DATA, "\"%s\" is null, and the upsert needs it",
					    columns[row.set->columns[slot]].name);
	}
	for (size_t i = 0; i < row.set->count; i++) {
		code = df_sqlite_bind(insert->stmt, (int)i + 1, &columns[row.set->columns[i]], row.values[i], arena,
				      err);
		if (code != 0)
			return code;
	}
	counts->unknown_fields += row.unknown;
	return step_row(s, insert->stmt, counts, ret_lost, err);
}

/* Key values come from the payload, or, for a single key, from metadata `id` (a tombstone has no payload). */
static int remove_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct counts *counts,
		      bool *ret_lost, struct df_error *err)
{
	const struct df_strings *key = &s->target.key;
	struct df_value *object = NULL;
	int code;

	if (!s->remove) {
		code = df_sqlite_remove_prepare(&s->target, &s->remove, err);
		if (code != 0) {
			*ret_lost = true;
			return code;
		}
	}
	if (df_row_body(m, arena, &s->target.columns, &object, NULL) != 0)
		object = NULL;
	for (size_t i = 0; i < key->count; i++) {
		size_t column = df_columns_find(&s->target.columns, df_str_c(key->items[i]));
		struct df_value *v = object ? df_object_get_c(object, key->items[i]) : NULL;

		if (!v && key->count == 1)
			v = df_message_meta(m, "id");
		if (!v || v->kind == DF_NULL)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "a delete needs a value for the key column \"%s\"", key->items[i]);
		code = df_sqlite_bind(s->remove, (int)i + 1, &s->target.columns.items[column], v, arena, err);
		if (code != 0)
			return code;
	}
	return step_row(s, s->remove, counts, ret_lost, err);
}

/* ---- one transaction ------------------------------------------------------------------------------------- */

/* Runs BEGIN, COMMIT or ROLLBACK. */
static int step_control(struct sink *s, sqlite3_stmt *stmt, struct df_error *err)
{
	int result = sqlite3_step(stmt);
	int code = result == SQLITE_DONE ? 0 : df_sqlite_error(&s->db, result, err);

	sqlite3_reset(stmt);
	return code;
}

/* Infers the table from all rows of the batch. Rows that are none fail later, by themselves. */
static int create_table(struct sink *s, const struct df_write *w, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference rows = { 0 };

	for (size_t i = 0; i < w->count; i++) {
		struct df_value *object;
		int code = find_row(s, w->messages[i], w->arena, &object, err);
		if (code == 0)
			code = df_inference_add(&rows, object, err);
		if (code != 0 && !df_code_poison(code))
			return code;
	}
	if (rows.rows == 0)
		return 0;
	int code = df_sqlite_target_create(&s->target, &rows, err);
	return code == 0 ? load_table(s, err) : code;
}

/* Inside the transaction: the table as it is now, made when it is missing. */
static int ensure_table(struct sink *s, const struct df_write *w, struct df_error *err)
{
	int64_t version;
	int code = step_number(s, s->version, &version, err);

	if (code == 0 && (s->stale || version != s->schema_version || !s->rows)) {
		code = load_table(s, err);
		s->schema_version = version;
		s->stale = code != 0;
		if (code == 0 && !s->rows) {
			code = create_table(s, w, err);
			s->stale = true; /* until the transaction that created it is committed */
		}
	}
	if (code == 0 && s->rows)
		df_rows_begin(s->rows);
	return code;
}

/* Why no table could be made of this message: it is no object, or a key of it cannot be a column's name. */
static int why_no_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference alone = { 0 };
	struct df_value *object;
	int code = find_row(s, m, arena, &object, err);

	if (code == 0)
		code = df_inference_add(&alone, object, err);
	return code == 0 ? df_error_set(err, DF_ERR_INVALID_DATA, "no table can be made of this row") : code;
}

static int write_all(struct sink *s, struct df_write *w, struct counts *counts, struct df_error *err)
{
	for (size_t i = 0; i < w->count; i++) {
		struct df_message *m = w->messages[i];
		struct df_error reason = DF_ERROR_INIT;
		bool removes = df_sqlite_removes(s->settings) && df_row_operation(m) == DF_OP_DELETE;
		bool lost = false;
		int code;

		if (removes && s->rows) {
			code = remove_row(s, m, w->arena, counts, &lost, &reason);
		} else if (s->rows) {
			code = write_row(s, m, w->arena, counts, &lost, &reason);
		} else {
			/* No row of the batch is one, so there is no table: a delete has nothing to do. */
			code = removes ? 0 : why_no_row(s, m, w->arena, &reason);
		}
		if (code == 0)
			continue;
		if (lost || !df_code_poison(code)) {
			if (err)
				*err = reason;
			return code;
		}
		counts->refused++;
		df_write_fail(w, i, &reason);
	}
	return 0;
}

/* exactlyOnce: all or nothing, with the position. */
static int write_position(struct sink *s, const struct df_write *w, const struct counts *counts, struct df_error *err)
{
	if (!s->settings->exactly_once)
		return 0;
	if (counts->refused)
		return DF_WRITE_UNDONE;
	return df_sqlite_position_store(&s->position, w->checkpoint, err);
}

static int write_transaction(struct sink *s, struct df_write *w, struct df_error *err)
{
	struct counts counts = { 0 };
	int code = step_control(s, s->begin, err);

	if (code != 0)
		return code;
	code = ensure_table(s, w, err);
	if (code == 0)
		code = write_all(s, w, &counts, err);
	if (code == 0)
		code = write_position(s, w, &counts, err);
	if (code == 0)
		code = step_control(s, s->commit, err);
	if (code != 0) {
		/* SQLite may have rolled back by itself. */
		if (!sqlite3_get_autocommit(s->db.handle))
			(void)!step_control(s, s->rollback, NULL);
		if (s->stale)
			forget_table(s);
		return code;
	}
	if (s->stale && s->rows) {
		s->stale = false;
		if (step_number(s, s->version, &s->schema_version, NULL) != 0)
			s->stale = true;
	}
	if (s->settings->exactly_once)
		df_sqlite_position_stored(&s->position);
	s->unsynced |= s->wal;
	w->unchanged += counts.unchanged;
	w->unknown_fields += counts.unknown_fields;
	return 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct sink *s = sink_of(sink);

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	int code = df_sqlite_enter(&s->db, &s->base.state, ctx, err);
	if (code != 0)
		return code;
	code = write_transaction(s, w, err);
	df_sqlite_leave(&s->db);
	return code;
}

/* ---- durability ------------------------------------------------------------------------------------------ */

/* Flushes the write-ahead log to the disk through SQLite's own file, which costs one fsync for any number of commits.
 */
static int sink_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	sqlite3_file *log = NULL;

	(void)ctx;
	(void) final;
	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	int moved = 0;
	if (s->db.handle && sqlite3_file_control(s->db.handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	    moved)
		return df_error_set(
			err, DF_ERR_UNKNOWN,
			"the database %s was deleted, moved or replaced while it was written: what was written since "
			"the last saved position comes again",
			s->db.path);
	if (!s->unsynced || strcmp(s->settings->synchronous, "full") != 0)
		return 0;
	int result = sqlite3_file_control(s->db.handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (result == SQLITE_OK && log && log->pMethods)
		result = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
	if (result != SQLITE_OK) {
		/* What the system failed to write may be dropped from its cache: trying again could lie. */
		df_sqlite_error(&s->db, result, err);
		df_error_prefix(err, "committed rows did not reach the disk");
		if (err)
			err->code = DF_ERR_UNKNOWN;
		return DF_ERR_UNKNOWN;
	}
	s->unsynced = false;
	return 0;
}

static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_sqlite_sink_settings *config = settings;

	*ret = df_table_sink_batching(&config->table_sink, 1, DF_SQLITE_TOGETHER);
}

static bool sink_transactional(const void *settings)
{
	return ((const struct df_sqlite_sink_settings *)settings)->exactly_once;
}

static int sink_held(struct df_sink *sink, struct df_context *ctx, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	struct sink *s = sink_of(sink);

	(void)ctx;
	*ret = df_str(NULL, 0);
	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (!s->position.known)
		return 0;
	*ret = df_arena_dup(arena, df_str_c(s->position.known));
	return ret->ptr ? 0 : df_error_no_memory(err);
}

const struct df_sink_ops df_sqlite_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.sync = sink_sync,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
	.transactional = sink_transactional,
	.held = sink_held,
};
