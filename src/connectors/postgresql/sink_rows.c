/*
 * A flush row by row: prepared statements in libpq's pipeline mode, one round trip for all. Without BEGIN the server
 * makes one transaction of what stands before a Sync.
 */
#include <stdlib.h>

#include "connectors/postgresql/sink.h"

/* ---- sending --------------------------------------------------------------------------------------------- */

/* The fields of s->row as parameters, in the arena. */
static int take_params(const struct df_pg_sink *s, const struct df_pg_plan *plan, struct df_arena *arena,
		       const char ***ret_values, int **ret_lengths, struct df_error *err)
{
	const char **values = df_arena_alloc(arena, (plan->count + 1) * sizeof(*values));
	int *lengths = df_arena_alloc(arena, (plan->count + 1) * 2 * sizeof(*lengths));
	const char *at = s->row.data + 2;

	if (!values || !lengths)
		return df_error_no_memory(err);
	for (size_t i = 0; i < plan->count; i++) {
		uint32_t len;
		memcpy(&len, at, sizeof(len));
		lengths[i] = (int)__builtin_bswap32(len);
		values[i] = lengths[i] < 0 ? NULL : at + 4;
		at += 4 + (lengths[i] < 0 ? 0 : lengths[i]);
		lengths[plan->count + 1 + i] = 1; /* binary */
	}
	*ret_values = values;
	*ret_lengths = lengths;
	return 0;
}

/* What is in the pipeline, in order: which message a result is of. */
struct queued {
	uint32_t message; /* plus 1; 0: a PREPARE or the position */
	bool moving;
	struct df_pg_plan *plan;
};

struct queue {
	struct queued *items; /* in the arena: at most two a message, and the position */
	size_t count;
};

static int send_row(struct df_pg_job *job, struct df_pg_plan *plan, size_t message, struct queue *q,
		    struct df_error *err)
{
	struct df_pg *pg = &job->s->pg;
	const char **values = NULL;
	int *lengths = NULL;
	int code = take_params(job->s, plan, job->w->arena, &values, &lengths, err);

	if (code != 0)
		return code;
	if (!plan->prepared) {
		if (!PQsendPrepare(pg->conn, plan->name, plan->row_sql, (int)plan->count, plan->types))
			return df_pg_connection_error(pg, err);
		q->items[q->count++] = (struct queued){ .plan = plan };
		plan->prepared = true;
	}
	if (!PQsendQueryPrepared(pg->conn, plan->name, (int)plan->count, values, lengths, lengths + plan->count + 1, 1))
		return df_pg_connection_error(pg, err);
	q->items[q->count++] = (struct queued){ .message = (uint32_t)message + 1, .plan = plan };
	/* Long flushes are read while they are written. */
	return message % 64 == 63 ? df_pg_flush(pg, job->ctx, err) : 0;
}

static int send_position(struct df_pg_job *job, struct queue *q, struct df_error *err)
{
	const char *sql = df_pg_position_sql(job->s, job->w->checkpoint);

	if (!sql)
		return df_error_no_memory(err);
	if (!PQsendQueryParams(job->s->pg.conn, sql, 0, NULL, NULL, NULL, NULL, 0))
		return df_pg_connection_error(&job->s->pg, err);
	q->items[q->count++] = (struct queued){ .moving = true };
	return 0;
}

static int send_all(struct df_pg_job *job, struct queue *q, struct df_error *err)
{
	for (size_t i = 0; i < job->w->count; i++) {
		struct df_error reason = DF_ERROR_INIT;
		struct df_pg_plan *plan;
		uint64_t hash;

		if (df_pg_is_refused(job->s, i))
			continue;
		int code = df_pg_encode_message(job, i, &plan, &hash, &reason);
		if (df_code_poison(code))
			code = df_pg_refuse_row(job, i, &reason);
		else if (code == 0)
			code = send_row(job, plan, i, q, &reason);
		if (code != 0) {
			if (err)
				*err = reason;
			return code;
		}
	}
	if (job->s->settings->exactly_once && !df_pg_is_undone(job))
		return send_position(job, q, err);
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* The result of one queued statement, and the NULL behind it. */
static int read_one(struct df_pg_job *job, const struct queued *of, bool *failed, struct df_error *err)
{
	struct df_pg_flush *f = &job->s->flush;
	int first = 0;

	for (;;) {
		df_cleanup(PQclearp) PGresult *result = NULL;
		int code = df_pg_result(&job->s->pg, job->ctx, &result, *failed ? NULL : err);

		if (job->s->pg.broken || PQstatus(job->s->pg.conn) == CONNECTION_BAD)
			return code ? code : df_pg_connection_error(&job->s->pg, err);
		if (code == 0 && !result)
			return first;
		if (code != 0 && !*failed) {
			*failed = true;
			first = code;
			f->culprit = of->message > 0;
			f->message = of->message ? of->message - 1 : 0;
			f->moving = of->moving;
		}
		if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED || code != 0) {
			if (!of->message && of->plan)
				of->plan->prepared = false; /* the PREPARE itself */
		} else if (of->message && of->plan->counts_old && !of->plan->removes) {
			f->unchanged += strtoull(PQcmdTuples(result), NULL, 10) == 0;
		}
	}
}

static int read_all(struct df_pg_job *job, const struct queue *q, struct df_error *err)
{
	bool failed = false;
	int first = 0;

	for (size_t i = 0; i < q->count; i++) {
		int code = read_one(job, &q->items[i], &failed, failed ? NULL : err);
		first = first ? first : code;
		if (job->s->pg.broken || PQstatus(job->s->pg.conn) == CONNECTION_BAD)
			return first;
	}
	for (;;) { /* up to the Sync: a deferred constraint fails only there */
		df_cleanup(PQclearp) PGresult *result = NULL;
		int code = df_pg_result(&job->s->pg, job->ctx, &result, first ? NULL : err);

		first = first ? first : code;
		if (job->s->pg.broken || PQstatus(job->s->pg.conn) == CONNECTION_BAD ||
		    PQresultStatus(result) == PGRES_PIPELINE_SYNC)
			return first;
	}
}

/* ---- the flush ------------------------------------------------------------------------------------------- */

static int run_pipeline(struct df_pg_job *job, struct queue *q, struct df_error *err)
{
	struct df_pg *pg = &job->s->pg;
	struct df_error why = DF_ERROR_INIT;
	int code = send_all(job, q, &why);
	bool undone = code == 0 && df_pg_is_undone(job);

	/* What was sent must not be committed when the rest could not be: a statement that fails sees to it. */
	if ((code != 0 || undone) && !PQsendQueryParams(pg->conn, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0))
		return code != 0 ? code : df_pg_connection_error(pg, err);
	if (code != 0 || undone)
		q->items[q->count++] = (struct queued){ 0 };
	if (!PQpipelineSync(pg->conn))
		return df_pg_connection_error(pg, err);
	int result = read_all(job, q, code != 0 || undone ? NULL : &why);
	if (pg->broken || PQstatus(pg->conn) == CONNECTION_BAD)
		code = df_error_set(&why, DF_ERR_CONNECTION, "%s: the connection is lost", pg->server);
	else if (code == 0 && !undone)
		code = result;
	if (code != 0 && err)
		*err = why;
	return code;
}

int df_pg_flush_rows(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_flush *f = &job->s->flush;
	struct df_pg *pg = &job->s->pg;
	struct queue q = { .items = df_arena_alloc(job->w->arena, (job->w->count * 2 + 3) * sizeof(struct queued)) };

	f->lane_count = 0;
	f->unchanged = f->unknown_fields = 0;
	f->begun = f->culprit = f->overflowed = f->doubtful = f->new_columns = f->moving = false;
	if (!q.items)
		return df_error_no_memory(err);
	if (!pg->conn || pg->broken || !PQenterPipelineMode(pg->conn))
		return df_pg_connection_error(pg, err);
	int code = run_pipeline(job, &q, err);
	if (!PQexitPipelineMode(pg->conn) && code == 0)
		code = df_pg_connection_error(pg, err);
	return code;
}
