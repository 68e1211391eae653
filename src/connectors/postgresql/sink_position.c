/*
 * exactlyOnce: the source's position in the transaction of the rows, in the table dataflow_positions beside the rows'
 * table. Every instance writes a name of its own into the flow's row when it connects, and stores a position only while
 * that name stands there: a process that was taken for dead cannot commit any more. Connecting waits for a transaction
 * that stored a position and is just committing.
 */
#include <stdlib.h>

#include "connectors/postgresql/sink.h"

static void add_literal(struct df_pg_sink *s, struct df_buf *sql, struct df_str text)
{
	char *quoted = PQescapeLiteral(s->pg.conn, text.ptr, text.len);

	if (quoted)
		df_buf_add_c(sql, quoted);
	else
		sql->failed = true;
	PQfreemem(quoted);
}

static int set_names(struct df_pg_sink *s, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf table = { 0 };
	df_cleanup(df_buf_done) struct df_buf flow = { 0 };
	const struct df_connector_env *env = &s->base.state.env;

	if (s->positions)
		return 0;
	df_name_quote_in(&table, DF_QUOTE_DOUBLE, df_str_c(s->target.name.qualifier), DF_STR("dataflow_positions"));
	df_buf_printf(&flow, "%s/%s", env->namespace ? env->namespace : "", env->name ? env->name : "");
	s->positions = df_buf_take(&table);
	s->flow = df_buf_take(&flow);
	return s->positions && s->flow ? 0 : df_error_no_memory(err);
}

/* Asking first: CREATE needs a right on the schema even when the table is there. */
static int make_table(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	df_cleanup(PQclearp) PGresult *result = NULL;
	const char *params[] = { s->positions };
	struct df_error why = DF_ERROR_INIT;
	int code = df_pg_query(&s->pg, ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", params, 1, &result, err);

	if (code != 0 || *PQgetvalue(result, 0, 0) == 't')
		return code;
	df_buf_printf(&sql,
		      "CREATE TABLE IF NOT EXISTS %s (flow text PRIMARY KEY, checkpoint text, writer text, "
		      "updated_at timestamptz)",
		      s->positions);
	code = df_pg_exec_buf(&s->pg, ctx, &sql, &why);
	if (code == 0 || strcmp(why.remote, "42P07") == 0 || strcmp(why.remote, "23505") == 0)
		return 0;
	df_error_prefix(&why, "cannot create the table of positions %s", s->positions);
	if (err)
		*err = why;
	return code;
}

/* This instance's name into the flow's row, which is made when it is missing, and what stands there. */
static int take_over(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	df_cleanup(PQclearp) PGresult *result = NULL;
	const char *params[] = { s->flow };

	df_buf_printf(&sql,
		      "INSERT INTO %s AS p (flow, writer) VALUES ($1, pg_catalog.pg_backend_pid() || ' ' || "
		      "pg_catalog.clock_timestamp()) ON CONFLICT (flow) DO UPDATE SET writer = EXCLUDED.writer "
		      "RETURNING writer, checkpoint",
		      s->positions);
	const char *text = df_buf_c(&sql);
	int code = sql.failed ? df_error_no_memory(err) : df_pg_query(&s->pg, ctx, text, params, 1, &result, err);
	if (code != 0)
		return df_error_prefix(err, "cannot read the position from %s", s->positions);
	snprintf(s->writer, sizeof(s->writer), "%s", PQgetvalue(result, 0, 0));
	free(DF_TAKE(s->held));
	if (!PQgetisnull(result, 0, 1))
		s->held = strdup(PQgetvalue(result, 0, 1));
	return s->held || PQgetisnull(result, 0, 1) ? 0 : df_error_no_memory(err);
}

int df_pg_position_open(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err)
{
	int code = set_names(s, err);

	if (code == 0)
		code = make_table(s, ctx, err);
	return code == 0 ? take_over(s, ctx, err) : code;
}

const char *df_pg_position_sql(struct df_pg_sink *s, struct df_str checkpoint)
{
	struct df_buf *sql = &s->position_sql;

	sql->len = 0;
	df_buf_printf(sql, "WITH moved AS (UPDATE %s SET checkpoint = ", s->positions);
	add_literal(s, sql, checkpoint);
	df_buf_add_c(sql, ", updated_at = now() WHERE flow = ");
	add_literal(s, sql, df_str_c(s->flow));
	df_buf_add_c(sql, " AND writer = ");
	add_literal(s, sql, df_str_c(s->writer));
	df_buf_add_c(sql, " RETURNING 1) SELECT 1 / count(*) FROM moved");
	const char *text = df_buf_c(sql);
	return sql->failed ? NULL : text;
}

int df_pg_position_error(const struct df_pg_sink *s, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG,
			    "another process writes the flow %s (its position in %s has a new writer); stop one of the "
			    "two",
			    s->flow, s->positions);
}
