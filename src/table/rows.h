/*
 * Rows: documents to the columns of a table.
 *
 * Documents of one query share a *shape*: the same keys in the same order. A `struct df_rows` finds the columns of a
 * shape once and then only compares keys, so that mapping a row costs one comparison a key. Shapes that have the same
 * columns share one *column set*; a connector hangs its prepared statement there.
 *
 *   df_rows_begin(rows);                                   once a write
 *   df_row_body(message, arena, rows, &object, &err);      the object that is the row
 *   df_rows_map(rows, object, arena, &row, &err);          row.set, row.values
 *
 * A df_rows belongs to one thread at a time.
 */
#ifndef DF_TABLE_ROWS_H
#define DF_TABLE_ROWS_H

#include "message/message.h"
#include "table/columns.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* The columns that a row fills, in the table's order. Lives until df_rows_forget. */
struct df_column_set {
	struct df_column_set *next; /* private */
	void *user;		    /* the connector's: its statement; given to `release` in the end */
	uint64_t hash;		    /* private */
	size_t count;
	uint32_t columns[]; /* indices into the table's columns, ascending */
};

/* Index of a column within the set, or DF_NO_COLUMN. */
size_t df_column_set_find(const struct df_column_set *set, size_t column);

struct df_row {
	struct df_column_set *set;
	struct df_value **values; /* set->count values, in the set's order */
	size_t unknown;		  /* keys of the object that no column takes */
};

struct df_rows;

/*
 * columns is borrowed and must not change while rows live. ignore_unknown: a key without a column is left out and
 * counted, else df_rows_map refuses the row. release, if given, is called for every set's `user` that is not NULL. NULL
 * when out of memory.
 */
struct df_rows *df_rows_new(const struct df_columns *columns, bool ignore_unknown,
			    void (*release)(void *arg, void *user), void *arg);
void df_rows_free(struct df_rows *rows);
DF_DEFINE_CLEANUP(struct df_rows *, df_rows_free)

/* Forgets all shapes and sets, as after a change of the table. */
void df_rows_forget(struct df_rows *rows);

/* Call it when the documents that were mapped so far may be gone: keys are compared by their address first, which says
 * something only while the earlier document lives. It is also where too many shapes are forgotten, so sets are stable
 * between two calls. */
void df_rows_begin(struct df_rows *rows);

/*
 * Maps an object. With an arena, ret->values is in it; without, it is good until the next call. Of a key that stands
 * twice the last counts. DF_ERR_INVALID_DATA: a key without a column, by name; a column that cannot be written;
 * DF_ERR_NO_MEMORY.
 */
int df_rows_map(struct df_rows *rows, const struct df_value *object, struct df_arena *arena, struct df_row *ret,
		struct df_error *err) df_must_check;

/*
 * The object that is the message's row (connectors reference, section 4): the payload, or the inner `value` of a
 * wrapped body {value, _metadata}, unless the table has a column `value`. DF_ERR_INVALID_DATA for a payload that is no
 * JSON object.
 */
int df_row_body(struct df_message *m, struct df_arena *arena, const struct df_columns *columns, struct df_value **ret,
		struct df_error *err) df_must_check;

/* Is it a wrapped body: an object with `value` and at most also `_metadata`, which is an object? The parts;
 * *ret_metadata is NULL when there is none. */
bool df_row_unwrap(const struct df_value *document, struct df_value **ret_value, struct df_value **ret_metadata);

/* ---- operations ------------------------------------------------------------------------------------------ */

enum df_operation { DF_OP_INSERT, DF_OP_UPDATE, DF_OP_DELETE };

/* Metadata `operation`; absent or anything else counts as insert. */
enum df_operation df_row_operation(const struct df_message *m);

/* ---- grouping -------------------------------------------------------------------------------------------- */

/* One row of a batch that is sent set by set (one INSERT, one block). */
struct df_group_row {
	size_t index; /* the message's, in the write */
	struct df_row row;
	uint64_t key; /* hash of the row's key values (df_row_key_hash); 0: it has no key, any order will do */
};

struct df_group {
	struct df_column_set *set;
	struct df_group_row **rows; /* in the order given */
	size_t count;
};

/*
 * Distributes rows over groups of one column set each, so that rows of one key keep their order when the groups are
 * written one after the other. unique_keys: no key stands twice in a group either (a statement that may touch a row
 * only once). As few groups as that allows, not always the fewest possible. All in the arena. DF_ERR_NO_MEMORY.
 */
int df_rows_group(struct df_group_row *rows, size_t count, bool unique_keys, struct df_arena *arena,
		  struct df_group **ret, size_t *ret_count) df_must_check;

/* A hash of the texts of these columns' values, never 0; 0 when one of them is missing or null. 1.0 and 1 are the same.
 */
uint64_t df_row_key_hash(const struct df_row *row, const size_t *key_columns, size_t count, struct df_arena *arena);

#pragma GCC visibility pop

#endif
