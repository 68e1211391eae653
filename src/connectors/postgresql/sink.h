/*
 * The PostgreSQL sink: a write is one transaction. Private to the sink's files: sink.c (life, table), sink_flush.c
 * (messages to rows), sink_bulk.c (rows by COPY), sink_rows.c (rows by prepared statements), sink_position.c
 * (exactlyOnce).
 *
 * Rows of one column set, or deletes, that may be written together form a *lane*; lanes are written one after the
 * other, and a row joins one that is early enough for its set and late enough for its key. While the rows are encoded
 * the first lane's COPY already runs.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_SINK_H
#define DF_CONNECTORS_POSTGRESQL_SINK_H

#include <stdio.h>

#include "connectors/base.h"
#include "connectors/postgresql/copy.h"
#include "connectors/postgresql/target_plan.h"

/*
 * Flushes of up to so many rows go as pipelined prepared statements, in one round trip; larger ones by COPY, which
 * needs one or two more. Both were timed on one machine with 6 columns, 200 flushes each: straight COPY and statements
 * are equal at 20 rows (0.4 ms), a staged upsert and statements at 150 (2.5 ms).
 */
#define DF_PG_ROWS_MAX 20
#define DF_PG_ROWS_MAX_STAGED 150
#define DF_PG_LANES_MAX 8	       /* more of them are not worth a COPY each: prepared statements, row by row */
#define DF_PG_CHUNK ((size_t)64 << 10) /* bytes of rows that are sent at once */
#define DF_PG_CAREFUL_WRITES 100       /* after a conflict, so many writes expect another one */
#define DF_PG_CULPRITS_MAX 16	       /* rows that a write takes out by itself; then the processor bisects */

/* How rows reach the table. */
enum df_pg_way {
	DF_PG_COPY,  /* straight */
	DF_PG_STAGE, /* through a temporary table */
};

struct df_pg_lane {
	struct df_pg_plan *plan;
	enum df_pg_way way;
	struct df_buf rows; /* encoded and not sent yet */
	uint32_t *messages; /* of each row, sent or not: the message's index in the write */
	size_t count, cap;
	bool open;    /* its COPY runs */
	bool doubled; /* a key stands twice in it */
};

/* Where a key was met last. */
struct df_pg_met {
	uint64_t hash;
	uint32_t lane; /* plus 1; 0: a free entry */
};

/* One attempt to write. Its memory is used again by the next. */
struct df_pg_flush {
	struct df_pg_lane lanes[DF_PG_LANES_MAX];
	size_t lane_count;
	struct df_pg_met *met; /* a hash table, at most half full */
	size_t met_cap;
	size_t unchanged, unknown_fields;
	bool begun;	  /* a transaction is open */
	bool culprit;	  /* the server named the message that made it fail: */
	size_t message;	  /* its index */
	bool overflowed;  /* too many lanes */
	bool doubtful;	  /* a row did not fit the table, which may have changed: look again */
	bool new_columns; /* keys without a column, and unknownFields is addColumn */
	bool moving;	  /* what failed was the position */
};

struct df_pg_sink {
	struct df_base_connector base;
	const struct df_postgresql_sink_settings *settings;
	struct df_pg pg;
	struct df_pg_target target;
	struct df_rows *rows;	   /* NULL while the table does not exist */
	struct df_pg_plan *remove; /* NULL until the first delete */
	struct df_buf leftovers;   /* SQL that drops what forgotten plans left on the connection */
	unsigned plans;		   /* made on this connection */
	int64_t loaded_ns;	   /* when the catalog was read last */
	int careful;		   /* writes that still expect a conflict */
	bool no_stage;		   /* temporary tables are not allowed */
	bool merge_last;	   /* this write: keys that look different are equal to the server */
	bool row_by_row;	   /* this write: prepared statements whatever its size */
	struct df_pg_flush flush;
	struct df_buf row;	    /* the row being encoded */
	struct df_buf position_sql; /* this write's position */
	char *positions;	    /* "schema".dataflow_positions, quoted */
	char *flow;		    /* "namespace/name" */
	char writer[64];	    /* what this instance is called in the table of positions */
	char *held;		    /* the checkpoint that stood there at connect; NULL: none */
	uint64_t *done;		    /* this write: messages that were refused, a bit each */
	size_t done_cap;
};

/* ---- sink.c ---------------------------------------------------------------------------------------------- */

/* Reads the catalog again and forgets all plans. */
int df_pg_sink_load(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err) df_must_check;

/* ---- sink_flush.c ---------------------------------------------------------------------------------------- */

/* The write that is under way. */
struct df_pg_job {
	struct df_pg_sink *s;
	struct df_context *ctx;
	struct df_write *w;
	size_t refused;	    /* messages that failed by themselves */
	bool looked;	    /* the catalog was read for it */
	bool columns_added; /* unknownFields: addColumn was done for it */
};

static inline bool df_pg_is_refused(const struct df_pg_sink *s, size_t message)
{
	return s->done[message / 64] >> message % 64 & 1;
}

/* A transaction with the position is all or nothing: messages that were refused take the others with them. */
static inline bool df_pg_is_undone(const struct df_pg_job *job)
{
	return job->refused > 0 && job->s->settings->exactly_once;
}

/* The message cannot be encoded: it fails alone (0), or the attempt ends because the table may have changed. */
int df_pg_refuse_row(struct df_pg_job *job, size_t message, const struct df_error *why) df_must_check;
/* The message fails alone. */
void df_pg_refuse_message(struct df_pg_job *job, size_t message, const struct df_error *why);

/* What message i wants: its plan, and its row (field count and fields) in s->row. *ret_hash: of its key, 0: it has
 * none. Poison codes are of the message alone. */
int df_pg_encode_message(struct df_pg_job *job, size_t i, struct df_pg_plan **ret, uint64_t *ret_hash,
			 struct df_error *err) df_must_check;

/* Encodes all messages and writes them in one transaction, by COPY or row by row, once. */
int df_pg_flush_bulk(struct df_pg_job *job, struct df_error *err) df_must_check;
int df_pg_flush_rows(struct df_pg_job *job, struct df_error *err) df_must_check;

/* ---- sink_position.c ------------------------------------------------------------------------------------- */

/* At connect: the table of positions, made when it is missing; s->held is what it holds. From now on only this instance
 * may replace that. */
int df_pg_position_open(struct df_pg_sink *s, struct df_context *ctx, struct df_error *err) df_must_check;
/* The statement that stores a checkpoint; division_by_zero (22012) when another process took over. Good until the next
 * call; NULL: no memory. */
const char *df_pg_position_sql(struct df_pg_sink *s, struct df_str checkpoint);
/* What a failed position statement says. */
int df_pg_position_error(const struct df_pg_sink *s, struct df_error *err);

#endif
