#include "connectors/sqlite/position.h"

static int load(struct df_sqlite_position *p, struct df_error *err)
{
	df_cleanup(sqlite3_finalizep) sqlite3_stmt *stmt = NULL;
	int code = df_sqlite_prepare(p->db, DF_STR("SELECT checkpoint FROM " DF_SQLITE_POSITIONS " WHERE flow = ?"),
				     &stmt, err);
	if (code != 0)
		return code;

	sqlite3_bind_text(stmt, 1, p->flow, -1, SQLITE_STATIC);
	int result = sqlite3_step(stmt);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return df_sqlite_error(p->db, result, err);
	if (result == SQLITE_DONE || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
		return 0;
	const char *text = (const char *)sqlite3_column_text(stmt, 0);
	p->known = text ? df_str_dup(df_str_c(text)) : NULL;
	return p->known ? 0 : df_error_no_memory(err);
}

int df_sqlite_position_open(struct df_sqlite_position *p, struct df_sqlite *db, const struct df_connector_env *env,
			    struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf flow = { 0 };
	int code;

	df_buf_printf(&flow, "%s/%s", env->namespace ? env->namespace : "", env->name ? env->name : "");
	p->db = db;
	p->flow = df_buf_take(&flow);
	if (!p->flow)
		return df_error_no_memory(err);
	code = df_sqlite_exec(
		db, "CREATE TABLE IF NOT EXISTS " DF_SQLITE_POSITIONS " (flow TEXT PRIMARY KEY, checkpoint TEXT)", err);
	if (code == 0)
		code = load(p, err);
	if (code == 0)
		code = df_sqlite_prepare(db,
					 DF_STR("INSERT INTO " DF_SQLITE_POSITIONS
						" AS stored (flow, checkpoint) VALUES (?1, ?2) "
						"ON CONFLICT (flow) DO UPDATE SET checkpoint = excluded.checkpoint "
						"WHERE stored.checkpoint IS ?3"),
					 &p->store, err);
	return code;
}

void df_sqlite_position_close(struct df_sqlite_position *p)
{
	sqlite3_finalize(p->store);
	free(p->flow);
	free(p->known);
	free(p->next);
	*p = (struct df_sqlite_position){ 0 };
}

int df_sqlite_position_store(struct df_sqlite_position *p, struct df_str checkpoint, struct df_error *err)
{
	free(p->next);
	p->next = df_str_dup(checkpoint);
	if (!p->next)
		return df_error_no_memory(err);
	sqlite3_bind_text(p->store, 1, p->flow, -1, SQLITE_STATIC);
	sqlite3_bind_text(p->store, 2, p->next, -1, SQLITE_STATIC);
	if (p->known)
		sqlite3_bind_text(p->store, 3, p->known, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(p->store, 3);
	int result = sqlite3_step(p->store);
	int code = result == SQLITE_DONE ? 0 : df_sqlite_error(p->db, result, err);

	sqlite3_reset(p->store);
	sqlite3_clear_bindings(p->store);
	if (code == 0 && sqlite3_changes64(p->db->handle) == 0)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"database %s: the position of flow %s was changed by another process: stop one of the two",
			p->db->path, p->flow);
	return code;
}

void df_sqlite_position_stored(struct df_sqlite_position *p)
{
	free(p->known);
	p->known = DF_TAKE(p->next);
}
