/*
 * Incremental reads of a table or query (connectors reference, section 3): where a read goes on, the SQL for it, and
 * how the position is kept in the checkpoint.
 *
 * T is the tracking column, which grows with every change; K the order column, which orders rows of equal T. Rows come
 * in the order of (T, K), and a position (t, k) stands for everything up to there. Rows that share (T, K) are a *tie
 * group*: a position never stands inside one, because what follows is asked for with `>`. So every row but the last of
 * its group carries the position before the group:
 *
 *   while there is a row:
 *           df_cursor_read(cursor, part, t, k)           the row's values
 *           look at the next row
 *           df_cursor_advance(cursor, done)              unless the next row ties (df_cursor_ties)
 *           position of the row = df_cursor_position(cursor)
 *
 * Values of K are never compared for order here: that is the database's business, with its collations.
 */
#ifndef DF_TABLE_CURSOR_H
#define DF_TABLE_CURSOR_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* ---- values ---------------------------------------------------------------------------------------------- */

enum df_cursor_kind {
	DF_CURSOR_NONE, /* not known */
	DF_CURSOR_NULL,
	DF_CURSOR_NUMBER, /* text: JSON digits */
	DF_CURSOR_TEXT,	  /* text: UTF-8 */
	DF_CURSOR_TIME,	  /* text: RFC 3339, UTC, up to 9 fraction digits */
	DF_CURSOR_BYTES,  /* text: the bytes */
};

struct df_cursor_value {
	enum df_cursor_kind kind;
	struct df_str text;
};

/* What has been read. All NONE: nothing yet. */
struct df_cursor_place {
	struct df_cursor_value t, k;
	struct df_cursor_value null_k; /* the last K read among rows whose T is NULL */
};

/* ---- the table, and SQL ---------------------------------------------------------------------------------- */

struct df_cursor_table {
	struct df_str columns; /* the select list; empty: `*` */
	struct df_str from;    /* F: the quoted table, or what df_cursor_wrap wrote */
	struct df_str t;       /* SQL of T: a quoted name, or COALESCE(...). Empty: the table has none, or T is K */
	struct df_str k;       /* likewise; empty: none */
	bool t_nullable, k_nullable;
	bool row_values; /* `(T, K) > (t, k)`, when the store uses an index for it and K is not nullable */

	/* Appends parameter n (from 1), or the value of T (else of K) as a literal: df_cursor_question,
	 * df_cursor_dollar, or the store's, which finds what it needs around `table` (DF_CONTAINER_OF). */
	void (*parameter)(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			  const struct df_cursor_value *v);
	/* Appends the limit, n > 0: df_cursor_limit, df_cursor_limit_ties, df_cursor_fetch_ties. NULL: the reader
	 * stops. */
	void (*limit)(struct df_buf *sql, unsigned n);
};

/* ?1 */
void df_cursor_question(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			const struct df_cursor_value *v);
/* $1 */
void df_cursor_dollar(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
		      const struct df_cursor_value *v);
void df_cursor_limit(struct df_buf *sql, unsigned n);	   /* LIMIT n: the reader cuts the last tie group off */
void df_cursor_limit_ties(struct df_buf *sql, unsigned n); /* LIMIT n WITH TIES: ClickHouse */
void df_cursor_fetch_ties(struct df_buf *sql, unsigned n); /* FETCH FIRST n ROWS WITH TIES: PostgreSQL 13, Trino */

/* Appends `(<query>) AS dataflow_src`; the query is without its trailing `;`. */
void df_cursor_wrap(struct df_buf *sql, struct df_str query);

/* The statements of one poll. */
enum df_cursor_part {
	DF_CURSOR_ROWS,	  /* rows in the order of (T, K); without T in the order of K */
	DF_CURSOR_NULL_T, /* rows whose T is NULL, in the order of K, each poll */
	DF_CURSOR_NULL_K, /* rows that have no place in either order: once a process */
	DF_CURSOR_PARTS,
};

/* Can there be rows in that part? */
bool df_cursor_has(const struct df_cursor_table *table, enum df_cursor_part part);

struct df_cursor_params {
	const struct df_cursor_value *values[2]; /* of the parameters 1, 2; borrowed from the place */
	bool of_t[2];				 /* is it a value of T, else of K? */
	size_t count;
};

/* Appends the SELECT of what follows a place. limit 0: none. */
void df_cursor_select(const struct df_cursor_table *table, const struct df_cursor_place *place,
		      enum df_cursor_part part, unsigned limit, struct df_buf *sql, struct df_cursor_params *ret);

/* ---- moving ---------------------------------------------------------------------------------------------- */

/* Which source a position belongs to, as configured. */
struct df_cursor_source {
	const char *table;	   /* NULL: a query without a table */
	const char *change_column; /* NULL: no incremental reading */
	const char *order_column;
	const char *query; /* NULL: a table */
};

struct df_cursor;

/* table and source are borrowed; table may be filled in until the first df_cursor_read. NULL when out of memory. One
 * thread at a time, but for df_cursor_commit, which needs no cursor. */
struct df_cursor *df_cursor_new(const struct df_cursor_table *table);
void df_cursor_free(struct df_cursor *cursor);
DF_DEFINE_CLEANUP(struct df_cursor *, df_cursor_free)

/* The place that the next statement goes on from. Its texts are good until the next call for this cursor. */
const struct df_cursor_place *df_cursor_at(const struct df_cursor *cursor);

/* A row was read; the values are copied. DF_ERR_NO_MEMORY. */
int df_cursor_read(struct df_cursor *cursor, enum df_cursor_part part, const struct df_cursor_value *t,
		   const struct df_cursor_value *k) df_must_check;

/* May a row with these values be of the same tie group as the row read last? Errs on the side of yes: texts that differ
 * only in ASCII case or trailing blanks tie, because a collation may call them equal. */
bool df_cursor_ties(const struct df_cursor *cursor, const struct df_cursor_value *t, const struct df_cursor_value *k);

/* The group of the row read last is complete: the cursor moves there. done: the statement has no more rows at all (it
 * was not cut by a limit). DF_ERR_NO_MEMORY. */
int df_cursor_advance(struct df_cursor *cursor, bool done) df_must_check;

/* The place as a message's position carries it (a JSON object); empty before anything was read. Good until the next
 * df_cursor_advance. */
struct df_str df_cursor_position(const struct df_cursor *cursor);

/* ---- overlap --------------------------------------------------------------------------------------------- */

/*
 * trackingOverlapSeconds: transactions may commit a T that a poll has passed already. So the first statement of every
 * poll reads from df_cursor_before instead of df_cursor_at, and every row that df_cursor_seen knows is dropped:
 *
 *   df_cursor_begin(cursor)                              every statement of DF_CURSOR_ROWS
 *   df_cursor_seen(cursor, t, k)                         every row, before df_cursor_read; a dropped one ends there
 *
 * After a restart nothing is known to be seen: the overlap comes again.
 */
void df_cursor_set_overlap(struct df_cursor *cursor, int64_t seconds);

#define DF_CURSOR_BEFORE_MAX 64
/* The place that lies the overlap before; false: no overlap, nothing read yet, or T is no time written as text. text
 * holds its T. */
bool df_cursor_before(const struct df_cursor *cursor, struct df_cursor_place *ret, char text[DF_CURSOR_BEFORE_MAX]);
void df_cursor_begin(struct df_cursor *cursor);
/* Was the row emitted by an earlier statement? df_cursor_read makes it so. Once a row of a statement. */
bool df_cursor_seen(struct df_cursor *cursor, const struct df_cursor_value *t, const struct df_cursor_value *k);

/* ---- checkpoint ------------------------------------------------------------------------------------------ */

/*
 * Goes on from a checkpoint: lastReadChangeTime (else lastReadTime) or lastReadChangeValue, lastReadOrderByValue (else
 * lastReadID), lastReadNullOrderByValue. DF_ERR_CONFIG that names checkpointReset: a text that does not parse, or
 * `source` belongs to another source. *ret_query_changed: only the query's text is another; a warning is due.
 */
int df_cursor_restore(struct df_cursor *cursor, const struct df_cursor_source *source,
		      const struct df_value *checkpoint, bool *ret_query_changed, struct df_error *err) df_must_check;

/* Writes a committed position (df_cursor_position) and the source into the checkpoint; an empty one changes nothing.
 * Other keys stay. Text is in the arena. Any thread. DF_ERR_NO_MEMORY. */
int df_cursor_commit(const struct df_cursor_source *source, struct df_str position, struct df_value *checkpoint,
		     struct df_arena *arena, struct df_error *err) df_must_check;

/* ---- polling --------------------------------------------------------------------------------------------- */

/* Polls at a fixed rate: the first at once, then every interval from the first one's start. Ticks that pass during a
 * poll are one tick. */
struct df_poll {
	int64_t interval_ns;
	int64_t due_ns;
	bool started;
};

/* How long to sleep before the next poll, in ns; 0: it is due. now is df_clock_monotonic. */
int64_t df_poll_delay(struct df_poll *poll, int64_t now_ns);

#pragma GCC visibility pop

#endif
