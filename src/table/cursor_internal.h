/* What cursor.c and cursor_checkpoint.c share. Private to them. */
#ifndef DF_TABLE_CURSOR_INTERNAL_H
#define DF_TABLE_CURSOR_INTERNAL_H

#include <stdlib.h>

#include "table/cursor.h"

/* The buffers behind the values that a cursor keeps. */
enum df_cursor_text { DF_TEXT_T, DF_TEXT_K, DF_TEXT_NULL_K, DF_TEXT_ROW_T, DF_TEXT_ROW_K, DF_TEXTS };

/* Rows with one (T, K) that an overlapping read meets again. */
struct df_seen_row {
	uint64_t hash[2];
	int64_t seconds; /* T */
	uint64_t run;	 /* the statement that met it last, */
	uint32_t met;	 /* how often, */
	uint32_t count;	 /* and how many were emitted in all; 0: a free entry */
};

struct df_seen {
	struct df_seen_row *rows; /* a hash table, at most half full */
	size_t cap, count;	  /* cap is a power of two */
	uint64_t run;
};

struct df_cursor {
	const struct df_cursor_table *table;
	struct df_cursor_place place;
	struct df_cursor_value row_t, row_k; /* of the row read last */
	enum df_cursor_part part;	     /* that it came from */
	bool running;			     /* a statement is being read */
	bool k_run;			     /* in the order of K alone */
	struct df_buf texts[DF_TEXTS];
	struct df_buf position; /* place as JSON */
	int64_t overlap_seconds;
	struct df_seen seen;
};

/* Copies a value into the cursor's buffer `slot`. DF_ERR_NO_MEMORY. */
int df_cursor_keep(struct df_cursor *cursor, enum df_cursor_text slot, struct df_cursor_value *to,
		   const struct df_cursor_value *from) df_must_check;

/* The row read last counts as emitted. DF_ERR_NO_MEMORY. */
int df_cursor_mark(struct df_cursor *cursor) df_must_check;

/* Does the row read last stand before the place (it was committed late)? Then the place stays. */
bool df_cursor_is_late(const struct df_cursor *cursor);

/* Renders place into position. DF_ERR_NO_MEMORY. */
int df_cursor_write_position(struct df_cursor *cursor) df_must_check;

#endif
