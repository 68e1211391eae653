/* INSERT and MERGE statements out of rows. */
#ifndef DF_CONNECTORS_TRINO_STATEMENT_H
#define DF_CONNECTORS_TRINO_STATEMENT_H

#include "connectors/trino/target.h"

#define DF_TRINO_STATEMENT_BYTES 900000 /* the server takes 1,000,000 characters unless configured otherwise */
#define DF_TRINO_STATEMENT_ROWS 5000

/* One statement in the making: rows of one column set. */
struct df_trino_statement {
	struct df_trino_target *target;
	const struct df_column_set *set;
	bool upsert;	   /* MERGE by the target's key */
	size_t row_limit;  /* rows that a statement has at most */
	struct df_buf sql; /* up to the last row; the tail is written by finish */
	struct df_buf row; /* one row, before it is known to fit */
	size_t rows;
};

/* Begins a statement; `comment` stands at its head. Reuses the buffer. */
void df_trino_statement_begin(struct df_trino_statement *st, const char *comment);

/*
 * Adds a row. *ret_full: it does not fit any more, nothing was added, and the statement must be run first (never for
 * the first row). removes: the row with this key goes; only with upsert. DF_ERR_INVALID_DATA names the column; the
 * statement is as it was. DF_ERR_NO_MEMORY.
 */
int df_trino_statement_add(struct df_trino_statement *st, const struct df_row *row, bool removes,
			   struct df_arena *arena, bool *ret_full, struct df_error *err) df_must_check;

/* Writes the tail; the text is st->sql. */
int df_trino_statement_finish(struct df_trino_statement *st, struct df_error *err) df_must_check;

#endif
