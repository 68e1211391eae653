/* A flush by COPY: rows to lanes, lanes to the server, in one transaction. */
#include <stdlib.h>

#include "connectors/postgresql/sink.h"

#define PLACE_BYTES 10 /* field count, then the place as an int4 field */

/* ---- what keys were met ---------------------------------------------------------------------------------- */

static struct df_pg_met *find_met(struct df_pg_flush *f, uint64_t hash)
{
	size_t i = (size_t)(hash ^ hash >> 31) & (f->met_cap - 1);

	while (f->met[i].lane && f->met[i].hash != hash)
		i = (i + 1) & (f->met_cap - 1);
	return &f->met[i];
}

static int reset_met(struct df_pg_flush *f, size_t rows, struct df_error *err)
{
	size_t cap = 64;

	while (cap < rows * 2)
		cap *= 2;
	if (cap > f->met_cap) {
		free(f->met);
		f->met = malloc(cap * sizeof(*f->met));
		f->met_cap = f->met ? cap : 0;
		if (!f->met)
			return df_error_no_memory(err);
	}
	memset(f->met, 0, f->met_cap * sizeof(*f->met));
	return 0;
}

/* ---- lanes ----------------------------------------------------------------------------------------------- */

static int reset_flush(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_flush *f = &job->s->flush;

	for (size_t i = 0; i < f->lane_count; i++) {
		f->lanes[i].rows.len = 0;
		f->lanes[i].rows.failed = false;
		f->lanes[i].count = 0;
	}
	f->lane_count = 0;
	f->unchanged = f->unknown_fields = 0;
	f->begun = f->culprit = f->overflowed = f->doubtful = f->new_columns = f->moving = false;
	return df_pg_removes(job->s->settings) ? reset_met(f, job->w->count, err) : 0;
}

static enum df_pg_way way_of(const struct df_pg_sink *s, const struct df_pg_plan *plan)
{
	if (!plan->copy_sql)
		return DF_PG_STAGE;
	/* A row that stands there already must be skipped: first it is hoped that there is none. */
	return s->target.conflicts && !s->target.raw && s->careful > 0 ? DF_PG_STAGE : DF_PG_COPY;
}

/* The lane for a row: the newest of its plan, unless its key is in a later one. NULL: too many. */
static struct df_pg_lane *choose_lane(struct df_pg_sink *s, struct df_pg_plan *plan, uint64_t hash)
{
	struct df_pg_flush *f = &s->flush;
	struct df_pg_met *met = hash ? find_met(f, hash) : NULL;
	size_t lane = f->lane_count;

	while (lane > 0 && f->lanes[lane - 1].plan != plan)
		lane--;
	if (lane == 0 || (met && met->lane > lane)) {
		if (f->lane_count == DF_PG_LANES_MAX)
			return NULL;
		lane = ++f->lane_count;
		f->lanes[lane - 1].plan = plan;
		f->lanes[lane - 1].way = way_of(s, plan);
		f->lanes[lane - 1].open = f->lanes[lane - 1].doubled = false;
	}
	if (met) {
		f->lanes[lane - 1].doubled |= met->lane == lane;
		*met = (struct df_pg_met){ .hash = hash, .lane = (uint32_t)lane };
	}
	return &f->lanes[lane - 1];
}

/* Appends the row that was encoded last. */
static int add_row(struct df_pg_job *job, struct df_pg_lane *lane, size_t message, struct df_error *err)
{
	const struct df_buf *row = &job->s->row;

	if (lane->count == lane->cap) {
		size_t cap = lane->cap ? lane->cap * 2 : 256;
		uint32_t *messages = realloc(lane->messages, cap * sizeof(*messages));
		if (!messages)
			return df_error_no_memory(err);
		lane->messages = messages;
		lane->cap = cap;
	}
	if (lane->way == DF_PG_STAGE) {
		char head[PLACE_BYTES];
		df_pg_put16(head, (uint16_t)(lane->plan->count + 1));
		df_pg_put32(head + 2, 4);
		df_pg_put32(head + 6, (uint32_t)lane->count);
		df_buf_add(&lane->rows, head, sizeof(head));
		df_buf_add(&lane->rows, row->data + 2, row->len - 2);
	} else {
		df_buf_add(&lane->rows, row->data, row->len);
	}
	if (lane->rows.failed)
		return df_error_no_memory(err);
	lane->messages[lane->count++] = (uint32_t)message;
	return 0;
}

/* ---- a lane's way to the server -------------------------------------------------------------------------- */

/* The temporary table, once a connection and column set; outside of any transaction of rows. */
static int make_stage(struct df_pg_job *job, struct df_pg_plan *plan, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	struct df_error why = DF_ERROR_INIT;

	if (plan->staged)
		return 0;
	int code = s->no_stage ? DF_ERR_AUTH : df_pg_exec(&s->pg, job->ctx, plan->stage_sql, &why);
	plan->staged = code == 0;
	if (code == 0)
		return 0;
	if (s->no_stage || strcmp(why.remote, "42501") == 0) {
		if (!s->no_stage)
			df_log_error(s->base.state.env.logger, DF_LOG_WARN, &why,
				     "no temporary tables: rows are written one by one; GRANT TEMPORARY ON DATABASE");
		s->no_stage = true;
		s->flush.overflowed = true;
	}
	if (err)
		*err = why;
	return code;
}

static int open_lane(struct df_pg_job *job, struct df_pg_lane *lane, struct df_error *err)
{
	struct df_pg_flush *f = &job->s->flush;
	const char *copy = lane->way == DF_PG_STAGE ? lane->plan->fill_sql : lane->plan->copy_sql;
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	int code = lane->way == DF_PG_STAGE ? make_stage(job, lane->plan, err) : 0;

	if (code != 0)
		return code;
	df_buf_printf(&sql, "%s%s", f->begun ? "" : "BEGIN; ", copy);
	const char *text = df_buf_c(&sql);
	if (sql.failed)
		return df_error_no_memory(err);
	f->begun = true;
	code = df_pg_copy_begin(&job->s->pg, job->ctx, text, err);
	lane->open = code == 0;
	return code;
}

static int send_rows(struct df_pg_job *job, struct df_pg_lane *lane, struct df_error *err)
{
	int code = lane->open ? 0 : open_lane(job, lane, err);

	if (code == 0)
		code = df_pg_copy_send(&job->s->pg, job->ctx, df_buf_str(&lane->rows), err);
	lane->rows.len = 0;
	return code;
}

/* From the temporary table into the table. */
static int merge(struct df_pg_job *job, struct df_pg_lane *lane, bool again, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	const struct df_pg_plan *plan = lane->plan;
	bool last = plan->merge_last_sql && (lane->doubled || s->merge_last);
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	uint64_t rows = 0;

	df_buf_add_c(&sql, last ? plan->merge_last_sql : plan->merge_sql);
	const char *text = df_buf_c(&sql);
	int code = sql.failed ? df_error_no_memory(err) : df_pg_exec_count(&s->pg, job->ctx, text, &rows, err);
	if (code == 0 && again) /* another lane of this transaction uses the temporary table */
		code = df_pg_exec(&s->pg, job->ctx, plan->empty_sql, err);
	if (code == 0 && plan->counts_old && rows <= lane->count)
		s->flush.unchanged += lane->count - rows;
	return code;
}

static bool used_again(const struct df_pg_flush *f, const struct df_pg_lane *lane)
{
	for (const struct df_pg_lane *l = lane + 1; l < f->lanes + f->lane_count; l++)
		if (l->plan == lane->plan)
			return true;
	return false;
}

static int finish_lane(struct df_pg_job *job, struct df_pg_lane *lane, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	struct df_pg_culprit culprit;
	char stage[sizeof("dataflow_stage_") + 12];
	int code = send_rows(job, lane, err);

	if (code != 0)
		return code;
	snprintf(stage, sizeof(stage), "dataflow_stage_%u", lane->plan->number);
	code = df_pg_copy_end(&s->pg, job->ctx, lane->way == DF_PG_STAGE ? stage : s->target.name.name, &culprit, err);
	lane->open = false;
	if (code != 0 && culprit.row > 0 && culprit.row <= lane->count) {
		s->flush.culprit = true;
		s->flush.message = lane->messages[culprit.row - 1];
	}
	return code == 0 && lane->way == DF_PG_STAGE ? merge(job, lane, used_again(&s->flush, lane), err) : code;
}

/* ---- the flush ------------------------------------------------------------------------------------------- */

static int encode_all(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	for (size_t i = 0; i < job->w->count; i++) {
		struct df_error reason = DF_ERROR_INIT;
		struct df_pg_plan *plan;
		uint64_t hash;

		if (df_pg_is_refused(s, i))
			continue;
		int code = df_pg_encode_message(job, i, &plan, &hash, &reason);
		if (df_code_poison(code)) {
			code = df_pg_refuse_row(job, i, &reason);
		} else if (code == 0 && !df_pg_is_undone(job)) {
			struct df_pg_lane *lane = choose_lane(s, plan, hash);
			s->flush.overflowed = !lane || plan->count == 0;
			code = s->flush.overflowed ? DF_ERR_UNKNOWN : add_row(job, lane, i, &reason);
			/* The first lane travels while the rest is encoded. */
			if (code == 0 && lane == s->flush.lanes && lane->rows.len >= DF_PG_CHUNK)
				code = send_rows(job, lane, &reason);
		}
		if (code != 0) {
			if (err)
				*err = reason;
			return code;
		}
	}
	return 0;
}

static int commit(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_sink *s = job->s;
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };

	if (s->settings->exactly_once) {
		const char *position = df_pg_position_sql(s, job->w->checkpoint);
		if (!position)
			return df_error_no_memory(err);
		df_buf_printf(&sql, "%s; ", position);
		s->flush.moving = true;
	}
	if (!s->flush.begun && sql.len == 0)
		return 0; /* every row was refused */
	df_buf_add_c(&sql, s->flush.begun ? "COMMIT" : "");
	return df_pg_exec_buf(&s->pg, job->ctx, &sql, err);
}

/* The COPY of the first lane may still run. */
static void end_open_lanes(struct df_pg_job *job)
{
	struct df_pg_flush *f = &job->s->flush;

	for (size_t i = 0; i < f->lane_count; i++) {
		if (f->lanes[i].open && !job->s->pg.broken)
			(void)!df_pg_copy_abort(&job->s->pg, job->ctx);
		f->lanes[i].open = false;
	}
}

int df_pg_flush_bulk(struct df_pg_job *job, struct df_error *err)
{
	struct df_pg_flush *f = &job->s->flush;
	int code = reset_flush(job, err);

	if (code == 0)
		code = encode_all(job, err);
	for (size_t i = 0; code == 0 && i < f->lane_count && !df_pg_is_undone(job); i++)
		code = finish_lane(job, &f->lanes[i], err);
	if (code == 0 && !df_pg_is_undone(job))
		code = commit(job, err);
	end_open_lanes(job);
	return code;
}
