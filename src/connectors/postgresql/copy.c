#include "connectors/postgresql/copy.h"

#include <stdlib.h>

/* Signature, no flags, no extension. */
static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
#define HEADER_SIZE 19
static const char trailer[] = "\377\377";
#define TRAILER_SIZE 2

/* The next result as it is; *ret NULL: no more. */
static int next_result(struct df_pg *pg, struct df_context *ctx, PGresult **ret, struct df_error *err)
{
	int code = df_pg_flush(pg, ctx, err);

	*ret = NULL;
	while (code == 0 && PQisBusy(pg->conn))
		code = df_pg_receive(pg, ctx, err);
	if (code == 0)
		*ret = PQgetResult(pg->conn);
	return code;
}

static bool is_error(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR;
}

static int put(struct df_pg *pg, struct df_context *ctx, const char *data, size_t len, struct df_error *err)
{
	int sent;

	while ((sent = PQputCopyData(pg->conn, data, (int)len)) == 0) {
		int code = df_pg_flush(pg, ctx, err);
		if (code != 0)
			return code;
	}
	return sent < 0 ? df_pg_connection_error(pg, err) : 0;
}

int df_pg_copy_begin(struct df_pg *pg, struct df_context *ctx, const char *sql, struct df_error *err)
{
	int code = 0;

	if (!pg->conn || pg->broken || !PQsendQuery(pg->conn, sql))
		return df_pg_connection_error(pg, err);
	for (;;) {
		df_cleanup(PQclearp) PGresult *result = NULL;

		code = df_pg_result(pg, ctx, &result, err);
		if (code == 0 && PQresultStatus(result) == PGRES_COPY_IN)
			return put(pg, ctx, header, HEADER_SIZE, err);
		if (code == 0 && !result)
			return df_error_set(err, DF_ERR_UNKNOWN, "%s: COPY did not begin", pg->server);
		if (code != 0) {
			(void)!df_pg_drain(pg, ctx, NULL);
			return code;
		}
	}
}

int df_pg_copy_send(struct df_pg *pg, struct df_context *ctx, struct df_str rows, struct df_error *err)
{
	int code = rows.len ? put(pg, ctx, rows.ptr, rows.len, err) : 0;

	return code == 0 ? df_pg_flush(pg, ctx, err) : code;
}

uint64_t df_pg_copy_line(const char *context, const char *table)
{
	size_t len = strlen(table);

	/* The name as it stands, then `, line 3`, in the server's language. */
	for (const char *at = context; at && (at = strstr(at, table)) != NULL; at++) {
		if (at == context || at[-1] != ' ' || at[len] != ',')
			continue;
		at += len + 1;
		size_t skip = strcspn(at, "0123456789\n");
		return at[skip] >= '0' && at[skip] <= '9' ? strtoull(at + skip, NULL, 10) : 0;
	}
	return 0;
}

int df_pg_copy_end(struct df_pg *pg, struct df_context *ctx, const char *table, struct df_pg_culprit *ret_culprit,
		   struct df_error *err)
{
	int first = put(pg, ctx, trailer, TRAILER_SIZE, err);
	int sent = 0;

	*ret_culprit = (struct df_pg_culprit){ 0 };
	while (first == 0 && (sent = PQputCopyEnd(pg->conn, NULL)) == 0)
		first = df_pg_flush(pg, ctx, err);
	if (first != 0 || sent < 0)
		return first != 0 ? first : df_pg_connection_error(pg, err);
	for (;;) {
		df_cleanup(PQclearp) PGresult *result = NULL;
		int code = next_result(pg, ctx, &result, first ? NULL : err);

		if (code != 0)
			return first ? first : code;
		if (!result)
			return first;
		if (first == 0 && is_error(result)) {
			first = df_pg_result_error(pg, result, err);
			ret_culprit->row = df_pg_copy_line(PQresultErrorField(result, PG_DIAG_CONTEXT), table);
		}
	}
}

int df_pg_copy_abort(struct df_pg *pg, struct df_context *ctx)
{
	int code = 0, sent;

	while (code == 0 && (sent = PQputCopyEnd(pg->conn, "given up")) == 0)
		code = df_pg_flush(pg, ctx, NULL);
	return code == 0 ? df_pg_drain(pg, ctx, NULL) : code;
}

int df_pg_exec_count(struct df_pg *pg, struct df_context *ctx, const char *sql, uint64_t *ret_rows,
		     struct df_error *err)
{
	int first = 0;

	*ret_rows = 0;
	if (!pg->conn || pg->broken || !PQsendQuery(pg->conn, sql))
		return df_pg_connection_error(pg, err);
	for (;;) {
		df_cleanup(PQclearp) PGresult *result = NULL;
		int code = df_pg_result(pg, ctx, &result, first ? NULL : err);

		first = first ? first : code;
		if (pg->broken || PQstatus(pg->conn) == CONNECTION_BAD || (code == 0 && !result))
			return first;
		if (code == 0)
			*ret_rows = strtoull(PQcmdTuples(result), NULL, 10);
	}
}
